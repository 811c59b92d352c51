"""Counters and times of a connection, for `status`.

No decision depends on them, except whether the peer is silent (keep-alive).
"""


class Counts:
    """Counters since the connection began, and times at which something last happened, in microseconds."""

    __slots__ = (
        "keep_alive_probes",
        "last_ack_at",
        "last_data_at",
        "octets_acknowledged",
        "octets_retransmitted",
        "segments_arrived",
        "segments_retransmitted",
        "segments_sent",
        "texts_arrived",
        "texts_sent",
        "throttled",
    )

    def __init__(self) -> None:
        """Begin with all counters and times at 0."""
        self.segments_sent: int = 0
        self.segments_arrived: int = 0
        self.octets_retransmitted: int = 0
        self.segments_retransmitted: int = 0
        self.octets_acknowledged: int = 0
        self.texts_sent: int = 0  # packets with payload that were sent; each retransmission counts
        self.texts_arrived: int = 0  # packets with payload that arrived
        self.throttled: int = 0  # answers to unacceptable segments that a limit held back, see `challenge`
        self.last_data_at: int = 0  # when payload last arrived
        self.last_ack_at: int = 0  # when an acceptable ACK last arrived
        self.keep_alive_probes: int = 0  # probes since the peer last answered
