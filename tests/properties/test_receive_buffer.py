"""The receive buffer has an end: what is unread or held behind a gap is never more than it by more than a
unit of the window field.
"""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postel.sim import World
from postel.tcp.config import DEFAULT
from postel.tcp.connection import Connection
from postel.tcp.events import Acceptable, Event
from postel.testing.states import PLAIN, Peer, Scene, established
from postel.times import MILLISECOND, SECOND
from postel.wire.segment import ACK

BUFFERS = (1, 100, 5000, 65_535, 65_536, 100_000, 131_072, 300_001)
SCALED_FOR = (0, 100_000, 6 << 20, 1 << 30)  # of units of 1, 2, 128 and 16,384 octets

# Octets of text, octets between RCV.NXT and its first, octets that are read afterwards
steps = st.lists(
    st.tuples(
        st.one_of(st.integers(1, 100), st.integers(1, 3000), st.integers(1, 70_000)),
        st.one_of(st.just(0), st.integers(-200, 200), st.integers(0, 70_000)),
        st.one_of(st.just(0), st.integers(0, 200_000)),
    ),
    max_size=40,
)


def held(scene: Scene) -> int:
    tcb = scene.tcb
    return tcb.rcv.unread + (0 if tcb.rcv.reassembly is None else tcb.rcv.reassembly.held)


def told_edge(scene: Scene) -> int:
    return scene.nxt + (scene.sent[-1].window << scene.tcb.rcv.shift)


def made(buffer: int, scaled_for: int) -> Scene:
    config = replace(
        PLAIN, receive_buffer=buffer, scale_for=scaled_for, window_scaling=True, sack=True, delayed_ack=0
    )
    return established(config, Peer(window_scale=7, sack=True))


@given(st.sampled_from(BUFFERS), st.sampled_from(SCALED_FOR), steps)
def test_nothing_fills_it_beyond_its_end(
    buffer: int, scaled_for: int, arriving: list[tuple[int, int, int]]
) -> None:
    """The peer sends what it likes, heeding no window."""
    scene = made(buffer, scaled_for)
    unit = 1 << scene.tcb.rcv.shift
    scene.hears(ACK, b"x")
    edge = told_edge(scene)
    for octets, ahead, reads in arriving:
        scene.hears(ACK, bytes(octets), seq=max(1, scene.nxt + ahead))
        if scene.sent:
            assert told_edge(scene) > edge - unit, "the edge moved back by more than rounding can explain"
            edge = max(edge, told_edge(scene))
        assert held(scene) <= buffer + unit
        assert scene.tcb.rcv.unread + scene.tcb.rcv.wnd <= buffer + unit
        if reads:
            scene.reads(reads)
            scene.drain()


@given(st.sampled_from(BUFFERS), st.sampled_from(SCALED_FOR), st.integers(500, 3000))
def test_the_window_closes(buffer: int, scaled_for: int, octets: int) -> None:
    """The peer heeds the window, and only that ends it."""
    scene = made(buffer, scaled_for)
    sent = 0
    window = scene.tcb.rcv.wnd
    while window:
        scene.hears(ACK, bytes(min(octets, window)))
        sent += min(octets, window)
        assert sent <= buffer + (1 << scene.tcb.rcv.shift)
        window = scene.sent[-1].window << scene.tcb.rcv.shift
    assert sent > buffer - (1 << scene.tcb.rcv.shift)


@pytest.mark.parametrize("octets", [1, 60, 127, 129, 1448])
@pytest.mark.parametrize("every", [MILLISECOND, 50 * MILLISECOND])
def test_two_ends_of_which_one_never_reads(octets: int, every: int) -> None:
    """Each write leaves as a segment of its own, and its ACK rounds the window anew."""
    accepted: list[Connection] = []

    def accepts(subject: object, event: Event, now: int) -> None:
        if isinstance(event, Acceptable):
            accepted.append(subject.accept())  # type: ignore[attr-defined]

    config = replace(DEFAULT, receive_buffer=8192, scale_for=6 << 20, nagle=False)
    world = World(1)
    near, far = (
        world.host("near", "10.0.0.1/24", config=config),
        world.host("far", "10.0.0.2/24", config=config, application=accepts),
    )
    world.path(near, far, delay=MILLISECOND)
    far.listen(9, 0)
    connection = near.connect("10.0.0.2", 9, 0)
    world.run(until=SECOND)
    sent = 0
    for _ in range(20_000 // octets + 10):
        sent += connection.send(bytes(octets), world.now)
        world.run(until=world.now + every)
    world.run(until=world.now + 60 * SECOND)
    assert accepted[0].readable <= 8192 + (1 << accepted[0]._tcb.rcv.shift)
    assert connection._tcb.snd.wnd == 0
