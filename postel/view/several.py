"""Several observers in the place of one."""

from postel.errors import require_kind
from postel.links.observer import PacketObserver
from postel.sim.witness import Witness
from postel.tcp.observer import Decision, Observer, TimerName
from postel.tcp.state import State
from postel.wire.address import Endpoint
from postel.wire.segment import Segment


class Observers(Witness):
    """Observer that passes everything it is told to each of several observers, in their order.

    ``observers`` may be observers of connections (`Observer`), of packets (`PacketObserver`), and witnesses
    of a world (`Witness`); each is told what its kind has methods for. An `Observers` can stand where one
    observer is asked for::

        Host("10.0.0.1/24", secret=secret, observer=Observers(trace, LoggingObserver()))
    """

    def __init__(self, *observers: Observer | PacketObserver) -> None:
        """Take the observers. Raises KindError for an argument that is no observer, such as a class."""
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
        """Pass a change of state to each observer of connections."""
        for observer in self._of_connections:
            observer.state_changed(local, remote, before, after, now)

    def segment_sent(self, local: Endpoint, remote: Endpoint, segment: Segment, now: int) -> None:
        """Pass a segment that a connection sends to each observer of connections."""
        for observer in self._of_connections:
            observer.segment_sent(local, remote, segment, now)

    def segment_arrived(self, local: Endpoint, remote: Endpoint, segment: Segment, now: int) -> None:
        """Pass a segment that arrived for a connection to each observer of connections."""
        for observer in self._of_connections:
            observer.segment_arrived(local, remote, segment, now)

    def timer_expired(self, local: Endpoint, remote: Endpoint, timer: TimerName, now: int) -> None:
        """Pass an expired timer to each observer of connections."""
        for observer in self._of_connections:
            observer.timer_expired(local, remote, timer, now)

    def decided(self, local: Endpoint, remote: Endpoint, decision: Decision, now: int) -> None:
        """Pass a decision about loss to each observer of connections."""
        for observer in self._of_connections:
            observer.decided(local, remote, decision, now)

    def peer_erred(self, local: Endpoint, remote: Endpoint, error: str, now: int) -> None:
        """Pass a peer's breach of a rule to each observer of connections."""
        for observer in self._of_connections:
            observer.peer_erred(local, remote, error, now)

    def packet_dropped(self, reason: str, octets: bytes, now: int) -> None:
        """Pass a packet that a host dropped to each observer of connections."""
        for observer in self._of_connections:
            observer.packet_dropped(reason, octets, now)

    def packet_sent(self, octets: bytes, now: int) -> None:
        """Pass a packet that left to each observer of packets."""
        for observer in self._of_packets:
            observer.packet_sent(octets, now)

    def packet_arrived(self, octets: bytes, now: int) -> None:
        """Pass a packet that arrived to each observer of packets."""
        for observer in self._of_packets:
            observer.packet_arrived(octets, now)

    def carried(
        self, sender: str, receiver: str, octets: bytes, sent_at: int, arrives_at: int, delivered: bytes
    ) -> None:
        """Pass a packet that the network carries to each witness."""
        for witness in self._witnesses:
            witness.carried(sender, receiver, octets, sent_at, arrives_at, delivered)

    def lost(self, sender: str, receiver: str, octets: bytes, sent_at: int, why: str) -> None:
        """Pass a packet that the network loses to each witness."""
        for witness in self._witnesses:
            witness.lost(sender, receiver, octets, sent_at, why)

    def rescheduled(
        self, sender: str, receiver: str, delivered: bytes, sent_at: int, arrives_at: int
    ) -> None:
        """Pass a packet's new time of arrival to each witness."""
        for witness in self._witnesses:
            witness.rescheduled(sender, receiver, delivered, sent_at, arrives_at)

    def intercepted(self, sender: str, receiver: str, delivered: bytes, sent_at: int, why: str) -> None:
        """Pass a packet that is lost after it was carried to each witness."""
        for witness in self._witnesses:
            witness.intercepted(sender, receiver, delivered, sent_at, why)
