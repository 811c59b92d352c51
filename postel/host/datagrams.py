"""UDP sockets (RFC 768; RFC 1122, 4.1): boundaries kept, nothing else promised."""

from collections import deque
from typing import Final

from postel.errors import (
    AddressInUse,
    ArgumentError,
    ConnectionDoesNotExist,
    InsufficientResources,
    MessageTooLong,
    RemoteUnspecified,
    TcpError,
)
from postel.host.outbound import Outbound
from postel.host.ports import Ports
from postel.tcp.events import READABLE, TROUBLE_NAME, Event
from postel.wire import ip, udp
from postel.wire.address import Endpoint, is_unspecified
from postel.wire.udp import Datagram

QUEUE_OCTETS: Final = 256 * 1024  # that wait in one socket; each datagram counts for 256 more than its data
_OVERHEAD: Final = 256
LARGEST_4: Final = ip.LARGEST - ip.HEADER_4 - udp.HEADER
LARGEST_6: Final = ip.LARGEST - udp.HEADER

SocketEvent = tuple["DatagramSocket", Event]


class DatagramSocket:
    """Made by `Host.datagrams`. With a ``remote`` it hears of nobody else."""

    __slots__ = ("_queue", "_table", "_waiting", "closed", "context", "local", "remote")

    def __init__(self, local: Endpoint, remote: Endpoint | None, table: "Datagrams") -> None:
        self.local = local
        self.remote = remote
        self.context: object = None
        self.closed = False
        self._table = table
        self._queue: deque[tuple[bytes, Endpoint]] = deque()
        self._waiting = 0

    def send(self, data: bytes | bytearray | memoryview, now: int, remote: Endpoint | None = None) -> None:
        """Queue one datagram for ``remote``, or for the socket's own. It may get lost; errors come as events.

        Raises MessageTooLong, RemoteUnspecified, NetworkUnreachable, InsufficientResources.
        """
        target = remote or self.remote
        if self.closed:
            raise ConnectionDoesNotExist("the socket is closed")
        if target is None:
            raise RemoteUnspecified
        self._table.send(self, bytes(data), target, now)

    def receive(self) -> tuple[bytes, Endpoint] | None:
        """The oldest datagram and its sender; None where none waits."""
        if not self._queue:
            return None
        entry = self._queue.popleft()
        self._waiting -= len(entry[0]) + _OVERHEAD
        return entry

    def close(self) -> None:
        """Nothing more is sent, received or told; datagrams already queued for sending go out."""
        if not self.closed:
            self.closed = True
            self._queue.clear()
            self._table.remove(self)

    def take(self, data: bytes, sender: Endpoint) -> bool:
        """For the host: one datagram arrived. False where the queue is full."""
        cost = len(data) + _OVERHEAD
        if self._queue and self._waiting + cost > QUEUE_OCTETS:
            return False
        self._waiting += cost
        self._queue.append((data, sender))
        if len(self._queue) == 1:
            self._table.tell(self, READABLE)
        return True


class Datagrams:
    """All sockets of a host, found by one look-up for each way to be bound."""

    __slots__ = ("_bound", "_connected", "_outbound", "_ports", "events")

    def __init__(self, outbound: Outbound, ports: Ports) -> None:
        self._outbound = outbound
        self._ports = ports
        self._connected: dict[tuple[Endpoint, Endpoint], DatagramSocket] = {}  # (local, remote)
        self._bound: dict[tuple[bytes, int], DatagramSocket] = {}  # address or b"", port
        self.events: deque[SocketEvent] = deque()

    def __len__(self) -> int:
        return len(self._connected) + len(self._bound)

    def open(self, address: bytes, port: int, remote: Endpoint | None, shown: bytes) -> DatagramSocket:
        """``address`` is b"" for a wildcard, which shows itself as ``shown``; port 0 asks for an ephemeral one. Raises AddressInUse."""
        if port == 0:
            port = self._free_port(address, remote)
        elif not self._is_free(address, port, remote):
            raise AddressInUse(f"UDP port {port} is taken")
        socket = DatagramSocket(Endpoint(address or shown, port), remote, self)
        if remote is None:
            self._bound[address, port] = socket
        else:
            self._connected[socket.local, remote] = socket
        return socket

    def remove(self, socket: DatagramSocket) -> None:
        if socket.remote is not None:
            del self._connected[socket.local, socket.remote]
            return
        port = socket.local.port
        key = (socket.local.address, port) if self._bound.get((socket.local.address, port)) is socket else (b"", port)
        del self._bound[key]

    def find(self, local: Endpoint, remote: Endpoint) -> DatagramSocket | None:
        """Whom a datagram concerns: the exact pair, else who is bound to the address, else who is bound to all."""
        return (
            self._connected.get((local, remote))
            or self._bound.get((local.address, local.port))
            or self._bound.get((bytes(len(local.address)), local.port))
            or self._bound.get((b"", local.port))
        )

    def arrives(self, datagram: Datagram, source: bytes, destination: bytes) -> str:
        """Why the datagram is dropped: "no_port" or "datagram_queue_full"; "" where a socket took it."""
        sender = Endpoint(source, datagram.source)
        socket = self.find(Endpoint(destination, datagram.destination), sender)
        if socket is None:
            return "no_port"
        return "" if socket.take(datagram.data, sender) else "datagram_queue_full"

    def trouble(self, local: Endpoint, remote: Endpoint, error: TcpError) -> bool:
        """RFC 1122, 4.1.3.3: an ICMP error about a datagram goes to who sent it. False where that is nobody."""
        socket = self.find(local, remote)
        if socket is not None:
            self.tell(socket, Event(TROUBLE_NAME, error))
        return socket is not None

    def tell(self, socket: DatagramSocket, event: Event) -> None:
        self.events.append((socket, event))

    def send(self, socket: DatagramSocket, data: bytes, remote: Endpoint, now: int) -> None:
        if not 1 <= remote.port <= 65535:
            raise ArgumentError("port", remote.port, "1 to 65535")
        if len(data) > (LARGEST_4 if len(remote.address) == 4 else LARGEST_6):
            raise MessageTooLong(f"{len(data)} octets don't fit into one datagram")
        source = socket.local.address
        if is_unspecified(source):
            source = self._outbound.routes.source_for(remote.address)
        elif len(source) != len(remote.address):
            raise ArgumentError("remote", str(remote), "an address of the socket's own family")
        payload = udp.encode_for(Datagram(socket.local.port, remote.port, data), source, remote.address)
        if not self._outbound.send(source, remote.address, udp.PROTOCOL, payload, now):
            raise InsufficientResources("too many packets wait to be sent")

    def _free_port(self, address: bytes, remote: Endpoint | None) -> int:
        remote_address, remote_port = remote or Endpoint(b"", 0)
        for port in self._ports.candidates(address, remote_address, remote_port):
            if self._is_free(address, port, remote) and (b"", port) not in self._bound:
                return port
        raise AddressInUse("no UDP port is free")

    def _is_free(self, address: bytes, port: int, remote: Endpoint | None) -> bool:
        if remote is not None:
            return (Endpoint(address, port), remote) not in self._connected
        return (address, port) not in self._bound
