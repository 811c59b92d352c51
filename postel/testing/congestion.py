"""Check of a congestion controller against the contract of `postel.congestion.Congestion`.

>>> from postel.congestion import Reno
>>> from postel.testing import CheckFailed, check_congestion
>>> class Greedy(Reno):
...     def lost(self, flight, now):
...         '''It doesn't care.'''
>>> try:
...     check_congestion(Greedy)
... except CheckFailed as failed:
...     print(failed.rule, "|", failed.section)
a loss reduces the window | RFC 5681, 3.2; RFC 5033, 3
"""

from collections.abc import Iterable
from typing import Final

from postel.congestion import Congestion
from postel.tcp.congestion.registry import controller_of
from postel.testing.controller_scripts import NO_LIMIT, SMSS, CheckFailed, Script, random_calls
from postel.testing.controller_transfers import check_repetition, check_transfers
from postel.times import MINUTE

__all__ = ["CheckFailed", "check_congestion"]

# Part of CUBIC's window that RFC 8511 keeps after a congestion mark; also the default of ``share``
LARGEST_SHARE: Final = 0.85
ABC_LIMIT: Final = 8  # limit in segments of the growth for one ACK without pacing (L in RFC 9406, 4.3)
ROUNDS: Final = 30


def check_congestion(
    factory: type[Congestion] | str, *, share: float = LARGEST_SHARE, seeds: Iterable[int] = range(1, 4)
) -> None:
    """Check a congestion controller of yours.

    The check calls the controller by a script, then with random arguments, and then by transfers over bad
    paths in virtual time. ``factory`` is the class of the controller, or its registered name. ``share`` is
    the part of the octets in flight that the window may keep after a loss, and the threshold after a timeout:
    0.5 for Reno, 0.7 for CUBIC. ``seeds`` are for the random calls and for the transfers; each seed takes
    about half a second.

    Raises `CheckFailed`, an AssertionError, at the first rule that the controller breaks. Its message has the
    rule, the section of the RFC, and the call with its outcome. Raises ArgumentError if ``factory`` is
    neither.
    """
    controller = controller_of(factory)
    seeds = tuple(seeds)
    _begins(controller)
    _starts_slowly(controller)
    _grows_by_use_alone(controller)
    _reduces(controller, share)
    _collapses(controller, share)
    _undoes(controller)
    _keeps_octets(controller)
    _restarts(controller)
    _stands_alone(controller)
    for seed in seeds:
        _repeats(controller, seed)
    for seed in seeds:
        check_transfers(controller, seed)
        check_repetition(controller, seed)


def _begins(controller: type[Congestion]) -> None:
    for segments in (1, 2, 10):
        script = Script(controller, segments=segments)
        script.require(
            SMSS <= script.control.window <= segments * SMSS,
            "a controller begins with the window that it is given",
            "RFC 6928, 2",
            f"after the constructor, window is {script.control.window}, not initial_window={segments * SMSS}",
        )


def _starts_slowly(controller: type[Congestion]) -> None:
    """Check the growth per ACK: in four round trips of a full window, and in one ACK for a whole flight."""
    script = Script(controller)
    for _ in range(4):
        for octets in script.acks():
            _acknowledge(script, octets)
    _acknowledge(script, script.control.window // SMSS * SMSS)


def _acknowledge(script: Script, octets: int) -> None:
    before = script.control.window
    script.acknowledge(octets)
    grown = script.control.window - before
    most = octets if script.control.pacing_rate else min(octets, ABC_LIMIT * SMSS)
    script.require(
        grown <= most,
        "the window grows by no more than what was acknowledged, and without pacing by 8 segments for one "
        "ACK",
        "RFC 5681, 3.1; RFC 3465, 2.3; RFC 9406, 4.3",
        f"an ACK of {octets} octets let window grow by {grown}, from {before}",
    )


def _grows_by_use_alone(controller: type[Congestion]) -> None:
    """Check that a window which isn't used doesn't grow.

    An ACK for two segments in a round trip doesn't show that more would fit. A controller with a model of the
    path may raise its window up to the model's size.
    """
    script = Script(controller)
    before = script.control.window
    for _ in range(ROUNDS):
        script.acknowledge(2 * SMSS, flight=2 * SMSS, in_use=False)
    most = 2 * before if controller.is_model else before
    script.require(
        script.control.window <= most,
        "a window that isn't in use doesn't grow",
        "RFC 7661, 4; RFC 9438, 4.2",
        f"{ROUNDS} round trips with 2 segments in flight let window grow from {before} to "
        f"{script.control.window}",
    )


def _reduces(controller: type[Congestion], share: float) -> None:
    """Check that losses and marks reduce the window.

    A controller with a model of the path reacts only to losses that go on, which `check_transfers` checks.
    """
    if controller.is_model:
        return
    for name in ("lost", "marked"):
        script = Script(controller)
        script.fill(4)
        flight, threshold = script.control.window, script.control.threshold
        if name == "lost":
            script.lose(SMSS)
        else:
            script.mark()
        word, section = (
            ("loss", "RFC 5681, 3.2; RFC 5033, 3")
            if name == "lost"
            else ("mark", "RFC 3168, 6.1.2; RFC 8511, 3")
        )
        kept = share if name == "lost" else max(share, LARGEST_SHARE)
        _require_reduced(script, flight, kept, f"a {word} reduces the window", section)
        script.require(
            script.control.threshold <= max(kept * flight, 2 * SMSS) or script.control.threshold < threshold,
            f"a {word} reduces the threshold",
            section,
            f"{script.last} left threshold at {script.control.threshold}, from {threshold} with {flight} "
            "octets in flight",
        )
        if name == "lost":
            _ends_gently(script)


def _require_reduced(script: Script, flight: int, share: float, rule: str, section: str) -> None:
    window = script.control.window
    script.require(
        window <= max(share * flight, 2 * SMSS),
        rule,
        section,
        f"{script.last} left window at {window}, more than {share:.0%} of the {flight} octets in flight",
    )


def _ends_gently(script: Script) -> None:
    script.acknowledge(2 * SMSS, in_use=False)
    script.recover()
    window, threshold = script.control.window, script.control.threshold
    script.require(
        window <= threshold,
        "recovery ends with a window of at most the threshold",
        "RFC 6582, 3.2, step 3",
        f"{script.last} left window at {window} and threshold at {threshold}",
    )


def _collapses(controller: type[Congestion], share: float) -> None:
    script = Script(controller)
    script.fill(4)
    flight = script.control.window
    for again in (False, True):
        threshold = script.control.threshold
        script.time_out(again=again)
        script.require(
            script.control.window == SMSS,
            "a timeout leaves the loss window, which is one segment",
            "RFC 5681, 3.1",
            f"{script.last} left window at {script.control.window}; smss is {SMSS}",
        )
        if again:
            script.require(
                script.control.threshold == threshold,
                "a further timeout of the same octets leaves the threshold",
                "RFC 5681, 3.1",
                f"{script.last} moved threshold from {threshold} to {script.control.threshold}",
            )
        elif not controller.is_model:
            script.require(
                2 * SMSS <= script.control.threshold <= max(2 * SMSS, share * flight),
                "a timeout sets the threshold to a share of what was in flight, and to two segments at least",
                "RFC 5681, 3.1, equation 4",
                f"{script.last} left threshold at {script.control.threshold} with {flight} octets in flight",
            )


def _undoes(controller: type[Congestion]) -> None:
    for times_out in (False, True):
        script = Script(controller)
        script.fill(4)
        window, threshold = script.control.window, script.control.threshold
        if times_out:
            script.time_out(again=False)
        else:
            script.lose(SMSS)
        script.undo(NO_LIMIT)
        script.require(
            script.control.window >= window and script.control.threshold >= min(threshold, window),
            "undo goes back to what remember kept",
            "RFC 4015, 3.1, step 9",
            f"{script.last} left window at {script.control.window} and threshold at "
            f"{script.control.threshold}, "
            f"which were {window} and {threshold} before the episode",
        )
    script = Script(controller)
    script.fill(4)
    script.time_out(again=False)
    script.undo(4 * SMSS)
    script.require(
        script.control.window <= 4 * SMSS or script.control.pacing_rate > 0,
        "undo heeds its limit, unless a pace makes a burst impossible",
        "RFC 4015, 3.1, step 9",
        f"{script.last} left window at {script.control.window}, with no pacing_rate",
    )


def _keeps_octets(controller: type[Congestion]) -> None:
    for smss in (536, 8948):
        script = Script(controller)
        script.fill(2)
        window = script.control.window
        script.resize(smss)
        script.require(
            script.control.smss == smss and script.control.window == window,
            "another segment size changes smss, and leaves the window in octets",
            "the contract of Congestion.resized",
            f"{script.last} left smss at {script.control.smss}, and moved window from {window} to "
            f"{script.control.window}",
        )


def _restarts(controller: type[Congestion]) -> None:
    script = Script(controller)
    script.fill(4)
    script.now += MINUTE
    window = script.control.window
    script.idle()
    allowed = window if script.control.pacing_rate else min(window, script.control.initial_window)
    script.require(
        script.control.window <= allowed,
        "after a rest the window is the restart window at most, unless a pace makes a burst impossible",
        "RFC 5681, 4.1",
        f"{script.last} left window at {script.control.window}; initial_window is "
        f"{script.control.initial_window}",
    )


def _repeats(controller: type[Congestion], seed: int) -> None:
    """Check that two sequences of random calls with one seed have the same results.

    After each call, window, threshold and pacing rate must be allowed values.
    """
    first, second = Script(controller, seed=seed), Script(controller, seed=seed)
    random_calls(first, seed)
    random_calls(second, seed)
    _require_equal(first, second)


def _require_equal(first: Script, second: Script) -> None:
    for number, (one, other) in enumerate(zip(first.trace, second.trace, strict=True), 1):
        first.require(
            one == other,
            "a controller is a function of its calls and its seed",
            "the contract of Congestion.seed",
            f"call {number} of two equal sequences with seed {first.control.seed} ended with {one} and then "
            f"with {other}",
        )


def _first_difference(usual: list[tuple[str, int, int, int]], found: list[tuple[str, int, int, int]]) -> str:
    for number, (one, other) in enumerate(zip(usual, found, strict=False), 1):
        if one != other:
            return f"call {number} ended with {other} instead of {one}"
    return f"{len(found)} calls came instead of {len(usual)}"


def _stands_alone(controller: type[Congestion]) -> None:
    """Check that losses of one connection don't change another connection of the same host."""
    alone, twin, calm, troubled = (Script(controller) for _ in range(4))
    alone.fill(5)
    twin.fill(5)
    _require_equal(alone, twin)
    for _ in range(5):
        calm.fill(1)
        troubled.fill(1)
        troubled.lose(SMSS)
        troubled.recover()
    calm.require(
        calm.trace == alone.trace,
        "a connection's controller doesn't depend on that of another",
        "the contract of Congestion",
        f"beside another that lost segments, {_first_difference(alone.trace, calm.trace)}",
    )
