"""Node of a world: a host with its name and paths, and the object that gets the network's packets for it."""

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
    """Packet that came while its host was paused, or slow and busy."""

    sender: str
    octets: bytes
    sent_at: int


class Node:
    """Name, paths and present host of one place in a world. A restart puts another host into the node.

    ``stack`` is the object that receives the network's packets: the host, or what `World.front` put in front
    of the host. ``number`` is the node's number in the order in which hosts were made.
    """

    host: Host
    is_crashed: bool
    takes_at_once: bool  # the host is neither crashed, paused nor slow, and has handled all that arrived
    hears_later: bool  # `stack` itself calls `World.hears` when the host gets a packet
    rings: bool  # `stack` itself asks the world to take its output, and has no timers
    free_at: int  # time at which a slow host will have handled all packets that have arrived
    armed: int  # time of the node's earliest wake-up in the heap

    def __init__(
        self,
        name: str,
        make: Callable[[Observer | None], Host],
        observer: Observer | None,
        application: Application | None,
        number: int,
        rung: list[Bell],
    ) -> None:
        """Make a node and its first host.

        ``make`` makes a host with the given observer, now and at each `restart`. ``rung`` is a list of the
        world. The host adds its `Bell` to the list when it may have packets to send or events to report, for
        example after a user's call, so that the world needn't ask each host.
        """
        self.name = name
        self.number = number
        self._rung = rung
        self.application = application
        self._make = make
        self._observer = observer
        self._on_crash: Callable[[], None] | None = None
        self.is_crashed = False
        self.pauses: dict[ActiveFault, None] = {}  # the faults that pause the host
        # Microseconds that the host takes for a packet, by the fault that slows it; the latest fault counts
        self.slowness: dict[ActiveFault, int] = {}
        self.takes_at_once = True
        self.waiting: deque[Undelivered] = deque()  # packets that came while it is paused
        self.free_at = 0
        self.paths: dict[Node, Path] = {}
        self.by_default: set[Node] = set()  # nodes to which a path was made only because of `World.paths`
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
        """Set ``takes_at_once``: whether the host handles a packet as soon as the packet arrives."""
        self.takes_at_once = not (self.is_crashed or self.pauses or self.slowness or self.free_at > now)

    def crash(self) -> None:
        """Let the node lose all packets from now on, because its host has crashed.

        The observer learns no more of the host, and the ``on_crash`` given to `front` is called.
        """
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
        """Make another host in place of one that has crashed."""
        self._start()
        self.free_at = 0
        self.takes_at_once = not self.slowness

    def front(self, stack: Stack, on_crash: Callable[[], None] | None, *, hears_later: bool) -> None:
        """Let ``stack`` get the network's packets instead of the host. A crash calls ``on_crash()``."""
        self.stack = stack
        self.hears_later = hears_later
        self.rings = getattr(stack, "rings", False)
        # If `stack` itself asks the world to take its output, calls of the host need not ring the bell
        self.host.bell.is_rung, self.host.bell.rung = False, None if self.rings else self._rung
        self._on_crash = on_crash
