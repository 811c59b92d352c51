"""A world of very many hosts: only those are looked at that have something to do."""

import asyncio
from typing import Any

import pytest

from postel.host.host import Host
from postel.sim import Simulation, StandIn, World
from postel.tcp.connection import Connection
from postel.tcp.events import Acceptable, Closed, EndOfStream, Event, Opened, Readable
from postel.tcp.state import ESTABLISHED
from postel.times import MILLISECOND, SECOND
from postel.wire.address import Endpoint, parse

MANY = 300


class Visited(StandIn):
    """Counts how often the world asks for packets."""

    rings = True

    def __init__(self, host: Host) -> None:
        super().__init__(host)
        self.visits = 0

    def next_packet(self, now: int) -> bytes | None:
        self.visits += 1
        return super().next_packet(now)


def serve(subject: Any, event: Event, now: int) -> None:
    """Answers a line with another, and closes when the peer has."""
    connection = subject.accept() if isinstance(event, Acceptable) else subject
    if isinstance(event, Readable):
        connection.send(connection.receive(100, now).upper(), now)
    elif isinstance(event, EndOfStream):
        connection.close(now)


class Client:
    def __init__(self, world: World, host: Host, at: int) -> None:
        self.heard = b""
        self.is_done = False
        self._host = host
        world.application(host, self.happened)
        world.at(at, lambda: host.connect("10.255.0.1", 80, world.now))

    def happened(self, subject: Any, event: Event, now: int) -> None:
        if isinstance(event, Opened):
            subject.send(b"hello", now)
        elif isinstance(event, Readable):
            self.heard += subject.receive(100, now)
            subject.close(now)
        elif isinstance(event, Closed):
            self.is_done = True


def test_many_hosts_connect_to_one_server_and_leave() -> None:
    world = World(1, default_path={"delay": "5ms"})
    world.host("server", "10.255.0.1/8", application=serve).listen(80, 0, backlog=1000)
    clients = [Client(world, world.host(f"client {number}"), number * MILLISECOND) for number in range(MANY)]
    world.run()
    assert all(client.is_done and client.heard == b"HELLO" for client in clients)
    assert not any(list(host.connections()) for host in world.hosts().values())


def test_a_host_that_nothing_concerns_is_not_visited() -> None:
    world = World(1, default_path={"delay": "5ms"})
    idle = [world.host(f"idle {number}") for number in range(20)]
    visited = [Visited(host) for host in idle]
    for host, stack in zip(idle, visited, strict=True):
        world.front(host, stack)
    world.pump()
    before = [stack.visits for stack in visited]
    one, other = world.host("one"), world.host("other", "10.9.0.1/8")
    other.listen(80, 0)
    for number in range(50):
        world.at(number * SECOND, lambda: one.connect("10.9.0.1", 80, world.now))
    world.run(100 * SECOND)
    assert [stack.visits for stack in visited] == before


class Late(StandIn):
    """Has a packet of its own that no call of the host led to."""

    packet: bytes | None = None

    def next_packet(self, now: int) -> bytes | None:
        packet, self.packet = self.packet, None
        return packet or super().next_packet(now)


def test_what_stands_in_front_of_a_host_need_not_ring() -> None:
    world = World(1, default_path={})
    one, other = world.host("one"), world.host("other")
    socket = other.datagrams(53)
    one.datagrams().send(b"late", 0, remote=Endpoint(parse("10.0.0.2"), 53))
    stack = Late(one)
    held = one.next_packet(0)
    world.front(one, stack)
    world.pump()
    stack.packet = held
    world.run()
    assert socket.receive() is not None


# Calls from outside, all of which the world hears of


@pytest.mark.parametrize("when", ["before the run", "by at", "by another host's application"])
def test_a_call_of_a_host_is_seen_whoever_makes_it(when: str) -> None:
    world = World(1, default_path={})
    one, other, third = world.host("one"), world.host("other"), world.host("third")
    other.listen(80, 0)
    made: list[Connection] = []

    def call() -> None:
        made.append(third.connect("10.0.0.2", 80, world.now))

    if when == "before the run":
        call()
        assert world.next_timeout() == world.now
    elif when == "by at":
        world.at(SECOND, call)
    else:
        world.application(one, lambda _subject, event, _now: call() if isinstance(event, Opened) else None)
        one.connect("10.0.0.2", 80, 0)
    world.run(5 * SECOND)
    assert made[0].state is ESTABLISHED


def test_each_kind_of_call_is_heard() -> None:
    world = World(1, default_path={})
    one, other = world.host("one", "10.0.0.1/8", "10.0.0.7/8"), world.host("other", "10.0.0.2/8")
    told: list[str] = []
    world.application(one, lambda _subject, event, _now: told.append(type(event).__name__))
    listener = other.listen(80, 0)
    client = one.connect("10.0.0.2", 80, 0, local_address="10.0.0.7")
    world.run(SECOND)
    server = listener.accept()
    assert server is not None
    socket = one.datagrams(53)
    other.datagrams().send(b"x", world.now, remote=Endpoint(parse("10.0.0.1"), 53))
    world.run(2 * SECOND)
    assert told == ["Opened", "Readable"]
    assert socket.receive() is not None
    server.send(b"text", world.now)
    world.run(3 * SECOND)
    assert told[2:] == ["Readable"]
    one.datagrams().send(b"to myself", world.now, remote=Endpoint(parse("127.0.0.1"), 53))
    world.run(4 * SECOND)
    assert told[3:] == ["Readable"]
    one.remove_address("10.0.0.7", world.now)
    world.pump()
    assert client.error is not None
    assert told[4:] == ["Closed"]


def test_an_error_of_an_application_loses_no_output() -> None:
    """What the host had to send is sent by the next pump."""
    world = World(1, default_path={})
    one, other = world.host("one"), world.host("other")
    other.listen(80, 0)

    def fails(subject: Any, event: Event, now: int) -> None:
        if isinstance(event, Opened):
            subject.send(b"text", now)
            raise RuntimeError("of the application")  # noqa: TRY004 - of no kind in particular

    world.application(one, fails)
    connection = one.connect("10.0.0.2", 80, 0)
    with pytest.raises(RuntimeError, match="of the application"):
        world.run()
    assert world.next_timeout() == world.now
    world.run(world.now + SECOND)
    assert connection.status(world.now).bytes_acked == 4


# Computers


async def serve_lines() -> None:
    """Answers a line with another to each client, for ever."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write((await reader.readline()).upper())
        await reader.read()
        writer.close()

    server = await asyncio.start_server(answer, port=80, backlog=MANY)
    await server.serve_forever()


async def ask(after: float) -> bytes:
    await asyncio.sleep(after)
    reader, writer = await asyncio.open_connection("server", 80)
    writer.write(b"hello\n")
    answer = await reader.readline()
    writer.close()
    await writer.wait_closed()
    return answer


def test_many_computers_connect_to_one_server_and_leave() -> None:
    with Simulation(seed=1) as simulation:
        simulation.world.paths(delay="5ms")
        simulation.host("server").run(serve_lines)
        clients = [simulation.host(f"client {number}") for number in range(100)]

        async def main() -> list[bytes]:
            programs = [client.run(ask, number / 1000) for number, client in enumerate(clients)]
            return [await program for program in programs]

        assert set(simulation.run(main())) == {b"HELLO\n"}
        assert simulation.computers["server"].host.statistics()["segments_arrived"] > 400
    assert not any(computer.is_running for computer in clients)
