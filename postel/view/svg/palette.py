"""Colours of the pictures, in light and in dark mode, and the style sheets that use them.

A picture that stands alone has the colours as plain values, which every program that shows SVG knows. A page
has them as variables of CSS.
"""

from importlib.resources import files
from string import Template
from typing import Final

from postel.tcp.state import State

LIGHT: Final = {
    "paper": "#fdfcf9",
    "panel": "#f5f3ec",
    "rule": "#e2ded2",
    "ink": "#1c2330",
    "muted": "#646b78",
    "first": "#1d5fc4",  # colour of the end that opened the connection
    "second": "#b4500f",  # colour of the other end
    "resting": "#6a717d",
    "opening": "#966000",
    "open": "#17824c",
    "closing": "#8444bd",
    "waiting": "#3f749f",
    "lost": "#c4283a",
    "again": "#b0278c",
}
DARK: Final = {
    "paper": "#11141a",
    "panel": "#191d25",
    "rule": "#2c323d",
    "ink": "#e8eaef",
    "muted": "#98a1b0",
    "first": "#6ea8ff",
    "second": "#ff9f6b",
    "resting": "#8791a0",
    "opening": "#e9b440",
    "open": "#4bc489",
    "closing": "#bd8ff3",
    "waiting": "#7fabd9",
    "lost": "#ff6d78",
    "again": "#f07fd3",
}

_PHASES: Final = {
    State.CLOSED: "resting",
    State.LISTEN: "resting",
    State.SYN_SENT: "opening",
    State.SYN_RECEIVED: "opening",
    State.ESTABLISHED: "open",
    State.TIME_WAIT: "waiting",
}


def phase(state: State | None) -> str:
    """Part of a connection's life that a state belongs to, which is also the name of its colour."""
    return "resting" if state is None else _PHASES.get(state, "closing")


def for_picture() -> str:
    """Style sheet of a picture that stands alone."""
    template = _template()
    return (
        f"{template.substitute(LIGHT)}@media (prefers-color-scheme: dark) {{\n{template.substitute(DARK)}}}\n"
    )


def for_page() -> str:
    """Style sheet of a page: the colours as variables, and the rules for pictures that use them."""
    light, dark = (
        ";".join(f"--{name}:{colour}" for name, colour in colours.items()) for colours in (LIGHT, DARK)
    )
    variables = (
        f":root{{color-scheme:light;{light}}}\n@media screen and "
        f"(prefers-color-scheme:dark){{:root{{color-scheme:dark;{dark}}}}}\n"
    )
    return variables + sheet("paper.css") + _template().substitute({name: f"var(--{name})" for name in LIGHT})


def sheet(name: str) -> str:
    """Text of a style sheet that lies beside this module."""
    return files("postel.view.svg").joinpath(name).read_text(encoding="utf-8")


def _template() -> Template:
    return Template(sheet("picture.css"))
