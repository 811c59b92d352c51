"""Options of a TCP header: octets to the fields of a segment and back.

RFC 9293, 3.1 and 3.2; RFC 7323 (window scale, timestamps); RFC 2018 (SACK); RFC 7413 (Fast Open).
"""

from struct import Struct
from typing import Final, Literal, TypeAlias

from postel.errors import ArgumentError, WireError
from postel.times import MINUTE, SECOND

END: Final = 0
NOP: Final = 1
MSS: Final = 2
WINDOW_SCALE: Final = 3
SACK_PERMITTED: Final = 4
SACK: Final = 5
TIMESTAMPS: Final = 8
MD5: Final = 19  # RFC 2385
USER_TIMEOUT: Final = 28
AO: Final = 29  # RFC 5925
FAST_OPEN: Final = 34

ABSENT: Final = -1  # an option that the segment doesn't carry
# Most octets of options: the data offset counts up to 15 words of 32 bits, 5 of them the fixed header's
ROOM: Final = 40
LEAST_COOKIE: Final = 4  # fewest octets of a Fast Open cookie; their number is even
LARGEST_COOKIE: Final = 16

# Two orders of the options of a SYN:
OptionLayout: TypeAlias = Literal["aligned", "packed"]
# MSS, SACK permitted, timestamps, window scale, each with NOPs before it up to a multiple of four octets
ALIGNED: Final = "aligned"
# MSS, window scale, SACK permitted, timestamps; NOPs only before an aligned number, END after the last option
PACKED: Final = "packed"

_NOP_NOP: Final = b"\x01\x01"
_SACK_PERMITTED: Final = b"\x04\x02"
_TWO_WORDS: Final = Struct("!II")
_TIMESTAMPS: Final = Struct("!BBII")
_MSS: Final = Struct("!BBH")
_IN_MINUTES: Final = 0x8000  # the G bit of RFC 5482, 3.3
_LARGEST_TIMEOUT: Final = 0x7FFF


class Bearer:
    """The fields of a segment that travel as TCP options. `Segment` inherits them.

    The class is separate, so that this module needn't import `Segment`. A number is ABSENT (-1) where the
    segment doesn't carry its option. ``sack`` holds pairs (left, right). ``other`` holds pairs (kind, value)
    of unknown options, of Fast Open and of signatures. Both are in their order on the wire.
    """

    __slots__ = ("mss", "other", "sack", "sack_permitted", "tsecr", "tsval", "window_scale")

    def __init__(self, tsval: int = ABSENT, tsecr: int = ABSENT) -> None:
        """Make a bearer with no options other than, perhaps, timestamps."""
        self.tsval: int = tsval
        self.tsecr: int = tsecr
        self.mss: int = ABSENT
        self.window_scale: int = ABSENT
        self.sack_permitted: bool = False
        self.sack: tuple[tuple[int, int], ...] = ()
        self.other: tuple[tuple[int, bytes], ...] = ()

    @property
    def fast_open(self) -> bytes | None:
        """Fast Open cookie (RFC 7413): b"" asks for a cookie, None means that the option is absent.

        Only a SYN may have the option. It is looked up in ``other``, so that other segments don't need a
        field for it.
        """
        for kind, value in self.other:
            if kind == FAST_OPEN:
                return value
        return None


def read(octets: bytes, start: int, end: int, bearer: Bearer, *, syn: bool) -> str:
    """Set the bearer's fields from the options at ``octets[start:end]``, as far as the list can be followed.

    Returns the reason why the list can't be followed to its end, or "" if it can. Raises WireError
    ``bad_option`` for signatures that contradict each other.
    """
    position = start
    while position < end:
        kind = octets[position]
        if kind == END:  # MUST-4; all octets behind it are padding
            return ""
        if kind == NOP:
            position += 1
            continue
        length = octets[position + 1] if position + 1 < end else 0
        if length < 2 or position + length > end:  # MUST-7, EP-PRE-5
            return f"kind {kind}, length {length}, {end - position} octets left"
        _take(kind, octets[position + 2 : position + length], bearer, syn=syn)
        position += length  # MUST-64: the next option may start at any octet
    return ""


def _take(kind: int, value: bytes, bearer: Bearer, *, syn: bool) -> None:
    """Store one option. The first valid option of a known kind counts (EP-PRE-8).

    An option of a known kind with a wrong length or in the wrong segment is ignored (EP-PRE-7).
    """
    if kind == TIMESTAMPS:
        if len(value) == 8 and bearer.tsval == ABSENT:
            bearer.tsval, bearer.tsecr = _TWO_WORDS.unpack(value)
    elif kind == SACK:
        if value and len(value) % 8 == 0 and not bearer.sack:
            bearer.sack = tuple([(left, right) for left, right in _TWO_WORDS.iter_unpack(value)])
    elif kind in (MSS, WINDOW_SCALE, SACK_PERMITTED):
        if syn:
            _take_negotiation(kind, value, bearer)
    elif kind != FAST_OPEN or (syn and _is_cookie(value)):  # RFC7413-4.1.1
        if kind in (MD5, AO):
            _require_one_signature(kind, value, bearer)
        bearer.other += ((kind, value),)  # EP-PRE-6, MUST-6


def _require_one_signature(kind: int, value: bytes, bearer: Bearer) -> None:
    """Raise WireError for TCP-AO without its two IDs, twice, or beside TCP MD5 (RFC5925-2.2).

    The segment is refused even if the connection has no keys.
    """
    others = [other for other, _ in bearer.other if other == AO or (other == MD5 and kind == AO)]
    if others or (kind == AO and len(value) < 2):
        raise WireError("bad_option", f"kind {kind} with {len(value)} octets, beside {others}")


def _take_negotiation(kind: int, value: bytes, bearer: Bearer) -> None:
    """Store an option that only a SYN may carry."""
    size = len(value)
    if kind == MSS and size == 2 and bearer.mss == ABSENT:
        bearer.mss = value[0] << 8 | value[1]
    elif kind == WINDOW_SCALE and size == 1 and bearer.window_scale == ABSENT:
        bearer.window_scale = value[0]
    elif kind == SACK_PERMITTED and size == 0:
        bearer.sack_permitted = True


def _is_cookie(value: bytes) -> bool:
    """Whether ``value`` is a Fast Open cookie, or the empty request for one."""
    size = len(value)
    return size == 0 or (LEAST_COOKIE <= size <= LARGEST_COOKIE and size % 2 == 0)


def user_timeout(duration: int) -> tuple[int, bytes]:
    """User Timeout option (RFC 5482) for ``other``, from a duration in microseconds.

    The option counts seconds as far as its 15 bits suffice, then minutes. Both are rounded up.
    """
    seconds = max(1, -(-duration // SECOND))  # RFC5482-3.4
    number = (
        seconds
        if seconds <= _LARGEST_TIMEOUT
        else _IN_MINUTES | min(_LARGEST_TIMEOUT, -(-duration // MINUTE))
    )
    return USER_TIMEOUT, number.to_bytes(2, "big")


def user_timeout_in(other: tuple[tuple[int, bytes], ...]) -> int:
    """Timeout in the first valid User Timeout option (EP-PRE-8) in microseconds, or ABSENT."""
    for kind, value in other:
        if kind == USER_TIMEOUT and len(value) == 2:  # RFC5482-3.3
            number = value[0] << 8 | value[1]
            if number & _LARGEST_TIMEOUT:  # RFC5482-3.4
                return (number & _LARGEST_TIMEOUT) * (MINUTE if number & _IN_MINUTES else SECOND)
    return ABSENT


def encode(bearer: Bearer, layout: OptionLayout = ALIGNED) -> bytes:
    """Octets of the options, a multiple of four. Raises ArgumentError where ``other`` is too long.

    SACK blocks without room are left off at the end, because the first blocks are the most important (RFC
    2018, 4).
    """
    octets = _packed(bearer) if layout == PACKED else _aligned(bearer)
    for kind, value in bearer.other:
        if kind in (MD5, AO):  # NOPs come first, so that the option ends at a multiple of four octets
            octets += b"\x01" * (-(len(octets) + len(value) + 2) % 4)
        octets += bytes((kind, len(value) + 2)) + value
    octets += (b"\x00" if layout == PACKED and not bearer.sack else b"\x01") * (-len(octets) % 4)
    blocks = bearer.sack[: (ROOM - 4 - len(octets)) // 8] if len(octets) < ROOM else ()
    if blocks:
        octets += _NOP_NOP + bytes((SACK, 2 + 8 * len(blocks)))
        octets += b"".join([_TWO_WORDS.pack(left, right) for left, right in blocks])
    if len(octets) > ROOM:
        raise ArgumentError("options", bearer.other, f"{ROOM} octets in all")
    return octets


def _aligned(bearer: Bearer) -> bytes:
    """Options of a segment in the order of ALIGNED."""
    octets = b""
    if bearer.mss != ABSENT:
        octets = _MSS.pack(MSS, 4, bearer.mss)
    if bearer.sack_permitted:
        octets += _SACK_PERMITTED if bearer.tsval != ABSENT else _NOP_NOP + _SACK_PERMITTED
    elif bearer.tsval != ABSENT:
        octets += _NOP_NOP
    if bearer.tsval != ABSENT:
        octets += _TIMESTAMPS.pack(TIMESTAMPS, 10, bearer.tsval, bearer.tsecr)
    if bearer.window_scale != ABSENT:
        octets += bytes((NOP, WINDOW_SCALE, 3, bearer.window_scale))
    return octets


def _packed(bearer: Bearer) -> bytes:
    """Options of a segment in the order of PACKED."""
    octets = b""
    if bearer.mss != ABSENT:
        octets = _MSS.pack(MSS, 4, bearer.mss)
    if bearer.window_scale != ABSENT:
        octets += bytes((NOP, WINDOW_SCALE, 3, bearer.window_scale))
    if bearer.sack_permitted:
        octets += _SACK_PERMITTED
    if bearer.tsval != ABSENT:
        octets += b"\x01" * (-(len(octets) + 2) % 4)
        octets += _TIMESTAMPS.pack(TIMESTAMPS, 10, bearer.tsval, bearer.tsecr)
    return octets


def texts(bearer: Bearer) -> list[str]:
    """Short text for each option: ``mss=1460``, ``sack=1-2,5-7``."""
    words = []
    if bearer.mss != ABSENT:
        words.append(f"mss={bearer.mss}")
    if bearer.window_scale != ABSENT:
        words.append(f"ws={bearer.window_scale}")
    if bearer.sack_permitted:
        words.append("sack_permitted")
    if bearer.tsval != ABSENT:
        words.append(f"ts={bearer.tsval}/{bearer.tsecr}")
    if bearer.sack:
        words.append("sack=" + ",".join([f"{left}-{right}" for left, right in bearer.sack]))
    words.extend([_other_text(kind, value) for kind, value in bearer.other])
    return words


def _other_text(kind: int, value: bytes) -> str:
    if kind == AO and len(value) >= 2:
        return f"ao={value[0]}/{value[1]}"
    if kind == MD5:
        return "md5"
    return f"{'fast_open' if kind == FAST_OPEN else f'option{kind}'}={value.hex()}"
