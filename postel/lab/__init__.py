"""The lab: what tutorials say of TCP's handshake and close, tried on the real stack and seen.

Every claim is an experiment on hosts in virtual time: the same for the same seed on every machine. `claims`
has them, `run` makes one.

>>> from postel.lab import run
>>> report = run("stale-syn")
>>> str(report.verdict), [scene.title for scene in report.scenes]
('holds', ['plain', 'two segments'])
"""

from postel.lab.catalogue import Claim, Report, claim, claims, run
from postel.lab.interference import Interference
from postel.lab.translations import Text, words
from postel.lab.verdict import Verdict

__all__ = ["Claim", "Interference", "Report", "Text", "Verdict", "claim", "claims", "run", "words"]
