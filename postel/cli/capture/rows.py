"""Rows of connections that are over, kept as text until the last is told of.

Where there are many, they are in a file.
"""

import json
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from io import SEEK_END
from tempfile import SpooledTemporaryFile
from typing import IO, Final

from postel.view.capture import report

_IN_MEMORY: Final = 1 << 22  # so many octets of rows are kept in memory, more in a file
_NOWHERE: Final = -1


@dataclass(slots=True)
class Told:
    """Texts of one connection: row, JSON, findings, and the group of connections that are alike."""

    row: report.Row
    json: str
    findings: list[str]
    group: str = ""  # the name of the connections that are alike


def storage() -> SpooledTemporaryFile[bytes]:
    """Return a file for `Rows`, which is in memory while it is small."""
    return SpooledTemporaryFile(_IN_MEMORY)


class Rows:
    """Rows, kept in a file. Iteration is in the order of their keys, else in that of the connections.

    ``widths`` are what the columns need.
    """

    def __init__(self, file: IO[bytes], heads: report.Row) -> None:
        """Begin without rows; ``file`` is closed by the caller."""
        self.widths: list[int] = report.widths([heads])
        self._file = file
        self._places = array("q")  # where each row is in the file, by its number from 1
        self._keys: dict[int, int] = {}  # the keys of rows that aren't in the order of their numbers

    def keep(self, number: int, told: Told, key: int = 0) -> None:
        """Keep the row of a connection. ``key`` is its place among the others; without one, its number is."""
        self.widths = [max(pair) for pair in zip(self.widths, report.widths([told.row]), strict=True)]
        self._places.extend([_NOWHERE] * (number - len(self._places)))
        self._places[number - 1] = self._file.seek(0, SEEK_END)
        if key not in (0, number):
            self._keys[number] = key
        self._file.write(json.dumps((told.row, told.json, told.findings, told.group)).encode() + b"\n")

    def __bool__(self) -> bool:
        """Return whether there is a row."""
        return bool(self._places)

    def __iter__(self) -> Iterator[Told]:
        """Read the rows in their order."""
        numbers = range(1, len(self._places) + 1)
        for number in sorted(numbers, key=self._key) if self._keys else numbers:
            place = self._places[number - 1]
            if place != _NOWHERE:
                self._file.seek(place)
                row, text, findings, group = json.loads(self._file.readline())
                yield Told(tuple(row), text, findings, group)

    def _key(self, number: int) -> tuple[int, int]:
        """Key to sort by: that of the row, then its number."""
        return self._keys.get(number, number), number
