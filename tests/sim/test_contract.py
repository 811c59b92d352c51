"""A world keeps the contract of the other machines: its outputs are drained, and `next_timeout` is true at
any moment.
"""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postel.errors import ArgumentError, PostelError
from postel.host.datagrams import DatagramSocket
from postel.host.host import Host
from postel.sim import StandIn, Subject, World, where
from postel.tcp.connection import Connection
from postel.tcp.events import Acceptable, Event
from postel.times import MILLISECOND, NEVER, SECOND
from postel.wire.address import Endpoint, parse


class Machine:
    """A world of two hosts, of which users make calls from outside."""

    def __init__(self, *, behind: bool) -> None:
        self.world = World(default_path={"delay": "10ms"})
        self.hosts = [self.world.host("a"), self.world.host("b")]
        self.told = 0
        self.connections: list[Connection] = []
        for host in self.hosts:
            if behind:
                self.world.front(host, StandIn(host))
            self.world.application(host, self._hear)
            host.listen(7, 0)

    def _hear(self, subject: Subject, event: Event, now: int) -> None:
        self.told += 1
        if isinstance(event, Acceptable):
            self.connections.append(subject.accept())  # type: ignore[union-attr]

    def done(self) -> tuple[int, int]:
        """How many packets left, and how many events were told."""
        return self.world.packets, self.told

    def call(self, name: str, index: int) -> None:
        """A call from outside, which isn't followed by the pump."""
        host, now = self.hosts[index % 2], self.world.now
        connection = self.connections[index % len(self.connections)] if self.connections else None
        if name == "connect":
            self.connections.append(host.connect(f"10.0.0.{2 - index % 2}", 7, now))
        elif name == "datagram":
            host.datagrams(remote=Endpoint(parse(f"10.0.0.{2 - index % 2}"), 9)).send(b"text", now)
        elif connection is not None and name == "send":
            connection.send(bytes(5000), now)
        elif connection is not None and name == "close":
            connection.close(now)
        elif connection is not None and name == "abort":
            connection.abort(now)
        elif connection is not None and name == "receive":
            connection.receive(1 << 20, now)


calls = st.lists(
    st.tuples(
        st.sampled_from(["connect", "datagram", "send", "close", "abort", "receive"]),
        st.integers(0, 5),
        st.integers(0, 30 * MILLISECOND),
    ),
    max_size=12,
)


@given(calls=calls, behind=st.booleans())
def test_next_timeout_is_true_at_any_moment(calls: list[tuple[str, int, int]], behind: bool) -> None:
    machine = Machine(behind=behind)
    world = machine.world
    for name, index, pause in calls:
        try:
            machine.call(name, index)
        except (PostelError, OSError):
            continue
        before, due = machine.done(), world.next_timeout()
        assert due >= world.now
        if due > world.now:
            world.pump()
            assert machine.done() == before, "nothing waited"
            world.run(until=min(due - 1, world.now + SECOND))
            assert machine.done() == before, "nothing happens before the time that was told"
        world.run(until=world.now + pause)


@given(calls=calls, behind=st.booleans())
def test_what_waits_is_drained_by_handling_the_timeout_alone(
    calls: list[tuple[str, int, int]], behind: bool
) -> None:
    machines = [Machine(behind=behind) for _ in range(2)]
    for name, index, _ in calls:
        for machine in machines:
            try:
                machine.call(name, index)
            except (PostelError, OSError):
                continue
    for _ in range(10_000):
        due = machines[0].world.next_timeout()
        if due == NEVER:
            break
        machines[0].world.handle_timeout(due)
    machines[1].world.run()
    assert machines[0].done() == machines[1].done()
    assert machines[0].world.next_timeout() == machines[1].world.next_timeout() == NEVER


@pytest.mark.parametrize(
    "wrong",
    [
        lambda world, a, b: world.run(-1),
        lambda world, a, b: world.run("soon"),
        lambda world, a, b: world.at(-1, list),
        lambda world, a, b: world.at("2s", None),
        lambda world, a, b: world.handle_timeout(-1),
        lambda world, a, b: world.handle_timeout("2s"),
        lambda world, a, b: World("x"),
        lambda world, a, b: World(1.0),
        lambda world, a, b: World(observer=print),
        lambda world, a, b: World(default_path={"loss": 2}),
        lambda world, a, b: world.path(a, a),
        lambda world, a, b: world.path("a", a),
        lambda world, a, b: world.path("*", b),
        lambda world, a, b: world.mesh("a"),
        lambda world, a, b: world.mesh("x", "a"),
        lambda world, a, b: world.path(a, b, delay="10"),
        lambda world, a, b: world.paths(jitter=-1),
        lambda world, a, b: world.host("a"),
        lambda world, a, b: world.host(""),
        lambda world, a, b: world.host(7),
        lambda world, a, b: world.name(Host("10.0.0.9/8", secret=b"x")),
    ],
)
def test_mistakes_are_named(wrong: Callable[[World, Host, Host], object]) -> None:
    world = World()
    a, b = world.host("a"), world.host("b")
    with pytest.raises(ArgumentError):
        wrong(world, a, b)
    assert list(world.hosts()) == ["a", "b"]
    assert world.run() == 0


def test_hosts_without_addresses_get_the_next_free_ones() -> None:
    world = World()
    world.host("given", "10.0.0.2/24")
    hosts = [world.host(name) for name in ("first", "second", "third")]
    owned = [[str(interface) for interface in host.routes.interfaces] for host in hosts]
    assert owned == [["10.0.0.1/8", "fd00::1/64"], ["10.0.0.3/8", "fd00::3/64"], ["10.0.0.4/8", "fd00::4/64"]]


def test_there_are_addresses_for_many() -> None:
    world = World()
    last = [world.host(f"host {number}") for number in range(600)][-1]
    assert [str(interface) for interface in last.routes.interfaces] == ["10.0.2.92/8", "fd00::25c/64"]


def test_a_mesh_joins_each_with_each() -> None:
    world = World()
    for name in ("a1", "a2", "b1", "b2"):
        world.host(name)
    assert len(world.mesh("*", delay="1ms")) == 6
    assert len(world.mesh(["a1", "a2"], "b*")) == 4
    assert len(world.mesh("a*", ["a1", "b1"])) == 3


def mailbox(host: Host, world: World) -> list[int]:
    """When datagrams arrive at the host's port 9."""
    arrived: list[int] = []

    def application(subject: Subject, event: Event, now: int) -> None:
        while isinstance(subject, DatagramSocket) and subject.receive() is not None:
            arrived.append(now)

    world.application(host, application)
    host.datagrams(9)
    return arrived


def test_any_two_hosts_are_joined_without_a_table_of_pairs() -> None:
    world = World()
    world.paths(delay="1ms")
    hosts = [world.host(str(number)) for number in range(50)]
    arrived = mailbox(hosts[0], world)
    for host in hosts[1:]:
        host.datagrams(remote=Endpoint(parse("10.0.0.1"), 9)).send(b"text", world.now)
    world.run()
    assert arrived == [MILLISECOND] * 49
    assert sum(len(node.paths) for node in world._named.values()) == 49


def test_a_path_of_its_own_comes_before_that_of_all() -> None:
    world = World(default_path={"delay": "1ms"})
    a, b = world.host("a"), world.host("b")
    arrived = mailbox(b, world)
    socket = a.datagrams(remote=Endpoint(parse("fd00::2"), 9))
    socket.send(b"text", world.now)
    world.run()
    world.path(a, b, delay="5ms")
    socket.send(b"text", world.now)
    world.run()
    world.paths(delay="9ms")
    socket.send(b"text", world.now)
    world.run()
    assert arrived == [MILLISECOND, 6 * MILLISECOND, 11 * MILLISECOND]


def test_an_address_that_a_host_was_given_later_is_reached_by_the_path_of_all() -> None:
    world = World(default_path={"delay": "1ms"})
    a, b = world.host("a"), world.host("b")
    b.add_address("10.1.0.1/8")
    arrived = mailbox(b, world)
    matched = where(receiver="b").duplicate(2)
    world.rules.append(matched)
    for address in ("10.1.0.1", "10.1.0.2"):
        a.datagrams(remote=Endpoint(parse(address), 9)).send(b"text", world.now)
    world.run()
    assert arrived == [MILLISECOND] * 2
    assert matched.matched == 1


def test_a_rule_names_the_neighbour_that_takes_every_address() -> None:
    world = World()
    a, b = world.host("a"), world.host("b", any_address=True)
    world.path(a, b, delay="1ms")
    arrived = mailbox(b, world)
    world.rules.append(where(receiver="b", nth=1).drop())
    socket = a.datagrams(remote=Endpoint(parse("10.7.7.7"), 9))
    for _ in range(2):
        socket.send(b"text", world.now)
    world.run()
    assert arrived == [MILLISECOND]
