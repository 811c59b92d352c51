"""Bench: where an experiment is made, with the user's interference in each of its runs."""

from typing import Any

from postel.lab.interference import Interference
from postel.lab.scene import Scene


class Bench:
    """Maker and list of the runs of one experiment.

    ``scenes`` are the runs in the order in which they were made. ``interference`` is what the user changes in
    each of them.
    """

    def __init__(self, interference: Interference | None = None) -> None:
        """Create a bench without runs; by default nothing interferes."""
        self.interference: Interference = interference or Interference()
        self.scenes: list[Scene] = []

    # ANN401: the types of the settings are those of `Scene`.
    def scene(self, title: str = "plain", **settings: Any) -> Scene:  # noqa: ANN401
        """Make a run. ``title`` is its key in claims.toml, ``settings`` are keyword arguments of `Scene`."""
        scene = Scene(title, self.interference, **settings)
        self.scenes.append(scene)
        return scene
