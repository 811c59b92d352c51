"""Several observers that act as one."""

from postel.errors import require_kind
from postel.links.observer import PacketObserver
from postel.sim.witness import Witness
from postel.tcp.observer import Decision, Observer, TimerName
from postel.tcp.state import State
from postel.wire.address import Endpoint
from postel.wire.segment import Segment


class Observers(Witness):
    """Observer that passes each call that it gets to several observers, in their order.

    ``observers`` may be observers of connections (`Observer`), of packets (`PacketObserver`), and observers
    of a world's network (`Witness`); each gets the calls that its class has methods for. An `Observers` can
    be given where one observer is asked for::

        Host("10.0.0.1/24", secret=secret, observer=Observers(trace, LoggingObserver()))
    """

    def __init__(self, *observers: Observer | PacketObserver) -> None:
        """Take the observers. Raises KindError for an argument that isn't an observer, such as a class."""
        for observer in observers:
            require_kind(
                "observers",
                observer,
                (Observer, PacketObserver),
                "an Observer or a PacketObserver, made already",
            )
        self._of_connections = [observer for observer in observers if isinstance(observer, Observer)]
        self._of_packets = [observer for observer in observers if isinstance(observer, PacketObserver)]
        self._witnesses = [observer for observer in observers if isinstance(observer, Witness)]

    def state_changed(self, local: Endpoint, remote: Endpoint, before: State, after: State, now: int) -> None:
        """Tell each observer of connections about a change of state."""
        for observer in self._of_connections:
            observer.state_changed(local, remote, before, after, now)

    def segment_sent(self, local: Endpoint, remote: Endpoint, segment: Segment, now: int) -> None:
        """Tell each observer of connections that a connection sends a segment."""
        for observer in self._of_connections:
            observer.segment_sent(local, remote, segment, now)

    def segment_arrived(self, local: Endpoint, remote: Endpoint, segment: Segment, now: int) -> None:
        """Tell each observer of connections that a segment arrived for a connection."""
        for observer in self._of_connections:
            observer.segment_arrived(local, remote, segment, now)

    def timer_expired(self, local: Endpoint, remote: Endpoint, timer: TimerName, now: int) -> None:
        """Tell each observer of connections that a timer expired."""
        for observer in self._of_connections:
            observer.timer_expired(local, remote, timer, now)

    def decided(self, local: Endpoint, remote: Endpoint, decision: Decision, now: int) -> None:
        """Tell each observer of connections what a sender decided about loss."""
        for observer in self._of_connections:
            observer.decided(local, remote, decision, now)

    def peer_erred(self, local: Endpoint, remote: Endpoint, error: str, now: int) -> None:
        """Tell each observer of connections that a peer broke a rule."""
        for observer in self._of_connections:
            observer.peer_erred(local, remote, error, now)

    def packet_dropped(self, reason: str, octets: bytes, now: int) -> None:
        """Tell each observer of connections that a host dropped a packet."""
        for observer in self._of_connections:
            observer.packet_dropped(reason, octets, now)

    def packet_sent(self, octets: bytes, now: int) -> None:
        """Tell each observer of packets that a packet left."""
        for observer in self._of_packets:
            observer.packet_sent(octets, now)

    def packet_arrived(self, octets: bytes, now: int) -> None:
        """Tell each observer of packets that a packet arrived."""
        for observer in self._of_packets:
            observer.packet_arrived(octets, now)

    def carried(
        self, sender: str, receiver: str, octets: bytes, sent_at: int, arrives_at: int, delivered: bytes
    ) -> None:
        """Tell each observer of a world's network that the network carries a packet."""
        for witness in self._witnesses:
            witness.carried(sender, receiver, octets, sent_at, arrives_at, delivered)

    def lost(self, sender: str, receiver: str, octets: bytes, sent_at: int, why: str) -> None:
        """Tell each observer of a world's network that the network loses a packet."""
        for witness in self._witnesses:
            witness.lost(sender, receiver, octets, sent_at, why)

    def rescheduled(
        self, sender: str, receiver: str, delivered: bytes, sent_at: int, arrives_at: int
    ) -> None:
        """Tell each observer of a world's network a packet's new time of arrival, in microseconds."""
        for witness in self._witnesses:
            witness.rescheduled(sender, receiver, delivered, sent_at, arrives_at)

    def intercepted(self, sender: str, receiver: str, delivered: bytes, sent_at: int, why: str) -> None:
        """Tell each observer of a world's network that a packet which was carried is lost after all."""
        for witness in self._witnesses:
            witness.intercepted(sender, receiver, delivered, sent_at, why)
