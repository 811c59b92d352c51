"""``--ladder`` and ``--pcapng``."""

import argparse
import io
from pathlib import Path

import pytest

from postel.cli.network.recording import Recording, show
from postel.errors import ArgumentError
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
    [("utf-8", "zh", "三次握手", "|"), ("ascii", "zh", "three-way", "│"), ("gb18030", "zh", "三次握手", "|"), ("latin-1", "en", "|-", "│")],
)
def test_what_the_terminal_can_show(encoding: str, language: str, expected: str, avoided: str) -> None:
    octets = io.BytesIO()
    stream = Terminal(octets, encoding=encoding)
    show(Stage().handshake().trace, language, stream)
    text = octets.getvalue().decode(encoding)
    assert expected in text
    assert avoided not in text
    assert "\033[" in text
