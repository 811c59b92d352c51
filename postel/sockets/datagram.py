"""UDP sockets that never wait: see `postel.sockets.nonblocking`."""

import socket
from typing import NoReturn

from postel.errors import (
    ArgumentError,
    ConnectionClosing,
    ConnectionDoesNotExist,
    RemoteUnspecified,
    SocketCallInvalid,
    SocketCallUnknown,
    WouldBlock,
    renewed,
)
from postel.host.datagrams import DatagramSocket
from postel.sockets.names import LOOPBACK, Name, endpoint_of, name_of
from postel.sockets.nonblocking import Data, NonBlockingSocket, SocketOwner, as_os_error, checked_flags
from postel.sockets.options import SocketOptions
from postel.tcp.config import Config
from postel.tcp.events import Event, Trouble
from postel.wire.address import Endpoint, is_unspecified


class DatagramCalls(NonBlockingSocket):
    """UDP socket that never waits.

    The socket is new, or has an address of its own, since its first `bind`, `connect` or sent datagram.
    """

    def __init__(
        self, owner: SocketOwner, family: int, config: Config, opened: DatagramSocket | None = None
    ) -> None:
        """Make a new socket. With ``opened``, a UDP socket of the host, the new socket uses that one."""
        super().__init__(
            owner, family, socket.SOCK_DGRAM, SocketOptions(config, family=family, kind=socket.SOCK_DGRAM)
        )
        self._bound: Endpoint | None = None if opened is None else opened.local
        self._socket = opened
        self._next: tuple[bytes, Endpoint] | None = (
            None  # the next datagram, taken from the host to see whether there is one
        )

    def __repr__(self) -> str:
        """Show the addresses."""
        return "<closed UDP socket>" if self.is_closed else f"<UDP socket, {self._socket or 'new'}>"

    @property
    def opened(self) -> DatagramSocket | None:
        """Socket of the host, from `bind`, `connect` or the first datagram on; None before."""
        return self._socket

    # Names and options

    def getsockname(self) -> Name:
        """Return the own address and port; zeros before there are any."""
        self.require_open()
        if self._socket is None or self._bound is None:
            return name_of(self._nowhere, self.family)
        if self._socket.remote is None and is_unspecified(self._bound.address):
            return name_of(Endpoint(self._bound.address, self._socket.local.port), self.family)
        return name_of(self._socket.local, self.family)

    def getpeername(self) -> Name:
        """Return the peer's address and port. Raises ConnectionDoesNotExist without a peer."""
        self.require_open()
        if self._socket is None or self._socket.remote is None:
            raise ConnectionDoesNotExist
        return name_of(self._socket.remote, self.family)

    # Opening

    def bind(self, name: Name) -> None:
        """Bind to an own address and port; port 0 takes a free port.

        Raises AddressInUse and AddressNotAvailable.
        """
        self._require_network()
        wanted = endpoint_of(name, self.family)
        if self._socket is not None:
            raise SocketCallInvalid("the socket has an address already")
        self._open(wanted, None)

    def connect(self, name: Name) -> None:
        """Choose the peer: the socket then sends to the peer and receives from the peer only."""
        self._require_network()
        remote = self._target(name)
        bound = self._bound or self._nowhere
        port = bound.port
        if self._socket is not None:
            port = self._socket.local.port
            self._socket.context = None
            self._socket.close()
        self._error = None
        self._open(Endpoint(bound.address, port), remote)

    def _open(self, wanted: Endpoint, remote: Endpoint | None) -> DatagramSocket:
        """Open a socket of the host."""
        try:
            opened = self.owner.host.datagrams(
                wanted.port, address=self._own_address(wanted.address), remote=remote
            )
        except ArgumentError as error:
            raise as_os_error(error) from error
        opened.context = self
        self._socket, self._bound = opened, wanted
        return opened

    def listen(self, backlog: int = 128) -> None:
        """Raise SocketCallUnknown: UDP has no connections."""
        self._refuse_listening()

    def accept(self) -> NoReturn:
        """Raise SocketCallUnknown: UDP has no connections."""
        self._refuse_listening()

    def _refuse_listening(self) -> NoReturn:
        self.require_open()
        raise SocketCallUnknown

    # Readiness

    @property
    def is_readable(self) -> bool:
        """Whether a datagram, an error or the end can be read."""
        return bool(
            self.is_closed
            or self._failure
            or self._error
            or self.has_shut_down_reading
            or self._has_datagram()
        )

    @property
    def is_writable(self) -> bool:
        """True: a datagram leaves at once or is lost."""
        return True

    def happened(self, event: Event) -> None:
        """Handle an event of the host's socket. The pump calls this."""
        if isinstance(event, Trouble) and self._socket is not None and self._socket.remote is not None:
            self._error = event.error  # Linux reports ICMP errors only to a socket with a peer
        self.changed()

    def link_is_down(self, error: OSError) -> None:
        """Do nothing: datagrams may get lost."""

    def _has_datagram(self) -> bool:
        """Tell whether a datagram has come."""
        if self._next is None and self._socket is not None:
            self._next = self._socket.receive()
        return self._next is not None

    # Reading and writing

    def _read(self, limit: int, flags: int) -> tuple[bytes, Endpoint | None, int]:
        """Return the oldest datagram, its sender, and MSG_TRUNC where it was longer than ``limit``."""
        self.require_open()
        checked_flags(flags, socket.MSG_PEEK | socket.MSG_TRUNC)
        if (error := self.claim_error()) is not None:
            raise renewed(error)
        if not self._has_datagram() or self._next is None:
            self._require_network()
            if self.has_shut_down_reading:
                return b"", None, 0
            raise WouldBlock
        data, sender = self._next
        if not flags & socket.MSG_PEEK:
            self._next = None
        return data[:limit], sender, socket.MSG_TRUNC if len(data) > limit else 0

    def _write(self, data: Data, flags: int, remote: Endpoint | None) -> int:
        """Send one datagram. Returns how many octets."""
        self._require_network()
        checked_flags(flags, 0)
        if self.has_shut_down_writing:
            raise ConnectionClosing("the socket was shut down")
        if (error := self.claim_error()) is not None:
            raise renewed(error)
        if remote is None and (self._socket is None or self._socket.remote is None):
            raise RemoteUnspecified
        sender = self._socket or self._open(self._nowhere, None)
        sender.send(data, self.owner.now(), remote=remote)
        self.owner.wake()
        return len(data)

    def _named(self, sender: Endpoint | None) -> Name | None:
        """Return the sender as the socket module writes it."""
        return None if sender is None else name_of(sender, self.family)

    def _target(self, name: object) -> Endpoint:
        """Return the endpoint that ``name`` stands for. Raises SocketCallInvalid for port 0."""
        remote = endpoint_of(name, self.family)
        if not remote.port:
            raise SocketCallInvalid("no datagram can be sent to port 0")  # EINVAL, Linux's error for that
        return (
            Endpoint(LOOPBACK[len(remote.address)], remote.port) if is_unspecified(remote.address) else remote
        )

    # Ending

    def shutdown(self, how: int) -> None:
        """End reading, writing or both: SHUT_RD, SHUT_WR, SHUT_RDWR.

        Raises ConnectionDoesNotExist without a peer.
        """
        self.require_open()
        if self._socket is None or self._socket.remote is None:
            raise ConnectionDoesNotExist
        self._note_shutdown(how)
        self.changed()

    def close(self) -> None:
        """Close the socket. Datagrams that were sent before still leave. A second call does nothing."""
        if self.is_closed:
            return
        self.is_closed = True
        if self._socket is not None:
            self._socket.context = None
            self._socket.close()
        self._next = None
        self.owner.wake()
        self.changed()
