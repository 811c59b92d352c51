"""Scene: one run of an experiment, with hosts in virtual time, their users, and a record of what happened.

An experiment is written as the acts of its users: they call connect, send or close at certain moments and
wait for something. An error that a call raises is kept in its `End`, because under interference any call may
fail.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from errno import errorcode
from typing import Final

from postel.errors import TcpError
from postel.host.datagrams import DatagramSocket
from postel.host.host import Host
from postel.host.listener import Listener
from postel.lab.front import Front, Note
from postel.lab.interference import Interference
from postel.lab.translations import remark
from postel.sim import Stack, StandIn, Subject, Verdict, World, deciding
from postel.tcp.config import DEFAULT, Config
from postel.tcp.connection import Connection
from postel.tcp.events import Closed, EndOfStream, Event, Opened, Readable, Urgent
from postel.tcp.state import CLOSED, ESTABLISHED, State
from postel.tcp.status import Status
from postel.times import HOUR, MINUTE, NEVER
from postel.view import Trace
from postel.view.packet import Packet
from postel.wire import ip
from postel.wire.address import Endpoint
from postel.wire.address import parse as parse_address
from postel.wire.segment import PROTOCOL, Segment, parse

PORT: Final = 80
_LIMIT: Final = 1 << 20  # octets of one receive
_REMARKED: Final = ("connect", "opened", "accept", "shutdown")  # calls that the ladder shows, if it shows any


@dataclass(frozen=True, slots=True)
class Call:
    """What a user did, or was told, at one moment.

    ``name`` is the call. ``count`` is a number of octets, or a listener's backlog. ``order`` is the
    number of the trace's latest packet, after which the call was made.
    """

    when: int
    order: int
    host: str
    name: str
    end: "End | None" = None
    count: int = 0
    error: TcpError | None = None
    is_urgent: bool = False


class End:
    """User of one end of a connection; ``connection`` is None where connect raised an error.

    ``received`` are the time and the data of each receive. Four more times are NEVER until the event happens:
    ``opened_at`` (the connection was opened), ``ended_at`` (the peer's FIN arrived), ``closed_at`` (the
    connection was closed), ``urgent_at`` (urgent data was announced).
    """

    def __init__(self, machine: "Machine", connection: Connection | None) -> None:
        """Make the user of a connection of ``machine``."""
        self.machine = machine
        self.connection = connection
        self.received: list[tuple[int, bytes]] = []
        self.opened_at: int = NEVER
        self.ended_at: int = NEVER
        self.closed_at: int = NEVER
        self.urgent_at: int = NEVER
        self.error: TcpError | None = None
        self._is_closed = False
        if connection is not None:
            connection.context = self

    @property
    def state(self) -> State:
        """State of the connection, CLOSED where there is none."""
        return CLOSED if self.connection is None else self.connection.state

    @property
    def is_open(self) -> bool:
        """Whether the connection is ESTABLISHED."""
        return self.state is ESTABLISHED

    @property
    def has_ended(self) -> bool:
        """Whether the peer's FIN was heard of, or the connection is gone."""
        return self.ended_at < NEVER or self.state is CLOSED

    @property
    def text(self) -> bytes:
        """All data that was received."""
        return b"".join(data for _, data in self.received)

    @property
    def ends(self) -> tuple[Endpoint, Endpoint] | None:
        """Local and remote endpoint, None without a connection."""
        return None if self.connection is None else (self.connection.local, self.connection.remote)

    def status(self) -> Status | None:
        """Return the figures of the connection at present; None where there is none any more."""
        if self.connection is None or self.state is CLOSED:
            return None
        return self.connection.status(self.machine.scene.world.now)

    def send(self, data: bytes, *, urgent: bool = False) -> None:
        """Send ``data``, perhaps as urgent."""
        self._call(
            "send",
            lambda connection, now: connection.send(data, now, urgent=urgent),
            len(data),
            urgent=urgent,
        )

    def close(self) -> None:
        """Say that no more will be sent (shutdown). Further calls do nothing."""
        if self._is_closed:
            return
        self._is_closed = True
        self._call("shutdown", lambda connection, now: connection.close(now))

    def release(self) -> None:
        """Say that no program holds the socket any more (close)."""
        self._call("close", lambda connection, now: connection.release(now))

    def abort(self) -> None:
        """Abort the connection, with RST."""
        self._call("abort", lambda connection, now: connection.abort(now))

    def read(self) -> None:
        """Receive what can be read, and record it."""
        connection = self.connection
        if connection is not None and connection.readable:
            now = self.machine.scene.world.now
            self.received.append((now, connection.receive(_LIMIT, now)))
            self.machine.note("read", self, len(self.received[-1][1]))

    def _call(
        self, name: str, call: Callable[[Connection, int], object], count: int = 0, *, urgent: bool = False
    ) -> None:
        """Make a call, and record it with the error that it raised."""
        error = None
        try:
            if self.connection is not None:
                call(self.connection, self.machine.scene.world.now)
        except TcpError as raised:
            self.error = self.error or raised
            error = raised
        self.machine.note(name, self, count, error, urgent=urgent)

    def happened(self, event: Event, now: int) -> None:
        """Take an event of the connection, and act as this user does."""
        if isinstance(event, Opened):
            self.opened_at = now
            self.machine.note("opened", self)
        elif isinstance(event, Readable) and self.machine.reads:
            self.read()
        elif isinstance(event, Urgent):
            self.urgent_at = now
        elif isinstance(event, EndOfStream):
            self.ended_at = now
        elif isinstance(event, Closed):
            self.closed_at = now
            self.error = event.error or self.error
        if self.machine.serves is not None and isinstance(event, (Readable, EndOfStream)):
            self.machine.serves(self)


class Postbox:
    """User of a UDP socket; ``received`` are time, data and sender of each datagram."""

    def __init__(self, machine: "Machine", socket: DatagramSocket) -> None:
        """Make the user of a UDP socket of ``machine``."""
        self.machine = machine
        self.socket = socket
        self.received: list[tuple[int, bytes, Endpoint]] = []
        socket.context = self

    def send(self, data: bytes, remote: Endpoint | None = None) -> None:
        """Send a datagram, to the socket's remote endpoint by default."""
        self.socket.send(data, self.machine.scene.world.now, remote=remote)

    def happened(self, now: int) -> None:
        """Receive all datagrams that wait."""
        while (found := self.socket.receive()) is not None:
            self.received.append((now, *found))


class Machine(StandIn):
    """Host and its user.

    ``accepts`` and ``reads``: the user accepts connections, and reads data, at once. ``is_prompt``: the user
    closes as soon as its peer has, before the host could answer the FIN with a bare ACK. ``serves`` is called
    when an end has data or was told that no more comes.
    """

    def __init__(self, scene: "Scene", name: str, address: str, config: Config, front: type[Front]) -> None:
        """Create a host in the scene's world, with a front of this class before it."""
        self.scene = scene
        self.name = name
        self.address = address
        self.config: Config = scene.interference.configured(config, name)
        self.host: Host = scene.world.host(
            name,
            f"{address}/24",
            mtu=scene.mtu,
            config=self.config,
            verify_checksums=scene.verify_checksums,
            application=self._happened,
        )
        self.front: Front = front(self.host, name, scene.trace, scene.notes)
        super().__init__(self.front)
        scene.world.front(self.host, self)
        self.ends: list[End] = []
        self.accepts = self.reads = True
        self.is_prompt = False
        self.serves: Callable[[End], None] | None = None

    # Calls of its user

    def listen(self, port: int = PORT, *, backlog: int = 128) -> Listener | None:
        """Listen on a port; None where that failed."""
        try:
            listener = self.host.listen(port, self.scene.world.now, backlog=backlog)
        except TcpError as error:
            self.note("listen", error=error)
            return None
        self.note("listen", count=backlog)
        return listener

    def connect(self, other: "Machine", port: int = PORT, *, local_port: int = 0, data: bytes = b"") -> End:
        """Connect to another machine; an error is kept in the `End` that is returned."""
        now = self.scene.world.now
        try:
            connection = self.host.connect(other.address, port, now, local_port=local_port, data=data)
        except TcpError as error:
            end = End(self, None)
            end.error = error
            if local_port:
                pair = (
                    Endpoint(parse_address(self.address), local_port),
                    Endpoint(parse_address(other.address), port),
                )
                self.scene.trace.remark(*pair, (f"connect() = -1 {errorcode[error.number]}",), now)
        else:
            end = End(self, connection)
            self.front.opens(connection, now)
        self.ends.append(end)
        self.note("connect", end, len(data), end.error)
        return end

    def accept(self, listener: Listener) -> End | None:
        """Accept a connection, None where none waits."""
        connection = listener.accept()
        if connection is None:
            return None
        end = End(self, connection)
        end.opened_at = self.scene.world.now
        self.ends.append(end)
        self.note("accept", end)
        return end

    def postbox(self, port: int = 0, remote: Endpoint | None = None) -> Postbox:
        """Open a UDP socket."""
        return Postbox(self, self.host.datagrams(port, remote=remote))

    def restart(self) -> None:
        """Restart the host as after a power failure: its connections are forgotten."""
        world, trace = self.scene.world, self.scene.trace
        for local, remote, state in self.host.connections():
            trace.remark(local, remote, remark("restarts"), world.now)
            trace.state_changed(local, remote, state, CLOSED, world.now)
        self.host = world.restart(self.host)
        self.front = type(self.front)(self.host, self.name, trace, self.scene.notes)
        self.stack: Stack = self.front
        world.front(self.host, self)
        self.ends.clear()

    def note(
        self,
        name: str,
        end: End | None = None,
        count: int = 0,
        error: TcpError | None = None,
        *,
        urgent: bool = False,
    ) -> None:
        """Record a call, and write it to the ladder where calls are shown."""
        now = self.scene.world.now
        self.scene.calls.append(Call(now, self.scene.trace.order, self.name, name, end, count, error, urgent))
        if self.scene.shows_calls and end is not None and end.ends is not None and name in _REMARKED:
            self.scene.trace.remark(*end.ends, remark(name), now)

    # Packets and events

    def packet_arrives(self, octets: bytes, now: int) -> None:
        """Pass a packet to the host; a prompt user looks at its connections at once."""
        super().packet_arrives(octets, now)
        if self.is_prompt:
            for end in self.ends:
                self._look(end)

    def _look(self, end: End) -> None:
        """Read, and close where the peer has closed."""
        end.read()
        if end.connection is not None and end.connection.at_end and end.state is State.CLOSE_WAIT:
            end.close()

    def _happened(self, subject: Subject, event: Event, now: int) -> None:
        """Take an event of the host, and give it to the user that it is for."""
        if isinstance(subject, Listener):
            if self.accepts:
                self.accept(subject)
        elif isinstance(subject.context, End):
            subject.context.happened(event, now)
        elif isinstance(subject.context, Postbox):
            subject.context.happened(now)


class Scene:
    """Run of an experiment: ``client`` and ``server``, 10 ms apart, and each `machine` that is added.

    ``title`` is the key of the run's name in claims.toml. ``trace`` records the packets, ``notes`` the
    variables after each, ``calls`` what the users did.
    """

    def __init__(
        self,
        title: str,
        interference: Interference,
        *,
        config: Config = DEFAULT,
        server: Config | None = None,
        fronts: tuple[type[Front], type[Front]] = (Front, Front),
        shows_calls: bool = False,
        mtu: int = 1500,
        verify_checksums: bool = True,
    ) -> None:
        """Create the hosts.

        ``config`` is the configuration of all hosts, ``server`` that of the server where it differs.
        ``fronts`` are the classes of the client's and the server's front. ``shows_calls``: the ladder shows
        the users' calls.
        """
        self.title = title
        self.interference = interference
        self.trace: Trace = Trace()
        self.notes: list[Note] = []
        self.calls: list[Call] = []
        self.world: World = World(interference.seed, observer=self.trace)
        self.world.rules.append(deciding(interference.verdicts))
        self.shows_calls = shows_calls
        self.mtu = mtu
        self.verify_checksums = verify_checksums
        self.config = config
        self.server: Machine = Machine(self, "server", "10.0.0.2", server or config, fronts[1])
        self.client: Machine = self.machine("client", "10.0.0.1", fronts[0])

    def machine(self, name: str, address: str, front: type[Front] = Front) -> Machine:
        """Add a host with a path to the server only."""
        machine = Machine(self, name, address, self.config, front)
        self.world.path(machine.host, self.server.host, **{"delay": self.way, **self.interference.path})
        return machine

    @property
    def way(self) -> int:
        """Microseconds that a packet takes one way."""
        return self.interference.way

    # What happens

    def open(self, *, local_port: int = 0) -> tuple[End, End]:
        """Listen, connect, and wait until both ends are open; returns the client's and the server's end."""
        if not any(call.name == "listen" for call in self.calls):
            self.server.listen()
        client = self.client.connect(self.server, local_port=local_port)
        self.wait(lambda: client.state is not State.SYN_SENT and self.peer(client).is_open)
        return client, self.peer(client)

    def peer(self, end: End) -> End:
        """Return the other end of the same connection; an `End` without connection where it has none yet."""
        ends = end.ends
        every = [
            found
            for machine in (self.server, self.client)
            for found in machine.ends
            if found.ends and found is not end
        ]
        return next(
            (found for found in reversed(every) if ends and found.ends == ends[::-1]), End(self.server, None)
        )

    def wait(self, condition: Callable[[], bool], limit: int = 5 * MINUTE) -> bool:
        """Run until ``condition()`` is true, for at most ``limit`` microseconds; returns whether it is."""
        if not condition():
            self.world.pump()
        if not condition():
            self.world.run(self.world.now + limit, stop=condition)
        return condition()

    def run(self, length: int = HOUR) -> None:
        """Run for ``length`` microseconds; an hour lets everything come to its end."""
        self.world.run(self.world.now + length)

    def treat(self, which: Callable[[Segment], bool], *verdicts: Verdict, sender: str = "") -> None:
        """Apply the first verdict to the first segment for which ``which(segment)`` is true, and so on.

        Only segments from the host ``sender`` count; without ``sender``, those from all hosts.
        """
        left = list(verdicts)

        # ARG001: a rule has these arguments.
        def rule(number: int, octets: bytes, host: str, now: int) -> Verdict | None:  # noqa: ARG001
            if not left or octets[9] != PROTOCOL or sender not in ("", host):
                return None
            packet = ip.parse(octets)
            return left.pop(0) if which(parse(octets, packet.start, packet.end)) else None

        self.world.rules.append(rule)

    # What was recorded

    def segments(self, sender: str = "", *, connection: int = 0) -> list[Packet]:
        """Return the segments that left a host, in order, without copies that the network made.

        ``sender`` and ``connection`` (the number of a flow) choose some of them.
        """
        packets: Sequence[Packet] = (
            self.trace.packets if not connection else self.trace.flows[connection - 1].packets
        )
        return [
            packet
            for packet in packets
            if packet.segment and not packet.copy and sender in ("", packet.sender)
        ]

    def first(self, sender: str, which: Callable[[Packet], bool]) -> Packet | None:
        """Return the first segment of ``sender`` for which ``which(packet)`` is true, or None."""
        return next((packet for packet in self.segments(sender) if which(packet)), None)

    def path_of(self, end: End) -> list[State]:
        """Return the states that an end went through, in the latest connection of its pair of endpoints."""
        ends = end.ends
        flows = [flow for flow in self.trace.flows if ends and set(flow.ends) == set(ends)]
        return (
            [change.after for change in flows[-1].changes if ends and change.at == ends[0]] if flows else []
        )

    def entered(self, end: End, state: State) -> int:
        """Return when an end last entered a state; NEVER if it didn't."""
        ends = end.ends
        times = [
            change.when
            for flow in self.trace.flows
            for change in flow.changes
            if ends and change.at == ends[0] and set(flow.ends) == set(ends) and change.after is state
        ]
        return times[-1] if times else NEVER
