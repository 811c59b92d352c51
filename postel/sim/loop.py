"""An event loop with a clock that jumps: whole asyncio programs over the hosts of a `World`, in virtual time.

::

    world = World(seed=1)
    client, server = world.host("client", "10.0.0.1/24"), world.host("server", "10.0.0.2/24")
    world.path(client, server)

    async def main():
        loop = asyncio.get_running_loop()
        async with loop.attach(server) as far, loop.attach(client) as near:
            ...  # as over any other link

    run(main(), world)

``asyncio.sleep(3600)`` takes no time: when nothing is ready, the clock goes on to what happens next in the world or in the loop, whichever
is first. Real descriptors are looked at, never waited for. `asyncio.to_thread` and ``run_in_executor`` call their function at once, in
the loop's own thread: it takes no virtual time, and every run of the same seed is the same. A function that waits there for something
that the loop has yet to do waits for ever.
"""

import asyncio
import errno
import math
from collections import deque
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from selectors import BaseSelector, DefaultSelector, SelectorKey
from typing import Any, Final, TypeVar, TypeVarTuple

from postel import aio
from postel.aio.network import LINGER
from postel.aio.routing import Routing
from postel.errors import ArgumentError, LinkError, NothingLeft
from postel.host.host import Host, HostEvent
from postel.host.routes import Routes
from postel.links.contract import Link, closed, too_large
from postel.sim.world import World
from postel.times import HOUR, NEVER, SECOND

T = TypeVar("T")
Ts = TypeVarTuple("Ts")
_HALF: Final = 0.5  # the loop's clock stands in the middle of the world's microsecond: rounding never makes it an earlier one
_LONGEST_JUMP: Final = HOUR
_TOLERANCE: Final = 0.1  # of a microsecond: a float near that middle has reached it
_NO_DESCRIPTOR: Final = 1 << 40  # from here on: numbers of wires, which no kernel gives


def run(main: Coroutine[Any, Any, T], world: World) -> T:
    """As `asyncio.run`, in the time of ``world``. What the hosts still have to do when ``main`` has ended is left to `World.run`."""
    with asyncio.Runner(loop_factory=partial(Loop, world)) as runner:
        return runner.run(main)


class Wire(Link):
    """Stands for a host in its place in the world, and is the link of the network that drives the host: what arrives there is received
    here. When the host is restarted (`World.restart`), the wire is gone for good: every call but `close` raises `LinkError`."""

    def __init__(self, world: World, host: Host, descriptor: int) -> None:
        self.mtu: int = host.routes.mtu
        self.host = host
        self._world = world
        self._descriptor = descriptor
        self._arrived: deque[bytes] = deque()
        self._leaving: deque[bytes] = deque()
        self._has_crashed = False
        self._is_in_front = False

    def attached(self, routes: Routes) -> None:
        if routes is not self.host.routes:
            raise ArgumentError("host", routes, "the host to which this wire belongs")
        self._world.front(self.host, self, on_crash=self._crashed, hears_later=True)
        self._is_in_front = True

    @property
    def is_readable(self) -> bool:
        return bool(self._arrived) or self._has_crashed

    def _crashed(self) -> None:
        self._has_crashed = True
        self._is_in_front = False
        self._arrived.clear()
        self._leaving.clear()

    def _require_host(self) -> None:
        if self._has_crashed:
            raise LinkError(errno.ENETDOWN, "the host was restarted: its old network is gone, attach the new host")

    # The link

    def fileno(self) -> int:
        return self._descriptor

    def receive(self, now: int) -> bytes | None:
        self._require_host()
        if self._arrived:
            octets = self._arrived.popleft()
            self._world.hears(octets)
            return octets
        if self._descriptor < 0:
            raise closed("wire")
        return None

    def send(self, packet: bytes, next_hop: bytes, now: int) -> bool:
        """Carried at once: an observer is told of each packet what becomes of it before it is told of the next."""
        if len(packet) > self.mtu:
            raise too_large(len(packet), self.mtu)
        if self._descriptor < 0:
            raise closed("wire")
        self._require_host()
        self._leaving.append(packet)
        self._world.pump()
        return True

    def close(self) -> None:
        """The host goes on by itself, where it has something to do yet: TIME-WAIT ends."""
        self.notify()
        if self._descriptor >= 0:
            self._descriptor = -1
            self._arrived.clear()
            if self._is_in_front:
                self._is_in_front = False
                self._world.front(self.host, self.host)
                self._world.pump()

    # The stack

    def packet_arrives(self, octets: bytes, now: int) -> None:
        self._arrived.append(octets)

    def next_packet(self, now: int) -> bytes | None:
        return self._leaving.popleft() if self._leaving else None

    def next_event(self) -> HostEvent | None:
        return None

    def next_timeout(self) -> int:
        return NEVER

    def handle_timeout(self, now: int) -> None:
        """The loop's timers are the host's."""


class Loop(Routing, asyncio.SelectorEventLoop):
    """An asyncio loop in the time of ``world``; `attach` puts its hosts on it."""

    advice = "allowed: a function that a computer of the simulation runs, or a task inside `async with network.as_default()`"

    def __init__(self, world: World) -> None:
        self.world = world
        self._clock = _Clock(world, self)
        super().__init__(self._clock)
        self._clock_resolution = _TOLERANCE / SECOND

    def time(self) -> float:
        return (self.world.now + _HALF) / SECOND

    def run_in_executor(self, executor: object, func: Callable[[*Ts], T], *args: *Ts) -> "asyncio.Future[T]":
        """As the loop's own, but ``func`` is called now and here: a thread would end at a moment that no seed decides."""
        future: asyncio.Future[T] = self.create_future()
        try:
            future.set_result(func(*args))
        except (KeyboardInterrupt, SystemExit):
            raise
        except StopIteration as error:  # which a future refuses
            refused = RuntimeError(f"{func!r} raised StopIteration")
            refused.__cause__ = error
            future.set_exception(refused)
        except BaseException as error:  # noqa: BLE001 - it is the future's, as with a thread
            future.set_exception(error)
        return future

    def attach(self, host: Host, *, linger: float = LINGER) -> aio.Network:
        """As `postel.aio.attach`, for a host of the world. Its application, if it has one, isn't called while the network is open.
        Raises ArgumentError where another network drives the host."""
        return aio.attach(host, self.wire(host), linger=linger)

    def wire(self, host: Host) -> Wire:
        """The link by which ``host`` is in its world: for `postel.aio.attach`, where another link is to be around it."""
        wire = Wire(self.world, host, _NO_DESCRIPTOR + len(self._clock.wires))
        self._clock.wires.append(wire)
        return wire


class _Clock(BaseSelector):
    """Where a loop waits. Instead, the world goes on until a wire is readable or the loop's next timer is due."""

    def __init__(self, world: World, loop: Loop) -> None:
        self.wires: list[Wire] = []
        self._world = world
        self._loop = loop
        self._real = DefaultSelector()
        self._keys: dict[int, SelectorKey] = {}

    def register(self, fileobj: Any, events: int, data: Any = None) -> SelectorKey:  # noqa: ANN401 - as in BaseSelector
        if not _is_wire(fileobj):
            return self._real.register(fileobj, events, data)
        key = self._keys[fileobj] = SelectorKey(fileobj, fileobj, events, data)
        return key

    def unregister(self, fileobj: Any) -> SelectorKey:  # noqa: ANN401
        return self._keys.pop(fileobj) if _is_wire(fileobj) else self._real.unregister(fileobj)

    def get_key(self, fileobj: Any) -> SelectorKey:  # noqa: ANN401
        return self._keys[fileobj] if _is_wire(fileobj) else self._real.get_key(fileobj)

    def get_map(self) -> Mapping[Any, SelectorKey]:
        return {**self._real.get_map(), **self._keys}

    def select(self, timeout: float | None = None) -> list[tuple[SelectorKey, int]]:
        ready = self._ready()
        if ready or (timeout is not None and timeout <= 0):
            return ready
        self._world.pump()
        if timeout is None and self._world.next_timeout() == NEVER:
            raise NothingLeft(_who_waits(self._loop, self.wires))
        self._jump(NEVER if timeout is None else self._when(timeout))
        return self._ready()

    def close(self) -> None:
        self._real.close()

    def _ready(self) -> list[tuple[SelectorKey, int]]:
        ready = [(key, key.events) for wire in self.wires if wire.is_readable and (key := self._keys.get(wire.fileno())) is not None]
        return ready + self._real.select(0)

    def _jump(self, until: int) -> None:
        """To where a wire is readable, ``until`` at the latest; not too far at once, for a user may want to interrupt an endless run."""
        self._world.run(min(until, self._world.now + _LONGEST_JUMP), stop=lambda: any(wire.is_readable for wire in self.wires))

    def _when(self, timeout: float) -> int:
        """The first microsecond at which the loop finds its timer due."""
        return max(math.ceil((self._loop.time() + timeout) * SECOND - _HALF - _TOLERANCE / 2), self._world.now)


def _is_wire(fileobj: object) -> bool:
    return isinstance(fileobj, int) and fileobj >= _NO_DESCRIPTOR


def _who_waits(loop: Loop, wires: list[Wire]) -> str:
    lines = ["nothing is left to happen, and everybody waits"]
    for task in sorted(asyncio.all_tasks(loop), key=lambda task: task.get_name()):
        stack = task.get_stack()
        place = f" at {stack[-1].f_code.co_filename}:{stack[-1].f_lineno}" if stack else ""
        lines.append(f"{task.get_name()} in {_name(task)}{place}")
    for wire in wires:
        lines += [f"{local} to {remote}: {state}" for local, remote, state in wire.host.connections()]
    return "\n  ".join(lines)


def _name(task: "asyncio.Task[Any]") -> str:
    return str(getattr(task.get_coro(), "__qualname__", task.get_coro()))
