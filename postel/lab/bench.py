"""Where an experiment is made: each of its runs is a `Scene`, with the user's interference in it."""

from typing import Any

from postel.lab.interference import Interference
from postel.lab.scene import Scene


class Bench:
    """``scenes`` are the runs, in the order in which they were made."""

    def __init__(self, interference: Interference | None = None) -> None:
        self.interference: Interference = interference or Interference()
        self.scenes: list[Scene] = []

    # Scene says of what types they are
    def scene(self, title: str = "plain", **settings: Any) -> Scene:  # noqa: ANN401
        """A new run; ``title`` names it in claims.toml, ``settings`` are those of `Scene`."""
        scene = Scene(title, self.interference, **settings)
        self.scenes.append(scene)
        return scene
