"""How much the user reads in a round trip, as far as a receiver can tell how long that is."""

from postel.tcp import seq
from postel.times import NEVER


class ReadingPace:
    """One measurement after another; positions count octets from the connection's first.

    ``asked`` is the first timestamp that we can't have sent before the measurement began: once the peer
    echoes it, a round trip has passed. Without timestamps, what lies beyond ``edge`` can only be the peer's
    answer to a window that we told later: a window's worth takes a round trip or more, and the shortest
    counts.
    """

    __slots__ = ("_asked", "_edge", "_edge_since", "_position", "_round_trip", "_since", "_taken")

    def __init__(self, position: int, edge: int, clock: int, now: int) -> None:
        self._taken = 0  # in the round trip before
        self._round_trip = NEVER
        self._edge = edge
        self._edge_since = now
        self._begin(position, clock, now)

    def has_heard(self, echoed: int) -> bool:
        """Whether the peer has echoed what we sent after the measurement began."""
        return seq.ge(echoed, self._asked)

    def has_waited(self, position: int, edge: int, now: int) -> bool:
        """Whether as long as a window's worth of data took has passed; ``position`` is RCV.NXT's, ``edge``
        the window's end.
        """
        if position >= self._edge:
            self._round_trip = min(self._round_trip, now - self._edge_since)
            self._edge = edge
            self._edge_since = now
        return now - self._since >= self._round_trip

    def finish(self, position: int, clock: int, now: int) -> int:
        """A round trip is over: what a window must hold so that it isn't in the way of the next.

        Twice what was read, for slow start doubles in a round trip, and twice again by how much that was more
        than before, for it was read half a round trip after it was sent.
        """
        taken = position - self._position
        wanted = 2 * taken + 2 * max(0, taken - self._taken)
        self._taken = taken
        self._begin(position, clock, now)
        return wanted

    def _begin(self, position: int, clock: int, now: int) -> None:
        self._position = position
        self._asked = seq.add(clock, 1)
        self._since = now
