"""State of a socket, which all copies of its descriptor share.

The state is the host's socket, and the channel between that socket and the descriptor.
"""

import socket
from contextlib import suppress
from weakref import WeakValueDictionary

from postel.blocking import descriptors
from postel.blocking.datagrams import DatagramChannel
from postel.blocking.pump import PumpThread
from postel.blocking.streams import ListenerChannel, StreamChannel
from postel.errors import ConnectionBegun
from postel.sockets.datagram import DatagramCalls
from postel.sockets.names import Name
from postel.sockets.stream import StreamCalls


class SocketStates:
    """Sockets of a network, by the identity of their descriptors."""

    def __init__(self, pump: PumpThread) -> None:
        """Start without sockets, on the network of ``pump``."""
        self.pump = pump
        self._known: WeakValueDictionary[int, SocketState] = WeakValueDictionary()

    def find(self, descriptor: int) -> "SocketState | None":
        """Return the socket to which this descriptor, or one that it copies, belongs; None for no socket."""
        return self._known.get(descriptors.identity(descriptor))

    def new(self, family: int, kind: int) -> "tuple[SocketState, int]":
        """Make a socket. Returns its state and its descriptor."""
        calls = (StreamCalls if kind == socket.SOCK_STREAM else DatagramCalls)(
            self.pump, family, self.pump.host.config
        )
        descriptor = descriptors.lone(kind)
        state = SocketState(self, calls)
        self.note(descriptor, state)
        return state, descriptor

    def note(self, descriptor: int, state: "SocketState") -> int:
        """Note that the descriptor belongs to the socket ``state``. Returns the descriptor's identity."""
        identity = descriptors.identity(descriptor)
        self._known[identity] = state
        return identity


class SocketState:
    """One socket. ``calls`` is its socket in the host; ``channel`` is None until it is connected or listens.

    The methods are for the pump's thread. Some return a socket of the system: it is the program's end of a
    new pair, and takes the place of the program's descriptor.
    """

    __slots__ = ("__weakref__", "_all", "calls", "channel")

    def __init__(self, all_of_them: SocketStates, calls: StreamCalls | DatagramCalls) -> None:
        """Keep the socket ``calls`` of the host."""
        self.calls: StreamCalls | DatagramCalls = calls
        self.channel: StreamChannel | ListenerChannel | DatagramChannel | None = None
        self._all = all_of_them

    def connect(self, name: Name, *, fills: bool) -> tuple[StreamChannel, socket.socket]:
        """Open a connection. With ``fills`` the descriptor isn't writable until that opens or fails."""
        assert isinstance(self.calls, StreamCalls)  # noqa: S101 - the caller has checked it
        with suppress(ConnectionBegun):
            self.calls.connect(name)
        return self._stream(self.calls, fills=fills)

    def listen(self, backlog: int) -> socket.socket | None:
        """Begin to listen. Returns None if the socket listens already."""
        assert isinstance(self.calls, StreamCalls)  # noqa: S101 - as above
        self.calls.listen(backlog)
        if isinstance(self.channel, ListenerChannel):
            return None
        ours, theirs = descriptors.stream_pair()
        descriptors.fill(theirs)  # a listening socket is never writable, so neither is its descriptor
        self._all.note(theirs.fileno(), self)
        self.channel = ListenerChannel(self._all.pump, self.calls, ours)
        self.channel.holder = self
        return theirs

    def accept(self) -> tuple[socket.socket, Name] | None:
        """Accept a connection.

        Returns the program's end of the connection's pair, and the peer's name; None if no connection waits.
        """
        assert isinstance(self.channel, ListenerChannel)  # noqa: S101 - as above
        accepted = self.channel.accept()
        if accepted is None:
            return None
        calls, name = accepted
        channel, end = SocketState(self._all, calls)._stream(calls, fills=False)  # noqa: SLF001 - own class
        channel.begin()
        return end, name

    def open_datagrams(self) -> socket.socket:
        """Make a channel for datagrams."""
        assert isinstance(self.calls, DatagramCalls)  # noqa: S101 - as above
        ours, theirs = descriptors.message_pair()
        self._all.note(theirs.fileno(), self)
        self.channel = DatagramChannel(self._all.pump, self.calls, ours)
        self.channel.holder = self
        return theirs

    def _stream(self, calls: StreamCalls, *, fills: bool) -> tuple[StreamChannel, socket.socket]:
        """Make a channel for a connection."""
        ours, theirs = descriptors.stream_pair()
        identity = self._all.note(theirs.fileno(), self)
        self.channel = channel = StreamChannel(
            self._all.pump, calls, ours, identity, descriptors.fill(theirs) if fills else 0
        )
        channel.holder = self
        return channel, theirs

    def closed(self) -> None:
        """End the socket, after a copy of its descriptor was closed, if nothing can use the socket any more.

        The channel would also learn that the last copy was closed, but not at once.
        """
        if self.channel is not None:
            self.channel.look()
        if self.channel is None or (isinstance(self.channel, StreamChannel) and self.channel.is_broken_off):
            self.calls.close()
