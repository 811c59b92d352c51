"""`postel drill`: what it prints, writes and returns."""

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from postel.cli import main

GOOD = "0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3\n+0 close(3) = 0\n"
BAD = "0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3\n+0 close(3) = 7\n"
STRANGE = "0 what is this\n"


@pytest.fixture
def scripts(tmp_path: Path) -> Path:
    (tmp_path / "deep").mkdir()
    (tmp_path / "good.pkt").write_text(GOOD)
    (tmp_path / "deep" / "bad.pkt").write_text(BAD)
    (tmp_path / "deep" / "strange.pkt").write_text(STRANGE)
    return tmp_path


def test_a_script_that_passes(scripts: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["drill", str(scripts / "good.pkt")]) == 0
    assert "1 passed     0 failed     0 not understood  in all" in capsys.readouterr().out


def test_what_fails_and_what_is_not_understood_are_told_apart(
    scripts: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["drill", str(scripts)]) == 1
    out = capsys.readouterr().out
    assert "1 passed     1 failed     1 not understood  in all" in out
    assert "bad.pkt:2: failed: result: expected 7, actual 0" in out
    assert "    +0 close(3) = 7\n                ^^^\n" in out
    assert "strange.pkt:1: error: expected '(' at 'is'" in out


def test_a_failure_shows_the_ladder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script = tmp_path / "a.pkt"
    script.write_text(
        "0 socket(..., SOCK_STREAM, 0) = 3\n+0 fcntl(3, F_SETFL, O_NONBLOCK) = 0\n+0 connect(3, ..., ...) = "
        "0\n+0 > S 1:1(0)\n"
    )
    assert main(["drill", str(script)]) == 1
    script.write_text(
        "0 socket(..., SOCK_STREAM, 0) = 3\n+0 fcntl(3, F_SETFL, O_NONBLOCK) = 0\n+0 connect(3, ..., ...) = "
        "-1\n+0 > S 1:1(0)\n"
    )
    assert main(["drill", str(script)]) == 1
    out = capsys.readouterr().out
    assert "asks to open" in out
    assert "SYN-SENT, send_window=0" in out


def test_json(scripts: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["drill", "--json", "-j", "1", str(scripts / "deep")]) == 1
    found = json.loads(capsys.readouterr().out)["scripts"]
    assert [(Path(one["path"]).name, one["result"], one["line"]) for one in found] == [
        ("bad.pkt", "failed", 2),
        ("strange.pkt", "error", 1),
    ]
    assert found[0]["message"] == "result: expected 7, actual 0"


def test_junit_and_captures(scripts: Path, tmp_path: Path) -> None:
    report, captures = tmp_path / "report.xml", tmp_path / "captures"
    assert main(["drill", "--junit", str(report), "--pcapng", str(captures), str(scripts)]) == 1
    suite = ET.parse(report).getroot()
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("3", "1", "1")
    assert len(list(captures.glob("*.pcapng"))) == 2


def test_many_scripts_run_in_several_processes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(50):
        (tmp_path / f"{number}.pkt").write_text(GOOD)
    assert main(["drill", "-j", "2", str(tmp_path)]) == 0
    assert "50 passed" in capsys.readouterr().out


def test_definitions(tmp_path: Path) -> None:
    script = tmp_path / "a.pkt"
    script.write_text(f"#ifdef X\n{BAD}#endif\n#ifndef X\n{GOOD}#endif\n")
    assert main(["drill", str(script)]) == 0
    assert main(["drill", "--define", "X", str(script)]) == 1


def test_a_folder_named_after_a_profile_expects_it(tmp_path: Path) -> None:
    for folder in ("linux", "other"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.pkt").write_text(
            "0 socket(..., SOCK_STREAM, 0) = 3\n+0 getsockopt(3, SOL_SOCKET, SO_RCVBUF, [64240], [4]) = 0\n"
        )
    assert main(["drill", str(tmp_path / "linux")]) == 0
    assert main(["drill", str(tmp_path / "other")]) == 1
    assert main(["drill", "--profile", "linux", str(tmp_path / "other")]) == 0


@pytest.mark.parametrize("arguments", [["nowhere.pkt"], ["-j", "-1", "x"], ["--profile", "amiga", "x"]])
def test_mistakes_in_the_command(arguments: list[str]) -> None:
    assert main(["drill", *arguments]) == 2


def test_a_folder_without_scripts(tmp_path: Path) -> None:
    assert main(["drill", str(tmp_path)]) == 2


def test_the_rule_at_work(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script, report = tmp_path / "a.pkt", tmp_path / "report.xml"
    script.write_text("0 < . 100:110(10) ack 300 win 9\n+0 > . 300:300(0) ack 110\n")
    rule = "EP-CLO-2, EP-CLO-3, RFC 9293, 3.10.7.1"
    assert main(["drill", "--junit", str(report), str(script)]) == 1
    assert f"      rule      {rule}\n" in capsys.readouterr().out
    failure = ET.parse(report).getroot().find("testcase/failure")
    assert failure is not None
    assert failure.get("message") == f"line 2: flags: expected ., actual R ({rule})"
    assert main(["drill", "--json", str(script)]) == 1
    assert json.loads(capsys.readouterr().out)["scripts"][0]["rule"] == rule
