"""Fast search for unusual things in a plain segment, which the `Table` would otherwise only count.

Most segments of a large capture are plain, and nothing about most of them is unusual. For such a segment this
module updates what `postel.view.capture.unusual` remembers of a connection, without an object for the segment
and without reading its options one by one. If a segment may show anything more, this module changes nothing,
and `Unusual.look` gets the segment. Both ways give the same findings; a test compares them.
"""

from struct import Struct
from typing import Final

from postel.tcp.seq import HALF, MASK
from postel.view.capture.case import Case, Eye
from postel.view.capture.connection import End
from postel.view.capture.plain_frame import IPV4
from postel.view.capture.sent import UNKNOWN, WIDEST
from postel.wire.segment import ABSENT

DUPLICATES: Final = 3  # number of duplicate ACKs that ask for a fast retransmission (RFC 5681, 3.2)
CE: Final = 3  # ECN codepoint "congestion experienced" (RFC 3168, 5)
BARE: Final = 20  # octets of a TCP header without options
STAMPED: Final = 32  # octets of a TCP header with two NOPs and timestamps
_NONE: Final[tuple[tuple[int, int], ...]] = ()  # no SACK blocks
_OTHERS: Final = -2  # value in place of a timestamp for a header with other options
_TWO_WORDS: Final = Struct("!II").unpack_from
THREE_WORDS: Final = Struct("!III").unpack_from
TIMESTAMPS: Final = 0x0101080A  # two NOPs, then kind and length (RFC 7323, 3.2)
_SACK: Final = 0x01010500  # two NOPs, then kind and length (RFC 2018, 3)
_LEAST_SACK: Final = 12  # octets of two NOPs and a SACK option with one block


def look_at_plain(  # noqa: C901 - much of the time of `explain --why` is spent here, and calls take time
    cases: dict[int, Case],
    end: End,
    number: int,
    when: int,
    octets: bytes,
    ip: int,
    stop: int,
    length: int,
    ack: int,
    bits: int,
    window: int,
) -> bool:
    """Update the connection's case for a plain segment. The arguments are those of `table.Brief`.

    Returns False, and updates nothing, where `Unusual.look` has to look at the segment.
    """
    case = cases.get(end.connection.number)
    if case is None:
        return not end.connection.is_watched
    other, eye, pace = end.other, case.eyes[end.side], case.pace
    listener = case.eyes[other.side]
    if when - pace.last > pace.patience or not eye.window or eye.ce or listener.beyond:
        return False
    at, mark = (ip + 20, octets[ip + 1]) if octets[ip] == IPV4 else (ip + 40, octets[ip + 1] >> 4)
    if mark & CE and (mark & CE == CE or not case.may_mark):
        return False
    room = listener.room
    if length and room != UNKNOWN != other.ack:
        over = end.next + length - other.ack - room & MASK
        if 0 < over < WIDEST:
            return False
    header, tsval, sacked = bits >> 10 & 0x3C, ABSENT, _NONE
    if header > BARE:
        if header < STAMPED or at + header > stop:
            return False
        kind, tsval = _TWO_WORDS(octets, at + BARE)
        if kind != TIMESTAMPS or header > STAMPED:
            tsval, sacked = _read_options(octets, at, header)
            if tsval == _OTHERS or (sacked and not length and ack - sacked[0][1] & MASK < HALF):
                return False
    if case.has_timestamps:
        if tsval == ABSENT or (tsval - eye.tsval & MASK >= HALF and eye.tsval != ABSENT):
            return False
        eye.tsval = tsval
    _take_in(case, eye, end, number, length, ack, window, sacked)
    pace.look_briefly(end, when, ack, length, eye.room)
    eye.kind = bits
    return True


def _take_in(
    case: Case,
    eye: Eye,
    end: End,
    number: int,
    length: int,
    ack: int,
    window: int,
    sacked: tuple[tuple[int, int], ...],
) -> None:
    """Update the `Eye` of the end that sent the segment."""
    other = end.other
    if length:
        if length > eye.most:
            case.find("over the MSS", end, number, mss=eye.most, length=length)
        if other.fin != UNKNOWN and _acknowledges_fin(end, ack):
            case.find("half-closed", end, number)
    else:
        if ack != eye.ack:
            eye.duplicates = 0
        elif (sacked or window == eye.window) and 0 < other.next - ack & MASK < HALF:
            _count_duplicate(case, end, number)
        eye.sacked = sacked
    eye.window = window
    if eye.shift != UNKNOWN:
        eye.room = room = window << eye.shift
        if room > eye.widest and other.fin == UNKNOWN:
            eye.widest = room
    case.speaker = end
    eye.number = number
    eye.length = length
    eye.ack = ack


def _acknowledges_fin(end: End, ack: int) -> bool:
    """Return whether ``end`` has acknowledged the other end's FIN, or does with this ``ack``."""
    fin = end.other.fin
    return end.has_acknowledged(fin) or (ack - fin & MASK < HALF and end.connection.believes(end, ack))


def _read_options(octets: bytes, at: int, header: int) -> tuple[int, tuple[tuple[int, int], ...]]:
    """Timestamp and first SACK block of the TCP header at ``at``, which has at least `STAMPED` octets.

    `_OTHERS` stands in place of the timestamp where there are other options, or where they are arranged
    otherwise.
    """
    kind, tsval = _TWO_WORDS(octets, at + BARE)
    blocks = at + STAMPED
    if kind != TIMESTAMPS:
        tsval, blocks = ABSENT, at + BARE
    size = at + header - blocks
    if size < _LEAST_SACK:
        return _OTHERS, _NONE
    kind, left, right = THREE_WORDS(octets, blocks)
    if kind != _SACK | size - 2 or size % 8 != 4:
        return _OTHERS, _NONE
    return tsval, ((left, right),)


def _count_duplicate(case: Case, end: End, number: int) -> None:
    """Count a duplicate ACK, and add a finding for the third."""
    eye = case.eyes[end.side]
    eye.duplicates += 1
    if eye.duplicates == DUPLICATES:
        case.find("duplicate ACKs", end, number)
