"""The short path is equal to the long one: two connections hear the same, and one of them may not take it."""

from dataclasses import replace
from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from postel.tcp import arrives, prediction
from postel.tcp.config import DEFAULT
from postel.tcp.invariants import check
from postel.tcp.state import ESTABLISHED
from postel.testing.states import MSS, Peer, Scene, established
from postel.times import MILLISECOND
from postel.wire.segment import ABSENT, ACK, FIN, PSH, URG, Segment

FULL = replace(DEFAULT, send_buffer=1 << 20, receive_buffer=1 << 16, nagle=False)


class Step(NamedTuple):
    kind: str
    amount: int = 0
    octets: int = 0
    ahead: int = 0
    flags: int = ACK
    window: int = 60_000
    ticks: int = 0


SEGMENTS = st.builds(
    Step,
    st.just("hear"),
    st.integers(0, 12),
    st.sampled_from([0, 0, 0, 1, 700, MSS, MSS]),
    st.sampled_from([0, 0, 0, 0, 0, -1, MSS, 70_000]),
    st.sampled_from([ACK, ACK, ACK, PSH | ACK, FIN | ACK, URG | ACK]),
    st.sampled_from([60_000, 60_000, 30_000, 0]),
    st.sampled_from([0, 0, 1, 1, -1]),
)
OTHERS = st.builds(Step, st.sampled_from(["send", "send", "wait", "read"]), st.integers(1, 30))


class Long(Scene):
    """Every check for each segment."""

    def hear(self, segment: Segment) -> None:
        if self.state is not ESTABLISHED:
            self.connection.segment_arrives(segment, self.now)
            return
        self.tcb.counts.segments_arrived += 1
        arrives.otherwise(self.tcb, segment, self.now)


class Short(Scene):
    predicted = 0

    def hear(self, segment: Segment) -> None:
        self.predicted += prediction.holds(self.tcb, segment)
        self.connection.segment_arrives(segment, self.now)


def opened(kind: type[Scene], *, timestamps: bool, sack: bool) -> Scene:
    """Like `established`, of that kind."""
    peer = Peer(window_scale=2, sack=sack, tsval=500 if timestamps else ABSENT)
    scene = established(replace(FULL, timestamps=timestamps, sack=sack), peer=peer)
    scene.__class__ = kind
    return scene


def heard(scene: Scene, step: Step) -> Segment:
    stamps = scene.tcb.timestamps
    return scene.segment(
        step.flags,
        bytes(step.octets),
        seq=scene.nxt + step.ahead,
        ack=max(1, scene.max - step.amount * MSS // 2),
        window=step.window,
        urgent=5 if step.flags & URG else 0,
        tsval=stamps.recent + step.ticks if stamps.agreed else None,
        tsecr=max(1, scene.now // MILLISECOND % 1000),
    )


@settings(max_examples=250, deadline=None)
@given(st.booleans(), st.booleans(), st.lists(SEGMENTS | OTHERS, max_size=40))
def test_the_short_path_leaves_the_same_behind_as_the_long_one(
    timestamps: bool, sack: bool, steps: list[Step]
) -> None:
    pair = [opened(kind, timestamps=timestamps, sack=sack) for kind in (Short, Long)]
    for step in steps:
        if not pair[0].state == pair[1].state == ESTABLISHED:
            break
        told = []
        for scene in pair:
            if step.kind == "send":
                scene.connection.send(bytes(step.amount * 700), scene.now)
            elif step.kind == "wait":
                scene.now += step.amount * 10 * MILLISECOND
                scene.connection.handle_timeout(scene.now)
            elif step.kind == "read":
                scene.connection.receive(step.amount * 1000, scene.now)
            else:
                scene.hear(heard(scene, step))
            lines = scene.drain()
            told.append((lines, [repr(segment) for segment in scene.sent], scene.image()))
        assert told[0] == told[1]
        check(pair[0].tcb)


def test_the_short_path_is_taken() -> None:
    scene = opened(Short, timestamps=True, sack=True)
    scene.connection.send(bytes(20 * MSS), scene.now)
    assert len(scene.drain()) == 10
    scene.hear(heard(scene, Step("hear", 4)))
    scene.hear(heard(scene, Step("hear", 0, MSS)))
    assert scene.predicted == 2
