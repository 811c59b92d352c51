"""A host on a link, driven by the clock of a world: the same link objects as in asyncio, in virtual time."""

from collections.abc import Callable
from contextlib import suppress
from typing import Final, Protocol

from postel.errors import LinkDown, LinkError
from postel.host.datagrams import DatagramSocket
from postel.host.host import Host, HostEvent
from postel.host.listener import Listener
from postel.links.contract import Link
from postel.links.junction import Junction
from postel.tcp.connection import Connection
from postel.tcp.events import Event
from postel.times import NEVER

Subject = Connection | Listener | DatagramSocket
Application = Callable[[Subject, Event, int], None]

_BATCH: Final = 64


class Clock(Protocol):
    """What an attachment needs of a world."""

    @property
    def now(self) -> int: ...

    def at(self, when: int, call: Callable[[], object]) -> None: ...


class Attachment:
    """Made by `World.attach`. ``error`` is why nothing passes any more, None until then."""

    rings = True

    def __init__(
        self,
        clock: Clock,
        host: Host,
        link: Link,
        application: Application | None,
        ended: Callable[[LinkError], object] | None,
    ) -> None:
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
        """Let go of the host and the link, and close neither."""
        if self.error is None:
            self._junction.release()
            self.error = LinkError(0, "detached")

    def turn(self) -> None:
        """Packets in, packets out and events, until neither comes; then arm."""
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
        """Whether there were any."""
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
        """First the link's time, then what it brought, then the host's."""
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
        """The link calls, perhaps in the middle of another's turn."""
        if not self._is_called and self.error is None:
            self._is_called = True
            self._clock.at(self._clock.now, self._look)

    def _look(self) -> None:
        self._is_called = False
        self.turn()

    def _end(self, error: LinkError) -> None:
        """The link is gone. Raises its error where no call waits for it."""
        while self.host.next_packet(self._clock.now) is not None:
            pass  # events are told once the packets are out
        self._tell_events(self._clock.now)  # a connection that the last packets ended hears of that first
        self._junction.release()
        self.error = error
        with suppress(OSError):
            self.link.close()
        if self._ended is None:
            raise error
        self._ended(error)

    # In front of a host of the world, of which the world has nothing more to carry

    def packet_arrives(self, octets: bytes, now: int) -> None:
        """No path leads to a host on a link."""

    def next_packet(self, now: int) -> bytes | None:
        """None: packets pass by the link, and by no path."""
        return None

    def next_event(self) -> HostEvent | None:
        """None: events are told by `turn`."""
        return None

    def next_timeout(self) -> int:
        """NEVER: its time is kept by `_arm`."""
        return NEVER

    def handle_timeout(self, now: int) -> None:
        """Its time is kept by `_arm`."""

    def crashed(self) -> None:
        """The host was restarted. The new one is on no link, but may be attached to this one, which stays
        open: a crash is silent.
        """
        if self.error is None:
            self._junction.release()
            self.error = LinkError(0, "the host was restarted")


def _overlook(error: LinkDown) -> None:
    """A device that is switched off loses packets."""
