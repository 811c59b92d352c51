"""Pump in a thread of its own: it moves packets and data between a host and the system, and runs timers.

Theory of operation
-------------------

A blocking program wants sockets with real descriptors, which it can read, poll and pass on. So each socket of
the program is one end of a socket pair of the system. The pump holds the other end, and moves data between it
and the host::

    program's thread           |  the pump's thread
                               |
    sock.recv(), sock.send()   |
           |                   |
    [one end of a socket pair] == [other end]  <-- channel -->  connection in the host  <-->  link
                               |
    sock.connect(), options  --- call() -------------------------->  host

A *channel* (`Channel`) joins one socket of the host to one such descriptor. No other thread uses the host.
Other threads have their work done by `call`: it queues a function, wakes the pump's thread, and waits for the
result.

One turn of the thread does this, in this order:

1. Wait for descriptors, until the earliest timeout.
2. Look at each channel with a descriptor that is ready; make the calls of other threads.
3. Read the link, up to 64 packets.
4. If a timeout is due, handle in this order: timers of the link, packets that have arrived, timers of the
   host.
5. Send packets and pass events to the channels, until there are no more events (`postel.links.exchange`).

Data of programs is read before packets, so that it leaves in the same turn, with the acknowledgements.

The thread ends when the network was closed and all closed connections have delivered their data, or after
``linger`` seconds, or when the link has ended. Afterwards no other thread waits for this one, and no
descriptor is left open. A child process made by ``fork`` has copies of the descriptors but not the thread,
and closes the copies.
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
    """Base class of channels, which join a socket of the host to a descriptor of the program.

    All methods are for the pump's thread. ``holder`` is an object that must exist as long as the channel.
    """

    holder: object = None

    @abstractmethod
    def ready(self, mask: int) -> None:
        """Handle readiness of the descriptor: ``mask`` says whether it is readable, writable or hung up."""

    @abstractmethod
    def network_closes(self, error: OSError) -> None:
        """End the socket with ``error``, because the program closes its network.

        A socket that the program had closed before may still deliver its data.
        """

    @abstractmethod
    def cut_off(self, error: OSError) -> None:
        """End the socket: the network has ended, and the program's calls raise ``error`` from now on."""

    def look(self) -> None:
        """Find out whether the socket has ended, and act on that, as the subclass says.

        Called when a copy of the program's descriptor was closed, and after each turn while the channel is in
        `PumpThread.lingering`.
        """

    @abstractmethod
    def close_descriptors(self) -> None:
        """Close a child process's copies of the pump's descriptors."""


class PumpCall(Generic[T]):
    """Call of a function by another thread, which the pump's thread makes for it."""

    __slots__ = ("_done", "_error", "_function", "_result")

    def __init__(self, function: Callable[[], T]) -> None:
        """Prepare the call of ``function``, which takes no argument."""
        self._function = function
        self._done = threading.Lock()
        self._done.acquire()
        self._result: T | None = None
        self._error: BaseException | None = None

    def make(self) -> None:
        """Call the function, in the pump's thread."""
        try:
            self._result = self._function()
        except BaseException as error:  # noqa: BLE001 - the caller's thread raises it
            self._error = error
        self._done.release()

    def refuse(self, error: OSError) -> None:
        """End the call with ``error``, because the pump has ended."""
        self._error = renewed(error)
        self._done.release()

    def result(self) -> T:
        """Wait in the calling thread until the call is made.

        Returns what the function returned, or raises what it raised.
        """
        self._done.acquire()
        if self._error is None:
            return cast(T, self._result)
        error, self._error = self._error, None
        try:
            raise error
        finally:
            del error  # the traceback refers to this frame: without `del` there would be a reference cycle


class PumpThread:
    """Thread that drives one host on one link, and the descriptors of its sockets.

    Only this thread uses the host. Other threads may use `call`, `close`, `end` and `now`.
    """

    def __init__(self, host: Host, link: Link) -> None:
        """Join host and link. The caller then starts ``thread``. Raises ArgumentError, LinkClosed."""
        self._bell = EventBell() if hasattr(os, "eventfd") else SocketBell()
        self._bell_descriptor = self._bell.fileno()
        self.poller: Poller = Poller()
        self.host: Host = host
        self.bindings: Bindings = Bindings()
        self._channels: set[Channel] = set()
        self._lingering_connections = LingeringConnections()
        self.lingering: set[Channel] = set()  # channels with data to deliver, for which another thread waits
        self._watched: dict[int, Channel] = {}
        self._calls: deque[PumpCall[Any]] = deque()
        self._gate = threading.Lock()  # held while a call is added, and while the end is decided
        self._end: OSError | None = None  # the reason why calls are refused, once the network has ended
        self._deadline = NEVER  # time at which connections that are still closing are cut off
        self._is_link_ready = True  # at the start a packet may wait already
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
        """Begin to wait for the link and for calls of other threads."""
        self.poller.watch(self._bell_descriptor, IN)
        if descriptor is not None and descriptor >= 0:
            self.poller.watch(descriptor, IN)

    # Other threads

    def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call ``function`` in the pump's thread. Returns what it returns, or raises what it raises.

        Raises the reason if the network has ended, and CallError in a child process.
        """
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
        """End all sockets, give closed connections ``linger`` seconds to deliver data, and end the thread.

        A second call waits, too, until the thread has ended.
        """
        with suppress(OSError):
            self.call(self._begin_end, linger)
        if threading.current_thread() is not self.thread:
            self.thread.join()

    @property
    def end(self) -> OSError | None:
        """Error that ended the network; None while it is open."""
        return self._end

    # The pump's own

    def now(self) -> int:
        """Return the time of the system's monotonic clock, in microseconds. It never decreases."""
        self._latest = max(self._latest, time.monotonic_ns() // 1000)
        return self._latest

    def wake(self) -> None:
        """Do nothing.

        Sockets call this after a call of the host, and here each such call is followed by an exchange in the
        same turn.
        """

    def abandon(self, connection: Connection) -> None:
        """Keep ``connection``, which the program has closed, until it is CLOSED. Sockets call this."""
        self._lingering_connections.add(connection)

    def add(self, channel: Channel) -> None:
        """Keep ``channel`` until the network ends, which then ends the channel. Channels call this method."""
        self._channels.add(channel)

    def remove(self, channel: Channel) -> None:
        """Forget ``channel``, which has ended. Channels call this method."""
        self._channels.discard(channel)

    def watch(self, descriptor: int, mask: int, channel: Channel) -> None:
        """Call `Channel.ready` of ``channel`` when the descriptor is ready for something in ``mask``."""
        self._watched[descriptor] = channel
        self.poller.watch(descriptor, mask)

    def forget(self, descriptor: int) -> None:
        """End to wait for the descriptor. Does nothing if the descriptor isn't watched."""
        if self._watched.pop(descriptor, None) is not None:
            self.poller.forget(descriptor)

    def _run(self) -> None:
        """Make turns until the network ends, for whatever reason. The thread runs this method."""
        failure: OSError = NetworkUnreachable("the network failed; its thread has printed a traceback")
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
        """Whether the network was closed, and no connection has data to deliver or ``linger`` has passed."""
        if self._deadline == NEVER or self._exchange.has_more:
            return False
        return not (self._channels or self._lingering_connections) or self.now() >= self._deadline

    def _patience(self) -> float | None:
        """Return how long the thread may wait, in seconds; None if there is no limit."""
        if self._exchange.has_more or self._is_link_ready or self._calls:
            return 0.0
        deadline = min(self._exchange.next_timeout(), self._deadline)
        return None if deadline == NEVER else max(0, deadline - self.now()) / SECOND

    def _turn(self, ready: list[tuple[int, int]]) -> None:
        """Make one turn. ``ready`` has pairs of a descriptor and a mask of what it is ready for."""
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
        """Let each channel with a ready descriptor move its data, and make the calls of other threads."""
        for descriptor, mask in ready:
            if descriptor == self._exchange.descriptor:
                self._is_link_ready = True
            elif descriptor == self._bell_descriptor:
                # Another thread wrote to this descriptor to wake the pump. It is made unreadable before the
                # calls are made, so that a call which is added later wakes the pump again
                self._bell.silence()
            elif (channel := self._watched.get(descriptor)) is not None:
                channel.ready(mask)
        while self._calls:
            self._calls.popleft().make()

    def _is_down(self, error: LinkDown) -> None:
        """Do nothing for a device that is switched off, perhaps for a moment.

        Packets are lost meanwhile; connections continue.
        """

    # The link

    def _link_is_ready(self) -> None:
        """Wake the pump's thread, if need be, to read the link.

        The link calls this as the function given to `Link.notify`, in any thread, perhaps during a turn.
        """
        self._is_link_ready = True
        if threading.current_thread() is not self.thread:
            self._bell.ring()

    # The end

    def _begin_end(self, linger: float) -> None:
        """Begin to close the network: read data that programs have written, then end the sockets."""
        if self._deadline != NEVER:
            return
        # Data that programs wrote before they closed their sockets
        for descriptor, mask in self.poller.wait(0):
            channel = self._watched.get(descriptor)
            if channel is not None:
                channel.ready(mask)
        self._deadline = self.now() + int(linger * SECOND)
        aborted = ConnectionAborted("the network was closed")
        for channel in tuple(self._channels):
            channel.network_closes(aborted)

    def _finish(self, failure: OSError) -> None:
        """End all sockets, connections and calls with ``failure``, and close the pump's descriptors.

        Afterwards no thread waits for ever, and no descriptor is left open.
        """
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
        """Send the RSTs of connections that were cut off, until the link takes no more."""
        with suppress(LinkError):
            self._exchange.run()
            while self._exchange.has_more:
                self._exchange.run()

    def _give_back(self) -> None:
        """Close the pump's own descriptors."""
        _PUMPS.discard(self)  # the system may now give the numbers of the pump's descriptors to other files
        self.poller.close()
        self._bell.close()

    def leave_to_parent(self) -> None:
        """Close the copies of all descriptors, in a child process.

        The pump runs in the parent, and sees the end of a descriptor only when its last copy is closed.
        """
        for channel in tuple(self._channels):
            channel.close_descriptors()
        _PUMPS.discard(self)  # otherwise a child of the child would close other files with the same numbers
        self.poller.close()
        if isinstance(self._bell, EventBell):
            # Not by `EventBell.close`: a thread of the parent may have held that lock during `fork`
            os.close(self._bell_descriptor)


_PUMPS: Final[WeakSet[PumpThread]] = WeakSet()


def _leave_all_to_parent() -> None:
    """Close this child process's copies of the descriptors of all pumps, after ``fork``."""
    for pump in tuple(_PUMPS):
        pump.leave_to_parent()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_all_to_parent)
