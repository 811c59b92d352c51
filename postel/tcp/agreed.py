"""Options that the two SYNs of a connection agreed on, for `Connection.options`."""

from typing import Literal, NamedTuple, TypeAlias

from postel.tcp.ecn.accurate import Accurate
from postel.tcp.tcb import Tcb

# Feedback that the SYNs agreed on: the ECN-Echo bit of RFC 3168, or the counters of RFC 9768
EcnAgreed: TypeAlias = Literal["off", "classic", "accurate"]


class Options(NamedTuple):
    """Options of a connection as its two SYNs agreed on them; before the handshake none is agreed.

    ``send_mss`` and ``receive_mss`` are the peer's MSS option and our own, in octets: the most payload and
    TCP options together in one segment, whatever the path allows (RFC 9293, 3.7.1). ``timestamps`` and
    ``window_scaling`` are RFC 7323, ``sack`` is RFC 2018. ``send_shift`` and ``receive_shift`` are the window
    scales of the peer's window and of ours, 0 … 14. ``ecn`` is the kind of feedback: "off", "classic" (RFC
    3168) or "accurate" (RFC 9768). ``signature`` is the length of the authentication option in octets, 0
    without one (RFC 5925, RFC 2385). ``fast_opened`` says whether payload of a SYN was delivered (RFC 7413).
    """

    send_mss: int
    receive_mss: int
    timestamps: bool
    sack: bool
    window_scaling: bool
    send_shift: int
    receive_shift: int
    ecn: EcnAgreed
    signature: int
    fast_opened: bool


def of(tcb: Tcb) -> Options:
    """Return what the connection's SYNs agreed on, as far as the handshake has come."""
    return Options(
        send_mss=tcb.path.peer_mss,
        receive_mss=tcb.advertised_mss,
        timestamps=tcb.timestamps.agreed,
        sack=tcb.sack_agreed,
        window_scaling=tcb.opening.peer_scales,
        send_shift=tcb.snd.shift,
        receive_shift=tcb.rcv.shift,
        ecn="off" if tcb.ecn is None else "accurate" if isinstance(tcb.ecn, Accurate) else "classic",
        signature=tcb.path.signature_length,
        fast_opened=tcb.opening.fast_opened,
    )
