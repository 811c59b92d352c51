"""Pump in a task of trio: it carries a host's packets and events, and runs the host's timers.

Theory of operation
-------------------

The pump runs in a *system task* of trio, which isn't cancelled with the program's tasks. So FINs and RSTs
still leave while the program is being cancelled. Its loop is::

    while not stopped:
        read the link, where it has called notify()
        turn: packets out, events; both again until there are no more events
        wait, until the earliest timeout, for `wake`, `notify` or a readable link
        at the timeout: timers of the link, packets that have arrived, timers of the host

`postel.links.exchange` says what a turn does, in which order, and why. A second task waits for the link's
descriptor, if the link has one, and reads it.

- `wake`, which sockets call after each call of the program, sets a `trio.Event`. Calls made before the pump's
  task runs share one turn, so that several small writes share a segment.
- After a full batch of packets the pump passes a checkpoint instead of waiting, so that other tasks run.
- Where the link ends, the pump delivers the events that the last packets caused, and calls ``broken``, which
  ends the network and stops the pump.
"""

import errno
import math
from collections.abc import Callable
from contextlib import suppress
from threading import get_ident

import trio

from postel.errors import CallError, LinkDown, LinkError
from postel.host.host import Host
from postel.links.contract import Link
from postel.links.exchange import Exchange
from postel.times import NEVER, SECOND


class TrioPump:
    """Driver of one host and one link in trio. All methods are for tasks of the run in which it was made.

    ``broken`` is called with the error of a link at its end, ``down`` with that of a device that is switched
    off.
    """

    def __init__(
        self, host: Host, link: Link, broken: Callable[[LinkError], None], down: Callable[[LinkDown], None]
    ) -> None:
        """Join host and link, and start the system task. Raises ArgumentError, LinkClosed."""
        self._token = trio.lowlevel.current_trio_token()
        self._thread = get_ident()
        self._host = host
        self._broken = broken
        self._latest = 0
        self._is_stopped = False
        self._is_turning = False
        self._woken = trio.Event()
        self._turned = trio.Event()
        self._scope = trio.CancelScope()
        self._is_notified = link.fileno() is None  # a packet may wait already
        self._exchange = Exchange(host, link, self.now, self._link_is_ready, down)
        trio.lowlevel.spawn_system_task(self._run, name=f"postel pump of {host!r}")

    def now(self) -> int:
        """Return the time of trio's clock, in microseconds. It never decreases. After `stop` it stands still.

        Raises CallError in another thread: a host and its connections are for one thread.
        """
        if self._is_stopped:
            return self._latest
        try:
            now = trio.current_time()
        except RuntimeError:
            raise CallError(
                "called from outside of trio's run; allowed: trio.from_thread.run(), "
                "trio.from_thread.run_sync()"
            ) from None
        self._latest = max(self._latest, round(now * SECOND))
        return self._latest

    def wake(self) -> None:
        """Let the pump send packets and deliver events soon, because the program made a call.

        Calls made together share one turn of the pump, so that small writes share a segment.
        """
        if not self._is_turning:
            self._woken.set()

    async def next_turn(self) -> None:
        """Wait until the end of the next turn, or the pump's end."""
        await self._turned.wait()

    def finish(self) -> None:
        """Make turns until all packets are sent, then stop."""
        self._turn()
        while self._exchange.has_more and not self._is_stopped:
            self._turn()
        self.stop()

    def stop(self) -> None:
        """Stop, and release host and link. The network calls this before it closes the link.

        Trio can't stop waiting for a descriptor that is closed already.
        """
        if self._is_stopped:
            return
        self.now()
        self._is_stopped = True
        self._exchange.release()
        if self._exchange.descriptor >= 0:
            trio.lowlevel.notify_closing(self._exchange.descriptor)
        self._scope.cancel()
        self._turned.set()

    def discard(self) -> None:
        """Drop the packets and events that the host still has, because the link has ended.

        Events are taken from the host, because it forgets an ended connection only after the connection's
        last event.
        """
        self._exchange.discard()

    # The system task

    async def _run(self) -> None:
        """Run the pump, and the task that waits for the link, until `stop`."""
        with self._scope:
            async with trio.open_nursery() as nursery:
                if self._exchange.descriptor >= 0:
                    nursery.start_soon(self._read_link)
                await self._turn_on()

    async def _turn_on(self) -> None:
        """Send packets, deliver events and wait, again and again, until the pump is stopped."""
        while True:
            if self._is_notified:
                self._look_at_link()
            self._turn()
            deadline = self._deadline()
            if self._is_stopped:
                return
            if self._exchange.has_more or self._is_notified:
                await trio.lowlevel.checkpoint()
                continue
            with trio.CancelScope(deadline=math.inf if deadline == NEVER else deadline / SECOND) as patience:
                await self._woken.wait()
            self._woken = trio.Event()
            if patience.cancelled_caught:
                self._time_is_up()

    async def _read_link(self) -> None:
        """Wait for the link's descriptor, and read the link."""
        while True:
            try:
                await trio.lowlevel.wait_readable(self._exchange.descriptor)
            except trio.ClosedResourceError:
                return
            except OSError as error:
                self._end(
                    LinkError(error.errno or errno.EIO, f"trio can't wait for the link: {error.strerror}")
                )
                return
            self._link_is_readable()

    def _deadline(self) -> int:
        """Return the earliest timeout of host and link; NEVER where the link has ended."""
        try:
            return self._exchange.next_timeout()
        except LinkError as error:
            self._end(error)
            return NEVER

    def _time_is_up(self) -> None:
        """Handle the timeouts of link and host."""
        try:
            self._exchange.handle_timeouts(self._turn)
        except LinkError as error:
            self._end(error)

    # Turns

    def _turn(self) -> None:
        """Send packets and deliver events until there are no more. Does nothing when called inside a turn."""
        if self._is_turning or self._is_stopped:
            return
        self._is_turning = True
        try:
            self._exchange.run()
        except LinkError as error:
            self._end(error)
        finally:
            self._is_turning = False
        self._turned.set()
        self._turned = trio.Event()

    def _end(self, error: LinkError) -> None:
        """End the network, because the link has ended.

        Events come first: if one of the last packets was a RST, its connection reports the RST, not the
        link's end.
        """
        self._exchange.link_ended()
        self._broken(error)

    # The link

    def _link_is_ready(self) -> None:
        """Make the pump read the link soon.

        `Link.notify` calls this, in any thread, and perhaps while the pump sends packets or delivers events.
        """
        if self._is_notified:
            return
        self._is_notified = True
        if get_ident() == self._thread:
            self._woken.set()
            return
        with suppress(trio.RunFinishedError):
            self._token.run_sync_soon(self._wake_from_outside, idempotent=True)

    def _wake_from_outside(self) -> None:
        """Wake the pump, for another thread."""
        self._woken.set()

    def _look_at_link(self) -> None:
        """Read a link that has called `Link.notify`."""
        self._is_notified = False  # set before the link is read: a later `notify` must cause another reading
        if self._is_stopped:
            return
        try:
            self._exchange.take_in()
        except LinkError as error:
            self._end(error)

    def _link_is_readable(self) -> None:
        """Read a link that has a readable descriptor, and wake the pump's task."""
        if self._is_stopped:
            return
        try:
            self._exchange.read_link()
        except LinkError as error:
            self._end(error)
        self._woken.set()
