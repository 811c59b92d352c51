"""Lets a world run: takes what is due next, gives it to its host, and sends what the host has for the network."""

from collections.abc import Callable

from postel.host.host import Host
from postel.sim.agenda import Agenda
from postel.sim.attachment import Attachment
from postel.sim.carrier import Carrier
from postel.sim.node import Node
from postel.sim.witness import Witness
from postel.times import NEVER


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
        if any(node.stack is node.host and node.host.has_output for node in self.nodes.values()):
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
        when, _, node, octets, call = self._agenda.pop()
        if call is not None:
            self._agenda.now = when
            call()
            self.pump()
        elif node is not None and octets:
            self._agenda.now = when
            if not node.hears_later:
                self.hears(octets)
            node.stack.packet_arrives(octets, when)
            self._pump(node)
        elif node is not None:
            self._wake(node, when)

    def _wake(self, node: Node, when: int) -> None:
        """A timer that was moved since leaves its old entry in the heap: then nothing happens, and the clock stays."""
        node.armed = NEVER
        if node.stack.next_timeout() <= when:
            self._agenda.now = when
            node.stack.handle_timeout(when)
        self._pump(node)

    def _pump(self, node: Node) -> None:
        now, busy = self._agenda.now, True
        while busy:
            busy = False
            while (octets := node.stack.next_packet(now)) is not None:
                self._carrier.send(node, octets)
            while (told := node.stack.next_event()) is not None:
                busy = True
                if node.application is not None:
                    node.application(told[0], told[1], now)  # after which another stack may stand here: the host was restarted
        deadline = node.stack.next_timeout()
        if deadline < node.armed:
            node.armed = max(deadline, now)
            self._agenda.put(node.armed, node)
