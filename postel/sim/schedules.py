"""Schedules of faults that are drawn from a seed: which faults hit which hosts, when, and for how long."""

from collections.abc import Sequence
from random import Random
from typing import Final

from postel.errors import ArgumentError, require_choice, require_number
from postel.sim.faults import Fault, FaultKind
from postel.sim.units import Duration, duration
from postel.times import MILLISECOND

Settings = dict[str, object]
DRAWN: Final[tuple[FaultKind, ...]] = ("partition", "crash")  # kinds to draw from if the caller names none
BETWEEN: Final = ("partition", "hold", "flap", "path")
SETTINGS: Final[dict[FaultKind, list[Settings]]] = {  # possible settings of each kind, the mildest first
    "flap": [{"up": up, "down": down} for up in ("1s", "100ms") for down in ("100ms", "1s")],
    "path": [
        {"loss": 0.1},
        {"loss": 0.5},
        {"delay": "100ms"},
        {"delay": "1s"},
        {"reorder": 0.5},
        {"duplicate": 0.5},
    ],
    "slow": [{"each": "1ms"}, {"each": "20ms"}],
    "clock": [{"by": "1s"}, {"by": "1m"}, {"by": "1h"}],
}
_MOST: Final = 10_000


def draw(
    random: Random,
    hosts: Sequence[str],
    *,
    count: int = 6,
    within: Duration = "10s",
    longest: Duration = "10s",
    kinds: Sequence[FaultKind] = DRAWN,
) -> list[Fault]:
    """Draw between one and ``count`` faults of ``hosts``, in the order in which they begin.

    The faults are of these ``kinds``. They begin in the time ``within`` from the start of the world, and last
    ``longest`` at the most (both in microseconds, or text such as "10s"). The logarithm of a length is drawn,
    between a hundredth of ``longest`` and ``longest``, so that half of the faults are shorter than a tenth of
    it. Raises ArgumentError.
    """
    names = required_hosts(hosts, kinds)
    require_number("count", count, 1, _MOST, f"1 to {_MOST} faults")
    last, most = duration(within, "within"), required_length(longest)
    found = [
        _one(random, names, random.choice(list(kinds)), last, most) for _ in range(random.randint(1, count))
    ]
    return sorted(found, key=lambda fault: fault.at)


def required_hosts(hosts: Sequence[str], kinds: Sequence[FaultKind]) -> list[str]:
    """Check names of hosts, and return them. Kinds between hosts need two names. Raises ArgumentError."""
    names = [hosts] if isinstance(hosts, str) else list(hosts)
    if not kinds:
        raise ArgumentError("kinds", kinds, "one kind of fault or more")
    for kind in kinds:
        require_choice("kinds", kind, (*BETWEEN, "crash", "pause", "slow", "clock"))
    needed = 2 if any(kind in BETWEEN for kind in kinds) else 1
    if len(set(names)) != len(names) or len(names) < needed:
        raise ArgumentError("hosts", names, f"{needed} different names or more")
    return names


def required_length(longest: Duration) -> int:
    """Check ``longest``, the limit of a fault's length. Returns microseconds. Raises ArgumentError."""
    length = duration(longest, "longest")
    if length < MILLISECOND:
        raise ArgumentError("longest", longest, "a millisecond or more")
    return length


def _one(random: Random, names: list[str], kind: FaultKind, last: int, longest: int) -> Fault:
    at = _whole(random.uniform(0, last))
    length = max(MILLISECOND, _whole(longest * 100 ** (random.random() - 1)))
    settings = random.choice(SETTINGS.get(kind, [{}]))
    if kind not in BETWEEN:
        return Fault(kind, random.choice(names), at=at, length=length, settings=settings)
    one, other = random.sample(names, 2)
    others = random.choice([other, "*"])
    return Fault(kind, one, others, both=random.random() < 0.5, at=at, length=length, settings=settings)


def _whole(microseconds: float) -> int:
    return round(microseconds) // MILLISECOND * MILLISECOND
