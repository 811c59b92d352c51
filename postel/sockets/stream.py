"""TCP sockets that never wait: see `postel.sockets.nonblocking`."""

import socket
from contextlib import suppress
from typing import Any

from postel.errors import (
    ArgumentError,
    ConnectionAlreadyExists,
    ConnectionBegun,
    ConnectionClosing,
    ConnectionDoesNotExist,
    ConnectionPending,
    ConnectionRefused,
    SocketCallInvalid,
    TcpError,
    WouldBlock,
    renewed,
)
from postel.host.listener import Listener
from postel.sockets.names import LOOPBACK, Name, endpoint_of, name_of
from postel.sockets.nonblocking import Data, NonBlockingSocket, SocketOwner, as_os_error, checked_flags
from postel.sockets.options import SocketOptions
from postel.tcp.config import Config
from postel.tcp.connection import Connection
from postel.tcp.events import Closed, Event, Opened
from postel.tcp.state import CLOSED, TIME_WAIT
from postel.wire.address import Endpoint, is_unspecified, to_text


class StreamCalls(NonBlockingSocket):
    """TCP socket that never waits.

    The socket is new, or it listens, or it has a connection that is being opened, open, or closed.
    """

    def __init__(
        self,
        owner: SocketOwner,
        family: int,
        config: Config,
        connection: Connection | None = None,
        listener: Listener | None = None,
    ) -> None:
        """Make a new socket. With ``connection`` or ``listener`` the socket uses that one."""
        settings = SocketOptions(config, connection=connection, listener=listener, family=family)
        super().__init__(owner, family, socket.SOCK_STREAM, settings)
        self._bound: Endpoint | None = None if listener is None else listener.local
        self._listener = listener
        self._connection = connection
        self._is_opening = False
        self._peeked = b""
        if connection is not None:
            connection.context = self

    def __repr__(self) -> str:
        """Show the connection, the listener, or the own address."""
        if self.is_closed:
            return "<closed TCP socket>"
        return f"<TCP socket, {self._connection or self._listener or self._bound or 'new'}>"

    @property
    def connection(self) -> Connection | None:
        """Connection, where `connect` or `accept` has made one; else None."""
        return self._connection

    @property
    def listener(self) -> Listener | None:
        """Listener, from `listen` on; None before."""
        return self._listener

    # Names and options

    def getsockname(self) -> Name:
        """Return the own address and port; zeros before there are any."""
        self.require_open()
        if self._connection is not None:
            return name_of(self._connection.local, self.family)
        return name_of(self._bound or self._nowhere, self.family)

    def getpeername(self) -> Name:
        """Return the peer's address and port. Raises ConnectionDoesNotExist unless connected."""
        self.require_open()
        connection = self._connection
        if connection is None or self._is_opening or connection.state is CLOSED:
            raise ConnectionDoesNotExist
        return name_of(connection.remote, self.family)

    def claim_error(self) -> OSError | None:
        """Return the error for SO_ERROR; None if there is none. Each error is returned once."""
        return super().claim_error() or self._options.claim_error()

    # Opening

    def bind(self, name: Name) -> None:
        """Bind to an own address and port; port 0 takes a free port.

        Raises AddressInUse and AddressNotAvailable.
        """
        self._require_network()
        wanted = endpoint_of(name, self.family)
        if self._bound is not None or self._connection is not None:
            raise SocketCallInvalid("the socket has an address already")
        shares = bool(self.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR))
        address = self._own_address(wanted.address)
        self._bound = self.owner.bindings.claim(
            self.owner.host, wanted, address, self.owner.now(), shares=shares
        )

    def listen(self, backlog: int = 128) -> None:
        """Accept connections; up to ``backlog`` may wait for `accept`. A second call changes the backlog."""
        self._require_network()
        backlog = max(1, backlog)
        if self._connection is not None:
            raise SocketCallInvalid("a connected socket can't listen")
        if self._listener is not None and not self._listener.closed:
            self._listener.backlog = backlog
            return
        if self._bound is None:
            self.bind(name_of(self._nowhere, self.family))
        self._listener = self._listening(self._bound or self._nowhere, backlog)

    def _listening(self, bound: Endpoint, backlog: int) -> Listener:
        """Make a listener."""
        now, config = self.owner.now(), self._options.config
        address = self._own_address(bound.address)
        listener = self.owner.host.listen(bound.port, now, address=address, backlog=backlog, config=config)
        self.owner.bindings.listens(bound)
        listener.context = self
        self._options.listener = listener
        self.has_shut_down_reading = False
        return listener

    def accept(self) -> "tuple[StreamCalls, Name]":
        """Return the connection that waits longest, and its peer. Raises WouldBlock."""
        self._require_network()
        if self._listener is None or self._listener.closed:
            raise SocketCallInvalid("the socket doesn't listen")
        connection = self._listener.accept()
        if connection is None:
            raise WouldBlock
        self.owner.wake()
        accepted = StreamCalls(self.owner, self.family, self._options.config, connection)
        accepted._options.linger = self._options.linger
        return accepted, name_of(connection.remote, self.family)

    def connect(self, name: Name) -> None:
        """Open a connection. Raises ConnectionBegun: the socket is writable once it is open or has failed.

        Raises ConnectionPending while an earlier call waits, and ConnectionAlreadyExists where the socket has
        a connection.
        """
        self._require_network()
        remote = endpoint_of(name, self.family)
        if self._listener is not None and not self._listener.closed:
            raise ConnectionAlreadyExists("the socket listens")
        if self._is_opening:
            raise ConnectionPending
        if self._connection is not None:
            self._require_over(self._connection)
        self._open(remote)
        self._is_opening = True
        self.owner.wake()
        raise ConnectionBegun

    def _require_over(self, connection: Connection) -> None:
        """Raise an error if the connection is open, or if no call has raised the connection's error yet.

        When this raises nothing, the socket may open another connection.
        """
        if connection.state not in (CLOSED, TIME_WAIT):
            raise ConnectionAlreadyExists("", str(connection.remote))
        error = self.claim_error()
        if error is not None:
            raise renewed(error)

    def _open(self, remote: Endpoint) -> None:
        """Open a connection of the host."""
        if is_unspecified(remote.address):  # on Linux, the wildcard address stands for the host itself
            remote = Endpoint(LOOPBACK[len(remote.address)], remote.port)
        if not remote.port:
            raise ConnectionRefused("no connection can be made to port 0", f"connect to {remote}")
        bound = self._bound or self._nowhere
        try:
            self._connection = self.owner.host.connect(
                to_text(remote.address),
                remote.port,
                self.owner.now(),
                local_address=None if is_unspecified(bound.address) else to_text(bound.address),
                local_port=bound.port,
                config=self._options.config,
            )
        except ArgumentError as error:
            raise as_os_error(error) from error
        self._connection.context = self
        self._options.connection = self._connection

    # Readiness

    @property
    def is_readable(self) -> bool:
        """Whether a call that reads or accepts needn't wait."""
        connection = self._connection
        if self.is_closed or self._failure is not None:
            return True
        if self._listener is not None:
            return self._listener.closed or bool(self._listener.ready)
        if connection is None:
            return True  # a read raises ENOTCONN
        if self._is_opening:
            return False
        return bool(
            self._peeked or connection.readable or self.has_shut_down_reading or self._has_ended(connection)
        )

    def _has_ended(self, connection: Connection) -> bool:
        """Tell whether nothing more can be received."""
        return connection.at_end or connection.state is CLOSED

    @property
    def is_writable(self) -> bool:
        """Whether a call that sends needn't wait, or `connect` has ended."""
        connection = self._connection
        if self.is_closed or self._failure is not None or connection is None or self.has_shut_down_writing:
            return True
        if self._is_opening:
            return False
        if connection.writable or connection.state in (CLOSED, TIME_WAIT):
            return True
        with suppress(TcpError):  # a socket that would raise an error is writable
            # Without room nothing is sent. But only after such a call does the connection report Writable
            connection.send(b"\0", self.owner.now())
            return False
        return True

    def happened(self, event: Event) -> None:
        """Handle an event of the connection or the listener. The pump calls this."""
        if isinstance(event, (Opened, Closed)):
            self._is_opening = False
        self.changed()

    def fail(self, error: OSError) -> None:
        """End the socket, because the network has ended.

        Received data can still be read; all other calls raise ``error``.
        """
        now, has_its_own = self.owner.now(), self._options.has_error()
        if self._listener is not None:
            self._listener.close(now)
        if self._connection is not None and self._connection.state is not CLOSED:
            self._connection.abort(now)
            self._options.claim_error()  # SO_ERROR must not return the abort: its reason is ``error``
        self._is_opening = False
        super().fail(error)
        if has_its_own:  # the connection had ended before, and SO_ERROR returns the reason
            self._error = None

    def link_is_down(self, error: OSError) -> None:
        """End with ``error`` a connection that is being opened; an open connection goes on."""
        connection = self._connection
        if self._is_opening and connection is not None:
            connection.context = None
            connection.abort(self.owner.now())
            self._options.claim_error()  # SO_ERROR must not return the abort: its reason is ``error``
            self._is_opening = False
            self._error = error
            self.changed()

    # Reading and writing

    def _read(self, limit: int, flags: int) -> tuple[bytes, None, int]:
        """Return received data. With MSG_PEEK the data stays, in a buffer of this socket."""
        self.require_open()
        checked_flags(flags, socket.MSG_PEEK)
        connection = self._connection
        if connection is None:
            raise ConnectionDoesNotExist
        if not limit:
            return b"", None, 0
        if flags & socket.MSG_PEEK and len(self._peeked) < limit and connection.readable:
            self._peeked += self._received(connection, limit - len(self._peeked))
        if not self._peeked:
            return self._received(connection, limit), None, 0
        data = self._peeked[:limit]
        if not flags & socket.MSG_PEEK:
            self._peeked = self._peeked[limit:]
        return data, None, 0

    def _received(self, connection: Connection, limit: int) -> bytes:
        """Return received data; ``b""`` at the end of the stream.

        Raises the error that ended the connection, once; after that the stream is at its end.
        """
        if connection.readable:
            data = connection.receive(limit, self.owner.now())
            self.owner.wake()  # the window may have opened
            return data
        if self.has_shut_down_reading or connection.has_peer_ended:
            return b""
        if self._failure is not None or connection.state is CLOSED:
            if (error := self.claim_error()) is not None:
                raise renewed(error)
            return b""
        raise WouldBlock

    def recv_into(self, buffer: object, limit: int = 0, flags: int = 0) -> int:
        """Receive into ``buffer``. Returns how many octets.

        Without flags and a limit the data is copied only once, from the connection's buffer.
        """
        connection = self._connection
        if (
            self.is_closed
            or self._peeked
            or flags
            or limit
            or connection is None
            or not connection.readable
            or not buffer
        ):
            return super().recv_into(buffer, limit, flags)
        # Like the method of a kernel's socket, it raises TypeError for an object without a buffer
        count = connection.receive_into(memoryview(buffer), self.owner.now())  # type: ignore[arg-type]
        self.owner.wake()
        return count

    def _write(self, data: Data, flags: int, remote: Endpoint | None) -> int:
        """Send as much as there is room for. Returns how many octets."""
        self.require_open()
        checked_flags(flags, socket.MSG_OOB)
        connection = self._connection
        if connection is None:
            raise ConnectionClosing("the socket has no connection")  # EPIPE, Linux's error for that
        if self._is_opening:
            raise WouldBlock
        if self._failure is not None or connection.state is CLOSED:
            raise self._why_ended()
        if self.has_shut_down_writing:
            raise ConnectionClosing("", str(connection.remote))
        taken = connection.send(data, self.owner.now(), urgent=bool(flags & socket.MSG_OOB))
        if data and not taken:
            raise WouldBlock
        self.owner.wake()
        return taken

    def _why_ended(self) -> OSError:
        """Return the error that ended the connection, once; after that, an error that nothing can be sent."""
        error = self.claim_error()
        return ConnectionClosing("the connection has ended") if error is None else renewed(error)

    def _named(self, sender: Endpoint | None) -> Any:  # noqa: ANN401 - the type of the base class
        """Return None: a stream has one sender."""
        return None

    def _target(self, name: object) -> Endpoint | None:
        """Return None: a stream ignores the address."""
        return None

    # Ending

    def shutdown(self, how: int) -> None:
        """End reading, writing or both: SHUT_RD, SHUT_WR, SHUT_RDWR. Raises ConnectionDoesNotExist."""
        self.require_open()
        connection = self._connection
        if self._listener is not None and how != socket.SHUT_WR:
            self._note_shutdown(how)
            self._listener.close(self.owner.now())
        elif connection is None or connection.state is CLOSED:
            raise ConnectionDoesNotExist
        else:
            self._note_shutdown(how)
            if self.has_shut_down_writing:
                with suppress(TcpError):  # the FIN was sent already
                    connection.close(self.owner.now())
        self.owner.wake()
        self.changed()

    def close(self) -> None:
        """Close the socket. Data that was written before is still sent. A second call does nothing."""
        if self.is_closed:
            return
        self.is_closed = True
        now = self.owner.now()
        if self._bound is not None:
            self.owner.bindings.release(self._bound)
        if self._listener is not None:
            self._listener.context = None
            self._listener.close(now)
        if self._connection is not None:
            self._let_go(self._connection, now)
        self._peeked = b""
        self.owner.wake()
        self.changed()

    def _let_go(self, connection: Connection, now: int) -> None:
        """Leave the connection to TCP; with SO_LINGER of 0 seconds, reset it."""
        connection.context = None
        if self._options.linger == 0 and connection.state is not CLOSED:
            with suppress(TcpError):
                connection.abort(now)
        connection.release(now)
        if connection.state is not CLOSED:
            self.owner.abandon(connection)
