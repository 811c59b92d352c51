"""Agreement on ECN by the flags of SYN and SYN,ACK (RFC 3168, 6.1.1; RFC 9768, 3.1).

::

    SYN asks for  AE CWR ECE       SYN,ACK agrees to   AE CWR ECE
    RFC 9768       1  1  1         RFC 9768            the mark of the SYN: 010, 011, 100, 110
    RFC 3168       0  1  1         RFC 3168             0  0  1
    nothing        0  0  0         nothing              0  0  0   or any other, such as a copy of the
                                                                  SYN's flags

The first SYN or SYN,ACK that arrives decides for good. A SYN or SYN,ACK that goes unanswered twice is sent
without these flags, because a middlebox may drop segments that have them.
"""

from typing import Final

from postel.tcp.config import Config
from postel.tcp.ecn import FLAGS, Ecn, ace
from postel.tcp.ecn.accurate import Accurate
from postel.tcp.ecn.classic import Classic
from postel.tcp.state import SYN_SENT
from postel.tcp.tcb import OWES_ACK, Tcb
from postel.wire.segment import ACK, CWR, ECE, SYN, Segment

_ATTEMPTS: Final = 2  # SYNs or SYN,ACKs with the flags; further ones go without
_ACCURATE_ANSWERS: Final = (0b010, 0b011, 0b100, 0b101, 0b110)  # RFC 9768, table 2; and what is reserved
_UNCHANGED: Final = 0b101  # "as if it fed back that the IP-ECN field on the SYN had arrived unchanged"
_CLASSIC_SYN: Final = ECE | CWR


def is_accurate(config: Config) -> bool:
    """Say whether this configuration has accurate ECN (RFC 9768)."""
    return config.ecn in ("accept", "ask")


def ask(tcb: Tcb) -> int:
    """Return the flags that our SYN asks with (RFC3168-6.1.1.1, RFC9768-3.1.4)."""
    if tcb.snd.retransmissions >= _ATTEMPTS:
        return 0
    if tcb.config.ecn == "ask":
        return FLAGS  # RFC9768-3.1.1
    return _CLASSIC_SYN if tcb.config.ecn == "ask-classic" else 0  # RFC3168-6.1.1a


def learn(tcb: Tcb, syn: Segment) -> None:
    """Agree on ECN, or on none, by the first SYN or SYN,ACK that arrives."""
    if syn.flags & ACK:
        tcb.ecn = _confirmed(tcb, syn)
        return
    tcb.opening.syn_asks = syn.flags & FLAGS if is_accurate(tcb.config) else 0
    # RFC9768-3.1.2s: where two SYNs cross, each end answers the other's SYN as a server would.
    if tcb.state is not SYN_SENT or tcb.config.ecn in ("ask", "ask-classic"):
        tcb.ecn = _agreed(tcb, syn)


def _agreed(tcb: Tcb, syn: Segment) -> Ecn | None:
    """Return what is agreed with a peer that asks (RFC9768-3.1.2, RFC3168-6.1.1c)."""
    bits = syn.flags & FLAGS
    if tcb.config.ecn == "off" or bits == 0:
        return None
    made: Ecn
    if is_accurate(tcb.config) and bits != _CLASSIC_SYN:  # RFC 9768, 3.1.3: reserved values, too
        made = accurate = Accurate(tcb.snd.iss)
        accurate.hears_syn(syn.ecn)
    elif bits & _CLASSIC_SYN == _CLASSIC_SYN:
        made = Classic(tcb.snd.iss)
    else:
        return None
    # RFC9768-3.1.5, RFC3168-6.1.1b: never ECT after a SYN of ours that didn't ask
    made.may_mark = tcb.state is not SYN_SENT or ask(tcb) != 0
    return made


def _confirmed(tcb: Tcb, syn_ack: Segment) -> Ecn | None:
    """Return what a peer's SYN,ACK agrees to (RFC9768-3.1.2).

    What we didn't ask for is no agreement (RFC3168-6.1.1c).
    """
    answer = ace(syn_ack.flags)
    if tcb.config.ecn == "ask" and answer in _ACCURATE_ANSWERS:
        accurate = Accurate(tcb.snd.iss)
        accurate.hears_syn_ack(syn_ack.ecn)
        accurate.wants_bare_ack = True  # RFC9768-3.2.2, table 3
        accurate.introduces_itself()  # RFC9768-3.2.3.2
        return accurate
    if tcb.config.ecn in ("ask", "ask-classic") and syn_ack.flags & _CLASSIC_SYN == ECE:
        classic = Classic(tcb.snd.iss)
        classic.may_mark = ask(tcb) != 0  # RFC3168-6.1.1b
        return classic
    return None


def answer(ecn: Ecn, syn_ack: Segment, room: int) -> None:
    """Write our agreement to a SYN,ACK that has ``room`` octets for options.

    From the third SYN,ACK on, none agrees any more (RFC9768-3.1.4). With classic ECN, neither does a SYN,ACK
    that answers a SYN without ECN flags.
    """
    ecn.answers += 1
    if ecn.answers > _ATTEMPTS:
        ecn.may_mark = False  # RFC9768-3.1.5, RFC3168-6.1.1b
    elif isinstance(ecn, Accurate):
        syn_ack.flags |= ecn.reflection()  # RFC9768-3.1.1
        if ecn.answers == 1:  # RFC9768-3.2.3.2; 3.2.3.2.2: a repeated SYN,ACK has no option
            ecn.introduce(syn_ack, room)
    elif ecn.may_mark:
        syn_ack.flags |= ECE  # RFC3168-6.1.1a


def hear_again(tcb: Tcb, segment: Segment) -> bool:
    """Process the ECN flags of a further SYN, or of a simultaneous open's SYN,ACK, during the handshake.

    The mode stays as it is. Returns False where this handshake mixes both modes: it must be reset, because
    the two ends might have decided differently (RFC9768-3.1.5).
    """
    if segment.flags & ACK:
        if not tcb.opening.is_passive and tcb.ecn is not None:
            _hear_crossing_answer(tcb.ecn, segment)
        return True
    if _is_mixed(tcb, segment.flags & FLAGS):
        return False
    if tcb.ecn is not None and not segment.flags & FLAGS:
        tcb.ecn.may_mark = False  # RFC9768-3.1.5, RFC3168-6.1.1b
    if isinstance(tcb.ecn, Accurate):
        tcb.ecn.hears_syn(segment.ecn)  # RFC 9768, 3.1.5: the latest SYN's mark counts
    return True


def _is_mixed(tcb: Tcb, asks: int) -> bool:
    """Say whether one SYN of this handshake asked for RFC 3168 and another for RFC 9768.

    A SYN that asked for nothing is no contradiction.
    """
    if not is_accurate(tcb.config):
        return False
    before, tcb.opening.syn_asks = tcb.opening.syn_asks, asks or tcb.opening.syn_asks
    return before != 0 and (tcb.opening.syn_asks == _CLASSIC_SYN) != (before == _CLASSIC_SYN)


def _hear_crossing_answer(ecn: Ecn, syn_ack: Segment) -> None:
    """Process the SYN,ACK of a simultaneous open: its mark is counted, but no bare ACK reports it."""
    if not syn_ack.flags & FLAGS:  # in a simultaneous open both ends answer a SYN, as servers do
        ecn.may_mark = False  # RFC9768-3.1.5, RFC3168-6.1.1b
    if isinstance(ecn, Accurate):
        ecn.hears_syn_ack(syn_ack.ecn)


def hear_late(tcb: Tcb, ecn: Ecn, segment: Segment) -> None:
    """Process a repeated SYN,ACK: our ACK was lost, so the next reports the mark (RFC 9768, 3.2.2.1)."""
    is_again = segment.flags & (SYN | ACK) == SYN | ACK and segment.seq == tcb.rcv.irs
    if (
        is_again
        and isinstance(ecn, Accurate)
        and tcb.owes & OWES_ACK
        and ace(segment.flags) in _ACCURATE_ANSWERS
    ):
        ecn.hears_syn_ack(segment.ecn)
        ecn.wants_bare_ack = True  # RFC9768-3.2.2


def opened(tcb: Tcb, segment: Segment, now: int) -> None:
    """Process the segment that acknowledged our SYN or SYN,ACK: it reports how that arrived."""
    ecn = tcb.ecn
    if not isinstance(ecn, Accurate):
        return
    has_content = len(segment.data) > 0 or (tcb.sack_agreed and len(segment.sack) > 0)
    if _hears_of_handshake(ecn, segment, tcb.ensure_controller().smss, has_content=has_content):
        controller = tcb.ensure_controller()
        controller.marked(controller.window, now)
        ecn.reduced(tcb.snd.max)


def _hears_of_handshake(ecn: Accurate, segment: Segment, smss: int, *, has_content: bool) -> bool:
    """Process the report of how our SYN or SYN,ACK arrived; return whether the path was congested."""
    told = ace(segment.flags)
    if segment.flags & SYN:
        ecn.count(segment.ecn, len(segment.data))
        ecn.read_option(segment)
        return told != _UNCHANGED and ecn.hears_reflection(told, counts=False)
    if has_content:  # it isn't a bare ACK, so its ACE field is a counter
        return ecn.heed(segment, 0, smss, is_newer=True) > 0
    if told == 0:  # RFC9768-3.2.2, table 4
        ecn.turns_deaf()
        return False
    ecn.read_option(segment)
    return ecn.hears_reflection(told, counts=True)
