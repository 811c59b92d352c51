"""What is lost, by RACK (RFC 8985), and what goes again: the examples, and peers that lie."""

import pytest

from postel.tcp.congestion.reno import Reno
from postel.tcp.timers import REORDERING, RETRANSMISSION, TAIL_PROBE
from postel.testing.states import MSS, established
from postel.times import MILLISECOND, SECOND
from postel.wire.segment import ACK
from tests.tcp.flights import ROUND_TRIP, Block, clock, flying, of, opened, rack, sacks, sent_at, size_of


class Unled(Reno):
    """Reno without PRR, which sends a single segment where RFC 8985's example sends two."""

    is_model = True


# The example of RFC 8985, 3.4


@pytest.mark.label("RFC8985-6.2-5", "RFC8985-7.2", "RFC8985-7.3b", "RFC8985-6.1", "RFC8985-4b", "BAD-RTO-3")
def test_rfc8985_3_4_the_worked_example() -> None:
    scene = opened(congestion=Unled)
    scene.sends(bytes(4 * MSS))  # P0 to P3; all but P0 are lost
    scene.now += ROUND_TRIP
    scene.hears(ACK, ack=1 + MSS)  # 2
    acknowledged_at = scene.now
    assert scene.expires() == ["PSH,ACK seq=3001 ack=1 len=1000"]  # 3b: the tail again
    assert scene.now - acknowledged_at == 2 * scene.tcb.rtt.smoothed
    scene.now += ROUND_TRIP
    assert sacks(scene, of(3)) == sent_at(1, 2)  # 5a, 5b, 5c
    scene.now += ROUND_TRIP
    assert sacks(scene, of(2, 3)) == sent_at(1)  # 7: the retransmission of P1 was lost
    scene.now += ROUND_TRIP
    scene.hears(ACK, ack=1 + 4 * MSS)
    assert scene.tcb.snd.flight == 0
    assert scene.watch.expired == ["tail-probe"]


@pytest.mark.label("RFC8985-6.3")
def test_rfc8985_3_5_a_timeout_leaves_alone_what_was_sent_just_now() -> None:
    scene = opened(probe=False)
    scene.sends(b"first")
    scene.passes(SECOND - 2)
    scene.sends(b"second")  # waits for Nagle
    scene.tcb.snd.may_send_small = True
    assert scene.drain() == ["PSH,ACK seq=6 ack=1 len=6"]
    assert scene.passes(2) == ["ACK seq=1 ack=1 len=5"]
    scene.now += ROUND_TRIP // 10
    assert scene.hears(ACK, ack=6) == []  # of the first copy
    assert rack(scene).board.lost == 0


# When something is lost


@pytest.mark.label("RFC8985-6.2-4", "RFC8985-6.2-5", "RFC5681-3.2c")
def test_three_segments_sacked_mean_that_what_was_sent_before_is_lost() -> None:
    scene = flying()
    assert sacks(scene, of(1)) == sent_at(10)  # limited transmit, by the pipe
    assert sacks(scene, of(3), of(1)) == sent_at(11)
    lines = sacks(scene, of(5), of(3), of(1))
    assert lines[0] == sent_at(0)[0]
    assert scene.tcb.ensure_recovery().is_active
    assert scene.tcb.ensure_controller().threshold == 10 * MSS // 2


@pytest.mark.label("RFC8985-6.2-6", "RFC8985-6.2-4")
def test_rfc8985_6_2_6_fewer_wait_for_a_quarter_of_the_shortest_round_trip() -> None:
    scene = flying()
    sacks(scene, of(1))
    assert scene.tcb.timers.due(REORDERING) == scene.now + ROUND_TRIP // 4
    assert not scene.tcb.timers.is_running(RETRANSMISSION)
    assert not scene.tcb.timers.is_running(TAIL_PROBE)
    assert scene.expires()[0] == sent_at(0)[0]
    assert scene.tcb.ensure_recovery().is_active
    assert not scene.tcb.timers.is_running(REORDERING)


@pytest.mark.label("RFC8985-6.2-6")
def test_rfc8985_6_2_6_what_arrives_meanwhile_calls_the_alarm_off() -> None:
    scene = flying()
    sacks(scene, of(1))
    scene.hears(ACK, ack=1 + 2 * MSS)
    assert not scene.tcb.timers.is_running(REORDERING)
    assert scene.tcb.timers.is_running(RETRANSMISSION)


@pytest.mark.label("RFC8985-6.2-3", "RFC8985-6.2-4")
def test_rfc8985_6_2_3_once_reordering_is_seen_three_segments_are_no_proof() -> None:
    scene = flying()
    sacks(scene, of(1))
    scene.hears(ACK, ack=1 + 2 * MSS)  # segment 0, late
    assert sacks(scene, of(3, 8))
    assert not scene.tcb.ensure_recovery().is_active
    assert scene.tcb.timers.due(REORDERING) == scene.now + ROUND_TRIP // 4


@pytest.mark.label("RFC8985-6.2-3", "RFC8985-6.2-2")
def test_rfc8985_6_2_3_a_retransmission_that_fills_a_hole_is_no_reordering() -> None:
    scene = flying()
    sacks(scene, of(1, 4))
    scene.now += ROUND_TRIP
    scene.hears(ACK, ack=1 + 5 * MSS)
    assert not rack(scene)._reordering.count


@pytest.mark.label("RFC8985-6.2-5", "RFC8985-9.2", "RFC5681-4.3a", "BAD-RTO-3")
def test_a_lost_retransmission_goes_again_and_costs_the_window_again() -> None:
    scene = flying(20)
    sacks(scene, of(1, 4))
    threshold = scene.tcb.ensure_controller().threshold
    scene.now += ROUND_TRIP
    lines = sacks(scene, of(1, scene.max // MSS - 1))  # what was sent after it has arrived
    assert sent_at(0)[0] in lines
    assert scene.tcb.ensure_controller().threshold < threshold


@pytest.mark.label("RFC8985-6.2-5")
def test_of_what_one_instant_saw_leave_the_order_tells_which_came_later() -> None:
    """New data goes out on the first ACK, then a retransmission in the same microsecond: the new data
    arrives, and proves nothing.
    """
    scene = flying(10)
    scene.arrives(ACK, ack=1 + 2 * MSS)
    scene.drain()
    sacks(scene, of(3, 6))
    assert scene.tcb.counts.segments_retransmitted == 1
    scene.now += ROUND_TRIP
    sacks(scene, of(3, 11))
    assert scene.tcb.counts.segments_retransmitted == 1


@pytest.mark.label("RFC8985-6.2-2", "BBR-rtt")
def test_rfc8985_6_2_2_an_ack_within_less_than_a_round_trip_is_for_the_first_copy() -> None:
    scene = flying()
    sacks(scene, of(1, 4))
    newest = rack(scene)._newest
    scene.now += ROUND_TRIP // 10
    scene.hears(ACK, ack=1 + 5 * MSS)
    assert rack(scene)._newest is newest


@pytest.mark.label("RFC8985-6.2-2")
def test_rfc8985_6_2_2_so_is_one_that_echoes_an_older_timestamp() -> None:
    scene = flying(timestamps=True)
    smss = size_of(scene)
    old = clock(scene) - ROUND_TRIP // MILLISECOND
    scene.hears(ACK, ack=1, sack=((1 + smss, 1 + 5 * smss),), tsval=6, tsecr=old)
    newest = rack(scene)._newest
    scene.now += 2 * ROUND_TRIP
    scene.hears(ACK, ack=1 + smss, sack=((1 + smss, 1 + 5 * smss),), tsval=7, tsecr=old)
    assert rack(scene)._newest is newest


@pytest.mark.label("RFC6675-2a")
def test_rfc6675_2a_blocks_count_whatever_carries_them() -> None:
    scene = flying()
    scene.hears(ACK, b"text", ack=1, sack=(of(1, 4),))
    assert scene.tcb.ensure_recovery().is_active
    scene = flying()
    scene.hears(ACK, ack=1, window=50_000, sack=(of(1, 4),))
    assert scene.tcb.ensure_recovery().is_active


@pytest.mark.label("RFC3042-2c")
def test_rfc3042_2c_an_ack_that_sacks_nothing_new_lets_nothing_out() -> None:
    scene = flying()
    assert len(sacks(scene, of(1))) == 1
    for _ in range(5):
        assert sacks(scene, of(1)) == []


# Lies


@pytest.mark.label("BAD-SACK-1")
@pytest.mark.parametrize(
    "block",
    [
        (-5000, -4000),
        (-5000, 1),
        (10_001, 20_000),
        (5001, 5001),
        (6001, 5001),
        (1, 1),
        (1 << 31, 3001),
        (2001, 1 << 31),
        (0, 20_000),
    ],
    ids=["below", "up to una", "above", "empty", "reversed", "empty at una", "wrapped", "far", "all"],
)
def test_bad_sack_1_blocks_that_cannot_be_are_passed_over(block: Block) -> None:
    scene = flying()
    before = scene.image()
    for _ in range(2):
        assert sacks(scene, block) == []
    after = scene.image()
    assert after["snd"] == before["snd"]
    assert not scene.tcb.ensure_recovery().is_active
    assert len(rack(scene).board.sacked) == 0


@pytest.mark.label("BAD-SACK-1")
def test_bad_sack_1_a_good_block_beside_a_bad_one_counts() -> None:
    scene = flying()
    sacks(scene, (-5000, -4000), of(1, 5))
    assert scene.tcb.ensure_recovery().is_active


def test_sack_that_was_not_agreed_is_not_looked_at() -> None:
    scene = established()
    scene.sends(bytes(10 * MSS))
    scene.hears(ACK, ack=1, sack=(of(1, 5),))
    assert not scene.tcb.ensure_recovery().is_active


# What it tells of itself


def test_the_figures_of_a_flight_with_a_hole() -> None:
    scene = flying(20)
    sacks(scene, of(1, 9))
    status = scene.connection.status()
    assert (status.sacked, status.lost, status.retrans, status.total_retrans) == (9, 0, 1, 1)
    assert (status.delivered, status.min_rtt, status.reord_seen) == (9, ROUND_TRIP, 0)
    scene.hears(ACK, ack=1 + 10 * MSS)
    sacks(scene, of(0), ack=scene.una)
    assert scene.connection.status().dsack_dups == 1
