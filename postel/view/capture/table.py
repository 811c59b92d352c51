"""From frames to connections: one pass, no object per packet, memory for what is open.

A frame whose IPv4 header is plain (no options, no tags) and whose segment is the next in order of an open connection only moves counters;
all others take the longer way through `Connection.take`. A connection that is over is kept for 2MSL, for what comes late, and then told to
``over`` and forgotten.
"""

from collections import deque
from collections.abc import Callable, Iterable
from struct import Struct
from typing import Final, NamedTuple

from postel.tcp.seq import HALF, MASK
from postel.times import MINUTE
from postel.view.capture.connection import UNKNOWN, Before, Connection, End, Sight
from postel.view.capture.container import Frame
from postel.view.capture.frame import COOKED, ETHERNET, IPV4, LOOP, NOWHERE, NULL, RAW, TCP, Located, network, segment
from postel.wire.address import Endpoint
from postel.wire.segment import ACK, FIN, RST, SYN

MOST: Final = 1_000_000  # connections at once; where there are more, the oldest is told as it is
_LINGER: Final = 4 * MINUTE  # 2MSL
_PLAIN: Final = Struct("!HBBHxxHxB2x12sIIHH")  # from the link's type field on: IPv4 without options, and TCP up to the window
_PLAIN_LENGTH: Final = 38
_PLAIN_AT: Final = {ETHERNET: 12, COOKED: 14, RAW: -2, NULL: 2, LOOP: 2}  # where that begins in a frame
_UNTYPED: Final = 12  # below this there is no type field
_FAR: Final = 1 << 30
_CONTROL: Final = SYN | FIN | RST | ACK
_FLAGS: Final = 0x1FF


class Seen(NamedTuple):
    """A segment in its packet, for who looks closer: its end of its connection, and where in ``octets`` its IP header is."""

    end: End
    sight: Sight
    number: int  # of the packet in the capture, from 1
    when: int
    octets: bytes
    ip: int
    captured: int  # where the captured octets end
    located: Located


class Table:
    """``over`` is told of each connection when it is forgotten (``at_once``: when it is over), and of those that are left by `finish`;
    ``closer`` of each segment, which takes much longer. ``most`` connections are kept at once."""

    def __init__(
        self, over: Callable[[Connection], None], *, closer: Callable[[Seen], None] | None = None, at_once: bool = False, most: int = MOST
    ) -> None:
        self.packets = 0
        self.connections = 0
        self.now = 0
        self._over = over
        self._closer = closer
        self._at_once = at_once
        self._most = most
        self._ends: dict[bytes, End] = {}
        self._lingering: deque[tuple[int, Connection]] = deque()

    def take(self, octets: bytes, frames: Iterable[Frame]) -> None:
        """All frames of a chunk."""
        ends, unpack, places = self._ends, _PLAIN.unpack_from, _PLAIN_AT
        number = self.packets
        when = self.now
        if self._closer is not None:
            places = {}  # nothing is plain
        for when, start, captured, original, link in frames:
            number += 1
            place = places.get(link, _FAR)
            if place + _PLAIN_LENGTH > captured:
                self._locate(octets, number, when, start, captured, original, link)
                continue
            kind, first, _, total, fragment, protocol, pair, seq, ack, bits, window = unpack(octets, start + place)
            length = total - 20 - (bits >> 10 & 0x3C)
            end = ends.get(pair)
            if (
                end is not None
                and seq == end.next
                and bits & _CONTROL == ACK
                and window
                and first == 0x45
                and protocol == TCP
                and (kind == IPV4 or place < _UNTYPED)
                and not fragment & 0x3FFF
                and bits >= 0x5000
                and length >= 0
                and total + place + 2 <= original
                and (end.plain_text if length else end.plain_acks)
            ):
                end.packets += 1
                end.octets += original
                end.last = when
                end.window = window
                if length:
                    end.data += length
                    end.next = seq + length & MASK
                if ack != end.ack and ack - end.ack & MASK < HALF:
                    if end.other.next - ack & MASK >= HALF:
                        end.connection.miss(end, ack)
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
        if self._closer is not None:
            self._closer(Seen(one, sight, number, when, octets, ip, end, located))
        if connection.lingers and self._at_once:
            self._tell(connection)

    def _end(self, located: Located, when: int) -> End:
        """Who sent it. A SYN with another number begins another connection between the same ends."""
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
        flipped = located.bits & (SYN | ACK) == SYN | ACK
        opener, other = (destination, source) if flipped else (source, destination)
        self.connections += 1
        connection = Connection(self.connections, opener, other, when, flipped=flipped)
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
