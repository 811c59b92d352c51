"""F-RTO: whether a retransmission timeout was spurious (RFC 5682).

::

    timeout: the first segment goes again
        │
     AT_FIRST ── an ACK covers all that went again, and not all that is in flight: two new segments go
        │                                         │
        │                                     AT_SECOND ── an ACK says that what went only once has arrived
        │                                         │                            │
     GENUINE: everything goes again            GENUINE                     SPURIOUS: nothing was lost

With and without SACK it is the same; what an ACK says of arrival differs, and the recovery knows that.
"""

from typing import Final

_NO_TEST: Final = 0
_AT_FIRST: Final = 1
_AT_SECOND: Final = 2

# What an ACK makes of the test
UNDECIDED: Final = 0
GOES_ON: Final = 1  # new segments are sent
GENUINE: Final = 2
SPURIOUS: Final = 3

_NEW_SEGMENTS: Final = 2


class TimeoutTest:
    """One test after another, at most one at a time."""

    __slots__ = ("_allowance", "_step")

    def __init__(self) -> None:
        self._step = _NO_TEST
        self._allowance = 0  # octets of new data that may still go

    @property
    def is_running(self) -> bool:
        return self._step != _NO_TEST

    @property
    def room(self) -> int:
        """Octets of new data that may go out now, while the test runs."""
        return self._allowance if self._step == _AT_SECOND else 0

    def begin(self) -> None:
        """The retransmission timer expired, and something new could be sent."""
        self._step = _AT_FIRST

    def end(self) -> None:
        """The test is decided, or can't be any more."""
        self._step = _NO_TEST

    def sent(self, octets: int) -> None:
        """New data went out."""
        self._allowance -= octets

    def judge(
        self, smss: int, *, is_progress: bool, may_go_on: bool, shows_arrival: bool, says_something: bool
    ) -> int:
        """What an ACK makes of the running test: UNDECIDED, GOES_ON, GENUINE or SPURIOUS.

        ``is_progress``: the first step heeds it. ``may_go_on``: it covers everything that was ever sent
        again, not this timeout's segment alone, and not all that was in flight, and something new can be
        sent. Then an ACK that ``shows_arrival`` can only be of octets that were sent once, before the
        timeout. One that doesn't ``say something`` decides nothing.
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
