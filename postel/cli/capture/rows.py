"""Rows of connections that are over, kept as text until they are printed.

A small number of rows stays in memory; more rows are in a file.
"""

import json
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from io import SEEK_END
from tempfile import SpooledTemporaryFile
from typing import IO, Final

from postel.view.capture import report
from postel.view.width import width

_IN_MEMORY: Final = 1 << 20  # largest size of all rows, in octets, for which they stay in memory
_NOWHERE: Final = -1


@dataclass(slots=True)
class Told:
    """Texts to print about one connection: row, JSON, findings, and the name of its group (`Alike`)."""

    row: report.Row
    json: str
    findings: list[str]
    group: str = ""  # name of the group of connections that are alike, or ""


def storage() -> SpooledTemporaryFile[bytes]:
    """Return a file for `Rows`, which is in memory while it is small."""
    return SpooledTemporaryFile(_IN_MEMORY)


class Rows:
    """Rows of connections, kept in a file. Iteration is sorted by key, then by connection number.

    ``widths`` has the width that each column needs for all rows.
    """

    def __init__(self, file: IO[bytes], heads: report.Row) -> None:
        """Begin without rows; ``file`` is closed by the caller."""
        self.widths: list[int] = report.widths([heads])
        self._file = file
        self._places = array("q")  # offset of each row in the file; the row with number N is at index N - 1
        self._keys: dict[int, int] = {}  # key of each row that has a key other than its number

    def keep(self, number: int, told: Told, key: int = 0) -> None:
        """Keep the row of a connection. Rows are sorted by ``key``; if that is 0, the number is the key."""
        self.widths = list(map(max, self.widths, map(width, told.row)))
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
        """Key to sort rows by: the row's own key, or else its number; and then its number."""
        return self._keys.get(number, number), number
