"""Who wants to watch, subclasses `Observer`. An observer is told and changes nothing; without one the core pays one `is not None`."""

from postel.tcp.state import State
from postel.wire.segment import Segment


class Observer:
    """Every method does nothing: override what you need. ``local`` and ``remote`` name the connection, ``now`` is in microseconds."""

    def state_changed(self, local: object, remote: object, before: State, after: State, now: int) -> None:
        """A connection entered ``after``."""

    def segment_sent(self, local: object, remote: object, segment: Segment, now: int) -> None:
        """A segment leaves a connection, already counted in its TCB."""

    def segment_arrived(self, local: object, remote: object, segment: Segment, now: int) -> None:
        """A segment comes to a connection, which has not looked at it yet."""

    def timer_expired(self, local: object, remote: object, timer: str, now: int) -> None:
        """A timer ran out: "retransmission", "probe", "reorder", "persist", "override", "delayed-ack", "keep-alive", "user-timeout",
        "time-wait" or "orphan"."""

    def peer_erred(self, local: object, remote: object, error: str, now: int) -> None:
        """A peer broke a rule that says to log the error and to go on, such as RFC 7323, 2.3; ``error`` is it in words."""

    def packet_sent(self, octets: bytes, now: int) -> None:
        """A whole IP packet leaves a host."""

    def packet_arrived(self, octets: bytes, now: int) -> None:
        """A whole IP packet comes to a host."""

    def packet_dropped(self, reason: str, octets: bytes, now: int) -> None:
        """A host drops a packet; ``reason`` is the counter of `Host.statistics`."""
