"""Lab: what tutorials claim about TCP's handshake, data transfer and close, tried on the real stack.

Each claim is an experiment on hosts in virtual time, so it gives the same result for the same seed on every
machine. `claims` lists them, `find` looks for some by words, and `run` makes one experiment.

>>> from postel.lab import run
>>> report = run("stale-syn")
>>> str(report.verdict), [scene.title for scene in report.scenes]
('holds', ['plain', 'two segments'])
"""

from postel.lab.catalogue import Claim, Report, claim, claims, run
from postel.lab.finding import find
from postel.lab.interference import Interference
from postel.lab.translations import Text, words
from postel.lab.verdict import Verdict

__all__ = ["Claim", "Interference", "Report", "Text", "Verdict", "claim", "claims", "find", "run", "words"]
