"""Bell of a host: tells a driver of thousands of hosts which of them may have something to do.

A driver (asyncio, trio, threads, a simulation) moves packets, events and time for its hosts. Without bells it
would have to ask every host after every call.
"""


class Bell:
    """Mark that one host may have something to send or to report.

    `ring` sets ``is_rung`` and appends the bell to ``rung``, the list of bells that the driver shares among
    its hosts (None where the driver uses no list). While ``is_rung`` is True, `ring` does nothing; the driver
    sets it to False when it has removed the bell from the list. ``owner`` is free for the driver's use.
    """

    __slots__ = ("is_rung", "owner", "rung")

    def __init__(self) -> None:
        """Make a bell that isn't rung and is on no list."""
        self.is_rung: bool = False
        self.owner: object = None
        self.rung: list[Bell] | None = None

    def ring(self) -> None:
        """Mark that the host may have something to send or to report."""
        if not self.is_rung:
            self.is_rung = True
            if self.rung is not None:
                self.rung.append(self)
