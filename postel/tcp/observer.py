"""Observers: what a program may watch of connections, namely states, segments, timers and decisions.

::

    host = Host("10.0.0.2/24", secret=…, observer=MyObserver())

An observer watches a host and changes nothing: with an observer and without one, a host sends the same
packets, octet for octet, makes the same parcels (segments that a link cuts into packets) and uses the same
memory, beside what the observer keeps for itself. Without an observer, each line that would call it costs one
comparison with None. `postel.testing.check_observer` checks this promise for an observer of yours.

Packets aren't seen here, because a host with offload doesn't make all packets itself: its link cuts and joins
them. `postel.links.observer` sees what passes a link, a `postel.sim.Witness` what passes between the hosts of
a world.
"""

from typing import Final, Literal, get_args

from postel.tcp.state import State
from postel.wire.address import Endpoint
from postel.wire.segment import Segment

TimerName = Literal[
    "retransmission",  # RFC 6298
    "tail-probe",  # RFC 8985, 7
    "reorder",  # RACK waits for segments that may only be late: RFC 8985, 6.2
    "persist",  # the peer's window is closed: RFC 9293, 3.8.6.1
    "override",  # silly window avoidance held a small segment back: RFC 9293, 3.8.6.2.1
    "delayed-ack",  # RFC 9293, 3.8.6.3
    "keep-alive",  # RFC 9293, 3.8.4
    "user-timeout",  # RFC 9293, 3.8.3
    "time-wait",  # 2 MSL have passed
    "orphan",  # the program released the connection, and the peer then took too long to close it
]
Decision = Literal[
    "recovery",  # segments are lost, and the congestion window shrinks: fast recovery begins (RFC 5681, 3.2)
    # Fast recovery is over: all that was in flight is acknowledged, or nothing had been lost (RFC 4015)
    "recovered",
    # A retransmission timeout: the congestion window shrinks to one segment, and fast recovery is over
    "timeout",
]

TIMERS: Final[tuple[TimerName, ...]] = get_args(TimerName)
DECISIONS: Final[tuple[Decision, ...]] = get_args(Decision)


class Observer:
    """Base class of observers: every method does nothing, so override the ones that you need.

    In each method ``local`` and ``remote`` name the connection, and ``now`` is the host's time in
    microseconds. A method is called inside a call of the host, in the thread of that call, and nothing
    catches what it raises. So it should do little, raise nothing, change none of its arguments, and call no
    method of the host or the connection that sends, receives or ends something.

    A half-open connection that was moved to the SYN cache, or a closed one that only a record of TIME-WAIT
    remembers, may be made again when a segment needs it. An observer isn't told again of what it was told
    already.
    """

    def state_changed(self, local: Endpoint, remote: Endpoint, before: State, after: State, now: int) -> None:
        """The connection left the state ``before`` and entered ``after`` (RFC 9293, 3.3.2).

        A connection that came from a listener begins with CLOSED to LISTEN, when its SYN has arrived.
        """

    def segment_sent(self, local: Endpoint, remote: Endpoint, segment: Segment, now: int) -> None:
        """The connection sends ``segment``; its state and counters include it already.

        With offload one segment may stand for several packets (``segment.packets``). The segment isn't signed
        yet.
        """

    def segment_arrived(self, local: Endpoint, remote: Endpoint, segment: Segment, now: int) -> None:
        """A segment with right checksum and signature arrived; the connection hasn't processed it yet.

        Segments that no connection expects aren't reported here. A listener's SYN is, once it has made a
        connection.
        """

    def timer_expired(self, local: Endpoint, remote: Endpoint, timer: TimerName, now: int) -> None:
        """The timer ``timer`` expired; its consequences are reported after this.

        A timer that was stopped in time isn't reported.
        """

    def decided(self, local: Endpoint, remote: Endpoint, decision: Decision, now: int) -> None:
        """The sender has decided something about loss.

        The new congestion window shows in `Connection.status` after this call.
        """

    def peer_erred(self, local: Endpoint, remote: Endpoint, error: str, now: int) -> None:
        """The peer broke a rule that an RFC says to log, such as RFC 7323, 2.3.

        ``error`` describes it in English.
        """

    def packet_dropped(self, reason: str, octets: bytes, now: int) -> None:
        """The host dropped a packet that arrived, or had no room to send one.

        ``reason`` is the name of the counter in `Host.statistics`, without its ``dropped_``. ``octets`` hold
        the packet, or only its headers where the link gave the payload apart from them.
        """
