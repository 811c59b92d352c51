"""The variables of a connection as RFC 9293, 3.3.1 names them."""

from postel.tcp import seq
from postel.tcp.connection import Connection
from postel.tcp.state import CLOSED, SYN_SENT


def variables(connection: Connection) -> dict[str, int]:
    """By name, relative to ISS and IRS but for those two; without what isn't known yet, and none of a closed connection."""
    tcb = connection.tcb
    if tcb.state is CLOSED:
        return {}
    snd, rcv = tcb.snd, tcb.rcv
    ours = {"SND.UNA": snd.una, "SND.NXT": snd.nxt, "SND.UP": snd.up}
    theirs: dict[str, int] = {}
    if tcb.state is not SYN_SENT:
        ours["SND.WL2"] = snd.wl2
        theirs = {"SND.WL1": snd.wl1, "RCV.NXT": rcv.nxt}
    found = {name: seq.distance(snd.iss, number) for name, number in ours.items()}
    found |= {name: seq.distance(rcv.irs, number) for name, number in theirs.items()} | {"SND.WND": snd.wnd, "ISS": snd.iss}
    if theirs:
        found |= {"RCV.UP": rcv.up, "IRS": rcv.irs}
    return found | {"RCV.WND": rcv.wnd}
