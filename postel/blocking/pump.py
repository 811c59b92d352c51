"""The thread in which packets, octets, calls and time pass between a host, its link and the descriptors of
its sockets.
"""

import os
import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, Generic, ParamSpec, TypeVar, cast
from weakref import WeakSet

from postel.blocking.readiness import IN, Poller
from postel.errors import (
    CallError,
    ConnectionAborted,
    LinkDown,
    LinkError,
    NetworkUnreachable,
    renewed,
)
from postel.host.host import Host
from postel.links.contract import Link
from postel.links.exchange import Exchange
from postel.links.memory import EventBell, SocketBell
from postel.sockets.bindings import Bindings
from postel.sockets.lingering import LingeringConnections
from postel.tcp.connection import Connection
from postel.times import NEVER, SECOND

P = ParamSpec("P")
T = TypeVar("T")


class Channel(ABC):
    """What joins a socket of the host to a descriptor of the program. All methods are for the pump's thread.

    ``holder`` is what must exist for as long as the channel does.
    """

    holder: object = None

    @abstractmethod
    def ready(self, mask: int) -> None:
        """The pump's end of the socket pair is readable, writable or hung up."""

    @abstractmethod
    def network_closes(self, error: OSError) -> None:
        """The program closes its network. What the program has closed before may still end in peace; the rest
        ends with ``error``.
        """

    @abstractmethod
    def cut_off(self, error: OSError) -> None:
        """The network is at its end: the program's calls have this error from now on."""

    def look(self) -> None:
        """Find out what has become of it: after each turn, while this is in `PumpThread.lingering`, and when
        a copy was closed.
        """

    @abstractmethod
    def close_descriptors(self) -> None:
        """In a child process: give up the copies of the pump's descriptors."""


class PumpCall(Generic[T]):
    """A function that another thread wants to be called in the pump's."""

    __slots__ = ("_done", "_error", "_function", "_result")

    def __init__(self, function: Callable[[], T]) -> None:
        self._function = function
        self._done = threading.Lock()
        self._done.acquire()
        self._result: T | None = None
        self._error: BaseException | None = None

    def make(self) -> None:
        try:
            self._result = self._function()
        except BaseException as error:  # noqa: BLE001 - it is the caller's, whatever it is
            self._error = error
        self._done.release()

    def refuse(self, error: OSError) -> None:
        self._error = renewed(error)
        self._done.release()

    def result(self) -> T:
        self._done.acquire()
        if self._error is None:
            return cast(T, self._result)
        error, self._error = self._error, None
        try:
            raise error
        finally:
            del error  # or its traceback would hold itself


class PumpThread:
    """After packets, octets, a call or a timer the same turn: packets out and events, until neither comes;
    then it waits.

    The host is this thread's alone. `call` lets any other take part, and `look` makes the pump look soon.
    """

    def __init__(self, host: Host, link: Link) -> None:
        self._bell = EventBell() if hasattr(os, "eventfd") else SocketBell()
        self._bell_descriptor = self._bell.fileno()
        self.poller: Poller = Poller()
        self.host: Host = host
        self.bindings: Bindings = Bindings()
        self._channels: set[Channel] = set()
        self._lingering_connections = LingeringConnections()
        self.lingering: set[Channel] = set()  # of those a thread waits until all is delivered
        self._watched: dict[int, Channel] = {}
        self._calls: deque[PumpCall[Any]] = deque()
        self._gate = threading.Lock()  # held while a call is added, or the end is decided
        self._end: OSError | None = None  # why no call is taken any more
        self._deadline = NEVER  # when what still closes is cut off
        self._is_link_ready = True  # a packet may wait already
        self._latest = 0
        self._process = os.getpid()
        self.thread: threading.Thread = threading.Thread(
            target=self._run, name=f"postel {host!r}", daemon=True
        )
        try:
            self._watch_link(link.fileno())
            self._exchange = Exchange(host, link, self.now, self._link_is_ready, self._is_down)
        except BaseException:
            self._give_back()
            raise
        _PUMPS.add(self)

    def _watch_link(self, descriptor: int | None) -> None:
        self.poller.watch(self._bell_descriptor, IN)
        if descriptor is not None and descriptor >= 0:
            self.poller.watch(descriptor, IN)

    # Other threads

    def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What ``function`` returns or raises, called in the pump's thread."""
        if threading.current_thread() is self.thread:
            return function(*args, **kwargs)
        self.require_process()
        made: PumpCall[T] = PumpCall(lambda: function(*args, **kwargs))
        with self._gate:
            if self._end is not None:
                raise renewed(self._end)
            self._calls.append(made)
        self._bell.ring()
        return made.result()

    def require_process(self) -> None:
        """Raise CallError in a child of the process that made the network."""
        if os.getpid() != self._process:
            raise CallError(
                f"a network is used in the process that opened it ({self._process}), not in a child: open "
                "one there"
            )

    def close(self, linger: float) -> None:
        """End what stands, let what was closed end within ``linger`` seconds, and end the thread. A second
        call waits as well.
        """
        with suppress(OSError):
            self.call(self._begin_end, linger)
        if threading.current_thread() is not self.thread:
            self.thread.join()

    @property
    def end(self) -> OSError | None:
        """Why the network is over; None while it isn't."""
        return self._end

    # The pump's own

    def now(self) -> int:
        """Microseconds of the system's monotonic clock; never less than before."""
        self._latest = max(self._latest, time.monotonic_ns() // 1000)
        return self._latest

    def wake(self) -> None:
        """For sockets: a call was made. Nothing is to be done, for the turn in which it is made ends with an
        exchange.
        """

    def abandon(self, connection: Connection) -> None:
        """For sockets: keep this connection until it has ended."""
        self._lingering_connections.add(connection)

    def add(self, channel: Channel) -> None:
        """For channels: keep this one, and end it with the network."""
        self._channels.add(channel)

    def remove(self, channel: Channel) -> None:
        """For channels: this one has ended."""
        self._channels.discard(channel)

    def watch(self, descriptor: int, mask: int, channel: Channel) -> None:
        self._watched[descriptor] = channel
        self.poller.watch(descriptor, mask)

    def forget(self, descriptor: int) -> None:
        if self._watched.pop(descriptor, None) is not None:
            self.poller.forget(descriptor)

    def _run(self) -> None:
        failure: OSError = NetworkUnreachable("the network failed: the thread of its pump says why")
        try:
            while not self._is_over():
                self._turn(self.poller.wait(self._patience()))
            failure = NetworkUnreachable("the network is closed")
        except LinkError as error:
            self._exchange.link_ended()
            failure = renewed(error)
        finally:
            self._finish(failure)

    def _is_over(self) -> bool:
        if self._deadline == NEVER or self._exchange.has_more:
            return False
        return not (self._channels or self._lingering_connections) or self.now() >= self._deadline

    def _patience(self) -> float | None:
        """Seconds to wait; None for ever."""
        if self._exchange.has_more or self._is_link_ready or self._calls:
            return 0.0
        deadline = min(self._exchange.next_timeout(), self._deadline)
        return None if deadline == NEVER else max(0, deadline - self.now()) / SECOND

    def _turn(self, ready: list[tuple[int, int]]) -> None:
        self._answer(ready)
        if self._is_link_ready:
            self._is_link_ready = False
            self._exchange.read_link()
        if self._exchange.next_timeout() <= self.now():
            self._exchange.handle_timeouts(self._exchange.run)
        self._exchange.run()
        for channel in tuple(self.lingering):
            channel.look()

    def _answer(self, ready: list[tuple[int, int]]) -> None:
        """Look at each descriptor that is ready, and make the calls of other threads."""
        for descriptor, mask in ready:
            if descriptor == self._exchange.descriptor:
                self._is_link_ready = True
            elif descriptor == self._bell_descriptor:
                self._bell.silence()  # before the calls: one that is added later rings again
            elif (channel := self._watched.get(descriptor)) is not None:
                channel.ready(mask)
        while self._calls:
            self._calls.popleft().make()

    def _is_down(self, error: LinkDown) -> None:
        """The device is switched off, perhaps for a moment: its packets are lost, and connections live on."""

    # The link

    def _link_is_ready(self) -> None:
        """The link calls, in any thread and perhaps in the middle of a turn: look at it soon."""
        self._is_link_ready = True
        if threading.current_thread() is not self.thread:
            self._bell.ring()

    # The end

    def _begin_end(self, linger: float) -> None:
        if self._deadline != NEVER:
            return
        for descriptor, mask in self.poller.wait(0):  # what programs wrote and closed last
            channel = self._watched.get(descriptor)
            if channel is not None:
                channel.ready(mask)
        self._deadline = self.now() + int(linger * SECOND)
        aborted = ConnectionAborted("the network was closed")
        for channel in tuple(self._channels):
            channel.network_closes(aborted)

    def _finish(self, failure: OSError) -> None:
        """Whatever happens, no thread waits for ever and no descriptor stays open."""
        failure.__traceback__ = None
        with self._gate:
            self._end = failure
        try:
            for channel in tuple(self._channels):
                channel.cut_off(failure)
            self._lingering_connections.abort(self.now())
            self._send_the_last()
        finally:
            while self._calls:
                self._calls.popleft().refuse(failure)
            self._exchange.release()
            self._exchange.discard()
            self._give_back()

    def _send_the_last(self) -> None:
        """RSTs of what was cut off, as far as the link takes them."""
        with suppress(LinkError):
            self._exchange.run()
            while self._exchange.has_more:
                self._exchange.run()

    def _give_back(self) -> None:
        _PUMPS.discard(self)  # from now on others may have the numbers of its descriptors
        self.poller.close()
        self._bell.close()

    def leave_to_parent(self) -> None:
        """In a child process: the pump runs in the parent, and what it would see at the end of a descriptor
        must not wait for the child.
        """
        for channel in tuple(self._channels):
            channel.close_descriptors()
        _PUMPS.discard(self)  # or a child of the child would close what has the numbers by then
        self.poller.close()
        if isinstance(self._bell, EventBell):
            os.close(
                self._bell_descriptor
            )  # not by its `close`: another thread of the parent may have held its lock


_PUMPS: Final[WeakSet[PumpThread]] = WeakSet()


def _leave_all_to_parent() -> None:
    for pump in tuple(_PUMPS):
        pump.leave_to_parent()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_all_to_parent)
