"""Calls of a congestion controller without a connection, in the order that its contract allows.

After each call the controller is checked.
"""

import sys
from collections.abc import Iterator
from random import Random
from typing import Final

from postel.congestion import Congestion, Sample
from postel.times import MILLISECOND, MINUTE, SECOND

SMSS: Final = 1448
NO_LIMIT: Final = 1 << 62
ROUND_TRIP: Final = 50 * MILLISECOND
START: Final = 1000 * SECOND
TIMELESS: Final = ("remember", "resized")  # methods without the argument ``now``
CALLS: Final = 400
ACTS: Final = ("rest", "start", "timeout", "resize", *["ack"] * 8)


class CheckFailed(AssertionError):
    """Error about a rule that a controller breaks.

    ``rule`` is the rule, ``section`` is its place in an RFC or in the contract, and ``happened`` says what
    broke it.
    """

    def __init__(self, rule: str, section: str, happened: str) -> None:
        """Make the error, with rule, section and event in its message."""
        super().__init__(f"{rule} ({section}): {happened}")
        self.rule = rule
        self.section = section
        self.happened = happened


def require(holds: bool, rule: str, section: str, happened: str) -> None:  # noqa: FBT001 - as assert
    """Raise CheckFailed unless the rule holds."""
    if not holds:
        raise CheckFailed(rule, section, happened)


def check_figures(control: Congestion, smallest: int, call: str) -> None:
    """Check what must hold after every call.

    ``smallest`` is the smallest segment size in octets that the controller was given so far.
    """
    for name in ("window", "threshold", "pacing_rate"):
        value: object = getattr(control, name)
        rule = "window, threshold and pacing_rate are whole numbers, and none is negative"
        is_right = isinstance(value, int) and not isinstance(value, bool) and value >= 0
        require(is_right, rule, "the contract of Congestion", f"{call} left {name} at {value!r}")
    require(
        control.window >= smallest,
        "the window is one segment at least",
        "RFC 5681, 3.1",
        f"{call} left window at {control.window}; smss is {control.smss}",
    )


class Script:
    """Controller on an imaginary path with a fixed round-trip time, and the calls that the check makes.

    ``last`` is the latest call as text; ``trace`` has window, threshold and pacing rate after each call.
    """

    def __init__(self, controller: type[Congestion], *, seed: int = 1, segments: int = 10) -> None:
        """Make the controller with a first window of ``segments`` segments."""
        self.last: str = f"the constructor, called with ({SMSS}, {segments * SMSS}, {seed})"
        self.now: int = START
        self.sample: Sample = Sample()
        self.trace: list[tuple[str, int, int, int]] = []
        self.smallest: int = SMSS
        try:
            self.control: Congestion = controller(SMSS, segments * SMSS, seed)
        except Exception as error:
            raise self._raised(error) from error
        self._check()

    def require(self, holds: bool, rule: str, section: str, happened: str) -> None:  # noqa: FBT001 - as assert
        """Raise CheckFailed unless the rule holds."""
        require(holds, rule, section, happened)

    def call(self, name: str, *, again: bool | None = None, **told: int) -> None:
        """Call the controller's method ``name``.

        ``told`` has the method's argument under the name that reports use; the time is passed after it.
        """
        options = {} if again is None else {"again": again}
        self.last = f"{name}({', '.join(f'{key}={value}' for key, value in {**told, **options}.items())})"
        times = () if name in TIMELESS else (self.now,)
        self._try(getattr(self.control, name), (*told.values(), *times), options)

    def _try(self, method: object, arguments: tuple[object, ...], options: dict[str, bool]) -> None:
        assert callable(method)
        try:
            method(*arguments, **options)
        except Exception as error:
            raise self._raised(error) from error
        self._check()

    def _raised(self, error: Exception) -> CheckFailed:
        return CheckFailed(
            "a controller raises no exception", "the contract of Congestion", f"{self.last} raised {error!r}"
        )

    def _check(self) -> None:
        control = self.control
        check_figures(control, self.smallest, self.last)
        self.trace.append((self.last, control.window, control.threshold, control.pacing_rate))

    # What a path does

    def acks(self) -> Iterator[int]:
        """Yield the number of octets that each ACK of a full window acknowledges: two segments."""
        segments = max(1, self.control.window // SMSS)
        yield from (2 * SMSS for _ in range(segments // 2))
        if segments % 2:
            yield SMSS

    def fill(self, rounds: int) -> None:
        """Acknowledge full windows, as many as ``rounds``."""
        for _ in range(rounds):
            for octets in self.acks():
                self.acknowledge(octets)

    def acknowledge(self, octets: int, *, flight: int = 0, in_use: bool = True) -> None:
        """Let an ACK arrive for ``octets``, with ``flight`` octets in flight before it (0: a full window)."""
        flight = flight or self.control.window
        self.now += max(1, ROUND_TRIP * octets // flight)
        self.deliver(octets, flight, in_use=in_use)
        self.observe()
        if in_use:
            self.call("acknowledged", octets=octets)

    def deliver(self, octets: int, flight: int, *, in_use: bool) -> None:
        """Fill in ``sample``: ``octets`` of ``flight`` have arrived, and nothing else happened."""
        sample = self.sample
        sample.acked = sample.delivered = octets
        sample.lost = sample.marked = 0
        sample.flight_before, sample.flight = flight, max(0, flight - octets)
        sample.round_trip = sample.interval = ROUND_TRIP
        sample.smoothed = 0
        sample.una += octets
        sample.max = sample.una + sample.flight
        sample.total_delivered += octets
        sample.is_window_limited = in_use
        sample.is_app_limited = not in_use
        sample.prior_delivered = max(0, sample.total_delivered - flight)
        sample.rate = (sample.total_delivered - sample.prior_delivered) * SECOND // ROUND_TRIP
        sample.segment_flight = flight
        sample.segment_lost = sample.total_lost
        sample.lost_since = 0

    def observe(self) -> None:
        """Call `observed` with the present ``sample``."""
        references = sys.getrefcount(self.sample)
        self.last = (
            f"observed(sample with delivered={self.sample.delivered}, lost={self.sample.lost}, "
            f"marked={self.sample.marked})"
        )
        self._try(self.control.observed, (self.sample, self.now), {})
        require(
            sys.getrefcount(self.sample) <= references,
            "a controller keeps no reference to a sample, which is used again",
            "the contract of Congestion.observed",
            f"{self.last} kept one",
        )

    def lose(self, octets: int) -> None:
        """Let recovery begin, with a full window in flight."""
        flight = self.control.window
        self.deliver(SMSS, flight, in_use=True)
        self.sample.lost = self.sample.lost_since = octets
        self.sample.total_lost += octets
        self.observe()
        self.call("remember", flight=flight)
        self.call("lost", flight=flight)

    def recover(self) -> None:
        """Let recovery end."""
        self.call("recovered", flight=self.control.threshold)

    def mark(self) -> None:
        """Let an ACK arrive that reports congestion (ECN)."""
        flight = self.control.window
        self.deliver(SMSS, flight, in_use=True)
        self.sample.marked = SMSS
        self.observe()
        self.call("marked", flight=flight)

    def time_out(self, *, again: bool) -> None:
        """Let the retransmission timer expire. ``again`` says that it expired for the same octets before."""
        flight = self.control.window
        self.now += SECOND
        if not again:
            self.call("remember", flight=flight)
        self.call("timed_out", flight=flight, again=again)

    def undo(self, limit: int) -> None:
        """Tell the controller that the last reduction was needless."""
        self.deliver(SMSS, max(SMSS, self.control.window), in_use=False)
        self.observe()
        self.call("undo", limit=limit)

    def resize(self, smss: int) -> None:
        """Change the size of segments."""
        self.smallest = min(self.smallest, smss)
        self.call("resized", smss=smss)

    def idle(self) -> None:
        """Let the connection send again after a time without sending."""
        self.call("idled")
        self.call("started")


def random_calls(script: Script, seed: int) -> None:
    """Make 400 calls in an order in which ACKs, timers and sends may cause them.

    The arguments are random, but don't contradict each other.
    """
    dice = Random(f"{seed}/calls")
    in_recovery = may_undo = has_timed_out = False
    for _ in range(CALLS):
        script.now += dice.choice((0, 1, dice.randrange(SECOND), dice.randrange(10 * MINUTE)))
        flight = dice.choice((SMSS, script.control.window, dice.randrange(1, 2 * script.control.window + 2)))
        act = dice.choice(ACTS)
        if act == "rest":
            script.idle()
        elif act == "start":
            script.call("started")
        elif act == "resize":
            script.resize(dice.choice((536, 1220, SMSS, 8948)))
        elif act == "timeout":
            again = has_timed_out and dice.random() < 0.5
            if not again:
                script.call("remember", flight=flight)
            script.call("timed_out", flight=flight, again=again)
            in_recovery, may_undo, has_timed_out = False, True, True
        else:
            has_timed_out = False
            in_recovery, may_undo = _random_ack(
                script, dice, flight, in_recovery=in_recovery, may_undo=may_undo
            )


def _random_ack(
    script: Script, dice: Random, flight: int, *, in_recovery: bool, may_undo: bool
) -> tuple[bool, bool]:
    """Let a random ACK arrive. Returns whether recovery goes on after it, and whether an undo may follow."""
    acked = dice.choice((0, min(flight, SMSS), flight, dice.randrange(flight + 1)))
    in_use = not in_recovery and dice.random() < 0.7
    _randomize(script, dice, acked, flight, in_use=in_use)
    script.observe()
    if script.sample.marked and not in_recovery:
        script.call("marked", flight=flight)
        may_undo = False
    if may_undo and dice.random() < 0.1:
        script.call("undo", limit=dice.choice((NO_LIMIT, flight + SMSS)))
        in_recovery = may_undo = False
    if in_recovery and acked and dice.random() < 0.3:
        script.call("recovered", flight=script.sample.flight)
        in_recovery = False
    elif script.sample.lost and not script.sample.marked:
        if not in_recovery:
            script.call("remember", flight=flight)
        script.call("lost", flight=flight)
        in_recovery = may_undo = True
    elif in_use and not script.sample.marked:
        script.call("acknowledged", octets=acked)
    return in_recovery, may_undo


def _randomize(script: Script, dice: Random, acked: int, flight: int, *, in_use: bool) -> None:
    sample = script.sample
    script.deliver(acked, flight, in_use=in_use)
    if dice.random() < 0.2:
        sample.lost = dice.randrange(flight - acked + 1)
        sample.total_lost += sample.lost
    sample.marked = dice.randrange(acked + 1) if dice.random() < 0.1 else 0
    sample.round_trip = dice.choice((0, 1, dice.randrange(1, 10 * SECOND)))
    sample.smoothed = dice.choice((0, dice.randrange(1, SECOND)))
    sample.is_app_limited = dice.random() < 0.3
    sample.interval = dice.choice((0, 1, dice.randrange(1, SECOND)))
    sample.rate = (
        (sample.total_delivered - sample.prior_delivered) * SECOND // sample.interval
        if sample.interval
        else 0
    )
    sample.lost_since = dice.randrange(sample.lost + 1)
    sample.segment_lost = sample.total_lost - sample.lost_since
