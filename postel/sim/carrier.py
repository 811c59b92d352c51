"""Transport of packets that leave a host: rules, the path to the receiver, fragments, "too big"."""

from heapq import heappush
from random import Random
from typing import Final, cast

from postel.host.packet_record import PacketRecord
from postel.sim.agenda import Agenda
from postel.sim.interruptions import Interruptions
from postel.sim.node import Node
from postel.sim.path import Path, PathSettings
from postel.sim.path_changes import PathChanges
from postel.sim.rules import BY_PATH, PASS, Rule, Verdict
from postel.sim.where import PacketRule
from postel.sim.witness import Witness
from postel.times import NEVER
from postel.wire import icmp, ip

_LEAST_MTU: Final = 68  # RFC 791, 3.2


class Carrier:
    """Transport of packets from host to host: each arrival is put on the agenda, or the packet is lost.

    ``packets`` counts the packets that have left a host, so it is also the number of the last one. ``nodes``
    maps an address to the node that has it.
    """

    def __init__(self, seed: int, agenda: Agenda, witness: Witness | None, *, is_observed: bool) -> None:
        """Begin without hosts."""
        self.rules: list[Rule] = []
        self.packets: int = 0
        self.nodes: dict[bytes, Node] = {}
        self.interruptions: Interruptions = Interruptions(agenda, witness)
        self._barriers = self.interruptions.barriers
        self.changes: PathChanges = PathChanges()
        self.default: PathSettings | None = None  # settings for hosts that no path joins
        self._seed = seed
        self._agenda = agenda
        self._witness = witness
        self.is_observed: bool = is_observed

    def needs_octets(self) -> bool:
        """Whether a rule, a barrier or an observer may look at the octets of packets."""
        return self.is_observed or self._barriers.any_stands or bool(self.rules)

    def send_records(self, node: Node, first: PacketRecord | bytes) -> None:
        """Carry ``first`` and all other packets that the host of ``node`` has to send.

        A `PacketRecord` is written out as octets only where the path or the receiver looks at octets.
        """
        agenda = self._agenda
        now, name, paths = agenda.now, node.name, node.paths
        next_record, receiver_of = node.host.next_record, self.nodes.get
        packet: PacketRecord | bytes | None = first
        while packet is not None:
            if type(packet) is not PacketRecord:
                self.send(node, cast(bytes, packet))
            elif (
                (receiver := receiver_of(packet.destination)) is not None
                and (path := paths.get(receiver)) is not None
                and (path.is_plain if path.is_judged else path.judge())
                and not 0 < path.mtu < packet.length
            ):
                self.packets += 1
                when = path.travel(packet.length, now)
                if when < NEVER:
                    agenda.order += 1
                    heappush(agenda.heap, (when, agenda.order, receiver, packet, None, name, now))
            else:
                self.send(node, packet.octets())
            packet = next_record(now)

    def send(self, node: Node, octets: bytes) -> None:
        """Carry a packet that leaves ``node``."""
        self.packets += 1
        if self._witness is not None:
            self._witness.packet_sent(octets, self._agenda.now)
        verdict = self._verdict(node, octets)
        receiver = self._receiver(node, octets)
        if receiver is None:
            self._lose(node.name, "", octets, "no route")
            return
        if self._barriers and (why := self.interruptions.cut(node.name, receiver.name, self._agenda.now)):
            self._lose(node.name, receiver.name, octets, why)
            return
        path = node.paths[receiver]
        for piece in _pieces(octets, path.mtu) if verdict.after == BY_PATH else (octets,):
            self._carry(node, receiver, path, piece, verdict)

    def _carry(self, node: Node, receiver: Node, path: Path, octets: bytes, verdict: Verdict) -> None:
        why = path.admits(octets, self._agenda.now) if verdict.after == BY_PATH else ""
        if why:
            path.lost += 1
            self._lose(node.name, receiver.name, octets, why)
            if why == "too big" and not path.is_black_hole:
                self._answer_too_big(node, receiver, octets, path.mtu)
            return
        arrivals = path.carry(octets, self._agenda.now, verdict=verdict)
        if verdict.again != BY_PATH:
            arrivals.append((self._agenda.now + verdict.again, octets))
        if not arrivals:
            self._lose(node.name, receiver.name, octets, "loss")
        for when, delivered in arrivals:
            if self._barriers or when >= NEVER:
                self._carry_on(node, receiver, octets, delivered, when)
            else:
                self._agenda.put(when, receiver, delivered, None, node.name)
                if self._witness is not None:
                    self._witness.carried(node.name, receiver.name, octets, self._agenda.now, when, delivered)

    def _carry_on(self, node: Node, receiver: Node, octets: bytes, delivered: bytes, when: int) -> None:
        """Lose, hold or deliver a packet, as barriers between the two hosts and a rule's hold require."""
        why = self.interruptions.cut(node.name, receiver.name, when)
        if why:
            self._lose(node.name, receiver.name, octets, why)
            return
        by_rule = when >= NEVER
        if by_rule or self.interruptions.is_held(node.name, receiver.name):
            self.interruptions.hold(node.name, receiver, delivered, by_rule=by_rule)
            when = NEVER
        else:
            self._agenda.put(when, receiver, delivered, None, node.name)
        if self._witness is not None:
            self._witness.carried(node.name, receiver.name, octets, self._agenda.now, when, delivered)

    def _verdict(self, node: Node, octets: bytes) -> Verdict:
        for rule in self.rules:
            if isinstance(rule, PacketRule):
                receiver = self._receiver(node, octets)
                verdict = rule.decide(
                    octets, node.name, "" if receiver is None else receiver.name, self._agenda.now
                )
            else:
                verdict = rule(self.packets, octets, node.name, self._agenda.now)
            if verdict is not None:
                return verdict
        return PASS

    def _receiver(self, node: Node, octets: bytes) -> Node | None:
        """Node with the destination address; else the only neighbour, which may accept any address."""
        destination = _destination(octets)
        receiver = self.nodes.get(destination)
        if receiver is not None:
            return receiver if receiver in node.paths or self._join_by_default(node, receiver) else None
        for neighbour in node.paths if self.default is None else [*node.paths, *self.nodes.values()]:
            if destination in neighbour.host.routes.own:  # `Host.add_address` added it
                return (
                    neighbour if neighbour in node.paths or self._join_by_default(node, neighbour) else None
                )
        given = [neighbour for neighbour in node.paths if neighbour not in node.by_default]
        return given[0] if len(given) == 1 else None

    def join(self, node: Node, receiver: Node, settings: PathSettings) -> Path:
        """Make the path from ``node`` to ``receiver``."""
        path = Path(Random(f"{self._seed}/{node.name}/{receiver.name}"), **settings)
        node.paths[receiver] = path
        node.by_default.discard(receiver)
        if self.changes:
            self.changes.made(node.name, receiver.name, path)
        return path

    def _join_by_default(self, node: Node, receiver: Node) -> bool:
        """Make the path between two hosts, because one sends to the other for the first time.

        Returns False where paths aren't made by default.
        """
        if self.default is None or node is receiver:
            return False
        self.join(node, receiver, self.default)
        node.by_default.add(receiver)
        return True

    def _answer_too_big(self, node: Node, receiver: Node, octets: bytes, mtu: int) -> None:
        """Answer as a router halfway would (RFC 1191, RFC 8201).

        The answer comes from the receiver's address, because a world has no routers.
        """
        packet = ip.parse(octets)
        if packet.version == 4 and not packet.dont_fragment:
            return
        message = icmp.encode(icmp.packet_too_big(mtu, packet), packet.destination, packet.source)
        protocol = icmp.PROTOCOL_4 if packet.version == 4 else icmp.PROTOCOL_6
        answer = ip.encode(packet.destination, packet.source, protocol, message)
        when = self._agenda.now + node.paths[receiver].delay
        if not (self._barriers and self.interruptions.cut(receiver.name, node.name, when)):
            self._agenda.put(when, node, answer, None, receiver.name)

    def _lose(self, sender: str, receiver: str, octets: bytes, why: str) -> None:
        if self._witness is not None:
            self._witness.lost(sender, receiver, octets, self._agenda.now, why)


def _destination(octets: bytes) -> bytes:
    return octets[16:20] if octets[0] >> 4 == 4 else octets[24:40]


def _pieces(octets: bytes, mtu: int) -> tuple[bytes, ...] | list[bytes]:
    """List of the packet alone, or of its fragments where a router of IPv4 would make them."""
    if octets[0] >> 4 != 4 or not _LEAST_MTU <= mtu < len(octets):
        return (octets,)
    packet = ip.parse(octets)
    if packet.dont_fragment or packet.is_fragment:
        return (octets,)
    return ip.fragments(
        packet.source,
        packet.destination,
        packet.protocol,
        packet.payload,
        mtu,
        hop_limit=packet.hop_limit,
        traffic_class=packet.traffic_class,
        identification=packet.identification,
    )
