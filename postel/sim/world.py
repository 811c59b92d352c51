"""Hosts, paths and a clock that jumps: a network in virtual time, the same for the same seed. 2MSL passes in microseconds.

`World` is what users call. Its parts: `agenda` (the clock, and what will happen), `running` (the pump), `carrier` (what becomes of
packets), `node` (a host in its place), `witness` (the observer).
"""

from collections.abc import Callable
from random import Random
from typing import Final

from postel.errors import ArgumentError, LinkError, require_kind, require_number
from postel.host import orphans
from postel.host.host import Host
from postel.links.contract import Link
from postel.links.course import QUEUE
from postel.links.junction import require_free
from postel.sim.agenda import Agenda
from postel.sim.attachment import Application, Attachment
from postel.sim.carrier import Carrier
from postel.sim.node import Node
from postel.sim.path import Path
from postel.sim.rules import Rule
from postel.sim.running import Running
from postel.sim.stand_in import Stack
from postel.sim.witness import Witness
from postel.tcp.config import DEFAULT, Config
from postel.tcp.observer import Observer
from postel.times import MILLISECOND, NEVER
from postel.wire import address as addresses

_MEMORY: Final = 256 << 20
_LEAST_MTU: Final = 68  # RFC 791, 3.2


class World:
    """A network of hosts in virtual time.

    ``seed`` decides everything that chance decides: the hosts' secrets and every path's dice. ``observer`` watches all hosts; a `Witness`
    is also told of packets under way. An ``application``, given with its host, is called with each of the host's events:
    ``application(subject, event, now)``.

    The world may be changed while it runs, by an application, a rule or a call of `at`: hosts, paths and `rules` added, removed or
    replaced, and every setting of a `Path` assigned (``there.loss = 0.5``). A change holds for packets that leave from then on; those
    under way arrive as they were sent.
    """

    def __init__(self, seed: int = 0, *, observer: Observer | None = None) -> None:
        require_kind("observer", observer, (Observer, type(None)), "an Observer, such as a Witness, or None")
        self.seed = seed
        self.observer = observer
        witness = observer if isinstance(observer, Witness) else None
        self._agenda = Agenda()
        self._carrier = Carrier(self._agenda, witness)
        self._running = Running(self._agenda, self._carrier, witness)
        self._nodes = self._running.nodes

    @property
    def now(self) -> int:
        """The time of the world's clock, in microseconds from its beginning."""
        return self._agenda.now

    @property
    def packets(self) -> int:
        """How many packets left a host: the number of the last."""
        return self._carrier.packets

    @property
    def rules(self) -> list[Rule]:
        """The rules that are asked for each packet, in this order (`postel.sim.rules`)."""
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
        """A new host, with addresses such as "10.0.0.1/24" and "fd00::1/64". With ``offload`` it makes segments of packets of up to so many
        octets (`Host.use_offload`), which are cut before they take to the path."""
        if any(node.name == name for node in self._nodes.values()):
            raise ArgumentError("name", name, "one that no other host of this world has")
        require_kind("name", name, str, "text")
        if application is not None and not callable(application):
            raise ArgumentError("application", application, "something to call with subject, event and time, or None")
        own = [addresses.parse_interface(interface, "interfaces").address for interface in interfaces]
        for text, octets in zip(interfaces, own, strict=True):
            if octets in self._carrier.nodes or own.count(octets) > 1:
                raise ArgumentError("interfaces", text, "addresses that no other host of this world has")

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
            require_number("offload", offload, mtu if offload else 0, 65535, f"0, or the MTU ({mtu}) to 65535 octets")
            host.use_offload(offload)
            return host

        node = Node(name, make, self.observer, application)
        self._nodes[node.host] = node
        self._carrier.nodes.update(dict.fromkeys(own, node))
        return node.host

    def restart(self, host: Host) -> Host:
        """Crash ``host`` and start another in its place, with the same addresses, secret and application, that knows of no connection.

        The old host ends as in a power failure: it sends nothing more, and the observer hears nothing more of it. What stood in front of
        it (`front`) is told; a network that drove it in a loop (`postel.sim.loop.Loop.attach`) is broken, so that its program gets a
        `LinkError`. Attach the new host to go on. May be called by an application, a rule or `at`, while the world runs.
        """
        node = self._node(host)
        del self._nodes[host]
        node.restart()
        self._nodes[node.host] = node
        return node.host

    def front(self, host: Host, stack: Stack, *, on_crash: Callable[[], None] | None = None, hears_later: bool = False) -> None:
        """Let ``stack`` stand between the network and ``host``: it is called in the host's place, and passes on what it
        likes. ``on_crash()`` is called when ``host`` is restarted; then ``stack`` is in front of nothing. A `Witness` is
        told that a packet arrived when ``stack`` gets it; with ``hears_later`` it is told when ``stack`` calls `hears`."""
        self._node(host).front(stack, on_crash, hears_later=hears_later)

    def hears(self, octets: bytes) -> None:
        """A host is about to be given this packet: tell the `Witness`."""
        self._running.hears(octets)

    def application(self, host: Host, application: Application) -> None:
        """Let ``application`` have the events of ``host`` from now on."""
        self._node(host).application = application

    def path(
        self,
        a: Host,
        b: Host,
        *,
        delay: int = 10 * MILLISECOND,
        jitter: int = 0,
        bandwidth: int = 0,
        queue: int = QUEUE,
        mtu: int = 0,
        is_black_hole: bool = False,
        loss: float = 0.0,
        duplicate: float = 0.0,
        corrupt: float = 0.0,
        reorder: float = 0.0,
        hold: int = 20 * MILLISECOND,
        congestion: float = 0.0,
        congested_at: int = 0,
    ) -> tuple[Path, Path]:
        """Join two hosts, both ways alike; the two directions, for making them differ. See `Path` for the settings."""
        one, other = self._node(a), self._node(b)
        for sender, receiver in ((one, other), (other, one)):
            sender.paths[receiver] = Path(
                Random(f"{self.seed}/{sender.name}/{receiver.name}"),
                delay=delay,
                jitter=jitter,
                bandwidth=bandwidth,
                queue=queue,
                mtu=mtu,
                is_black_hole=is_black_hole,
                loss=loss,
                duplicate=duplicate,
                corrupt=corrupt,
                reorder=reorder,
                hold=hold,
                congestion=congestion,
                congested_at=congested_at,
            )
        return one.paths[other], other.paths[one]

    def attach(
        self,
        host: Host,
        link: Link,
        *,
        application: Application | None = None,
        ended: Callable[[LinkError], object] | None = None,
    ) -> Attachment:
        """Put ``host`` on ``link``: a `postel.links.Link` that calls `notify`. Its timers run by this world's clock from now on.

        The host may be one of this world that has no paths, which keeps its application unless another is given, or any other `Host`.
        At the link's end ``ended(error)`` is called; without it, the `LinkError` is raised out of `run`. Raises ArgumentError.
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
        running = self._running
        running.attachments = [*(other for other in running.attachments if other.error is None), made]
        return made

    def name(self, host: Host) -> str:
        """The name that `host` gave it. Raises ArgumentError for a host of another world."""
        return self._node(host).name

    def at(self, when: int, call: Callable[[], object]) -> None:
        """Call ``call()`` when the clock stands at ``when``, after what is already due then. Raises ArgumentError."""
        _require_time("when", when)
        if not callable(call):
            raise ArgumentError("call", call, "something to call without arguments")
        self._agenda.put(max(when, self.now), None, b"", call)

    def next_timeout(self) -> int:
        """When something may happen next: now, while a host has something to send or to tell; NEVER when all is quiet for good."""
        return self._running.next_timeout()

    def handle_timeout(self, now: int) -> None:
        """Let everything happen that is due at ``now``."""
        self._running.handle_timeout(now)

    def run(self, until: int = NEVER, *, stop: Callable[[], bool] | None = None) -> int:
        """Let the clock jump until all is quiet, ``until`` is reached, or ``stop()`` is true after something happened. Returns the time.

        Beware of hosts that never fall silent: keep-alives and persist probes go on for ever, as they must. Raises ArgumentError.
        """
        _require_time("until", until)
        return self._running.run(until, stop=stop)

    def pump(self) -> None:
        """Send what the hosts have to send, and tell the applications; needed only after calls from outside `run`."""
        self._running.pump()

    def _node(self, host: Host) -> Node:
        node = self._nodes.get(host)
        if node is None:
            raise ArgumentError("host", host, "one that this world made")
        return node


def _require_time(name: str, when: object) -> None:
    if not isinstance(when, int) or isinstance(when, bool):
        raise ArgumentError(name, when, "microseconds, an int")
