"""Simulation: programs on computers of a world, in virtual time. For tests of distributed programs.

::

    with Simulation(seed=1) as world:
        server, client = world.host("server"), world.host("client")
        world.path(server, client, delay="10ms", loss=0.01)
        server.run(serve)

        async def test():
            answer = client.run(fetch, "http://server/")
            await asyncio.sleep(600)
            server.crash()
            server.restart()
            return await answer

        world.run(test())

Theory of operation
-------------------

A simulation joins four parts::

    Simulation
      |-- World       hosts, paths, faults, the clock         (postel.sim.world)
      |-- Loop        asyncio in the time of the world        (postel.sim.loop)
      |-- Computer    one for each host: its network, clock, random numbers and programs
      |-- seal        Python's clocks and chance are the computer's     (postel.sim.seal)

Everything runs in one thread, on one loop. A program is a task, and its context says to which computer it
belongs; tasks that it starts inherit the context. Sockets, names, clocks and random numbers follow from
that. The test itself is a task without a computer: it can't open connections, but it sees and changes the
world.

A run ends in one of these ways:

- the test returns, or raises: so does `Simulation.run`;
- a program raises, and no task awaits it (`Program`): `Simulation.run` raises the same exception;
- nothing is left to happen (NothingLeft), a limit of virtual or real time is reached (TimeLimitReached), or a
  task never waits (BusyLoop). These errors have a line for each task and connection.

After a failure, ``failure``, ``account`` and ``faults_then`` describe it, for a report.
"""

import asyncio
import signal
import socket
import threading
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime, timedelta
from random import Random
from traceback import clear_frames
from types import TracebackType
from typing import Any, Final, Self, TypeVar, Unpack

from postel.aio.network import current
from postel.errors import ArgumentError, BusyLoop, CallError, KindError, NothingLeft, TimeLimitReached
from postel.host.host import Host
from postel.sim import tracebacks, waiting
from postel.sim.active_fault import ActiveFault
from postel.sim.between import Hosts, OneHost, matching
from postel.sim.computer import Computer
from postel.sim.faults import Fault, FaultKind
from postel.sim.in_flight import InFlight
from postel.sim.loop import Loop
from postel.sim.path import Path, PathSettings
from postel.sim.place import Place
from postel.sim.rules import Rule
from postel.sim.schedules import DRAWN, draw
from postel.sim.skew import SkewedClock
from postel.sim.task import SimulatedTask
from postel.sim.units import Duration, duration
from postel.sim.world import World
from postel.sockets.names import UnresolvedName
from postel.tcp.observer import Observer
from postel.times import SECOND
from postel.wire.address import Address

T = TypeVar("T")
_1970: Final = datetime(1970, 1, 1, tzinfo=UTC)
EPOCH: Final = datetime(2026, 1, 1, tzinfo=UTC)
_SIGNALS: Final = tuple(
    getattr(signal, name)
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK", "SIGUSR1")
    if hasattr(signal, name)
)
_PATIENCE: Final = 60 * SECOND  # virtual time that cancelled tasks of the test have for their cleanup


class Simulation:
    """Computers with programs, in a `World`, in virtual time.

    ``world`` is the plain `World`. ``computers`` are those that `host` made, by name. ``scheduled`` are the
    faults that `apply` was given. ``replay`` are faults that `random_faults` applies instead of drawing some.
    ``failure`` is the exception that ended a run; ``account`` says which tasks waited then and where, and
    ``faults_then`` which faults were active then.
    """

    def __init__(
        self,
        seed: int = 0,
        *,
        observer: Observer | None = None,
        time_limit: Duration = "1h",
        real_time_limit: float = 120.0,
        tolerated: tuple[type[Exception], ...] = (),
        epoch: datetime = EPOCH,
        sealed: bool = False,
    ) -> None:
        """Make a simulation without computers.

        ``seed`` decides everything that is random. ``observer`` watches the hosts, as that of `World` does.
        ``time_limit``, in microseconds or as text, is the moment of the world at which a run that hasn't
        ended fails with `TimeLimitReached`; ``real_time_limit``, in seconds, ends a run that takes longer on
        this machine, and a task that doesn't yield for 10 seconds ends the run with `BusyLoop`. If a program
        that no task awaits raises an exception of one of the classes ``tolerated``, the run goes on.
        ``epoch`` is the time of day at which the world begins. With ``sealed`` the simulation is sealed at
        once, as by `seal`. Raises ArgumentError.
        """
        if epoch.tzinfo is None:
            raise ArgumentError("epoch", epoch, "a time with a time zone, such as datetime.UTC")
        self.seed: int = seed
        self.epoch: datetime = epoch
        self.epoch_us: int = (epoch - _1970) // timedelta(microseconds=1)
        self.world: World = World(seed, observer=observer)
        self.loop: Loop = Loop(self.world)
        self.loop.limit = duration(time_limit, "time_limit")
        self.loop.computer_of = self._name_of
        self.loop.places[None] = Place("test", SkewedClock(self.world), Random(f"{seed}/test"), self.epoch_us)
        self.loop.set_exception_handler(self._callback_failed)
        self.computers: dict[str, Computer] = {}
        self.failure: BaseException | None = None
        self.account: list[str] = []
        self.faults_then: list[Fault] = []
        self.scheduled: list[Fault] = []
        self.replay: list[Fault] | None = None
        self._sealed = sealed
        self._real_time_limit = real_time_limit
        self._tolerated = tolerated
        self._ending: asyncio.Future[None] | None = None
        self._shown: TracebackType | None = None  # the program's frames in the error that ended a run
        self._is_closed = False

    def __enter__(self) -> Self:
        """Return the simulation, for ``with``."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the simulation."""
        self.close()

    @property
    def now(self) -> int:
        """Time of the world's clock, in microseconds."""
        return self.world.now

    # Computers

    def host(self, name: str, *interfaces: Address, **settings: Any) -> Computer:  # noqa: ANN401 - those of World.host
        """Make a computer, which other computers find by its name.

        Without addresses the computer gets the next free ones of 10.0.0.0/8 and fd00::/64. Settings are those
        of `World.host`. Raises ArgumentError for a name that another computer has.
        """
        computer = self.computers[name] = Computer(self, name, self.world.host(name, *interfaces, **settings))
        return computer

    def __getitem__(self, name: str) -> Computer:
        """Computer of that name. Raises ArgumentError."""
        if name not in self.computers:
            raise ArgumentError(
                "name", name, f"a computer's name: {', '.join(self.computers) or 'there is none yet'}"
            )
        return self.computers[name]

    async def addresses(self, name: str) -> list[str]:
        """Addresses of a computer, for the look-ups of all computers.

        Raises ``socket.gaierror`` for a name that no computer has.
        """
        computer = self.computers.get(name) or self.computers.get(name.rstrip(".").lower())
        if computer is None:
            raise UnresolvedName(
                socket.EAI_NONAME,
                f"Name or service not known: {name!r} (there are {', '.join(self.computers)})",
            )
        return computer.addresses

    def crash(self, name: Hosts) -> None:
        """Crash each of these computers: see `Computer.crash`."""
        for computer in self._chosen(name):
            computer.crash()

    def restart(self, name: Hosts) -> None:
        """Restart each of these computers that has crashed: see `Computer.restart`."""
        for computer in self._chosen(name):
            if not computer.is_running:
                computer.restart()

    def pause(self, name: Hosts) -> None:
        """Pause each of these computers: see `Computer.pause`."""
        for computer in self._chosen(name):
            computer.pause()

    def resume(self, name: Hosts = "*") -> None:
        """Let each of these computers go on: see `Computer.resume`."""
        for computer in self._chosen(name):
            computer.resume()

    def jump_clock(self, name: Hosts, by: int) -> None:
        """Let the wall clock of each of these computers jump ahead: see `SkewedClock.jump`."""
        for computer in self._chosen(name):
            computer.clock.jump(by)

    def _chosen(self, hosts: Hosts) -> list[Computer]:
        several = hosts if isinstance(hosts, Iterable) and not isinstance(hosts, Host | str) else [hosts]
        names = [
            self.world.name(one) if isinstance(one, Host) else one if isinstance(one, str) else one.name
            for one in several
        ]
        found = {name: None for pattern in names for name in matching(pattern, self.computers)}
        if not found:
            raise ArgumentError("name", hosts, f"names or patterns of computers: {', '.join(self.computers)}")
        return [self.computers[name] for name in found]

    # The network between them: see the methods of `World` of the same names

    def path(self, a: OneHost, b: OneHost, **settings: Unpack[PathSettings]) -> tuple[Path, Path]:
        """Join two computers: see `World.path`."""
        return self.world.path(a, b, **settings)

    def mesh(
        self, hosts: Hosts, others: Hosts | None = None, **settings: Unpack[PathSettings]
    ) -> list[tuple[Path, Path]]:
        """Join each two of some computers by a path: see `World.mesh`."""
        return self.world.mesh(hosts, others, **settings)

    def paths(self, **settings: Unpack[PathSettings]) -> None:
        """Give a path with these settings to each two computers without a path: see `World.paths`."""
        self.world.paths(**settings)

    @property
    def rules(self) -> list[Rule]:
        """Rules that are called for each packet: see `World.rules`."""
        return self.world.rules

    def partition(self, a: Hosts, b: Hosts = "*", *, both: bool = True) -> ActiveFault:
        """Lose packets between two groups of computers: see `World.partition`."""
        return self.world.partition(a, b, both=both)

    def flap(
        self, a: Hosts, b: Hosts = "*", *, up: Duration, down: Duration, both: bool = True
    ) -> ActiveFault:
        """Let the network between two groups of computers work and fail in turn: see `World.flap`."""
        return self.world.flap(a, b, up=up, down=down, both=both)

    def repair(self, a: Hosts = "*", b: Hosts = "*", *, both: bool = True) -> None:
        """End partitions and flapping: see `World.repair`."""
        self.world.repair(a, b, both=both)

    def hold(self, a: Hosts, b: Hosts = "*", *, both: bool = True) -> ActiveFault:
        """Hold back packets between two groups of computers until `release`: see `World.hold`."""
        return self.world.hold(a, b, both=both)

    def release(self, a: Hosts = "*", b: Hosts = "*", *, both: bool = True) -> None:
        """Let held packets arrive: see `World.release`."""
        self.world.release(a, b, both=both)

    def change_path(
        self, a: Hosts, b: Hosts = "*", *, both: bool = True, **settings: Unpack[PathSettings]
    ) -> ActiveFault:
        """Give paths other settings for a while: see `World.change_path`."""
        return self.world.change_path(a, b, both=both, **settings)

    def slow(self, host: Hosts, each: Duration) -> ActiveFault:
        """Let a computer take a certain time for each packet: see `World.slow`."""
        return self.world.slow(host, each)

    def in_flight(self) -> list[InFlight]:
        """Packets that are on their way: see `World.in_flight`."""
        return self.world.in_flight()

    def at(self, when: Duration, call: Callable[[], object]) -> None:
        """Call ``call()`` at a given time of the world's clock: see `World.at`."""
        self.world.at(when, call)

    def active_faults(self) -> list[Fault]:
        """Faults that are active now: see `World.active_faults`."""
        return self.world.active_faults()

    def apply(self, faults: Iterable[Fault]) -> None:
        """Let each of ``faults`` begin and end at the times that it has (`World.schedule`).

        Crashes, pauses and jumps of clocks concern the programs, too. Raises ArgumentError.
        """
        found = list(faults)
        self.world.schedule(found, by=self)
        self.scheduled += found

    def random_faults(
        self,
        hosts: Sequence[str] | None = None,
        *,
        count: int = 6,
        within: Duration = "10s",
        longest: Duration = "10s",
        kinds: Sequence[FaultKind] = DRAWN,
    ) -> list[Fault]:
        """Draw faults of ``hosts`` from the seed, `apply` them, and return them.

        ``hosts`` are names, by default those of all computers. If ``replay`` has faults, these are applied
        instead. Otherwise between one and ``count`` faults are drawn, of these ``kinds``: "partition",
        "hold", "flap", "path", "crash", "pause", "slow", "clock". They begin in the time ``within`` from the
        start of the world and last ``longest`` at the most (both in microseconds, or text such as "10s");
        half of them last less than a tenth of ``longest``. Raises ArgumentError.
        """
        names = list(self.computers) if hosts is None else hosts
        dice = Random(f"{self.seed}/faults/{len(self.scheduled)}")
        drawn = draw(dice, names, count=count, within=within, longest=longest, kinds=kinds)
        chosen = drawn if self.replay is None else self.replay
        self.apply(chosen)
        return list(chosen)

    # Running

    def seal(self) -> Self:
        """Give programs the world's clocks and random numbers from the next `run` on. Returns ``self``.

        This concerns `time`, `datetime`, `random`, `secrets`, `os.urandom` and `uuid`. Tasks of each computer
        get those of their computer. Blocking calls, threads and subprocesses are refused. Outside of runs,
        and in other threads, Python is unchanged.
        """
        self._sealed = True
        return self

    def run(self, main: Coroutine[Any, Any, T]) -> T:
        """Run the test ``main`` and all programs in virtual time. Returns the result of ``main``.

        Raises what ``main`` raises; the exception of a program that no task awaited; NothingLeft if all tasks
        wait for ever; TimeLimitReached; BusyLoop. Afterwards the programs stand still, until the next run or
        `close`. Raises KindError if ``main`` is no coroutine, and CallError after a failure or `close`.
        """
        __tracebackhide__ = True  # for pytest: a user sees the report and the frames of the program
        if not asyncio.iscoroutine(main):
            raise KindError("main", main, "a coroutine: `world.run(test())`")
        if self._is_closed or self.failure is not None:
            main.close()
            raise CallError("this simulation has ended; allowed: a new Simulation for each run")
        ending = self._ending = self.loop.create_future()
        task = self.loop.create_task(main, name="the test")
        task.add_done_callback(self._main_ended)
        try:
            self._turn_until(ending)
        except (NothingLeft, TimeLimitReached, BusyLoop) as error:
            self._fail(error)
            self._shown = tracebacks.of_program(error.__traceback__, main)
            raise error.with_traceback(self._shown) from None
        except BaseException as error:
            self._fail(error)
            raise
        finally:
            self._ending = None
        if self.failure is not None:
            raise self.failure
        return task.result()

    def _turn_until(self, ending: "asyncio.Future[None]") -> None:
        from postel.sim.seal import seal  # noqa: PLC0415 - needs threads and ctypes
        from postel.sim.watchdog import Interrupted, Watchdog  # noqa: PLC0415 - needs threads and ctypes

        watchdog = Watchdog(self.loop, self._real_time_limit)
        try:
            # The watchdog is the innermost block: it must not interrupt the code that restores signals and
            # functions
            with _signals_restored(), seal(self.loop) if self._sealed else nullcontext(), watchdog:
                self.loop.run_until_complete(ending)
        except (Interrupted, SystemExit) as error:
            reason = watchdog.error or CallError(
                f"a task called sys.exit({error.args}); allowed: to return from the program"
            )
            raise reason.with_traceback(error.__traceback__) from None

    def _main_ended(self, task: "asyncio.Task[Any]") -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._fail(error)
        self._end_run()

    def _end_run(self) -> None:
        if self._ending is not None and not self._ending.done():
            self._ending.set_result(None)

    # Failures

    def blame(self, error: BaseException, computer: Computer | None, what: str) -> None:
        """End the run, because a program failed and no task awaited it. Computers call this."""
        if isinstance(error, self._tolerated) or self.failure is not None:
            return
        where = f"in {what} on the computer {computer.name!r}" if computer is not None else f"in {what}"
        error.add_note(f"{where}, at {self.now / SECOND:g} s; no task awaited it (see `tolerated`)")
        self._fail(error)
        self._end_run()

    def _fail(self, error: BaseException) -> None:
        if self.failure is None:
            self.failure = error
            self.account = self.loop.waiting()
            self.faults_then = self.world.active_faults()

    def _callback_failed(self, loop: asyncio.AbstractEventLoop, told: dict[str, Any]) -> None:
        """End the run, because a callback failed, or a task that no other task awaits. Asyncio calls this."""
        error = told.get("exception")
        task = told.get("task") or told.get("future")
        network = task.network if isinstance(task, SimulatedTask) else current.get()
        if not isinstance(error, BaseException):
            loop.default_exception_handler(told)
        elif network is None or not self.loop.is_dead(network):
            computer = next((each for each in self.computers.values() if each.network is network), None)
            self.blame(
                error,
                computer,
                task.get_name() if isinstance(task, asyncio.Task) else str(told.get("message")),
            )

    def _name_of(self, task: "asyncio.Task[Any]") -> str:
        network = task.network if isinstance(task, SimulatedTask) else None
        return next((name for name, computer in self.computers.items() if computer.network is network), "")

    # The end

    def left_open(self) -> list[str]:
        """Lines about what a test that passes should have ended, one for each task or connection.

        These are the test's own tasks, and tasks and connections of a computer on which all programs have
        returned. A computer with a listener is left out, because servers usually run until the end.
        """
        lines = [waiting.task(task) for task in self.loop.tasks() if task.network is None]
        for computer in self.computers.values():
            if (
                computer.is_running
                and computer.programs
                and all(program.done() for program in computer.programs)
            ):
                lines += computer.left_open()
        return lines

    def close(self) -> None:
        """Switch all computers off, and end the test's own tasks. A second call does nothing."""
        if self._is_closed:
            return
        self._is_closed = True
        self.loop.kill(
            *[computer.switch_off() for computer in self.computers.values() if computer.is_running]
        )
        self._end_tasks()
        # Streams that these frames refer to must end before the loop is closed
        clear_frames(self._shown)
        self._shown = None
        self.loop.close()

    def _end_tasks(self) -> None:
        """Cancel the test's own tasks. They have a minute of virtual time for their cleanup."""
        found = self.loop.tasks()
        for task in found:
            task.cancel()
        if found:
            self.loop.limit = self.now + _PATIENCE
            try:
                self.loop.run_until_complete(asyncio.wait(found))
            except Exception:  # noqa: BLE001 - the run's own failure was reported before
                for task in self.loop.tasks():
                    task.kill()


@contextmanager
def _signals_restored() -> Iterator[None]:
    """Restore the handlers of signals at the end of the block.

    Programs such as uvicorn set handlers of signals, and a program that has crashed never restores them.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            if handler is not None and signal.getsignal(number) is not handler:
                signal.signal(number, handler)
