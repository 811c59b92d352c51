"""Lets a world run: takes what is due next, gives it to its host, and sends what the host has for the
network.
"""

from collections.abc import Callable
from functools import partial
from typing import Final, cast

from postel.host.host import Host, HostEvent
from postel.host.packet_record import PacketRecord
from postel.sim.agenda import Agenda, Entry, octets_of
from postel.sim.attachment import Attachment
from postel.sim.carrier import Carrier
from postel.sim.node import Node, Undelivered
from postel.sim.witness import Witness
from postel.tcp.bell import Bell
from postel.times import NEVER

PAUSED_QUEUE: Final = 500  # packets that wait for a paused host, as in the queue of a TUN device


class Running:
    """The pump of a world: ``nodes`` and ``attachments`` are the hosts on its paths and on links."""

    def __init__(self, agenda: Agenda, carrier: Carrier, witness: Witness | None) -> None:
        self.nodes: dict[Host, Node] = {}
        self.attachments: list[Attachment] = []
        self.rung: list[Bell] = []  # of the hosts that were called since they were pumped
        self._watched: dict[Node, None] = {}  # what stands in front of their hosts doesn't ring
        self._agenda = agenda
        self._carrier = carrier
        self._witness = witness

    def hears(self, octets: bytes) -> None:
        """A host is about to be given this packet: tell the `Witness`."""
        if self._witness is not None:
            self._witness.packet_arrived(octets, self._agenda.now)

    def next_timeout(self) -> int:
        """When something may happen next: now, while a host has something to send or to tell; NEVER when all
        is quiet for good.
        """
        if any(_has_output(bell.owner) for bell in self.rung) or any(map(_has_output, self._watched)):
            return self._agenda.now
        return self._agenda.due()

    def handle_timeout(self, now: int) -> None:
        """Let everything happen that is due at ``now``."""
        self.pump()
        while (entry := self._agenda.pop(now)) is not None:
            self._step(entry)
        self._agenda.now = max(self._agenda.now, now)

    def run(self, until: int = NEVER, *, stop: Callable[[], bool] | None = None) -> int:
        """Let the clock jump until all is quiet, ``until`` is reached, or ``stop()`` is true after something
        happened. Returns the time.
        """
        self.pump()
        pop, step = self._agenda.pop, self._step
        while (entry := pop(until)) is not None:
            step(entry)
            if stop is not None and stop():
                return self._agenda.now
        if until != NEVER:
            self._agenda.now = max(self._agenda.now, until)
        return self._agenda.now

    def pump(self) -> None:
        """Send what the hosts have to send, and tell the applications; needed only after calls from outside
        `run`.
        """
        if self._watched:
            for node in sorted(self._watched, key=_number):
                self._pump(node)
        while self.rung:
            rung, self.rung[:] = self.rung[:], []
            try:
                self._answer({bell.owner for bell in rung})
            except BaseException:  # an application's: the others wait for the next pump
                self.rung += rung
                raise

    def _answer(self, owners: set[object]) -> None:
        """Pump the hosts that have rung, in the order in which they were made, whichever rang first."""
        nodes = [owner for owner in owners if isinstance(owner, Node)]
        for node in sorted(nodes, key=_number) if len(nodes) > 1 else nodes:
            self._pump(node)
        if len(nodes) < len(owners):
            for attachment in self.attachments:
                if attachment in owners:
                    attachment.turn()
                    attachment.host.bell.is_rung = False

    def watch(self, node: Node) -> None:
        """Something else stands in the place of the host now."""
        if node.stack is node.host or getattr(node.stack, "rings", False):
            self._watched.pop(node, None)
        else:
            self._watched[node] = None
        node.host.bell.ring()

    def attach(self, attachment: Attachment) -> None:
        """A host on a link: it is pumped when its bell rings, too."""
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
            host = node.host
            if not node.takes_at_once:
                self._arrive_late(node, Undelivered(sender, octets_of(packet), sent_at))
            elif type(packet) is PacketRecord and node.stack is host:
                host.bell.is_rung = True  # it is pumped in any case
                host.record_arrives(packet, when)
                self._pump(node)
            else:
                self._arrive(node, octets_of(packet))
        if self.rung:
            self.pump()

    def _arrive(self, node: Node, octets: bytes) -> None:
        if not node.hears_later:
            self.hears(octets)
        node.host.bell.is_rung = True  # it is pumped in any case
        node.stack.packet_arrives(octets, self._agenda.now)
        self._pump(node)

    def _arrive_late(self, node: Node, packet: Undelivered) -> None:
        """A packet reaches a host that is crashed, paused, slow or behind."""
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
        """A slow host has come to this packet."""
        if node.host is not host or node.is_crashed:
            self._lose(node, packet, "host is down")
        elif node.is_paused:
            self._arrive_late(node, packet)
        else:
            self._arrive(node, packet.octets)

    def resume(self, node: Node) -> None:
        """The host is no longer paused: packets that waited arrive now, in their order, and then its timers
        expire, late.
        """
        now = self._agenda.now
        node.settle(now)
        while node.waiting:
            packet = node.waiting.popleft()
            self._agenda.put_back(now, node, packet.octets, packet.sender, packet.sent_at)
        node.armed = now
        self._agenda.put(now, node)

    def crash(self, node: Node) -> None:
        """The host is switched off, and what waited for it is lost."""
        for packet in node.waiting:
            self._lose(node, packet, "host is down")
        node.crash()

    def _lose(self, node: Node, packet: Undelivered, why: str) -> None:
        if self._witness is not None:
            self._witness.intercepted(packet.sender, node.name, packet.octets, packet.sent_at, why)

    def _wake(self, node: Node, when: int) -> None:
        """A timer that was moved since leaves its old entry in the heap: then nothing happens, and the clock
        stays.
        """
        node.armed = NEVER
        if node.pauses:
            return
        if node.stack.next_timeout() <= when:
            self._agenda.now = when
            node.stack.handle_timeout(when)
        self._pump(node)

    def _pump(self, node: Node) -> None:
        bell = node.host.bell
        bell.is_rung = True  # until all is done
        try:
            self._drain(node)
        except BaseException:  # an application's: what is left waits for the next pump
            bell.is_rung = False
            bell.ring()
            raise
        bell.is_rung = False

    def _drain(self, node: Node) -> None:
        if node.pauses:
            return
        now = self._agenda.now
        while True:
            self._send_out(node, now)
            told = node.stack.next_event()
            if told is None:
                break
            if not self._tell(node, told, now):
                return
        deadline = node.stack.next_timeout()
        if deadline < node.armed:
            node.armed = max(deadline, now)
            self._agenda.put(node.armed, node)

    def _send_out(self, node: Node, now: int) -> None:
        carrier, stack = self._carrier, node.stack
        if stack is not node.host or carrier.needs_octets:
            while (octets := stack.next_packet(now)) is not None:
                carrier.send(node, octets)
            return
        next_record, send_record = node.host.next_record, carrier.send_record
        while (packet := next_record(now)) is not None:
            if type(packet) is PacketRecord:
                send_record(node, packet)
            else:
                carrier.send(node, cast(bytes, packet))

    def _tell(self, node: Node, told: HostEvent | None, now: int) -> bool:
        """Tell the application of ``told`` and what follows. False: it paused the host."""
        while told is not None:
            if node.application is not None:
                node.application(
                    told[0], told[1], now
                )  # after which another stack may stand here: the host was restarted
                if node.pauses:
                    return False
            told = node.stack.next_event()
        return True


def _number(node: Node) -> int:
    return node.number


def _has_output(owner: object) -> bool:
    """Whether the host of a bell may have something to send or tell now."""
    if isinstance(owner, Node):
        return owner.stack.has_output and not owner.pauses
    return isinstance(owner, Attachment) and owner.has_output
