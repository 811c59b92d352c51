"""Results in SQLite: kept, told apart, and refused where the file is something else."""

import sqlite3
from pathlib import Path

import pytest

from postel.errors import ArgumentError
from postel.search.records import FAILED, PASSED, Outcome
from postel.search.results import Results

ONE = Outcome(1, PASSED, virtual=12, segments=34)
TWO = Outcome(
    2,
    FAILED,
    "AssertionError at x.py:3",
    'a "message"\nof two lines',
    "crash a at 1s for 1s; pause b at 2s",
    5,
    6,
)


def test_what_is_added_is_there_again(tmp_path: Path) -> None:
    path = str(tmp_path / "r.sqlite")
    with Results(path, "x.py::t", "digest") as results:
        assert results.outcomes() == {}
        results.add(TWO)
        results.add(ONE)
    with Results(path, "x.py::t", "digest") as results:
        assert results.outcomes() == {1: ONE, 2: TWO}
        assert list(results.outcomes()) == [1, 2]


def test_another_test_and_another_text_of_the_test_have_rows_of_their_own(tmp_path: Path) -> None:
    path = str(tmp_path / "r.sqlite")
    with Results(path, "x.py::t", "digest") as results:
        results.add(ONE)
    with Results(path, "x.py::other", "digest") as results:
        assert results.outcomes() == {}
    with Results(path, "x.py::t", "later") as results:
        assert results.outcomes() == {}
        results.add(Outcome(1, FAILED))
    with Results(path, "x.py::t", "digest") as results:
        assert results.outcomes() == {}


def test_without_a_path_nothing_is_written(tmp_path: Path) -> None:
    with Results("", "x.py::t", "digest") as results:
        results.add(ONE)
        assert results.outcomes() == {1: ONE}
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    path = tmp_path / "r.sqlite"
    path.write_text("this is a letter to a friend\n" * 50)
    with pytest.raises(ArgumentError, match="file is not a database"):
        Results(str(path), "x.py::t", "digest")
    assert path.read_text().startswith("this is a letter")


def test_the_database_of_another_program(tmp_path: Path) -> None:
    path = tmp_path / "r.sqlite"
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE letters (text TEXT)")
    database.close()
    before = path.read_bytes()
    with pytest.raises(ArgumentError, match="another program"):
        Results(str(path), "x.py::t", "digest")
    assert path.read_bytes() == before


def test_a_damaged_database(tmp_path: Path) -> None:
    path = tmp_path / "r.sqlite"
    with Results(str(path), "x.py::t", "digest") as results:
        for seed in range(500):
            results.add(Outcome(seed, PASSED, message="x" * 100))
    octets = bytearray(path.read_bytes())
    octets[5000:30000] = bytes(25000)
    path.write_bytes(octets)
    with pytest.raises(ArgumentError, match="--results"):
        Results(str(path), "x.py::t", "digest")


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="folder"):
        Results(str(tmp_path / "absent" / "r.sqlite"), "x.py::t", "digest")


def test_a_database_that_another_search_has_locked(tmp_path: Path) -> None:
    path = tmp_path / "r.sqlite"
    with (
        Results(str(path), "x.py::t", "digest") as results,
        sqlite3.connect(path, isolation_level=None) as other,
    ):
        other.execute("BEGIN EXCLUSIVE")
        results._database.execute("PRAGMA busy_timeout = 0")
        with pytest.raises(ArgumentError, match="locked"):
            results.add(ONE)
        other.execute("ROLLBACK")
    other.close()
