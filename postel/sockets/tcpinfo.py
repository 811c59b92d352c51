"""A connection's status as Linux's ``struct tcp_info``, so that programs which read that find it."""

from struct import Struct
from typing import Final

from postel.errors import TcpError
from postel.tcp.connection import Connection
from postel.tcp.state import (
    CLOSE_WAIT,
    CLOSED,
    CLOSING,
    ESTABLISHED,
    FIN_WAIT_1,
    FIN_WAIT_2,
    LAST_ACK,
    LISTEN,
    SYN_RECEIVED,
    SYN_SENT,
    TIME_WAIT,
)
from postel.tcp.status import Status
from postel.times import MILLISECOND

_STATES: Final = {
    ESTABLISHED: 1,
    SYN_SENT: 2,
    SYN_RECEIVED: 3,
    FIN_WAIT_1: 4,
    FIN_WAIT_2: 5,
    TIME_WAIT: 6,
    CLOSED: 7,
    CLOSE_WAIT: 8,
    LAST_ACK: 9,
    LISTEN: 10,
    CLOSING: 11,
}
_LAYOUT: Final = Struct("=8B24I4Q2I4I4Q2I2Q2I2I")  # to tcpi_snd_wnd: Linux 5.4
_OCTET: Final = 0xFF
_WORD: Final = 0xFFFFFFFF


def information(connection: Connection, now: int) -> bytes:
    """What isn't known is 0, and so is all of a closed connection but its state."""
    try:
        told = connection.status(now)
    except TcpError:
        return bytes([_STATES[CLOSED]]).ljust(_LAYOUT.size, b"\0")
    probes = min(told.probes, _OCTET)
    retransmits = min(told.retransmits, _OCTET)
    scales = told.snd_wscale | told.rcv_wscale << 4
    octets = (_STATES[told.state], 0, retransmits, probes, retransmits, told.options & _OCTET, scales, 0)
    return _LAYOUT.pack(*octets, *_words(told), *_totals(told))


def _words(told: Status) -> list[int]:
    """The 24 of 32 bits: times in microseconds, but for the ``last_`` ones in milliseconds."""
    words = [
        *(told.rto, told.ato, told.snd_mss, told.rcv_mss),
        *(told.unacked, told.sacked, told.lost, told.retrans, 0),
        *(told.last_data_sent // MILLISECOND, 0, told.last_data_recv // MILLISECOND, told.last_ack_recv // MILLISECOND),
        *(told.pmtu, told.rcv_ssthresh, told.rtt, told.rttvar, told.snd_ssthresh, told.snd_cwnd, told.advmss, 0),
        *(0, told.rcv_space, told.total_retrans),
    ]
    return [min(word, _WORD) for word in words]


def _totals(told: Status) -> tuple[int, ...]:
    return (
        *(told.pacing_rate, 0, told.bytes_acked, told.bytes_received),
        *(told.segs_out & _WORD, told.segs_in & _WORD),
        *(min(told.notsent_bytes, _WORD), min(told.min_rtt or _WORD, _WORD), told.data_segs_in & _WORD, told.data_segs_out & _WORD),
        *(told.delivery_rate, told.busy_time, told.rwnd_limited, told.sndbuf_limited),
        *(told.delivered & _WORD, 0),
        *(told.bytes_sent, told.bytes_retrans),
        *(told.dsack_dups & _WORD, told.reord_seen & _WORD),
        *(0, min(told.send_window, _WORD)),
    )
