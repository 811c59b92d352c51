"""The page as text; tests/browser looks at it with a browser's eyes."""

import json
import re
from html.parser import HTMLParser
from typing import Any

import pytest

from postel.lab import Interference, claims, run
from postel.view import fold, header, moments
from postel.web import page, translations
from postel.web.story import Story
from tests.view.test_fold import transfer


def page_of(*names: str, language: str = "en") -> str:
    return page.of(
        [run(name) for name in names], language, commands=[f"postel lab run {name}" for name in names]
    )


def stories(text: str) -> list[dict[str, Any]]:
    return [
        json.loads(found)
        for found in re.findall(r'<script type="application/json">(.*?)</script>', text, re.DOTALL)
    ]


class Balance(HTMLParser):
    """What is open; nothing in the end."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.open.append(tag)
        self.links += [value for name, value in attributes if name in ("src", "href") and value]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        """Neither opened nor closed."""


@pytest.mark.parametrize("name", claims())
def test_every_claim_has_a_page_that_stands_alone(name: str) -> None:
    text = page_of(name)
    balance = Balance()
    balance.feed(text)
    assert balance.open == []
    assert balance.links == []
    assert not re.search(r"https?://|@import|url\(", text)
    for language in ("en", "zh"):
        assert claims()[name].text[language] in text.replace("&lt;", "<").replace("&gt;", ">").replace(
            "&amp;", "&"
        )


def test_both_runs_of_a_comparison_are_shown() -> None:
    text = page_of("stale-syn")
    assert text.count('<section class="run">') == 2
    assert text.count('<article class="stage') == 2
    assert "Run 1: three segments" in text
    assert "运行 2：假如两次就够" in text


def test_all_claims_in_one_page_have_a_table_of_contents() -> None:
    text = page_of("three-way", "four-way")
    assert text.count('<section class="claim"') == 2
    for name in ("three-way", "four-way"):
        assert f'href="#{name}"' in text
        assert f'id="{name}"' in text


def test_it_opens_in_the_language_that_was_asked_for_and_has_both() -> None:
    for language, title in (("en", "A closed port answers"), ("zh", "端口")):
        text = page_of("closed-port", language=language)
        assert f'<html lang="{language}"' in text
        assert title in (re.search("<title>(.*?)</title>", text) or [""])[0]
    assert {"Play", "播放"} <= set(re.findall(r'<span lang="..">(.*?)</span>', page_of("closed-port")))


def test_a_verdict_that_somebody_has_spoilt_is_the_one_that_was_found() -> None:
    report = run("last-ack-lost", Interference.read(settings=["time_wait=off"]))
    text = page.of([report], "en")
    assert '<span lang="en" class="verdict muted">not shown</span>' in text
    assert "In these runs: not shown. In the table: holds." in text


class TestStory:
    """What the script is given is what happened."""

    def test_the_steps_of_a_close_are_those_of_the_trace(self) -> None:
        (story,) = stories(page_of("four-way"))
        client, server = ([step["state"] for step in path] for path in story["paths"])
        assert client == ["SYN-SENT", "ESTABLISHED", "FIN-WAIT-1", "FIN-WAIT-2", "TIME-WAIT", "END"]
        assert server == ["SYN-RECEIVED", "ESTABLISHED", "CLOSE-WAIT", "LAST-ACK", "END"]
        assert story["initial"] == ["CLOSED", "LISTEN"]
        assert [step["way"] for step in story["paths"][0]] == ["F2", "F8", "F12", "F14", "F16", "F20"]
        assert story["moments"][-1]["steps"] == [6, 5]

    def test_steps_never_go_back(self) -> None:
        for name in claims():
            for story in stories(page_of(name)):
                for side in (0, 1):
                    taken = [moment["steps"][side] for moment in story["moments"]]
                    assert taken == sorted(taken)
                    assert not taken or taken[-1] == len(story["paths"][side])

    def test_the_variables_are_what_the_tcb_held(self) -> None:
        (story,) = stories(page_of("three-way"))
        held = [
            [story["variables"][index] if index >= 0 else None for index in moment["variables"]]
            for moment in story["moments"]
        ]
        assert [moment["said"]["en"] for moment in story["moments"]] == [
            "client sends #1 SYN",
            "#1 SYN arrives at server",
            "server sends #2 SYN,ACK",
            "#2 SYN,ACK arrives at client",
            "client sends #3 ACK",
            "#3 ACK arrives at server",
        ]
        assert (held[0][0]["SND.UNA"], held[0][0]["SND.NXT"], held[0][1]) == (0, 1, None)
        assert (held[3][0]["SND.UNA"], held[3][0]["RCV.NXT"]) == (1, 1)
        assert held[5][0]["ISS"] == held[5][1]["IRS"]

    def test_a_closed_end_holds_nothing(self) -> None:
        (story,) = stories(page_of("four-way"))
        assert story["moments"][-1]["variables"] == [-1, -1]

    def test_the_headers_are_the_octets_of_the_packet(self) -> None:
        report = run("half-close")
        packets = {packet.number: packet for packet in report.scenes[0].trace.packets}
        for told in stories(page.of([report], "en"))[0]["packets"]:
            number = int(told["title"].split()[0].removeprefix("#"))
            octets = "".join(field["hex"] for section in told["sections"] for field in section["fields"])
            assert packets[number].octets.startswith(bytes.fromhex(octets))
            assert len(octets) >= 2 * min(int(told["size"]["en"].split()[0]), 52)  # long data is cut

    def test_every_field_has_a_chinese_name(self) -> None:
        seen = {
            field.name
            for packet in run("three-way").scenes[0].trace.packets
            for _, part in header.sections(packet.octets)
            for field in part
        }
        assert [name for name in seen if name and translations.field(name) == name] == []

    def test_what_is_lost_is_said_to_be(self) -> None:
        story = stories(page_of("syn-lost"))[0]
        assert story["moments"][0]["said"] == {
            "en": "client sends #1 SYN, which is lost",
            "zh": "client 发出 #1 SYN，途中丢失",
        }
        assert story["moments"][1]["said"]["en"].startswith("client: RTO")

    def test_a_run_of_data_is_one_step(self) -> None:
        flow = transfer().flows[0]
        short, long = (Story(flow, moments.of(flow, runs), [], 0).data() for runs in (fold.runs(flow), []))
        assert len(short["moments"]) < 40
        assert len(long["moments"]) > 200
        assert any("data segments" in moment["said"]["en"] for moment in short["moments"])
        assert short["paths"] == long["paths"]

    def test_nothing_in_the_data_ends_the_script(self) -> None:
        text = page_of("url-to-page")
        assert "<h1>Hello</h1>" in "".join(
            field["value"]["en"]
            for packet in stories(text)[1]["packets"]
            for section in packet["sections"]
            for field in section["fields"]
        )
