"""The User Timeout Option of RFC 5482: each side tells how long it waits for an acknowledgement, so that the other may wait as long."""

from typing import Final

from postel.tcp.config import USER_TIMEOUT, Config
from postel.tcp.tcb import OWES_USER_TIMEOUT, Tcb
from postel.times import NEVER
from postel.wire import options
from postel.wire.segment import ABSENT, Segment

_LENGTH: Final = 4  # octets of the option


def advertised(config: Config) -> int:
    """ADV_UTO."""
    return config.user_timeout_advertised or config.user_timeout


def is_changeable(config: Config) -> bool:
    """CHANGEABLE: a user who set a timeout has the last word (RFC5482-3a, RFC5482-3.1b)."""
    return config.user_timeout_changeable and config.user_timeout == USER_TIMEOUT


def tell(tcb: Tcb, segment: Segment) -> None:
    """On a SYN, and then on the first segment that has room beside its text and other options. Not repeated: it is advice."""
    if len(segment.data) + _LENGTH > tcb.congestion.smss or segment.sack:
        return
    if len(options.encode(segment, tcb.config.option_layout)) + _LENGTH <= options.ROOM - tcb.signature_length:
        segment.other += (options.user_timeout(advertised(tcb.config)),)
        tcb.owes &= ~OWES_USER_TIMEOUT


def heed(tcb: Tcb, segment: Segment) -> None:
    """A segment came with options that aren't everybody's; perhaps REMOTE_UTO is one of them."""
    config = tcb.config
    told = options.user_timeout_in(segment.other)
    if told == ABSENT or not config.user_timeout_option or not is_changeable(config):
        return
    adopted = min(config.user_timeout_highest, max(advertised(config), told, config.user_timeout_lowest))  # RFC5482-3.1a
    if tcb.is_synchronized and tcb.timers.user != NEVER:  # RFC5482-3.3; the handshake has its own patience
        tcb.timers.user += adopted - tcb.user_timeout
    tcb.user_timeout = adopted
