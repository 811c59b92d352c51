"""TCP's sockets, as `postel.sockets.nonblocking` has them."""

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
    """A new socket, a listening one, or one with a connection, which is being opened, open, or over."""

    def __init__(
        self,
        owner: SocketOwner,
        family: int,
        config: Config,
        connection: Connection | None = None,
        listener: Listener | None = None,
    ) -> None:
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
        if self.is_closed:
            return "<closed TCP socket>"
        return f"<TCP socket, {self._connection or self._listener or self._bound or 'new'}>"

    @property
    def connection(self) -> Connection | None:
        """Its connection, where `connect` or `accept` has made one."""
        return self._connection

    @property
    def listener(self) -> Listener | None:
        """Its listener, from `listen` on."""
        return self._listener

    # Names and options

    def getsockname(self) -> Name:
        self.require_open()
        if self._connection is not None:
            return name_of(self._connection.local, self.family)
        return name_of(self._bound or self._nowhere, self.family)

    def getpeername(self) -> Name:
        self.require_open()
        connection = self._connection
        if connection is None or self._is_opening or connection.state is CLOSED:
            raise ConnectionDoesNotExist
        return name_of(connection.remote, self.family)

    def claim_error(self) -> OSError | None:
        return super().claim_error() or self._options.claim_error()

    # Opening

    def bind(self, name: Name) -> None:
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
        now, config = self.owner.now(), self._options.config
        address = self._own_address(bound.address)
        listener = self.owner.host.listen(bound.port, now, address=address, backlog=backlog, config=config)
        self.owner.bindings.listens(bound)
        listener.context = self
        self._options.listener = listener
        self.has_shut_down_reading = False
        return listener

    def accept(self) -> "tuple[StreamCalls, Name]":
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
        """Raise where the connection stands, or its end wasn't told yet: after that another may be opened."""
        if connection.state not in (CLOSED, TIME_WAIT):
            raise ConnectionAlreadyExists("", str(connection.remote))
        error = self.claim_error()
        if error is not None:
            raise renewed(error)

    def _open(self, remote: Endpoint) -> None:
        if is_unspecified(remote.address):  # as Linux has it: the host itself
            remote = Endpoint(LOOPBACK[len(remote.address)], remote.port)
        if not remote.port:
            raise ConnectionRefused("nothing is at port 0", f"connect to {remote}")
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
        connection = self._connection
        if self.is_closed or self._failure is not None:
            return True
        if self._listener is not None:
            return self._listener.closed or bool(self._listener.ready)
        if connection is None:
            return True  # it raises ENOTCONN
        if self._is_opening:
            return False
        return bool(
            self._peeked or connection.readable or self.has_shut_down_reading or self._has_ended(connection)
        )

    def _has_ended(self, connection: Connection) -> bool:
        return connection.at_end or connection.state is CLOSED

    @property
    def is_writable(self) -> bool:
        connection = self._connection
        if self.is_closed or self._failure is not None or connection is None or self.has_shut_down_writing:
            return True
        if self._is_opening:
            return False
        if connection.writable or connection.state in (CLOSED, TIME_WAIT):
            return True
        with suppress(TcpError):  # what would raise is writable
            connection.send(
                b"\0", self.owner.now()
            )  # there is no room: it takes nothing, and Writable tells of room
            return False
        return True

    def happened(self, event: Event) -> None:
        if isinstance(event, (Opened, Closed)):
            self._is_opening = False
        self.changed()

    def fail(self, error: OSError) -> None:
        now, has_its_own = self.owner.now(), self._options.has_error()
        if self._listener is not None:
            self._listener.close(now)
        if self._connection is not None and self._connection.state is not CLOSED:
            self._connection.abort(now)
            self._options.claim_error()  # that it was aborted
        self._is_opening = False
        super().fail(error)
        if has_its_own:  # a connection that ended before tells of that
            self._error = None

    def link_is_down(self, error: OSError) -> None:
        connection = self._connection
        if self._is_opening and connection is not None:
            connection.context = None
            connection.abort(self.owner.now())
            self._options.claim_error()  # that it was aborted
            self._is_opening = False
            self._error = error
            self.changed()

    # Reading and writing

    def _read(self, limit: int, flags: int) -> tuple[bytes, None, int]:
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
        """b"" is the end of the stream. Raises what ended the connection, once; then it is at its end too."""
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
        """As of every socket; octets go straight into ``buffer``."""
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
        count = connection.receive_into(memoryview(buffer), self.owner.now())  # type: ignore[arg-type]
        self.owner.wake()
        return count

    def _write(self, data: Data, flags: int, remote: Endpoint | None) -> int:
        self.require_open()
        checked_flags(flags, socket.MSG_OOB)
        connection = self._connection
        if connection is None:
            raise ConnectionClosing("the socket has no connection")  # EPIPE, as Linux has it
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
        """What ended the connection is told once, and then that nothing can be sent."""
        error = self.claim_error()
        return ConnectionClosing("the connection is over") if error is None else renewed(error)

    def _named(self, sender: Endpoint | None) -> Any:  # noqa: ANN401
        return None

    def _target(self, name: object) -> Endpoint | None:
        return None  # a connected stream has one

    # Ending

    def shutdown(self, how: int) -> None:
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
                with suppress(TcpError):  # its end was sent already
                    connection.close(self.owner.now())
        self.owner.wake()
        self.changed()

    def close(self) -> None:
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
        connection.context = None
        if self._options.linger == 0 and connection.state is not CLOSED:
            with suppress(TcpError):
                connection.abort(now)
        connection.release(now)
        if connection.state is not CLOSED:
            self.owner.abandon(connection)
