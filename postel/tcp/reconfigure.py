"""A new `Config` for a living connection (MUST-17, MUST-21, MUST-24, SHLD-21).

Most choices are read from the `Config` each time, and need nothing here. This module changes what was
computed from the old choices: deadlines and sizes. A running timer keeps its start and gets its new length; a
deadline that is then past is due at once. ``tests/tcp/test_reconfigure.py`` has each field of `Config` in a
table.
"""

from dataclasses import replace

from postel.errors import require_kind
from postel.tcp import handshake, keepalive, loss_timers, orphan, timeouts, tuning, usertimeout, window
from postel.tcp.config import Config, first_receive_limit, first_send_limit
from postel.tcp.state import CLOSED, LISTEN
from postel.tcp.tcb import OWES_ACK, OWES_USER_TIMEOUT, Tcb
from postel.tcp.timers import DELAYED_ACK, OVERRIDE, PERSIST, TWO_MSL, moved


def configure(tcb: Tcb, config: Config, now: int) -> None:
    """Replace the connection's choices.

    Choices that our SYN has told the peer stay as they were, and so does a congestion controller in use.
    """
    require_kind("config", config, Config, "a Config")
    before = tcb.config
    waited, idle, rto = usertimeout.limit(tcb), tcb.keep_alive_idle, tcb.rtt.rto
    tcb.config = _as_told(tcb, config, before)
    if tcb.config.congestion is not before.congestion:
        tcb.begin_to_send()
    usertimeout.adapt(tcb, before)
    usertimeout.follow(tcb, waited, now)
    if config.user_timeout_option and usertimeout.advertised(config) != usertimeout.advertised(before):
        tcb.owes |= OWES_USER_TIMEOUT
    keepalive.adapt(tcb, before, idle, now)
    tcb.rtt.adapt(tcb.config)
    loss_timers.adapt(tcb, tcb.rtt.rto - rto)
    if tcb.timers.is_running(PERSIST):
        tcb.timers.start(PERSIST, min(tcb.timers.due(PERSIST), now + config.rto_maximum))
    if config.r1 <= tcb.snd.retransmissions < before.r1:
        timeouts.report(tcb)
    if not tcb.is_synchronized:
        tcb.opening.first_window = config.initial_window
    _adapt_acknowledging(tcb, before)
    _adapt_ends(tcb, before, now)
    _adapt_throttle(tcb, now)
    _adapt_buffers(tcb, before)


def _as_told(tcb: Tcb, config: Config, before: Config) -> Config:
    """Return ``config`` with those choices of ``before`` that can't change any more."""
    if config.congestion is not before.congestion and tcb.is_sender and tcb.is_synchronized:
        config = replace(config, congestion=before.congestion)
    if tcb.state is CLOSED or tcb.state is LISTEN or _tells(config) == _tells(before):
        return config
    return replace(
        config,
        timestamps=before.timestamps,
        window_scaling=before.window_scaling,
        scale_for=before.scale_for,
        sack=before.sack,
        ecn=before.ecn,
        largest_mss=before.largest_mss,
    )


def _tells(config: Config) -> tuple[bool, bool, int, bool, str, int]:
    """Return what the SYN of a connection with these choices says."""
    return (
        config.timestamps,
        config.window_scaling,
        config.scale_for,
        config.sack,
        config.ecn,
        config.largest_mss,
    )


def _adapt_acknowledging(tcb: Tcb, before: Config) -> None:
    """Move the deadline of a delayed ACK, or owe the ACK now if it is due by the new choices."""
    config, timers = tcb.config, tcb.timers
    if timers.is_running(DELAYED_ACK):
        timers.start(DELAYED_ACK, moved(timers.due(DELAYED_ACK), before.delayed_ack, config.delayed_ack))
        if config.delayed_ack == 0 or tcb.rcv.arrived_since_ack >= config.acknowledge_every:
            tcb.owes |= OWES_ACK


def _adapt_ends(tcb: Tcb, before: Config, now: int) -> None:
    """Move the deadlines of the override timer, of TIME-WAIT, and of a released connection."""
    config, timers = tcb.config, tcb.timers
    timers.start(OVERRIDE, moved(timers.due(OVERRIDE), before.override, config.override))
    timers.start(TWO_MSL, moved(timers.due(TWO_MSL), 2 * before.msl, 2 * config.msl))
    orphan.adapt(tcb, before, now)


def _adapt_throttle(tcb: Tcb, now: int) -> None:
    """Shorten the waits of `challenge` to the new interval, if they are longer."""
    latest = now + tcb.config.challenge_interval
    tcb.rcv.challenge_after = min(tcb.rcv.challenge_after, latest)
    tcb.rcv.keep_alives_until = min(tcb.rcv.keep_alives_until, latest)


def _adapt_buffers(tcb: Tcb, before: Config) -> None:
    """Change the size of the buffers, and tell the peer and a waiting writer of more room.

    What is in a buffer, or was promised to the peer, stays (SHLD-14).
    """
    config = tcb.config
    if config.receive_buffer != before.receive_buffer:
        tcb.rcv.limit = first_receive_limit(config)
    elif not isinstance(config.receive_buffer, int):
        tcb.rcv.limit = min(tcb.rcv.limit, config.receive_buffer_maximum)
    if config.send_buffer != before.send_buffer:
        tcb.snd.limit = first_send_limit(config)
    elif not isinstance(config.send_buffer, int):
        tcb.snd.limit = min(tcb.snd.limit, config.send_buffer_maximum)
    if tcb.is_synchronized:
        handshake.round_buffer(tcb)
    if tcb.can_receive:
        window.after_read(tcb)
    if tcb.snd.wants_room and not tcb.rcv.is_released:
        tuning.tell_of_room(tcb)
