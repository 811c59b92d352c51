"""Passive opens: the listeners, and the two queues between a SYN and `accept`.

::

    SYN ──► half-open ──► ready ──► accept()
            SYN-RECEIVED  ESTABLISHED, or fast open
            many: SYN     full: SYNs and the ACK of a handshake are dropped, so the child
            cache         stays half-open, sends its SYN,ACK again and gets in later
            full: SYN
            cookies

A full queue never answers with RST: to the peer it is a lost packet, and it tries again (EP-LIS-5).
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
    """Its one value stands where a port is asked for, and no number can be mistaken for it."""

    ANY_PORT = "every port"


ANY_PORT: Final = AnyPort.ANY_PORT  # for `Host.listen`: every port at which no other listener is
EVERY_PORT: Final = 0  # how the port of such a listener shows itself; no segment has it (EP-PRE-4)


class Answering(ABC):
    """Where listeners bring a program's answers."""

    @abstractmethod
    def answer(self, listener: "Listener", request: Request, answer: Answer, now: int) -> None:
        """Do what the program says of a request that waited until now."""


class Listener:
    """Made by `Host.listen`. Events: Acceptable where connections have become ready, Asked where requests
    have come.
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
        self.address: bytes = address  # b"" listens to all of them
        self.local: Endpoint = local
        self.latest_local: Endpoint = local  # of its connections, which mostly share it
        self.backlog: int = backlog
        self.config: Config = config
        self.keys: Keychain | None = keys  # for connections to come; replace it at any time
        self.context: object = None
        self.closed: bool = False
        self.half_open: dict[bytes, HalfOpen] = {}  # the oldest first
        self.number: int = number  # which no other listener of the host has or had
        self.cached: int = 0  # how many more are in the SYN cache
        self.ready: deque[Connection] = deque()
        self.cookies_until: int = 0  # an ACK may bring back a SYN cookie until then
        self.fast_opens: Pending = Pending()
        self.requests: Waiting | None = None  # of a listener that asks first
        self._answering: Answering | None = None
        self._passive = passive

    def __repr__(self) -> str:
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
        """The keys that a peer must sign with; () for none."""
        return () if self.keys is None else self.keys.for_peer(remote.address)

    def accept(self) -> Connection | None:
        """The connection that has been ready longest, None where none is. What happened to it meanwhile comes
        as its events.
        """
        if not self.ready:
            return None
        connection = self.ready.popleft()
        self._passive.release(connection)
        return connection

    def ask_first(self, answering: Answering, within: int) -> None:
        """For `Host.listen`: SYNs wait for `answer`, for ``within`` microseconds."""
        self._answering = answering
        self.requests = self._passive.asking[self] = Waiting(self.backlog, within)

    def next_request(self) -> Request | None:
        """The oldest request that wasn't given yet; None where there is none. It waits for `answer`."""
        return None if self.requests is None else self.requests.next()

    def answer(self, request: Request, answer: Answer, now: int) -> bool:
        """Say what becomes of a request, at once or later. False: it no longer waited, and nothing came of
        the answer.

        "accept" goes on with the handshake, as without asking: by a half-open connection, or by a SYN cookie
        where the backlog is full; where the accept queue is full the client's next SYN goes on without asking
        again. Acceptable follows. Raises ArgumentError.
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
        """Listen no longer. Half-open connections vanish; those that weren't accepted are aborted."""
        if self.closed:
            return
        self.closed = True
        self._passive.remove(self, now)
        self.ready.clear()
        if self.requests is not None:
            self.requests.clear()


class HalfOpen:
    """A child in SYN-RECEIVED, and when its SYN ``arrived``.

    ``syn`` is that SYN, None where the child can't be made again from it; ``predecessor`` is the TIME-WAIT of
    its pair that the SYN ended (EP-TW-8).
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
        self.key: bytes = key
        self.child: Connection = child
        self.listener: Listener = listener
        self.predecessor: timewait.TimeWaitRecord | None = predecessor
        self.syn: Segment | None = syn
        self.arrived: int = arrived

    @property
    def may_be_cached(self) -> bool:
        """Whether the SYN cache can have the child."""
        return self.syn is not None and half_open.can_be_restored(self.child)

    def must_wait(self, segment: Segment) -> bool:
        """Whether this segment would complete the handshake, and there is no room for one more
        (BAD-FLOOD-4).
        """
        return self.listener.is_full and segment.flags & _HANDSHAKE_BITS == ACK


class Passive:
    """All listeners of a host and their half-open children."""

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
        self.events: EventQueue[Connection] = events
        self._ephemeral = ephemeral
        self.half_open: dict[bytes, HalfOpen] = {}
        self.cache: SynCache = SynCache()
        self.asking: dict[Listener, Waiting] = {}  # listeners that ask first
        self.crowded: set[Listener] = set()  # `Host.crowded`
        self._listeners: dict[tuple[bytes, int], Listener] = {}
        self._numbered: dict[int, Listener] = {}
        self._serial = 0
        self._catching = 0  # listeners to every port
        self._ports: dict[int, int] = {}  # how many listen to each
        self._silent: set[Connection] = set()  # half-open or ready: their events aren't told yet

    def open(
        self, address: bytes, local: Endpoint, backlog: int, config: Config, keys: Keychain | None = None
    ) -> Listener:
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
        """EP-DMX-1: the exact port before every port, and of each the exact address before the wildcards."""
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
        """RFC6056-3.2: a port with a listener is no ephemeral one."""
        return port in self._ports

    def ports(self) -> list[int]:
        """Those that `offers` answers True for."""
        return list(self._ports)

    def admit(self, entry: HalfOpen) -> None:
        self.half_open[entry.key] = entry
        entry.listener.half_open[entry.key] = entry
        self._silent.add(entry.child)

    def drop(self, entry: HalfOpen) -> None:
        """Forget a child after its attempt has ended. No event has told of it."""
        self._leave(entry)
        self._silent.discard(entry.child)
        hosted.forget_events(entry.child)

    def keep(self, entry: HalfOpen) -> None:
        """Move a child that `may_be_cached` to the SYN cache: a tenth of the memory, until a segment or its
        timer needs it.
        """
        listener, syn = entry.listener, entry.syn
        if syn is None:
            return
        self.cache.keep(entry.key, listener.number, half_open.remains_of(entry.child, syn, entry.arrived))
        self._leave(entry)
        self._silent.discard(entry.child)
        listener.cached += 1

    def claim(self, key: bytes) -> tuple[Listener, Remains]:
        """Take a half-open connection out of the cache: its listener, and what to restore it from."""
        number, remains = self.cache.claim(key)
        listener = self._numbered[number]
        listener.cached -= 1
        return listener, remains

    def count(self) -> int:
        return len(self.half_open) + len(self.cache)

    def has(self, key: bytes) -> bool:
        return key in self.half_open or key in self.cache

    def make_ready(self, entry: HalfOpen) -> None:
        self._leave(entry)
        entry.listener.ready.append(entry.child)
        if entry.listener.is_full:
            self.crowded.add(entry.listener)

    def is_silent(self, connection: Connection) -> bool:
        return connection in self._silent

    def release(self, connection: Connection) -> None:
        """A program accepts the connection: tell its events, those that waited too. Not Opened, for
        Acceptable told that.
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
            connection.release(now)  # of what it received
            hosted.forget_events(connection)
            self._silent.discard(connection)

    def next_request_expires(self) -> int:
        return min([waiting.next_timeout() for waiting in self.asking.values()])

    def expire_requests(self, now: int) -> list[Request]:
        """Forget requests that have waited for as long as they may. Those that got no answer."""
        return [request for waiting in self.asking.values() for request in waiting.expire(now)]

    def leave(self, address: bytes, now: int) -> list[Connection]:
        """The host has lost this address: half-open connections to it, which end, and what is in the cache or
        asked goes with it.
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
