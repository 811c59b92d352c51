"""``postel explain`` of many connections: which ones are told of, in which order, and what is said of all
together.
"""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from postel.cli import DONE, MISTAKE, main
from postel.view.capture import report
from postel.wire.address import Endpoint, parse
from postel.wire.segment import ACK, PSH, RST, SYN
from tests.view.capture.tape import IPV6_ENDS, OFFER, Tape, read

DATA = ACK | PSH
SCANNER = parse("10.9.9.9")


def normal(number: int, octets: int) -> Tape:
    tape = Tape(
        Endpoint(parse("10.0.0.1"), 2000 + number), Endpoint(parse(f"10.0.0.{2 + number}"), 80 + number)
    ).wait(10 * number)
    return (
        tape.handshake()
        .left(DATA, 1, 1, b"x" * octets, tsval=1, tsecr=1)
        .right(ACK, 1, 1 + octets, tsval=1, tsecr=1)
        .close(1 + octets)
    )


def slow() -> Tape:
    tape = (
        Tape(Endpoint(parse("10.0.0.1"), 3000), Endpoint(parse("10.0.0.9"), 443))
        .handshake()
        .left(DATA, 1, 1, b"lost", tsval=1, tsecr=1)
    )
    return tape.wait(700).left(DATA, 1, 1, b"lost", tsval=1, tsecr=1).right(ACK, 1, 5, tsval=1, tsecr=1)


def scanned(port: int) -> Tape:
    return (
        Tape(Endpoint(SCANNER, 50_000), Endpoint(parse("10.0.0.5"), port))
        .left(SYN, 0, **OFFER)
        .right(RST | ACK, 0, 1)
    )


@pytest.fixture
def file(tmp_path: Path) -> str:
    tape = Tape()
    tape.packets = [
        packet
        for each in (normal(0, 10), normal(1, 300), normal(2, 20), slow(), *map(scanned, range(1, 31)))
        for packet in each.packets
    ]
    tape.packets.sort(key=lambda packet: packet[0])
    path = tmp_path / "many.pcap"
    path.write_bytes(tape.pcap())
    return str(path)


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    assert main(["explain", *arguments, "--lang", "en"]) == DONE
    return capsys.readouterr().out.splitlines()


def others(lines: list[str]) -> list[str]:
    """The other ends of the rows, without the head."""
    return [line.split()[3] for line in lines[1:] if "→" in line and line.split()[0].isdigit()]


def test_a_scan_is_one_line(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    lines = told(capsys, file)
    assert len(lines) == 1 + 4 + 1
    (scan,) = [line for line in lines if line.startswith("10.9.9.9")]
    assert "30 ports of 1 hosts: 30 connections without data, all refused" in scan
    assert len(told(capsys, file, "--unfold")) == 1 + 34


def test_only_what_is_unusual(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert others(told(capsys, file, "--only", "unusual", "--host", "10.0.0.1")) == ["10.0.0.9:443"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--host", "10.0.0.3"], ["10.0.0.3:81"]),
        (["--host", "10.0.0.3", "--host", "10.0.0.4"], ["10.0.0.3:81", "10.0.0.4:82"]),
        (["--port", "443"], ["10.0.0.9:443"]),
        (["--closed", "four-way", "--port", "80"], ["10.0.0.2:80"]),
        (["--closed", "open"], ["10.0.0.9:443"]),
        (
            ["--host", "10.0.0.1", "--sort", "octets"],
            ["10.0.0.3:81", "10.0.0.4:82", "10.0.0.2:80", "10.0.0.9:443"],
        ),
        (
            ["--host", "10.0.0.1", "--sort", "again"],
            ["10.0.0.9:443", "10.0.0.2:80", "10.0.0.3:81", "10.0.0.4:82"],
        ),
        (
            ["--host", "10.0.0.1", "--sort", "duration"],
            ["10.0.0.9:443", "10.0.0.2:80", "10.0.0.3:81", "10.0.0.4:82"],
        ),
    ],
)
def test_selection_and_order(
    file: str, capsys: pytest.CaptureFixture[str], arguments: list[str], expected: list[str]
) -> None:
    assert others(told(capsys, file, *arguments)) == expected
    capsys.readouterr()
    rows = [json.loads(line) for line in told(capsys, file, *arguments, "--json")]
    assert [row["other"]["endpoint"] for row in rows if "other" in row] == expected


def test_the_whole_in_three_lines(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    span, again, closed = told(capsys, file, "--summary")
    assert "93 packets, 93 of them in 34 TCP connections with 334 octets of data" in span
    assert again == "sent again: 1 segments, 1.08% of the packets"
    assert closed == "closed: refused 30, four-way 3, open 1"


@pytest.mark.parametrize(
    "arguments", [["--port", "70000"], ["--host", "nowhere"], ["--follow", "--sort", "octets"]]
)
def test_mistakes(file: str, capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    assert main(["explain", file, *arguments]) == MISTAKE
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_json_names_every_packet_of_a_finding(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tape = Tape().handshake().left(DATA, 1, 1, b"text", tsval=1, tsecr=1)
    for _ in range(40):
        tape.wait(300).left(DATA, 1, 1, b"text", tsval=1, tsecr=1)
    path = tmp_path / "again.pcap"
    path.write_bytes(tape.pcap())
    row = json.loads(told(capsys, str(path), "--json", "--why")[0])
    (finding,) = [finding for finding in row["findings"] if finding["what"] == "retransmission"]
    assert finding["packets"] == list(range(5, 45))
    assert row["pace"]["opener"]["share_sent_again"] == pytest.approx(40 / 42, abs=1e-4)


@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark isn't installed")
def test_the_display_filter_shows_this_connection_alone(file: str, tmp_path: Path) -> None:
    six = tmp_path / "six.pcap"
    six.write_bytes(Tape(*IPV6_ENDS).handshake().close().pcap())
    for path in (Path(file), six):
        for connection in read(path.read_bytes())[0][:6]:
            command = ["tshark", "-n", "-r", str(path), "-Y", report.display_filter(connection)]
            shown = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
            assert len(shown) == sum(end.packets for end in connection.ends)
