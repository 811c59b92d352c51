"""Functions by which a host asks and directs its connections, beyond what any program may do.

These functions aren't part of the public interface.
"""

from postel.errors import TcpError
from postel.tcp import acknowledge, delivery, orphan, pathmtu, timewait, tuning, window
from postel.tcp.connection import Connection
from postel.tcp.fastopen import FastOpen
from postel.tcp.memory import Holder, Memory
from postel.tcp.tcb import OWES_SYN, Tcb
from postel.tcp.timers import ORPHAN
from postel.wire.address import Endpoint
from postel.wire.segment import Segment

# Properties of a connection


def iss(connection: Connection) -> int:
    """Return ISS, our initial sequence number."""
    return connection._tcb.snd.iss


def snd_max(connection: Connection) -> int:
    """Return SND.MAX: one past the highest sequence number that was sent."""
    return connection._tcb.snd.max


def is_fast(connection: Connection) -> bool:
    """Whether a valid cookie opened the connection, before its handshake is over (RFC 7413)."""
    return connection._tcb.opening.is_fast


def is_released(connection: Connection) -> bool:
    """Whether the program has given the connection up (`Connection.release`)."""
    return connection._tcb.rcv.is_released


def is_stuck(connection: Connection) -> bool:
    """Whether what waits to be sent makes no progress: the peer's window is closed, or the peer is silent."""
    return orphan.is_stuck(connection._tcb)


def is_synchronized(connection: Connection) -> bool:
    """Whether both SYNs are acknowledged."""
    return connection._tcb.is_synchronized


def is_in_flight(connection: Connection, number: int) -> bool:
    """Whether the octet with this sequence number was sent and isn't acknowledged."""
    return acknowledge.is_in_flight(connection._tcb, number)


# Segments


def objection(connection: Connection, octets: bytes, start: int, end: int, segment: Segment) -> str:
    """Return why the signature of the segment at ``octets[start:end]`` is wrong, or "".

    "" means that it is right, or that the connection uses no signatures.
    """
    authentication = connection.authentication
    if authentication is None:
        return ""
    return authentication.objection(
        octets, start, end, segment, connection._tcb.snd.iss, connection._tcb.known_irs
    )


def seal(connection: Connection, segment: Segment) -> bytes:
    """Sign ``segment`` and return its octets. Only for a connection that has an ``authentication``."""
    authentication, tcb = connection.authentication, connection._tcb
    assert authentication is not None  # noqa: S101 - the caller has checked
    return authentication.seal(segment, tcb.config.option_layout, tcb.snd.iss, tcb.known_irs)


def reopens(connection: Connection, segment: Segment) -> bool:
    """Whether ``segment``, a SYN, begins the next connection of a pair that is in TIME-WAIT."""
    return timewait.reopens(connection._tcb, segment)


def is_old_duplicate(connection: Connection, segment: Segment) -> bool:
    """Whether timestamps prove a SYN to be from the time of the old connection."""
    return timewait.is_old_duplicate(connection._tcb, segment)


def open_fast(connection: Connection, part: FastOpen | None) -> None:
    """Let the handshake that begins use Fast Open (RFC 7413), or not, where ``part`` is None."""
    connection._tcb.opening.fast_open = part


def peer_mss(connection: Connection) -> int:
    """Return the peer's MSS option in octets; before its SYN arrived, the default."""
    return connection._tcb.path.peer_mss


def regard_syn_as_sent(connection: Connection) -> None:
    """Record that the SYN,ACK was sent before this connection was made, as with a SYN cookie."""
    connection._tcb.owes &= ~OWES_SYN


def allow_bursts(connection: Connection, octets: int) -> None:
    """Let the connection make segments of up to ``octets`` of payload, which the link cuts into packets."""
    connection._tcb.path.burst = octets


# The path


def may_be_fragmented(connection: Connection) -> bool:
    """Whether packets go without the "don't fragment" bit, because the path MTU is so small (`pathmtu`)."""
    return pathmtu.may_be_fragmented(connection._tcb)


def path_news(connection: Connection) -> int:
    """Return the path MTU in octets if other connections should adopt it, else 0 (`pathmtu.news`)."""
    return pathmtu.news(connection._tcb)


def is_path_proven(connection: Connection) -> bool:
    """Whether packets as large as the path MTU have arrived."""
    return pathmtu.is_proven(connection._tcb)


# Memory


def _tcb(holder: Holder) -> Tcb:
    """Return a holder of memory as the TCB that it is: no other class is a holder."""
    assert isinstance(holder, Tcb)  # noqa: S101 - only a Tcb is a holder
    return holder


def ends(holder: Holder) -> tuple[Endpoint, Endpoint]:
    """Return local and remote endpoint of the connection that a part of the host's memory belongs to."""
    tcb = _tcb(holder)
    return tcb.local, tcb.remote


def is_of(holder: Holder, connection: Connection) -> bool:
    """Whether ``holder`` belongs to this connection, not to an earlier one between the same endpoints."""
    return connection._tcb is holder


def gap_weight(holder: Holder) -> int:
    """Return the octets of memory that wait for reassembly."""
    reassembly = _tcb(holder).rcv.reassembly
    return 0 if reassembly is None else reassembly.weight


def give_up_gap(holder: Holder, octets: int) -> int:
    """Drop payload that waits for reassembly to free ``octets`` of memory; return how many were freed."""
    return _tcb(holder).give_up_gap(octets)


def stops_wanting_room(connection: Connection) -> bool:
    """Return whether the program waits for room to send, and note that it waits no more."""
    wanted, connection._tcb.snd.wants_room = connection._tcb.snd.wants_room, False
    return wanted


def is_starved(connection: Connection) -> bool:
    """Whether the peer was given so small a window that it waits for a larger one."""
    return window.is_starved(connection._tcb)


def shrink_buffers(connection: Connection) -> None:
    """Set automatic buffers back to their first size, because the host's memory ran out."""
    tuning.go_back(connection._tcb)


def count_text(connection: Connection, memory: Memory) -> None:
    """Count unread octets of an ended connection, which no program has yet, in the host's memory."""
    delivery.count(connection._tcb, memory)


def let_text_go(connection: Connection) -> None:
    """Stop counting unread octets of an ended connection in the host's memory: they are the program's."""
    connection._tcb.let_text_go()


# End of a connection


def forget_events(connection: Connection) -> None:
    """Drop the events, because no program will read them."""
    connection._tcb.events = ()


def discard(connection: Connection, error: TcpError | None, now: int) -> None:
    """Enter CLOSED for this reason without sending anything, unless the state is CLOSED already."""
    connection._tcb.ensure_deleted(error, now)


def freeze(connection: Connection, now: int) -> None:
    """Delete a connection in TIME-WAIT that no program has: a record answers for its endpoints from now on.

    The observer isn't told.
    """
    connection._tcb.observer = None  # the host reports CLOSED when the record expires
    connection._tcb.delete(None, now)


def end_orphan(connection: Connection, now: int) -> None:
    """Let `Connection.handle_timeout` end a released connection now."""
    connection._tcb.timers.start(ORPHAN, now)
