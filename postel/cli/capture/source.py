"""Argument FILE of a command: captures on disk, or standard input, which is read as packets come."""

import argparse
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from io import BufferedIOBase
from pathlib import Path
from typing import Final, cast

from postel.cli.network.recording import preferred_language, unfolding
from postel.errors import ArgumentError
from postel.view import notes
from postel.view.capture import Reader, Table
from postel.view.capture.files import Merged, plain
from postel.view.capture.frame import OTHER_PROTOCOLS

PIPE: Final = "-"
LEFT_OUT: Final = 3


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add FILE, and the options of all commands that read captures."""
    parser.add_argument(
        "file", metavar="FILE", nargs="+", help="pcap or pcapng, also compressed; - for standard input"
    )
    parser.add_argument(
        "--conn", metavar="N", type=int, default=0, help="only this connection, drawn as a ladder"
    )
    unfolding(parser)
    parser.add_argument(
        "--lang", choices=notes.LANGUAGES, default=preferred_language(), help="default %(default)s"
    )


@contextmanager
def opened(paths: list[str]) -> Iterator[Merged]:
    """Open the files, or standard input, which stays open; several are read as one, in the order of time."""
    if paths.count(PIPE) > 1:
        raise ArgumentError("FILE", PIPE, "standard input once")
    with ExitStack() as stack:
        files = [
            cast(BufferedIOBase, sys.stdin.buffer)
            if path == PIPE
            else stack.enter_context(Path(path).open("rb"))
            for path in paths
        ]
        yield Merged([Reader(plain(file)) for file in files])


def read(reader: Merged, table: Table) -> None:
    """Read everything, or until Ctrl-C, which is the usual end of a capture that comes through a pipe."""
    with suppress(KeyboardInterrupt):
        for octets, frames in reader.chunks():
            table.take(octets, frames)


def tell_of_whole(reader: Merged, table: Table) -> int:
    """Print on stderr where the file is damaged and what was left out. Returns the exit status.

    The status is 1 if the file is damaged, 3 if packets were left out that may hold TCP, and else 0.
    """
    unread = unread_in(table)
    if table.goes_back:
        print(
            "postel: the packets aren't in the order of time; sort them first: reordercap FILE SORTED",
            file=sys.stderr,
        )
    if unread:
        told = ", ".join(f"{count:,} {what}" for what, count in unread.items())
        print(f"postel: left out, of {table.packets:,} packets: {told}", file=sys.stderr)
    if reader.damage is not None:
        print(f"postel: {reader.damage}", file=sys.stderr)
        return 1
    return LEFT_OUT if unread else 0


def record_of_whole(reader: Merged, table: Table) -> dict[str, object]:
    """Return facts about the whole capture as plain data for JSON, with counts of packets left out."""
    damage = None if reader.damage is None else str(reader.damage)
    in_order = not table.goes_back
    return {
        "capture": {
            "packets": table.packets,
            "left_out": table.left_out,
            "is_in_order_of_time": in_order,
            "damage": damage,
        }
    }


def unread_in(table: Table) -> dict[str, int]:
    """Return how many packets were left out although they may hold TCP, by kind of packet.

    Packets that are known to hold something else don't count.
    """
    return {what: count for what, count in table.left_out.items() if what not in OTHER_PROTOCOLS}
