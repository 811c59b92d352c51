"""Options ``--ladder`` and ``--pcapng``, and the recording that they ask for."""

import argparse
import json
import os
import shutil
import sys
import time
from typing import BinaryIO, TextIO

from postel.cli.network.numbers import octets
from postel.errors import ArgumentError
from postel.links import Link
from postel.links.observer import Observed
from postel.view import Trace, ladder, notes, pcapng
from postel.view.several import Observers
from postel.view.trace_file import TraceFile

_DEFAULT_WIDTH = 104
_WIDEST = 120


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options to ``parser``."""
    group = parser.add_argument_group("recording")
    group.add_argument(
        "--ladder", action="store_true", help="draw the segments as a ladder on standard error, at the end"
    )
    unfolding(group)
    group.add_argument("--pcapng", metavar="FILE", help="write the packets for Wireshark, with comments")
    group.add_argument(
        "--pcapng-limit",
        metavar="OCTETS",
        type=octets,
        help="leave out packets after so many octets, such as 100M",
    )
    group.add_argument(
        "--lang",
        choices=notes.LANGUAGES,
        default=preferred_language(),
        help="language of the notes; default %(default)s",
    )


def unfolding(group: argparse._ActionsContainer) -> None:
    """Add the option ``--unfold`` to a parser or a group."""
    group.add_argument(
        "--unfold",
        action="store_true",
        help="draw each segment in a row of its own, also in long runs of data",
    )


def preferred_language() -> str:
    """Language of the environment, found in the variables that gettext reads: "zh" or "en"."""
    for variable in ("LC_ALL", "LC_MESSAGES", "LANG"):
        if value := os.environ.get(variable):
            return "zh" if value.startswith("zh") else "en"
    return "en"


class Recording:
    """Recording of what a command's host, or a world, does.

    ``observer`` is for the host and for its link (see `link`); ``trace`` is for a world, and for the ladder.
    Both are None when no option asks for a recording. The file is opened at once, so that a name that can't
    be written is reported before the command does its work.

    ``epoch`` is the time of day at which the observed clock stands at 0, in microseconds since 1970; by
    default the observed clock is the machine's. With ``streams`` one host is observed, and packets are
    written while they pass; otherwise they are written at the end.
    """

    def __init__(
        self,
        options: argparse.Namespace,
        names: dict[str, str],
        *,
        epoch: int | None = None,
        streams: bool = False,
    ) -> None:
        """Open the file, if one is wanted. Raises ArgumentError where it can't be written."""
        self._shows_ladder = options.ladder
        self._language = options.lang
        self._unfolds = options.unfold
        self._epoch = time.time_ns() // 1000 - time.monotonic_ns() // 1000 if epoch is None else epoch
        limit = getattr(options, "pcapng_limit", None)
        if limit is not None and not (options.pcapng and streams):
            raise ArgumentError("--pcapng-limit", limit, "only with --pcapng, and not in the lab")
        self._file = _opened(options.pcapng, buffered=not streams) if options.pcapng else None
        self._trace_file: TraceFile | None = None
        if streams and self._file is not None:
            self._trace_file = TraceFile(
                self._file, names=names, epoch=self._epoch, language=self._language, limit=limit or 0
            )
        needs_trace = options.ladder or (self._file is not None and self._trace_file is None)
        self.trace: Trace | None = Trace(names=names) if needs_trace else None
        self.observer: Trace | Observers | None = self.trace or self._trace_file
        if self.trace is not None and self._trace_file is not None:
            self.observer = Observers(self.trace, self._trace_file)

    def link(self, link: Link) -> Link:
        """Return the host's link, or one around it that records the packets."""
        return link if self.observer is None else Observed(link, self.observer)

    def finish(self) -> None:
        """Write what is left, close the file, and draw the ladder."""
        if self._file is not None:
            with self._file:
                if self._trace_file is not None:
                    self._trace_file.finish()
                    self._tell_what_is_left_out(self._trace_file)
                elif self.trace is not None:
                    pcapng.write(self.trace, self._file, epoch=self._epoch, language=self._language)
        if self.trace is not None and self._shows_ladder:
            show(self.trace, self._language, sys.stderr, unfold=self._unfolds)

    def _tell_what_is_left_out(self, trace_file: TraceFile) -> None:
        if trace_file.left_out and self._file is not None:
            why = f" ({trace_file.error.strerror})" if trace_file.error is not None else ""
            print(
                f"postel: {trace_file.left_out} packets are not in {self._file.name}{why}",
                file=sys.stderr,
                flush=True,
            )


def _opened(name: str, *, buffered: bool) -> BinaryIO:
    """Open a capture; without a buffer the file has all packets however the command ends."""
    try:
        # A name is opened as the user wrote it.
        return open(name, "wb", buffering=-1 if buffered else 0)  # noqa: PTH123
    except OSError as error:
        raise ArgumentError("--pcapng", name, f"a file that can be written ({error.strerror})") from error


def show(trace: Trace, language: str, stream: TextIO, *, unfold: bool = False) -> None:
    """Draw the ladder of a trace on a stream, in the form that the stream can show.

    It is as wide as the terminal, has colours on a terminal, and is in ASCII where the encoding lacks lines.
    """
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
    """Number of columns of a terminal, up to what is comfortable to read; a default for any other stream."""
    return (
        min(shutil.get_terminal_size((_DEFAULT_WIDTH, 24)).columns, _WIDEST)
        if stream.isatty()
        else _DEFAULT_WIDTH
    )


def json_text(data: object, stream: TextIO, *, indent: int | None = None) -> str:
    """Write JSON; where the stream lacks a character, with escapes, so that no "?" gets into the data."""
    text = json.dumps(data, indent=indent, ensure_ascii=False)
    return text if can_encode(text, stream) else json.dumps(data, indent=indent)


def speakable(language: str, stream: TextIO) -> str:
    """Return the language, or English where the stream lacks its characters."""
    return language if language == "en" or can_encode("请", stream) else "en"


def can_encode(text: str, stream: TextIO) -> bool:
    """Whether the stream's encoding has all characters of a text."""
    try:
        text.encode(stream.encoding or "ascii")
    except UnicodeEncodeError:
        return False
    return True
