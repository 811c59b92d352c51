"""One direction of a path between two hosts: how long packets take, and which don't make it.

::

    departs ──► queue (drop-tail) ──► bandwidth ──► delay + jitter ──► congestion? loss? duplicate? corrupt? reorder? ──► arrives

A path that tells of congestion marks what is ECN-capable, and loses what isn't (RFC 3168, 5).
"""

from random import Random
from typing import Any, Final

from postel.errors import ArgumentError
from postel.sim.rules import ANY_BIT, BY_PATH, PASS, Verdict
from postel.times import MILLISECOND, SECOND
from postel.wire import checksum, ip

QUEUE: Final = 1 << 20
_CE: Final = 3


class _Setting:
    """A setting of a path, checked whenever it is assigned. Without ``__get__``, so that reading one costs what any attribute costs."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __set__(self, path: "Path", value: Any) -> None:  # noqa: ANN401 - whatever a caller may try
        self.check(self._name, value)
        vars(path)[self._name] = value

    def check(self, name: str, value: object) -> None:
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise ArgumentError(name, value, "an int, 0 or more")


class _Chance(_Setting):
    def check(self, name: str, value: object) -> None:
        if not isinstance(value, int | float) or isinstance(value, bool) or not 0.0 <= value <= 1.0:
            raise ArgumentError(name, value, "a probability, 0.0 to 1.0")


def _count() -> Any:  # noqa: ANN401 - a descriptor stands for the value
    return _Setting()


def _chance() -> Any:  # noqa: ANN401
    return _Chance()


class Path:
    """Carries packets one way. The settings may be changed while the world runs; ``carried``, ``marked`` and ``lost`` count.

    ``delay`` and ``jitter`` are microseconds (jitter adds 0 … jitter, and never reorders by itself), ``bandwidth`` bits a second (0: no
    limit), ``queue`` the octets that may wait for it, ``mtu`` the longest packet in octets (0: any). The sender of a longer one is told by
    ICMP, unless ``is_black_hole``; IPv4's without "don't fragment" go on in fragments. ``loss``, ``duplicate``, ``corrupt`` and
    ``reorder`` are probabilities; a reordered packet is held back by up to ``hold`` microseconds, and others overtake it.
    ``congestion`` is the probability that a packet is told of it, ``congested_at`` how many octets must wait until all are (0: never).
    A value that a setting can't have is an ArgumentError, also where it is assigned later.
    """

    delay: int = _count()
    jitter: int = _count()
    bandwidth: int = _count()
    queue: int = _count()
    mtu: int = _count()
    hold: int = _count()
    congested_at: int = _count()
    loss: float = _chance()
    duplicate: float = _chance()
    corrupt: float = _chance()
    reorder: float = _chance()
    congestion: float = _chance()

    def __init__(
        self,
        random: Random,
        *,
        delay: int = 10 * MILLISECOND,
        jitter: int = 0,
        bandwidth: int = 0,
        queue: int = QUEUE,
        mtu: int = 0,
        is_black_hole: bool = False,
        loss: float = 0.0,
        duplicate: float = 0.0,
        corrupt: float = 0.0,
        reorder: float = 0.0,
        hold: int = 20 * MILLISECOND,
        congestion: float = 0.0,
        congested_at: int = 0,
    ) -> None:
        self.random = random
        self.delay = delay
        self.jitter = jitter
        self.bandwidth = bandwidth
        self.queue = queue
        self.mtu = mtu
        self.is_black_hole = is_black_hole
        self.loss = loss
        self.duplicate = duplicate
        self.corrupt = corrupt
        self.reorder = reorder
        self.hold = hold
        self.congestion = congestion
        self.congested_at = congested_at
        self.carried = 0
        self.marked = 0
        self.lost = 0
        self._free_at = 0  # when the last octet that waits will have left
        self._last_arrival = 0

    def admits(self, octets: bytes, now: int) -> str:
        """Why the packet can't even leave ("too big", "queue full"), or nothing."""
        if self.mtu and len(octets) > self.mtu:
            return "too big"
        if self._waits_more_than(self.queue, now):
            return "queue full"
        return ""

    def _waits_more_than(self, octets: int, now: int) -> bool:
        return self.bandwidth > 0 and (self._free_at - now) * self.bandwidth > octets * 8 * SECOND

    def carry(self, octets: bytes, now: int, verdict: Verdict = PASS) -> list[tuple[int, bytes]]:
        """When the packet arrives, and as what: nothing when it is lost, twice when it is duplicated."""
        chance = self.random.random
        copies = verdict.copies
        if copies == BY_PATH and self._is_congested(now):
            octets = marked(octets)
            if not octets:
                self.lost += 1
                return []
            self.marked += 1
        if copies == BY_PATH:
            copies = 0 if self.loss and chance() < self.loss else 1
            if self.duplicate and chance() < self.duplicate:
                copies += 1
        if copies == 0:
            self.lost += 1
            return []
        self.carried += 1
        bit = verdict.bit
        if bit == BY_PATH and self.corrupt and chance() < self.corrupt:
            bit = ANY_BIT
        if bit != BY_PATH:
            octets = self._turn(octets, bit)
        arrival = self._arrival(len(octets), now) if verdict.after == BY_PATH else now + verdict.after
        return [(arrival, octets)] * copies

    def _is_congested(self, now: int) -> bool:
        if self.congested_at and self._waits_more_than(self.congested_at, now):
            return True
        return self.congestion > 0 and self.random.random() < self.congestion

    def _arrival(self, length: int, now: int) -> int:
        leaves = now
        if self.bandwidth:
            leaves = max(now, self._free_at) + -(-length * 8 * SECOND // self.bandwidth)
            self._free_at = leaves
        arrival = leaves + self.delay
        if self.jitter:
            arrival += self.random.randint(0, self.jitter)
        if self.reorder and self.random.random() < self.reorder:
            return arrival + self.random.randint(1, max(self.hold, 1))
        self._last_arrival = max(arrival, self._last_arrival)
        return self._last_arrival

    def _turn(self, octets: bytes, bit: int) -> bytes:
        length = len(octets) * 8
        place = self.random.randrange(length) if bit == ANY_BIT else bit % length
        changed = bytearray(octets)
        changed[place >> 3] ^= 0x80 >> (place & 7)
        return bytes(changed)


def marked(octets: bytes) -> bytes:
    """The packet with CE in its ECN field; b"" where it isn't ECN-capable."""
    packet = ip.parse(octets)
    if packet.traffic_class & _CE == 0:
        return b""
    if packet.version == 6:
        return octets[:1] + bytes([octets[1] | _CE << 4]) + octets[2:]
    header = octets[:1] + bytes([octets[1] | _CE]) + octets[2:10] + b"\0\0" + octets[12 : packet.start]
    value = checksum.field(checksum.total(header))
    return header[:10] + value.to_bytes(2, "big") + header[12:] + octets[packet.start :]
