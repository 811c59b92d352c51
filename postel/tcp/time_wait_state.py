"""TIME-WAIT as a few octets: what is needed to answer for the old connection, and nothing else.

`frozen` makes these octets from a connection. When a segment for the connection's endpoints arrives, `thawed`
makes a connection from the octets, which processes the segment. So the rules of TIME-WAIT stand in
`postel.tcp.arrives` only.
"""

from struct import Struct
from typing import Final, NamedTuple

from postel.tcp.authentication import Authentication
from postel.tcp.config import Config
from postel.tcp.connection import Connection, Turns
from postel.tcp.memory import Memory
from postel.tcp.observer import Observer
from postel.tcp.state import CLOSED, TIME_WAIT
from postel.tcp.tcb import Tcb
from postel.tcp.timers import TWO_MSL
from postel.wire.address import Endpoint

_STATE: Final = Struct("!IIIIIIIIIIIBB???QQ")  # the fields of `Variables`, in that order


class Variables(NamedTuple):
    """Variables that a TCB in TIME-WAIT still needs."""

    iss: int
    snd_max: int
    snd_wnd: int
    snd_max_wnd: int
    irs: int
    rcv_nxt: int
    rcv_wnd: int
    timestamp_offset: int
    recent: int  # TS.Recent of RFC 7323
    last_ack_sent: int
    mtu: int
    snd_shift: int
    rcv_shift: int
    has_timestamps: bool
    has_sack: bool
    is_challenged: bool
    recent_at: int
    challenge_after: int


def frozen(connection: Connection) -> bytes:
    """Return a connection in TIME-WAIT as octets, from which `thawed` makes another that answers alike."""
    tcb = connection._tcb
    snd, rcv, timestamps = tcb.snd, tcb.rcv, tcb.timestamps
    return _STATE.pack(
        snd.iss,
        snd.max,
        min(snd.wnd, 0xFFFFFFFF),
        min(snd.max_wnd, 0xFFFFFFFF),
        rcv.irs,
        rcv.nxt,
        rcv.wnd,
        timestamps.offset,
        timestamps.recent,
        timestamps.last_ack_sent,
        tcb.path.link_mtu,
        snd.shift,
        rcv.shift,
        timestamps.agreed,
        tcb.sack_agreed,
        rcv.is_challenged,
        timestamps.recent_at,
        rcv.challenge_after,
    )


def expires(connection: Connection) -> int:
    """Return when the TIME-WAIT of the connection ends."""
    return connection._tcb.timers.due(TWO_MSL)


def variables(state: bytes) -> Variables:
    """Return the variables that `frozen` turned into octets."""
    return Variables(*_STATE.unpack(state))


def iss_of(state: bytes) -> int:
    """Return ISS, which distinguishes successive connections between the same endpoints."""
    return int.from_bytes(state[:4], "big")


def snd_max_of(state: bytes) -> int:
    """Return SND.MAX, above which the next connection's ISS must lie (EP-TW-8)."""
    return int.from_bytes(state[4:8], "big")


def thawed(
    state: bytes,
    local: Endpoint,
    remote: Endpoint,
    config: Config,
    until: int,
    *,
    observer: Observer | None,
    memory: Memory | None,
    agenda: Turns,
    authentication: Authentication | None,
) -> Connection:
    """Make a connection in TIME-WAIT, which no program has. ``until`` is when its TIME-WAIT ends."""
    kept = variables(state)
    connection = Connection(
        local,
        remote,
        config,
        iss=kept.iss,
        mtu=kept.mtu,
        timestamp_offset=kept.timestamp_offset,
        observer=observer,
        memory=memory,
        agenda=agenda,
        authentication=authentication,
    )
    tcb = connection._tcb
    tcb.state = TIME_WAIT  # not by `enter`: the old connection has reported this state to the observer
    tcb.timers.start(TWO_MSL, until)
    _restore(tcb, kept)
    return connection


def _restore(tcb: Tcb, kept: Variables) -> None:
    """Set the variables of a TCB from the record."""
    snd, rcv, timestamps = tcb.snd, tcb.rcv, tcb.timestamps
    snd.restore_closed(kept.snd_max, kept.snd_wnd, kept.snd_max_wnd)
    rcv.restore_closed(kept.irs, kept.rcv_nxt, kept.rcv_wnd)
    snd.shift, rcv.shift = kept.snd_shift, kept.rcv_shift
    timestamps.recent, timestamps.last_ack_sent = kept.recent, kept.last_ack_sent
    timestamps.agreed, timestamps.recent_at = kept.has_timestamps, kept.recent_at
    tcb.sack_agreed = kept.has_sack
    rcv.is_challenged = kept.is_challenged
    rcv.challenge_after = kept.challenge_after


def tell_expired(observer: Observer, local: Endpoint, remote: Endpoint, now: int) -> None:
    """Report the end of a TIME-WAIT that only a record held, as a connection would report it (EP-TMO-3)."""
    observer.timer_expired(local, remote, "time-wait", now)
    observer.state_changed(local, remote, TIME_WAIT, CLOSED, now)
