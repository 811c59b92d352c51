"""Status of a connection as Linux's ``struct tcp_info``, and the names of its fields."""

from struct import Struct
from typing import Any, Final

from postel.errors import TcpError
from postel.tcp.connection import Connection
from postel.tcp.state import State
from postel.times import MILLISECOND

# In the order of Linux's numbers, from 1
STATES: Final = (
    State.ESTABLISHED, State.SYN_SENT, State.SYN_RECEIVED, State.FIN_WAIT_1, State.FIN_WAIT_2,
    State.TIME_WAIT, State.CLOSED,
    State.CLOSE_WAIT, State.LAST_ACK, State.LISTEN, State.CLOSING,
)  # fmt: skip

# The fields in the order of the struct, up to tcpi_snd_wnd (Linux 5.4). Each row has
# the size of its fields, as a letter of the module `struct`, and their names
_PARTS: Final = (
    ("B", "state ca_state retransmits probes backoff options wscales app_limited"),
    (
        "I",
        (
            "rto ato snd_mss rcv_mss unacked sacked lost retrans fackets last_data_sent last_ack_sent "
            "last_data_recv last_ack_recv pmtu"
        ),
    ),
    ("I", "rcv_ssthresh rtt rttvar snd_ssthresh snd_cwnd advmss reordering rcv_rtt rcv_space total_retrans"),
    ("Q", "pacing_rate max_pacing_rate bytes_acked bytes_received"),
    ("I", "segs_out segs_in notsent_bytes min_rtt data_segs_in data_segs_out"),
    ("Q", "delivery_rate busy_time rwnd_limited sndbuf_limited"),
    ("I", "delivered delivered_ce"),
    ("Q", "bytes_sent bytes_retrans"),
    ("I", "dsack_dups reord_seen rcv_ooopack snd_wnd"),
)
_FIELDS: Final = [(name, size) for size, names in _PARTS for name in names.split()]
_LAYOUT: Final = Struct("=" + "".join(size for _, size in _FIELDS))
_LARGEST: Final = {"B": 0xFF, "I": 0xFFFFFFFF, "Q": 0xFFFFFFFFFFFFFFFF}
# Counters that go on at 0 after their largest number; other fields stay at their largest number
_WRAPPED: Final = (
    "segs_out",
    "segs_in",
    "data_segs_in",
    "data_segs_out",
    "delivered",
    "dsack_dups",
    "reord_seen",
    "options",
)


def number_of(state: State) -> int:
    """Return Linux's number of a state."""
    return STATES.index(state) + 1


def state_of(number: int) -> State:
    """Return the state with this number in Linux."""
    return STATES[number - 1]


def information(connection: Connection, now: int) -> bytes:
    """Return the status of a connection as ``struct tcp_info``. Unknown fields are 0.

    For a closed connection all fields are 0 except the state.
    """
    try:
        told = connection.status(now)
    except TcpError:
        return bytes([number_of(State.CLOSED)]).ljust(_LAYOUT.size, b"\0")
    values: dict[str, Any] = {
        **told._asdict(),
        "state": number_of(told.state),
        "backoff": told.retransmits,
        "wscales": told.snd_wscale | told.rcv_wscale << 4,
        "last_data_sent": told.last_data_sent // MILLISECOND,
        "last_data_recv": told.last_data_recv // MILLISECOND,
        "last_ack_recv": told.last_ack_recv // MILLISECOND,
        "min_rtt": told.min_rtt or _LARGEST["I"],
        "snd_wnd": told.send_window,
    }
    return _LAYOUT.pack(*[_fitting(name, size, values.get(name, 0)) for name, size in _FIELDS])


def fields(octets: bytes) -> dict[str, int]:
    """Return the fields of such a struct by name, without ``tcpi_``: as many as ``octets`` has.

    The two window scales, which share an octet, are fields of their own.
    """
    found: dict[str, int] = {}
    start = 0
    for name, size in _FIELDS:
        layout = Struct("=" + size)
        if start + layout.size > len(octets):
            break
        found[name] = int(layout.unpack_from(octets, start)[0])
        start += layout.size
    if "wscales" in found:
        scales = found.pop("wscales")
        found |= {"snd_wscale": scales & 15, "rcv_wscale": scales >> 4}
    return found


def _fitting(name: str, size: str, value: int) -> int:
    """Return a value that fits into its field."""
    return value & _LARGEST[size] if name in _WRAPPED else min(value, _LARGEST[size])
