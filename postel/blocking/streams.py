"""Channels of connections and listeners to the program's descriptors."""

import socket
from contextlib import suppress
from threading import Event as Flag
from typing import Final

from postel.blocking import descriptors
from postel.blocking.closable import ClosableChannel
from postel.blocking.pump import Channel, PumpThread
from postel.blocking.readiness import GONE, HUP, IN, OUT, is_hung_up
from postel.errors import ConnectionAborted, WouldBlock, renewed
from postel.sockets.names import Name
from postel.sockets.options import LINGER
from postel.sockets.stream import StreamCalls
from postel.tcp.state import CLOSED, FIN_WAIT_2, TIME_WAIT

CHUNK: Final = 256 << 10  # number of octets that are moved at once
BURST: Final = 4  # number of chunks moved from one program before others are served
_NONE: Final = memoryview(b"")
_DELIVERED: Final = (FIN_WAIT_2, TIME_WAIT, CLOSED)  # the peer has acknowledged our FIN


class StreamChannel(Channel):
    """Channel of data between the connection of ``calls`` and ``end``, the pump's end of a socket pair.

    - ``settled`` is set once the connection is open, or has failed.
    - ``error`` is the error that ended the connection, until a call of the program has raised it.
    - ``delivered`` is set once the peer has acknowledged all that the program wrote. It is set only while the
      channel is in `PumpThread.lingering`.
    - ``to_skip`` is the number of octets written into the pair before the program could write
      (`descriptors.fill`).
    - ``descriptor`` is the program's descriptor as last known, or -1.

    At most 256 KiB wait in each direction: while data waits for room on one end, no more is read from the
    other. So TCP's window closes while the program doesn't read, and the program blocks while the peer
    doesn't read.
    """

    def __init__(
        self, pump: PumpThread, calls: StreamCalls, end: socket.socket, identity: int, to_skip: int = 0
    ) -> None:
        """Join ``calls`` and ``end``. ``identity`` is that of the program's end."""
        self.calls = calls
        self.descriptor = -1  # the program's descriptor as last known; -1 at first
        self.error: OSError | None = None
        self.awaits_answer = False  # the program's next `connect` returns the outcome of the first
        self.settled: Flag = Flag()
        self.delivered: Flag = Flag()
        self._pump = pump
        self._identity = identity
        self._end: socket.socket | None = end
        self._number = end.fileno()
        self._to_skip = to_skip
        self._to_program = _NONE  # data of the connection that didn't fit into the descriptor's buffer
        self._to_peer = _NONE  # data of the program that didn't fit into the connection's buffer
        self._program_reads = True
        self._program_has_ended = False  # the program has written all that it will write
        self._program_is_gone = False  # the program closed the descriptor, or shut down both directions
        self._has_failed = False  # an error has ended the connection
        self._end_is_told = False
        calls.changed = self._changed
        pump.add(self)
        pump.watch(self._number, 0, self)

    def ready(self, mask: int) -> None:
        """Move data in the directions that are ready. Begin to close if the program closed its descriptor."""
        if mask & HUP and not self._program_is_gone:
            self._program_has_gone()
        else:
            if mask & OUT:
                self._deliver()
            if mask & (IN | GONE):
                self._take_from_program()
        self._watch()

    def begin(self) -> None:
        """Handle what happened to the connection before this channel was made: it may be open already."""
        self._changed()

    @property
    def is_broken_off(self) -> bool:
        """Whether an error has ended the connection and the program's descriptor.

        The program may close its descriptor later, but the pump can't learn that from its own end.
        """
        return self._has_failed and self._end is None

    def _changed(self) -> None:
        """Handle an event of the connection."""
        if self._end is None and not self._to_peer:
            return
        if not self.settled.is_set() and not self._settle():
            return
        if not self._has_failed and (error := self.calls.claim_error()) is not None:
            self._fail(error)
        self._flush()
        self._deliver()
        self._watch()

    def _settle(self) -> bool:
        """Report the outcome of the handshake to the program, if it has ended. Returns whether it succeeded.

        Sets ``settled``. Then the program's descriptor becomes writable, or its calls raise the error.
        Returns False while the handshake goes on.
        """
        if not self.calls.is_writable:
            return False
        connection = self.calls.connection
        if connection is None or connection.state is CLOSED:
            self._fail(self.calls.claim_error() or ConnectionAborted())
        self.settled.set()  # must be set before the descriptor becomes writable
        if self._has_failed:
            self._deliver()
        elif self._end is not None:
            descriptors.skip(self._end, self._to_skip)
        return not self._has_failed

    # From the connection to the program

    def _deliver(self) -> None:
        """Write received data to the program's descriptor while there is room, and then the end of data."""
        while self._end is not None and (not self._to_program or self._push(self._end)):
            try:
                octets = self.calls.recv(CHUNK)
            except WouldBlock:
                return
            except OSError as error:
                self._fail(error)
                octets = b""
            if not octets:
                self._tell_end(self._end)
                return
            if self._program_reads:
                self._to_program = memoryview(octets)

    def _push(self, end: socket.socket) -> bool:
        """Write data into the descriptor. Returns whether the descriptor took all of it."""
        try:
            self._to_program = self._to_program[end.send(self._to_program) :]
        except BlockingIOError:
            return False
        except OSError:
            if is_hung_up(self._number):  # the program closed its end: `_program_has_gone` will send a RST
                return False
            self._program_reads = False  # shut down for reading: received data is dropped from now on
            self._to_program = _NONE
        return not self._to_program

    def _tell_end(self, end: socket.socket) -> None:
        """Let the program see the end: after the peer's FIN at reading only, after an error in each call."""
        if self._has_failed:
            self._break_off()
        elif not self._end_is_told:
            self._end_is_told = True
            with suppress(OSError):
                end.shutdown(socket.SHUT_WR)

    def _break_off(self) -> None:
        """Let the program's calls raise ECONNRESET from now on."""
        end = self._let_go()
        if end is not None:
            descriptors.break_off(end, self._identity, self.descriptor)
        self._forget()

    def _fail(self, error: OSError) -> None:
        """Keep the error that ended the connection, and drop the program's data that wasn't sent."""
        self._has_failed = True
        self.error = renewed(error)
        self._to_peer = _NONE

    # From the program to the connection

    def _take_from_program(self) -> None:
        """Read data from the descriptor, and send it."""
        for _ in range(BURST):
            if self._end is None or self._to_peer or self._program_has_ended or not self.settled.is_set():
                return
            try:
                octets = self._end.recv(CHUNK)
            except BlockingIOError:
                return
            except OSError:  # the program closed the descriptor with unread data
                self._reset()
                return
            if octets:
                self._to_peer = _NONE if self._has_failed else memoryview(octets)
                self._send()
            else:
                self._program_ended()

    def _send(self) -> None:
        """Send the program's data that waits, while the connection has room."""
        while self._to_peer:
            try:
                self._to_peer = self._to_peer[self.calls.send(self._to_peer) :]
            except WouldBlock:
                return
            except OSError as error:
                self._to_peer = _NONE
                if not self._has_failed:
                    self._fail(error)
                    self._deliver()

    def _flush(self) -> None:
        """Send the program's data that waits, because the connection may have room again."""
        if self._to_peer:
            self._send()
            if self._program_is_gone:
                self._take_the_rest()

    def _program_ended(self) -> None:
        """Send a FIN, because the connection has all data that the program will write.

        If the program has closed its descriptor, the connection is closed for reading as well.
        """
        self._program_has_ended = True
        if self._program_is_gone or is_hung_up(self._number):
            self._close()
        else:
            with suppress(OSError):  # the connection may have ended
                self.calls.shutdown(socket.SHUT_WR)

    def _program_has_gone(self) -> None:
        """Begin to close, because the program closed its descriptor. Data written before is still sent.

        But if the program left data unread, the handshake goes on, or SO_LINGER is 0 seconds, a RST is sent.
        """
        has_unread = bool(self._to_program)
        self._program_is_gone = True
        self._program_reads = False
        self._to_program = _NONE
        self._pump.forget(self._number)  # the system would report the hang-up again and again
        if has_unread or not self.settled.is_set() or self._resets_on_close():
            self._reset()
        elif self._program_has_ended:
            self._close()
        else:
            self._take_the_rest()

    def _take_the_rest(self) -> None:
        """Send what the program wrote before it closed the descriptor, as far as the connection has room."""
        while self._end is not None and not (self._to_peer or self._program_has_ended):
            self._take_from_program()

    def _resets_on_close(self) -> bool:
        """Tell whether SO_LINGER is set to 0 seconds."""
        value = self.calls.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER.size)
        return isinstance(value, bytes) and LINGER.unpack(value) == (1, 0)

    # The end

    def _reset(self) -> None:
        """Close the connection with a RST, as a socket with unread data is closed."""
        self.calls.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER.pack(1, 0))
        self._close()

    def _close(self) -> None:
        """Close the connection and the pump's descriptor. TCP still delivers the data that it has."""
        end = self._let_go()
        if end is not None:
            end.close()
        self._forget()
        self.calls.close()

    def network_closes(self, error: OSError) -> None:
        """End the connection with ``error``, unless the program has closed it already."""
        if not self._program_is_gone:
            self.cut_off(error)

    def cut_off(self, error: OSError) -> None:
        """Reset the connection, and let the program's calls raise ``error``."""
        if not self._has_failed:
            self._fail(error)
        self._break_off()
        self.calls.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER.pack(1, 0))
        self.calls.close()

    def look(self) -> None:
        """Set ``delivered`` if the peer has acknowledged the FIN."""
        connection = self.calls.connection
        if connection is None or (self.calls.is_closed and connection.state in _DELIVERED):
            self.delivered.set()

    def claim_error(self) -> OSError | None:
        """Return the error that ended the connection, and forget it; None if there is none."""
        error, self.error = self.error, None
        return error

    def close_descriptors(self) -> None:
        """Close the child process's copy of the pump's end."""
        if self._end is not None:
            self._end.close()

    def _let_go(self) -> socket.socket | None:
        """Stop using the pump's end, and return it; None if that was done before."""
        end, self._end = self._end, None
        if end is not None:
            self._pump.forget(self._number)
        return end

    def _forget(self) -> None:
        """Drop the data that waits, set ``settled``, and remove the channel: no more data passes."""
        self._program_has_ended = True
        self._to_program = self._to_peer = _NONE
        self.settled.set()
        self._pump.remove(self)

    def _watch(self) -> None:
        """Wait for data at the descriptor unless the connection is full, and for room if data waits."""
        if self._end is None or self._program_is_gone or not self.settled.is_set():
            return
        wants_octets = not (self._to_peer or self._program_has_ended)
        self._pump.watch(self._number, (IN if wants_octets else 0) | (OUT if self._to_program else 0), self)


class ListenerChannel(ClosableChannel[StreamCalls]):
    """Channel of a listener. Its descriptor is readable while a connection waits to be accepted.

    To make it readable, one octet is written into the pair. ``error`` says why the listener has ended.
    """

    def __init__(self, pump: PumpThread, calls: StreamCalls, end: socket.socket) -> None:
        """Join ``calls`` and ``end``."""
        super().__init__(pump, calls, end)
        self._is_told = False

    def accept(self) -> tuple[StreamCalls, Name] | None:
        """Accept the connection that has waited longest; None if no connection waits.

        Called after the program has read the octet.
        """
        self._is_told = False
        try:
            return self.calls.accept()
        except WouldBlock:
            return None
        finally:
            self._changed()

    def _changed(self) -> None:
        """Write the octet if a connection waits and the octet isn't there yet."""
        if not self._is_told and not self.calls.is_closed and self.calls.is_readable:
            with suppress(OSError):  # the program has just closed its end
                self._end.send(b"!")
                self._is_told = True
