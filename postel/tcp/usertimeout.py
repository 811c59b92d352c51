"""User timeout (RFC 9293, 3.10.8), and its option (RFC 5482).

By the option each side tells how long it waits for an ACK, so that the other side may wait as long. Only this
module starts and stops the timer of the user timeout.
"""

from typing import Final

from postel.tcp import keepalive
from postel.tcp.config import USER_TIMEOUT, Config
from postel.tcp.tcb import OWES_USER_TIMEOUT, Tcb
from postel.tcp.timers import PERSIST, USER, deadline, moved
from postel.times import NEVER
from postel.wire import options
from postel.wire.segment import ABSENT, Segment

_LENGTH: Final = 4  # octets of the option


# The timer


def limit(tcb: Tcb) -> int:
    """Return how long the user timer runs at present, in microseconds (MUST-22, MUST-23)."""
    if tcb.is_synchronized:
        return tcb.user_timeout
    return tcb.config.syn_received_timeout if tcb.opening.is_passive else tcb.config.user_timeout


def begin(tcb: Tcb, now: int) -> None:
    """Start the timer for the handshake: our SYN is about to be sent."""
    limit = tcb.config.syn_received_timeout if tcb.opening.is_passive else tcb.config.user_timeout
    tcb.timers.start(USER, deadline(limit, now))


def restart(tcb: Tcb, now: int) -> None:
    """Start the user timer anew after the peer acknowledged octets while more are in flight."""
    tcb.timers.start(USER, deadline(tcb.user_timeout, now))


def ensure_started(tcb: Tcb, now: int) -> None:
    """Start the user timer unless it runs: from ``now`` on octets, or a window probe, wait for an ACK."""
    if not tcb.timers.is_running(USER):
        tcb.timers.start(USER, deadline(tcb.user_timeout, now))


def stop(tcb: Tcb) -> None:
    """Stop the user timer, because nothing waits for an ACK, or because the peer answers window probes."""
    tcb.timers.stop(USER)


def follow(tcb: Tcb, limit_before: int, now: int) -> None:
    """Move the deadline to the present limit; the timer was started for ``limit_before`` microseconds.

    Where that limit was NEVER, the timer starts now if octets or a window probe wait for an ACK.
    """
    timers = tcb.timers
    timers.start(USER, moved(timers.due(USER), limit_before, limit(tcb)))
    is_waiting = tcb.snd.window_probes > 0 if timers.is_running(PERSIST) else tcb.snd.flight > 0
    if limit_before >= NEVER and is_waiting:
        timers.start(USER, deadline(limit(tcb), now))


# The option


def advertised(config: Config) -> int:
    """Return ADV_UTO of RFC 5482, in microseconds."""
    return config.user_timeout_advertised or config.user_timeout


def is_changeable(config: Config) -> bool:
    """Whether a timeout may be adopted from the peer: CHANGEABLE of RFC 5482 (RFC5482-3a, RFC5482-3.1b).

    No timeout is adopted if the user has set one other than the default.
    """
    return config.user_timeout_changeable and config.user_timeout == USER_TIMEOUT


def tell(tcb: Tcb, segment: Segment) -> None:
    """Add the user timeout option to ``segment`` if there is room beside payload and other options.

    The option is sent on a SYN and on one segment after the handshake. It isn't repeated if that is lost,
    because it is only advice.
    """
    if len(segment.data) + _LENGTH > tcb.data_mss or segment.sack:
        return
    if (
        len(options.encode(segment, tcb.config.option_layout)) + _LENGTH
        <= options.ROOM - tcb.path.signature_length
    ):
        segment.other += (options.user_timeout(advertised(tcb.config)),)
        tcb.owes &= ~OWES_USER_TIMEOUT


def heed(tcb: Tcb, segment: Segment) -> None:
    """Adopt the peer's user timeout (REMOTE_UTO), if ``segment`` brings one."""
    config = tcb.config
    told = options.user_timeout_in(segment.other)
    if told == ABSENT or not config.user_timeout_option or not is_changeable(config):
        return
    # RFC5482-3.1a
    adopted = min(config.user_timeout_highest, max(advertised(config), told, config.user_timeout_lowest))
    idle, waited = tcb.keep_alive_idle, tcb.user_timeout
    tcb.user_timeout = adopted
    if tcb.is_synchronized:  # RFC5482-3.3; the handshake has a limit of its own
        tcb.timers.start(USER, moved(tcb.timers.due(USER), waited, adopted))
        keepalive.move(tcb, idle)


def adapt(tcb: Tcb, before: Config) -> None:
    """Adopt other choices of the user; ``before`` are the old ones.

    A timeout that the user sets replaces one adopted from the peer. An adopted timeout is brought within the
    new limits; where the user no longer allows changes, it stays as it is.
    """
    config = tcb.config
    is_adopted = tcb.user_timeout != before.user_timeout
    if not is_adopted or not config.user_timeout_option or config.user_timeout != before.user_timeout:
        tcb.user_timeout = config.user_timeout
    elif is_changeable(config):
        wanted = max(advertised(config), tcb.user_timeout, config.user_timeout_lowest)
        tcb.user_timeout = min(config.user_timeout_highest, wanted)  # RFC5482-3.1a
