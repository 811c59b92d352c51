"""`postel lab`: what it prints, writes and returns."""

import fcntl
import json
import os
import re
import struct
import subprocess
import sys
import termios
from contextlib import suppress
from pathlib import Path

import pytest

import postel
from postel.cli import main
from postel.lab import claims
from postel.view.width import plain, width

ROOT = Path(postel.__file__).parents[1]
Output = pytest.CaptureFixture[str]


def lines_of(capsys: Output) -> list[str]:
    return capsys.readouterr().out.splitlines()


@pytest.mark.parametrize("language", ["en", "zh", "both"])
def test_the_list_has_every_claim_with_its_verdict(language: str, capsys: Output) -> None:
    assert main(["lab", "--lang", language]) == 0
    text = capsys.readouterr().out
    for found in claims().values():
        assert re.search(rf"^  {found.id} +\S+ +\S", text, re.MULTILINE)
    assert ("ISN" in text or "initial sequence number" in text) == (language != "zh")
    assert ("初始序号随机产生" in text) == (language != "en")
    assert max(width(line) for line in text.splitlines()) <= 104


def test_the_columns_of_the_list_stand_below_each_other_whatever_the_language(capsys: Output) -> None:
    main(["lab", "--lang", "zh"])
    starts = {
        width(line[: line.index(text)])
        for line in lines_of(capsys)
        for text in ("初始序号随机产生", "六个标志位", "半关闭：")
        if text in line
    }
    assert len(starts) == 1


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_run_has_claim_ladders_what_to_look_at_and_the_verdict(language: str, capsys: Output) -> None:
    assert main(["lab", "run", "stale-syn", "--lang", language]) == 0
    text = capsys.readouterr().out
    joined = "".join(text.split())
    found = claims()["stale-syn"]
    for part in (found.text, found.look, found.note):
        assert "".join(part[language].split()) in joined
    assert all(title[language] in text for title in found.runs.values())
    assert text.count("SYN-SENT ├─ #1 SYN") == 2
    assert "9293 3.5, figure 8" in text
    assert text.endswith("postel lab run stale-syn\n")


def test_both_languages_at_once(capsys: Output) -> None:
    assert main(["lab", "run", "closed-port", "--lang", "both"]) == 0
    text = capsys.readouterr().out
    assert claims()["closed-port"].text.en in text
    assert claims()["closed-port"].text.zh in text


def test_all_of_them(capsys: Output) -> None:
    assert main(["lab", "run", "all", "--lang", "en"]) == 0
    lines = lines_of(capsys)
    assert lines[-1] == "62 of 62 agree with the table"
    assert sum(line.startswith("✓ ") for line in lines) == 62


def test_a_verdict_that_is_not_what_was_found(capsys: Output) -> None:
    assert main(["lab", "run", "last-ack-lost", "--set", "time_wait=off", "--lang", "en"]) == 1
    text = capsys.readouterr().out
    assert re.search(r"^Verdict +In these runs: not shown. In the table: holds. ", text, re.MULTILINE)
    assert text.endswith("postel lab run last-ack-lost --set time_wait=off\n")
    assert main(["lab", "run", "all", "--loss", "100%", "--lang", "en"]) == 1
    assert "✗ three-way" in capsys.readouterr().out


def test_interference_is_seen(capsys: Output) -> None:
    arguments = [
        "--drop",
        "4",
        "--dup",
        "1",
        "--delay",
        "2=50ms",
        "--corrupt",
        "6",
        "--reorder",
        "5",
        "--seed",
        "3",
    ]
    main(["lab", "run", "four-way", *arguments, "--lang", "en"])
    text = capsys.readouterr().out
    for said in ("lost on the way", "the network delivers #1 once more", "damaged on the way"):
        assert said in text
    assert text.endswith(
        "postel lab run four-way --drop 4 --dup 1 --delay 2=50ms --corrupt 6 --reorder 5 --seed 3\n"
    )


@pytest.mark.parametrize(
    ("view", "said"),
    [
        ("ladder", "#1 SYN seq=0"),
        ("states", "[TIME-WAIT: A5]"),
        ("tcb", "SND.UNA"),
        ("bytes", "acknowledgement number"),
        ("timeline", "client TIME-WAIT"),
    ],
)
def test_views(view: str, said: str, capsys: Output) -> None:
    assert main(["lab", "run", "four-way", "--view", view, "--lang", "en"]) == 0
    assert said in capsys.readouterr().out


def test_the_variables_after_each_segment(capsys: Output) -> None:
    main(["lab", "run", "three-way", "--view", "tcb", "--lang", "en"])
    rows = [line.split() for line in lines_of(capsys) if line.startswith(("client ", "server "))]
    assert [row[:4] for row in rows] == [
        ["client", "►", "#1", "SYN"],
        ["server", "◄", "#1", "SYN"],
        ["server", "►", "#2", "SYN,ACK"],
        ["client", "◄", "#2", "SYN,ACK"],
        ["client", "►", "#3", "ACK"],
        ["server", "◄", "#3", "ACK"],
    ]
    assert rows[0][4:6] == ["0", "1"]  # SND.UNA = ISS, SND.NXT = ISS + 1
    assert rows[3][4:6] == ["1", "1"]


def test_the_bytes_of_one_packet(capsys: Output) -> None:
    assert main(["lab", "run", "four-way", "--view", "bytes", "--packet", "4", "--lang", "en"]) == 0
    text = capsys.readouterr().out
    assert "#4 client → server" in text
    assert "32 octets, FIN,ACK" in text
    assert main(["lab", "run", "four-way", "--view", "bytes", "--packet", "99"]) == 2


def test_where_there_is_nothing_to_show(capsys: Output) -> None:
    assert main(["lab", "run", "byte-stream", "--view", "states", "--lang", "en"]) == 0
    assert "There is nothing to show here." in capsys.readouterr().out  # of UDP


def test_a_capture_for_every_run(tmp_path: Path) -> None:
    one, two, second = tmp_path / "one.pcapng", tmp_path / "two.pcapng", tmp_path / "two-2.pcapng"
    assert main(["lab", "run", "three-way", "--pcapng", str(one)]) == 0
    assert main(["lab", "run", "stale-syn", "--pcapng", str(two), "--lang", "zh"]) == 0
    assert [path.read_bytes().count(b"\x0a\x0d\x0d\x0a") for path in (one, two, second)] == [1, 1, 1]
    assert "三次握手完成".encode() in two.read_bytes()
    assert main(["lab", "run", "all", "--pcapng", str(tmp_path / "all.pcapng")]) == 0
    assert (tmp_path / "all-stale-syn-2.pcapng").exists()


def test_one_run_of_several(capsys: Output) -> None:
    assert main(["lab", "run", "stale-syn", "--only", "2", "--lang", "en"]) == 0
    text = capsys.readouterr().out
    assert "Run 2: if two were enough" in text
    assert "Run 1" not in text
    assert main(["lab", "run", "stale-syn", "--only", "3"]) == 2


def test_a_page_that_needs_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    assert main(["lab", "run", "stale-syn", "--only", "2", "--html", str(path), "--lang", "zh"]) == 0
    text = path.read_text("utf-8")
    assert '<html lang="zh"' in text
    assert text.count("<article") == 1
    assert "<code>postel lab run stale-syn</code>" in text
    assert main(["lab", "run", "all", "--html", str(path), "--seed", "2"]) == 0
    text = path.read_text("utf-8")
    assert "<code>postel lab run half-close --seed 2</code>" in text
    assert text.count('<section class="claim"') == 62


def test_a_picture_of_every_run(tmp_path: Path) -> None:
    path, second = tmp_path / "run.svg", tmp_path / "run-2.svg"
    assert main(["lab", "run", "stale-syn", "--svg", str(path), "--lang", "zh"]) == 0
    assert "三次握手完成" in path.read_text("utf-8")
    assert "SYN-RECEIVED" in second.read_text("utf-8")
    assert main(["lab", "run", "stale-syn", "--view", "states", "--svg", str(path), "--lang", "en"]) == 0
    assert 'class="way taken"' in path.read_text("utf-8")


def test_every_packet_of_a_capture_is_explained(tmp_path: Path) -> None:
    path = tmp_path / "run.pcapng"
    assert main(["lab", "run", "four-way", "--pcapng", str(path), "--lang", "en"]) == 0
    comments = re.findall(rb"(client|server) \xe2\x86\x92 (?:client|server): #(\d) ", path.read_bytes())
    assert [int(number) for _, number in comments] == [1, 2, 3, 4, 5, 6, 7]


@pytest.mark.parametrize("side", ["client", "server"])
def test_a_script_that_drill_passes(side: str, tmp_path: Path) -> None:
    path = tmp_path / "run.pkt"
    assert main(["lab", "run", "four-way", "--drop", "4", "--pkt", str(path), "--side", side]) == 0
    assert path.read_text().startswith("// postel lab run four-way --drop 4\n")
    assert main(["drill", str(path)]) == 0


def test_json(capsys: Output) -> None:
    assert main(["lab", "run", "three-way", "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)["claims"]
    assert (found["verdict"], found["found"], found["agrees"]) == ("holds", "holds", True)
    assert set(found["text"]) == {"en", "zh"}
    (only,) = found["runs"]
    assert [packet["flags"] for packet in only["connections"][0]["packets"]] == ["SYN", "SYN,ACK", "ACK"]
    assert only["variables"][0]["variables"]["SND.NXT"] == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["run"],
        ["run", "no-such-claim"],
        ["walk"],
        ["run", "three-way", "--drop", "x"],
        ["run", "three-way", "--set", "no_such=1"],
        ["run", "three-way", "--delay", "3"],
        ["run", "three-way", "--drop", "2", "--dup", "1,2"],
        ["run", "three-way", "--lang", "tlh"],
        ["run", "three-way", "--view", "smell"],
        ["run", "three-way", "--pcapng", "/nowhere/at/all"],
        ["run", "three-way", "--pkt", "/nowhere/at/all"],
        ["run", "three-way", "--html", "/nowhere/at/all"],
        ["run", "three-way", "--svg", "/nowhere/at/all"],
        ["run", "socket-pair", "--pkt", "a.pkt"],
        ["run", "all", "--pkt", "a.pkt"],
    ],
)
def test_mistakes_are_one_line(arguments: list[str], capsys: Output) -> None:
    assert main(["lab", *arguments]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_from_a_checkout_on_a_terminal_without_lines_or_chinese() -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "postel",
            "lab",
            "run",
            "four-way",
            "--lang",
            "zh",
            "--view",
            "ladder",
            "--view",
            "states",
        ],
        cwd=ROOT,
        env={"PYTHONIOENCODING": "ascii", "PATH": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "three-way handshake is complete" in done.stdout
    assert done.stdout.isascii()


@pytest.mark.parametrize("claim", claims())
def test_without_chinese_nothing_of_it_becomes_a_question_mark(claim: str) -> None:
    """Quotes, arrows and dots have a place in ASCII; JSON escapes what has none."""
    said = claims()[claim]
    assert plain(
        "".join([said.text.en, said.look.en, said.note.en, *(title.en for title in said.runs.values())])
    ).isascii()


def on_a_poor_terminal(*arguments: str) -> str:
    return subprocess.run(
        [sys.executable, "-m", "postel", *arguments],
        cwd=ROOT,
        env={"PYTHONIOENCODING": "ascii", "PATH": ""},
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def test_quotes_and_arrows_in_ascii() -> None:
    text = on_a_poor_terminal("lab", "run", "urgent-pointer", "--view", "bytes")
    assert 'The urgent "!" has the number 4' in text
    assert "#4 client -> server" in text


def test_json_keeps_its_chinese_whatever_the_terminal_can() -> None:
    (found,) = json.loads(on_a_poor_terminal("lab", "run", "closed-port", "--json"))["claims"]
    assert found["text"]["zh"] == claims()["closed-port"].text.zh


@pytest.mark.parametrize(
    "arguments", [["lab"], ["lab", "run", "four-way", "--view", "ladder", "--view", "timeline"]]
)
@pytest.mark.parametrize("room", [72, 90])
def test_nothing_is_wider_than_the_terminal(arguments: list[str], room: int) -> None:
    assert 40 < max(width(line) for line in on_a_terminal(room, *arguments).splitlines()) <= room


def on_a_terminal(room: int, *arguments: str) -> str:
    ours, its = os.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("4H", 24, room, 0, 0))
    parts: list[bytes] = []
    with subprocess.Popen(
        [sys.executable, "-m", "postel", *arguments],
        cwd=ROOT,
        stdin=its,
        stdout=its,
        env={"LANG": "C.UTF-8", "PATH": ""},
    ):
        os.close(its)
        with suppress(OSError):  # so ends a terminal that no process writes to any more
            while part := os.read(ours, 65536):
                parts.append(part)
    os.close(ours)
    return b"".join(parts).decode().replace("\r", "")


def test_packets_that_never_were(capsys: Output) -> None:
    assert main(["lab", "run", "three-way", "--drop", "3,99", "--lang", "en"]) == 0
    assert main(["lab", "run", "three-way", "--drop", "99", "--lang", "en"]) == 0
    assert capsys.readouterr().err == (
        "postel: there is no packet #99: no run has more than 5\n"
        "postel: there is no packet #99: no run has more than 3\n"
    )


def test_the_language_is_the_environment_s() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "postel", "lab"],
        cwd=ROOT,
        env={"LANG": "zh_CN.UTF-8", "PYTHONUTF8": "1", "PATH": ""},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=True,
    )
    assert done.stdout.startswith("建立连接")


def test_what_is_answered_with_a_cookie_is_not_called_dropped(capsys: Output) -> None:
    assert main(["lab", "run", "backlog-full", "--only", "2", "--lang", "en"]) == 0
    text = capsys.readouterr().out
    assert "not kept" in text
    assert "dropped on arrival" not in text
    assert main(["lab", "run", "backlog-full", "--only", "1", "--lang", "zh"]) == 0
    assert "到达后被丢弃：全连接队列" in capsys.readouterr().out


@pytest.mark.parametrize(("words", "language"), [("SYN洪泛", "zh"), ("syn flood", "en")])
def test_claims_are_found_by_words_with_verdict_and_text_in_a_line(
    words: str, language: str, capsys: Output
) -> None:
    assert main(["lab", "--find", words, "--lang", language]) == 0
    lines = lines_of(capsys)
    assert lines[0].split()[:2] == ["syn-flood", "已改变" if language == "zh" else "changed"]
    assert claims()["syn-flood"].text[language][:20] in lines[0]
    assert lines[-1].endswith("postel lab run syn-flood")
    assert [line.split()[0] for line in lines[:-2]] == [
        "syn-flood",
        "server-allocates-at-syn",
        "cookies-cost",
    ]


def test_what_is_found_takes_a_line_each(capsys: Output) -> None:
    assert main(["lab", "--find", "TIME_WAIT", "--lang", "en"]) == 0
    lines = lines_of(capsys)[:-2]
    assert all(line.split()[0] in claims() for line in lines)
    assert max(width(line) for line in lines) <= 104


@pytest.mark.parametrize(
    ("language", "said"), [("en", "TIME_WAIT, SYN flood"), ("zh", "TIME_WAIT、SYN 洪泛")]
)
def test_where_nothing_is_found_it_says_what_to_try(language: str, said: str, capsys: Output) -> None:
    assert main(["lab", "--find", "frobnicate", "--lang", language]) == 1
    text = capsys.readouterr().out
    assert "frobnicate" in text
    assert said in text
    assert "postel lab" in text


def test_finding_and_running_are_two_things(capsys: Output) -> None:
    assert main(["lab", "--find", "syn", "run", "syn-flood"]) == 2
    assert "--find" in capsys.readouterr().err
