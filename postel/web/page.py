"""HTML page of the lab's reports: claims with verdicts, and runs with ladders, states and variables.

The page loads nothing. Without JavaScript the page shows each run as a whole; with JavaScript the reader can
step through the moments of each run.
"""

import json
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Any, Final

from postel import lab
from postel.lab import Report, variables
from postel.lab.scene import Scene
from postel.view import fold, moments
from postel.view.flow import Flow
from postel.view.notes import LANGUAGES
from postel.view.svg import diagram, ladder, palette
from postel.view.svg.element import document, element, escaped, in_languages
from postel.web import translations
from postel.web.story import Story, Variables, title_of

_NAMES: Final = {"en": "English", "zh": "中文"}
_SHORT: Final = 260  # pixels; a ladder shorter than this leaves room below it for the packet's headers
_COLOURS: Final = {
    "holds": "open",
    "caveat": "opening",
    "myth": "lost",
    "changed": "closing",
    "not shown": "muted",
}


def of(
    reports: Sequence[Report], language: str, *, commands: Sequence[str] = (), unfold: bool = False
) -> str:
    """Make the page, which opens in ``language`` and has all languages in it.

    ``commands`` are the commands that make each report again; with ``unfold`` each segment of a long run of
    data is drawn.
    """
    titles = translations.say("title") if len(reports) > 1 else translations.both(reports[0].claim.text)
    told = [
        _of_report(report, command, unfold=unfold)
        for report, command in zip(reports, commands or [""] * len(reports), strict=True)
    ]
    head = [
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width"),
        element("title", escaped(titles[language])),
        element("style", palette.for_page(), _asset("page.css")),
    ]
    body = [
        _top(),
        *([_contents(reports)] if len(reports) > 1 else []),
        element("main", *told),
        element("script", _asset("page.js")),
    ]
    titled = {f"data_{language}": text for language, text in titles.items()}
    return (
        "<!doctype html>\n"
        + element("html", element("head", *head), element("body", *body), lang=language, **titled)
        + "\n"
    )


@cache
def _asset(name: str) -> str:
    return files("postel.web").joinpath(name).read_text(encoding="utf-8")


def _top() -> str:
    buttons = [
        element("button", name, type="button", data_language=language) for language, name in _NAMES.items()
    ]
    title = element("strong", "postel lab")
    return element(
        "header",
        title,
        in_languages("span", translations.say("lead")),
        element("nav", *buttons, class_="languages"),
        class_="top",
    )


def _contents(reports: Sequence[Report]) -> str:
    entries = [
        element(
            "li",
            element(
                "a",
                _verdict(report),
                in_languages("span", translations.both(report.claim.text)),
                href=f"#{report.claim.id}",
            ),
        )
        for report in reports
    ]
    return element(
        "nav", in_languages("h1", translations.say("contents")), element("ol", *entries), class_="contents"
    )


def _verdict(report: Report) -> str:
    return in_languages(
        "span",
        translations.both(lab.words()[str(report.verdict)]),
        class_=f"verdict {_COLOURS[str(report.verdict)]}",
    )


# A claim and its runs


def _of_report(report: Report, command: str, *, unfold: bool) -> str:
    claim = report.claim
    told = [
        ("look", translations.both(claim.look)),
        ("verdict", {language: report.conclusion(language) for language in LANGUAGES}),
    ]
    facts = [_fact(key, in_languages("span", text)) for key, text in told]
    facts.append(_fact("rfc", escaped(claim.rfc)))
    if command:
        facts.append(_fact("again", element("code", escaped(command))))
    title = element(
        "div", _verdict(report), in_languages("h1", translations.both(claim.text)), class_="title"
    )
    runs = [_of_run(scene, report, number, unfold=unfold) for number, scene in enumerate(report.scenes, 1)]
    return element("section", title, element("dl", *facts), *runs, class_="claim", id=claim.id)


def _fact(key: str, inner: str) -> str:
    return in_languages("dt", translations.both(lab.words()[key])) + element("dd", inner)


def _of_run(scene: Scene, report: Report, number: int, *, unfold: bool) -> str:
    flows = [flow for flow in scene.trace.flows if flow.packets]
    heads = []
    if report.claim.runs:
        names = report.claim.runs[scene.title]
        heads.append(
            in_languages(
                "h2",
                {
                    each: lab.words()["run"][each].format(number=number, title=names[each])
                    for each in LANGUAGES
                },
            )
        )
    stages = []
    for flow in flows:
        if len(flows) > 1:
            key = "connection" if flow.changes else "exchange"
            stages.append(in_languages("h3", translations.say(key, number=flow.number)))
        stages.append(_Stage(scene, flow, unfold=unfold).html())
    return element("section", *heads, *stages, class_="run")


class _Stage:
    """One connection of a run, with its controls, pictures and tables."""

    def __init__(self, scene: Scene, flow: Flow, *, unfold: bool) -> None:
        self.scene = scene
        self.flow = flow
        self.start = scene.trace.packets[0].sent_at
        self.moments = moments.of(flow, [] if unfold else fold.runs(flow))
        mine = {id(packet) for packet in flow.packets}
        self.noted = [(note, packet) for note, packet in variables.noted(scene) if id(packet) in mine]
        self.story = Story(flow, self.moments, self.noted, self.start)
        self.ladder = ladder.Ladder(flow, self.moments, self.start, LANGUAGES, 0.0)

    def html(self) -> str:
        """Write the HTML of the connection."""
        data = self.story.data()
        known = [max(found["variables"]) >= 0 for found in data["moments"]]
        opening = max((number for number, is_known in enumerate(known) if is_known), default=len(known) - 1)
        story = json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("</", "<\\/")
        drawn = self.ladder.draw(element("path", d=ladder.NOW, class_="now"))
        parts = [
            self._controls(opening),
            element("div", document(drawn, ladder.WIDTH, self.ladder.bottom + 8), class_="ladder"),
            element("div", *self._instruments(data, opening), class_="instruments"),
            element("div", class_="segment", hidden=True),
            self._history() if self.flow.changes else "",
            element("script", story, type="application/json"),
        ]
        return element("article", *parts, class_="stage short" if self.ladder.bottom < _SHORT else "stage")

    def _controls(self, opening: int) -> str:
        last = len(self.moments) - 1
        buttons = [
            _button("back", "←"),
            element(
                "button", "▶ ", in_languages("span", translations.say("play")), type="button", class_="play"
            ),
            _button("forth", "→"),
        ]
        label = translations.say("moment")["en"]
        scrubber = element(
            "input", type="range", min=0, max=last, step=1, value=opening, class_="scrubber", aria_label=label
        )
        told = [element("output", class_="time"), element("p", class_="said", aria_live="polite")]
        return element("div", *buttons, scrubber, *told, class_="controls")

    def _instruments(self, data: dict[str, Any], opening: int) -> list[str]:
        if not self.flow.changes:
            return []
        return [self._diagrams(), self._variables(data["variables"], data["moments"][opening]["variables"])]

    def _diagrams(self) -> str:
        figures = []
        for index, end in enumerate(self.flow.ends):
            changes = [change for change in self.flow.changes if change.at == end]
            initial = self.flow.initial_state(end)
            kind = "second" if index else "first"
            drawn = diagram.small(changes, initial)
            picture = document([element("g", *drawn, class_=f"{kind}-end")], *diagram.SMALL_SIZE)
            name = element("strong", escaped(self.story.name(index)), class_=kind)
            title = element("figcaption", name, element("span", class_="state-now"))
            figures.append(element("figure", title, picture, class_="diagram"))
        return element("div", *figures, class_="diagrams")

    def _variables(self, known: list[Variables], now: list[int]) -> str:
        heads = [
            element("th", escaped(self.story.name(index)), class_="second" if index else "first")
            for index in (0, 1)
        ]
        title = element("th", in_languages("span", translations.say("variables")), colspan=2)
        rows = [element("tr", title, *heads)]
        for name, meaning in translations.variables().items():
            cells = [element("td", _number(known[index].get(name) if index >= 0 else None)) for index in now]
            what = in_languages("span", meaning, class_="meaning")
            rows.append(
                element("tr", element("th", name, scope="row"), element("td", what), *cells, data_name=name)
            )
        return element("table", *rows, class_="variables") + in_languages(
            "p", translations.say("relative"), class_="small"
        )

    def _history(self) -> str:
        names = list(translations.variables())
        head = [
            in_languages("th", translations.say("who")),
            element("th"),
            in_languages("th", translations.say("segment")),
        ]
        rows = [element("tr", *head, *(element("th", name, class_="number") for name in names))]
        for note, packet in self.noted:
            way = in_languages("td", translations.say("came" if note.arrived else "left"))
            told = [element("td", escaped(note.host)), way, element("td", escaped(title_of(packet)))]
            rows.append(
                element(
                    "tr",
                    *told,
                    *(element("td", _number(note.variables.get(name)), class_="number") for name in names),
                )
            )
        summary = element("summary", in_languages("span", translations.say("history")))
        return element(
            "details", summary, element("div", element("table", *rows), class_="wide"), class_="history"
        )


def _number(value: int | None) -> str:
    return "–" if value is None else str(value)


def _button(key: str, mark: str) -> str:
    said = translations.say(key)
    return element(
        "button", mark, type="button", class_=key, title=" / ".join(said.values()), aria_label=said["en"]
    )
