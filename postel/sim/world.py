"""Hosts, paths and a clock that jumps: a network in virtual time, the same for the same seed.

Everything that will happen waits in one heap: arrivals, timers and the user's own calls, ordered by time and then by when they were put
there. Between two of them nothing can happen, so the clock jumps; 2MSL passes in microseconds.
"""

from collections.abc import Callable
from heapq import heappop, heappush
from random import Random
from typing import Final

from postel.errors import ArgumentError, LinkError, require_kind, require_number
from postel.host import orphans
from postel.host.host import Host
from postel.links.contract import Link
from postel.links.course import QUEUE
from postel.links.junction import require_free
from postel.links.observer import PacketObserver
from postel.sim.attachment import Application, Attachment
from postel.sim.path import Path
from postel.sim.rules import BY_PATH, PASS, Rule, Verdict
from postel.sim.stand_in import Stack
from postel.tcp.config import DEFAULT, Config
from postel.tcp.observer import Decision, Observer, TimerName
from postel.tcp.state import State
from postel.times import MILLISECOND, NEVER
from postel.wire import address as addresses
from postel.wire import icmp, ip
from postel.wire.address import Endpoint
from postel.wire.segment import Segment

_MEMORY: Final = 256 << 20
_LEAST_MTU: Final = 68  # RFC 791, 3.2


class Witness(Observer, PacketObserver):
    """An observer of all hosts of a world, of their packets, and of what becomes of packets between hosts.

    When a packet leaves a host, `packet_sent` is called, and `carried` or `lost` at once after it. When the host at the
    other end hears the packet, `packet_arrived` is called, and what that host makes of it follows.
    """

    def carried(self, sender: str, receiver: str, octets: bytes, sent_at: int, arrives_at: int, delivered: bytes) -> None:
        """A packet is on its way, told once for each copy; ``delivered`` differs from ``octets`` when it is damaged on the way."""

    def lost(self, sender: str, receiver: str, octets: bytes, sent_at: int, why: str) -> None:
        """A packet won't arrive: "loss", "queue full", "too big", "no route"."""


class _Voice(Observer):
    """Passes what one host tells to the world's observer, until that host has crashed."""

    def __init__(self, listener: Observer) -> None:
        self._listener: Observer | None = listener

    def fall_silent(self) -> None:
        self._listener = None

    def state_changed(self, local: Endpoint, remote: Endpoint, before: State, after: State, now: int) -> None:
        if self._listener is not None:
            self._listener.state_changed(local, remote, before, after, now)

    def segment_sent(self, local: Endpoint, remote: Endpoint, segment: Segment, now: int) -> None:
        if self._listener is not None:
            self._listener.segment_sent(local, remote, segment, now)

    def segment_arrived(self, local: Endpoint, remote: Endpoint, segment: Segment, now: int) -> None:
        if self._listener is not None:
            self._listener.segment_arrived(local, remote, segment, now)

    def timer_expired(self, local: Endpoint, remote: Endpoint, timer: TimerName, now: int) -> None:
        if self._listener is not None:
            self._listener.timer_expired(local, remote, timer, now)

    def decided(self, local: Endpoint, remote: Endpoint, decision: Decision, now: int) -> None:
        if self._listener is not None:
            self._listener.decided(local, remote, decision, now)

    def peer_erred(self, local: Endpoint, remote: Endpoint, error: str, now: int) -> None:
        if self._listener is not None:
            self._listener.peer_erred(local, remote, error, now)

    def packet_dropped(self, reason: str, octets: bytes, now: int) -> None:
        if self._listener is not None:
            self._listener.packet_dropped(reason, octets, now)


class _Node:
    """A host in its place. ``stack`` is what the network sees there: the host, or what stands in front of it. ``make`` makes another host
    like it, with the observer that it is given."""

    def __init__(
        self, name: str, make: Callable[[Observer | None], Host], observer: Observer | None, application: Application | None
    ) -> None:
        self.name = name
        self.application = application
        self._make = make
        self._observer = observer
        self._on_crash: Callable[[], None] | None = None
        self._start()
        self.paths: dict[_Node, Path] = {}
        self.armed = NEVER  # the earliest wake-up for it that lies in the heap

    def _start(self) -> None:
        self._voice = None if self._observer is None else _Voice(self._observer)
        self.host = self._make(self._voice)
        self.stack: Stack = self.host
        self.hears_later = False  # `stack` tells by itself when the host hears a packet

    def restart(self) -> None:
        """The host is gone without a word; another like it starts."""
        if self._voice is not None:
            self._voice.fall_silent()
        on_crash, self._on_crash = self._on_crash, None
        self._start()
        self.armed = NEVER
        if on_crash is not None:
            on_crash()

    def front(self, stack: Stack, on_crash: Callable[[], None] | None, *, hears_later: bool) -> None:
        self.stack = stack
        self.hears_later = hears_later
        self._on_crash = on_crash


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
        self.now: int = 0
        self.rules: list[Rule] = []
        self.packets: int = 0  # how many left a host: the number of the last
        self.observer = observer
        self._witness = observer if isinstance(observer, Witness) else None
        self._nodes: dict[Host, _Node] = {}
        self._by_address: dict[bytes, _Node] = {}
        self._heap: list[tuple[int, int, _Node | None, bytes, Callable[[], object] | None]] = []
        self._order = 0
        self._attachments: list[Attachment] = []

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
            if octets in self._by_address or own.count(octets) > 1:
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

        node = _Node(name, make, self.observer, application)
        self._nodes[node.host] = node
        self._by_address.update(dict.fromkeys(own, node))
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
        if self._witness is not None:
            self._witness.packet_arrived(octets, self.now)

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
        host.join(link.mtu, f"{self.seed}/link {len(self._attachments)}".encode(), self.now)
        made = Attachment(self, host, link, application, ended)
        if node is not None:
            node.front(made, made.crashed, hears_later=True)
        self._attachments = [*(other for other in self._attachments if other.error is None), made]
        return made

    def name(self, host: Host) -> str:
        """The name that `host` gave it. Raises ArgumentError for a host of another world."""
        return self._node(host).name

    def at(self, when: int, call: Callable[[], object]) -> None:
        """Call ``call()`` when the clock stands at ``when``, after what is already due then. Raises ArgumentError."""
        _require_time("when", when)
        if not callable(call):
            raise ArgumentError("call", call, "something to call without arguments")
        self._put(max(when, self.now), None, b"", call)

    def next_timeout(self) -> int:
        """When something may happen next: now, while a host has something to send or to tell; NEVER when all is quiet for good."""
        if any(node.stack is node.host and node.host.has_output for node in self._nodes.values()):
            return self.now
        if any(attachment.has_output for attachment in self._attachments):
            return self.now
        return self._heap[0][0] if self._heap else NEVER

    def handle_timeout(self, now: int) -> None:
        """Let everything happen that is due at ``now``."""
        self.pump()
        while self._heap and self._heap[0][0] <= now:
            self._step()
        self.now = max(self.now, now)

    def run(self, until: int = NEVER, *, stop: Callable[[], bool] | None = None) -> int:
        """Let the clock jump until all is quiet, ``until`` is reached, or ``stop()`` is true after something happened. Returns the time.

        Beware of hosts that never fall silent: keep-alives and persist probes go on for ever, as they must. Raises ArgumentError.
        """
        _require_time("until", until)
        self.pump()
        while self._heap and self._heap[0][0] <= until:
            self._step()
            if stop is not None and stop():
                return self.now
        if until != NEVER:
            self.now = max(self.now, until)
        return self.now

    def pump(self) -> None:
        """Send what the hosts have to send, and tell the applications; needed only after calls from outside `run`."""
        for node in tuple(self._nodes.values()):  # an application may add a host, or restart one
            self._pump(node)
        for attachment in self._attachments:
            attachment.turn()

    def _step(self) -> None:
        when, _, node, octets, call = heappop(self._heap)
        if call is not None:
            self.now = when
            call()
            self.pump()
        elif node is not None and octets:
            self.now = when
            if not node.hears_later:
                self.hears(octets)
            node.stack.packet_arrives(octets, when)
            self._pump(node)
        elif node is not None:
            self._wake(node, when)

    def _wake(self, node: _Node, when: int) -> None:
        """A timer that was moved since leaves its old entry in the heap: then nothing happens, and the clock stays."""
        node.armed = NEVER
        if node.stack.next_timeout() <= when:
            self.now = when
            node.stack.handle_timeout(when)
        self._pump(node)

    def _pump(self, node: _Node) -> None:
        now, busy = self.now, True
        while busy:
            busy = False
            while (octets := node.stack.next_packet(now)) is not None:
                self._send(node, octets)
            while (told := node.stack.next_event()) is not None:
                busy = True
                if node.application is not None:
                    node.application(told[0], told[1], now)  # after which another stack may stand here: the host was restarted
        deadline = node.stack.next_timeout()
        if deadline < node.armed:
            node.armed = max(deadline, now)
            self._put(node.armed, node)

    def _send(self, node: _Node, octets: bytes) -> None:
        self.packets += 1
        if self._witness is not None:
            self._witness.packet_sent(octets, self.now)
        verdict = self._verdict(octets, node.name)
        receiver = self._receiver(node, octets)
        if receiver is None:
            self._lose(node.name, "", octets, "no route")
            return
        path = node.paths[receiver]
        for piece in _pieces(octets, path.mtu) if verdict.after == BY_PATH else (octets,):
            self._carry(node, receiver, path, piece, verdict)

    def _carry(self, node: _Node, receiver: _Node, path: Path, octets: bytes, verdict: Verdict) -> None:
        why = path.admits(octets, self.now) if verdict.after == BY_PATH else ""
        if why:
            path.lost += 1
            self._lose(node.name, receiver.name, octets, why)
            if why == "too big" and not path.is_black_hole:
                self._answer_too_big(node, receiver, octets, path.mtu)
            return
        arrivals = path.carry(octets, self.now, verdict=verdict)
        if verdict.again != BY_PATH:
            arrivals.append((self.now + verdict.again, octets))
        if not arrivals:
            self._lose(node.name, receiver.name, octets, "loss")
        for when, delivered in arrivals:
            self._put(when, receiver, delivered)
            if self._witness is not None:
                self._witness.carried(node.name, receiver.name, octets, self.now, when, delivered)

    def _verdict(self, octets: bytes, sender: str) -> Verdict:
        for rule in self.rules:
            verdict = rule(self.packets, octets, sender, self.now)
            if verdict is not None:
                return verdict
        return PASS

    def _receiver(self, node: _Node, octets: bytes) -> _Node | None:
        """The host that has the destination; else the only neighbour, which may accept any address."""
        destination = octets[16:20] if octets[0] >> 4 == 4 else octets[24:40]
        receiver = self._by_address.get(destination)
        if receiver is not None:
            return receiver if receiver in node.paths else None
        for neighbour in node.paths:
            if destination in neighbour.host.routes.own:  # by `Host.add_address`
                return neighbour
        return next(iter(node.paths)) if len(node.paths) == 1 else None

    def _answer_too_big(self, node: _Node, receiver: _Node, octets: bytes, mtu: int) -> None:
        """As a router halfway would (RFC 1191, RFC 8201). It speaks with the receiver's address, for this world has no routers."""
        packet = ip.parse(octets)
        if packet.version == 4 and not packet.dont_fragment:
            return
        message = icmp.encode(icmp.packet_too_big(mtu, packet), packet.destination, packet.source)
        protocol = icmp.PROTOCOL_4 if packet.version == 4 else icmp.PROTOCOL_6
        answer = ip.encode(packet.destination, packet.source, protocol, message)
        self._put(self.now + node.paths[receiver].delay, node, answer)

    def _lose(self, sender: str, receiver: str, octets: bytes, why: str) -> None:
        if self._witness is not None:
            self._witness.lost(sender, receiver, octets, self.now, why)

    def _node(self, host: Host) -> _Node:
        node = self._nodes.get(host)
        if node is None:
            raise ArgumentError("host", host, "one that this world made")
        return node

    def _put(self, when: int, node: _Node | None, octets: bytes = b"", call: Callable[[], object] | None = None) -> None:
        """An arrival of ``octets``; without them a wake-up of the host; or a call of the user's."""
        self._order += 1
        heappush(self._heap, (when, self._order, node, octets, call))


def _require_time(name: str, when: object) -> None:
    if not isinstance(when, int) or isinstance(when, bool):
        raise ArgumentError(name, when, "microseconds, an int")


def _pieces(octets: bytes, mtu: int) -> tuple[bytes, ...] | list[bytes]:
    """The packet, or its fragments where a router of IPv4 would make them."""
    if octets[0] >> 4 != 4 or not _LEAST_MTU <= mtu < len(octets):
        return (octets,)
    packet = ip.parse(octets)
    if packet.dont_fragment or packet.is_fragment:
        return (octets,)
    return ip.fragments(
        packet.source,
        packet.destination,
        packet.protocol,
        packet.payload,
        mtu,
        hop_limit=packet.hop_limit,
        traffic_class=packet.traffic_class,
        identification=packet.identification,
    )
