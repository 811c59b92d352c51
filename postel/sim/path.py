"""One direction of a path between two hosts: how long packets take, and which packets are lost.

::

    departs ──► queue (drop-tail) ──► bandwidth ──► delay + jitter ──► congestion? loss? duplicate? corrupt?
    reorder? ──► arrives

With ``congestion``, a path marks packets that are ECN-capable, and loses others (RFC 3168, 5).
"""

from random import Random
from typing import Any, Final, TypedDict

from postel.errors import require_kind
from postel.links.course import ANY_BIT, HOLD, QUEUE, UNLIMITED, Bottleneck, Chances, Travel, chance
from postel.sim import units
from postel.sim.rules import BY_PATH, PASS, Verdict
from postel.sim.units import Bandwidth, Duration, QueueLimit, Size, measured
from postel.times import MILLISECOND, NEVER
from postel.wire import ip

_CE: Final = 3


class PathSettings(TypedDict, total=False):
    """Settings of a `Path`, as keywords: durations, a bandwidth and sizes as ints or as text with a unit."""

    delay: Duration
    jitter: Duration
    bandwidth: Bandwidth
    queue: QueueLimit
    mtu: Size
    is_black_hole: bool
    loss: float
    duplicate: float
    corrupt: float
    reorder: float
    hold: Duration
    congestion: float
    congested_at: Size


class _Queue:
    """Descriptor of the setting ``queue``: packets as an int, or octets as text.

    It has no ``__get__``, so that reading the setting costs what any attribute costs.
    """

    def __set__(self, path: "Path", value: Any) -> None:  # noqa: ANN401 - whatever a caller may try
        limit = units.queue_limit(value)
        if isinstance(limit, int):
            path.most_packets, path.most_octets = limit, UNLIMITED
        else:
            path.most_packets, path.most_octets = UNLIMITED, units.size(limit)
        vars(path)["queue"] = limit


def _queue() -> Any:  # noqa: ANN401 - a descriptor stands for the value
    return _Queue()


class Path(Bottleneck, Chances, Travel):
    """Path that carries packets one way. Its settings may be changed while the world runs.

    - ``delay`` and ``jitter`` are microseconds or text such as "10ms". Jitter is a random addition to the
      delay, from 0 to ``jitter``, and never changes the order of packets by itself.
    - ``bandwidth`` is in bits a second, or text such as "10Mbit"; 0 is no limit.
    - ``queue`` is how many packets may wait while one is being sent, as an int, or how many octets, as text
      with a unit ("64KiB"); more are lost.
    - ``mtu`` is the largest size of a packet in octets; 0 is no limit. ICMP tells the sender of a larger
      packet, unless ``is_black_hole``. Packets of IPv4 without "don't fragment" are cut into fragments.
    - ``loss``, ``duplicate``, ``corrupt`` and ``reorder`` are probabilities, 0.0 to 1.0. A reordered packet
      is held back by up to ``hold``, and others overtake it.
    - ``congestion`` is the probability that a packet meets congestion: it is marked with CE, or lost if not
      ECN-capable. ``congested_at`` is the number of waiting octets from which all packets meet congestion; 0
      is never.

    ``carried``, ``marked`` and ``lost`` count packets. A setting that isn't allowed raises ArgumentError,
    also when it is assigned later.
    """

    delay: int = measured(units.duration)
    jitter: int = measured(units.duration)
    hold: int = measured(units.duration)
    bandwidth: int = measured(units.bandwidth)
    queue: QueueLimit = _queue()
    mtu: int = measured(units.size)
    congested_at: int = measured(units.size)
    congestion: float = chance()

    def __init__(
        self,
        random: Random,
        *,
        delay: Duration = 10 * MILLISECOND,
        jitter: Duration = 0,
        bandwidth: Bandwidth = 0,
        queue: QueueLimit = QUEUE,
        mtu: Size = 0,
        is_black_hole: bool = False,
        loss: float = 0.0,
        duplicate: float = 0.0,
        corrupt: float = 0.0,
        reorder: float = 0.0,
        hold: Duration = HOLD,
        congestion: float = 0.0,
        congested_at: Size = 0,
    ) -> None:
        """Make a path, with ``random`` for everything that chance decides. Raises ArgumentError."""
        delay, jitter, hold = (
            units.duration(delay, "delay"),
            units.duration(jitter, "jitter"),
            units.duration(hold, "hold"),
        )
        Bottleneck.__init__(self, units.bandwidth(bandwidth))
        self.queue = queue
        Chances.__init__(self, random, loss, duplicate, corrupt)
        Travel.__init__(self, random, delay, jitter, reorder, hold)
        self.mtu = units.size(mtu, "mtu")
        require_kind("is_black_hole", is_black_hole, bool, "True or False")
        self.is_black_hole = is_black_hole
        self.congestion = congestion
        self.congested_at = units.size(congested_at, "congested_at")
        self.is_judged: bool = False
        self.is_plain: bool = False
        self.is_steady: bool = False
        self.carried: int = 0
        self.marked: int = 0
        self.lost: int = 0

    def admits(self, octets: bytes, now: int) -> str:
        """Reason why a packet can't leave, "too big" or "queue full"; "" if it can."""
        if self.mtu and len(octets) > self.mtu:
            return "too big"
        return "queue full" if self.is_full(now) else ""

    def carry(self, octets: bytes, now: int, *, verdict: Verdict = PASS) -> list[tuple[int, bytes]]:
        """Times of arrival with the octets that arrive: none for a lost packet, two for a doubled one."""
        copies = verdict.copies
        if copies == BY_PATH and self._is_congested(now):
            octets = marked(octets)
            if not octets:
                self.lost += 1
                return []
            self.marked += 1
        if copies == BY_PATH:
            copies = self.copies()
        if copies == 0:
            self.lost += 1
            return []
        self.carried += 1
        bit = verdict.bit
        if bit == BY_PATH and self.is_corrupt():
            bit = ANY_BIT
        if bit != BY_PATH:
            octets = self.turned(octets, bit)
        arrival = (
            self.arrival(self.leaves(len(octets), now)) if verdict.after == BY_PATH else now + verdict.after
        )
        return [(arrival + verdict.later, octets)] * copies

    def judge(self) -> bool:
        """Compute ``is_plain`` and ``is_steady`` again, after an assigned setting made ``is_judged`` False.

        ``is_plain``: every packet that arrives does so once and unchanged, so the path needs no octets.
        ``is_steady``: every packet arrives, and each after the same time. Returns ``is_plain``.
        """
        self.is_plain = not (self.duplicate or self.corrupt or self.congestion or self.congested_at)
        self.is_steady = self.is_plain and not (self.bandwidth or self.loss or self.jitter or self.reorder)
        self.is_judged = True
        return self.is_plain

    def travel(self, length: int, now: int) -> int:
        """Time at which a packet of ``length`` octets arrives; NEVER if it is lost.

        The result is the same as that of `admits` and `carry`. Call this only for a path that `is_plain`, and
        for packets that the MTU allows.
        """
        if self.is_steady:
            self.carried += 1
            self._last_arrival = max(self._last_arrival, now + self.delay)
            return self._last_arrival
        if (self.bandwidth and self.is_full(now)) or (self.loss and self.random.random() < self.loss):
            self.lost += 1
            return NEVER
        self.carried += 1
        return self.arrival(self.leaves(length, now))

    def _is_congested(self, now: int) -> bool:
        if self.congested_at and self.waits_more_than(self.congested_at, now):
            return True
        return self.congestion > 0 and self.random.random() < self.congestion


def marked(octets: bytes) -> bytes:
    """Packet with CE in its ECN field; b"" where it isn't ECN-capable."""
    packet = ip.parse(octets)
    if packet.traffic_class & _CE == 0:
        return b""
    if packet.version == 6:
        return octets[:1] + bytes([octets[1] | _CE << 4]) + octets[2:]
    header = bytearray(octets[: packet.start])
    header[1] |= _CE
    return ip.summed(header) + octets[packet.start :]
