"""Packets under way that are lost at a barrier, held, or moved to another time by hand."""

from typing import NamedTuple

from postel.sim.agenda import Agenda, octets_of
from postel.sim.barriers import Barrier, Barriers
from postel.sim.between import Between
from postel.sim.in_flight import InFlight
from postel.sim.node import Node
from postel.sim.witness import Witness
from postel.times import NEVER


class UnderWay(NamedTuple):
    """Packet on its way from one host to another.

    ``arrives_at`` is NEVER while the packet is held. ``by_rule`` is True if a rule holds it, and not a
    barrier.
    """

    number: int
    sender: str
    receiver: Node
    octets: bytes
    sent_at: int
    arrives_at: int
    by_rule: bool = False


class Interruptions:
    """Barriers of a world, and the packets that holds and rules keep.

    ``held`` has the held packets by number, in the order in which they left or were stopped.
    """

    def __init__(self, agenda: Agenda, witness: Witness | None) -> None:
        """Begin without barriers."""
        self.barriers: Barriers = Barriers()
        self.held: dict[int, UnderWay] = {}
        self._agenda = agenda
        self._witness = witness

    @property
    def now(self) -> int:
        """Time of the world's clock, in microseconds."""
        return self._agenda.now

    # Barriers

    def begin(self, barrier: Barrier) -> None:
        """Add ``barrier``, which has an effect from now on. It also stops packets that are under way."""
        self.barriers.add(barrier)
        stopped = [
            packet
            for packet in self._under_way()
            if barrier.between.covers(packet.sender, packet.receiver.name)
        ]
        if barrier.kind == "hold":
            self._hold_all([packet for packet in stopped if packet.number not in self.held])
        else:
            self._lose_all([packet for packet in stopped if self._is_cut(packet)])

    def end(self, barrier: Barrier) -> None:
        """Remove ``barrier``. Packets that it held arrive now, unless another barrier holds them."""
        self.barriers.remove(barrier)
        self._release(barrier.between, with_ruled=False)

    def lift(self, barrier: Barrier) -> None:
        """Add the repair or release ``barrier``. Packets that a release no longer lets wait arrive now."""
        self.barriers.lift(barrier)
        if barrier.kind == "release":
            self._release(barrier.between, with_ruled=True)

    def _release(self, between: Between, *, with_ruled: bool) -> None:
        for held in list(self.held.values()):
            is_held = self.barriers.holds(held.sender, held.receiver.name) or (
                held.by_rule and not with_ruled
            )
            if not is_held and between.covers(held.sender, held.receiver.name):
                self._let_go(held, self.now)

    # Packets that leave

    def cut(self, sender: str, receiver: str, arrives_at: int) -> str:
        """Reason why a packet that leaves now is lost, such as "partition"; "" if the packet passes."""
        return self.barriers.cut(sender, receiver, self.now, arrives_at)

    def hold(self, sender: str, receiver: Node, octets: bytes, *, by_rule: bool) -> None:
        """Hold a packet that leaves now."""
        number = self._agenda.number()
        self.held[number] = UnderWay(number, sender, receiver, octets, self.now, NEVER, by_rule)

    def is_held(self, sender: str, receiver: str) -> bool:
        """Whether a packet that leaves now is held."""
        return self.barriers.holds(sender, receiver)

    # Packets under way

    def in_flight(self) -> list[InFlight]:
        """Packets under way, the first to arrive first; then held packets, the first to be held first."""
        return [
            InFlight(self, one.number, one.sender, one.receiver.name, one.octets, one.sent_at, one.arrives_at)
            for one in self._under_way()
        ]

    def is_under_way(self, packet: InFlight) -> bool:
        """Whether the packet has neither arrived nor been lost."""
        return packet.number in self.held or self._agenda.has(packet.number)

    def divert(self, packet: InFlight, when: int) -> None:
        """Let a packet arrive at another time."""
        found = self._find(packet.number)
        self._agenda.remove({packet.number})
        self._let_go(found, when)
        packet.number, packet.arrives_at = self._agenda.order, when

    def intercept(self, packet: InFlight, why: str) -> None:
        """Lose a packet that is under way."""
        self._lose_all([self._find(packet.number)], why)

    def _find(self, number: int) -> UnderWay:
        return next(packet for packet in self._under_way() if packet.number == number)

    def _under_way(self) -> list[UnderWay]:
        found = [
            UnderWay(number, sender, receiver, octets_of(packet), sent_at, when)
            for when, number, receiver, packet, _, sender, sent_at in self._agenda.arrivals()
            if receiver is not None
        ]
        return found + list(self.held.values())

    def _is_cut(self, packet: UnderWay) -> bool:
        return bool(
            self.barriers.cut(packet.sender, packet.receiver.name, self.now, max(self.now, packet.arrives_at))
        )

    def _lose_all(self, packets: list[UnderWay], why: str = "partition") -> None:
        self._agenda.remove({packet.number for packet in packets})
        for packet in packets:
            self.held.pop(packet.number, None)
            if self._witness is not None:
                self._witness.intercepted(
                    packet.sender, packet.receiver.name, packet.octets, packet.sent_at, why
                )

    def _hold_all(self, packets: list[UnderWay]) -> None:
        self._agenda.remove({packet.number for packet in packets})
        for packet in packets:
            self.held[packet.number] = packet._replace(arrives_at=NEVER)
            self._tell_moved(packet, NEVER)

    def _let_go(self, packet: UnderWay, when: int) -> None:
        """Let a packet that was held or moved arrive at ``when``.

        The packet's entry gets a new number. So packets that are sent later don't overtake this packet, and
        it overtakes no entry that is due earlier.
        """
        self.held.pop(packet.number, None)
        self._agenda.put_back(when, packet.receiver, packet.octets, packet.sender, packet.sent_at)
        self._tell_moved(packet, when)

    def _tell_moved(self, packet: UnderWay, when: int) -> None:
        if self._witness is not None:
            self._witness.rescheduled(
                packet.sender, packet.receiver.name, packet.octets, packet.sent_at, when
            )
