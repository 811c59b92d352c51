"""Faults as data: their text, and worlds in which they begin and end by themselves."""

import dataclasses
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postel.errors import ArgumentError
from postel.sim import Fault, World
from postel.sim.faults import KINDS
from postel.testing.post import Post
from postel.times import HOUR, MILLISECOND, NEVER, SECOND

TEXTS = [
    "partition client <-> server at 2s for 3.26s",
    "partition client -> server at 2s",
    "partition n1,n2 <-> n3,n4,n5 at 0s for 1h",
    "partition n1 <-> * at 0s for 1m",
    "hold client -> server* at 2s for 500ms",
    "flap client <-> server at 0s for 1h down=1s up=3s",
    "path client -> server at 1s for 10s delay=200ms loss=0.3",
    "path client <-> server at 1s for 10s is_black_hole=yes mtu=1280",
    "path client <-> server at 1s for 10s bandwidth=8000 queue=5",
    "path client <-> server at 1s for 10s bandwidth=8000 queue=65536B",
    "crash server at 10s for 3s",
    "pause server at 10s for 3s",
    "slow server at 10s for 3s each=1ms",
    "clock server at 10s by=1h",
    'crash "a web server","x\\u003by","at" at 10s',
]


@pytest.mark.parametrize("text", TEXTS)
def test_the_text_of_a_fault_is_read_as_the_same_fault(text: str) -> None:
    fault = Fault.parse(text)
    assert str(fault) == text
    assert repr(fault) == f"Fault.parse({text!r})"
    assert Fault.parse(str(fault)) == fault
    assert hash(Fault.parse(text)) == hash(fault)


def test_the_limit_of_a_queue_is_the_same_fault_in_any_unit() -> None:
    of = "path client <-> server at 1s for 10s queue="
    assert Fault.parse(of + "64KiB") == Fault.parse(of + "65536B") != Fault.parse(of + "65536")


names = st.text(min_size=1, max_size=8)
durations = st.integers(0, 10 * HOUR) | st.just(NEVER)
settings = {
    "flap": st.fixed_dictionaries({"up": st.integers(1, HOUR), "down": st.integers(1, HOUR)}),
    "slow": st.fixed_dictionaries({"each": st.integers(1, HOUR)}),
    "clock": st.fixed_dictionaries({"by": st.integers(0, HOUR)}),
    "path": st.fixed_dictionaries(
        {"loss": st.floats(0, 1)},
        optional={
            "delay": st.integers(0, HOUR),
            "mtu": st.integers(0, 9000),
            "is_black_hole": st.booleans(),
            "queue": st.sampled_from([0, 5, "1KiB"]),
        },
    ),
}


@st.composite
def any_fault(draw: st.DrawFn) -> Fault:
    kind = draw(st.sampled_from(KINDS))
    sided = kind in ("partition", "hold", "flap", "path")
    return Fault(
        kind,
        draw(st.lists(names, min_size=1, max_size=3)),
        draw(st.lists(names, max_size=3)) if sided else (),
        both=draw(st.booleans()) if sided else True,
        at=draw(st.integers(0, 10 * HOUR)),
        length=draw(durations),
        settings=draw(settings.get(kind, st.just({}))),
    )


@given(any_fault())
def test_any_fault_is_read_from_its_text(fault: Fault) -> None:
    text = str(fault)
    assert Fault.parse(text) == fault
    assert ";" not in text
    assert text.isprintable()


def test_a_fault_can_be_replaced_by_one_that_differs_a_little() -> None:
    fault = Fault("partition", "a", "b", at="2s", length="3s")
    shorter = dataclasses.replace(fault, length="1s")
    assert str(shorter) == "partition a <-> b at 2s for 1s"
    assert (fault.ends_at, shorter.ends_at, Fault("crash", "a").ends_at) == (5 * SECOND, 3 * SECOND, NEVER)


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "partition",
        "part a <-> b at 1s",
        "partition a <-> b at",
        "partition a <-> b at soon",
        "partition a <-> b at 1s for ever",
        "partition a <-> b at 1s up=1s",
        "partition a <-> b at 1s loudly",
        "crash a <-> b at 1s",
        "crash a -> * at 1s",
        "flap a <-> b at 1s up=1s",
        "flap a <-> b at 1s up=1s down=0s",
        "slow a at 1s each=0s",
        "path a <-> b at 1s",
        "path a <-> b at 1s loss=2",
        "path a <-> b at 1s loss=often",
        "path a <-> b at 1s mtu=big",
        "path a <-> b at 1s mtu=1280 mtu=1280",
        "path a <-> b at 1s is_black_hole=1",
        'crash "a at 1s',
        "crash a, at 1s, b",
        'crash "a\\q" at 1s',
        7,
    ],
)
def test_what_is_no_fault_is_refused(wrong: object) -> None:
    with pytest.raises(ArgumentError):
        Fault.parse(wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "make",
    [
        lambda: Fault("explode", "a"),  # type: ignore[arg-type]
        lambda: Fault("crash", ()),
        lambda: Fault("crash", ""),
        lambda: Fault("crash", ["a", 1]),  # type: ignore[list-item]
        lambda: Fault("crash", "a", at=-1),
        lambda: Fault("crash", "a", length=1.5),  # type: ignore[arg-type]
        lambda: Fault("partition", "a", "b", both=1),  # type: ignore[arg-type]
    ],
)
def test_a_fault_that_can_not_be_is_not_made(make: Callable[[], Fault]) -> None:
    with pytest.raises(ArgumentError):
        make()


def minute(post: Post, *faults: str) -> list[int]:
    """The seconds in which a packet from "a" to "b" arrives, of the first 20."""
    post.world.schedule([Fault.parse(fault) for fault in faults])
    for second in range(20):
        post.world.at(second * SECOND + 1, lambda second=second: post.send("a", "b", str(second)))  # type: ignore[misc]
    post.world.run()
    return [int(text) for text in post.texts()]


ALL = set(range(20))


def test_faults_begin_and_end_at_their_times() -> None:
    assert set(minute(Post(), "partition a <-> b at 3s for 4s")) == ALL - {3, 4, 5, 6}
    assert set(minute(Post(), "partition b -> a at 3s for 4s")) == ALL
    assert set(
        minute(Post(), "partition a <-> b at 3s for 4s", "partition a -> * at 5s for 5s")
    ) == ALL - set(range(3, 10))
    assert set(minute(Post(), "path a <-> b at 3s for 4s loss=1.0")) == ALL - {3, 4, 5, 6}
    assert set(minute(Post(), "flap a <-> b at 10s for 6s up=1s down=1s")) == ALL - {11, 13, 15}
    assert set(minute(Post(), "crash b at 15s")) == ALL - {15, 16, 17, 18, 19}


def test_held_paused_and_slow_ones_arrive_later() -> None:
    for text in ("hold a <-> b at 3s for 4s", "pause b at 3s for 4s"):
        post = Post()
        assert minute(post, text) == sorted(ALL)
        assert [when for _, text, when in post.arrived if text in ("3", "4", "5", "6")] == [7 * SECOND] * 4
    post = Post()
    minute(post, "slow b at 3s for 4s each=100ms")
    assert [when for _, text, when in post.arrived if text == "4"] == [4 * SECOND + 110 * MILLISECOND + 1]


def test_active_faults_are_the_records_that_were_scheduled() -> None:
    post, active = Post(), dict[int, list[str]]()
    faults = ["partition a <-> b at 1s for 3s", "crash a at 2s for 3s", "slow b at 3s for 1s each=1ms"]
    post.world.schedule(Fault.parse(fault) for fault in faults)
    for half in range(12):
        post.world.at(
            half * SECOND // 2 + 1,
            lambda half=half: active.update({half: [str(one) for one in post.world.active_faults()]}),
        )  # type: ignore[misc]
    post.world.run()
    assert active[1] == []
    assert active[2] == active[3] == faults[:1]
    assert active[4] == faults[:2]
    assert active[6] == faults
    assert active[8] == faults[1:2]
    assert active[10] == []


def test_a_fault_that_is_over_before_it_could_begin_does_nothing_lasting() -> None:
    post = Post()
    post.world.run(until=10 * SECOND)
    post.world.schedule(
        [Fault.parse("partition a <-> b at 3s for 4s"), Fault.parse("hold a <-> b at 9s for 2s")]
    )
    post.send("a", "b", "held")
    post.world.run()
    assert post.arrived == [("b", "held", 11 * SECOND)]
    assert post.world.active_faults() == []


@pytest.mark.parametrize("wrong", ["crash x at 1s", "partition a <-> x* at 1s", "clock a at 1s by=1s"])
def test_a_schedule_is_checked_before_anything_begins(wrong: str) -> None:
    world = Post().world
    with pytest.raises(ArgumentError):
        world.schedule([Fault.parse("crash a at 0s"), Fault.parse(wrong)])
    with pytest.raises(ArgumentError):
        world.schedule(["crash a at 1s"])  # type: ignore[list-item]
    assert world.run() == 0
    assert not world.is_crashed("a")


class Recorder:
    """Calls of a schedule, passed on to the world as a simulation's computers do."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.calls: list[tuple[str, str, int]] = []

    def crash(self, name: str) -> None:
        self.calls.append(("crash", name, self.world.now // SECOND))
        self.world.crash(name)

    def restart(self, name: str) -> None:
        self.calls.append(("restart", name, self.world.now // SECOND))
        self.world.restart(name)

    def pause(self, name: str) -> None:
        self.calls.append(("pause", name, self.world.now // SECOND))
        self.world.pause(name)

    def resume(self, name: str) -> None:
        self.calls.append(("resume", name, self.world.now // SECOND))
        self.world.resume(name)

    def jump_clock(self, name: str, by: int) -> None:
        self.calls.append(("jump", name, by // SECOND))


def test_faults_of_hosts_are_left_to_what_the_hosts_software_belongs_to() -> None:
    post = Post("abc")
    machines = Recorder(post.world)
    texts = [
        "crash [ab] at 1s for 2s",
        "pause c at 1s for 4s",
        "pause * at 3s for 1s",
        "clock b at 9s by=1h",
        "partition a <-> b at 1s for 1s",
    ]
    post.world.schedule([Fault.parse(text) for text in texts], by=machines)
    post.world.run(until=2 * SECOND - 1)
    assert [str(fault) for fault in post.world.active_faults()] == [texts[0], texts[1], texts[4]]
    post.world.run()
    assert machines.calls == [
        *(("crash", "a", 1), ("crash", "b", 1), ("pause", "c", 1)),
        ("restart", "a", 3),
        ("restart", "b", 3),
        ("pause", "a", 3),
        ("pause", "b", 3),
        ("pause", "c", 3),
        ("resume", "a", 4),
        ("resume", "b", 4),
        ("resume", "c", 5),
        ("jump", "b", 3600),
    ]
    assert post.world.active_faults() == []
