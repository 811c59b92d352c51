"""The steps by which a world runs.

A step takes the next entry of the agenda, gives it to its host, and sends the packets that the host then has.
"""

from collections.abc import Callable
from functools import partial
from heapq import heappop
from typing import Final

from postel.host.host import Host
from postel.host.packet_record import PacketRecord
from postel.sim.agenda import Agenda, Entry, octets_of
from postel.sim.attachment import Attachment
from postel.sim.carrier import Carrier
from postel.sim.node import Node, Undelivered
from postel.sim.witness import Witness
from postel.tcp.bell import Bell
from postel.times import NEVER

PAUSED_QUEUE: Final = 500  # number of packets that wait for a paused host, as in the queue of a TUN device


class Running:
    """Steps of a world: they take entries from the agenda, and serve the hosts.

    ``nodes`` are the hosts that the world's own paths join (`World.path`). ``attachments`` are the hosts that
    send over a `postel.links.Link` instead (`World.attach`). A host has a `Bell`, and adds it to ``rung``
    when it may have packets to send or events to report. `pump` serves the hosts of these bells.
    """

    def __init__(self, agenda: Agenda, carrier: Carrier, witness: Witness | None) -> None:
        """Begin without hosts."""
        self.nodes: dict[Host, Node] = {}
        self.attachments: list[Attachment] = []
        self.rung: list[Bell] = []  # bells of the hosts that the next `pump` serves
        # Hosts that each `pump` serves, because the object in front of the host adds no bell to `rung`
        self._watched: dict[Node, None] = {}
        self._agenda = agenda
        self._carrier = carrier
        self._witness = witness

    def hears(self, octets: bytes) -> None:
        """Tell the world's observer, a `Witness`, that a host is about to be given this packet."""
        if self._witness is not None:
            self._witness.packet_arrived(octets, self._agenda.now)

    def next_timeout(self) -> int:
        """Time at which something may happen next, in microseconds.

        This is the present time while a host has packets or events, and NEVER if nothing will ever happen.
        """
        if any(_has_output(bell.owner) for bell in self.rung) or any(map(_has_output, self._watched)):
            return self._agenda.now
        return self._agenda.due()

    def handle_timeout(self, now: int) -> None:
        """Let everything happen that is due at ``now``, and set the clock to ``now``."""
        self.pump()
        while (entry := self._agenda.pop(now)) is not None:
            self._step(entry)
        self._agenda.now = max(self._agenda.now, now)

    def run(self, until: int = NEVER, *, stop: Callable[[], bool] | None = None) -> int:
        """Let the clock jump until all is quiet, ``until`` is reached, or ``stop()`` is true after a step.

        Returns the time, in microseconds.
        """
        self.pump()
        heap, step = self._agenda.heap, self._step
        while heap and heap[0][0] <= until:
            step(heappop(heap))
            if stop is not None and stop():
                return self._agenda.now
        if until != NEVER:
            self._agenda.now = max(self._agenda.now, until)
        return self._agenda.now

    def send(self, node: Node, octets: bytes) -> bool:
        """Carry a packet that comes from an object in front of a host, at once.

        Returns False if the packet has to wait, because other hosts have packets to send first or the host is
        paused.
        """
        if self.rung or self._watched or node.pauses:
            return False
        self._carrier.send(node, octets)
        if self.rung:  # a rule of `World.rules` has called a method of a host
            self.pump()
        return True

    def ask(self, node: Node) -> None:
        """Send the packets of the object in front of a host, and those of all other hosts that have some."""
        self.rung.append(node.host.bell)
        self.pump()

    def pump(self) -> None:
        """Serve hosts that may have output: send their packets, and pass events to their applications."""
        if self._watched:
            for node in sorted(self._watched, key=_number):
                self._pump(node)
        while self.rung:
            rung, self.rung[:] = self.rung[:], []
            try:
                self._answer({bell.owner for bell in rung})
            except BaseException:  # an application failed: the next `pump` serves the hosts
                self.rung += rung
                raise

    def _answer(self, owners: set[object]) -> None:
        """Serve these hosts: first those on paths, in the order of their creation, then those on links."""
        nodes = [owner for owner in owners if isinstance(owner, Node)]
        for node in sorted(nodes, key=_number) if len(nodes) > 1 else nodes:
            self._pump(node)
        if len(nodes) < len(owners):
            for attachment in self.attachments:
                if attachment in owners:
                    attachment.turn()
                    attachment.host.bell.is_rung = False

    def watch(self, node: Node) -> None:
        """Note that another object receives the packets of the host now, and let `pump` serve the host."""
        if node.stack is node.host or node.rings:
            self._watched.pop(node, None)
        else:
            self._watched[node] = None
        node.host.bell.ring()

    def attach(self, attachment: Attachment) -> None:
        """Add a host on a link, which `pump` then serves, and remove those that have ended."""
        self.attachments = [*(other for other in self.attachments if other.error is None), attachment]
        bell = attachment.host.bell
        bell.owner, bell.rung, bell.is_rung = attachment, self.rung, False
        bell.ring()

    def _step(self, entry: Entry) -> None:
        when, _, node, packet, call, sender, sent_at = entry
        if call is not None:
            self._agenda.now = when
            call()
            self.pump()
            return
        if node is None:
            return
        if not packet:
            self._wake(node, when)
        else:
            self._agenda.now = when
            if not node.takes_at_once:
                self._arrive_late(node, Undelivered(sender, octets_of(packet), sent_at))
            elif type(packet) is PacketRecord and node.stack is node.host:
                node.host.bell.is_rung = True  # `_pump` follows in any case, so the host need not ring
                node.host.record_arrives(packet, when)
                self._pump(node)
            else:
                self._arrive(node, octets_of(packet))
        if self.rung:
            self.pump()

    def _arrive(self, node: Node, octets: bytes) -> None:
        if not node.hears_later:
            self.hears(octets)
        if node.rings:
            node.stack.packet_arrives(octets, self._agenda.now)
            return
        node.host.bell.is_rung = True  # `_pump` follows in any case, so the host need not ring
        node.stack.packet_arrives(octets, self._agenda.now)
        self._pump(node)

    def _arrive_late(self, node: Node, packet: Undelivered) -> None:
        """Handle the arrival of a packet at a host that is crashed, paused, slow, or still busy."""
        now = self._agenda.now
        if node.is_crashed:
            self._lose(node, packet, "host is down")
        elif node.is_paused and len(node.waiting) >= PAUSED_QUEUE:
            self._lose(node, packet, "queue full")
        elif node.is_paused:
            node.waiting.append(packet)
        elif node.slowness or node.free_at > now:
            node.free_at = max(now, node.free_at) + node.each
            self._agenda.put(node.free_at, None, b"", partial(self._handle, node, node.host, packet))
        else:
            node.settle(now)
            self._arrive(node, packet.octets)

    def _handle(self, node: Node, host: Host, packet: Undelivered) -> None:
        """Let a slow host handle a packet, when its time has come."""
        if node.host is not host or node.is_crashed:
            self._lose(node, packet, "host is down")
        elif node.is_paused:
            self._arrive_late(node, packet)
        else:
            self._arrive(node, packet.octets)

    def resume(self, node: Node) -> None:
        """End the pause of a host: packets that waited arrive now, and then its timers expire, late."""
        now = self._agenda.now
        node.settle(now)
        while node.waiting:
            packet = node.waiting.popleft()
            self._agenda.put_back(now, node, packet.octets, packet.sender, packet.sent_at)
        node.armed = now
        self._agenda.put(now, node)

    def crash(self, node: Node) -> None:
        """Switch the host off. Packets that waited for it are lost."""
        for packet in node.waiting:
            self._lose(node, packet, "host is down")
        node.crash()

    def _lose(self, node: Node, packet: Undelivered, why: str) -> None:
        if self._witness is not None:
            self._witness.intercepted(packet.sender, node.name, packet.octets, packet.sent_at, why)

    def _wake(self, node: Node, when: int) -> None:
        """Let a host do what is due at the time ``when``, and then send its packets.

        A timer that was moved leaves its old entry in the heap. At such an entry nothing is due, and the
        clock keeps its time.
        """
        node.armed = NEVER
        if node.pauses:
            return
        stack = node.stack
        if stack.next_timeout() <= when:
            self._agenda.now = when
            node.host.bell.is_rung = True  # `_pump` follows in any case, so the host need not ring
            stack.handle_timeout(when)
        self._pump(node)

    def _pump(self, node: Node) -> None:
        """Send the host's packets and pass its events to its application, until neither is left."""
        bell = node.host.bell
        bell.is_rung = True  # the host is being served, so its calls need not ring
        try:
            if not node.pauses:
                self._drain(node)
        except BaseException:  # an application failed: the next `pump` takes what is left
            bell.is_rung = False
            bell.ring()
            raise
        bell.is_rung = False

    def _drain(self, node: Node) -> None:
        now, is_told = self._agenda.now, True
        while is_told:
            stack = node.stack
            if stack is node.host and not self._carrier.needs_octets():
                record = node.host.next_record(now)
                if record is not None:
                    self._carrier.send_records(node, record)
            else:
                while (octets := stack.next_packet(now)) is not None:
                    self._carrier.send(node, octets)
            is_told = False
            while (told := node.stack.next_event()) is not None:
                is_told = True
                if node.application is not None:
                    node.application(told[0], told[1], now)  # may restart the host, so that the stack is new
                    if node.pauses:
                        return
        deadline = node.stack.next_timeout()
        if deadline < node.armed:
            node.armed = max(deadline, now)
            self._agenda.put(node.armed, node)


def _number(node: Node) -> int:
    return node.number


def _has_output(owner: object) -> bool:
    """Whether the host of a bell may have packets or events now."""
    if isinstance(owner, Node):
        return owner.stack.has_output and not owner.pauses
    return isinstance(owner, Attachment) and owner.has_output
