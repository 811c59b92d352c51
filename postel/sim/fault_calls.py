"""Calls of a `World` by which faults begin and end."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Final, Unpack, cast

from postel.errors import ArgumentError, require_kind
from postel.host.host import Host
from postel.sim.active_fault import ActiveFault
from postel.sim.agenda import Agenda
from postel.sim.attachment import Attachment
from postel.sim.barriers import Barrier, BarrierKind
from postel.sim.between import ALL, Between, Hosts, OneHost, matching
from postel.sim.carrier import Carrier
from postel.sim.faults import Fault, FaultKind
from postel.sim.in_flight import InFlight
from postel.sim.node import Node
from postel.sim.path import PathSettings
from postel.sim.path_changes import PathChange
from postel.sim.running import Running
from postel.sim.scheduled import Machines, Scheduled
from postel.sim.units import Duration, duration
from postel.times import NEVER

_FEW_FAULTS: Final = 16


class FaultCalls:
    """Faults of the network and of hosts: a base class of `World`.

    A host may be given as `Host`, by name, by a pattern of names ("server*"), or as several of these.
    Durations are ints of microseconds or text ("10ms", "2s"). A call that begins a fault returns an
    `ActiveFault`, which may be used in ``with``.
    """

    def __init__(self, agenda: Agenda, carrier: Carrier, running: Running) -> None:
        """Begin without faults."""
        self._agenda = agenda
        self._carrier = carrier
        self._running = running
        self._nodes = running.nodes
        self._named: dict[str, Node] = {}
        self._interruptions = carrier.interruptions
        self._changes = carrier.changes
        self._active: dict[ActiveFault, None] = {}
        # Length of the list at which faults that have ended are removed from it
        self._most_active = _FEW_FAULTS
        self._begun_by: Fault | None = None  # the scheduled fault that is beginning at this moment

    # Between hosts

    def partition(self, a: Hosts, b: Hosts = "*", *, both: bool = True) -> ActiveFault:
        """Lose all packets between ``a`` and ``b``. With ``both=False`` lose only those from ``a`` to ``b``.

        Without ``b``, all other hosts are meant. Packets that are under way when the partition begins are
        lost, too, and so are packets that `hold` keeps. A host that is added later is affected if a pattern
        fits its name. Partitions may overlap: each lasts until its own end, or until `repair`. Raises
        ArgumentError.
        """
        return self._bar(self._record("partition", a, b, both=both))

    def flap(
        self, a: Hosts, b: Hosts = "*", *, up: Duration, down: Duration, both: bool = True
    ) -> ActiveFault:
        """Let the network between ``a`` and ``b`` work for the time ``up``, fail for ``down``, and so on.

        Packets that are under way when the network fails are lost. Flapping continues until it is ended, but
        doesn't keep `run` from returning, because it puts no entries on the clock. Raises ArgumentError.
        """
        settings = {"up": up, "down": down}
        return self._bar(self._record("flap", a, b, both=both, settings=settings))

    def repair(self, a: Hosts = "*", b: Hosts = "*", *, both: bool = True) -> None:
        """End all partitions and flapping between ``a`` and ``b``. Partitions between other hosts continue.

        Raises ArgumentError.
        """
        self._interruptions.lift(Barrier("repair", self._between(a, b, both=both)))
        self._forget_ended()

    def hold(self, a: Hosts, b: Hosts = "*", *, both: bool = True) -> ActiveFault:
        """Keep every packet between ``a`` and ``b``, also those under way, until `release`.

        After the release they arrive in the order in which they were held. Raises ArgumentError.
        """
        return self._bar(self._record("hold", a, b, both=both))

    def release(self, a: Hosts = "*", b: Hosts = "*", *, both: bool = True) -> None:
        """End all holds between ``a`` and ``b``.

        Packets that these holds or rules keep between the hosts arrive now, in the order in which they were
        held. Raises ArgumentError.
        """
        self._interruptions.lift(Barrier("release", self._between(a, b, both=both)))
        self._forget_ended()

    def change_path(
        self, a: Hosts, b: Hosts = "*", *, both: bool = True, **settings: Unpack[PathSettings]
    ) -> ActiveFault:
        """Give the paths between ``a`` and ``b`` other ``settings`` (keywords of `Path`) for a while.

        When the change ends, the paths get their former settings back. With ``mtu=1280`` routers answer "too
        big"; with ``mtu=1280, is_black_hole=True`` routers send no answer. Raises ArgumentError.
        """
        return self._change(self._record("path", a, b, both=both, settings=settings))

    def in_flight(self) -> list[InFlight]:
        """Packets under way, the first to arrive first; then held packets, the first to be held first."""
        return self._interruptions.in_flight()

    # Of hosts

    def crash(self, host: Hosts) -> ActiveFault:
        """Switch ``host`` off, as in a power failure, until `restart`.

        The host sends nothing more, and packets to it are lost. Its connections are gone, and the observer
        hears no more of them. An object in front of the host (`front`) is informed: a network that a loop
        drives ends, so that its program gets a `LinkError`. A host that is down already stays down. Raises
        ArgumentError.
        """
        nodes = [node for node in self._chosen(host) if not node.is_crashed]
        fault = self._record("crash", host)
        downs = {node: node.host for node in nodes}
        active = ActiveFault(
            fault,
            lambda _: any(_is_down(node, host) for node, host in downs.items()),
            partial(self._start_again, downs),
        )
        self._active[active] = None
        for node in nodes:
            self._running.crash(node)
        self._sweep()
        return active

    def restart(self, host: OneHost) -> Host:
        """Start ``host`` again, with the same addresses, secret and application, but without connections.

        Returns the new `Host`. Attach it to a loop or link where the old host was attached. A host that is
        not down crashes first (`crash`). An application, a rule or a call of `at` may restart a host while
        the world runs. Raises ArgumentError.
        """
        node = self._one(host)
        if not node.is_crashed:
            self._running.crash(node)
        del self._nodes[node.host]
        node.restart()
        self._nodes[node.host] = node
        self._sweep()
        return node.host

    def pause(self, host: Hosts) -> ActiveFault:
        """Stop ``host`` as a virtual machine or SIGSTOP would, until `resume`.

        The host handles no packet, sends none, and its timers are late. Up to 500 packets wait for it, as in
        the queue of a TUN device; more are lost. Raises ArgumentError, also for a host that is on a link
        (`World.attach`).
        """
        nodes = [node for node in self._on_paths(host) if not node.is_crashed]
        fault = self._record("pause", host)
        active = ActiveFault(
            fault, lambda self: any(self in node.pauses for node in nodes), partial(self._end_pause, nodes)
        )
        self._active[active] = None
        for node in nodes:
            node.pauses[active] = None
            node.settle(self._agenda.now)
        return active

    def resume(self, host: Hosts = "*") -> None:
        """End all pauses of ``host``. Packets that waited arrive now, and then overdue timers expire.

        Raises ArgumentError.
        """
        for node in self._chosen(host):
            if node.pauses:
                node.pauses.clear()
                self._running.resume(node)
        self._forget_ended()

    def slow(self, host: Hosts, each: Duration) -> ActiveFault:
        """Let ``host`` need the time ``each`` for every packet that arrives, handling one after another.

        The host is then like a machine under load. Raises ArgumentError, also for a host that is on a link
        (`World.attach`).
        """
        nodes = self._on_paths(host)
        fault = self._record("slow", host, settings={"each": each})
        active = ActiveFault(
            fault,
            lambda self: any(self in node.slowness for node in nodes),
            partial(self._end_slowness, nodes),
        )
        self._active[active] = None
        for node in nodes:
            node.slowness[active] = duration(each)
            node.settle(self._agenda.now)
        return active

    def hosts(self) -> dict[str, Host]:
        """Hosts of the world at present, by name."""
        return {name: node.host for name, node in self._named.items()}

    def is_crashed(self, host: OneHost) -> bool:
        """Whether ``host`` is down. Raises ArgumentError."""
        return self._one(host).is_crashed

    def is_paused(self, host: OneHost) -> bool:
        """Whether ``host`` is paused. Raises ArgumentError."""
        return self._one(host).is_paused

    # As data

    def active_faults(self) -> list[Fault]:
        """Faults that are active now, in the order in which they began.

        A fault that `schedule` didn't begin has the ``length`` NEVER.
        """
        self._forget_ended()
        return list(dict.fromkeys(active.fault for active in self._active))

    def schedule(self, faults: Iterable[Fault], *, by: Machines | None = None) -> None:
        """Let each of ``faults`` begin and end at the times that it has.

        A fault begins at once if its time of beginning has passed, and not at all if its end has passed. At
        one time, faults end before others begin. ``by`` is called for faults of hosts on which programs run.
        Raises ArgumentError before any of the faults begins, for example for a name that no host has.
        """
        scheduled = [
            Scheduled(fault, self, by)
            for fault in self._checked(faults, by)
            if fault.ends_at > self._agenda.now
        ]
        moments = [(max(one.fault.at, self._agenda.now), 1, one.begin) for one in scheduled]
        moments += [
            (one.fault.ends_at, 0 if one.fault.length else 2, one.end)
            for one in scheduled
            if one.fault.ends_at < NEVER
        ]
        for when, _, call in sorted(moments, key=_moment):
            self._agenda.put(when, None, b"", call)

    def _checked(self, faults: Iterable[Fault], by: Machines | None) -> list[Fault]:
        require_kind("faults", faults, Iterable, "several objects of postel.sim.Fault")
        found = list(faults)
        for fault in found:
            require_kind("faults", fault, Fault, "objects of postel.sim.Fault")
            if fault.kind == "clock" and by is None:
                raise ArgumentError(
                    "faults",
                    fault,
                    "faults of hosts and paths: only a Simulation's computers have clocks of their own",
                )
            self._require_hosts("faults", fault.hosts)
            self._require_hosts("faults", fault.others)
        return found

    def begin(self, fault: Fault) -> ActiveFault:
        """Let ``fault`` begin now, whatever its time. The result's `end` ends it. Raises ArgumentError."""
        with self.on_behalf_of(*self._checked([fault], None)):
            if fault.kind == "path":
                return self._change(fault)
            if fault.kind == "crash":
                return self.crash(fault.hosts)
            if fault.kind == "pause":
                return self.pause(fault.hosts)
            if fault.kind == "slow":
                return self.slow(fault.hosts, int(fault.setting("each")))
            return self._bar(fault)

    @contextmanager
    def on_behalf_of(self, fault: Fault) -> Iterator[None]:
        """Let `active_faults` list ``fault`` itself when a fault of the same kind begins inside the block."""
        self._begun_by = fault
        try:
            yield
        finally:
            self._begun_by = None

    def running_hosts(self, hosts: Hosts) -> dict[str, Host]:
        """Hosts among ``hosts`` that are not down, by name. Raises ArgumentError."""
        return {node.name: node.host for node in self._chosen(hosts) if not node.is_crashed}

    def is_paused_only_by(self, fault: Fault, name: str) -> bool:
        """Whether only ``fault`` pauses the host, so that the host continues when ``fault`` ends.

        If another fault pauses the host, too, remove ``fault`` from its pauses.
        """
        pauses = self._one(name).pauses
        if all(pause.fault == fault for pause in pauses):
            return bool(pauses)
        for pause in [pause for pause in pauses if pause.fault == fault]:
            del pauses[pause]
        return False

    # Parts

    def _bar(self, fault: Fault) -> ActiveFault:
        between = Between(fault.hosts, fault.others, both=fault.both)
        settings = dict(fault.settings)
        up, down = int(settings.get("up", 0)), int(settings.get("down", 0))
        barrier = Barrier(cast("BarrierKind", fault.kind), between, self._agenda.now, up=up, down=down)
        barriers = self._interruptions.barriers
        active = ActiveFault(fault, lambda _: barrier in barriers, partial(self._end_barrier, barrier))
        self._active[active] = None
        self._interruptions.begin(barrier)
        return active

    def _end_barrier(self, barrier: Barrier, active: ActiveFault) -> None:
        self._interruptions.end(barrier)
        self._active.pop(active, None)

    def _change(self, fault: Fault) -> ActiveFault:
        change = PathChange(Between(fault.hosts, fault.others, both=fault.both), dict(fault.settings))
        active = ActiveFault(fault, lambda _: change in self._changes, partial(self._end_change, change))
        self._active[active] = None
        self._changes.begin(change, self._nodes.values())
        return active

    def _end_change(self, change: PathChange, active: ActiveFault) -> None:
        self._changes.end(change, self._nodes.values())
        self._active.pop(active, None)

    def _start_again(self, downs: dict[Node, Host], active: ActiveFault) -> None:
        for node, host in downs.items():
            if _is_down(node, host):
                self.restart(host)
        self._active.pop(active, None)

    def _end_pause(self, nodes: list[Node], active: ActiveFault) -> None:
        for node in nodes:
            if active in node.pauses:
                del node.pauses[active]
                if not node.pauses:
                    self._running.resume(node)
        self._active.pop(active, None)

    def _end_slowness(self, nodes: list[Node], active: ActiveFault) -> None:
        for node in nodes:
            node.slowness.pop(active, None)
            node.settle(self._agenda.now)
        self._active.pop(active, None)

    def _sweep(self) -> None:
        """Remove ended faults from the list, once perhaps half of the list has ended.

        Doing so at each crash and restart would be too slow with very many faults.
        """
        if len(self._active) >= self._most_active:
            self._forget_ended()
            self._most_active = 2 * len(self._active) + _FEW_FAULTS

    def _forget_ended(self) -> None:
        self._active = {active: None for active in self._active if active.is_active}

    # Names

    def _record(
        self,
        kind: FaultKind,
        a: Hosts,
        b: Hosts = (),
        *,
        both: bool = True,
        settings: Mapping[str, object] | None = None,
    ) -> Fault:
        if self._begun_by is not None and self._begun_by.kind == kind:
            return self._begun_by
        hosts, others = self._patterns("host" if not b else "a", a), self._patterns("b", b) if b else ()
        return Fault(kind, hosts, others, both=both, at=self._agenda.now, settings=settings or {})

    def _between(self, a: Hosts, b: Hosts, *, both: bool) -> Between:
        require_kind("both", both, bool, "True or False")
        return Between(self._patterns("a", a), self._patterns("b", b), both=both)

    def _patterns(self, argument: str, hosts: Hosts) -> tuple[str, ...]:
        """Names and patterns of the hosts that a caller gave. Raises ArgumentError."""
        several = hosts if isinstance(hosts, Iterable) and not isinstance(hosts, Host | str) else (hosts,)
        names = tuple(one if isinstance(one, str) else self._one(one).name for one in several)
        if not names:
            raise ArgumentError(argument, hosts, "at least one host")
        self._require_hosts(argument, names)
        return names

    def _require_hosts(self, argument: str, names: tuple[str, ...]) -> None:
        for name in names:
            if name not in self._named and (name,) != ALL and not any(matching(name, self._named)):
                raise ArgumentError(
                    argument,
                    name,
                    "the name of a host of this world, or a pattern such as 'server*' that fits one",
                )

    def _chosen(self, hosts: Hosts) -> list[Node]:
        """Nodes of the hosts that ``hosts`` names, in order of their creation. Raises ArgumentError."""
        patterns = self._patterns("host", hosts)
        if all(pattern in self._named for pattern in patterns):
            return [self._named[name] for name in dict.fromkeys(patterns)]
        chosen = {name for pattern in patterns for name in matching(pattern, self._named)}
        return [node for name, node in self._named.items() if name in chosen]

    def _on_paths(self, hosts: Hosts) -> list[Node]:
        """Nodes of the hosts that ``hosts`` names, all of which are on paths.

        Raises ArgumentError, also for a host on a link (`World.attach`), because packets of a link don't pass
        through the world.
        """
        nodes = self._chosen(hosts)
        for node in nodes:
            if isinstance(node.stack, Attachment):
                raise ArgumentError(
                    "host", node.name, "a host on paths: that on a link (World.attach) can only crash"
                )
        return nodes

    def _one(self, host: OneHost) -> Node:
        """Node of one host. Raises ArgumentError."""
        if not isinstance(host, Host):
            named = self._named.get(host if isinstance(host, str) else str(getattr(host, "name", "")))
        else:
            named = self._nodes.get(host)
        if named is None:
            raise ArgumentError(
                "host",
                host,
                "a host of this world, or its name; a Host that was restarted is another one since",
            )
        return named


def _is_down(node: Node, host: Host) -> bool:
    """Whether the crash of ``host`` still lasts, so that no restart has put another host in its place."""
    return node.is_crashed and node.host is host


def _moment(entry: tuple[int, int, object]) -> tuple[int, int]:
    return entry[:2]
