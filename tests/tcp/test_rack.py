"""Loss recovery with SACK: RACK-TLP (RFC 8985), PRR (RFC 9937), F-RTO with SACK (RFC 5682, 3.1), undo (RFC 3522, 4015, 2883)."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postel.tcp.congestion import initial_window
from postel.tcp.congestion.reno import Reno
from postel.tcp.recovery.rack import Rack
from postel.tcp.recovery.reordering import PERSISTENCE, Reordering
from postel.tcp.recovery.scoreboard import RANGES, Scoreboard
from postel.tcp.recovery.transmissions import LOST
from postel.tcp.recovery.undo import NO_ECHO
from postel.tcp.rtt import Rtt
from postel.times import MILLISECOND, MINUTE, NEVER, SECOND
from postel.wire.segment import ACK, Segment
from tests.tcp.scenes import MSS, PLAIN, Peer, Scene, established, syn_received

ROUND_TRIP = 100 * MILLISECOND
WINDOW = 65535
SELECTIVE = replace(PLAIN, sack=True, congestion=Reno)
Block = tuple[int, int]


class Unled(Reno):
    """Reno without PRR, which sends a single segment where RFC 8985's example sends two."""

    is_model = True


def opened(*, timestamps: bool = False, probe: bool = True, scale: bool = False, congestion: type[Reno] = Reno) -> Scene:
    """The handshake took a round trip."""
    config = replace(SELECTIVE, tail_probe=probe, timestamps=timestamps, window_scaling=scale, congestion=congestion)
    peer = Peer(sack=True, window=WINDOW, tsval=5 if timestamps else -1, window_scale=7 if scale else -1)
    scene = syn_received(config, peer)
    scene.now += ROUND_TRIP
    scene.hears(ACK, tsecr=clock(scene) - ROUND_TRIP // MILLISECOND if timestamps else -1)
    scene.events()
    return scene


def clock(scene: Scene) -> int:
    return 7 + scene.now // MILLISECOND


def flying(count: int = 10, more: int = 100, *, timestamps: bool = False, probe: bool = False) -> Scene:
    """Segments 0 to ``count`` - 1 in flight fill the congestion window; ``more`` wait; their ACKs are due now."""
    scene = opened(timestamps=timestamps, probe=probe, scale=timestamps)
    scene.sends(bytes((count + more) * size_of(scene)))
    scene.tcb.congestion.window = count * size_of(scene)
    scene.drain()
    assert scene.tcb.flight == count * size_of(scene)
    scene.now += ROUND_TRIP
    return scene


def size_of(scene: Scene) -> int:
    return scene.tcb.congestion.smss


def of(*segments: int) -> Block:
    """The block that covers these segments, in numbers of octets."""
    return 1 + MSS * segments[0], 1 + MSS * (segments[-1] + 1)


def sacks(scene: Scene, *blocks: Block, ack: int | None = None, **fields: int) -> list[str]:
    return scene.hears(ACK, ack=scene.una if ack is None else ack, sack=blocks, **fields)


def sent_at(*segments: int) -> list[str]:
    return [f"ACK seq={1 + MSS * number} ack=1 len=1000" for number in segments]


def rack(scene: Scene) -> Rack:
    assert isinstance(scene.tcb.recovery, Rack)
    return scene.tcb.recovery


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
    assert scene.tcb.flight == 0
    assert scene.watch.expired == ["probe"]


@pytest.mark.label("RFC8985-6.3")
def test_rfc8985_3_5_a_timeout_leaves_alone_what_was_sent_just_now() -> None:
    scene = opened(probe=False)
    scene.sends(b"first")
    scene.passes(SECOND - 2)
    scene.sends(b"second")  # waits for Nagle
    scene.tcb.may_send_small = True
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
    assert scene.tcb.recovery.is_active
    assert scene.tcb.congestion.threshold == 10 * MSS // 2


@pytest.mark.label("RFC8985-6.2-6", "RFC8985-6.2-4")
def test_rfc8985_6_2_6_fewer_wait_for_a_quarter_of_the_shortest_round_trip() -> None:
    scene = flying()
    sacks(scene, of(1))
    assert scene.tcb.timers.reorder == scene.now + ROUND_TRIP // 4
    assert scene.tcb.timers.retransmission == scene.tcb.timers.probe == NEVER
    assert scene.expires()[0] == sent_at(0)[0]
    assert scene.tcb.recovery.is_active
    assert scene.tcb.timers.reorder == NEVER


@pytest.mark.label("RFC8985-6.2-6")
def test_rfc8985_6_2_6_what_arrives_meanwhile_calls_the_alarm_off() -> None:
    scene = flying()
    sacks(scene, of(1))
    scene.hears(ACK, ack=1 + 2 * MSS)
    assert scene.tcb.timers.reorder == NEVER
    assert scene.tcb.timers.retransmission != NEVER


@pytest.mark.label("RFC8985-6.2-3", "RFC8985-6.2-4")
def test_rfc8985_6_2_3_once_reordering_is_seen_three_segments_are_no_proof() -> None:
    scene = flying()
    sacks(scene, of(1))
    scene.hears(ACK, ack=1 + 2 * MSS)  # segment 0, late
    assert sacks(scene, of(3, 8))
    assert not scene.tcb.recovery.is_active
    assert scene.tcb.timers.reorder == scene.now + ROUND_TRIP // 4


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
    threshold = scene.tcb.congestion.threshold
    scene.now += ROUND_TRIP
    lines = sacks(scene, of(1, scene.max // MSS - 1))  # what was sent after it has arrived
    assert sent_at(0)[0] in lines
    assert scene.tcb.congestion.threshold < threshold


@pytest.mark.label("RFC8985-6.2-5")
def test_of_what_one_instant_saw_leave_the_order_tells_which_came_later() -> None:
    """New data goes out on the first ACK, then a retransmission in the same microsecond: the new data arrives, and proves nothing."""
    scene = flying(10)
    scene.arrives(ACK, ack=1 + 2 * MSS)
    scene.drain()
    sacks(scene, of(3, 6))
    assert scene.tcb.segments_retransmitted == 1
    scene.now += ROUND_TRIP
    sacks(scene, of(3, 11))
    assert scene.tcb.segments_retransmitted == 1


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
    assert scene.tcb.recovery.is_active
    scene = flying()
    scene.hears(ACK, ack=1, window=50_000, sack=(of(1, 4),))
    assert scene.tcb.recovery.is_active


@pytest.mark.label("RFC3042-2c")
def test_rfc3042_2c_an_ack_that_sacks_nothing_new_lets_nothing_out() -> None:
    scene = flying()
    assert len(sacks(scene, of(1))) == 1
    for _ in range(5):
        assert sacks(scene, of(1)) == []


# What goes again, and how much


@pytest.mark.label("RFC2018-5a", "RFC6675-4d")
def test_the_holes_are_filled_in_order_and_only_they() -> None:
    """Segments 0, 3 and 4 are lost."""
    scene = flying()
    lines = sacks(scene, of(5, 9), of(1, 2))
    assert lines[0] == sent_at(0)[0]
    while len(retransmitted := [line for line in lines if line in sent_at(0, 3, 4)]) < 3:
        lines += sacks(scene, of(5, scene.max // MSS - 1), of(1, 2))
        assert len(lines) < 40
    assert retransmitted == sent_at(0, 3, 4)


@pytest.mark.label("RFC6675-4d")
def test_a_hole_smaller_than_a_segment_is_a_smaller_segment() -> None:
    scene = flying()
    assert sacks(scene, (301, 8001))[0] == "ACK seq=1 ack=1 len=300"


@pytest.mark.label("RFC6675-4e")
def test_when_the_holes_are_filled_new_data_follows() -> None:
    scene = flying()
    lines = sacks(scene, of(1, 9))
    assert lines == sent_at(0, *range(10, 10 + len(lines) - 1))
    assert len(lines) > 1


@pytest.mark.label("RFC6675-4e")
def test_if_the_peers_window_allows() -> None:
    scene = flying()
    assert scene.hears(ACK, ack=1, sack=(of(1, 9),), window=10 * MSS) == sent_at(0)


@pytest.mark.label("RFC9937-6.1", "RFC9937-6.2a", "RFC9937-6.2b", "RFC9937-6.2c", "RFC9937-6.3", "RFC5681-2b")
def test_rfc9937_6_2c_the_flight_shrinks_in_proportion_to_what_arrives() -> None:
    """Half the window: one segment goes out for every two that arrive."""
    scene = flying(20)
    sent = [len(sacks(scene, of(1, number))) for number in range(1, 20)]
    assert 10 <= sum(sent) <= 12  # two by limited transmit, before the third SACK
    assert max(sent) <= 2
    assert scene.tcb.flight - rack(scene).board.sacked.total <= scene.tcb.congestion.threshold + MSS


@pytest.mark.label("RFC9937-6.2d")
def test_rfc9937_6_2d_below_the_threshold_it_is_filled_as_fast_as_segments_leave() -> None:
    """All but the last three are lost: the pipe is far below the threshold, and grows by one on ACKs that bring progress alone."""
    scene = flying(20)
    assert len(sacks(scene, of(17, 19))) == 3
    scene.now += ROUND_TRIP
    assert len(sacks(scene, of(17, 19), ack=1 + MSS)) == 2  # a safe ACK
    assert len(sacks(scene, (1 + 2 * MSS, 1 + 3 * MSS), of(17, 19), ack=1 + MSS)) == 1


@pytest.mark.label("RFC9937-6.2e")
def test_rfc9937_6_2e_the_first_retransmission_waits_for_nothing() -> None:
    scene = flying(60)
    sacks(scene, of(1))
    sacks(scene, of(1, 2))
    assert sacks(scene, of(1, 3)) == sent_at(0)


@pytest.mark.label("RFC9937-6.4", "RFC6675-5d")
def test_rfc9937_6_4_recovery_ends_with_the_threshold_for_a_window() -> None:
    scene = flying(20)
    point = scene.max
    sacks(scene, of(1, 9))
    sacks(scene, ack=point - 1)
    assert scene.tcb.recovery.is_active
    scene.hears(ACK, ack=point)
    assert not scene.tcb.recovery.is_active
    assert scene.tcb.congestion.window == scene.tcb.congestion.threshold == 10 * MSS


@pytest.mark.label("RFC8985-9.3")
def test_rfc8985_9_3_what_is_lost_waits_for_room() -> None:
    scene = flying(40)
    lines = sacks(scene, of(30, 39))
    assert lines == sent_at(*range(10))[: len(lines)]
    board = rack(scene).board
    assert board.pipe <= 10 * MSS
    assert board.lost == 30 * MSS - board.pipe


@pytest.mark.label("RFC5681-3.2d")
def test_acks_that_are_read_at_once_had_all_been_in_flight() -> None:
    """A host drains a batch of ACKs before it sends: half of the window is half of what flew when the batch came."""
    scene = flying(20)
    for number in range(1, 15):
        scene.arrives(ACK, ack=1 + number * MSS)
    scene.arrives(ACK, ack=scene.una, sack=(of(15, 18),))
    scene.drain()
    assert scene.tcb.congestion.threshold == 10 * MSS


@pytest.mark.label("RFC5681-3.1b")
def test_and_all_say_that_the_window_fits() -> None:
    scene = flying(20)
    for number in range(1, 21):
        scene.arrives(ACK, ack=1 + number * MSS)
    assert scene.tcb.congestion.window == 40 * MSS


def test_one_window_is_cut_once() -> None:
    scene = flying(20)
    sacks(scene, of(1, 4))
    threshold = scene.tcb.congestion.threshold
    sacks(scene, of(10, 15), of(1, 4))
    sacks(scene, of(10, 15), ack=1 + 5 * MSS)
    assert scene.tcb.congestion.threshold == threshold


@pytest.mark.label("RFC3168-6.1.2a")
def test_rfc3168_6_1_2a_a_loss_among_what_a_mark_answered_for_costs_nothing_more() -> None:
    scene = flying(20)
    scene.tcb.congestion.marked(scene.tcb.flight, scene.now)
    scene.tcb.recovery.on_marked()
    threshold = scene.tcb.congestion.threshold
    lines = sacks(scene, of(1, 9))
    assert lines[0] == sent_at(0)[0]
    assert scene.tcb.recovery.is_active
    assert scene.tcb.congestion.threshold == threshold


# The tail of a flight


@pytest.mark.label("RFC8985-7.2", "EP-TMO-8")
def test_rfc8985_7_2_the_probe_comes_after_two_round_trips() -> None:
    scene = opened()
    scene.sends(bytes(3 * MSS))
    assert scene.tcb.timers.probe == scene.now + 2 * ROUND_TRIP
    assert scene.tcb.timers.retransmission == NEVER
    scene.now += MILLISECOND
    scene.sends(bytes(3 * MSS))
    assert scene.tcb.timers.probe == scene.now + 2 * ROUND_TRIP  # anew with each segment


@pytest.mark.label("RFC8985-7.2")
def test_rfc8985_7_2_and_a_delayed_ack_for_a_single_segment() -> None:
    scene = opened()
    scene.sends(b"x")
    assert scene.tcb.timers.probe == scene.now + 2 * ROUND_TRIP + 200 * MILLISECOND


@pytest.mark.label("RFC8985-7.2")
def test_rfc8985_7_2_but_not_later_than_the_timeout() -> None:
    scene = opened()
    scene.tcb.rtt.smoothed = SECOND
    scene.sends(bytes(3 * MSS))
    assert scene.tcb.timers.probe == scene.now + scene.tcb.rtt.rto


@pytest.mark.label("RFC8985-7.2")
def test_rfc8985_7_2_one_second_where_nothing_was_measured() -> None:
    scene = opened()
    scene.tcb.rtt.smoothed = 0
    scene.tcb.rtt.rto = 3 * SECOND
    scene.sends(bytes(3 * MSS))
    assert scene.tcb.timers.probe == scene.now + SECOND


@pytest.mark.label("RFC8985-7.2")
def test_rfc8985_7_2_not_once_something_is_sacked() -> None:
    scene = flying(probe=True)
    assert scene.tcb.timers.probe != NEVER
    expires = scene.tcb.timers.expires
    scene.hears(ACK, ack=1, sack=(of(9),))
    scene.passes(ROUND_TRIP)  # the reordering timer
    assert scene.tcb.timers.probe == NEVER
    assert scene.tcb.timers.retransmission >= expires


@pytest.mark.label("RFC8985-7.3b", "RFC8985-7.3c")
def test_rfc8985_7_3b_new_data_is_the_better_probe() -> None:
    scene = flying(probe=True)
    assert scene.expires() == sent_at(10)  # beyond the congestion window
    assert scene.tcb.timers.retransmission == scene.now + scene.tcb.rtt.rto
    assert scene.tcb.timers.probe == NEVER


@pytest.mark.label("RFC8985-7.3b")
def test_rfc8985_7_3b_not_beyond_the_peers_window() -> None:
    scene = flying(probe=True)
    scene.hears(ACK, ack=1, window=10 * MSS)
    assert scene.expires() == sent_at(9)


@pytest.mark.label("RFC8985-7.3b")
def test_rfc8985_7_3b_a_fin_is_a_tail_too() -> None:
    scene = opened()
    scene.closes()
    assert scene.expires() == ["FIN,ACK seq=1 ack=1"]
    assert scene.watch.expired == ["probe"]


@pytest.mark.label("RFC8985-7.3a")
def test_rfc8985_7_3a_one_probe_until_something_was_measured() -> None:
    scene = opened()
    scene.sends(bytes(3 * MSS))
    assert scene.expires() == ["PSH,ACK seq=2001 ack=1 len=1000"]
    scene.now += ROUND_TRIP // 20
    scene.hears(ACK, ack=1 + MSS)  # of the original flight, and no measure of the tail
    rack(scene)._has_measured = False
    assert scene.tcb.timers.probe != NEVER
    assert scene.expires() == []
    assert scene.tcb.timers.retransmission == scene.now + scene.tcb.rtt.rto


@pytest.mark.label("RFC8985-7.4.2")
def test_rfc8985_7_4_2_a_loss_that_the_probe_repaired_costs_the_window() -> None:
    scene = opened()
    scene.sends(bytes(10 * MSS))
    scene.expires()  # segment 9 again: the only one that was lost
    scene.now += ROUND_TRIP
    scene.hears(ACK)
    assert scene.tcb.congestion.threshold > 1 << 20
    scene.sends(bytes(3 * MSS))
    scene.now += ROUND_TRIP
    scene.hears(ACK)
    assert scene.tcb.congestion.threshold < 10 * MSS
    assert not scene.tcb.recovery.is_active


@pytest.mark.label("RFC8985-7.4.2")
@pytest.mark.parametrize("told", ["duplicate", "D-SACK"])
def test_rfc8985_7_4_2_unless_both_copies_arrived(told: str) -> None:
    scene = opened()
    scene.sends(bytes(10 * MSS))
    scene.expires()
    scene.hears(ACK)
    scene.sends(bytes(MSS))
    if told == "duplicate":
        scene.hears(ACK, ack=1 + 10 * MSS)
    else:
        sacks(scene, of(9), ack=1 + 10 * MSS)
    scene.hears(ACK)
    assert scene.tcb.congestion.threshold > 1 << 20


@pytest.mark.label("RFC8985-7.4.2")
def test_rfc8985_7_4_2_a_probe_of_new_data_says_nothing() -> None:
    scene = flying(10, 1, probe=True)
    assert scene.expires() == ["PSH,ACK seq=10001 ack=1 len=1000"]
    scene.hears(ACK)
    scene.sends(bytes(MSS))
    scene.hears(ACK)
    assert scene.tcb.congestion.threshold > 1 << 20


def test_a_probe_that_came_too_late_is_not_sent() -> None:
    scene = opened()
    scene.sends(b"x")
    scene.now = scene.tcb.timers.probe
    scene.connection.handle_timeout(scene.now)
    assert scene.hears(ACK) == []


def test_the_probe_is_a_choice() -> None:
    scene = opened(probe=False)
    scene.sends(b"x")
    assert scene.tcb.timers.probe == NEVER
    assert scene.tcb.timers.retransmission == scene.now + scene.tcb.rtt.rto


# Timeouts and reneging


@pytest.mark.label("RFC2018-5c", "RFC6298-5.4", "RFC6675-5.1a", "RFC8985-6.3")
def test_rfc2018_5c_a_timeout_sends_the_left_edge() -> None:
    scene = flying()
    sacks(scene, of(5))
    scene.tcb.timers.reorder, scene.tcb.timers.retransmission = NEVER, scene.now + SECOND
    assert scene.expires() == sent_at(0)
    assert scene.tcb.congestion.window == MSS
    assert not scene.tcb.recovery.is_active


@pytest.mark.label("RFC6675-5.1a", "RFC8985-6.3")
def test_rfc6675_5_1a_then_everything_not_sacked_in_order() -> None:
    scene = flying(10, 0)
    sacks(scene, of(5, 6))
    scene.tcb.timers.reorder, scene.tcb.timers.retransmission = NEVER, scene.now + SECOND
    again = scene.expires()
    while scene.una < 1 + 10 * MSS:
        found = [line for line in again if line in [*sent_at(*range(10)), "PSH,ACK seq=9001 ack=1 len=1000"]]
        highest = len(found)
        ack = 1 + highest * MSS if highest < 5 else 1 + (highest + 2) * MSS
        scene.now += ROUND_TRIP
        again += sacks(scene, *([of(5, 6)] if ack < of(5)[0] else []), ack=min(ack, 1 + 10 * MSS))
    assert again == [*sent_at(0, 1, 2, 3, 4, 7, 8), "PSH,ACK seq=9001 ack=1 len=1000"]


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
        scene.now += ROUND_TRIP
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


def test_a_fin_among_what_was_lost_is_found() -> None:
    scene = flying(10, 0)
    scene.closes()
    lines = sacks(scene, of(1, 4))
    assert lines[0] == sent_at(0)[0]
    scene.hears(ACK, ack=1 + 10 * MSS)
    assert scene.expires()[-1] == "FIN,ACK seq=10001 ack=1"
    scene.hears(ACK)
    assert scene.tcb.timers.retransmission == NEVER


def test_a_window_that_opens_again_brings_all_in_order() -> None:
    scene = flying(3, 0)
    sacks(scene, of(1, 2), window=0)
    scene.hears(ACK, ack=1, sack=(of(1, 2),), window=0)
    scene.passes(10 * SECOND)
    assert scene.hears(ACK, ack=1, window=WINDOW)[:3] == [*sent_at(0, 1), "PSH,ACK seq=2001 ack=1 len=1000"]
    assert rack(scene).board.sacked.total == 0


# Spurious timeouts and retransmissions


def timed_out(*, more: int = 10, timestamps: bool = False) -> Scene:
    """Ten in flight; the timeout sent the first again."""
    scene = flying(10, more, timestamps=timestamps)
    assert len(scene.expires()) == 1
    assert scene.watch.expired == ["retransmission"]
    scene.now += 10 * MILLISECOND
    return scene


@pytest.mark.label("RFC5682-3.1", "RFC4015-3.1-0", "RFC4015-3.1-9")
def test_rfc5682_3_1_acks_of_the_old_flight_disprove_the_timeout() -> None:
    scene = timed_out()
    assert scene.hears(ACK, ack=1 + MSS) == sent_at(10, 11)  # two new ones, nothing again
    assert scene.hears(ACK, ack=1 + 2 * MSS)[:1] == sent_at(12)
    assert scene.tcb.segments_retransmitted == 1
    assert scene.tcb.congestion.window >= 10 * MSS
    assert scene.tcb.congestion.threshold > 1 << 20


@pytest.mark.label("RFC5682-3.1")
def test_rfc5682_3_1_so_does_a_sack() -> None:
    scene = timed_out()
    scene.hears(ACK, ack=1 + MSS)
    sacks(scene, of(2))
    assert not scene.tcb.recovery.tests_timeout
    assert scene.tcb.congestion.threshold > 1 << 20


@pytest.mark.label("RFC5682-3.1")
def test_rfc5682_3_1_otherwise_the_old_flight_goes_again() -> None:
    scene = timed_out()
    scene.hears(ACK, ack=1 + MSS)
    assert sacks(scene, of(10))[:1] == sent_at(1)
    assert scene.tcb.congestion.window <= 3 * MSS
    assert not scene.tcb.recovery.tests_timeout


@pytest.mark.label("RFC5682-3.1")
def test_rfc5682_3_1_a_duplicate_that_says_nothing_ends_the_test() -> None:
    scene = timed_out()
    scene.hears(ACK, ack=1 + MSS)
    scene.hears(ACK, ack=1 + MSS)
    assert not scene.tcb.recovery.tests_timeout
    assert scene.tcb.congestion.threshold < 1 << 20


@pytest.mark.label("RFC5682-3.1")
def test_rfc5682_3_1_a_duplicate_before_the_first_progress_changes_nothing() -> None:
    scene = timed_out()
    assert sacks(scene, of(3)) == []
    assert scene.tcb.recovery.tests_timeout
    assert scene.hears(ACK, ack=1 + MSS, sack=(of(3),)) == sent_at(10, 11)


@pytest.mark.label("RFC5682-3.1")
def test_rfc5682_3_1_not_when_the_first_ack_covers_everything() -> None:
    scene = timed_out()
    scene.hears(ACK, ack=1 + 10 * MSS)
    assert not scene.tcb.recovery.tests_timeout
    assert scene.tcb.congestion.window <= 2 * MSS


@pytest.mark.label("RFC5682-3.1")
def test_rfc5682_3_1_nor_when_there_is_nothing_new_to_send() -> None:
    scene = timed_out(more=0)
    assert scene.hears(ACK, ack=1 + MSS) == sent_at(1, 2)


@pytest.mark.label("RFC5682-3.1")
def test_rfc5682_3_1_nor_during_an_earlier_recovery() -> None:
    scene = flying(10)
    sacks(scene, of(1, 4))
    scene.passes(SECOND)
    assert "retransmission" in scene.watch.expired
    assert not scene.tcb.recovery.tests_timeout


@pytest.mark.label("RFC3522-3.2", "RFC4015-3.1-9", "RFC4015-3.1-11")
def test_rfc3522_3_2_an_older_echo_disproves_the_timeout_at_once() -> None:
    scene = timed_out(timestamps=True)
    smss = size_of(scene)
    old = clock(scene) - 2 * SECOND // MILLISECOND
    smoothed = scene.tcb.rtt.smoothed
    scene.hears(ACK, ack=1 + smss, tsval=6, tsecr=old)
    assert scene.tcb.congestion.threshold > 1 << 20
    assert scene.tcb.congestion.window <= 11 * smss  # FlightSize and twice what was acknowledged: no burst
    assert rack(scene).board.lost == 0
    sent_at_tick = clock(scene)
    scene.now += 900 * MILLISECOND
    scene.hears(ACK, tsval=7, tsecr=sent_at_tick)
    assert scene.tcb.rtt.smoothed == 900 * MILLISECOND > 2 * smoothed  # the next round trip counts whole


@pytest.mark.label("RFC3522-3.2")
def test_rfc3522_3_2_an_echo_of_the_retransmission_confirms_it() -> None:
    scene = timed_out(timestamps=True)
    scene.hears(ACK, ack=1 + size_of(scene), tsval=6, tsecr=clock(scene) - 10)
    assert scene.tcb.congestion.threshold < 1 << 20


@pytest.mark.label("RFC3522-3.2")
def test_rfc3522_3_2_a_fast_retransmission_is_disproved_alike() -> None:
    scene = flying(timestamps=True)
    smss = size_of(scene)
    old = clock(scene) - ROUND_TRIP // MILLISECOND
    scene.hears(ACK, ack=1, sack=((1 + smss, 1 + 5 * smss),), tsval=6, tsecr=old)
    assert scene.tcb.congestion.threshold == 5 * smss
    scene.now += 2 * MILLISECOND
    scene.hears(ACK, ack=1 + 5 * smss, tsval=7, tsecr=old)
    assert not scene.tcb.recovery.is_active
    assert scene.tcb.congestion.threshold > 1 << 20
    assert scene.tcb.congestion.window >= 10 * smss


@pytest.mark.label("RFC2883-5", "RFC8985-6.2-4")
def test_rfc2883_5_duplicates_of_all_that_went_again_restore_the_window() -> None:
    scene = flying()
    sacks(scene, of(1, 4))
    scene.now += ROUND_TRIP // 10
    scene.hears(ACK, ack=1 + 5 * MSS)
    assert scene.tcb.congestion.threshold == 5 * MSS
    sacks(scene, of(0), ack=scene.una)
    assert scene.tcb.congestion.threshold > 1 << 20
    assert scene.tcb.congestion.window >= 10 * MSS


@pytest.mark.label("RFC2883-5")
def test_rfc2883_5_a_duplicate_may_be_named_inside_the_second_block() -> None:
    scene = flying(20)
    sacks(scene, of(3, 8))
    before = rack(scene).board.sacked.total
    sacks(scene, of(4), of(3, 8))
    assert rack(scene).board.sacked.total == before
    assert rack(scene)._reordering._multiplier == 2


@pytest.mark.label("BAD-SACK-6", "RFC2883-5")
def test_bad_sack_6_fake_d_sacks_change_nothing() -> None:
    scene = flying()
    scene.hears(ACK, ack=1 + 2 * MSS)
    window = scene.tcb.congestion.window
    for _ in range(100):
        sacks(scene, (1, 1001))
    assert scene.tcb.congestion.window == window
    assert not scene.tcb.recovery.is_active
    assert rack(scene)._reordering._multiplier == 2  # once a round trip


@pytest.mark.label("BAD-SACK-6", "RFC8985-6.2-4")
def test_bad_sack_6_a_fake_undo_gives_back_what_was_taken_and_no_more() -> None:
    scene = flying()
    sacks(scene, of(1, 4))
    sacks(scene, (-1 << 30, -1 << 29), of(1, 4))  # more than was ever sent
    assert scene.tcb.recovery.is_active
    for _ in range(50):
        sacks(scene, (-999, 1), of(1, 4))
    assert scene.tcb.congestion.window == 10 * MSS


def test_after_an_undo_what_is_lost_is_found_again() -> None:
    scene = flying(20)
    sacks(scene, of(15, 19))
    assert rack(scene).board.lost > 0
    sacks(scene, (-4999, 1), of(15, 19))
    scene.passes(ROUND_TRIP)
    assert scene.tcb.recovery.is_active


# The reordering window by itself


@pytest.mark.label("RFC8985-6.2-4")
def test_rfc8985_6_2_4_it_widens_with_each_round_of_duplicates_and_is_bounded_by_the_round_trip() -> None:
    reordering = Reordering(0)
    reordering.count = 1
    reordering.measured(1000, 0)
    assert reordering.window(0, 1200, is_recovering=False) == 250
    for number in range(3):
        reordering.duplicated(number, number + 1)
        reordering.duplicated(number, number + 1)  # the same round
    assert reordering.window(0, 1200, is_recovering=True) == 1000
    for number in range(3, 200):
        reordering.duplicated(number, number + 1)
    assert reordering.window(9, 1200, is_recovering=False) == 1200


@pytest.mark.label("RFC8985-6.2-4")
def test_rfc8985_6_2_4_sixteen_recoveries_without_one_narrow_it_again() -> None:
    reordering = Reordering(0)
    reordering.count = 1
    reordering.measured(1000, 0)
    reordering.duplicated(0, 1)
    for _ in range(PERSISTENCE - 1):
        reordering.recovered()
    assert reordering.window(0, 1200, is_recovering=False) == 500
    reordering.recovered()
    assert reordering.window(0, 1200, is_recovering=False) == 250


@pytest.mark.label("RFC8985-6.2-1")
def test_rfc8985_6_2_1_the_shortest_round_trip_is_that_of_the_last_minutes() -> None:
    reordering = Reordering(0)
    reordering.measured(1000, 0)
    reordering.measured(1100, 5 * MINUTE)
    assert reordering.shortest == 1000
    reordering.measured(1100, 5 * MINUTE + 1)
    assert reordering.shortest == 1100


# Lies


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
    assert len(rack(scene).board.sacked) == 0


@pytest.mark.label("BAD-SACK-1")
def test_bad_sack_1_a_good_block_beside_a_bad_one_counts() -> None:
    scene = flying()
    sacks(scene, (-5000, -4000), of(1, 5))
    assert scene.tcb.recovery.is_active


@pytest.mark.label("BAD-MSS-2")
def test_bad_mss_2_a_thousand_holes_are_all_that_is_believed() -> None:
    board = Scoreboard(0)
    board.sent.add(0, 1 << 20, 0)
    for number in range(3 * RANGES):
        if board.may_take(16 * number + 8, 16 * number + 16):
            board.take_block(16 * number + 8, 16 * number + 16)
    assert len(board.sacked) == RANGES


def test_sack_that_was_not_agreed_is_not_looked_at() -> None:
    scene = established()
    scene.sends(bytes(10 * MSS))
    scene.hears(ACK, ack=1, sack=(of(1, 5),))
    assert not scene.tcb.recovery.is_active


# A model that counts octets one by one

Step = tuple[str, int, int]
STEPS = ("send", "again", "ack", "sack", "timeout", "wait")


@settings(max_examples=300)
@given(
    st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 90), st.integers(1, 30)), max_size=60),
    st.sampled_from([0, 0xFFFFFF00, 0x7FFFFFF0]),
)
def test_the_pipe_is_what_counting_octets_gives(steps: list[Step], first: int) -> None:
    """RFC9937-6.2b, octet by octet: in flight, neither SACKed nor lost, and once more if sent again since."""
    smss = 10
    recovery = Rack(first, Reno(smss, initial_window(smss)), Rtt(SECOND, SECOND, MINUTE))
    _board, una, end, now = recovery.board, 0, 0, 0
    sacked: set[int] = set()
    for now, (kind, position, octets) in enumerate(steps, 1):
        if kind == "send":
            recovery.on_sent((first + end) % (1 << 32), octets, now)
            end += octets
        elif kind == "again":
            number, most = recovery.next_lost((first + una) % (1 << 32))
            if number >= 0:
                recovery.on_sent(number, min(most, octets), now)
        elif kind == "ack" and una < position <= end:
            acked, una = position - una, position
            heard(recovery, first + una, acked, (), now)
        elif kind == "sack" and una < position and position + octets <= end:
            sacked |= set(range(position, position + octets))
            heard(recovery, first + una, 0, ((first + position, first + position + octets),), now)
        elif kind == "timeout" and end > una:
            recovery.on_timeout(again=False, has_more=False, now=now)
            sacked = set() if una in sacked else sacked
        elif kind == "wait":
            recovery.on_reorder_timeout(now + octets)
        sacked = {number for number in sacked if una <= number}
        consistent(recovery, una, end, sacked)


def heard(recovery: Rack, una: int, acked: int, blocks: tuple[Block, ...], now: int) -> None:
    segment = Segment(1, 2, 0, una % (1 << 32), ACK, 1000)
    segment.sack = tuple((left % (1 << 32), right % (1 << 32)) for left, right in blocks)
    recovery.on_ack(segment, una % (1 << 32), acked, NO_ECHO, now, is_duplicate=bool(blocks), has_more=False)


def consistent(recovery: Rack, una: int, end: int, sacked: set[int]) -> None:
    board = recovery.board
    records = board.sent.all()
    assert [record.start for record in records[1:]] == [record.end for record in records[:-1]]
    if end > una:
        assert (records[0].start, records[-1].end) == (una, end)
    lost = sum(record.end - record.start for record in records if record.state == LOST)
    assert board.lost == lost
    assert board.sacked.total == len(sacked)
    assert board.pipe == end - una - len(sacked) - lost
    first = board.first_lost()
    assert (first is not None) == (lost > 0)
    if first is not None:
        assert first.start == min(record.start for record in records if record.state == LOST)


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


@settings(max_examples=200)
@given(
    st.lists(st.tuples(st.sampled_from(("send", "ack", "wait")), st.integers(1, 90), st.integers(1, 30)), max_size=60),
    st.sampled_from([0, 0xFFFFFF00]),
)
def test_the_short_way_of_an_ack_in_order_is_equal_to_the_long_one(steps: list[Step], first: int) -> None:
    """Two of them hear the same; one always takes the long way, since it waits for something to undo."""
    pair = [Rack(first, Reno(10, initial_window(10)), Rtt(SECOND, SECOND, MINUTE)) for _ in range(2)]
    una, end, now = 0, 0, 1000
    for kind, amount, octets in steps:
        now += octets
        if kind == "send":
            for recovery in pair:
                recovery.on_sent((first + end) % (1 << 32), octets, now)
            end += octets
        elif kind == "ack" and end > una:
            acked = min(amount, end - una)
            una += acked
            for recovery in pair:
                heard(recovery, first + una, acked, (), now)
        elif kind == "wait":
            now += 50 * amount
        pair[1]._undo.begin()
        pair[1]._undo_until = 1 << 40
        told = [(seen.sample.delivered, seen.sample.round_trip, seen.sample.flight, seen.sample.una, seen.reorder_at) for seen in pair]
        assert told[0] == told[1]
        known = [(seen._round_trip, seen._forward, seen._reordering.count, seen.board.pipe, seen.probes()) for seen in pair]
        assert known[0] == known[1]
