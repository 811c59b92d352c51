"""Observer of a world: `Witness`. A `Voice` passes it the calls of one host, until that host crashes."""

from postel.links.observer import PacketObserver
from postel.tcp.observer import Decision, Observer, TimerName
from postel.tcp.state import State
from postel.wire.address import Endpoint
from postel.wire.segment import Segment


class Witness(Observer, PacketObserver):
    """Observer of all hosts of a world, of their packets, and of what becomes of packets between hosts.

    When a packet leaves a host, `packet_sent` is called, and at once after it `carried` or `lost`. When the
    host at the other end takes the packet, `packet_arrived` is called, followed by calls about what that host
    does with the packet.
    """

    def carried(
        self, sender: str, receiver: str, octets: bytes, sent_at: int, arrives_at: int, delivered: bytes
    ) -> None:
        """Called for each copy of a packet that is on its way.

        ``delivered`` differs from ``octets`` where the packet is damaged on the way.
        """

    def lost(self, sender: str, receiver: str, octets: bytes, sent_at: int, why: str) -> None:
        """Called for a packet that won't arrive.

        ``why`` is "loss", "queue full", "too big", "no route", "partition" or "link down".
        """

    def rescheduled(
        self, sender: str, receiver: str, delivered: bytes, sent_at: int, arrives_at: int
    ) -> None:
        """Called for a packet after `carried`, if its time of arrival changes; NEVER while it is held."""

    def intercepted(self, sender: str, receiver: str, delivered: bytes, sent_at: int, why: str) -> None:
        """Called for a packet after `carried`, if it won't arrive after all.

        ``why`` is "partition", "host is down", "queue full" or "dropped by hand".
        """


class Voice(Observer):
    """Observer of one host. It passes all calls to the world's observer, until the host has crashed."""

    def __init__(self, listener: Observer) -> None:
        """Pass all calls to ``listener``."""
        self._listener: Observer | None = listener

    def fall_silent(self) -> None:
        """Pass no calls from now on."""
        self._listener = None

    def state_changed(self, local: Endpoint, remote: Endpoint, before: State, after: State, now: int) -> None:
        """Pass on that a connection changed its state."""
        if self._listener is not None:
            self._listener.state_changed(local, remote, before, after, now)

    def segment_sent(self, local: Endpoint, remote: Endpoint, segment: Segment, now: int) -> None:
        """Pass on that a segment was sent."""
        if self._listener is not None:
            self._listener.segment_sent(local, remote, segment, now)

    def segment_arrived(self, local: Endpoint, remote: Endpoint, segment: Segment, now: int) -> None:
        """Pass on that a segment arrived."""
        if self._listener is not None:
            self._listener.segment_arrived(local, remote, segment, now)

    def timer_expired(self, local: Endpoint, remote: Endpoint, timer: TimerName, now: int) -> None:
        """Pass on that a timer expired."""
        if self._listener is not None:
            self._listener.timer_expired(local, remote, timer, now)

    def decided(self, local: Endpoint, remote: Endpoint, decision: Decision, now: int) -> None:
        """Pass on that a connection made a decision."""
        if self._listener is not None:
            self._listener.decided(local, remote, decision, now)

    def peer_erred(self, local: Endpoint, remote: Endpoint, error: str, now: int) -> None:
        """Pass on that the peer made an error."""
        if self._listener is not None:
            self._listener.peer_erred(local, remote, error, now)

    def packet_dropped(self, reason: str, octets: bytes, now: int) -> None:
        """Pass on that a packet was dropped."""
        if self._listener is not None:
            self._listener.packet_dropped(reason, octets, now)
