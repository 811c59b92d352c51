"""How a connection is opened, and what its handshake found out."""

from postel.tcp.fastopen import FastOpen


class HandshakeState:
    """From the OPEN on. A connection that goes back to LISTEN begins with another one."""

    __slots__ = ("early", "fast_open", "fast_opened", "first_window", "is_passive", "peer_scales", "syn_asks")

    def __init__(self, first_window: int, *, is_passive: bool) -> None:
        self.first_window: int = first_window  # segments: what the congestion window begins with
        self.early: bytes = b""  # text of a SYN that crossed ours, for after ESTABLISHED
        self.syn_asks: int = 0  # the ECN flags of the peer's latest SYN that had any
        self.fast_open: FastOpen | None = None  # until ESTABLISHED, of those that ask for it
        # Truth values stand together: compiled, each takes one octet then
        self.is_passive: bool = is_passive  # MUST-11
        self.peer_scales: bool = False  # its SYN carried the window scale option
        self.fast_opened: bool = False  # text of a SYN, the peer's or ours, was acknowledged

    @property
    def is_fast(self) -> bool:
        """Opened by a cookie: its user has it before the handshake is over."""
        return self.fast_open is not None and self.fast_open.opened
