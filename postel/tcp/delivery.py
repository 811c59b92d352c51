"""The segment text: what is in order goes to the user, what is ahead waits for reassembly (RFC 9293,
3.10.7.4, seventh check).
"""

from typing import Final

from postel.tcp import seq
from postel.tcp.events import READABLE
from postel.tcp.memory import Memory
from postel.tcp.reassembly import PIECE, QUEUE, Reassembly
from postel.tcp.tcb import OWES_ACK, Tcb
from postel.tcp.timers import DELAYED_ACK
from postel.wire.segment import SYN, Segment

_DUPLICATES_HELD: Final = 64
# pieces that may wait behind gaps whatever the size of the receive buffer; more, while they weigh less than
# that
_FEW: Final = 32


def accept(tcb: Tcb, ahead: int, data: bytes, packets: int, now: int) -> bool:
    """``data`` of so many packets begins ``ahead`` octets after RCV.NXT. What the host has no memory for is
    dropped and comes again.
    """
    if ahead or tcb.rcv.reassembly is not None:
        return _hold(tcb, ahead, data, packets)
    if not tcb.claim_memory(len(data)):
        return False
    deliver(tcb, data)
    owe_ack(tcb, packets, now)
    if tcb.rcv.duplicate is not None:  # its sender waits to hear that it sent too much
        tcb.owes |= OWES_ACK
    return True


def _hold(tcb: Tcb, ahead: int, data: bytes, packets: int) -> bool:
    """Text ahead of RCV.NXT becomes a piece that waits, with a weight of its own; text at RCV.NXT fills a
    gap, and goes to the user.
    """
    weight = len(data)
    if ahead:
        weight += PIECE if tcb.rcv.reassembly else PIECE + QUEUE
    if not tcb.claim_memory(weight) and not _make_room(tcb, ahead, weight):
        return False
    _reassemble(tcb, ahead, data, packets, weight)
    return True


def _make_room(tcb: Tcb, ahead: int, octets: int) -> bool:
    """In-order text is worth more than what waits behind a gap (RFC 2018, 8 lets us give that up)."""
    return not ahead and tcb.give_up_gap(octets) > 0 and tcb.claim_memory(octets)


def deliver(tcb: Tcb, data: bytes) -> None:
    """``data`` is the next in order, and there is memory for it."""
    tcb.rcv.deliver(data)
    tcb.tell(READABLE)


def owe_ack(tcb: Tcb, packets: int, now: int) -> None:
    """Every second segment at once (SHLD-19), else within the delay (SHLD-18, MUST-40). What a link joined
    counts as what it was.
    """
    tcb.rcv.arrived_since_ack += packets
    if tcb.rcv.arrived_since_ack >= tcb.config.acknowledge_every or tcb.config.delayed_ack == 0:
        tcb.owes |= OWES_ACK
    elif not tcb.timers.is_running(DELAYED_ACK):
        tcb.timers.start(DELAYED_ACK, now + tcb.config.delayed_ack)


def count(tcb: Tcb, memory: Memory) -> None:
    """Text of an ended connection that no program has yet counts as the host's again (`Tcb.let_text_go`),
    even beyond the limit.
    """
    if tcb.memory is None:
        tcb.memory = memory
        memory.used += tcb.rcv.unread


def _reassemble(tcb: Tcb, ahead: int, data: bytes, packets: int, taken: int) -> None:
    """Out of order, or into a gap: acknowledged at once either way (RFC5681-3.2a, RFC5681-3.2b).

    ``taken`` octets of the host's memory are for it, of which what it didn't need is given back.
    """
    if tcb.rcv.reassembly is None:
        tcb.rcv.reassembly = Reassembly()
        if tcb.memory is not None:
            tcb.memory.gaps[tcb] = None
    held = tcb.rcv.reassembly
    start = tcb.rcv.position + ahead
    run = held.range_at(start, start + len(data))
    if run[1] and (
        ahead or tcb.rcv.duplicate is None
    ):  # RFC2883-4a; RFC2883-4.2: the first of several, so not after one left of RCV.NXT
        tcb.rcv.duplicate = (_number(tcb, run[0]), _number(tcb, run[1]))
    before = held.weight + tcb.rcv.unread
    held.insert(start, data)
    held.relieve(max(_FEW, tcb.rcv.limit // PIECE))
    if ahead and not tcb.sack_agreed:
        # MUST-58 coalesces ACKs, but a peer without SACK counts duplicates to find a loss: each segment gets
        # its own
        tcb.rcv.duplicates_owed = min(
            tcb.rcv.duplicates_owed + packets - (tcb.owes & OWES_ACK == 0), _DUPLICATES_HELD
        )
    tcb.owes |= OWES_ACK
    for piece in held.pop_in_order(tcb.rcv.position):
        deliver(tcb, piece)
    tcb.give_back(taken - (held.weight + tcb.rcv.unread - before))
    if not held:
        tcb.close_gap()


def _number(tcb: Tcb, position: int) -> int:
    return seq.add(tcb.rcv.nxt, position - tcb.rcv.position)


def note_duplicate(tcb: Tcb, segment: Segment) -> None:
    """Text left of RCV.NXT came again: the next ACK says which, once (D-SACK, RFC 2883; RFC9768-3.1.1d)."""
    if tcb.sack_agreed and segment.data:
        first = seq.add(segment.seq, segment.flags & SYN != 0)
        last = seq.add(first, len(segment.data))
        if seq.lt(first, tcb.rcv.nxt):
            tcb.rcv.duplicate = (first, last if seq.le(last, tcb.rcv.nxt) else tcb.rcv.nxt)
