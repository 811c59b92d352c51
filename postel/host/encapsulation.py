"""Makes IP packets of TCP segments: complete ones, or parcels that the link completes."""

from typing import Final

from postel.host.outbound import Outbound
from postel.tcp import hosted
from postel.tcp.config import Config
from postel.tcp.connection import Connection
from postel.tcp.pathmtu import FLOOR_4
from postel.wire.ip import HEADER_4, Envelope
from postel.wire.parcel import Parcel
from postel.wire.segment import PROTOCOL, Segment, encode_head, encode_summed

_DSCP: Final = 0xFC  # six bits of the traffic class; the lowest two are ECN's (RFC 3168, 5)


def envelope(connection: Connection, config: Config) -> Envelope:
    """Constant IP header fields of a connection's packets."""
    source, destination, bits = (
        connection.local.address,
        connection.remote.address,
        config.traffic_class & _DSCP,
    )  # MUST-48
    return Envelope(source, destination, PROTOCOL, hop_limit=config.hop_limit, traffic_class=bits)  # MUST-49


def packet(
    connection: Connection, config: Config, segment: Segment, around: Envelope, outbound: Outbound, now: int
) -> bytes:
    """Packet with a segment. ``config`` and ``around`` (its `envelope`) are those of the connection."""
    if connection.authentication is None:
        payload = encode_summed(segment, around.words, config.option_layout)
    else:
        payload = hosted.seal(connection, segment)
    return _header(connection, segment, len(payload), around, outbound, now) + payload


def parcel(
    connection: Connection, config: Config, segment: Segment, around: Envelope, outbound: Outbound, now: int
) -> Parcel:
    """Packet with a segment, for a link that cuts it and computes the checksum.

    A signed segment is complete, because the signature covers each packet.
    """
    if connection.authentication is not None:
        return Parcel(packet(connection, config, segment, around, outbound, now))
    head = encode_head(segment, around.words, config.option_layout)
    before = _header(connection, segment, len(head) + len(segment.data), around, outbound, now)
    return Parcel(before + head, segment.data, stride=segment.stride, start=len(before))


def stays_whole(connection: Connection, size: int, outbound: Outbound, now: int) -> bool:
    """Whether a packet with ``size`` octets behind its IP header has "don't fragment" set.

    Only packets without that flag need an identification.
    """
    if HEADER_4 + size > FLOOR_4:  # an MTU probe or a parcel, which must not be fragmented
        return True
    return not hosted.may_be_fragmented(connection) and not outbound.routes.may_fragment(
        connection.remote.address, now
    )


def _header(
    connection: Connection, segment: Segment, size: int, around: Envelope, outbound: Outbound, now: int
) -> bytes:
    if stays_whole(connection, size, outbound, now):
        return around.header(size, segment.ecn)
    source, destination = connection.local.address, connection.remote.address
    return around.header(size, segment.ecn, outbound.identification(source, destination), 0)  # RFC 6864, 4.1
