"""Bell: tells a driver of very many hosts which of them may have something to do.

Without it the driver would have to ask every host after every call.
"""


class Bell:
    """Mark of one host that it may have something to send or to report.

    `ring` sets ``is_rung`` and adds the bell to ``rung``, once, until the driver sets ``is_rung`` to False
    again. ``rung`` is the driver's list, shared by all of its hosts; None where the driver uses no list.
    ``owner`` is free for the driver's use.
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
