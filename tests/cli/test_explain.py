"""``postel explain`` and ``postel ladder``: what they print, and how they end."""

import io
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from postel.cli import DONE, FAILED, MISTAKE, main
from postel.cli.capture.source import LEFT_OUT
from postel.wire.address import Endpoint, parse
from postel.wire.segment import ACK, PSH, RST, SYN
from tests.view.capture.tape import RIGHT, Tape

DATA = ACK | PSH


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "capture.pcap"
    tape = (
        Tape()
        .handshake()
        .left(DATA, 1, 1, b"<hi>", tsval=1, tsecr=1)
        .wait(300)
        .left(DATA, 1, 1, b"<hi>", tsval=1, tsecr=1)
    )
    path.write_bytes(tape.right(ACK, 1, 5, tsval=1, tsecr=1).close(5).left(SYN, 90_000).pcap())
    return str(path)


def test_a_line_for_each_connection(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", file, "--lang", "en"]) == DONE
    head, first, second = capsys.readouterr().out.splitlines()
    assert head.split()[:2] == ["#", "opener"]
    assert first.split() == [
        *(
            "1",
            "10.0.0.1:1024",
            "→",
            "10.0.0.2:80",
            "2.000",
            "ms",
            "mss=1460/1460",
            "ws=7/7",
            "sack",
            "ts",
            "4",
            "0",
            "1",
        ),
        *("four-way", "SF", "ShADTaFf"),
    ]
    assert second.split()[-2:] == ["S0", "S"]


def test_why(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", file, "--why", "--conn", "1", "--lang", "en"]) == DONE
    out = capsys.readouterr().out
    assert "#5: 10.0.0.1:1024: sent again without three duplicate ACKs" in out
    assert "RFC 6298, 5.4" in out
    assert "TIME-WAIT" in out  # the ladder


def test_one_connection_drawn(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", file, "--conn", "1", "--lang", "zh"]) == DONE
    drawn = capsys.readouterr().out
    assert "#4 的重传" in drawn
    assert main(["ladder", file, "--conn", "1", "--lang", "zh"]) == DONE
    assert capsys.readouterr().out.strip() in drawn


def test_all_connections_drawn(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ladder", file, "--lang", "en"]) == DONE
    out = capsys.readouterr().out
    assert out.count("SYN-SENT ├─") == 2


def test_json(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", file, "--json", "--why", "--lang", "en"]) == DONE
    first, second, whole = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert whole["capture"] == {"packets": 11, "left_out": {}, "is_in_order_of_time": True, "damage": None}
    assert (first["closing"], first["conn_state"], first["completeness"]) == ("four-way", "SF", 31)
    assert first["opener"]["octets"] == 4
    assert first["handshake_time"] == 2000
    assert [finding["what"] for finding in first["findings"]] == ["retransmission", "stall: wire"]
    assert (first["pace"]["opening"], first["pace"]["longest_silence"]["waited_for"]) == (
        {"whole": 2000, "waited_to_send_again": 0, "round_trip": 2000},
        "wire",
    )
    assert second["handshake_time"] is None


def test_as_zeek_s_log(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", file, "--format", "zeek"]) == DONE
    lines = capsys.readouterr().out.splitlines()
    headings = [line.split("\t")[0] for line in lines if line.startswith("#")]
    assert headings == [
        "#separator \\x09",
        "#set_separator",
        "#empty_field",
        "#unset_field",
        "#path",
        "#open",
        "#fields",
        "#types",
        "#close",
    ]
    rows = [line.split("\t") for line in lines if not line.startswith("#")]
    assert [len(row) for row in rows] == [22, 22]
    assert rows[0][11] == "SF"


def test_a_page(file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "page.html"
    assert main(["explain", file, "--html", str(page), "--lang", "en"]) == DONE
    text = page.read_text("utf-8")
    assert "four-way" in text
    assert "RFC 6298, 5.4" in text
    assert "FIN-WAIT-1" in text
    assert "http" not in text  # it loads nothing
    assert text.count("<details ") == 2
    assert text.count('<a href="#c1">1</a>') == text.count('<details id="c1">') == 1
    assert "octets sent (dots)" in text
    assert "10.0.0.2:80 (#1–#10)</summary>" in text
    assert main(["explain", file, "--conn", "1", "--html", str(page), "--lang", "en"]) == DONE
    assert page.read_text("utf-8").count('<details id="c1" open>') == 1  # nothing else is there to look at
    assert main(["explain", file, "--html", str(tmp_path)]) == MISTAKE
    assert "a file that can be written" in capsys.readouterr().err


def test_a_page_of_many_connections_has_pictures_of_the_unusual_ones(tmp_path: Path) -> None:
    """And says of how many it has none."""
    tape = Tape()
    for number in range(230):
        one = Tape(Endpoint(parse("10.0.0.1"), 2000 + number), RIGHT).handshake()
        one = one.left(RST | ACK, 1, 1) if number == 229 else one.close()
        tape.packets += [(when + number * 10_000, octets) for when, octets in one.packets]
    capture, page = tmp_path / "many.pcap", tmp_path / "page.html"
    capture.write_bytes(tape.pcap())
    assert main(["explain", str(capture), "--html", str(page), "--lang", "en"]) == DONE
    text = page.read_text("utf-8")
    assert text.count("<details ") == 200
    assert '<details id="c230">' in text
    assert "30 connections have no pictures here" in text


def test_a_page_of_standard_input(file: str, tmp_path: Path) -> None:
    page, other = tmp_path / "page.html", tmp_path / "other.html"
    with standard_input(Path(file).read_bytes()):
        assert main(["explain", "-", "--html", str(page), "--lang", "en"]) == DONE
    assert main(["explain", file, "--html", str(other), "--lang", "en"]) == DONE
    assert page.read_text("utf-8") == other.read_text("utf-8")


@contextmanager
def standard_input(octets: bytes) -> Iterator[None]:
    before, sys.stdin = sys.stdin, io.TextIOWrapper(io.BytesIO(octets))
    try:
        yield
    finally:
        sys.stdin = before


def test_from_a_pipe_as_connections_end(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    with standard_input(Path(file).read_bytes()):
        assert main(["explain", "-", "--follow", "--lang", "en"]) == DONE
    assert len(capsys.readouterr().out.splitlines()) == 3


class Interrupted(io.BytesIO):
    """Gives what it has, then the user presses Ctrl-C."""

    def read1(self, size: int | None = -1) -> bytes:
        octets = super().read1(size)
        if not octets:
            raise KeyboardInterrupt
        return octets


def test_who_has_seen_enough_gets_the_table(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    before, sys.stdin = sys.stdin, io.TextIOWrapper(Interrupted(Path(file).read_bytes()))
    try:
        assert main(["explain", "-", "--lang", "en"]) == DONE
    finally:
        sys.stdin = before
    assert len(capsys.readouterr().out.splitlines()) == 3


def test_follow_tells_when_a_connection_is_over(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Before the rest has come, and once."""
    octets = Path(file).read_bytes()
    told: list[str] = []

    class Halting(io.BytesIO):
        def read1(self, size: int | None = -1) -> bytes:
            part = super().read1(1200)
            told.append(capsys.readouterr().out)
            return part

    before, sys.stdin = sys.stdin, io.TextIOWrapper(Halting(octets))
    try:
        assert main(["explain", "-", "--follow", "--why", "--lang", "en"]) == DONE
    finally:
        sys.stdin = before
    assert "four-way" in "".join(told)
    assert "four-way" not in capsys.readouterr().out


def test_follow_tells_why_of_the_last_packet_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "refused.pcap"
    path.write_bytes(Tape().left(SYN, 0).right(RST | ACK, 0, 1).pcap())
    assert main(["explain", str(path), "--follow", "--why", "--lang", "en"]) == DONE
    assert "this end refuses the SYN" in capsys.readouterr().out


@pytest.mark.parametrize("with_it", [["--conn", "1"], ["--html", "page.html"]])
def test_follow_goes_with_what_needs_no_whole(
    file: str, with_it: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["explain", file, "--follow", *with_it]) == MISTAKE
    assert "--follow" in capsys.readouterr().err


def test_checksums(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tape = Tape().handshake()
    tape.packets[2] = (tape.packets[2][0], tape.packets[2][1][:-1] + b"?")
    path = tmp_path / "wrong.pcap"
    path.write_bytes(tape.pcap())
    for arguments, told in ([], "S1 ShA"), (["--checksums"], "S1 ShC"):
        assert main(["explain", str(path), "--lang", "en", *arguments]) == DONE
        assert capsys.readouterr().out.rstrip().endswith(told)


def test_nothing_unusual(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "usual.pcap"
    path.write_bytes(Tape().handshake().close().pcap())
    assert main(["explain", str(path), "--why", "--lang", "en"]) == DONE
    assert capsys.readouterr().out.splitlines()[-1].strip() == "nothing unusual"


def test_follow_in_json(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", file, "--follow", "--json"]) == DONE
    assert [json.loads(line).get("number") for line in capsys.readouterr().out.splitlines()] == [1, 2, None]


def test_a_damaged_file(file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What could be read is told, and where it broke."""
    cut = tmp_path / "cut.pcap"
    cut.write_bytes(Path(file).read_bytes()[:-1])
    for command in ("explain", "ladder"):
        assert main([command, str(cut), "--lang", "en"]) == FAILED
        out, err = capsys.readouterr()
        assert "10.0.0.2:80" in out
        assert "postel: broken at octet" in err


@pytest.mark.parametrize("command", ["explain", "ladder"])
@pytest.mark.parametrize(
    ("arguments", "status", "text"),
    [
        (["--conn", "7"], MISTAKE, "up to 2"),
        (["--conn", "-1"], MISTAKE, "1 or more"),
        (["--lang", "tlh"], MISTAKE, "invalid choice"),
    ],
)
def test_mistakes(
    file: str, command: str, arguments: list[str], status: int, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command, file, *arguments]) == status
    assert text in capsys.readouterr().err


def test_no_such_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "/nowhere/at.all"]) == FAILED
    assert capsys.readouterr().err == "postel: /nowhere/at.all: No such file or directory\n"


def test_a_capture_without_tcp(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "empty.pcap"
    path.write_bytes(Tape().pcap())
    assert main(["explain", str(path), "--lang", "en"]) == DONE
    assert capsys.readouterr().out == "no TCP connection in 0 packets\n"


def test_what_is_no_capture_has_no_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "page.html"
    path.write_bytes(b"<!doctype html>")
    assert main(["explain", str(path)]) == FAILED
    assert capsys.readouterr() == (
        "",
        "postel: broken at octet 0: neither pcap nor pcapng begins with 3c 21 64 6f\n",
    )


@given(data=st.data())
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_octets_give_a_table_or_a_clear_error(
    data: st.DataObject, capsys: pytest.CaptureFixture[str]
) -> None:
    octets = bytearray(Tape().handshake().left(DATA, 1, 1, b"x").close(2).pcap())
    for _ in range(data.draw(st.integers(0, 8))):
        octets[data.draw(st.integers(0, len(octets) - 1))] = data.draw(st.integers(0, 255))
    given_octets = data.draw(
        st.one_of(
            st.just(bytes(octets)),
            st.binary(max_size=200),
            st.just(bytes(octets[: data.draw(st.integers(0, 600))])),
        )
    )
    options = data.draw(
        st.sampled_from(
            [["explain", "-"], ["explain", "-", "--why"], ["explain", "-", "--json"], ["ladder", "-"]]
        )
    )
    with standard_input(given_octets):
        status = main(options)
    out, err = capsys.readouterr()
    assert status in (DONE, LEFT_OUT) or (status == FAILED and "postel: broken at octet" in err)
    assert ("postel: left out, of" in err) >= (status == LEFT_OUT)
    assert out or status == FAILED
