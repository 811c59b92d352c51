"""Answers to segments that don't fit: the challenge ACK of RFC 5961 and the empty ACK of RFC 9293, 3.5.2, throttled so that neither
two confused peers nor an attacker can make a storm of them (RFC5961-7a)."""

from postel.tcp.tcb import OWES_ACK, Tcb
from postel.wire.segment import SYN, Segment


def owe(tcb: Tcb, segment: Segment, now: int) -> None:
    """Owe an ACK for ``segment``. One that takes sequence space is always answered (EP-CHL-2): its sender waits for that ACK."""
    if (segment.len > 0 and not segment.flags & SYN) or take(tcb, now):
        tcb.owes |= OWES_ACK


def take(tcb: Tcb, now: int) -> bool:
    """Whether a throttled answer may be given now: one per connection and interval (EP-CHL-1), and the host's budget."""
    if now < tcb.challenge_after:
        tcb.throttled += 1
        return False
    if tcb.challenges is not None and not tcb.challenges.take(now):
        tcb.throttled += 1
        return False
    tcb.challenge_after = now + tcb.config.challenge_interval
    return True
