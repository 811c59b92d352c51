"""Answers to segments that don't fit: the challenge ACK of RFC 5961 and the empty ACK of RFC 9293, 3.5.2.

They are limited, so that neither two confused peers nor an attacker can make a storm of them (RFC5961-7a),
and each limit is a connection's own. A limit for the whole host would be emptied by strangers, and then
honest peers go without the answers that they need; and whoever can count what is left of it learns what other
connections are sent (RFC5961-7b, CVE-2016-5696). Without one, n attacked connections answer 2 n times a
second at the default interval, and never more often than they are sent something: each answer costs the
attacker a packet of the same size, which is what a SYN or an echo request costs too.

There are two limits. A challenge answers what takes no more than the addresses and ports to send: one in each
interval. What has the number before RCV.NXT is a keep-alive of a peer that is in step, or one guess in 2**32:
ten in each interval, and challenges don't count.
"""

from typing import Final

from postel.tcp import seq
from postel.tcp.state import TIME_WAIT
from postel.tcp.tcb import OWES_ACK, Tcb
from postel.tcp.timewait import is_bare_syn, is_old_duplicate
from postel.wire.segment import SYN, Segment

_KEEP_ALIVES: Final = 10  # that are answered in one challenge interval


def owe(tcb: Tcb, segment: Segment, now: int) -> None:
    """Owe an ACK for ``segment``. One that takes sequence space is always answered (EP-CHL-2): its sender
    waits for that ACK.
    """
    if (segment.len > 0 and not segment.flags & SYN) or _may_answer(tcb, segment, now):
        tcb.owes |= OWES_ACK
        if tcb.state is TIME_WAIT and is_bare_syn(segment) and not is_old_duplicate(tcb, segment):
            tcb.rcv.is_challenged = True


def claim(tcb: Tcb, now: int) -> bool:
    """Whether a challenge may be given now: one for each connection and interval (EP-CHL-1)."""
    if now < tcb.rcv.challenge_after:
        tcb.counts.throttled += 1
        return False
    tcb.rcv.challenge_after = now + tcb.config.challenge_interval
    return True


def _may_answer(tcb: Tcb, segment: Segment, now: int) -> bool:
    is_keep_alive = (
        segment.seq == seq.add(tcb.rcv.nxt, -1) and segment.len == 0 and tcb.state is not TIME_WAIT
    )
    return _answer_keep_alive(tcb, now) if is_keep_alive else claim(tcb, now)


def _answer_keep_alive(tcb: Tcb, now: int) -> bool:
    """Whether a keep-alive may be answered now. Once an attacker has set the numbers of two ends apart, each
    takes the other's ACKs for keep-alives, and they would go on for ever.

    ``keep_alives_until`` moves on by a tenth of the interval with each answer, and may be an interval ahead.
    """
    interval = tcb.config.challenge_interval
    if tcb.rcv.keep_alives_until > now + interval - interval // _KEEP_ALIVES:
        tcb.counts.throttled += 1
        return False
    tcb.rcv.keep_alives_until = max(now, tcb.rcv.keep_alives_until) + interval // _KEEP_ALIVES
    return True
