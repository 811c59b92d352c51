"""Choices that a user has for a connection: one frozen record, each default with the RFC that names it."""

from dataclasses import dataclass, fields
from typing import Final, Literal, TypeAlias, cast, get_args

from postel.compiler import door
from postel.errors import ArgumentError, require_choice, require_kind, require_number
from postel.tcp.congestion import Congestion
from postel.tcp.congestion.cubic import Cubic
from postel.tcp.congestion.registry import controller_of
from postel.times import DAY, HOUR, MILLISECOND, MINUTE, NEVER, SECOND
from postel.wire.options import OptionLayout

KIBIBYTE: Final = 1024
MEBIBYTE: Final = 1024 * KIBIBYTE

# Choices by name

# Use of ECN. With "accept…", a connection uses ECN where the peer's SYN asks for it; with "ask…", our own SYN
# asks for it, too. "…-classic" means RFC 3168 only. Without that word it is RFC 9768, and RFC 3168 with a
# peer that doesn't know RFC 9768.
EcnMode: TypeAlias = Literal["off", "accept-classic", "accept", "ask-classic", "ask"]
# Use of TCP Fast Open. With "client", an active OPEN asks for a cookie, and once it has one sends payload in
# its SYN. With "server", a listener gives cookies, and delivers the payload of a SYN that brings one back.
FastOpenMode: TypeAlias = Literal["off", "client", "server", "both"]
# When a connection probes the path with packets larger than those that are known to arrive. "off" is never,
# and a black hole (a path that drops large packets without an ICMP message) isn't noticed either.
# "after-black-hole" is once a black hole was noticed. "always" is from the start.
MtuProbing: TypeAlias = Literal["off", "after-black-hole", "always"]
# Size of a buffer in octets, or "automatic": then the size follows the bandwidth-delay product.
BufferSize: TypeAlias = int | Literal["automatic"]
CHOICES: Final[dict[str, tuple[str, ...]]] = {
    "ecn": get_args(EcnMode),
    "fast_open": get_args(FastOpenMode),
    "mtu_probing": get_args(MtuProbing),
    "option_layout": get_args(OptionLayout),
}

USER_TIMEOUT: Final = 5 * MINUTE
AUTOMATIC: Final = "automatic"
FIRST_SEND_BUFFER: Final = 64 * KIBIBYTE  # first size of an automatic send buffer, as in kernels
FIRST_RECEIVE_BUFFER: Final = 128 * KIBIBYTE  # first size of an automatic receive buffer, as in kernels


@dataclass(frozen=True)
class Config:
    """Choices for a connection or a host: times in microseconds, sizes in octets, choices as words.

    The record can't change; `dataclasses.replace` makes a changed copy. The record is flat, so that
    `replace`, ``--set NAME=VALUE`` and the table of socket options reach every field by its name alone.
    Raises ArgumentError where a value isn't allowed.

    >>> from dataclasses import replace
    >>> replace(DEFAULT, nagle=False, msl=30 * SECOND).msl
    30000000
    """

    # Closing

    # Maximum segment lifetime (RFC 9293, 3.4.2). TIME-WAIT lasts twice as long (MUST-13).
    msl: int = 2 * MINUTE
    # True: a RST doesn't end TIME-WAIT (RFC 1337, 3, F1). False: it does, as in RFC 9293, 3.10.7.4.
    rfc1337: bool = True
    # A newer SYN may reopen a pair of endpoints in TIME-WAIT (RFC 6191 and MAY-2); with timestamps an active
    # OPEN may, too.
    time_wait_reuse: bool = True
    # A SYN that may not reopen a pair in TIME-WAIT is answered with a challenge ACK, and the RST that answers
    # this ends TIME-WAIT (RFC 9293, 3.10.7.4; RFC 5961, 4).
    time_wait_challenge: bool = True
    # Longest wait for the peer's FIN in FIN-WAIT-2 after the program released the connection (EP-TMO-9), as
    # in kernels; no RFC has such a limit.
    orphan_timeout: int = MINUTE
    # Longest time without progress of a released connection in any other state; then it ends (RFC 6429, 4),
    # as in kernels.
    orphan_send_timeout: int = 5 * MINUTE

    # Retransmission

    # The connection ends when a SYN or data isn't acknowledged for so long: R2 of RFC 9293, 3.9.1.1. NEVER is
    # allowed (MUST-21).
    user_timeout: int = USER_TIMEOUT
    # The same limit for the SYN,ACK of a passive open (MUST-23).
    syn_received_timeout: int = 3 * MINUTE
    # Trouble events report soft errors. False: there are none, if the program doesn't read them (SHLD-20).
    reports: bool = True
    # With SACK, a tail loss probe finds a lost tail before the retransmission timeout does (RFC 8985, 7).
    tail_probe: bool = True
    # Retransmissions of one segment after which the user gets a Trouble event: R1 (SHLD-10).
    r1: int = 3
    # Retransmission timeout before the first measurement of a round trip (RFC 6298, 2.1).
    rto_initial: int = SECOND
    # Least retransmission timeout (RFC 6298, 2.4).
    rto_minimum: int = SECOND
    # Greatest retransmission timeout (RFC 6298, 2.5), and longest wait between window probes.
    rto_maximum: int = MINUTE
    # Retransmission timeout for data after the SYN timed out (RFC 6298, 5.7).
    rto_after_syn: int = 3 * SECOND

    # Acknowledging

    # Longest delay of an ACK: less than 500 ms (MUST-40). 0: no delay.
    delayed_ack: int = 40 * MILLISECOND
    # How many segments with payload may arrive until an ACK is sent at once (SHLD-19).
    acknowledge_every: int = 2
    # A FIN that crosses ours (RFC 9293, figure 13) is answered with our FIN again, not with an ACK alone.
    repeat_fin: bool = False
    # Only a RST with exactly the expected number resets (RFC 5961, 3.2). False: any RST in the window, as in
    # RFC 793.
    exact_reset: bool = True
    # A SYN with FIN opens nothing. False: the SYN opens a connection (RFC 9293, 3.10.7.2), and the peer sends
    # the FIN again later.
    drop_syn_fin: bool = False
    # A SYN in the window is answered with a challenge ACK (RFC 5961, 4.2). False: it resets, as in RFC 793.
    challenge_syn: bool = True

    # Sending

    # Nagle's algorithm: a small segment waits while anything is in flight (SHLD-7, MUST-17).
    nagle: bool = True
    # A small segment waits for more payload, even while nothing is in flight. The wait ends when this choice
    # becomes False, when CLOSE is called, or when nothing was in flight for the time `override`.
    cork: bool = False
    # Longest wait of a small segment when nothing is in flight: 0.1 to 1.0 s (RFC 9293, 3.8.6.2.1).
    override: int = 200 * MILLISECOND
    # First congestion window in segments (RFC 6928, 2).
    initial_window: int = 10
    # Congestion control: a class, or a registered name, which is stored as its class (MAY-18).
    congestion: type[Congestion] | str = Cubic
    # When probes search for the largest packet that the path carries (RFC 4821, 7); see `MtuProbing`.
    mtu_probing: MtuProbing = "after-black-hole"
    # Size of the send buffer: "automatic", or fixed, in octets.
    send_buffer: BufferSize = AUTOMATIC
    # The most that an automatic send buffer grows to.
    send_buffer_maximum: int = 4 * MEBIBYTE
    # How many octets may wait for their first transmission; 0: as many as the buffer holds.
    notsent_lowat: int = 0
    # Size of the receive buffer: "automatic", or fixed, in octets.
    receive_buffer: BufferSize = AUTOMATIC
    # The most that an automatic receive buffer grows to; the window scale fits it (RFC 7323, 2.3).
    receive_buffer_maximum: int = 6 * MEBIBYTE
    # The receive buffer is rounded up to a multiple of the MSS that was agreed on.
    whole_segments: bool = False
    # The advertised window is all free space of the receive buffer, and may grow by a single octet. False: it
    # grows by larger steps, as RFC 9293, 3.8.6.2.2, says.
    whole_buffer: bool = False

    # Options offered and accepted

    # Timestamps option (RFC 7323, 3).
    timestamps: bool = True
    # Once timestamps are agreed on, segments without the option are dropped (RFC 7323, 3.2).
    timestamps_required: bool = True
    # Time without a newer timestamp after which any timestamp is accepted (RFC 7323, 5.5).
    paws_idle: int = 24 * DAY
    # Window scale option (RFC 7323, 2).
    window_scaling: bool = True
    # Octets to which the program may later set the receive buffer: the window scale is chosen to fit them.
    scale_for: int = 0
    # The largest MSS that we advertise and send, even if the link would carry more (RFC 9293, 3.7.1).
    largest_mss: int = 65535
    # Least MSS that we use in sending, even if the peer's MSS option is smaller. With a tiny MSS, a packet
    # would carry a few octets only. It is as in kernels, and departs from MUST-16.
    smallest_mss: int = 48
    # Order and padding of a SYN's options, which RFC 9293, 3.1, leaves open.
    option_layout: OptionLayout = "aligned"
    # Selective acknowledgments (RFC 2018).
    sack: bool = True
    # Explicit congestion notification (RFC 3168, RFC 9768): accepted where a peer asks for it, as in kernels.
    ecn: EcnMode = "accept"
    # TCP Fast Open (RFC7413-2): only for programs that accept that a SYN's payload may arrive twice
    # (RFC7413-6.1).
    fast_open: FastOpenMode = "off"
    # Fast opens of a listener that may be pending: PendingFastOpenRequests of RFC 7413, 4.2.
    fast_open_limit: int = 128
    # User timeout option: ENABLED of RFC 5482, 3, for sending the option and for heeding it.
    user_timeout_option: bool = False
    # Timeout that the option tells the peer: ADV_UTO of RFC 5482; 0: the value of `user_timeout`.
    user_timeout_advertised: int = 0
    # The peer's option may change our timeout: CHANGEABLE of RFC 5482; only while `user_timeout` has its
    # default.
    user_timeout_changeable: bool = True
    # Least timeout that is adopted from a peer: L_LIMIT of RFC 5482, 3.1.
    user_timeout_lowest: int = 100 * SECOND
    # Greatest timeout that is adopted from a peer: U_LIMIT of RFC 5482, 3.1.
    user_timeout_highest: int = HOUR

    # Keep-alive

    # An idle connection is probed (RFC 9293, 3.8.4). Off by default (MUST-25).
    keep_alive: bool = False
    # Idle time until the first probe (MUST-28).
    keep_alive_idle: int = 2 * HOUR
    # Time between probes; RFC 1122, 4.2.3.6, leaves it open; as in kernels.
    keep_alive_interval: int = 75 * SECOND
    # Probes without an answer until the connection ends. One isn't enough (MUST-29).
    keep_alive_probes: int = 9

    # Limit on answers

    # Interval in which each connection sends at most one challenge ACK (EP-CHL-1).
    challenge_interval: int = 500 * MILLISECOND

    # The IP layer

    # TTL of IPv4, hop limit of IPv6 (MUST-49).
    hop_limit: int = 64
    # Traffic class, or DiffServ field, of each packet (MUST-48); its two lowest bits belong to ECN, and
    # the user can't set them.
    traffic_class: int = 0

    def __post_init__(self) -> None:
        """Replace the name of a congestion controller by its class, and check all values."""
        # The record is frozen, so this is the way to store the class in place of its name
        object.__setattr__(self, "congestion", controller_of(self.congestion))
        for name, low, high, allowed in _BOUNDS:
            require_number(name, getattr(self, name), low, high, allowed)
        if self.rto_maximum < self.rto_minimum:
            raise ArgumentError("rto_maximum", self.rto_maximum, f"rto_minimum ({self.rto_minimum}) or more")
        # RFC5482-3.1a
        if self.user_timeout_option and not (
            self.rto_maximum < self.user_timeout_lowest <= self.user_timeout_highest
        ):
            allowed = (
                f"more than rto_maximum ({self.rto_maximum}), and user_timeout_highest "
                f"({self.user_timeout_highest}) or less"
            )
            raise ArgumentError("user_timeout_lowest", self.user_timeout_lowest, allowed)

    @property
    def controller(self) -> type[Congestion]:
        """Class of the congestion controller that ``congestion`` names."""
        return cast(type[Congestion], self.congestion)


_BOUNDS: Final[tuple[tuple[str, int, int, str], ...]] = (
    ("msl", 0, DAY, "0 microseconds to a day"),
    ("orphan_timeout", 0, NEVER, "0 microseconds or more, NEVER for no limit"),
    ("orphan_send_timeout", 1, NEVER, "1 microsecond or more, NEVER for no limit"),
    ("user_timeout", 1, NEVER, "1 microsecond or more, NEVER for no limit"),
    ("syn_received_timeout", 1, NEVER, "1 microsecond or more, NEVER for no limit"),
    ("r1", 1, 1000, "1 to 1000 retransmissions"),
    ("rto_initial", 1, HOUR, "1 microsecond to an hour"),
    ("rto_minimum", 1, HOUR, "1 microsecond to an hour"),
    ("rto_maximum", 1, HOUR, "1 microsecond to an hour"),
    ("rto_after_syn", 1, HOUR, "1 microsecond to an hour"),
    ("delayed_ack", 0, 500 * MILLISECOND - 1, "0 microseconds to less than 500 ms (MUST-40)"),
    ("acknowledge_every", 1, 64, "1 to 64 segments"),
    ("override", 100 * MILLISECOND, SECOND, "0.1 to 1 s, in microseconds"),
    ("initial_window", 1, 64, "1 to 64 segments"),
    ("send_buffer_maximum", 1, 1 << 30, "1 octet to 1 GiB"),
    ("notsent_lowat", 0, 1 << 30, "0 for no limit, or 1 octet to 1 GiB"),
    ("receive_buffer_maximum", 1, 1 << 30, "1 octet to 1 GiB (RFC 7323, 2.3)"),
    ("largest_mss", 1, 65535, "1 to 65535 octets"),
    ("smallest_mss", 1, 536, "1 to 536 octets, which every peer takes (MUST-15)"),
    ("scale_for", 0, 1 << 30, "0 to 1 GiB (RFC 7323, 2.3)"),
    ("fast_open_limit", 0, 65535, "0 to 65535 connections"),
    ("user_timeout_advertised", 0, NEVER, "0 for user_timeout, or 1 microsecond or more"),
    ("user_timeout_lowest", 100 * SECOND, NEVER, "100 s or more (RFC 5482, 3.1)"),
    ("user_timeout_highest", 100 * SECOND, NEVER, "100 s or more (RFC 5482, 3.1)"),
    ("paws_idle", 0, NEVER, "0 microseconds or more, NEVER for no limit"),
    ("keep_alive_idle", 1, NEVER, "1 microsecond or more"),
    ("keep_alive_interval", 1, NEVER, "1 microsecond or more"),
    ("keep_alive_probes", 2, 1000, "2 to 1000 probes (MUST-29)"),
    ("challenge_interval", 0, HOUR, "0 microseconds to an hour"),
    ("hop_limit", 1, 255, "1 to 255 hops"),
    ("traffic_class", 0, 255, "0 to 255, of which the two lowest bits are ECN's"),
)


_FLAGS: Final = frozenset(
    [field.name for field in fields(Config) if field.default is True or field.default is False]
)
_BUFFERS: Final = ("send_buffer", "receive_buffer")
_NUMBERS: Final = {name: allowed for name, _, _, allowed in _BOUNDS}


def _require_type(name: str, value: object) -> None:
    """Refuse a value of the wrong kind for a field of `Config`, before it is stored."""
    if name in _FLAGS:
        require_kind(name, value, bool, "True or False")
    elif name in _NUMBERS and (isinstance(value, bool) or not isinstance(value, int)):
        raise ArgumentError(name, value, _NUMBERS[name])
    elif name in _BUFFERS:
        if value != AUTOMATIC:
            require_number(name, value, 1, 1 << 30, f"{AUTOMATIC!r}, or 1 octet to 1 GiB (RFC 7323, 2.3)")
    elif name in CHOICES:
        require_choice(name, value, CHOICES[name])
    elif name == "congestion":
        controller_of(value)


door(Config, _require_type)


def is_fast_client(config: Config) -> bool:
    """Whether an active OPEN asks for a cookie of TCP Fast Open, and uses one."""
    return config.fast_open in ("client", "both")


def is_fast_server(config: Config) -> bool:
    """Whether a listener gives cookies of TCP Fast Open, and delivers payload of a SYN that brings one."""
    return config.fast_open in ("server", "both")


def first_send_limit(config: Config) -> int:
    """Return the capacity of a new connection's send buffer, in octets."""
    size = config.send_buffer
    return size if isinstance(size, int) else min(FIRST_SEND_BUFFER, config.send_buffer_maximum)


def first_receive_limit(config: Config) -> int:
    """Return the capacity of a new connection's receive buffer, in octets."""
    size = config.receive_buffer
    return size if isinstance(size, int) else min(FIRST_RECEIVE_BUFFER, config.receive_buffer_maximum)


def names() -> tuple[str, ...]:
    """Return the names of the fields in their order: what a command line may set."""
    return tuple(field.name for field in fields(Config))


DEFAULT: Final = Config()
