"""A computer of a simulation: a host in the world, and the software that runs on it."""

import asyncio
import errno
from collections.abc import Callable, Coroutine
from contextvars import Context, copy_context
from functools import partial
from random import Random
from typing import Any, Final, Protocol, TypeVar

from postel.aio.network import Network, current
from postel.errors import CallError, LinkError
from postel.host.host import Host
from postel.sim.loop import Loop
from postel.sim.program import Program
from postel.sim.task import SimulatedTask
from postel.sim.units import Duration, duration
from postel.sim.wire import Wire
from postel.sim.world import World
from postel.wire.address import to_text

T = TypeVar("T")
_LINGER: Final = 2.0  # seconds
_MILLION: Final = 1_000_000


class Owner(Protocol):
    """What a computer asks of its simulation."""

    seed: int
    world: World
    loop: Loop

    async def addresses(self, name: str) -> list[str]: ...

    def blame(self, error: BaseException, computer: "Computer", what: str) -> None: ...


class SkewedClock:
    """What the software of one computer reads from its clocks: `time.time`, `time.monotonic` and all that is made of them.

    ``offset`` is how far the wall clock is ahead, in microseconds. ``drift`` is how much too fast both clocks run, in microseconds a
    second (ppm); a change of it counts from now on. Timers, such as `asyncio.sleep`, keep the world's time.
    """

    def __init__(self, world: World) -> None:
        self.offset: int = 0
        self._world = world
        self._drift = 0.0
        self._since = 0  # when the drift was set: the world's time …
        self._reading = 0.0  # … and what the monotonic clock showed then

    @property
    def drift(self) -> float:
        """Microseconds a second."""
        return self._drift

    @drift.setter
    def drift(self, drift: float) -> None:
        self._reading, self._since = self.monotonic(), self._world.now
        self._drift = drift

    def jump(self, by: Duration) -> None:
        """Set the wall clock ``by`` ahead, in microseconds or as text ("5s"); back where it is a negative number. The monotonic clock
        doesn't jump."""
        self.offset += by if isinstance(by, int) else duration(by, "by")

    def monotonic(self) -> float:
        """Microseconds since the beginning of the world, by this clock."""
        elapsed = self._world.now - self._since
        return self._reading + elapsed + elapsed * self._drift / _MILLION

    def wall(self) -> float:
        """Microseconds since the world's epoch, by this clock."""
        return self.monotonic() + self.offset


class Computer:
    """Made by `Simulation.host`. ``random`` is its own source of chance, seeded; ``clock`` is what its software reads; ``programs`` are the
    functions that it runs.

    ``host`` is its stack and ``network`` what its software uses; a crash ends both, and a restart makes new ones.
    """

    def __init__(self, owner: Owner, name: str, host: Host) -> None:
        self.name: str = name
        self.host: Host = host
        self.random: Random = Random(f"{owner.seed}/{name}/software")
        self.clock: SkewedClock = SkewedClock(owner.world)
        self.programs: list[Program[Any]] = []
        self.is_running: bool = False
        self.is_paused: bool = False
        self._owner = owner
        self._start()

    def __repr__(self) -> str:
        state = "crashed" if not self.is_running else "paused" if self.is_paused else "running"
        return f"<computer {self.name} ({', '.join(self.addresses)}), {state}>"

    @property
    def addresses(self) -> list[str]:
        """As text, in the order in which they were given."""
        return [to_text(interface.address) for interface in self.host.routes.interfaces]

    # Software

    def run(self, function: Callable[..., Coroutine[Any, Any, T]], *args: Any, **options: Any) -> Program[T]:  # noqa: ANN401 - the function's
        """Start ``function(*args, **options)`` on this computer: its sockets, its names, its clocks and its random numbers are the
        computer's, and so are all tasks that it starts. It runs again after each `restart`, unless it has returned.

        Returns a `Program`: await it for the result. An exception goes to the task that awaits the program; where none does, it ends the
        simulation (`Simulation.run` raises it).
        """
        program: Program[T] = Program(function, args, options)
        self.programs.append(program)
        if self.is_running:
            self._call(program)
        return program

    def _call(self, program: Program[Any]) -> None:
        task = self._owner.loop.create_task(program.call(), name=program.name, context=self._context())
        task.add_done_callback(partial(self._ended, program), context=Context())

    def _context(self) -> Context:
        context = copy_context()
        context.run(current.set, self.network)
        return context

    def _ended(self, program: Program[Any], task: "asyncio.Task[Any]") -> None:
        if task.cancelled():
            if not (isinstance(task, SimulatedTask) and self._owner.loop.is_dead(task.network)):
                program.end(None, asyncio.CancelledError(f"{program.name} was cancelled"))
            return
        error = task.exception()
        is_awaited = program.is_awaited
        program.end(None if error else task.result(), error)
        if error is not None and not is_awaited:
            self._owner.blame(error, self, program.name)

    # Crash and restart

    def crash(self) -> None:
        """A power failure, now: all software of the computer ends without a farewell, its stack forgets every connection, and what arrives
        is lost until `restart`. A second crash does nothing.

        Python runs the ``finally`` blocks of a coroutine that ends, up to the first ``await``; nothing that they send leaves.
        """
        if not self.is_running:
            return
        self.is_running = False
        self.is_paused = False
        network = self.network
        self._owner.world.crash(self.name)
        network.crash(LinkError(errno.ENETDOWN, f"{self.name} has crashed"))
        self._owner.loop.kill(network)

    def restart(self) -> None:
        """Switch the computer on: a stack that knows of no connection, and each function that `run` was given and that hasn't returned,
        called anew. Raises CallError where the computer is running: `crash` comes first."""
        if self.is_running:
            raise CallError(f"{self.name} is running; allowed: crash() before restart()")
        self.host = self._owner.world.restart(self.name)
        self._start()
        for program in self.programs:
            if not program.done():
                self._call(program)

    def _start(self) -> None:
        self._wire: Wire = self._owner.loop.wire(self.host)
        self.network: Network = Network(self.host, self._wire, linger=_LINGER, resolver=self._owner)
        self.network.enter(self._owner.loop)
        self.is_running = True

    # Standing still

    def pause(self) -> None:
        """Stand still, as a virtual machine that is moved: tasks and timers wait, and so does what arrives, until `resume`.

        Up to 500 packets wait for it; more are lost (see `World.pause`).
        """
        if self.is_running and not self.is_paused:
            self.is_paused = True
            self._owner.world.pause(self.name)
            self._wire.hold()
            self._owner.loop.hold(self.network)

    def resume(self) -> None:
        """Go on after `pause`: first what arrived, then what was due, in its order."""
        if self.is_paused:
            self.is_paused = False
            self._owner.world.resume(self.name)
            self._wire.let_go()
            self._owner.loop.let_go(self.network)
