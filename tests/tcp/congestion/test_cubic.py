"""CUBIC (RFC 9438), alone: its curve, its figures, and what doesn't count."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postel.tcp.congestion import ARBITRARILY_HIGH
from postel.tcp.congestion.cubic import Cubic, cube_root
from postel.times import MILLISECOND, SECOND
from tests.tcp.congestion.samples import SMSS, START, Clock, sample

RTT = 100 * MILLISECOND
K = 4_217_163  # microseconds: the cube root of 30 / 0.4


def after_loss(window: int = 100 * SMSS, round_trip: int = RTT) -> Clock:
    """70 % of the window, and congestion avoidance begun."""
    control = Cubic(SMSS, window)
    clock = Clock(control, round_trip)
    clock.loses()
    assert control.window == control.threshold == window * 7 // 10
    clock.acknowledge()  # RFC9438-4.10: not above the threshold is slow start
    assert control.window == control.threshold + 1
    return clock


def segments(clock: Clock) -> float:
    return clock.control.window / SMSS


@given(st.integers(1, 10**40))
def test_the_cube_root_is_whole_and_exact(value: int) -> None:
    root = cube_root(value)
    assert root**3 <= value < (root + 1) ** 3


@pytest.mark.label("RFC9438-4.2a", "RFC9438-4.4", "RFC9438-5.1")
def test_rfc9438_4_2a_it_is_back_where_it_was_after_k() -> None:
    """W_max = 100, beta = 0.7: K = cbrt(30 / 0.4) = 4.217 s; concave before, convex after."""
    clock = after_loss(round_trip=200 * MILLISECOND)
    seen = []
    for part in (K // 4, K // 4, K // 4, K - 3 * (K // 4), K // 2, K // 2):
        clock.passes(part)
        seen.append(segments(clock))
    expected = [0.4 * (K / 4 * count - K) ** 3 / 1e18 + 100 for count in (1, 2, 3, 4, 6, 8)]
    assert seen == pytest.approx(expected, abs=1.5)


@pytest.mark.label("RFC9438-4.2c")
def test_rfc9438_4_2c_it_never_grows_faster_than_slow_start_would() -> None:
    """However late the next ACK is, the target is one and a half windows."""
    clock = after_loss()
    clock.acknowledge()
    control = clock.control
    before = control.window
    control.acknowledged(before, START + 100 * SECOND)
    assert control.window == before + (before * 3 // 2 - before)
    control.acknowledged(10 * control.window, START + 100 * SECOND)
    assert control.window == before * 3 // 2 * 3 // 2


@pytest.mark.label("RFC9438-4.4", "RFC5681-5a")
@given(st.lists(st.integers(1, SMSS), min_size=1, max_size=30))
def test_dividing_acks_gains_nothing(parts: list[int]) -> None:
    whole, divided = after_loss(), after_loss()
    now = START + SECOND
    whole.control.acknowledged(sum(parts), now)
    for part in parts:
        divided.control.acknowledged(part, now)
    assert divided.control.window <= whole.control.window + len(parts)


@pytest.mark.label("RFC9438-4.3")
def test_rfc9438_4_3_where_reno_would_be_faster_it_grows_as_reno() -> None:
    """A round trip of 1 ms: 9/17 of a segment in each, and a whole one from the old window on."""
    clock = after_loss(window=20 * SMSS, round_trip=MILLISECOND)
    clock.passes(10 * MILLISECOND)
    assert segments(clock) == pytest.approx(14 + 10 * 9 / 17, abs=0.4)
    while segments(clock) < 20:
        clock.passes(MILLISECOND)
    before = segments(clock)
    clock.passes(10 * MILLISECOND)
    assert segments(clock) - before == pytest.approx(10, abs=0.5)


@pytest.mark.label("RFC9438-4.6a")
@pytest.mark.parametrize(("flight", "threshold"), [(100_000, 70_000), (2000, 2000), (0, 2000)])
def test_rfc9438_4_6a_loss_costs_three_tenths_of_the_flight(flight: int, threshold: int) -> None:
    control = Cubic(SMSS, 200 * SMSS)
    control.lost(flight, START)
    assert control.window == control.threshold == threshold


@pytest.mark.label("RFC9438-4.6b")
def test_rfc9438_4_6b_an_unused_window_is_no_saturation_point() -> None:
    control = Cubic(SMSS, 1000 * SMSS)
    control.lost(10 * SMSS, START)
    assert control.threshold == 7 * SMSS


@pytest.mark.label("RFC9438-4.6a", "RFC9438-4.6c")
def test_rfc9438_4_6c_marks_go_down_to_one_segment() -> None:
    control = Cubic(SMSS, 10 * SMSS)
    control.marked(10 * SMSS, START)
    assert (control.window, control.threshold) == (7 * SMSS, 7 * SMSS)
    for _ in range(10):
        control.marked(control.window, START)
    assert (control.window, control.threshold) == (SMSS, 2 * SMSS)


@pytest.mark.label("RFC9438-4.7")
def test_rfc9438_4_7_a_window_that_did_not_come_back_makes_room() -> None:
    """W_max = 0.85 * 80, not 80: the plateau after a second loss at 80 is at 68 segments."""
    clock = after_loss(round_trip=400 * MILLISECOND)
    while segments(clock) < 80:
        clock.acknowledge()
    clock.loses()
    clock.acknowledge()
    begun = segments(clock)
    k = ((68 - begun) / 0.4) ** (1 / 3)
    clock.passes(int(k * SECOND))
    assert segments(clock) == pytest.approx(68, abs=0.5)


@pytest.mark.label("RFC9438-4.8", "RFC5681-3.1j", "RFC5681-3.1i")
def test_rfc9438_4_8_after_a_timeout_the_curve_begins_at_its_plateau() -> None:
    clock = after_loss()
    control = clock.control
    control.timed_out(70 * SMSS, clock.now, again=False)
    assert (control.window, control.threshold) == (SMSS, 49 * SMSS)
    control.timed_out(SMSS, clock.now, again=True)
    assert (control.window, control.threshold) == (SMSS, 49 * SMSS)
    while control.window <= control.threshold:
        clock.acknowledge()
    begun = segments(clock)
    clock.passes(2 * SECOND)
    assert segments(clock) == pytest.approx(max(begun + 0.4 * 2.1**3, begun + 20 * 9 / 17), abs=1)


@pytest.mark.label("RFC9438-4.9")
def test_rfc9438_4_9_a_spurious_loss_changes_nothing() -> None:
    """Two connections, one of which thinks for 50 ms that something was lost."""
    calm, alarmed = after_loss(), after_loss()
    for clock in (calm, alarmed):
        clock.passes(SECOND)
    control = alarmed.control
    control.remember(control.window)
    control.lost(control.window, alarmed.now)
    control.undo(1 << 30, alarmed.now + 50 * MILLISECOND)
    # RFC 4015: pipe_prev
    assert (control.window, control.threshold) == (calm.control.window, calm.control.window)
    for clock in (calm, alarmed):
        clock.passes(5 * SECOND)
    assert segments(alarmed) == pytest.approx(segments(calm), abs=0.05)


@pytest.mark.label("RFC9438-4.9")
def test_rfc9438_4_9_long_after_it_stays_where_it_is() -> None:
    clock = after_loss()
    clock.passes(2 * K)
    window = clock.control.window
    clock.control.undo(1 << 30, clock.now)
    assert clock.control.window == window > 100 * SMSS
    assert clock.control.threshold == 70 * SMSS


def limited(clock: Clock, duration: int) -> None:
    """The user sends little: ACKs arrive, and find the window mostly empty."""
    end = clock.now + duration
    while clock.now < end:
        clock.now += RTT
        clock.control.observed(sample(is_window_limited=False, flight_before=SMSS), clock.now)


@pytest.mark.label("RFC9438-4.2b")
@pytest.mark.parametrize("how", ["idle", "limited"])
def test_rfc9438_4_2b_time_without_use_does_not_count(how: str) -> None:
    busy, rested = after_loss(), after_loss()
    for clock in (busy, rested):
        clock.passes(SECOND)
    if how == "limited":
        limited(rested, 3600 * SECOND)
    else:
        rested.now += 3600 * SECOND
        rested.control.started(rested.now)
    for clock in (busy, rested):
        clock.passes(SECOND)
    assert segments(rested) == pytest.approx(segments(busy), abs=0.1)


@pytest.mark.label("RFC5681-4.1a")
def test_after_a_rest_slow_start_and_then_a_stage_of_its_own() -> None:
    clock = after_loss()
    clock.passes(SECOND)
    clock.control.initial_window = 10 * SMSS
    clock.now += 60 * SECOND
    clock.control.idled(clock.now)
    clock.control.started(clock.now)
    assert clock.control.window == 10 * SMSS
    clock.passes(6 * RTT)
    assert 70 <= segments(clock) < 80


@pytest.mark.label("RFC9438-4.10")
def test_rfc9438_4_10_slow_start_at_the_threshold_too() -> None:
    control = Cubic(SMSS, 10 * SMSS)
    control.threshold = 10 * SMSS
    control.acknowledged(SMSS, START)
    assert control.window == 10 * SMSS + 1
    control.timed_out(0, START, again=True)
    control.acknowledged(SMSS, START)
    assert control.window == 2 * SMSS


@pytest.mark.label("RFC9438-4.10", "RFC9438-4.3")
def test_rfc9438_4_10_when_hystart_ends_slow_start_the_plateau_is_there() -> None:
    """K = 0, W_max = cwnd_prior = cwnd; and with W_est there already, alpha is 1."""
    control = Cubic(SMSS, 50 * SMSS)
    control.threshold = 50 * SMSS - 1
    clock = Clock(control, 10 * MILLISECOND)
    clock.passes(100 * MILLISECOND)
    assert segments(clock) == pytest.approx(60, abs=0.5)


class Alone(Cubic):
    """Figure 7 knows nothing of fast convergence."""

    converges_fast = False


def average(probability: float, round_trip: int, begin: int) -> float:
    """The window in segments where each 1/p-th segment is lost, once the beginning is forgotten."""
    clock = Clock(Alone(SMSS, begin * SMSS), round_trip)
    clock.loses()
    area, began = 0, 0
    for loss in range(6):
        if loss == 4:
            began = clock.now
        for _ in range(round(1 / probability)):
            before = clock.now
            clock.acknowledge()
            if loss >= 4:
                area += clock.control.window * (clock.now - before)
        clock.loses()
    return area / (clock.now - began) / SMSS


@pytest.mark.label("RFC9438-5.1")
@pytest.mark.parametrize(
    ("probability", "round_trip", "expected"),
    [(1e-2, 100, 12), (1e-3, 100, 38), (1e-4, 100, 187), (1e-2, 10, 12), (1e-3, 10, 38), (1e-4, 10, 120)],
)
def test_tables_1_and_2_of_rfc_9438(probability: float, round_trip: int, expected: int) -> None:
    assert average(probability, round_trip * MILLISECOND, expected) == pytest.approx(expected, rel=0.08)


@pytest.mark.label("BAD-CC-9")
@pytest.mark.parametrize("round_trip", [0, 1, SECOND])
@pytest.mark.parametrize("window", [1, SMSS, 1 << 33])
def test_bad_cc_9_extreme_round_trips_and_windows(round_trip: int, window: int) -> None:
    control = Cubic(SMSS, window)
    for step in range(4):
        control.observed(
            sample(round_trip=round_trip, flight_before=window, una=step, max=step), START + step
        )
        control.acknowledged(SMSS, START + step)
        control.remember(control.window)
        control.lost(window, START + step)
        control.acknowledged(window, START + step)
        control.acknowledged(window, START + (1 << 50))
        control.undo(1 << 30, START)
        assert 1 <= control.window < 1 << 62
        assert 2 * SMSS <= control.threshold <= ARBITRARILY_HIGH << 4
