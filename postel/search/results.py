"""Results of searches in SQLite, so that a search continues after an interruption.

The table ``runs`` has a row for each test and seed, with the fields of `Outcome` and ``source``, a digest of
the test's file. A row with the digest of another version of the file is ignored, and replaced.
"""

import sqlite3
from dataclasses import astuple, fields
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from postel.errors import ArgumentError
from postel.search.records import Outcome

_APPLICATION: Final = 0x504F5354  # "POST", SQLite's application_id in the header of the file
_NAMES: Final = tuple(field.name for field in fields(Outcome))
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS runs (
    test TEXT NOT NULL, source TEXT NOT NULL,
    seed INTEGER NOT NULL, result TEXT NOT NULL, error TEXT NOT NULL, message TEXT NOT NULL,
    faults TEXT NOT NULL,
    virtual INTEGER NOT NULL, segments INTEGER NOT NULL,
    PRIMARY KEY (test, seed)
)"""
_ALLOWED: Final = "a database that `postel sim` has written, or a file that isn't there yet"


class Results:
    """Rows of one test in the database ``path``, or in memory where ``path`` is empty.

    ``test`` is the name of the test, and ``source`` is a digest of its file. Use ``with``, which closes the
    database.
    """

    def __init__(self, path: str, test: str, source: str) -> None:
        """Open or create the database.

        Raises ArgumentError if the file isn't such a database, is damaged, or is in use by another search.
        """
        self._path = path
        self._key = (test, source)
        if path and not Path(path).absolute().parent.is_dir():
            raise ArgumentError("--results", path, "a file in a folder that exists")
        try:
            self._database = sqlite3.connect(path or ":memory:", isolation_level=None)
            self._open()
        except sqlite3.Error as error:
            raise self._refused(error) from error

    def __enter__(self) -> Self:
        """Return the results, for ``with``."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the database."""
        self._database.close()

    def outcomes(self) -> dict[int, Outcome]:
        """Outcomes of earlier runs, by their seeds."""
        query = f"SELECT {', '.join(_NAMES)} FROM runs WHERE test = ? AND source = ? ORDER BY seed"  # noqa: S608 - names of fields
        try:
            return {row[0]: Outcome(*row) for row in self._database.execute(query, self._key)}
        except sqlite3.Error as error:
            raise self._refused(error) from error

    def add(self, outcome: Outcome) -> None:
        """Write the outcome of a seed. An older outcome of the seed is replaced."""
        marks = ", ".join("?" * (2 + len(_NAMES)))
        command = f"INSERT OR REPLACE INTO runs (test, source, {', '.join(_NAMES)}) VALUES ({marks})"  # noqa: S608 - names of fields
        try:
            self._database.execute(command, (*self._key, *astuple(outcome)))
        except sqlite3.Error as error:
            raise self._refused(error) from error

    def _open(self) -> None:
        try:
            self._require_own()
            # A power failure may cost the last rows, which are then run again
            self._database.execute("PRAGMA synchronous = OFF")
            self._database.execute(f"PRAGMA application_id = {_APPLICATION}")
            self._database.execute(_SCHEMA)
        except BaseException:
            self._database.close()
            raise

    def _require_own(self) -> None:
        """Raise sqlite3.DatabaseError for a database that is damaged or another program's."""
        (application,) = self._database.execute("PRAGMA application_id").fetchone()
        (tables,) = self._database.execute("SELECT count(*) FROM sqlite_master").fetchone()
        (state,) = self._database.execute("PRAGMA quick_check(1)").fetchone()
        if tables and (application != _APPLICATION or state != "ok"):
            raise sqlite3.DatabaseError(state if state != "ok" else "the database of another program")

    def _refused(self, error: sqlite3.Error) -> ArgumentError:
        why = " ".join(str(error).split())
        return ArgumentError("--results", self._path, f"{_ALLOWED}; this one: {why}")
