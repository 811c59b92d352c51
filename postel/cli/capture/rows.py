"""What is kept of connections that are over until the last is told of: text, and where there is much of it,
in a file.
"""

import json
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from io import SEEK_END
from tempfile import SpooledTemporaryFile
from typing import IO, Final

from postel.view.capture import report

_IN_MEMORY: Final = 1 << 22  # octets
_NOWHERE: Final = -1


@dataclass(slots=True)
class Told:
    row: report.Row
    json: str
    findings: list[str]
    group: str = ""  # of connections that are alike


def storage() -> SpooledTemporaryFile[bytes]:
    return SpooledTemporaryFile(_IN_MEMORY)


class Rows:
    """Kept in ``file``. Iterates in the order of keys, else in that of the connections; ``widths`` are what
    the columns need.
    """

    def __init__(self, file: IO[bytes], heads: report.Row) -> None:
        self.widths: list[int] = report.widths([heads])
        self._file = file
        self._places = array("q")  # by number, from 1
        self._keys: dict[int, int] = {}  # of those that aren't in the order of their numbers

    def keep(self, number: int, told: Told, key: int = 0) -> None:
        """``key`` is where it stands among the others; without one, its number is."""
        self.widths = [max(pair) for pair in zip(self.widths, report.widths([told.row]), strict=True)]
        self._places.extend([_NOWHERE] * (number - len(self._places)))
        self._places[number - 1] = self._file.seek(0, SEEK_END)
        if key not in (0, number):
            self._keys[number] = key
        self._file.write(json.dumps((told.row, told.json, told.findings, told.group)).encode() + b"\n")

    def __bool__(self) -> bool:
        return bool(self._places)

    def __iter__(self) -> Iterator[Told]:
        numbers = range(1, len(self._places) + 1)
        for number in sorted(numbers, key=self._key) if self._keys else numbers:
            place = self._places[number - 1]
            if place != _NOWHERE:
                self._file.seek(place)
                row, text, findings, group = json.loads(self._file.readline())
                yield Told(tuple(row), text, findings, group)

    def _key(self, number: int) -> tuple[int, int]:
        return self._keys.get(number, number), number
