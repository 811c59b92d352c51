"""World: hosts, paths and a clock that jumps. The same seed gives the same run, octet for octet.

Theory of operation
-------------------

A world never waits. All that will happen is in one heap (`postel.sim.agenda`): packets on their way, the next
timer of each host, and calls of `World.at`. Entries are ordered by time; entries of the same time are in the
order in which they were put there. Between two entries nothing can happen, so the clock jumps from one to the
next, and 2MSL take as long as a microsecond. `World.run` repeats this step::

    take the first entry          packet:  the host takes it (`Host.packet_arrives`)
    and set the clock     ----->  timer:   the host does what is due (`Host.handle_timeout`)
                                  call:    it is called
                                     |
                                     v
         +---> packets of the host leave: rules, faults and the path decide when
         |     each arrives, and it goes into the heap, or it is lost
         |                           |
         |                           v
         |     events go to the application, which may call the host
         |                           |
         |                           v
         +---- yes --- was there any event?
                                     | no
                                     v
               the host's next deadline goes into the heap

The application of one host may call another host. A host that was called adds itself to a list, by its bell
(`Host.bell`). All hosts on the list are served before the next entry, in the order in which they were made.

Some details:

- *Determinism.* Nothing depends on the machine. Each path has a random generator of its own and each host a
  secret of its own; both follow from the seed and their names. So adding a host or a path changes nothing for
  the others.
- *Timers that were moved* leave their old entries in the heap. When such an entry is taken, the host has
  nothing to do, and the clock keeps its time.
- *Records instead of octets.* Where no rule, fault or observer may look at octets, packets are handed over as
  `PacketRecord`, without being written out and parsed. Segments, events and times are the same.
- *Faults* are barriers between hosts, changed settings of paths, or states of a host (`postel.sim.node`).
  Packets that are under way when a barrier comes are found in the heap.

The parts: `agenda` is the clock and the heap, `running` the steps above, `carrier` the fate of packets,
`interruptions` and `path_changes` the faults of the network, `node` a host in its place, and `witness` the
observer.
"""

from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address
from random import Random
from typing import Final, Unpack

from postel.errors import ArgumentError, LinkError, require_kind, require_number
from postel.host import orphans
from postel.host.host import Host
from postel.links.contract import Link
from postel.links.junction import require_free
from postel.sim.agenda import Agenda
from postel.sim.attachment import Application, Attachment
from postel.sim.between import Hosts, OneHost
from postel.sim.carrier import Carrier
from postel.sim.fault_calls import FaultCalls
from postel.sim.node import Node
from postel.sim.path import Path, PathSettings
from postel.sim.rules import Rule
from postel.sim.running import Running
from postel.sim.stand_in import Stack
from postel.sim.units import Duration, duration
from postel.sim.witness import Witness
from postel.tcp.config import DEFAULT, Config
from postel.tcp.observer import Observer
from postel.times import NEVER
from postel.wire import address as addresses

_FIRST_4: Final = IPv4Address("10.0.0.0")
_FIRST_6: Final = IPv6Address("fd00::")
_MEMORY: Final = 256 << 20
_LEAST_MTU: Final = 68  # RFC 791, 3.2


class World(FaultCalls):
    """Network of hosts in virtual time.

    ``seed``, an int, decides everything that is random: the hosts' secrets and the losses of every path.
    ``observer`` watches all hosts; a `Witness` also observes packets under way. ``default_path`` has the
    settings of the path between any two hosts that have no path of their own (`paths`):
    ``World(default_path={"delay": "10ms"})``. An ``application``, an argument of `host`, is called with each
    of that host's events: ``application(subject, event, now)``.

    The world may be changed while it runs, by an application, a rule or a call of `at`: hosts, paths and
    `rules` may be added, removed or replaced, and settings of a `Path` assigned (``there.loss = 0.5``). A
    change counts for packets that leave afterwards; packets under way arrive as they were sent. Times and
    durations are ints of microseconds or text ("10ms", "2s").

    Faults begin by `partition`, `hold`, `flap`, `change_path`, `crash`, `pause` and `slow`, or as data by
    `schedule`.
    """

    def __init__(
        self, seed: int = 0, *, observer: Observer | None = None, default_path: PathSettings | None = None
    ) -> None:
        """Make a world without hosts. Raises ArgumentError."""
        require_kind("observer", observer, (Observer, type(None)), "an Observer, such as a Witness, or None")
        if not isinstance(seed, int):
            raise ArgumentError("seed", seed, "an int: the same one gives the same run")
        self.seed = seed
        self.observer = observer
        witness = observer if isinstance(observer, Witness) else None
        agenda = Agenda()
        carrier = Carrier(seed, agenda, witness, is_observed=observer is not None)
        super().__init__(agenda, carrier, Running(agenda, carrier, witness))
        self._given = 0  # number of addresses tried so far, for hosts without given addresses
        if default_path is not None:
            require_kind("default_path", default_path, dict, "settings of a Path, as {'delay': '10ms'}")
            self.paths(**default_path)

    @property
    def now(self) -> int:
        """Time of the world's clock, in microseconds from its beginning."""
        return self._agenda.now

    @property
    def packets(self) -> int:
        """Number of packets that left a host, which is also the number of the last one."""
        return self._carrier.packets

    @property
    def rules(self) -> list[Rule]:
        """Rules that are called for each packet, in this order (`postel.sim.rules`)."""
        return self._carrier.rules

    @rules.setter
    def rules(self, rules: list[Rule]) -> None:
        self._carrier.rules = rules

    def host(
        self,
        name: str,
        *interfaces: addresses.Address,
        mtu: int = 1500,
        config: Config = DEFAULT,
        any_address: bool = False,
        memory_limit: int = _MEMORY,
        orphan_limit: int = orphans.MOST,
        verify_checksums: bool = True,
        offload: int = 0,
        application: Application | None = None,
    ) -> Host:
        """Make a host, with addresses such as "10.0.0.1/24" and "fd00::1/64".

        Without any addresses, the host gets the next free ones of 10.0.0.0/8 and fd00::/64, in the order in
        which hosts are made: the first has 10.0.0.1 and fd00::1. A host that accepts ``any_address`` gets
        none. ``mtu`` is in octets, ``memory_limit`` is the number of octets that its connections may use, and
        ``orphan_limit`` the number of connections that their programs may have released. With ``offload`` the
        host makes segments of packets of up to that many octets (`Host.use_offload`), which are cut before
        they leave. Raises ArgumentError.
        """
        if not isinstance(name, str) or not name or name in self._named:
            raise ArgumentError("name", name, "text, and one that no other host of this world has")
        if application is not None and not callable(application):
            raise ArgumentError(
                "application", application, "something to call with subject, event and time, or None"
            )
        require_number(
            "offload", offload, mtu if offload else 0, 65535, f"0, or the MTU ({mtu}) to 65535 octets"
        )
        if not interfaces and not any_address:
            interfaces = self._next_free()
        own = self._unused(interfaces)

        def make(observer: Observer | None) -> Host:
            host = Host(
                *interfaces,
                secret=f"{self.seed}/{name}".encode(),
                mtu=mtu,
                config=config,
                observer=observer,
                any_address=any_address,
                memory_limit=memory_limit,
                orphan_limit=orphan_limit,
                verify_checksums=verify_checksums,
            )
            host.use_offload(offload)
            return host

        node = Node(name, make, self.observer, application, len(self._nodes), self._running.rung)
        self._nodes[node.host] = node
        self._named[name] = node
        self._carrier.nodes.update(dict.fromkeys(own, node))
        return node.host

    def _unused(self, interfaces: tuple[addresses.Address, ...]) -> list[bytes]:
        """Octets of addresses that no other host has. Raises ArgumentError."""
        own = [addresses.parse_interface(interface, "interfaces").address for interface in interfaces]
        for text, octets in zip(interfaces, own, strict=True):
            if octets in self._carrier.nodes or own.count(octets) > 1:
                raise ArgumentError("interfaces", text, "addresses that no other host of this world has")
        return own

    def _next_free(self) -> tuple[str, str]:
        """Next addresses for a host without given addresses."""
        while True:
            self._given += 1
            four, six = str(_FIRST_4 + self._given), str(_FIRST_6 + self._given)
            # Old programs take addresses that end in .0 for a network, and in .255 for a broadcast
            is_plain = self._given & 255 not in (0, 255)
            if is_plain and not any(addresses.parse(text) in self._carrier.nodes for text in (four, six)):
                return f"{four}/8", f"{six}/64"

    def front(
        self,
        host: Host,
        stack: Stack,
        *,
        on_crash: Callable[[], None] | None = None,
        hears_later: bool = False,
    ) -> None:
        """Let ``stack`` stand between the network and ``host``.

        ``stack`` is called instead of the host, and passes on to the host what it chooses. ``on_crash()`` is
        called when ``host`` crashes; ``stack`` is then no longer called. A `Witness` learns that a
        packet arrived when ``stack`` gets the packet; with ``hears_later`` it learns that when ``stack``
        calls `hears`. Raises ArgumentError.
        """
        node = self._one(host)
        if node.is_crashed:
            raise ArgumentError("host", node.name, "a host that is not down: restart it first")
        node.front(stack, on_crash, hears_later=hears_later)
        self._running.watch(node)

    def hears(self, octets: bytes) -> None:
        """Tell the `Witness` that a host is about to be given this packet."""
        self._running.hears(octets)

    def application(self, host: Host, application: Application) -> None:
        """Pass the events of ``host`` to ``application`` from now on. Raises ArgumentError."""
        self._one(host).application = application

    def path(self, a: OneHost, b: OneHost, **settings: Unpack[PathSettings]) -> tuple[Path, Path]:
        """Join two hosts, with the same settings in both directions: those of `Path`.

        Returns both directions, the one from ``a`` first, so that you can make them different. Hosts that are
        joined already get a new path. Raises ArgumentError.
        """
        one, other = self._one(a), self._one(b)
        if one is other:
            raise ArgumentError("b", b, "another host than a: a host reaches itself without a path")
        return self._join(one, other, settings)

    def mesh(
        self, hosts: Hosts, others: Hosts | None = None, **settings: Unpack[PathSettings]
    ) -> list[tuple[Path, Path]]:
        """Join each of ``hosts`` with each of ``others``, or without ``others`` with each other.

        Returns the two directions of each pair, as `path` does. For the same path between any two of many
        hosts, `paths` is cheaper. Raises ArgumentError.
        """
        ones, seconds = self._chosen(hosts), self._chosen(hosts if others is None else others)
        pairs = {
            frozenset((one, other)): (one, other) for one in ones for other in seconds if one is not other
        }
        if not pairs:
            raise ArgumentError("hosts", hosts, "two different hosts at least")
        return [self._join(one, other, settings) for one, other in pairs.values()]

    def _join(self, one: Node, other: Node, settings: PathSettings) -> tuple[Path, Path]:
        return self._carrier.join(one, other, settings), self._carrier.join(other, one, settings)

    def paths(self, **settings: Unpack[PathSettings]) -> None:
        """Let any two hosts that no `path` joins have a path with these settings, from now on.

        The path is made when the first packet takes it. Raises ArgumentError.
        """
        Path(Random(0), **settings)  # checks the settings
        self._carrier.default = settings

    def attach(
        self,
        host: Host,
        link: Link,
        *,
        application: Application | None = None,
        ended: Callable[[LinkError], object] | None = None,
    ) -> Attachment:
        """Put ``host`` on ``link``, a `postel.links.Link` that calls `Link.notify` when packets arrive.

        The host's timers run by this world's clock from now on. The host may be any `Host`, or one of this
        world that has no paths; such a host keeps its application unless another is given. When the link
        ends, ``ended(error)`` is called; without ``ended``, `run` raises the `LinkError`. Raises
        ArgumentError.
        """
        require_free(host, link)
        node = self._nodes.get(host)
        if node is not None and (node.paths or any(node in other.paths for other in self._nodes.values())):
            raise ArgumentError("host", node.name, "a host without paths: a link takes their place")
        if application is None and node is not None:
            application = node.application
        host.join(link.mtu, f"{self.seed}/link {len(self._running.attachments)}".encode(), self.now)
        made = Attachment(self, host, link, application, ended)
        if node is not None:
            node.front(made, made.crashed, hears_later=True)
        self._running.attach(made)
        return made

    def name(self, host: Host) -> str:
        """Name of ``host`` in this world. Raises ArgumentError for a host of another world."""
        return self._one(host).name

    def at(self, when: Duration, call: Callable[[], object]) -> None:
        """Call ``call()`` when the clock reaches ``when``, after all entries of that time that exist already.

        Raises ArgumentError.
        """
        when = duration(when, "when")
        if not callable(call):
            raise ArgumentError("call", call, "something to call without arguments")
        self._agenda.put(max(when, self.now), None, b"", call)

    def next_timeout(self) -> int:
        """Time at which something may happen next, in microseconds.

        This is the present time while a host has packets or events, and NEVER if nothing will ever happen.
        """
        return self._running.next_timeout()

    def handle_timeout(self, now: int) -> None:
        """Let everything happen that is due at ``now``. Raises ArgumentError."""
        require_number("now", now, 0, NEVER, "microseconds as an int, 0 or more")
        self._running.handle_timeout(now)

    def run(self, until: Duration = NEVER, *, stop: Callable[[], bool] | None = None) -> int:
        """Let the clock jump until all is quiet, ``until`` is reached, or ``stop()`` is true after a step.

        Returns the time, in microseconds. Some hosts never fall silent: keep-alives and window probes go on
        for ever. Pass ``until`` for these. Raises ArgumentError.
        """
        until = duration(until, "until")
        return self._running.run(until, stop=stop)

    def pump(self) -> None:
        """Send the packets of all hosts, and pass their events to their applications.

        This is needed only after calls from outside `run`.
        """
        self._running.pump()
