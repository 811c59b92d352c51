"""Socket options of a connection, by one table: what Linux's names mean to a `Config`."""

import errno
import socket
from dataclasses import dataclass, replace
from struct import Struct
from typing import Final

from postel.aio.information import information
from postel.errors import ArgumentError, ConnectionAlreadyExists, OptionInvalid, OptionUnknown
from postel.tcp.config import DEFAULT, USER_TIMEOUT, Config
from postel.tcp.connection import Connection
from postel.times import MILLISECOND, SECOND

Value = int | bytes | bytearray | memoryview

LARGEST: Final = 2**31 - 1  # what an int of C holds
LONGEST_ANSWER: Final = 1024  # octets, as the socket module has it
NUMBER: Final = Struct("=i")
LINGER: Final = Struct("=ii")

# What a row's field is to its option
FLAG: Final = 1
INVERTED: Final = 2  # a flag that says the opposite
AT_ONCE: Final = 3  # a flag: the delay is 0
AMOUNT: Final = 4  # a number, in the row's unit


@dataclass(frozen=True, slots=True)
class Option:
    """A row: ``field`` of `Config`, in microseconds or segments; one of the option is ``unit`` of them. ``is_changeable``: on a connection
    that lives."""

    level: int
    name: str
    field: str
    kind: int
    unit: int = 1
    lowest: int = 0
    highest: int = LARGEST
    is_changeable: bool = True


_ROWS: Final = (
    Option(socket.SOL_SOCKET, "SO_KEEPALIVE", "keep_alive", FLAG),
    Option(socket.IPPROTO_TCP, "TCP_NODELAY", "nagle", INVERTED),
    Option(socket.IPPROTO_TCP, "TCP_CORK", "nagle", FLAG),  # small segments wait for the ACK of what is in flight, and no longer
    Option(socket.IPPROTO_TCP, "TCP_QUICKACK", "delayed_ack", AT_ONCE),  # until it is taken back
    Option(socket.IPPROTO_TCP, "TCP_KEEPIDLE", "keep_alive_idle", AMOUNT, SECOND, 1, 32767),
    Option(socket.IPPROTO_TCP, "TCP_KEEPINTVL", "keep_alive_interval", AMOUNT, SECOND, 1, 32767),
    Option(socket.IPPROTO_TCP, "TCP_KEEPCNT", "keep_alive_probes", AMOUNT, 1, 1, 127),
    Option(socket.IPPROTO_TCP, "TCP_USER_TIMEOUT", "user_timeout", AMOUNT, MILLISECOND),
    Option(socket.IPPROTO_TCP, "TCP_MAXSEG", "largest_mss", AMOUNT, is_changeable=False),
)
# Those that this system's socket module knows
TABLE: Final = {(row.level, getattr(socket, row.name)): row for row in _ROWS if hasattr(socket, row.name)}

SO_LINGER: Final = (socket.SOL_SOCKET, socket.SO_LINGER)
SO_ERROR: Final = (socket.SOL_SOCKET, socket.SO_ERROR)
TCP_MAXSEG: Final = (socket.IPPROTO_TCP, getattr(socket, "TCP_MAXSEG", -1))
TCP_INFO: Final = (socket.IPPROTO_TCP, getattr(socket, "TCP_INFO", -1))


def get(connection: Connection, level: int, option: int, now: int) -> bytes:
    """The option as the kernel lays it out. Raises OptionUnknown."""
    place = (level, option)
    if place == TCP_INFO:
        return information(connection, now)
    if place == SO_ERROR:
        return NUMBER.pack(0 if connection.error is None else connection.error.errno or errno.EIO)
    if place == TCP_MAXSEG:
        return NUMBER.pack(connection.tcb.send_mss)
    row = TABLE.get(place)
    if row is None:
        raise OptionUnknown(f"option {place} is not known here")
    return NUMBER.pack(_told(row, connection.tcb.config))


def _told(row: Option, config: Config) -> int:
    value: int = getattr(config, row.field)
    if row.kind == AMOUNT:
        return min(-(-value // row.unit), LARGEST)
    return int(bool(value)) if row.kind == FLAG else int(not value)


def changed(config: Config, level: int, option: int, value: Value) -> Config:
    """``config`` with the option set. Raises OptionUnknown, OptionInvalid, and ConnectionAlreadyExists for what must be chosen before."""
    row = TABLE.get((level, option))
    if row is None:
        raise OptionUnknown(f"option {(level, option)} is not known here, or can't be set")
    if not row.is_changeable:
        raise ConnectionAlreadyExists(f"{row.name} is chosen before a connection opens: {row.field} of its Config")
    number = number_of(row.name, value)
    if row.kind == AMOUNT and not row.lowest <= number <= row.highest:
        raise OptionInvalid(f"{row.name} is {number}; allowed: {row.lowest} to {row.highest}")
    try:
        return replace(config, **{row.field: _chosen(row, number)})  # type: ignore[arg-type]  # of the field's own kind
    except ArgumentError as error:
        raise OptionInvalid(f"{row.name}: {error}") from error


def _chosen(row: Option, number: int) -> int | bool:
    if row.kind == FLAG:
        return number != 0
    if row.kind == INVERTED:
        return number == 0
    if row.kind == AT_ONCE:
        return 0 if number else DEFAULT.delayed_ack
    if row.field == "user_timeout" and number == 0:
        return USER_TIMEOUT
    if row.field == "keep_alive_probes":
        return max(2, number)  # MUST-29: one lost answer isn't a dead peer
    return number * row.unit


def number_of(name: str, value: Value) -> int:
    """An int, or the int that octets are. Raises OptionInvalid, and TypeError as the socket module does."""
    if isinstance(value, int):
        if not -LARGEST - 1 <= value <= LARGEST:
            raise OptionInvalid(f"{name} is {value}; allowed: an int of 32 bits")
        return int(value)
    octets = octets_of(name, value)
    if len(octets) < NUMBER.size:
        raise OptionInvalid(f"{name} has {len(octets)} octets; allowed: {NUMBER.size}")
    return int(NUMBER.unpack_from(octets)[0])


def octets_of(name: str, value: Value) -> bytes:
    if not isinstance(value, (bytes, bytearray, memoryview)):
        raise TypeError(f"{name} is of type {type(value).__name__}; allowed: int, bytes")
    return bytes(value)


def linger_of(value: Value) -> int:
    """Seconds that SO_LINGER asks for, -1 where it is off. Raises OptionInvalid."""
    octets = octets_of("SO_LINGER", value)
    if len(octets) < LINGER.size:
        raise OptionInvalid(f"SO_LINGER has {len(octets)} octets; allowed: {LINGER.size}, whether and how many seconds")
    is_on, seconds = LINGER.unpack_from(octets)
    return max(0, seconds) if is_on else -1


def answer(octets: bytes, length: int) -> int | bytes:
    """What ``getsockopt`` gives: an int without a ``length``, else as many octets at most. Raises OptionInvalid."""
    if not 0 <= length <= LONGEST_ANSWER:
        raise OptionInvalid(f"buflen is {length}; allowed: 0 to {LONGEST_ANSWER}")
    return octets[:length] if length else int(NUMBER.unpack_from(octets)[0])
