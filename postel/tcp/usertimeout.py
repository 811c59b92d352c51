"""The user timeout (RFC 9293, 3.10.8), and the option of RFC 5482: each side tells how long it waits for an
ACK, so that the other may wait as long. Only this module starts and stops the timer."""

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
    """How long the user timer runs, in microseconds (MUST-22, MUST-23)."""
    if tcb.is_synchronized:
        return tcb.user_timeout
    return tcb.config.syn_received_timeout if tcb.opening.is_passive else tcb.config.user_timeout


def begin(tcb: Tcb, now: int) -> None:
    """Our SYN is about to be sent: the handshake has a limit of its own."""
    limit = tcb.config.syn_received_timeout if tcb.opening.is_passive else tcb.config.user_timeout
    tcb.timers.start(USER, deadline(limit, now))


def restart(tcb: Tcb, now: int) -> None:
    """The peer acknowledged something, and more is in flight: it has the whole time again."""
    tcb.timers.start(USER, deadline(tcb.user_timeout, now))


def ensure_started(tcb: Tcb, now: int) -> None:
    """Something waits for an ACK from ``now`` on, unless something did before."""
    if not tcb.timers.is_running(USER):
        tcb.timers.start(USER, deadline(tcb.user_timeout, now))


def stop(tcb: Tcb) -> None:
    """Nothing waits for an ACK, or the peer answers window probes."""
    tcb.timers.stop(USER)


def follow(tcb: Tcb, limit_before: int, now: int) -> None:
    """The timer ran for ``limit_before`` microseconds until now. Where that was NEVER, it begins now if
    something is outstanding.
    """
    timers = tcb.timers
    timers.start(USER, moved(timers.due(USER), limit_before, limit(tcb)))
    is_waiting = tcb.snd.window_probes > 0 if timers.is_running(PERSIST) else tcb.snd.flight > 0
    if limit_before >= NEVER and is_waiting:
        timers.start(USER, deadline(limit(tcb), now))


# The option


def advertised(config: Config) -> int:
    """ADV_UTO."""
    return config.user_timeout_advertised or config.user_timeout


def is_changeable(config: Config) -> bool:
    """CHANGEABLE: a user who set a timeout has the last word (RFC5482-3a, RFC5482-3.1b)."""
    return config.user_timeout_changeable and config.user_timeout == USER_TIMEOUT


def tell(tcb: Tcb, segment: Segment) -> None:
    """On a SYN, and then on the first segment that has room beside its text and other options. Not repeated:
    it is advice.
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
    """A segment came with options that few peers send; one of them may be REMOTE_UTO."""
    config = tcb.config
    told = options.user_timeout_in(segment.other)
    if told == ABSENT or not config.user_timeout_option or not is_changeable(config):
        return
    adopted = min(
        config.user_timeout_highest, max(advertised(config), told, config.user_timeout_lowest)
    )  # RFC5482-3.1a
    idle, waited = tcb.keep_alive_idle, tcb.user_timeout
    tcb.user_timeout = adopted
    if tcb.is_synchronized:  # RFC5482-3.3; the handshake has its own patience
        tcb.timers.start(USER, moved(tcb.timers.due(USER), waited, adopted))
        keepalive.move(tcb, idle)


def adapt(tcb: Tcb, before: Config) -> None:
    """The user has other choices than ``before``: a timeout of one's own has the last word, an adopted one
    stays within its limits. Where it may not be changed any more it stays as it is."""
    config = tcb.config
    is_adopted = tcb.user_timeout != before.user_timeout
    if not is_adopted or not config.user_timeout_option or config.user_timeout != before.user_timeout:
        tcb.user_timeout = config.user_timeout
    elif is_changeable(config):
        wanted = max(advertised(config), tcb.user_timeout, config.user_timeout_lowest)
        tcb.user_timeout = min(config.user_timeout_highest, wanted)  # RFC5482-3.1a
