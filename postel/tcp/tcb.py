"""The transmission control block: all that is known of one connection (RFC 9293, 3.3.1).

Send sequence space, and who moves what::

        SND.UNA          SND.NXT        SND.MAX      SND.UNA+SND.WND
    ───────┼────────────────┼──────────────┼──────────────┼───────►
    acked  │   in flight    │ sent before  │  may be sent │  may not
           │                │ a timeout    │              │

Receive sequence space::

            RCV.NXT                 RCV.NXT+RCV.WND = RCV.ADV
    ───────────┼───────────────────────────┼──────────────►
    in order   │   acceptable, held        │   refused
"""

from typing import Final

from postel.errors import IllegalTransition, TcpError
from postel.tcp import seq
from postel.tcp.config import Config, first_receive_limit, first_send_limit
from postel.tcp.congestion import Congestion, initial_window
from postel.tcp.ecn import Ecn
from postel.tcp.events import Closed, Event, Trouble
from postel.tcp.fastopen import FastOpen
from postel.tcp.memory import Holder, Memory
from postel.tcp.observer import Observer
from postel.tcp.path import Path
from postel.tcp.reader import Reader
from postel.tcp.reassembly import Reassembly
from postel.tcp.recovery import ON, STAY, Recovery
from postel.tcp.recovery.newreno import NewReno
from postel.tcp.recovery.rack import Rack
from postel.tcp.rtt import Rtt
from postel.tcp.sendbuffer import SendBuffer
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
from postel.tcp.stopwatch import Stopwatch
from postel.tcp.timers import Timers
from postel.wire.address import Endpoint
from postel.wire.segment import Segment

# What is owed to the peer. Input sets these; output alone pays them.
OWES_ACK: Final = 1
OWES_SYN: Final = 2  # SYN, or SYN,ACK in SYN-RECEIVED: the first time, and again
OWES_RESET: Final = 4  # the RST of an abort
OWES_WINDOW_PROBE: Final = 8
OWES_KEEP_ALIVE: Final = 16
OWES_TAIL_PROBE: Final = 32
OWES_USER_TIMEOUT: Final = 64  # the option, with whatever goes next

MOST_EVENTS: Final = 16  # that wait to be told; all kinds but Trouble and Closed are five

NO_SEQUENCE: Final = -1

HEADERS_4: Final = 40  # IP and TCP without options
HEADERS_6: Final = 60
DEFAULT_MSS_4: Final = 536  # MUST-15
DEFAULT_MSS_6: Final = 1220
LARGEST_SHIFT: Final = 14  # RFC7323-2.3b
TIMESTAMPS_LENGTH: Final = 12  # with the two NOPs before it


class SendSequence:
    """SND.* of RFC 9293, 3.3.1; ``max`` is the highest number ever sent, ``max_wnd`` the largest window ever received (3.10.7.4)."""

    __slots__ = ("iss", "max", "max_wnd", "nxt", "shift", "una", "up", "wl1", "wl2", "wnd")

    def __init__(self, iss: int) -> None:
        self.iss = iss
        self.una = iss
        self.nxt = iss
        self.max = iss
        self.up = iss
        self.wnd = 0
        self.max_wnd = 0
        self.wl1 = 0
        self.wl2 = 0
        self.shift = 0  # Snd.Wind.Shift


class ReceiveSequence:
    """RCV.* of RFC 9293, 3.3.1. ``nxt + wnd`` is the highest right edge ever advertised: it never moves back (SHLD-14).

    ``up`` alone is a position, not a number: urgent data may lie 2**31 octets back, and must not seem ahead again.
    """

    __slots__ = ("irs", "nxt", "shift", "up", "wnd")

    def __init__(self) -> None:
        self.irs = 0
        self.nxt = 0
        self.wnd = 0
        self.up = 0
        self.shift = 0  # Rcv.Wind.Shift


class TimestampState:
    """TS.Recent and its companions of RFC 7323, 4.3. ``agreed`` once both SYNs carried the option."""

    __slots__ = ("agreed", "echoed", "last_ack_sent", "offset", "recent", "recent_at")

    def __init__(self, offset: int) -> None:
        self.agreed = False
        self.echoed = 0  # the peer's latest TSecr
        self.offset = offset
        self.recent = 0
        self.recent_at = 0
        self.last_ack_sent = 0


class Tcb(Holder):
    """Owned by one `Connection`. Only calls, arrives and timeouts change ``state``; only output makes segments."""

    __slots__ = (
        "_congestion",
        "_recovery",
        "arrived_since_ack",
        "burst",
        "challenge_after",
        "config",
        "duplicate",
        "duplicates_owed",
        "early",
        "ecn",
        "error",
        "events",
        "fast_open",
        "fast_opened",
        "fin_expected",
        "fin_is_queued",
        "fin_is_received",
        "fin_seq",
        "first_window",
        "is_passive",
        "keep_alives_until",
        "last_ack_at",
        "last_data_at",
        "last_sent_at",
        "local",
        "may_send_small",
        "memory",
        "mtu",
        "nobody_reads",
        "observer",
        "octets_acknowledged",
        "octets_retransmitted",
        "owes",
        "paced_until",
        "path",
        "path_mtu",
        "peer_mss",
        "peer_scales",
        "position",
        "probes",
        "proven",
        "rcv",
        "reader",
        "reassembly",
        "receive_limit",
        "received",
        "received_start",
        "remote",
        "resets",
        "retransmissions",
        "rtt",
        "sack_agreed",
        "segments_arrived",
        "segments_retransmitted",
        "segments_sent",
        "send_buffer",
        "send_limit",
        "signature_length",
        "snd",
        "state",
        "stopwatch",
        "syn_asks",
        "syn_is_acked",
        "texts_arrived",
        "texts_sent",
        "throttled",
        "timers",
        "timestamp_offset",
        "timestamps",
        "tried",
        "tried_end",
        "unread",
        "user_timeout",
        "wants_room",
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
        self.local = local
        self.remote = remote
        self.config = config
        self.observer = observer
        self.memory = memory
        self.state: State = CLOSED
        self.is_passive = False  # MUST-11: how it was opened

        self.timestamp_offset = timestamp_offset
        self.mtu = mtu  # of the link: what we advertise
        self.path_mtu = mtu  # of the path: what we send
        self.path: Path | None = None  # what was found out about it
        self.proven = 0  # octets of the largest text that is known to have arrived in one packet: maxsizeacked of RFC 5927, 7.2
        self.tried = 0  # and of the largest that was sent: maxsizesent
        self.tried_end = NO_SEQUENCE  # the ACK of that, where it was sent only once
        self.signature_length = 0  # octets of options that the authentication of every segment takes
        self.begin_anew(iss)

        # Sending
        self.send_buffer = SendBuffer()
        self.send_limit = first_send_limit(config)  # octets that it takes now
        self.burst = 0  # octets of text that may leave as one segment, to be cut by the link; 0: no more than one packet's
        self.fin_seq = NO_SEQUENCE  # of our FIN, once sent
        self.probes = 0  # unanswered: of a closed window, of a silent peer, or in TIME-WAIT of a peer that sent a SYN
        self.wants_room = False  # `send` took less than it was given; once released: progress moves `timers.due(ORPHAN)`
        self.may_send_small = False  # the override timer ran out
        self.last_sent_at = 0
        self.paced_until = 0  # the pacing rate lets nothing out before
        self.stopwatch: Stopwatch | None = None

        # Receiving
        self.receive_limit = first_receive_limit(config)  # octets: the largest window now
        self.reader: Reader | None = None
        self.received: list[bytes] = []  # in order, not read yet
        self.received_start = 0  # octets of the first that are read already
        self.unread = 0
        self.position = 0  # octets received in order since the start: RCV.NXT without its wrapping
        self.early = b""  # text of a SYN that crossed ours, for after ESTABLISHED
        self.reassembly: Reassembly | None = None
        self.fin_expected = NO_SEQUENCE  # of the peer's FIN, once seen
        self.fin_is_received = False
        self.was_aborted = False  # by this end's own user
        self.duplicate: tuple[int, int] | None = None  # to report as D-SACK, once
        self.arrived_since_ack = 0  # packets with text
        self.duplicates_owed = 0  # extra ACKs for segments out of order, where no SACK block can speak for several
        self.nobody_reads = False  # `release`: text that arrives now is lost, and says so with RST

        # What is owed
        self.resets: list[Segment] | None = None  # segments that are answered with RST
        self.challenge_after = 0
        self.keep_alives_until = 0  # see `challenge`
        self.throttled = 0
        self.events: tuple[Event, ...] = ()  # no list: nearly always there are none, of very many connections

        # Counted for `status`
        self.segments_sent = 0
        self.segments_arrived = 0
        self.octets_retransmitted = 0
        self.segments_retransmitted = 0
        self.octets_acknowledged = 0
        self.texts_sent = 0  # packets with text, each time
        self.texts_arrived = 0
        self.last_data_at = 0
        self.last_ack_at = 0

    def begin_anew(self, iss: int) -> None:
        """What a handshake fills in, empty: at the start, and when an attempt came to nothing."""
        self.error: TcpError | None = None  # what ended the connection; until then, the latest soft error
        self.snd = SendSequence(iss)
        self.rcv = ReceiveSequence()
        self.timestamps = TimestampState(self.timestamp_offset)
        self.timers = Timers()
        self.user_timeout = self.config.user_timeout  # USER_TIMEOUT of RFC 5482
        self.rtt = Rtt(self.config.rto_initial, self.config.rto_minimum, self.config.rto_maximum)
        self.rtt.round_end = iss
        self.peer_mss = DEFAULT_MSS_4 if self.is_ipv4 else DEFAULT_MSS_6
        self.sack_agreed = False
        self.ecn: Ecn | None = None  # where the handshake agreed on it
        self.syn_asks = 0  # the ECN flags of the peer's latest SYN that had any
        self.peer_scales = False  # its SYN carried the window scale option
        self.first_window = self.config.initial_window  # segments
        self._congestion: Congestion | None = None  # made when they are first asked for: who only receives has none
        self._recovery: Recovery | None = None
        self.fast_open: FastOpen | None = None  # until ESTABLISHED, of those that ask for it
        self.fast_opened = False  # text of a SYN, the peer's or ours, was acknowledged
        self.syn_is_acked = False
        self.fin_is_queued = False
        self.retransmissions = 0  # of what now is at SND.UNA
        self.owes = 0

    # Sending

    @property
    def congestion(self) -> Congestion:
        if self._congestion is None:
            self._congestion = self.config.controller(self.data_mss, self.first_congestion_window, self._seed)
        return self._congestion

    @property
    def _seed(self) -> int:
        """Of a controller's random numbers: two hashes of the addresses, keyed with the host's secret, the first with the time added."""
        return self.snd.iss << 32 | self.timestamp_offset

    @property
    def controller(self) -> Congestion | None:
        """`congestion`, where something asked for it before; for questions, which make nothing."""
        return self._congestion

    @property
    def first_congestion_window(self) -> int:
        """Octets that a controller made now would begin with."""
        smss = self.data_mss
        return smss if self.first_window == 1 else initial_window(smss, self.first_window)

    @property
    def recovery(self) -> Recovery:
        if self._recovery is None:
            engine = Rack if self.sack_agreed else NewReno  # RFC8985-4a
            self._recovery = engine(self.first_octet, self.congestion, self.rtt)
        return self._recovery

    @property
    def is_sender(self) -> bool:
        """Whether it ever had something to send."""
        return self._recovery is not None

    def begin_to_send(self) -> None:
        """MSS and options are agreed: now there can be a controller, and something that recovers from losses."""
        self._congestion = None
        self._recovery = None

    # State and events

    def enter(self, state: State, now: int) -> None:
        """The only door between states: looks the pair up in EDGES, and tells the observer. Raises IllegalTransition, and changes nothing,
        where it isn't there."""
        before = self.state
        if state not in SUCCESSORS[before]:
            raise IllegalTransition(f"{before} to {state} is no edge of RFC 9293")
        self.state = state
        if self.observer is not None:
            self.observer.state_changed(self.local, self.remote, before, state, now)

    def tell(self, event: Event) -> None:
        if event not in self.events:
            self.events += (event,)

    def trouble(self, error: TcpError) -> None:
        """MUST-47: a soft error, told and survived. One that waits to be told isn't added again, and of very many kinds the latest wait."""
        event = Trouble(error)
        if self.config.reports and event not in self.events:
            if len(self.events) >= MOST_EVENTS:
                first = [isinstance(waiting, Trouble) for waiting in self.events].index(True)
                self.events = self.events[:first] + self.events[first + 1 :]
            self.events += (event,)

    def delete(self, error: TcpError | None, now: int) -> None:
        """The RFC's "delete the TCB, enter the CLOSED state". What was received in order stays readable; everything else goes."""
        self.error = error
        if self.fast_open is not None:
            self.fast_open.failed(error, now, was_silent=self.retransmissions > 0)
            self.fast_open = None
        self.flush()
        self.let_text_go()
        self.enter(CLOSED, now)
        self.events += (Closed(error),)

    def ensure_deleted(self, error: TcpError | None, now: int) -> None:
        """As `delete`, also where a timer has ended the connection and its host has not looked at it since."""
        if self.state is not CLOSED:
            self.delete(error, now)

    def flush(self) -> None:
        """Everything that waits to be sent, and what waits behind a gap; no timer runs on."""
        self.timers.stop_all()
        self.give_back(self.send_buffer.size)
        self.send_buffer.clear()
        if self.reassembly is not None:
            self.give_back(self.reassembly.weight)
            self.close_gap()
        if self.memory is not None:
            self.memory.stop_waiting(self)
        self.early = b""
        self.owes = 0
        self.duplicates_owed = 0

    def turn(self) -> None:
        """Put SND.NXT where recovery wants it."""
        recovery = self.recovery
        if recovery.turn != STAY:
            self.snd.nxt = self.snd.max if recovery.turn == ON else self.snd.una  # D-1: SND.MAX remembers how far we had come
            recovery.turn = STAY

    # Questions

    @property
    def is_ipv4(self) -> bool:
        return len(self.local.address) == 4

    @property
    def flight(self) -> int:
        """FlightSize of RFC 5681: sent and not acknowledged, FIN and SYN counted."""
        return (self.snd.max - self.snd.una) & seq.MASK

    @property
    def first_octet(self) -> int:
        """The number of the send buffer's first octet: SND.UNA, or the one after our SYN while that is on its way."""
        return self.snd.una if self.syn_is_acked else (self.snd.una + 1) & seq.MASK

    @property
    def known_irs(self) -> int:
        """RCV.IRS; NO_SEQUENCE before the peer's SYN."""
        return NO_SEQUENCE if self.state is SYN_SENT else self.rcv.irs

    @property
    def unsent(self) -> int:
        """Octets of data from SND.NXT on; the FIN isn't counted."""
        return max(0, self.send_buffer.size - seq.distance(self.first_octet, self.snd.nxt))

    @property
    def never_sent(self) -> int:
        """Octets of data from SND.MAX on."""
        return max(0, self.send_buffer.size - seq.distance(self.first_octet, self.snd.max))

    @property
    def fin_is_acked(self) -> bool:
        return self.fin_seq != NO_SEQUENCE and seq.gt(self.snd.una, self.fin_seq)

    @property
    def right_edge(self) -> int:
        """One past the last number that we accept: as far as we ever advertised (RFC7323-2.4a)."""
        return seq.add(self.rcv.nxt, self.rcv.wnd)

    @property
    def advertised_mss(self) -> int:
        """MUST-67, RFC6691-2: the link's MTU less fixed headers only."""
        return max(1, min(self.config.largest_mss, self.mtu - (HEADERS_4 if self.is_ipv4 else HEADERS_6)))

    @property
    def send_mss(self) -> int:
        """Eff.snd.MSS before options of the segment at hand (MUST-16)."""
        return max(1, min(self.peer_mss, self.config.largest_mss, self.path_mtu - (HEADERS_4 if self.is_ipv4 else HEADERS_6)))

    @property
    def data_mss(self) -> int:
        """SMSS: octets of data in a full segment that carries no option but timestamps and a signature (RFC6691-2)."""
        return max(1, self.send_mss - (TIMESTAMPS_LENGTH if self.timestamps.agreed else 0) - self.signature_length)

    @property
    def keep_alive_idle(self) -> int:
        """Longer than the user timeout, where that was agreed on (RFC5482-4.2)."""
        idle = self.config.keep_alive_idle
        return max(idle, self.user_timeout + 1) if self.config.user_timeout_option else idle

    @property
    def can_receive(self) -> bool:
        return self.state in (ESTABLISHED, FIN_WAIT_1, FIN_WAIT_2)

    @property
    def is_fast(self) -> bool:
        """Opened by a cookie: its user has it before the handshake is over."""
        return self.fast_open is not None and self.fast_open.opened

    @property
    def may_listen_again(self) -> bool:
        """Whether SYN-RECEIVED came out of LISTEN, and nobody would miss the connection (MUST-11)."""
        return self.state is SYN_RECEIVED and self.is_passive and not self.is_fast

    @property
    def is_synchronized(self) -> bool:
        """Whether both SYNs are acknowledged. After a CLOSE in SYN-RECEIVED the state is FIN-WAIT-1, and ours isn't yet."""
        return self.syn_is_acked and self.state is not CLOSED

    # Memory that is shared with the host's other connections

    def take_memory(self, octets: int) -> bool:
        return self.memory is None or self.memory.take(octets)

    def close_gap(self) -> None:
        """Nothing waits for reassembly any more."""
        self.reassembly = None
        if self.memory is not None:
            self.memory.gaps.pop(self, None)

    def let_text_go(self) -> None:
        """Text that waits unread in an ended connection is the program's, and counts as the host's no longer: the host keeps no ended
        connection, and couldn't tell without a finalizer, which makes runs differ, when the program dropped one.
        """
        self.give_back(self.unread)
        self.memory = None

    def give_back(self, octets: int) -> None:
        if self.memory is not None and octets:
            self.memory.give(octets)
