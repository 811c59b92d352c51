"""What a host asks its connections, and makes them do, beside what any program may: no part of the public
interface.
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

# What the connection is


def iss(connection: Connection) -> int:
    """ISS, our initial sequence number."""
    return connection._tcb.snd.iss


def snd_max(connection: Connection) -> int:
    """SND.MAX: one past the highest sequence number that was sent."""
    return connection._tcb.snd.max


def is_fast(connection: Connection) -> bool:
    """Whether the SYN that began the connection brought text which the program may have already (RFC
    7413).
    """
    return connection._tcb.opening.is_fast


def is_released(connection: Connection) -> bool:
    """Whether its program reads and writes it no more (`Connection.release`)."""
    return connection._tcb.rcv.is_released


def is_stuck(connection: Connection) -> bool:
    """Whether what waits to be sent isn't leaving: the peer's window is closed, or the peer is silent."""
    return orphan.is_stuck(connection._tcb)


def is_synchronized(connection: Connection) -> bool:
    """Whether both SYNs are acknowledged."""
    return connection._tcb.is_synchronized


def is_in_flight(connection: Connection, number: int) -> bool:
    """Whether the octet with this sequence number was sent and isn't acknowledged."""
    return acknowledge.is_in_flight(connection._tcb, number)


# Segments


def objection(connection: Connection, octets: bytes, start: int, end: int, segment: Segment) -> str:
    """The reason why the signature of the segment at ``octets[start:end]`` is wrong; "" where it is right, or
    none is due.
    """
    authentication = connection.authentication
    if authentication is None:
        return ""
    return authentication.objection(
        octets, start, end, segment, connection._tcb.snd.iss, connection._tcb.known_irs
    )


def seal(connection: Connection, segment: Segment) -> bytes:
    """The octets of ``segment``, signed. Only for a connection that has an ``authentication``."""
    authentication, tcb = connection.authentication, connection._tcb
    assert authentication is not None  # noqa: S101 - the caller has looked
    return authentication.seal(segment, tcb.config.option_layout, tcb.snd.iss, tcb.known_irs)


def reopens(connection: Connection, segment: Segment) -> bool:
    """Whether ``segment``, a SYN for a pair in TIME-WAIT, begins the pair's next connection
    (`postel.tcp.timewait`).
    """
    return timewait.reopens(connection._tcb, segment)


def is_old_duplicate(connection: Connection, segment: Segment) -> bool:
    """Whether timestamps prove a SYN to be of the old connection's time."""
    return timewait.is_old_duplicate(connection._tcb, segment)


def open_fast(connection: Connection, part: FastOpen | None) -> None:
    """Let the handshake that begins be a fast one (RFC 7413), or an ordinary one where ``part`` is None."""
    connection._tcb.opening.fast_open = part


def peer_mss(connection: Connection) -> int:
    """Octets of the largest segment that the peer takes; before its SYN came, the default."""
    return connection._tcb.path.peer_mss


def regard_syn_as_sent(connection: Connection) -> None:
    """The SYN,ACK went out before this connection was made: as a SYN cookie."""
    connection._tcb.owes &= ~OWES_SYN


def allow_bursts(connection: Connection, octets: int) -> None:
    """Let segments with up to so many octets of text leave, for the link to cut."""
    connection._tcb.path.burst = octets


# The path


def may_be_fragmented(connection: Connection) -> bool:
    """Whether its packets go without "don't fragment": the path carries too little for that."""
    return pathmtu.may_be_fragmented(connection._tcb)


def path_news(connection: Connection) -> int:
    """The path MTU, where it isn't what others were told and something arrived since it changed; else 0."""
    return pathmtu.news(connection._tcb)


def is_path_proven(connection: Connection) -> bool:
    """Whether packets as large as the path MTU did arrive."""
    return pathmtu.is_proven(connection._tcb)


# Memory


def _tcb(holder: Holder) -> Tcb:
    assert isinstance(holder, Tcb)  # noqa: S101 - nothing else is a holder
    return holder


def ends(holder: Holder) -> tuple[Endpoint, Endpoint]:
    """Local and remote of the connection that a part of the host's memory belongs to."""
    tcb = _tcb(holder)
    return tcb.local, tcb.remote


def is_of(holder: Holder, connection: Connection) -> bool:
    """Whether it belongs to this connection, not to one between the same ends before it."""
    return connection._tcb is holder


def gap_weight(holder: Holder) -> int:
    """Octets of memory that wait for reassembly."""
    reassembly = _tcb(holder).rcv.reassembly
    return 0 if reassembly is None else reassembly.weight


def give_up_gap(holder: Holder, octets: int) -> int:
    """Free so many octets of what waits for reassembly, as `Tcb.give_up_gap` does."""
    return _tcb(holder).give_up_gap(octets)


def stops_wanting_room(connection: Connection) -> bool:
    """Whether its program waits for room to send; from now on it doesn't."""
    wanted, connection._tcb.snd.wants_room = connection._tcb.snd.wants_room, False
    return wanted


def is_starved(connection: Connection) -> bool:
    """Whether the peer was told of so small a window that it waits for a larger one."""
    return window.is_starved(connection._tcb)


def shrink_buffers(connection: Connection) -> None:
    """The host's memory ran out: buffers that grew are as large again as they were at the start."""
    tuning.go_back(connection._tcb)


def count_text(connection: Connection, memory: Memory) -> None:
    """The text of an ended connection that no program has yet counts as the host's."""
    delivery.count(connection._tcb, memory)


def let_text_go(connection: Connection) -> None:
    """The text of an ended connection is its program's, and counts as the host's no longer."""
    connection._tcb.let_text_go()


# The end


def forget_events(connection: Connection) -> None:
    """No program is to hear of what happened."""
    connection._tcb.events = ()


def discard(connection: Connection, error: TcpError | None, now: int) -> None:
    """Enter CLOSED for this reason without sending anything, if the connection isn't there already."""
    connection._tcb.ensure_deleted(error, now)


def freeze(connection: Connection, now: int) -> None:
    """From now on a record answers for the pair of this connection in TIME-WAIT, which no program has.
    Nothing is told of it.
    """
    connection._tcb.observer = None  # the host tells of CLOSED when the record expires
    connection._tcb.delete(None, now)


def end_orphan(connection: Connection, now: int) -> None:
    """Let `Connection.handle_timeout` end a released connection."""
    connection._tcb.timers.start(ORPHAN, now)
