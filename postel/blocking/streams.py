"""A connection and a listener, each with the descriptor that the program has of it."""

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

CHUNK: Final = 256 << 10  # octets that are moved at once
BURST: Final = 4  # chunks from one program, until others have their turn
_NONE: Final = memoryview(b"")
_DELIVERED: Final = (FIN_WAIT_2, TIME_WAIT, CLOSED)  # the peer has acknowledged our FIN


class StreamChannel(Channel):
    """Octets between the connection of ``calls`` and the pump's ``end`` of a socket pair.

    ``to_skip`` octets were written there before the program could (`descriptors.fill`). ``settled`` is set
    once the connection is open, or can't be opened. ``error`` is what ended the connection, until it was
    told. ``delivered`` is set once the peer has all that the program wrote, in `PumpThread.lingering`.
    """

    def __init__(
        self, pump: PumpThread, calls: StreamCalls, end: socket.socket, identity: int, to_skip: int = 0
    ) -> None:
        self.calls = calls
        self.descriptor = -1  # the program's, as far as known
        self.error: OSError | None = None
        self.awaits_answer = False  # the program wasn't told yet by `connect` that the connection is open
        self.settled: Flag = Flag()
        self.delivered: Flag = Flag()
        self._pump = pump
        self._identity = identity
        self._end: socket.socket | None = end
        self._number = end.fileno()
        self._to_skip = to_skip
        self._to_program = _NONE  # taken from the connection, and the descriptor had no room for it
        self._to_peer = _NONE  # taken from the descriptor, and the connection had no room for it
        self._program_reads = True
        self._program_has_ended = False  # its octets
        self._program_is_gone = False  # it closed the descriptor, or shut it down for both directions
        self._has_failed = False  # an error has ended the connection
        self._end_is_told = False
        calls.changed = self._changed
        pump.add(self)
        pump.watch(self._number, 0, self)

    def ready(self, mask: int) -> None:
        if mask & HUP and not self._program_is_gone:
            self._program_has_gone()
        else:
            if mask & OUT:
                self._deliver()
            if mask & (IN | GONE):
                self._take_from_program()
        self._watch()

    def begin(self) -> None:
        """The connection may be open already."""
        self._changed()

    @property
    def is_broken_off(self) -> bool:
        """Whether an error has ended the connection and the program's descriptor: nothing tells of its close
        any more.
        """
        return self._has_failed and self._end is None

    def _changed(self) -> None:
        """An event of the connection."""
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
        """Whether the handshake has come to its end, a good or a bad one."""
        if not self.calls.is_writable:
            return False
        connection = self.calls.connection
        if connection is None or connection.state is CLOSED:
            self._fail(self.calls.claim_error() or ConnectionAborted())
        self.settled.set()  # before the descriptor says so
        if self._has_failed:
            self._deliver()
        elif self._end is not None:
            descriptors.skip(self._end, self._to_skip)
        return not self._has_failed

    # From the connection to the program

    def _deliver(self) -> None:
        """All that has come, as far as the descriptor takes it; then the end, where that has come."""
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
        """Whether the descriptor took all."""
        try:
            self._to_program = self._to_program[end.send(self._to_program) :]
        except BlockingIOError:
            return False
        except OSError:
            if is_hung_up(self._number):  # closed: `_program_has_gone` decides what becomes of these octets
                return False
            self._program_reads = False  # shut down for reading: nothing is kept from now on
            self._to_program = _NONE
        return not self._to_program

    def _tell_end(self, end: socket.socket) -> None:
        """The program has all octets. The peer's FIN is their end, an error is the end of both directions."""
        if self._has_failed:
            self._break_off()
        elif not self._end_is_told:
            self._end_is_told = True
            with suppress(OSError):
                end.shutdown(socket.SHUT_WR)

    def _break_off(self) -> None:
        """The program's calls have ECONNRESET from now on."""
        end = self._let_go()
        if end is not None:
            descriptors.break_off(end, self._identity, self.descriptor)
        self._forget()

    def _fail(self, error: OSError) -> None:
        self._has_failed = True
        self.error = renewed(error)
        self._to_peer = _NONE

    # From the program to the connection

    def _take_from_program(self) -> None:
        for _ in range(BURST):
            if self._end is None or self._to_peer or self._program_has_ended or not self.settled.is_set():
                return
            try:
                octets = self._end.recv(CHUNK)
            except BlockingIOError:
                return
            except OSError:  # closed with octets that it hadn't read
                self._reset()
                return
            if octets:
                self._to_peer = _NONE if self._has_failed else memoryview(octets)
                self._send()
            else:
                self._program_ended()

    def _send(self) -> None:
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
        """The connection may have room again."""
        if self._to_peer:
            self._send()
            if self._program_is_gone:
                self._take_the_rest()

    def _program_ended(self) -> None:
        """The connection has all that the program wrote: now the FIN may follow."""
        self._program_has_ended = True
        if self._program_is_gone or is_hung_up(self._number):
            self._close()
        else:
            with suppress(OSError):  # it may be over
                self.calls.shutdown(socket.SHUT_WR)

    def _program_has_gone(self) -> None:
        """The program closed its descriptor: it reads no more, and what it wrote is still sent."""
        has_unread = bool(self._to_program)
        self._program_is_gone = True
        self._program_reads = False
        self._to_program = _NONE
        self._pump.forget(self._number)  # a hang-up is told again and again
        if has_unread or not self.settled.is_set() or self._resets_on_close():
            self._reset()
        elif self._program_has_ended:
            self._close()
        else:
            self._take_the_rest()

    def _take_the_rest(self) -> None:
        """What the program wrote before it closed the descriptor, as far as the connection has room."""
        while self._end is not None and not (self._to_peer or self._program_has_ended):
            self._take_from_program()

    def _resets_on_close(self) -> bool:
        value = self.calls.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER.size)
        return isinstance(value, bytes) and LINGER.unpack(value) == (1, 0)

    # The end

    def _reset(self) -> None:
        """As a socket that is closed with octets unread: the peer gets a RST."""
        self.calls.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER.pack(1, 0))
        self._close()

    def _close(self) -> None:
        end = self._let_go()
        if end is not None:
            end.close()
        self._forget()
        self.calls.close()

    def network_closes(self, error: OSError) -> None:
        if not self._program_is_gone:
            self.cut_off(error)

    def cut_off(self, error: OSError) -> None:
        if not self._has_failed:
            self._fail(error)
        self._break_off()
        self.calls.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER.pack(1, 0))
        self.calls.close()

    def look(self) -> None:
        connection = self.calls.connection
        if connection is None or (self.calls.is_closed and connection.state in _DELIVERED):
            self.delivered.set()

    def claim_error(self) -> OSError | None:
        """What ended the connection, once."""
        error, self.error = self.error, None
        return error

    def close_descriptors(self) -> None:
        if self._end is not None:
            self._end.close()

    def _let_go(self) -> socket.socket | None:
        end, self._end = self._end, None
        if end is not None:
            self._pump.forget(self._number)
        return end

    def _forget(self) -> None:
        self._program_has_ended = True
        self._to_program = self._to_peer = _NONE
        self.settled.set()
        self._pump.remove(self)

    def _watch(self) -> None:
        """What is waited for at the descriptor: octets, unless the connection is full; room, where octets
        wait for it.
        """
        if self._end is None or self._program_is_gone or not self.settled.is_set():
            return
        wants_octets = not (self._to_peer or self._program_has_ended)
        self._pump.watch(self._number, (IN if wants_octets else 0) | (OUT if self._to_program else 0), self)


class ListenerChannel(ClosableChannel[StreamCalls]):
    """A listener, and a descriptor that is readable while a connection waits: there is one octet then.
    ``error`` says what ended it.
    """

    def __init__(self, pump: PumpThread, calls: StreamCalls, end: socket.socket) -> None:
        super().__init__(pump, calls, end)
        self._is_told = False

    def accept(self) -> tuple[StreamCalls, Name] | None:
        """The connection that waited longest, for the octet that the program has read. None where none
        waits.
        """
        self._is_told = False
        try:
            return self.calls.accept()
        except WouldBlock:
            return None
        finally:
            self._changed()

    def _changed(self) -> None:
        if not self._is_told and not self.calls.is_closed and self.calls.is_readable:
            with suppress(OSError):  # closed a moment ago
                self._end.send(b"!")
                self._is_told = True
