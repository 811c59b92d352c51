"""Verdict of an experiment on a claim."""

from enum import Enum


class Verdict(Enum):
    """What an experiment finds about a claim; ``str()`` gives the word of the table.

    HOLDS: it is so. CAVEAT: it is so, with an exception. MYTH: it isn't so. CHANGED: it was so by older
    rules.
    """

    HOLDS = "holds"
    CAVEAT = "caveat"
    MYTH = "myth"
    CHANGED = "changed"
    # The run neither shows the claim nor refutes it, because the user interfered.
    NOT_SHOWN = "not shown"

    def __str__(self) -> str:
        """Return the word of the table."""
        return str(self.value)


def decide(*, shown: bool, exception: bool = False, refuted: bool = False, formerly: bool = False) -> Verdict:
    """Return the verdict of what was seen.

    ``shown``: what the claim says was seen. ``exception``: and a circumstance in which it isn't so.
    ``refuted``: an ordinary case in which the claim is wrong. ``formerly``: by the older rules, or in the
    case that the claim has in mind, it would be right.
    """
    if refuted:
        return Verdict.CHANGED if formerly else Verdict.MYTH
    if not shown:
        return Verdict.NOT_SHOWN
    return Verdict.CAVEAT if exception else Verdict.HOLDS
