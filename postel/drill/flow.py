"""One conversation's numbers: those of the script to those on the wire, and back.

::

    script   0 ──────► 1 ──────► 101         each side's first SYN says how far the two spaces lie apart;
    wire     X ──────► X+1 ────► X+101       until it came they are the same
"""

from typing import Final

from postel.tcp import seq
from postel.wire.address import Endpoint

REMOTE_ISN: Final = 0xFFFF_F000  # of inbound SYNs: numbers wrap early, as they may
_UNKNOWN: Final = -1


class Flow:
    """``local`` is the stack's end, of which the script may not know the port until a packet shows it.
    ``secret`` is TCP MD5's.
    """

    def __init__(self, local: Endpoint, remote: Endpoint, secret: bytes = b"") -> None:
        self.local = local
        self.remote = remote
        self.secret = secret
        self._local_offset = _UNKNOWN
        self._remote_offset = _UNKNOWN
        self._timestamps: dict[int, int] = {}
        self.first_timestamp: tuple[int, int] | None = None  # as the script has it, and as the stack sent it

    def stack_sends_syn(self, scripted: int, live: int) -> None:
        if self._local_offset == _UNKNOWN:
            self._local_offset = seq.add(live, -scripted)

    def peer_sends_syn(self, scripted: int) -> None:
        if self._remote_offset == _UNKNOWN:
            self._remote_offset = seq.add(REMOTE_ISN, -scripted)

    def local_to_live(self, scripted: int) -> int:
        return seq.add(scripted, max(0, self._local_offset))

    def local_to_script(self, live: int) -> int:
        return seq.add(live, -max(0, self._local_offset))

    def remote_to_live(self, scripted: int) -> int:
        return seq.add(scripted, max(0, self._remote_offset))

    def remote_to_script(self, live: int) -> int:
        return seq.add(live, -max(0, self._remote_offset))

    def learn_timestamp(self, scripted: int, live: int) -> None:
        self._timestamps[scripted] = live
        if self.first_timestamp is None:
            self.first_timestamp = scripted, live

    def echo(self, scripted: int) -> int | None:
        """What the stack said for this TSval of the script; None where it said nothing."""
        return 0 if scripted == 0 and 0 not in self._timestamps else self._timestamps.get(scripted)
