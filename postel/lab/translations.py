"""Texts of the lab in Chinese and English, side by side in claims.toml."""

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from postel.view import notes


@dataclass(frozen=True, slots=True)
class Text:
    """Text in each language: ``text["zh"]`` is Chinese, ``text["en"]`` English."""

    en: str
    zh: str

    def __getitem__(self, language: str) -> str:
        """Return the text in a language; English for any that isn't "zh"."""
        return self.zh if language == "zh" else self.en


@cache
def table() -> dict[str, Any]:
    """Return the content of claims.toml."""
    found: dict[str, Any] = tomllib.loads(
        files("postel.lab").joinpath("claims.toml").read_text(encoding="utf-8")
    )
    return found


def text_of(both: dict[str, str]) -> Text:
    """Return the text of an entry with "en" and "zh"."""
    return Text(both["en"], both["zh"])


@cache
def words() -> dict[str, Text]:
    """Return the words around the claims by key; verdicts and groups are among them."""
    return {key: text_of(both) for key, both in table()["words"].items()}


def remark(key: str, **values: object) -> tuple[str, ...]:
    """Return a remark for the ladder with its values, in the order of `notes.LANGUAGES`."""
    return tuple(table()["remarks"][key][language].format(**values) for language in notes.LANGUAGES)
