"""A connection as an asyncio transport."""

import asyncio
from asyncio import base_events, constants, transports
from contextlib import suppress
from contextvars import Context
from typing import Any, Protocol, cast

from postel.aio.backlog import Backlog
from postel.aio.pump import Pump
from postel.aio.sockets import Socket, name
from postel.errors import ArgumentError, CallError, KindError, TcpError, renewed
from postel.tcp.connection import Connection
from postel.tcp.events import Closed, EndOfStream, Event, Readable, Writable
from postel.tcp.state import CLOSED, TIME_WAIT

READ_SIZE = 256 * 1024  # octets handed over at once, as asyncio's own transports do
HIGH_WATER = 64 * 1024
LOW_WATER = 16 * 1024

_NOTHING_EXTRA: dict[str, object] = {}  # `get_extra_info` looks when asked; an idle connection needs no dict
_NO_BACKLOG = Backlog()  # shared by all that hold nothing back; never appended to
_NOBODY = asyncio.BaseProtocol()
_NOT_ENDED = OSError()
# What `loop.sendfile` puts in the place of the program's protocol while it writes a file
_SENDFILE_PROTOCOL: Any = cast(Any, base_events)._SendfileFallbackProtocol  # noqa: SLF001

Data = bytes | bytearray | memoryview


class TransportOwner(Protocol):
    """The network of a transport. It hears of the end after the protocol, and keeps a connection that
    outlives the transport.
    """

    def orphan(self, connection: Connection) -> None: ...
    def forget(self, transport: "Transport") -> None: ...


class Transport(transports._FlowControlMixin):  # noqa: SLF001 - the loop's sendfile wants one
    """Flow control is the connection's own.

    Writing: what it hasn't taken stands in the backlog, and above the high-water mark the protocol is paused.
    Reading: while paused, octets stay in the connection, so that its window closes and the peer stops.

    What was received is delivered before the end is told, however the connection ended. While reading is
    paused, the end waits with what was received, unless the program waits for its writing to go on, or
    writes: it would never hear that this is in vain.
    """

    __slots__ = (
        "__weakref__",
        "_backlog",
        "_closing",
        "_connection",
        "_context",
        "_end",
        "_eof_told",
        "_eof_written",
        "_lost",
        "_owner",
        "_protocol",
        "_pump",
        "_reading_is_paused",
        "_socket",
    )

    _start_tls_compatible = True  # `loop.start_tls` asks
    # `loop.sendfile` asks, then reads and writes
    _sendfile_compatible = cast(Any, constants)._SendfileMode.FALLBACK  # noqa: SLF001

    def __init__(
        self,
        pump: Pump,
        connection: Connection,
        protocol: asyncio.BaseProtocol,
        owner: TransportOwner,
        context: Context,
    ) -> None:
        super().__init__(_NOTHING_EXTRA, pump.loop)
        self._pump = pump
        self._context = context  # of the protocol's callbacks
        self._connection = connection
        self._protocol = protocol
        self._owner = owner
        self._backlog = _NO_BACKLOG
        self._high_water = HIGH_WATER
        self._low_water = LOW_WATER
        self._reading_is_paused = False
        self._protocol_paused = False
        self._eof_told = False  # the peer's end, to the protocol
        self._eof_written = False  # the protocol's end, to the peer
        self._end: OSError | None = (
            _NOT_ENDED  # what ended the connection, None for an orderly end: told once all is delivered
        )
        self._closing = False
        self._lost = False
        self._socket: Socket | None = None  # once the program asked for it: what it set stays
        connection.context = self

    def __repr__(self) -> str:
        state = "closed" if self._lost else "closing" if self._closing else str(self._connection.state)
        return f"<postel transport {self._connection.local} to {self._connection.remote}, {state}>"

    def begin(self) -> None:
        try:
            self._context.run(self._protocol.connection_made, self)
        except Exception as error:  # noqa: BLE001 - whatever the program's callback raises
            self._blame(error)

    def begin_with(self, sock: Socket, waiter: "asyncio.Future[None] | None") -> None:
        """As `begin`, later, where ``sock`` had the connection: what has come meanwhile is told after it.
        ``waiter`` is done between.
        """
        self._socket = sock
        self._connection.context = (
            None  # no event before `connection_made`: `_take_over` looks at what they would tell
        )
        self._pump.loop.call_soon(self._take_over, waiter, context=self._context)

    def _take_over(self, waiter: "asyncio.Future[None] | None") -> None:
        if not self._lost:
            self._connection.context = self
        try:
            self._protocol.connection_made(self)
            if waiter is not None and not waiter.done():
                waiter.set_result(None)
            if self._connection.state in (CLOSED, TIME_WAIT):
                self.end(self._connection.error)
            else:
                self._deliver()
        except Exception as error:  # noqa: BLE001
            self._blame(error)

    def happened(self, event: Event) -> None:
        """For the pump: an event of the connection."""
        self._context.run(self._happened, event)
        if self._socket is not None:
            self._socket.refresh()

    def _happened(self, event: Event) -> None:
        try:
            if isinstance(event, (Readable, EndOfStream)):
                self._deliver()
            elif isinstance(event, Writable):
                self._flush()
            elif isinstance(event, Closed):
                self.end(event.error)
        # BAD-API-5: a callback's failure ends this connection and no other
        except Exception as error:  # noqa: BLE001
            self._blame(error)

    # Reading

    def is_reading(self) -> bool:
        return not (self._closing or self._reading_is_paused)

    def pause_reading(self) -> None:
        self._reading_is_paused = True

    def resume_reading(self) -> None:
        if self._reading_is_paused and not self._closing:
            self._reading_is_paused = False
            self._pump.loop.call_soon(self._read_on, context=self._context)

    def _read_on(self) -> None:
        try:
            self._deliver()
        except Exception as error:  # noqa: BLE001
            self._blame(error)
        if self._socket is not None:
            self._socket.refresh()
        self._pump.wake()  # the window may have opened

    def _deliver(self) -> None:
        """All that has come, for as long as the protocol wants to read."""
        connection = self._connection
        while not (self._closing or self._reading_is_paused):
            if connection.readable:
                self._hand_over(connection)
            elif self._has_end_to_tell():
                self._eof_told = True
                if not cast(asyncio.Protocol, self._protocol).eof_received():
                    self.close()
            else:
                if self._end is not _NOT_ENDED:
                    self._lose(self._end)
                return

    def _hand_over(self, connection: Connection) -> None:
        protocol = self._protocol
        if not isinstance(protocol, asyncio.BufferedProtocol):
            cast(asyncio.Protocol, protocol).data_received(connection.receive(READ_SIZE, self._pump.now()))
            return
        room = memoryview(protocol.get_buffer(-1))
        if not room:
            raise CallError("get_buffer() returned an empty buffer")
        protocol.buffer_updated(connection.receive_into(room, self._pump.now()))

    # Writing

    def write(self, data: Data) -> None:
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise KindError("data", data, "bytes, bytearray, memoryview")
        self._pump.require_thread()
        if self._eof_written:
            raise CallError("write() after write_eof()")
        if (
            self._lost or not data
        ):  # after close() it goes with what waits: TLS says its goodbye when it is told to write on
            return
        if isinstance(data, memoryview):
            data = bytes(data)
        taken = 0 if self._backlog.size else self._taken(data)
        if taken < len(data) and not self._lost:
            self._hold_back(data, taken)

    def write_eof(self) -> None:
        self._pump.require_thread()
        if self._closing or self._eof_written:
            return
        self._eof_written = True
        if not self._backlog.size:
            self._finish_writing()

    def can_write_eof(self) -> bool:
        return True

    def get_write_buffer_size(self) -> int:
        """Octets that the connection hasn't taken yet; it holds a send buffer of them more."""
        return self._backlog.size

    def get_write_buffer_limits(self) -> tuple[int, int]:
        return self._low_water, self._high_water

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        if high is None:
            high = HIGH_WATER if low is None else 4 * low
        if low is None:
            low = high // 4
        if not 0 <= low <= high:
            raise ArgumentError("low", low, f"0 … high ({high})")
        self._high_water, self._low_water = high, low
        self._pause_protocol_if_high()

    def _taken(self, data: bytes | bytearray) -> int:
        self._pump.wake()
        try:
            return self._connection.send(data, self._pump.now())
        except TcpError as error:
            self.force_close(self._reason(error))
            return 0

    def _hold_back(self, data: bytes | bytearray, taken: int) -> None:
        """``bytes`` makes a copy of what can change, for what is sent are the octets at the time of the call
        (BAD-API-3).
        """
        if self._backlog is _NO_BACKLOG:
            self._backlog = Backlog()
        self._backlog.append(
            memoryview(data)[taken:] if isinstance(data, bytes) else memoryview(bytes(data[taken:]))
        )
        self._pause_protocol_if_high()

    def _flush(self) -> None:
        if not self._backlog.size:
            return
        try:
            self._backlog.flush_into(self._connection, self._pump.now())
        except TcpError as error:
            self.force_close(self._reason(error))
            return
        if self._protocol_paused and self._backlog.size <= self._low_water:
            self._protocol_paused = False
            self._protocol.resume_writing()
        if not self._backlog.size:
            self._backlog = _NO_BACKLOG
            self._finish_writing()

    def _finish_writing(self) -> None:
        """The connection has taken everything: now the end may follow, if it was asked for."""
        if self._closing:
            self._release()
        elif self._eof_written:
            with suppress(TcpError):  # it may be gone already; its event is on the way
                self._connection.close(self._pump.now())
            self._pump.wake()

    def _pause_protocol_if_high(self) -> None:
        if self._backlog.size <= self._high_water or self._protocol_paused:
            return
        self._protocol_paused = True
        try:
            self._protocol.pause_writing()
        except Exception as error:  # noqa: BLE001
            self._blame(error)

    # Ending

    def is_closing(self) -> bool:
        return self._closing

    def close(self) -> None:
        """Everything written is still sent, then FIN. Nothing more is read: what then waits unread makes it a
        RST, as with sockets.

        With SO_LINGER of 0 seconds it is `abort`."""
        self._pump.require_thread()
        if self._closing:
            return
        if self._socket is not None and self._socket.resets_on_close:
            self.force_close(None)
            return
        self._closing = True
        if not self._backlog.size:
            self._release()
        elif self._end is not _NOT_ENDED:
            self._lose(self._end)

    def abort(self) -> None:
        self.force_close(None)

    def abandon(self) -> None:
        """The host has crashed, and its programs with it: this is closed, and no protocol hears of it."""
        secure: Any = getattr(self._protocol, "_app_transport", None)
        if secure is not None:
            # Asyncio's transport of TLS, which would warn that it wasn't closed
            secure._closed = True  # noqa: SLF001
        self._lost = self._closing = True
        self._backlog = _NO_BACKLOG
        self._protocol = _NOBODY
        self._connection.context = None

    def _release(self) -> None:
        if self._lost:
            return
        self._lose(None)
        self._pump.wake()

    def force_close(self, error: BaseException | None) -> None:
        if self._lost:
            return
        with suppress(TcpError):
            self._connection.abort(self._pump.now())
        self._lose(error)
        self._pump.wake()

    def _force_close(self, error: BaseException | None) -> None:
        """For asyncio's own TLS, when a handshake fails or takes too long: as a socket's close(), which is no
        reset unless something is unread."""
        if not self._lost:
            self._lose(error)
            self._pump.wake()

    def end(self, error: OSError | None) -> None:
        """The connection is gone. What it had received is delivered first, as from a socket."""
        if self._lost or self._end is not _NOT_ENDED:
            return
        self._end = None if error is None else renewed(error)
        if self._connection.state not in (
            CLOSED,
            TIME_WAIT,
        ):  # Closed is told when TIME-WAIT begins; else the link ended
            self._connection.abort(self._pump.now())
        self._deliver()
        if isinstance(self._protocol, asyncio.StreamReaderProtocol):
            self._deliver_the_rest()
        if self.is_closing() or self._protocol_paused or not self._has_more():
            self._lose(self._end)

    def _deliver_the_rest(self) -> None:
        """To a stream's reader, which holds what it is given, however much."""
        while self._has_more() and not self._closing:
            self._reading_is_paused = False
            self._deliver()

    def _reason(self, error: TcpError) -> OSError:
        """What ended the connection, where a call was refused with ``error`` for it."""
        return (
            renewed(self._connection.error or error)
            if self._end is _NOT_ENDED or self._end is None
            else self._end
        )

    def _has_more(self) -> bool:
        """Whether octets or the peer's end wait until reading goes on."""
        return self._connection.readable > 0 or self._has_end_to_tell()

    def _has_end_to_tell(self) -> bool:
        """The peer's FIN, once all before it was read. `Connection.at_end` says it of an abort here, too, and
        the protocol is told that as its loss."""
        return self._connection.has_peer_ended and not self._connection.readable and not self._eof_told

    def _lose(self, error: BaseException | None) -> None:
        """Nothing more is read or written here; what the connection took is its own to deliver."""
        if self._lost:
            return
        self._lost = self._closing = True
        self._backlog = _NO_BACKLOG
        self._connection.release(self._pump.now())
        if self._connection.state is CLOSED:
            self._connection.context = None
        else:
            self._owner.orphan(self._connection)
        self._pump.loop.call_soon(self._tell_lost, error, context=self._context)

    def _tell_lost(self, error: BaseException | None) -> None:
        protocol, self._protocol = self._protocol, _NOBODY
        try:
            protocol.connection_lost(cast(Exception | None, error))
        finally:
            if self._socket is not None:
                self._socket.end()
            self._owner.forget(self)

    def _blame(self, error: Exception) -> None:
        self._pump.loop.call_exception_handler(
            {
                "message": "a protocol's callback failed; its connection is aborted",
                "exception": error,
                "transport": self,
                "protocol": self._protocol,
            }
        )
        self.force_close(error)

    # About it

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self._protocol

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        if isinstance(self._protocol, _SENDFILE_PROTOCOL):
            self._protocol_paused = (
                False  # it was the one that was told to wait; ``protocol`` is told when it writes
            )
        self._protocol = protocol

    def get_extra_info(self, name_of_it: str, default: object = None) -> object:
        """``socket``, ``sockname``, ``peername``, ``connection``; the rest (``sslcontext`` …) is TLS's."""
        if name_of_it == "peername":
            return name(self._connection.remote)
        if name_of_it == "sockname":
            return name(self._connection.local)
        if name_of_it == "socket":
            if self._socket is None:
                self._socket = Socket.shown(self._pump.network, self._connection, self._connection.remote)
            return self._socket
        if name_of_it == "connection":
            return self._connection
        return default
