"""How a driver of very many hosts learns which of them were called, so that it need not ask them all."""


class Bell:
    """Of one host: it rings once when the host may have something to send or tell, until the driver sets
    ``is_rung`` to False again.

    ``rung`` is the driver's list, to which the bells of all its hosts add themselves; None where the driver
    doesn't ask. ``owner`` is the driver's own.
    """

    __slots__ = ("is_rung", "owner", "rung")

    def __init__(self) -> None:
        self.is_rung: bool = False
        self.owner: object = None
        self.rung: list[Bell] | None = None

    def ring(self) -> None:
        """The host may have something to send or tell."""
        if not self.is_rung:
            self.is_rung = True
            if self.rung is not None:
                self.rung.append(self)
