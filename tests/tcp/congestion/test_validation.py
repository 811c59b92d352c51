"""Congestion window validation (RFC 7661), in Reno and CUBIC: what an unused window is worth."""

import pytest

from postel.tcp.congestion.cubic import Cubic
from postel.tcp.congestion.reno import Reno
from postel.tcp.congestion.validation import NVP, Validation
from postel.times import MILLISECOND, MINUTE, SECOND
from tests.tcp.congestion.samples import SMSS, START, sample

RTT = 100 * MILLISECOND


class Thin:
    """A sender of ``volume`` octets in each round trip, whatever its window."""

    def __init__(self, control: Reno, volume: int) -> None:
        self.control = control
        self.volume = volume
        self.now = START
        self.delivered = 0
        self.lost = 0

    def round(self, *, lost: int = 0) -> None:
        """One ACK for all of it."""
        self.now += RTT
        self.delivered += self.volume
        self.lost += lost
        told = sample(
            round_trip=RTT,
            acked=self.volume,
            delivered=self.volume,
            lost=lost,
            total_lost=self.lost,
            total_delivered=self.delivered,
            flight_before=self.volume,
            una=self.delivered,
            max=self.delivered,
            is_window_limited=2 * self.volume >= self.control.window,
        )
        self.control.observed(told, self.now)
        if told.is_window_limited:
            self.control.acknowledged(self.volume, self.now)

    def passes(self, duration: int) -> None:
        for _ in range(duration // RTT):
            self.round()


def avoiding(window: int, kind: type[Reno] = Reno) -> Reno:
    control = kind(SMSS, 10 * SMSS)
    control.window = control.threshold = window * SMSS
    return control


def unvalidated(window: int = 100, volume: int = 30, kind: type[Reno] = Reno) -> Thin:
    """A large window of which a part is used."""
    sender = Thin(avoiding(window, kind), volume * SMSS)
    sender.passes(2 * SECOND)
    assert sender.control.window == window * SMSS
    return sender


@pytest.mark.label("RFC7661-4.2")
def test_rfc7661_4_2_the_pipe_is_the_highest_sample_of_a_second_or_three_round_trips() -> None:
    validation = Validation()
    assert validation.pipe == -1

    told = sample()
    validation.observed(told, 0, SMSS, RTT, START)  # the first round trip begins

    def tell(octets: int, now: int, smoothed: int = RTT) -> int:
        """One ACK for all of a flight."""
        told.delivered = octets
        told.una = told.max = told.total_delivered = told.total_delivered + octets
        validation.observed(told, 0, SMSS, smoothed, START + now)
        return validation.pipe

    assert [tell(5000, 0), tell(3000, 400 * MILLISECOND), tell(1000, 600 * MILLISECOND)] == [5000, 5000, 5000]
    assert tell(1000, 1100 * MILLISECOND) == 1000  # the second half holds the thousand alone
    tell(9000, 5 * SECOND)
    assert tell(10, 7 * SECOND) == 10  # and after a silence there is none before
    assert [tell(700, 9 * SECOND, SECOND), tell(20, 11 * SECOND, SECOND), tell(20, 14 * SECOND, SECOND)] == [
        700,
        700,
        20,
    ]


@pytest.mark.label("RFC7661-4.2")
def test_rfc7661_4_2_no_samples_in_recovery() -> None:
    sender = unvalidated()
    control = sender.control
    control.lost(30 * SMSS, sender.now)
    sender.volume = 90 * SMSS
    sender.round()
    control.recovered(0, sender.now)
    assert control.window == 15 * SMSS
    sender.volume = SMSS
    sender.round()
    assert control.pacing_rate == 0  # undefined again: what the window allows goes


@pytest.mark.label("RFC7661-4.4a", "RFC7661-4.4b")
@pytest.mark.parametrize(("used", "growth"), [(49, 0), (99, 0), (100, SMSS)])
def test_rfc7661_4_4b_a_window_that_is_not_full_does_not_grow(used: int, growth: int) -> None:
    sender = unvalidated()
    told = sample(flight_before=used * SMSS, total_delivered=sender.delivered)
    sender.control.observed(told, sender.now)
    sender.control.acknowledged(100 * SMSS, sender.now)
    assert sender.control.window == 100 * SMSS + growth


@pytest.mark.label("RFC7661-4.4a")
def test_rfc7661_4_4a_half_of_it_in_use_validates_it() -> None:
    sender = unvalidated()
    sender.volume = 60 * SMSS
    sender.passes(5 * RTT)
    assert sender.control.window > 100 * SMSS


@pytest.mark.label("RFC7661-4.4.1a")
@pytest.mark.parametrize(
    ("kind", "flight", "lost", "during", "after"),
    [(Reno, 20, 4, 15, 13), (Cubic, 20, 4, 15, 13), (Reno, 40, 40, 20, 1)],
)
def test_rfc7661_4_4_1a_loss_costs_what_was_not_used_too(
    kind: type[Reno], flight: int, lost: int, during: int, after: int
) -> None:
    """Half of max(pipeACK, LossFlightSize), then half of that less what was lost: pipeACK is 30 segments."""
    sender = unvalidated(kind=kind)
    control = sender.control
    control.lost(flight * SMSS, sender.now)
    assert control.window == control.threshold == during * SMSS
    sender.round(lost=lost * SMSS // 2)
    sender.round(lost=lost * SMSS // 2)
    control.recovered(0, sender.now)
    assert control.window == after * SMSS
    assert control.threshold == max(after, 2) * SMSS


@pytest.mark.label("RFC7661-4.4.1a")
def test_rfc7661_4_4_1a_what_the_same_ack_told_before_is_counted_once() -> None:
    sender = unvalidated()
    sender.round(lost=4 * SMSS)
    sender.control.lost(20 * SMSS, sender.now)
    sender.control.recovered(0, sender.now)
    assert sender.control.window == 13 * SMSS


@pytest.mark.label("RFC7661-4.4.1a")
def test_in_use_loss_costs_half() -> None:
    sender = Thin(avoiding(100), 100 * SMSS)
    sender.passes(SECOND)
    sender.control.lost(100 * SMSS, sender.now)
    sender.round(lost=50 * SMSS)
    sender.control.recovered(50 * SMSS, sender.now)
    assert sender.control.window == 50 * SMSS


@pytest.mark.label("RFC7661-4.4a", "RFC8511-3")
def test_a_mark_or_a_timeout_ends_the_phase() -> None:
    marked, timed_out, undone = unvalidated(), unvalidated(), unvalidated()
    marked.control.marked(20 * SMSS, marked.now)
    assert marked.control.window == 24 * SMSS
    timed_out.control.timed_out(20 * SMSS, timed_out.now, again=False)
    assert (timed_out.control.window, timed_out.control.threshold) == (SMSS, 10 * SMSS)
    undone.control.remember(20 * SMSS)
    undone.control.lost(20 * SMSS, undone.now)
    undone.control.undo(1 << 30, undone.now)
    assert undone.control.window == 100 * SMSS
    for sender in (marked, timed_out, undone):
        window = sender.control.window
        sender.control.acknowledged(window, sender.now)
        assert sender.control.window > window


@pytest.mark.label("RFC7661-4.4.2")
def test_rfc7661_4_4_2_what_nobody_tried_lately_is_paced() -> None:
    sender = unvalidated()
    assert sender.control.pacing_rate == 100 * SMSS * 10
    sender.volume = 100 * SMSS
    sender.passes(2 * RTT)
    assert sender.control.pacing_rate == 0
    assert unvalidated(window=10, volume=1).control.pacing_rate == 0  # the initial window is no burst


@pytest.mark.label("RFC7661-4.4.3")
@pytest.mark.parametrize(
    ("waits", "window", "threshold"),
    [
        (NVP - 2 * SECOND, 100, 100),
        (NVP + SECOND, 50, 100),
        (2 * NVP + SECOND, 25, 100),
        (24 * 60 * MINUTE, 10, 100),
    ],
)
def test_rfc7661_4_4_3_five_minutes_without_use_cost_half(waits: int, window: int, threshold: int) -> None:
    """Judged when the next thing happens, and never below the initial window."""
    sender = unvalidated()
    sender.control.started(sender.now + waits)
    assert (sender.control.window, sender.control.threshold) == (window * SMSS, threshold * SMSS)


@pytest.mark.label("RFC7661-4.4.3")
def test_rfc7661_4_4_3_the_threshold_remembers_three_quarters() -> None:
    sender = unvalidated(volume=20)
    sender.control.threshold = 20 * SMSS
    sender.passes(NVP)
    assert (sender.control.window, sender.control.threshold) == (50 * SMSS, 75 * SMSS)
    sender.volume = 40 * SMSS
    sender.passes(SECOND)
    assert sender.control.window > 50 * SMSS


def test_where_nothing_was_acknowledged_yet_nothing_ages() -> None:
    control = Reno(SMSS, 10 * SMSS)
    control.started(START)
    control.window = SMSS
    control.observed(sample(round_trip=RTT), START)
    control.started(START + 24 * 60 * MINUTE)
    assert control.window == SMSS
