"""Octets that the signature of a segment covers, and its offset: TCP-AO and TCP MD5.

RFC 5925, 5.1 and RFC 2385, 2. All functions take the segment at ``octets[start:end]`` between two addresses;
its list of options was checked before by `options.read`.
"""

from typing import Final

from postel.wire.options import NOP
from postel.wire.segment import CHECKSUM_AT, HEADER, PROTOCOL

AO_IDS: Final = 4  # octets of the option before its MAC: kind, length, KeyID, RNextKeyID
_NO_CHECKSUM: Final = b"\x00\x00"


def covered_by_ao(
    octets: bytes,
    start: int,
    end: int,
    source: bytes,
    destination: bytes,
    *,
    at: int,
    extension: int,
    options: bool,
) -> bytes:
    """Message that TCP-AO signs (RFC5925-5.1).

    ``at`` is the offset of the TCP-AO option, ``extension`` the sequence number extension, and ``options``
    says whether the key covers the other TCP options too.
    """
    behind = at + octets[at + 1]
    text = _text_at(octets, start)
    signature = octets[at : at + AO_IDS] + bytes(behind - at - AO_IDS)
    if options:
        signature = octets[start + HEADER : at] + signature + octets[behind:text]
    return b"".join(
        (
            extension.to_bytes(4, "big"),
            _heads(octets, start, end, source, destination),
            signature,
            octets[text:end],
        ),
    )


def covered_by_md5(octets: bytes, start: int, end: int, source: bytes, destination: bytes) -> bytes:
    """Message that TCP MD5 signs, without the key (RFC2385-2).

    The signature covers no option, but the length of the header includes the options.
    """
    return _heads(octets, start, end, source, destination) + octets[_text_at(octets, start) : end]


def place(octets: bytes, start: int, kind: int) -> int:
    """Offset of the first option of this kind, which must exist."""
    at = start + HEADER
    while octets[at] != kind:
        at += 1 if octets[at] == NOP else octets[at + 1]
    return at


def _heads(octets: bytes, start: int, end: int, source: bytes, destination: bytes) -> bytes:
    """Pseudo-header and fixed TCP header, with zero in the checksum field."""
    size = end - start
    pseudo = (
        bytes((0, PROTOCOL, size >> 8, size & 0xFF))
        if len(source) == 4
        else size.to_bytes(4, "big") + bytes((0, 0, 0, PROTOCOL))
    )
    checksum = start + CHECKSUM_AT
    return b"".join(
        (
            source,
            destination,
            pseudo,
            octets[start:checksum],
            _NO_CHECKSUM,
            octets[checksum + 2 : start + HEADER],
        )
    )


def _text_at(octets: bytes, start: int) -> int:
    return start + (octets[start + 12] >> 4 << 2)
