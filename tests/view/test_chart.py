"""The chart of a connection: what is sampled, where it lies, and what stays out."""

import doctest
import re
from xml.etree import ElementTree as ET

import pytest

from postel.cli.demo import transfer_seen
from postel.sim import World
from postel.tcp.connection import Connection
from postel.testing.states import LOCAL, PLAIN, REMOTE, SYN, established
from postel.times import MILLISECOND, SECOND
from postel.view import chart
from postel.view.chart import Sample, Sampler, render
from postel.wire.segment import ACK

KIBIBYTE = 1024


def sample(
    when: int, window: int = 0, threshold: int = 0, flight: int = 0, round_trip: int = 0, again: int = 0
) -> Sample:
    return Sample(when, window, threshold, flight, round_trip, again)


def parts(picture: str, kind: str, tag: str = "path") -> list[ET.Element]:
    return [
        element
        for element in ET.fromstring(picture).iter("{http://www.w3.org/2000/svg}" + tag)
        if kind in element.get("class", "").split()
    ]


def texts(picture: str) -> list[str]:
    return [element.text or "" for element in ET.fromstring(picture).iter("{http://www.w3.org/2000/svg}text")]


def test_the_sampler_looks_whenever_a_segment_of_its_connection_passes() -> None:
    sampler = Sampler()
    connection = Connection(LOCAL, REMOTE, PLAIN, observer=sampler)
    other = Connection(LOCAL, LOCAL, PLAIN, observer=sampler)
    connection.open_active(1)
    assert connection.next_segment(1)
    assert sampler.samples == []
    sampler.watch(connection)
    other.open_active(2)
    assert other.next_segment(2)
    scene = established(PLAIN)
    # Its ACK is impossible, and still it is sampled
    connection.segment_arrives(scene.segment(SYN | ACK, ack=0), 5)
    assert [found.when for found in sampler.samples] == [5]
    connection.abort(6)
    assert connection.next_segment(7)
    assert len(sampler.samples) == 1


def test_a_world_is_watched_and_seen_to_lose() -> None:
    samples = transfer_seen(1)
    assert transfer_seen(1) == samples != []
    assert samples[-1].retransmissions > 3
    assert max(found.window for found in samples) > samples[-1].threshold > 60_000
    assert samples[0].threshold == 0
    assert samples[-1].when > 9 * SECOND
    picture = render(samples)
    for name in ("window", "threshold", "flight", "round-trip"):
        assert len(parts(picture, name)) == 1, name
    assert len(parts(picture, "again", "line")) > 3
    assert len(picture) < 200_000  # thinned: there are thousands of samples


def test_values_are_steps_between_two_axes() -> None:
    picture = render(
        [sample(0, 100 * KIBIBYTE), sample(SECOND, 50 * KIBIBYTE), sample(2 * SECOND, 50 * KIBIBYTE)]
    )
    assert [path.get("d") for path in parts(picture, "window")] == ["M70.0 64.0H463.0V199.0H856"]
    assert [text for text in texts(picture) if text.replace(".", "").isdigit()] == [
        *("0", "20", "40", "60", "80", "100"),
        *("0", "0.2", "0.4", "0.6", "0.8", "1"),
        *("0", "0.5", "1", "1.5", "2"),
    ]
    assert {"KiB", "ms", "seconds"} <= set(texts(picture))


def test_what_is_not_known_is_not_drawn() -> None:
    picture = render(
        [sample(0, 1000), sample(SECOND, 1000, 500, 0, 20 * MILLISECOND), sample(2 * SECOND, 1000)]
    )
    assert parts(picture, "flight") == []
    assert [path.get("d", "")[:5] for path in parts(picture, "threshold")] == ["M463."]


def test_every_extreme_survives_thinning() -> None:
    spiky = [sample(when * MILLISECOND, 1000 + 9240 * (when == 4321)) for when in range(10_000)]
    assert "V64.0" in (parts(render(spiky), "window")[0].get("d") or "")


def test_each_moment_of_sending_again_has_one_mark() -> None:
    picture = render([sample(when * SECOND, 1000, again=when // 2) for when in range(10)])
    assert len(parts(picture, "again", "line")) - 1 == 4  # one is the legend's


def test_one_sample_is_enough_and_none_is_an_error() -> None:
    assert parts(render([sample(5, 1000)]), "window")
    with pytest.raises(ValueError, match=r"samples is .*; allowed: one or more"):
        render([])


def test_it_has_a_title_and_two_palettes() -> None:
    picture = render([sample(0, 1)], title="a < b & c")
    assert "a < b & c" in texts(picture)
    assert "prefers-color-scheme: dark" in picture
    light, dark = (
        set(re.findall(r"\.([a-z-]+) \{ (?:stroke|fill)", part)) for part in picture.split("@media")
    )
    assert light - {"line"} == dark - {"line"}


@pytest.mark.parametrize("most", [0.001, 0.7, 1, 3.3, 10, 99, 12_345, 1e9])
def test_an_axis_has_a_handful_of_intervals(most: float) -> None:
    assert 2 <= most / chart.step(most) <= 7.2


def test_the_examples() -> None:
    assert doctest.testmod(chart).failed == 0


def test_a_world_without_anything_to_watch() -> None:
    sampler = Sampler()
    world = World(observer=sampler)
    one, other = world.host("a", "10.0.0.1/24"), world.host("b", "10.0.0.2/24")
    world.path(one, other)
    one.connect("10.0.0.2", 7, 0)
    world.run()
    assert sampler.samples == []
