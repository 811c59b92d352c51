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
    assert differing <= {"opening", "owes", "timestamps", "snd", "rcv"}
    assert active["opening"] | {"is_passive": True} == passive["opening"]


AFTER = [
    states.fin_wait_1,
    states.fin_wait_2,
    states.closing,
    states.time_wait,
    states.close_wait,
    states.last_ack,
]


@pytest.mark.parametrize("make", AFTER)
def test_a_state_after_established_may_be_of_the_side_that_connected(make: Maker) -> None:
    passive, active = make(), make(after=states.established_active)
    assert active.state is passive.state
    assert not active.tcb.opening.is_passive
    assert passive.tcb.opening.is_passive


def test_a_fin_may_follow_before_the_open_is_done() -> None:
    assert str(states.fin_wait_1(after=states.syn_received).state) == "FIN-WAIT-1"


def test_a_peer_has_the_options_that_it_is_given() -> None:
    scene = states.established(states.DEFAULT, states.Peer(mss=500, window_scale=3, sack=True, tsval=9))
    scene.sends(b"x" * 5000)
    assert len(scene.sent[0].data) + 12 == 500
    assert scene.sent[0].tsecr == 9
