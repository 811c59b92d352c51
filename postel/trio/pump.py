"""The one place where octets, events and time pass between a host and trio's run."""

import errno
import math
from collections.abc import Callable
from contextlib import suppress
from threading import get_ident
from typing import Final, Protocol, cast

import trio

from postel.errors import CallError, LinkDown, LinkError
from postel.host.host import Host
from postel.links.contract import Link, closed, is_readable
from postel.links.junction import Junction
from postel.tcp.events import Event
from postel.times import NEVER, SECOND

_BATCH: Final = 64  # packets that may come in before packets go out, and the other way round
_LATE: Final = 128  # batches that may come in before timers expire, where the run comes late
_MOST_FALSE_ALARMS: Final = (
    100  # in a row, until a descriptor that is readable and gives no packet is taken for one at its end
)


class EventHandler(Protocol):
    """What stands as ``context`` on a host's connections, listeners and datagram sockets."""

    def happened(self, event: Event) -> None:
        """For the pump: an event of it."""
        ...


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
        self._down = down
        descriptor = link.fileno()
        self._descriptor = -1 if descriptor is None else descriptor
        if descriptor == -1:
            raise closed("link")
        self._latest = 0
        self._is_notified = self._descriptor < 0  # a packet may wait already
        self._has_more = False  # to send, after a whole batch
        self._is_stopped = False
        self._is_turning = False
        self._false_alarms = 0
        self._woken = trio.Event()
        self._turned = trio.Event()
        self._scope = trio.CancelScope()
        self._junction = Junction(host, link, self._link_is_ready)
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
        while self._has_more and not self._is_stopped:
            self._turn()
        self.stop()

    def stop(self) -> None:
        """Before the link is closed: trio can't forget a descriptor that is gone."""
        if self._is_stopped:
            return
        self.now()
        self._is_stopped = True
        self._junction.release()
        if self._descriptor >= 0:
            trio.lowlevel.notify_closing(self._descriptor)
        self._scope.cancel()
        self._turned.set()

    def discard(self) -> None:
        """What the host still has to send and to tell, once there is no link: it forgets the connections that
        ended with it.
        """
        told = True
        while told:
            self._drop_output()
            told = self._host.next_event() is not None

    # The system task

    async def _run(self) -> None:
        with self._scope:
            async with trio.open_nursery() as nursery:
                if self._descriptor >= 0:
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
            if self._has_more or self._is_notified:
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
                await trio.lowlevel.wait_readable(self._descriptor)
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
            return self._junction.next_timeout()
        except LinkError as error:
            self._end(error)
            return NEVER

    def _time_is_up(self) -> None:
        """First, what the link holds: where the run comes late, a timer's answer may have been at the door
        for long.
        """
        try:
            self._junction.link_timeout(self.now())
            for _ in range(_LATE):
                if not self._take_in():
                    break
                if self._host.crowded:
                    self._turn()
        except LinkError as error:
            self._end(error)
            return
        self._host.handle_timeout(self.now())

    # Turns

    def _turn(self) -> None:
        if self._is_turning or self._is_stopped:
            return
        self._is_turning = True
        try:
            self._send_out()
            while self._tell_events():
                self._send_out()
        except LinkError as error:
            self._end(error)
        finally:
            self._is_turning = False
        self._turned.set()
        self._turned = trio.Event()

    def _send_out(self) -> None:
        self._has_more = not self._junction.send_out(_BATCH, self.now(), self._down)

    def _tell_events(self) -> bool:
        """Whether there were any."""
        next_event = self._host.next_event
        if (told := next_event()) is None:
            return False
        while told is not None:
            handler = cast(EventHandler | None, told[0].context)  # None: its socket has done with it
            if handler is not None:
                handler.happened(told[1])
            told = next_event()
        return True

    def _drop_output(self) -> None:
        now = self.now()
        while self._host.next_packet(now) is not None:
            pass

    def _end(self, error: LinkError) -> None:
        """The link is gone. A connection that the last packets ended, by a reset, hears of that first."""
        self._drop_output()
        self._tell_events()
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
            self._take_in()
        except LinkError as error:
            self._end(error)

    def _link_is_readable(self) -> None:
        if self._is_stopped:
            return
        try:
            if self._take_in():
                self._false_alarms = 0
            else:
                self._doubt()
        except LinkError as error:
            self._end(error)
        self._woken.set()

    def _doubt(self) -> None:
        """The descriptor was readable and gave no packet. Another process may have been faster; or the link
        is mistaken about its end, where a descriptor is readable for ever."""
        self._false_alarms = self._false_alarms + 1 if is_readable(self._descriptor) else 0
        if self._false_alarms > _MOST_FALSE_ALARMS:
            raise LinkError(errno.EIO, "the link is at its end: it says that a packet waits, and gives none")

    def _take_in(self) -> int:
        """Up to a batch of packets or parcels: how many. Raises LinkError."""
        self._host.crowded.clear()
        count = self._junction.take_in(_BATCH, self.now())
        if (
            not self._junction.is_drained and self._descriptor < 0
        ):  # no descriptor tells again of what is left
            self._is_notified = True
        return count
