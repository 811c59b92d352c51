"""Sequence numbers of one connection: from those in the script to those on the wire, and back.

::

    script   0 ──────► 1 ──────► 101
    wire     X ──────► X+1 ────► X+101

The first SYN of each side gives the difference X. Until it comes, both numbers are the same.
"""

from typing import Final

from postel.tcp import seq
from postel.wire.address import Endpoint

REMOTE_ISN: Final = 0xFFFF_F000  # of inbound SYNs: the numbers wrap early, to test that
_UNKNOWN: Final = -1


class Flow:
    """The numbers of one connection between ``local``, the stack's end, and ``remote``.

    ``secret`` is for TCP MD5.
    """

    def __init__(self, local: Endpoint, remote: Endpoint, secret: bytes = b"") -> None:
        """Begin before the first SYN."""
        self.local = local
        self.remote = remote
        self.secret = secret
        self._local_offset = _UNKNOWN
        self._remote_offset = _UNKNOWN
        self._timestamps: dict[int, int] = {}
        self.first_timestamp: tuple[int, int] | None = None  # in the script, and on the wire

    def stack_sends_syn(self, scripted: int, live: int) -> None:
        """Note the stack's first SYN: its number in the script, and on the wire."""
        if self._local_offset == _UNKNOWN:
            self._local_offset = seq.add(live, -scripted)

    def peer_sends_syn(self, scripted: int) -> None:
        """Note the peer's first SYN: its number in the script."""
        if self._remote_offset == _UNKNOWN:
            self._remote_offset = seq.add(REMOTE_ISN, -scripted)

    def local_to_live(self, scripted: int) -> int:
        """Number of the stack's sequence space on the wire."""
        return seq.add(scripted, max(0, self._local_offset))

    def local_to_script(self, live: int) -> int:
        """Number of the stack's sequence space in the script."""
        return seq.add(live, -max(0, self._local_offset))

    def remote_to_live(self, scripted: int) -> int:
        """Number of the peer's sequence space on the wire."""
        return seq.add(scripted, max(0, self._remote_offset))

    def remote_to_script(self, live: int) -> int:
        """Number of the peer's sequence space in the script."""
        return seq.add(live, -max(0, self._remote_offset))

    def learn_timestamp(self, scripted: int, live: int) -> None:
        """Note a TSval of the stack: in the script, and on the wire."""
        self._timestamps[scripted] = live
        if self.first_timestamp is None:
            self.first_timestamp = scripted, live

    def echo(self, scripted: int) -> int | None:
        """TSval on the wire for a TSval of the stack in the script; None where the stack has sent none."""
        return 0 if scripted == 0 and 0 not in self._timestamps else self._timestamps.get(scripted)
