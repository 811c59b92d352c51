"""The Internet checksum (RFC 1071), taken from one large integer; compiled, word by word.

The ones' complement sum of 16-bit words is their sum modulo 0xFFFF, and since 2**16 is 1 modulo 0xFFFF, that
is the whole message modulo 0xFFFF read as one number. So words of any multiple of 16 bits may be added as
they are: addresses, sequence numbers, halves of a message.

>>> hex(ones_complement(bytes.fromhex("0001f203f4f5f6f7")))  # RFC 1071, 3
'0x220d'
"""

from typing import Final

from postel.wire import word_sum

MODULUS: Final = 0xFFFF

# Dividing a large integer costs more than adding its halves, so it is folded first: 1448 octets take 2200 ns
# this way, 3000 without.
_FOLD_FROM: Final = 512  # octets
_HALF: Final = (
    16 * 368
)  # bits of half an Ethernet frame's payload; with shifts fixed, the masks needn't be made each time
_QUARTER: Final = 16 * 184
_LOW_HALF: Final = (1 << _HALF) - 1
_LOW_QUARTER: Final = (1 << _QUARTER) - 1
_BY_WORDS: Final = word_sum.is_fast()


def total(octets: bytes) -> int:
    """A number with the same remainder modulo 0xFFFF as the words of ``octets``, the last filled up with a
    zero octet.
    """
    return word_sum.total(octets) if _BY_WORDS else of_integer(octets)


def of_integer(octets: bytes) -> int:
    """`total` in the interpreter, which is slow at loops and fast at large integers."""
    size = len(octets)
    value = int.from_bytes(octets, "big")
    if size & 1:
        value <<= 8
    return value if size < _FOLD_FROM else _fold(value, 8 * size + 8)


def _fold(value: int, bits: int) -> int:
    while bits > 2 * _HALF:
        bits = (bits >> 5) + 1 << 4
        value = (value >> bits) + (value & (1 << bits) - 1)
    value = (value >> _HALF) + (value & _LOW_HALF)
    return (value >> _QUARTER) + (value & _LOW_QUARTER)


def field(value: int) -> int:
    """What to put into the checksum field for the words that ``total`` and plain additions summed up as
    ``value``.
    """
    return -value % MODULUS if value else MODULUS


def ones_complement(octets: bytes) -> int:
    """The checksum of octets whose checksum field is zero."""
    return field(total(octets))


def is_right(octets: bytes) -> bool:
    """Whether octets that include their checksum sum up to minus zero."""
    value = total(octets)
    return value % MODULUS == 0 and value != 0


def pseudo_header(source: bytes, destination: bytes, protocol: int, length: int) -> int:
    """The pseudo-header's words, summed up: RFC 9293, 3.1 for IPv4, RFC 8200, 8.1 for IPv6."""
    return int.from_bytes(source + destination, "big") + protocol + length


def of_payload(payload: bytes, source: bytes, destination: bytes, protocol: int) -> int:
    """The checksum of a UDP, TCP or ICMPv6 payload whose checksum field is zero."""
    return field(total(payload) + pseudo_header(source, destination, protocol, len(payload)))


def payload_is_right(
    octets: bytes, start: int, end: int, source: bytes, destination: bytes, protocol: int
) -> bool:
    """Whether the payload ``octets[start:end]`` of the IP packet ``octets`` has the right checksum,
    pseudo-header included.
    """
    if end < start:  # a false length; compiled, a slice may not be negative
        return False
    if start == 5 * len(source) == 20 or (start == 40 and len(source) == 16):
        return plain_payload_is_right(octets, start, end, protocol)
    value = total(octets[start:end]) + int.from_bytes(source + destination, "big")
    return (value + protocol + end - start) % MODULUS == 0


def plain_payload_is_right(octets: bytes, start: int, end: int, protocol: int) -> bool:
    """As `payload_is_right`, of a packet in which the addresses stand right before the payload, so that one
    slice has it all: IPv4's without options, where ``start`` is 20, or IPv6's without extension headers,
    where it is 40.
    """
    return (total(octets[12 if start == 20 else 8 : end]) + protocol + end - start) % MODULUS == 0
