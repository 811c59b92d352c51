"""What a script says, as records. Times are microseconds."""

from dataclasses import dataclass, field
from enum import Enum
from typing import Final

ANY: Final = -1  # a number that the script leaves open
ECN_ORDERS: Final = {
    172: ("e0b", "ceb", "e1b"),
    174: ("e1b", "ceb", "e0b"),
}  # the fields of AccECN options by their kinds


class Anchor(Enum):
    ABSOLUTE = "absolute"
    RELATIVE = "relative"  # to the end of the event before
    ANY = "any"  # `*`


@dataclass(frozen=True, slots=True)
class When:
    """A moment, or with ``latest`` a range of them. ``ends`` is when a blocking call is to return; ANY where
    it doesn't block.
    """

    anchor: Anchor
    time: int = 0
    latest: int = ANY
    ends: int = ANY


@dataclass(frozen=True, slots=True)
class Option:
    """One TCP option. ``value`` is what stands behind its kind and length; of SACK, timestamps and MD5 see
    ``numbers`` and ``word``.
    """

    kind: int
    name: str
    numbers: tuple[int, ...] = ()
    value: bytes = b""
    word: str = ""


@dataclass(frozen=True, slots=True)
class Network:
    """The IP header's fields, ANY where the script says nothing. ``ecn`` is a word: ect0, ect1, ce, noecn,
    ect01.
    """

    traffic_class: int = ANY
    hop_limit: int = ANY
    flow_label: int = ANY
    ecn: str = ""


@dataclass(frozen=True, slots=True)
class Packet:
    """A segment, ``inbound`` to the stack or out of it. ``seq`` is ANY for ``...``; ``options`` None for
    ``<...>``.
    """

    inbound: bool
    network: Network
    flags: int
    seq: int
    length: int
    absolute: bool = False  # `!`: the numbers are those on the wire
    ack: int = ANY
    window: int = ANY
    urgent: int = 0
    options: tuple[Option, ...] | None = ()
    source_port: int = ANY
    destination_port: int = ANY


@dataclass(frozen=True, slots=True)
class Datagram:
    """Of UDP, ``inbound`` to the stack or out of it."""

    inbound: bool
    network: Network
    length: int
    source_port: int = ANY
    destination_port: int = ANY


@dataclass(frozen=True, slots=True)
class Icmp:
    """A message about the segment that began at ``seq``; with ``datagram``, about one of UDP with so many
    octets.
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
    """A system call. Arguments are ints, strings, names (Name), lists, dicts, or Ellipsis; so is
    ``result``.
    """

    name: str
    arguments: tuple[object, ...]
    result: object
    error: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Name:
    """A constant such as SOCK_STREAM."""

    text: str


@dataclass(frozen=True, slots=True)
class Function:
    """htons(8080), inet_addr("…"): written like a call, and known by its value."""

    name: str
    arguments: tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Either:
    """Names and numbers joined by ``|``."""

    parts: tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Command:
    text: str


@dataclass(frozen=True, slots=True)
class Code:
    text: str


Action = Packet | Datagram | Icmp | Call | Command | Code


@dataclass(frozen=True, slots=True)
class Event:
    line: int
    when: When
    action: Action


@dataclass(slots=True)
class Script:
    path: str = ""
    options: dict[str, str] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
