"""`check_congestion` passes the controllers that are here, and finds each planted mistake in one call, with
the rule that it breaks.
"""

import random
from typing import Any, ClassVar

import pytest

from postel.congestion import BBR, Congestion, Cubic, Reno, Sample, registered
from postel.errors import ArgumentError
from postel.testing import CheckFailed, check_congestion


class NoWindow(Reno):
    def timed_out(self, flight: int, now: int, *, again: bool) -> None:
        super().timed_out(flight, now, again=again)
        self.window = 0


class NeverReacts(Reno):
    def lost(self, flight: int, now: int) -> None:
        pass

    def recovered(self, flight: int, now: int) -> None:
        pass


class HardlyReacts(Cubic):
    def lost(self, flight: int, now: int) -> None:
        self.window = self.threshold = flight * 9 // 10


class IgnoresMarks(Reno):
    def marked(self, flight: int, now: int) -> None:
        pass


class GrowsTwiceAsFast(Reno):
    def acknowledged(self, octets: int, now: int) -> None:
        self.window += 2 * octets


class CountsAllOfOneAck(Reno):
    uses_hystart = False

    def acknowledged(self, octets: int, now: int) -> None:
        self.window += octets


class GrowsUnused(Cubic):
    def observed(self, sample: Sample, now: int) -> None:
        super().observed(sample, now)
        if not sample.is_window_limited:
            self.window += sample.acked // 2


class SurvivesTimeouts(Reno):
    def timed_out(self, flight: int, now: int, *, again: bool) -> None:
        self.window = self.threshold = max(flight // 2, 2 * self.smss)


class HalvesAgain(Reno):
    def timed_out(self, flight: int, now: int, *, again: bool) -> None:
        super().timed_out(flight, now, again=again)
        self.threshold //= 2


class UndoesNothing(Reno):
    def undo(self, limit: int, now: int) -> None:
        pass


class UndoesInABurst(Reno):
    def undo(self, limit: int, now: int) -> None:
        super().undo(1 << 60, now)


class CountsSegments(Reno):
    def resized(self, smss: int) -> None:
        self.window = self.window // self.smss * smss
        super().resized(smss)


class NeverRests(Reno):
    def idled(self, now: int) -> None:
        pass


class Bursts(Reno):
    def recovered(self, flight: int, now: int) -> None:
        self.window = 2 * self.threshold


class InFractions(Reno):
    def lost(self, flight: int, now: int) -> None:
        super().lost(flight, now)
        self.window *= 0.9  # type: ignore[assignment]


class Negative(Reno):
    def observed(self, sample: Sample, now: int) -> None:
        super().observed(sample, now)
        self.pacing_rate = 1000 - sample.round_trip


class Shares(Reno):
    windows: ClassVar[list[int]] = []

    def lost(self, flight: int, now: int) -> None:
        super().lost(flight, now)
        self.windows.append(self.window)

    def acknowledged(self, octets: int, now: int) -> None:
        super().acknowledged(octets // (1 + len(self.windows)), now)


class RollsDice(Reno):
    def acknowledged(self, octets: int, now: int) -> None:
        self.window += random.randrange(min(octets, self.smss) + 1)


class DividesByZero(Reno):
    def observed(self, sample: Sample, now: int) -> None:
        super().observed(sample, now)
        self.pacing_rate = sample.delivered * 1_000_000 // sample.interval


class KeepsSamples(Reno):
    latest: Sample | None = None

    def observed(self, sample: Sample, now: int) -> None:
        super().observed(sample, now)
        self.latest = sample


class OldConstructor(Reno):
    def __init__(self, smss: int, initial_window: int) -> None:
        super().__init__(smss, initial_window)


class BlindModel(BBR):
    """Its window is what arrived, whatever is lost."""

    def observed(self, sample: Sample, now: int) -> None:
        if not sample.is_app_limited:
            self.window += sample.delivered

    def lost(self, flight: int, now: int) -> None:
        pass

    def recovered(self, flight: int, now: int) -> None:
        pass


MISTAKES: dict[type[Congestion], str] = {
    NoWindow: r"the window is one segment at least \(RFC 5681, 3.1\): timed_out\(.*\) left window at 0",
    NeverReacts: r"a loss reduces the window \(RFC 5681, 3.2; RFC 5033, 3\): lost\(flight=(\d+)\) left window at \1, more than 85%",  # noqa: E501
    HardlyReacts: r"a loss reduces the window",
    IgnoresMarks: r"a mark reduces the window \(RFC 3168, 6.1.2",
    GrowsTwiceAsFast: r"no more than what was acknowledged.*RFC 3465.*an ACK of 2896 octets let window grow by 5792",  # noqa: E501
    CountsAllOfOneAck: r"without pacing by 8 segments for one ACK",
    GrowsUnused: r"a window that isn't in use doesn't grow \(RFC 7661",
    SurvivesTimeouts: r"a timeout leaves the loss window, which is one segment \(RFC 5681, 3.1\): timed_out\(flight=\d+, again=False\)",  # noqa: E501
    HalvesAgain: r"a further timeout of the same octets leaves the threshold|a timeout sets the threshold",
    UndoesNothing: r"undo goes back to what remember kept \(RFC 4015",
    UndoesInABurst: r"undo heeds its limit",
    CountsSegments: r"another segment size changes smss, and leaves the window in octets.*resized\(smss=536\)",  # noqa: E501
    NeverRests: r"after a rest the window is the restart window at most.*RFC 5681, 4.1",
    Bursts: r"recovery ends with a window of at most the threshold \(RFC 6582",
    # compiled code takes no float where it stores an int
    InFractions: r"whole numbers, and none is negative.*lost\(.*\) left window at \d+\.\d+|lost\(.*\) raised TypeError",  # noqa: E501
    Negative: r"whole numbers, and none is negative.*observed.* left pacing_rate at -49000",
    Shares: r"a connection's controller doesn't depend on that of another",
    RollsDice: r"a controller is a function of its calls and its seed.*with seed 1 ended with",
    DividesByZero: r"a controller raises no exception.*observed.* raised ZeroDivisionError",
    KeepsSamples: r"a controller keeps no reference to a sample.*observed.* kept one",
    OldConstructor: r"a controller raises no exception.*the constructor, called with \(1448, 1448, 1\) raised TypeError",  # noqa: E501
    BlindModel: r"losses that last slow a sender down.*over a path with a queue of 16 KiB, seed 1, \d+ octets were sent again",  # noqa: E501
}


@pytest.mark.parametrize("controller", ["reno", "cubic", "bbr"])
def test_those_that_are_here_pass(controller: str) -> None:
    assert controller in registered()
    check_congestion(controller)


@pytest.mark.parametrize("controller", MISTAKES, ids=lambda controller: controller.__name__)
def test_a_mistake_is_found_in_one_call(controller: type[Congestion]) -> None:
    with pytest.raises(CheckFailed, match=MISTAKES[controller]) as failed:
        check_congestion(controller)
    assert str(failed.value) == f"{failed.value.rule} ({failed.value.section}): {failed.value.happened}"
    assert isinstance(failed.value, AssertionError)


def test_the_exception_of_a_controller_is_the_cause() -> None:
    with pytest.raises(CheckFailed) as failed:
        check_congestion(DividesByZero)
    assert isinstance(failed.value.__cause__, ZeroDivisionError)


def test_a_share_of_ones_own() -> None:
    check_congestion(Reno, share=0.5, seeds=[])
    with pytest.raises(CheckFailed, match="more than 50%"):
        check_congestion(Cubic, share=0.5)
    with pytest.raises(CheckFailed, match="more than 85%"):
        check_congestion(HardlyReacts)
    check_congestion(Cubic, share=0.7, seeds=[7])


@pytest.mark.parametrize("factory", ["no-such", None, int])
def test_what_is_no_controller_is_refused(factory: Any) -> None:
    with pytest.raises(ArgumentError, match="congestion is "):
        check_congestion(factory)
