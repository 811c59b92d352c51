"""UDP sockets (RFC 768; RFC 1122, 4.1).

Datagrams keep their boundaries. They may get lost, be doubled, or arrive in another order.
"""

from collections import deque
from collections.abc import Iterator
from typing import Final

from postel.errors import (
    AddressFamilyMismatch,
    AddressInUse,
    ConnectionDoesNotExist,
    InsufficientResources,
    MessageTooLong,
    RemoteUnspecified,
    TcpError,
    require_kind,
    require_number,
)
from postel.host.arguments import require_now, require_octets
from postel.host.eventqueue import EventQueue
from postel.host.outbound import Outbound
from postel.host.pairs import destination_of
from postel.host.ports import Ports, Search
from postel.tcp.events import READABLE, Event, Trouble
from postel.wire import ip, udp
from postel.wire.address import Endpoint, is_unspecified, to_text
from postel.wire.udp import Datagram

QUEUE_OCTETS: Final = 256 * 1024  # most octets that wait in one socket
_OVERHEAD: Final = 256  # octets that count for each waiting datagram in addition to its data
LARGEST_4: Final = ip.LARGEST - ip.HEADER_4 - udp.HEADER
LARGEST_6: Final = ip.LARGEST - udp.HEADER


class DatagramSocket:
    """A UDP socket. `Host.datagrams` makes it.

    Events: Readable when datagrams arrive in an empty queue, Trouble after an ICMP error about a sent
    datagram.

    It has these attributes:
        local: the own endpoint; a wildcard address shows as ``0.0.0.0`` or ``::``.
        remote: the only endpoint from which the socket receives, or None.
        closed: whether `close` was called.
        context: for the program, which may store any object here.
    """

    __slots__ = ("_queue", "_table", "_waiting", "closed", "context", "local", "remote")

    def __init__(self, local: Endpoint, remote: Endpoint | None, table: "Datagrams") -> None:
        """Make a socket of this table; `Host.datagrams` does so."""
        self.local: Endpoint = local
        self.remote: Endpoint | None = remote
        self.context: object = None
        self.closed: bool = False
        self._table = table
        self._queue: deque[tuple[bytes, Endpoint]] = deque()
        self._waiting = 0

    def __repr__(self) -> str:
        """Short text, such as ``<datagram socket 10.0.0.1:53>``."""
        to = "" if self.remote is None else f" to {self.remote}"
        return f"<datagram socket {self.local}{to}{', closed' if self.closed else ''}>"

    def send(self, data: bytes | bytearray | memoryview, now: int, *, remote: Endpoint | None = None) -> None:
        """Queue one datagram for ``remote``, or for the socket's own remote endpoint.

        ``data`` are at most 65507 octets over IPv4, 65527 over IPv6. A datagram larger than the path's MTU is
        sent in fragments. ``now`` is the time in microseconds. Later errors come as Trouble events.

        Raises ArgumentError; ConnectionDoesNotExist where the socket is closed; RemoteUnspecified where there
        is no remote endpoint; MessageTooLong; InsufficientResources where 1024 packets wait to be sent;
        NetworkUnreachable where no own address reaches the remote, or packets to it must not leave a host;
        AddressFamilyMismatch where the socket is bound to an address of the other IP version;
        AddressNotAvailable where that address isn't the host's any more.
        """
        require_now(now)
        require_octets("data", data)
        target = remote or self.remote
        if self.closed:
            raise ConnectionDoesNotExist("the socket is closed")
        if target is None:
            raise RemoteUnspecified
        self._table.send(self, bytes(data), target, now)

    def receive(self) -> tuple[bytes, Endpoint] | None:
        """Remove and return the oldest datagram and its sender; None where none waits."""
        if not self._queue:
            return None
        entry = self._queue.popleft()
        self._waiting -= len(entry[0]) + _OVERHEAD
        return entry

    def close(self) -> None:
        """Close the socket: nothing more is sent or received, and no event follows.

        Datagrams that `send` has queued still go out.
        """
        if not self.closed:
            self.closed = True
            self._queue.clear()
            self._table.remove(self)

    def enqueue(self, data: bytes, sender: Endpoint) -> bool:
        """Add a datagram that has arrived. The host calls it. Returns False where the queue is full."""
        cost = len(data) + _OVERHEAD
        if self._queue and self._waiting + cost > QUEUE_OCTETS:
            return False
        self._waiting += cost
        self._queue.append((data, sender))
        if len(self._queue) == 1:
            self._table.tell(self, READABLE)
        return True


class Datagrams:
    """All UDP sockets of a host.

    Sockets with a remote endpoint are in one table, sockets that are only bound in another. So a datagram
    needs four look-ups at most.
    """

    __slots__ = ("_bound", "_connected", "_outbound", "_ports", "_uses", "events")

    def __init__(self, outbound: Outbound, ports: Ports) -> None:
        """Make empty tables."""
        self._outbound = outbound
        self._ports = ports
        self._connected: dict[tuple[Endpoint, Endpoint], DatagramSocket] = {}  # (local, remote)
        self._bound: dict[tuple[bytes, int], DatagramSocket] = {}  # (address or b"", port)
        self._uses: dict[int, int] = {}  # number of sockets without a remote endpoint at each port
        self.events: EventQueue[DatagramSocket] = EventQueue()

    def __len__(self) -> int:
        """Number of sockets."""
        return len(self._connected) + len(self._bound)

    def open(self, address: bytes, port: int, remote: Endpoint | None, shown: bytes) -> DatagramSocket:
        """Make a socket.

        ``address`` is b"" for all addresses, shown as ``shown``; port 0 takes an ephemeral one.

        Raises AddressInUse.
        """
        if port == 0:
            port = self._free_port(address, remote)
        elif not self._is_free(address, port, remote):
            raise AddressInUse(f"UDP port {port} is taken")
        socket = DatagramSocket(Endpoint(address or shown, port), remote, self)
        if remote is None:
            self._bound[address, port] = socket
            self._uses[port] = self._uses.get(port, 0) + 1
        else:
            self._connected[socket.local, remote] = socket
        return socket

    def remove(self, socket: DatagramSocket) -> None:
        """Forget a socket that was closed, and free its port."""
        address, port = socket.local.address, socket.local.port
        if socket.remote is not None:
            del self._connected[socket.local, socket.remote]
            self._ports.free(_destination(address, socket.remote), port)
            return
        del self._bound[self._binding(socket), port]
        self._uses[port] -= 1
        if self._uses[port] == 0:
            del self._uses[port]
            self._ports.free_everywhere(port)

    def find(self, local: Endpoint, remote: Endpoint) -> DatagramSocket | None:
        """Socket for a datagram.

        The result is the socket with the exact pair, else the socket bound to the address, else the socket
        bound to all addresses.
        """
        return (
            self._connected.get((local, remote))
            or self._bound.get((local.address, local.port))
            or self._bound.get((bytes(len(local.address)), local.port))
            or self._bound.get((b"", local.port))
        )

    def arrives(self, datagram: Datagram, source: bytes, destination: bytes) -> str:
        """Give a datagram to its socket.

        Returns why it is dropped, "no_port" or "datagram_queue_full"; "" where a socket took it.
        """
        sender = Endpoint(source, datagram.source)
        socket = self.find(Endpoint(destination, datagram.destination), sender)
        if socket is None:
            return "no_port"
        return "" if socket.enqueue(datagram.data, sender) else "datagram_queue_full"

    def trouble(self, local: Endpoint, remote: Endpoint, error: TcpError) -> bool:
        """Queue a Trouble event for the socket that sent the datagram of an ICMP error (RFC 1122, 4.1.3.3).

        Returns False if no such socket exists.
        """
        socket = self.find(local, remote)
        if socket is not None:
            self.tell(socket, Trouble(error.about(str(remote))))
        return socket is not None

    def tell(self, socket: DatagramSocket, event: Event) -> None:
        """Queue an event of a socket."""
        self.events.put(socket, event)

    def send(self, socket: DatagramSocket, data: bytes, remote: Endpoint, now: int) -> None:
        """Send a datagram from a socket; `DatagramSocket.send` says what it raises."""
        source = self.source_to(remote, self._binding(socket))
        if len(data) > (LARGEST_4 if len(remote.address) == 4 else LARGEST_6):
            raise MessageTooLong(f"{len(data)} octets don't fit into one datagram")
        payload = udp.encode_for(Datagram(socket.local.port, remote.port, data), source, remote.address)
        if not self._outbound.send(source, remote.address, udp.PROTOCOL, payload, now):
            raise InsufficientResources("too many packets wait to be sent")

    def source_to(self, remote: Endpoint, address: bytes) -> bytes:
        """Source address for datagrams to ``remote`` from a socket bound to ``address``, b"" for any.

        `DatagramSocket.send` says what it raises.
        """
        routes = self._outbound.routes
        _require_endpoint(remote)
        if address and len(address) != len(remote.address):  # the socket couldn't receive the answer
            allowed = f"an address of the family of {to_text(address)}, to which the socket is bound"
            raise AddressFamilyMismatch(f"remote is {remote}; allowed: {allowed}", "", remote, allowed)
        routes.require_destination(remote.address)
        if not address or is_unspecified(address):
            return routes.source_for(remote.address)
        routes.require_own(address)  # `Host.remove_address` may have removed the address
        routes.require_source(address, remote.address)
        return address

    def _binding(self, socket: DatagramSocket) -> bytes:
        """Address to which a socket is bound; b"" for all addresses of both IP versions."""
        return b"" if self._bound.get((b"", socket.local.port)) is socket else socket.local.address

    def is_taken(self, port: int) -> bool:
        """Whether a socket without a remote endpoint has this port, at any address."""
        return port in self._uses

    def is_connected(self, local: Endpoint, remote: Endpoint) -> bool:
        """Whether a socket has this pair of endpoints."""
        return (local, remote) in self._connected

    def ports_to(self, address: bytes, remote: Endpoint | None) -> Iterator[int]:
        """Iterate over the ports in use from ``address`` to ``remote``."""
        yield from self._uses
        if remote is not None:
            for local, other in self._connected:
                if other == remote and local.address == address:
                    yield local.port

    def _free_port(self, address: bytes, remote: Endpoint | None) -> int:
        port = self._ports.find(_SocketSearch(self, address, remote))
        if port == 0:
            raise AddressInUse("no UDP port is free")
        return port

    def _is_free(self, address: bytes, port: int, remote: Endpoint | None) -> bool:
        if remote is not None:
            return (Endpoint(address, port), remote) not in self._connected
        return (address, port) not in self._bound


class _SocketSearch(Search):
    """Search for a socket's ephemeral port (`Ports.find`)."""

    __slots__ = ("_datagrams", "_remote")

    def __init__(self, datagrams: Datagrams, address: bytes, remote: Endpoint | None) -> None:
        """Describe a search for a free port at ``address`` (b"" for all), with this remote endpoint."""
        remote_address, remote_port = remote or Endpoint(b"", 0)
        super().__init__(_destination(address, remote), address, remote_address, remote_port)
        self._datagrams = datagrams
        self._remote = remote

    def is_free(self, port: int) -> bool:
        """Whether the socket may have this port."""
        if self._datagrams.is_taken(port):
            return False
        if self._remote is None:
            return True
        local = Endpoint(self.local_address, port)
        is_itself = local == self._remote  # such a socket would receive its own datagrams
        return not is_itself and not self._datagrams.is_connected(local, self._remote)

    def taken(self) -> Iterator[int]:
        """Iterate over the ports in use to the same remote endpoint."""
        return self._datagrams.ports_to(self.local_address, self._remote)


def _require_endpoint(remote: Endpoint) -> None:
    """Raise ArgumentError unless ``remote`` is an endpoint to which a datagram may go."""
    require_kind("remote", remote, Endpoint, "an Endpoint, as Endpoint.parse gives it")
    # Checked as items of a tuple: compiled code would refuse a wrong ``remote.address`` without naming it
    parts: tuple[object, ...] = remote
    require_kind("remote's address", parts[0], bytes, "4 or 16 octets")
    to_text(remote.address)  # raises ArgumentError unless the address has 4 or 16 octets
    require_number("port", parts[1], 1, 65535, "1 to 65535")


def _destination(address: bytes, remote: Endpoint | None) -> bytes:
    """Name of a destination for `Ports`. All sockets without a remote endpoint share one."""
    return b"datagrams" if remote is None else b"datagrams" + destination_of(address, remote)
