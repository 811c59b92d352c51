"""FILE: a capture on disk, or standard input as packets come."""

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BufferedIOBase
from pathlib import Path
from typing import Final, cast

from postel.cli.network.recording import preferred_language, unfolding
from postel.view import notes
from postel.view.capture import Reader, Table

_PIPE: Final = "-"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="pcap or pcapng; - for standard input")
    parser.add_argument("--conn", metavar="N", type=int, default=0, help="this connection alone, drawn as a ladder")
    unfolding(parser)
    parser.add_argument("--lang", choices=notes.LANGUAGES, default=preferred_language(), help="default %(default)s")


@contextmanager
def opened(path: str) -> Iterator[BufferedIOBase]:
    """The file, or standard input, which stays open."""
    if path == _PIPE:
        yield cast(BufferedIOBase, sys.stdin.buffer)
        return
    with Path(path).open("rb") as file:
        yield file


def read(reader: Reader, table: Table) -> None:
    """All of it, or until the user has seen enough: Ctrl-C ends a capture that comes through a pipe."""
    with suppress(KeyboardInterrupt):
        for octets, frames in reader.chunks():
            table.take(octets, frames)


def tell_damage(reader: Reader) -> int:
    """The exit status."""
    if reader.damage is None:
        return 0
    print(f"postel: {reader.damage}", file=sys.stderr)
    return 1
