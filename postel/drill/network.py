"""Postel's host under test with its virtual clock. Each packet that leaves is kept with its time."""

from collections import deque
from collections.abc import Callable

from postel.drill.match import Arrived
from postel.drill.profile import FastOpenSide
from postel.errors import TcpError
from postel.host.datagrams import DatagramSocket
from postel.host.host import Host
from postel.host.listener import Listener
from postel.sim.witness import Witness
from postel.tcp.config import Config
from postel.tcp.events import Trouble
from postel.tcp.state import State
from postel.times import NEVER


class Network:
    """Host under test. The script takes the place of its link."""

    def __init__(
        self,
        addresses: tuple[str, ...],
        mtu: int,
        config: Config,
        witness: Witness | None,
        *,
        fast_open: frozenset[FastOpenSide],
    ) -> None:
        """Make a host with ``addresses``, at time 0."""
        self.host: Host = Host(
            *addresses, secret=b"drill", mtu=mtu, config=config, observer=witness, memory_limit=1 << 30
        )
        self._witness = witness
        self.now: int = 0
        self.sent: deque[Arrived] = deque()
        # Roles in which sockets may use TCP Fast Open: "client", "server"
        self.fast_open: frozenset[FastOpenSide] = fast_open
        self.listeners: list[Listener] = []
        # Errors from ICMP messages, until a call reports them
        self.errors: dict[DatagramSocket, TcpError] = {}
        self.wakes_at: int = NEVER  # time at which the timeout of a waiting call ends
        self.on_step: Callable[[], None] = _nothing  # called after packets and events were taken

    def allow_fast_open(self, side: FastOpenSide, *, allowed: bool) -> None:
        """Allow or forbid TCP Fast Open to sockets in the role of ``side``: "client" or "server".

        If the role of client is forbidden, the host forgets the cookies that servers gave it.
        """
        self.fast_open = self.fast_open | {side} if allowed else self.fast_open - {side}
        if "client" not in self.fast_open:
            self.host.forget_cookies()

    def inject(self, octets: bytes) -> None:
        """Give a packet to the host."""
        if self._witness is not None:
            self._witness.packet_arrived(octets, self.now)
        self.host.packet_arrives(octets, self.now)
        self.pump()

    def pump(self) -> None:
        """Take all packets and events of the host, and call ``on_step``."""
        host = self.host
        octets = host.next_packet(self.now)
        while octets is not None:
            if self._witness is not None:
                self._witness.packet_sent(octets, self.now)
            self.sent.append(Arrived(octets, self.now))
            octets = host.next_packet(self.now)
        while (told := host.next_event()) is not None:
            subject, event = told
            if isinstance(subject, DatagramSocket) and isinstance(event, Trouble):
                self.errors[subject] = event.error
        self.on_step()

    def advance(self, until: int) -> None:
        """Set the clock to the time ``until``, and process every timer up to then."""
        while self.step(until):
            pass
        self.now = max(self.now, until)

    def step(self, until: int) -> bool:
        """Set the clock to the next timer and process it. Returns False if none is due by ``until``."""
        due = min(self.host.next_timeout(), self.wakes_at)
        if due > until:
            return False
        self.now = max(self.now, due)
        if self.wakes_at <= self.now:
            self.wakes_at = NEVER
        self.host.handle_timeout(self.now)
        self.pump()
        return True

    def count(self, state: State, port: int) -> int:
        """Number of connections and listeners in a state, with the local port ``port`` (0: any port)."""
        if state is State.LISTEN:
            return sum(
                not listener.closed and port in (0, listener.local.port) for listener in self.listeners
            )
        return sum(found is state and port in (0, local.port) for local, _, found in self.host.connections())

    def forget(self, state: State) -> None:
        """End every connection in a state. The packets that this causes are dropped."""
        # Private, because no user needs it
        for connection in list(self.host._connections.table.values()):  # noqa: SLF001 - see above
            if connection.state is state:
                connection.abort(self.now)
                while self.host.next_packet(self.now) is not None:
                    pass
        if state is State.TIME_WAIT:
            self.host._connections.time_wait.clear()  # noqa: SLF001 - as above
        self.pump()


def _nothing() -> None:
    pass
