"""Fast retransmit, fast recovery and limited transmit without SACK: RFC 5681, 3.2; RFC 6582; RFC 3042."""

from dataclasses import replace

import pytest

from postel.tcp.config import MtuProbing
from postel.tcp.recovery.newreno import NewReno
from postel.tcp.recovery.undo import NO_ECHO
from postel.tcp.timers import RETRANSMISSION
from postel.testing.states import MSS, PLAIN, Peer, Scene, established
from postel.times import MILLISECOND, SECOND
from postel.wire.segment import ACK, FIN
from tests.tcp.scenes import RENO


def flying(count: int = 10) -> Scene:
    """``count`` segments in flight fill the congestion window; plenty waits."""
    scene = established(RENO)
    scene.sends(bytes(200 * MSS))
    scene.tcb.ensure_controller().window = count * MSS
    scene.drain()
    assert scene.tcb.snd.flight == count * MSS
    return scene


def duplicate(scene: Scene, count: int = 1) -> list[str]:
    lines: list[str] = []
    for _ in range(count):
        lines += scene.hears(ACK, ack=scene.una)
    return lines


def sent_at(*segments: int) -> list[str]:
    """Full segments, by their ordinal numbers."""
    return [f"ACK seq={1 + MSS * number} ack=1 len=1000" for number in segments]


# Limited transmit


@pytest.mark.label("RFC3042-2a", "RFC3042-2b")
def test_rfc3042_2a_two_duplicates_let_two_new_segments_out() -> None:
    scene = flying()
    assert duplicate(scene) == sent_at(10)
    assert duplicate(scene) == sent_at(11)
    assert scene.tcb.ensure_controller().window == 10 * MSS


@pytest.mark.label("RFC3042-2a")
def test_rfc3042_2a_if_the_peers_window_allows() -> None:
    scene = flying()
    scene.hears(ACK, ack=scene.una, window=10 * MSS)
    assert scene.hears(ACK, ack=scene.una, window=10 * MSS) == []


@pytest.mark.label("RFC3042-2b")
def test_rfc3042_2b_progress_takes_the_allowance_back() -> None:
    scene = flying()
    duplicate(scene, 2)
    scene.hears(ACK, ack=scene.una + MSS)
    assert scene.tcb.ensure_recovery().inflation == 0


# What is a duplicate


@pytest.mark.label("RFC5681-2a")
@pytest.mark.parametrize(
    ("flags", "data", "window"),
    [(ACK, b"text", None), (ACK, b"", 50_000), (ACK | FIN, b"", None)],
    ids=["with text", "with another window", "with FIN"],
)
def test_rfc5681_2a_what_has_another_purpose_is_no_duplicate(
    flags: int, data: bytes, window: int | None
) -> None:
    scene = flying()
    for number in range(4):
        seq = scene.nxt + 5000 + number if flags & FIN else None
        scene.hears(flags, data, ack=1, window=window + number if window else None, seq=seq)
    assert not scene.tcb.ensure_recovery().is_active


@pytest.mark.label("RFC5681-2a")
def test_rfc5681_2a_with_nothing_outstanding_there_are_none() -> None:
    scene = established(RENO)
    duplicate(scene, 5)
    scene.sends(bytes(MSS))
    assert duplicate(scene, 2) == []
    assert not scene.tcb.ensure_recovery().is_active


@pytest.mark.label("RFC5681-2a")
def test_rfc5681_2a_an_ack_below_una_is_none() -> None:
    scene = flying()
    scene.hears(ACK, ack=1001)
    for _ in range(5):
        scene.hears(ACK, ack=1)
    assert not scene.tcb.ensure_recovery().is_active


# Fast retransmit and recovery


@pytest.mark.label("RFC5681-3.2c", "RFC5681-3.2d", "RFC5681-3.2e", "RFC6582-3.2-2")
def test_rfc5681_3_2c_the_third_duplicate_sends_again() -> None:
    scene = flying()
    duplicate(scene, 2)
    assert duplicate(scene) == sent_at(0)
    control = scene.tcb.ensure_controller()
    assert control.threshold == 5 * MSS  # of the ten before limited transmit
    assert control.window + scene.tcb.ensure_recovery().inflation == 8 * MSS
    assert scene.tcb.ensure_recovery().is_active


def test_status_shows_the_window_with_its_inflation() -> None:
    scene = flying()
    duplicate(scene, 3)
    assert scene.connection.status().congestion_window == 8 * MSS


@pytest.mark.label("RFC5681-3.2d")
def test_rfc5681_3_2d_two_segments_are_the_least() -> None:
    scene = established(RENO)
    scene.sends(bytes(2 * MSS))
    duplicate(scene, 3)
    assert scene.tcb.ensure_controller().threshold == 2 * MSS


@pytest.mark.label("RFC5681-3.2f", "RFC5681-2b")
def test_rfc5681_3_2f_each_further_one_lets_a_segment_out_once_half_has_left() -> None:
    scene = flying()
    duplicate(scene, 3)  # 12 fly, 8 may
    assert duplicate(scene, 4) == []
    assert duplicate(scene) == sent_at(12)
    assert duplicate(scene) == sent_at(13)


@pytest.mark.label("RFC6582-3.2-3a", "RFC5681-3.2g")
def test_rfc6582_3_2_3a_an_ack_of_all_ends_it() -> None:
    scene = flying()
    duplicate(scene, 3)
    scene.hears(ACK)
    assert not scene.tcb.ensure_recovery().is_active
    assert scene.tcb.ensure_recovery().inflation == 0
    assert scene.tcb.ensure_controller().window == 2 * MSS  # min(ssthresh, max(flight 0, SMSS) + SMSS)


@pytest.mark.label("RFC6582-3.2-3b")
def test_rfc6582_3_2_3b_a_partial_ack_names_the_next_hole() -> None:
    """Segments 0 and 4 were lost."""
    scene = flying()
    duplicate(scene, 3 + 5)
    inflation = scene.tcb.ensure_recovery().inflation
    lines = scene.hears(ACK, ack=1 + 4 * MSS)
    assert lines[0] == sent_at(4)[0]
    assert scene.tcb.ensure_recovery().is_active
    assert scene.tcb.ensure_recovery().inflation == inflation - 4 * MSS + MSS
    scene.hears(ACK)
    assert not scene.tcb.ensure_recovery().is_active


@pytest.mark.label("RFC6582-3.2-3b")
def test_rfc6582_3_2_3b_only_the_first_partial_ack_restarts_the_timer() -> None:
    scene = flying()
    duplicate(scene, 3)
    scene.now += SECOND // 4
    scene.hears(ACK, ack=1 + MSS)
    first = scene.tcb.timers.due(RETRANSMISSION)
    assert first == scene.now + scene.tcb.rtt.rto
    scene.now += SECOND // 4
    scene.hears(ACK, ack=1 + 2 * MSS)
    assert scene.tcb.timers.due(RETRANSMISSION) == first


@pytest.mark.label("RFC6582-3.2-3b")
def test_rfc6582_3_2_3b_less_than_a_segment_adds_nothing_back() -> None:
    scene = flying()
    duplicate(scene, 6)
    before = scene.tcb.ensure_recovery().inflation
    scene.hears(ACK, ack=1 + 500)
    assert scene.tcb.ensure_recovery().inflation == before - 500


@pytest.mark.label("RFC6582-3.2-1", "RFC6582-3.2-2")
def test_rfc6582_3_2_1_a_loss_in_the_first_window_counts() -> None:
    scene = flying()
    duplicate(scene, 3)
    assert scene.tcb.ensure_recovery().is_active


@pytest.mark.label("RFC9293-3.4-modulo")
def test_the_segment_whose_number_is_0_is_sent_again_too() -> None:
    scene = established(RENO, iss=0xFFFFFFFF)
    scene.sends(bytes(10 * MSS))
    assert scene.tcb.snd.una == 0
    assert duplicate(scene, 3) == sent_at(0)


@pytest.mark.label("RFC6582-3.2-3b")
def test_rfc6582_3_2_3b_exactly_a_segment_is_added_back() -> None:
    scene = flying()
    duplicate(scene, 6)
    before = scene.tcb.ensure_recovery().inflation
    scene.hears(ACK, ack=1 + MSS)
    assert scene.tcb.ensure_recovery().inflation == before


@pytest.mark.label("RFC6582-3.2-4", "RFC6582-3.2-2")
def test_rfc6582_3_2_4_after_a_timeout_duplicates_may_be_echoes_of_it() -> None:
    scene = flying()
    scene.expires()
    scene.hears(ACK, ack=1 + MSS)
    threshold = scene.tcb.ensure_controller().threshold
    duplicate(scene, 5)
    assert not scene.tcb.ensure_recovery().is_active
    assert scene.tcb.ensure_controller().threshold == threshold


@pytest.mark.label("RFC6582-3.2-4")
def test_rfc6582_3_2_4_a_timeout_ends_recovery() -> None:
    scene = flying()
    duplicate(scene, 5)
    assert scene.expires() == sent_at(0)
    assert not scene.tcb.ensure_recovery().is_active
    assert (scene.tcb.ensure_controller().window, scene.tcb.ensure_recovery().inflation) == (MSS, 0)


@pytest.mark.label("RFC6582-3.2-2")
def test_rfc6582_3_2_2_beyond_what_timed_out_a_loss_is_one_again() -> None:
    scene = flying()
    scene.expires()
    scene.hears(ACK)
    while scene.tcb.snd.flight < 5 * MSS:
        scene.hears(ACK)
    scene.hears(ACK, ack=scene.una + MSS)
    duplicate(scene, 3)
    assert scene.tcb.ensure_recovery().is_active


def test_in_recovery_the_window_does_not_grow() -> None:
    scene = flying()
    duplicate(scene, 3)
    before = scene.tcb.ensure_controller().window
    for number in range(1, 6):
        scene.hears(ACK, ack=1 + number * MSS)
    assert scene.tcb.ensure_controller().window == before


def test_the_lost_fin_is_sent_again() -> None:
    scene = established(RENO)
    scene.connection.send(bytes(3 * MSS), scene.now)
    scene.closes()
    scene.hears(ACK, ack=1 + MSS)
    duplicate(scene, 2)
    assert duplicate(scene) == sent_at(1)
    scene.hears(ACK, ack=1 + 3 * MSS)
    assert scene.expires() == ["FIN,ACK seq=3001 ack=1"]


@pytest.mark.label("RFC6582-6")
def test_recover_follows_una_lest_two_to_the_31_octets_turn_the_comparison() -> None:
    scene = established(RENO)
    recovery, segment = NewReno(0, scene.tcb.ensure_controller(), scene.tcb.rtt), scene.segment(ACK)
    una = 0
    for _ in range(10):
        recovery.on_sent(una, 1 << 29, 0)
        una = (una + (1 << 29)) % (1 << 32)
        recovery.on_ack(segment, una, 1 << 29, NO_ECHO, 0, is_duplicate=False, has_more=False)
    recovery.on_sent(una, 5000, 0)
    for _ in range(3):
        recovery.on_ack(segment, una, 0, NO_ECHO, 0, is_duplicate=True, has_more=False)
    assert recovery.is_active


@pytest.mark.label("RFC5681-3a", "RFC5681-2b", "RFC5681-4.3b")
def test_every_loss_of_one_segment_is_repaired_without_a_timeout() -> None:
    for lost in range(7):
        scene = flying()
        if lost:
            scene.hears(ACK, ack=1 + lost * MSS)
        assert sent_at(lost)[0] in duplicate(scene, 9 - lost)
        assert scene.tcb.counts.segments_retransmitted == 1
        scene.hears(ACK)
        assert scene.tcb.counts.segments_retransmitted == 1
        assert scene.tcb.ensure_recovery().inflation == 0


@pytest.mark.label("RFC3168-6.1.2a")
def test_rfc3168_6_1_2a_a_loss_among_what_a_mark_answered_for_costs_nothing_more() -> None:
    scene = flying()
    scene.tcb.ensure_recovery().on_marked(scene.tcb.snd.flight)
    scene.tcb.ensure_recovery().on_bare_mark(scene.now)
    threshold = scene.tcb.ensure_controller().threshold
    assert sent_at(0)[0] in duplicate(scene, 3)
    assert scene.tcb.ensure_controller().threshold == threshold


@pytest.mark.label("RFC5681-3.2f")
@pytest.mark.parametrize("flight", [2, 5, 10])
@pytest.mark.parametrize("at_once", [True, False])
def test_forged_duplicates_draw_no_more_than_was_outstanding_when_recovery_began(
    flight: int, at_once: bool
) -> None:
    """A receiver that makes up duplicate ACKs wants to be sent more (RFC 5681, 3.2, step 4)."""
    scene = established(replace(RENO, initial_window=flight))
    scene.sends(bytes(200 * MSS))
    assert scene.tcb.snd.flight == flight * MSS
    outstanding = scene.tcb.snd.flight + 2 * MSS  # with limited transmit
    sent = 0
    for _ in range(2000):
        scene.arrives(ACK, ack=1)
        if not at_once:
            scene.drain()
            sent += sum(len(segment.data) for segment in scene.sent)
    scene.drain()
    sent += sum(len(segment.data) for segment in scene.sent)
    control = scene.tcb.ensure_controller()
    assert scene.tcb.ensure_recovery().inflation <= outstanding
    assert scene.tcb.snd.flight <= control.window + outstanding
    assert sent <= control.window + outstanding - flight * MSS + MSS  # the last is what was lost


@pytest.mark.label("RFC2018-4a", "RFC5681-2a")
def test_rfc2018_4a_blocks_that_were_not_agreed_on_make_no_duplicate_of_a_window_update() -> None:
    scene = flying()
    for number in range(5):
        assert scene.hears(ACK, ack=1, window=50_000 + number, sack=((2001, 3001),)) == []
    assert not scene.tcb.ensure_recovery().is_active
    assert scene.tcb.ensure_controller().window == 10 * MSS


# Timeouts that were spurious: F-RTO (RFC 5682, 2.1) and the echo of an older timestamp (RFC 3522)


def timed_out(more: int = 190, mtu_probing: MtuProbing = "off") -> Scene:
    """Ten in flight; the timeout sent the first again."""
    scene = established(replace(RENO, mtu_probing=mtu_probing))
    scene.sends(bytes((10 + more) * MSS))
    assert scene.expires() == sent_at(0)
    return scene


@pytest.mark.label("RFC5682-2.1-1", "RFC5682-2.1-2", "RFC5682-2.1-3", "RFC4015-3.1-9")
def test_rfc5682_2_1_two_acks_of_the_old_flight_disprove_the_timeout() -> None:
    scene = timed_out()
    assert scene.hears(ACK, ack=1 + MSS) == sent_at(10, 11)
    assert scene.hears(ACK, ack=1 + 2 * MSS)[:1] == sent_at(12)
    assert scene.tcb.counts.segments_retransmitted == 1
    assert scene.tcb.ensure_controller().threshold > 1 << 20
    assert scene.tcb.ensure_controller().window >= 10 * MSS


@pytest.mark.label("RFC5682-2.1-3")
def test_rfc5682_2_1_a_duplicate_second_sends_all_again() -> None:
    scene = timed_out()
    scene.hears(ACK, ack=1 + MSS)
    assert duplicate(scene)[:1] == sent_at(1)
    assert scene.tcb.ensure_controller().window <= 3 * MSS


@pytest.mark.label("RFC5682-2.1-2")
def test_rfc5682_2_1_so_does_a_duplicate_first() -> None:
    scene = timed_out()
    duplicate(scene)
    assert not scene.tcb.ensure_recovery().timeout_test.is_running
    assert scene.hears(ACK, ack=1 + MSS) == sent_at(1, 2)


@pytest.mark.label("RFC5682-2.1-2")
@pytest.mark.parametrize("ack", [501, 1 + 10 * MSS], ids=["part of the retransmission", "everything"])
def test_rfc5682_2_1_or_an_ack_that_proves_nothing(ack: int) -> None:
    scene = timed_out()
    scene.hears(ACK, ack=ack)
    assert not scene.tcb.ensure_recovery().timeout_test.is_running
    assert scene.tcb.ensure_controller().threshold < 1 << 20


@pytest.mark.label("RFC5682-2.1-2")
def test_rfc5682_2_1_with_nothing_new_to_send_it_is_not_tried() -> None:
    scene = timed_out(more=0)
    assert scene.hears(ACK, ack=1 + MSS) == sent_at(1, 2)
    scene = timed_out(more=1)
    scene.hears(ACK, ack=1, window=9 * MSS)
    scene.hears(ACK, ack=1 + MSS, window=9 * MSS)
    assert not scene.tcb.ensure_recovery().timeout_test.is_running


@pytest.mark.label("RFC5682-2.1-1")
def test_rfc5682_2_1_a_second_timeout_of_the_same_segment_is_tested_again() -> None:
    scene = timed_out(mtu_probing=RENO.mtu_probing)
    assert len(scene.expires()) == 1  # smaller, for the path might be a black hole
    assert scene.tcb.ensure_recovery().timeout_test.is_running


@pytest.mark.label("RFC5682-2.1-1")
def test_rfc5682_2_1_but_not_one_of_another_within_the_recovery() -> None:
    scene = timed_out()
    scene.hears(ACK, ack=1 + MSS)
    duplicate(scene)
    scene.hears(ACK, ack=1 + 3 * MSS)
    scene.expires()
    assert not scene.tcb.ensure_recovery().timeout_test.is_running


def gone_back() -> Scene:
    """Ten were in flight; the timeout sent the first again, a duplicate ACK the next, and then the first
    timed out again.
    """
    scene = timed_out()
    assert duplicate(scene) == sent_at(0)
    assert scene.expires() == sent_at(0)
    assert scene.tcb.ensure_recovery().timeout_test.is_running
    return scene


@pytest.mark.label("RFC5682-2.1-2")
def test_rfc5682_2_1_after_going_back_too_only_new_segments_go() -> None:
    scene = gone_back()
    assert scene.hears(ACK, ack=1 + MSS) == sent_at(10, 11)
    assert scene.hears(ACK, ack=1 + 2 * MSS)[:1] == sent_at(12)  # the second was sent once, and it arrived


@pytest.mark.label("RFC5682-2.1-2", "RFC5682-2.1-3")
def test_rfc5682_2_1_an_ack_of_what_an_earlier_timeout_sent_again_proves_nothing() -> None:
    scene = timed_out()
    duplicate(scene)
    assert scene.hears(ACK, ack=1 + MSS) == sent_at(1, 2)
    scene.expires()  # of the second, in the recovery of the first: no test
    scene.expires()  # again of the second: a test
    assert scene.tcb.ensure_recovery().timeout_test.is_running
    threshold = scene.tcb.ensure_controller().threshold
    assert scene.hears(ACK, ack=1 + 2 * MSS)[:1] == sent_at(2)
    assert not scene.tcb.ensure_recovery().timeout_test.is_running
    scene.hears(ACK, ack=1 + 3 * MSS)
    assert scene.tcb.ensure_controller().threshold == threshold


@pytest.mark.label("RFC5682-2.1-2")
def test_an_ack_of_everything_before_the_retransmission_left_sends_nothing_twice() -> None:
    scene = established(RENO)
    scene.sends(bytes(200 * MSS))
    scene.now = scene.connection.next_timeout()
    scene.connection.handle_timeout(scene.now)
    lines = scene.hears(ACK, ack=scene.max)
    assert len(lines) == len(set(lines))
    assert scene.tcb.counts.segments_retransmitted == 0


@pytest.mark.label("RFC3522-3.2", "RFC4015-3.1-9", "RFC4015-3.1-11")
def test_rfc3522_3_2_an_older_echo_takes_the_timeout_back_and_sends_nothing_twice() -> None:
    scene = established(replace(PLAIN, timestamps=True), Peer(tsval=5))
    scene.sends(bytes(10 * MSS))
    tick = 7 + scene.now // MILLISECOND
    scene.expires()
    scene.now += MILLISECOND
    scene.hears(ACK, ack=1 + 988, tsval=6, tsecr=tick)
    assert scene.sent == []
    assert scene.tcb.snd.nxt == scene.tcb.snd.max
    assert scene.tcb.ensure_controller().threshold > 1 << 20


@pytest.mark.label("RFC3522-3.2")
def test_rfc3522_3_2_a_fast_retransmission_is_taken_back_alike() -> None:
    scene = established(replace(PLAIN, timestamps=True, window_scaling=True), Peer(tsval=5, window_scale=7))
    scene.sends(bytes(100 * MSS))
    tick = 7 + scene.now // MILLISECOND
    scene.now += 50 * MILLISECOND
    for _ in range(3):
        scene.hears(ACK, ack=1, tsval=6, tsecr=tick)
    assert scene.tcb.ensure_recovery().is_active
    scene.now += 2 * MILLISECOND
    scene.hears(ACK, ack=1 + 3 * 988, tsval=7, tsecr=tick)
    assert not scene.tcb.ensure_recovery().is_active
    assert scene.tcb.ensure_controller().threshold > 1 << 20
