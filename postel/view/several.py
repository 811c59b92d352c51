"""Several observers in the place of one."""

from postel.errors import require_kind
from postel.links.observer import PacketObserver
from postel.sim.witness import Witness
from postel.tcp.observer import Decision, Observer, TimerName
from postel.tcp.state import State
from postel.wire.address import Endpoint
from postel.wire.segment import Segment


class Observers(Witness):
    """Tells each of ``observers`` everything, in that order: observers of connections, of packets, and
    witnesses of a world.

    It can stand wherever one observer is asked for, as in ``Host(observer=Observers(trace,
    LoggingObserver()))``.
    """

    def __init__(self, *observers: Observer | PacketObserver) -> None:
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
        for observer in self._of_connections:
            observer.state_changed(local, remote, before, after, now)

    def segment_sent(self, local: Endpoint, remote: Endpoint, segment: Segment, now: int) -> None:
        for observer in self._of_connections:
            observer.segment_sent(local, remote, segment, now)

    def segment_arrived(self, local: Endpoint, remote: Endpoint, segment: Segment, now: int) -> None:
        for observer in self._of_connections:
            observer.segment_arrived(local, remote, segment, now)

    def timer_expired(self, local: Endpoint, remote: Endpoint, timer: TimerName, now: int) -> None:
        for observer in self._of_connections:
            observer.timer_expired(local, remote, timer, now)

    def decided(self, local: Endpoint, remote: Endpoint, decision: Decision, now: int) -> None:
        for observer in self._of_connections:
            observer.decided(local, remote, decision, now)

    def peer_erred(self, local: Endpoint, remote: Endpoint, error: str, now: int) -> None:
        for observer in self._of_connections:
            observer.peer_erred(local, remote, error, now)

    def packet_dropped(self, reason: str, octets: bytes, now: int) -> None:
        for observer in self._of_connections:
            observer.packet_dropped(reason, octets, now)

    def packet_sent(self, octets: bytes, now: int) -> None:
        for observer in self._of_packets:
            observer.packet_sent(octets, now)

    def packet_arrived(self, octets: bytes, now: int) -> None:
        for observer in self._of_packets:
            observer.packet_arrived(octets, now)

    def carried(
        self, sender: str, receiver: str, octets: bytes, sent_at: int, arrives_at: int, delivered: bytes
    ) -> None:
        for witness in self._witnesses:
            witness.carried(sender, receiver, octets, sent_at, arrives_at, delivered)

    def lost(self, sender: str, receiver: str, octets: bytes, sent_at: int, why: str) -> None:
        for witness in self._witnesses:
            witness.lost(sender, receiver, octets, sent_at, why)

    def rescheduled(
        self, sender: str, receiver: str, delivered: bytes, sent_at: int, arrives_at: int
    ) -> None:
        for witness in self._witnesses:
            witness.rescheduled(sender, receiver, delivered, sent_at, arrives_at)

    def intercepted(self, sender: str, receiver: str, delivered: bytes, sent_at: int, why: str) -> None:
        for witness in self._witnesses:
            witness.intercepted(sender, receiver, delivered, sent_at, why)
