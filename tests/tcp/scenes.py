"""RFC 5681 alone, for tests that count segments."""

from dataclasses import replace

from postel.tcp.congestion.reno import Reno
from postel.testing.states import PLAIN


class Standard(Reno):
    uses_hystart = False


RENO = replace(PLAIN, congestion=Standard)
