"""``--ladder`` and ``--pcapng``."""

import argparse
import io
import re
from pathlib import Path

import pytest

from postel.cli.network.numbers import octets, seconds
from postel.cli.network.recording import Recording, show
from postel.errors import ArgumentError
from postel.wire.segment import SYN
from tests.view.stage import Stage


def options(**chosen: object) -> argparse.Namespace:
    return argparse.Namespace(**{"ladder": False, "unfold": False, "pcapng": None, "lang": "en", **chosen})


def test_nothing_is_recorded_unasked() -> None:
    recording = Recording(options(), {})
    assert recording.trace is None
    recording.finish()


def test_ladder_and_capture(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "run.pcapng"
    recording = Recording(options(ladder=True, pcapng=str(file)), {"10.0.0.1": "me"})
    Stage(recording.trace).handshake()
    recording.finish()
    out, err = capfd.readouterr()
    assert out == ""
    assert "three-way handshake" in err
    assert "\033" not in err  # no terminal, no colours
    assert file.read_bytes()[:4] == b"\x0a\x0d\x0d\x0a"


def test_a_file_that_can_not_be_written_is_a_mistake() -> None:
    with pytest.raises(ArgumentError, match="--pcapng is '/nowhere/x'; allowed: a file that can be written"):
        Recording(options(pcapng="/nowhere/x"), {})


class Terminal(io.TextIOWrapper):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("encoding", "language", "expected", "avoided"),
    [
        ("utf-8", "zh", "三次握手", "|"),
        ("ascii", "zh", "three-way", "│"),
        ("gb18030", "zh", "三次握手", "|"),
        ("latin-1", "en", "|-", "│"),
    ],
)
def test_what_the_terminal_can_show(encoding: str, language: str, expected: str, avoided: str) -> None:
    octets = io.BytesIO()
    stream = Terminal(octets, encoding=encoding)
    show(Stage().handshake().trace, language, stream)
    text = octets.getvalue().decode(encoding)
    assert expected in text
    assert avoided not in text
    assert "\033[" in text


@pytest.mark.parametrize(("file", "streams"), [(None, True), ("x", False)])
def test_a_limit_of_what_is_not_written_while_it_passes_is_a_mistake(
    tmp_path: Path, file: str | None, streams: bool
) -> None:
    with pytest.raises(ArgumentError, match="--pcapng-limit"):
        Recording(options(pcapng=str(tmp_path / file) if file else None, pcapng_limit=5), {}, streams=streams)


def test_what_passed_is_in_the_file_before_the_command_ends_and_what_is_left_out_is_told(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "run.pcapng"
    recording = Recording(options(pcapng=str(file), pcapng_limit=700, ladder=True), {}, streams=True)
    assert recording.trace is not None
    stage = Stage(recording.trace)
    stage.trace = recording.observer  # type: ignore[assignment]
    begun = file.stat().st_size
    one, other = (stage.packet(end, SYN, 0) for end in (stage.left, stage.right))
    for at, packet in enumerate((one, other, one, other, one, other)):
        stage.trace.packet_sent(packet, at)
    assert file.stat().st_size > begun + len(one)
    recording.finish()
    assert re.search(r"postel: [1-5] packets are not in .*run.pcapng", capfd.readouterr().err)


@pytest.mark.parametrize(("text", "value"), [("1", 1), ("500K", 512_000), ("2m", 2 << 20), ("1G", 1 << 30)])
def test_numbers_of_octets(text: str, value: int) -> None:
    assert octets(text) == value


@pytest.mark.parametrize("text", ["", "0", "K", "-1", "1T", "1.5M", "9" * 5000, "²"])
def test_what_is_no_number_of_octets(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        octets(text)


@pytest.mark.parametrize("text", ["", "0", "-1", "nan", "inf", "1e9", "x", "9" * 5000])
def test_what_is_no_number_of_seconds(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        seconds(text)
