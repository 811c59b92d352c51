"""Host on a link, driven by the clock of a world: the links of asyncio's pump, in virtual time."""

from collections.abc import Callable
from contextlib import suppress
from typing import Final, Protocol

from postel.errors import LinkDown, LinkError
from postel.host.datagrams import DatagramSocket
from postel.host.host import Host
from postel.host.listener import Listener
from postel.links.contract import Link
from postel.links.junction import Junction
from postel.sim.stand_in import Nothing
from postel.tcp.connection import Connection
from postel.tcp.events import Event
from postel.times import NEVER

Subject = Connection | Listener | DatagramSocket
Application = Callable[[Subject, Event, int], None]

_BATCH: Final = 64


class Clock(Protocol):
    """What an attachment needs of a world."""

    @property
    def now(self) -> int:
        """Time of the world's clock, in microseconds."""
        ...

    def at(self, when: int, call: Callable[[], object]) -> None:
        """Call ``call()`` when the clock stands at ``when``."""
        ...


class Attachment(Nothing):
    """Host on a link, as `World.attach` makes it.

    ``error`` is the reason why nothing passes any more, and None until then. The world sees a stack that
    loses every packet, because all packets pass over the link and all times are kept by `turn`.
    """

    def __init__(
        self,
        clock: Clock,
        host: Host,
        link: Link,
        application: Application | None,
        ended: Callable[[LinkError], object] | None,
    ) -> None:
        """Join host and link. Raises ArgumentError where one of them is in use."""
        self.error: LinkError | None = None
        self.host = host
        self.link = link
        self.application = application
        self._clock = clock
        self._ended = ended
        self._armed = NEVER  # the earliest wake-up that the clock knows of
        self._is_called = False  # the clock will call `_look` now
        self._turning = False
        self._junction = Junction(host, link, self._ready)

    @property
    def has_output(self) -> bool:
        """Whether the host may have packets or events, and a link for them."""
        return self.error is None and self.host.has_output

    def detach(self) -> None:
        """Release the host and the link, and close neither."""
        if self.error is None:
            self._junction.release()
            self.error = LinkError(0, "detached")

    def turn(self) -> None:
        """Move packets in, packets out and events, until there are none; then set the timer."""
        if self._turning or self.error is not None:
            return
        self._turning = True
        try:
            self._exchange()
        except LinkError as error:
            self._end(error)
        finally:
            self._turning = False
        self._arm()

    def _exchange(self) -> None:
        now, busy = self._clock.now, True
        while busy and self.error is None:
            busy = self._junction.take_in(_BATCH, now) > 0
            while not self._junction.send_out(_BATCH, now, _overlook):
                busy = True
            busy = self._tell_events(now) or busy

    def _tell_events(self, now: int) -> bool:
        """Tell the application of events. Returns whether there were any."""
        were_any = False
        while self.error is None and (told := self.host.next_event()) is not None:
            were_any = True
            if self.application is not None:
                self.application(told[0], told[1], now)
        return were_any

    def _arm(self) -> None:
        if self.error is not None:
            return
        try:
            deadline = self._junction.next_timeout()
        except LinkError as error:
            self._end(error)
            return
        if deadline < self._armed:
            self._armed = max(deadline, self._clock.now)
            self._clock.at(self._armed, self._wake)

    def _wake(self) -> None:
        """Let the link do what is due, take in its packets, and then do what is due in the host."""
        self._armed = NEVER
        if self.error is not None:
            return
        now = self._clock.now
        try:
            self._junction.link_timeout(now)
            while self._junction.take_in(_BATCH, now):
                pass
        except LinkError as error:
            self._end(error)
            return
        self.host.handle_timeout(now)
        self.turn()

    def _ready(self) -> None:
        """Look at the link soon. The link calls this, perhaps in the middle of another's turn."""
        if not self._is_called and self.error is None:
            self._is_called = True
            self._clock.at(self._clock.now, self._look)

    def _look(self) -> None:
        self._is_called = False
        self.turn()

    def _end(self, error: LinkError) -> None:
        """End, because the link has ended. Raises its error where no function was given for that."""
        while self.host.next_packet(self._clock.now) is not None:
            pass  # the host tells events only after the packets before them
        self._tell_events(self._clock.now)  # connections that the last packets ended get these events first
        self._junction.release()
        self.error = error
        with suppress(OSError):
            self.link.close()
        if self._ended is None:
            raise error
        self._ended(error)

    def crashed(self) -> None:
        """Release the link, because the host was restarted.

        The link stays open, because a crash is silent. The new host is on no link, but may be attached to
        this one.
        """
        if self.error is None:
            self._junction.release()
            self.error = LinkError(0, "the host was restarted")


def _overlook(error: LinkDown) -> None:
    """Do nothing: a device that is switched off loses packets."""
