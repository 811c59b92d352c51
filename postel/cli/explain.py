"""Explain a capture: each TCP connection in a line, drawn, or with what is unusual and the rule behind it.

FILE is pcap or pcapng, - a pipe::

    tcpdump -U -w - | postel explain - --follow

Exit status 1 where the file is damaged; what could be read is told all the same.
"""

import argparse
import json
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from postel.cli.capture import source
from postel.cli.network.recording import show, speakable
from postel.errors import ArgumentError
from postel.view.capture import Connection, Reader, Table, page, report, words
from postel.view.capture.replay import Replay
from postel.view.capture.table import Seen
from postel.view.capture.unusual import Unusual


def arguments(parser: argparse.ArgumentParser) -> None:
    source.arguments(parser)
    parser.add_argument("--why", action="store_true", help="tell what is unusual, and the rule behind it")
    parser.add_argument("--follow", action="store_true", help="tell of each connection when it is over, not of all in the end")
    parser.add_argument("--checksums", action="store_true", help="segments with a wrong checksum count for Zeek's c alone")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="a JSON object for each connection, one a line")
    form.add_argument("--html", metavar="PAGE", help="write a page that needs nothing else")


def run(options: argparse.Namespace) -> int:
    if options.conn < 0:
        raise ArgumentError("--conn", options.conn, "1 or more")
    if options.follow and (options.conn or options.html):
        raise ArgumentError("--follow", options.follow, "without --conn and --html, which need the whole")
    with source.opened(options.file) as file:
        return _Explanation(Reader(file), options).tell()


class _Explanation:
    def __init__(self, reader: Reader, options: argparse.Namespace) -> None:
        self.reader = reader
        self.options = options
        self.language = speakable(options.lang, sys.stdout)
        self.room = shutil.get_terminal_size().columns if sys.stdout.isatty() else report.UNLIMITED
        self.unusual = Unusual() if options.why or options.html else None
        self.replay = Replay() if options.conn or options.html else None
        self.told: dict[int, _Told] = {}
        closer = self.look if self.unusual or self.replay else None
        self.table = Table(self.over, closer=closer, only=options.conn, checksums=options.checksums, at_once=options.follow)

    def look(self, seen: Seen) -> None:
        if self.unusual is not None:
            self.unusual.look(seen)
        if self.replay is not None:
            self.replay.look(seen)

    def over(self, connection: Connection) -> None:
        findings = self.unusual.of(connection) if self.unusual is not None else None
        if self.options.conn not in (0, connection.number):
            return
        told = _Told(report.row(connection, self.language), "", [])
        if self.options.json:
            told.json = json.dumps(report.record(connection, findings, self.language), ensure_ascii=False)
        elif findings is not None:
            told.findings = [report.finding_text(finding, self.language) for finding in findings]
            told.findings = told.findings or [words.say(words.SENTENCES["nothing unusual"], self.language)]
        if self.options.follow:
            self.print([told], report.LEAST_WIDTHS)
        else:
            self.told[connection.number] = told

    def tell(self) -> int:
        if self.options.follow and not self.options.json:
            print(report.line(report.heads(self.language), room=self.room), flush=True)
        source.read(self.reader, self.table)
        self.table.finish()
        all_told = [told for _, told in sorted(self.told.items())]
        if self.options.conn and not all_told:
            source.tell_damage(self.reader)
            raise ArgumentError("--conn", self.options.conn, f"a connection's number, up to {self.table.connections}")
        if self.options.html:
            self.write_page(all_told)
        elif not self.options.follow:
            self.tell_table(all_told)
        return source.tell_damage(self.reader)

    def tell_table(self, all_told: "list[_Told]") -> None:
        if self.options.json:
            self.print(all_told, ())
            return
        if not all_told:
            if self.table.packets or self.reader.damage is None:
                print(words.say(words.SENTENCES["no tcp"], self.language, packets=self.table.packets))
            return
        heads = report.heads(self.language)
        widths = report.widths([heads, *(told.row for told in all_told)])
        print(report.line(heads, widths, self.room))
        self.print(all_told, widths)
        if self.options.conn and self.replay is not None:
            print()
            show(self.replay.finish(), self.language, sys.stdout)

    def print(self, all_told: "list[_Told]", widths: Sequence[int]) -> None:
        for told in all_told:
            print(told.json or report.line(told.row, widths, self.room))
            for finding in told.findings:
                print(report.indented(finding, self.room))
        sys.stdout.flush()

    def write_page(self, all_told: "list[_Told]") -> None:
        if self.replay is None:
            return
        trace = self.replay.finish()
        text = page.of([(told.row, told.findings) for told in all_told], trace, self.options.lang)
        try:
            Path(self.options.html).write_text(text, "utf-8")
        except OSError as error:
            raise ArgumentError("--html", self.options.html, f"a file that can be written ({error.strerror})") from error


@dataclass(slots=True)
class _Told:
    """What is kept of a connection that is over: text, not the connection."""

    row: report.Row
    json: str
    findings: list[str]
