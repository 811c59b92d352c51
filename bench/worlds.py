"""Worlds in virtual time, as a program that prints a line of JSON. Needs no root.

``worlds.py stream MEGABYTES``: segments of 1,500 octets a second, from one host to another, and how many
entries a bare heap takes in and gives back in that time, which says what the machine is worth. ``worlds.py
hour``: seconds that an hour takes in which two hosts exchange a message a second. ``worlds.py crowd HOSTS``:
seconds and memory that so many hosts take to connect to one server, exchange a line and leave; ``worlds.py
computers HOSTS``: the same with coroutines on the computers of a `Simulation`. Times are the processor's.
"""

# ruff: noqa: ANN401 - an application is told of subjects of several kinds

import asyncio
import json
import resource
import sys
import time
from collections.abc import Callable
from functools import partial
from heapq import heappop, heappush
from typing import Any

from postel.host.host import Host
from postel.sim import Simulation, World
from postel.tcp.events import Acceptable, Closed, EndOfStream, Event, Opened, Readable, Writable
from postel.times import HOUR, SECOND

TEXT = bytes(64 * 1024)
SERVER = "10.255.0.1"
LINE = b"hello\n"
APART = 100  # microseconds from one client to the next

Told = dict[str, float]


def timed(call: Callable[[], object]) -> float:
    """Seconds of the processor."""
    started = time.process_time()
    call()
    return time.process_time() - started


def megabytes() -> float:
    """The most memory that this process had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


# One stream


class Stream:
    """So many octets from one host to another, on a path with a delay and no faults."""

    def __init__(self, octets: int) -> None:
        self.left = self.missing = octets
        self.world = World(1)
        near = self.world.host("near", "10.0.0.1/24", application=self.sends)
        far = self.world.host("far", "10.0.0.2/24", application=self.receives)
        self.world.path(near, far)
        far.listen(9, 0)
        near.connect("10.0.0.2", 9, 0)

    def sends(self, subject: Any, event: Event, now: int) -> None:
        if isinstance(event, (Opened, Writable)):
            while self.left and (sent := subject.send(TEXT[: self.left], now)):
                self.left -= sent

    def receives(self, subject: Any, event: Event, now: int) -> None:
        if isinstance(event, Acceptable):
            subject.accept()
        elif isinstance(event, Readable):
            self.missing -= len(subject.receive(1 << 20, now))

    def run(self) -> None:
        self.world.run(stop=lambda: not self.missing)


def bare_heap(entries: int) -> None:
    """What any simulation does at least: each event goes through a heap."""
    heap: list[tuple[int, int, object, bytes]] = []
    for number in range(entries):
        heappush(heap, (number + 1000, number, None, b""))
        if number > 100:
            heappop(heap)


def stream(millions: int) -> Told:
    octets = millions * 1_000_000
    rate = octets / 1448 / timed(Stream(octets).run)
    return {"rate": rate, "heap": 500_000 / timed(partial(bare_heap, 500_000)) / rate}


# An hour


def hour() -> Told:
    messages = 0

    def answers(subject: Any, event: Event, now: int) -> None:
        if isinstance(event, Acceptable):
            subject.accept()
        elif isinstance(event, Readable):
            subject.send(subject.receive(100, now), now)

    def asks(subject: Any, event: Event, now: int) -> None:
        nonlocal messages
        if isinstance(event, Readable):
            messages += len(subject.receive(100, now)) // len(LINE)
        if isinstance(event, (Opened, Readable)):
            world.at(now + SECOND, lambda: subject.send(LINE, world.now))

    world = World(1)
    near = world.host("near", "10.0.0.1/24", application=asks)
    far = world.host("far", "10.0.0.2/24", application=answers)
    world.path(near, far)
    far.listen(9, 0)
    near.connect("10.0.0.2", 9, 0)
    return {"seconds": timed(lambda: world.run(HOUR)), "messages": messages}


# Very many hosts


class Client:
    def __init__(self, world: World, host: Host, at: int) -> None:
        self.has_left = False
        world.application(host, self.happened)
        world.at(at, lambda: host.connect(SERVER, 80, world.now))

    def happened(self, subject: Any, event: Event, now: int) -> None:
        if isinstance(event, Opened):
            subject.send(LINE, now)
        elif isinstance(event, Readable):
            subject.receive(100, now)
            subject.close(now)
        elif isinstance(event, Closed):
            self.has_left = True


def serves(subject: Any, event: Event, now: int) -> None:
    if isinstance(event, Acceptable):
        subject.accept()
    elif isinstance(event, Readable):
        subject.send(subject.receive(100, now), now)
    elif isinstance(event, EndOfStream):
        subject.close(now)


def crowd(hosts: int) -> Told:
    def run() -> None:
        world = World(1, default_path={"delay": "5ms"})
        world.host("server", f"{SERVER}/8", application=serves).listen(80, 0, backlog=hosts)
        clients = [Client(world, world.host(f"client {number}"), number * APART) for number in range(hosts)]
        world.run()
        assert all(client.has_left for client in clients), "some are still there"

    return {"seconds": timed(run), "memory": megabytes()}


async def serve(backlog: int) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readline())
        await reader.read()
        writer.close()

    server = await asyncio.start_server(answer, port=80, backlog=backlog)
    await server.serve_forever()


async def ask(after: float) -> bytes:
    await asyncio.sleep(after)
    reader, writer = await asyncio.open_connection("server", 80)
    writer.write(LINE)
    answer = await reader.readline()
    writer.close()
    await writer.wait_closed()
    return answer


def computers(hosts: int) -> Told:
    def run() -> None:
        with Simulation(seed=1, real_time_limit=3600) as simulation:
            simulation.world.paths(delay="5ms")
            simulation.host("server").run(serve, hosts)
            clients = [simulation.host(f"client {number}") for number in range(hosts)]

            async def main() -> None:
                programs = [client.run(ask, number * APART / SECOND) for number, client in enumerate(clients)]
                for program in programs:
                    assert await program == LINE

            simulation.run(main())

    return {"seconds": timed(run), "memory": megabytes()}


def main() -> None:
    kind, *numbers = sys.argv[1:]
    told = {"stream": stream, "hour": hour, "crowd": crowd, "computers": computers}[kind](*map(int, numbers))
    print(json.dumps(told))


if __name__ == "__main__":
    main()
