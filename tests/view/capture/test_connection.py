"""What a connection comes to: how it opened, what was agreed, how it closed, and what was sent again."""

import gc
import io
import tracemalloc

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from postel.times import MINUTE
from postel.view import ladder
from postel.view.capture import Reader, Table, connection
from postel.view.capture.connection import Closing
from postel.view.capture.sent import UNKNOWN
from postel.view.capture.table import MOST_OVER, Seen
from postel.wire.address import Endpoint, parse
from postel.wire.segment import ACK, AE, CWR, ECE, FIN, PSH, RST, SYN
from tests.view.capture.tape import HEADS, IPV6_ENDS, RIGHT, Tape, carried, pcap, read, record

DATA = ACK | PSH


@pytest.mark.parametrize(
    ("tape", "closing"),
    [
        (Tape().left(SYN, 0), Closing.UNANSWERED),
        (Tape().left(SYN, 0).right(RST | ACK, 0, 1), Closing.REFUSED),
        (Tape().left(SYN, 0).right(SYN | ACK, 0, 1), Closing.HALF_OPEN),
        (Tape().handshake(), Closing.OPEN),
        (Tape().left(DATA, 1, 1, b"x").right(ACK, 1, 2), Closing.OPEN),
        (Tape().handshake().left(FIN | ACK, 1, 1).right(ACK, 1, 2), Closing.HALF_CLOSED),
        (Tape().handshake().left(FIN | ACK, 1, 1).right(FIN | ACK, 1, 2), Closing.UNCONFIRMED),
        (Tape().handshake().close(), Closing.FOUR_WAY),
        (Tape().handshake().left(FIN | ACK, 1, 1).right(FIN | ACK, 1, 2).left(ACK, 2, 2), Closing.THREE_WAY),
        (
            Tape().handshake().left(FIN | ACK, 1, 1).right(FIN | ACK, 1, 1).left(ACK, 2, 2).right(ACK, 2, 2),
            Closing.SIMULTANEOUS,
        ),
        (Tape().handshake().left(RST | ACK, 1, 1), Closing.RESET_BY_OPENER),
        (Tape().handshake().right(RST, 1), Closing.RESET_BY_OTHER),
        (Tape().handshake().close().left(RST, 2), Closing.FOUR_WAY),
    ],
)
def test_closings(tape: Tape, closing: Closing) -> None:
    assert tape.connection().closing is closing


def test_the_handshake_s_time() -> None:
    assert (
        Tape().left(SYN, 0).wait(10).right(SYN | ACK, 0, 1).left(ACK, 1, 1).connection().handshake_time
        == 12_000
    )
    assert Tape().left(DATA, 1, 1, b"x").connection().handshake_time == UNKNOWN


def test_what_was_agreed() -> None:
    assert Tape().handshake().connection().agreed() == ["mss=1460/1460", "ws=7/7", "sack", "ts"]
    asks, agrees = SYN | ECE | CWR, SYN | ACK | ECE
    bare = Tape().left(asks, 0, mss=1400, window_scale=7).right(agrees, 0, 1).left(ACK, 1, 1).connection()
    assert bare.agreed() == ["mss=1400/-", "ecn"]


COOKIE = (34, b"12345678")
SIGNED = ((29, b"\x01\x02" + bytes(12)),)
ASKS_ACCURATE = SYN | AE | ECE | CWR


@pytest.mark.parametrize(
    ("tape", "words"),
    [
        (Tape().left(ASKS_ACCURATE, 0).right(SYN | ACK | CWR, 0, 1), ["accecn"]),
        (Tape().left(ASKS_ACCURATE, 0).right(SYN | ACK | ECE, 0, 1), ["ecn"]),
        (Tape().left(ASKS_ACCURATE, 0).right(SYN | ACK, 0, 1), []),
        (
            Tape()
            .left(SYN, 0, other=((30, b"\x01" * 10),))
            .right(SYN | ACK, 0, 1, other=((30, b"\x01" * 10),)),
            ["mptcp"],
        ),
        (Tape().left(SYN, 0, other=((30, b"\x01" * 10),)).right(SYN | ACK, 0, 1), []),
        (
            Tape().left(SYN, 0, other=SIGNED).right(SYN | ACK, 0, 1, other=SIGNED),
            ["ao"],
        ),
        (
            Tape().left(SYN, 0, other=((19, bytes(16)),)).right(SYN | ACK, 0, 1, other=((19, bytes(16)),)),
            ["md5"],
        ),
        (Tape().left(SYN, 0, other=((34, b""),)).right(SYN | ACK, 0, 1), ["tfo=asked"]),
        (Tape().left(SYN, 0, other=((34, b""),)).right(SYN | ACK, 0, 1, other=(COOKIE,)), ["tfo=given"]),
        (Tape().left(SYN, 0, 0, b"early", other=(COOKIE,)).right(SYN | ACK, 0, 6), ["tfo=accepted"]),
        (Tape().left(SYN, 0, 0, b"early", other=(COOKIE,)).right(SYN | ACK, 0, 1), ["tfo=refused"]),
        # The last SYN counts
        (
            Tape()
            .left(SYN, 0, window_scale=7)
            .wait(1000)
            .left(SYN, 0)
            .right(SYN | ACK, 0, 1, window_scale=7),
            [],
        ),
    ],
)
def test_what_else_was_agreed(tape: Tape, words: list[str]) -> None:
    assert tape.connection().agreed()[1:] == words


def test_octets_count_once() -> None:
    tape = Tape().handshake().left(DATA, 1, 1, b"12345").left(DATA, 1, 1, b"12345").left(DATA, 4, 1, b"45678")
    one, two = tape.connection().ends
    assert (one.data, one.retransmissions, two.data) == (8, 2, 0)


def test_overtaken_or_lost_before_the_capture() -> None:
    tape = Tape().handshake().left(DATA, 6, 1, b"late!").left(DATA, 1, 1, b"early")
    assert (tape.connection().ends[0].retransmissions, tape.connection().ends[0].data) == (0, 10)
    tape = (
        Tape()
        .handshake()
        .left(DATA, 11, 1, b"later")
        .wait(100)
        .left(DATA, 1, 1, b"early")
        .left(DATA, 6, 1, b"next!")
    )
    assert (tape.connection().ends[0].retransmissions, tape.connection().ends[0].data) == (2, 15)


def test_a_keep_alive_is_no_retransmission() -> None:
    assert Tape().handshake().left(DATA, 1, 1, b"x").left(ACK, 1, 1).connection().ends[0].retransmissions == 0


def test_a_second_connection_between_the_same_ports() -> None:
    tape = Tape().handshake().close().left(SYN, 90_000)
    first, second = tape.connections()
    assert (first.closing, second.closing) == (Closing.FOUR_WAY, Closing.UNANSWERED)
    assert second.before is not None
    assert second.before.closing is Closing.FOUR_WAY


def test_over_ipv6() -> None:
    left, right = Endpoint(parse("fd00::1"), 1024), Endpoint(parse("fd00::2"), 80)
    found = Tape(left, right).handshake().left(DATA, 1, 1, b"x").close(2).connection()
    assert [end.endpoint for end in found.ends] == [left, right]
    assert found.closing is Closing.FOUR_WAY


def test_forgotten_when_it_has_been_over_for_2msl() -> None:
    """Memory is for what is open: a late packet finds nothing, and counts as another connection."""
    tape = Tape().handshake().close().wait(5 * 60_000)
    filler = Tape(Endpoint(parse("10.0.0.3"), 1), Endpoint(parse("10.0.0.4"), 2))
    filler.now = tape.now
    for number in range(30_000):  # more than a chunk
        filler.left(DATA, 1 + number, 1, b"x" * 40)
    tape.packets += filler.packets
    tape.now = filler.now
    assert len(tape.left(ACK, 2, 2).connections()) == 3


def test_of_many_that_are_over_the_oldest_is_told_early() -> None:
    """Within 2MSL, too: a storm of short connections must not fill the memory."""
    found: list[connection.Connection] = []
    table = Table(found.append)
    for number in range(MOST_OVER + 3):
        tape = Tape(Endpoint(parse("10.0.0.1"), 1024 + number), RIGHT)
        for octets, frames in Reader(io.BytesIO(tape.left(SYN, 0).right(RST | ACK, 0, 1).pcap())).chunks():
            table.take(octets, frames)
    assert [one.number for one in found] == [1, 2]
    table.finish()
    assert len(found) == MOST_OVER + 3


def test_time_that_goes_back_is_noticed_in_plain_segments_too() -> None:
    tape = Tape().handshake().left(DATA, 1, 1, b"x").right(ACK, 1, 2).left(DATA, 2, 1, b"y")
    assert not read(tape.right(ACK, 1, 3).pcap())[2].goes_back
    assert read(tape.wait(-20).left(DATA, 3, 1, b"z").pcap())[2].goes_back


def test_memory_is_for_what_is_open() -> None:
    """Of ten times as many connections, one after another, no more is kept; a watch of one keeps nothing of
    others.
    """

    def kept(connections: int, only: int) -> int:
        seen: list[Seen] = []
        table = Table(lambda connection: None, closer=seen.append, only=only)
        tracemalloc.start()
        try:
            for number in range(connections):
                tape = Tape(Endpoint(parse("10.0.0.1"), 1024 + number), RIGHT)
                tape.now += number * 5 * MINUTE
                tape.handshake().left(DATA, 1, 1, b"x").right(DATA, 1, 2, b"y").right(ACK, 2, 2).close(2, 2)
                for octets, frames in Reader(io.BytesIO(tape.pcap())).chunks():
                    table.take(octets, frames)
            assert len(seen) == 10
            gc.collect()  # a connection and its ends know each other
            return tracemalloc.get_traced_memory()[0]
        finally:
            tracemalloc.stop()

    kept(3, only=1)  # what is made once
    assert kept(300, only=1) < kept(30, only=1) + 20_000


def test_no_more_at_once_than_allowed() -> None:
    found: list[connection.Connection] = []
    packets = [
        Tape(Endpoint(parse("10.0.0.1"), port), Endpoint(parse("10.0.0.2"), 80)).left(SYN, 0).packets[0]
        for port in range(1, 9)
    ]
    table = Table(found.append, most=3)
    for octets, frames in Reader(io.BytesIO(pcap(packets))).chunks():
        table.take(octets, frames)
    assert [one.number for one in found] == [1, 2, 3, 4, 5]
    table.finish()
    assert len(found) == 8


NEXT = -99  # whatever comes next in order
SEGMENTS = st.lists(
    st.tuples(
        st.integers(0, 1),
        st.sampled_from([SYN, SYN | ACK, ACK, DATA, FIN | ACK, RST, RST | ACK, 0, SYN | FIN, ACK | ECE]),
        st.integers(-3, 40) | st.sampled_from([NEXT, NEXT, NEXT, 1 << 16, 1 << 30, 1 << 31]),
        st.integers(-3, 40),
        st.integers(0, 9),
        st.integers(0, 3),
    ),
    max_size=40,
)


def taped(segments: list[tuple[int, int, int, int, int, int]], tape: Tape | None = None) -> Tape:
    tape = (tape or Tape()).handshake()
    following = [1, 1]
    for side, flags, number, ack, length, window in segments:
        seq = following[side] if number == NEXT else number
        following[side] = max(following[side], seq + length) if seq < 1000 else following[side]
        (tape.right if side else tape.left)(flags, seq, ack, bytes(length), window=window)
    return tape


@given(SEGMENTS)
# An ACK that was overtaken
@example([(1, DATA, NEXT, 1, 5, 3), (0, ACK, NEXT, 6, 0, 3), (0, ACK, NEXT, 3, 0, 3)])
@settings(deadline=None)
def test_the_short_way_counts_as_the_long_way_does(
    segments: list[tuple[int, int, int, int, int, int]],
) -> None:
    assert_ways_are_equal(taped(segments).pcap())


def assert_ways_are_equal(octets: bytes) -> None:
    """A connection with all of its segments watched goes the long way."""
    short, _, _ = read(octets)
    long, _, _ = read(octets, lambda seen: None)

    def told(one: connection.Connection) -> object:
        ends = [
            (end.packets, end.octets, end.data, end.retransmissions, end.ack, end.next, end.last)
            for end in one.ends
        ]
        return (
            one.number,
            one.closing,
            one.zeek.state,
            one.zeek.history,
            one.completeness,
            one.handshake_time,
            ends,
        )

    assert [told(one) for one in short] == [told(one) for one in long]


@given(SEGMENTS, st.sampled_from([*HEADS]), st.booleans(), st.booleans(), st.data())
@settings(deadline=None)
def test_both_ways_are_equal_on_every_link(
    segments: list[tuple[int, int, int, int, int, int]],
    link: int,
    over_ipv6: bool,
    is_tagged: bool,
    data: st.DataObject,
) -> None:
    """With tags and without, IPv4 and IPv6, and with headers that were damaged."""
    tape = taped(segments, Tape(*IPV6_ENDS) if over_ipv6 else Tape())
    packets = [
        (when, carried(octets, link, b"\x81\x00\x00\x45" * is_tagged)) for when, octets in tape.packets
    ]
    for _ in range(data.draw(st.integers(0, 4))):
        index = data.draw(st.integers(0, len(packets) - 1))
        when, octets = packets[index]
        place = data.draw(st.integers(0, min(len(octets) - 1, 75)))
        packets[index] = (
            when,
            octets[:place] + data.draw(st.binary(min_size=1, max_size=1)) + octets[place + 1 :],
        )
    assert_ways_are_equal(pcap(packets, link))


@given(SEGMENTS, st.data())
@settings(deadline=None)
def test_any_segments_are_explained(
    segments: list[tuple[int, int, int, int, int, int]], data: st.DataObject
) -> None:
    """Damaged ones too: no finding without a packet, no ladder that can't be drawn."""
    tape = taped(segments)
    if tape.packets:
        index = data.draw(st.integers(0, len(tape.packets) - 1))
        when, octets = tape.packets[index]
        changed = bytearray(octets)
        for _ in range(data.draw(st.integers(0, 5))):
            changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
        tape.packets[index] = (when, bytes(changed[: data.draw(st.integers(20, len(changed)))]))
    assert all(finding.packets for finding in tape.findings().values())
    assert ladder.render(tape.trace())


def test_what_is_cut_short_in_the_capture_counts_whole() -> None:
    when, octets = Tape().handshake().left(DATA, 1, 1, b"x" * 1000).packets[-1]
    cut = record(when, octets)[:12] + len(octets).to_bytes(4, "little")
    head = cut[:8] + (70).to_bytes(4, "little") + cut[12:]
    (one,), damage, _ = read(pcap([]) + head + octets[:70])
    assert damage is None
    assert one.ends[0].data == 1000
