"""Faults that begin and end by themselves, at times of the world's clock."""

from contextlib import AbstractContextManager
from typing import Protocol

from postel.host.host import Host
from postel.sim.active_fault import ActiveFault
from postel.sim.faults import Fault


class Machines(Protocol):
    """Object that `World.schedule` calls for faults of hosts on which programs run.

    Its methods are called instead of the world's own, so that a crash ends the programs, too.
    """

    def crash(self, name: str) -> object:
        """Crash the host of this name."""
        ...

    def restart(self, name: str) -> object:
        """Start the host again."""
        ...

    def pause(self, name: str) -> object:
        """Stop the host for a while."""
        ...

    def resume(self, name: str) -> object:
        """Let the host go on."""
        ...

    def jump_clock(self, name: str, by: int) -> object:
        """Set the clock of the host ahead by ``by`` microseconds."""
        ...


class Calls(Protocol):
    """Interface of a world, as a scheduled fault needs it."""

    def begin(self, fault: Fault) -> ActiveFault:
        """Let the fault begin."""
        ...

    def on_behalf_of(self, fault: Fault) -> AbstractContextManager[None]:
        """Let calls inside the block count as this fault."""
        ...

    def running_hosts(self, names: tuple[str, ...]) -> dict[str, Host]:
        """Hosts of these names that aren't down."""
        ...

    def hosts(self) -> dict[str, Host]:
        """All hosts, by name."""
        ...

    def is_crashed(self, host: str) -> bool:
        """Whether the host is down."""
        ...

    def is_paused_only_by(self, fault: Fault, name: str) -> bool:
        """Whether only this fault pauses the host."""
        ...


class Scheduled:
    """Fault that begins and ends by calls that the world's clock makes at the fault's times."""

    def __init__(self, fault: Fault, calls: Calls, by: Machines | None) -> None:
        """Prepare a fault. ``by``, where given, is called instead of the world for crashes and the like."""
        self.fault = fault
        self._calls = calls
        self._by = by if fault.kind in ("crash", "pause", "clock") else None
        self._active: ActiveFault | None = None
        self._hosts: dict[str, Host] = {}

    def begin(self) -> None:
        """Begin the fault."""
        if self._by is None:
            self._active = self._calls.begin(self.fault)
            return
        self._hosts = self._calls.running_hosts(self.fault.hosts)
        with self._calls.on_behalf_of(self.fault):
            for name in self._hosts:
                self._begin_of(name, self._by)

    def _begin_of(self, name: str, by: Machines) -> None:
        if self.fault.kind == "clock":
            by.jump_clock(name, int(self.fault.setting("by")))
        elif self.fault.kind == "crash":
            by.crash(name)
        else:
            by.pause(name)

    def end(self) -> None:
        """End the fault, unless it has ended before."""
        if self._active is not None:
            self._active.end()
        for name, host in self._hosts.items():
            if self._by is not None and self._calls.hosts()[name] is host:
                self._end_of(name, self._by)

    def _end_of(self, name: str, by: Machines) -> None:
        if self.fault.kind == "crash" and self._calls.is_crashed(name):
            by.restart(name)
        elif self.fault.kind == "pause" and self._calls.is_paused_only_by(self.fault, name):
            by.resume(name)
