"""Options of a socket. Values are accepted, refused and returned as on Linux (`postel.sockets.table`)."""

import errno
import socket
from dataclasses import replace
from functools import lru_cache
from struct import Struct
from typing import Any, Final

from postel.errors import (
    ArgumentError,
    ConnectionAlreadyExists,
    KindError,
    OptionInvalid,
    OptionUnknown,
    TcpError,
)
from postel.host.listener import Listener
from postel.sockets.table import Option, changes, number_told
from postel.sockets.tcpinfo import information
from postel.tcp.config import DEFAULT, Config, first_receive_limit, first_send_limit
from postel.tcp.connection import Connection
from postel.tcp.state import SYN_RECEIVED, SYN_SENT

Value = int | bytes | bytearray | memoryview

NUMBER: Final = Struct("=i")
LINGER: Final = Struct("=ii")
NO_LINGER: Final = -1
LONGEST_ANSWER: Final = 1024  # most octets that ``getsockopt`` returns, as in Python's socket module
_LARGEST_NAME: Final = 16  # octets that Linux has for the name of a congestion controller
_USUAL_MSS: Final = 536  # MUST-15: the MSS in octets before a peer has announced one
_WHOLE: Final = 2**31


class SocketOptions:
    """Options of one socket of TCP, new, listening or connected, or of UDP.

    ``config`` is what TCP does on later connections of the socket; a listener and a connection have a config
    of their own. ``family`` and ``kind`` are the socket module's numbers, ``family`` 0 where it isn't known.
    ``linger`` is how many seconds `close` may wait by SO_LINGER, or `NO_LINGER` (-1) where SO_LINGER is off.
    """

    __slots__ = ("_kept", "_told", "config", "connection", "family", "kind", "linger", "listener")

    def __init__(
        self,
        config: Config = DEFAULT,
        *,
        connection: Connection | None = None,
        listener: Listener | None = None,
        family: int = 0,
        kind: int = socket.SOCK_STREAM,
    ) -> None:
        """Start with default options; a connection's or listener's are those of its config."""
        self.config: Config = config
        self.connection: Connection | None = connection
        self.listener: Listener | None = listener
        self.family: int = family
        self.kind: int = kind
        self.linger: int = NO_LINGER
        self._kept: dict[str, int] | None = None  # values of options without a field, once one was set
        self._told: TcpError | None = None  # the error that `claim_error` returned last, and won't again

    def current(self) -> Config:
        """Return the config in use: that of the connection, else of the listener, else of the socket."""
        if self.connection is not None:
            return self.connection.config
        return self.config if self.listener is None else self.listener.config

    def configure(self, config: Config, now: int) -> None:
        """Replace the config, of a listener and a connection as well."""
        self.config = config
        if self.listener is not None:
            self.listener.config = config
        if self.connection is not None:
            self.connection.configure(config, now)

    def claim_error(self) -> TcpError | None:
        """Return the error that ended the connection, as SO_ERROR does: only once. Else None."""
        found = self.connection.error if self.connection is not None else None
        if found is None or found is self._told:
            return None
        self._told = found
        return found

    def has_error(self) -> bool:
        """Tell whether `claim_error` would return an error."""
        return self.connection is not None and self.connection.error not in (None, self._told)

    def get(self, option: Option, now: int) -> bytes:
        """Return an option in the kernel's layout. Raises OptionUnknown."""
        self._require_known(option)
        if option.name == "SO_LINGER":
            return LINGER.pack(self.linger != NO_LINGER, max(0, self.linger))
        if option.name == "TCP_INFO":
            if self.connection is None:
                raise OptionUnknown("TCP_INFO is known only of a connection")
            return information(self.connection, now)
        if option.kind == "name":
            return (
                self.current()
                .controller.__name__.lower()
                .encode()[: _LARGEST_NAME - 1]
                .ljust(_LARGEST_NAME, b"\0")
            )
        return NUMBER.pack(self._number(option))

    def _number(self, option: Option) -> int:
        """Return the value of an option that is a number."""
        connection, config = self.connection, self.current()
        if option.kind in ("kept", "kept-flag"):
            return (self._kept or {}).get(option.name, option.default)
        if option.kind == "told":
            return self._number_told(option.name)
        if option.name == "TCP_MAXSEG":
            return self._mss(config)
        if option.name == "SO_RCVBUF":
            return first_receive_limit(config) if connection is None else connection.receive_limit
        if option.name == "SO_SNDBUF":
            return first_send_limit(config) if connection is None else connection.send_limit
        return number_told(option, config)

    def _number_told(self, name: str) -> int:
        """Return the value of an option that can't be set."""
        if name == "SO_ERROR":
            error = self.claim_error()
            return 0 if error is None else error.errno or errno.EIO
        if name == "SO_ACCEPTCONN":
            return int(self.listener is not None)
        protocol = socket.IPPROTO_TCP if self.kind == socket.SOCK_STREAM else socket.IPPROTO_UDP
        return {"SO_TYPE": int(self.kind), "SO_PROTOCOL": protocol, "SO_DOMAIN": int(self.family)}[name]

    def _mss(self, config: Config) -> int:
        """Return the payload of a full segment on a connection; before there is one, the option's value."""
        if self.connection is None:
            return _USUAL_MSS if config.largest_mss == DEFAULT.largest_mss else config.largest_mss
        if self.connection.state in (SYN_SENT, SYN_RECEIVED):
            return min(_USUAL_MSS, config.largest_mss)
        return self.connection.mss

    def set(self, option: Option, value: Value, now: int) -> None:
        """Set an option. Raises OptionInvalid for a wrong value or size, and KindError for a wrong type.

        Raises OptionUnknown for an option that can't be set, and ConnectionAlreadyExists for one that must be
        set before the connection opens.
        """
        self._require_known(option)
        if option.kind == "told":
            number_of(option, value)  # the kernel checks the size of the value first
            raise OptionUnknown(f"{option.name} can't be set")
        if self.connection is not None and not option.is_changeable:
            raise ConnectionAlreadyExists(
                f"{option.name} is chosen before a connection opens: {option.field} of its Config"
            )
        if option.name == "SO_LINGER":
            self.linger = _linger_of(value)
        elif option.kind == "name":
            self._change(
                option, {option.field: octets_of(option.name, value).split(b"\0")[0].decode("latin-1")}, now
            )
        else:
            self._set_number(option, number_of(option, value), now)

    def _set_number(self, option: Option, number: int, now: int) -> None:
        """Set an option that is a number."""
        if number != option.default and not option.lowest <= number <= option.highest:
            raise OptionInvalid(f"{option.name} is {number}; allowed: {option.lowest} to {option.highest}")
        if option.kind in ("kept", "kept-flag"):
            kept = number if option.kind == "kept" else int(number != 0)
            self._kept = {**(self._kept or {}), option.name: kept}
        else:
            self._change(option, changes(option, self.current(), number), now)

    def _change(self, option: Option, fields: dict[str, Any], now: int) -> None:
        """Replace fields of the config. Raises OptionInvalid."""
        try:
            config = _changed(self.current(), tuple(fields.items()))
        except ArgumentError as error:
            raise OptionInvalid(f"{option.name}: {error}") from error
        self.configure(config, now)

    def _require_known(self, option: Option) -> None:
        """Raise OptionUnknown where a socket of this kind or family has no such option.

        A socket of IPv4 has no options of IPv6. A socket of IPv6 has those of IPv4, because it may carry
        both.
        """
        if self.kind == socket.SOCK_DGRAM and not option.is_for_datagrams:
            raise OptionUnknown(f"{option.name} is not known of a UDP socket")
        if option.level == "IPPROTO_IPV6" and self.family == socket.AF_INET:
            raise OptionUnknown(f"{option.name} is not known of a socket of IPv4")


@lru_cache(maxsize=64)
def _changed(config: Config, fields: tuple[tuple[str, Any], ...]) -> Config:
    """Return ``config`` with other values of ``fields``. Raises ArgumentError.

    Results are cached, because a new config checks all its fields, and asyncio sets TCP_NODELAY on each
    connection.
    """
    return replace(config, **dict(fields))


def number_of(option: Option, value: Value) -> int:
    """Return the number that an int or octets stand for. Raises OptionInvalid, and KindError, a TypeError."""
    if isinstance(value, int):
        if not -_WHOLE <= value < _WHOLE:
            raise OptionInvalid(f"{option.name} is {value}; allowed: an int of 32 bits")
        return int(value)
    octets = octets_of(option.name, value)
    if len(octets) >= NUMBER.size:
        return int(NUMBER.unpack_from(octets)[0])
    if option.takes_octets:
        return octets[0] if octets else 0
    raise OptionInvalid(f"{option.name} has {len(octets)} octets; allowed: {NUMBER.size}")


def octets_of(name: str, value: Value) -> bytes:
    """Return the value as octets. Raises KindError, a TypeError, as the socket module does."""
    if not isinstance(value, (bytes, bytearray, memoryview)):
        raise KindError(name, value, "int, bytes")
    return bytes(value)


def answer(octets: bytes, length: int) -> int | bytes:
    """Return what ``getsockopt`` returns: an int without ``length``; with it, at most so many octets.

    Raises OptionInvalid for a ``length`` out of bounds.
    """
    if not 0 <= length <= LONGEST_ANSWER:
        raise OptionInvalid(f"buflen is {length}; allowed: 0 to {LONGEST_ANSWER}")
    return octets[:length] if length else int(NUMBER.unpack_from(octets)[0])


def _linger_of(value: Value) -> int:
    """Return the seconds in a value of SO_LINGER; NO_LINGER where it is off. Raises OptionInvalid."""
    octets = octets_of("SO_LINGER", value)
    if len(octets) < LINGER.size:
        raise OptionInvalid(
            f"SO_LINGER has {len(octets)} octets; allowed: {LINGER.size}, whether and how many seconds"
        )
    is_on, seconds = LINGER.unpack_from(octets)
    return max(0, seconds) if is_on else NO_LINGER
