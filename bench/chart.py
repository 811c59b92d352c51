"""A bar for each stack, figure by figure, as SVG in light and dark. Every figure has a scale of its own, from
zero.
"""

from collections.abc import Iterator
from string import Template
from typing import Final

from bench.results import Result, told
from postel.view.svg import palette
from postel.view.svg.element import document, element, escaped

WIDTH, MARGIN, NAMES, VALUES = 760, 20, 110, 110  # pixels; the last two are columns beside the bars
BARS: Final = WIDTH - 2 * MARGIN - NAMES - VALUES
HEAD, BAR, GAP, BETWEEN = 58, 15, 4, 40
LESS_IS_BETTER: Final = {"µs", "KiB", "ms", "MB", "%", "× its time"}
COLOURS: Final = Template(
    "svg{font:12px "
    "system-ui,sans-serif}.paper{fill:$paper}text{fill:$ink}.title{font-size:15px;font-weight:650}.figure{font-weight:650}"
    ".muted{fill:$muted}.bar{fill:$resting}.bar.postel{fill:$waiting}.bar.compiled{fill:$first}.bar.pmd-pytcp{fill:$second}"
    ".bar.gvisor{fill:$open}.bar.empty{fill:$opening}"
)


def render(results: dict[str, Result], stacks: dict[str, str], caption: str) -> str:
    """``stacks`` are titles by name."""
    y, parts = (
        HEAD,
        [
            element("text", "Postel beside other stacks", x=MARGIN, y=26, class_="title"),
            element("text", escaped(caption), x=MARGIN, y=44, class_="muted"),
        ],
    )
    for result in results.values():
        if medians := {
            name: result["stacks"][name]["median"]
            for name in stacks
            if result["stacks"].get(name, {}).get("runs")
        }:
            parts += figure(result, medians, stacks, y)
            y += BETWEEN + len(medians) * (BAR + GAP)
    light, dark = COLOURS.substitute(palette.LIGHT), COLOURS.substitute(palette.DARK)
    style = f"{light}@media(prefers-color-scheme:dark){{{dark}}}"
    return document(parts, WIDTH, y + MARGIN, style=style, title="Postel beside other stacks")


def figure(result: Result, medians: dict[str, float], stacks: dict[str, str], y: int) -> Iterator[str]:
    unit = f"{result['unit']}, less is better" if result["unit"] in LESS_IS_BETTER else result["unit"]
    name = element("tspan", escaped(result["title"].replace("`", "")), class_="figure")
    yield element("text", name, element("tspan", escaped(unit), class_="muted", dx=8), x=MARGIN, y=y + 20)
    most = max(medians.values()) or 1.0
    for place, (stack, value) in enumerate(medians.items()):
        top = y + 30 + place * (BAR + GAP)
        left, wide = MARGIN + NAMES, max(1.0, BARS * value / most)
        yield element("text", escaped(stacks[stack]), x=left - 8, y=top + 12, text_anchor="end")
        yield element("rect", x=left, y=top, width=wide, height=BAR, rx=2, class_=f"bar {stack}")
        yield element("text", escaped(told(value)), x=left + wide + 6, y=top + 12)
