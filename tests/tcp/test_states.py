"""The canonical states are what their names say."""

import pytest

from postel.testing import states
from postel.testing.states import EVERY, Maker


@pytest.mark.parametrize("name", EVERY)
def test_each_canonical_state_is_reached_and_still(name: str) -> None:
    make: Maker = EVERY[name]
    scene = make()
    assert str(scene.state) == name.removesuffix(", active")
    assert scene.drain() == []
    assert scene.events() == []


@pytest.mark.parametrize("make", [*EVERY.values(), states.established_active])
def test_the_same_inputs_make_the_same_tcb(make: Maker) -> None:
    assert make().image() == make().image()


def test_both_ways_into_established_differ_in_nothing_that_counts() -> None:
    passive, active = states.established().image(), states.established_active().image()
    differing = {name for name in passive if passive[name] != active[name]}
    assert differing <= {"is_passive", "owes", "timestamps", "snd", "rcv", "last_sent_at"}
