"""Exit status and messages: a mistake is one line and 2, a missing right or device 3, an interruption 130."""

import errno
import re
import subprocess
import sys
from pathlib import Path

import pytest

import postel
from postel import cli
from postel.errors import ArgumentError, ConnectionRefused, LinkError
from postel.host import host

TUN = ("--tun", "postel0", "--address", "10.7.0.2/24")
ROOT = Path(postel.__file__).parents[1]


@pytest.mark.parametrize(
    "arguments",
    [
        ["fly"],
        ["--fly"],
        ["serve"],
        ["serve", "."],
        ["serve", "/nowhere/at/all", *TUN],
        ["serve", ".", "--port", "0", *TUN],
        ["serve", ".", "--port", "٣", *TUN],
        ["serve", ".", "--tun", "t", "--address", "10.7.0"],
        ["serve", ".", "--tun", "t", "--address", "10.7.0.2"],
        ["serve", ".", "--tun", "t", "--address", "10.7.0.2/33"],
        ["serve", ".", "--tun", "t", "--address", "10.7.0.2/32"],
        ["serve", ".", "--kernel-address", "x", *TUN],
        ["serve", ".", "--mtu", "10", *TUN],
        ["serve", ".", "--tun", "a name that is too long", "--address", "10.7.0.2/24"],
        ["serve", ".", "--pcapng", "/nowhere/at/all", *TUN],
        ["get", "gopher://10.7.0.1/", *TUN],
        ["get", "http://10.7.0.1/", "--loss", "10%", *TUN],
        ["get", "http://10.7.0.1/", "--ca", "/nowhere/at/all", *TUN],
        ["get", "http://10.7.0.1/", "--dns", "dns.example", *TUN],
        ["get", "http://10.7.0.1/", "--resolve", "www.example.org", *TUN],
        ["get", "http://10.7.0.1/"],
        ["get", "--lab", *TUN],
        ["get", "--lab", "--dns", "10.0.0.53"],
        ["get", "--lab", "--loss", "2"],
        ["get", "--lab", "--set", "nothing=1"],
        ["get", "http://10.7.0.1:99999/", *TUN],
        ["get", "http://[::1/", *TUN],
        ["get", "http://10.7.0.1/", "-o", "/nowhere/at/all", *TUN],
        ["nc", "10.7.0.1", *TUN],
        ["nc", "10.7.0.1", "x", *TUN],
        ["nc", "localhost", "80", *TUN],
        ["nc", "-l", "10.7.0.1", "80", *TUN],
        ["demo", "--drop", "one"],
        ["demo", "--lang", "fr"],
        ["demo", "--pcapng", "/nowhere/at/all"],
        ["demo", "--chart", "/nowhere/at/all"],
    ],
)
def test_a_mistake_is_one_line_and_two(arguments: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    assert cli.main(arguments) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert err.startswith("postel")


@pytest.mark.parametrize(
    "arguments",
    [[], ["--help"], ["serve", "--help"], ["get", "--help"], ["nc", "--help"], ["demo", "--help"]],
)
def test_help_is_no_mistake(arguments: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    assert cli.main(arguments) == 0
    out, err = capfd.readouterr()
    assert out.startswith("usage: postel")
    assert err == ""


def test_all_commands_are_listed(capfd: pytest.CaptureFixture[str]) -> None:
    assert {"demo", "get", "nc", "serve"} <= set(cli.commands())
    cli.main([])
    out = capfd.readouterr().out
    assert all(re.search(rf"^    {name}\s", out, re.MULTILINE) for name in cli.commands())


def test_the_version_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--version"]) == 0
    words = capfd.readouterr().out
    assert words.startswith(f"postel {postel.__version__}, ")
    assert ("plain Python" in words) == host.__file__.endswith(".py")


class Failing:
    """Stands in for what a command meets: called as the command is."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def __call__(self) -> int:
        raise self.error


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (ArgumentError("--mtu", 3, "68 or more"), 2, "postel: --mtu is 3; allowed: 68 or more\n"),
        (LinkError(errno.EPERM, "no right: run as root"), 3, "postel: no right: run as root\n"),
        (ConnectionRefused(), 1, "postel: connection refused\n"),
        (FileNotFoundError(errno.ENOENT, "No such file", "page"), 1, "postel: page: No such file\n"),
        (TimeoutError(), 1, "postel: TimeoutError\n"),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_each_failure_has_its_status(
    error: BaseException, status: int, line: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert cli.exit_status(Failing(error)) == status
    assert capfd.readouterr().err == line


def test_from_a_checkout_with_nothing_installed() -> None:
    command = (
        sys.executable,
        "-I",
        "-S",
        "-c",
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); from postel.cli import main; sys.exit(main([]))",
    )
    assert subprocess.run(command, check=False, capture_output=True, cwd="/").returncode == 0


def test_a_reader_that_has_seen_enough_is_no_failure() -> None:
    command = f"{sys.executable} -m postel demo --no-kernel --pcapng /dev/null | head -1"
    done = subprocess.run(
        ("bash", "-c", f"{command}; exit ${{PIPESTATUS[0]}}"),
        check=False,
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert done.stderr == ""
    assert done.returncode in (0, 141)  # it may have been faster than head


class TestDemo:
    def test_draws_a_longer_transfer(self, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
        file = tmp_path / "window.svg"
        assert cli.main(["demo", "--chart", str(file)]) == 0
        assert capfd.readouterr().out == f"10 Mbit/s, 40 ms, a queue of 50 kB: {file}\n"
        assert file.read_text("utf-8").startswith("<svg")

    def test_shows_a_whole_life(self, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
        file = tmp_path / "run.pcapng"
        assert cli.main(["demo", "--no-kernel", "--lang", "en", "--pcapng", str(file)]) == 0
        out = capfd.readouterr().out
        for state in (
            "SYN-SENT",
            "SYN-RECEIVED",
            "FIN-WAIT-1",
            "FIN-WAIT-2",
            "CLOSE-WAIT",
            "LAST-ACK",
            "TIME-WAIT",
        ):
            assert out.count(state) >= 1, state
        for words in (
            "╳─",
            "retransmission of #9",
            "PTO",
            "2MSL is over",
            "half-close",
            "sack=",
            "three-way handshake",
            "GET /",
        ):
            assert words in out
        assert file.stat().st_size > 5000

    def test_speaks_chinese(self, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
        cli.main(["demo", "--no-kernel", "--lang", "zh", "--pcapng", str(tmp_path / "run.pcapng")])
        out = capfd.readouterr().out
        assert all(words in out for words in ("三次握手", "半关闭", "#9 的重传", "虚拟时间"))

    def test_the_same_seed_shows_the_same(self, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
        def shown(seed: int) -> tuple[str, bytes]:
            file = tmp_path / "run.pcapng"
            cli.main(["demo", "--no-kernel", "--seed", str(seed), "--pcapng", str(file)])
            return capfd.readouterr().out, file.read_bytes()

        assert shown(1) == shown(1)
        assert shown(1) != shown(2)

    @pytest.mark.parametrize("drop", ["", "1", "2,3", "4,5,6,7,8"])
    def test_any_loss_is_survived(self, drop: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
        assert (
            cli.main(
                [
                    "demo",
                    "--no-kernel",
                    "--drop",
                    drop,
                    "--pcapng",
                    str(tmp_path / "run.pcapng"),
                    "--lang",
                    "en",
                ]
            )
            == 0
        )
        out = capfd.readouterr().out
        assert "2MSL is over" in out
        assert out.count("╳") == len([number for number in drop.split(",") if number])


def test_a_message_never_breaks_its_line(capfd: pytest.CaptureFixture[str]) -> None:
    assert cli.exit_status(Failing(LinkError(1, "one\ntwo"))) == 3
    assert capfd.readouterr().err == "postel: one two\n"
