"""Challenge ACKs (RFC 5961) and the ACKs that answer unacceptable segments (RFC 9293, 3.5.2 and 3.10.7.4).

Theory of operation. A segment that doesn't fit (a RST in the window but not at RCV.NXT, a SYN, a number
outside the window) is answered with an ACK. A genuine peer that lost its state answers that ACK with a RST of
the right number. An attacker that can't see the connection's packets doesn't get the ACK.

The answers are limited, so that neither two confused peers nor an attacker can cause a storm of them
(RFC5961-7a). Each connection has limits of its own. A limit for the whole host could be used up by an
attacker, and honest peers would go without their answers. An attacker could also count the answers that are
left, and so learn which segments other connections get (RFC5961-7b, CVE-2016-5696). With limits per
connection, n attacked connections send at most 2 n challenge ACKs a second, and never more than they get
segments: each answer costs the attacker a packet of the same size.

Two limits hold in each ``challenge_interval`` (500 ms by default):

    segment                                    to send it an attacker needs           answers
    any that doesn't fit                       the addresses and ports                1
    empty, SEG.SEQ = RCV.NXT - 1: keep-alive   one guess in 2**32                     10
    with payload or FIN                        (the peer waits for this ACK)          no limit
"""

from typing import Final

from postel.tcp import seq
from postel.tcp.state import TIME_WAIT
from postel.tcp.tcb import OWES_ACK, Tcb
from postel.tcp.timewait import is_bare_syn, is_old_duplicate
from postel.wire.segment import SYN, Segment

_KEEP_ALIVES: Final = 10  # keep-alives that are answered in one challenge interval


def owe(tcb: Tcb, segment: Segment, now: int) -> None:
    """Record that an ACK must answer ``segment``, which is unacceptable, if the limits allow it.

    A segment with payload or FIN is always answered, because its sender waits for that ACK (EP-CHL-2).
    """
    if (segment.len > 0 and not segment.flags & SYN) or _may_answer(tcb, segment, now):
        tcb.owes |= OWES_ACK
        if tcb.state is TIME_WAIT and is_bare_syn(segment) and not is_old_duplicate(tcb, segment):
            tcb.rcv.is_challenged = True


def claim(tcb: Tcb, now: int) -> bool:
    """Count a challenge ACK, and return whether the limit allows it: one in an interval (EP-CHL-1)."""
    if now < tcb.rcv.challenge_after:
        tcb.counts.throttled += 1
        return False
    tcb.rcv.challenge_after = now + tcb.config.challenge_interval
    return True


def _may_answer(tcb: Tcb, segment: Segment, now: int) -> bool:
    """Count an answer to ``segment`` against its limit, and return whether the limit allows it."""
    is_keep_alive = (
        segment.seq == seq.add(tcb.rcv.nxt, -1) and segment.len == 0 and tcb.state is not TIME_WAIT
    )
    return _answer_keep_alive(tcb, now) if is_keep_alive else claim(tcb, now)


def _answer_keep_alive(tcb: Tcb, now: int) -> bool:
    """Count an answer to a keep-alive, and return whether the limit allows it.

    The limit is needed: if an attacker has made the numbers of two ends disagree, each takes the other's ACKs
    for keep-alives, and they would answer each other for ever. ``keep_alives_until`` moves on by a tenth of
    the interval with each answer, and may be an interval ahead of ``now``.
    """
    interval = tcb.config.challenge_interval
    if tcb.rcv.keep_alives_until > now + interval - interval // _KEEP_ALIVES:
        tcb.counts.throttled += 1
        return False
    tcb.rcv.keep_alives_until = max(now, tcb.rcv.keep_alives_until) + interval // _KEEP_ALIVES
    return True
