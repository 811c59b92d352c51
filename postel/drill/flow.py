"""Sequence numbers of one connection: from those in the script to those on the wire, and back.

::

    script   0 ──────► 1 ──────► 101
    wire     X ──────► X+1 ────► X+101

The first SYN of each end gives the difference X. Before that SYN, both numbers are the same.
"""

from typing import Final

from postel.tcp import seq
from postel.wire.address import Endpoint

# Initial sequence number of inbound SYNs on the wire: near the end, to test that numbers wrap
REMOTE_ISN: Final = 0xFFFF_F000
_UNKNOWN: Final = -1


class Flow:
    """Sequence numbers of one connection between ``local``, the stack's end, and ``remote``, the script's.

    ``secret`` is the key of TCP MD5 signatures.
    """

    def __init__(self, local: Endpoint, remote: Endpoint, secret: bytes = b"") -> None:
        """Begin before the first SYN."""
        self.local = local
        self.remote = remote
        self.secret = secret
        self._local_offset = _UNKNOWN
        self._remote_offset = _UNKNOWN
        self._timestamps: dict[int, int] = {}
        self.first_timestamp: tuple[int, int] | None = None  # TSval in the script, and on the wire

    def stack_sends_syn(self, scripted: int, live: int) -> None:
        """Note the sequence number of the stack's first SYN: in the script, and on the wire."""
        if self._local_offset == _UNKNOWN:
            self._local_offset = seq.add(live, -scripted)

    def peer_sends_syn(self, scripted: int) -> None:
        """Note the sequence number of the peer's first SYN in the script. On the wire it is REMOTE_ISN."""
        if self._remote_offset == _UNKNOWN:
            self._remote_offset = seq.add(REMOTE_ISN, -scripted)

    def local_to_live(self, scripted: int) -> int:
        """Sequence number of the stack on the wire, for one in the script."""
        return seq.add(scripted, max(0, self._local_offset))

    def local_to_script(self, live: int) -> int:
        """Sequence number of the stack in the script, for one on the wire."""
        return seq.add(live, -max(0, self._local_offset))

    def remote_to_live(self, scripted: int) -> int:
        """Sequence number of the peer on the wire, for one in the script."""
        return seq.add(scripted, max(0, self._remote_offset))

    def remote_to_script(self, live: int) -> int:
        """Sequence number of the peer in the script, for one on the wire."""
        return seq.add(live, -max(0, self._remote_offset))

    def learn_timestamp(self, scripted: int, live: int) -> None:
        """Note a TSval of the stack: its value in the script, and on the wire."""
        self._timestamps[scripted] = live
        if self.first_timestamp is None:
            self.first_timestamp = scripted, live

    def echo(self, scripted: int) -> int | None:
        """TSval on the wire for a TSval of the stack in the script; None if the stack hasn't sent it."""
        return 0 if scripted == 0 and 0 not in self._timestamps else self._timestamps.get(scripted)
