"""BAD-NET-3: boxes between two hosts that strip options, renumber, cut and join segments, change IP headers,
and answer with RST.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from random import Random

import pytest

from postel.errors import ConnectionRefused, ConnectionReset
from postel.host.host import Host
from postel.tcp import seq
from postel.tcp.config import DEFAULT
from postel.tcp.recovery.newreno import NewReno
from postel.tcp.state import CLOSED, ESTABLISHED
from postel.tcp.status import TIMESTAMPS
from postel.times import MINUTE, SECOND
from postel.wire import ip
from postel.wire.segment import ABSENT, ACK, FIN, PROTOCOL, PSH, RST, SYN, Segment, encode_for
from postel.wire.segment import parse as parse_segment
from tests.host.conftest import Pair, make_host

label = pytest.mark.label
FAMILIES = pytest.mark.parametrize("address", ["10.0.0.2", "fd00::2"])
MESSAGE = Random(5).randbytes(150_000)


class Box(Pair):
    """Takes each packet apart, lets ``treat`` make of its segment what it likes, and puts it together
    again.
    """

    def __init__(self, config: object = DEFAULT, hop_limit: int = 0) -> None:
        super().__init__(
            make_host(secret=b"left", config=config),
            make_host("10.0.0.2/24", "fd00::2/64", secret=b"right", config=config),
        )
        self.treat: Callable[[Segment, bool], Iterator[Segment]] = lambda segment, _outward: iter([segment])
        self.hop_limit = hop_limit
        self.lose = self.take

    def take(self, sender: Host, octets: bytes) -> bool:
        """Nothing passes but what comes of it."""
        packet = ip.parse(octets)
        segment = parse_segment(packet.octets, packet.start, packet.end)
        receiver = self.right if sender is self.left else self.left
        for treated in self.treat(segment, sender is self.left):
            payload = encode_for(treated, packet.source, packet.destination)
            hop_limit, traffic_class = (
                self.hop_limit or packet.hop_limit,
                0xFC if self.hop_limit else packet.traffic_class,
            )
            octets = ip.encode(
                packet.source,
                packet.destination,
                PROTOCOL,
                payload,
                hop_limit=hop_limit,
                traffic_class=traffic_class,
            )
            receiver.packet_arrives(octets, self.now)
        return True

    def transfers(self, address: str) -> bool:
        """Both ways, and closes."""
        client, server, listener = self.connect(address=address)
        for one, other in ((client, server), (server, client)):
            rest, read = MESSAGE, bytearray()
            while len(read) < len(MESSAGE):
                rest = rest[one.send(rest, self.now) :]
                self.advance(50_000)
                read += other.receive(1 << 30, self.now)
                assert self.now < 3000 * SECOND, "it crawls"
            assert bytes(read) == MESSAGE
        client.close(self.now)
        self.advance(SECOND)
        server.close(self.now)
        listener.close(self.now)
        self.advance(10 * MINUTE)
        return client.state is CLOSED and server.state is CLOSED


def strip(segment: Segment) -> Segment:
    segment.mss = segment.window_scale = segment.tsval = segment.tsecr = ABSENT
    segment.sack_permitted = False
    return segment


@label("BAD-NET-3")
@FAMILIES
@pytest.mark.parametrize("which", [SYN, SYN | ACK], ids=["SYN", "SYN,ACK"])
def test_bad_net_3_options_are_stripped_from_one_of_the_syns(address: str, which: int) -> None:
    box = Box()

    def treat(segment: Segment, _outward: bool) -> Iterator[Segment]:
        yield strip(segment) if segment.flags & (SYN | ACK) == which else segment

    box.treat = treat
    client, server, listener = box.connect(address=address)
    for end in (client, server):
        status = end.status()
        assert (status.options, status.snd_wscale, status.rcv_wscale) == (0, 0, 0)
        assert isinstance(end._tcb.ensure_recovery(), NewReno)
    listener.close(box.now)
    box = Box()
    box.treat = treat
    assert box.transfers(address)


@label("BAD-NET-3")
@FAMILIES
def test_bad_net_3_the_stripped_syn_ack_is_found_out_by_text_too(address: str) -> None:
    """The bare ACK is lost, so text completes the handshake."""
    box = Box()
    acks = 0

    def treat(segment: Segment, outward: bool) -> Iterator[Segment]:
        nonlocal acks
        acks += outward and segment.flags & ACK != 0
        if segment.flags & (SYN | ACK) == SYN | ACK:
            yield strip(segment)
        elif acks != 1:
            yield segment

    box.treat = treat
    listener = box.right.listen(80, box.now)
    client = box.left.connect(address, 80, box.now)
    box.advance(0)
    client.send(b"text", box.now)
    box.advance(2 * SECOND)
    server = listener.accept()
    assert server is not None
    assert server.receive(10, box.now) == b"text"
    assert not server.status().options & TIMESTAMPS


@label("BAD-NET-3")
@FAMILIES
@pytest.mark.parametrize("knows_sack", [True, False])
def test_bad_net_3_sequence_numbers_are_rewritten(address: str, knows_sack: bool) -> None:
    """And those in SACK blocks perhaps not: they are impossible then, and are not believed."""
    box = Box(replace(DEFAULT, user_timeout=30 * MINUTE))
    shift = 0x1234_5678
    draw = Random(9)

    def treat(segment: Segment, outward: bool) -> Iterator[Segment]:
        if outward:
            segment.seq = seq.add(segment.seq, shift)
        elif segment.flags & ACK:
            segment.ack = seq.add(segment.ack, -shift)
            if knows_sack:
                segment.sack = tuple(
                    (seq.add(left, -shift), seq.add(right, -shift)) for left, right in segment.sack
                )
        if segment.flags & SYN or draw.random() > 0.02:
            yield segment

    box.treat = treat
    assert box.transfers(address)


def pieces(segment: Segment, size: int) -> Iterator[Segment]:
    data, first, flags = segment.data, segment.seq, segment.flags
    for start in range(0, max(1, len(data)), size):
        is_last = start + size >= len(data)
        kept = flags if is_last else flags & ~(FIN | PSH)
        number, part = seq.add(first, start), data[start : start + size]
        piece = Segment(segment.source, segment.destination, number, segment.ack, kept, segment.window, part)
        piece.tsval, piece.tsecr, piece.sack = segment.tsval, segment.tsecr, segment.sack
        yield piece


@label("BAD-NET-3")
@FAMILIES
@pytest.mark.parametrize("size", [100, 999])
def test_bad_net_3_segments_are_split(address: str, size: int) -> None:
    box = Box(replace(DEFAULT, receive_buffer=8000))

    def treat(segment: Segment, _outward: bool) -> Iterator[Segment]:
        return iter([segment]) if segment.flags & SYN else pieces(segment, size)

    box.treat = treat
    assert box.transfers(address)


@label("BAD-NET-3")
@FAMILIES
def test_bad_net_3_segments_are_merged(address: str) -> None:
    box = Box()
    held: list[Segment] = []

    def treat(segment: Segment, outward: bool) -> Iterator[Segment]:
        """Two that follow each other become one, with the later one's fields."""
        if not outward or segment.flags & SYN:
            yield segment
            return
        if held:
            first = held.pop()
            if segment.data and seq.add(first.seq, len(first.data)) == segment.seq and len(first.data) < 2000:
                segment.seq, segment.data = first.seq, first.data + segment.data
            else:
                yield first
        if segment.data and not segment.flags & (FIN | PSH):
            held.append(segment)
        else:
            yield segment

    box.treat = treat
    assert box.transfers(address)


@label("BAD-NET-3")
@FAMILIES
def test_bad_net_3_hop_limit_and_traffic_class_change(address: str) -> None:
    assert Box(hop_limit=1).transfers(address)


def refusal(segment: Segment) -> Segment:
    """The RST that a box makes in the other end's name."""
    return Segment(
        segment.destination, segment.source, segment.ack, seq.add(segment.seq, segment.len), RST | ACK, 0
    )


@label("BAD-NET-3")
@FAMILIES
@pytest.mark.parametrize("when", ["SYN", "text"])
def test_bad_net_3_a_box_answers_with_rst(address: str, when: str) -> None:
    """RFC 3360: an error, at once and a clear one; and no second try without the options, which the RFC warns
    of.
    """
    box = Box()

    def treat(segment: Segment, outward: bool) -> Iterator[Segment]:
        if outward and (segment.flags & SYN if when == "SYN" else segment.data):
            source, destination = client.remote.address, client.local.address
            box.left.packet_arrives(
                ip.encode(source, destination, PROTOCOL, encode_for(refusal(segment), source, destination)),
                box.now,
            )
        else:
            yield segment

    box.treat = treat
    box.right.listen(80, box.now)
    client = box.left.connect(address, 80, box.now)
    box.advance(0)
    if when == "text":
        assert client.state is ESTABLISHED
        client.send(b"forbidden", box.now)
        box.advance(0)
    assert client.state is CLOSED
    assert isinstance(client.error, ConnectionRefused if when == "SYN" else ConnectionReset)
    box.advance(MINUTE)
    assert len([octets for sender, octets in box.carried if sender is box.left]) == (
        1 if when == "SYN" else 3
    )
