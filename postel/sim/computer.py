"""Computer of a simulation: a host in the world, and the programs that run on it."""

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
from postel.sim import waiting
from postel.sim.loop import Loop
from postel.sim.place import Place
from postel.sim.program import Program
from postel.sim.skew import SkewedClock
from postel.sim.task import SimulatedTask
from postel.sim.wire import Wire
from postel.sim.world import World
from postel.tcp.state import State
from postel.wire.address import to_text

T = TypeVar("T")
_OVER: Final = (
    State.CLOSED,
    State.TIME_WAIT,
    State.FIN_WAIT_1,
    State.FIN_WAIT_2,
    State.CLOSING,
    State.LAST_ACK,
)  # states of connections that are over for the program
_LINGER: Final = 2.0  # seconds in which the network of a computer may close its connections in an orderly way


class Owner(Protocol):
    """Interface of a simulation, as a computer needs it."""

    seed: int
    world: World
    loop: Loop
    epoch_us: int

    async def addresses(self, name: str) -> list[str]:
        """Addresses of the computer with this name."""
        ...

    def blame(self, error: BaseException, computer: "Computer", what: str) -> None:
        """End the run with ``error``, because a program of ``computer`` failed."""
        ...


class Computer:
    """Computer as `Simulation.host` makes it.

    ``random`` is the computer's own seeded random generator; ``clock`` is the clock that its programs read;
    ``programs`` are the functions that it runs. ``host`` is the computer's stack, and ``network`` is what its
    programs use. A crash ends ``host`` and ``network``, and a restart makes new ones.
    """

    def __init__(self, owner: Owner, name: str, host: Host) -> None:
        """Make a running computer. The simulation calls this."""
        self.name: str = name
        self.host: Host = host
        self.random: Random = Random(f"{owner.seed}/{name}/software")
        self.clock: SkewedClock = SkewedClock(owner.world)
        self.place: Place = Place(name, self.clock, self.random, owner.epoch_us)
        self.programs: list[Program[Any]] = []
        self.is_running: bool = False
        self.is_paused: bool = False
        self._owner = owner
        self._start()

    def __repr__(self) -> str:
        """Text with the computer's name, its addresses, and whether it runs."""
        state = "crashed" if not self.is_running else "paused" if self.is_paused else "running"
        return f"<computer {self.name} ({', '.join(self.addresses)}), {state}>"

    @property
    def addresses(self) -> list[str]:
        """Addresses as text, in the order in which they were given."""
        return [to_text(interface.address) for interface in self.host.routes.interfaces]

    # Software

    def run(self, function: Callable[..., Coroutine[Any, Any, T]], *args: Any, **options: Any) -> Program[T]:  # noqa: ANN401 - the function's
        """Start ``function(*args, **options)`` on this computer.

        Returns a `Program`: await it for the result.

        The function's sockets, names, clocks and random numbers are the computer's, and so are all tasks
        that it starts. It runs again after each `restart`, unless it has returned. An exception goes to the
        task that awaits the program; where none does, it ends the simulation (`Simulation.run` raises it).
        Raises KindError for anything that isn't a coroutine function.
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
        """Switch the computer off, as a power failure would. Does nothing if the computer is off already.

        All its programs end, its stack forgets every connection and sends nothing more, and packets that
        arrive are lost until `restart`. Python runs the ``finally`` blocks of a coroutine that ends, up to
        the first ``await``; packets that these blocks send don't leave the computer.
        """
        if self.is_running:
            self._owner.loop.kill(self.switch_off())

    def switch_off(self) -> Network:
        """Switch the computer off. Returns its network, on which its tasks still run.

        `Simulation.close` ends the tasks of all computers together.
        """
        self.is_running = False
        self.is_paused = False
        self._owner.world.crash(self.name)
        self.network.crash(LinkError(errno.ENETDOWN, f"{self.name} has crashed"))
        return self.network

    def restart(self) -> None:
        """Switch the computer on, with a stack that knows of no connection.

        Each function that `run` was given and that hasn't returned is called anew. Raises CallError where
        the computer is running: `crash` comes first.
        """
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
        self._owner.loop.places[self.network] = self.place
        self.is_running = True

    # Pauses

    def pause(self) -> None:
        """Stop the computer until `resume`, as a virtual machine stops while it is moved to another machine.

        Tasks and timers wait, and so do packets that arrive: up to 500 of them, and more are lost (see
        `World.pause`).
        """
        if self.is_running and not self.is_paused:
            self.is_paused = True
            self._owner.world.pause(self.name)
            self._wire.hold()
            self._owner.loop.hold(self.network)

    def resume(self) -> None:
        """Continue after `pause`: first handle packets that arrived, then overdue callbacks, in order."""
        if self.is_paused:
            self.is_paused = False
            self._owner.world.resume(self.name)
            self._wire.let_go()
            self._owner.loop.let_go(self.network)

    def left_open(self) -> list[str]:
        """Line of text for each open task and connection. No lines if the computer has a listener."""
        if self.network.is_listening:
            return []
        found = [
            (local, remote, state) for local, remote, state in self.host.connections() if state not in _OVER
        ]
        tasks = [task for task in self._owner.loop.tasks() if task.network is self.network]
        lines = [waiting.task(task, self._owner.loop.computer_of) for task in tasks]
        return lines + [
            f"{self.name}: the connection {local} to {remote}: {state}" for local, remote, state in found
        ]
