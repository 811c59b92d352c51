"""Passive opens: listeners, and the two queues between a SYN and `Listener.accept`.

Theory of operation. A SYN makes a half-open connection in SYN-RECEIVED. The client's ACK ends the handshake,
and the connection waits in the accept queue ("ready") until the program takes it. ``backlog`` bounds each
queue::

    SYN ──► half-open                    ACK ──► ready ──► accept()
            SYN-RECEIVED                         ESTABLISHED, or earlier by TCP Fast Open
            many:      the SYN cache keeps       full:      SYNs, and the ACK of a handshake,
                       small records                        are dropped
            backlog:   SYN cookies keep nothing

A host with a full queue never answers with RST. To the client a full queue looks like a lost packet: the
connection stays half-open, sends its SYN,ACK again, and the client's next ACK succeeds when there is room
(EP-LIS-5).

A half-open or ready connection causes no event, except Acceptable of its listener. Its own events wait until
the program accepts the connection.
"""

from abc import ABC, abstractmethod
from collections import deque
from enum import Enum
from typing import Final

from postel.errors import AddressInUse, require_choice
from postel.host import timewait
from postel.host.eventqueue import EventQueue
from postel.host.pairs import is_at
from postel.host.ports import Ports
from postel.host.requests import ANSWERS, Answer, Request, Waiting
from postel.host.syncache import SynCache
from postel.tcp import half_open, hosted
from postel.tcp.authentication.keychain import Keychain
from postel.tcp.authentication.keys import Key
from postel.tcp.config import Config
from postel.tcp.connection import Connection
from postel.tcp.events import OPENED
from postel.tcp.fastopen import Pending
from postel.tcp.half_open import Remains
from postel.tcp.state import CLOSED
from postel.wire.address import Endpoint
from postel.wire.segment import ACK, RST, SYN, Segment

_HANDSHAKE_BITS: Final = SYN | ACK | RST


class AnyPort(Enum):
    """Type of `ANY_PORT`: a value that no number can be mistaken for."""

    ANY_PORT = "every port"


ANY_PORT: Final = AnyPort.ANY_PORT  # for `Host.listen`: every port at which no other listener is
EVERY_PORT: Final = 0  # port of an ANY_PORT listener in `Listener.local`; no segment has it (EP-PRE-4)


class Answering(ABC):
    """Carries out a program's answers to the requests of listeners."""

    @abstractmethod
    def answer(self, listener: "Listener", request: Request, answer: Answer, now: int) -> None:
        """Carry out the answer to a request that has waited until now."""


class Listener:
    """A port at which the host accepts connections. `Host.listen` makes it.

    Events: Acceptable for each connection that becomes ready; Asked for each request, where the listener asks
    first.

    It has these attributes:
        local: the own endpoint; a wildcard address shows as ``0.0.0.0`` or ``::``, and ANY_PORT as port 0.
        backlog: how many half-open connections there may be, and how many may wait in `accept`; change it at
            any time.
        config: the options of the connections to come.
        keys: the keys of the connections to come, or None; replace them at any time.
        closed: whether `close` was called.
        context: for the program, which may store any object here.
        ready: the connections that wait in `accept`.
    """

    __slots__ = (
        "_answering",
        "_passive",
        "address",
        "backlog",
        "cached",
        "closed",
        "config",
        "context",
        "cookies_until",
        "fast_opens",
        "half_open",
        "keys",
        "latest_local",
        "local",
        "number",
        "ready",
        "requests",
    )

    def __init__(
        self,
        address: bytes,
        local: Endpoint,
        backlog: int,
        config: Config,
        keys: Keychain | None,
        passive: "Passive",
        number: int,
    ) -> None:
        """Make a listener of these tables; `Host.listen` does so."""
        self.address: bytes = address  # own address of the listener, b"" for all addresses
        self.local: Endpoint = local
        # Own endpoint of the latest connection; most connections share one object
        self.latest_local: Endpoint = local
        self.backlog: int = backlog
        self.config: Config = config
        self.keys: Keychain | None = keys  # keys of connections to come
        self.context: object = None
        self.closed: bool = False
        self.half_open: dict[bytes, HalfOpen] = {}  # half-open connections by key, in the order of `admit`
        self.number: int = number  # unique among all listeners that the host ever had
        self.cached: int = 0  # further half-open connections, which are records in the SYN cache
        self.ready: deque[Connection] = deque()
        self.cookies_until: int = 0  # until this time an ACK may bring a SYN cookie
        self.fast_opens: Pending = Pending()
        self.requests: Waiting | None = None  # None where the listener doesn't ask first
        self._answering: Answering | None = None
        self._passive = passive

    def __repr__(self) -> str:
        """Short text, such as ``<listener 10.0.0.1:80>``."""
        return f"<listener {self.local}{', closed' if self.closed else ''}>"

    @property
    def is_full(self) -> bool:
        """Whether as many connections wait in `accept` as ``backlog`` allows."""
        return len(self.ready) >= self.backlog

    @property
    def half_open_is_full(self) -> bool:
        """Whether as many handshakes are under way as ``backlog`` allows."""
        return len(self.half_open) + self.cached >= self.backlog

    def keys_of(self, remote: Endpoint) -> tuple[Key, ...]:
        """Keys with which this peer must sign; () where it need not."""
        return () if self.keys is None else self.keys.for_peer(remote.address)

    def accept(self) -> Connection | None:
        """Remove and return the connection that has been ready longest; None if none is ready.

        Events that the connection has had so far, such as Readable or Closed, follow in `Host.next_event`.
        """
        if not self.ready:
            return None
        connection = self.ready.popleft()
        self._passive.release(connection)
        return connection

    def ask_first(self, answering: Answering, within: int) -> None:
        """Let SYNs wait for the program's `answer`, each for ``within`` microseconds.

        `Host.listen` calls it.
        """
        self._answering = answering
        self.requests = self._passive.asking[self] = Waiting(self.backlog, within)

    def next_request(self) -> Request | None:
        """Return the oldest request that wasn't returned before; None where there is none.

        The request then waits for `answer`.
        """
        return None if self.requests is None else self.requests.next()

    def answer(self, request: Request, answer: Answer, now: int) -> bool:
        """Answer a request that `next_request` returned, at once or later.

        ``answer`` is one of these:

        - "accept": the handshake goes on as without asking, with a half-open connection, or with a SYN cookie
          where the backlog is full. Where the accept queue is full, the client's next SYN goes on without a
          new request. The event Acceptable follows.
        - "refuse": the client gets a RST.
        - "unreachable", "no-network", "prohibited": the client gets an ICMP error.
        - "ignore": the client gets nothing.

        Returns False where the request no longer waits; the answer then has no effect. Raises ArgumentError.
        """
        require_choice("answer", answer, ANSWERS)
        if self.requests is None or self._answering is None or not self.requests.has(request):
            return False
        if answer == "accept":
            self.requests.accept(request, now)
        else:
            self.requests.discard(request.key)
        self._answering.answer(self, request, answer, now)
        return True

    def close(self, now: int) -> None:
        """Stop listening.

        Half-open connections are forgotten, and ready ones that weren't accepted are aborted.

        ``now`` is the time in microseconds. Accepted connections go on.
        """
        if self.closed:
            return
        self.closed = True
        self._passive.remove(self, now)
        self.ready.clear()
        if self.requests is not None:
            self.requests.clear()


class HalfOpen:
    """A listener's connection in SYN-RECEIVED, with its SYN, its time of arrival and its predecessor.

    It has these attributes:
        child: the connection.
        syn: its SYN, or None where the connection can't be made again from the SYN.
        predecessor: the record of TIME-WAIT that the SYN ended, or None. It comes back if the handshake fails
            (EP-TW-8).
        arrived: when the SYN arrived, in microseconds.
    """

    __slots__ = ("arrived", "child", "key", "listener", "predecessor", "syn")

    def __init__(
        self,
        key: bytes,
        child: Connection,
        listener: Listener,
        predecessor: timewait.TimeWaitRecord | None,
        syn: Segment | None,
        arrived: int,
    ) -> None:
        """Make an entry for the connection ``child``."""
        self.key: bytes = key
        self.child: Connection = child
        self.listener: Listener = listener
        self.predecessor: timewait.TimeWaitRecord | None = predecessor
        self.syn: Segment | None = syn
        self.arrived: int = arrived

    @property
    def may_be_cached(self) -> bool:
        """Whether the connection can become a record of the SYN cache."""
        return self.syn is not None and half_open.can_be_restored(self.child)

    def must_wait(self, segment: Segment) -> bool:
        """Whether this segment would end the handshake while the accept queue is full (BAD-FLOOD-4)."""
        return self.listener.is_full and segment.flags & _HANDSHAKE_BITS == ACK


class Passive:
    """All listeners of a host, and their half-open connections."""

    __slots__ = (
        "_catching",
        "_ephemeral",
        "_listeners",
        "_numbered",
        "_ports",
        "_serial",
        "_silent",
        "asking",
        "cache",
        "crowded",
        "events",
        "half_open",
    )

    def __init__(self, events: EventQueue[Connection], ephemeral: Ports) -> None:
        """Begin without listeners."""
        self.events: EventQueue[Connection] = events
        self._ephemeral = ephemeral
        self.half_open: dict[bytes, HalfOpen] = {}
        self.cache: SynCache = SynCache()
        self.asking: dict[Listener, Waiting] = {}  # listeners that ask first
        self.crowded: set[Listener] = set()  # listeners with a full accept queue (`Host.crowded`)
        self._listeners: dict[tuple[bytes, int], Listener] = {}
        self._numbered: dict[int, Listener] = {}
        self._serial = 0
        self._catching = 0  # number of ANY_PORT listeners
        self._ports: dict[int, int] = {}  # number of listeners at each port
        # Half-open or ready connections: their events wait until the program accepts them
        self._silent: set[Connection] = set()

    def open(
        self, address: bytes, local: Endpoint, backlog: int, config: Config, keys: Keychain | None = None
    ) -> Listener:
        """Make a listener. Raises AddressInUse where another has the same address and port."""
        key = (address, local.port)
        if key in self._listeners:
            raise AddressInUse(f"a listener is at {local} already")
        self._serial += 1
        listener = Listener(address, local, backlog, config, keys, self, self._serial)
        self._listeners[key] = self._numbered[listener.number] = listener
        if local.port == EVERY_PORT:
            self._catching += 1
        else:
            self._ports[local.port] = self._ports.get(local.port, 0) + 1
        return listener

    def find(self, address: bytes, port: int) -> Listener | None:
        """EP-DMX-1: listener for a SYN to this endpoint, or None.

        A listener at the exact port goes before a listener to every port. Among these, one at the exact
        address goes before one at a wildcard address.
        """
        listener = self._at(address, port)
        return self._at(address, EVERY_PORT) if listener is None and self._catching else listener

    def _at(self, address: bytes, port: int) -> Listener | None:
        listeners = self._listeners
        return (
            listeners.get((address, port))
            or listeners.get((bytes(len(address)), port))
            or listeners.get((b"", port))
        )  # fmt: skip

    def offers(self, port: int) -> bool:
        """RFC6056-3.2: whether a listener has this port, so that it isn't used as an ephemeral port."""
        return port in self._ports

    def ports(self) -> list[int]:
        """Ports for which `offers` is true."""
        return list(self._ports)

    def admit(self, entry: HalfOpen) -> None:
        """Add a half-open connection."""
        self.half_open[entry.key] = entry
        entry.listener.half_open[entry.key] = entry
        self._silent.add(entry.child)

    def drop(self, entry: HalfOpen) -> None:
        """Forget a half-open connection that has ended. The program gets none of its events."""
        self._leave(entry)
        self._silent.discard(entry.child)
        hosted.forget_events(entry.child)

    def keep(self, entry: HalfOpen) -> None:
        """Replace a half-open connection that `may_be_cached` by a record in the SYN cache.

        The record takes a tenth of the connection's memory. A segment or a timer makes the record a
        connection again.
        """
        listener, syn = entry.listener, entry.syn
        if syn is None:
            return
        self.cache.keep(entry.key, listener.number, half_open.remains_of(entry.child, syn, entry.arrived))
        self._leave(entry)
        self._silent.discard(entry.child)
        listener.cached += 1

    def claim(self, key: bytes) -> tuple[Listener, Remains]:
        """Remove a record from the SYN cache, and return its listener and the record."""
        number, remains = self.cache.claim(key)
        listener = self._numbered[number]
        listener.cached -= 1
        return listener, remains

    def count(self) -> int:
        """Number of half-open connections, records included."""
        return len(self.half_open) + len(self.cache)

    def has(self, key: bytes) -> bool:
        """Whether the pair with this key is half-open."""
        return key in self.half_open or key in self.cache

    def make_ready(self, entry: HalfOpen) -> None:
        """Move a connection from half-open to its listener's accept queue."""
        self._leave(entry)
        entry.listener.ready.append(entry.child)
        if entry.listener.is_full:
            self.crowded.add(entry.listener)

    def is_silent(self, connection: Connection) -> bool:
        """Whether the events of this connection wait until the program accepts it."""
        return connection in self._silent

    def release(self, connection: Connection) -> None:
        """Queue the events of a connection that the program accepts.

        Opened isn't queued, because Acceptable has reported the connection already.
        """
        if connection.state is CLOSED:
            hosted.let_text_go(connection)
        self._silent.discard(connection)
        event = connection.next_event()
        while event is not None:
            if event is not OPENED:
                self.events.put(connection, event)
            event = connection.next_event()

    def remove(self, listener: Listener, now: int) -> None:
        """Forget a listener that is closed, with its half-open and ready connections."""
        del self._listeners[listener.address, listener.local.port]
        del self._numbered[listener.number]
        self.crowded.discard(listener)
        self.asking.pop(listener, None)
        self._leave_port(listener.local.port)
        for entry in list(listener.half_open.values()):
            hosted.discard(entry.child, None, now)
            self.drop(entry)
        if listener.cached:
            self.cache.forget(listener.number)
        for connection in listener.ready:
            if connection.state is not CLOSED:
                connection.abort(now)
            connection.release(now)  # frees the memory of received data
            hosted.forget_events(connection)
            self._silent.discard(connection)

    def next_request_expires(self) -> int:
        """Time in microseconds at which the first request expires. At least one listener asks first."""
        return min([waiting.next_timeout() for waiting in self.asking.values()])

    def expire_requests(self, now: int) -> list[Request]:
        """Forget the requests that have expired by ``now``. Returns those that had no answer."""
        return [request for waiting in self.asking.values() for request in waiting.expire(now)]

    def leave(self, address: bytes, now: int) -> list[Connection]:
        """Forget half-open connections and requests to an address that the host has lost.

        Returns the connections that ended; records of the SYN cache aren't among them.
        """
        entries = [entry for entry in self.half_open.values() if entry.child.local.address == address]
        for entry in entries:
            hosted.discard(entry.child, None, now)
            self.drop(entry)
        for key in [key for key in self.cache if is_at(key, address)]:
            self.claim(key)
        for waiting in self.asking.values():
            waiting.leave(address)
        return [entry.child for entry in entries]

    def _leave_port(self, port: int) -> None:
        if port == EVERY_PORT:
            self._catching -= 1
            return
        self._ports[port] -= 1
        if self._ports[port] == 0:
            del self._ports[port]
            self._ephemeral.free_everywhere(port)

    def _leave(self, entry: HalfOpen) -> None:
        del self.half_open[entry.key]
        del entry.listener.half_open[entry.key]
