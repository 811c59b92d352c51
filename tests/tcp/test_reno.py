"""Slow start and congestion avoidance (RFC 5681, 3.1, 4.1; RFC 3465; RFC 6928), alone and in a connection."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postel.tcp.config import DEFAULT, Config
from postel.tcp.congestion import Congestion, initial_window
from postel.tcp.congestion.reno import Reno
from postel.testing.states import MSS, PLAIN, Peer, Scene, established, established_active, syn_sent
from postel.times import SECOND
from postel.wire.segment import ACK, SYN
from tests.tcp.scenes import RENO


def reno(window: int = 10 * MSS) -> Reno:
    return Reno(MSS, window)


def in_avoidance(window: int = 10 * MSS) -> Reno:
    control = reno(2 * window)
    control.lost(2 * window, 0)
    assert control.window == control.threshold == window
    return control


# Alone


@pytest.mark.label("RFC5681-3.1a", "RFC6928-2a")
@pytest.mark.parametrize(
    ("smss", "expected"),
    [(536, 5360), (1000, 10_000), (1460, 14_600), (5000, 14_600), (8960, 17_920), (1, 10)],
)
def test_rfc6928_2a_the_initial_window(smss: int, expected: int) -> None:
    assert initial_window(smss) == expected == min(10 * smss, max(2 * smss, 14_600))


@pytest.mark.label("RFC5681-3.1e")
def test_rfc5681_3_1e_the_threshold_begins_high() -> None:
    assert reno().threshold >= 1 << 30


@pytest.mark.label("RFC5681-3.1f", "RFC3465-2.2", "RFC3465-2.3", "RFC5681-5a", "MUST-19", "RFC5681-3a")
@pytest.mark.parametrize(
    ("octets", "growth"), [(1, 1), (500, 500), (1000, 1000), (2000, 1000), (64_000, 1000)]
)
def test_rfc5681_3_1f_slow_start_grows_by_what_arrived_and_one_segment_at_most(
    octets: int, growth: int
) -> None:
    control = reno()
    control.acknowledged(octets, 0)
    assert control.window == 10 * MSS + growth


@pytest.mark.label("BAD-CC-1", "RFC5681-5a")
def test_bad_cc_1_dividing_acks_gains_nothing() -> None:
    whole, divided = reno(), reno()
    whole.acknowledged(MSS, 0)
    for _ in range(MSS):
        divided.acknowledged(1, 0)
    assert divided.window == whole.window


@pytest.mark.label("RFC5681-3.1g", "RFC3465-2.1", "MUST-19", "RFC5681-3a")
@given(st.lists(st.integers(1, 5 * MSS), max_size=200))
def test_rfc5681_3_1g_avoidance_grows_one_segment_in_a_window_of_octets(acks: list[int]) -> None:
    control = in_avoidance()
    window, counted = control.window, 0
    for octets in acks:
        control.acknowledged(octets, 0)
        counted += octets
        if counted >= window:
            counted -= window
            window += MSS
        assert control.window == window


@pytest.mark.label("RFC5681-3.1h", "RFC5681-3.1j", "RFC6928-2d", "RFC5681-3.2d")
@pytest.mark.parametrize(("flight", "threshold"), [(10_000, 5000), (3000, 2000), (0, 2000)])
def test_rfc5681_3_1h_the_threshold_follows_the_flight_not_the_window(flight: int, threshold: int) -> None:
    control = reno(50 * MSS)
    control.timed_out(flight, 0, again=False)
    assert (control.threshold, control.window) == (threshold, MSS)
    control = reno(50 * MSS)
    control.lost(flight, 0)
    assert control.threshold == threshold


@pytest.mark.label("RFC8511-3")
@pytest.mark.parametrize(
    ("flight", "threshold", "window"),
    [(10_000, 8000, 8000), (3000, 2400, 2400), (0, 2000, 2000), (50_000, 40_000, 10_000)],
)
def test_rfc8511_3_a_mark_costs_a_fifth(flight: int, threshold: int, window: int) -> None:
    control = reno()
    control.marked(flight, 0)
    assert (control.threshold, control.window) == (threshold, window)


@pytest.mark.label("RFC8511-3")
def test_rfc8511_3_a_mark_never_raises_the_window() -> None:
    control = reno()
    control.timed_out(10_000, 0, again=False)
    control.marked(1000, 0)
    assert (control.threshold, control.window) == (2 * MSS, MSS)


@pytest.mark.label("RFC5681-3.1i")
def test_rfc5681_3_1i_a_second_timeout_leaves_the_threshold() -> None:
    control = reno()
    control.timed_out(10_000, 0, again=False)
    control.timed_out(1000, 0, again=True)
    assert (control.threshold, control.window) == (5000, MSS)


@pytest.mark.label("RFC6582-3.2-3a", "RFC5681-3.2g")
@pytest.mark.parametrize(("flight", "expected"), [(0, 2000), (1000, 2000), (3000, 4000), (50_000, 10_000)])
def test_rfc6582_3_2_3a_after_recovery_no_burst(flight: int, expected: int) -> None:
    control = in_avoidance()
    control.recovered(flight, 0)
    assert control.window == expected


@pytest.mark.label("RFC5681-4.1a")
@pytest.mark.parametrize(("window", "expected"), [(50 * MSS, 10 * MSS), (3 * MSS, 3 * MSS)])
def test_rfc5681_4_1a_after_idleness_the_initial_window(window: int, expected: int) -> None:
    control = reno()
    control.window = window
    control.idled(0)
    assert control.window == expected


def test_a_new_segment_size_leaves_the_window() -> None:
    control = reno()
    control.resized(500)
    assert (control.smss, control.window) == (500, 10 * MSS)


# In a connection


def with_window(count: int, config: Config = RENO) -> Scene:
    """``count`` segments fill the congestion window, and fly."""
    scene = established(config)
    scene.sends(bytes(100 * MSS))
    scene.tcb.ensure_controller().window = count * MSS
    scene.drain()
    assert scene.tcb.snd.flight == count * MSS
    return scene


@pytest.mark.label("RFC5681-3.1a", "RFC5681-2b", "RFC2525-2.13")
def test_ten_segments_begin() -> None:
    scene = established(RENO, peer=Peer(mss=1460, window=65535))
    assert len(scene.sends(bytes(100_000))) == 10
    assert len(established(replace(RENO, initial_window=2)).sends(bytes(100_000))) == 2


@pytest.mark.label("RFC5681-3.1b")
def test_rfc5681_3_1b_the_handshake_grows_nothing() -> None:
    for scene in (established(RENO), established_active(RENO)):
        assert scene.tcb.ensure_controller().window == 10 * MSS


@pytest.mark.label("RFC5681-3.1c", "RFC6928-2b")
@pytest.mark.parametrize(("lost", "expected"), [(0, 10 * MSS), (1, 10 * MSS), (2, MSS), (5, MSS)])
def test_rfc6928_2b_after_more_than_one_lost_syn_one_segment(lost: int, expected: int) -> None:
    scene = syn_sent(RENO)
    for _ in range(lost):
        scene.expires()
    scene.hears(SYN | ACK)
    assert scene.tcb.ensure_controller().window == expected


@pytest.mark.label("MUST-19", "RFC5681-3.1f")
def test_must_19_slow_start_doubles_in_a_round_trip() -> None:
    scene = established(RENO)
    sent = len(scene.sends(bytes(500 * MSS)))
    for expected in (10, 20, 40):
        assert sent == expected
        sent = sum(len(scene.hears(ACK, ack=scene.una + MSS)) for _ in range(sent))


def test_what_the_user_does_not_fill_does_not_grow() -> None:
    """RFC 7661's reason: the window is only valid while it is used."""
    scene = established(RENO)
    for _ in range(50):
        scene.sends(bytes(100))
        scene.hears(ACK)
    assert scene.tcb.ensure_controller().window == 10 * MSS


@pytest.mark.parametrize(("segments", "growth"), [(4, 0), (5, MSS)])
def test_a_window_counts_as_used_when_half_of_it_flies(segments: int, growth: int) -> None:
    scene = established(RENO)
    scene.sends(bytes(segments * MSS))
    scene.hears(ACK)
    assert scene.tcb.ensure_controller().window == 10 * MSS + growth


@pytest.mark.label("RFC5681-3.1h", "RFC5681-3.1i", "RFC5681-3.1j", "RFC8961-4.3")
def test_rfc5681_3_1h_timeouts_in_a_row() -> None:
    scene = with_window(20)
    scene.expires()
    control = scene.tcb.ensure_controller()
    assert (control.threshold, control.window) == (10 * MSS, MSS)
    scene.expires()
    # Less than MSS now: the path may be a black hole
    assert (control.threshold, control.window) == (10 * MSS, control.smss)
    scene.hears(ACK, ack=1001)
    assert control.window == 2 * control.smss


@pytest.mark.label("RFC5681-4.1a")
def test_rfc5681_4_1a_a_connection_that_rested_begins_anew() -> None:
    scene = with_window(40)
    scene.passes(0)
    while scene.una < scene.max:
        scene.hears(ACK)
    assert scene.tcb.ensure_controller().window > 30 * MSS
    scene.now += 2 * SECOND
    assert len(scene.sends(bytes(50 * MSS))) == 10


@pytest.mark.label("RFC5681-4.1a")
def test_rfc5681_4_1a_a_short_rest_costs_nothing() -> None:
    scene = with_window(40)
    while scene.una < scene.max:
        scene.hears(ACK)
    window = scene.tcb.ensure_controller().window
    scene.now += SECOND // 2
    scene.sends(b"x")
    assert scene.tcb.ensure_controller().window == window


@pytest.mark.label("BAD-CC-1")
def test_bad_cc_1_a_thousand_acks_for_one_segment() -> None:
    scene = with_window(10)
    for ack in range(2, 1002):
        scene.hears(ACK, ack=ack)
    assert scene.tcb.ensure_controller().window <= 11 * MSS


@pytest.mark.label("BAD-CC-4")
def test_bad_cc_4_one_ack_for_64_segments_makes_no_burst() -> None:
    """One segment more without HyStart++, and eight with it (RFC 9406, 4.3)."""
    scene = with_window(32)
    sent = scene.hears(ACK)
    assert len(sent) <= 33
    assert scene.tcb.ensure_controller().window == 33 * MSS
    scene = with_window(32, PLAIN)
    assert len(scene.hears(ACK)) <= 40


class Generous(Congestion):
    """A user's own."""

    def acknowledged(self, octets: int, now: int) -> None:
        self.window += 2 * octets

    def lost(self, flight: int, now: int) -> None:
        self.window = flight

    def recovered(self, flight: int, now: int) -> None:
        pass

    def timed_out(self, flight: int, now: int, *, again: bool) -> None:
        self.window = self.smss

    def idled(self, now: int) -> None:
        pass


def test_users_bring_their_own_controller() -> None:
    scene = established(replace(DEFAULT, congestion=Generous))
    scene.connection.send(bytes(100_000), scene.now)
    scene.drain()
    scene.hears(ACK, ack=1001)
    assert isinstance(scene.tcb.ensure_controller(), Generous)
    assert scene.tcb.ensure_controller().window == 12 * MSS
