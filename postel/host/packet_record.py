"""Record of a packet to another host of the same process, in place of its octets."""

from postel.wire.ip import HEADER_4, HEADER_6, Envelope
from postel.wire.options import OptionLayout
from postel.wire.segment import Segment, encode_summed


class PacketRecord:
    """Packet of a connection, made by `Host.next_record` for `Host.record_arrives` of another host.

    It has these attributes:
        segment: the TCP segment.
        destination: the address to which the packet goes.
        length: the size in octets that the packet would have.
        key: the key of the receiving connection (`postel.host.pairs`).
    """

    __slots__ = ("_around", "_layout", "destination", "key", "length", "segment")

    def __init__(
        self,
        segment: Segment,
        header: int,
        destination: bytes,
        key: bytes,
        around: Envelope,
        layout: OptionLayout,
    ) -> None:
        """Make a record; ``header`` is the length of the TCP header in octets."""
        self.segment: Segment = segment
        self.destination: bytes = destination
        self.key: bytes = key
        self.length: int = (HEADER_4 if around.is_ipv4 else HEADER_6) + header + len(segment.data)
        self._around = around
        self._layout = layout

    def octets(self) -> bytes:
        """Octets of the packet, as `Host.next_packet` would have returned it."""
        payload = encode_summed(self.segment, self._around.words, self._layout)
        return self._around.header(len(payload), self.segment.ecn) + payload
