"""One TCP connection, sans-I/O: the smallest of Postel's three machines.

The contract, that of `postel.host.Host` and `postel.sim.World` too:

1. The pump. After any call: drain `next_segment` until None, then `next_event` until None, then arm for
   `next_timeout`.
2. ``now``, in microseconds, never decreases. Calling anything too often is harmless.
3. Input only records what is owed. Only output makes segments, so acknowledgements coalesce by themselves.
4. A peer can cause events, never exceptions. A caller can cause exceptions.
5. Everything is a function of its inputs.
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
from postel.tcp.status import Status as Status  # noqa: PLC0414  # part of this module's interface too
from postel.tcp.tcb import OWES_ACK, Tcb
from postel.wire.address import Endpoint
from postel.wire.segment import Segment


class Connection:
    """One TCP connection, for one thread: calls from several at once lose and double octets, and nothing
    notices. A lock around every call, those of the driver included, or a queue to the thread that drives it,
    lets others take part.

    ``iss`` and ``timestamp_offset`` come from `isn.Generator`, or from a test. ``mtu`` is the link's, in
    octets.

    ``agenda`` is shared by the connections of one host: each that may have something to send or tell is on
    it, once. ``authentication`` is for whoever turns its segments into octets and back: they must be signed.
    ``context`` is the driver's own.
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
        self.is_looped: bool = False  # both ends are at one host
        self._agenda = agenda
        self._keeper: Keeper | None = None  # of its TIME-WAIT

    def __repr__(self) -> str:
        return f"<{self.local} {self.state} {self.remote}>"

    # What it is

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
        """The state of RFC 9293. In TIME-WAIT it may be that of the host's record, see
        `leave_time_wait_to`.
        """
        if self._keeper is not None and not self._is_kept_by(self._keeper):
            return CLOSED
        return self._tcb.state

    @property
    def config(self) -> Config:
        """The choices that hold now; `configure` replaces them."""
        return self._tcb.config

    @property
    def controller(self) -> Congestion | None:
        """The congestion controller, None until something was to be sent. Its ``window`` and ``threshold``
        are octets.
        """
        return self._tcb.controller

    @property
    def options(self) -> agreed.Options:
        """What the two SYNs agreed on, as of now."""
        return agreed.of(self._tcb)

    @property
    def error(self) -> TcpError | None:
        """What ended the connection; None while it lives and after an orderly close. A reason to look at:
        raise a `renewed` one.
        """
        return self._tcb.error if self._tcb.state is CLOSED else None

    @property
    def readable(self) -> int:
        """Octets that wait in `receive`."""
        return self._tcb.rcv.unread

    @property
    def writable(self) -> int:
        """Octets that `send` would take now, 0 where it would raise."""
        return tuning.room(self._tcb) if calls.may_send(self._tcb) else 0

    @property
    def send_limit(self) -> int:
        """Octets that the send buffer holds at present; an automatic one grows."""
        return self._tcb.snd.limit

    @property
    def receive_limit(self) -> int:
        """Octets that the receive buffer holds at present; an automatic one grows."""
        return self._tcb.rcv.limit

    @property
    def mss(self) -> int:
        """Octets of text in a full segment at present: what the peer's MSS, the path and our options
        leave.
        """
        tcb = self._tcb
        return tcb.data_mss if tcb.controller is None else tcb.controller.smss

    @property
    def is_fast(self) -> bool:
        """Whether text may flow before the handshake is over: as a client with a cookie, or as a server that
        was given one (RFC 7413).
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
        """Octets that `send` took and the peer hasn't acknowledged yet."""
        return self._tcb.snd.buffer.size

    @property
    def at_end(self) -> bool:
        """Whether everything was read, and nothing more will come: the peer sent FIN, or `abort` was called
        here.
        """
        return self._tcb.rcv.unread == 0 and calls.has_ended(self._tcb)

    @property
    def has_peer_ended(self) -> bool:
        """Whether the peer's FIN came, and all that it sent before: nothing more arrives."""
        return self._tcb.rcv.fin_is_received

    @property
    def urgent(self) -> int:
        """Octets until the end of urgent data (MUST-33), 0 when none is ahead. It comes in line; new programs
        do without (SHLD-13).
        """
        tcb = self._tcb
        return max(0, tcb.rcv.up - (tcb.rcv.position - tcb.rcv.unread))

    # User calls: RFC 9293, 3.10.1 to 3.10.6. Errors are those of `postel.errors`

    def open_active(self, now: int) -> None:
        """An active OPEN: send a SYN. Events follow: Opened, or Closed with what prevented it. Raises
        ConnectionAlreadyExists.
        """
        if not isinstance(now, int) or now < 0:
            raise refused_time(now)
        calls.open_active(self._tcb, now)
        self._note()

    def open_passive(self, now: int) -> None:
        """A passive OPEN: wait for a SYN from `remote`. Raises ConnectionAlreadyExists."""
        if not isinstance(now, int) or now < 0:
            raise refused_time(now)
        calls.open_passive(self._tcb, now)
        self._note()

    def send(self, data: bytes | bytearray | memoryview, now: int, *, urgent: bool = False) -> int:
        """How many octets were taken: all, or as many as fit; a Writable event says when the rest may
        come.
        """
        if not isinstance(now, int) or now < 0:
            raise refused_time(now)
        self._follow_keeper(now)
        taken = calls.send(self._tcb, data, now, urgent=urgent)
        self._note()
        return taken

    def receive(self, limit: int, now: int) -> bytes:
        """Up to ``limit`` octets; b"" when none wait now, or none will come: see `at_end`.

        What arrived in order before the end is given first, whatever the end was. After that, where an error
        ended the connection, the error is raised; not so after the peer's FIN, nor after one's own `abort`.
        """
        if not isinstance(now, int) or now < 0:
            raise refused_time(now)
        data = calls.receive(self._tcb, limit, now)
        self._note()
        return data

    def receive_into(self, buffer: bytearray | memoryview, now: int) -> int:
        """As `receive`, without an octet in between: they go into ``buffer``, as many as it has room for. How
        many; 0 for none.
        """
        if not isinstance(now, int) or now < 0:
            raise refused_time(now)
        room = _room_in(buffer)
        count = calls.receive_into(self._tcb, room, now)
        self._note()
        return count

    def close(self, now: int) -> None:
        """Send what is queued, then FIN. The peer may go on sending, and `receive` goes on giving."""
        if not isinstance(now, int) or now < 0:
            raise refused_time(now)
        self._follow_keeper(now)
        calls.close(self._tcb, now)
        self._note()

    def release(self, now: int) -> None:
        """Close, and read no more. Text not read, or coming later, is answered with RST. Never raises."""
        if not isinstance(now, int) or now < 0:
            raise refused_time(now)
        calls.release(self._tcb, now)
        if self._keeper is not None:
            self._end_time_wait(now)
        self._note()

    def abort(self, now: int) -> None:
        """Send RST and forget what waits to be sent. Text that had arrived in order stays to be read, and
        then that was the end.
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
        """Replace the choices of a living connection, as by ``dataclasses.replace(connection.config,
        nagle=False)``.

        They take effect at once, in every state: a timer that runs, such as those of keep-alive and of the
        user timeout, goes on from where it started, and may be due now. Three things stay as they were: what
        the SYN told (timestamps, sack, ecn, window_scaling, scale_for, largest_mss), once it was sent; the
        congestion controller, once it was used; and what only begins a connection (initial_window,
        rto_after_syn, fast_open, mtu_probing where it is "always").
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
        """Replace the master keys, and say which is to sign from now on: ours by ``send_id``, the peer's by
        ``receive_id``.

        Keys in use must stay as they are, under their IDs, or go; without a ``keychain`` they all stay.
        Raises ArgumentError, also where the connection was opened without keys: a signature can't be begun or
        left off later (RFC 5925, 7.1).
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
        """What there is to know, at ``now`` or when the connection last did something, whichever is later.
        Asking changes nothing.

        Raises what ended the connection once it is CLOSED."""
        if not isinstance(now, int) or now < 0:
            raise refused_time(now)
        if self.state is CLOSED:  # EP-STAT-1
            raise calls.why_closed(self._tcb)
        figures = Figures() if self._tcb.recovery is None else self._tcb.recovery.figures()
        return status.of(self._tcb, figures, self.urgent, now)

    def variables(self) -> dict[str, int]:
        """The variables of RFC 9293, 3.3.1 by name: ``SND.UNA`` and such relative to ISS, ``RCV.NXT`` and
        such to IRS, windows in octets, ``ISS`` and ``IRS`` as they are. What isn't known yet is left out; a
        closed connection has none.
        """
        return status.variables(self._tcb)

    # The network

    def segment_arrives(self, segment: Segment, now: int) -> None:
        """RFC 9293, 3.10.7. The checksum was checked by whoever parsed it."""
        arrives.segment_arrives(self._tcb, segment, now)
        self._note()

    def next_segment(self, now: int) -> Segment | None:
        """The next segment to send at ``now``; None where nothing is to be sent."""
        return output.next_segment(self._tcb, now)

    def network_error(self, error: TcpError, now: int, *, hard: bool, number: int) -> None:
        """An ICMP error about the segment that began at ``number`` (MUST-54). RFC 5927: it must lie in flight
        (4.1), and once synchronized even a hard error only informs (5.2)."""
        tcb = self._tcb
        if not acknowledge.is_in_flight(self._tcb, number):
            return
        if hard and not tcb.is_synchronized:  # SHLD-26
            tcb.delete(error, now)
        else:  # MUST-56, SHLD-25
            error = error.about(tcb.subject)
            error.told_at = now
            tcb.error = error  # if the connection times out, this may be why
            tcb.trouble(error)
        self._note()

    def packet_too_big(self, mtu: int, number: int, now: int) -> bool:
        """A router says that it can't carry our segment that began at ``number``. Whether that was believed
        at once: then smaller ones go, and that one again (RFC 8201, 4; RFC 5927, 7.2)."""
        is_believed = acknowledge.is_in_flight(self._tcb, number) and pathmtu.claimed(
            self._tcb, mtu, number, now
        )
        self._note()
        return is_believed

    def path_mtu(self, mtu: int, now: int) -> None:
        """What the path is known to carry, IP header included."""
        pathmtu.learn(self._tcb, mtu, now)

    def link_mtu(self, mtu: int, now: int) -> None:
        """Our own link carries packets of up to ``mtu`` octets from now on."""
        pathmtu.link_changed(self._tcb, mtu, now)
        self._note()

    # Events and time

    def next_event(self) -> Event | None:
        """What happened next, in the order in which it happened; None where nothing is left to tell."""
        events = self._tcb.events
        if not events:
            return tuning.turn(self._tcb) if self._tcb.snd.wants_room else None
        self._tcb.events = events[1:]
        return events[0]

    def next_timeout(self) -> int:
        """When to call `handle_timeout`; NEVER if nothing is pending. What waits in `next_segment` is not a
        matter of time.
        """
        return self._tcb.timers.next()

    def handle_timeout(self, now: int) -> None:
        """Do what has become due by ``now``; harmless when nothing has."""
        if self._keeper is not None:
            self._follow_keeper(now)
            return
        timeouts.expire(self._tcb, now)
        self._note()

    def offer_window(self) -> bool:
        """The host's memory has room again: tell the peer, if that makes a window worth telling of. Whether
        it does.
        """
        window.offer_memory(self._tcb)
        if not self._tcb.owes & OWES_ACK:
            return False
        self._note()
        return True

    def leave_time_wait_to(self, keeper: Keeper) -> None:
        """Let ``keeper`` answer for the pair until its 2MSL are over; called by a host when the connection
        enters TIME-WAIT.

        The connection has nothing more to send, to hear or to wait for. Its program is told Closed and can go
        on reading what had arrived; `state` is TIME-WAIT for as long as the pair is kept, and then CLOSED.
        """
        tcb = self._tcb
        tcb.observer = None  # the keeper tells of CLOSED
        tcb.let_text_go()
        tcb.events += (Closed(),)
        self._agenda = None
        self._keeper = keeper

    def _follow_keeper(self, now: int) -> None:
        """CLOSED, once the pair isn't kept any more."""
        if self._keeper is not None and not self._is_kept_by(self._keeper):
            self._end_time_wait(now)

    def _is_kept_by(self, keeper: Keeper) -> bool:
        return keeper.keeps(self.local, self.remote, self._tcb.snd.iss)

    def _end_time_wait(self, now: int) -> None:
        """For the program it is over; it was told before."""
        self._keeper = None
        self._tcb.timers.stop_all()
        self._tcb.enter(CLOSED, now)

    def _note(self) -> None:
        if self._agenda is not None and not self.on_agenda:
            self._agenda.append(self)


class Turns:
    """The connections of one host that may have something to send or tell, in the order in which they
    came.
    """

    __slots__ = ("_bell", "queue")

    def __init__(self, bell: Bell) -> None:
        self._bell = bell
        self.queue: deque[Connection] = deque()

    def append(self, connection: Connection) -> None:
        """Add a connection that isn't on it."""
        connection.on_agenda = True
        self.queue.append(connection)
        if not self._bell.is_rung:
            self._bell.ring()

    def pop(self) -> Connection | None:
        """Remove the connection that has waited longest; None where none waits."""
        if not self.queue:
            return None
        connection = self.queue.popleft()
        connection.on_agenda = False
        return connection


def _room_in(buffer: object) -> memoryview:
    """The octets of what a caller wants filled."""
    try:
        room = memoryview(cast(Any, buffer)).cast("B")
    except TypeError:
        raise ArgumentError("buffer", buffer, "a bytearray or a memoryview") from None
    if room.readonly:
        raise ArgumentError("buffer", buffer, "a bytearray or a memoryview that may be written to")
    return room
