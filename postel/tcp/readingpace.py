"""Measurement of how much the user reads in a round trip, for the size of an automatic receive buffer."""

from postel.tcp import seq
from postel.times import NEVER


class ReadingPace:
    """Octets read in each round trip, as far as a receiver can tell how long a round trip is.

    With timestamps, ``_asked`` is the first TSval that we can't have sent before the measurement began. Once
    the peer echoes that TSval, a round trip has passed. Without timestamps, octets beyond ``_edge`` can only
    be the peer's answer to a window that we advertised later. So a window's worth of octets takes a round
    trip or more, and the shortest such time serves as the round trip. Positions count octets from the first
    of the stream.
    """

    __slots__ = ("_asked", "_edge", "_edge_since", "_position", "_round_trip", "_since", "_taken")

    def __init__(self, position: int, edge: int, clock: int, now: int) -> None:
        """Begin at the ``position`` read so far; ``edge`` is the window's right edge, ``clock`` our TSval."""
        self._taken = 0  # octets read in the previous round trip
        self._round_trip = NEVER
        self._edge = edge
        self._edge_since = now
        self._begin(position, clock, now)

    def has_heard(self, echoed: int) -> bool:
        """Whether the peer has echoed a timestamp that we sent after the measurement began."""
        return seq.ge(echoed, self._asked)

    def has_waited(self, position: int, edge: int, now: int) -> bool:
        """Whether this measurement has lasted as long as the shortest time for a window's worth of octets.

        ``position`` is RCV.NXT as a position, ``edge`` the window's right edge.
        """
        if position >= self._edge:
            self._round_trip = min(self._round_trip, now - self._edge_since)
            self._edge = edge
            self._edge_since = now
        return now - self._since >= self._round_trip

    def finish(self, position: int, clock: int, now: int) -> int:
        """End a round trip, begin the next, and return how large a window must be not to limit that one.

        The window is twice what was read, because slow start doubles the congestion window in a round trip,
        plus twice the growth since the previous round trip, because what is read now was sent half a round
        trip ago.
        """
        taken = position - self._position
        wanted = 2 * taken + 2 * max(0, taken - self._taken)
        self._taken = taken
        self._begin(position, clock, now)
        return wanted

    def _begin(self, position: int, clock: int, now: int) -> None:
        """Begin the next measurement."""
        self._position = position
        self._asked = seq.add(clock, 1)
        self._since = now
