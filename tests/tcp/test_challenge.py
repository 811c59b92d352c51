"""Limits of the answers to segments that don't fit (RFC 5961, 7), each a connection's own."""

from dataclasses import replace

import pytest

from postel.testing import states
from postel.testing.states import PLAIN, Maker, established
from postel.times import MILLISECOND, SECOND
from postel.wire.segment import ACK, RST, SYN

IN_STEP = {name: maker for name, maker in states.SYNCHRONIZED.items() if name != "TIME-WAIT"}


@pytest.mark.label("EP-CHL-1", "RFC5961-7a")
@pytest.mark.parametrize("flags", [RST, SYN, ACK])
def test_ep_chl_1_one_answer_in_half_a_second(flags: int) -> None:
    scene = established()
    seq = scene.nxt + (1 if flags == RST else 100_000)
    assert len(scene.hears(flags, seq=seq)) == 1
    for _ in range(100):
        assert scene.hears(flags, seq=seq) == []
    assert scene.tcb.counts.throttled == 100
    scene.now += 500 * MILLISECOND
    assert len(scene.hears(flags, seq=seq)) == 1


@pytest.mark.label("EP-CHL-1")
def test_ep_chl_1_the_interval_is_the_users_choice() -> None:
    scene = established(replace(PLAIN, challenge_interval=0))
    for _ in range(50):
        assert len(scene.hears(SYN)) == 1
        assert len(scene.hears(ACK, seq=scene.nxt - 1)) == 1


@pytest.mark.label("EP-CHL-2", "RFC9293-3.5.2-3")
def test_ep_chl_2_what_takes_sequence_space_is_always_answered() -> None:
    scene = established()
    scene.hears(SYN)
    for _ in range(10):
        assert scene.hears(ACK, b"old", seq=-500) == ["ACK seq=1 ack=1"]
    assert scene.hears(SYN) == []  # but a SYN isn't


@pytest.mark.label("EP-CHL-2")
def test_ep_chl_2_text_in_the_window_never_loses_its_ack() -> None:
    scene = established()
    scene.hears(SYN)
    scene.hears(ACK, bytes(1000))
    assert scene.hears(ACK, bytes(1000)) == ["ACK seq=1 ack=2001"]


@pytest.mark.label("BAD-CHL-1", "RFC5961-7b")
@pytest.mark.parametrize("flags", [RST, SYN, ACK])
@pytest.mark.parametrize("make", IN_STEP.values())
def test_a_keep_alive_is_answered_whatever_else_is_challenged(make: Maker, flags: int) -> None:
    """It has the number before RCV.NXT, which an attacker can only guess: challenges don't use up its
    answer.
    """
    scene = make()
    for _ in range(20):
        for _ in range(10):
            scene.hears(flags, seq=scene.nxt + (1 if flags == RST else 100_000), ack=scene.una)
        assert len(scene.hears(ACK, seq=scene.nxt - 1, ack=scene.una)) == 1
        scene.now += SECOND


@pytest.mark.label("RFC5961-7a")
def test_keep_alives_have_a_limit_of_their_own_that_no_challenge_needs() -> None:
    """Ten at once and twenty a second, so that two ends that take each other's ACKs for keep-alives don't go
    on at full speed.
    """
    scene = established()
    answers = sum(len(scene.hears(ACK, seq=scene.nxt - 1)) for _ in range(1000))
    assert answers == 10
    assert len(scene.hears(SYN)) == 1
    for _ in range(100):
        scene.now += 10 * MILLISECOND
        answers += len(scene.hears(ACK, seq=scene.nxt - 1))
    assert answers == 30


@pytest.mark.label("EP-CHL-1", "RFC5961-7a")
@pytest.mark.parametrize("octets", [0, 1, 7])
def test_two_ends_that_an_attacker_has_set_apart_make_no_storm(octets: int) -> None:
    """Each has taken in octets that the other never sent, so that the bare ACK of either lies left of the
    other's window.
    """
    ends = [established(), established()]
    for scene in ends:
        scene.hears(ACK, bytes(octets))
        scene.passes(SECOND)
    carried = 1
    while ends[carried % 2].hears(ACK, seq=ends[carried % 2].nxt - octets):
        carried += 1
        assert carried <= 21, "a storm"
