"""From frames to connections: one pass, no object per packet, memory for what is open.

Where nothing is special about a frame, and its segment is the next in order of an open connection, only counters move; all others take the
longer way through `frame.segment` and `Connection.take`. A connection that is over is kept for 2MSL, for what comes late, and then told to
``over`` and forgotten.
"""

from collections import deque
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from postel.tcp.seq import HALF, MASK
from postel.times import MINUTE
from postel.view.capture import plain_frame
from postel.view.capture.connection import UNKNOWN, Before, Connection, End, Sight
from postel.view.capture.container import Frame
from postel.view.capture.frame import NOWHERE, Located, is_damaged, network, segment
from postel.view.capture.zeek import LIKELY_SERVERS
from postel.wire.address import Endpoint
from postel.wire.segment import ACK, RST, SYN

MOST: Final = 1_000_000  # connections at once; where there are more, the oldest is told as it is
_LINGER: Final = 4 * MINUTE  # 2MSL
_FLAGS: Final = 0x1FF


class Seen(NamedTuple):
    """A segment in its packet, for `Table.closer`: its end of its connection, and where in ``octets`` its IP header is."""

    end: End
    sight: Sight
    number: int  # of the packet in the capture, from 1
    when: int
    octets: bytes
    ip: int
    captured: int  # where the captured octets end
    located: Located

    @property
    def traffic(self) -> int:
        """IPv4's type of service, IPv6's traffic class."""
        first, second = self.octets[self.ip : self.ip + 2]
        return second if first >> 4 == 4 else (first << 4 | second >> 4) & 0xFF


class Table:
    """``over`` is told of each connection when it is forgotten (``at_once``: when it is over), and of those that are left by `finish`;
    ``closer`` of each segment of connection ``only``, or of all where that is 0: these take much longer. With ``checksums``, a
    segment with a wrong checksum counts for Zeek's letter ``c`` alone. ``most`` connections are kept at once."""

    def __init__(
        self,
        over: Callable[[Connection], None],
        *,
        closer: Callable[[Seen], None] | None = None,
        only: int = 0,
        checksums: bool = False,
        at_once: bool = False,
        most: int = MOST,
    ) -> None:
        self.packets: int = 0
        self.connections: int = 0
        self.now: int = 0
        self._over = over
        self._closer = closer
        self._only = only
        self._checksums = checksums
        self._shapes = {} if checksums else plain_frame.SHAPES
        self._at_once = at_once
        self._most = most
        self._ends: dict[bytes, End] = {}
        self._lingering: deque[tuple[int, Connection]] = deque()

    def take(self, octets: bytes, frames: Iterable[Frame]) -> None:
        """All frames of a chunk."""
        end_of, header_of = self._ends.get, plain_frame.HEADERS.get
        number, when, known = self.packets, self.now, NOWHERE
        for when, start, captured, original, link in frames:
            number += 1
            if link != known:
                known, shape = link, self._shapes.get(link, plain_frame.NONE)
                at, ip, least, least_6, unpack, unpack_6, kinds = shape
            if captured < least:
                self._locate(octets, number, when, start, captured, original, link)
                continue
            kind, first, size, way, pair, seq, ack, bits, window = unpack(octets, start + at)
            if first == plain_frame.IPV4:
                length = size - 20 - header_of(bits, plain_frame.NEVER)
            elif first & 0xF0 == plain_frame.IPV6 and captured >= least_6:
                size, way, pair, seq, ack, bits, window = unpack_6(octets, start + at)
                length = size - header_of(bits, plain_frame.NEVER)
                size += 40
            else:
                length = -1
            end = end_of(pair)
            if (
                end is not None
                and seq == end.next
                and length >= 0
                and window
                and way & plain_frame.WAY == plain_frame.TCP
                and ip + size <= original
                and kind in kinds
                and (end.plain_text if length else end.plain_acks)
            ):
                end.packets += 1
                end.octets += original
                end.last = when
                if length:
                    end.data += length
                    end.next = seq + length & MASK
                if ack != end.ack and ack - end.ack & MASK < HALF:
                    if end.other.next - ack & MASK >= HALF:
                        end.connection.miss(end, ack, when)
                    end.ack = ack
            else:
                self._locate(octets, number, when, start, captured, original, link)
        self.packets = number
        self.now = when
        self._forget_old()

    def _locate(self, octets: bytes, number: int, when: int, start: int, captured: int, original: int, link: int) -> None:
        """The longer way: what isn't plain, and what changes more than counters."""
        end = start + captured
        ip = network(link, octets, start, end)
        located = segment(octets, ip, end, start + max(original, captured)) if ip != NOWHERE else None
        if located is None:
            return
        one = self._end(located, when)
        if self._checksums and is_damaged(octets, ip, end, located):
            one.connection.zeek.note(one.side, "c", located.seq)
            return
        one.packets += 1
        one.octets += original
        one.last = when
        connection = one.connection
        flags = located.bits & _FLAGS
        header = located.bits >> 10 & 0x3C
        if flags & SYN:
            one.take_syn(octets, located.at + 20, min(located.at + header, end), flags)
        length = located.end - located.at - header
        sight = connection.take(one, located.seq, located.ack, flags, located.window, length, when)
        if not connection.lingers and (connection.first_fin or flags & RST) and connection.is_over:
            connection.lingers = True
            self._lingering.append((when, connection))
        if connection.is_watched and self._closer is not None:
            self._closer(Seen(one, sight, number, when, octets, ip, end, located))
        if connection.lingers and self._at_once:
            self._tell(connection)

    def _end(self, located: Located, when: int) -> End:
        """The end that sent it. A SYN with another number begins another connection between the same ends."""
        end = self._ends.get(located.pair)
        opens = located.bits & (SYN | ACK) == SYN
        if end is None:
            return self._begin(located, when)
        if opens and end.first not in (UNKNOWN, located.seq):
            old = end.connection
            self._forget(old)
            end = self._begin(located, when)
            end.connection.before = Before(old.last, old.closing)
        return end

    def _begin(self, located: Located, when: int) -> End:
        while len(self._ends) >= 2 * self._most:
            self._forget(next(iter(self._ends.values())).connection)
        pair = located.pair
        size = (len(pair) - 4) // 2
        source = Endpoint(pair[:size], pair[-4] << 8 | pair[-3])
        destination = Endpoint(pair[size:-4], pair[-2] << 8 | pair[-1])
        flipped = (located.bits & SYN == 0 and source.port in LIKELY_SERVERS) or located.bits & (SYN | ACK) == SYN | ACK
        opener, other = (destination, source) if flipped else (source, destination)
        self.connections += 1
        connection = Connection(self.connections, opener, other, when, flipped=flipped)
        connection.is_watched = self._closer is not None and self._only in (0, connection.number)
        end = connection.ends[flipped]
        self._ends[pair] = end
        self._ends[_reversed(pair)] = end.other
        return end

    def _forget_old(self) -> None:
        lingering = self._lingering
        while lingering and lingering[0][0] + _LINGER < self.now:
            connection = lingering.popleft()[1]
            if not connection.is_forgotten:
                self._forget(connection)

    def _forget(self, connection: Connection) -> None:
        for end in connection.ends:
            pair = end.endpoint.address + end.other.endpoint.address
            pair += end.endpoint.port.to_bytes(2, "big") + end.other.endpoint.port.to_bytes(2, "big")
            self._ends.pop(pair, None)
        connection.is_forgotten = True
        self._tell(connection)

    def _tell(self, connection: Connection) -> None:
        if not connection.is_told:
            connection.is_told = True
            self._over(connection)

    def finish(self) -> None:
        """Nothing more comes: tell of what is left, in the order in which it began."""
        while self._ends:
            self._forget(next(iter(self._ends.values())).connection)


def _reversed(pair: bytes) -> bytes:
    size = (len(pair) - 4) // 2
    return pair[size:-4] + pair[:size] + pair[-2:] + pair[-4:-2]
