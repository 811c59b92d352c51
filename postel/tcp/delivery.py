"""Payload that arrives: in order it goes to the user, ahead of RCV.NXT it waits for reassembly.

RFC 9293, 3.10.7.4, seventh check. The module also decides when an ACK is due (3.8.6.3).
"""

from typing import Final

from postel.tcp import seq
from postel.tcp.events import READABLE
from postel.tcp.memory import Memory
from postel.tcp.reassembly import PIECE, QUEUE, Reassembly
from postel.tcp.tcb import OWES_ACK, Tcb
from postel.tcp.timers import DELAYED_ACK
from postel.wire.segment import SYN, Segment

_DUPLICATES_HELD: Final = 64  # most duplicate ACKs that wait to be sent at once
# Pieces of payload that may wait for reassembly, however small the receive buffer is. More may wait while
# their number times PIECE octets of memory is less than the size of the buffer
_FEW: Final = 32


def accept(tcb: Tcb, ahead: int, data: bytes, packets: int, now: int) -> bool:
    """Accept ``data``, which begins ``ahead`` octets after RCV.NXT; return whether memory sufficed.

    ``packets`` is how many packets brought the data. Data that finds no memory is dropped, and the peer sends
    it again.
    """
    if ahead or tcb.rcv.reassembly is not None:
        return _hold(tcb, ahead, data, packets)
    if not tcb.claim_memory(len(data)):
        return False
    deliver(tcb, data)
    owe_ack(tcb, packets, now)
    if tcb.rcv.duplicate is not None:  # the peer sent octets twice and waits for the D-SACK block
        tcb.owes |= OWES_ACK
    return True


def _hold(tcb: Tcb, ahead: int, data: bytes, packets: int) -> bool:
    """Put ``data`` into the reassembly queue and deliver what is in order; return whether memory sufficed.

    Each piece that waits costs memory of its own beside its octets.
    """
    weight = len(data)
    if ahead:
        weight += PIECE if tcb.rcv.reassembly else PIECE + QUEUE
    if not tcb.claim_memory(weight) and not _make_room(tcb, ahead, weight):
        return False
    _reassemble(tcb, ahead, data, packets, weight)
    return True


def _make_room(tcb: Tcb, ahead: int, octets: int) -> bool:
    """Claim memory for data in order by dropping pieces behind a gap, which RFC 2018, 8, allows."""
    return not ahead and tcb.give_up_gap(octets) > 0 and tcb.claim_memory(octets)


def deliver(tcb: Tcb, data: bytes) -> None:
    """Give ``data``, next in order, to the user. The caller has claimed memory for it."""
    tcb.rcv.deliver(data)
    tcb.tell(READABLE)


def owe_ack(tcb: Tcb, packets: int, now: int) -> None:
    """Record when an ACK is due: now for every second segment (SHLD-19), else later (SHLD-18, MUST-40).

    ``packets`` is how many packets arrived; the link may have joined them to one segment.
    """
    tcb.rcv.arrived_since_ack += packets
    if tcb.rcv.arrived_since_ack >= tcb.config.acknowledge_every or tcb.config.delayed_ack == 0:
        tcb.owes |= OWES_ACK
    elif not tcb.timers.is_running(DELAYED_ACK):
        tcb.timers.start(DELAYED_ACK, now + tcb.config.delayed_ack)


def count(tcb: Tcb, memory: Memory) -> None:
    """Count unread octets of an ended connection in the host's memory again, even beyond its limit.

    `Tcb.let_text_go` had stopped counting them. Called for a connection that no program has yet.
    """
    if tcb.memory is None:
        tcb.memory = memory
        memory.used += tcb.rcv.unread


def _reassemble(tcb: Tcb, ahead: int, data: bytes, packets: int, taken: int) -> None:
    """Insert data that is out of order or fills a gap; an ACK is due at once (RFC5681-3.2a, RFC5681-3.2b).

    ``taken`` octets of the host's memory were claimed for it; what isn't needed is given back.
    """
    if tcb.rcv.reassembly is None:
        tcb.rcv.reassembly = Reassembly()
        if tcb.memory is not None:
            tcb.memory.gaps[tcb] = None
    held = tcb.rcv.reassembly
    start = tcb.rcv.position + ahead
    run = held.range_at(start, start + len(data))
    # RFC2883-4a; RFC2883-4.2: a D-SACK block reports only the first octets of a segment that are duplicates.
    # If octets left of RCV.NXT were noted already, these are the first
    if run[1] and (ahead or tcb.rcv.duplicate is None):
        tcb.rcv.duplicate = (_number(tcb, run[0]), _number(tcb, run[1]))
    before = held.weight + tcb.rcv.unread
    held.insert(start, data)
    held.relieve(max(_FEW, tcb.rcv.limit // PIECE))
    if ahead and not tcb.sack_agreed:
        # By MUST-58 one ACK may answer several segments. But a peer without SACK counts duplicate ACKs to
        # detect a loss, so each segment ahead of RCV.NXT gets one
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
    """Return the sequence number of a position, which counts octets from the first of the stream."""
    return seq.add(tcb.rcv.nxt, position - tcb.rcv.position)


def note_duplicate(tcb: Tcb, segment: Segment) -> None:
    """Note which octets below RCV.NXT arrived again: the next ACK reports them, once (D-SACK, RFC 2883).

    Without SACK, and for a segment without payload, the call does nothing. RFC9768-3.1.1d.
    """
    if tcb.sack_agreed and segment.data:
        first = seq.add(segment.seq, segment.flags & SYN != 0)
        last = seq.add(first, len(segment.data))
        if seq.lt(first, tcb.rcv.nxt):
            tcb.rcv.duplicate = (first, last if seq.le(last, tcb.rcv.nxt) else tcb.rcv.nxt)
