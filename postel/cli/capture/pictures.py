"""Ladders and curves for a page, of as many connections as a browser can show, unusual connections first."""

import argparse
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from tempfile import NamedTemporaryFile
from typing import Final

from postel.cli.capture import source
from postel.view.capture import Connection, Table
from postel.view.capture.curves import Curves
from postel.view.capture.page import MOST_DRAWN, MOST_PACKETS, Drawn
from postel.view.capture.replay import Replay
from postel.view.capture.table import Seen

_LARGEST: Final = 5000  # largest number of packets of one connection that are drawn


class Choice:
    """Choice of the connections that are drawn: those with findings first, then the others."""

    def __init__(self) -> None:
        """Begin without connections."""
        self._candidates: list[tuple[bool, int, int]] = []

    def offer(self, connection: Connection, *, is_unusual: bool) -> None:
        """Add a connection to those that may be drawn; it has a row on the page already."""
        packets = sum(end.packets for end in connection.ends)
        self._candidates.append((not is_unusual, connection.number, min(packets, _LARGEST)))

    def numbers(self) -> frozenset[int]:
        """Return the numbers of the connections that are drawn."""
        chosen: list[int] = []
        room = MOST_PACKETS
        for _, number, packets in sorted(self._candidates):
            if packets <= room and len(chosen) < MOST_DRAWN:
                chosen.append(number)
                room -= packets
        return frozenset(chosen)


@contextmanager
def readable_twice(paths: list[str]) -> Iterator[list[str]]:
    """Provide the files for the time of a block; standard input is replaced by a temporary copy of it.

    The files are read twice, because it is known only at the end which connections are drawn.
    """
    if source.PIPE not in paths:
        yield paths
        return
    with NamedTemporaryFile(suffix=".pcap") as copy:
        with suppress(KeyboardInterrupt):
            shutil.copyfileobj(sys.stdin.buffer, copy)
        copy.flush()
        yield [copy.name if path == source.PIPE else path for path in paths]


def drawn(paths: list[str], numbers: frozenset[int], options: argparse.Namespace) -> list[Drawn]:
    """Return the connections with these numbers and what their pictures need; reads the files once more."""
    if not numbers:
        return []
    replay = Replay(most_of_each=_LARGEST)
    curves: dict[int, Curves] = {}

    def look(seen: Seen) -> None:
        replay.look(seen)
        connection = seen.end.connection
        if connection.number not in curves:
            curves[connection.number] = Curves(connection)
        curves[connection.number].look(seen)

    table = Table(
        _forget,
        closer=look,
        notices=replay.notice,
        only=numbers,
        checksums=options.checksums,
        zeek_timers=options.zeek_timers,
    )
    with source.opened(paths) as reader:
        source.read(reader, table)
    table.finish()
    flows = [flow for flow in replay.finish().flows if flow.is_captured and flow.packets]
    return [
        Drawn(number, flow, curves.get(number)) for number, flow in zip(replay.numbers, flows, strict=False)
    ]


def _forget(connection: Connection) -> None:
    """Do nothing with a connection, because its row was made when the files were read first."""
