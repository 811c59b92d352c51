"""Loss recovery with SACK: what the sender makes of the blocks (RFC 2018, RFC 6675), and which the receiver sends (RFC 2018, RFC 2883)."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postel.tcp.config import DEFAULT
from postel.tcp.congestion.reno import Reno
from postel.tcp.recovery.scoreboard import RANGES, Scoreboard
from postel.times import NEVER
from postel.wire.segment import ACK
from tests.tcp.scenes import MSS, PLAIN, Peer, Scene, established

SELECTIVE = replace(PLAIN, sack=True)
Block = tuple[int, int]


def flying(count: int = 10, more: int = 100) -> Scene:
    """Segments 0 to ``count`` - 1 in flight fill the congestion window; ``more`` wait."""
    scene = established(SELECTIVE, Peer(sack=True))
    scene.sends(bytes((count + more) * MSS))
    scene.tcb.congestion.window = count * MSS
    scene.drain()
    assert scene.tcb.flight == count * MSS
    return scene


def of(*segments: int) -> Block:
    """The block that covers these segments, in numbers of octets."""
    return 1 + MSS * segments[0], 1 + MSS * (segments[-1] + 1)


def sacks(scene: Scene, *blocks: Block, ack: int | None = None) -> list[str]:
    return scene.hears(ACK, ack=scene.una if ack is None else ack, sack=blocks)


def sent_at(*segments: int) -> list[str]:
    return [f"ACK seq={1 + MSS * number} ack=1 len=1000" for number in segments]


def board(first: int = 0) -> Scoreboard:
    return Scoreboard(first)


# The sender: when something is lost


@pytest.mark.label("RFC6675-4b", "RFC6675-5a", "RFC6675-5b", "RFC5681-3.2c")
def test_rfc6675_4b_three_blocks_above_an_octet_mean_that_it_is_lost() -> None:
    scene = flying()
    assert sacks(scene, of(1)) == sent_at(10)  # limited transmit, by the pipe
    assert sacks(scene, of(3), of(1)) == sent_at(11)
    lines = sacks(scene, of(5), of(3), of(1))
    assert lines[0] == sent_at(0)[0]
    assert scene.tcb.recovery.is_active
    assert scene.tcb.congestion.threshold == 12 * MSS // 2


@pytest.mark.label("RFC6675-4b", "RFC6675-2a")
def test_rfc6675_4b_so_do_more_than_two_segments_of_octets() -> None:
    scene = flying()
    sacks(scene, of(1, 2))
    assert not scene.tcb.recovery.is_active
    sacks(scene, (1001, 3002))
    assert scene.tcb.recovery.is_active


@pytest.mark.label("RFC6675-5a", "RFC6675-5b")
def test_rfc6675_5a_so_do_three_duplicates() -> None:
    scene = flying()
    for right in (1101, 1201, 1301):
        assert not scene.tcb.recovery.is_active
        lines = sacks(scene, (1001, right))
    assert scene.tcb.recovery.is_active
    assert lines[0] == "ACK seq=1 ack=1 len=1000"


@pytest.mark.label("RFC6675-2a")
def test_rfc6675_2a_a_duplicate_counts_even_if_it_moves_the_window() -> None:
    scene = flying()
    for number in range(3):
        assert not scene.tcb.recovery.is_active
        scene.hears(ACK, ack=1, sack=((1001, 1101 + number),), window=50_000 - number)
    assert scene.tcb.recovery.is_active


@pytest.mark.label("RFC3042-2c", "RFC6675-2a")
def test_rfc3042_2c_a_duplicate_that_sacks_nothing_is_no_sign() -> None:
    scene = flying()
    for _ in range(10):
        assert sacks(scene) == []
    assert not scene.tcb.recovery.is_active


@pytest.mark.label("RFC6675-2a")
def test_rfc6675_2a_sack_on_text_and_on_window_updates_counts() -> None:
    scene = flying()
    scene.hears(ACK, b"text", ack=1, sack=(of(1, 4),))
    assert scene.tcb.recovery.is_active
    scene = flying()
    scene.hears(ACK, ack=1, window=50_000, sack=(of(1, 4),))
    assert scene.tcb.recovery.is_active


# The sender: what goes again, and how much


@pytest.mark.label("RFC6675-4d", "RFC6675-5c", "RFC2018-5a")
def test_rfc6675_4d_the_holes_are_filled_in_order_and_only_they() -> None:
    """Segments 0, 3 and 4 are lost."""
    scene = flying()
    lines = sacks(scene, of(5, 9), of(1, 2))
    assert lines[0] == sent_at(0)[0]
    while len(retransmitted := [line for line in lines if line in sent_at(0, 3, 4)]) < 3:
        lines += sacks(scene, of(5, scene.max // MSS - 1), of(1, 2))
        assert len(lines) < 40
    assert retransmitted == sent_at(0, 3, 4)


@pytest.mark.label("RFC6675-4d")
def test_rfc6675_4d_a_hole_smaller_than_a_segment_is_a_smaller_segment() -> None:
    scene = flying()
    assert sacks(scene, (301, 8001))[0] == "ACK seq=1 ack=1 len=300"


@pytest.mark.label("RFC6675-4c", "RFC6675-5c", "RFC5681-2b", "RFC5681-3a")
def test_rfc6675_4c_no_more_flies_than_the_window() -> None:
    scene = flying(20)
    sacks(scene, of(10, 19))
    window = scene.tcb.congestion.window
    assert window == 10 * MSS
    lost, arrived = 10 * MSS, 10 * MSS
    retransmitted = scene.tcb.octets_retransmitted
    pipe = scene.tcb.flight - lost - arrived + retransmitted
    assert pipe <= window
    assert pipe > window - MSS


@pytest.mark.label("RFC6675-4e")
def test_rfc6675_4e_when_the_holes_are_filled_new_data_follows() -> None:
    scene = flying()
    lines = sacks(scene, of(1, 9))
    assert lines == sent_at(0, *range(10, 10 + len(lines) - 1))
    assert len(lines) > 1


@pytest.mark.label("RFC6675-4e")
def test_rfc6675_4e_if_the_peers_window_allows() -> None:
    scene = flying()
    assert scene.hears(ACK, ack=1, sack=(of(1, 9),), window=10 * MSS) == sent_at(0)


@pytest.mark.label("RFC6675-5d", "RFC6582-3.2-3a")
def test_rfc6675_5d_recovery_ends_where_it_began() -> None:
    scene = flying()
    point = scene.max
    sacks(scene, of(1, 4))
    sacks(scene, ack=point - 1)
    assert scene.tcb.recovery.is_active
    scene.hears(ACK, ack=point)
    assert not scene.tcb.recovery.is_active


@pytest.mark.label("RFC6675-5b")
def test_one_window_is_cut_once() -> None:
    scene = flying(20)
    sacks(scene, of(1, 4))
    threshold = scene.tcb.congestion.threshold
    sacks(scene, of(10, 15), of(1, 4))
    sacks(scene, of(10, 15), ack=1 + 5 * MSS)
    assert scene.tcb.congestion.threshold == threshold


# The sender: timeouts and reneging


@pytest.mark.label("RFC2018-5c", "RFC6298-5.4", "RFC6675-5.1a")
def test_rfc2018_5c_a_timeout_sends_the_left_edge() -> None:
    scene = flying()
    sacks(scene, of(5))
    assert scene.expires() == sent_at(0)
    assert scene.tcb.congestion.window == MSS
    assert not scene.tcb.recovery.is_active


@pytest.mark.label("RFC6675-5.1a")
def test_rfc6675_5_1a_then_everything_not_sacked_in_order() -> None:
    scene = flying()
    sacks(scene, of(5, 6))
    scene.expires()
    again = sent_at(0)
    while scene.una < 1 + 10 * MSS:
        found = [line for line in again if line in sent_at(*range(10))]
        highest = len(found)
        ack = 1 + highest * MSS if highest < 5 else 1 + (highest + 2) * MSS
        again += sacks(scene, *([of(5, 6)] if ack < of(5)[0] else []), ack=min(ack, 1 + 10 * MSS))
    assert [line for line in again if line in sent_at(*range(10))] == sent_at(0, 1, 2, 3, 4, 7, 8, 9)


@pytest.mark.label("RFC6675-5.1a")
def test_rfc6675_5_1a_no_new_recovery_before_all_of_it_is_acknowledged() -> None:
    scene = flying()
    scene.expires()
    threshold = scene.tcb.congestion.threshold
    sacks(scene, of(2, 6), ack=1 + MSS)
    assert not scene.tcb.recovery.is_active
    assert scene.tcb.congestion.threshold == threshold


@pytest.mark.label("RFC2018-5b", "RFC2018-8a", "RFC6675-4a", "BAD-SACK-3")
def test_bad_sack_3_a_block_at_the_left_edge_is_reneging() -> None:
    scene = flying()
    sacks(scene, of(0, 9))
    assert scene.connection.unacknowledged >= 10 * MSS  # nothing is freed by SACK
    assert scene.expires()[0] == sent_at(0)[0]
    scene.hears(ACK, ack=1 + MSS)
    assert scene.sent[0].seq == scene.tcb.snd.una


@pytest.mark.label("BAD-SACK-4", "RFC2018-5b", "RFC2018-8a", "RFC6675-4a")
def test_bad_sack_4_a_peer_that_takes_everything_back_gets_everything() -> None:
    scene = flying(10, 0)
    sacks(scene, (2, 10_001))
    scene.hears(ACK, ack=2)  # the one octet came; the rest the peer threw away
    expected = 2
    while expected < 10_001:
        if not scene.sent:
            scene.expires()
        for segment in scene.sent:
            if (segment.seq - scene.tcb.snd.iss) % (1 << 32) == expected:
                expected += len(segment.data)
        scene.hears(ACK, ack=expected)
        assert len(scene.watch.expired) < 5
    assert scene.una == 10_001


@pytest.mark.label("RFC8201-5.4")
def test_rfc8201_5_4_what_was_too_large_goes_again_but_for_what_arrived() -> None:
    scene = flying()
    sacks(scene, of(5))
    window = scene.tcb.congestion.window
    assert scene.connection.packet_too_big(540, scene.tcb.snd.una, scene.now)
    assert scene.drain()[:2] == ["ACK seq=1 ack=1 len=500", "ACK seq=501 ack=1 len=500"]
    again = [scene.text(segment) for segment in scene.sent]
    assert not [line for line in again if "seq=5001 " in line or "seq=5501 " in line]
    assert scene.tcb.congestion.window == window
    assert not scene.tcb.recovery.is_active


# The sender: lies


@pytest.mark.label("BAD-SACK-1")
@pytest.mark.parametrize(
    "block",
    [(-5000, -4000), (-5000, 1), (10_001, 20_000), (5001, 5001), (6001, 5001), (1, 1), (1 << 31, 3001), (2001, 1 << 31), (0, 20_000)],
    ids=["below", "up to una", "above", "empty", "reversed", "empty at una", "wrapped", "far", "all"],
)
def test_bad_sack_1_blocks_that_cannot_be_are_passed_over(block: Block) -> None:
    scene = flying()
    before = scene.image()
    for _ in range(2):
        assert sacks(scene, block) == []
    after = scene.image()
    assert after["snd"] == before["snd"]
    assert not scene.tcb.recovery.is_active
    assert isinstance(scene.tcb.recovery, Scoreboard)
    assert len(scene.tcb.recovery._sacked) == 0


@pytest.mark.label("BAD-SACK-1")
def test_bad_sack_1_a_good_block_beside_a_bad_one_counts() -> None:
    scene = flying()
    sacks(scene, (-5000, -4000), of(1, 5))
    assert scene.tcb.recovery.is_active


@pytest.mark.label("BAD-SACK-6", "RFC2883-5")
def test_bad_sack_6_fake_d_sacks_change_nothing() -> None:
    scene = flying()
    scene.hears(ACK, ack=1 + 2 * MSS)
    window = scene.tcb.congestion.window
    for _ in range(100):
        sacks(scene, (1, 1001))
    assert scene.tcb.congestion.window == window
    assert not scene.tcb.recovery.is_active


@pytest.mark.label("BAD-MSS-2")
def test_bad_mss_2_a_thousand_holes_are_all_that_is_believed() -> None:
    scoreboard, control = board(), Reno(8, 1 << 20)
    for number in range(3 * RANGES):
        scoreboard.on_sack(((16 * number + 8, 16 * number + 16),), 0, 1 << 20, control, 0)
    assert len(scoreboard._sacked) == RANGES


def test_sack_that_was_not_agreed_is_not_looked_at() -> None:
    scene = established()
    scene.sends(bytes(10 * MSS))
    scene.hears(ACK, ack=1, sack=(of(1, 5),))
    assert not scene.tcb.recovery.is_active


@settings(max_examples=200)
@given(
    st.lists(st.tuples(st.integers(0, 60), st.lists(st.tuples(st.integers(-3, 70), st.integers(-3, 70)), max_size=4)), max_size=30),
    st.sampled_from([0, 0xFFFFFF00, 0x7FFFFFF0]),
)
def test_the_pipe_is_what_counting_octets_gives(steps: list[tuple[int, list[Block]]], first: int) -> None:
    """RFC6675-4c, octet by octet: not SACKed and not lost, and once more if sent again."""
    scoreboard, control, una, maximum = board(first), Reno(10, 1 << 20), 0, 60
    sacked: set[int] = set()
    for ack, blocks in steps:
        if ack > una:
            scoreboard.on_ack(ack - una, (first + ack) % (1 << 32), maximum - ack, control, 0)
            una = ack
        numbered = tuple(((first + left) % (1 << 32), (first + right) % (1 << 32)) for left, right in blocks)
        scoreboard.on_sack(numbered, (first + una) % (1 << 32), (first + maximum) % (1 << 32), control, 0)
        for left, right in blocks:
            if una <= left < right <= maximum:
                sacked |= set(range(left, right))
        sacked = {number for number in sacked if number >= una}
        edge, again = scoreboard._lost_edge(10), scoreboard._retransmitted
        expected = sum((number not in sacked) * ((number >= edge) + (number < again)) for number in range(una, maximum))
        assert scoreboard._pipe((first + maximum) % (1 << 32), edge) == expected


# The receiver


def heard(*pieces: tuple[int, int], config: object = None) -> Scene:
    """``pieces`` are (number, octets), each drained alone."""
    scene = established(DEFAULT if config else SELECTIVE, Peer(sack=True, tsval=5 if config else -1))
    for number, octets in pieces:
        scene.hears(ACK, bytes(octets), seq=number)
    return scene


def blocks(scene: Scene) -> list[Block]:
    """Of the last segment sent, relative."""
    return [((left - scene.irs) % (1 << 32), (right - scene.irs) % (1 << 32)) for left, right in scene.sent[-1].sack]


@pytest.mark.label("RFC2018-4b", "RFC2018-4e", "RFC2018-3")
def test_rfc2018_4b_every_ack_below_what_is_held_says_so() -> None:
    scene = heard((101, 10))
    assert blocks(scene) == [(101, 111)]
    scene.hears(ACK, b"x")
    assert blocks(scene) == [(101, 111)]
    scene.hears(ACK, bytes(99))
    assert scene.sent[-1].sack == ()


@pytest.mark.label("RFC2018-4c", "RFC2018-4d")
def test_rfc2018_4c_the_newest_block_comes_first() -> None:
    scene = heard((101, 10), (201, 10), (301, 10), (401, 10), (501, 10))
    assert blocks(scene) == [(501, 511), (401, 411), (301, 311), (201, 211)]
    scene.hears(ACK, bytes(10), seq=211)
    assert blocks(scene) == [(201, 221), (501, 511), (401, 411), (301, 311)]


@pytest.mark.label("RFC2018-3", "BAD-SACK-7")
def test_bad_sack_7_three_fit_beside_timestamps() -> None:
    scene = heard((101, 10), (201, 10), (301, 10), (401, 10), config=DEFAULT)
    assert len(scene.sent[-1].sack) == 3


@pytest.mark.label("RFC2883-4a", "RFC2018-4e")
def test_rfc2883_4a_a_duplicate_is_told_once_and_first() -> None:
    scene = heard((1, 100), (1, 50))
    assert blocks(scene) == [(1, 51)]
    scene.hears(ACK, b"x")
    scene.hears(ACK, b"y")
    assert scene.sent[-1].sack == ()


@pytest.mark.label("RFC2883-4a")
def test_rfc2883_4a_only_the_part_that_was_there_before() -> None:
    scene = heard((1, 100), (51, 100))
    assert scene.nxt == 151
    assert blocks(scene) == [(51, 101)]


@pytest.mark.label("RFC2883-4b")
def test_rfc2883_4b_a_duplicate_of_what_is_held_is_followed_by_its_block() -> None:
    scene = heard((101, 100), (121, 20))
    assert blocks(scene) == [(121, 141), (101, 201)]


@pytest.mark.label("RFC2018-8b", "BAD-SEQ-8")
def test_rfc2018_8b_what_was_given_up_is_not_reported() -> None:
    scene = heard((101, 10), (201, 10))
    assert scene.tcb.reassembly is not None
    scene.tcb.reassembly.give_up(5)
    scene.hears(ACK, b"x", seq=50)
    assert blocks(scene) == [(50, 51), (101, 111)]


def test_a_fin_among_what_was_lost_is_found() -> None:
    scene = flying(10, 0)
    scene.closes()
    lines = sacks(scene, of(1, 4))
    assert lines[0] == sent_at(0)[0]
    scene.hears(ACK, ack=1 + 10 * MSS)
    assert scene.expires()[-1] == "FIN,ACK seq=10001 ack=1"
    scene.hears(ACK)
    assert scene.tcb.timers.retransmission == NEVER
