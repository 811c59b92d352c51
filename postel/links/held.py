"""Links around another one that hold packets for a while, lose some, or change them: `Faulty`, `Delayed` and
`Shaped`.

Each has two sides, ``outgoing`` and ``incoming``. Their settings may be changed while packets pass
(``link.outgoing.loss = 0.5``).

The links may be put around each other in any order: a packet that is sent meets the outermost first, one that
arrives the innermost.

Each decides packet by packet, so ``largest`` is 0 even around an `Offloading` link: the host cuts parcels and
computes checksums, and what arrives joined is cut. What a link holds when it ends or is closed is lost.
"""

from abc import ABC, abstractmethod
from heapq import heappop, heappush
from random import Random
from typing import Final, Literal

from postel.errors import ArgumentError, LinkDown, require_number
from postel.links.around import Around
from postel.links.contract import Link, closed, too_large
from postel.links.course import HOLD, QUEUE, Bottleneck, Chances, Travel, packets
from postel.times import NEVER

Side = Literal["both", "outgoing", "incoming"]
SIDES: Final = ("both", "outgoing", "incoming")
_Held = tuple[int, int, bytes, bytes]  # when it is due, which in order, the packet, and its next hop


class Way(ABC):
    """What becomes of packets in one direction."""

    lost = 0

    @abstractmethod
    def carry(self, packet: bytes, now: int) -> list[tuple[int, bytes]]:
        """When the packet goes on, and as what: nothing when it is lost, twice when it is duplicated."""


class Held(Around):
    """Base class: a link that lets each packet go on when its `Way` says so."""

    has_room: bool  # of the base class: type checkers want a declaration in each class that writes it
    lost: int

    def __init__(self, link: Link, outgoing: Way, incoming: Way) -> None:
        super().__init__(link)
        self.largest = 0
        self._ways = outgoing, incoming
        self._leaving: list[_Held] = []
        self._arriving: list[_Held] = []
        self._order = 0
        self._is_closed = False

    def send(self, packet: bytes, next_hop: bytes, now: int) -> bool:
        if len(packet) > self.mtu:
            raise too_large(len(packet), self.mtu)
        if self._is_closed:
            raise closed("link")
        lost = self._ways[0].lost
        self._hold(self._leaving, self._ways[0], packet, next_hop, now)
        down = self._let_go(now)
        if down is not None:
            raise down
        return self._ways[0].lost == lost

    def receive(self, now: int) -> bytes | None:
        self._let_go(now)
        while not self._arriving or self._arriving[0][0] > now:
            packet = self.inner.receive(now)
            if not packet:
                return packet
            self._hold(self._arriving, self._ways[1], packet, b"", now)
        return heappop(self._arriving)[2]

    def next_timeout(self) -> int:
        first = self.inner.next_timeout()
        if self._arriving:
            first = min(first, self._arriving[0][0])
        if self._leaving and self.inner.has_room:
            first = min(first, self._leaving[0][0])
        return first

    def handle_timeout(self, now: int) -> None:
        self.inner.handle_timeout(now)
        self._let_go(now)

    def statistics(self) -> dict[str, int]:
        """Those of ``inner``; ``lost`` includes what was lost here, and ``held`` is how many packets are held
        now.
        """
        figures = super().statistics()
        lost = figures["lost"] + sum(way.lost for way in self._ways)
        return {
            **figures,
            "lost": lost,
            "held": figures.get("held", 0) + len(self._leaving) + len(self._arriving),
        }

    def close(self) -> None:
        self._is_closed = True
        self._leaving.clear()
        self._arriving.clear()
        super().close()

    def _hold(self, held: list[_Held], way: Way, packet: bytes, next_hop: bytes, now: int) -> None:
        for due, octets in way.carry(packet, now):
            self._order += 1
            heappush(held, (due, self._order, octets, next_hop))

    def _let_go(self, now: int) -> LinkDown | None:
        """Send what is due. Where the device is switched off the packet is lost: why, else None."""
        down: LinkDown | None = None
        while self._leaving and self._leaving[0][0] <= now and self.inner.has_room:
            _, _, packet, next_hop = heappop(self._leaving)
            try:
                self.inner.send(packet, next_hop, now)
            except LinkDown as error:
                down = error
                self.lost += 1
        self.has_room = self.inner.has_room
        return down


class Faults(Chances, Travel, Way):
    """One side of a `Faulty` link. ``duplicated``, ``reordered``, ``corrupted`` and ``lost`` count
    packets.
    """

    def __init__(
        self, random: Random, loss: float, duplicate: float, corrupt: float, reorder: float, hold: int
    ) -> None:
        Chances.__init__(self, random, loss, duplicate, corrupt)
        Travel.__init__(self, random, 0, 0, reorder, hold)
        self.lost: int = 0
        self.duplicated: int = 0
        self.corrupted: int = 0
        self.reordered: int = 0

    def carry(self, packet: bytes, now: int) -> list[tuple[int, bytes]]:
        copies = self.copies()
        if copies == 0:
            self.lost += 1
            return []
        if self.is_corrupt():
            packet = self.turned(packet)
            self.corrupted += 1
        due = self.arrival(now)
        self.reordered += due > now
        self.duplicated += copies > 1
        return [(due, packet)] * copies


class Faulty(Held):
    """A link around another one, ``link``, that loses, duplicates, damages and reorders packets, as
    ``random`` has it.

    ``loss``, ``duplicate``, ``corrupt`` and ``reorder`` are probabilities; a reordered packet is held for up
    to ``hold`` microseconds, and others overtake it. ``side`` says which packets they are for: "outgoing",
    "incoming" or "both". What was lost by chance was sent as far as the host can tell; it is counted. Packets
    pass one by one, over an `Offloading` link too, because each has a fate of its own.
    """

    outgoing: Faults
    incoming: Faults

    def __init__(
        self,
        link: Link,
        random: Random,
        *,
        loss: float = 0.0,
        duplicate: float = 0.0,
        corrupt: float = 0.0,
        reorder: float = 0.0,
        hold: int = HOLD,
        side: Side = "both",
    ) -> None:
        faults, none = (loss, duplicate, corrupt, reorder, hold), (0.0, 0.0, 0.0, 0.0, hold)
        self.outgoing = Faults(random, *(faults if _is_for("outgoing", side) else none))
        self.incoming = Faults(random, *(faults if _is_for("incoming", side) else none))
        super().__init__(link, self.outgoing, self.incoming)

    def send(self, packet: bytes, next_hop: bytes, now: int) -> bool:
        super().send(packet, next_hop, now)
        return True


class Delay(Travel, Way):
    """One side of a `Delayed` link."""

    def carry(self, packet: bytes, now: int) -> list[tuple[int, bytes]]:
        return [(self.arrival(now), packet)]


class Delayed(Held):
    """A link around another one, ``link``, over which each packet takes ``delay`` microseconds longer, and up
    to ``jitter`` more as ``random`` has it. The order stays. ``side`` says which packets are delayed:
    "outgoing", "incoming" or "both". Packets pass one by one,
    over an `Offloading` link too, because each has a time of its own."""

    outgoing: Delay
    incoming: Delay

    def __init__(
        self, link: Link, delay: int, *, jitter: int = 0, random: Random | None = None, side: Side = "both"
    ) -> None:
        if jitter and random is None:
            raise ArgumentError("random", random, "a random.Random, where there is jitter")
        dice = random or Random(0)
        self.outgoing = Delay(dice, *((delay, jitter) if _is_for("outgoing", side) else (0, 0)), 0.0, 0)
        self.incoming = Delay(dice, *((delay, jitter) if _is_for("incoming", side) else (0, 0)), 0.0, 0)
        super().__init__(link, self.outgoing, self.incoming)


class Shape(Bottleneck, Way):
    """One side of a `Shaped` link: ``bandwidth`` is in bits a second (0: no limit), ``queue`` the packets
    that may wait while one is being sent.
    """

    queue: int = packets()

    def __init__(self, bandwidth: int, queue: int) -> None:
        super().__init__(bandwidth)
        self.queue = queue

    def carry(self, packet: bytes, now: int) -> list[tuple[int, bytes]]:
        if self.is_full(now):
            self.lost += 1
            return []
        return [(self.leaves(len(packet), now), packet)]


class Shaped(Held):
    """A link around another one, ``link``, that carries ``bandwidth`` bits a second. While one is
    being sent, up to ``queue`` others wait; more are lost. ``side`` says which packets they are: "outgoing",
    "incoming" or "both", each with a queue of its own.
    Packets pass one by one, over an `Offloading` link too, because each waits for the octets before it."""

    outgoing: Shape
    incoming: Shape

    def __init__(self, link: Link, bandwidth: int, *, queue: int = QUEUE, side: Side = "both") -> None:
        require_number("bandwidth", bandwidth, 1, NEVER, "1 bit a second or more")
        self.outgoing = Shape(bandwidth if _is_for("outgoing", side) else 0, queue)
        self.incoming = Shape(bandwidth if _is_for("incoming", side) else 0, queue)
        super().__init__(link, self.outgoing, self.incoming)


def _is_for(own: Side, side: Side) -> bool:
    """Whether settings for ``side`` are for the side ``own``. Raises ArgumentError."""
    if side not in SIDES:
        raise ArgumentError("side", side, "both, outgoing or incoming")
    return side in ("both", own)
