"""Strategy of Hypothesis for schedules of faults: `faults`. It needs ``pip install postel[test]``."""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from hypothesis import strategies as st

from postel.errors import require_number
from postel.sim.faults import Fault, FaultKind
from postel.sim.schedules import BETWEEN, DRAWN, SETTINGS, Settings, required_hosts, required_length
from postel.sim.units import Duration, duration
from postel.times import MILLISECOND

__all__ = ["faults"]

_MOST: Final = 100


def faults(
    hosts: Sequence[str],
    *,
    count: int = 6,
    within: Duration = "10s",
    longest: Duration = "10s",
    kinds: Sequence[FaultKind] = DRAWN,
) -> st.SearchStrategy[list[Fault]]:
    """Strategy for schedules of faults, for `Simulation.apply`.

    A schedule has up to ``count`` faults (1 to 100) of ``hosts``, which are names, and of these ``kinds``.
    They begin in the time ``within`` from the start of the world, and last ``longest`` at the most (both in
    microseconds, or text such as "10s"). Hypothesis shrinks a failure to the fewest faults with which the
    test still fails. It prefers one direction to both, early faults to late ones, and short ones to long
    ones. Raises ArgumentError.

    ::

        @given(schedule=faults(["client", "server"], kinds=["partition"]))
        def test_pays_once(schedule):
            with Simulation(seed=1) as world:
                ...  # hosts, paths, software
                world.apply(schedule)
                world.run(pay())
    """
    names = required_hosts(hosts, kinds)
    require_number("count", count, 1, _MOST, f"1 to {_MOST} faults")
    last, most = duration(within, "within") // MILLISECOND, required_length(longest) // MILLISECOND
    where = st.sampled_from([place for kind in kinds for place in _places(kind, names)])
    return st.lists(
        st.builds(_fault, where, st.booleans(), st.integers(0, last), st.integers(1, most)), max_size=count
    )


class _Place(NamedTuple):
    """Fault without its direction and its time.

    It is drawn at once, because Hypothesis leaves out a fault as a whole only if the fault consists of few
    draws.
    """

    kind: FaultKind
    hosts: str
    others: str | tuple[()]
    settings: Settings


def _places(kind: FaultKind, names: list[str]) -> Iterator[_Place]:
    """All places of faults of one kind, the mildest first."""
    for settings in SETTINGS.get(kind, [{}]):
        if kind in BETWEEN:
            yield from (
                _Place(kind, one, other, settings) for one in names for other in names if one != other
            )
        else:
            yield from (_Place(kind, name, (), settings) for name in names)


def _fault(place: _Place, both: bool, at: int, length: int) -> Fault:  # noqa: FBT001 - drawn
    kind, hosts, others, settings = place
    is_both = both or kind not in BETWEEN
    return Fault(
        kind, hosts, others, both=is_both, at=at * MILLISECOND, length=length * MILLISECOND, settings=settings
    )
