"""A released connection ends, whatever its peer does to keep it: in FIN-WAIT-1, CLOSING, CLOSE-WAIT and
LAST-ACK as in FIN-WAIT-2.
"""

from collections.abc import Callable
from dataclasses import replace

import pytest

from postel.errors import ConnectionTimedOut
from postel.tcp.memory import Memory
from postel.tcp.state import CLOSE_WAIT, CLOSED, CLOSING, ESTABLISHED, FIN_WAIT_1, FIN_WAIT_2, LAST_ACK, State
from postel.tcp.timers import ORPHAN
from postel.testing import states
from postel.testing.states import PLAIN, START, Peer, Scene, established, fin_wait_1
from postel.times import DAY, HOUR, MINUTE, NEVER, SECOND
from postel.wire.segment import ACK, FIN, RST

PATIENT = replace(PLAIN, user_timeout=NEVER)  # only what bounds an orphan ends it


def orphan_in_fin_wait_1(memory: Memory | None = None) -> Scene:
    scene = established(PATIENT, memory=memory)
    scene.hears(ACK, window=0)
    scene.sends(bytes(3000))
    scene.releases()
    return scene


def orphan_in_close_wait(memory: Memory | None = None) -> Scene:
    """What waits before our FIN keeps it from getting its number (D-15)."""
    scene = established(PATIENT, memory=memory)
    scene.hears(FIN | ACK, window=0)
    scene.sends(bytes(3000))
    scene.releases()
    return scene


def orphan_in_closing(memory: Memory | None = None) -> Scene:
    scene = established(PATIENT, memory=memory)
    scene.sends(bytes(3000))
    scene.releases()
    scene.hears(FIN | ACK, ack=1, window=0)
    return scene


def orphan_in_last_ack(memory: Memory | None = None) -> Scene:
    scene = established(PATIENT, memory=memory)
    scene.hears(FIN | ACK)
    scene.sends(bytes(3000))
    scene.releases()
    scene.hears(ACK, ack=1, window=0)
    return scene


ORPHANS: dict[State, Callable[..., Scene]] = {
    FIN_WAIT_1: orphan_in_fin_wait_1,
    CLOSE_WAIT: orphan_in_close_wait,
    CLOSING: orphan_in_closing,
    LAST_ACK: orphan_in_last_ack,
}


def with_a_closed_window(scene: Scene, _turn: int) -> None:
    scene.hears(ACK, ack=scene.una, window=0)


def with_the_octet_of_the_probe(scene: Scene, _turn: int) -> None:
    scene.hears(ACK, ack=min(scene.max, scene.una + 1), window=0)


def with_a_window_that_opens_and_shuts(scene: Scene, _turn: int) -> None:
    scene.hears(ACK, ack=scene.una, window=1)
    scene.hears(ACK, ack=scene.una, window=0)


def with_an_open_window_and_no_acknowledgment(scene: Scene, _turn: int) -> None:
    scene.hears(ACK, ack=scene.una, window=10_000)


def with_silence(_scene: Scene, _turn: int) -> None:
    pass


ANSWERS = [
    with_a_closed_window,
    with_the_octet_of_the_probe,
    with_a_window_that_opens_and_shuts,
    with_an_open_window_and_no_acknowledgment,
    with_silence,
]


def lasts(scene: Scene, answer: Callable[[Scene, int], None], most: int = DAY) -> int:
    """How long until it is CLOSED, while each thing that it sends is answered, and each second something is
    said unasked.
    """
    began, turn = scene.now, 0
    while scene.state is not CLOSED and scene.now - began < most:
        turn += 1
        deadline = scene.connection.next_timeout()
        scene.now = max(scene.now, min(deadline, scene.now + SECOND))
        scene.connection.handle_timeout(scene.now)
        scene.drain()
        if scene.state is not CLOSED:
            answer(scene, turn)
    return scene.now - began


@pytest.mark.label("BAD-WIN-7", "RFC6429-4")
@pytest.mark.parametrize("answer", ANSWERS)
@pytest.mark.parametrize("state", ORPHANS)
def test_whatever_the_peer_answers_a_released_connection_ends(
    state: State, answer: Callable[[Scene, int], None]
) -> None:
    memory = Memory(1 << 20)
    scene = ORPHANS[state](memory)
    assert scene.state is state
    assert lasts(scene, answer) <= 6 * MINUTE
    assert memory.used == 0
    assert isinstance(scene.connection.error, ConnectionTimedOut)
    assert scene.connection.next_timeout() == NEVER


@pytest.mark.label("BAD-WIN-7", "RFC2525-2.17")
@pytest.mark.parametrize("state", ORPHANS)
def test_the_peer_hears_by_a_reset_that_octets_are_missing(state: State) -> None:
    scene = ORPHANS[state]()
    lines: list[str] = []
    while scene.state is not CLOSED:
        lines = scene.expires()
        if scene.state is not CLOSED:
            with_a_closed_window(scene, 0)
    assert [segment.flags & RST for segment in scene.sent] == [RST], lines


@pytest.mark.parametrize(("before", "after"), [(states.closing, 0), (states.last_ack, 0), (fin_wait_1, 1)])
def test_without_octets_a_reset_tells_of_the_fin_alone(before: states.Maker, after: int) -> None:
    """A peer that acknowledged everything and has closed too misses nothing."""
    scene = before(PATIENT)
    scene.releases()
    resets = 0
    while scene.state is not CLOSED:
        scene.expires()
        resets += sum(segment.flags & RST != 0 for segment in scene.sent)
    assert resets == after
    assert scene.now - START <= 6 * MINUTE


@pytest.mark.label("MUST-37", "RFC6429-4")
@pytest.mark.parametrize("closes", [False, True])
def test_what_a_program_holds_is_for_the_program_to_end(closes: bool) -> None:
    scene = established()
    scene.hears(ACK, window=0)
    scene.sends(bytes(3000))
    if closes:
        scene.closes()
    assert lasts(scene, with_a_closed_window, HOUR) >= HOUR
    assert scene.state is (FIN_WAIT_1 if closes else ESTABLISHED)


def test_a_peer_that_takes_its_time_gets_everything() -> None:
    """However long it takes in all: an octet in an open window now and then is progress."""
    scene = established(PATIENT)
    scene.hears(ACK, window=0)
    scene.sends(bytes(20_000))
    scene.releases()
    while scene.una < 20_001:
        assert scene.passes(4 * MINUTE + 30 * SECOND)
        scene.hears(ACK, ack=scene.una, window=1000)
        scene.hears(ACK, window=0)
        assert scene.state is FIN_WAIT_1
    assert scene.now - START > HOUR
    scene.hears(ACK, window=1000)
    scene.hears(ACK)
    assert scene.state is FIN_WAIT_2


@pytest.mark.label("EP-TMO-9")
def test_releasing_again_moves_no_deadline() -> None:
    for make in (orphan_in_fin_wait_1, released_in_fin_wait_2):
        scene = make()
        deadline = scene.tcb.timers.due(ORPHAN)
        scene.now += 30 * SECOND
        scene.releases()
        assert scene.tcb.timers.due(ORPHAN) == deadline


def released_in_fin_wait_2() -> Scene:
    scene = states.fin_wait_2()
    scene.releases()
    return scene


@pytest.mark.parametrize("timeout", [1, SECOND, HOUR])
def test_the_time_is_a_choice(timeout: int) -> None:
    scene = established(replace(PATIENT, orphan_send_timeout=timeout))
    scene.hears(ACK, window=0)
    scene.sends(bytes(10))
    scene.releases()
    assert timeout <= lasts(scene, with_a_closed_window) <= timeout + MINUTE


@pytest.mark.soak
def test_for_ever_is_a_choice_too() -> None:
    scene = established(replace(PATIENT, orphan_send_timeout=NEVER, orphan_timeout=NEVER))
    scene.hears(ACK, window=0)
    scene.sends(bytes(10))
    scene.releases()
    assert lasts(scene, with_a_closed_window, 3 * HOUR) >= 3 * HOUR
    scene.hears(ACK, window=1000)
    scene.hears(ACK)
    assert (scene.state, scene.connection.next_timeout()) == (FIN_WAIT_2, NEVER)


# Where memory is tight


@pytest.mark.label("BAD-WIN-7", "BAD-RES-1")
@pytest.mark.parametrize("answer", [with_a_closed_window, with_silence])
@pytest.mark.parametrize("state", ORPHANS)
def test_where_memory_is_tight_it_ends_sooner(state: State, answer: Callable[[Scene, int], None]) -> None:
    memory = Memory(3500)
    scene = ORPHANS[state](memory)
    assert memory.is_tight
    began = scene.now
    while scene.state is not CLOSED:
        scene.expires()
        if scene.state is not CLOSED:
            answer(scene, 0)
    assert 20 * SECOND <= scene.now - began <= 90 * SECOND
    assert memory.used == 0


def test_tight_memory_ends_no_connection_that_a_program_holds() -> None:
    scene = established(memory=Memory(3500))
    scene.hears(ACK, window=0)
    scene.sends(bytes(3000))
    assert lasts(scene, with_a_closed_window, HOUR) >= HOUR


def test_an_orphan_that_is_served_survives_tight_memory() -> None:
    memory = Memory(3500)
    scene = established(PATIENT, Peer(window=1000), memory=memory)
    scene.sends(bytes(3400))
    scene.releases()
    while scene.una < 3401:
        scene.passes(2 * SECOND)
        scene.hears(ACK)
        assert scene.state in (FIN_WAIT_1, FIN_WAIT_2)
