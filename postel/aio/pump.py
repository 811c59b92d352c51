"""The one place where octets, events and time pass between a host and the event loop."""

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
    """After packets in, a timer or a user's call the same turn: packets out and events, until neither comes;
    then one timer.
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
        self.loop = loop
        self.network = network
        self._context = context  # of all that the loop calls here
        self._is_notified = False
        self._exchange = Exchange(host, link, self.now, self._link_is_ready, down)
        self._host = host
        self._broken = broken
        self._latest = 0
        self._microseconds: Callable[[], int] | None = getattr(
            loop, "microseconds", None
        )  # of a loop in virtual time
        self._turning = False
        self._scheduled = False
        self._stopped = False
        self._timer: asyncio.TimerHandle | None = None
        self._armed_for = NEVER
        self._turned: asyncio.Future[None] | None = None
        self._watch()

    def _watch(self) -> None:
        if self._exchange.descriptor < 0:
            self._link_is_ready()  # a packet may wait already
            return
        try:
            self._context.run(self.loop.add_reader, self._exchange.descriptor, self._link_is_readable)
        except BaseException:  # a descriptor that can't be waited for: the host and the link stay free
            self._exchange.release()
            raise

    def now(self) -> int:
        """Microseconds of the loop's clock; never less than before. Raises CallError in another thread: see
        `require_thread`.
        """
        self.require_thread()
        if self._microseconds is not None:
            return self._microseconds()
        now = int(self.loop.time() * SECOND)
        self._latest = max(self._latest, now)
        return self._latest

    def require_thread(self) -> None:
        """Raise CallError where another thread than that of the running loop makes a call.

        A host and its connections are for one thread. Another one loses or doubles octets, and nothing else
        would notice.
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
        """A call was made: turn soon. Calls made together share a turn, so what they write shares
        segments.
        """
        self.require_thread()
        if not self._turning and not self._scheduled and not self._stopped:
            self._scheduled = True
            self.loop.call_soon(self._turn_as_scheduled, context=self._context)

    def turn(self) -> None:
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
        """Waits until something has moved."""
        self._turned = self._turned or self.loop.create_future()
        await asyncio.shield(self._turned)

    def finish(self) -> None:
        """Turn until nothing is left to send, then stop."""
        self.turn()
        while self._exchange.has_more and not self._stopped:
            self.turn()
        self.stop()

    def stop(self) -> None:
        """Before the link is closed: a loop can't forget a descriptor that is gone."""
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
        """What the host still has to send and to tell, once there is no link: it forgets the connections that
        ended with it.
        """
        self._exchange.discard()

    def _end(self, error: LinkError) -> None:
        """The link is gone. A connection that the last packets ended, by a reset, hears of that first."""
        self._exchange.link_ended()
        self._broken(error)

    def _tell_of_turn(self) -> None:
        if self._turned is not None and not self._turned.done():
            self._turned.set_result(None)
        self._turned = None

    def _arm(self) -> None:
        """A timer that comes too early costs one empty turn; moving it at every segment would cost more."""
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
        """First, what the link holds: where the loop comes late, a timer's answer may have been at the door
        for long.
        """
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
        self._scheduled = False
        self.turn()

    # The link

    def _link_is_ready(self) -> None:
        """The link calls, in any thread and perhaps in the middle of a turn: look at it soon."""
        if self._is_notified:
            return
        self._is_notified = True
        # Documented, and unlike get_running_loop() it raises nothing
        if asyncio._get_running_loop() is self.loop:  # noqa: SLF001
            self.loop.call_soon(self._look_at_link, context=self._context)
            return
        with suppress(RuntimeError):  # the loop is closed
            self.loop.call_soon_threadsafe(self._look_at_link, context=self._context)

    def _look_at_link(self) -> None:
        self._is_notified = False  # first: what comes from now on is told again
        if self._stopped:
            return
        try:
            self._exchange.take_in()
        except LinkError as error:
            self._end(error)
        self.turn()

    def _link_is_readable(self) -> None:
        try:
            self._exchange.read_link()
        except LinkError as error:
            self._end(error)
        self.turn()
