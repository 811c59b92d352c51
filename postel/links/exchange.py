"""Exchange of packets, events and time between a host and its link: the part that all pumps have in common.

Theory of operation
-------------------

A *pump* drives one host on one link. There is one for each kind of program: `postel.aio.pump` runs on an
asyncio loop, `postel.trio.pump` in a task of trio, `postel.blocking.pump` in a thread. They differ in how
they wait, in their clock, and in how other threads reach them. What they do between two waits is the same,
and is written here, once. This file knows neither asyncio nor trio nor threads.

A pump is woken by one of three things: the link has packets, the program made a call, or a timer expired. One
*turn* follows each of them::

    link is readable         timer expired                program called
          |                        |                            |
          v                        v                            |
      read_link()           handle_timeouts()                   |
      at most 64 packets    1. the link's own timers            |
          |                 2. packets that have arrived        |
          |                 3. the host's timers                |
          +------------------------+----------------------------+
                                   v
                                 run()      packets out, at most 64; then events to their handlers;
                                   |        both again, until there are no more events
                                   v
                             next_timeout() and wait

The order has reasons:

- *Up to 64 packets come in before any goes out.* One ACK then acknowledges many segments: RFC 9293, 3.10.7.4
  asks for all queued segments to be processed before an ACK is sent.
- *Packets leave before events are told.* A handler may take long, and a peer shouldn't wait for it.
- *Events can make the program call again*, and the calls make new packets. So `run` goes on until a round
  has no event. Data that the program writes in answer to an event leaves in the same turn.
- *A round sends at most 64 packets.* ``has_more`` says that more are waiting. The pump then lets other tasks
  run and reads the link, where acknowledgements may have arrived, before it sends the rest.
- *Packets that have arrived are read before the host's timers expire.* A busy program may reach its timers
  late. The acknowledgement that makes a retransmission needless may wait in the link by then.
- *Reading stops early where an accept queue is full* (`Host.crowded`). The pump then calls `run`, so that the
  program accepts connections before the next ACK of a handshake needs room in the queue.
"""

import errno
from collections.abc import Callable
from typing import Final, Protocol, cast

from postel.errors import LinkDown, LinkError
from postel.host.host import Host
from postel.links.contract import Link, closed, is_readable
from postel.links.junction import Junction
from postel.tcp.events import Event

BATCH: Final = 64  # packets in before packets go out, and packets out before the pump looks around
LATE: Final = 128  # batches, at most, that are read before timers expire
MOST_FALSE_ALARMS: Final = 100  # reads in a row that found no packet, of a descriptor that stays readable


class EventHandler(Protocol):
    """Object that receives the events of a connection, listener or datagram socket: its ``context``."""

    def happened(self, event: Event) -> None:
        """Handle one event. The pump calls this in the order in which the events happened."""
        ...


class Exchange:
    """Packets, events and timers of one host on one link, moved when a pump says so.

    ``now`` is the pump's clock, in microseconds. ``ready`` is called when the link has to be read again: by
    the link, in any thread, or by `take_in` where packets are left. ``down`` is called with the error of a
    device that is switched off. ``descriptor`` is readable when a packet may wait; -1 for a link that calls
    ``ready`` instead. ``has_more`` is True when the last `run` stopped after a full batch of packets.
    """

    __slots__ = ("_down", "_false_alarms", "_host", "_junction", "_now", "_ready", "descriptor", "has_more")

    def __init__(
        self,
        host: Host,
        link: Link,
        now: Callable[[], int],
        ready: Callable[[], None],
        down: Callable[[LinkDown], None],
    ) -> None:
        """Join host and link. Raises LinkClosed for a closed link, ArgumentError where one is in use."""
        descriptor = link.fileno()
        if descriptor == -1:
            raise closed("link")
        self.descriptor: Final = -1 if descriptor is None else descriptor
        self.has_more: bool = False
        self._junction = Junction(host, link, ready)
        self._host = host
        self._now = now
        self._ready = ready
        self._down = down
        self._false_alarms = 0

    def run(self) -> None:
        """Send packets and tell events, until a round has no event. Raises LinkError at the link's end."""
        self._send_out()
        while self.tell_events():
            self._send_out()

    def _send_out(self) -> None:
        self.has_more = not self._junction.send_out(BATCH, self._now(), self._down)

    def tell_events(self) -> bool:
        """Tell each event to its handler, the oldest first. Returns whether there was one."""
        next_event = self._host.next_event
        if (told := next_event()) is None:
            return False
        while told is not None:
            handler = cast(EventHandler | None, told[0].context)  # None: the program has given this one up
            if handler is not None:
                handler.happened(told[1])
            told = next_event()
        return True

    def take_in(self) -> int:
        """Give the host up to 64 packets or parcels from the link. Returns how many. Raises LinkError.

        Fewer where an accept queue is full, so that the program makes room before the next ACK needs it.
        """
        self._host.crowded.clear()
        count = self._junction.take_in(BATCH, self._now())
        if count:
            self._false_alarms = 0
        if self.descriptor < 0 and not self._junction.is_drained:
            self._ready()  # no descriptor tells that packets are left
        return count

    def read_link(self) -> int:
        """Read a link that says it has packets. Returns how many came. Raises LinkError.

        A descriptor may be readable and give no packet: another process was faster. But a descriptor that is
        readable for ever, without a packet, belongs to a link at its end, and would keep the pump busy.
        """
        count = self.take_in()
        if count == 0 and self.descriptor >= 0:
            self._false_alarms = self._false_alarms + 1 if is_readable(self.descriptor) else 0
            if self._false_alarms > MOST_FALSE_ALARMS:
                raise LinkError(
                    errno.EIO, "the link is at its end: its descriptor is readable, but no packet can be read"
                )
        return count

    def next_timeout(self) -> int:
        """Time of the earliest timer of host and link, in microseconds; NEVER for none. Raises LinkError."""
        return self._junction.next_timeout()

    def handle_timeouts(self, turn: Callable[[], None]) -> None:
        """Do what is due: the link's timers, packets that have arrived, then the host's timers.

        ``turn`` is called where an accept queue is full. Raises LinkError.
        """
        self._junction.link_timeout(self._now())
        for _ in range(LATE):
            if not self.take_in():
                break
            if self._host.crowded:
                turn()
        self._host.handle_timeout(self._now())

    def link_ended(self) -> None:
        """Tell what the last packets caused. Called first when the link is gone.

        A connection that a RST has just ended hears of the RST, and not of the link.
        """
        self._drop_output()
        self.tell_events()

    def discard(self) -> None:
        """Drop the packets and events that the host still has, once it has no link.

        The host forgets its ended connections only when their events have been taken.
        """
        told = True
        while told:
            self._drop_output()
            told = self._host.next_event() is not None

    def _drop_output(self) -> None:
        """Drop the host's packets. It tells events only after the packets that belong before them."""
        now = self._now()
        while self._host.next_packet(now) is not None:
            pass

    def release(self) -> None:
        """Let another pump have the host and the link."""
        self.has_more = False
        self._junction.release()
