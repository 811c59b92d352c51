"""Lets a world run: takes what is due next, gives it to its host, and sends what the host has for the network."""

from collections.abc import Callable
from functools import partial
from typing import Final

from postel.host.host import Host
from postel.sim.agenda import Agenda
from postel.sim.attachment import Attachment
from postel.sim.carrier import Carrier
from postel.sim.node import Node, Undelivered
from postel.sim.witness import Witness
from postel.times import NEVER

PAUSED_QUEUE: Final = 500  # packets that wait for a paused host, as in the queue of a TUN device


class Running:
    """The pump of a world: ``nodes`` and ``attachments`` are the hosts on its paths and on links."""

    def __init__(self, agenda: Agenda, carrier: Carrier, witness: Witness | None) -> None:
        self.nodes: dict[Host, Node] = {}
        self.attachments: list[Attachment] = []
        self._agenda = agenda
        self._carrier = carrier
        self._witness = witness

    def hears(self, octets: bytes) -> None:
        """A host is about to be given this packet: tell the `Witness`."""
        if self._witness is not None:
            self._witness.packet_arrived(octets, self._agenda.now)

    def next_timeout(self) -> int:
        """When something may happen next: now, while a host has something to send or to tell; NEVER when all is quiet for good."""
        if any(node.stack.has_output and not node.pauses for node in self.nodes.values()):
            return self._agenda.now
        if any(attachment.has_output for attachment in self.attachments):
            return self._agenda.now
        return self._agenda.due()

    def handle_timeout(self, now: int) -> None:
        """Let everything happen that is due at ``now``."""
        self.pump()
        while self._agenda and self._agenda.due() <= now:
            self._step()
        self._agenda.now = max(self._agenda.now, now)

    def run(self, until: int = NEVER, *, stop: Callable[[], bool] | None = None) -> int:
        """Let the clock jump until all is quiet, ``until`` is reached, or ``stop()`` is true after something happened. Returns the time."""
        self.pump()
        while self._agenda and self._agenda.due() <= until:
            self._step()
            if stop is not None and stop():
                return self._agenda.now
        if until != NEVER:
            self._agenda.now = max(self._agenda.now, until)
        return self._agenda.now

    def pump(self) -> None:
        """Send what the hosts have to send, and tell the applications; needed only after calls from outside `run`."""
        for node in tuple(self.nodes.values()):  # an application may add a host, or restart one
            self._pump(node)
        for attachment in self.attachments:
            attachment.turn()

    def _step(self) -> None:
        when, _, node, octets, call, sender, sent_at = self._agenda.pop()
        if call is not None:
            self._agenda.now = when
            call()
            self.pump()
        elif node is not None and octets:
            self._agenda.now = when
            if node.takes_at_once:
                self._arrive(node, octets)
            else:
                self._arrive_late(node, Undelivered(sender, octets, sent_at))
        elif node is not None:
            self._wake(node, when)

    def _arrive(self, node: Node, octets: bytes) -> None:
        if not node.hears_later:
            self.hears(octets)
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
        """The host is no longer paused: packets that waited arrive now, in their order, and then its timers expire, late."""
        now = self._agenda.now
        node.settle(now)
        while node.waiting:
            packet = node.waiting.popleft()
            self._agenda.put_back(now, node, packet.octets, packet.sender, packet.sent_at)
        node.armed = now
        self._agenda.put(now, node)

    def _lose(self, node: Node, packet: Undelivered, why: str) -> None:
        if self._witness is not None:
            self._witness.intercepted(packet.sender, node.name, packet.octets, packet.sent_at, why)

    def _wake(self, node: Node, when: int) -> None:
        """A timer that was moved since leaves its old entry in the heap: then nothing happens, and the clock stays."""
        node.armed = NEVER
        if node.pauses:
            return
        if node.stack.next_timeout() <= when:
            self._agenda.now = when
            node.stack.handle_timeout(when)
        self._pump(node)

    def _pump(self, node: Node) -> None:
        now, busy = self._agenda.now, not node.pauses
        while busy:
            busy = False
            while (octets := node.stack.next_packet(now)) is not None:
                self._carrier.send(node, octets)
            while (told := node.stack.next_event()) is not None:
                busy = True
                if node.application is not None:
                    node.application(told[0], told[1], now)  # after which another stack may stand here: the host was restarted
                    if node.pauses:
                        return
        if node.pauses:
            return
        deadline = node.stack.next_timeout()
        if deadline < node.armed:
            node.armed = max(deadline, now)
            self._agenda.put(node.armed, node)
