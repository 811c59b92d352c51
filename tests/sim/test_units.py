"""Durations, bandwidths and sizes with their units."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postel.errors import ArgumentError
from postel.sim import World
from postel.sim.units import bandwidth, duration, duration_text, size
from postel.times import DAY, HOUR, MILLISECOND, MINUTE, NEVER, SECOND


@pytest.mark.parametrize(
    ("given", "microseconds"),
    [
        (0, 0),
        (NEVER, NEVER),
        ("250us", 250),
        ("250µs", 250),
        ("10ms", 10 * MILLISECOND),
        ("0.5 ms", 500),
        ("2s", 2 * SECOND),
        ("1m", MINUTE),
        ("1min", MINUTE),
        ("1.5h", 90 * MINUTE),
        ("36h", 36 * HOUR),
        ("2d", 2 * DAY),
        ("0s", 0),
    ],
)
def test_durations(given: int | str, microseconds: int) -> None:
    assert duration(given) == microseconds


@pytest.mark.parametrize(
    "wrong",
    [
        -1,
        1.5,
        True,
        None,
        "",
        "5",
        "s",
        "-5s",
        "1.5us",
        "5 S",
        "5Ms",
        "1e3s",
        "5s ",
        "٣s",
        "1..5s",
        "5s/s",
        "999999999999d",
        b"5s",
    ],
)
def test_what_is_no_duration_is_refused_with_an_example(wrong: object) -> None:
    with pytest.raises(ArgumentError, match=r"^delay is .*'10ms'"):
        duration(wrong, "delay")  # type: ignore[arg-type]


def test_bandwidths_and_sizes() -> None:
    assert [bandwidth(text) for text in (0, 5, "10Mbit", "1Gbit", "64kbit/s", "1.5Mbit", "9bit")] == [
        *(0, 5, 10_000_000, 1_000_000_000, 64_000, 1_500_000, 9)
    ]
    assert [size(text) for text in (0, 5, "64KiB", "64kB", "1.5MiB", "1500B", "1GiB")] == [
        0,
        5,
        65536,
        64000,
        3 << 19,
        1500,
        1 << 30,
    ]


@pytest.mark.parametrize(
    ("read", "wrong"),
    [
        (bandwidth, "10MB"),
        (bandwidth, "10"),
        (bandwidth, 1.5),
        (size, "10Mbit"),
        (size, "1.5B"),
        (size, "1KiB/s"),
    ],
)
def test_units_of_something_else_are_refused(read: object, wrong: object) -> None:
    assert callable(read)
    with pytest.raises(ArgumentError):
        read(wrong)


@given(st.integers(0, NEVER))
def test_the_text_of_a_duration_is_read_as_the_same(microseconds: int) -> None:
    assert duration(duration_text(microseconds)) == microseconds


@pytest.mark.parametrize(
    ("microseconds", "text"),
    [
        (0, "0s"),
        (7, "7us"),
        (1500, "1.5ms"),
        (3_260_000, "3.26s"),
        (60 * SECOND, "1m"),
        (61 * SECOND, "61s"),
        (90 * MINUTE, "1.5h"),
        (1_234_567, "1234.567ms"),
    ],
)
def test_durations_are_shown_in_their_largest_unit(microseconds: int, text: str) -> None:
    assert duration_text(microseconds) == text


def test_a_world_takes_them_everywhere() -> None:
    world = World(default_path={"delay": "5ms"})
    a, b = world.host("a"), world.host("b")
    there, _ = world.path(
        a,
        b,
        delay="10ms",
        jitter="2ms",
        bandwidth="10Mbit",
        queue="64KiB",
        mtu="1400B",
        hold="1s",
        congested_at="1KiB",
    )
    assert (there.delay, there.jitter, there.bandwidth, there.queue) == (10_000, 2000, 10_000_000, "65536B")
    assert (there.mtu, there.hold, there.congested_at) == (1400, SECOND, 1024)
    there.delay = "1s"  # type: ignore[assignment]
    assert there.delay == SECOND
    called: list[int] = []
    world.at("3s", lambda: called.append(world.now))
    assert world.run(until="1m") == MINUTE
    assert called == [3 * SECOND]
