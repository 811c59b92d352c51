"""Was anything lost at all? F-RTO with SACK (RFC 5682, 3.1), and undo (RFC 3522, 4015, 2883)."""

from dataclasses import replace

import pytest

from postel.tcp.recovery.scoreboard import JUDGED
from postel.tcp.timers import REORDERING
from postel.testing.states import MSS, Peer, Scene, syn_received
from postel.times import MILLISECOND, SECOND
from postel.wire.segment import ACK
from tests.tcp.flights import (
    ROUND_TRIP,
    SELECTIVE,
    WINDOW,
    Block,
    clock,
    flying,
    of,
    rack,
    sacks,
    sent_at,
    size_of,
)


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
    assert scene.tcb.counts.segments_retransmitted == 1
    assert scene.tcb.ensure_controller().window >= 10 * MSS
    assert scene.tcb.ensure_controller().threshold > 1 << 20


@pytest.mark.label("RFC5682-3.1")
def test_rfc5682_3_1_so_does_a_sack() -> None:
    scene = timed_out()
    scene.hears(ACK, ack=1 + MSS)
    sacks(scene, of(2))
    assert not scene.tcb.ensure_recovery().timeout_test.is_running
    assert scene.tcb.ensure_controller().threshold > 1 << 20


@pytest.mark.label("RFC5682-3.1")
def test_rfc5682_3_1_otherwise_the_old_flight_goes_again() -> None:
    scene = timed_out()
    scene.hears(ACK, ack=1 + MSS)
    assert sacks(scene, of(10))[:1] == sent_at(1)
    assert scene.tcb.ensure_controller().window <= 3 * MSS
    assert not scene.tcb.ensure_recovery().timeout_test.is_running


@pytest.mark.label("RFC5682-3.1")
def test_rfc5682_3_1_a_duplicate_that_says_nothing_ends_the_test() -> None:
    scene = timed_out()
    scene.hears(ACK, ack=1 + MSS)
    scene.hears(ACK, ack=1 + MSS)
    assert not scene.tcb.ensure_recovery().timeout_test.is_running
    assert scene.tcb.ensure_controller().threshold < 1 << 20


@pytest.mark.label("RFC5682-3.1")
def test_rfc5682_3_1_a_duplicate_before_the_first_progress_changes_nothing() -> None:
    scene = timed_out()
    assert sacks(scene, of(3)) == []
    assert scene.tcb.ensure_recovery().timeout_test.is_running
    assert scene.hears(ACK, ack=1 + MSS, sack=(of(3),)) == sent_at(10, 11)


@pytest.mark.label("RFC5682-3.1")
def test_rfc5682_3_1_not_when_the_first_ack_covers_everything() -> None:
    scene = timed_out()
    scene.hears(ACK, ack=1 + 10 * MSS)
    assert not scene.tcb.ensure_recovery().timeout_test.is_running
    assert scene.tcb.ensure_controller().window <= 2 * MSS


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
    assert not scene.tcb.ensure_recovery().timeout_test.is_running


@pytest.mark.label("RFC3522-3.2", "RFC4015-3.1-9", "RFC4015-3.1-11")
def test_rfc3522_3_2_an_older_echo_disproves_the_timeout_at_once() -> None:
    scene = timed_out(timestamps=True)
    smss = size_of(scene)
    old = clock(scene) - 2 * SECOND // MILLISECOND
    smoothed = scene.tcb.rtt.smoothed
    scene.hears(ACK, ack=1 + smss, tsval=6, tsecr=old)
    assert scene.tcb.ensure_controller().threshold > 1 << 20
    # No burst: the window is at most FlightSize and twice what was acknowledged
    assert scene.tcb.ensure_controller().window <= 11 * smss
    assert rack(scene).board.lost == 0
    sent_at_tick = clock(scene)
    scene.now += 900 * MILLISECOND
    scene.hears(ACK, tsval=7, tsecr=sent_at_tick)
    assert scene.tcb.rtt.smoothed == 900 * MILLISECOND > 2 * smoothed  # the next round trip counts whole


@pytest.mark.label("RFC3522-3.2")
def test_rfc3522_3_2_an_echo_of_the_retransmission_confirms_it() -> None:
    scene = timed_out(timestamps=True)
    scene.hears(ACK, ack=1 + size_of(scene), tsval=6, tsecr=clock(scene) - 10)
    assert scene.tcb.ensure_controller().threshold < 1 << 20


@pytest.mark.label("RFC3522-3.2")
def test_rfc3522_3_2_a_fast_retransmission_is_disproved_alike() -> None:
    scene = flying(timestamps=True)
    smss = size_of(scene)
    old = clock(scene) - ROUND_TRIP // MILLISECOND
    scene.hears(ACK, ack=1, sack=((1 + smss, 1 + 5 * smss),), tsval=6, tsecr=old)
    assert scene.tcb.ensure_controller().threshold == 5 * smss
    scene.now += 2 * MILLISECOND
    scene.hears(ACK, ack=1 + 5 * smss, tsval=7, tsecr=old)
    assert not scene.tcb.ensure_recovery().is_active
    assert scene.tcb.ensure_controller().threshold > 1 << 20
    assert scene.tcb.ensure_controller().window >= 10 * smss


@pytest.mark.label("RFC8985-6.2-3", "RFC8985-6.2-4")
def test_rfc8985_6_2_3_what_went_again_for_nothing_had_been_overtaken() -> None:
    """Else three SACKs would mean a loss again and again: the segment that came late is one that was
    retransmitted, which doesn't count.
    """
    scene = flying(timestamps=True)
    smss = size_of(scene)
    old = clock(scene) - ROUND_TRIP // MILLISECOND
    scene.hears(ACK, ack=1, sack=((1 + smss, 1 + 5 * smss),), tsval=6, tsecr=old)
    assert scene.connection.status().reord_seen == 0
    scene.now += 2 * MILLISECOND
    scene.hears(ACK, ack=1 + 5 * smss, tsval=7, tsecr=old)
    assert scene.connection.status().reord_seen == 1
    again = scene.tcb.counts.segments_retransmitted
    scene.hears(ACK, ack=scene.una, sack=((1 + 6 * smss, 1 + 10 * smss),), tsval=7, tsecr=old)
    assert scene.tcb.counts.segments_retransmitted == again
    assert scene.tcb.timers.due(REORDERING) > scene.now


@pytest.mark.label("RFC3522-3.2")
def test_rfc3522_3_2_progress_by_what_an_earlier_recovery_sent_again_is_no_witness() -> None:
    """Segments 0, 21, 22 and 25 are lost. The first recovery, which is that of 0 to 21, sends 22 again too;
    the second is that of 25.
    """
    scene = flying(20, timestamps=True)
    smss = size_of(scene)

    def held(*segments: int) -> Block:
        return 1 + smss * segments[0], 1 + smss * (segments[-1] + 1)

    def hears(una: int, *blocks: Block, echo: int) -> None:
        scene.hears(ACK, ack=1 + smss * una, sack=blocks, tsval=6, tsecr=echo)

    sent = clock(scene) - ROUND_TRIP // MILLISECOND
    for last in range(1, 21):
        hears(0, held(1, last), echo=sent)
    sent = clock(scene)
    scene.now += ROUND_TRIP
    hears(21, held(23, 24), echo=sent)
    assert scene.tcb.counts.segments_retransmitted == 3
    sent = clock(scene)
    scene.now += ROUND_TRIP
    hears(22, held(26, 27), held(23, 24), echo=sent)
    assert scene.tcb.counts.segments_retransmitted == 4
    assert scene.tcb.ensure_recovery().is_active
    threshold = scene.tcb.ensure_controller().threshold
    hears(25, held(26, 27), echo=sent)
    assert scene.tcb.ensure_controller().threshold == threshold
    assert scene.connection.status().reord_seen == 0  # nothing was taken back


@pytest.mark.label("RFC8985-6.2-3")
def test_rfc8985_6_2_3_a_timeout_undone_is_no_reordering() -> None:
    """Nothing overtook anything: all of it came late."""
    scene = timed_out(timestamps=True)
    scene.hears(ACK, ack=1 + size_of(scene), tsval=6, tsecr=clock(scene) - 2 * SECOND // MILLISECOND)
    assert scene.tcb.ensure_controller().threshold > 1 << 20
    assert scene.connection.status().reord_seen == 0


@pytest.mark.label("RFC2883-5", "RFC8985-6.2-4")
def test_rfc2883_5_duplicates_of_all_that_went_again_restore_the_window() -> None:
    scene = flying()
    sacks(scene, of(1, 4))
    scene.now += ROUND_TRIP // 10
    scene.hears(ACK, ack=1 + 5 * MSS)
    assert scene.tcb.ensure_controller().threshold == 5 * MSS
    sacks(scene, of(0), ack=scene.una)
    assert scene.tcb.ensure_controller().threshold > 1 << 20
    assert scene.tcb.ensure_controller().window >= 10 * MSS


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
    window = scene.tcb.ensure_controller().window
    for _ in range(100):
        sacks(scene, (1, 1001))
    assert scene.tcb.ensure_controller().window == window
    assert not scene.tcb.ensure_recovery().is_active
    assert rack(scene)._reordering._multiplier == 2  # once a round trip


@pytest.mark.label("BAD-SACK-6", "RFC8985-6.2-4")
def test_bad_sack_6_a_fake_undo_gives_back_what_was_taken_and_no_more() -> None:
    scene = flying()
    sacks(scene, of(1, 4))
    sacks(scene, (-1 << 30, -1 << 29), of(1, 4))  # more than was ever sent
    assert scene.tcb.ensure_recovery().is_active
    for _ in range(50):
        sacks(scene, (-999, 1), of(1, 4))
    assert scene.tcb.ensure_controller().window == 10 * MSS


def test_after_an_undo_what_is_lost_is_found_again() -> None:
    scene = flying(20)
    sacks(scene, of(15, 19))
    assert rack(scene).board.lost > 0
    sacks(scene, (-4999, 1), of(15, 19))
    scene.passes(ROUND_TRIP)
    assert scene.tcb.ensure_recovery().is_active


@pytest.mark.label("RFC5682-3.1")
def test_rfc5682_3_1_what_went_again_before_is_no_witness() -> None:
    """The window closed and opened, so that two segments went again, and then the timer expired."""
    scene = flying()
    scene.hears(ACK, ack=1, window=0)
    scene.passes(SECOND)
    assert scene.hears(ACK, ack=1, window=2 * MSS) == sent_at(0, 1)
    scene.hears(ACK, ack=1, window=WINDOW, sack=())
    scene.expires()
    threshold = scene.tcb.ensure_controller().threshold
    scene.now += ROUND_TRIP
    scene.hears(ACK, ack=1 + MSS, window=WINDOW)
    scene.hears(ACK, ack=1 + 2 * MSS, window=WINDOW)
    assert scene.tcb.ensure_controller().threshold == threshold


@pytest.mark.label("RFC4015-3.1-9", "RFC3168-6.1.2a")
def test_a_mark_stands_whatever_becomes_of_a_loss_before_it() -> None:
    scene = flying()
    sacks(scene, of(1, 4))
    scene.now += ROUND_TRIP // 10
    scene.hears(ACK, ack=1 + 5 * MSS)
    control = scene.tcb.ensure_controller()
    scene.tcb.ensure_recovery().on_marked(scene.tcb.snd.flight)
    scene.tcb.ensure_recovery().on_bare_mark(scene.now)
    threshold, window = control.threshold, control.window
    sacks(scene, of(0), ack=scene.una)
    assert (control.threshold, control.window) == (threshold, window)


# What an ACK may cost


def scattered(count: int) -> Scene:
    """So many segments of one octet in flight, each sent at another instant."""
    scene = syn_received(replace(SELECTIVE, nagle=False), Peer(sack=True, window=WINDOW))
    scene.hears(ACK)
    scene.tcb.ensure_controller().window = 1 << 20
    for _ in range(count):
        scene.now += 1
        scene.connection.send(b"x", scene.now)
        assert scene.connection.next_segment(scene.now) is not None
    scene.now += ROUND_TRIP
    return scene


def test_one_ack_makes_lost_and_takes_back_a_bounded_number_of_segments() -> None:
    """A D-SACK costs its forger nothing, so its work must not grow with the flight."""
    flight = 3 * JUDGED
    scene = scattered(flight)
    board = rack(scene).board
    scene.arrives(ACK, ack=1, sack=((flight - 3, flight + 1),))
    assert board.lost == JUDGED
    for _ in range(2):  # the rest is found without another ACK
        scene.now = scene.connection.next_timeout()
        scene.connection.handle_timeout(scene.now)
    assert board.lost == flight - 4
    for _ in range(10):
        assert scene.connection.next_segment(scene.now) is not None
        lost = board.lost
        scene.arrives(ACK, ack=1, sack=((0, 1), (flight - 3, flight + 1)))
        assert abs(board.lost - lost) <= JUDGED
        scene.now += MILLISECOND


def test_bad_sack_6_duplicates_of_what_was_sent_only_once_are_no_witness() -> None:
    scene = flying()
    sacks(scene, of(1, 5))
    assert scene.tcb.counts.segments_retransmitted == 1
    threshold = scene.tcb.ensure_controller().threshold
    sacks(scene, of(6, 7), of(6, 9))
    assert scene.tcb.ensure_recovery().is_active
    assert scene.tcb.ensure_controller().threshold == threshold
