"""Object behind a file descriptor: a TCP socket that is new, listens or is connected, with its options.

It also has the socket's options.
"""

import errno
from dataclasses import replace

from postel.drill.calls import Waits, linger_fields, linger_octets
from postel.drill.constants import CONSTANTS, SOCK_STREAM
from postel.drill.profile import FastOpenSide, fast_open_mode
from postel.errors import ScriptError, renewed
from postel.sockets.options import NUMBER, SocketOptions
from postel.sockets.table import NAMED, Option
from postel.tcp.authentication.keychain import Keychain
from postel.tcp.authentication.keys import Key
from postel.tcp.config import Config
from postel.tcp.connection import Connection
from postel.tcp.state import CLOSED, LISTEN, SYN_RECEIVED, SYN_SENT, State

IN, PRIORITY, OUT, ERROR, HANGUP = (CONSTANTS[f"POLL{name}"] for name in ("IN", "PRI", "OUT", "ERR", "HUP"))


class Descriptor(SocketOptions):
    """A TCP socket of a script.

    ``config`` has the options for a connection that the socket will open; an existing connection has its own.
    ``is_accepted`` says that `accept` returned the connection.
    """

    def __init__(
        self,
        config: Config,
        connection: Connection | None = None,
        *,
        is_accepted: bool = False,
        kind: int = SOCK_STREAM,
    ) -> None:
        """Make a socket. `accept` makes it with a connection."""
        super().__init__(config, connection=connection, kind=kind)
        self.is_accepted = is_accepted
        self.keys: Keychain | None = None
        self.port = 0
        self.is_nonblocking = False
        self.reads_no_more = False
        self.octets_read = 0

    @property
    def state(self) -> State:
        """State of the connection; LISTEN for a listener, CLOSED for a new socket."""
        if self.connection is not None:
            return self.connection.state
        return CLOSED if self.listener is None else LISTEN

    @property
    def is_opening(self) -> bool:
        """Whether data to send must wait for the end of the handshake.

        In a connection that was accepted early, by TCP Fast Open, data need not wait.
        """
        return self.connection is not None and self.state in (SYN_SENT, SYN_RECEIVED) and not self.is_accepted

    def connected(self) -> Connection:
        """Connection of this socket. Raises OSError ENOTCONN."""
        if self.connection is None:
            raise OSError(errno.ENOTCONN, "not connected")
        return self.connection

    def raise_error(self) -> None:
        """Raise the socket's error, if it has one, and clear it."""
        found = self.claim_error()
        if found is not None:
            raise renewed(found)

    def would_block(self, at_once: int = 0) -> Exception:
        """Exception for a call that can't be made now: EAGAIN, or `Waits` if the socket is blocking."""
        return OSError(errno.EAGAIN, "would block") if self.is_nonblocking or at_once else Waits()

    @property
    def arrivals(self) -> int:
        """Octets and end of data that have arrived, or the connections that wait for `accept`, counted."""
        if self.connection is None:
            return len(self.listener.ready) if self.listener is not None else 0
        return self.octets_read + self.connection.readable + self.connection.has_peer_ended

    def readiness(self, asked: int) -> int:
        """Events that poll returns: those ``asked`` for that are present, and errors in any case."""
        connection = self.connection
        if connection is None:
            return (
                asked & IN
                if self.listener is not None and self.listener.ready
                else 0
                if self.listener is not None
                else HANGUP
            )
        ready = 0
        if connection.readable or connection.at_end or connection.state is CLOSED:
            ready |= IN
        if connection.urgent:
            ready |= PRIORITY
        if not self.is_opening and connection.writable:
            ready |= OUT
        always = (ERROR if self.has_error() else 0) | (HANGUP if connection.state is CLOSED else 0)
        return ready & asked | always

    def close(self, now: int) -> None:
        """Close the socket with its listener or its connection."""
        if self.listener is not None:
            self.listener.close(now)
        if self.connection is None:
            return
        if self.linger == 0 and self.connection.state is not CLOSED:
            self.connection.abort(now)
        else:
            self.connection.release(now)

    def sign(self, secret: bytes, given: object) -> None:
        """Handle TCP_MD5SIG: sign the socket's later connection with ``secret``, whatever its peer is.

        Raises OSError EISCONN if the socket listens or has a connection already.
        """
        if not secret:
            raise ScriptError(0, "TCP_MD5SIG", "expected --tcp_md5_secret for this option")
        if self.state is not CLOSED:
            raise OSError(errno.EISCONN, "a connection signs from its SYN on, or never")
        self.keys = Keychain(Key(secret, algorithm="MD5")) if given in (1, [1]) else None


# Options, from the table of `postel.sockets`, by the names that scripts use


def set_option(found: Descriptor, name: str, given: object, now: int) -> None:
    """Set a socket option, for setsockopt.

    Raises OSError EINVAL for a value that isn't allowed, ScriptError for an unknown option.
    """
    option = _known(name)
    first = given[0] if isinstance(given, list) and given else given
    if name == "SO_LINGER":
        found.set(option, linger_octets(first), now)
    elif option.kind == "name" and isinstance(first, str):
        found.set(option, first.encode(), now)
    elif not isinstance(first, int):
        raise ScriptError(0, name, "expected a number for this option")
    else:
        found.set(option, first, now)


def allow_fast_open(found: Descriptor, sides: frozenset[FastOpenSide], now: int) -> None:
    """Handle TCP_FASTOPEN: let the socket use TCP Fast Open as client, as server, both or not at all."""
    found.configure(replace(found.current(), fast_open=fast_open_mode(sides)), now)


def option(found: Descriptor, name: str, now: int) -> object:
    """Value of a socket option, for getsockopt."""
    if name == "TCP_FASTOPEN":  # 1 if it is on for client or server
        return int(found.current().fast_open != "off")
    octets = found.get(_known(name), now)
    if name == "SO_LINGER":
        return linger_fields(octets)
    if NAMED[name].kind == "name":
        return octets.rstrip(b"\0").decode()
    return int(NUMBER.unpack_from(octets)[0])


def _known(name: str) -> Option:
    if name not in NAMED or name == "TCP_INFO":
        raise ScriptError(0, name, "this option isn't known")
    return NAMED[name]
