"""What restarts the keep-alive timer: segments with acceptable numbers, and no forged ones."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postel.errors import ConnectionTimedOut
from postel.tcp import seq as sequence
from postel.tcp.state import CLOSED, TIME_WAIT
from postel.tcp.timers import KEEP_ALIVE
from postel.testing import states
from postel.testing.states import PLAIN, Maker, Peer, Scene, established, fin_wait_2
from postel.times import MINUTE, NEVER, SECOND
from postel.wire.segment import ABSENT, ACK, FIN, PSH, RST, SYN, URG

KEEPS = replace(
    PLAIN, keep_alive=True, keep_alive_idle=10 * SECOND, keep_alive_interval=SECOND, keep_alive_probes=3
)
STAMPED = replace(KEEPS, timestamps=True)
# States in which nothing is in flight
MAKERS = {name: states.SYNCHRONIZED[name] for name in ("ESTABLISHED", "FIN-WAIT-2", "CLOSE-WAIT")}
NUMBERS = st.integers(-100_000, 100_000) | st.integers(-(1 << 31), (1 << 31) - 1)


def listened_for(scene: Scene) -> tuple[int, int]:
    return scene.tcb.timers.due(KEEP_ALIVE), scene.tcb.counts.keep_alive_probes


@given(
    make=st.sampled_from(sorted(MAKERS)),
    seq=NUMBERS,
    ack=NUMBERS,
    flags=st.sampled_from([ACK, ACK | PSH, FIN | ACK, SYN, SYN | ACK, RST, RST | ACK, URG | ACK, 0]),
    octets=st.integers(0, 3),
    probing=st.booleans(),
)
def test_only_acceptable_numbers_restart_it(
    make: str, seq: int, ack: int, flags: int, octets: int, probing: bool
) -> None:
    scene = MAKERS[make](KEEPS)
    if probing:
        scene.expires()
    else:
        scene.now += SECOND
    before = listened_for(scene)
    ahead, window, length = sequence.offset(seq, scene.nxt), scene.tcb.rcv.wnd, octets + (flags & FIN != 0)
    is_acceptable = (ahead < window and ahead + max(1, length) > 0) or (ahead == -1 and length <= 1)
    is_acceptable = (
        is_acceptable and -scene.tcb.snd.max_wnd <= sequence.offset(ack, scene.una) <= scene.max - scene.una
    )
    scene.hears(flags, bytes(octets), seq=sequence.add(seq, 0), ack=sequence.add(ack, 0))
    if not is_acceptable or flags & (SYN | RST) or not flags & ACK:
        assert listened_for(scene) == before or scene.state is CLOSED
    elif scene.tcb.rcv.wnd and scene.state.name == make.replace("-", "_"):
        assert listened_for(scene) == (scene.now + 10 * SECOND, 0)


@pytest.mark.parametrize("tsval", [ABSENT, 10])
def test_nor_do_segments_without_the_right_timestamp(tsval: int) -> None:
    scene = established(STAMPED, Peer(tsval=100))
    scene.now += SECOND
    before = listened_for(scene)
    scene.hears(ACK, tsval=tsval)
    assert listened_for(scene) == before
    scene.hears(ACK, tsval=101)
    assert listened_for(scene) == (scene.now + 10 * SECOND, 0)


@pytest.mark.parametrize("make", MAKERS.values())
@pytest.mark.parametrize(
    "numbers", [{"seq": 123_456_789}, {"ack": 123_456_789}, {"seq": -5, "ack": -200_000}]
)
def test_a_dead_peer_is_noticed_whatever_strangers_send(make: Maker, numbers: dict[str, int]) -> None:
    scene = make(KEEPS)
    start = scene.now
    while scene.state is not CLOSED and scene.now < start + MINUTE:
        scene.passes(SECOND // 2)
        scene.hears(ACK, **numbers)
    assert isinstance(scene.connection.error, ConnectionTimedOut)
    assert scene.now <= start + 13 * SECOND


@pytest.mark.parametrize("make", MAKERS.values())
def test_a_peer_that_answers_lives_for_ever(make: Maker) -> None:
    scene = make(KEEPS)
    for _ in range(20):
        assert scene.expires() == [f"ACK seq={scene.max - 1} ack={scene.nxt}"]
        scene.hears(ACK)
        assert listened_for(scene) == (scene.now + 10 * SECOND, 0)


# Other probes than its own


def test_an_answered_probe_is_no_challenge() -> None:
    """With an interval that never ends one probe goes out, and its answer stops no timer. A RST in TIME-WAIT
    is ignored all the same.
    """
    scene = fin_wait_2(replace(KEEPS, keep_alive_interval=NEVER))
    assert scene.expires() == ["ACK seq=1 ack=1"]
    scene.hears(ACK)
    scene.hears(FIN | ACK)
    assert scene.state is TIME_WAIT
    scene.hears(RST)
    assert scene.state is TIME_WAIT  # RFC 1337


def test_what_is_sent_while_probes_go_unanswered_ends_the_probing() -> None:
    scene = established(KEEPS)
    scene.expires()
    scene.expires()
    scene.sends(b"text")
    while not scene.tcb.timers.due(KEEP_ALIVE) > scene.now + SECOND:
        scene.expires()
    due = scene.tcb.timers.due(KEEP_ALIVE)
    scene.connection.configure(replace(KEEPS, keep_alive_interval=5 * SECOND), scene.now)
    assert scene.tcb.timers.due(KEEP_ALIVE) == due  # it is the idle time that passes


@pytest.mark.parametrize("answered", [False, True])
def test_probes_of_a_closed_window_and_of_a_silent_peer_are_counted_apart(answered: bool) -> None:
    """The window closes while keep-alive probes are unanswered; it opens again after more window probes than
    those may be.
    """
    scene = established(KEEPS)
    scene.hears(ACK, window=0)
    scene.expires()
    scene.expires()
    assert probes(scene) == (0, 2)
    scene.sends(b"text")
    start = scene.now
    while scene.now < start + 30 * SECOND:
        scene.expires()
        if answered:
            scene.hears(ACK, window=0, ack=scene.una)
    assert probes(scene)[0] > KEEPS.keep_alive_probes
    assert probes(scene)[1] == 0
    assert scene.hears(ACK) != []
    scene.hears(ACK)
    assert probes(scene) == (0, 0)
    assert scene.connection.next_timeout() == scene.now + 10 * SECOND
    assert scene.expires() == [f"ACK seq={scene.max - 1} ack={scene.nxt}"]
    assert probes(scene) == (0, 1)


def probes(scene: Scene) -> tuple[int, int]:
    """Of the window, of the peer."""
    return scene.tcb.snd.window_probes, scene.tcb.counts.keep_alive_probes
