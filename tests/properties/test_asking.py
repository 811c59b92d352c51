"""Asking changes nothing: status, properties and counters of a host, its connections and listeners, at any
moment of any exchange.
"""

import tracemalloc
from collections import deque
from dataclasses import replace
from enum import Enum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postel.errors import TcpError
from postel.host.host import Host
from postel.sim import World
from postel.tcp.config import DEFAULT, Config
from postel.tcp.congestion.bbr import BBR
from postel.tcp.congestion.cubic import Cubic
from postel.tcp.state import CLOSED
from postel.times import MILLISECOND, SECOND
from tests.host.conftest import make_pair

PLAIN_TYPES = (int, float, str, bytes, bytearray, bool, type(None), type, Enum)
PROPERTIES = (
    "local",
    "remote",
    "state",
    "error",
    "readable",
    "writable",
    "unacknowledged",
    "at_end",
    "urgent",
)
STEPS = st.lists(
    st.sampled_from(
        [
            "connect",
            "accept",
            "send",
            "send much",
            "read",
            "close",
            "abort",
            "release",
            "wait",
            "wait long",
            "lose",
            "datagram",
        ]
    ),
    max_size=30,
)


def everything(thing: Any, seen: dict[int, int]) -> Any:
    """All that ``thing`` holds, as plain data: an object that was seen before is its number."""
    if isinstance(thing, PLAIN_TYPES):
        return bytes(thing) if isinstance(thing, bytearray) else thing
    if id(thing) in seen:
        return ("seen", seen[id(thing)])
    seen[id(thing)] = len(seen)
    if isinstance(thing, dict):
        return [(everything(key, seen), everything(value, seen)) for key, value in thing.items()]
    if isinstance(thing, (list, tuple, deque)):
        return [type(thing).__name__, *(everything(item, seen) for item in thing)]
    if isinstance(thing, (set, frozenset)):
        return sorted(repr(everything(item, seen)) for item in thing)
    if not type(thing).__module__.startswith("postel"):
        return repr(type(thing))
    return [type(thing).__name__, *((name, everything(value, seen)) for name, value in attributes(thing))]


def attributes(thing: Any) -> list[tuple[str, Any]]:
    names = set(getattr(thing, "__dict__", ()))
    for kind in type(thing).__mro__:
        slots = kind.__dict__.get("__slots__", ())
        names.update((slots,) if isinstance(slots, str) else slots)
        names.update(kind.__dict__.get("__mypyc_attrs__", ()))
    names -= {"__dict__", "__weakref__", "context"}
    return [(name, getattr(thing, name)) for name in sorted(names) if hasattr(thing, name)]


def ask_all(host: Host, connections: list[Any], others: list[Any], now: int) -> None:
    host.statistics()
    list(host.connections())
    host.next_timeout()
    repr((host, host.has_output))
    for other in others:
        for name in dir(type(other)):
            if isinstance(getattr(type(other), name), property):
                getattr(other, name)
        repr(other)
    for connection in connections:
        for name in PROPERTIES:
            getattr(connection, name)
        repr(connection)
        connection.next_timeout()
        if connection.state is not CLOSED:
            connection.status(now)
            connection.status()
        else:
            with pytest.raises(TcpError):
                connection.status(now)


class Run:
    def __init__(self, config: Config) -> None:
        self.pair = make_pair(config=config)
        self.listener = self.pair.right.listen(80, self.pair.now)
        self.sockets = [self.pair.left.datagrams(53), self.pair.right.datagrams(53)]
        self.clients: list[Any] = []
        self.servers: list[Any] = []

    def step(self, step: str) -> None:
        pair, now = self.pair, self.pair.now
        if step == "connect":
            self.clients.append(pair.left.connect("10.0.0.2", 80, now))
        elif step == "accept" and (accepted := self.listener.accept()) is not None:
            self.servers.append(accepted)
        elif step == "datagram":
            self.sockets[0].send(
                b"hello",
                now,
                remote=self.sockets[1].local._replace(
                    address=pair.right.routes.source_for(b"\x0a\x00\x00\x01")
                ),
            )
        elif step == "lose":
            pair.lose = (lambda _sender, octets: len(octets) % 3 == 0) if pair.carried else pair.lose
        elif step == "wait":
            pair.advance(10 * MILLISECOND)
        elif step == "wait long":
            pair.advance(3 * SECOND)
        for connection in (self.clients + self.servers)[-2:]:
            self.use(connection, step)

    def use(self, connection: Any, step: str) -> None:
        now = self.pair.now
        try:
            if step == "send":
                connection.send(b"x" * 700, now)
            elif step == "send much":
                connection.send(bytes(200_000), now)
            elif step == "read":
                connection.receive(1000, now)
            elif step in ("close", "abort", "release"):
                getattr(connection, step)(now)
        except TcpError:
            pass

    def ask(self) -> None:
        ask_all(self.pair.left, self.clients, [self.listener, *self.sockets], self.pair.now)
        ask_all(self.pair.right, self.servers, [self.listener, *self.sockets], self.pair.now)

    def everything(self) -> Any:
        seen: dict[int, int] = {}
        return [
            everything(thing, seen)
            for thing in (self.pair.left, self.pair.right, self.clients, self.servers, self.sockets)
        ]


@given(
    STEPS,
    st.sampled_from(
        [
            DEFAULT,
            replace(DEFAULT, congestion=BBR),
            replace(DEFAULT, sack=False, timestamps=False, nagle=False),
        ]
    ),
)
def test_asking_changes_nothing(steps: list[str], config: Config) -> None:
    asked, left_alone = Run(config), Run(config)
    for step in ("connect", *steps):
        asked.step(step)
        left_alone.step(step)
        before = asked.everything()
        asked.ask()
        assert asked.everything() == before
    for run in (asked, left_alone):
        run.pair.advance(SECOND)
    assert [octets for _, octets in asked.pair.carried] == [octets for _, octets in left_alone.pair.carried]


def test_asking_makes_no_controller_and_keeps_no_memory() -> None:
    made: list[int] = []

    class Counted(Cubic):
        def __init__(self, smss: int, initial_window: int, seed: int) -> None:
            super().__init__(smss, initial_window, seed)
            made.append(smss)

    pair = make_pair(config=Config(congestion=Counted))
    listener = pair.right.listen(80, pair.now, backlog=200)
    clients = [pair.left.connect("10.0.0.2", 80, pair.now) for _ in range(100)]
    pair.advance(SECOND)
    connections = clients + [accepted for _ in range(100) if (accepted := listener.accept()) is not None]
    assert len(connections) == 200
    del made[:]
    told = connections[-1].status(pair.now)
    assert (told.congestion, told.snd_cwnd, told.congestion_window) == ("counted", 10, 10 * told.snd_mss)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for connection in connections:
            connection.status(pair.now)
        assert (tracemalloc.get_traced_memory()[0] - before) / len(connections) < 10
    finally:
        tracemalloc.stop()
    assert made == []


def test_world_knows_without_being_pumped_that_something_will_happen() -> None:
    world = World(1)
    a, b = world.host("a", "10.0.0.1/24"), world.host("b", "10.0.0.2/24")
    world.path(a, b)
    b.listen(80, 0)
    a.connect("10.0.0.2", 80, 0)
    assert [world.next_timeout() for _ in range(2)] == [0, 0]
    arrived = a.statistics()["packets_arrived"]
    while (when := world.next_timeout()) < SECOND:  # as a driver does, without ever calling `pump`
        world.handle_timeout(when)
    assert a.statistics()["packets_arrived"] > arrived
