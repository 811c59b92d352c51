"""Texts of the page in English and Chinese, from translations.toml."""

import tomllib
from functools import cache
from importlib.resources import files
from typing import Any

from postel.lab import Text
from postel.view.notes import LANGUAGES


@cache
def _table() -> dict[str, Any]:
    return tomllib.loads(files("postel.web").joinpath("translations.toml").read_text(encoding="utf-8"))


def say(key: str, **values: object) -> dict[str, str]:
    """Text of ``key`` in each language, with ``values`` put in."""
    return {language: _table()["words"][key][language].format(**values) for language in LANGUAGES}


def both(text: Text) -> dict[str, str]:
    """Texts of a claim as a plain dict with languages as keys."""
    return {language: text[language] for language in LANGUAGES}


def variables() -> dict[str, dict[str, str]]:
    """Meaning of each variable of RFC 9293, 3.3.1, by its name and by language."""
    found: dict[str, dict[str, str]] = _table()["variables"]
    return found


def field(name: str) -> str:
    """Name of a header field in Chinese."""
    found: str = _table()["fields"].get(name, name)
    return found


def value(text: str) -> str:
    """Value of a header field in Chinese."""
    for english, chinese in _table()["values"].items():
        text = text.replace(english, chinese)
    return text
