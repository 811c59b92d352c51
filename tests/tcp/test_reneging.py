"""Timeouts with SACK: what goes again, and peers that take back what they said they had (RFC 2018, 8)."""

import pytest

from postel.tcp.timers import RETRANSMISSION
from postel.testing.states import MSS
from postel.times import SECOND
from postel.wire.segment import ACK
from tests.tcp.flights import ROUND_TRIP, WINDOW, flying, of, rack, sacks, sent_at


@pytest.mark.label("RFC2018-5c", "RFC6298-5.4", "RFC6675-5.1a", "RFC8985-6.3")
def test_rfc2018_5c_a_timeout_sends_the_left_edge() -> None:
    scene = flying()
    sacks(scene, of(5))
    scene.tcb.timers.start_loss_timer(RETRANSMISSION, scene.now + SECOND)
    assert scene.expires() == sent_at(0)
    assert scene.tcb.ensure_controller().window == MSS
    assert not scene.tcb.ensure_recovery().is_active


@pytest.mark.label("RFC6675-5.1a", "RFC8985-6.3")
def test_rfc6675_5_1a_then_everything_not_sacked_in_order() -> None:
    scene = flying(10, 0)
    sacks(scene, of(5, 6))
    scene.tcb.timers.start_loss_timer(RETRANSMISSION, scene.now + SECOND)
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
    threshold = scene.tcb.ensure_controller().threshold
    sacks(scene, of(2, 6), ack=1 + MSS)
    assert not scene.tcb.ensure_recovery().is_active
    assert scene.tcb.ensure_controller().threshold == threshold


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
    window = scene.tcb.ensure_controller().window
    assert scene.connection.packet_too_big(540, scene.tcb.snd.una, scene.now)
    assert scene.drain()[:2] == ["ACK seq=1 ack=1 len=500", "ACK seq=501 ack=1 len=500"]
    again = [scene.text(segment) for segment in scene.sent]
    assert not [line for line in again if "seq=5001 " in line or "seq=5501 " in line]
    assert scene.tcb.ensure_controller().window == window
    assert not scene.tcb.ensure_recovery().is_active


def test_a_fin_among_what_was_lost_is_found() -> None:
    scene = flying(10, 0)
    scene.closes()
    lines = sacks(scene, of(1, 4))
    assert lines[0] == sent_at(0)[0]
    scene.hears(ACK, ack=1 + 10 * MSS)
    assert scene.expires()[-1] == "FIN,ACK seq=10001 ack=1"
    scene.hears(ACK)
    assert not scene.tcb.timers.is_running(RETRANSMISSION)


def test_a_window_that_opens_again_brings_in_order_all_that_is_not_sacked() -> None:
    scene = flying(8, 0)
    sacks(scene, of(1, 2), (5501, 7001), window=0)
    scene.hears(ACK, ack=1, sack=(of(1, 2), (5501, 7001)), window=0)
    scene.passes(10 * SECOND)
    again = scene.hears(ACK, ack=1, window=WINDOW)  # the cwnd is four segments
    assert again == [*sent_at(0, 3, 4), "ACK seq=5001 ack=1 len=500", "ACK seq=7001 ack=1 len=500"]
    scene.now += ROUND_TRIP
    assert scene.hears(ACK, ack=7501) == ["PSH,ACK seq=7501 ack=1 len=500"]
    assert rack(scene).board.sacked.total == 0


def test_a_peer_that_threw_away_what_it_sacked_before_its_window_closed_gets_it_after_a_timeout() -> None:
    scene = flying(3, 0)
    sacks(scene, of(1, 2), window=0)
    scene.passes(10 * SECOND)
    assert scene.hears(ACK, ack=1, window=WINDOW) == sent_at(0)
    scene.now += ROUND_TRIP
    scene.hears(ACK, ack=1 + MSS)
    assert scene.expires() == sent_at(1)
    scene.now += ROUND_TRIP
    assert scene.hears(ACK, ack=1 + 2 * MSS) == ["PSH,ACK seq=2001 ack=1 len=1000"]
