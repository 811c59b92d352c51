"""The one place where octets, events and time pass between a host and trio's run."""

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
    """Turns in a system task, so that it goes on while the program is cancelled: its farewells still leave.

    After packets in, a timer or a user's call: packets out and events, until neither comes. Then it sleeps
    until the next.
    """

    def __init__(
        self, host: Host, link: Link, broken: Callable[[LinkError], None], down: Callable[[LinkDown], None]
    ) -> None:
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
        """Microseconds of trio's clock; never less than before. The latest that were told, once it has
        stopped.

        Raises CallError in another thread: a host and its connections are for one.
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
        """A call was made: turn soon. Calls made together share a turn, so what they write shares
        segments.
        """
        if not self._is_turning:
            self._woken.set()

    async def next_turn(self) -> None:
        """Wait until something has moved."""
        await self._turned.wait()

    def finish(self) -> None:
        """Turn until nothing is left to send, then stop."""
        self._turn()
        while self._exchange.has_more and not self._is_stopped:
            self._turn()
        self.stop()

    def stop(self) -> None:
        """Before the link is closed: trio can't forget a descriptor that is gone."""
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
        """What the host still has to send and to tell, once there is no link: it forgets the connections that
        ended with it.
        """
        self._exchange.discard()

    # The system task

    async def _run(self) -> None:
        with self._scope:
            async with trio.open_nursery() as nursery:
                if self._exchange.descriptor >= 0:
                    nursery.start_soon(self._read_link)
                await self._turn_on()

    async def _turn_on(self) -> None:
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
        """Wait for a link with a descriptor."""
        while True:
            try:
                await trio.lowlevel.wait_readable(self._exchange.descriptor)
            except trio.ClosedResourceError:
                return
            except OSError as error:
                self._end(
                    LinkError(error.errno or errno.EIO, f"the link can't be waited for: {error.strerror}")
                )
                return
            self._link_is_readable()

    def _deadline(self) -> int:
        try:
            return self._exchange.next_timeout()
        except LinkError as error:
            self._end(error)
            return NEVER

    def _time_is_up(self) -> None:
        """First, what the link holds: where the run comes late, a timer's answer may have been at the door
        for long.
        """
        try:
            self._exchange.handle_timeouts(self._turn)
        except LinkError as error:
            self._end(error)

    # Turns

    def _turn(self) -> None:
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
        """The link is gone. A connection that the last packets ended, by a reset, hears of that first."""
        self._exchange.link_ended()
        self._broken(error)

    # The link

    def _link_is_ready(self) -> None:
        """The link calls, in any thread and perhaps in the middle of a turn: look at it soon."""
        if self._is_notified:
            return
        self._is_notified = True
        if get_ident() == self._thread:
            self._woken.set()
            return
        with suppress(trio.RunFinishedError):
            self._token.run_sync_soon(self._wake_from_outside, idempotent=True)

    def _wake_from_outside(self) -> None:
        self._woken.set()

    def _look_at_link(self) -> None:
        self._is_notified = False  # first: what comes from now on is told again
        if self._is_stopped:
            return
        try:
            self._exchange.take_in()
        except LinkError as error:
            self._end(error)

    def _link_is_readable(self) -> None:
        if self._is_stopped:
            return
        try:
            self._exchange.read_link()
        except LinkError as error:
            self._end(error)
        self._woken.set()
