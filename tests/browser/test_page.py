"""The lab's page in Chromium: what a reader sees when they move through a run, on a screen, a phone and
paper.

POSTEL_SCREENSHOTS=folder keeps the pictures that are taken.
"""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from postel import lab
from postel.web import page as pages

playwright = pytest.importorskip(
    "playwright.sync_api", reason="Playwright isn't installed (pip install playwright)"
)
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium (apt install chromium)")

# No sandbox as root; and nothing that calls home.
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
DESK = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}

# Pairs of texts that lie on each other, and texts that stick out of their picture; as the reader sees them,
# in one language.
OVERLAPS = """() => [...document.querySelectorAll("svg")].flatMap((svg) => {
  const seen = [...svg.querySelectorAll("text")]
    .filter((text) => text.textContent && text.getClientRects().length);
  const boxes = seen.map((text) => [text.textContent, text.getBBox()]);
  const shared = (low, long, low2, long2) => Math.min(low + long, low2 + long2) - Math.max(low, low2);
  const found = boxes.filter(([, box]) => box.x < 0 || box.x + box.width > svg.viewBox.baseVal.width)
    .map(([text]) => [text, "outside"]);
  boxes.forEach(([text, a], index) => boxes.slice(index + 1).forEach(([other, b]) => {
    if (shared(a.x, a.width, b.x, b.width) > 1 && shared(a.y, a.height, b.y, b.height) > 3)
      found.push([text, other]);
  }));
  return found;
})"""


@pytest.fixture(scope="module")
def browser() -> Iterator["playwright.Browser"]:
    with playwright.sync_playwright() as found:
        chromium = found.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield chromium
        chromium.close()


class Reader:
    """A page as a reader uses it; notes what it loads and what its script complains of."""

    def __init__(self, browser: "playwright.Browser", path: Path, **options: object) -> None:
        self.page = browser.new_page(**{"viewport": DESK, **options})
        self.loaded: list[str] = []
        self.errors: list[str] = []
        self.page.on("request", lambda request: self.loaded.append(request.url))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on(
            "console", lambda message: self.errors.append(message.text) if message.type == "error" else None
        )
        self.page.goto(path.as_uri())

    def move(self, moment: int, stage: int = 0) -> None:
        scrubber = self.page.locator(".scrubber").nth(stage)
        scrubber.evaluate(
            "(input, value) => { input.value = value; input.dispatchEvent(new Event('input')) }", moment
        )

    def states(self, stage: int = 0) -> list[str]:
        return (
            self.page.locator(".stage")
            .nth(stage)
            .locator(".state.lit")
            .evaluate_all("all => all.map(box => box.dataset.state)")
        )

    def taken(self, side: int) -> list[str]:
        ways = self.page.locator(".stage").first.locator(".diagram").nth(side).locator(".way.taken")
        return ways.evaluate_all("all => all.map(way => way.dataset.way)")

    def variable(self, name: str) -> list[str]:
        return self.page.locator(f'.stage >> nth=0 >> [data-name="{name}"] td').all_inner_texts()[1:]

    def sees(self, text: str) -> bool:
        return text in self.page.locator("body").inner_text()

    def picture(self, name: str) -> bytes:
        kept = os.environ.get("POSTEL_SCREENSHOTS")
        return self.page.screenshot(path=Path(kept) / f"{name}.png" if kept else None)


def written(folder: Path, *names: str) -> Path:
    path = folder / "page.html"
    path.write_text(
        pages.of(
            [lab.run(name) for name in names], "en", commands=[f"postel lab run {name}" for name in names]
        ),
        "utf-8",
    )
    return path


@pytest.fixture
def four_way(browser: "playwright.Browser", tmp_path: Path) -> Iterator[Reader]:
    reader = Reader(browser, written(tmp_path, "four-way"))
    yield reader
    assert reader.errors == []
    assert all(url.startswith("file:") for url in reader.loaded)
    reader.page.close()


def test_moving_through_time_lights_the_states_and_the_ways_to_them(four_way: Reader) -> None:
    four_way.move(0)
    assert four_way.states() == ["SYN-SENT", "LISTEN"]
    assert (four_way.taken(0), four_way.taken(1)) == (["F2"], [])
    four_way.move(5)
    assert four_way.states() == ["ESTABLISHED", "ESTABLISHED"]
    assert (four_way.taken(0), four_way.taken(1)) == (["F2", "F8"], ["F5", "F10"])
    last = int(four_way.page.locator(".scrubber").get_attribute("max") or 0)
    four_way.move(last)
    assert four_way.states() == ["END", "END"]
    four_way.move(0)
    assert four_way.states() == ["SYN-SENT", "LISTEN"]
    assert four_way.taken(0) == ["F2"]


def test_the_variables_follow(four_way: Reader) -> None:
    four_way.move(0)
    assert [four_way.variable(name) for name in ("SND.UNA", "SND.NXT", "RCV.NXT")] == [
        ["0", "–"],
        ["1", "–"],
        ["–", "–"],
    ]
    four_way.move(3)
    assert [four_way.variable(name) for name in ("SND.UNA", "SND.NXT", "RCV.NXT")] == [
        ["1", "0"],
        ["1", "1"],
        ["1", "1"],
    ]
    assert four_way.page.locator('[data-name="SND.UNA"] td.new').count() == 1


def test_the_segment_of_the_moment_is_shown_octet_by_octet(four_way: Reader) -> None:
    four_way.move(0)
    heads = four_way.page.locator(".segment").inner_text()
    assert "#1 SYN" in heads
    assert "40 octets, SYN" in heads
    assert "a0 02" in heads
    four_way.page.locator(".ladder .sent >> nth=3 >> text >> nth=0").click()
    assert "FIN,ACK" in four_way.page.locator(".segment h4").inner_text()
    assert four_way.states()[0] == "FIN-WAIT-1"


def test_keys_and_buttons_step(four_way: Reader) -> None:
    four_way.move(0)
    four_way.page.locator(".forth").click()
    assert four_way.page.locator(".said").inner_text() == "#1 SYN arrives at server"
    four_way.page.locator(".back").click()
    four_way.page.locator(".scrubber").press("ArrowRight")
    assert four_way.page.locator(".time").inner_text() == "10.000 ms"


def test_playing_goes_on_by_itself_to_the_end(four_way: Reader) -> None:
    four_way.page.clock.install()
    four_way.move(0)
    four_way.page.locator(".play").click()
    four_way.page.clock.run_for(3000)
    assert 0 < int(four_way.page.locator(".scrubber").input_value()) < 10
    four_way.page.clock.run_for(60_000)
    assert four_way.states() == ["END", "END"]


def test_both_languages(four_way: Reader) -> None:
    assert four_way.sees("Look at")
    assert not four_way.sees("观察要点")
    four_way.page.locator('[data-language="zh"]').click()
    four_way.move(0)
    for text in ("观察要点", "四次挥手", "client 发出 #1 SYN", "最早未确认的序号", "目的端口"):
        assert four_way.sees(text)
    for text in ("Look at", "destination port", "half-close"):
        assert not four_way.sees(text)
    assert four_way.page.title().startswith("四次挥手")


def test_on_paper_everything_that_matters_is_visible(four_way: Reader, tmp_path: Path) -> None:
    four_way.move(0)
    four_way.page.emulate_media(media="print")
    four_way.page.evaluate("dispatchEvent(new Event('beforeprint'))")
    shown = four_way.page.evaluate(
        """() => Object.fromEntries([
            '.ladder svg', '.diagram svg', '.variables', '.segment', '.history table', '.controls',
            '.languages'
        ]
        .map(name => [name, document.querySelector(name).checkVisibility()]))"""
    )
    assert shown == {
        ".ladder svg": True,
        ".diagram svg": True,
        ".variables": False,  # those of one moment; the table has all
        ".segment": True,
        ".history table": True,
        ".controls": False,
        ".languages": False,
    }
    assert four_way.states() == ["END", "END"]  # the whole way, not that of the moment
    faded = "all => all.filter(group => getComputedStyle(group).opacity !== '1').length"
    assert four_way.page.locator(".ladder .moment").evaluate_all(faded) == 0
    four_way.page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert four_way.states() == ["SYN-SENT", "LISTEN"]
    paper = four_way.page.pdf(path=tmp_path / "page.pdf", format="A4")
    assert paper.startswith(b"%PDF-")
    assert paper.count(b"/Type /Page\n") <= 3


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_light_and_dark(scheme: str, browser: "playwright.Browser", tmp_path: Path) -> None:
    reader = Reader(browser, written(tmp_path, "four-way"), color_scheme=scheme)
    red = reader.page.evaluate(
        "Number(getComputedStyle(document.documentElement).backgroundColor.match(/[0-9]+/)[0])"
    )
    assert (red > 200) == (scheme == "light")
    assert len(reader.picture(f"lab-four-way-{scheme}")) > 10_000
    reader.page.close()


def test_a_comparison_has_two_runs_each_with_a_scrubber_of_its_own(
    browser: "playwright.Browser", tmp_path: Path
) -> None:
    reader = Reader(browser, written(tmp_path, "stale-syn"))
    assert reader.page.locator(".scrubber").count() == 2
    reader.move(0, 1)
    before = reader.states(0)
    reader.move(3, 1)
    assert reader.states(0) == before
    assert reader.states(1) != before
    reader.page.close()


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("viewport", [DESK, PHONE], ids=["desk", "phone"])
def test_nothing_overlaps_or_sticks_out(
    viewport: dict[str, int], language: str, browser: "playwright.Browser", tmp_path: Path
) -> None:
    """Of the runs with the most in them: losses, timers, crossings, calls, resets, three connections."""
    names = (
        "reliable",
        "sliding-window",
        "calls-and-segments",
        "simultaneous-close",
        "rst-aborts",
        "random-isn",
        "url-to-page",
    )
    reader = Reader(browser, written(tmp_path, *names), viewport=viewport)
    reader.page.locator(f'[data-language="{language}"]').click()
    assert reader.page.evaluate(OVERLAPS) == []
    assert reader.page.evaluate("document.documentElement.scrollWidth") == viewport["width"]
    reader.picture(f"lab-{language}-{viewport['width']}")
    assert reader.errors == []
    reader.page.close()
