"""Explain a capture: each TCP connection in a line, drawn, or with what is unusual and the rule behind it.

FILE is pcap or pcapng, also compressed; several are read as one; - is a pipe::

    tcpdump -U -w - | postel explain - --follow

What could be read is told in any case. Exit status 1 where the file is damaged, 3 where packets were left out
that may hold TCP: fragments without the rest, links that aren't understood, headers that were cut off.
"""

import argparse
import shutil
import sys
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import IO, Final

from postel.cli.capture import selection, source
from postel.cli.capture.pictures import Choice, drawn, readable_twice
from postel.cli.capture.rows import Rows, Told, storage
from postel.cli.capture.selection import Selection
from postel.cli.capture.summary import Alike, Summary
from postel.cli.network.recording import json_text, show, speakable
from postel.errors import ArgumentError
from postel.view.capture import Connection, Table, connlog, page, report, translations
from postel.view.capture.case import MOST_PACKETS, Story
from postel.view.capture.files import Merged
from postel.view.capture.replay import Replay
from postel.view.capture.table import Notice, Seen
from postel.view.capture.unusual import Unusual

_ALL: Final = 1 << 62  # packets of a finding: JSON names each


def arguments(parser: argparse.ArgumentParser) -> None:
    source.arguments(parser)
    parser.add_argument("--why", action="store_true", help="tell what is unusual, and the rule behind it")
    parser.add_argument(
        "--summary", action="store_true", help="tell of the capture as a whole, not of each connection"
    )
    parser.add_argument(
        "--follow", action="store_true", help="tell of each connection when it is over, not of all in the end"
    )
    parser.add_argument("--zeek-timers", action="store_true", help="divide connections as Zeek's timers do")
    parser.add_argument(
        "--checksums", action="store_true", help="segments with a wrong checksum count for Zeek's c alone"
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="a JSON object for each connection, one a line")
    form.add_argument("--format", choices=("zeek",), help="zeek: write a conn.log, with Zeek's timers")
    form.add_argument("--html", metavar="PAGE", help="write a page that needs nothing else")

    selection.arguments(parser)


def run(options: argparse.Namespace) -> int:
    if options.conn < 0:
        raise ArgumentError("--conn", options.conn, "1 or more")
    if options.follow and (options.conn or options.html):
        raise ArgumentError("--follow", options.follow, "without --conn and --html, which need the whole")
    if options.follow and options.sort:
        raise ArgumentError("--sort", options.sort, "without --follow, which tells of each at once")
    with (
        readable_twice(options.file) if options.html else nullcontext(options.file) as files,
        storage() as kept,
    ):
        with source.opened(files) as reader:
            explanation = _Explanation(reader, kept, options)
            status = explanation.tell()
        if options.html:
            explanation.write_page(files)
        return status


class _Explanation:
    def __init__(self, reader: Merged, kept: IO[bytes], options: argparse.Namespace) -> None:
        self.reader = reader
        self.options = options
        self.language = speakable(options.lang, sys.stdout)
        self.room = shutil.get_terminal_size().columns if sys.stdout.isatty() else report.UNLIMITED
        self.selection = Selection(options)
        self.summary = Summary()
        self.alike = Alike()
        looks = options.why or options.html or self.selection.only_unusual
        self.unusual = Unusual(_ALL if options.json else MOST_PACKETS) if looks else None
        self.replay = Replay() if options.conn and not options.html else None
        self.choice = Choice()
        self.rows = Rows(kept, report.heads(self.language))
        closer = self.look if self.unusual or self.replay else None
        self.table = Table(
            self.over,
            closer=closer,
            brief=self.unusual.look_briefly if self.unusual and not self.replay else None,
            only=options.conn,
            notices=self.notice,
            checksums=options.checksums,
            at_once=options.follow,
            zeek_timers=options.zeek_timers or options.format == "zeek",
        )

    def look(self, seen: Seen) -> None:
        if self.unusual is not None:
            self.unusual.look(seen)
        if self.replay is not None:
            self.replay.look(seen)

    def notice(self, notice: Notice) -> None:
        if self.unusual is not None:
            self.unusual.notice(notice)
        if self.replay is not None:
            self.replay.notice(notice)

    def over(self, connection: Connection) -> None:
        self.summary.count(connection)
        story = self.unusual.of(connection) if self.unusual is not None else None
        if self.options.conn not in (0, connection.number) or not self.selection.wants(connection, story):
            return
        if self.options.format == "zeek":
            print(connlog.line(connection))
        elif self.options.follow:
            self.print([self.told(connection, story)], report.LEAST_WIDTHS)
        elif not self.options.summary:
            self.choice.offer(connection, is_unusual=story is not None and bool(story.findings))
            self.rows.keep(connection.number, self.told(connection, story), self.selection.key(connection))

    def told(self, connection: Connection, story: Story | None) -> Told:
        told = Told(report.row(connection, self.language), "", [])
        if self.options.json:
            told.json = json_text(report.record(connection, story, self.language), sys.stdout)
        elif story is not None and (self.options.why or self.options.html):
            told.findings = report.story_texts(story, self.language)
        if not (self.options.why or self.options.unfold or self.options.html or self.options.conn):
            told.group = self.alike.group(connection)
        if self.options.conn:
            told.findings.append(report.filter_text(connection, self.language))
        return told

    def tell(self) -> int:
        if self.options.format == "zeek":
            return self.tell_zeek()
        if self.options.follow and not self.options.json:
            print(report.line(report.heads(self.language), room=self.room), flush=True)
        source.read(self.reader, self.table)
        self.table.finish()
        if self.options.conn and not self.rows:
            source.tell_of_whole(self.reader, self.table)
            raise ArgumentError(
                "--conn", self.options.conn, f"a connection's number, up to {self.table.connections}"
            )
        if self.options.summary:
            self.print_summary()
        elif not self.options.html and not self.options.follow:
            self.tell_table()
        if self.options.json:
            print(json_text(source.record_of_whole(self.reader, self.table), sys.stdout))
        return source.tell_of_whole(self.reader, self.table)

    def tell_zeek(self) -> int:
        """Connections as they end, as Zeek writes them."""
        for each in connlog.heading(connlog.now()):
            print(each)
        source.read(self.reader, self.table)
        self.table.finish()
        print(connlog.ending(connlog.now()))
        return source.tell_of_whole(self.reader, self.table)

    def tell_table(self) -> None:
        if self.options.json:
            self.print(self.rows, ())
            return
        if not self.rows:
            if self.table.packets or self.reader.damage is None:
                print(
                    translations.say(
                        translations.SENTENCES["no tcp"], self.language, packets=self.table.packets
                    )
                )
            return
        print(report.line(report.heads(self.language), self.rows.widths, self.room))
        self.print(self.rows, self.rows.widths)
        if self.options.conn and self.replay is not None:
            print()
            show(self.replay.finish(), self.language, sys.stdout, unfold=self.options.unfold)

    def print(self, all_told: Iterable[Told], widths: Sequence[int]) -> None:
        folded: set[str] = set()
        for told in all_told:
            if told.group and not told.json and self.alike.is_many(told.group):
                if told.group not in folded:
                    folded.add(told.group)
                    print(self.alike.line(told.group, self.language))
                continue
            print(told.json or report.line(told.row, widths, self.room))
            for finding in told.findings:
                print(report.indented(finding, self.room))
        sys.stdout.flush()

    def print_summary(self) -> None:
        if self.options.json:
            return
        for line in self.summary.lines(self.table.packets, self.language):
            print(line)

    def write_page(self, files: list[str]) -> None:
        rows = [(told.row, told.findings) for told in self.rows]
        text = page.of(
            rows,
            drawn(files, self.choice.numbers(), self.options),
            self.options.lang,
            unfold=self.options.unfold,
        )
        try:
            Path(self.options.html).write_text(text, "utf-8")
        except OSError as error:
            raise ArgumentError(
                "--html", self.options.html, f"a file that can be written ({error.strerror})"
            ) from error
