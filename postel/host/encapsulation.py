"""Segments into IP packets: whole ones, or with the rest left to the link."""

from typing import Final

from postel.host.outbound import Outbound
from postel.tcp import pathmtu
from postel.tcp.connection import Connection
from postel.tcp.pathmtu import FLOOR_4
from postel.wire import ip
from postel.wire.parcel import Parcel
from postel.wire.segment import PROTOCOL, Segment, encode_for, encode_head

_DSCP: Final = 0xFC  # of the traffic class; the rest is ECN's (RFC 3168, 5)


def packet(connection: Connection, segment: Segment, outbound: Outbound, now: int) -> bytes:
    layout = connection.tcb.config.option_layout
    if connection.authentication is None:
        payload = encode_for(segment, connection.local.address, connection.remote.address, layout)
    else:
        tcb = connection.tcb
        payload = connection.authentication.seal(segment, layout, tcb.snd.iss, tcb.known_irs)
    return _header(connection, segment, len(payload), outbound, now) + payload


def parcel(connection: Connection, segment: Segment, outbound: Outbound, now: int) -> Parcel:
    """Cutting is left to the link, and the checksum; but not a signature."""
    if connection.authentication is not None:
        return Parcel(packet(connection, segment, outbound, now))
    head = encode_head(segment, connection.local.address, connection.remote.address, connection.tcb.config.option_layout)
    before = _header(connection, segment, len(head) + len(segment.data), outbound, now)
    return Parcel(before + head, segment.data, stride=segment.stride, start=len(before))


def _header(connection: Connection, segment: Segment, size: int, outbound: Outbound, now: int) -> bytes:
    source, destination = connection.local.address, connection.remote.address
    config = connection.tcb.config  # MUST-48, MUST-49
    is_small = ip.HEADER_4 + size <= FLOOR_4  # else it is a probe or a burst, and must not arrive in fragments
    may_fragment = is_small and (pathmtu.may_be_fragmented(connection.tcb) or outbound.routes.may_fragment(destination, now))
    return ip.header(
        source,
        destination,
        PROTOCOL,
        size,
        hop_limit=config.hop_limit,
        traffic_class=config.traffic_class & _DSCP | segment.ecn,
        identification=outbound.identification(source, destination) if may_fragment else 0,  # RFC 6864, 4.1
        dont_fragment=not may_fragment,
    )
