"""Hosts of a world that are switched off, paused or slow; and paths with settings that change for a while."""

from collections.abc import Callable

import pytest

from postel.errors import ArgumentError
from postel.host.host import Host
from postel.links import pair
from postel.sim import Fault, StandIn, Subject, World
from postel.tcp.events import Closed, Event, Opened
from postel.tcp.state import ESTABLISHED
from postel.testing.post import Post
from postel.times import MILLISECOND, NEVER, SECOND


def test_a_host_that_crashed_is_silent_until_it_is_restarted() -> None:
    post = Post()
    post.world.crash("b")
    assert post.world.is_crashed("b")
    post.send("a", "b", "1")
    post.world.run()
    assert post.arrived == []
    assert post.diary.intercepted_because == ["host is down"]
    fresh = post.world.restart("b")
    assert post.world.hosts()["b"] is fresh
    assert not post.world.is_crashed("b")
    post.open("b")
    post.send("a", "b", "2")
    post.world.run()
    assert post.texts() == ["2"]


def test_what_it_had_sent_arrives_and_what_it_had_to_send_doesnt() -> None:
    post = Post()
    post.send("a", "b", "under way")
    post.world.run(until=MILLISECOND)
    post.world.hosts()["a"].connect("10.0.0.2", 7, post.world.now)
    post.world.crash("a")
    post.world.run()
    assert post.texts() == ["under way"]
    assert post.world.packets == 1


def test_its_peer_hears_nothing_and_its_own_connection_is_no_more() -> None:
    world = World()
    a, b = world.host("a"), world.host("b")
    world.path(a, b)
    events: list[type[Event]] = []
    world.application(a, lambda subject, event, now: events.append(type(event)))
    b.listen(7, world.now)
    connection = a.connect("10.0.0.2", 7, world.now)
    world.run(until=SECOND)
    assert events == [Opened]
    world.crash(b)
    world.run(until=60 * SECOND)
    assert (connection.state, events) == (ESTABLISHED, [Opened])
    restarted = world.restart(b)
    assert list(restarted.connections()) == []
    connection.send(b"are you there?", world.now)
    world.run()
    assert events[1:] == [Closed]


def test_a_crash_ends_with_its_block() -> None:
    post = Post()
    with post.world.crash(["a", "b"]) as crash:
        assert post.world.is_crashed("a")
        post.world.restart("a")
        again = post.world.hosts()["a"]
        assert crash.is_active
    assert not crash.is_active
    assert not post.world.is_crashed("b")
    assert post.world.hosts()["a"] is again, "a host that was restarted meanwhile is not restarted again"


def test_a_second_crash_changes_nothing() -> None:
    post = Post()
    with post.world.crash("b"):
        with post.world.crash("b") as second:
            assert not second.is_active
        assert post.world.is_crashed("b")
    assert not post.world.is_crashed("b")


def test_what_stands_in_front_of_a_host_is_told_at_the_crash() -> None:
    world = World()
    host, told = world.host("a"), []
    world.front(host, StandIn(host), on_crash=lambda: told.append(world.now))
    world.crash(host)
    world.restart(host)
    assert told == [0]
    with pytest.raises(ArgumentError, match="another one since"):
        world.front(host, StandIn(host))
    world.crash("a")
    with pytest.raises(ArgumentError, match="down"):
        world.front(world.hosts()["a"], StandIn(host))


def test_packets_to_a_paused_host_wait_and_its_answers_are_late() -> None:
    post = Post()
    post.world.pause("b")
    assert post.world.is_paused("b")
    for text in "123":
        post.send("a", "b", text)
    post.world.run(until=SECOND)
    assert post.arrived == []
    post.send("b", "a", "by the application")
    post.world.run(until=2 * SECOND)
    assert post.arrived == []
    post.world.resume("b")
    post.world.run()
    assert post.arrived == [("b", text, 2 * SECOND) for text in "123"] + [
        ("a", "by the application", 2 * SECOND + 10 * MILLISECOND)
    ]


def test_the_timers_of_a_paused_host_are_late() -> None:
    post = Post()
    sent_at: list[int] = []
    post.world.rules.append(lambda number, octets, sender, now: sent_at.append(now))
    post.world.hosts()["a"].connect("10.9.9.9", 7, post.world.now)
    post.world.run(until=MILLISECOND)
    with post.world.pause("a"):
        post.world.run(until=30 * SECOND)
        assert sent_at == [0]
        assert post.world.next_timeout() == NEVER
    post.world.run(until=31 * SECOND)
    assert sent_at == [0, 30 * SECOND]


def test_no_more_packets_wait_than_in_the_queue_of_a_device() -> None:
    post = Post()
    post.world.pause("b")
    for number in range(502):
        post.send("a", "b", str(number))
    post.world.run()
    post.world.resume()
    post.world.run()
    assert len(post.arrived) == 500
    assert post.diary.intercepted_because == ["queue full"] * 2


def test_pauses_overlap() -> None:
    post = Post()
    with post.world.pause("b"):
        with post.world.pause("*"):
            pass
        assert post.world.is_paused("b")
        assert not post.world.is_paused("a")
    assert not post.world.is_paused("b")


def test_a_host_that_pauses_itself_hears_no_further_event() -> None:
    post = Post()
    heard: list[Event] = []

    def application(subject: Subject, event: Event, now: int) -> None:
        heard.append(event)
        post.world.pause("b")

    for text in "12":
        post.send("a", "b", text)
    post.world.application(post.world.hosts()["b"], application)
    post.world.run()
    assert len(heard) == 1


def test_a_crash_ends_a_pause() -> None:
    post = Post()
    pause = post.world.pause("b")
    post.send("a", "b", "1")
    post.world.run()
    post.world.crash("b")
    assert not pause.is_active
    post.world.restart("b")
    assert not post.world.is_paused("b")
    pause.end()
    post.world.run()
    assert post.arrived == []
    assert post.diary.intercepted_because == ["host is down"]


def test_a_slow_host_takes_its_time_for_each_packet() -> None:
    post = Post()
    slow = post.world.slow("b", "5ms")
    for text in "123":
        post.send("a", "b", text)
    post.world.run(until=16 * MILLISECOND)
    slow.end()
    post.send("a", "b", "4")
    post.world.run(until=SECOND)
    post.send("a", "b", "5")
    post.world.run()
    assert [when for _, _, when in post.arrived] == [
        15 * MILLISECOND,
        20 * MILLISECOND,
        25 * MILLISECOND,
        26 * MILLISECOND,
        1010 * MILLISECOND,
    ]
    assert post.texts() == ["1", "2", "3", "4", "5"]


def test_what_a_slow_host_has_not_handled_is_lost_when_it_crashes_and_waits_while_it_is_paused() -> None:
    post = Post()
    post.world.slow("b", "5ms")
    post.send("a", "b", "1")
    post.send("a", "b", "2")
    post.world.run(until=16 * MILLISECOND)
    assert post.texts() == ["1"]
    with post.world.pause("b"):
        post.world.run(until=SECOND)
        assert post.texts() == ["1"]
    post.world.run()
    assert post.texts() == ["1", "2"]
    post.send("a", "b", "3")
    post.world.run(until=post.world.now + 12 * MILLISECOND)
    post.world.crash("b")
    post.world.restart("b")
    post.open("b")
    post.world.run()
    assert post.texts() == ["1", "2"]


def test_a_path_has_other_settings_for_a_while() -> None:
    post = Post()
    there, back = post.world.path("a", "b", delay="10ms")
    with post.world.change_path("a", "b", both=False, delay="1s", bandwidth="1Mbit"):
        assert (there.delay, there.bandwidth, back.delay) == (SECOND, 1_000_000, 10 * MILLISECOND)
    assert (there.delay, there.bandwidth) == (10 * MILLISECOND, 0)


def test_of_two_changes_the_later_one_holds_and_either_may_end_first() -> None:
    post = Post()
    there, _ = post.world.path("a", "b", loss=0.1)
    first = post.world.change_path("a", "b", loss=0.5, delay="1s")
    second = post.world.change_path("a", loss=0.9)
    assert (there.loss, there.delay) == (0.9, SECOND)
    first.end()
    assert (there.loss, there.delay) == (0.9, 10 * MILLISECOND)
    second.end()
    assert (there.loss, there.delay) == (0.1, 10 * MILLISECOND)


def test_a_change_holds_for_a_path_that_is_made_while_it_lasts() -> None:
    post = Post()
    with post.world.change_path("a", "b", delay="1s"):
        post.send("a", "b", "slowly")
        post.world.run()
    post.send("a", "b", "at once")
    post.world.run()
    assert [when for _, _, when in post.arrived] == [SECOND, SECOND + 10 * MILLISECOND]


@pytest.mark.parametrize(("black_hole", "is_told"), [(False, True), (True, False)])
def test_the_mtu_of_a_path_shrinks_with_and_without_a_word(black_hole: bool, is_told: bool) -> None:
    post = Post()
    post.world.path("a", "b")
    a, b = (post.world.hosts()[name] for name in "ab")
    b.listen(7, post.world.now)
    connection = a.connect("10.0.0.2", 7, post.world.now)
    post.world.run(until=SECOND)
    with post.world.change_path("a", "b", mtu=1000, is_black_hole=black_hole):
        connection.send(bytes(5000), post.world.now)
        post.world.run(until=2 * SECOND)
        assert (connection.status().pmtu == 1000) is is_told
    post.world.run(until=300 * SECOND)
    assert connection.status().awaiting_ack == 0


def test_faults_that_are_active_are_listed_in_the_order_in_which_they_began() -> None:
    post = Post()
    post.world.run(until=SECOND)
    slow, pause = post.world.slow("a", "1ms"), post.world.pause(post.world.hosts()["b"])
    with post.world.crash("a"), post.world.hold("b", both=False):
        assert post.world.active_faults() == [
            Fault("slow", "a", at="1s", settings={"each": 1000}),
            Fault("pause", "b", at="1s"),
            Fault("crash", "a", at="1s"),
            Fault("hold", "b", "*", both=False, at="1s"),
        ]
    assert repr(slow) == "<active: slow a at 1s each=1ms>"
    pause.end()
    slow.end()
    assert post.world.active_faults() == []
    assert repr(pause) == "<ended: pause b at 1s>"


def test_a_host_of_another_world_or_one_that_was_replaced_is_refused() -> None:
    post = Post()
    old = post.world.hosts()["a"]
    post.world.restart("a")
    for host in (old, Host("10.0.0.9/24", secret=b"other")):
        with pytest.raises(ArgumentError, match="restarted is another one"):
            post.world.crash(host)


@pytest.mark.parametrize("call", [World.pause, lambda world, host: world.slow(host, "1ms")])
def test_a_host_on_a_link_is_neither_paused_nor_slow(call: Callable[[World, str], object]) -> None:
    world = World()
    near, _ = pair()
    attachment = world.attach(world.host("a", "10.0.0.1/24"), near)
    with pytest.raises(ArgumentError, match="on a link"):
        call(world, "a")
    assert world.active_faults() == []
    with world.crash("a"):
        assert attachment.error is not None
        assert attachment.error.strerror == "the host has crashed"
    near.close()
