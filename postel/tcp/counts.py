"""What is counted of a connection, for `status`. Nothing is decided by it, but whether the peer is silent."""


class Counts:
    """Since the start; times are when something last happened."""

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
        self.segments_sent: int = 0
        self.segments_arrived: int = 0
        self.octets_retransmitted: int = 0
        self.segments_retransmitted: int = 0
        self.octets_acknowledged: int = 0
        self.texts_sent: int = 0  # packets with text, each time
        self.texts_arrived: int = 0
        self.throttled: int = 0  # answers to strange segments that a limit held back, see `challenge`
        self.last_data_at: int = 0
        self.last_ack_at: int = 0
        self.keep_alive_probes: int = 0  # since the peer was last heard of
