"""Exchange of packets and events between a host and its link, and their timers: the common part of all pumps.

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
- *Packets leave before events are delivered.* A handler may take long, and a peer shouldn't wait for it.
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

BATCH: Final = 64  # most packets to read before any are sent, and to send before the link is read
LATE: Final = 128  # most batches of packets to read before the host's timers expire
MOST_FALSE_ALARMS: Final = 100  # most reads in a row that find no packet, of a readable descriptor


class EventHandler(Protocol):
    """Object that receives the events of a connection, listener or UDP socket: its attribute ``context``."""

    def happened(self, event: Event) -> None:
        """Handle one event. The pump calls this in the order in which the events happened."""
        ...


class Exchange:
    """Packets, events and timers of one host on one link, moved when a pump calls.

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
        """Send packets and deliver events until no event is left. Raises LinkError if the link has ended."""
        self._send_out()
        while self._tell_events():
            self._send_out()

    def _send_out(self) -> None:
        self.has_more = not self._junction.send_out(BATCH, self._now(), self._down)

    def _tell_events(self) -> bool:
        """Deliver all events to their handlers, the oldest first. Returns whether there were any."""
        next_event = self._host.next_event
        if (told := next_event()) is None:
            return False
        while told is not None:
            # None: the program has given the connection up
            handler = cast(EventHandler | None, told[0].context)
            if handler is not None:
                handler.happened(told[1])
            told = next_event()
        return True

    def take_in(self) -> int:
        """Give the host up to 64 packets or parcels from the link. Returns how many. Raises LinkError.

        Reading stops early where an accept queue is full, so that the program can accept a connection before
        the next ACK of a handshake needs room in the queue.
        """
        self._host.crowded.clear()
        count = self._junction.take_in(BATCH, self._now())
        if count:
            self._false_alarms = 0
        if self.descriptor < 0 and not self._junction.is_drained:
            self._ready()  # packets are left, and no descriptor stays readable for them
        return count

    def read_link(self) -> int:
        """Read a link that has reported packets. Returns how many came. Raises LinkError.

        A readable descriptor may give no packet, because another process has read the packet first. But a
        descriptor that stays readable without a packet belongs to a link that has ended, and would keep the
        pump busy: LinkError is raised after MOST_FALSE_ALARMS such reads in a row.
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
        """Process the link's timers, then packets that have arrived, then the host's timers.

        ``turn``, the pump's function that sends packets and delivers events, is called where an accept queue
        is full. Raises LinkError.
        """
        self._junction.link_timeout(self._now())
        for _ in range(LATE):
            if not self.take_in():
                break
            if self._host.crowded:
                turn()
        self._host.handle_timeout(self._now())

    def link_ended(self) -> None:
        """Deliver the events that the last packets caused. The pump calls this first when the link has ended.

        If one of these packets was a RST, its connection then reports the RST, and not the end of the link.
        """
        self._drop_output()
        self._tell_events()

    def discard(self) -> None:
        """Drop the packets and events that the host still has, once it has no link.

        Events are taken from the host, because it forgets an ended connection only after the connection's
        last event.
        """
        told = True
        while told:
            self._drop_output()
            told = self._host.next_event() is not None

    def _drop_output(self) -> None:
        """Drop the host's packets.

        The host returns an event only after the packets that precede the event were taken.
        """
        now = self._now()
        while self._host.next_packet(now) is not None:
            pass

    def release(self) -> None:
        """Let another pump have the host and the link."""
        self.has_more = False
        self._junction.release()
