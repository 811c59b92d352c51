"""What leaves at once: whatever came before, a drain sends no more than the congestion window, limited
transmit and a probe allow.

Hypothesis plays the peer and the clock: it loses, repeats and forges ACKs and SACK blocks, closes and opens
its window, and lets timers run.
"""

from dataclasses import dataclass, replace

from hypothesis import given, settings
from hypothesis import strategies as st

from postel.tcp import seq
from postel.tcp.congestion.bbr import BBR
from postel.tcp.congestion.cubic import Cubic
from postel.tcp.congestion.reno import Reno
from postel.tcp.ranges import Ranges
from postel.tcp.timers import PERSIST
from postel.testing.states import PLAIN, Peer, Scene, established
from postel.times import MILLISECOND, NEVER, SECOND
from postel.wire.segment import ACK, Segment

MSS = 1000
LIMITED_TRANSMIT = 2  # segments (RFC 3042)
PROBE = (
    1  # segment that goes whatever the window says: a tail probe, or the first retransmission of an episode
)


@dataclass
class Word:
    """An ACK of the peer: ``ack`` is where SEG.ACK lies, in 1/16 of the flight, before SND.UNA where it is
    negative; blocks alike.
    """

    ack: int
    blocks: list[tuple[int, int]]
    window: int
    echo: int  # milliseconds before now
    count: int  # copies
    is_aligned: bool


@dataclass
class Write:
    octets: int


@dataclass
class Wait:
    """``duration`` microseconds; NEVER: until the next timer."""

    duration: int


SIXTEENTHS = st.integers(-4, 16)
WINDOWS = st.sampled_from([0, 1, 700, 3000, 60_000, 60_000, 60_000, 1_000_000, 1_000_000])
WORDS = st.builds(
    Word,
    ack=st.sampled_from([0, 0, 0, 1, 1, 2, 4, 8, 16, -1, -16]),
    blocks=st.lists(st.tuples(SIXTEENTHS, SIXTEENTHS), max_size=3),
    window=WINDOWS,
    echo=st.sampled_from([0, 1, 20, 500, 5000]),
    count=st.sampled_from([1, 1, 1, 2, 3, 12, 100]),
    is_aligned=st.booleans(),
)
WRITES = st.builds(Write, st.sampled_from([1, 500, 5000, 50_000, 200_000]))
WAITS = st.builds(Wait, st.sampled_from([0, MILLISECOND, 20 * MILLISECOND, SECOND, NEVER, NEVER, NEVER]))
STEPS = st.lists(st.lists(st.one_of(WORDS, WORDS, WORDS, WRITES, WAITS), min_size=1, max_size=4), max_size=40)
# Rounds in which the peer acknowledges all, so that the window is wide when the trouble begins
GROWTH = st.integers(0, 6)


def opened(*, sack: bool, timestamps: bool, tail_probe: bool, congestion: type[Reno]) -> Scene:
    config = replace(PLAIN, sack=sack, timestamps=timestamps, tail_probe=tail_probe, congestion=congestion)
    config = replace(config, window_scaling=True, user_timeout=NEVER, keep_alive=False)
    return established(config, Peer(MSS, 60_000, window_scale=5, sack=sack, tsval=5 if timestamps else -1))


def says(scene: Scene, word: Word) -> None:
    for _ in range(word.count):
        flight = scene.tcb.snd.flight

        def at(sixteenths: int, flight: int = flight) -> int:
            octets = flight * sixteenths // 16
            return scene.una + (octets - octets % MSS if word.is_aligned else octets)

        blocks = tuple([(at(left), at(right)) for left, right in word.blocks])
        scene.arrives(
            ACK,
            ack=max(0, at(word.ack)),
            window=word.window >> scene.tcb.snd.shift,
            sack=blocks,
            tsecr=(7 + scene.now // MILLISECOND - word.echo) if scene.tcb.timestamps.agreed else -1,
        )


def does(scene: Scene, action: Word | Write | Wait) -> None:
    if isinstance(action, Word):
        says(scene, action)
    elif isinstance(action, Write):
        scene.connection.send(bytes(action.octets), scene.now)
    else:
        end = scene.now + action.duration if action.duration < NEVER else scene.connection.next_timeout()
        scene.now = max(scene.now, min(end, scene.now + 3600 * SECOND))
        scene.connection.handle_timeout(scene.now)


def grows(scene: Scene, rounds: int) -> None:
    scene.connection.send(bytes(400_000), scene.now)
    scene.drain()
    for _ in range(rounds):
        scene.now += 20 * MILLISECOND
        while scene.tcb.snd.flight:
            scene.arrives(
                ACK,
                ack=min(scene.una + 2 * MSS, scene.max),
                window=1_000_000 >> scene.tcb.snd.shift,
                tsecr=echo(scene),
            )
        drains(scene)


def echo(scene: Scene) -> int:
    return 7 + scene.now // MILLISECOND - 20 if scene.tcb.timestamps.agreed else -1


def drains(scene: Scene) -> list[Segment]:
    """Everything that may go now, held against the rule."""
    tcb, window = scene.tcb, scene.tcb.ensure_controller().window
    una, edge, before = tcb.snd.una, seq.add(tcb.snd.una, tcb.snd.wnd), tcb.snd.max
    scene.drain()
    window = max(window, tcb.ensure_controller().window)  # BBR may end ProbeRTT as a flight begins
    texts = [segment for segment in scene.sent if segment.data]
    total = sum(len(segment.data) for segment in texts)
    assert total <= window + (LIMITED_TRANSMIT + PROBE) * MSS, (
        f"{total} octets leave at once on a window of {window}"
    )
    sent = Ranges()
    for segment in texts:
        start, octets = seq.offset(segment.seq, una), len(segment.data)
        assert sent.first_within(start, start + octets) == (0, 0), (
            f"{scene.text(segment)} leaves twice at once"
        )
        sent.add(start, start + octets)
        end = seq.add(segment.seq, octets)
        is_window_probe = octets == 1 and tcb.timers.is_running(PERSIST)
        if seq.gt(end, before) and not is_window_probe:
            assert seq.le(end, edge), "new octets leave beyond the peer's window"
    return texts


@settings(max_examples=400, deadline=None)
@given(
    sack=st.booleans(),
    timestamps=st.booleans(),
    tail_probe=st.booleans(),
    congestion=st.sampled_from([Reno, Cubic, BBR]),
    growth=GROWTH,
    steps=STEPS,
)
def test_no_drain_sends_more_than_window_limited_transmit_and_probes_allow(
    sack: bool,
    timestamps: bool,
    tail_probe: bool,
    congestion: type[Reno],
    growth: int,
    steps: list[list[Word | Write | Wait]],
) -> None:
    scene = opened(sack=sack, timestamps=timestamps, tail_probe=tail_probe, congestion=congestion)
    grows(scene, growth)
    for actions in steps:
        for action in actions:
            does(scene, action)
        drains(scene)
        scene.all_events()


class Told(Reno):
    """Remembers how often it was told that nothing had been lost."""

    def __init__(self, smss: int, initial_window: int, seed: int) -> None:
        super().__init__(smss, initial_window, seed)
        self.undone = 0

    def undo(self, limit: int, now: int) -> None:
        super().undo(limit, now)
        self.undone += 1


class Once:
    """Which octets in flight were sent only once, as a capture of the packets shows it. Positions are those
    of `Scene.una`.
    """

    def __init__(self) -> None:
        self.end = 1
        self.again = Ranges()

    def sees(self, scene: Scene, texts: list[Segment]) -> None:
        for segment in texts:
            start = seq.distance(scene.tcb.snd.iss, segment.seq)
            end = start + len(segment.data)
            if start < self.end:
                self.again.add(start, min(end, self.end))
            self.end = max(self.end, end)

    def covers(self, start: int, end: int) -> bool:
        return len(self.again.gaps(start, end)) > 0


@settings(max_examples=300, deadline=None)
@given(growth=GROWTH, steps=STEPS)
def test_without_sack_and_timestamps_only_octets_sent_once_disprove_a_timeout(
    growth: int, steps: list[list[Word | Write | Wait]]
) -> None:
    """RFC 5682, 2.1: the second ACK acknowledges data that wasn't retransmitted after the timeout."""
    scene = opened(sack=False, timestamps=False, tail_probe=True, congestion=Told)
    control, once = scene.tcb.ensure_controller(), Once()
    assert isinstance(control, Told)
    scene.connection.send(bytes(400_000), scene.now)
    once.sees(scene, drains(scene))
    for _ in range(growth):
        scene.now += 20 * MILLISECOND
        scene.arrives(ACK, window=1_000_000 >> scene.tcb.snd.shift)
        once.sees(scene, drains(scene))
    for actions in steps:
        for action in actions:
            una, undone = scene.una, control.undone
            does(scene, action)
            if control.undone > undone:
                assert once.covers(una, scene.una)
        once.sees(scene, drains(scene))
        scene.all_events()
