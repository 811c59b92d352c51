"""State of a connection's handshake."""

from postel.tcp.fastopen import FastOpen


class HandshakeState:
    """Record of how a connection is opened, and of what its handshake has found out so far.

    The OPEN makes the record. A connection that returns to LISTEN gets a new record.
    """

    __slots__ = ("early", "fast_open", "fast_opened", "first_window", "is_passive", "peer_scales", "syn_asks")

    def __init__(self, first_window: int, *, is_passive: bool) -> None:
        """Begin a handshake; ``first_window`` is the first congestion window in segments."""
        self.first_window: int = first_window  # segments of the first congestion window
        self.early: bytes = b""  # payload of a SYN that crossed ours, to be delivered after ESTABLISHED
        self.syn_asks: int = 0  # the ECN flags of the peer's latest SYN that had any
        self.fast_open: FastOpen | None = None  # state of Fast Open, if in use, until the handshake is over
        # Truth values stand together: compiled, each takes one octet then
        self.is_passive: bool = is_passive  # MUST-11
        self.peer_scales: bool = False  # the peer's SYN carried the window scale option
        self.fast_opened: bool = False  # payload of a SYN, the peer's or ours, was acknowledged

    @property
    def is_fast(self) -> bool:
        """Whether a valid cookie opened the connection: its user has it before the handshake is over."""
        return self.fast_open is not None and self.fast_open.opened
