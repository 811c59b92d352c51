"""Pump on an asyncio loop: it carries a host's packets and events, and runs the host's timers.

Theory of operation
-------------------

The loop calls the pump for one of four reasons, and each ends in a *turn*::

    link's descriptor is readable   _link_is_readable -----+
    link called Link.notify         _look_at_link ---------+--> packets in --+
    timer of the loop               _time_is_up -----------+                 +--> turn() --> one timer
    program called the network      wake --> call_soon ----------------------+

A turn (`postel.links.exchange` describes it and its order) sends packets and delivers events to the
transports and sockets, which call protocols or complete futures. It ends by arming one timer of the loop for
the earliest timeout of host and link.

- `wake` doesn't turn at once. It schedules one turn for the end of the loop's current round, so that several
  calls of a program share a turn, and several small writes share a segment.
- A turn never runs inside a turn: a protocol's callback may call the network again, and ``_turning`` makes
  that call part of the turn that is under way.
- The timer is moved when it becomes earlier, but not when it becomes later, as it does with most segments. A
  timer that expires too early costs one empty turn; moving it each time would cost more.
- After a full batch of packets the pump schedules the next turn and returns to the loop, so that other tasks
  run and acknowledgements are read.

The end of the link is an exception of any call on it. The pump then delivers the events that the last packets
caused, and calls ``broken``, which ends the network.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from contextvars import Context

from postel.aio.sockets import SocketNetwork
from postel.errors import CallError, LinkDown, LinkError
from postel.host.host import Host
from postel.links.contract import Link
from postel.links.exchange import Exchange
from postel.times import NEVER, SECOND


class Pump:
    """Driver of one host and one link on one asyncio loop. All methods are for the loop's thread.

    ``broken`` is called with the error of a link at its end, ``down`` with that of a device that is switched
    off. ``context`` is the context in which the loop calls the pump.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        host: Host,
        link: Link,
        broken: Callable[[LinkError], None],
        down: Callable[[LinkDown], None],
        network: SocketNetwork,
        context: Context,
    ) -> None:
        """Join host and link, and wait for packets. Raises ArgumentError, LinkClosed."""
        self.loop = loop
        self.network = network
        self._context = context  # context in which the loop calls the pump
        self._is_notified = False
        self._host = host
        self._broken = broken
        self._latest = 0
        # A loop in virtual time has an exact clock in integers
        self._microseconds: Callable[[], int] | None = getattr(loop, "microseconds", None)
        # In virtual time the clock is read directly, which saves the check of the thread in `now`
        self._exchange = Exchange(host, link, self._microseconds or self.now, self._link_is_ready, down)
        self._turning = False
        self._scheduled = False
        self._stopped = False
        self._timer: asyncio.TimerHandle | None = None
        self._armed_for = NEVER
        self._turned: asyncio.Future[None] | None = None
        self._watch()

    def _watch(self) -> None:
        """Let the loop wait for the link."""
        if self._exchange.descriptor < 0:
            self._link_is_ready()  # a packet may wait already
            return
        try:
            self._context.run(self.loop.add_reader, self._exchange.descriptor, self._link_is_readable)
        except BaseException:  # the loop can't wait for the link: release host and link
            self._exchange.release()
            raise

    def now(self) -> int:
        """Return the time of the loop's clock, in microseconds. It never decreases.

        Raises CallError in another thread: see `require_thread`.
        """
        self.require_thread()
        if self._microseconds is not None:
            return self._microseconds()
        now = int(self.loop.time() * SECOND)
        self._latest = max(self._latest, now)
        return self._latest

    def require_thread(self) -> None:
        """Raise CallError where another thread than that of the running loop makes a call.

        A host and its connections are for one thread. A call of another thread could lose or duplicate data,
        without an error.
        """
        try:
            is_loops = asyncio.get_running_loop() is self.loop
        except RuntimeError:
            is_loops = False
        if not is_loops and self.loop.is_running():
            raise CallError(
                "called from another thread than that of the event loop; allowed: loop.call_soon_threadsafe()"
            )

    def wake(self) -> None:
        """Schedule a turn (send packets, deliver events), because the program made a call.

        Calls made together share one turn, so that small writes share a segment. Raises CallError in another
        thread.
        """
        self.require_thread()
        if not self._turning and not self._scheduled and not self._stopped:
            self._scheduled = True
            self.loop.call_soon(self._turn_as_scheduled, context=self._context)

    def turn(self) -> None:
        """Send packets and deliver events until there are no more, and arm the timer."""
        if self._turning or self._stopped:
            return
        self._turning = True
        try:
            self._exchange.run()
        except LinkError as error:
            self._end(error)
        finally:
            self._turning = False
            self._arm()
        if self._exchange.has_more:
            self.wake()
        self._tell_of_turn()

    async def next_turn(self) -> None:
        """Wait until the next turn, or the pump's end."""
        self._turned = self._turned or self.loop.create_future()
        await asyncio.shield(self._turned)

    def finish(self) -> None:
        """Make turns until all packets are sent, then stop."""
        self.turn()
        while self._exchange.has_more and not self._stopped:
            self.turn()
        self.stop()

    def stop(self) -> None:
        """Stop, and release host and link. The network calls this before it closes the link.

        The loop can't stop waiting for a descriptor that is closed already.
        """
        if self._stopped:
            return
        self._stopped = True
        self._exchange.release()
        if self._exchange.descriptor >= 0:
            self.loop.remove_reader(self._exchange.descriptor)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._tell_of_turn()

    def discard(self) -> None:
        """Drop the packets and events that the host still has, because the link has ended.

        Events are taken from the host, because it forgets an ended connection only after the connection's
        last event.
        """
        self._exchange.discard()

    def _end(self, error: LinkError) -> None:
        """End the network, because the link has ended.

        Events come first: if one of the last packets was a RST, its connection reports the RST, not the
        link's end.
        """
        self._exchange.link_ended()
        self._broken(error)

    def _tell_of_turn(self) -> None:
        """Wake the tasks that wait in `next_turn`."""
        if self._turned is not None and not self._turned.done():
            self._turned.set_result(None)
        self._turned = None

    def _arm(self) -> None:
        """Arm the timer for the earliest timeout, unless it is armed for that time or an earlier one."""
        try:
            deadline = self._exchange.next_timeout()
        except LinkError as error:
            self._end(error)
            return
        if deadline >= self._armed_for or self._stopped:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._armed_for = deadline
        self._timer = self.loop.call_at(deadline / SECOND, self._time_is_up, context=self._context)

    def _time_is_up(self) -> None:
        """Handle the timeouts of link and host. The loop's timer calls this."""
        self._timer = None
        self._armed_for = NEVER
        try:
            self._exchange.handle_timeouts(self.turn)
        except LinkError as error:
            self._end(error)
            return
        if self._host.has_output:
            self.turn()
        else:
            self._arm()

    def _turn_as_scheduled(self) -> None:
        """Make the turn (send packets, deliver events) that `wake` has scheduled."""
        self._scheduled = False
        self.turn()

    # The link

    def _link_is_ready(self) -> None:
        """Schedule a reading of the link in the loop's thread.

        `Link.notify` calls this, in any thread, and perhaps while the pump sends packets or delivers events.
        """
        if self._is_notified:
            return
        self._is_notified = True
        # Documented by asyncio, in spite of its underscore; get_running_loop() would raise an exception
        if asyncio._get_running_loop() is self.loop:  # noqa: SLF001 - see above
            self.loop.call_soon(self._look_at_link, context=self._context)
            return
        with suppress(RuntimeError):  # the loop may be closed
            self.loop.call_soon_threadsafe(self._look_at_link, context=self._context)

    def _look_at_link(self) -> None:
        """Read a link that has called `Link.notify`, and make a turn (send packets, deliver events)."""
        # Set before the link is read: a later `notify` must schedule another reading
        self._is_notified = False
        if self._stopped:
            return
        try:
            self._exchange.take_in()
        except LinkError as error:
            self._end(error)
        self.turn()

    def _link_is_readable(self) -> None:
        """Read a link that has a readable descriptor, and make a turn. The loop calls this."""
        try:
            self._exchange.read_link()
        except LinkError as error:
            self._end(error)
        self.turn()
