"""`postel sim`: what it prints, what it keeps, how it ends, and that every engine finds the same."""

import re
import shlex
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from postel.cli import main
from tests.search.toy import toy

SEEDS = "1..16"


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> str:
    return toy(tmp_path_factory.mktemp("toy"))


def rows(database: Path) -> list[tuple[object, ...]]:
    with sqlite3.connect(database) as opened:
        found = opened.execute(
            "SELECT test, seed, result, error, message, faults, virtual, segments FROM runs ORDER BY seed"
        ).fetchall()
    opened.close()
    return found


@pytest.fixture(scope="module")
def kept(path: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with the outcomes of `SEEDS`, by two processes."""
    database = tmp_path_factory.mktemp("kept") / "r.sqlite"
    assert (
        main(
            [
                "sim",
                f"{path}::test_greeting",
                "--seeds",
                SEEDS,
                "-j",
                "2",
                "--results",
                str(database),
                "--shrink",
                "0",
            ]
        )
        == 1
    )
    return database


def test_every_seed_has_a_row(kept: Path) -> None:
    found = rows(kept)
    assert [row[1] for row in found] == list(range(1, 17))
    assert {row[2] for row in found} == {"passed", "failed"}


def test_a_search_goes_on_where_it_was_and_makes_the_first_failure_small(
    path: str, kept: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = rows(kept)
    packets = tmp_path / "p.pcapng"
    assert (
        main(
            [
                "sim",
                f"{path}::test_greeting",
                "--seeds",
                SEEDS,
                "--results",
                str(kept),
                "--pcapng",
                str(packets),
            ]
        )
        == 1
    )
    assert rows(kept) == before
    out = capsys.readouterr().out
    failed = [row[1] for row in before if row[2] == "failed"]
    assert f"16 seeds, {len(failed)} failed" in out
    assert f"seed {failed[0]}: AssertionError: bob was down" in out
    assert re.search(r"shrunk to 1 in \d+ runs:\n  crash bob at [\d.]+m?s for 200ms\n", out)
    assert "SYN,ACK" in out
    assert packets.stat().st_size > 500
    again = shlex.split(out.splitlines()[-1])
    assert again[:2] == ["pytest", f"{path}::test_greeting"]
    assert again[2:4] == ["--postel-seed", str(failed[0])]
    assert again[4] == "--postel-faults"


def test_the_line_that_it_prints_runs_the_failure_again(path: str) -> None:
    command = [f"{path}::test_greeting", "--postel-seed", "5", "--postel-faults", "crash bob at 1s for 200ms"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "pytest_postel", *command],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert "bob was down" in done.stdout


def test_a_cluster_finds_the_same(path: str, kept: Path, tmp_path: Path) -> None:
    pytest.importorskip("distributed")
    database = tmp_path / "r.sqlite"
    command = [
        "sim",
        f"{path}::test_greeting",
        "--seeds",
        SEEDS,
        "--results",
        str(database),
        "--shrink",
        "0",
        "-j",
        "2",
        "--engine",
        "dask",
    ]
    done = subprocess.run(
        [sys.executable, "-m", "postel", *command], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1, done.stderr
    assert rows(database) == rows(kept)


def test_no_failure(path: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sim", f"{path}::test_quiet", "--seeds", "1..3", "-j", "1"]) == 0
    assert capsys.readouterr().out.endswith("test_toy.py::test_quiet: 3 seeds, 0 failed\n")


def complaint(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["sim", *arguments]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.count("\n") == 1
    return told.err


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--seeds", "9..1"], "--seeds is '9..1'"),
        (["--jobs", "-1"], "--jobs is -1"),
        (["--shrink", "-1"], "--shrink is -1"),
        (["--scheduler", "tcp://127.0.0.1:1"], "--scheduler is 'tcp://127.0.0.1:1'"),
    ],
)
def test_a_mistake_in_the_command(
    path: str, arguments: list[str], why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert why in complaint([f"{path}::test_quiet", *arguments], capsys)


def test_a_file_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "a file that exists" in complaint([f"{tmp_path}/absent.py::test_x"], capsys)


def test_a_test_that_is_not_there_or_has_no_world(path: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert "isn't found by pytest" in complaint([f"{path}::test_absent"], capsys)
    assert "doesn't use the fixture `world`" in complaint([f"{path}::test_without_a_world"], capsys)


def test_a_database_of_another_program(path: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "r.sqlite").write_text("a letter to a friend")
    assert "file is not a database" in complaint(
        [f"{path}::test_quiet", "--results", str(tmp_path / "r.sqlite")], capsys
    )
