"""Invariants of a TCB: what must be true between any two events."""

from postel.tcp import seq
from postel.tcp.seq import NO_SEQUENCE
from postel.tcp.state import CLOSED, LISTEN, TIME_WAIT
from postel.tcp.tcb import Tcb
from postel.tcp.timers import PERSIST, REORDERING, RETRANSMISSION, TAIL_PROBE, TWO_MSL
from postel.times import NEVER


def check(tcb: Tcb) -> None:
    """Assert every invariant. Tests call it after each step."""
    _sending(tcb)
    _receiving(tcb)
    _timers(tcb)


def _sending(tcb: Tcb) -> None:
    """Assert the invariants of the send variables."""
    snd = tcb.snd
    assert seq.le(snd.una, snd.nxt), "SND.UNA is beyond SND.NXT"
    assert seq.le(snd.nxt, snd.max), "SND.NXT is beyond SND.MAX"
    if tcb.state not in (CLOSED, LISTEN):
        has_fin = snd.fin_seq != NO_SEQUENCE and not snd.fin_is_acked
        outstanding = snd.flight - has_fin - (not snd.syn_is_acked)
        assert 0 <= outstanding <= snd.buffer.size, "more is in flight than the buffer holds"
        assert tcb.controller is None or tcb.controller.window >= 1, "the congestion window is empty"
    if snd.fin_seq != NO_SEQUENCE:
        assert snd.fin_is_queued, "a FIN was sent without a CLOSE"
        assert seq.le(snd.max, seq.add(snd.fin_seq, 1)), "something was sent beyond our FIN"


def _receiving(tcb: Tcb) -> None:
    """Assert the invariants of the receive variables and the reassembly queue."""
    assert tcb.rcv.wnd >= 0, "RCV.WND is negative"
    assert tcb.rcv.unread == sum(map(len, tcb.rcv.pieces)) - tcb.rcv.pieces_start, (
        "unread octets are miscounted"
    )
    assert tcb.rcv.unread >= 0, "more was read than arrived"
    if tcb.rcv.reassembly is not None:
        assert tcb.rcv.reassembly, "a queue without octets waits for reassembly"
        assert tcb.rcv.reassembly.end <= tcb.rcv.position + tcb.rcv.wnd, "octets are held beyond the window"
        assert not tcb.rcv.reassembly.pop_in_order(tcb.rcv.position), "octets in order wait for reassembly"
    if tcb.rcv.fin_is_received:
        assert tcb.rcv.nxt == seq.add(tcb.rcv.fin_expected, 1), "something came after the peer's FIN"


def _timers(tcb: Tcb) -> None:
    """Assert which timers run in which state."""
    timers = tcb.timers
    armed = [timer for timer in (RETRANSMISSION, TAIL_PROBE, REORDERING, PERSIST) if timers.is_running(timer)]
    assert len(armed) <= 1, "more than one of RTO, PTO, reordering timer and persist is armed"  # RFC 8985, 8
    if tcb.state is CLOSED:
        assert timers.next() == NEVER, "a timer outlives its TCB"
    if tcb.state is TIME_WAIT:
        assert timers.is_running(TWO_MSL), "TIME-WAIT without its timer"
    if tcb.state not in (CLOSED, LISTEN) and tcb.snd.flight and not tcb.owes:
        assert armed, "octets are in flight and no timer watches them"
