"""Host in its place in a world: its name, its paths, and what the network finds there."""

from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from postel.host.host import Host
from postel.sim.active_fault import ActiveFault
from postel.sim.attachment import Application
from postel.sim.path import Path
from postel.sim.stand_in import NOTHING, Stack
from postel.sim.witness import Voice
from postel.tcp.bell import Bell
from postel.tcp.observer import Observer
from postel.times import NEVER


class Undelivered(NamedTuple):
    """Packet that came while its host was paused."""

    sender: str
    octets: bytes
    sent_at: int


class Node:
    """Host in its place in a world.

    ``stack`` is what the network sees there: the host, or what stands in front of it. ``number`` is the
    order in which hosts were made.
    """

    host: Host
    is_crashed: bool
    takes_at_once: bool  # it is neither crashed, paused nor slow, and has handled all that arrived
    hears_later: bool  # `stack` tells by itself when the host hears a packet
    rings: bool  # `stack` says by itself when it has output, and has no timers
    free_at: int  # when a slow host will have handled what has arrived
    armed: int  # the earliest wake-up for it that lies in the heap

    def __init__(
        self,
        name: str,
        make: Callable[[Observer | None], Host],
        observer: Observer | None,
        application: Application | None,
        number: int,
        rung: list[Bell],
    ) -> None:
        """Make a node and its host.

        ``make`` makes a host with the observer that it is given, also after a crash. ``rung`` is the world's
        list of hosts that were called.
        """
        self.name = name
        self.number = number
        self._rung = rung
        self.application = application
        self._make = make
        self._observer = observer
        self._on_crash: Callable[[], None] | None = None
        self.is_crashed = False
        self.pauses: dict[ActiveFault, None] = {}  # the faults that pause it
        self.slowness: dict[ActiveFault, int] = {}  # how long a packet takes, by cause: the last one counts
        self.takes_at_once = True
        self.waiting: deque[Undelivered] = deque()  # packets that came while it is paused
        self.free_at = 0
        self.paths: dict[Node, Path] = {}
        self.by_default: set[Node] = set()  # to these a path was made only because all hosts have one
        self.armed = NEVER
        self._start()

    def _start(self) -> None:
        self._voice = None if self._observer is None else Voice(self._observer)
        self.host = self._make(self._voice)
        self.host.bell.owner, self.host.bell.rung = self, self._rung
        self.stack: Stack = self.host
        self.hears_later = False
        self.rings = False
        self.is_crashed = False

    @property
    def is_paused(self) -> bool:
        """Whether the host does nothing and handles no packet."""
        return bool(self.pauses)

    @property
    def each(self) -> int:
        """How long the host takes for each packet, in microseconds; 0 unless it was made slow."""
        return list(self.slowness.values())[-1] if self.slowness else 0

    def settle(self, now: int) -> None:
        """Find out whether the host handles a packet as soon as it arrives."""
        self.takes_at_once = not (self.is_crashed or self.pauses or self.slowness or self.free_at > now)

    def crash(self) -> None:
        """Remove the host, so that nothing stands in its place."""
        if self._voice is not None:
            self._voice.fall_silent()
        on_crash, self._on_crash = self._on_crash, None
        self.stack = NOTHING
        self.hears_later = False
        self.rings = True
        self.is_crashed = True
        self.takes_at_once = False
        self.pauses.clear()
        self.waiting.clear()
        self.armed = NEVER
        if on_crash is not None:
            on_crash()

    def restart(self) -> None:
        """Start another host like it, after a crash."""
        self._start()
        self.free_at = 0
        self.takes_at_once = not self.slowness

    def front(self, stack: Stack, on_crash: Callable[[], None] | None, *, hears_later: bool) -> None:
        """Let ``stack`` stand between the network and the host."""
        self.stack = stack
        self.hears_later = hears_later
        self.rings = getattr(stack, "rings", False)
        # A driver serves its host by itself: its calls need not ring
        self.host.bell.is_rung, self.host.bell.rung = False, None if self.rings else self._rung
        self._on_crash = on_crash
