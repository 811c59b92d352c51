"""The tail of a flight: Tail Loss Probe (RFC 8985, 7)."""

import pytest

from postel.tcp.timers import RETRANSMISSION, TAIL_PROBE
from postel.testing.states import MSS
from postel.times import MILLISECOND, SECOND
from postel.wire.segment import ACK
from tests.tcp.flights import ROUND_TRIP, flying, of, opened, rack, sacks, sent_at


@pytest.mark.label("RFC8985-7.2", "EP-TMO-8")
def test_rfc8985_7_2_the_probe_comes_after_two_round_trips() -> None:
    scene = opened()
    scene.sends(bytes(3 * MSS))
    assert scene.tcb.timers.due(TAIL_PROBE) == scene.now + 2 * ROUND_TRIP
    assert not scene.tcb.timers.is_running(RETRANSMISSION)
    scene.now += MILLISECOND
    scene.sends(bytes(3 * MSS))
    assert scene.tcb.timers.due(TAIL_PROBE) == scene.now + 2 * ROUND_TRIP  # anew with each segment


@pytest.mark.label("RFC8985-7.2")
def test_rfc8985_7_2_and_a_delayed_ack_for_a_single_segment() -> None:
    scene = opened()
    scene.sends(b"x")
    assert scene.tcb.timers.due(TAIL_PROBE) == scene.now + 2 * ROUND_TRIP + 200 * MILLISECOND


@pytest.mark.label("RFC8985-7.2")
def test_rfc8985_7_2_but_not_later_than_the_timeout() -> None:
    scene = opened()
    scene.tcb.rtt.smoothed = SECOND
    scene.sends(bytes(3 * MSS))
    assert scene.tcb.timers.due(TAIL_PROBE) == scene.now + scene.tcb.rtt.rto


@pytest.mark.label("RFC8985-7.2")
def test_rfc8985_7_2_one_second_where_nothing_was_measured() -> None:
    scene = opened()
    scene.tcb.rtt.smoothed = 0
    scene.tcb.rtt.rto = 3 * SECOND
    scene.sends(bytes(3 * MSS))
    assert scene.tcb.timers.due(TAIL_PROBE) == scene.now + SECOND


@pytest.mark.label("RFC8985-7.2")
def test_rfc8985_7_2_not_once_something_is_sacked() -> None:
    scene = flying(probe=True)
    assert scene.tcb.timers.is_running(TAIL_PROBE)
    expires = scene.tcb.timers.expires
    scene.hears(ACK, ack=1, sack=(of(9),))
    scene.passes(ROUND_TRIP)  # the reordering timer
    assert not scene.tcb.timers.is_running(TAIL_PROBE)
    assert scene.tcb.timers.due(RETRANSMISSION) >= expires


@pytest.mark.label("RFC8985-7.3b", "RFC8985-7.3c")
def test_rfc8985_7_3b_new_data_is_the_better_probe() -> None:
    scene = flying(probe=True)
    assert scene.expires() == sent_at(10)  # beyond the congestion window
    assert scene.tcb.timers.due(RETRANSMISSION) == scene.now + scene.tcb.rtt.rto
    assert not scene.tcb.timers.is_running(TAIL_PROBE)


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
    assert scene.watch.expired == ["tail-probe"]


@pytest.mark.label("RFC8985-7.3a")
def test_rfc8985_7_3a_one_probe_until_something_was_measured() -> None:
    scene = opened()
    scene.sends(bytes(3 * MSS))
    assert scene.expires() == ["PSH,ACK seq=2001 ack=1 len=1000"]
    scene.now += ROUND_TRIP // 20
    scene.hears(ACK, ack=1 + MSS)  # of the original flight, and no measure of the tail
    rack(scene).tail_probe.has_measured = False
    assert scene.tcb.timers.is_running(TAIL_PROBE)
    assert scene.expires() == []
    assert scene.tcb.timers.due(RETRANSMISSION) == scene.now + scene.tcb.rtt.rto


@pytest.mark.label("RFC8985-7.4.2")
def test_rfc8985_7_4_2_a_loss_that_the_probe_repaired_costs_the_window() -> None:
    scene = opened()
    scene.sends(bytes(10 * MSS))
    scene.expires()  # segment 9 again: the only one that was lost
    scene.now += ROUND_TRIP
    scene.hears(ACK)
    assert scene.tcb.ensure_controller().threshold > 1 << 20
    scene.sends(bytes(3 * MSS))
    scene.now += ROUND_TRIP
    scene.hears(ACK)
    assert scene.tcb.ensure_controller().threshold < 10 * MSS
    assert not scene.tcb.ensure_recovery().is_active


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
    assert scene.tcb.ensure_controller().threshold > 1 << 20


@pytest.mark.label("RFC8985-7.4.2")
def test_rfc8985_7_4_2_a_probe_of_new_data_says_nothing() -> None:
    scene = flying(10, 1, probe=True)
    assert scene.expires() == ["PSH,ACK seq=10001 ack=1 len=1000"]
    scene.hears(ACK)
    scene.sends(bytes(MSS))
    scene.hears(ACK)
    assert scene.tcb.ensure_controller().threshold > 1 << 20


def test_a_probe_that_came_too_late_is_not_sent() -> None:
    scene = opened()
    scene.sends(b"x")
    scene.now = scene.tcb.timers.due(TAIL_PROBE)
    scene.connection.handle_timeout(scene.now)
    assert scene.hears(ACK) == []


def test_the_probe_is_a_choice() -> None:
    scene = opened(probe=False)
    scene.sends(b"x")
    assert not scene.tcb.timers.is_running(TAIL_PROBE)
    assert scene.tcb.timers.due(RETRANSMISSION) == scene.now + scene.tcb.rtt.rto


@pytest.mark.label("BAD-RTO-3", "RFC8985-7.3b")
@pytest.mark.parametrize("lost", [1, 2, 9])
def test_bad_rto_3_a_lost_tail_is_repaired_before_the_timeout(lost: int) -> None:
    """Of ten segments the last so many; everything that goes again arrives."""
    scene = flying(10, 0, probe=True)
    have = set(range(10 - lost))
    scene.hears(ACK, ack=1 + MSS * len(have))
    while scene.tcb.snd.flight:
        if not scene.sent:
            scene.expires()
        have |= {(segment.seq - scene.tcb.snd.iss) % (1 << 32) // MSS for segment in scene.sent}
        missing = min(set(range(11)) - have)
        scene.now += ROUND_TRIP
        sacks(scene, *[of(number) for number in sorted(have) if number > missing][-3:], ack=1 + MSS * missing)
    assert scene.tcb.counts.segments_retransmitted == lost
    assert "retransmission" not in scene.watch.expired
