"""Messages of the domain name system: the part that a stub resolver and a small server need.

The format is that of RFC 1035, 4, with the IPv6 addresses of RFC 3596. A name is text without its last dot;
the root's name is "". `canonical` makes names comparable. Any octets parse, or raise `WireError`: no count,
length or pointer in them is trusted, and the time to read a name is bounded.
"""

from struct import Struct
from typing import Final, NamedTuple

from postel.errors import ArgumentError, WireError
from postel.wire.address import to_text

PORT: Final = 53
A: Final = 1
CNAME: Final = 5
AAAA: Final = 28
INTERNET: Final = 1

NO_ERROR: Final = 0
FORMAT_ERROR: Final = 1
SERVER_FAILURE: Final = 2
NAME_ERROR: Final = 3
NOT_IMPLEMENTED: Final = 4
REFUSED: Final = 5
RCODES: Final = {
    NO_ERROR: "NOERROR",
    FORMAT_ERROR: "FORMERR",
    SERVER_FAILURE: "SERVFAIL",
    NAME_ERROR: "NXDOMAIN",
    NOT_IMPLEMENTED: "NOTIMP",
    REFUSED: "REFUSED",
}
TYPES: Final = {A: "A", CNAME: "CNAME", AAAA: "AAAA"}

LONGEST_OVER_UDP: Final = 512  # most octets of a message over UDP: RFC 1035, 4.2.1
LONGEST_NAME: Final = 255  # most octets of a name on the wire: RFC 1035, 3.1
LONGEST_LABEL: Final = 63
_MOST_POINTERS: Final = 127  # most compression pointers in one name: a name has no room for more labels

_HEADER: Final = Struct("!HHHHHH")
_QUESTION: Final = Struct("!HH")
_RECORD: Final = Struct("!HHIH")
_LEAST_RECORD: Final = 11  # fewest octets of a record: the root's name and the fixed fields, without data
_RESPONSE: Final = 0x8000
_OPCODE: Final = 0x7800
_TRUNCATED: Final = 0x0200
_RECURSION_DESIRED: Final = 0x0100
_RECURSION_AVAILABLE: Final = 0x0080
_POINTER: Final = 0xC0
_ADDRESS_LENGTHS: Final = {A: 4, AAAA: 16}


class Question(NamedTuple):
    """A question about ``name``: which records of type `A`, `AAAA` or another it has."""

    name: str
    type: int
    qclass: int = INTERNET


class ResourceRecord(NamedTuple):
    """A record of an answer, such as an address of ``name``.

    ``data`` are the octets of an address for the types `A` and `AAAA`. For `CNAME` they are a name as
    `encode_name` writes it, without compression. For all other types the octets are those that arrived.
    ``ttl`` is in seconds.
    """

    name: str
    type: int
    data: bytes
    ttl: int = 0
    rclass: int = INTERNET


class DnsMessage(NamedTuple):
    """A query or a response with one question. The sections behind the answers are ignored."""

    id: int
    question: Question
    is_response: bool = False
    is_truncated: bool = False
    rcode: int = NO_ERROR
    answers: tuple[ResourceRecord, ...] = ()


def canonical(name: str) -> str:
    """Name in a form in which equal names are equal text: in lower case (RFC 4343), without the last dot."""
    return name.removesuffix(".").lower()


def parse(octets: bytes) -> DnsMessage:
    """Message in ``octets``. Raises WireError with the reason ``dns``."""
    if len(octets) < _HEADER.size:
        raise WireError("dns", f"{len(octets)} octets of a header")
    number, flags, questions, answers, _, _ = _HEADER.unpack_from(octets)
    if questions != 1 or flags & _OPCODE:
        raise WireError("dns", "not one question")
    name, place = _name(octets, _HEADER.size)
    if len(octets) - place < _QUESTION.size:
        raise WireError("dns", "the question is cut off")
    qtype, qclass = _QUESTION.unpack_from(octets, place)
    is_truncated = bool(flags & _TRUNCATED)
    # The answers of a truncated message must not be used
    found = () if is_truncated else _records(octets, place + _QUESTION.size, answers)
    return DnsMessage(
        number, Question(name, qtype, qclass), bool(flags & _RESPONSE), is_truncated, flags & 15, found
    )


def _records(octets: bytes, place: int, count: int) -> tuple[ResourceRecord, ...]:
    """Resource records of the answer section. Raises WireError."""
    if count * _LEAST_RECORD > len(octets) - place:
        raise WireError("dns", f"{count} answers in {len(octets) - place} octets")
    found: list[ResourceRecord] = []
    for _ in range(count):
        name, place = _name(octets, place)
        if len(octets) - place < _RECORD.size:
            raise WireError("dns", "an answer is cut off")
        rtype, rclass, ttl, length = _RECORD.unpack_from(octets, place)
        place += _RECORD.size
        if length > len(octets) - place:
            raise WireError("dns", f"{length} octets of data in {len(octets) - place}")
        found.append(ResourceRecord(name, rtype, _data(octets, place, length, rtype), ttl, rclass))
        place += length
    return tuple(found)


def _data(octets: bytes, place: int, length: int, rtype: int) -> bytes:
    """Data of a record, checked; a CNAME without compression."""
    if rtype in _ADDRESS_LENGTHS and length != _ADDRESS_LENGTHS[rtype]:
        raise WireError("dns", f"{length} octets of an address")
    if rtype != CNAME:
        return octets[place : place + length]
    name, end = _name(octets, place)
    if end != place + length:
        raise WireError("dns", "a name is longer than it says")
    return encode_name(name)


def _name(octets: bytes, place: int) -> tuple[str, int]:
    """Name that begins at the offset ``place``, and the offset of the first octet after the name.

    A compression pointer must point to before the start of the name, or to before the target of the name's
    last pointer. So the pointers of a name can't form a loop (RFC 1035, 4.1.4).
    """
    labels: list[str] = []
    length = 1
    end = -1
    began = place
    pointers = 0
    while True:
        if place >= len(octets):
            raise WireError("dns", "a name is cut off")
        size = octets[place]
        if size == 0:
            return ".".join(labels), place + 1 if end < 0 else end
        if size & _POINTER == _POINTER:
            if place + 1 >= len(octets):
                raise WireError("dns", "a pointer is cut off")
            target = (size & ~_POINTER) << 8 | octets[place + 1]
            pointers += 1
            if target >= began or pointers > _MOST_POINTERS:
                raise WireError(
                    "dns", "a pointer that leads forwards" if target >= began else "too many pointers"
                )
            end = place + 2 if end < 0 else end
            place = began = target
            continue
        length += size + 1
        if size > LONGEST_LABEL or length > LONGEST_NAME or place + 1 + size > len(octets):
            raise WireError("dns", "a name is too long")
        labels.append(_label(octets[place + 1 : place + 1 + size]))
        place += 1 + size


def _label(octets: bytes) -> str:
    """Text of a label. Raises WireError for other octets than letters, digits, hyphens and underscores.

    RFC 2181, 11 allows all octets, but no host's name has them.
    """
    for octet in octets:
        if not (
            0x30 <= octet <= 0x39 or 0x41 <= octet <= 0x5A or 0x61 <= octet <= 0x7A or octet in (0x2D, 0x5F)
        ):
            raise WireError("dns", f"octet {octet} in a name")
    return octets.decode("ascii")


def encode(message: DnsMessage) -> bytes:
    """Octets of a message. Raises ArgumentError where a name isn't valid.

    A query has the flag "recursion desired" set, a response also "recursion available".
    """
    flags = _RECURSION_DESIRED | message.rcode
    flags |= _RESPONSE | _RECURSION_AVAILABLE if message.is_response else 0
    flags |= _TRUNCATED if message.is_truncated else 0
    question = message.question
    pieces = [
        _HEADER.pack(message.id, flags, 1, len(message.answers), 0, 0),
        encode_name(question.name) + _QUESTION.pack(question.type, question.qclass),
    ]
    for record in message.answers:
        fields = _RECORD.pack(record.type, record.rclass, record.ttl, len(record.data))
        pieces.append(encode_name(record.name) + fields + record.data)
    return b"".join(pieces)


def encode_name(name: str) -> bytes:
    """Octets of a name: its labels, each after its length, without compression. Raises ArgumentError."""
    text = name.removesuffix(".")
    octets = bytearray()
    for label in text.split(".") if text else []:
        try:
            encoded = label.encode("ascii")
            _label(encoded)
        except (UnicodeEncodeError, WireError):
            raise ArgumentError("name", name, "letters, digits, hyphens and dots") from None
        if not 1 <= len(encoded) <= LONGEST_LABEL:
            raise ArgumentError("name", name, f"labels of 1 to {LONGEST_LABEL} letters")
        octets.append(len(encoded))
        octets += encoded
    if len(octets) >= LONGEST_NAME:
        raise ArgumentError("name", name, f"{LONGEST_NAME - 2} letters at most")
    return bytes(octets) + b"\0"


def decode_name(octets: bytes) -> str:
    """Name in the ``data`` of a `CNAME` record."""
    return _name(octets, 0)[0]


def describe(octets: bytes) -> str:
    """One line for a message, such as "A? www.example.org" or "www.example.org A 10.0.0.80".

    The format is that of dig. Raises WireError.
    """
    message = parse(octets)
    asked = (
        f"{TYPES.get(message.question.type, f'TYPE{message.question.type}')}? {message.question.name or '.'}"
    )
    if not message.is_response:
        return asked
    if message.is_truncated:
        return f"{asked}: truncated"
    if message.rcode or not message.answers:
        return (
            f"{asked}: {RCODES.get(message.rcode, f'RCODE{message.rcode}') if message.rcode else 'no data'}"
        )
    return ", ".join(_described(record) for record in message.answers)


def _described(record: ResourceRecord) -> str:
    kind = TYPES.get(record.type, f"TYPE{record.type}")
    if record.type == CNAME:
        return f"{record.name} {kind} {decode_name(record.data)}"
    return (
        f"{record.name} {kind} {to_text(record.data)}"
        if record.type in _ADDRESS_LENGTHS
        else f"{record.name} {kind}"
    )
