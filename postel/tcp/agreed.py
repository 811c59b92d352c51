"""What the two SYNs of a connection agreed on, for `Connection.options`."""

from typing import Literal, NamedTuple, TypeAlias

from postel.tcp.ecn.accurate import Accurate
from postel.tcp.tcb import Tcb

# What the SYNs agreed on: the marks of RFC 3168, or the counts of RFC 9768
EcnAgreed: TypeAlias = Literal["off", "classic", "accurate"]


class Options(NamedTuple):
    """The options of a connection as its two SYNs agreed on them; before the handshake nothing is agreed yet.

    ``send_mss`` and ``receive_mss`` are the peer's MSS option and our own, in octets: what a segment may
    carry before its own options, whatever the path allows (RFC 9293, 3.7.1). ``send_shift`` and
    ``receive_shift`` are window scales, 0 … 14, of the peer's window and of ours (RFC 7323). ``ecn`` is which
    feedback holds: "off", "classic" (RFC 3168) or "accurate" (RFC 9768). ``signature`` is the length of the
    authentication option in octets, 0 without one (RFC 5925, RFC 2385). ``fast_opened`` says whether the text
    of a SYN was delivered (RFC 7413).
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
