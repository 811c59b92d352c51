"""``--ladder`` and ``--pcapng``: what a command's host sees, shown when the command ends."""

import argparse
import json
import os
import shutil
import sys
import time
from typing import TextIO

from postel.errors import ArgumentError
from postel.view import Trace, ladder, notes, pcapng

_DEFAULT_WIDTH = 104
_WIDEST = 120


def arguments(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("recording")
    group.add_argument("--ladder", action="store_true", help="print the segments as a ladder (on standard error) in the end")
    unfolding(group)
    group.add_argument("--pcapng", metavar="FILE", help="write the packets, with comments, for Wireshark")
    group.add_argument("--lang", choices=notes.LANGUAGES, default=preferred_language(), help="of the remarks; default %(default)s")


def unfolding(group: argparse._ActionsContainer) -> None:
    group.add_argument("--unfold", action="store_true", help="a row for each segment of the ladder, also in long runs of data")


def preferred_language() -> str:
    """By the environment, as gettext does it."""
    for variable in ("LC_ALL", "LC_MESSAGES", "LANG"):
        if value := os.environ.get(variable):
            return "zh" if value.startswith("zh") else "en"
    return "en"


class Recording:
    """``trace`` is None when nothing is to be shown. The file is opened at once: a command shouldn't fail for it after its work.

    ``epoch`` is the time of day at which the trace's clock stands at 0, in microseconds since 1970; by default that of the machine's.
    """

    def __init__(self, options: argparse.Namespace, names: dict[str, str], *, epoch: int | None = None) -> None:
        self.trace = Trace(names=names) if options.ladder or options.pcapng else None
        self._shows_ladder = options.ladder
        self._language = options.lang
        self._unfolds = options.unfold
        self._file = None
        self._epoch = time.time_ns() // 1000 - time.monotonic_ns() // 1000 if epoch is None else epoch
        if options.pcapng:
            try:
                self._file = open(options.pcapng, "wb")  # noqa: SIM115, PTH123  (open as long as the command runs)
            except OSError as error:
                raise ArgumentError("--pcapng", options.pcapng, f"a file that can be written ({error.strerror})") from error

    def finish(self) -> None:
        if self.trace is None:
            return
        if self._file is not None:
            with self._file:
                pcapng.write(self.trace, self._file, epoch=self._epoch, language=self._language)
        if self._shows_ladder:
            show(self.trace, self._language, sys.stderr, unfold=self._unfolds)


def show(trace: Trace, language: str, stream: TextIO, *, unfold: bool = False) -> None:
    """The ladder as the stream can take it: as wide as the terminal, coloured there, in ASCII where the encoding has no lines."""
    is_terminal = stream.isatty()
    ascii_only = not can_encode("─►╳│├◷“", stream)
    text = ladder.render(
        trace,
        width=max(columns(stream), ladder.NARROWEST),
        language=speakable(language, stream),
        colour=is_terminal and not os.environ.get("NO_COLOR"),
        ascii_only=ascii_only,
        unfold=unfold,
    )
    print(text, file=stream, flush=True)


def columns(stream: TextIO) -> int:
    """As many as the terminal has, up to what is comfortable to read; where there is none, the default."""
    return min(shutil.get_terminal_size((_DEFAULT_WIDTH, 24)).columns, _WIDEST) if stream.isatty() else _DEFAULT_WIDTH


def json_text(data: object, stream: TextIO, *, indent: int | None = None) -> str:
    """Escaped where the stream lacks a character: a reader of JSON must not find a question mark instead."""
    text = json.dumps(data, indent=indent, ensure_ascii=False)
    return text if can_encode(text, stream) else json.dumps(data, indent=indent)


def speakable(language: str, stream: TextIO) -> str:
    """The language, or English where the stream lacks its characters."""
    return language if language == "en" or can_encode("请", stream) else "en"


def can_encode(text: str, stream: TextIO) -> bool:
    try:
        text.encode(stream.encoding or "ascii")
    except UnicodeEncodeError:
        return False
    return True
