"""F-RTO: find out whether a retransmission timeout was spurious (RFC 5682).

Theory of operation. A timeout is spurious where the ACK was merely late, for example after a delay of the
path. To retransmit the whole window then is waste, and what arrives twice draws duplicate ACKs that
disturb recovery. So after the timeout only the first segment goes again, and the next two ACKs decide::

    segments 1 to 4 are in flight, and the timer expires
        │
        ├─► retransmit segment 1 only                      step AT_FIRST
        │
    first ACK that counts
        ├── it covers everything in flight, or without
        │   SACK it is a duplicate ────────────────────────► GENUINE: retransmit what else is lost
        └── it covers all that was sent again, but not
            │   all in flight
            │
            ├─► send two new segments, 5 and 6             step AT_SECOND
            │
        second ACK
            ├── it shows the arrival of an octet that was
            │   sent only once, before the timeout ────────► SPURIOUS: undo, go on with new data
            └── it is a duplicate ─────────────────────────► GENUINE

The second ACK is the proof. The receiver can have such an octet only from its first transmission, so the
segments sent before the timeout were not lost. With SACK, SACKed octets show an arrival too. The recovery
that runs the test decides what an ACK shows, and gives it to `TimeoutTest.judge`.
"""

from typing import Final

# Steps of the test
_NO_TEST: Final = 0
_AT_FIRST: Final = 1
_AT_SECOND: Final = 2

# Results of one ACK
UNDECIDED: Final = 0  # the ACK says nothing: wait for the next
GOES_ON: Final = 1  # the second step begins: send new segments
GENUINE: Final = 2  # something was lost
SPURIOUS: Final = 3  # nothing was lost

_NEW_SEGMENTS: Final = 2  # new segments that the second step sends


class TimeoutTest:
    """State of the F-RTO test of one connection: at most one test runs at a time."""

    __slots__ = ("_allowance", "_step")

    def __init__(self) -> None:
        """Create the state with no test running."""
        self._step = _NO_TEST
        self._allowance = 0  # octets of new data that the second step may still send

    @property
    def is_running(self) -> bool:
        """Whether a test has begun and isn't decided."""
        return self._step != _NO_TEST

    @property
    def room(self) -> int:
        """Octets of new data that may go out now, while the test runs."""
        return self._allowance if self._step == _AT_SECOND else 0

    def begin(self) -> None:
        """Start the test: the retransmission timer expired, and new data could be sent."""
        self._step = _AT_FIRST

    def end(self) -> None:
        """Stop the test, because it is decided or can't be decided any more."""
        self._step = _NO_TEST

    def sent(self, octets: int) -> None:
        """Count new data that was sent against what the second step allows."""
        self._allowance -= octets

    def judge(
        self, smss: int, *, is_progress: bool, may_go_on: bool, shows_arrival: bool, says_something: bool
    ) -> int:
        """Return the result of one ACK for the running test: UNDECIDED, GOES_ON, GENUINE or SPURIOUS.

        ``smss`` is the octets of a full segment. The others say what the ACK shows:

        ``is_progress``: the ACK advances SND.UNA. With SACK, the first step ignores an ACK that doesn't.

        ``may_go_on``: the ACK covers everything that was ever sent again (not only this timeout's segment),
        doesn't cover all that was in flight at the timeout, and new data can be sent. What isn't covered yet
        of the octets sent before the timeout was sent only once.

        ``shows_arrival``: the ACK shows the arrival of octets that were sent before the timeout, and only
        once.

        ``says_something``: the ACK is evidence for or against a loss. An ACK that isn't decides nothing.
        """
        if self._step == _AT_SECOND:  # RFC5682-2.1-3
            if shows_arrival:
                return SPURIOUS
        elif not is_progress:
            return UNDECIDED
        elif may_go_on:  # RFC5682-2.1-2
            self._step = _AT_SECOND
            self._allowance = _NEW_SEGMENTS * smss
            return GOES_ON
        return GENUINE if says_something else UNDECIDED
