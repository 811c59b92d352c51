"""What the lab says, in Chinese and English: claims.toml, where both stand side by side."""

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from postel.view import notes


@dataclass(frozen=True, slots=True)
class Text:
    """The same in each language: ``text["zh"]``."""

    en: str
    zh: str

    def __getitem__(self, language: str) -> str:
        return self.zh if language == "zh" else self.en


@cache
def table() -> dict[str, Any]:
    """The whole file."""
    found: dict[str, Any] = tomllib.loads(
        files("postel.lab").joinpath("claims.toml").read_text(encoding="utf-8")
    )
    return found


def text_of(both: dict[str, str]) -> Text:
    return Text(both["en"], both["zh"])


@cache
def words() -> dict[str, Text]:
    """What is said around the claims, by key; verdicts and groups are among them."""
    return {key: text_of(both) for key, both in table()["words"].items()}


def remark(key: str) -> tuple[str, ...]:
    """For the ladder: in the order of `notes.LANGUAGES`."""
    return tuple(table()["remarks"][key][language] for language in notes.LANGUAGES)
