"""Partitions, holds and flapping links between hosts of a world: what passes, what is lost, and when."""

from collections.abc import Callable

import pytest

from postel.errors import ArgumentError
from postel.sim import Fault, World
from postel.testing.post import Post
from postel.times import MILLISECOND, NEVER, SECOND


def exchanged(post: Post) -> list[str]:
    """Which of "ab" and "ba" arrive, when each of the two sends one."""
    before = len(post.arrived)
    post.send("a", "b", "ab")
    post.send("b", "a", "ba")
    post.world.run()
    return sorted(post.texts()[before:])


def test_a_partition_cuts_both_ways_until_its_block_ends() -> None:
    post = Post()
    with post.world.partition("a", "b"):
        assert exchanged(post) == []
    assert exchanged(post) == ["ab", "ba"]
    assert post.diary.lost_because == ["partition", "partition"]


def test_one_way_it_cuts_what_goes_from_the_first_to_the_second() -> None:
    post = Post()
    post.world.partition("a", "b", both=False)
    assert exchanged(post) == ["ba"]
    post.world.repair("a", "b")
    assert exchanged(post) == ["ab", "ba"]


def test_what_is_under_way_when_a_partition_begins_is_lost() -> None:
    post = Post()
    post.send("a", "b", "early")
    post.world.run(until=MILLISECOND)
    with post.world.partition("a", "b"):
        pass
    post.world.run()
    assert post.arrived == []
    assert post.diary.intercepted_because == ["partition"]


def test_other_hosts_dont_notice_it() -> None:
    post = Post("abc")
    post.world.partition("a", "b")
    post.send("a", "c", "ac")
    post.send("c", "b", "cb")
    post.world.run()
    assert sorted(post.texts()) == ["ac", "cb"]


def test_without_a_second_side_a_host_is_cut_off_from_all() -> None:
    post = Post("abc")
    post.world.partition("a")
    for sender, receiver in ("ab", "ca", "bc"):
        post.send(sender, receiver, sender + receiver)
    post.world.run()
    assert post.texts() == ["bc"]


@pytest.mark.parametrize(
    "sides",
    [("a", ["b", "c"]), ("[a]", "[bc]"), (["a"], ("c", "b")), ("b*", "a")],
    ids=["list", "patterns", "tuple", "one pattern"],
)
def test_hosts_are_named_by_lists_and_patterns(sides: tuple[str, str]) -> None:
    post = Post("abcd")
    post.world.partition(*sides)
    for receiver in "bcd":
        post.send("a", receiver, receiver)
    post.world.run()
    assert "b" not in post.texts()
    assert "d" in post.texts()


def test_a_pattern_counts_for_hosts_that_are_added_later() -> None:
    post = Post()
    post.world.partition("a", "*")
    post.world.host("c")
    post.open("c")
    post.send("a", "c", "ac")
    post.world.run()
    assert post.arrived == []


def test_overlapping_partitions_last_until_the_last_one_ends() -> None:
    post = Post("abc")
    wide, narrow = post.world.partition("a", "*"), post.world.partition("a", "b")
    wide.end()
    assert exchanged(post) == []
    post.send("a", "c", "ac")
    post.world.run()
    assert post.texts() == ["ac"]
    narrow.end()
    assert exchanged(post) == ["ab", "ba"]


def test_two_alike_are_two() -> None:
    post = Post()
    first, second = post.world.partition("a", "b"), post.world.partition("a", "b")
    first.end()
    first.end()
    assert exchanged(post) == []
    second.end()
    assert exchanged(post) == ["ab", "ba"]


def test_a_repair_ends_all_of_them_where_it_covers_them() -> None:
    post = Post("abc")
    with post.world.partition("a", "*") as wide, post.world.partition("b", "a"):
        post.world.repair("a", "b")
        assert exchanged(post) == ["ab", "ba"]
        assert wide.is_active
        post.send("a", "c", "ac")
        post.world.run()
        assert "ac" not in post.texts()
        assert post.world.active_faults() == [Fault("partition", "a")]
    post.send("a", "c", "ac")
    post.world.run()
    assert "ac" in post.texts()


def test_a_repair_of_one_direction_leaves_the_other_cut() -> None:
    post = Post()
    post.world.partition("a", "b")
    post.world.repair("a", "b", both=False)
    assert exchanged(post) == ["ab"]
    post.world.repair("b", "a", both=False)
    assert exchanged(post) == ["ab", "ba"]


def test_a_partition_after_a_repair_cuts_again() -> None:
    post = Post()
    post.world.partition("a", "b")
    post.world.repair("a", "b")
    post.world.partition("b", "a")
    assert exchanged(post) == []


def test_a_repair_of_everything_leaves_nothing_behind() -> None:
    post = Post("abc")
    post.world.partition("a", "b")
    post.world.flap(["b"], "c", up="1s", down="1s")
    post.world.repair()
    assert post.world.active_faults() == []
    assert not post.world._interruptions.barriers


def test_held_packets_arrive_when_they_are_released_in_order() -> None:
    post = Post()
    post.world.hold("a", "b")
    for text in "123":
        post.send("a", "b", text)
    assert post.world.run(until=SECOND) == SECOND
    assert post.arrived == []
    post.world.release("a", "b")
    post.send("a", "b", "4")
    post.world.run()
    assert post.arrived == [
        ("b", "1", SECOND),
        ("b", "2", SECOND),
        ("b", "3", SECOND),
        ("b", "4", SECOND + 10 * MILLISECOND),
    ]
    assert post.diary.lost_because == []


def test_a_hold_stops_what_is_under_way_too() -> None:
    post = Post()
    post.send("a", "b", "early")
    post.world.run(until=MILLISECOND)
    with post.world.hold("a"):
        post.world.run(until=SECOND)
        assert post.arrived == []
    post.world.run()
    assert post.arrived == [("b", "early", SECOND)]
    assert post.diary.moved == [NEVER, SECOND]


def test_a_world_that_only_holds_packets_is_quiet() -> None:
    post = Post()
    post.world.hold("a", "b")
    post.send("a", "b", "held")
    assert post.world.run() == 0
    assert post.world.next_timeout() == NEVER


def test_what_two_holds_keep_waits_for_both() -> None:
    post = Post()
    with post.world.hold("a", "b"):
        with post.world.hold("*"):
            post.send("a", "b", "held")
            post.world.run()
        post.world.run()
        assert post.arrived == []
    post.world.run()
    assert post.texts() == ["held"]


def test_a_partition_loses_what_a_hold_keeps() -> None:
    post = Post()
    with post.world.hold("a", "b"):
        post.send("a", "b", "held")
        post.world.run()
        post.world.partition("a", "b").end()
    post.world.run()
    assert post.arrived == []
    assert post.diary.intercepted_because == ["partition"]


def test_a_repair_releases_nothing() -> None:
    post = Post()
    post.world.hold("a", "b")
    post.world.repair("a", "b")
    assert exchanged(post) == []


def test_a_flapping_link_is_up_and_down_in_turn() -> None:
    post = Post()
    post.world.flap("a", "b", up="3s", down="1s")
    sent = {}
    for tenth in range(120):
        post.world.at(tenth * SECOND // 10, lambda tenth=tenth: post.send("a", "b", str(tenth)))  # type: ignore[misc]
    post.world.run()
    sent = {int(text) for text in post.texts()}
    assert sent == {tenth for tenth in range(120) if tenth % 40 < 30}


def test_what_is_under_way_when_a_link_goes_down_is_lost() -> None:
    post = Post()
    post.world.flap("a", "b", up="1s", down="1s")
    for when in ("980ms", "995ms", "1.995s", "2s"):
        post.world.at(when, lambda when=when: post.send("a", "b", when))  # type: ignore[misc]
    post.world.run()
    assert post.texts() == ["980ms", "2s"]
    assert post.diary.lost_because == ["link down", "link down"]


def test_a_link_that_begins_to_flap_works_at_first() -> None:
    post = Post()
    post.send("a", "b", "early")
    post.world.run(until=MILLISECOND)
    post.world.flap("a", "b", up="5ms", down="5ms")
    post.send("a", "b", "too late")
    post.world.run()
    assert post.arrived == []
    post = Post()
    post.send("a", "b", "early")
    post.world.run(until=MILLISECOND)
    with post.world.flap("a", "b", up="50ms", down="5ms"):
        post.world.run()
    assert post.texts() == ["early"]


def test_flapping_keeps_no_world_from_ending() -> None:
    post = Post()
    post.world.flap("a", "b", up="1s", down="1s")
    assert post.world.run() == 0
    assert post.world.next_timeout() == NEVER


@pytest.mark.parametrize(
    "wrong",
    [
        lambda world: world.partition("nobody", "b"),
        lambda world: world.partition("a", "nobody*"),
        lambda world: world.partition([], "b"),
        lambda world: world.partition("a", "b", both="yes"),
        lambda world: world.partition(World().host("a"), "b"),
        lambda world: world.repair("x", "b"),
        lambda world: world.hold(7, "b"),
        lambda world: world.flap("a", "b", up=0, down="1s"),
        lambda world: world.flap("a", "b", up="1s", down=1.5),
        lambda world: world.change_path("a", "b", loss=2.0),
        lambda world: world.change_path("a", "b"),
        lambda world: world.crash("x"),
        lambda world: world.pause("x"),
        lambda world: world.slow("a", "1 fortnight"),
        lambda world: world.restart("[ab]"),
        lambda world: world.is_paused("x"),
    ],
)
def test_mistakes_are_named(wrong: Callable[[World], object]) -> None:
    world = Post().world
    with pytest.raises(ArgumentError):
        wrong(world)
    assert world.active_faults() == []
