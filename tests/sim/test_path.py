"""One direction of a path, with packets by hand."""

from collections.abc import Callable
from random import Random

import pytest

from postel.errors import ArgumentError
from postel.sim import DROP, Path, corrupt, deliver_after, dropping, duplicate, echo
from postel.times import MILLISECOND, SECOND
from postel.wire import ip

PACKET = bytes(range(100))


def path(**settings: float | str) -> Path:
    return Path(Random(1), **settings)  # type: ignore[arg-type]


def test_a_packet_arrives_after_the_delay() -> None:
    assert path(delay=7).carry(PACKET, 100) == [(107, PACKET)]


def test_bandwidth_makes_packets_wait_for_each_other() -> None:
    slow = path(delay=0, bandwidth=800)  # a packet of 100 octets takes a second
    assert [slow.carry(PACKET, 0)[0][0] for _ in range(3)] == [SECOND, 2 * SECOND, 3 * SECOND]


@pytest.mark.parametrize("queue", [1, "150B", "0.1kB"])
def test_the_queue_is_as_long_as_it_says(queue: int | str) -> None:
    slow = path(delay=0, bandwidth=800, queue=queue)
    slow.carry(PACKET, 0)
    assert slow.admits(PACKET, 0) == ""
    slow.carry(PACKET, 0)
    assert slow.admits(PACKET, 0) == "queue full"
    assert slow.admits(PACKET, SECOND) == ""


@pytest.mark.parametrize("queue", [64, "64B"])
def test_an_int_limits_packets_of_any_length_and_text_octets(queue: int | str) -> None:
    slow = path(delay=0, bandwidth=8, queue=queue)
    admitted = 0
    while not slow.admits(bytes(1), 0):
        slow.carry(bytes(1), 0)
        admitted += 1
    assert admitted == 65  # one of them is being sent
    long = path(delay=0, bandwidth=8, queue=queue)
    for _ in range(20):
        long.carry(bytes(1500), 0)
    assert long.admits(bytes(1500), 0) == ("" if queue == 64 else "queue full")


def test_no_queue_at_all_admits_a_packet_when_none_is_being_sent() -> None:
    for queue in (0, "0B"):
        slow = path(delay=0, bandwidth=800, queue=queue)
        assert slow.queue == 0
        assert slow.admits(PACKET, 0) == ""
        slow.carry(PACKET, 0)
        assert [slow.admits(PACKET, now) for now in (0, SECOND - 1, SECOND)] == ["queue full"] * 2 + [""]


def test_the_limit_of_a_queue_may_be_changed_and_put_back() -> None:
    slow = path(delay=0, bandwidth=800, queue="64 KiB")
    was = slow.queue
    slow.queue = 0
    slow.carry(PACKET, 0)
    assert slow.admits(PACKET, 0) == "queue full"
    slow.queue = was
    assert (slow.queue, slow.admits(PACKET, 0)) == ("65536B", "")
    for wrong in (-1, 1.5, True, "64", "64 packets", "64KiB/s", None):
        with pytest.raises(
            ArgumentError, match=r"queue is .*; allowed: packets as an int, or octets as text"
        ):
            slow.queue = wrong  # type: ignore[assignment]


def test_jitter_delays_and_never_reorders() -> None:
    jittery = path(delay=1000, jitter=5000)
    arrivals = [jittery.carry(PACKET, now)[0][0] for now in range(0, 100_000, 100)]
    assert arrivals == sorted(arrivals)
    assert len({arrival - now for arrival, now in zip(arrivals, range(0, 100_000, 100), strict=True)}) > 20


def test_reordered_packets_are_overtaken() -> None:
    arrivals = [
        path_.carry(PACKET, now)[0][0] for path_ in [path(reorder=0.3)] for now in range(0, 100_000, 1000)
    ]
    assert arrivals != sorted(arrivals)


@pytest.mark.parametrize(("setting", "count"), [("loss", 0), ("duplicate", 2)])
def test_a_chance_of_one_is_certain(setting: str, count: int) -> None:
    assert len(path(**{setting: 1.0}).carry(PACKET, 0)) == count


@pytest.mark.parametrize(("source", "target"), [(bytes(4), b"\x0a\0\0\1"), (bytes(16), bytes(range(16)))])
@pytest.mark.parametrize(("mark", "left"), [(0, None), (1, 3), (2, 3), (3, 3)])
def test_congestion_marks_what_is_capable_and_loses_what_is_not(
    source: bytes, target: bytes, mark: int, left: int | None
) -> None:
    """RFC 3168, 5."""
    told = path(congestion=1.0)
    arrived = told.carry(ip.encode(source, target, 6, bytes(50), traffic_class=0x28 | mark), 0)
    assert [ip.parse(octets).traffic_class for _, octets in arrived] == (
        [] if left is None else [0x28 | left]
    )
    assert [ip.parse(octets).payload for _, octets in arrived] == ([] if left is None else [bytes(50)])
    assert (told.marked, told.lost, told.carried) == ((0, 1, 0) if left is None else (1, 0, 1))


def test_a_queue_of_some_length_tells_of_congestion() -> None:
    packet = ip.encode(bytes(4), bytes(4), 6, bytes(80), traffic_class=2)
    slow = path(delay=0, bandwidth=800, congested_at=150)
    marks = [ip.parse(slow.carry(packet, 0)[0][1]).traffic_class for _ in range(4)]
    assert (marks, slow.marked) == ([2, 2, 3, 3], 2)
    assert ip.parse(slow.carry(packet, 10 * SECOND)[0][1]).traffic_class == 2


def test_a_verdict_overrules_congestion() -> None:
    told = path(congestion=1.0)
    assert len(told.carry(PACKET, 0, verdict=duplicate(2))) == 2


def test_chances_come_out_about_as_they_say() -> None:
    lossy = path(loss=0.2)
    for _ in range(5000):
        lossy.carry(PACKET, 0)
    assert 800 < lossy.lost < 1200
    assert lossy.lost + lossy.carried == 5000


def test_corruption_turns_exactly_one_bit() -> None:
    ((_, damaged),) = path(corrupt=1.0).carry(PACKET, 0)
    difference = int.from_bytes(damaged, "big") ^ int.from_bytes(PACKET, "big")
    assert difference.bit_count() == 1


def test_a_verdict_overrules_the_dice() -> None:
    assert path(loss=1.0).carry(PACKET, 0, verdict=duplicate(3)) == [(10 * MILLISECOND, PACKET)] * 3
    assert path().carry(PACKET, 0, verdict=DROP) == []
    assert path(delay=5).carry(PACKET, 10, verdict=deliver_after(SECOND)) == [(SECOND + 10, PACKET)]
    assert path(delay=5).carry(PACKET, 0, verdict=corrupt(0)) == [(5, b"\x80" + PACKET[1:])]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("delay", -1),
        ("loss", 1.5),
        ("duplicate", -0.1),
        ("bandwidth", -1),
        ("queue", -1),
        ("congestion", 2.0),
        ("congested_at", -1),
    ],
)
def test_wrong_settings_are_named(name: str, value: float) -> None:
    with pytest.raises(ArgumentError, match=f"{name} is {value}"):
        path(**{name: value})


WRONG: tuple[Callable[[], object], ...] = (
    *[lambda wrong=wrong: deliver_after(wrong) for wrong in (-1, True, 1.5, "1", None)],  # type: ignore[misc]
    *[lambda wrong=wrong: echo(wrong) for wrong in (-1, True, 1.5)],  # type: ignore[misc]
    *[lambda wrong=wrong: duplicate(wrong) for wrong in (0, -5, True, 1 << 30)],  # type: ignore[misc]
    *[lambda wrong=wrong: corrupt(wrong) for wrong in (-1, -2, -3, True, "first", 1 << 30)],  # type: ignore[misc]
    *[lambda wrong=wrong: dropping(wrong) for wrong in (0, -1, "2", [1])],  # type: ignore[misc]
)


def test_wrong_verdicts_are_named() -> None:
    for wrong in WRONG:
        with pytest.raises(ArgumentError):
            wrong()
