"""Host on a link, driven by a world's clock in virtual time, as asyncio's pump drives a host in real time."""

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
    """Interface of a world's clock, as an attachment needs it."""

    @property
    def now(self) -> int:
        """Time of the world's clock, in microseconds."""
        ...

    def at(self, when: int, call: Callable[[], object]) -> None:
        """Call ``call()`` when the clock has reached the time ``when``, in microseconds."""
        ...


class Attachment(Nothing):
    """Host on a link, as `World.attach` makes it.

    ``error`` is the reason why no packets pass any more, and None as long as they pass. The world's paths
    find a stack here that loses every packet, because all packets of the host go over the link, and `turn`
    keeps the host's timers.
    """

    def __init__(
        self,
        clock: Clock,
        host: Host,
        link: Link,
        application: Application | None,
        ended: Callable[[LinkError], object] | None,
    ) -> None:
        """Join host and link. Raises ArgumentError if the host or the link is in use already."""
        self.error: LinkError | None = None
        self.host = host
        self.link = link
        self.application = application
        self._clock = clock
        self._ended = ended
        self._armed = NEVER  # time of the earliest call of `_wake` that the clock has noted
        self._is_called = False  # the clock will call `_look` in this microsecond
        self._turning = False
        self._junction = Junction(host, link, self._ready)

    @property
    def has_output(self) -> bool:
        """Whether the host may have packets or events, and the link still works."""
        return self.error is None and self.host.has_output

    def detach(self) -> None:
        """Separate the host from the link, and close neither of them."""
        if self.error is None:
            self._junction.release()
            self.error = LinkError(0, "detached")

    def turn(self) -> None:
        """Pass packets in and out, and events to the application, until none are left. Then set the timer."""
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
        """Pass the host's events to the application. Returns whether there were any."""
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
        """Let the clock call `_look` soon. The link calls this, also during another attachment's `turn`."""
        if not self._is_called and self.error is None:
            self._is_called = True
            self._clock.at(self._clock.now, self._look)

    def _look(self) -> None:
        self._is_called = False
        self.turn()

    def _end(self, error: LinkError) -> None:
        """Pass on the host's last events, and close the link, because it has ended.

        Then calls ``ended(error)``; where no ``ended`` was given, raises ``error``.
        """
        while self.host.next_packet(self._clock.now) is not None:
            pass  # the host gives events only after the packets that precede them were taken
        self._tell_events(self._clock.now)  # such as a peer's RST that arrived in the last packets
        self._junction.release()
        self.error = error
        with suppress(OSError):
            self.link.close()
        if self._ended is None:
            raise error
        self._ended(error)

    def crashed(self) -> None:
        """Release the link, because the host has crashed.

        The link stays open, because a crash is silent. The host that `World.restart` returns is on no link,
        and may be attached to this link.
        """
        if self.error is None:
            self._junction.release()
            self.error = LinkError(0, "the host has crashed")


def _overlook(error: LinkDown) -> None:
    """Do nothing: a device that is switched off loses packets."""
