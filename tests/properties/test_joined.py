"""What a link joined ends as what it was joined of: the same octets, the same state, whatever the boundaries
and flags.
"""

from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postel.host.host import Host
from postel.tcp.connection import Connection
from postel.times import SECOND
from postel.wire import ip, segment, virtio
from postel.wire.address import parse
from postel.wire.parcel import Parcel, finished
from postel.wire.segment import ACK, CWR, ECE, FIN, PSH, SYN, URG, Segment

START: Final = 1000 * SECOND
IRS: Final = 0xFFFFF000  # the numbers wrap within the stream
STREAM: Final = bytes(index * index % 251 for index in range(40_000))
PAIRS: Final = [("10.0.0.9", "10.0.0.1"), ("fd00::9", "fd00::1")]

# Begin and length of the text, octets of each packet, flags beside ACK, and how far beyond the text the
# urgent pointer points: one that points at octets that came before tells a receiver nothing it must heed, and
# is heard or not
Piece = tuple[int, int, int, int, int]

pieces = st.lists(
    st.tuples(
        st.integers(0, 30_000),
        st.integers(0, 9000),
        st.sampled_from([100, 536, 1448]),
        st.sampled_from([0, PSH, FIN, FIN | PSH, URG, FIN | URG | PSH, ECE | CWR]),
        st.integers(0, 9000),
    ),
    max_size=8,
)


class Receiver:
    """A host with one connection; this class is its peer."""

    def __init__(self, source: str, destination: str) -> None:
        self.host = Host("10.0.0.1/24", "fd00::1/64", secret=b"secret")
        self.flow = ip.Envelope(parse(source), parse(destination), segment.PROTOCOL)
        listener = self.host.listen(80, START)
        self.ack = 0
        self._gives(Segment(5000, 80, IRS, 0, SYN, 65535), 0, is_joined=True)
        self._gives(Segment(5000, 80, IRS + 1, self.ack, ACK, 65535), 0, is_joined=True)
        accepted = listener.accept()
        assert accepted is not None
        self.connection: Connection = accepted

    def hears(self, piece: Piece, *, is_joined: bool) -> None:
        begin, length, stride, flags, urgent = piece
        number = IRS + 1 + begin & 0xFFFFFFFF
        arriving = Segment(5000, 80, number, self.ack, ACK | flags, 65535, STREAM[begin : begin + length])
        arriving.len = 0  # the sender doesn't count it
        arriving.urgent = length + urgent if flags & URG else 0
        self._gives(arriving, stride if length > stride else 0, is_joined=is_joined)

    def _gives(self, arriving: Segment, stride: int, *, is_joined: bool) -> None:
        head = segment.encode_head(arriving, self.flow.words)
        before = self.flow.header(len(head) + len(arriving.data))
        parcel = Parcel(before + head, arriving.data, stride=stride, start=len(before))
        if is_joined:
            octets = parcel.head + parcel.text
            self.host.parcel_arrives(virtio.parse(virtio.header(parcel), memoryview(octets)), START)
        else:
            for packet in finished(parcel):
                self.host.packet_arrives(packet, START)
        while (answer := self.host.next_packet(START)) is not None:
            packet = ip.parse(answer)
            heard = segment.parse(packet.octets, packet.start, packet.end)
            if heard.flags & SYN:
                self.ack = heard.seq + 1 & 0xFFFFFFFF

    def outcome(self) -> tuple[object, ...]:
        tcb = self.connection._tcb
        urgent = self.connection.urgent
        unread = self.connection.receive(1 << 20, START) if self.connection.readable else b""
        held = 0 if tcb.rcv.reassembly is None else tcb.rcv.reassembly.held
        ends = (tcb.rcv.fin_is_received, tcb.rcv.fin_expected, self.connection.at_end)
        return self.connection.state, unread, held, ends, tcb.rcv.nxt, urgent


@pytest.mark.parametrize("pair", PAIRS)
@given(pieces)
def test_joined_or_cut_the_end_is_the_same(pair: tuple[str, str], arriving: list[Piece]) -> None:
    joined, cut = Receiver(*pair), Receiver(*pair)
    for piece in arriving:
        joined.hears(piece, is_joined=True)
        cut.hears(piece, is_joined=False)
    assert joined.outcome() == cut.outcome()


@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("begin", [0, 1, 1447, 1448, 2896])
@pytest.mark.parametrize("flags", [0, PSH, FIN, FIN | PSH])
def test_what_is_new_in_a_joined_segment_is_taken(pair: tuple[str, str], begin: int, flags: int) -> None:
    """Its first octets came before; the rest is taken, and its FIN heard at once."""
    receiver = Receiver(*pair)
    receiver.hears((0, 2896, 1448, 0, 0), is_joined=True)
    receiver.hears((begin, 8688 - begin, 1448, flags, 0), is_joined=True)
    assert receiver.connection.receive(1 << 20, START) == STREAM[:8688]
    assert receiver.connection.at_end == (flags & FIN != 0)
