"""One end of one TCP connection without I/O (RFC 9293): the smallest of Postel's three machines.

Theory of operation. A `Connection` owns no socket, clock, thread or timer. A driver (a `Host`, a simulated
world, an asyncio transport) hands in segments, user calls and the time. Each of these calls records in the
transmission control block (`postel.tcp.tcb.Tcb`) what the connection now owes: an ACK, a retransmission, an
event for the program. The driver then takes out what is ready:

    segment_arrives, network_error,       open_*, send, receive,       handle_timeout
    packet_too_big                        close, abort, configure
              │                                     │                        │
              ▼                                     ▼                        ▼
    ┌────────────────────────────────────────────────────────────────────────────────┐
    │ Tcb: state, SND.* and RCV.* variables, buffers, timers, what is owed           │
    └────────────────────────────────────────────────────────────────────────────────┘
              │                                     │                        │
              ▼                                     ▼                        ▼
    next_segment(now) until None         next_event() until None       next_timeout()
    to the network                       to the program                to the driver's clock

`arrives` implements RFC 9293, 3.10.7, `calls` 3.10.1 to 3.10.6, `timeouts` 3.10.8. `output` alone makes
segments. Because input only records that an ACK is owed, ten segments that arrive before one `next_segment`
are acknowledged by one ACK (RFC 9293, 3.8.6.3).

The contract, which `postel.host.Host` and `postel.sim.World` keep too:

1. The pump. After any call: call `next_segment` until it returns None, then `next_event` until it returns
   None, then set the clock to call `handle_timeout` at `next_timeout`.
2. ``now`` is an int in microseconds and never decreases. Extra calls of any method of the pump are harmless.
3. Input only records what is owed. Only output makes segments.
4. A peer causes events, never exceptions. A wrong call of the program causes an exception.
5. The result is a function of the inputs: the core reads no clock and no random source.
"""

from collections import deque
from typing import Any, cast

from postel.errors import ArgumentError, TcpError, refused_time, require_kind
from postel.tcp import (
    acknowledge,
    agreed,
    arrives,
    calls,
    output,
    pathmtu,
    reconfigure,
    status,
    timeouts,
    tuning,
    window,
)
from postel.tcp.authentication import UNKNOWN, Authentication
from postel.tcp.authentication.keychain import Keychain
from postel.tcp.bell import Bell
from postel.tcp.config import DEFAULT, Config
from postel.tcp.congestion import Congestion
from postel.tcp.events import Closed, Event
from postel.tcp.fastopen import Attempt
from postel.tcp.keeper import Keeper
from postel.tcp.memory import Memory
from postel.tcp.observer import Observer
from postel.tcp.recovery import Figures
from postel.tcp.state import CLOSED, State
from postel.tcp.status import Status as Status  # noqa: PLC0414  # other modules import it from here
from postel.tcp.tcb import OWES_ACK, Tcb
from postel.wire.address import Endpoint
from postel.wire.segment import Segment


class Connection:
    """One end of one TCP connection, as a state machine without I/O (RFC 9293).

    ``local`` and ``remote`` are the two endpoints. ``config`` holds the program's choices, `Config` with its
    defaults where None. ``iss`` (the initial sequence number, 0 … 2**32 - 1) and ``timestamp_offset`` (of the
    clock of RFC 7323, in ticks) come from `isn.Generator`, or from a test. ``mtu`` is the link's, in octets.
    Methods of ``observer`` are called when something happens. ``memory`` is the account of buffer memory that
    a host's connections share.

    ``agenda`` is the queue of a host's connections that may have something to send or to report; a connection
    puts itself on it once. ``authentication`` holds the keys of RFC 5925 or RFC 2385: the code that turns
    segments into octets and back must sign and check them. ``context`` is free for the driver's own use.

    Only one thread may use a connection. Concurrent calls lose or duplicate octets without an error. A
    program with several threads holds one lock around every call, including those of the driver, or queues
    its calls to the thread that drives the connection.

    Raises ArgumentError where ``config`` is no `Config`.

    >>> here, there = Endpoint.parse("10.0.0.1:40000"), Endpoint.parse("10.0.0.2:80")
    >>> client, server = Connection(here, there, iss=1), Connection(there, here, iss=2)
    >>> server.open_passive(0)
    >>> client.open_active(0)
    >>> def carry(sender, receiver):
    ...     while segment := sender.next_segment(0):
    ...         receiver.segment_arrives(segment, 0)
    >>> carry(client, server)  # SYN
    >>> carry(server, client)  # SYN,ACK
    >>> carry(client, server)  # ACK
    >>> client, client.next_event()
    (<10.0.0.1:40000 ESTABLISHED 10.0.0.2:80>, Opened())
    """

    def __init__(
        self,
        local: Endpoint,
        remote: Endpoint,
        config: Config | None = None,
        *,
        iss: int = 0,
        mtu: int = 1500,
        timestamp_offset: int = 0,
        observer: Observer | None = None,
        memory: Memory | None = None,
        agenda: "Turns | None" = None,
        authentication: Authentication | None = None,
    ) -> None:
        """Make a connection in CLOSED; `open_active` or `open_passive` begins the handshake."""
        config = DEFAULT if config is None else config
        require_kind("config", config, Config, "a Config")
        if authentication is not None:
            config = authentication.adapted(config)
        self._tcb = Tcb(local, remote, config, iss, mtu, timestamp_offset, observer, memory)
        self.authentication = authentication
        if authentication is not None:
            self._tcb.path.signature_length = authentication.length
        self.context: object = None
        self.on_agenda: bool = False
        self.is_looped: bool = False  # both ends are on the same host
        self._agenda = agenda
        self._keeper: Keeper | None = None  # set by `leave_time_wait_to`: it has TIME-WAIT's record

    def __repr__(self) -> str:
        """Local endpoint, state and remote endpoint: ``<10.0.0.1:40000 ESTABLISHED 10.0.0.2:80>``."""
        return f"<{self.local} {self.state} {self.remote}>"

    # Properties

    @property
    def local(self) -> Endpoint:
        """Our address and port."""
        return self._tcb.local

    @property
    def remote(self) -> Endpoint:
        """The peer's address and port."""
        return self._tcb.remote

    @property
    def state(self) -> State:
        """State of the connection (RFC 9293, 3.3.2).

        After `leave_time_wait_to` it is TIME-WAIT while the host keeps its record of the connection, then
        CLOSED.
        """
        if self._keeper is not None and not self._is_kept_by(self._keeper):
            return CLOSED
        return self._tcb.state

    @property
    def config(self) -> Config:
        """Choices that hold now; `configure` replaces them."""
        return self._tcb.config

    @property
    def controller(self) -> Congestion | None:
        """Congestion controller, or None until the connection first has something to send.

        Its ``window`` and ``threshold`` are octets (cwnd and ssthresh of RFC 5681).
        """
        return self._tcb.controller

    @property
    def options(self) -> agreed.Options:
        """Options that the two SYNs agreed on, as far as the handshake has come."""
        return agreed.of(self._tcb)

    @property
    def error(self) -> TcpError | None:
        """Error that ended the connection; None while the connection lives and after an orderly close.

        The error is stored as a reason to read. To raise it, raise a fresh copy made by
        `postel.errors.renewed`.
        """
        return self._tcb.error if self._tcb.state is CLOSED else None

    @property
    def readable(self) -> int:
        """Octets that arrived in order and that `receive` can return now."""
        return self._tcb.rcv.unread

    @property
    def writable(self) -> int:
        """Octets that `send` would accept now; 0 where `send` would raise."""
        return tuning.room(self._tcb) if calls.may_send(self._tcb) else 0

    @property
    def send_limit(self) -> int:
        """Capacity of the send buffer in octets at present; an automatic buffer grows."""
        return self._tcb.snd.limit

    @property
    def receive_limit(self) -> int:
        """Capacity of the receive buffer in octets at present; an automatic buffer grows."""
        return self._tcb.rcv.limit

    @property
    def mss(self) -> int:
        """Octets of payload in a full segment at present (Eff.snd.MSS of RFC 9293, 3.7.1).

        The smallest of the peer's MSS option, ``largest_mss`` and what the path MTU leaves, less the options
        that every segment carries.
        """
        tcb = self._tcb
        return tcb.data_mss if tcb.controller is None else tcb.controller.smss

    @property
    def is_fast(self) -> bool:
        """Whether payload may flow before the handshake is over (TCP Fast Open, RFC 7413).

        True for a client that has a cookie, and for a server that accepted the client's cookie; False after
        the handshake.
        """
        fast_open = self._tcb.opening.fast_open
        return fast_open is not None and (
            fast_open.opened or (isinstance(fast_open, Attempt) and bool(fast_open.option))
        )

    @property
    def received(self) -> int:
        """Octets that arrived in order since the connection began, read or not."""
        return self._tcb.rcv.position

    @property
    def unacknowledged(self) -> int:
        """Octets that `send` accepted and that the peer hasn't acknowledged yet."""
        return self._tcb.snd.buffer.size

    @property
    def at_end(self) -> bool:
        """Whether everything was read and nothing more will come.

        Nothing more will come after the peer's FIN, and after `abort` on this side.
        """
        return self._tcb.rcv.unread == 0 and calls.has_ended(self._tcb)

    @property
    def has_peer_ended(self) -> bool:
        """Whether the peer's FIN has arrived, and all octets before it: nothing more arrives."""
        return self._tcb.rcv.fin_is_received

    @property
    def urgent(self) -> int:
        """Octets from the reading position to the end of urgent data (MUST-33); 0 when none is ahead.

        Urgent data arrives in line with the rest. New programs shouldn't use it (SHLD-13; RFC 6093).
        """
        tcb = self._tcb
        return max(0, tcb.rcv.up - (tcb.rcv.position - tcb.rcv.unread))

    # User calls: RFC 9293, 3.10.1 to 3.10.6. Each raises ArgumentError where ``now`` isn't an int >= 0

    def open_active(self, now: int) -> None:
        """Begin the handshake with a SYN: the active OPEN (RFC 9293, 3.10.1).

        The event Opened follows, or Closed with the error that prevented it. Raises ConnectionAlreadyExists
        where the connection isn't in CLOSED or LISTEN, RemoteUnspecified where `remote` has no address or
        port.
        """
        if not isinstance(now, int) or now < 0:
            raise refused_time(now)
        calls.open_active(self._tcb, now)
        self._note()

    def open_passive(self, now: int) -> None:
        """Wait for a SYN from `remote` in LISTEN: the passive OPEN (RFC 9293, 3.10.1).

        The event Opened follows once a peer has completed the handshake. Raises ConnectionAlreadyExists where
        the connection isn't in CLOSED.
        """
        if not isinstance(now, int) or now < 0:
            raise refused_time(now)
        calls.open_passive(self._tcb, now)
        self._note()

    def send(self, data: bytes | bytearray | memoryview, now: int, *, urgent: bool = False) -> int:
        """Queue ``data`` to be sent and return how many of its octets were accepted (RFC 9293, 3.10.2).

        Fewer than all are accepted where the send buffer or the host's memory is full; then a Writable event
        says when to send the rest. With ``urgent`` the last octet accepted becomes the end of urgent data
        (RFC 9293, 3.8.5). In LISTEN the call makes the open active. Raises ConnectionClosing after `close`,
        ArgumentError where ``data`` is no buffer of octets, and in CLOSED the error that ended the connection
        or ConnectionDoesNotExist.
        """
        if not isinstance(now, int) or now < 0:
            raise refused_time(now)
        self._follow_keeper(now)
        taken = calls.send(self._tcb, data, now, urgent=urgent)
        self._note()
        return taken

    def receive(self, limit: int, now: int) -> bytes:
        """Return up to ``limit`` octets (1 or more) that arrived in order (RFC 9293, 3.10.3).

        b"" means that none wait now or that none will come: `at_end` tells the two apart. Octets that arrived
        in order before the end are returned first, whatever ended the connection. When they are read, the
        call raises the error that ended the connection, if any; after the peer's FIN, and after this side's
        own `abort`, it returns b"" instead. Raises ArgumentError for a limit below 1, ConnectionDoesNotExist
        before an OPEN.
        """
        if not isinstance(now, int) or now < 0:
            raise refused_time(now)
        data = calls.receive(self._tcb, limit, now)
        self._note()
        return data

    def receive_into(self, buffer: bytearray | memoryview, now: int) -> int:
        """Read octets that arrived in order into ``buffer``; return how many: 0 where none wait or will come.

        The call is `receive` without a bytes object in between; ``len(buffer)`` is the limit. Raises
        ArgumentError where ``buffer`` is empty, read-only or no buffer, otherwise the errors of `receive`.
        """
        if not isinstance(now, int) or now < 0:
            raise refused_time(now)
        room = _room_in(buffer)
        count = calls.receive_into(self._tcb, room, now)
        self._note()
        return count

    def close(self, now: int) -> None:
        """Send what is queued and then a FIN: CLOSE (RFC 9293, 3.10.4).

        The peer may go on sending, and `receive` goes on returning what arrives. The event Closed follows
        when both sides have closed. A second call in FIN-WAIT-1 or FIN-WAIT-2 does nothing; once the peer has
        closed too (CLOSE-WAIT with the FIN queued, CLOSING, LAST-ACK, TIME-WAIT) it raises ConnectionClosing.
        Raises in CLOSED the error that ended the connection, or ConnectionDoesNotExist.
        """
        if not isinstance(now, int) or now < 0:
            raise refused_time(now)
        self._follow_keeper(now)
        calls.close(self._tcb, now)
        self._note()

    def release(self, now: int) -> None:
        """Close, and discard what has arrived or still arrives, as ``close()`` of a socket does.

        If octets are unread, or arrive later, the peer gets a RST because they are lost (RFC 9293, 3.6.1).
        The call raises in no state.
        """
        if not isinstance(now, int) or now < 0:
            raise refused_time(now)
        calls.release(self._tcb, now)
        if self._keeper is not None:
            self._end_time_wait(now)
        self._note()

    def abort(self, now: int) -> None:
        """Send a RST and discard what waits to be sent: ABORT (RFC 9293, 3.10.5).

        Octets that had arrived in order can still be read; after them `at_end` is true. The event Closed
        follows. Raises in CLOSED the error that ended the connection, or ConnectionDoesNotExist.
        """
        if not isinstance(now, int) or now < 0:
            raise refused_time(now)
        self._follow_keeper(now)
        if self._keeper is not None:  # EP-ABORT-5
            self._keeper.give_up(self.local, self.remote, now)
            self._end_time_wait(now)
            return
        calls.abort(self._tcb, now)
        self._note()

    def configure(self, config: Config, now: int) -> None:
        """Replace the choices of a living connection.

        The usual argument is ``dataclasses.replace(connection.config, nagle=False)``. The choices take effect
        at once, in every state. A running timer, such as that of keep-alive or of the user timeout, keeps its
        start and gets its new length, so it may be due now. Three groups stay as they were: what the SYN told
        (timestamps, sack, ecn, window_scaling, scale_for, largest_mss), once it was sent; the congestion
        controller, once it was used; and what only begins a connection (initial_window, rto_after_syn,
        fast_open, mtu_probing where it is "always"). Raises ArgumentError where ``config`` is no `Config`.
        """
        if not isinstance(now, int) or now < 0:
            raise refused_time(now)
        if self.authentication is not None:
            config = self.authentication.adapted(config)
        reconfigure.configure(self._tcb, config, now)
        self._note()

    def rekey(
        self, keychain: Keychain | None = None, *, send_id: int = UNKNOWN, receive_id: int = UNKNOWN
    ) -> None:
        """Replace the master keys of TCP-AO, or choose the key that signs from now on (RFC 5925).

        ``send_id`` chooses the key that signs our segments, ``receive_id`` the key that we ask the peer to
        sign with. Keys in use may be removed, or must stay unchanged under their IDs. Without a ``keychain``
        all keys stay. Raises ArgumentError, also where the connection was opened without keys: authentication
        can't begin or end in a living connection (RFC 5925, 7.1).
        """
        authentication = self.authentication
        if authentication is None:
            raise ArgumentError("keychain", keychain, "none: this connection was opened without keys")
        require_kind("keychain", keychain, (Keychain, type(None)), "a Keychain, or None to keep the keys")
        if keychain is not None:
            keys = keychain.for_peer(self.remote.address)
            if not keys:
                raise ArgumentError("keychain", keychain.keys, f"one with a key for {self.remote}")
            authentication.install(keys)
        if send_id != UNKNOWN or receive_id != UNKNOWN:
            authentication.prefer(send_id, receive_id)

    def status(self, now: int = 0) -> Status:
        """Return the figures of the connection as a `Status`: the STATUS call (RFC 9293, 3.10.6).

        Durations count up to ``now``, or up to when the connection last did something if that is later. The
        call changes nothing. Raises in CLOSED the error that ended the connection, or ConnectionDoesNotExist.
        """
        if not isinstance(now, int) or now < 0:
            raise refused_time(now)
        if self.state is CLOSED:  # EP-STAT-1
            raise calls.why_closed(self._tcb)
        figures = Figures() if self._tcb.recovery is None else self._tcb.recovery.figures()
        return status.of(self._tcb, figures, self.urgent, now)

    def variables(self) -> dict[str, int]:
        """Return the variables of RFC 9293, 3.3.1 by name.

        ``SND.UNA``, ``SND.NXT``, ``SND.UP``, ``SND.WL2`` are relative to ISS, ``SND.WL1`` and ``RCV.NXT`` to
        IRS; ``ISS`` and ``IRS`` are absolute; windows are octets. What isn't known yet is left out; in CLOSED
        the dict is empty.
        """
        return status.variables(self._tcb)

    # The network

    def segment_arrives(self, segment: Segment, now: int) -> None:
        """Process a segment from the network: SEGMENT ARRIVES (RFC 9293, 3.10.7).

        The caller has verified the checksum, and the signature where there is one.
        """
        arrives.segment_arrives(self._tcb, segment, now)
        self._note()

    def next_segment(self, now: int) -> Segment | None:
        """Return the next segment to send at ``now``, or None where there is nothing to send."""
        return output.next_segment(self._tcb, now)

    def network_error(self, error: TcpError, now: int, *, hard: bool, number: int) -> None:
        """Handle an ICMP error about our segment that began at sequence number ``number`` (MUST-54).

        RFC 9293, 3.9.2.2. The number must lie in flight, else the error is ignored as a possible forgery (RFC
        5927, 4.1). A ``hard`` error ends a connection that isn't synchronized yet; later it is only reported
        as Trouble (RFC 5927, 5.2).
        """
        tcb = self._tcb
        if not acknowledge.is_in_flight(self._tcb, number):
            return
        if hard and not tcb.is_synchronized:  # SHLD-26
            tcb.delete(error, now)
        else:  # MUST-56, SHLD-25
            error = error.about(tcb.subject)
            error.told_at = now
            tcb.error = error  # if the connection times out later, this is the likely cause
            tcb.trouble(error)
        self._note()

    def packet_too_big(self, mtu: int, number: int, now: int) -> bool:
        """Handle a router's claim that it carries ``mtu`` octets at most; return whether it was believed.

        ``number`` is the sequence number at which the refused segment of ours began; the claim is ignored
        unless it lies in flight. If the claim is believed at once, segments become smaller, and what is in
        flight is sent again (RFC 8201, 4; RFC 5927, 7.2). Otherwise the claim may wait for a sign of loss,
        see `postel.tcp.pathmtu`.
        """
        is_believed = acknowledge.is_in_flight(self._tcb, number) and pathmtu.claimed(
            self._tcb, mtu, number, now
        )
        self._note()
        return is_believed

    def path_mtu(self, mtu: int, now: int) -> None:
        """Adopt the path MTU that the host already knows for this path, in octets with the IP header."""
        pathmtu.learn(self._tcb, mtu, now)

    def link_mtu(self, mtu: int, now: int) -> None:
        """Adopt a changed MTU of our own link, in octets."""
        pathmtu.link_changed(self._tcb, mtu, now)
        self._note()

    # Events and time

    def next_event(self) -> Event | None:
        """Return the oldest event that wasn't returned yet, or None where there is none."""
        events = self._tcb.events
        if not events:
            return tuning.turn(self._tcb) if self._tcb.snd.wants_room else None
        self._tcb.events = events[1:]
        return events[0]

    def next_timeout(self) -> int:
        """Return when to call `handle_timeout`, in microseconds; NEVER where no timer runs.

        Segments that wait in `next_segment` don't count: only timers do.
        """
        return self._tcb.timers.next()

    def handle_timeout(self, now: int) -> None:
        """Process all timers that expired by ``now`` (RFC 9293, 3.10.8); harmless when none has."""
        if self._keeper is not None:
            self._follow_keeper(now)
            return
        timeouts.expire(self._tcb, now)
        self._note()

    def offer_window(self) -> bool:
        """Record that a window update must be sent, if the host's memory now has room for a larger window.

        Returns whether an ACK must be sent, for this or another reason; any ACK carries the new window.
        """
        window.offer_memory(self._tcb)
        if not self._tcb.owes & OWES_ACK:
            return False
        self._note()
        return True

    def leave_time_wait_to(self, keeper: Keeper) -> None:
        """Hand TIME-WAIT over to ``keeper``, which answers segments in place of this connection for 2 MSL.

        A host calls it when the connection enters TIME-WAIT, so that it needs to keep a small record only.
        The connection then sends, expects and waits for nothing more. Its program gets Closed and can still
        read what had arrived. `state` is TIME-WAIT while the keeper holds the record, and then CLOSED.
        """
        tcb = self._tcb
        tcb.observer = None  # the host reports the change to CLOSED, when the keeper's record expires
        tcb.let_text_go()
        tcb.events += (Closed(),)
        self._agenda = None
        self._keeper = keeper

    def _follow_keeper(self, now: int) -> None:
        """Enter CLOSED if the keeper no longer holds the TIME-WAIT of this connection."""
        if self._keeper is not None and not self._is_kept_by(self._keeper):
            self._end_time_wait(now)

    def _is_kept_by(self, keeper: Keeper) -> bool:
        """Whether ``keeper`` still holds the TIME-WAIT of this connection."""
        return keeper.keeps(self.local, self.remote, self._tcb.snd.iss)

    def _end_time_wait(self, now: int) -> None:
        """Enter CLOSED without an event: the program got Closed when TIME-WAIT began."""
        self._keeper = None
        self._tcb.timers.stop_all()
        self._tcb.enter(CLOSED, now)

    def _note(self) -> None:
        """Put the connection on the host's queue (``agenda``), unless it is there already."""
        if self._agenda is not None and not self.on_agenda:
            self._agenda.append(self)


class Turns:
    """Queue of a host's connections that may have something to send or to report, first come first served.

    A host doesn't scan its connections. A connection that got a segment, or that the program called, puts
    itself on this queue (``agenda`` of its constructor), and the host looks only at those on the queue.
    """

    __slots__ = ("_bell", "queue")

    def __init__(self, bell: Bell) -> None:
        """Make an empty queue. When a connection is added, ``bell`` is rung: the host's driver sees work."""
        self._bell = bell
        self.queue: deque[Connection] = deque()

    def append(self, connection: Connection) -> None:
        """Add a connection that isn't on the queue."""
        connection.on_agenda = True
        self.queue.append(connection)
        if not self._bell.is_rung:
            self._bell.ring()

    def pop(self) -> Connection | None:
        """Remove and return the connection that has waited longest; None where the queue is empty."""
        if not self.queue:
            return None
        connection = self.queue.popleft()
        connection.on_agenda = False
        return connection


def _room_in(buffer: object) -> memoryview:
    """Return the octets of a caller's buffer as a writable memoryview. Raises ArgumentError."""
    try:
        room = memoryview(cast(Any, buffer)).cast("B")
    except TypeError:
        raise ArgumentError("buffer", buffer, "a bytearray or a memoryview") from None
    if room.readonly:
        raise ArgumentError("buffer", buffer, "a bytearray or a memoryview that may be written to")
    return room
