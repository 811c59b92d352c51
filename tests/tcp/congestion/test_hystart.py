"""HyStart++ (RFC 9406): rounds of samples by hand, and what they do to Reno's and CUBIC's first slow
start.
"""

import pytest

from postel.tcp.congestion import ARBITRARILY_HIGH
from postel.tcp.congestion.cubic import Cubic
from postel.tcp.congestion.hystart import CSS_GROWTH_DIVISOR, CSS_ROUNDS, HyStart
from postel.tcp.congestion.reno import Reno
from postel.times import MILLISECOND, SECOND
from tests.tcp.congestion.bottleneck import Bottleneck
from tests.tcp.congestion.samples import SMSS, START, sample
from tests.tcp.scenes import Standard

ROUND = 100 * SMSS


class Rounds:
    """Of ten samples each, unless it says otherwise."""

    def __init__(self, part: HyStart | None = None) -> None:
        self.part = part or HyStart(ROUND)
        self.count = 0

    def round(self, *round_trips: int, samples: int = 10) -> None:
        """In milliseconds; the last of them goes on."""
        self.count += 1
        for number in range(samples):
            measured = round_trips[min(number, len(round_trips) - 1)] * MILLISECOND
            is_last = number == samples - 1
            una = self.count * ROUND if is_last else self.count * ROUND - 1
            self.part.observed(sample(round_trip=measured, una=una, max=(self.count + 1) * ROUND))


@pytest.mark.label("RFC9406-4.2a", "RFC9406-4.3a")
@pytest.mark.parametrize(
    ("before", "after", "is_conservative"),
    [
        (8, 11, False),  # the threshold is 4 ms at least
        (8, 12, True),
        (80, 89, False),  # an eighth
        (80, 90, True),
        (800, 815, False),  # and 16 ms at most
        (800, 816, True),
    ],
)
def test_rfc9406_4_2a_longer_round_trips_make_it_careful(
    before: int, after: int, is_conservative: bool
) -> None:
    rounds = Rounds()
    rounds.round(before)
    rounds.round(after)
    assert rounds.part.is_conservative is is_conservative


@pytest.mark.label("RFC9406-4.2a")
def test_rfc9406_4_2a_seven_samples_say_nothing() -> None:
    rounds = Rounds()
    rounds.round(50)
    rounds.round(100, samples=7)
    assert not rounds.part.is_conservative
    rounds.round(150, samples=8)
    assert rounds.part.is_conservative


@pytest.mark.label("RFC9406-4.2a")
def test_rfc9406_4_2a_the_shortest_round_trip_of_a_round_counts() -> None:
    rounds = Rounds()
    rounds.round(90, 50, 90)
    rounds.round(90, 90, 90, 50, 90)
    assert not rounds.part.is_conservative


def test_the_first_round_has_nothing_to_compare_with_and_an_ack_without_a_sample_counts_for_none() -> None:
    rounds = Rounds()
    rounds.round(1000)
    assert not rounds.part.is_conservative
    for _ in range(20):
        rounds.part.observed(sample(una=ROUND, max=3 * ROUND))
    assert not rounds.part.is_conservative


@pytest.mark.label("RFC9406-4.2b")
def test_rfc9406_4_2b_five_rounds_and_it_is_over() -> None:
    """The round in which it began counts."""
    rounds = Rounds()
    rounds.round(50)
    for _ in range(CSS_ROUNDS):
        assert not rounds.part.is_over
        rounds.round(60)
    assert rounds.part.is_over


@pytest.mark.label("RFC9406-4.2b")
def test_rfc9406_4_2b_if_the_queue_goes_away_it_was_not_ours() -> None:
    rounds = Rounds()
    rounds.round(50)
    rounds.round(60)
    rounds.round(60)
    rounds.round(59)
    assert not rounds.part.is_conservative
    rounds.round(67)
    assert rounds.part.is_conservative
    for _ in range(CSS_ROUNDS - 2):
        rounds.round(67)
    assert not rounds.part.is_over


@pytest.mark.label("RFC9406-4.2b", "RFC9406-4.3a")
def test_rfc9406_4_2b_a_quarter_of_the_growth() -> None:
    rounds = Rounds()
    assert rounds.part.growth(1000) == 1000
    rounds.round(50)
    rounds.round(60)
    assert CSS_GROWTH_DIVISOR >= 2
    assert rounds.part.growth(1000) == 250


# In a controller


@pytest.mark.label("RFC9406-4.3a")
@pytest.mark.parametrize("kind", [Reno, Cubic])
def test_rfc9406_4_3a_eight_segments_of_one_ack_count_and_all_of_them_where_it_is_paced(
    kind: type[Reno],
) -> None:
    control = kind(SMSS, 10 * SMSS)
    control.observed(sample(round_trip=1000, max=1), START)
    control.acknowledged(64 * SMSS, START)
    assert control.window == 18 * SMSS
    control.pacing_rate = 1
    control.acknowledged(64 * SMSS, START)
    assert control.window == 82 * SMSS


@pytest.mark.label("RFC3465-2.3")
def test_where_no_round_trip_is_measured_one_segment_counts() -> None:
    control = Reno(SMSS, 10 * SMSS)
    control.observed(sample(), START)
    control.acknowledged(64 * SMSS, START)
    assert control.window == 11 * SMSS


@pytest.mark.label("RFC9406-4.3b", "RFC3465-2.3")
def test_rfc9406_4_3b_only_the_first_slow_start_is_hystarts() -> None:
    later, standard = Reno(SMSS, 10 * SMSS), Standard(SMSS, 10 * SMSS)
    later.timed_out(100 * SMSS, START, again=False)
    for control, before in ((later, SMSS), (standard, 10 * SMSS)):
        control.observed(sample(round_trip=1000), START)
        control.acknowledged(64 * SMSS, START)
        assert control.window == before + SMSS


@pytest.mark.label("RFC9406-4.2b")
@pytest.mark.parametrize("kind", [Reno, Cubic])
def test_rfc9406_4_2b_slow_start_ends_before_the_queue_is_full(kind: type[Reno]) -> None:
    """10 Mbit/s, 40 ms: 50 segments fit into the path, and 600 into the queue. Without HyStart++ it
    overflows.
    """
    control = kind(SMSS, 10 * SMSS)
    path = Bottleneck(control, 1_250_000, 40 * MILLISECOND, 600 * SMSS)
    assert path.run(60 * SECOND, lambda: control.threshold < ARBITRARILY_HIGH)
    assert path.sample.total_lost == 0
    assert 50 * SMSS < control.threshold < 600 * SMSS
    path = Bottleneck(Standard(SMSS, 10 * SMSS), 1_250_000, 40 * MILLISECOND, 600 * SMSS)
    assert path.run(60 * SECOND, lambda: path.sample.total_lost > 0)
    assert path.now - path.began < 3 * SECOND
