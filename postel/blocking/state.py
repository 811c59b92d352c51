"""What all copies of a socket's descriptor have in common: the socket of the host, and the channel between
the two.
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
    """The sockets of a network by the identity of their descriptors. Methods that say so are for the pump's
    thread.
    """

    def __init__(self, pump: PumpThread) -> None:
        self.pump = pump
        self._known: WeakValueDictionary[int, SocketState] = WeakValueDictionary()

    def find(self, descriptor: int) -> "SocketState | None":
        """The socket that this descriptor, or a copy of it, belongs to."""
        return self._known.get(descriptors.identity(descriptor))

    def new(self, family: int, kind: int) -> "tuple[SocketState, int]":
        """A new socket and its descriptor."""
        calls = (StreamCalls if kind == socket.SOCK_STREAM else DatagramCalls)(
            self.pump, family, self.pump.host.config
        )
        descriptor = descriptors.lone(kind)
        state = SocketState(self, calls)
        self.note(descriptor, state)
        return state, descriptor

    def note(self, descriptor: int, state: "SocketState") -> int:
        """The descriptor is one of this socket: its identity."""
        identity = descriptors.identity(descriptor)
        self._known[identity] = state
        return identity


class SocketState:
    """One socket. ``channel`` is None until there is something to wait for."""

    __slots__ = ("__weakref__", "_all", "calls", "channel")

    def __init__(self, all_of_them: SocketStates, calls: StreamCalls | DatagramCalls) -> None:
        self.calls: StreamCalls | DatagramCalls = calls
        self.channel: StreamChannel | ListenerChannel | DatagramChannel | None = None
        self._all = all_of_them

    # In the pump's thread. What is returned is the program's new descriptor

    def connect(self, name: Name, *, fills: bool) -> tuple[StreamChannel, socket.socket]:
        """Open a connection. With ``fills`` the descriptor isn't writable before that has come to its end."""
        assert isinstance(self.calls, StreamCalls)  # noqa: S101 - the caller has looked
        with suppress(ConnectionBegun):
            self.calls.connect(name)
        return self._stream(self.calls, fills=fills)

    def listen(self, backlog: int) -> socket.socket | None:
        """Listen; None where it does already."""
        assert isinstance(self.calls, StreamCalls)  # noqa: S101 - as above
        self.calls.listen(backlog)
        if isinstance(self.channel, ListenerChannel):
            return None
        ours, theirs = descriptors.stream_pair()
        descriptors.fill(theirs)  # a listening socket is never writable
        self._all.note(theirs.fileno(), self)
        self.channel = ListenerChannel(self._all.pump, self.calls, ours)
        self.channel.holder = self
        return theirs

    def accept(self) -> tuple[socket.socket, Name] | None:
        """A connection's, and its peer; None where none waits."""
        assert isinstance(self.channel, ListenerChannel)  # noqa: S101 - as above
        accepted = self.channel.accept()
        if accepted is None:
            return None
        calls, name = accepted
        # Of the same class
        channel, end = SocketState(self._all, calls)._stream(calls, fills=False)  # noqa: SLF001
        channel.begin()
        return end, name

    def open_datagrams(self) -> socket.socket:
        """Have a channel for datagrams."""
        assert isinstance(self.calls, DatagramCalls)  # noqa: S101 - as above
        ours, theirs = descriptors.message_pair()
        self._all.note(theirs.fileno(), self)
        self.channel = DatagramChannel(self._all.pump, self.calls, ours)
        self.channel.holder = self
        return theirs

    def _stream(self, calls: StreamCalls, *, fills: bool) -> tuple[StreamChannel, socket.socket]:
        ours, theirs = descriptors.stream_pair()
        identity = self._all.note(theirs.fileno(), self)
        self.channel = channel = StreamChannel(
            self._all.pump, calls, ours, identity, descriptors.fill(theirs) if fills else 0
        )
        channel.holder = self
        return channel, theirs

    def closed(self) -> None:
        """A copy of the descriptor was closed. What has a channel hears of the last one's close by itself,
        but not at once.
        """
        if self.channel is not None:
            self.channel.look()
        if self.channel is None or (isinstance(self.channel, StreamChannel) and self.channel.is_broken_off):
            self.calls.close()
