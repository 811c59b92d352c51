"""Which side will tell the other of marks, and how: what SYN and SYN,ACK say (RFC 3168, 6.1.1; RFC 9768,
3.1).

::

    asks          AE CWR ECE       answers          AE CWR ECE
    RFC 9768       1  1  1         RFC 9768          the mark of the SYN: 010, 011, 100, 110
    RFC 3168       0  1  1         RFC 3168           0  0  1
    for nothing    0  0  0         for nothing        0  0  0       or any other, such as the SYN's own bits
    reflected

The first SYN or SYN,ACK that arrives decides for good. What goes unanswered twice goes without: a middlebox
may drop these bits.
"""

from typing import Final

from postel.tcp.config import Config
from postel.tcp.ecn import FLAGS, Ecn, ace
from postel.tcp.ecn.accurate import Accurate
from postel.tcp.ecn.classic import Classic
from postel.tcp.state import SYN_SENT
from postel.tcp.tcb import OWES_ACK, Tcb
from postel.wire.segment import ACK, CWR, ECE, SYN, Segment

_ATTEMPTS: Final = 2  # SYNs, or SYN,ACKs, until one goes without
_ACCURATE_ANSWERS: Final = (0b010, 0b011, 0b100, 0b101, 0b110)  # table 2, and what is reserved (3.1.3)
_UNCHANGED: Final = 0b101  # "as if it fed back that the IP-ECN field on the SYN had arrived unchanged"
_CLASSIC_SYN: Final = ECE | CWR


def is_accurate(config: Config) -> bool:
    return config.ecn in ("accept", "ask")


def ask(tcb: Tcb) -> int:
    """The flags of our SYN (RFC3168-6.1.1.1, RFC9768-3.1.4)."""
    if tcb.snd.retransmissions >= _ATTEMPTS:
        return 0
    if tcb.config.ecn == "ask":
        return FLAGS  # RFC9768-3.1.1
    return _CLASSIC_SYN if tcb.config.ecn == "ask-classic" else 0  # RFC3168-6.1.1a


def learn(tcb: Tcb, syn: Segment) -> None:
    """A SYN or SYN,ACK: what it says decides, once."""
    if syn.flags & ACK:
        tcb.ecn = _confirmed(tcb, syn)
        return
    tcb.opening.syn_asks = syn.flags & FLAGS if is_accurate(tcb.config) else 0
    if tcb.state is not SYN_SENT or tcb.config.ecn in (
        "ask",
        "ask-classic",
    ):  # RFC9768-3.1.2s: as if its responder
        tcb.ecn = _agreed(tcb, syn)


def _agreed(tcb: Tcb, syn: Segment) -> Ecn | None:
    """A peer asks (RFC9768-3.1.2, RFC3168-6.1.1c)."""
    bits = syn.flags & FLAGS
    if tcb.config.ecn == "off" or bits == 0:
        return None
    made: Ecn
    if is_accurate(tcb.config) and bits != _CLASSIC_SYN:  # 3.1.3: combinations that mean nothing yet too
        made = accurate = Accurate(tcb.snd.iss)
        accurate.hears_syn(syn.ecn)
    elif bits & _CLASSIC_SYN == _CLASSIC_SYN:
        made = Classic(tcb.snd.iss)
    else:
        return None
    made.may_mark = (
        tcb.state is not SYN_SENT or ask(tcb) != 0
    )  # RFC9768-3.1.5, RFC3168-6.1.1b: never after a SYN that didn't ask
    return made


def _confirmed(tcb: Tcb, syn_ack: Segment) -> Ecn | None:
    """A peer answers what we asked (RFC9768-3.1.2); what we didn't ask for is no answer (RFC3168-6.1.1c)."""
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
    """What our SYN,ACK says, which has ``room`` octets for options. A third goes without, and so does one
    that answers a SYN without (RFC9768-3.1.4)."""
    ecn.answers += 1
    if ecn.answers > _ATTEMPTS:
        ecn.may_mark = False  # RFC9768-3.1.5, RFC3168-6.1.1b
    elif isinstance(ecn, Accurate):
        syn_ack.flags |= ecn.reflection()  # RFC9768-3.1.1
        if ecn.answers == 1:  # RFC9768-3.2.3.2; 3.2.3.2.2: again without
            ecn.introduce(syn_ack, room)
    elif ecn.may_mark:
        syn_ack.flags |= ECE  # RFC3168-6.1.1a


def hear_again(tcb: Tcb, segment: Segment) -> bool:
    """Another SYN, or the SYN,ACK of a simultaneous open, while the handshake lasts: the mode stays. False:
    this handshake mixes both ways, and must be reset, lest the two ends mean different ones (RFC9768-3.1.5).
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
        tcb.ecn.hears_syn(segment.ecn)  # 3.1.5: the latest is fed back
    return True


def _is_mixed(tcb: Tcb, asks: int) -> bool:
    """Whether one SYN of this handshake asked for RFC 3168 and another for RFC 9768, though the first may
    have asked for nothing.
    """
    if not is_accurate(tcb.config):
        return False
    before, tcb.opening.syn_asks = tcb.opening.syn_asks, asks or tcb.opening.syn_asks
    return before != 0 and (tcb.opening.syn_asks == _CLASSIC_SYN) != (before == _CLASSIC_SYN)


def _hear_crossing_answer(ecn: Ecn, syn_ack: Segment) -> None:
    """No bare ACK answers it, to say how it arrived, but it counts."""
    if not syn_ack.flags & FLAGS:  # both ends are servers here
        ecn.may_mark = False  # RFC9768-3.1.5, RFC3168-6.1.1b
    if isinstance(ecn, Accurate):
        ecn.hears_syn_ack(syn_ack.ecn)


def hear_late(tcb: Tcb, ecn: Ecn, segment: Segment) -> None:
    """A SYN,ACK once more, since our ACK was lost: the ACK that is owed for it says again how it arrived
    (3.2.2.1).
    """
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
    """The segment that acknowledged our SYN or SYN,ACK says how that arrived."""
    ecn = tcb.ecn
    if not isinstance(ecn, Accurate):
        return
    has_content = len(segment.data) > 0 or (tcb.sack_agreed and len(segment.sack) > 0)
    if _hears_of_handshake(ecn, segment, tcb.ensure_controller().smss, has_content=has_content):
        controller = tcb.ensure_controller()
        controller.marked(controller.window, now)
        ecn.reduced(tcb.snd.max)


def _hears_of_handshake(ecn: Accurate, segment: Segment, smss: int, *, has_content: bool) -> bool:
    """Whether it met congestion."""
    told = ace(segment.flags)
    if segment.flags & SYN:
        ecn.count(segment.ecn, len(segment.data))
        ecn.read_option(segment)
        return told != _UNCHANGED and ecn.hears_reflection(told, counts=False)
    if has_content:  # no bare ACK: its counter is one
        return ecn.heed(segment, 0, smss, is_newer=True) > 0
    if told == 0:  # RFC9768-3.2.2, table 4
        ecn.turns_deaf()
        return False
    ecn.read_option(segment)
    return ecn.hears_reflection(told, counts=True)
