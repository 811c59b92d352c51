"""User calls of RFC 9293, 3.10.1 to 3.10.6, state by state.

The error strings of the RFC are the classes of `postel.errors`.
"""

from postel.errors import (
    ArgumentError,
    ConnectionAborted,
    ConnectionAlreadyExists,
    ConnectionClosing,
    ConnectionDoesNotExist,
    ConnectionReset,
    RemoteUnspecified,
    TcpError,
    renewed,
)
from postel.tcp import handshake, orphan, tuning, window
from postel.tcp.state import (
    CLOSE_WAIT,
    CLOSED,
    CLOSING,
    ESTABLISHED,
    FIN_WAIT_1,
    FIN_WAIT_2,
    LAST_ACK,
    LISTEN,
    SYN_RECEIVED,
    SYN_SENT,
    TIME_WAIT,
)
from postel.tcp.stopwatch import Stopwatch
from postel.tcp.tcb import OWES_RESET, Tcb
from postel.wire.address import is_unspecified


def why_closed(tcb: Tcb) -> TcpError:
    """Return the exception that a call in CLOSED raises: a new one like that which ended the connection."""
    return ConnectionDoesNotExist("", str(tcb.remote)) if tcb.error is None else renewed(tcb.error)


def open_passive(tcb: Tcb, now: int) -> None:
    """Enter LISTEN: the passive OPEN (RFC 9293, 3.10.1)."""
    if tcb.state is not CLOSED:  # EP-OPEN-5, MUST-41
        raise ConnectionAlreadyExists("", str(tcb.remote))
    tcb.enter(LISTEN, now)  # EP-OPEN-1


def open_active(tcb: Tcb, now: int) -> None:
    """Enter SYN-SENT, and let output send a SYN: the active OPEN (RFC 9293, 3.10.1)."""
    if tcb.state not in (CLOSED, LISTEN):  # EP-OPEN-5
        raise ConnectionAlreadyExists("", str(tcb.remote))
    if tcb.remote.port == 0 or is_unspecified(tcb.remote.address):
        raise RemoteUnspecified
    tcb.opening.is_passive = False  # MUST-11
    handshake.begin(tcb, now)
    tcb.enter(SYN_SENT, now)  # EP-OPEN-2, EP-OPEN-4


def send(tcb: Tcb, data: bytes | bytearray | memoryview, now: int, *, urgent: bool) -> int:
    """Queue ``data`` and return how many octets were accepted: SEND (RFC 9293, 3.10.2).

    Every SEND is a push: no octet waits for a later SEND (MUST-60, SHLD-27).
    """
    if not isinstance(data, (bytes, bytearray, memoryview)):
        raise ArgumentError("data", data, "bytes, bytearray or memoryview")
    _require_sending(tcb, now)
    view = memoryview(data).cast("B") if isinstance(data, memoryview) else data
    taken = min(len(view), tuning.room(tcb))
    if taken < len(view):
        tcb.snd.wants_room = True
        tuning.wait_for_memory(tcb, taken)
    if taken:
        tcb.claim_memory(taken)
        if tcb.snd.stopwatch is None:
            tcb.snd.stopwatch = Stopwatch(now)
        tcb.snd.stopwatch.start(now)
        tcb.snd.buffer.append(view if taken == len(view) else memoryview(view)[:taken])
    if urgent and taken:  # D-13: the octet after the last urgent one
        tcb.snd.mark_urgent()
    return taken


def _require_sending(tcb: Tcb, now: int) -> None:
    """Raise the error of a SEND that isn't allowed in this state; in LISTEN, make the open active first."""
    if tcb.state is CLOSED:  # EP-SEND-1
        raise why_closed(tcb)
    if tcb.state is LISTEN:  # EP-SEND-2
        open_active(tcb, now)
    if not may_send(tcb):  # EP-SEND-5, RFC9293-3.6-2
        raise ConnectionClosing("", str(tcb.remote))


def may_send(tcb: Tcb) -> bool:
    """Whether SEND is allowed: not after CLOSE, and not in a state that only CLOSE leads to."""
    return not tcb.snd.fin_is_queued and tcb.state not in (
        CLOSED,
        FIN_WAIT_1,
        FIN_WAIT_2,
        CLOSING,
        LAST_ACK,
        TIME_WAIT,
    )


def receive(tcb: Tcb, limit: int, now: int) -> bytes:
    """Return up to ``limit`` octets that arrived in order: RECEIVE (RFC 9293, 3.10.3).

    What arrived before an error or the end is returned first (D-14).
    """
    if not isinstance(limit, int) or limit < 1:
        raise ArgumentError("limit", limit, "1 or more octets")
    if not _has_text(tcb):
        return b""
    data = tcb.rcv.read(limit)
    _was_read(tcb, len(data), now)
    return data


def receive_into(tcb: Tcb, room: memoryview, now: int) -> int:
    """Fill ``room`` with octets that arrived in order, and return how many there were."""
    if not room:
        raise ArgumentError("buffer", len(room), "1 or more octets")
    if not _has_text(tcb):
        return 0
    count = tcb.rcv.read_into(room)
    _was_read(tcb, count, now)
    return count


def _has_text(tcb: Tcb) -> bool:
    """Whether octets wait to be read (EP-RECV-2, EP-RECV-4, EP-RECV-5).

    If none wait and the state is CLOSED, raises the error that ended the connection. After the peer's FIN or
    our ABORT it raises nothing (`has_ended`).
    """
    if tcb.rcv.unread == 0 and tcb.state is CLOSED and not has_ended(tcb):  # EP-RECV-1
        raise why_closed(tcb)
    return tcb.rcv.unread > 0


def has_ended(tcb: Tcb) -> bool:
    """Whether no more octets will come, and no error cut them off: the peer sent FIN, or our user aborted.

    RFC 9293, 3.10.5, answers RECEIVE calls that wait at an ABORT with an error. Here no call waits, and a
    user that aborted needs no error: what had arrived is returned (D-14), and after it the end.
    """
    return tcb.rcv.fin_is_received or tcb.was_aborted


def _was_read(tcb: Tcb, octets: int, now: int) -> None:
    """Free memory after the user read ``octets``, and let output send a window update if one is due."""
    tcb.give_back(octets)
    if tcb.can_receive:  # EP-RECV-3
        tuning.follow_reader(tcb, now)
        window.after_read(tcb)


def close(tcb: Tcb, now: int) -> None:
    """Queue a FIN behind the data: CLOSE (RFC 9293, 3.10.4). Receiving goes on (RFC9293-3.6-1)."""
    if tcb.state is CLOSED:  # EP-CLOSE-1
        raise why_closed(tcb)
    if tcb.state in (LISTEN, SYN_SENT):  # EP-CLOSE-2, EP-CLOSE-3
        tcb.delete(None, now)
        return
    # EP-CLOSE-8
    if tcb.state in (CLOSING, LAST_ACK, TIME_WAIT) or (tcb.state is CLOSE_WAIT and tcb.snd.fin_is_queued):
        raise ConnectionClosing("", str(tcb.remote))
    # EP-CLOSE-5, EP-CLOSE-4
    if tcb.state is ESTABLISHED or (
        tcb.state is SYN_RECEIVED and tcb.snd.buffer.size == 0 and not tcb.opening.is_fast
    ):
        tcb.enter(FIN_WAIT_1, now)
    # EP-CLOSE-6: a second CLOSE in FIN-WAIT is "ok" and sends no second FIN. EP-CLOSE-7, D-15: the state is
    # CLOSE-WAIT until the FIN is sent
    tcb.snd.fin_is_queued = True


def release(tcb: Tcb, now: int) -> None:
    """Close, and discard what arrives, as ``close()`` of a socket does.

    If octets were not read, the peer learns by a RST that they are lost (SHLD-3).
    """
    if tcb.state is not CLOSED and not tcb.rcv.is_released:
        tcb.rcv.is_released = True
        is_read_up = not (tcb.rcv.unread or tcb.opening.early) and tcb.rcv.reassembly is None
        if not is_read_up and tcb.state in (SYN_RECEIVED, ESTABLISHED, CLOSE_WAIT, FIN_WAIT_1, FIN_WAIT_2):
            abort(tcb, now)
        elif tcb.state in (LISTEN, SYN_SENT, SYN_RECEIVED, ESTABLISHED) or (
            tcb.state is CLOSE_WAIT and not tcb.snd.fin_is_queued
        ):
            close(tcb, now)
        orphan.begin(tcb, now)
    _forget_unread(tcb)


def _forget_unread(tcb: Tcb) -> None:
    """Drop what the user hasn't read."""
    tcb.give_back(tcb.rcv.unread)
    tcb.rcv.discard()


def abort(tcb: Tcb, now: int) -> None:
    """Delete the TCB, and let output send a RST where the peer must learn of it: ABORT (RFC 9293, 3.10.5)."""
    if tcb.state is CLOSED:  # EP-ABORT-1
        raise why_closed(tcb)
    is_told = tcb.state in (SYN_RECEIVED, ESTABLISHED, FIN_WAIT_1, FIN_WAIT_2, CLOSE_WAIT)
    # EP-ABORT-5: "ok"
    error: TcpError | None = None if tcb.state in (CLOSING, LAST_ACK, TIME_WAIT) else ConnectionAborted()
    if tcb.state in (LISTEN, SYN_SENT):  # EP-ABORT-2, EP-ABORT-3
        error = ConnectionReset("the program aborted the attempt to connect")
    tcb.was_aborted = True
    tcb.delete(error, now)
    if is_told:  # EP-ABORT-4
        tcb.owes |= OWES_RESET
