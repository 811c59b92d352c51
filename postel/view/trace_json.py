"""Connections of a trace as plain data, for JSON."""

from collections.abc import Iterable
from typing import Any

from postel.tcp.state import State
from postel.times import NEVER
from postel.view.flow import Change, Expiry, Flow, Remark
from postel.view.packet import UNKNOWN, Packet
from postel.wire.address import Endpoint
from postel.wire.segment import ECN_NAMES, flags_text


def of_flows(flows: Iterable[Flow]) -> list[dict[str, Any]]:
    """Give dicts and lists of connections, with packets, changes of state, timers and remarks.

    Times are in microseconds, sequence numbers are relative, and what isn't known is None.
    """
    return [_of_flow(flow) for flow in flows]


def _of_flow(flow: Flow) -> dict[str, Any]:
    return {
        "number": flow.number,
        "ends": [_of_end(end, flow) for end in flow.ends],
        "packets": [_of_packet(packet) for packet in flow.packets],
        "states": [_of_change(change) for change in flow.changes],
        "timers": [_of_expiry(expiry) for expiry in flow.expiries],
        "remarks": [_of_remark(remark) for remark in flow.remarks],
    }


def _of_end(end: Endpoint, flow: Flow) -> dict[str, Any]:
    return {
        "endpoint": str(end),
        "name": flow.names.get(end, ""),
        "initial_state": _text(flow.initial_state(end)),
    }


def _of_change(change: Change) -> dict[str, Any]:
    return {
        "at": str(change.at),
        "before": str(change.before),
        "after": str(change.after),
        "when": change.when,
    }


def _of_expiry(expiry: Expiry) -> dict[str, Any]:
    return {"at": str(expiry.at), "timer": expiry.timer, "when": expiry.when, "state": _text(expiry.state)}


def _of_remark(remark: Remark) -> dict[str, Any]:
    return {"at": str(remark.at), "texts": remark.texts, "when": remark.when, "state": _text(remark.state)}


def _of_packet(packet: Packet) -> dict[str, Any]:
    record: dict[str, Any] = {
        "number": packet.number,
        "sent_at": packet.sent_at,
        "arrived_at": None if packet.arrived_at == NEVER else packet.arrived_at,
        "source": str(packet.source),
        "destination": str(packet.destination),
        "length": len(packet.octets),
        "sender_state": _text(packet.sender_state),
        "receiver_state": _text(packet.receiver_state),
        "kind": packet.kind.value,
    }
    if packet.segment is not None:
        record |= {
            "flags": flags_text(packet.segment.flags),
            "seq": packet.seq,
            "ack": None if packet.ack == UNKNOWN else packet.ack,
            "len": len(packet.segment.data),
            "window": packet.window,
            "sack": packet.sack,
        }
        if packet.segment.ecn:
            record["ecn"] = ECN_NAMES[packet.segment.ecn]
    extra = {
        "caption": packet.caption,
        "copy": packet.copy,
        "lost": packet.lost,
        "damaged": packet.damaged,
        "dropped": packet.dropped,
    }
    extra |= {"retransmission_of": packet.original, "retransmitted_as": packet.again}
    return record | {name: value for name, value in extra.items() if value}


def _text(state: State | None) -> str | None:
    return None if state is None else str(state)
