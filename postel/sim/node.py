"""A host in its place in a world: its name, its paths, and what the network finds there."""

from collections.abc import Callable

from postel.host.host import Host
from postel.sim.attachment import Application
from postel.sim.path import Path
from postel.sim.stand_in import Stack
from postel.sim.witness import Voice
from postel.tcp.observer import Observer
from postel.times import NEVER


class Node:
    """A host in its place in a world. ``stack`` is what the network sees there: the host, or what stands in front of it. ``make`` makes
    another host like it, with the observer that it is given."""

    def __init__(
        self, name: str, make: Callable[[Observer | None], Host], observer: Observer | None, application: Application | None
    ) -> None:
        self.name = name
        self.application = application
        self._make = make
        self._observer = observer
        self._on_crash: Callable[[], None] | None = None
        self._start()
        self.paths: dict[Node, Path] = {}
        self.armed = NEVER  # the earliest wake-up for it that lies in the heap

    def _start(self) -> None:
        self._voice = None if self._observer is None else Voice(self._observer)
        self.host = self._make(self._voice)
        self.stack: Stack = self.host
        self.hears_later = False  # `stack` tells by itself when the host hears a packet

    def restart(self) -> None:
        """The host is gone without a word; another like it starts."""
        if self._voice is not None:
            self._voice.fall_silent()
        on_crash, self._on_crash = self._on_crash, None
        self._start()
        self.armed = NEVER
        if on_crash is not None:
            on_crash()

    def front(self, stack: Stack, on_crash: Callable[[], None] | None, *, hears_later: bool) -> None:
        self.stack = stack
        self.hears_later = hears_later
        self._on_crash = on_crash
