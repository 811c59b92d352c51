"""What an experiment finds of a claim."""

from enum import Enum


class Verdict(Enum):
    """``str()`` is the word of the table."""

    HOLDS = "holds"
    CAVEAT = "caveat"
    MYTH = "myth"
    CHANGED = "changed"
    # the run came out otherwise than the claim says, and proves nothing else: the user interfered
    NOT_SHOWN = "not shown"

    def __str__(self) -> str:
        return str(self.value)


def decide(*, shown: bool, exception: bool = False, refuted: bool = False, formerly: bool = False) -> Verdict:
    """Of what was seen on the stack as it is.

    ``shown``: what the claim says. ``exception``: a circumstance in which it isn't so. ``refuted``: an
    ordinary case that the claim gets wrong. ``formerly``: by the older rules, or in the case that the claim
    has in mind, it would be right.
    """
    if refuted:
        return Verdict.CHANGED if formerly else Verdict.MYTH
    if not shown:
        return Verdict.NOT_SHOWN
    return Verdict.CAVEAT if exception else Verdict.HOLDS
