"""Selector of a loop in virtual time. Instead of waiting, it lets the world go on."""

import asyncio
import math
from collections.abc import Mapping
from selectors import BaseSelector, DefaultSelector, SelectorKey
from typing import Any, Final

from postel.errors import BusyLoop, NothingLeft, TimeLimitReached
from postel.host.host import Host
from postel.sim import waiting
from postel.sim.sealed import FIRST_WIRE
from postel.sim.wire import Wire
from postel.sim.world import World
from postel.times import HOUR, NEVER, SECOND

# The loop's clock shows the middle of the world's microsecond, so that rounding never makes it an earlier one
HALF: Final = 0.5
TOLERANCE: Final = 0.1  # microseconds by which rounding may miss that middle
_LONGEST_JUMP: Final = HOUR
_MOST_TURNS: Final = 200_000  # limit of the turns of the loop in one microsecond of the world


class Waiter(BaseSelector):
    """Selector of a loop. The world goes on until a wire is readable, a callback ready, or a timer due."""

    def __init__(self, world: World, loop: Any) -> None:  # noqa: ANN401 - a `postel.sim.loop.Loop`
        """Make the selector of ``loop``."""
        self._wires: list[Wire] = []
        self._readable: dict[int, None] = {}  # descriptors of wires that have packets to receive
        self._world = world
        # The world's agenda and steps, because its public methods check their arguments each time
        self._agenda, self._running = world._agenda, world._running  # noqa: SLF001 - of this package
        self._loop: Any = loop
        self._real = DefaultSelector()  # has the loop's own pipe, and descriptors of sockets in the world
        self._keys: dict[int, SelectorKey] = {}
        self._descriptors = 0  # number of descriptors registered in `_real`; one is the loop's own pipe
        self.turns: int = 0  # number of turns of the loop and of calls of pumps
        self._moment = -1
        self._turns = 0

    def wire(self, host: Host) -> Wire:
        """Make a wire to ``host``, with a descriptor that this selector knows."""
        wire = Wire(self._world, host, FIRST_WIRE + len(self._wires), self._readable)
        self._wires.append(wire)
        return wire

    def waiting(self) -> list[str]:
        """Line of text for each unfinished task, and for each connection."""
        return waiting.tasks(self._loop.tasks(), self._loop.computer_of) + waiting.connections(self._wires)

    # The selector

    def register(self, fileobj: Any, events: int, data: Any = None) -> SelectorKey:  # noqa: ANN401 - as in BaseSelector
        """Begin to wait for a wire, or for a descriptor of the system."""
        if not _is_wire(fileobj):
            self._descriptors += 1
            return self._real.register(fileobj, events, data)
        key = self._keys[fileobj] = SelectorKey(fileobj, fileobj, events, data)
        return key

    def unregister(self, fileobj: Any) -> SelectorKey:  # noqa: ANN401 - as in BaseSelector
        """Stop waiting for a wire or a descriptor."""
        if _is_wire(fileobj):
            return self._keys.pop(fileobj)
        key = self._real.unregister(fileobj)
        self._descriptors -= 1
        return key

    def get_key(self, fileobj: Any) -> SelectorKey:  # noqa: ANN401 - as in BaseSelector
        """Key of a registered wire or descriptor. Raises KeyError."""
        return self._keys[fileobj] if _is_wire(fileobj) else self._real.get_key(fileobj)

    def get_map(self) -> Mapping[Any, SelectorKey]:
        """Map of the keys of all registered wires and descriptors."""
        return {**self._real.get_map(), **self._keys}

    def close(self) -> None:
        """Close the selector of the operating system."""
        self._real.close()

    def select(self, timeout: float | None = None) -> list[tuple[SelectorKey, int]]:
        """Let the world go on until the loop has something to do.

        A pump is the callback by which `postel.aio` drives a host. If nothing else is ready, pumps are called
        here: to look at their wires, or because their timer is due. That costs less than a turn of the loop,
        and often makes no task ready. Raises NothingLeft, TimeLimitReached, BusyLoop.
        """
        self._count_turn()
        ready = self._ready()
        if ready or (timeout is not None and timeout <= 0):
            return ready
        self._running.pump()
        while not self._loop.has_ready:
            timer = self._loop.first_timer()
            if timer is None and self._running.next_timeout() == NEVER:
                return self._last_look()
            is_due = self._go_on(timer)
            if self._loop.has_ready or not self._serve_pump(timer if is_due else None):
                break
            self._count_turn()
        return self._ready()

    def _serve_pump(self, due: asyncio.TimerHandle | None) -> bool:
        """Call the pumps of readable wires, or else the timer ``due`` where it is a pump's.

        Returns False if the loop has to make a turn instead.
        """
        if self._descriptors > 1 and self._real.select(0):
            return False
        if not self._readable:
            return due is not None and bool(self._loop.call_pump(due))
        for descriptor in list(self._readable):
            key = self._keys.get(descriptor)
            reader = None if key is None else key.data[0]
            # Handle of asyncio, which the loop would call in its next turn
            if reader is None or reader._cancelled:  # noqa: SLF001 - asyncio's own
                return False
            reader._run()  # noqa: SLF001 - asyncio's own
        return True

    def _ready(self) -> list[tuple[SelectorKey, int]]:
        if not self._readable and self._descriptors <= 1:
            return []
        ready = [
            (key, key.events)
            for descriptor in self._readable
            if (key := self._keys.get(descriptor)) is not None
        ]
        return ready + self._real.select(0) if self._descriptors > 1 else ready

    def _last_look(self) -> list[tuple[SelectorKey, int]]:
        """Return what another thread has made ready. Raises NothingLeft if nothing is ready."""
        found = self._real.select(0)
        if not found:
            raise NothingLeft(
                "\n  ".join(["nothing is left to happen, and every task waits", *self.waiting()])
            )
        return found

    def _go_on(self, timer: asyncio.TimerHandle | None) -> bool:
        """Let the world go on until the loop has something to do, or ``timer`` is due.

        Returns whether the timer is due. The time of the loop is then at least the timer's deadline, to the
        last bit: a callback that rounding made too early would set the same timer again, for ever. Raises
        TimeLimitReached.
        """
        if timer is None:
            self._jump(NEVER)
            return False
        when = timer.when()
        moment = max(math.ceil(when * SECOND - HALF - TOLERANCE / 2), self._agenda.now)
        self._jump(moment)
        if self._agenda.now != moment:
            return False
        self._loop.reach(when)
        return True

    def _jump(self, until: int) -> None:
        """Let the world go on until the loop has something to do, or its time is ``until``.

        The jump is an hour of virtual time at the most, so that a user can interrupt an endless run. Raises
        TimeLimitReached.
        """
        agenda, limit = self._agenda, self._loop.limit
        until = min(until, agenda.now + _LONGEST_JUMP)
        self._running.run(min(until, limit), stop=self._is_wanted)
        if limit < until and agenda.now >= limit and not self._is_wanted():
            what = (
                f"the simulation's limit of {limit / SECOND:g} s of virtual time is reached; what hasn't "
                "ended:"
            )
            raise TimeLimitReached("\n  ".join([what, *self.waiting()]))

    def _is_wanted(self) -> bool:
        return bool(self._readable or self._loop.has_ready)

    def _count_turn(self) -> None:
        """Count a turn. Raises BusyLoop at the 200,000th turn of the loop in one microsecond of the world."""
        self.turns += 1
        if self._agenda.now != self._moment:
            self._moment, self._turns = self._agenda.now, 0
        self._turns += 1
        if self._turns >= _MOST_TURNS:
            self._turns = 0
            what = (
                f"no time passes: after {_MOST_TURNS} turns of the loop at {self._moment / SECOND:g} s "
                "these still want to run"
            )
            raise BusyLoop("\n  ".join([what, *self._loop.about_to_run()]))


def _is_wire(fileobj: object) -> bool:
    return isinstance(fileobj, int) and fileobj >= FIRST_WIRE
