"""Explain a capture: each TCP connection in a line, drawn, or with what is unusual and the rule behind it.

FILE is pcap or pcapng, also compressed; several are read as one; - is a pipe::

    tcpdump -U -w - | postel explain - --follow

What could be read is told in any case. Exit status 1 where the file is damaged, 3 where packets were left out that may hold TCP: fragments
without the rest, links that aren't understood, headers that were cut off.
"""

import argparse
import shutil
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import IO

from postel.cli.capture import source
from postel.cli.capture.rows import Rows, Told, storage
from postel.cli.network.recording import json_text, show, speakable
from postel.errors import ArgumentError
from postel.view.capture import Connection, Table, connlog, page, report, translations
from postel.view.capture.files import Merged
from postel.view.capture.replay import Replay
from postel.view.capture.table import Seen
from postel.view.capture.unusual import Unusual


def arguments(parser: argparse.ArgumentParser) -> None:
    source.arguments(parser)
    parser.add_argument("--why", action="store_true", help="tell what is unusual, and the rule behind it")
    parser.add_argument("--follow", action="store_true", help="tell of each connection when it is over, not of all in the end")
    parser.add_argument("--zeek-timers", action="store_true", help="divide connections as Zeek's timers do")
    parser.add_argument("--checksums", action="store_true", help="segments with a wrong checksum count for Zeek's c alone")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="a JSON object for each connection, one a line")
    form.add_argument("--format", choices=("zeek",), help="zeek: write a conn.log, with Zeek's timers")
    form.add_argument("--html", metavar="PAGE", help="write a page that needs nothing else")


def run(options: argparse.Namespace) -> int:
    if options.conn < 0:
        raise ArgumentError("--conn", options.conn, "1 or more")
    if options.follow and (options.conn or options.html):
        raise ArgumentError("--follow", options.follow, "without --conn and --html, which need the whole")
    with source.opened(options.file) as reader, storage() as kept:
        return _Explanation(reader, kept, options).tell()


class _Explanation:
    def __init__(self, reader: Merged, kept: IO[bytes], options: argparse.Namespace) -> None:
        self.reader = reader
        self.options = options
        self.language = speakable(options.lang, sys.stdout)
        self.room = shutil.get_terminal_size().columns if sys.stdout.isatty() else report.UNLIMITED
        self.unusual = Unusual() if options.why or options.html else None
        self.replay = Replay() if options.conn or options.html else None
        self.rows = Rows(kept, report.heads(self.language))
        closer = self.look if self.unusual or self.replay else None
        self.table = Table(
            self.over,
            closer=closer,
            only=options.conn,
            checksums=options.checksums,
            at_once=options.follow,
            zeek_timers=options.zeek_timers or options.format == "zeek",
        )

    def look(self, seen: Seen) -> None:
        if self.unusual is not None:
            self.unusual.look(seen)
        if self.replay is not None:
            self.replay.look(seen)

    def over(self, connection: Connection) -> None:
        story = self.unusual.of(connection) if self.unusual is not None else None
        if self.options.conn not in (0, connection.number):
            return
        if self.options.format == "zeek":
            print(connlog.line(connection))
            return
        told = Told(report.row(connection, self.language), "", [])
        if self.options.json:
            told.json = json_text(report.record(connection, story, self.language), sys.stdout)
        elif story is not None:
            told.findings = [report.pace_text(story.pace, self.language)] if story.pace is not None else []
            told.findings += [report.finding_text(finding, self.language) for finding in story.findings]
            if not story.findings:
                told.findings.append(translations.say(translations.SENTENCES["nothing unusual"], self.language))
        if self.options.follow:
            self.print([told], report.LEAST_WIDTHS)
        else:
            self.rows.keep(connection.number, told)

    def tell(self) -> int:
        if self.options.format == "zeek":
            return self.tell_zeek()
        if self.options.follow and not self.options.json:
            print(report.line(report.heads(self.language), room=self.room), flush=True)
        source.read(self.reader, self.table)
        self.table.finish()
        if self.options.conn and not self.rows:
            source.tell_of_whole(self.reader, self.table)
            raise ArgumentError("--conn", self.options.conn, f"a connection's number, up to {self.table.connections}")
        if self.options.html:
            self.write_page()
        elif not self.options.follow:
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
                print(translations.say(translations.SENTENCES["no tcp"], self.language, packets=self.table.packets))
            return
        print(report.line(report.heads(self.language), self.rows.widths, self.room))
        self.print(self.rows, self.rows.widths)
        if self.options.conn and self.replay is not None:
            print()
            show(self.replay.finish(), self.language, sys.stdout, unfold=self.options.unfold)

    def print(self, all_told: Iterable[Told], widths: Sequence[int]) -> None:
        for told in all_told:
            print(told.json or report.line(told.row, widths, self.room))
            for finding in told.findings:
                print(report.indented(finding, self.room))
        sys.stdout.flush()

    def write_page(self) -> None:
        if self.replay is None:
            return
        trace = self.replay.finish()
        rows = [(told.row, told.findings) for told in self.rows]
        text = page.of(rows, trace, self.options.lang, unfold=self.options.unfold)
        try:
            Path(self.options.html).write_text(text, "utf-8")
        except OSError as error:
            raise ArgumentError("--html", self.options.html, f"a file that can be written ({error.strerror})") from error
