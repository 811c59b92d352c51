"""Packets on their way between hosts of a world: to look at, and to deliver, drop or delay by hand."""

import pytest

from postel.errors import ArgumentError, CallError
from postel.sim import InFlight, Verdict, World, corrupt
from postel.testing.post import Post
from postel.times import MILLISECOND, NEVER, SECOND
from postel.wire.address import Endpoint, parse
from postel.wire.segment import SYN


def three() -> Post:
    post = Post("abc")
    for number in (1, 2, 3):
        post.world.at(number * MILLISECOND, lambda number=number: post.send("a", "b", str(number)))  # type: ignore[misc]
    post.world.run(until=5 * MILLISECOND)
    return post


def test_packets_under_way_are_listed_in_the_order_in_which_they_arrive() -> None:
    packets = three().world.in_flight()
    assert [(one.sender, one.receiver, one.sent_at, one.arrives_at) for one in packets] == [
        ("a", "b", number * MILLISECOND, (10 + number) * MILLISECOND) for number in (1, 2, 3)
    ]
    assert [one.octets[-1:] for one in packets] == [b"1", b"2", b"3"]
    assert packets[0].summary == "UDP 2000 > 2000, 1 octets"
    assert packets[0].segment is None
    assert repr(packets[0]) == "<a -> b UDP 2000 > 2000, 1 octets, sent at 1ms, arrives at 11ms>"


def test_a_segment_can_be_looked_at() -> None:
    world = World()
    a, b = world.host("a"), world.host("b")
    world.path(a, b)
    b.listen(7, world.now)
    a.connect("10.0.0.2", 7, world.now)
    world.pump()
    (packet,) = world.in_flight()
    assert packet.segment is not None
    assert packet.segment.flags & SYN
    assert "> 7 <SYN" in packet.summary


def test_one_is_delivered_now_dropped_or_delayed() -> None:
    post = three()
    first, second, third = post.world.in_flight()
    third.deliver()
    first.drop()
    second.delay("1s")
    assert [one.octets[-1:] for one in post.world.in_flight()] == [b"3", b"2"]
    post.world.run()
    assert post.arrived == [("b", "3", 5 * MILLISECOND), ("b", "2", SECOND + 12 * MILLISECOND)]
    assert post.diary.intercepted_because == ["dropped by hand"]
    assert post.diary.moved == [5 * MILLISECOND, SECOND + 12 * MILLISECOND]


def test_a_packet_may_be_moved_again() -> None:
    post = three()
    first, *_ = post.world.in_flight()
    first.delay("1s")
    first.delay("1s")
    first.deliver()
    post.world.run()
    assert post.texts() == ["1", "2", "3"]


def test_held_ones_come_last_and_are_delivered_in_any_order() -> None:
    post = three()
    post.world.hold("a", "b")
    held = post.world.in_flight()
    assert [(one.is_held, one.arrives_at) for one in held] == [(True, NEVER)] * 3
    assert repr(held[0]).endswith("held>")
    held[2].deliver()
    held[0].delay("20ms")
    post.world.run()
    assert post.arrived == [("b", "3", 5 * MILLISECOND), ("b", "1", 25 * MILLISECOND)]
    assert [one.octets[-1:] for one in post.world.in_flight()] == [b"2"]


def test_a_rule_may_hold_a_packet_until_it_is_released_or_delivered() -> None:
    post = Post()
    post.world.rules.append(
        lambda number, octets, sender, now: Verdict(copies=1, after=NEVER) if number < 3 else None
    )
    for text in "123":
        post.send("a", "b", text)
    post.world.run()
    assert post.texts() == ["3"]
    post.world.hold("a", "b").end()
    post.world.run()
    assert post.texts() == ["3"]
    post.world.in_flight()[1].deliver()
    post.world.run()
    assert post.texts() == ["3", "2"]
    post.world.release("a", "b")
    post.world.run()
    assert post.texts() == ["3", "2", "1"]


@pytest.mark.parametrize("call", [InFlight.deliver, InFlight.drop, lambda packet: packet.delay("1s")])
def test_what_has_arrived_or_was_dropped_can_not_be_moved(call: object) -> None:
    assert callable(call)
    post = three()
    first, second, _ = post.world.in_flight()
    first.drop()
    post.world.run()
    for packet in (first, second):
        with pytest.raises(CallError, match="no longer under way"):
            call(packet)


def test_a_delay_is_a_duration() -> None:
    first, *_ = three().world.in_flight()
    with pytest.raises(ArgumentError):
        first.delay(1.5)  # type: ignore[arg-type]


def test_every_packet_has_a_summary() -> None:
    post = Post(mtu=600)
    post.send("a", "b", "x" * 1000)
    post.world.run()
    post.send("a", "b", "once the smaller MTU is known: " + "x" * 1000)
    fragments = [one.summary for one in post.world.in_flight()]
    assert len(fragments) == 2
    assert all(summary.startswith("fragment of UDP, ") for summary in fragments)
    post.world.run()
    post.world.hosts()["a"].datagrams(remote=Endpoint(parse("10.0.0.2"), 9)).send(
        b"nothing listens there", post.world.now
    )
    post.world.run(until=post.world.now + 15 * MILLISECOND)
    (unreachable,) = post.world.in_flight()
    assert unreachable.summary.startswith("ICMP, ")
    post.world.run()
    post.world.rules.append(lambda number, octets, sender, now: corrupt(0))
    post.send("a", "b", "no version 4 any more")
    (damaged,) = post.world.in_flight()
    assert damaged.summary == "49 octets that are no packet"
