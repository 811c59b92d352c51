"""Figures of a connection: the STATUS call of RFC 9293, 3.10.6, and those of Linux's `tcp_info`."""

from typing import Final, NamedTuple

from postel.tcp import seq
from postel.tcp.congestion import ARBITRARILY_HIGH
from postel.tcp.recovery import Figures
from postel.tcp.state import CLOSED, SYN_SENT, State
from postel.tcp.stopwatch import BUFFER, BUSY, WINDOW, Stopwatch
from postel.tcp.tcb import Tcb
from postel.tcp.window import LARGEST_FIELD
from postel.wire.address import Endpoint

# Bits of ``Status.options``, as in `tcp_info`
TIMESTAMPS: Final = 1
SACK: Final = 2
WINDOW_SCALE: Final = 4
ECN: Final = 8
SYN_DATA: Final = 32

_TIMESTAMPS_LENGTH: Final = 12


class Status(NamedTuple):
    """Figures of a connection at one moment.

    The first part is the RFC's, in octets and microseconds. The second has the names of `tcp_info`, without
    ``tcpi_``, and its units: counts are segments of ``snd_mss`` octets, except where the name says bytes;
    rates are octets a second; all times are microseconds.
    """

    local: Endpoint  # our address and port
    remote: Endpoint  # the peer's address and port
    state: State  # RFC 9293, 3.3.2
    send_window: int  # SND.WND
    receive_window: int  # RCV.WND
    awaiting_ack: int  # sequence numbers in flight
    awaiting_receipt: int  # octets that arrived and weren't read
    unsent: int  # octets that wait from SND.NXT on
    urgent_pending: int  # octets until the end of urgent data
    user_timeout: int  # in microseconds
    traffic_class: int  # of the packets that we send
    congestion_window: int  # octets
    threshold: int  # octets
    fast_opened: bool  # the payload of a SYN was delivered

    options: int  # TIMESTAMPS | SACK | WINDOW_SCALE | ECN | SYN_DATA, as agreed
    congestion: str  # name of the congestion controller, in lower case
    snd_wscale: int  # scale of the peer's window, 0 … 14
    rcv_wscale: int  # scale of our window, 0 … 14
    rto: int  # retransmission timeout
    rtt: int  # smoothed round-trip time; 0 until the first sample
    rttvar: int  # variation of the round-trip time (RFC 6298)
    min_rtt: int  # shortest round trip measured lately; 0 without SACK
    ato: int  # longest delay of an ACK
    snd_mss: int  # octets of payload in a full segment that we send
    rcv_mss: int  # octets of payload in a full segment of the peer
    advmss: int  # our MSS option
    pmtu: int  # path MTU in octets, IP header included
    snd_cwnd: int  # congestion window
    snd_ssthresh: int  # slow start threshold
    unacked: int  # in flight
    sacked: int  # in flight, and reported by SACK blocks
    lost: int  # in flight, and regarded as lost
    retrans: int  # sent again and not acknowledged yet
    retransmits: int  # timeouts in a row
    probes: int  # window probes and keep-alives without an answer
    total_retrans: int  # segments that were sent again since the beginning
    dsack_dups: int  # segments that the peer reported as duplicates by D-SACK
    reord_seen: int  # how often reordering was seen
    delivered: int  # segments that arrived at the peer
    bytes_sent: int  # octets that were sent again count each time
    bytes_retrans: int  # octets that were sent again
    bytes_acked: int  # octets that the peer acknowledged
    bytes_received: int  # octets that arrived in order
    notsent_bytes: int  # octets that were never sent
    segs_out: int  # segments sent, of any kind
    segs_in: int  # segments that arrived, of any kind
    data_segs_out: int  # segments with payload that were sent
    data_segs_in: int  # segments with payload that arrived
    last_data_sent: int  # time since payload or FIN was sent
    last_data_recv: int  # time since payload arrived
    last_ack_recv: int  # time since an acceptable ACK arrived
    busy_time: int  # time with something to send; contains `rwnd_limited` and `sndbuf_limited`
    rwnd_limited: int  # time spent waiting for the peer's window
    sndbuf_limited: int  # time spent waiting for the send buffer
    rcv_space: int  # size of the receive buffer at present
    rcv_ssthresh: int  # the largest window that may be advertised at present
    pacing_rate: int  # octets a second; 0 without pacing
    delivery_rate: int  # octets a second that arrived at the peer lately; 0 where it isn't measured


def of(tcb: Tcb, figures: Figures, urgent: int, now: int) -> Status:
    """Return the figures at ``now``, or at the connection's last action if that is later.

    A connection that never sent has no controller and no recovery, and asking makes none.
    """
    snd, rcv, counts = tcb.snd, tcb.rcv, tcb.counts
    now = max(now, snd.last_at, counts.last_data_at, counts.last_ack_at)
    name, smss, window, threshold, rate = _controller(tcb)
    if tcb.recovery is not None:
        window += tcb.recovery.inflation
    timer = snd.stopwatch or Stopwatch(now)
    limited, starved = timer.time(WINDOW, now), timer.time(BUFFER, now)
    return Status(
        local=tcb.local, remote=tcb.remote, state=tcb.state, traffic_class=tcb.config.traffic_class,
        send_window=snd.wnd, receive_window=rcv.wnd, urgent_pending=urgent, user_timeout=tcb.user_timeout,
        awaiting_ack=snd.flight, awaiting_receipt=rcv.unread, unsent=snd.unsent,
        congestion_window=window, threshold=threshold,
        fast_opened=tcb.opening.fast_opened, options=_options(tcb),
        congestion=name.lower(), snd_wscale=snd.shift, rcv_wscale=rcv.shift,
        rto=tcb.rtt.rto, rtt=tcb.rtt.smoothed, rttvar=tcb.rtt.variance, min_rtt=figures.min_rtt,
        ato=tcb.config.delayed_ack,
        snd_mss=smss, rcv_mss=max(1, tcb.advertised_mss - _TIMESTAMPS_LENGTH * tcb.timestamps.agreed),
        advmss=tcb.advertised_mss, pmtu=tcb.path.mtu,
        snd_cwnd=window // smss, snd_ssthresh=threshold // smss, unacked=_segments(snd.flight, smss),
        sacked=_segments(figures.sacked, smss), lost=_segments(figures.lost, smss),
        retrans=_segments(figures.retransmitted, smss),
        retransmits=snd.retransmissions, probes=snd.window_probes + counts.keep_alive_probes,
        total_retrans=counts.segments_retransmitted,
        dsack_dups=figures.duplicates, reord_seen=figures.reorderings,
        delivered=_segments(figures.delivered, smss),
        bytes_sent=(
            counts.octets_acknowledged + snd.buffer.size - snd.never_sent + counts.octets_retransmitted
        ),
        bytes_retrans=counts.octets_retransmitted, bytes_acked=counts.octets_acknowledged,
        bytes_received=rcv.position, notsent_bytes=snd.never_sent,
        segs_out=counts.segments_sent, segs_in=counts.segments_arrived,
        data_segs_out=counts.texts_sent, data_segs_in=counts.texts_arrived,
        last_data_sent=now - snd.last_at, last_data_recv=now - counts.last_data_at,
        last_ack_recv=now - counts.last_ack_at,
        busy_time=timer.time(BUSY, now) + limited + starved, rwnd_limited=limited, sndbuf_limited=starved,
        rcv_space=rcv.limit, rcv_ssthresh=min(rcv.limit, LARGEST_FIELD << rcv.shift),
        pacing_rate=rate, delivery_rate=figures.delivery_rate,
    )  # fmt: skip


def variables(tcb: Tcb) -> dict[str, int]:
    """Return the variables of RFC 9293, 3.3.1 by name, as `Connection.variables` describes."""
    if tcb.state is CLOSED:
        return {}
    snd, rcv = tcb.snd, tcb.rcv
    ours = {"SND.UNA": snd.una, "SND.NXT": snd.nxt, "SND.UP": snd.up}
    theirs: dict[str, int] = {}
    if tcb.state is not SYN_SENT:
        ours["SND.WL2"] = snd.wl2
        theirs = {"SND.WL1": snd.wl1, "RCV.NXT": rcv.nxt}
    found = {name: seq.distance(snd.iss, number) for name, number in ours.items()}
    found |= {name: seq.distance(rcv.irs, number) for name, number in theirs.items()} | {
        "SND.WND": snd.wnd,
        "ISS": snd.iss,
    }
    if theirs:
        found |= {"RCV.UP": rcv.up, "IRS": rcv.irs}
    return found | {"RCV.WND": rcv.wnd}


def _controller(tcb: Tcb) -> tuple[str, int, int, int, int]:
    """Return name, SMSS, window, threshold and pacing rate of the controller, or of one made now."""
    congestion = tcb.controller
    if congestion is None:
        return tcb.config.controller.__name__, tcb.data_mss, tcb.first_congestion_window, ARBITRARILY_HIGH, 0
    return (
        type(congestion).__name__,
        congestion.smss,
        congestion.window,
        congestion.threshold,
        congestion.pacing_rate,
    )


def _options(tcb: Tcb) -> int:
    """Return the options that were agreed on, as bits."""
    agreed = (
        TIMESTAMPS * tcb.timestamps.agreed | SACK * tcb.sack_agreed | WINDOW_SCALE * tcb.opening.peer_scales
    )
    return agreed | ECN * (tcb.ecn is not None) | SYN_DATA * tcb.opening.fast_opened


def _segments(octets: int, smss: int) -> int:
    """Return how many segments of ``smss`` octets hold ``octets``, rounded up."""
    return -(-octets // smss)
