"""TCP connection as an asyncio transport."""

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

READ_SIZE = 256 * 1024  # octets: most data that a protocol gets at once, as in asyncio's own transports
HIGH_WATER = 64 * 1024
LOW_WATER = 16 * 1024

_NOTHING_EXTRA: dict[str, object] = {}  # shared, because `get_extra_info` below needs no dict
_NO_BACKLOG = Backlog()  # shared by all transports without a backlog; never appended to
_NOBODY = asyncio.BaseProtocol()  # replaces the protocol after the end; its callbacks do nothing
_NOT_ENDED = OSError()
# Class that `loop.sendfile` uses instead of the program's protocol while it writes a file
_SENDFILE_PROTOCOL: Any = cast(Any, base_events)._SendfileFallbackProtocol  # noqa: SLF001 - no public name

Data = bytes | bytearray | memoryview


class TransportOwner(Protocol):
    """Part of a network or a server that a transport calls."""

    def orphan(self, connection: Connection) -> None:
        """Keep a connection that outlives its transport, until it is CLOSED."""

    def forget(self, transport: "Transport") -> None:
        """Forget a transport that has ended, after its protocol's ``connection_lost`` was called."""


class Transport(transports._FlowControlMixin):  # noqa: SLF001 - the loop's sendfile wants one
    """asyncio's transport on a connection of TCP. Flow control is TCP's own window.

    - *Writing.* Data for which the connection has no room waits in a backlog. While the backlog is above the
      high-water mark, the protocol is paused.
    - *Reading.* While reading is paused, data stays in the connection. Its window closes, and the peer stops.
    - *The end.* Received data is delivered before ``connection_lost``, however the connection ended. While
      reading is paused, the end waits, too. The end doesn't wait if the protocol is paused, or writes:
      otherwise the program would never learn that the peer can't get the data.

    `close` sends the data that was written; TCP then delivers this data without the transport.
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

    _start_tls_compatible = True  # `loop.start_tls` requires this attribute
    # With this value `loop.sendfile` reads the file and calls `write`
    _sendfile_compatible = cast(Any, constants)._SendfileMode.FALLBACK  # noqa: SLF001 - no public name

    def __init__(
        self,
        pump: Pump,
        connection: Connection,
        protocol: asyncio.BaseProtocol,
        owner: TransportOwner,
        context: Context,
    ) -> None:
        """Become the handler of the events of ``connection``.

        Callbacks of ``protocol`` run in ``context``.
        """
        super().__init__(_NOTHING_EXTRA, pump.loop)
        self._pump = pump
        self._context = context  # context in which the protocol's callbacks run
        self._connection = connection
        self._protocol = protocol
        self._owner = owner
        self._backlog = _NO_BACKLOG
        self._high_water = HIGH_WATER
        self._low_water = LOW_WATER
        self._reading_is_paused = False
        self._protocol_paused = False
        self._eof_told = False  # the protocol's `eof_received` was called
        self._eof_written = False  # the protocol has called `write_eof`
        # Error that ended the connection, None for an orderly end; `connection_lost` gets it after all data
        self._end: OSError | None = _NOT_ENDED
        self._closing = False
        self._lost = False
        self._socket: Socket | None = None  # made when the program first asks for it
        connection.context = self

    def __repr__(self) -> str:
        """Show the addresses and the state."""
        state = "closed" if self._lost else "closing" if self._closing else str(self._connection.state)
        return f"<postel transport {self._connection.local} to {self._connection.remote}, {state}>"

    def begin(self) -> None:
        """Call the protocol's ``connection_made``."""
        try:
            self._context.run(self._protocol.connection_made, self)
        except Exception as error:  # noqa: BLE001 - whatever the program's callback raises
            self._blame(error)

    def begin_with(self, sock: Socket, waiter: "asyncio.Future[None] | None") -> None:
        """Call ``connection_made`` in the loop's next round, for a connection that ``sock`` had before.

        ``waiter`` is completed next, and data that has come meanwhile is delivered after that.
        """
        self._socket = sock
        # No event is handled before `connection_made`: `_take_over` reads the connection's state itself
        self._connection.context = None
        self._pump.loop.call_soon(self._take_over, waiter, context=self._context)

    def _take_over(self, waiter: "asyncio.Future[None] | None") -> None:
        """Call ``connection_made``, complete ``waiter``, and deliver the data that has come."""
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
        except Exception as error:  # noqa: BLE001 - the program's callback
            self._blame(error)

    def happened(self, event: Event) -> None:
        """Handle an event of the connection. The pump calls this."""
        self._context.run(self._happened, event)
        if self._socket is not None:
            self._socket.refresh()

    def _happened(self, event: Event) -> None:
        """Handle an event, in the protocol's context."""
        try:
            if isinstance(event, (Readable, EndOfStream)):
                self._deliver()
            elif isinstance(event, Writable):
                self._flush()
            elif isinstance(event, Closed):
                self.end(event.error)
        # BAD-API-5: a callback's failure ends this connection and no other
        except Exception as error:  # noqa: BLE001 - the program's callback
            self._blame(error)

    # Reading

    def is_reading(self) -> bool:
        """Tell whether the protocol receives data."""
        return not (self._closing or self._reading_is_paused)

    def pause_reading(self) -> None:
        """Leave received data in the connection from now on."""
        self._reading_is_paused = True

    def resume_reading(self) -> None:
        """Deliver received data again, from the loop's next round on."""
        if self._reading_is_paused and not self._closing:
            self._reading_is_paused = False
            self._pump.loop.call_soon(self._read_on, context=self._context)

    def _read_on(self) -> None:
        """Deliver the data that has come while reading was paused."""
        try:
            self._deliver()
        except Exception as error:  # noqa: BLE001 - the program's callback
            self._blame(error)
        if self._socket is not None:
            self._socket.refresh()
        self._pump.wake()  # the window may have opened

    def _deliver(self) -> None:
        """Give received data, and then the end of the stream, to the protocol, until it pauses reading."""
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
        """Give some data to the protocol. Raises CallError for a buffer without room."""
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
        """Send ``data``. Octets for which the connection has no room wait in the backlog.

        Raises KindError for an object that isn't octets, CallError after `write_eof` and in another thread.
        Data that is written after `close` is sent as well if the backlog hasn't been sent yet, else ignored.
        """
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise KindError("data", data, "bytes, bytearray, memoryview")
        self._pump.require_thread()
        if self._eof_written:
            raise CallError("write() after write_eof()")
        # Data written after close() joins the backlog, because TLS sends its close_notify as late as that
        if self._lost or not data:
            return
        if isinstance(data, memoryview):
            data = bytes(data)
        taken = 0 if self._backlog.size else self._taken(data)
        if taken < len(data) and not self._lost:
            self._hold_back(data, taken)

    def write_eof(self) -> None:
        """Send a FIN after all data that was written."""
        self._pump.require_thread()
        if self._closing or self._eof_written:
            return
        self._eof_written = True
        if not self._backlog.size:
            self._finish_writing()

    def can_write_eof(self) -> bool:
        """Return True: TCP can end one direction."""
        return True

    def get_write_buffer_size(self) -> int:
        """Return how many octets wait because the connection has no room. Its send buffer isn't counted."""
        return self._backlog.size

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """Return the low-water and the high-water mark, in octets."""
        return self._low_water, self._high_water

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Set both marks, in octets, as asyncio does. Raises ArgumentError."""
        if high is None:
            high = HIGH_WATER if low is None else 4 * low
        if low is None:
            low = high // 4
        if not 0 <= low <= high:
            raise ArgumentError("low", low, f"0 … high ({high})")
        self._high_water, self._low_water = high, low
        self._pause_protocol_if_high()

    def _taken(self, data: bytes | bytearray) -> int:
        """Give data to the connection. Returns how many octets the connection took."""
        self._pump.wake()
        try:
            return self._connection.send(data, self._pump.now())
        except TcpError as error:
            self.force_close(self._reason(error))
            return 0

    def _hold_back(self, data: bytes | bytearray, taken: int) -> None:
        """Put data into the backlog.

        A buffer that the program can change is copied, so that the peer gets its octets at the time of the
        call (BAD-API-3).
        """
        if self._backlog is _NO_BACKLOG:
            self._backlog = Backlog()
        self._backlog.append(
            memoryview(data)[taken:] if isinstance(data, bytes) else memoryview(bytes(data[taken:]))
        )
        self._pause_protocol_if_high()

    def _flush(self) -> None:
        """Send the backlog, as far as there is room. At the low-water mark, let the protocol write again.

        Resets the connection if it takes no data because of an error.
        """
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
        """End the sending if the program asked for it, because the connection has all data now.

        After `write_eof` a FIN is sent; after `close` TCP gets the connection, without this transport.
        """
        if self._closing:
            self._release()
        elif self._eof_written:
            with suppress(TcpError):  # the connection may have ended; its event Closed comes later
                self._connection.close(self._pump.now())
            self._pump.wake()

    def _pause_protocol_if_high(self) -> None:
        """Pause the protocol's writing if the backlog is above the high-water mark."""
        if self._backlog.size <= self._high_water or self._protocol_paused:
            return
        self._protocol_paused = True
        try:
            self._protocol.pause_writing()
        except Exception as error:  # noqa: BLE001 - the program's callback
            self._blame(error)

    # Ending

    def is_closing(self) -> bool:
        """Tell whether the transport is closing or closed."""
        return self._closing

    def close(self) -> None:
        """Send all data that was written, then a FIN. Nothing more is received.

        Data that was received and not read turns the FIN into a RST, as with sockets. With SO_LINGER of 0
        seconds this is `abort`. Raises CallError in another thread.
        """
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
        """Reset the connection: the peer gets a RST, and data that wasn't sent is lost."""
        self.force_close(None)

    def abandon(self) -> None:
        """End without calling the protocol, because the host has crashed, and its programs with it."""
        secure: Any = getattr(self._protocol, "_app_transport", None)
        if secure is not None:
            # Otherwise asyncio's transport of TLS would warn that the program didn't close it
            secure._closed = True  # noqa: SLF001 - no public name
        self._lost = self._closing = True
        self._backlog = _NO_BACKLOG
        self._protocol = _NOBODY
        self._connection.context = None

    def _release(self) -> None:
        """Leave the connection to TCP, which delivers the data that it has."""
        if self._lost:
            return
        self._lose(None)
        self._pump.wake()

    def force_close(self, error: BaseException | None) -> None:
        """Reset the connection, and tell the protocol ``error`` as the reason; None for an orderly close."""
        if self._lost:
            return
        with suppress(TcpError):
            self._connection.abort(self._pump.now())
        self._lose(error)
        self._pump.wake()

    def _force_close(self, error: BaseException | None) -> None:
        """Close the connection after a TLS handshake that failed or took too long. asyncio's TLS calls this.

        The peer gets a FIN, or a RST where data wasn't read.
        """
        if not self._lost:
            self._lose(error)
            self._pump.wake()

    def end(self, error: OSError | None) -> None:
        """End the transport, because its connection or the link has ended. Received data is delivered first.

        A connection that is still open, at the end of the link, is aborted.
        """
        if self._lost or self._end is not _NOT_ENDED:
            return
        self._end = None if error is None else renewed(error)
        # The event Closed comes when TIME-WAIT begins. In any other state the link's end is the reason
        if self._connection.state not in (CLOSED, TIME_WAIT):
            self._connection.abort(self._pump.now())
        self._deliver()
        if isinstance(self._protocol, asyncio.StreamReaderProtocol):
            self._deliver_the_rest()
        if self.is_closing() or self._protocol_paused or not self._has_more():
            self._lose(self._end)

    def _deliver_the_rest(self) -> None:
        """Give all data to a stream's protocol, even while reading is paused: the reader stores the data."""
        while self._has_more() and not self._closing:
            self._reading_is_paused = False
            self._deliver()

    def _reason(self, error: TcpError) -> OSError:
        """Return the error that ended the connection, because of which a call was refused with ``error``."""
        return (
            renewed(self._connection.error or error)
            if self._end is _NOT_ENDED or self._end is None
            else self._end
        )

    def _has_more(self) -> bool:
        """Tell whether data, or the peer's FIN, hasn't been delivered to the protocol yet."""
        return self._connection.readable > 0 or self._has_end_to_tell()

    def _has_end_to_tell(self) -> bool:
        """Tell whether to report the peer's FIN to the protocol now, after all data before the FIN.

        `Connection.at_end` is True also after the program's own abort. ``connection_lost`` reports that one.
        """
        return self._connection.has_peer_ended and not self._connection.readable and not self._eof_told

    def _lose(self, error: BaseException | None) -> None:
        """End the transport, and schedule ``connection_lost``. TCP still delivers the data that it has."""
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
        """Call the protocol's ``connection_lost``, and let the network forget this transport."""
        protocol, self._protocol = self._protocol, _NOBODY
        try:
            protocol.connection_lost(cast(Exception | None, error))
        finally:
            if self._socket is not None:
                self._socket.end()
            self._owner.forget(self)

    def _blame(self, error: Exception) -> None:
        """Report a callback's exception to the loop, and reset the connection."""
        self._pump.loop.call_exception_handler(
            {
                "message": "a protocol's callback failed; its connection is aborted",
                "exception": error,
                "transport": self,
                "protocol": self._protocol,
            }
        )
        self.force_close(error)

    # Information

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Return the protocol."""
        return self._protocol

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Let another protocol have the events from now on."""
        if isinstance(self._protocol, _SENDFILE_PROTOCOL):
            # The old protocol was paused. The new one is paused when it writes too much
            self._protocol_paused = False
        self._protocol = protocol

    def get_extra_info(self, name_of_it: str, default: object = None) -> object:
        """Return ``socket``, ``sockname``, ``peername`` or ``connection``; ``default`` for another name.

        asyncio's transport of TLS returns the names of TLS, such as ``sslcontext``.
        """
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
