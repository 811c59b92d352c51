"""The pictures: well-formed, complete, and nothing in them that didn't happen."""

import re
from collections.abc import Callable
from xml.etree import ElementTree as ET

import pytest

from postel.tcp.state import CLOSED, EDGES, ESTABLISHED, SYN_SENT
from postel.view import Trace, fold, moments
from postel.view.flow import Change
from postel.view.packet import Packet
from postel.view.svg import diagram, ladder, palette
from postel.view.svg.element import element, in_languages
from tests.view.stage import Stage
from tests.view.test_fold import exchange, transfer
from tests.view.test_ladder import simultaneous_open, trouble, whole_life

SPACE = "{http://www.w3.org/2000/svg}"


def parsed(text: str) -> ET.Element:
    return ET.fromstring(text)


def groups(picture: ET.Element, kind: str) -> list[ET.Element]:
    return [found for found in picture.iter(f"{SPACE}g") if kind in found.get("class", "").split()]


def texts(picture: ET.Element) -> list[str]:
    return ["".join(found.itertext()) for found in picture.iter(f"{SPACE}text")]


class TestElement:
    def test_what_comes_from_outside_is_escaped(self) -> None:
        assert element("a", href='"<&') == '<a href="&quot;&lt;&amp;"></a>'
        assert in_languages("p", {"en": "a < b"}) == "<p>a &lt; b</p>"

    def test_nothing_is_an_attribute_of_its_own_but_none(self) -> None:
        assert element("rect", x=0, rx=1.25, hidden=True, id=None) == '<rect x="0" rx="1.2" hidden/>'

    def test_where_languages_differ_each_says_which_it_is(self) -> None:
        assert in_languages("p", {"en": "yes", "zh": "是"}) == '<p lang="en">yes</p><p lang="zh">是</p>'
        assert in_languages("p", {"en": "RFC", "zh": "RFC"}) == "<p>RFC</p>"


class TestMoments:
    def test_they_are_in_order_and_each_change_belongs_to_one(self) -> None:
        for trace in (whole_life(), simultaneous_open(), trouble()):
            for flow in trace.flows:
                found = moments.of(flow, [])
                assert [moment.order for moment in found] == sorted(moment.order for moment in found)
                changes = [change for moment in found for change in moment.changes]
                assert sorted(change.order for change in changes) == sorted(
                    change.order for change in flow.changes
                )

    def test_a_change_belongs_to_what_caused_it(self) -> None:
        found = moments.of(whole_life().flows[0], [])
        by_state = {
            change.after: moment for moment in found for change in moment.changes if change.at.port == 1024
        }
        assert isinstance(by_state[SYN_SENT].what, Packet)  # the call that sends the SYN
        assert not by_state[SYN_SENT].is_arrival
        assert by_state[ESTABLISHED].is_arrival
        assert by_state[CLOSED].what.timer == "time-wait"

    def test_a_call_that_sends_nothing_stands_for_itself(self) -> None:
        stage = Stage().handshake()
        stage.enters(stage.left, CLOSED, 50)
        last = moments.of(stage.trace.flows[0], [])[-1]
        assert isinstance(last.what, Change)
        assert last.changes == [last.what]


class TestLadder:
    @pytest.mark.parametrize("make", [whole_life, simultaneous_open, trouble, transfer])
    @pytest.mark.parametrize("language", ["en", "zh"])
    def test_every_segment_is_in_it_once(self, make: Callable[[], Trace], language: str) -> None:
        trace = make()
        picture = parsed(ladder.render(trace.flows, language=language, unfold=True))
        sent = [texts_of[0] for group in groups(picture, "sent") if (texts_of := texts(group))]
        expected = [
            f"#{packet.number}" + "′" * packet.copy for flow in trace.flows for packet in flow.packets
        ]
        assert sorted(text.split()[0] for text in sent) == sorted(expected)

    def test_what_arrives_later_stands_lower(self) -> None:
        for trace in (whole_life(), trouble(), transfer(30)):
            found = moments.of(trace.flows[0], [])
            heights = ladder.Ladder(trace.flows[0], found, 0, ("en",), 0.0).heights
            assert heights == sorted(heights)
            departed = {
                id(moment.what): y for moment, y in zip(found, heights, strict=True) if not moment.is_arrival
            }
            assert all(
                y > departed[id(moment.what)]
                for moment, y in zip(found, heights, strict=True)
                if moment.is_arrival
            )

    def test_states_stand_beside_the_lifelines(self) -> None:
        said = texts(parsed(ladder.render(whole_life().flows)))
        for state in (
            "LISTEN",
            "SYN-SENT",
            "SYN-RECEIVED",
            "FIN-WAIT-1",
            "FIN-WAIT-2",
            "TIME-WAIT",
            "CLOSE-WAIT",
            "LAST-ACK",
        ):
            assert said.count(state) == 1
        assert said.count("ESTABLISHED") == 2

    def test_a_lost_segment_has_a_cross_and_no_arrowhead(self) -> None:
        picture = parsed(ladder.render(whole_life().flows))
        (lost,) = groups(picture, "lost")
        assert lost.get("data-until") is None
        assert [path for path in lost.iter(f"{SPACE}path") if path.get("class") == "cross"]

    def test_timers_and_silences_are_told(self) -> None:
        said = texts(parsed(ladder.render(whole_life().flows)))
        assert "RTO: no acknowledgement came in time" in said
        assert "… 4 min later …" in said

    def test_a_long_run_is_one_broad_arrow(self) -> None:
        trace = exchange(*[1000] * 100).trace
        short, long = (parsed(ladder.render(trace.flows, unfold=unfold)) for unfold in (False, True))
        assert sum("100 data segments, 100 KB, acknowledged" in text for text in texts(short)) == 1
        assert float(short.get("height")) < 400 < float(long.get("height"))
        assert moments.of(trace.flows[0], fold.runs(trace.flows[0]))[-1].last_order > 200

    def test_of_nothing(self) -> None:
        assert texts(parsed(ladder.render([]))) == ["no packets"]

    def test_several_connections_stand_below_each_other(self) -> None:
        one, other = whole_life(), simultaneous_open()
        picture = parsed(ladder.render([*one.flows, *other.flows]))
        assert float(picture.get("height")) > float(parsed(ladder.render(one.flows)).get("height"))


class TestDiagram:
    def test_the_bare_one_has_figure_5_and_no_path(self) -> None:
        picture = parsed(diagram.render())
        ways = [group.get("data-way") for group in groups(picture, "way")]
        assert ways == sorted(ways, key=ways.index)
        assert set(ways) == {number for number, *_ in EDGES if number.startswith("F")}
        assert groups(picture, "taken") == []
        assert len(groups(picture, "state")) == 12  # eleven, and CLOSED again

    def test_what_each_end_took_is_marked_and_told(self) -> None:
        picture = parsed(diagram.render(whole_life().flows))
        by_first = [
            group.get("data-way")
            for group in groups(picture, "taken")
            if "by-second" not in group.get("class", "")
        ]
        by_second = [
            group.get("data-way")
            for group in groups(picture, "by-second")
            if "taken" in group.get("class", "")
        ]
        assert set(by_first) == {"F2", "F8", "F12", "F14", "F16", "F20"}
        assert set(by_second) == {"F5", "F10", "F13", "F18", "F19"}
        said = texts(picture)
        assert {"A0", "A6", "B0", "B5"} <= set(said)
        assert "FIN-WAIT-1 → FIN-WAIT-2: rcv ACK of FIN (#9) / " not in said
        assert any(text.startswith("TIME-WAIT → CLOSED: 2MSL timeout") for text in said)

    def test_a_way_that_figure_5_leaves_out_is_drawn_where_it_was_taken(self) -> None:
        stage = Stage().handshake()
        stage.enters(stage.left, CLOSED, 50)
        picture = parsed(diagram.render(stage.trace.flows))
        beside = {group.get("data-way") for group in groups(picture, "beside")}
        assert beside == {"N21"}  # ABORT
        assert groups(picture, "beside")[-1].get("class") == "way beside taken"

    def test_of_one_end_the_state_that_it_is_in_is_lit(self) -> None:
        flow = whole_life().flows[0]
        changes = [change for change in flow.changes if change.at == flow.ends[0]]
        for count, name in ((0, "CLOSED"), (1, "SYN-SENT"), (5, "TIME-WAIT"), (6, "END")):
            drawn = "".join(diagram.small(changes[:count], flow.initial_state(flow.ends[0])))
            assert re.findall(r'class="state [^"]*lit" data-state="([^"]+)"', drawn) == [name]
            assert drawn.count("way taken") == count

    def test_every_legal_way_can_be_drawn(self) -> None:
        for edge in EDGES:
            for scale in (diagram.SMALL, diagram.LARGE):
                assert "nan" not in parsed(f"<svg>{diagram.way(edge, scale, words=True)}</svg>").tag


class TestPalette:
    def test_light_and_dark_have_the_same_colours(self) -> None:
        assert palette.LIGHT.keys() == palette.DARK.keys()

    def test_every_colour_is_told_apart_from_the_paper(self) -> None:
        """WCAG 2.2, 1.4.3: 4.5 to 1 for text."""
        for colours in (palette.LIGHT, palette.DARK):
            weak = {
                name: round(contrast(colour, colours["paper"]), 1)
                for name, colour in colours.items()
                if name not in ("paper", "panel", "rule") and contrast(colour, colours["paper"]) < 4.5
            }
            assert weak == {}

    def test_a_picture_has_plain_values_and_a_page_has_variables(self) -> None:
        assert "var(" not in palette.for_picture()
        assert "prefers-color-scheme: dark" in palette.for_picture()
        assert "var(--ink)" in palette.for_page()


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def luminance(colour: str) -> float:
    parts = [int(colour[begin : begin + 2], 16) / 255 for begin in (1, 3, 5)]
    red, green, blue = [
        part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    ]
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_pictures_load_nothing() -> None:
    for picture in (ladder.render(whole_life().flows), diagram.render(whole_life().flows)):
        assert re.findall(r"https?://[^\"]+", picture) == ["http://www.w3.org/2000/svg"]
        assert "url(" not in picture
        assert isinstance(Trace()._repr_svg_(), str)
