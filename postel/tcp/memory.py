"""Memory that all connections of a host share, in octets (RFC 9293, 3.10: "insufficient resources")."""

from collections import OrderedDict


class Holder:
    """Base class of an owner of memory: the transmission control block."""

    __slots__ = ()


class Memory:
    """Count of used octets with a limit, and queues of connections that wait for memory.

    ``gaps`` are connections with a reassembly queue, ``writers`` those with more to send than there was
    memory for, ``readers`` those that had too little memory to advertise a useful window. Each queue is first
    come, first served. While writers wait, only one gets memory to send: the one that `next_writer` last took
    from the queue has the turn. ``is_wanted`` asks the host to free memory, or to give it to those that wait.
    """

    __slots__ = ("_turn", "gaps", "is_wanted", "limit", "readers", "refused", "used", "waits", "writers")

    def __init__(self, limit: int) -> None:
        """Begin with ``limit`` octets free."""
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
        """Count ``octets`` as used and return True if so many are free; else note that memory is wanted."""
        if self.used + octets > self.limit:
            self.refused += 1
            self.is_wanted = True
            return False
        self.used += octets
        return True

    def give(self, octets: int) -> None:
        """Count ``octets`` as free again."""
        self.used -= octets

    @property
    def is_tight(self) -> bool:
        """Whether less than a quarter of the memory is free: then no buffer grows, and grown ones shrink."""
        return 4 * (self.limit - self.used) < self.limit

    @property
    def free(self) -> int:
        """Octets that are free."""
        return max(0, self.limit - self.used)

    # Queues

    def room_for(self, holder: Holder | None) -> int:
        """Return the octets that ``holder`` may use for sending; None stands for a new connection."""
        if self.writers and (holder is None or self._turn is not holder):
            return 0
        return max(0, self.limit - self.used)

    def wait(self, holder: Holder) -> None:
        """Put ``holder`` behind the writers that wait; one that waits already keeps its place."""
        if self._turn is holder:
            self._turn = None
        self.writers[holder] = None
        self.waits += 1
        self.is_wanted = True

    def next_writer(self) -> Holder | None:
        """Give the turn to the writer that has waited longest, and return it.

        Returns None while no memory is free or no writer waits.
        """
        if not self.writers:
            self._turn = None
        elif self.used < self.limit:
            self._turn = self.writers.popitem(last=False)[0]
            return self._turn
        return None

    def take_turn(self, holder: Holder) -> bool:
        """Give the turn to ``holder``, and return True, if it has waited longest and memory is free."""
        if self.used >= self.limit or next(iter(self.writers), None) is not holder:
            return False
        self.next_writer()
        return True

    def wait_to_read(self, holder: Holder) -> None:
        """Put ``holder`` among the readers: once memory is free, its peer gets a larger window."""
        self.readers[holder] = None
        self.is_wanted = True

    def stop_waiting(self, holder: Holder) -> None:
        """Remove ``holder`` from the queues, because it has nothing more to send or to read."""
        if self.readers:
            self.readers.pop(holder, None)
        if self.writers:
            self.writers.pop(holder, None)
        if self._turn is holder:
            self._turn = None
