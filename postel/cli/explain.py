"""Explain a capture: each TCP connection in a line, drawn, or with what is unusual and the rule behind it.

FILE is pcap or pcapng, also compressed; several files are read as one; - is a pipe::

    tcpdump -U -w - | postel explain - --follow

What could be read is always shown. Exit status 1 means that the file is damaged; 3 means that packets were
left out which may hold TCP: incomplete fragments, unknown link types, or headers that were cut off.
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
from postel.view.capture.quality import is_unusual
from postel.view.capture.replay import Replay
from postel.view.capture.table import Notice, Seen
from postel.view.capture.unusual import Unusual

_ALL: Final = 1 << 62  # largest number of packets that a finding names in JSON, which has all of them


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to ``parser``."""
    source.arguments(parser)
    parser.add_argument("--why", action="store_true", help="say what is unusual, and name the rule behind it")
    parser.add_argument(
        "--summary", action="store_true", help="describe the capture as a whole, not each connection"
    )
    parser.add_argument(
        "--follow", action="store_true", help="print each connection when it is over, not all at the end"
    )
    parser.add_argument("--zeek-timers", action="store_true", help="end connections by the timers of Zeek")
    parser.add_argument(
        "--checksums",
        action="store_true",
        help="use segments with a wrong checksum for nothing but the letter c in Zeek's history",
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument(
        "--json", action="store_true", help="print a JSON object for each connection, each in a line"
    )
    form.add_argument("--format", choices=("zeek",), help="zeek: write a conn.log, with Zeek's timers")
    form.add_argument("--html", metavar="PAGE", help="write a page that needs no other file")

    selection.arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Explain the capture. Raises ArgumentError for options that exclude each other."""
    if options.conn < 0:
        raise ArgumentError("--conn", options.conn, "1 or more")
    if options.follow and (options.conn or options.html):
        raise ArgumentError(
            "--follow", options.follow, "only without --conn and --html, which need the whole"
        )
    if options.follow and options.sort:
        raise ArgumentError("--sort", options.sort, "only without --follow, which prints each at once")
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
    """One run of the command: reads the capture, and prints what the options ask for."""

    def __init__(self, reader: Merged, kept: IO[bytes], options: argparse.Namespace) -> None:
        """Take the reader of the capture, a file for rows that are printed at the end, and the options."""
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
        """Pass a segment to the search for unusual things and to the drawing, if they are wanted."""
        if self.unusual is not None:
            self.unusual.look(seen)
        if self.replay is not None:
            self.replay.look(seen)

    def notice(self, notice: Notice) -> None:
        """Pass an ICMP error to the search for unusual things and to the drawing, if they are wanted."""
        if self.unusual is not None:
            self.unusual.notice(notice)
        if self.replay is not None:
            self.replay.notice(notice)

    def over(self, connection: Connection) -> None:
        """Print or keep the row of a connection that is over, and free the connection's memory."""
        self.tell_of(connection)
        if connection.is_forgotten and self.replay is None:
            connection.release()

    def tell_of(self, connection: Connection) -> None:
        """Count a connection that is over, and print its row or keep it for later."""
        self.summary.count(connection)
        story = self.unusual.of(connection) if self.unusual is not None else None
        if self.options.conn not in (0, connection.number) or not self.selection.wants(connection, story):
            return
        if self.options.format == "zeek":
            print(connlog.line(connection))
        elif self.options.follow:
            self.print([self.told(connection, story)], report.LEAST_WIDTHS)
        elif not self.options.summary:
            self.choice.offer(connection, is_unusual=story is not None and is_unusual(story))
            self.rows.keep(connection.number, self.told(connection, story), self.selection.key(connection))

    def told(self, connection: Connection, story: Story | None) -> Told:
        """Make the texts of a connection: its row, and findings and JSON where they are wanted."""
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
        """Read the whole capture and print it. Returns the exit status."""
        if self.options.format == "zeek":
            return self.tell_zeek()
        if self.options.follow and not self.options.json:
            print(report.line(report.heads(self.language), room=self.room), flush=True)
        source.read(self.reader, self.table)
        self.table.finish()
        if self.options.conn and not self.rows:
            source.tell_of_whole(self.reader, self.table)
            raise ArgumentError(
                "--conn", self.options.conn, f"the number of a connection, up to {self.table.connections}"
            )
        if self.options.summary:
            self.print_summary()
        elif not self.options.html and not self.options.follow:
            self.tell_table()
        if self.options.json:
            print(json_text(source.record_of_whole(self.reader, self.table), sys.stdout))
        return source.tell_of_whole(self.reader, self.table)

    def tell_zeek(self) -> int:
        """Print connections as they end, in the format of Zeek's conn.log. Returns the exit status."""
        for each in connlog.heading(connlog.now()):
            print(each)
        source.read(self.reader, self.table)
        self.table.finish()
        print(connlog.ending(connlog.now()))
        return source.tell_of_whole(self.reader, self.table)

    def tell_table(self) -> None:
        """Print the rows that were kept, and the ladder where one connection is wanted."""
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
        """Print rows, and one line for each large group of connections that are alike."""
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
        """Print the summary of the whole capture, except with ``--json``."""
        if self.options.json:
            return
        for line in self.summary.lines(self.table.packets, self.language):
            print(line)

    def write_page(self, files: list[str]) -> None:
        """Write the HTML page, for which the files are read again."""
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
