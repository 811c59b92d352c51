"""Round-trip times and the retransmission timeout: RFC 6298, step by step, and Karn's rule."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postel.tcp.config import DEFAULT
from postel.tcp.rtt import GRANULARITY, Rtt
from postel.tcp.timers import RETRANSMISSION
from postel.testing import states
from postel.testing.states import PLAIN, WINDOW, Peer, Scene, established, established_active, syn_sent
from postel.times import MILLISECOND, MINUTE, SECOND
from postel.wire.segment import ACK, SYN


def fresh(minimum: int = SECOND) -> Rtt:
    return Rtt(replace(DEFAULT, rto_minimum=minimum))


@pytest.mark.label("RFC6298-2.1", "RFC8961-4.1", "MUST-18")
def test_rfc6298_2_1_before_any_sample_one_second() -> None:
    assert fresh().rto == SECOND
    assert DEFAULT.rto_initial == SECOND


@pytest.mark.label("RFC6298-2.2", "MUST-18")
def test_rfc6298_2_2_the_first_sample() -> None:
    rtt = fresh()
    rtt.sample(800 * MILLISECOND)
    assert (rtt.smoothed, rtt.variance, rtt.rto) == (800 * MILLISECOND, 400 * MILLISECOND, 2400 * MILLISECOND)


@pytest.mark.label("RFC6298-2.3", "MUST-18")
def test_rfc6298_2_3_the_variance_is_updated_first_with_the_old_mean() -> None:
    rtt = fresh()
    rtt.sample(800 * MILLISECOND)
    rtt.sample(1600 * MILLISECOND)
    assert rtt.variance == (3 * 400 + 800) // 4 * MILLISECOND
    assert rtt.smoothed == (7 * 800 + 1600) // 8 * MILLISECOND
    assert rtt.rto == rtt.smoothed + 4 * rtt.variance


@pytest.mark.label("RFC6298-2.4", "MUST-18")
def test_rfc6298_2_4_less_than_a_second_is_a_second() -> None:
    rtt = fresh()
    rtt.sample(10 * MILLISECOND)
    assert rtt.rto == SECOND


@pytest.mark.label("RFC6298-2.5", "RFC8961-4.4")
def test_rfc6298_2_5_a_minute_is_the_most() -> None:
    rtt = fresh()
    rtt.sample(100 * SECOND)
    assert rtt.rto == MINUTE
    for _ in range(20):
        rtt.back_off()
    assert rtt.rto == MINUTE == DEFAULT.rto_maximum


@pytest.mark.label("RFC6298-4")
def test_rfc6298_4_a_variance_of_nothing_counts_as_one_tick() -> None:
    rtt = fresh(minimum=1)
    for _ in range(200):
        rtt.sample(50 * MILLISECOND)
    assert rtt.variance < GRANULARITY // 4
    assert rtt.rto == rtt.smoothed + GRANULARITY
    assert GRANULARITY <= 100 * MILLISECOND


@pytest.mark.label("RFC6298-5.5", "MUST-19")
def test_rfc6298_5_5_the_timeout_doubles() -> None:
    rtt = fresh()
    found = []
    for _ in range(7):
        found.append(rtt.rto // SECOND)
        rtt.back_off()
    assert found == [1, 2, 4, 8, 16, 32, 60]


@pytest.mark.label("RFC8961-4.4")
def test_rfc8961_4_4_a_new_sample_ends_the_back_off() -> None:
    rtt = fresh()
    rtt.back_off()
    rtt.back_off()
    rtt.sample(100 * MILLISECOND)
    assert rtt.rto == SECOND


@pytest.mark.label("BAD-CC-9")
def test_a_round_trip_of_no_time_at_all() -> None:
    rtt = fresh(minimum=1)
    for _ in range(10):
        rtt.sample(0)
    assert rtt.smoothed >= 1
    assert rtt.rto > GRANULARITY - 1


@given(st.lists(st.integers(0, 600 * SECOND), min_size=1))
def test_the_timeout_stays_between_its_bounds(samples: list[int]) -> None:
    rtt = fresh()
    for measured in samples:
        rtt.sample(measured)
        assert SECOND <= rtt.rto <= MINUTE
        assert min(samples) <= rtt.smoothed <= max(1, *samples) or rtt.smoothed == 1


# In a connection


@pytest.mark.label("RFC6298-3b", "RFC8961-4.2")
def test_rfc6298_3b_one_segment_is_timed_at_a_time() -> None:
    scene = established()
    scene.sends(bytes(1000))
    scene.now += 100 * MILLISECOND
    scene.sends(bytes(1000))
    scene.now += 100 * MILLISECOND
    scene.hears(ACK, ack=1001)
    assert scene.tcb.rtt.smoothed < 200 * MILLISECOND
    first = scene.tcb.rtt.smoothed
    scene.now += 100 * MILLISECOND
    scene.hears(ACK, ack=2001)  # was sent while the first was timed: says nothing
    assert scene.tcb.rtt.smoothed == first


@pytest.mark.label("RFC6298-3b")
def test_the_syn_is_timed_too() -> None:
    scene = syn_sent()
    scene.now += 300 * MILLISECOND
    scene.hears(SYN | ACK)
    assert scene.tcb.rtt.smoothed == 300 * MILLISECOND


@pytest.mark.label("RFC6298-3a", "MUST-18", "RFC8961-4.2")
def test_rfc6298_3a_what_was_sent_again_is_not_timed() -> None:
    scene = established()
    before = scene.tcb.rtt.smoothed
    scene.sends(bytes(1000))
    scene.expires()
    scene.now += 100 * MILLISECOND
    scene.hears(ACK)
    assert scene.tcb.rtt.smoothed == before
    assert scene.tcb.rtt.rto == 2 * SECOND  # the back-off stays until there is a sample
    scene.sends(bytes(1000))
    scene.now += 100 * MILLISECOND
    scene.hears(ACK)
    assert scene.tcb.rtt.rto == SECOND


@pytest.mark.label("RFC6298-3a", "RFC7323-4.1")
def test_rfc6298_3a_unless_a_timestamp_tells_which_was_meant() -> None:
    scene = established(DEFAULT, Peer(tsval=1))
    scene.sends(bytes(988))
    scene.expires()
    echo = scene.sent[0].tsval
    scene.now += 100 * MILLISECOND
    before = scene.tcb.rtt.smoothed
    scene.hears(ACK, tsecr=echo)
    assert before < scene.tcb.rtt.smoothed <= 100 * MILLISECOND
    assert scene.tcb.rtt.rto == SECOND


@pytest.mark.label("RFC7323-4.2", "RFC6298-5.7")
@pytest.mark.parametrize("timeouts", [1, 3, 8])
def test_the_ack_of_a_retransmission_ends_the_back_off_within_the_old_flight_too(timeouts: int) -> None:
    """What was in flight when the last sample was taken belongs to a round trip that a timeout has ended."""
    scene = established(replace(DEFAULT, sack=False), Peer(tsval=1, window=WINDOW))
    scene.sends(bytes(5 * 988))
    scene.now += 20 * MILLISECOND
    scene.hears(ACK, ack=1 + 988, tsecr=scene.sent[0].tsval)
    for _ in range(timeouts):
        scene.expires()
    assert scene.tcb.rtt.rto == min(SECOND << timeouts, MINUTE)
    echo = scene.sent[0].tsval
    scene.now += 20 * MILLISECOND
    scene.hears(ACK, ack=1 + 2 * 988, tsecr=echo)
    assert scene.tcb.rtt.rto == SECOND


# No sample contains the wait for a timer, whatever the peer echoes


def stamped(*, sack: bool = True) -> Scene:
    """The handshake took 20 ms."""
    scene = states.syn_received(replace(DEFAULT, sack=sack), Peer(sack=sack, tsval=1, window=WINDOW))
    scene.now += 20 * MILLISECOND
    scene.hears(ACK, tsecr=tick(scene) - 20)
    return scene


def tick(scene: Scene) -> int:
    return 7 + scene.now // MILLISECOND


@pytest.mark.label("RFC6298-3a", "RFC4015-3.1-11")
@pytest.mark.parametrize("sack", [True, False], ids=["tail probe", "retransmission"])
def test_the_echo_of_the_first_transmission_measures_nothing_after_a_timer(sack: bool) -> None:
    """A peer by the letter of RFC 7323, 5.3, doesn't echo an old duplicate."""
    scene = stamped(sack=sack)
    before, first = scene.tcb.rtt.smoothed, tick(scene)
    scene.sends(b"x")
    assert len(scene.expires()) == 1
    assert scene.watch.expired == ["tail-probe" if sack else "retransmission"]
    scene.now += 20 * MILLISECOND
    scene.hears(ACK, tsecr=first)
    assert scene.tcb.rtt.smoothed == before
    scene.sends(b"y")
    scene.now += 20 * MILLISECOND
    scene.hears(ACK, tsecr=tick(scene) - 20)
    # An undone timeout adds two ticks (RFC 4015, 3.1, step 0)
    assert scene.tcb.rtt.smoothed <= before + 2 * GRANULARITY


@pytest.mark.label("RFC6298-3a")
def test_a_probe_of_something_new_ends_the_timing_of_what_came_before() -> None:
    scene = established(replace(PLAIN, sack=True), Peer(sack=True, window=WINDOW))
    scene.sends(bytes(1000))
    scene.now += 20 * MILLISECOND
    scene.hears(ACK)
    before = scene.tcb.rtt.smoothed
    scene.sends(b"x")
    scene.connection.send(b"y", scene.now)  # held back by Nagle until the probe
    scene.expires()
    assert scene.watch.expired == ["tail-probe"]
    scene.now += 20 * MILLISECOND
    scene.hears(ACK)
    assert scene.tcb.rtt.smoothed <= max(before, 20 * MILLISECOND)


@pytest.mark.label("RFC6298-3a")
def test_nor_does_what_waited_for_a_closed_window() -> None:
    scene = stamped()
    before, first = scene.tcb.rtt.smoothed, tick(scene)
    scene.sends(bytes(100))
    scene.hears(ACK, ack=1, window=0, tsecr=first)
    scene.expires()
    scene.expires()
    scene.now += 20 * MILLISECOND
    scene.hears(ACK, tsecr=first)
    assert scene.tcb.rtt.smoothed == before


@pytest.mark.label("RFC6298-3a")
def test_nor_does_a_syn_that_went_again() -> None:
    scene = syn_sent(DEFAULT, Peer(tsval=1))
    first = tick(scene)
    scene.expires()
    scene.now += 20 * MILLISECOND
    scene.hears(SYN | ACK, tsecr=first)
    assert scene.tcb.rtt.smoothed == 0


@pytest.mark.label("RFC6298-5.1")
def test_rfc6298_5_1_sending_starts_the_timer() -> None:
    scene = established()
    scene.sends(bytes(1000))
    assert scene.tcb.timers.due(RETRANSMISSION) == scene.now + scene.tcb.rtt.rto
    scene.now += 100 * MILLISECOND
    scene.sends(bytes(1000))
    # The timer has run since the first segment, 100 ms ago
    assert scene.tcb.timers.due(RETRANSMISSION) == scene.now + scene.tcb.rtt.rto - 100 * MILLISECOND


@pytest.mark.label("RFC6298-5.2")
def test_rfc6298_5_2_all_acknowledged_stops_it() -> None:
    scene = established()
    scene.sends(bytes(2000))
    scene.hears(ACK)
    assert not scene.tcb.timers.is_running(RETRANSMISSION)


@pytest.mark.label("RFC6298-5.3")
def test_rfc6298_5_3_progress_restarts_it() -> None:
    scene = established()
    scene.sends(bytes(2000))
    scene.now += 500 * MILLISECOND
    scene.hears(ACK, ack=1001)
    assert scene.tcb.timers.due(RETRANSMISSION) == scene.now + scene.tcb.rtt.rto


@pytest.mark.label("RFC6298-5.7")
@pytest.mark.parametrize("lost", [1, 2, 4])
def test_rfc6298_5_7_after_a_lost_syn_data_begins_with_three_seconds(lost: int) -> None:
    scene = syn_sent()
    for _ in range(lost):
        scene.expires()
    scene.hears(SYN | ACK)
    assert scene.tcb.rtt.rto == 3 * SECOND


@pytest.mark.label("RFC6298-5.7")
def test_without_a_loss_data_begins_with_what_the_syn_measured() -> None:
    assert established_active().tcb.rtt.rto == SECOND


def test_a_users_minimum_is_kept() -> None:
    scene = established(replace(PLAIN, rto_minimum=200 * MILLISECOND))
    scene.sends(b"x")
    scene.now += 10 * MILLISECOND
    scene.hears(ACK)
    assert scene.tcb.rtt.rto == 200 * MILLISECOND
    assert states.PLAIN.rto_minimum == SECOND
