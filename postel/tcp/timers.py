"""Timers of one connection: a table of deadlines.

A new timer needs one constant here, and one line in `postel.tcp.timeouts.HANDLERS`.
"""

from typing import Final

from postel.compiler import i64
from postel.times import NEVER

# Indices of the table of deadlines. Timers that nearly always run come first, because `Timers.next` looks no
# further than the last timer that runs
RETRANSMISSION: Final = 0  # RFC 6298, 5
TAIL_PROBE: Final = 1  # RFC 8985, 7.2
REORDERING: Final = 2  # RFC 8985, 6.2
DELAYED_ACK: Final = 3  # RFC 9293, 3.8.6.3
USER: Final = 4  # RFC 9293, 3.10.8; R2. Only `postel.tcp.usertimeout` starts and stops it
PACING: Final = 5  # when the pacing rate allows the next segment
PERSIST: Final = 6  # RFC 9293, 3.8.6.1
OVERRIDE: Final = 7  # RFC 9293, 3.8.6.2.1
KEEP_ALIVE: Final = 8  # RFC 9293, 3.8.4
TWO_MSL: Final = 9  # RFC 9293, 3.10.8: the time-wait timeout
ORPHAN: Final = 10  # limit of a released connection without progress or without the peer's FIN (EP-TMO-9)

_COUNT: Final = 11
_LOSS_TIMERS: Final = 1 << RETRANSMISSION | 1 << TAIL_PROBE | 1 << REORDERING

# Shared by all connections without a timer, and never changed, so that an idle connection needs no table
_NONE_RUN: Final = [NEVER] * _COUNT


def deadline(after: int, now: int) -> int:
    """Return the time ``after`` microseconds from ``now``; NEVER where ``after`` is NEVER."""
    return now + after if after < NEVER else NEVER


def moved(running: int, before: int, after: int) -> int:
    """Return the deadline ``running`` as if it had been set for ``after`` microseconds, not for ``before``.

    NEVER means that the timer doesn't run.
    """
    if running == NEVER or before == after:
        return running
    return running - before + after if after < NEVER else NEVER


class Timers:
    """Timers that run, and their deadlines in microseconds.

    ``expires`` isn't a deadline: it is when the retransmission timeout is due, or would be while another loss
    timer runs in its place.
    """

    __slots__ = ("_deadlines", "_running", "expires")

    def __init__(self) -> None:
        """Begin with no timer running."""
        self._running: i64 = 0  # a bit for each timer
        self._deadlines = _NONE_RUN  # deadlines by timer; old values where the timer doesn't run
        self.expires: int = NEVER

    def start(self, timer: i64, deadline: int) -> None:
        """Let ``timer`` run until ``deadline``, in place of an earlier deadline; NEVER stops it."""
        if deadline >= NEVER:
            self.stop(timer)
            return
        if self._deadlines is _NONE_RUN:
            self._deadlines = _NONE_RUN.copy()
        self._deadlines[timer] = deadline
        self._running |= 1 << timer

    def stop(self, timer: i64) -> None:
        """Stop ``timer`` if it runs."""
        self._running &= ~(1 << timer)

    def start_loss_timer(self, timer: i64, deadline: int) -> None:
        """Let ``timer`` run in place of the other two loss timers.

        RFC 8985, 8, allows one of RTO, PTO and the reordering timer at a time.
        """
        self._running &= ~_LOSS_TIMERS
        self.start(timer, deadline)

    def stop_loss_timers(self) -> None:
        """Stop whichever of the three loss timers runs."""
        self._running &= ~_LOSS_TIMERS

    def release(self) -> None:
        """Free the table where no timer runs: the connection may be idle for long."""
        if not self._running:
            self._deadlines = _NONE_RUN

    def stop_all(self) -> None:
        """Stop all timers and free the table."""
        self._running = 0
        self._deadlines = _NONE_RUN

    def is_running(self, timer: i64) -> bool:
        """Whether ``timer`` runs."""
        return self._running >> timer & 1 != 0

    def due(self, timer: i64) -> int:
        """Return when ``timer`` expires; NEVER where it doesn't run."""
        return self._deadlines[timer] if self._running >> timer & 1 else NEVER

    def next(self) -> int:
        """Return the earliest deadline; NEVER where no timer runs."""
        earliest = NEVER
        running, timer = self._running, 0
        while running:
            if running & 1:
                earliest = min(earliest, self._deadlines[timer])
            running >>= 1
            timer += 1
        return earliest
