"""A packet that no link carries: between two hosts of one process it need not be written out."""

from postel.wire.ip import HEADER_4, HEADER_6, Envelope
from postel.wire.options import OptionLayout
from postel.wire.segment import Segment, encode_summed


class PacketRecord:
    """A packet of a connection, made by `Host.next_record` for `Host.record_arrives` of another host.

    ``destination`` is its address, ``length`` its octets if it were written out, and ``key`` finds the
    connection that it is for.
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
        self.segment: Segment = segment
        self.destination: bytes = destination
        self.key: bytes = key
        self.length: int = (HEADER_4 if around.is_ipv4 else HEADER_6) + header + len(segment.data)
        self._around = around
        self._layout = layout

    def octets(self) -> bytes:
        """The packet written out, as `Host.next_packet` would have given it."""
        payload = encode_summed(self.segment, self._around.words, self._layout)
        return self._around.header(len(payload), self.segment.ecn) + payload
