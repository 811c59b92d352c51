"""What all connections of a host may hold together, in octets (RFC 9293, 3.10: "insufficient resources")."""

from collections import OrderedDict


class Holder:
    """Base of what holds a part of a `Memory`: the transmission control block."""

    __slots__ = ()


class Memory:
    """A count with a limit, and the order in which those that met the limit are served.

    ``gaps`` are holders of octets that wait behind a gap, ``writers`` those whose user has more to send than
    there was memory for, and ``readers`` those that could advertise next to no window for want of memory: the
    first to come is the first in order. While writers wait, no other holder gets memory to send than the one
    whose turn it is. ``is_wanted`` asks the host to look after its memory.
    """

    __slots__ = ("_turn", "gaps", "is_wanted", "limit", "readers", "refused", "used", "waits", "writers")

    def __init__(self, limit: int) -> None:
        self.limit: int = limit
        self.used: int = 0
        self.refused: int = 0  # how often `claim` was refused
        self.gaps: OrderedDict[Holder, None] = OrderedDict()
        self.writers: OrderedDict[Holder, None] = OrderedDict()
        self.readers: OrderedDict[Holder, None] = OrderedDict()
        self.waits: int = 0  # how often a writer had to wait
        self.is_wanted: bool = False
        self._turn: Holder | None = None

    def claim(self, octets: int) -> bool:
        """Count ``octets`` as used, where so many are free. Whether they were."""
        if self.used + octets > self.limit:
            self.refused += 1
            self.is_wanted = True
            return False
        self.used += octets
        return True

    def give(self, octets: int) -> None:
        self.used -= octets

    @property
    def is_tight(self) -> bool:
        """Less than a quarter is free: no buffer grows, and those that grew go back."""
        return 4 * (self.limit - self.used) < self.limit

    @property
    def free(self) -> int:
        return max(0, self.limit - self.used)

    # Turns to send

    def room_for(self, holder: Holder | None) -> int:
        """Octets that ``holder`` may take to send; None for one that is new."""
        if self.writers and (holder is None or self._turn is not holder):
            return 0
        return max(0, self.limit - self.used)

    def wait(self, holder: Holder) -> None:
        """Queue ``holder`` behind the writers that wait already; one that waits keeps its place."""
        if self._turn is holder:
            self._turn = None
        self.writers[holder] = None
        self.waits += 1
        self.is_wanted = True

    def next_writer(self) -> Holder | None:
        """Give the turn to the writer that waits longest and return it; None while no memory is free, or no
        writer waits.
        """
        if not self.writers:
            self._turn = None
        elif self.used < self.limit:
            self._turn = self.writers.popitem(last=False)[0]
            return self._turn
        return None

    def take_turn(self, holder: Holder) -> bool:
        """Give the turn to ``holder`` if it waits longest and memory is free. Whether it has it."""
        if self.used >= self.limit or next(iter(self.writers), None) is not holder:
            return False
        self.next_writer()
        return True

    def wait_to_read(self, holder: Holder) -> None:
        """Queue ``holder``: when memory is free, its peer is told of a window."""
        self.readers[holder] = None
        self.is_wanted = True

    def stop_waiting(self, holder: Holder) -> None:
        """``holder`` has nothing more to send, nor to read."""
        if self.readers:
            self.readers.pop(holder, None)
        if self.writers:
            self.writers.pop(holder, None)
        if self._turn is holder:
            self._turn = None
