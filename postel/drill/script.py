"""The contents of a script as records. Times are in microseconds."""

from dataclasses import dataclass, field
from enum import Enum
from typing import Final

ANY: Final = -1  # a number that the script leaves open
# The order of the fields in both kinds of AccECN options
ECN_ORDERS: Final = {
    172: ("e0b", "ceb", "e1b"),
    174: ("e1b", "ceb", "e0b"),
}


class Anchor(Enum):
    """Point from which the time of an event counts."""

    ABSOLUTE = "absolute"
    RELATIVE = "relative"  # from the end of the previous event: `+`
    ANY = "any"  # at any time: `*`


@dataclass(frozen=True, slots=True)
class When:
    """Time of an event, or with ``latest`` a range of times.

    ``ends`` is the time at which a blocking call returns; ANY if the call doesn't block.
    """

    anchor: Anchor
    time: int = 0
    latest: int = ANY
    ends: int = ANY


@dataclass(frozen=True, slots=True)
class Option:
    """One TCP option.

    ``value`` has the option's octets after kind and length. ``numbers`` are used instead by options that
    consist of numbers. ``word`` is "valid" for a correct MD5 digest.
    """

    kind: int
    name: str
    numbers: tuple[int, ...] = ()
    value: bytes = b""
    word: str = ""


@dataclass(frozen=True, slots=True)
class Network:
    """Fields of the IP header. A field that the script doesn't mention is ANY.

    ``ecn`` is one of the words ect0, ect1, ce, noecn, ect01.
    """

    traffic_class: int = ANY
    hop_limit: int = ANY
    flow_label: int = ANY
    ecn: str = ""


@dataclass(frozen=True, slots=True)
class Packet:
    """Segment, to the stack if ``inbound``, else from the stack.

    ``seq`` is ANY for ``...`` in the script, and ``options`` are None for ``<...>``.
    """

    inbound: bool
    network: Network
    flags: int
    seq: int
    length: int
    absolute: bool = False  # `!` in the script: the sequence numbers are those on the wire
    ack: int = ANY
    window: int = ANY
    urgent: int = 0
    options: tuple[Option, ...] | None = ()
    source_port: int = ANY
    destination_port: int = ANY


@dataclass(frozen=True, slots=True)
class Datagram:
    """UDP datagram, to the stack if ``inbound``, else from the stack."""

    inbound: bool
    network: Network
    length: int
    source_port: int = ANY
    destination_port: int = ANY


@dataclass(frozen=True, slots=True)
class Icmp:
    """ICMP message about the segment with the sequence number ``seq``.

    With ``datagram`` the message is about a UDP datagram with that number of octets.
    """

    network: Network
    type: str
    code: str = ""
    mtu: int = 0
    identifier: int = 0
    seq: int = 0
    datagram: int = ANY


@dataclass(frozen=True, slots=True)
class Call:
    """A system call.

    Arguments and ``result`` are ints, strings, names (`Name`), lists, dicts, or Ellipsis.
    """

    name: str
    arguments: tuple[object, ...]
    result: object
    error: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Name:
    """The name of a constant, such as SOCK_STREAM."""

    text: str


@dataclass(frozen=True, slots=True)
class Function:
    """Function call as a value, such as ``htons(8080)`` or ``inet_addr("…")``."""

    name: str
    arguments: tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Either:
    """Names and numbers that are joined by ``|``."""

    parts: tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Command:
    """A shell command."""

    text: str


@dataclass(frozen=True, slots=True)
class Code:
    """A code block."""

    text: str


Action = Packet | Datagram | Icmp | Call | Command | Code


@dataclass(frozen=True, slots=True)
class Event:
    """Line of the script: a time, and what happens then."""

    line: int
    when: When
    action: Action


@dataclass(slots=True)
class Script:
    """A whole script: its options and events."""

    path: str = ""
    options: dict[str, str] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
