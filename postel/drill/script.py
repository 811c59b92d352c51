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
    """What the time of an event counts from."""

    ABSOLUTE = "absolute"
    RELATIVE = "relative"  # from the end of the previous event: `+`
    ANY = "any"  # at any time: `*`


@dataclass(frozen=True, slots=True)
class When:
    """The time of an event, or with ``latest`` a range of times.

    ``ends`` is when a blocking call returns; ANY where it doesn't block.
    """

    anchor: Anchor
    time: int = 0
    latest: int = ANY
    ends: int = ANY


@dataclass(frozen=True, slots=True)
class Option:
    """One TCP option.

    ``value`` are its octets behind kind and length. Options with numbers have them in ``numbers``; ``word``
    is "valid" for a right MD5 digest.
    """

    kind: int
    name: str
    numbers: tuple[int, ...] = ()
    value: bytes = b""
    word: str = ""


@dataclass(frozen=True, slots=True)
class Network:
    """Fields of the IP header; ANY where the script says nothing.

    ``ecn`` is one of the words ect0, ect1, ce, noecn, ect01.
    """

    traffic_class: int = ANY
    hop_limit: int = ANY
    flow_label: int = ANY
    ecn: str = ""


@dataclass(frozen=True, slots=True)
class Packet:
    """A segment, ``inbound`` to the stack or out of it.

    ``seq`` is ANY for ``...``, and ``options`` are None for ``<...>``.
    """

    inbound: bool
    network: Network
    flags: int
    seq: int
    length: int
    absolute: bool = False  # `!`: the sequence numbers are those on the wire
    ack: int = ANY
    window: int = ANY
    urgent: int = 0
    options: tuple[Option, ...] | None = ()
    source_port: int = ANY
    destination_port: int = ANY


@dataclass(frozen=True, slots=True)
class Datagram:
    """A UDP datagram, ``inbound`` to the stack or out of it."""

    inbound: bool
    network: Network
    length: int
    source_port: int = ANY
    destination_port: int = ANY


@dataclass(frozen=True, slots=True)
class Icmp:
    """An ICMP message about the segment that began at ``seq``.

    With ``datagram`` it is about a UDP datagram with that number of octets.
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
    """A function of its arguments, such as ``htons(8080)`` or ``inet_addr("…")``."""

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
    """A line of the script: when something happens, and what."""

    line: int
    when: When
    action: Action


@dataclass(slots=True)
class Script:
    """A whole script: its options and events."""

    path: str = ""
    options: dict[str, str] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
