"""Sockets that can be used wherever `socket.socket` can, each with a socket of Postel's host behind it.

Theory of operation
-------------------

A `DescriptorSocket` is a real `socket.socket`. Its descriptor is one end of a socket pair of the system, and
the network's pump has the other end (`postel.blocking.pump`). So most calls on data are the system's own, and
take no lock of Postel: ``recv``, ``sendall``, `select.select`, timeouts, ``makefile``, TLS.

- *Opening* and *options* are calls in the pump's thread: `_call`. They change the host's socket, and may put
  another socket pair behind the same descriptor number (`descriptors.replace`).
- *The outcome of connect*: the channel sets ``settled``. With a timeout of 0, the descriptor is filled until
  then, so that ``poll`` doesn't report it as writable.
- *Errors* are raised once. The system has only ECONNRESET for a closed pair, so the channel keeps the real
  error, and the call that finds the stream at its end raises it.
- *Datagrams* are messages with the sender in front, which `recvfrom` splits off.
- *Copies* of a descriptor, by ``dup`` or ``fileno=``, share one `SocketState`, which is found by the identity
  of the descriptor.

If ``_state`` is None, the socket is one of the machine's, and each method calls that of `socket.socket`.
"""

import errno
import socket
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, ClassVar, Final, Protocol, TypeVar

from postel.blocking import descriptors, tls
from postel.blocking.datagrams import HEADER, DatagramChannel, sender_in
from postel.blocking.descriptors import MachineSocket
from postel.blocking.state import SocketState, SocketStates
from postel.blocking.streams import ListenerChannel, StreamChannel
from postel.errors import (
    CallError,
    ConnectionBegun,
    ConnectionClosing,
    ConnectionDoesNotExist,
    SocketCallInvalid,
    SocketCallUnknown,
    SocketClosed,
    SocketKindUnknown,
    renewed,
)
from postel.sockets.names import Name
from postel.sockets.nonblocking import Data, known_family
from postel.sockets.options import LINGER, Value
from postel.sockets.stream import StreamCalls
from postel.tcp.state import CLOSED, TIME_WAIT

T = TypeVar("T")
_MESSAGE_OOB: Final = socket.MSG_OOB
_PROTOCOLS: Final = {socket.SOCK_STREAM: socket.IPPROTO_TCP, socket.SOCK_DGRAM: socket.IPPROTO_UDP}


class SocketsNetwork(Protocol):
    """Network of sockets with a descriptor."""

    @property
    def states(self) -> SocketStates:
        """Sockets of the network. Raises the reason if the network has ended."""

    def named(self, address: Any, family: int) -> Name:
        """Return ``address`` with a name in it replaced by an address. Raises NotResolved."""


class DescriptorSocket(socket.socket):
    """Socket of a network, usable wherever `socket.socket` is: `BlockingNetwork.socket` is such a class.

    Its descriptor is one end of a socket pair of the system. The system implements data, blocking, timeouts
    and readiness; Postel implements addresses, options, opening and ending. Methods are those of
    `socket.socket`, with the same arguments; errors are OSErrors with Linux's numbers. ``family`` is AF_INET
    or AF_INET6, ``type`` is SOCK_STREAM or SOCK_DGRAM. Raises SocketKindUnknown, an OSError, for other kinds.

    ``network`` is the network that all sockets of the class use. If ``allows_machine`` is True, sockets of
    other families are the machine's.
    """

    network: ClassVar[SocketsNetwork]
    # Whether the machine provides sockets of other families, and sockets for foreign descriptors
    allows_machine: ClassVar[bool] = False
    _state: SocketState | None

    def __init__(self, family: int = -1, type: int = -1, proto: int = -1, fileno: int | None = None) -> None:
        """Make a socket; with ``fileno``, another object for a descriptor of the network."""
        is_blocking = type == -1 or not type & getattr(socket, "SOCK_NONBLOCK", 0)
        if fileno is not None:
            self._state = self._found(fileno)
        elif self.allows_machine and family not in (-1, socket.AF_INET, socket.AF_INET6):
            self._state = None
        else:
            known, kind = known_family(
                socket.AF_INET if family == -1 else family, socket.SOCK_STREAM if type == -1 else type
            )
            if proto not in (-1, 0, _PROTOCOLS[kind]):
                raise SocketKindUnknown(
                    f"protocol {proto} is not known here; allowed: 0, {_PROTOCOLS[kind]:d}"
                )
            self._state, fileno = self.network.states.new(known, kind)
        if self._state is None:
            super().__init__(family, type, proto, fileno)
            return
        calls = self._state.calls
        super().__init__(calls.family, calls.type, max(0, proto), fileno)
        if not is_blocking:
            self.setblocking(False)  # noqa: FBT003 - the method's only argument

    def _found(self, descriptor: int) -> SocketState | None:
        """Return the state of a descriptor; None if it is the machine's. Raises SocketKindUnknown."""
        with suppress(OSError):  # the network has ended, so that none of its descriptors is left
            state = self.network.states.find(descriptor)
            if state is not None or self.allows_machine:
                return state
        if self.allows_machine:
            return None
        raise SocketKindUnknown(
            f"descriptor {descriptor} is not of this network; allowed: none, or one of its sockets"
        )

    # Names and options

    def getsockname(self) -> Any:
        """Return the own address and port; zeros before `bind` and `connect`."""
        if self._state is None:
            return super().getsockname()
        self._require_open()
        return self._state.calls.getsockname()

    def getpeername(self) -> Any:
        """Return the peer's address and port. Raises ConnectionDoesNotExist."""
        if self._state is None:
            return super().getpeername()
        state = self._state
        self._require_open()
        if isinstance(state.channel, StreamChannel) and not state.channel.settled.is_set():
            raise ConnectionDoesNotExist
        return state.calls.getpeername()

    def getsockopt(self, level: int, optname: int, buflen: int = 0) -> Any:
        """Return the value of an option: an int, or with ``buflen`` octets.

        Raises OptionUnknown, OptionInvalid.
        """
        if self._state is None:
            return (
                super().getsockopt(level, optname, buflen) if buflen else super().getsockopt(level, optname)
            )
        state = self._state
        self._require_open()
        if (level, optname) == (socket.SOL_SOCKET, socket.SO_ERROR):
            super().getsockopt(level, optname)  # clears the error that the system has for the socket pair
            error = self._claim_error()
            return 0 if error is None else error.errno
        return self._configure(state.calls.getsockopt, level, optname, buflen)

    def setsockopt(self, level: int, optname: int, value: Any, optlen: int | None = None) -> None:
        """Set an option. Raises OptionUnknown, OptionInvalid and ConnectionAlreadyExists."""
        if self._state is None:
            given = (value,) if optlen is None else (value, optlen)
            super().setsockopt(level, optname, *given)
            return
        checked: Value | None = value
        self._require_open()
        self._configure(self._state.calls.setsockopt, level, optname, checked, optlen)

    # Opening

    def bind(self, address: Any) -> None:
        """Take an own address and port; port 0 takes a free one. Raises AddressInUse, AddressNotAvailable."""
        if self._state is None:
            super().bind(address)
            return
        state = self._state
        self._require_open()
        name = self.network.named(address, self.family)
        self._have_datagrams(state)
        self._call(state.calls.bind, name)

    def listen(self, backlog: int = min(socket.SOMAXCONN, 128)) -> None:
        """Accept connections; up to ``backlog`` of them may wait for `accept`."""
        if self._state is None:
            super().listen(backlog)
            return
        state = self._state
        self._require_open()
        if not isinstance(state.calls, StreamCalls):
            raise SocketCallUnknown
        # Linux, too, accepts one connection more than ``backlog``
        end = self._call(state.listen, max(0, backlog) + 1)
        if end is not None:
            descriptors.replace(self.fileno(), end)

    def accept(self) -> tuple[socket.socket, Any]:
        """Return a new socket for the connection that has waited longest, and the peer's address.

        If no connection waits, the call waits as long as the timeout allows. Raises SocketCallInvalid if the
        socket doesn't listen.
        """
        state = self._state
        if state is None:
            return super().accept()
        self._require_open()
        accepted: tuple[socket.socket, Name] | None = None
        while accepted is None:
            self._wait_for_connection(state)
            accepted = self._call(state.accept)
        end, peer = accepted
        made = self._plain()(self.family, self.type, self.proto, end.detach())
        if socket.getdefaulttimeout() is None and self.gettimeout():
            made.setblocking(True)  # noqa: FBT003 - the method's only argument
        return made, peer

    def _wait_for_connection(self, state: SocketState) -> None:
        """Wait for a connection, as long as the socket's timeout allows."""
        channel = state.channel
        if not isinstance(channel, ListenerChannel):
            raise SocketCallInvalid("the socket doesn't listen")
        octet = b""
        with suppress(ConnectionResetError):  # the pump's end is closed
            octet = MachineSocket.recv(self, 1)
        if not octet:
            raise (
                SocketCallInvalid("the socket doesn't listen any more")
                if channel.error is None
                else renewed(channel.error)
            )

    @classmethod
    def _plain(cls) -> "type[DescriptorSocket]":
        """Return the network's own socket class, a base of the classes that TLS and the program make."""
        return next(kind for kind in cls.__mro__ if "network" in vars(kind))

    def connect(self, address: Any) -> None:
        """Open a connection, and wait as long as the timeout allows. Of a UDP socket, set the peer instead.

        Raises ConnectionBegun if the timeout is 0, and the reason if there is no connection.
        """
        if self._state is None:
            super().connect(address)
            return
        state = self._state
        self._require_open()
        name = self.network.named(address, self.family)
        if isinstance(state.calls, StreamCalls):
            self._connect(state, name)
        else:
            self._have_datagrams(state)
            self._call(state.calls.connect, name)

    def connect_ex(self, address: Any) -> int:
        """Connect as `connect` does, but return the number of the error, or 0."""
        if self._state is None:
            return super().connect_ex(address)
        try:
            self.connect(address)
        except TimeoutError as error:
            return error.errno or errno.EAGAIN  # what `socket.connect_ex` returns after the timeout
        except socket.gaierror:
            raise
        except OSError as error:
            return error.errno or 0
        return 0

    def _connect(self, state: SocketState, name: Name) -> None:
        """Open a connection, unless this call has to return the outcome of an earlier one."""
        if (
            isinstance(state.channel, StreamChannel)
            and state.channel.settled.is_set()
            and self._answers(state.channel)
        ):
            return
        timeout = self.gettimeout()
        channel, end = self._call(state.connect, name, fills=timeout == 0)
        descriptors.replace(self.fileno(), end)
        channel.descriptor = self.fileno()
        # On Linux a second `connect` of a non-blocking socket returns the outcome of the first. A socket with
        # a timeout is a non-blocking one to the system
        channel.awaits_answer = timeout is not None
        if timeout == 0:
            raise ConnectionBegun
        if not channel.settled.wait(timeout):
            raise TimeoutError("timed out")  # the text of the module socket, which has no error number
        if (error := channel.claim_error()) is not None:
            raise error

    def _answers(self, channel: StreamChannel) -> bool:
        """Tell whether this `connect` has to return the outcome of an earlier one.

        Raises the error of the earlier one, if that has failed.
        """
        is_answer, channel.awaits_answer = channel.awaits_answer, False
        if (error := channel.claim_error()) is not None:
            raise error
        return is_answer and not channel.is_broken_off

    # Reading. For a stream, the system's own calls do the work. Whatever ended the connection, they report
    # ECONNRESET or an orderly end

    def recv(self, bufsize: int, flags: int = 0) -> bytes:
        """Return up to ``bufsize`` octets, or one datagram; ``b""`` at the end of a stream.

        Raises the error that ended the connection, once all data before it was read.
        """
        state = self._state
        if state is None:
            return super().recv(bufsize, flags)
        if not isinstance(state.channel, StreamChannel):
            if isinstance(state.channel, DatagramChannel):
                return self._datagram(bufsize, flags)[0]
            self._require_connection(state)
        try:
            octets = super().recv(bufsize, flags)
        except ConnectionResetError as error:
            octets = self._end_of_stream(error)
        if not octets and bufsize:
            self._tell_error()
        return octets

    def recv_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> int:
        """Receive into ``buffer`` as `recv` does. Returns the number of octets."""
        state = self._state
        if state is None:
            return super().recv_into(buffer, nbytes, flags)
        if not isinstance(state.channel, StreamChannel):
            if isinstance(state.channel, DatagramChannel):
                return self.recvfrom_into(buffer, nbytes, flags)[0]
            self._require_connection(state)
        try:
            count = super().recv_into(buffer, nbytes, flags)
        except ConnectionResetError as error:
            count = len(self._end_of_stream(error))
        if not count:
            self._tell_error()
        return count

    def recvfrom(self, bufsize: int, flags: int = 0) -> tuple[bytes, Any]:
        """Receive as `recv` does. Returns the octets and their sender, which is None for a stream."""
        if self._state is None:
            return super().recvfrom(bufsize, flags)
        if isinstance(self._state.channel, DatagramChannel):
            data, _, sender = self._datagram(bufsize, flags)
            return data, sender
        return self.recv(bufsize, flags), None

    def recvfrom_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> tuple[int, Any]:
        """Receive into ``buffer`` as `recv` does. Returns the number of octets, and their sender."""
        if self._state is None:
            return super().recvfrom_into(buffer, nbytes, flags)
        if not isinstance(self._state.channel, DatagramChannel):
            return self.recv_into(buffer, nbytes, flags), None
        room = memoryview(buffer).cast("B")
        count, _, sender = self._datagram_into([room[:nbytes] if nbytes else room], flags)
        return count, sender

    def recvmsg(
        self, bufsize: int, ancbufsize: int = 0, flags: int = 0
    ) -> tuple[bytes, list[tuple[int, int, bytes]], int, Any]:
        """Receive as `recvfrom` does, with no ancillary data.

        The flag MSG_TRUNC in the result says that a datagram was longer than ``bufsize``.
        """
        if self._state is None:
            return super().recvmsg(bufsize, ancbufsize, flags)
        if isinstance(self._state.channel, DatagramChannel):
            data, told, sender = self._datagram(bufsize, flags)
            return data, [], told, sender
        return self.recv(bufsize, flags), [], 0, None

    def recvmsg_into(
        self, buffers: Iterable[Any], ancbufsize: int = 0, flags: int = 0
    ) -> tuple[int, list[tuple[int, int, bytes]], int, Any]:
        """Receive into ``buffers`` as `recvmsg` does. Returns the number of octets instead of the octets."""
        if self._state is None:
            return super().recvmsg_into(buffers, ancbufsize, flags)
        if isinstance(self._state.channel, DatagramChannel):
            count, told, sender = self._datagram_into(buffers, flags)
            return count, [], told, sender
        self._require_connection(self._state)
        count, _, told, _ = super().recvmsg_into(buffers, 0, flags)
        if not count:
            self._tell_error()
        return count, [], told, None

    def _end_of_stream(self, error: ConnectionResetError) -> bytes:
        """Raise the error that ended the connection, after the system has reported a reset.

        If the error was raised before, return ``b""``: the stream is at its end.
        """
        if isinstance(self._state and self._state.channel, StreamChannel):
            self._tell_error()
            return b""
        raise error

    def _tell_error(self) -> None:
        """Raise the error that ended the connection, unless it was raised before."""
        error = self._claim_error()
        if error is not None:
            raise error

    def _claim_error(self) -> OSError | None:
        """Return the error that wasn't raised yet, and forget it; None if there is none."""
        channel = None if self._state is None else self._state.channel
        return None if channel is None or isinstance(channel, ListenerChannel) else channel.claim_error()

    def _require_connection(self, state: SocketState) -> None:
        """Raise ConnectionDoesNotExist for a TCP socket without a connection."""
        if isinstance(state.calls, StreamCalls) and not isinstance(state.channel, StreamChannel):
            self._require_open()
            raise ConnectionDoesNotExist

    def _datagram(self, limit: int, flags: int) -> tuple[bytes, int, Any]:
        """Return the oldest datagram, the flags that `recvmsg` returns, and the sender."""
        room = bytearray(limit)
        count, told, sender = self._datagram_into([room], flags)
        return bytes(memoryview(room)[:count]), told, sender

    def _datagram_into(self, buffers: Iterable[Any], flags: int) -> tuple[int, int, Any]:
        """Receive the oldest datagram. Returns its number of octets, the flags of `recvmsg`, its sender."""
        header = bytearray(HEADER)
        parts = [header, *buffers]
        while True:
            count, _, told, _ = super().recvmsg_into(parts, 0, flags)
            if count < HEADER:
                return 0, 0, None  # the socket was shut down
            sender = sender_in(header, self.family)
            if sender is not None:
                return count - HEADER, told & ~getattr(socket, "MSG_EOR", 0), sender
            if flags & socket.MSG_PEEK:
                super().recv(HEADER)
            self._tell_error()

    # Writing

    def send(self, data: Any, flags: int = 0) -> int:
        """Send as many octets as there is room for, or one datagram. Returns the number of octets.

        Raises the error that ended the connection.
        """
        state = self._state
        if state is None:
            return super().send(data, flags)
        if isinstance(state.channel, StreamChannel):
            self._require_sendable(state.channel, flags)
            try:
                return super().send(data, flags)
            except BrokenPipeError:
                self._tell_error()
                raise
        return self._send_datagram(state, lambda octets: state.calls.send(octets, flags), data)

    def sendall(self, data: Any, flags: int = 0) -> None:
        """Send all of ``data``, as long as the timeout allows. Raises the error that ended the connection."""
        state = self._state
        if state is None or not isinstance(state.channel, StreamChannel):
            if state is None:
                super().sendall(data, flags)
            else:
                self.send(data, flags)
            return
        self._require_sendable(state.channel, flags)
        try:
            super().sendall(data, flags)
        except BrokenPipeError:
            self._tell_error()
            raise

    def sendto(self, data: Any, *more: Any) -> int:
        """Send one datagram to an address, which is the last argument. Flags may precede it.

        Returns the number of octets.
        """
        state = self._state
        if state is None:
            return super().sendto(data, *more)
        flags, address = (0, *more) if len(more) == 1 else more
        if isinstance(state.calls, StreamCalls):
            return self.send(data, flags)
        name = self.network.named(address, self.family)
        return self._send_datagram(state, lambda octets: state.calls.sendto(octets, flags, name), data)

    def sendmsg(
        self, buffers: Iterable[Any], ancdata: Iterable[Any] = (), flags: int = 0, address: Any = None
    ) -> int:
        """Send the octets of all buffers, as `send` does; or to ``address``, if given, as `sendto` does.

        Raises SocketCallInvalid for ancillary data.
        """
        if self._state is None:
            return super().sendmsg(buffers, ancdata, flags, address)
        if list(ancdata):
            raise SocketCallInvalid("ancillary data is not known here; allowed: none")
        octets = b"".join([bytes(memoryview(buffer)) for buffer in buffers])
        return self.send(octets, flags) if address is None else self.sendto(octets, flags, address)

    def _require_sendable(self, channel: StreamChannel, flags: int) -> None:
        """Raise SocketCallUnknown for urgent data, and the error that ended the connection."""
        if flags & socket.MSG_OOB:
            raise SocketCallUnknown("urgent data can't be sent through a descriptor of the system")
        if channel.error is not None:
            self._tell_error()

    def _send_datagram(self, state: SocketState, send: Callable[[Data], int], data: Any) -> int:
        """Send a datagram by calling ``send`` in the pump's thread."""
        self._require_open()
        if isinstance(state.calls, StreamCalls):
            raise ConnectionClosing("the socket has no connection")  # EPIPE, Linux's error for that
        self._tell_error()
        self._have_datagrams(state)
        return self._call(send, bytes(memoryview(data)))

    # Ending

    def shutdown(self, how: int) -> None:
        """End reading, writing or both: SHUT_RD, SHUT_WR, SHUT_RDWR. Raises ConnectionDoesNotExist."""
        state = self._state
        if state is None:
            super().shutdown(how)
            return
        self._require_open()
        channel = state.channel
        if channel is None or (isinstance(channel, StreamChannel) and _is_over(channel)):
            raise ConnectionDoesNotExist
        if isinstance(channel, DatagramChannel):
            self._call(state.calls.shutdown, how)
        super().shutdown(how)

    def detach(self) -> int:
        """Give the descriptor to the caller, and return its number. The object can't be used any more."""
        descriptor = super().detach()
        taken = None if self._state is None else tls.taker(sys._getframe(1))  # noqa: SLF001 - no public name
        if taken is not None:
            tls.adopt(taken, self._plain())
            taken._state = self._state  # noqa: SLF001 - no public name
        return descriptor

    def _real_close(self) -> None:
        """Close the descriptor; with SO_LINGER, wait until the peer has all data."""
        # A detached socket has no descriptor any more: the object that has it now closes it
        state, linger = (None if self.fileno() < 0 else self._state), 0
        if state is not None and isinstance(state.channel, StreamChannel):
            linger = self._linger(state.channel)
        super()._real_close()  # type: ignore[misc]  # not in typeshed
        if state is None:
            return
        with suppress(OSError, CallError):  # the network has ended, or belongs to the parent process
            if linger > 0 and isinstance(state.channel, StreamChannel):
                self._wait_until_delivered(state.channel, linger)
            elif not isinstance(state.channel, StreamChannel) or state.channel.is_broken_off:
                self._call(state.closed)

    # Inside

    def _call(self, function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Call a function in the pump's thread."""
        return self.network.states.pump.call(function, *args, **kwargs)

    def _configure(self, function: Callable[..., T], *args: Any) -> T:
        """Call a function that gets or sets an option: in the pump's thread, unless the socket is new."""
        is_new = self._state is not None and self._state.channel is None
        return function(*args) if is_new else self._call(function, *args)

    def _have_datagrams(self, state: SocketState) -> None:
        """Put a pair for datagrams behind the descriptor of a new UDP socket."""
        if state.channel is None and not isinstance(state.calls, StreamCalls):
            descriptors.replace(self.fileno(), self._call(state.open_datagrams))

    def _require_open(self) -> None:
        """Raise SocketClosed where the socket was closed."""
        if self.fileno() < 0:
            raise SocketClosed

    def _linger(self, channel: StreamChannel) -> int:
        """Return the number of seconds for which `close` waits."""
        if self.gettimeout() == 0 or channel.calls.is_closed:
            return 0
        option = channel.calls.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER.size)
        is_on, seconds = LINGER.unpack(option)  # type: ignore[arg-type]  # octets, because a length was given
        return int(seconds) if is_on else 0

    def _wait_until_delivered(self, channel: StreamChannel, seconds: int) -> None:
        """Wait until the peer has acknowledged all data, for up to ``seconds``."""
        pump = self.network.states.pump
        pump.call(pump.lingering.add, channel)
        channel.delivered.wait(seconds)
        pump.call(pump.lingering.discard, channel)


def _is_over(channel: StreamChannel) -> bool:
    """Tell whether the connection has ended."""
    connection = channel.calls.connection
    return connection is None or connection.state in (CLOSED, TIME_WAIT)
