"""Table of the socket options.

For each of Linux's options it has the field of `Config`, the unit, and when the option may be set.
"""

import socket
import sys
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from postel.errors import OptionUnknown
from postel.tcp.config import DEFAULT, Config
from postel.times import MILLISECOND, SECOND

LARGEST: Final = 2**31 - 1  # the largest int of C
NEVER_DEFAULT: Final = -(2**31) - 1  # less than any int of C: no value of the option asks for the default

# Relation of an option to its field of `Config`:
#   "flag"       the option is on where the field is True
#   "opposite"   the option is on where the field is False
#   "at-once"    the option is on where the field, a delay, is 0
#   "amount"     a number, in units of the option's ``unit``
#   "marking"    the traffic class; its lowest two bits are for ECN, and the program can't set them
#   "name"       the name of a congestion controller
#   "queue"      how many fast opens a listener allows, 0 for none
#   "client"     whether a connection asks for fast open
#   "kept"       no field: the socket remembers the number; most of these options have no effect
#   "kept-flag"  no field: the socket remembers whether the number is 0
#   "told"       no field: a program can read the option, but can't set it
Kind: TypeAlias = Literal[
    "flag", "opposite", "at-once", "amount", "marking", "name", "queue", "client", "kept", "kept-flag", "told"
]


@dataclass(frozen=True, slots=True)
class Option:
    """Socket option: one row of the table.

    The option stands for the field of `Config` that ``field`` names. A value of 1 of the option is ``unit``
    microseconds, octets or segments of that field. A value to set lies between ``lowest`` and ``highest``, or
    is ``default``, which stands for the default of the field; a value less than ``least`` counts as
    ``least``. For an option without a field, ``default`` is the value of a new socket. ``is_changeable`` says
    whether it may be set on an open connection; on another socket each option may be set, except the kind
    "told".
    """

    level: str
    name: str
    kind: Kind
    field: str = ""
    unit: int = 1
    lowest: int = -LARGEST - 1
    highest: int = LARGEST
    default: int = NEVER_DEFAULT
    least: int = 0
    is_changeable: bool = True

    @property
    def takes_octets(self) -> bool:
        """Whether a value may have fewer octets than an int: the first one is the number.

        Linux does so for IP's options.
        """
        return self.level == "IPPROTO_IP"

    @property
    def is_for_datagrams(self) -> bool:
        """Whether a UDP socket has the option.

        TCP's options, and those with a field of `Config`, are for connections.
        """
        return not self.field and self.level != _TCP


_SOCKET: Final = "SOL_SOCKET"
_TCP: Final = "IPPROTO_TCP"
_IP: Final = "IPPROTO_IP"
_IPV6: Final = "IPPROTO_IPV6"
_BUFFER: Final = 1 << 30

OPTIONS: Final = (
    Option(_SOCKET, "SO_KEEPALIVE", "flag", "keep_alive"),
    # ``getsockopt`` returns the size that was set: Linux would return twice that size
    Option(_SOCKET, "SO_RCVBUF", "amount", "receive_buffer", 1, 1, _BUFFER),
    Option(_SOCKET, "SO_SNDBUF", "amount", "send_buffer", 1, 1, _BUFFER),
    Option(_TCP, "TCP_NODELAY", "opposite", "nagle"),
    Option(_TCP, "TCP_CORK", "flag", "cork"),
    Option(_TCP, "TCP_NOPUSH", "flag", "cork"),  # BSD's name
    Option(_TCP, "TCP_QUICKACK", "at-once", "delayed_ack"),  # the option stays on until it is set to 0
    Option(_TCP, "TCP_KEEPIDLE", "amount", "keep_alive_idle", SECOND, 1, 32767),
    Option(_TCP, "TCP_KEEPINTVL", "amount", "keep_alive_interval", SECOND, 1, 32767),
    # MUST-29: one lost answer doesn't show that the peer is dead
    Option(_TCP, "TCP_KEEPCNT", "amount", "keep_alive_probes", 1, 1, 127, least=2),
    Option(_TCP, "TCP_USER_TIMEOUT", "amount", "user_timeout", MILLISECOND, 0, default=0),
    Option(_TCP, "TCP_MAXSEG", "amount", "largest_mss", 1, 1, 65535, default=0, is_changeable=False),
    Option(_TCP, "TCP_NOTSENT_LOWAT", "amount", "notsent_lowat", 1, 0, _BUFFER, default=-1),
    Option(_TCP, "TCP_CONGESTION", "name", "congestion", is_changeable=False),
    Option(_TCP, "TCP_FASTOPEN", "queue", "fast_open_limit", 1, 0, 65535, is_changeable=False),
    Option(_TCP, "TCP_FASTOPEN_CONNECT", "client", "fast_open", 1, 0, 1, is_changeable=False),
    Option(_IP, "IP_TTL", "amount", "hop_limit", 1, 1, 255, default=-1),
    Option(_IP, "IP_TOS", "marking", "traffic_class"),
    Option(_IPV6, "IPV6_UNICAST_HOPS", "amount", "hop_limit", 1, 1, 255, default=-1),
    Option(_IPV6, "IPV6_TCLASS", "marking", "traffic_class", 1, 0, 255, default=-1),
    # `postel.sockets.bindings` uses SO_REUSEADDR. A listener can take a port in spite of TIME-WAIT without it
    Option(_SOCKET, "SO_REUSEADDR", "kept-flag", default=0),
    Option(_SOCKET, "SO_REUSEPORT", "kept-flag", default=0),
    Option(_SOCKET, "SO_BROADCAST", "kept-flag", default=0),
    Option(_SOCKET, "SO_TIMESTAMP", "kept-flag", default=0),
    Option(_IP, "IP_MTU_DISCOVER", "kept", lowest=0, highest=5, default=1),
    Option(_IPV6, "IPV6_V6ONLY", "kept-flag", default=0),
    # Two ints: whether to wait in `close`, and for how many seconds
    Option(_SOCKET, "SO_LINGER", "kept"),
    Option(_SOCKET, "SO_ERROR", "told"),
    Option(_SOCKET, "SO_TYPE", "told"),
    Option(_SOCKET, "SO_DOMAIN", "told"),
    Option(_SOCKET, "SO_PROTOCOL", "told"),
    Option(_SOCKET, "SO_ACCEPTCONN", "told"),
    Option(_TCP, "TCP_INFO", "told"),
)

# Linux's numbers of constants that some versions of Python's socket module lack
_LINUX: Final = {"SO_TIMESTAMP": 29, "SO_ZEROCOPY": 60, "IP_MTU_DISCOVER": 10, "TCP_FASTOPEN_CONNECT": 30}


def system_number(name: str) -> int:
    """Return the number of a constant of the system, -1 where it has none."""
    return int(getattr(socket, name, _LINUX.get(name, -1) if sys.platform in ("linux", "emscripten") else -1))


NAMED: Final = {option.name: option for option in OPTIONS}
NUMBERED: Final = {
    (system_number(option.level), _number): option
    for option in OPTIONS
    if (_number := system_number(option.name)) >= 0
}


def named(name: str) -> Option:
    """Return the option of this name. Raises OptionUnknown."""
    if name not in NAMED:
        raise OptionUnknown(f"option {name} is not known here")
    return NAMED[name]


def numbered(level: int, number: int) -> Option:
    """Return the option with these numbers of the system. Raises OptionUnknown."""
    found = NUMBERED.get((level, number))
    if found is None:
        raise OptionUnknown(f"option {(level, number)} is not known here")
    return found


def number_told(option: Option, config: Config) -> int:
    """Return the value of an option that stands for a field of ``config``."""
    value: Any = getattr(config, option.field)
    if option.kind == "flag":
        return int(value)
    if option.kind in ("opposite", "at-once"):
        return int(not value)
    if option.kind == "queue":
        return int(value) if config.fast_open in ("server", "both") else 0
    if option.kind == "client":
        return int(value in ("client", "both"))
    return min(-(-int(value) // option.unit), LARGEST)


def changes(option: Option, config: Config, number: int) -> dict[str, object]:
    """Return the fields of ``config`` that change when the option is set to ``number``, a valid value."""
    if number == option.default:
        return {option.field: getattr(DEFAULT, option.field)}
    if option.kind == "flag":
        return {option.field: number != 0}
    if option.kind == "opposite":
        return {option.field: number == 0}
    if option.kind == "at-once":
        return {option.field: 0 if number else DEFAULT.delayed_ack}
    if option.kind == "marking":
        return {option.field: number & _NOT_ECN}
    if option.kind == "queue":
        limit = {option.field: number} if number else {}
        return {
            "fast_open": _fast_open(client=config.fast_open in ("client", "both"), server=number > 0),
            **limit,
        }
    if option.kind == "client":
        return {option.field: _fast_open(client=number > 0, server=config.fast_open in ("server", "both"))}
    return {option.field: max(number, option.least) * option.unit}


_NOT_ECN: Final = 0xFC


def _fast_open(*, client: bool, server: bool) -> str:
    """Return the value of the field ``fast_open`` for these roles."""
    return ("both" if server else "client") if client else "server" if server else "off"
