"""Links around another link that hold packets, lose some, or change them: `Faulty`, `Delayed` and `Shaped`.

Each link has settings for two directions, ``outgoing`` and ``incoming``. The settings may be changed while
packets pass, as in ``link.outgoing.loss = 0.5``. The links may be put around each other in any order: a
packet that is sent passes the outermost link first, a packet that arrives passes the innermost first.

Each link decides packet by packet. So ``largest`` is 0 even around an `Offloading` link: the host cuts
parcels and computes checksums, and parcels that arrive are cut. Packets that a link holds when it ends are
lost.
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
_Held = tuple[int, int, bytes, bytes]  # time when the packet is due, running number, packet, next hop


class Way(ABC):
    """Treatment of the packets of one direction. ``lost`` is how many of these packets the treatment lost."""

    lost = 0

    @abstractmethod
    def carry(self, packet: bytes, now: int) -> list[tuple[int, bytes]]:
        """Decide what happens to ``packet``. Returns pairs: time (microseconds) and octets that go on then.

        The list is empty for a lost packet, and has two entries for a duplicated one.
        """


class Held(Around):
    """Base class of links that hold each packet until the time that the `Way` of its direction chooses."""

    has_room: bool  # attribute of `Link`: type checkers want a declaration where a class writes it
    lost: int

    def __init__(self, link: Link, outgoing: Way, incoming: Way) -> None:
        """Put this link around ``link``, with one `Way` for each direction. Raises ArgumentError."""
        super().__init__(link)
        self.largest = 0
        self._ways = outgoing, incoming
        self._leaving: list[_Held] = []
        self._arriving: list[_Held] = []
        self._order = 0
        self._is_closed = False

    def send(self, packet: bytes, next_hop: bytes, now: int) -> bool:
        """Hold ``packet`` as long as the outgoing `Way` decides. Returns False if the packet was lost."""
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
        """Return the next packet that is due; None where none is due now."""
        self._let_go(now)
        while not self._arriving or self._arriving[0][0] > now:
            packet = self.inner.receive(now)
            if not packet:
                return packet
            self._hold(self._arriving, self._ways[1], packet, b"", now)
        return heappop(self._arriving)[2]

    def next_timeout(self) -> int:
        """Return when a held packet is due or a timer of ``inner`` expires, in microseconds, or NEVER."""
        first = self.inner.next_timeout()
        if self._arriving:
            first = min(first, self._arriving[0][0])
        if self._leaving and self.inner.has_room:
            first = min(first, self._leaving[0][0])
        return first

    def handle_timeout(self, now: int) -> None:
        """Let timers of ``inner`` expire, and send the packets that are due."""
        self.inner.handle_timeout(now)
        self._let_go(now)

    def statistics(self) -> dict[str, int]:
        """Return the figures of ``inner``.

        ``lost`` includes the packets lost here, and ``held`` is how many packets are held now.
        """
        figures = super().statistics()
        lost = figures["lost"] + sum(way.lost for way in self._ways)
        return {
            **figures,
            "lost": lost,
            "held": figures.get("held", 0) + len(self._leaving) + len(self._arriving),
        }

    def close(self) -> None:
        """Close this link and ``inner``. Packets that it holds are lost."""
        self._is_closed = True
        self._leaving.clear()
        self._arriving.clear()
        super().close()

    def _hold(self, held: list[_Held], way: Way, packet: bytes, next_hop: bytes, now: int) -> None:
        """Keep the packets that ``way`` makes of ``packet`` until they are due."""
        for due, octets in way.carry(packet, now):
            self._order += 1
            heappush(held, (due, self._order, octets, next_hop))

    def _let_go(self, now: int) -> LinkDown | None:
        """Send the outgoing packets that are due, while ``inner`` has room. Sets ``has_room``.

        Returns the error if the device is switched off, and has lost a packet; else None.
        """
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
    """Settings and counts of one direction of a `Faulty` link.

    ``loss``, ``duplicate``, ``corrupt`` and ``reorder`` are probabilities, 0.0 to 1.0; ``hold`` is in
    microseconds. ``lost``, ``duplicated``, ``corrupted`` and ``reordered`` count packets.
    """

    def __init__(
        self, random: Random, loss: float, duplicate: float, corrupt: float, reorder: float, hold: int
    ) -> None:
        """Set all probabilities and ``hold``. Raises ArgumentError."""
        Chances.__init__(self, random, loss, duplicate, corrupt)
        Travel.__init__(self, random, 0, 0, reorder, hold)
        self.lost: int = 0
        self.duplicated: int = 0
        self.corrupted: int = 0
        self.reordered: int = 0

    def carry(self, packet: bytes, now: int) -> list[tuple[int, bytes]]:
        """Decide by chance whether the packet is lost, duplicated, damaged or held."""
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
    """Link around ``link`` that loses, duplicates, damages and reorders packets by chance.

    ``random`` decides; with a seed it decides alike in every run. ``loss``, ``duplicate``, ``corrupt`` and
    ``reorder`` are probabilities, 0.0 to 1.0. A reordered packet is held for up to ``hold`` microseconds, and
    others overtake it. ``side`` says which packets the settings are for: "outgoing", "incoming" or "both".
    Raises ArgumentError.

    `send` returns True for a packet that is lost by chance, because the sender doesn't learn of a loss on a
    real path either; the packet is counted. Packets pass one by one, also over an `Offloading` link.

    >>> from random import Random
    >>> from postel.links import pair
    >>> left, right = pair()
    >>> link = Faulty(left, Random(1), loss=1.0)
    >>> link.send(b"packet", b"", 0), right.receive(0), link.statistics()["lost"]
    (True, None, 1)
    >>> link.close(); right.close()
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
        """Put this link around ``link``, which no host or other link may use."""
        faults, none = (loss, duplicate, corrupt, reorder, hold), (0.0, 0.0, 0.0, 0.0, hold)
        self.outgoing = Faults(random, *(faults if _is_for("outgoing", side) else none))
        self.incoming = Faults(random, *(faults if _is_for("incoming", side) else none))
        super().__init__(link, self.outgoing, self.incoming)

    def send(self, packet: bytes, next_hop: bytes, now: int) -> bool:
        """Carry ``packet``, or lose it by chance. Returns True in both cases."""
        super().send(packet, next_hop, now)
        return True


class Delay(Travel, Way):
    """Settings of one direction of a `Delayed` link: ``delay`` and ``jitter``, in microseconds."""

    def carry(self, packet: bytes, now: int) -> list[tuple[int, bytes]]:
        """Let the packet go on after the delay."""
        return [(self.arrival(now), packet)]


class Delayed(Held):
    """Link around ``link`` over which each packet takes ``delay`` microseconds longer.

    The random number generator ``random`` adds up to ``jitter`` microseconds more; ``jitter`` needs
    ``random``. The order of packets stays. ``side`` says which packets are delayed: "outgoing", "incoming" or
    "both". Raises ArgumentError. Packets pass one by one, also over an `Offloading` link.

    >>> from postel.links import pair
    >>> left, right = pair()
    >>> link = Delayed(left, 5000)
    >>> link.send(b"packet", b"", 0), right.receive(0), link.next_timeout()
    (True, None, 5000)
    >>> link.handle_timeout(5000)
    >>> right.receive(5000)
    b'packet'
    >>> link.close(); right.close()
    """

    outgoing: Delay
    incoming: Delay

    def __init__(
        self, link: Link, delay: int, *, jitter: int = 0, random: Random | None = None, side: Side = "both"
    ) -> None:
        """Put this link around ``link``, which no host or other link may use."""
        if jitter and random is None:
            raise ArgumentError("random", random, "a random.Random, where there is jitter")
        dice = random or Random(0)
        self.outgoing = Delay(dice, *((delay, jitter) if _is_for("outgoing", side) else (0, 0)), 0.0, 0)
        self.incoming = Delay(dice, *((delay, jitter) if _is_for("incoming", side) else (0, 0)), 0.0, 0)
        super().__init__(link, self.outgoing, self.incoming)


class Shape(Bottleneck, Way):
    """Settings of one direction of a `Shaped` link.

    ``bandwidth`` is in bits a second (0: no limit), ``queue`` in packets.
    """

    queue: int = packets()

    def __init__(self, bandwidth: int, queue: int) -> None:
        """Set ``bandwidth`` and ``queue``. Raises ArgumentError."""
        super().__init__(bandwidth)
        self.queue = queue

    def carry(self, packet: bytes, now: int) -> list[tuple[int, bytes]]:
        """Let the packet go on once it has been sent at this bandwidth; lose it where the queue is full."""
        if self.is_full(now):
            self.lost += 1
            return []
        return [(self.leaves(len(packet), now), packet)]


class Shaped(Held):
    """Link around ``link`` that carries ``bandwidth`` bits a second.

    While one packet is being sent, up to ``queue`` others wait; more are lost. ``side`` says for which
    packets that holds: "outgoing", "incoming" or "both", with a queue for each direction. Raises
    ArgumentError. Packets pass one by one, also over an `Offloading` link.

    >>> from postel.links import pair
    >>> left, right = pair()
    >>> link = Shaped(left, 1_000_000)          # 1 Mbit/s: 8 µs an octet
    >>> link.send(bytes(1000), b"", 0), link.next_timeout()
    (True, 8000)
    >>> link.close(); right.close()
    """

    outgoing: Shape
    incoming: Shape

    def __init__(self, link: Link, bandwidth: int, *, queue: int = QUEUE, side: Side = "both") -> None:
        """Put this link around ``link``, which no host or other link may use."""
        require_number("bandwidth", bandwidth, 1, NEVER, "1 bit a second or more")
        self.outgoing = Shape(bandwidth if _is_for("outgoing", side) else 0, queue)
        self.incoming = Shape(bandwidth if _is_for("incoming", side) else 0, queue)
        super().__init__(link, self.outgoing, self.incoming)


def _is_for(own: Side, side: Side) -> bool:
    """Tell whether settings for ``side`` (or "both") are for the direction ``own``. Raises ArgumentError."""
    if side not in SIDES:
        raise ArgumentError("side", side, "both, outgoing or incoming")
    return side in ("both", own)
