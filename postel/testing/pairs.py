"""Two ends and a path that loses, duplicates, delays and damages packets, in virtual time, from a seed.

>>> from postel.testing import HostilePath, pair
>>> path = HostilePath(seed=7, loss=0.2, duplicate=0.1, reorder=0.3, corrupt=0.05)
>>> both = pair(b"there" * 1000, b"back", path=path)
>>> both.run() > 0
True
>>> both.check()  # each octet arrived once and in order, both ends closed, no timer is left

`pair` has two bare connections; `host_pair` two hosts in a `World`.
"""

from collections.abc import Iterable
from heapq import heappop, heappush
from random import Random

from postel.errors import require_number
from postel.host.host import Host
from postel.host.listener import Listener
from postel.links.course import chance, count
from postel.sim import DROP, Application, Path, Subject, Verdict, World
from postel.tcp.config import DEFAULT, Config
from postel.tcp.connection import Connection
from postel.tcp.events import Event
from postel.tcp.invariants import check
from postel.tcp.memory import Memory
from postel.tcp.state import CLOSED, LISTEN, SYN_RECEIVED, SYN_SENT, TIME_WAIT
from postel.times import MILLISECOND, NEVER
from postel.wire import segment as segments
from postel.wire.address import Endpoint
from postel.wire.segment import Segment

NEAR = Endpoint(b"\x0a\x00\x00\x01", 40000)
FAR = Endpoint(b"\x0a\x00\x00\x02", 80)
ALL = 1 << 30  # octets: more than any read returns
PORT = 7  # port on which the far host of `host_pair` listens
NOT_ECT, ECT_0, CE = 0, 2, 3  # codepoints of the IP header (RFC 3168, 5)


class End:
    """Connection with its user. The user sends ``outgoing``, reads into ``incoming``, and then closes.

    A subclass with its own `act` is another kind of user: one that never reads, for example.
    """

    def __init__(self, connection: Connection, outgoing: bytes = b"", reads: int = ALL) -> None:
        """Make the user of ``connection``. Each read takes up to ``reads`` octets."""
        self.connection = connection
        self.message = outgoing
        self.outgoing: bytes = outgoing
        self.incoming: bytearray = bytearray()
        self.reads = reads
        self.has_closed: bool = False

    def act(self, now: int) -> None:
        """Do whatever the user does when the connection may have changed.

        The method is called at any time, and any number of times.
        """
        connection = self.connection
        while connection.next_event() is not None:
            pass
        self.work(now)

    def work(self, now: int) -> None:
        """Read, write and close, as far as that is possible now."""
        connection = self.connection
        while connection.readable:
            self.incoming += connection.receive(self.reads, now)
        if connection.state in _UNSYNCHRONIZED or self.has_closed or connection.error is not None:
            return
        self.outgoing = self.outgoing[connection.send(self.outgoing, now) :]
        if not self.outgoing:
            self.has_closed = True
            connection.close(now)


_UNSYNCHRONIZED = frozenset({CLOSED, LISTEN, SYN_SENT, SYN_RECEIVED})


class HostilePath:
    """Path between the ends of a `Pair`, with the same settings in both directions.

    ``loss``, ``duplicate``, ``reorder`` and ``corrupt`` are probabilities (0.0 to 1.0) for each packet;
    ``marks`` is the probability that a packet arrives with the ECN codepoint ECT(0) or CE. ``delay`` is in
    microseconds; a reordered packet takes up to ``late`` microseconds more. All may be changed at any time.
    ``flying`` is a heap of the packets under way. Its entries are the time of arrival, the packet's number,
    the end that it goes to (0: near, 1: far), and its octets.
    """

    loss: float = chance()
    duplicate: float = chance()
    reorder: float = chance()
    corrupt: float = chance()
    marks: float = chance()
    delay: int = count()
    late: int = count()

    def __init__(
        self,
        seed: int = 0,
        *,
        loss: float = 0.0,
        duplicate: float = 0.0,
        reorder: float = 0.0,
        corrupt: float = 0.0,
        marks: float = 0.0,
        delay: int = 10 * MILLISECOND,
        late: int = 200 * MILLISECOND,
    ) -> None:
        """Make a path. ``seed`` decides everything that is random.

        Raises ArgumentError for a setting that isn't allowed.
        """
        self.random: Random = Random(seed)
        self.loss = loss
        self.duplicate = duplicate
        self.reorder = reorder
        self.corrupt = corrupt
        self.marks = marks
        self.delay = delay
        self.late = late
        self.flying: list[tuple[int, int, int, bytes]] = []
        self.count: int = 0
        self._partitions: list[tuple[int, int]] = []

    def partition(self, start: int, end: int) -> None:
        """Lose all packets that leave from ``start`` until before ``end``, in virtual microseconds."""
        self._partitions.append((start, end))

    def is_parted(self, now: int) -> bool:
        """Whether a partition lasts at ``now``."""
        return any(start <= now < end for start, end in self._partitions)

    def put(self, to: int, octets: bytes, now: int) -> None:
        """Put a packet for the end ``to`` on the path: a TCP segment with its checksum, without an IP header.

        A subclass may override this to treat some packets in another way.
        """
        chance = self.random.random
        if chance() < self.loss or self.is_parted(now):
            return
        for _ in range(2 if chance() < self.duplicate else 1):
            late = self.random.randrange(max(self.late, 1)) if chance() < self.reorder else 0
            carried = self.damaged(octets) if chance() < self.corrupt else octets
            self.count += 1
            heappush(self.flying, (now + self.delay + late, self.count, to, carried))

    def damaged(self, octets: bytes) -> bytes:
        """Return the packet with one bit turned over."""
        changed = bytearray(octets)
        changed[self.random.randrange(len(changed))] ^= 1 << self.random.randrange(8)
        return bytes(changed)

    def mark(self) -> int:
        """ECN codepoint of the IP header with which the next packet arrives."""
        return self.random.choice((ECT_0, CE)) if self.random.random() < self.marks else NOT_ECT

    def next_arrival(self) -> int:
        """Time at which the next packet arrives, in microseconds; NEVER if no packet is under way."""
        return self.flying[0][0] if self.flying else NEVER


class Pair:
    """Two ends and the path between them. ``now`` is the time in microseconds.

    The invariants of both connections are checked after every step.
    """

    def __init__(self, near: End, far: End, path: HostilePath | None = None) -> None:
        """Join two ends by ``path``, or else by a `HostilePath` with its default settings."""
        self.near: End = near
        self.far: End = far
        self.path: HostilePath = path or HostilePath()
        self.now: int = 0

    @property
    def ends(self) -> tuple[End, End]:
        """Both ends, the near one first."""
        return self.near, self.far

    def run(self, until: int = NEVER) -> int:
        """Let the clock jump until nothing is left to happen, or until the time ``until``.

        Returns the time then, in microseconds. An end without a peer may send keep-alives or window probes
        for ever: pass ``until`` if that can happen.
        """
        while True:
            while self._act():
                pass
            deadline = min(self.path.next_arrival(), *(end.connection.next_timeout() for end in self.ends))
            if deadline == NEVER or deadline > until:
                return self.now
            self.now = max(self.now, deadline)
            self._deliver()
            for end in self.ends:
                end.connection.handle_timeout(self.now)

    def _act(self) -> bool:
        """Let both ends act, and put what they send on the path.

        Returns whether the ends may have more to do at the same time.
        """
        is_busy = False
        for side, end in enumerate(self.ends):
            unread = end.connection.readable
            end.act(self.now)
            is_busy = is_busy or end.connection.readable < unread
            while (segment := end.connection.next_segment(self.now)) is not None:
                is_busy = True
                self.path.put(1 - side, encoded(segment, end.connection), self.now)
            check(end.connection._tcb)
        return is_busy

    def _deliver(self) -> None:
        while self.path.next_arrival() <= self.now:
            _, _, to, octets = heappop(self.path.flying)
            connection = self.ends[to].connection
            segment = decoded(octets, connection)
            if segment is not None:
                segment.ecn = self.path.mark()
                connection.segment_arrives(segment, self.now)
                check(connection._tcb)

    def check(self) -> None:
        """Assert that both ends read all, closed without an error, and have no timer left."""
        for end, other in ((self.near, self.far), (self.far, self.near)):
            connection = end.connection
            assert connection.error is None, f"{connection}: {connection.error}"
            assert end.incoming == other.message, (
                f"{connection}: {difference(bytes(end.incoming), other.message)}"
            )
            assert connection.state is CLOSED, f"{connection} is left over"
            assert connection.next_timeout() == NEVER, f"{connection}: a timer is left"


def encoded(segment: Segment, sender: Connection) -> bytes:
    """Octets of a segment of ``sender``, with its checksum and without an IP header."""
    return segments.encode_for(segment, sender.local.address, sender.remote.address)


def decoded(octets: bytes, receiver: Connection) -> Segment | None:
    """Segment in ``octets`` as it arrives at ``receiver``; None if its checksum is wrong.

    Raises WireError if the header isn't valid.
    """
    source, destination = receiver.remote.address, receiver.local.address
    if not segments.checksum_is_right(octets, 0, len(octets), source, destination):
        return None
    return segments.parse(octets, 0, len(octets))


def difference(arrived: bytes, sent: bytes) -> str:
    """Text that says where two streams differ; "" if they are equal."""
    if arrived == sent:
        return ""
    common = next(
        (place for place, (one, other) in enumerate(zip(arrived, sent, strict=False)) if one != other), None
    )
    if common is None:
        return f"{len(arrived)} octets arrived of {len(sent)}"
    return f"octet {common} is {arrived[common]:#04x}, sent as {sent[common]:#04x}"


def pair(
    there: bytes = b"",
    back: bytes = b"",
    *,
    near: Config = DEFAULT,
    far: Config = DEFAULT,
    path: HostilePath | None = None,
    iss: tuple[int, int] = (0xFFFFFF00, 0x7FFFFF00),
    reads: int = ALL,
    memory: Memory | None = None,
    simultaneous: bool = False,
) -> Pair:
    """Make two connections that open to each other at time 0.

    `Pair.run` lets them talk, and `Pair.check` checks the result. ``there`` is sent by the near end and
    ``back`` by the far end; each end closes when it has sent all. ``near`` and ``far`` are their
    configurations, ``iss`` their initial sequence numbers, ``reads`` is the limit of one read in octets, and
    ``memory`` the account for their buffers. The near end opens actively and the far end passively; with
    ``simultaneous`` both open actively (RFC 9293, Figure 7).
    """
    ends = (
        End(Connection(NEAR, FAR, near, iss=iss[0], memory=memory), there, reads),
        End(Connection(FAR, NEAR, far, iss=iss[1], memory=memory), back, reads),
    )
    ends[0].connection.open_active(0)
    if simultaneous:
        ends[1].connection.open_active(0)
    else:
        ends[1].connection.open_passive(0)
    return Pair(*ends, path)


class HostPair:
    """Two hosts in a ``world``: ``near`` at 10.0.0.1 and fd00::1, ``far`` at 10.0.0.2 and fd00::2.

    ``paths`` are the two directions of the path between them. ``far`` listens. A connection that `connect`
    opens has an `End` at each host.
    """

    def __init__(self, world: World, near: Host, far: Host, paths: Iterable[Path]) -> None:
        """Let ``far`` listen, and take the events of both hosts."""
        self.world: World = world
        self.near: Host = near
        self.far: Host = far
        self.paths: tuple[Path, ...] = tuple(paths)
        self.ends: dict[Connection, End] = {}
        # Octets that the far end sends to each endpoint, and the limit of one read
        self._backs: dict[Endpoint, tuple[bytes, int]] = {}
        self._parted_until = 0
        world.rules.append(self._parted)
        application: Application = self._hears
        world.application(near, application)
        world.application(far, application)
        far.listen(PORT, world.now)

    def _hears(self, subject: Subject, event: Event, now: int) -> None:
        if isinstance(subject, Listener):
            while (accepted := subject.accept()) is not None:
                back, reads = self._backs.pop(accepted.remote, (b"", ALL))
                self.ends[accepted] = End(accepted, back, reads)
                self.ends[accepted].work(now)
        elif isinstance(subject, Connection) and subject in self.ends:
            self.ends[subject].work(now)

    def connect(
        self, there: bytes = b"", back: bytes = b"", *, address: str = "10.0.0.2", reads: int = ALL
    ) -> End:
        """Open a connection from near to far, on which near sends ``there`` and far sends ``back``.

        Returns the near `End`.

        ``address`` may be "fd00::2"; ``reads`` is the limit of one read in octets. No time passes until
        `run`.
        """
        end = End(self.near.connect(address, PORT, self.world.now), there, reads)
        self.ends[end.connection] = end
        self._backs[end.connection.local] = (back, reads)
        return end

    def other(self, end: End) -> End:
        """Other end of the connection. Raises KeyError until that host has accepted the connection."""
        local, remote = end.connection.local, end.connection.remote
        return next(self.ends[other] for other in self.ends if (other.local, other.remote) == (remote, local))

    def partition(self, duration: int) -> None:
        """Lose all packets that leave in the next ``duration`` microseconds, in both directions."""
        require_number("duration", duration, 0, NEVER, "0 microseconds or more")
        self._parted_until = max(self._parted_until, self.world.now + duration)

    def _parted(self, number: int, octets: bytes, sender: str, now: int) -> Verdict | None:
        return DROP if now < self._parted_until else None

    def run(self, until: int = NEVER) -> int:
        """Let the clock jump until all is quiet or ``until`` is reached.

        Returns the time then, in microseconds.
        """
        return self.world.run(until)

    def check(self) -> None:
        """Assert of each connection that both ends read what the other sent, and closed without an error."""
        for end in tuple(self.ends.values()):
            connection, other = end.connection, self.other(end)
            assert connection.error is None, f"{connection}: {connection.error}"
            assert end.incoming == other.message, (
                f"{connection}: {difference(bytes(end.incoming), other.message)}"
            )
            assert connection.state in (CLOSED, TIME_WAIT), f"{connection} is left over"


def host_pair(
    seed: int = 0,
    *,
    near: Config = DEFAULT,
    far: Config = DEFAULT,
    delay: int = 10 * MILLISECOND,
    loss: float = 0.0,
    duplicate: float = 0.0,
    reorder: float = 0.0,
    corrupt: float = 0.0,
    late: int = 200 * MILLISECOND,
    mtu: int = 1500,
) -> HostPair:
    """Make two hosts joined by a hostile path, in a world of their own.

    ``seed`` decides everything that is random; ``near`` and ``far`` are the hosts' configurations. The other
    arguments are settings of the path, as in `HostilePath`, and ``mtu`` is that of both links in octets.
    ``paths`` of the result has further settings, such as a bandwidth: see `Path`.

    >>> hosts = host_pair(3, loss=0.1)
    >>> near = hosts.connect(b"question", b"answer")
    >>> hosts.partition(5_000_000)
    >>> hosts.run() > 5_000_000
    True
    >>> hosts.check(), bytes(near.incoming)
    (None, b'answer')
    """
    world = World(seed)
    hosts = (
        world.host("near", "10.0.0.1/24", "fd00::1/64", config=near, mtu=mtu),
        world.host("far", "10.0.0.2/24", "fd00::2/64", config=far, mtu=mtu),
    )
    paths = world.path(
        *hosts, delay=delay, loss=loss, duplicate=duplicate, reorder=reorder, corrupt=corrupt, hold=late
    )
    return HostPair(world, *hosts, paths)
