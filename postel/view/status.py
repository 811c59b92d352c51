"""Status of a connection as ``ss -ti`` writes it, so that the two can be compared."""

from postel.tcp import status as told
from postel.tcp.connection import Status
from postel.times import MILLISECOND

__all__ = ["text"]

_UNLIMITED = 1 << 30  # octets; a slow start threshold this large was never lowered by a loss


def text(status: Status) -> str:
    """Write a connection's status in one line, with the names and units that ``ss -ti`` has.

    ``status`` is what `Connection.status` returned. Rates are in bits a second, times in milliseconds. Values
    of 0 are left out where `ss` leaves them out.
    """
    words = [name for bit, name in ((told.TIMESTAMPS, "ts"), (told.SACK, "sack")) if status.options & bit]
    words.append(status.congestion)
    if status.options & told.WINDOW_SCALE:
        words.append(f"wscale:{status.snd_wscale},{status.rcv_wscale}")
    words.append(f"rto:{_milliseconds(status.rto)}")
    words += _if(status.retransmits, "backoff:{}")
    if status.rtt:
        words.append(f"rtt:{_milliseconds(status.rtt)}/{_milliseconds(status.rttvar)}")
    words.append(f"ato:{_milliseconds(status.ato)}")
    words.append(
        f"mss:{status.snd_mss} pmtu:{status.pmtu} rcvmss:{status.rcv_mss} advmss:{status.advmss} "
        f"cwnd:{status.snd_cwnd}"
    )
    if status.threshold < _UNLIMITED:
        words.append(f"ssthresh:{status.snd_ssthresh}")
    return " ".join(
        [*words, *_counts(status), *_rates(status), *_limits(status), *_losses(status), *_receiving(status)]
    )


def _counts(status: Status) -> list[str]:
    names = (
        "bytes_sent",
        "bytes_retrans",
        "bytes_acked",
        "bytes_received",
        "segs_out",
        "segs_in",
        "data_segs_out",
        "data_segs_in",
    )
    return [word for name in names for word in _if(getattr(status, name), f"{name}:{{}}")]


def _rates(status: Status) -> list[str]:
    words = [f"send {status.congestion_window * 8 * 1_000_000 // status.rtt}bps"] if status.rtt else []
    words += [
        f"lastsnd:{status.last_data_sent // MILLISECOND}",
        f"lastrcv:{status.last_data_recv // MILLISECOND}",
        f"lastack:{status.last_ack_recv // MILLISECOND}",
    ]
    return (
        words
        + _if(status.pacing_rate * 8, "pacing_rate {}bps")
        + _if(status.delivery_rate * 8, "delivery_rate {}bps")
    )


def _limits(status: Status) -> list[str]:
    words = _if(status.delivered, "delivered:{}")
    if not status.busy_time:
        return words
    words.append(f"busy:{status.busy_time // MILLISECOND}ms")
    for name in ("rwnd_limited", "sndbuf_limited"):
        limited = getattr(status, name)
        if limited:
            words.append(f"{name}:{limited // MILLISECOND}ms({100 * limited / status.busy_time:.1f}%)")
    return words


def _losses(status: Status) -> list[str]:
    words = _if(status.unacked, "unacked:{}")
    if status.total_retrans:
        words.append(f"retrans:{status.retrans}/{status.total_retrans}")
    names = ("lost", "sacked", "dsack_dups", "reord_seen")
    return words + [word for name in names for word in _if(getattr(status, name), f"{name}:{{}}")]


def _receiving(status: Status) -> list[str]:
    words = [
        f"rcv_space:{status.rcv_space} rcv_ssthresh:{status.rcv_ssthresh}",
        *_if(status.notsent_bytes, "notsent:{}"),
    ]
    if status.min_rtt:
        words.append(f"minrtt:{_milliseconds(status.min_rtt)}")
    return [*words, f"snd_wnd:{status.send_window}"]


def _if(value: int, form: str) -> list[str]:
    return [form.format(value)] if value else []


def _milliseconds(duration: int) -> str:
    """Text of a duration in milliseconds, without zeros at its end."""
    return f"{duration / MILLISECOND:g}"
