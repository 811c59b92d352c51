"""Check of an observer: scenarios run with and without the observer, and must not differ.

>>> from postel import Observer
>>> from postel.testing import check_observer
>>> check_observer(Observer)
"""

import gc
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Final

from postel.errors import ArgumentError, require_kind
from postel.host.host import Host
from postel.host.listener import Listener
from postel.links.observer import PacketObserver
from postel.sim import Application, Subject, Witness, World
from postel.sim.path import Path
from postel.tcp.config import DEFAULT, Config
from postel.tcp.connection import Connection
from postel.tcp.events import Event
from postel.tcp.observer import Decision, Observer, TimerName
from postel.tcp.state import CLOSED, State
from postel.times import MILLISECOND, MINUTE, NEVER, SECOND
from postel.wire import ip
from postel.wire.address import Endpoint
from postel.wire.segment import SYN, Segment, encode_for

Watched = Observer | PacketObserver
MEMORY: Final = 1.05  # limit of a host's memory with an observer, relative to that without: 5 % more
MOST_FAULTS: Final = 10  # limit of the faults in one error message

_NEAR, _FAR, _PORT = "10.0.0.1", "10.0.0.2", 80
_HALF_OPEN: Final = 200
_MESSAGE: Final = bytes(range(256)) * 160  # 40 KiB


def check_observer(make: Callable[[], Watched]) -> None:
    """Check an observer of yours: that it raises nothing and changes nothing.

    ``make()`` returns a new `postel.Observer`, `postel.links.PacketObserver` or `postel.sim.Witness`, and is
    called once for each scenario; it may be a class. Each scenario runs with the observer and without it, in
    virtual time and from the same seed. With the observer the hosts must send the same packets at the same
    times, octet for octet, make the same parcels, deliver the same data, end in the same states, and use at
    most 5 % more memory. The memory of the observer itself isn't counted.

    Raises AssertionError. Its message names each hook that raised or changed a segment, with its scenario,
    the time and the exception, and each difference between runs. The ``__cause__`` is the first exception
    that a hook raised. Raises ArgumentError if ``make`` returns another kind of object.
    """
    if not callable(make):
        raise ArgumentError("make", make, "a class of observers, or a function that returns a new one")
    faults: list[str] = []
    cause: Exception | None = None
    for name, scenario in SCENARIOS.items():
        observer = make()
        require_kind("make()", observer, (Observer, PacketObserver), "an Observer or a PacketObserver")
        guard = _Guard(observer)
        plain, observed = scenario(None), scenario(guard)
        faults += [f"{name}: {fault}" for fault in guard.faults]
        faults += [f"{name}: {difference}" for difference in plain.differences(observed)]
        cause = cause or guard.raised
    if faults:
        told = "\n  ".join(faults[:MOST_FAULTS])
        more = f"\n  and {len(faults) - MOST_FAULTS} more" if len(faults) > MOST_FAULTS else ""
        raise AssertionError(f"the observer doesn't only observe:\n  {told}{more}") from cause


@dataclass
class Outcome:
    """Outcome of a scenario: packets and parcels with their times, data that was read, and memory."""

    packets: list[tuple[int, bytes]] = field(default_factory=list)
    parcels: list[tuple[int, int, bytes]] = field(default_factory=list)  # time, stride, octets
    read: bytearray = field(default_factory=bytearray)
    ends: list[str] = field(default_factory=list)
    memory: int = 0

    def differences(self, observed: "Outcome") -> list[str]:
        """Sentences that describe the differences between this outcome and ``observed``."""
        found = [
            _difference("packet", self.packets, observed.packets),
            _difference("parcel", self.parcels, observed.parcels),
            "" if self.read == observed.read else "the hosts delivered another text under the observer",
            ""
            if self.ends == observed.ends
            else f"the connections ended as {observed.ends}, without the observer as {self.ends}",
        ]
        if observed.memory > self.memory * MEMORY:
            found.append(
                f"the hosts hold {observed.memory} octets of memory, without the observer {self.memory}"
            )
        return [difference for difference in found if difference]


Departures = list[tuple[int, bytes]] | list[tuple[int, int, bytes]]


def _difference(kind: str, plain: Departures, observed: Departures) -> str:
    for number, (one, other) in enumerate(zip(plain, observed, strict=False), 1):
        if one != other:
            return f"{kind} {number} is another under the observer"
    if len(plain) != len(observed):
        return f"{len(observed)} {kind}s left the hosts, without the observer {len(plain)}"
    return ""


class _Guard(Witness):
    """Observer that passes every call to the observer under test.

    It notes the exceptions that the other observer raises, and the arguments that it changes.
    """

    def __init__(self, observer: Watched) -> None:
        self.faults: list[str] = []
        self.raised: Exception | None = None
        self._name = type(observer).__name__
        self._of_connections = observer if isinstance(observer, Observer) else Observer()
        self._of_packets = observer if isinstance(observer, PacketObserver) else PacketObserver()
        self._witness = observer if isinstance(observer, Witness) else Witness()

    def _call(self, hook: Callable[..., None], *arguments: object, now: object = None) -> None:
        """Call a hook of the observer under test. Note an exception, and arguments that the hook changed."""
        before = [_image(argument) for argument in arguments]
        name, now = f"{self._name}.{hook.__name__}", arguments[-1] if now is None else now
        try:
            hook(*arguments)
        except Exception as error:  # noqa: BLE001 - whatever the hook raises
            self.raised = self.raised or error
            self._add(f"{name} raised {error!r} at {now} µs")
        if [_image(argument) for argument in arguments] != before:
            self._add(f"{name} changed its argument at {now} µs")

    def _add(self, fault: str) -> None:
        if len(self.faults) <= MOST_FAULTS:
            self.faults.append(fault)

    def state_changed(self, local: Endpoint, remote: Endpoint, before: State, after: State, now: int) -> None:
        self._call(self._of_connections.state_changed, local, remote, before, after, now)

    def segment_sent(self, local: Endpoint, remote: Endpoint, segment: Segment, now: int) -> None:
        self._call(self._of_connections.segment_sent, local, remote, segment, now)

    def segment_arrived(self, local: Endpoint, remote: Endpoint, segment: Segment, now: int) -> None:
        self._call(self._of_connections.segment_arrived, local, remote, segment, now)

    def timer_expired(self, local: Endpoint, remote: Endpoint, timer: TimerName, now: int) -> None:
        self._call(self._of_connections.timer_expired, local, remote, timer, now)

    def decided(self, local: Endpoint, remote: Endpoint, decision: Decision, now: int) -> None:
        self._call(self._of_connections.decided, local, remote, decision, now)

    def peer_erred(self, local: Endpoint, remote: Endpoint, error: str, now: int) -> None:
        self._call(self._of_connections.peer_erred, local, remote, error, now)

    def packet_dropped(self, reason: str, octets: bytes, now: int) -> None:
        self._call(self._of_connections.packet_dropped, reason, octets, now)

    def packet_sent(self, octets: bytes, now: int) -> None:
        self._call(self._of_packets.packet_sent, octets, now)

    def packet_arrived(self, octets: bytes, now: int) -> None:
        self._call(self._of_packets.packet_arrived, octets, now)

    def carried(
        self, sender: str, receiver: str, octets: bytes, sent_at: int, arrives_at: int, delivered: bytes
    ) -> None:
        self._call(
            self._witness.carried, sender, receiver, octets, sent_at, arrives_at, delivered, now=sent_at
        )

    def lost(self, sender: str, receiver: str, octets: bytes, sent_at: int, why: str) -> None:
        self._call(self._witness.lost, sender, receiver, octets, sent_at, why, now=sent_at)


_HEADER: Final = ("source", "destination", "seq", "ack", "flags", "window", "urgent", "data", "ecn", "stride")
_FIELDS: Final = (*_HEADER, "mss", "window_scale", "sack_permitted", "sack", "tsval", "tsecr")


def _image(argument: object) -> object:
    """Fields of a segment, for a comparison: a hook must not change them."""
    if not isinstance(argument, Segment):
        return argument
    return [getattr(argument, name) for name in _FIELDS]


# Memory


def held(hosts: Iterable[Host], *, beside: object) -> int:
    """Octets of memory of all objects that can be reached from the hosts.

    ``beside`` isn't counted, nor are objects that can be reached only by way of it.
    """
    seen = {id(beside)}
    waiting: list[object] = list(hosts)
    octets = 0
    while waiting:
        one = waiting.pop()
        if id(one) in seen or isinstance(one, type | ModuleType | FunctionType | BuiltinFunctionType):
            continue
        seen.add(id(one))
        octets += sys.getsizeof(one)
        waiting.extend(gc.get_referents(one))
    return octets


# Scenarios


class _Stage:
    """Two hosts of a world and the path between them. ``outcome`` notes all packets and data of the hosts."""

    def __init__(
        self, guard: _Guard | None, *, config: Config = DEFAULT, application: Application | None = None
    ) -> None:
        self.guard = guard
        self.outcome = Outcome()
        self.world = World(7, observer=guard)
        self.world.rules.append(self._keep)
        self.near = self.world.host(
            "near", f"{_NEAR}/8", "fd00::1/64", config=config, application=self.near_hears
        )
        self.far = self.world.host(
            "far", f"{_FAR}/8", "fd00::2/64", config=config, application=application or self.far_hears
        )
        self.paths: tuple[Path, Path] = self.world.path(
            self.near, self.far, delay=10 * MILLISECOND, bandwidth=10_000_000
        )
        self.listener = self.far.listen(_PORT, 0)
        self.rests: dict[Connection, bytes] = {}

    def _keep(self, number: int, octets: bytes, sender: str, now: int) -> None:
        self.outcome.packets.append((now, octets))

    def connect(self, address: str, port: int = _PORT, config: Config | None = None) -> Connection:
        """Open a connection from the near host to the far one, on which the message is to be sent."""
        connection = self.near.connect(address, port, self.world.now, config=config)
        self.rests[connection] = _MESSAGE
        return connection

    def near_hears(self, subject: Subject, event: Event, now: int) -> None:
        """Handle an event of the near host: send the message, then close."""
        if isinstance(subject, Connection):
            self.serve(subject, now)

    def far_hears(self, subject: Subject, event: Event, now: int) -> None:
        """Handle an event of the far host: read everything, and answer with the message."""
        if isinstance(subject, Listener):
            while (accepted := subject.accept()) is not None:
                self.rests[accepted] = _MESSAGE
                self.serve(accepted, now)
        elif isinstance(subject, Connection):
            self.serve(subject, now)

    def serve(self, connection: Connection, now: int) -> None:
        """Read, write and close, as far as that is possible now."""
        if connection.state is CLOSED:
            self.outcome.ends.append(repr(connection.error))
            return
        if connection.readable:
            self.outcome.read += connection.receive(1 << 20, now)
        rest = self.rests.get(connection, b"")
        if rest and connection.writable:
            self.rests[connection] = rest = rest[connection.send(rest, now) :]
        if not rest and connection.at_end:
            connection.release(now)
        elif not rest and connection in self.rests:
            del self.rests[connection]
            connection.close(now)

    def done(self, until: int) -> Outcome:
        """Run the world until the time ``until``, and return the outcome."""
        self.world.run(until)
        self.outcome.memory = held((self.near, self.far), beside=self.guard)
        return self.outcome


def _transfer(guard: _Guard | None) -> Outcome:
    """Scenario: transfers in both directions over IPv4 and IPv6, on a path that loses and damages packets."""
    stage = _Stage(guard)
    for path in stage.paths:
        path.loss, path.duplicate, path.reorder, path.corrupt = 0.05, 0.02, 0.05, 0.02
    stage.connect(_FAR)
    stage.connect("fd00::2")
    return stage.done(10 * MINUTE)


def _silence(guard: _Guard | None) -> Outcome:
    """Scenario: peers that don't answer, refuse, or fall silent. Retransmissions and keep-alives follow."""
    stage = _Stage(guard, application=_ignores)
    stage.connect("10.9.9.9")
    stage.connect(_FAR, 81)
    stage.connect(
        _FAR, config=Config(keep_alive=True, keep_alive_idle=MINUTE, keep_alive_interval=10 * SECOND)
    )
    talking = stage.connect(_FAR)
    stage.rests.clear()
    stage.world.run(30 * SECOND)
    talking.send(bytes(5000), stage.world.now)
    stage.world.run(31 * SECOND)
    stage.paths[1].loss = 1.0
    talking.send(bytes(5000), stage.world.now)
    return stage.done(30 * MINUTE)


def _closed_window(guard: _Guard | None) -> Outcome:
    """Scenario: a program that doesn't read at first, so that the sender probes the closed window."""
    stage = _Stage(guard, config=Config(receive_buffer=5000), application=_ignores)
    stage.connect(_FAR)
    stage.world.run(20 * SECOND)
    accepted = stage.listener.accept()
    if accepted is not None:
        stage.world.application(stage.far, stage.far_hears)
        stage.serve(accepted, stage.world.now)
    return stage.done(5 * MINUTE)


def _ignores(subject: Subject, event: Event, now: int) -> None:
    """Do nothing about an event."""


def _flood(guard: _Guard | None) -> Outcome:
    """Scenario: half-open connections of 200 clients that never answer. SYN cache and its timers are used."""
    stage = _Stage(guard)
    listener = stage.far.listen(82, 0, backlog=2 * _HALF_OPEN)
    stage.world.run(SECOND)
    for number in range(_HALF_OPEN):
        _give_syn(stage, number)
    stage.world.run(2 * SECOND)
    for number in range(0, _HALF_OPEN, 10):  # the same SYN once more, and one with an old sequence number
        _give_syn(stage, number)
        _give_syn(stage, number, seq=0xFFFFFFF0)
    outcome = stage.done(20 * SECOND)
    assert stage.far.statistics()["half_open"] == _HALF_OPEN
    listener.close(stage.world.now)
    stage.world.run(4 * MINUTE)
    return outcome


def _give_syn(stage: _Stage, number: int, seq: int = 1) -> None:
    source, destination = bytes([10, 1, number >> 8, number & 255]), bytes([10, 0, 0, 2])
    syn = Segment(1024 + number, 82, seq, 0, SYN, 65535)
    syn.mss = 1460
    octets = ip.encode(source, destination, 6, encode_for(syn, source, destination))
    stage.world.hears(octets)
    stage.far.packet_arrives(octets, stage.world.now)
    stage.world.pump()


def _parcels(guard: _Guard | None) -> Outcome:
    """Scenario: large segments, which a link would cut and join."""
    outcome = Outcome()
    hosts = [Host(f"{address}/8", secret=address.encode(), observer=guard) for address in (_NEAR, _FAR)]
    for host in hosts:
        host.use_offload(ip.LARGEST)
    listener = hosts[1].listen(_PORT, SECOND)
    connection = hosts[0].connect(_FAR, _PORT, SECOND)
    rest, now, accepted = _MESSAGE * 8, SECOND, None
    while now < 5 * MINUTE:
        rest = rest[connection.send(rest, now) :] if rest else b""
        if not rest and accepted is not None and connection.unacknowledged == 0:
            connection.release(now)
        _exchange(hosts, outcome, now)
        accepted = accepted or listener.accept()
        if accepted is not None:
            outcome.read += accepted.receive(1 << 20, now)
            if accepted.at_end:
                accepted.release(now)
        due = min(host.next_timeout() for host in hosts)
        if due == NEVER and not rest:
            break
        now = max(now + MILLISECOND, due if not rest and connection.unacknowledged == 0 else 0)
        for host in hosts:
            host.handle_timeout(now)
    outcome.memory = held(hosts, beside=guard)
    return outcome


def _exchange(hosts: list[Host], outcome: Outcome, now: int) -> None:
    is_quiet = False
    while not is_quiet:
        is_quiet = True
        for sender, receiver in (hosts, reversed(hosts)):
            while (parcel := sender.next_parcel(now)) is not None:
                is_quiet = False
                outcome.parcels.append((now, parcel.stride, parcel.head + parcel.text))
                receiver.parcel_arrives(parcel, now)
            while sender.next_event() is not None:
                pass


SCENARIOS: Final[dict[str, Callable[[_Guard | None], Outcome]]] = {
    "a transfer over a bad path": _transfer,
    "peers that don't answer": _silence,
    "a closed window": _closed_window,
    "a flood of SYNs": _flood,
    "large segments": _parcels,
}
