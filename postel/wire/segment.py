"""The TCP segment: octets to a record and back (RFC 9293, 3.1)."""

from struct import Struct
from typing import Final

from postel.errors import WireError
from postel.wire import checksum, options
from postel.wire.options import ABSENT as ABSENT  # noqa: PLC0414 - other modules import it from here

FIN: Final = 0x001
SYN: Final = 0x002
RST: Final = 0x004
PSH: Final = 0x008
ACK: Final = 0x010
URG: Final = 0x020
ECE: Final = 0x040
CWR: Final = 0x080
AE: Final = 0x100

PROTOCOL: Final = 6
HEADER: Final = 20  # octets of a header without options
CHECKSUM_AT: Final = 16
NO_CHECKSUM: Final = -1

ECN_NAMES: Final = ("Not-ECT", "ECT(1)", "ECT(0)", "CE")  # the ECN field of the IP header (RFC 3168, 5)

# The three bits above these are reserved: zero when sent, ignored when received (RFC 9293, 3.1)
_ALL_FLAGS: Final = 0x1FF
_WITH_TIMESTAMPS: Final = HEADER + 12
_HEADER: Final = Struct("!HHIIHHHH")
_HEADER_AND_TIMESTAMPS: Final = Struct("!HHIIHHHHIII")
_NOP_NOP_TIMESTAMPS: Final = 0x0101080A


class Segment(options.Bearer):
    """One TCP segment, for both IP versions, sent or received.

    The class is written out by hand, because one is made for each packet and a dataclass costs six times as
    much. For the same reason it sets the fields of `Bearer` itself.

    It has these attributes:
        source, destination: the ports.
        seq, ack: sequence and acknowledgement numbers, modulo 2**32.
        flags: the flags, such as SYN | ACK.
        window: the window field as on the wire, without scaling.
        data: the payload.
        urgent: the urgent pointer.
        len: SEG.LEN, the octets of payload plus one each for SYN and FIN.
        mss, window_scale, tsval, tsecr: numbers of options; ABSENT (-1) where the segment doesn't carry the
            option.
        sack: pairs (left, right) in their order on the wire.
        other: pairs (kind, value) of unknown options, Fast Open and signatures.
        ecn: the ECN field of the IP header (RFC 3168, 5): 0 Not-ECT, 1 ECT(1), 2 ECT(0), 3 CE.
        packets: how many packets carry the segment over the wire, where a link cuts it or has joined it; else
            1.
        stride: octets of payload in each of these packets but the last; 0 for a segment in one packet.
    """

    __slots__ = (
        "ack",
        "data",
        "destination",
        "ecn",
        "flags",
        "len",
        "packets",
        "seq",
        "source",
        "stride",
        "urgent",
        "window",
    )

    def __init__(
        self,
        source: int,
        destination: int,
        seq: int,
        ack: int,
        flags: int,
        window: int,
        data: bytes = b"",
        urgent: int = 0,
        tsval: int = ABSENT,
        tsecr: int = ABSENT,
    ) -> None:
        """Make a segment with no options other than, perhaps, timestamps."""
        self.source: int = source
        self.destination: int = destination
        self.seq: int = seq
        self.ack: int = ack
        self.flags: int = flags
        self.window: int = window
        self.data: bytes = data
        self.urgent: int = urgent
        self.tsval = tsval
        self.tsecr = tsecr
        self.ecn: int = 0
        self.stride: int = 0
        self.packets: int = 1
        self.mss = ABSENT
        self.window_scale = ABSENT
        self.sack_permitted = False
        self.sack: tuple[tuple[int, int], ...] = ()
        self.other: tuple[tuple[int, bytes], ...] = ()
        self.len: int = len(data) + (flags & SYN != 0) + (flags & FIN != 0)  # RFC9293-3.4-seglen

    def append(self, text: bytes, flags: int = 0) -> None:
        """Add payload, and flags, that a link has delivered apart from the header."""
        self.data = self.data + text if self.data else text
        self.flags |= flags
        self.len = len(self.data) + (self.flags & SYN != 0) + (self.flags & FIN != 0)  # RFC9293-3.4-seglen

    def divide(self, stride: int) -> None:
        """Note that the segment stands for packets with ``stride`` octets of payload each."""
        self.stride = stride
        self.packets = max(1, -(-len(self.data) // stride))

    def __repr__(self) -> str:
        """Short text, such as ``<SYN,ACK seq=5 ack=9 win=65535 len=0 mss=1460>``."""
        text = f"<{flags_text(self.flags)} seq={self.seq}"
        if self.flags & ACK:
            text += f" ack={self.ack}"
        text += f" win={self.window} len={len(self.data)}"
        if self.flags & URG:
            text += f" urg={self.urgent}"
        if self.ecn:
            text += f" {ECN_NAMES[self.ecn]}"
        if self.stride:
            text += f" in {self.packets}"
        return text + "".join([f" {option}" for option in options.texts(self)]) + ">"


def flags_text(flags: int) -> str:
    """Names of the flags as Wireshark has them, in the order of their bits: ``SYN,ACK``; ``-`` for none."""
    names = ("FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR", "AE")
    return ",".join([name for bit, name in enumerate(names) if flags >> bit & 1]) or "-"


def parse(octets: bytes, start: int, end: int) -> Segment:
    """Segment at ``octets[start:end]``.

    Raises WireError ``truncated``, ``bad_data_offset`` or ``bad_option``.

    The reason is ``bad_option`` also if the list of options can't be followed to its end. `parse_leniently`
    accepts a segment with such a list.
    """
    if end - start >= 32:
        source, destination, seq, ack, bits, window, _, urgent, kinds, tsval, tsecr = (
            _HEADER_AND_TIMESTAMPS.unpack_from(octets, start)
        )
        if kinds == _NOP_NOP_TIMESTAMPS and bits >> 12 == 8:
            return Segment(
                source,
                destination,
                seq,
                ack,
                bits & _ALL_FLAGS,
                window,
                octets[start + 32 : end],
                urgent,
                tsval,
                tsecr,
            )
    return _parse_any(octets, start, end, lenient=False)


def parse_leniently(octets: bytes, start: int, end: int) -> Segment:
    """Segment at ``octets[start:end]``, even where its list of options can't be followed to its end.

    The options before the wrong one count, and the others are ignored. Every well-known receiver does so: "be
    liberal in what you accept" (RFC 1122, 1.2.2). MUST-7 asks TCP to be prepared for illegal option lengths.
    """
    return _parse_any(octets, start, end, lenient=True)


def _parse_any(octets: bytes, start: int, end: int, *, lenient: bool) -> Segment:
    """Segment at ``octets[start:end]`` with any options. Raises WireError."""
    if end - start < HEADER:  # EP-PRE-1
        raise WireError("truncated", f"{end - start} octets of a TCP header")
    source, destination, seq, ack, bits, window, _, urgent = _HEADER.unpack_from(octets, start)
    header = bits >> 12 << 2
    if header < HEADER or header > end - start:  # EP-PRE-1
        raise WireError("bad_data_offset", f"{header} octets of header in a segment of {end - start}")
    segment = Segment(
        source, destination, seq, ack, bits & _ALL_FLAGS, window, octets[start + header : end], urgent
    )
    if header > HEADER:
        complaint = options.read(octets, start + HEADER, start + header, segment, syn=bits & SYN != 0)
        if complaint and not lenient:
            raise WireError("bad_option", complaint)
    return segment


def checksum_is_right(octets: bytes, start: int, end: int, source: bytes, destination: bytes) -> bool:
    """Whether the segment at ``octets[start:end]`` of an IP packet arrived undamaged."""
    return checksum.payload_is_right(octets, start, end, source, destination, PROTOCOL)  # MUST-3, EP-PRE-2


def plain_header(segment: Segment) -> int:
    """Length in octets of a header without options, or with timestamps only; 0 where it has other options."""
    if (
        segment.mss != ABSENT
        or segment.sack
        or segment.sack_permitted
        or segment.window_scale != ABSENT
        or segment.other
    ):
        return 0
    return HEADER if segment.tsval == ABSENT else _WITH_TIMESTAMPS


def encode_head(segment: Segment, addresses: int, layout: options.OptionLayout = options.ALIGNED) -> bytes:
    """Header of a segment, with the sum of the pseudo-header in place of the checksum.

    The header is for links that complete checksums (`postel.wire.parcel`). ``addresses`` is the sum of the
    words of both addresses.
    """
    tail = options.encode(segment, layout)
    header = HEADER + len(tail)
    value = (addresses + PROTOCOL + header + len(segment.data)) % checksum.MODULUS
    return _fixed_header(segment, header, value) + tail


def _fixed_header(segment: Segment, header: int, value: int) -> bytes:
    """Header without options, of a segment with ``header`` octets of header and the checksum ``value``."""
    bits = header << 10 | segment.flags
    return _HEADER.pack(
        segment.source,
        segment.destination,
        segment.seq,
        segment.ack,
        bits,
        segment.window,
        value,
        segment.urgent,
    )


def encode(segment: Segment, layout: options.OptionLayout = options.ALIGNED) -> bytes:
    """Octets of a segment with a zero checksum, for links that fill it in."""
    return encode_summed(segment, NO_CHECKSUM, layout)


def encode_for(
    segment: Segment, source: bytes, destination: bytes, layout: options.OptionLayout = options.ALIGNED
) -> bytes:
    """Octets of a segment, with its checksum between these addresses."""  # MUST-2
    return encode_summed(segment, int.from_bytes(source + destination, "big"), layout)


def encode_summed(segment: Segment, addresses: int, layout: options.OptionLayout = options.ALIGNED) -> bytes:
    """Octets of a segment, with a checksum for which ``addresses`` is the sum of the addresses' words.

    That sum is `ip.Envelope.words`. NO_CHECKSUM leaves the checksum zero.
    """
    if (
        segment.tsval == ABSENT
        or segment.mss != ABSENT
        or segment.sack
        or segment.sack_permitted
        or segment.window_scale != ABSENT
        or segment.other
    ):
        return _encode_any(segment, addresses, layout)
    bits = 0x8000 | segment.flags
    data = segment.data
    value = 0
    if addresses >= 0:
        # The fields are words of the checksum themselves. The large numbers come last, because all before
        # them fits into a machine word.
        value = (
            PROTOCOL
            + 32
            + len(data)
            + segment.source
            + segment.destination
            + segment.seq
            + segment.ack
            + bits
            + segment.window
        )
        value += segment.urgent + _NOP_NOP_TIMESTAMPS + segment.tsval + segment.tsecr + addresses
        value = checksum.field(value + checksum.total(data) if data else value)
    return (
        _HEADER_AND_TIMESTAMPS.pack(
            segment.source,
            segment.destination,
            segment.seq,
            segment.ack,
            bits,
            segment.window,
            value,
            segment.urgent,
            _NOP_NOP_TIMESTAMPS,
            segment.tsval,
            segment.tsecr,
        )
        + data
    )


def _encode_any(segment: Segment, addresses: int, layout: options.OptionLayout) -> bytes:
    """Octets of a segment with any options."""
    tail = options.encode(segment, layout)
    octets = _fixed_header(segment, HEADER + len(tail), 0) + tail + segment.data
    return octets if addresses < 0 else _with_checksum(octets, addresses)


def with_checksum(octets: bytes, source: bytes, destination: bytes) -> bytes:
    """Octets that `encode` made, with the checksum between these addresses filled in."""  # MUST-2
    return _with_checksum(octets, int.from_bytes(source + destination, "big"))


def _with_checksum(octets: bytes, addresses: int) -> bytes:
    value = checksum.field(checksum.total(octets) + addresses + PROTOCOL + len(octets))
    return octets[:CHECKSUM_AT] + value.to_bytes(2, "big") + octets[CHECKSUM_AT + 2 :]
