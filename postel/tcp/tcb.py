"""Transmission control block (TCB): everything that is known of one connection (RFC 9293, 3.3.1).

The TCB consists of objects of other classes: `Sending`, `Receiving`, `Timers`, `Rtt` and more. Sequence
numbers, deadlines and estimates change only by the methods of these classes.
"""

from typing import Final

from postel.errors import IllegalTransition, TcpError
from postel.tcp.config import Config, first_receive_limit, first_send_limit
from postel.tcp.congestion import Congestion, initial_window
from postel.tcp.counts import Counts
from postel.tcp.ecn import Ecn
from postel.tcp.events import Closed, Event, Trouble
from postel.tcp.handshake_state import HandshakeState
from postel.tcp.memory import Holder, Memory
from postel.tcp.observer import Observer
from postel.tcp.path import PathSizes
from postel.tcp.receiving import Receiving
from postel.tcp.recovery import ON, STAY, Recovery
from postel.tcp.recovery.newreno import NewReno
from postel.tcp.recovery.rack import Rack
from postel.tcp.rtt import Rtt
from postel.tcp.sending import Sending
from postel.tcp.seq import NO_SEQUENCE
from postel.tcp.state import (
    CLOSED,
    ESTABLISHED,
    FIN_WAIT_1,
    FIN_WAIT_2,
    SUCCESSORS,
    SYN_RECEIVED,
    SYN_SENT,
    State,
)
from postel.tcp.timers import Timers
from postel.wire.address import Endpoint
from postel.wire.segment import Segment

# What the connection owes the peer. Input sets these bits, and output clears them when it sends.
OWES_ACK: Final = 1
OWES_SYN: Final = 2  # a SYN, or in SYN-RECEIVED a SYN,ACK: set for the first one and for each retransmission
OWES_RESET: Final = 4  # the RST of an abort
OWES_WINDOW_PROBE: Final = 8
OWES_KEEP_ALIVE: Final = 16
OWES_TAIL_PROBE: Final = 32
OWES_USER_TIMEOUT: Final = 64  # the option of RFC 5482, on the next segment with room for it

# If so many events wait, the oldest Trouble gives way to a new one. The others are Closed and five kinds of
# which one each waits, so there is a Trouble among them
MOST_EVENTS: Final = 16

HEADERS_4: Final = 40  # octets of the IPv4 and TCP headers without options
HEADERS_6: Final = 60  # octets of the IPv6 and TCP headers without options
DEFAULT_MSS_4: Final = 536  # MUST-15
DEFAULT_MSS_6: Final = 1220
LARGEST_SHIFT: Final = 14  # largest window scale (RFC7323-2.3b)
TIMESTAMPS_LENGTH: Final = 12  # octets of the timestamps option and the two NOPs before it


class TimestampState:
    """State of the timestamps option (RFC 7323, 4.3): TS.Recent, Last.ACK.sent and our clock's offset.

    ``agreed`` is True once both SYNs carried the option.
    """

    __slots__ = ("agreed", "echoed", "last_ack_sent", "offset", "recent", "recent_at")

    def __init__(self, offset: int) -> None:
        """Begin with nothing agreed; ``offset``, in ticks, is added to our clock (RFC 7323, 7.1)."""
        self.agreed: bool = False
        self.echoed: int = 0  # the peer's latest TSecr
        self.offset: int = offset
        self.recent: int = 0  # TS.Recent
        self.recent_at: int = 0  # when TS.Recent was last set
        self.last_ack_sent: int = 0  # Last.ACK.sent


class Tcb(Holder):
    """Transmission control block of one `Connection`.

    Only `calls`, `arrives` and `timeouts` change ``state``; only `output` makes segments.
    """

    __slots__ = (
        "config",
        "controller",
        "counts",
        "ecn",
        "error",
        "events",
        "local",
        "memory",
        "observer",
        "opening",
        "owes",
        "path",
        "rcv",
        "recovery",
        "remote",
        "resets",
        "rtt",
        "sack_agreed",
        "snd",
        "state",
        "timers",
        "timestamps",
        "user_timeout",
        "was_aborted",
    )

    def __init__(
        self,
        local: Endpoint,
        remote: Endpoint,
        config: Config,
        iss: int,
        mtu: int,
        timestamp_offset: int,
        observer: Observer | None,
        memory: Memory | None,
    ) -> None:
        """Make the control block of a connection in CLOSED; the arguments are those of `Connection`."""
        self.local: Endpoint = local
        self.remote: Endpoint = remote
        self.config: Config = config
        self.observer: Observer | None = observer
        self.memory = memory
        self.state: State = CLOSED
        self.error: TcpError | None = None  # what ended the connection; until then, the latest soft error
        self.events: tuple[Event, ...] = ()  # a tuple, because most of very many connections have no event
        self.owes: int = 0
        self.resets: list[Segment] | None = None  # segments that will be answered with a RST

        self.snd: Sending = Sending(iss, first_send_limit(config))
        self.rcv: Receiving = Receiving(first_receive_limit(config))
        self.opening: HandshakeState = HandshakeState(config.initial_window, is_passive=False)
        self.path: PathSizes = PathSizes(mtu, DEFAULT_MSS_4 if len(local.address) == 4 else DEFAULT_MSS_6)
        self.timers: Timers = Timers()
        self.rtt: Rtt = Rtt(config, iss)
        self.timestamps: TimestampState = TimestampState(timestamp_offset)
        self.ecn: Ecn | None = None  # set where the handshake agreed on ECN
        self.user_timeout: int = config.user_timeout  # USER_TIMEOUT of RFC 5482
        self.controller: Congestion | None = None  # made when first needed, see `ensure_controller`
        self.recovery: Recovery | None = None
        self.counts: Counts = Counts()
        self.sack_agreed: bool = False
        self.was_aborted: bool = False  # this side's user called ABORT

    def begin_anew(self, iss: int) -> None:
        """Forget a failed handshake before a return to LISTEN; ``iss`` is the next ISS."""
        config = self.config
        self.error = None
        self.owes = 0
        self.snd = self.snd.anew(iss)
        self.rcv = self.rcv.anew()
        self.opening = HandshakeState(config.initial_window, is_passive=self.opening.is_passive)
        self.path.peer_mss = DEFAULT_MSS_4 if self.is_ipv4 else DEFAULT_MSS_6
        self.timers = Timers()
        self.rtt = Rtt(config, iss)
        self.timestamps = TimestampState(self.timestamps.offset)
        self.ecn = None
        self.user_timeout = config.user_timeout
        self.controller = None
        self.recovery = None
        self.sack_agreed = False

    # Sending

    def ensure_controller(self) -> Congestion:
        """Return the congestion controller; make it when it is first needed.

        A connection that only receives has none.
        """
        if self.controller is None:
            # A variable, because mypyc would call the property with these arguments, not the class it returns
            make = self.config.controller
            self.controller = make(self.data_mss, self.first_congestion_window, self._seed)
        return self.controller

    @property
    def _seed(self) -> int:
        """Seed of a controller's random choices: two keyed hashes of the addresses, one with time added."""
        return self.snd.iss << 32 | self.timestamps.offset

    @property
    def first_congestion_window(self) -> int:
        """Octets of the congestion window that a controller made now would begin with (RFC 6928)."""
        smss = self.data_mss
        return smss if self.opening.first_window == 1 else initial_window(smss, self.opening.first_window)

    def ensure_recovery(self) -> Recovery:
        """Return the loss recovery; make it when something is first sent."""
        if self.recovery is None:
            engine = Rack if self.sack_agreed else NewReno  # RFC8985-4a
            self.recovery = engine(self.snd.first_octet, self.ensure_controller(), self.rtt)
        return self.recovery

    @property
    def is_sender(self) -> bool:
        """Whether the connection ever had something to send."""
        return self.recovery is not None

    def begin_to_send(self) -> None:
        """Forget controller and recovery, so that new ones begin with the MSS and options agreed on now."""
        self.controller = None
        self.recovery = None

    # State and events

    def enter(self, state: State, now: int) -> None:
        """Change the state, and tell the observer. No other code changes it.

        Raises IllegalTransition, and changes nothing, where the pair isn't in `EDGES`.
        """
        before = self.state
        if state not in SUCCESSORS[before]:
            raise IllegalTransition(f"RFC 9293 has no transition from {before} to {state}")
        self.state = state
        if self.observer is not None:
            self.observer.state_changed(self.local, self.remote, before, state, now)

    def tell(self, event: Event) -> None:
        """Queue an event for the user, unless the same one waits already."""
        if event not in self.events:
            self.events += (event,)

    def trouble(self, error: TcpError) -> None:
        """Queue a Trouble event: a soft error that the connection survives (MUST-47).

        An error that waits already isn't added again. If `MOST_EVENTS` events wait, the oldest Trouble is
        dropped first.
        """
        event = Trouble(error.about(self.subject))
        if self.config.reports and event not in self.events:
            if len(self.events) >= MOST_EVENTS:
                first = [isinstance(waiting, Trouble) for waiting in self.events].index(True)
                self.events = self.events[:first] + self.events[first + 1 :]
            self.events += (event,)

    def delete(self, error: TcpError | None, now: int) -> None:
        """Delete the TCB and enter the CLOSED state, as the RFC says, and queue Closed with ``error``.

        What was received in order stays readable; everything else is dropped.
        """
        if error is not None:
            error = error.about(self.subject)
        self.error = error
        if self.opening.fast_open is not None:
            self.opening.fast_open.failed(error, now, was_silent=self.snd.retransmissions > 0)
            self.opening.fast_open = None
        self.flush()
        self.let_text_go()
        self.enter(CLOSED, now)
        self.events += (Closed(error),)

    @property
    def subject(self) -> str:
        """First words of an error message: the peer, or ``connect to 10.0.0.2:80`` while opening."""
        is_opening = self.state is SYN_SENT or (self.state is SYN_RECEIVED and not self.opening.is_passive)
        return f"connect to {self.remote}" if is_opening else str(self.remote)

    def ensure_deleted(self, error: TcpError | None, now: int) -> None:
        """Delete the TCB unless the state is CLOSED already.

        A timer may have ended the connection since its host last looked at it.
        """
        if self.state is not CLOSED:
            self.delete(error, now)

    def flush(self) -> None:
        """Drop all payload that waits to be sent or for reassembly, and all that is owed; stop all timers."""
        self.timers.stop_all()
        self.give_back(self.snd.buffer.size)
        self.snd.buffer.clear()
        if self.rcv.reassembly is not None:
            self.give_back(self.rcv.reassembly.weight)
            self.close_gap()
        if self.memory is not None:
            self.memory.stop_waiting(self)
        self.opening.early = b""
        self.owes = 0
        self.rcv.duplicates_owed = 0

    def turn(self) -> None:
        """Move SND.NXT back to SND.UNA or on to SND.MAX, if recovery's ``turn`` asks for that."""
        recovery = self.ensure_recovery()
        if recovery.turn != STAY:
            if recovery.turn == ON:
                self.snd.catch_up()
            else:
                self.snd.rewind()
            recovery.turn = STAY

    # Questions

    @property
    def is_ipv4(self) -> bool:
        """Whether the endpoints have IPv4 addresses."""
        return len(self.local.address) == 4

    @property
    def known_irs(self) -> int:
        """IRS, the peer's initial sequence number; NO_SEQUENCE before its SYN arrived."""
        return NO_SEQUENCE if self.state is SYN_SENT else self.rcv.irs

    @property
    def advertised_mss(self) -> int:
        """MSS option of our SYN: the link's MTU less the fixed headers only (MUST-67, RFC6691-2)."""
        return max(
            1, min(self.config.largest_mss, self.path.link_mtu - (HEADERS_4 if self.is_ipv4 else HEADERS_6))
        )

    @property
    def send_mss(self) -> int:
        """Eff.snd.MSS before the options of the segment at hand are subtracted (MUST-16)."""
        return max(
            1,
            min(
                self.path.peer_mss,
                self.config.largest_mss,
                self.path.mtu - (HEADERS_4 if self.is_ipv4 else HEADERS_6),
            ),
        )

    @property
    def data_mss(self) -> int:
        """SMSS: octets of payload in a full segment (RFC6691-2).

        Only the options that every segment carries are subtracted: timestamps and a signature.
        """
        return max(
            1,
            self.send_mss - (TIMESTAMPS_LENGTH if self.timestamps.agreed else 0) - self.path.signature_length,
        )

    @property
    def keep_alive_idle(self) -> int:
        """Idle time before the first keep-alive, in microseconds.

        The idle time is longer than the user timeout where the option of RFC 5482 is in use (RFC5482-4.2).
        """
        idle = self.config.keep_alive_idle
        return max(idle, self.user_timeout + 1) if self.config.user_timeout_option else idle

    @property
    def can_receive(self) -> bool:
        """Whether payload may arrive in this state."""
        return self.state in (ESTABLISHED, FIN_WAIT_1, FIN_WAIT_2)

    @property
    def may_listen_again(self) -> bool:
        """Whether SYN-RECEIVED came out of LISTEN, and no program has the connection yet (MUST-11)."""
        return self.state is SYN_RECEIVED and self.opening.is_passive and not self.opening.is_fast

    @property
    def is_synchronized(self) -> bool:
        """Whether both SYNs are acknowledged.

        The state alone doesn't tell: after a CLOSE in SYN-RECEIVED it is FIN-WAIT-1, while our SYN may be in
        flight.
        """
        return self.snd.syn_is_acked and self.state is not CLOSED

    # Memory that is shared with the host's other connections

    def claim_memory(self, octets: int) -> bool:
        """Count ``octets`` in the host's memory, and return whether there was room for them."""
        return self.memory is None or self.memory.claim(octets)

    def close_gap(self) -> None:
        """Drop the reassembly queue, which is empty or no longer needed."""
        self.rcv.reassembly = None
        if self.memory is not None:
            self.memory.gaps.pop(self, None)

    def give_up_gap(self, octets: int) -> int:
        """Drop octets from the reassembly queue until ``octets`` of memory are free, or the queue is empty.

        Returns how many octets of memory became free.
        """
        held = self.rcv.reassembly
        if held is None:
            return 0
        given_up = held.give_up(octets)
        self.give_back(given_up)
        if not held:
            self.close_gap()
        return given_up

    def let_text_go(self) -> None:
        """Stop counting unread octets of an ended connection in the host's memory: they are the program's.

        The host doesn't keep ended connections. Only a finalizer could tell the host that the program dropped
        such a connection, and finalizers run at times that differ between runs.
        """
        self.give_back(self.rcv.unread)
        self.memory = None

    def give_back(self, octets: int) -> None:
        """Count ``octets`` of the host's memory as free again."""
        if self.memory is not None and octets:
            self.memory.give(octets)
