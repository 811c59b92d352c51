"""Event loop with a clock that jumps: whole asyncio programs over the hosts of a `World`, in virtual time.

::

    world = World(seed=1)
    client, server = world.host("client", "10.0.0.1/24"), world.host("server", "10.0.0.2/24")
    world.path(client, server)

    async def main():
        loop = asyncio.get_running_loop()
        async with loop.attach(server) as far, loop.attach(client) as near:
            ...  # as over any other link

    run(main(), world)

Theory of operation
-------------------

The loop is asyncio's own, with another clock and another selector (`postel.sim.waiter`). Asyncio's loop
makes turns: it asks the selector for descriptors that are ready, adds timers that are due, and calls all
callbacks that are ready. It would wait in the selector. Here the selector lets the world go on instead::

    select() --> callbacks are ready? -- yes --> return; the turn takes no virtual time
                      | no
                      v
                 let the world run until a host has got a packet, a callback is ready,
                 the loop's first timer is due, or the limit is reached
                      |
                      v
                 call the pump of that host, or the timer, if it is a pump's
                      |
                      v
                 a callback is ready, or another timer is due? -- no --> let the world run further
                      | yes
                      v
                    return

So ``asyncio.sleep(3600)`` takes no time. Where nothing is left to happen in the world or in the loop,
`NothingLeft` is raised, with a line for each task that waits.

- *Hosts.* A host is driven by `postel.aio`, as over any link. Its link is a `postel.sim.wire.Wire`, which
  stands in the place of the host in the world. The wire's descriptor is a number that no system gives.
- *Time.* The world counts whole microseconds, asyncio floats of seconds. `Loop.time` is the middle of the
  world's microsecond, so that no rounding shows a time before the deadline of a timer that is called.
- *Threads.* `asyncio.to_thread` and ``run_in_executor`` call their function at once, in the loop's thread: it
  takes no virtual time, and every run of the same seed is the same. A function that waits there for something
  that the loop has yet to do waits for ever.
- *The machine's* own sockets, pipes and subprocesses are refused (`postel.sim.sealed`).
- *Crashes.* Each task and callback has a context, in which `postel.aio.network.current` is the network of its
  computer. `Loop.kill` ends all tasks and callbacks of a network, and `Loop.hold` makes them wait.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context
from functools import partial
from heapq import heappop
from itertools import count
from typing import Any, Final, TypeVar, TypeVarTuple, cast

from postel import aio
from postel.aio.network import Network, current
from postel.aio.pump import Pump
from postel.aio.routing import Routing
from postel.errors import CallError
from postel.host.host import Host
from postel.sim import waiting
from postel.sim.agenda import Agenda
from postel.sim.place import Place
from postel.sim.sealed import Sealed
from postel.sim.task import SimulatedTask
from postel.sim.waiter import HALF, TOLERANCE, Waiter
from postel.sim.wire import Wire
from postel.sim.world import World
from postel.sockets.preparation import DEFAULT_LINGER
from postel.times import NEVER, SECOND

T = TypeVar("T")
H = TypeVar("H", bound=asyncio.Handle)
Ts = TypeVarTuple("Ts")
_EMPTY: Final = Context()  # context of the loop's own callbacks, which belong to no network
# Most rounds of `kill`: tasks that end may make new tasks, which the next round ends
_MOST_KILLS: Final = 100


def run(main: Coroutine[Any, Any, T], world: World) -> T:
    """Run ``main`` as `asyncio.run` does, in the time of ``world``.

    Work that the hosts still have to do when ``main`` has ended is left to `World.run`.
    """
    with asyncio.Runner(loop_factory=partial(Loop, world)) as runner:
        return runner.run(main)


class Loop(Routing, Sealed):
    """Asyncio loop in the time of ``world``; `attach` puts its hosts on it.

    At the time ``limit``, in microseconds of the world, the loop raises `TimeLimitReached`.
    ``computer_of(task)`` returns the name of a task's computer, for error messages. ``places`` has a `Place`
    for each network: the clock and random numbers that sealed functions of Python give to its tasks while
    ``is_sealed``.
    """

    advice = (
        "allowed: a function that a computer of the simulation runs, or a task inside `async with "
        "network.as_default()`"
    )

    _ready: deque[asyncio.Handle]  # asyncio's own, for `kill` and `hold`
    _scheduled: list[asyncio.TimerHandle]
    _timer_cancelled_count: int
    _stopping: bool

    def __init__(self, world: World) -> None:
        """Make a loop in the time of ``world``."""
        self.world = world
        # The agenda, for its attribute ``now``: a property would cost too much, because the clock is read
        # very often
        self._agenda: Agenda = world._agenda  # noqa: SLF001 - of this package
        self.limit: int = NEVER
        self._reached = 0.0
        self.places: dict[Network | None, Place] = {}  # None is for the test's own tasks
        self.is_sealed: bool = False
        self.computer_of: waiting.Named = waiting.of_no_computer
        self._waiter = Waiter(world, self)
        self._numbers = count(1)
        self._tasks: dict[SimulatedTask[Any], None] = {}
        self._dead: set[Network] = set()
        self._held: dict[Network, list[asyncio.Handle]] = {}
        super().__init__(self._waiter)
        self._waiter_resolution = TOLERANCE / SECOND
        self.set_task_factory(cast(Any, _make_task))

    def leave_postel(self, call: str) -> None:
        """Raise CallError, because input from the machine comes at no defined moment of the world."""
        raise CallError(f"{call} in virtual time; allowed: sockets that the world's computers open")

    def time(self) -> float:
        """Time in seconds: the middle of the world's present microsecond."""
        now = (self._agenda.now + HALF) / SECOND
        return now if now > self._reached else self._reached  # noqa: FURB136 - called ten times for a message

    def microseconds(self) -> int:
        """Time of the world, in microseconds. The pump reads it."""
        return self._agenda.now

    def first_timer(self) -> asyncio.TimerHandle | None:
        """Timer of the loop that is due first; None if there are no timers."""
        while self._scheduled and self._scheduled[0].cancelled():
            self._timer_cancelled_count -= 1
            self._forget_first_timer()
        return self._scheduled[0] if self._scheduled else None

    def call_pump(self, due: asyncio.TimerHandle) -> bool:
        """Call ``due`` now if it is the loop's first timer and a pump's. Returns whether it was called."""
        handle: Any = due
        # Internals of asyncio: what the handle calls, and how a turn of the loop calls it
        pump = getattr(handle._callback, "__self__", None)  # noqa: SLF001 - asyncio's own
        if not isinstance(pump, Pump) or self._scheduled[0] is not due:
            return False
        self._forget_first_timer()
        handle._run()  # noqa: SLF001 - asyncio's own
        return True

    def _forget_first_timer(self) -> None:
        """Remove the first timer, as asyncio does when a timer is called or was cancelled."""
        handle: Any = heappop(self._scheduled)
        handle._scheduled = False  # noqa: SLF001 - asyncio's own

    def reach(self, when: float) -> None:
        """Let `time` return at least ``when``, in seconds, for a timer that is due in this microsecond."""
        self._reached = when

    def run_in_executor(self, executor: object, func: Callable[[*Ts], T], *args: *Ts) -> "asyncio.Future[T]":
        """Call ``func`` at once, and return a future that has its result or its exception.

        A thread would end at a moment that no seed decides.
        """
        future: asyncio.Future[T] = self.create_future()
        try:
            future.set_result(func(*args))
        except (KeyboardInterrupt, SystemExit):
            raise
        except StopIteration as error:  # a future doesn't accept StopIteration
            refused = RuntimeError(f"{func!r} raised StopIteration")
            refused.__cause__ = error
            future.set_exception(refused)
        except BaseException as error:  # noqa: BLE001 - it is the future's, as with a thread
            future.set_exception(error)
        return future

    def attach(self, host: Host, *, linger: float = DEFAULT_LINGER) -> aio.Network:
        """Attach a host of the world to the loop, as `postel.aio.attach` does.

        The host's application, if it has one, isn't called while the network is open. Raises ArgumentError
        where another network drives the host.
        """
        return aio.attach(host, self.wire(host), linger=linger)

    def wire(self, host: Host) -> Wire:
        """Make the link by which ``host`` is in its world.

        Pass it to `postel.aio.attach` if another link is to be put around it.
        """
        return self._waiter.wire(host)

    # Tasks and callbacks

    @property
    def turns(self) -> int:
        """Number of turns of the loop so far, and of calls of pumps outside of turns."""
        return self._waiter.turns

    @property
    def has_ready(self) -> bool:
        """Whether a callback waits to be called, or the loop is to stop."""
        return bool(self._ready) or self._stopping

    def tasks(self) -> list[SimulatedTask[Any]]:
        """Tasks that aren't done, in the order in which they were made."""
        return [task for task in self._tasks if not task.done()]

    def new_task(self, coro: Coroutine[Any, Any, T], **options: Any) -> SimulatedTask[T]:  # noqa: ANN401 - as asyncio's
        """Make a task. Asyncio calls this.

        The loop holds its tasks until they are done. Asyncio's own loop doesn't, so that a task to which
        nothing else refers vanishes when the garbage collection runs.
        """
        task = SimulatedTask(coro, loop=self, number=next(self._numbers), **options)
        self._tasks[task] = None
        task.add_done_callback(self._task_ended, context=_EMPTY)
        return task

    def _task_ended(self, task: Any) -> None:  # noqa: ANN401 - as asyncio's
        self._tasks.pop(task, None)

    def waiting(self) -> list[str]:
        """Lines: each unfinished task and the line of code where it waits; each connection and its state."""
        return self._waiter.waiting()

    def about_to_run(self) -> list[str]:
        """Line for each task, or other callback, that is ready to run."""
        found = [(getattr(cast(Any, handle)._callback, "__self__", None), handle) for handle in self._ready]  # noqa: SLF001 - asyncio's own
        lines = [
            waiting.task(owner, self.computer_of) if isinstance(owner, asyncio.Task) else repr(handle)
            for owner, handle in found
        ]
        return list(dict.fromkeys(lines))

    # Computers that crash or pause

    def kill(self, *networks: Network) -> None:
        """End all that runs on these networks, as a power failure would: tasks, timers and callbacks.

        If the running task is one of them, it ends at its next ``await``.
        """
        self._dead.update(networks)
        self._watch_calls()
        for network in networks:
            self._held.pop(network, None)
        doomed = frozenset(networks)
        for handle in self._handles_of(doomed):
            handle.cancel()
        running = asyncio.current_task(self) if self.is_running() else None
        for _ in range(_MOST_KILLS):
            found = [task for task in self.tasks() if task.network in doomed and task is not running]
            if not found:
                break
            for task in found:
                task.kill()
        if isinstance(running, SimulatedTask) and running.network in doomed:
            self.call_soon(self.kill, *networks, context=_EMPTY)

    def is_dead(self, network: Network | None) -> bool:
        """Whether `kill` ended ``network``."""
        return network in self._dead

    def hold(self, network: Network) -> None:
        """Let no task or callback of ``network`` run until `let_go`. Callbacks that become due are kept."""
        if network in self._held:
            return
        self._held[network] = []
        self._watch_calls()
        for handle in self._handles_of(frozenset((network,))):
            waiting = (network, handle, handle._callback, handle._args)  # noqa: SLF001 - asyncio's own
            handle._callback, handle._args = self._held_back, waiting  # noqa: SLF001 - asyncio's own

    def let_go(self, network: Network) -> None:
        """Let the callbacks of ``network`` that `hold` kept run, in the order in which they became due."""
        self._ready.extend(self._held.pop(network, []))

    def _held_back(
        self,
        network: Network,
        handle: Any,  # noqa: ANN401 - as asyncio's
        callback: Callable[..., object],
        args: tuple[Any, ...],
    ) -> None:
        """Call a callback that is due, or keep it while its network is held."""
        handle._callback, handle._args = callback, args  # noqa: SLF001 - asyncio's own
        if network in self._held:
            self._held[network].append(handle)
        else:
            callback(*args)

    def _handles_of(self, networks: frozenset[Network]) -> list[Any]:
        """Handles of callbacks on these networks, in the order in which they are called."""
        ready: list[Any] = [*self._ready]
        scheduled: list[Any] = self._scheduled
        return [each for each in ready if each._context.get(current) in networks] + sorted(  # noqa: SLF001 - asyncio's own
            [each for each in scheduled if each._context.get(current) in networks]  # noqa: SLF001 - asyncio's own
        )

    def _watch_calls(self) -> None:
        """Look at the network of each callback from now on.

        Before the first crash or pause, callbacks are not looked at, because that would slow down each call.
        """
        vars(self).update(call_soon=self._watched_call_soon, call_at=self._watched_call_at)

    def _watched_call_soon(self, callback: Any, *args: Any, context: Context | None = None) -> asyncio.Handle:  # noqa: ANN401 - as asyncio's
        network = current.get() if context is None else context.get(current)
        if network in self._dead:
            return _dropped(asyncio.Handle(callback, args, self, context))
        handle = super().call_soon(callback, *args, context=context)
        if network in self._held:
            self._held[network].append(self._ready.pop())
        return handle

    def _watched_call_at(
        self,
        when: float,
        callback: Any,  # noqa: ANN401 - as asyncio's
        *args: Any,  # noqa: ANN401 - as asyncio's
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        network = current.get() if context is None else context.get(current)
        if network in self._dead:
            return _dropped(asyncio.TimerHandle(when, callback, args, self, context))
        return super().call_at(when, callback, *args, context=context)


def _make_task(loop: Any, coro: Coroutine[Any, Any, T], **options: Any) -> SimulatedTask[T]:  # noqa: ANN401 - as asyncio's
    return loop.new_task(coro, **options)  # type: ignore[no-any-return]  # asyncio calls it with any loop


def _dropped(handle: H) -> H:
    """Cancel a callback of a computer that has crashed."""
    handle.cancel()
    return handle
