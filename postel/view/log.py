"""Observer that writes what happens to connections as records of Python's `logging` (`LoggingObserver`).

Python prints no such record until the program sets a level or a handler:

>>> import logging, sys
>>> from postel import Host
>>> from postel.view import LoggingObserver
>>> logging.basicConfig(stream=sys.stdout, format="%(levelname)s %(name)s %(message)s", force=True)
>>> logging.getLogger("postel").setLevel("DEBUG")
>>> host = Host("10.0.0.1/24", secret=b"secret", observer=LoggingObserver())
>>> connection = host.connect("10.0.0.2", 80, 0, local_port=4000)
DEBUG postel.states 10.0.0.1:4000 to 10.0.0.2:80: CLOSED to SYN-SENT
>>> logging.getLogger("postel").setLevel("NOTSET"); logging.basicConfig(force=True)
"""

import logging
from typing import Final

from postel.tcp.observer import Decision, Observer, TimerName
from postel.tcp.state import CLOSED, ESTABLISHED, State
from postel.wire.address import Endpoint
from postel.wire.segment import Segment, flags_text

STATES: Final = logging.getLogger("postel.states")
SEGMENTS: Final = logging.getLogger("postel.segments")
TIMERS: Final = logging.getLogger("postel.timers")
LOSSES: Final = logging.getLogger("postel.losses")
PEERS: Final = logging.getLogger("postel.peers")
DROPS: Final = logging.getLogger("postel.drops")

# Timers that expire because the peer doesn't answer, or takes no more data
_TROUBLES: Final = (
    "retransmission",
    "persist",
    "keep-alive",
    "user-timeout",
    "orphan",
)

logging.getLogger("postel").addHandler(logging.NullHandler())


class LoggingObserver(Observer):
    """Observer of a host or a world that writes log records: ``Host(observer=…)``, ``World(observer=…)``.

    Each record has ``now``, the host's time in microseconds, as an attribute. The loggers are children of
    ``postel``:

    ==================== ======================================================= =====================
    logger               a record for                                            level
    ==================== ======================================================= =====================
    ``postel.states``    each change of state                                    DEBUG; INFO for the
                                                                                 changes to ESTABLISHED
                                                                                 and CLOSED
    ``postel.segments``  each segment, sent or arrived                           DEBUG
    ``postel.timers``    each timer that expires                                 DEBUG; INFO where the
                                                                                 peer is silent
    ``postel.losses``    the sender's decisions about loss                       INFO
    ``postel.peers``     a rule that a peer broke                                INFO
    ``postel.drops``     each packet that the host drops                         INFO
    ==================== ======================================================= =====================

    With ``segments`` False, segments aren't logged even where their logger is enabled.
    """

    def __init__(self, *, segments: bool = True) -> None:
        """Make an observer that logs; ``segments`` says whether segments are logged, too."""
        self._segments = segments

    def state_changed(self, local: Endpoint, remote: Endpoint, before: State, after: State, now: int) -> None:
        """Write a record to the logger ``postel.states`` for a change of state."""
        level = logging.INFO if after is ESTABLISHED or after is CLOSED else logging.DEBUG
        if STATES.isEnabledFor(level):
            STATES.log(level, "%s to %s: %s to %s", local, remote, before, after, extra={"now": now})

    def segment_sent(self, local: Endpoint, remote: Endpoint, segment: Segment, now: int) -> None:
        """Write a record to the logger ``postel.segments`` for a segment that a connection sends."""
        if self._segments and SEGMENTS.isEnabledFor(logging.DEBUG):
            SEGMENTS.debug("%s to %s: sends %s", local, remote, _told(segment), extra={"now": now})

    def segment_arrived(self, local: Endpoint, remote: Endpoint, segment: Segment, now: int) -> None:
        """Write a record to the logger ``postel.segments`` for a segment that arrived for a connection."""
        if self._segments and SEGMENTS.isEnabledFor(logging.DEBUG):
            SEGMENTS.debug("%s to %s: hears %s", local, remote, _told(segment), extra={"now": now})

    def timer_expired(self, local: Endpoint, remote: Endpoint, timer: TimerName, now: int) -> None:
        """Write a record to the logger ``postel.timers`` for a timer that expired."""
        level = logging.INFO if timer in _TROUBLES else logging.DEBUG
        if TIMERS.isEnabledFor(level):
            TIMERS.log(level, "%s to %s: the timer %s expires", local, remote, timer, extra={"now": now})

    def decided(self, local: Endpoint, remote: Endpoint, decision: Decision, now: int) -> None:
        """Write a record to the logger ``postel.losses`` for a sender's decision about loss."""
        LOSSES.info("%s to %s: %s", local, remote, decision, extra={"now": now})

    def peer_erred(self, local: Endpoint, remote: Endpoint, error: str, now: int) -> None:
        """Write a record to the logger ``postel.peers`` for a rule that a peer broke."""
        PEERS.info("%s to %s: %s", local, remote, error, extra={"now": now})

    def packet_dropped(self, reason: str, octets: bytes, now: int) -> None:
        """Write a record to the logger ``postel.drops`` for a packet that the host dropped."""
        DROPS.info("drops a packet: %s", reason, extra={"now": now})


def _told(segment: Segment) -> str:
    return (
        f"{flags_text(segment.flags)} seq={segment.seq} ack={segment.ack} window={segment.window} "
        f"octets={len(segment.data)}"
    )
