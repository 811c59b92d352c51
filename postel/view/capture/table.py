"""Table of the connections in a capture, made in one pass, with memory only for open connections.

::

                            ┌── plain, next in order ──► counters of the end            (short way)
    frames ── Table.take ───┤
                            └── all else ──► frame.segment ──► Connection.take          (long way)
                                                                     │
                                                                     └──► closer: Unusual, Replay

Most frames of a large capture are plain: an IP header without options, then a segment of an open connection
that is the next in order. Such a segment changes counters alone (`Connection.allow_short_way` decides when
that holds); all other segments take the long way. Both ways give the same counts, and tests compare them.

A connection that is over is kept for 2MSL, because segments may come late; then the table calls ``over`` with
it, and forgets it. At most `MOST_OVER` connections wait in this way, and at most ``most`` are kept in all.
"""

from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Final, NamedTuple, TypeAlias

from postel.errors import WireError
from postel.tcp import seq as sequence
from postel.tcp.seq import MASK
from postel.times import MILLISECOND, MINUTE
from postel.view.capture import plain_frame
from postel.view.capture.connection import Before, Connection, End
from postel.view.capture.container import Frame
from postel.view.capture.fragments import Fragments
from postel.view.capture.frame import NO_IP, TCP, Located, Other, is_damaged, segment
from postel.view.capture.layers import LINK_NAMES, NOWHERE, is_known, network
from postel.view.capture.sent import EMPTY, NEW, UNKNOWN, Sight
from postel.view.capture.zeek import LIKELY_SERVERS
from postel.wire import icmp, ip
from postel.wire.address import Endpoint
from postel.wire.icmp import IcmpMessage
from postel.wire.segment import ACK, FIN, RST, SYN

MOST: Final = 1_000_000  # connections kept at once; for one more, the oldest is passed to ``over`` as it is
MOST_OVER: Final = 2048  # connections over and kept; for one more, the oldest is passed to ``over`` early
_LINGER: Final = 4 * MINUTE  # 2MSL: time for which a connection that is over is kept for late segments
_FLAGS: Final = 0x1FF
_KINDS: Final = SYN | FIN | RST | ACK
_VERSIONS: Final = (4, 6)
_IDENTS: Final = (1 << 64) - 1  # mask for the identifications of an end's last four packets
_NO_IDENT: Final = 0xFFFF
# Longest time from a packet to a second record of it. The shortest retransmission timeout of any system is
# longer.
_COPY_WITHIN: Final = 10 * MILLISECOND
_FRAGMENTS: Final = "fragments of TCP packets that aren't whole"
_COPY_AT_ONCE: Final = 100  # µs: longest such time for a packet without identification


class Seen(NamedTuple):
    """Segment in its packet, for `Table.closer`.

    ``end`` sent the segment; the IP header is at ``ip`` in ``octets``. ``when`` is in microseconds.
    """

    end: End
    sight: Sight
    number: int  # the packet's number in the capture, from 1
    when: int
    octets: bytes
    ip: int
    captured: int  # offset in ``octets`` at which the captured octets end
    located: Located
    length: int  # octets of payload

    @property
    def traffic(self) -> int:
        """IPv4's type of service, or IPv6's traffic class."""
        first, second = self.octets[self.ip : self.ip + 2]
        return second if first >> 4 == 4 else (first << 4 | second >> 4) & 0xFF


# Function that gets a segment which changes counters alone, before the counters change. Its arguments are the
# end that sent the segment, the number and time of the packet, the chunk, the offsets in the chunk at which
# the IP header begins and the captured octets end, the octets of payload, the ACK number, the 16 bits of
# header length and flags, and the window. It returns False if `Table.closer` has to get the segment.
Brief: TypeAlias = Callable[[End, int, int, bytes, int, int, int, int, int, int], bool]


class Notice(NamedTuple):
    """ICMP error about a segment that ``end`` sent (RFC 792, RFC 4443), for `Table.notices`.

    ``octets`` are the IP packet with the error.
    """

    end: End
    number: int  # the packet's number in the capture, from 1
    when: int
    octets: bytes
    message: IcmpMessage


class Table:
    """Connections of a capture: give `take` each chunk of frames, then call `finish`.

    ``over`` is called with each connection when it is forgotten (``at_once``: when it is over), and by
    `finish` with those that are left.

    ``closer`` is called with each segment of the connections with the numbers in ``only``, or of all
    connections if ``only`` is 0. This takes much longer, unless ``brief`` is given: the table calls it first
    with each plain segment, and it returns whether that was enough. ``notices`` is called with ICMP errors
    about segments of these connections.

    With ``checksums``, a segment with a wrong checksum counts for Zeek's letter ``c`` alone. With
    ``zeek_timers`` connections end when Zeek's timers do, and a later packet begins another. At most
    ``most`` connections are kept at once.
    """

    def __init__(
        self,
        over: Callable[[Connection], None],
        *,
        closer: Callable[[Seen], None] | None = None,
        brief: Brief | None = None,
        only: int | frozenset[int] = 0,
        notices: Callable[[Notice], None] | None = None,
        checksums: bool = False,
        at_once: bool = False,
        zeek_timers: bool = False,
        most: int = MOST,
    ) -> None:
        """Begin without connections."""
        self.packets: int = 0
        self.connections: int = 0
        self.now: int = 0
        self._over = over
        self._closer = closer
        self._brief = brief
        self._only = frozenset((only,)) if isinstance(only, int) and only else only or frozenset()
        self._notices = notices
        self._checksums = checksums
        self._shapes = {} if checksums or zeek_timers else plain_frame.SHAPES
        self._at_once = at_once
        # Whether segments of the usual opening and close may be taken faster: not where ``closer`` needs all
        self._is_fast = closer is None or brief is not None
        self._zeek_timers = zeek_timers
        self._most = most
        self.goes_back: bool = False  # whether a packet is older than one before it in the capture
        self._latest = 0
        self._fragments = Fragments()
        self._others: dict[str, int] = {}
        self._ends: dict[bytes, End] = {}
        self._lingering: deque[tuple[int, Connection]] = deque()

    @property
    def left_out(self) -> dict[str, int]:
        """Number of packets that are in none of the connections, by what they are."""
        left = self._fragments.left
        return {**self._others, **({_FRAGMENTS: left} if left else {})}

    def take(  # noqa: C901 - most of the time is spent here, and calls take time
        self, octets: bytes, frames: Iterable[Frame]
    ) -> None:
        """Read all frames of a chunk."""
        end_of, header_of = self._ends.get, plain_frame.HEADERS.get
        number, when, known, brief, is_fast = self.packets, self.now, NOWHERE, self._brief, self._is_fast
        for number, (when, start, captured, original, link) in enumerate(
            self._timed(frames), self.packets + 1
        ):
            if link != known:
                known, shape = link, self._shapes.get(link, plain_frame.NONE)
                at, behind, least, least_6, unpack, unpack_6, kinds = shape
            if captured < least:
                self._locate(octets, number, when, start, captured, original, link)
                continue
            kind, first, size, ident, way, pair, seq, ack, bits, window = unpack(octets, start + at)
            if first == plain_frame.IPV4:
                length = size - 20 - header_of(bits, plain_frame.NEVER)
            elif first & 0xF0 == plain_frame.IPV6 and captured >= least_6:
                size, way, pair, seq, ack, bits, window = unpack_6(octets, start + at)
                ident, length, size = 0, size - header_of(bits, plain_frame.NEVER), size + 40
            else:
                length = -1
            end, head, stop = end_of(pair), start + behind, start + captured
            is_cut = head + size > stop
            is_shaped = window > 0 and kind in kinds and way & plain_frame.WAY == plain_frame.TCP
            if (
                end is not None
                and seq == end.next
                and length >= 0
                and is_shaped
                and (
                    (end.plain_acks if not length else end.plain_cut if is_cut else end.plain_text)
                    or (is_fast and end.connection.begin_short_way(end, ack, stop - head, length, size, when))
                )
                and (brief is None or brief(end, number, when, octets, head, stop, length, ack, bits, window))
            ):
                end.packets += 1
                end.octets += original
                end.ip_octets += size
                end.last, end.idents = when, end.idents << 16 & _IDENTS | ident
                if length:
                    end.data += length
                    end.next, end.next_at = seq + length & MASK, when
                if ack != end.ack:
                    end.connection.acknowledge(end, ack, when)
                elif not length and window == end.window:
                    end.duplicates += 1
                end.window = window
            elif not (is_fast and is_shaped) or not self._take_shaped(
                end, octets, number, when, head, stop, original, size, ident, pair, seq, ack, bits, window
            ):
                self._locate(octets, number, when, start, captured, original, link)
        self.packets = number

    def _timed(self, frames: Iterable[Frame]) -> list[Frame]:
        """Return the frames as a list, and set `goes_back` if one of them is older than one before it."""
        frames = list(frames)
        times = [frame[0] for frame in frames]
        if times:
            self.goes_back = self.goes_back or times[0] < self._latest or times != sorted(times)
            self._latest = max(self._latest, times[-1])
        return frames

    def _locate(
        self, octets: bytes, number: int, when: int, start: int, captured: int, original: int, link: int
    ) -> None:
        """Find the segment in a frame and process it, on the long way."""
        end = start + captured
        place = network(link, octets, start, end)
        located = (
            segment(octets, place, end, start + max(original, captured))
            if place != NOWHERE
            else _stranger(link)
        )
        if isinstance(located, Other):
            self._join(located, octets, end, original, number, when)
        else:
            self._take(located, octets, end, original, number, when)

    def _join(self, other: Other, octets: bytes, end: int, original: int, number: int, when: int) -> None:
        """Process a fragment, an ICMP error, or any other content in which no segment was found."""
        if other.is_icmp and self._notices is not None:
            self._note_error(octets[other.ip : end], number, when)
        if not other.is_fragment:
            self._others[other.what] = self._others.get(other.what, 0) + 1
            return
        joined = self._fragments.take(octets, other.ip, end, when)
        located = segment(joined, 0, len(joined), len(joined)) if joined else other
        if isinstance(located, Located):
            self._take(located, joined, len(joined), original, number, when)

    def _note_error(self, octets: bytes, number: int, when: int) -> None:
        """Call ``notices`` with an ICMP error that quotes a packet of a watched connection."""
        with suppress(WireError):
            message = icmp.parse(ip.parse(octets), verify=False)
            quoted = icmp.quote(message.body) if message.is_error else None
            if quoted is None or self._notices is None:
                return
            ports = quoted.source_port.to_bytes(2, "big") + quoted.destination_port.to_bytes(2, "big")
            end = self._ends.get(quoted.source + quoted.destination + ports)
            if end is not None and quoted.protocol == TCP and end.connection.is_watched:
                self._notices(Notice(end, number, when, octets, message))

    def _take(self, located: Located, octets: bytes, end: int, original: int, number: int, when: int) -> None:
        """Process a segment that was found on the long way."""
        self.now = max(self.now, when)
        self._forget_old()
        one = self._end(located, when)
        connection = one.connection
        if self._checksums and is_damaged(octets, end, located):
            connection.zeek.note(one.side, "c")
            return
        connection.catch_up()
        one.packets += 1
        one.octets += original
        one.ip_octets += located.end - located.ip
        flags = located.bits & _FLAGS
        header = located.bits >> 10 & 0x3C
        if flags & SYN:
            one.take_syn(octets, located.at + 20, min(located.at + header, end), flags)
        length = located.end - located.at - header
        is_whole = located.end <= end
        if length:
            one.is_cut = not is_whole
        connection.zeek.take(
            one.side, flags, located.seq, located.ack, located.window, length, is_whole=is_whole
        )
        ident = _ident(octets, located.ip)
        if self._is_copy(one, located, flags, length, ident, when):
            connection.copies += 1
            sight = Sight.COPY
        else:
            sight = connection.take(one, located.seq, located.ack, flags, located.window, length, when)
            one.idents = one.idents << 16 & _IDENTS | ident
        one.last = when
        if self._brief is not None or not connection.is_watched:
            connection.allow_short_way(one, flags)
        if not connection.lingers and (connection.first_fin or flags & RST) and connection.is_over:
            connection.lingers = True
            self._lingering.append((when, connection))
        if connection.is_watched and self._closer is not None:
            self._closer(Seen(one, sight, number, when, octets, located.ip, end, located, length))
        if connection.lingers and self._at_once:
            self._tell(connection)

    def _take_shaped(
        self,
        end: End | None,
        octets: bytes,
        number: int,
        when: int,
        head: int,
        stop: int,
        original: int,
        size: int,
        ident: int,
        pair: bytes,
        seq: int,
        ack: int,
        bits: int,
        window: int,
    ) -> bool:
        """Process a segment with the headers of a plain one, but with other flags or not the next in order.

        ``size`` is the IP packet's, which begins at ``head``. Returns False, and changes nothing, where a
        closer look at the headers is needed.
        """
        header, at_tcp = bits >> 10 & 0x3C, 20 if octets[head] == plain_frame.IPV4 else 40
        length = size - at_tcp - header
        if header < 20 or length < 0 or stop - head < at_tcp + 20 or octets[head] >> 4 not in _VERSIONS:
            return False
        located = Located(pair, head + at_tcp, head + size, seq, ack, bits, window, head)
        self.now = max(self.now, when)
        if self._lingering:
            self._forget_old()
            end = self._ends.get(pair)
        taken = None if length else self._take_usual(end, located, octets, stop, when)
        if taken is None:
            self._take(located, octets, stop, original, number, when)
            return True
        taken.packets += 1
        taken.octets += original
        taken.ip_octets += size
        taken.idents = taken.idents << 16 & _IDENTS | ident
        taken.last = when
        connection = taken.connection
        if connection.first_fin and not connection.lingers and connection.is_closed_by_fins:
            connection.lingers = True
            self._lingering.append((when, connection))
        # The last ACK is plain for ``brief``, which then looks at nothing that the connection has changed.
        is_told = (
            bits in plain_frame.HEADERS
            and self._brief is not None
            and self._brief(taken, number, when, octets, head, stop, 0, ack, bits, window)
        )
        if not is_told and connection.is_watched and self._closer is not None:
            sight = NEW if bits & (SYN | FIN) else EMPTY
            self._closer(Seen(taken, sight, number, when, octets, head, stop, located, 0))
        if connection.lingers and self._at_once:
            self._tell(connection)
        return True

    def _take_usual(
        self, end: End | None, located: Located, octets: bytes, stop: int, when: int
    ) -> End | None:
        """Process a segment without data, if it opens or closes a connection in the usual way.

        Returns its end, which has yet to count the packet. Returns None, and changes nothing, where it is
        another segment: `_take` takes any.
        """
        pair, at, _, seq, ack, bits, window, _ = located
        kind, flags = bits & _KINDS, bits & _FLAGS
        if kind == SYN and end is None:
            end = self._begin(pair, bits, when)
            end.take_syn(octets, at + 20, min(at + (bits >> 10 & 0x3C), stop), flags)
            end.connection.take_first_syn(end, seq, flags, window, when)
            return end
        if end is None:
            return None
        connection = end.connection
        if kind == SYN | ACK and connection.expects_syn_ack(end, ack):
            end.take_syn(octets, at + 20, min(at + (bits >> 10 & 0x3C), stop), flags)
            connection.take_syn_ack(end, seq, ack, flags, window, when)
            return end
        if seq != end.next:
            return None
        if kind == FIN | ACK and connection.take_fin(end, seq, ack, window, when):
            return end
        return end if kind == ACK and connection.take_last_ack(end, seq, ack, window, when) else None

    def _is_copy(self, end: End, located: Located, flags: int, length: int, ident: int, when: int) -> bool:
        """Return whether the capture has this packet already, from a mirror port or another interface.

        A segment that is sent again has an identification of its own (RFC 6864, 4.1 asks for that where a
        packet may be fragmented, and systems that fill the field in do it always). Where the identification
        is 0, and in IPv6, only a copy of the last segment with data is recognised, by its time.
        """
        is_new = located.seq == end.next and (length or flags & (SYN | FIN))
        if (
            is_new
            or end.next == UNKNOWN
            or when - end.last > _COPY_WITHIN
            or not end.has_sent(located.seq, flags, length)
        ):
            return False
        if not ident:
            behind = located.seq + length + (flags & SYN != 0) + (flags & FIN != 0) & MASK
            return behind != located.seq and behind == end.next and when - end.last <= _COPY_AT_ONCE
        before = {end.idents >> shift & 0xFFFF for shift in (0, 16, 32, 48)} - {_NO_IDENT}
        varies = len(before) > 1 or flags & SYN != 0
        return (
            ident in before
            and varies
            and (end.ack == UNKNOWN or not flags & ACK or not sequence.gt(located.ack, end.ack))
        )

    def _end(self, located: Located, when: int) -> End:
        """Return the end that sent a segment. Begin a connection where the segment belongs to none so far."""
        end = self._ends.get(located.pair)
        opens = located.bits & (SYN | ACK) == SYN
        if end is None:
            return self._begin(located.pair, located.bits, when)
        old = end.connection
        if self._zeek_timers and when > old.zeek.ends_at(old.began, old.last):
            self._forget(old)
            return self._begin(located.pair, located.bits, when)
        if (
            opens
            and end.first not in (UNKNOWN, located.seq)
            and (end.is_known or end.connection.opened != UNKNOWN or end.data)
        ):
            self._forget(old)
            end = self._begin(located.pair, located.bits, when)
            end.connection.before = Before(old.last, old.closing)
        return end

    def _begin(self, pair: bytes, bits: int, when: int) -> End:
        """Begin a connection with its first segment."""
        while len(self._ends) >= 2 * self._most:
            self._forget(next(iter(self._ends.values())).connection)
        size = (len(pair) - 4) // 2
        source = Endpoint(pair[:size], pair[-4] << 8 | pair[-3])
        destination = Endpoint(pair[size:-4], pair[-2] << 8 | pair[-1])
        flipped = bits & (SYN | ACK) == SYN | ACK or (
            not bits & SYN and _is_likelier_server(source.port, destination.port)
        )
        opener, other = (destination, source) if flipped else (source, destination)
        self.connections += 1
        connection = Connection(self.connections, opener, other, when, flipped=flipped)
        connection.is_watched = self._closer is not None and (
            not self._only or connection.number in self._only
        )
        end = connection.ends[flipped]
        self._ends[pair] = end
        self._ends[_reversed(pair)] = end.other
        return end

    def _forget_old(self) -> None:
        """Remove the connections that have been over, and silent, for 2MSL, and pass them to ``over``.

        This is done before each segment of the long way, so that the size of chunks makes no difference.
        """
        lingering = self._lingering
        while lingering and (lingering[0][0] + _LINGER < self.now or len(lingering) > MOST_OVER):
            connection = lingering.popleft()[1]
            if connection.is_forgotten:
                continue
            if not connection.is_over:  # the connection went on after its RST
                connection.lingers = False
            elif connection.last + _LINGER < self.now or len(lingering) >= MOST_OVER:
                self._forget(connection)
            else:
                lingering.append((connection.last, connection))

    def _forget(self, connection: Connection) -> None:
        """Remove a connection from the table, and pass it to ``over``."""
        for end in connection.ends:
            pair = end.endpoint.address + end.other.endpoint.address
            pair += end.endpoint.port.to_bytes(2, "big") + end.other.endpoint.port.to_bytes(2, "big")
            self._ends.pop(pair, None)
        connection.is_forgotten = True
        self._tell(connection)

    def _tell(self, connection: Connection) -> None:
        """Call ``over`` with a connection, unless that was done before."""
        if not connection.is_told:
            connection.is_told = True
            self._over(connection)

    def finish(self) -> None:
        """Pass the connections that are left to ``over``, in the order in which they began. Call it last."""
        while self._ends:
            self._forget(next(iter(self._ends.values())).connection)


def _is_likelier_server(port: int, other: int) -> bool:
    """Return whether ``port`` more likely belongs to a server than ``other``.

    The first captured segment came from ``port``. Of two likely ports of servers, the smaller one is taken.
    """
    return port in LIKELY_SERVERS and (other not in LIKELY_SERVERS or port < other)


def _stranger(link: int) -> Other:
    """Return the `Other` for a frame without IP; its text names certain kinds of links."""
    name = LINK_NAMES.get(link, "" if is_known(link) else "an unknown link")
    return Other(f"frames of {name} without IP (link type {link})" if name else NO_IP)


def _ident(octets: bytes, at: int) -> int:
    """Return the identification of an IPv4 packet; 0 for an IPv6 packet, which has none."""
    return octets[at + 4] << 8 | octets[at + 5] if octets[at] >> 4 == 4 else 0


def _reversed(pair: bytes) -> bytes:
    """Return addresses and ports of ``pair`` in the order of the other direction."""
    size = (len(pair) - 4) // 2
    return pair[size:-4] + pair[:size] + pair[-2:] + pair[-4:-2]
