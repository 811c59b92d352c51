"""`postel drill --against kernel`: scripts over Linux."""

import json
import os
import shutil
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from postel.cli import drill, main
from tests.drill.suites import LANGUAGE, LINUX, labelled
from tests.kernel.conftest import unless

ACTIVE = """\
`sysctl -w net.ipv4.tcp_timestamps=0; sysctl -w net.ipv4.tcp_window_scaling=0`
 0.00 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0.00 fcntl(3, F_SETFL, O_RDWR | O_NONBLOCK) = 0
+0.00 connect(3, ..., ...) = -1 EINPROGRESS (Operation now in progress)
+0.00 > S 0:0(0) <mss MSS,nop,nop,sackOK>
+0.02 < S. 0:0(0) ack 1 win 32767 <mss 1000>
+0.00 > . 1:1(0) ack 1
+0.00 getsockopt(3, SOL_SOCKET, SO_ERROR, [0], [4]) = 0
+0.00 write(3, ..., 3000) = 3000
+0.00 > P. 1:3001(3000) ack 1
+0.02 < . 1:1(0) ack 3001 win 32767
+0.02 < P. 1:101(100) ack 3001 win 32767
* > . 3001:3001(0) ack 101
+0.00 read(3, ..., 1000) = 100
+0.00 %{ assert tcpi_state == TCPI_ESTABLISHED and tcpi_unacked == 0 }%
+0.00 close(3) = 0
+0.00 > F. 3001:3001(0) ack 101
+0.02 < F. 101:101(0) ack 3002 win 32767
+0.00 > . 3002:3002(0) ack 102
+0.00 `sockstat -4 -s | grep -c TIME_WAIT | grep 1`
"""
PASSIVE = """\
 0.00 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0.00 bind(3, ..., ...) = 0
+0.00 listen(3, 1) = 0
+0.00...0.05 accept(3, ..., ...) = 4
+0.05 < S 0:0(0) win 1000 <mss 1000>
+0.00 > S. 0:0(0) ack 1 <mss MSS>
+0.00 < . 1:1(0) ack 1 win 1000
+0.00...0.10 read(4, ..., 100) = 10
+0.10 < P. 1:11(10) ack 1 win 1000
+0.00~+0.10 > . 1:1(0) ack 11
+0.00...0.20 poll([{fd=4, events=POLLIN, revents=POLLIN}], 1, 1000) = 1
+0.20 < F. 11:11(0) ack 1 win 1000
* > . 1:1(0) ack 12
+0.00 read(4, ..., 100) = 0
+0.00 setsockopt(4, SOL_SOCKET, SO_LINGER, {onoff=1, linger=0}, 8) = 0
+0.00 close(4) = 0
+0.00 > R. 1:1(0) ack 12
+0.00 write(4, ..., 1) = -1 EBADF (Bad file descriptor)
"""
FAST_OPEN = """\
`sysctl -w net.ipv4.tcp_timestamps=0; sysctl -w net.ipv4.tcp_window_scaling=0`
`sysctl -w net.ipv4.tcp_fastopen=1`
 0.00 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0.00 fcntl(3, F_SETFL, O_RDWR | O_NONBLOCK) = 0
+0.00 sendto(3, ..., 100, MSG_FASTOPEN, ..., ...) = -1 EINPROGRESS (Operation now in progress)
+0.00 > S 0:0(0) <mss MSS,nop,nop,sackOK,FO,nop,nop>
+0.02 < S. 0:0(0) ack 1 win 32767 <mss 1000,FO abcd1234,nop,nop>
+0.00 > . 1:1(0) ack 1
+0.00 close(3) = 0
+0.00 > F. 1:1(0) ack 1
+0.02 < F. 1:1(0) ack 2 win 32767
+0.00 > . 2:2(0) ack 2
+0.00 socket(..., SOCK_STREAM, IPPROTO_TCP) = 4
+0.00 fcntl(4, F_SETFL, O_RDWR | O_NONBLOCK) = 0
+0.00 sendto(4, ..., 100, MSG_FASTOPEN, ..., ...) = 100
+0.00 > S 0:100(100) <mss MSS,nop,nop,sackOK,FO abcd1234,nop,nop>
+0.02 < S. 0:0(0) ack 101 win 32767 <mss 1000>
+0.00 > . 101:101(0) ack 1
"""
WRONG = {
    "flag": ("+0.00 > . 1:1(0) ack 1\n", "+0.00 > P. 1:1(0) ack 1\n"),
    "seq": ("> . 3002:3002(0)", "> . 3001:3001(0)"),
    "ack": ("> F. 3001:3001(0) ack 101", "> F. 3001:3001(0) ack 100"),
    "option": ("<mss MSS,nop,nop,sackOK>", "<mss 999,nop,nop,sackOK>"),
    "length": ("1:3001(3000)", "1:2001(2000)"),
    "time": ("+0.00 > F. 3001", "+0.50 > F. 3001"),
    "no packet": ("+0.00 close(3) = 0\n", ""),
    "errno": ("EINPROGRESS", "ECONNREFUSED"),
    "result": ("read(3, ..., 1000) = 100", "read(3, ..., 1000) = 99"),
    "assertion": ("TCPI_ESTABLISHED", "TCPI_CLOSE_WAIT"),
    "state": ("TIME_WAIT | grep 1", "TIME_WAIT | grep 0"),
    "a call that blocks": (
        "+0.00 getsockopt",
        "+0.00 fcntl(3, F_SETFL, O_RDWR) = 0\n+0.00 read(3, ..., 5) = 0\n+0.00 getsockopt",
    ),
}


def _namespace_and_threads() -> tuple[Path, int]:
    return Path("/proc/self/ns/net").readlink(), threading.active_count()


@pytest.fixture
def has_rights() -> None:
    unless(os.geteuid() == 0, "not root: no namespace and no TUN can be made")
    unless(Path("/dev/net/tun").exists(), "there is no /dev/net/tun")
    unless(shutil.which("ip"), "there is no ip (iproute2)")


@pytest.fixture
def against_kernel(
    has_rights: None, family: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Callable[[str], Any]:
    """Runs a script; returns what the JSON says of it, and what was told beside that."""

    def run(text: str) -> Any:
        script = tmp_path / "script.pkt"
        header = f"--ip_version=ipv{family}\n--tolerance_usecs=100000\n"  # other tests run beside
        script.write_text(header + text.replace("MSS", "1440" if family == 6 else "1460"))
        status = main(["drill", "--against", "kernel", "--json", str(script)])
        captured = capsys.readouterr()
        (found,) = json.loads(captured.out)["scripts"]
        assert status == (found["result"] != "passed")
        return found | {"told": captured.err}

    return run


@pytest.mark.parametrize("script", [ACTIVE, PASSIVE, FAST_OPEN], ids=["active", "passive", "fast open"])
def test_the_kernel_does_what_the_script_says(against_kernel: Callable[[str], Any], script: str) -> None:
    before = _namespace_and_threads()
    found = against_kernel(script)
    assert (found["result"], found["message"], found["told"]) == ("passed", "", "")
    assert _namespace_and_threads() == before


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_expectation_fails(against_kernel: Callable[[str], Any], wrong: str) -> None:
    right, changed = WRONG[wrong]
    assert right in ACTIVE
    found = against_kernel(ACTIVE.replace(right, changed, 1))
    assert found["result"] == "failed", found
    assert found["line"] > 1


@pytest.mark.usefixtures("has_rights")
def test_a_failure_shows_the_ladder_and_every_script_leaves_its_capture(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = "--tolerance_usecs=100000\n" + ACTIVE.replace("MSS", "1460")
    (tmp_path / "right.pkt").write_text(text)
    (tmp_path / "wrong.pkt").write_text(text.replace("> . 3002:3002(0) ack 102", "> . 3002:3002(0) ack 101"))
    assert main(["drill", "--against", "kernel", "--pcapng", str(tmp_path / "captures"), str(tmp_path)]) == 1
    out = capsys.readouterr().out
    assert "wrong.pkt:20: failed: ack: expected 101, actual 102" in out
    assert "#1 SYN seq=0" in out
    assert "#12 ACK seq=3002 ack=102" in out
    sizes = {path.name.rpartition("_")[2]: path.stat().st_size for path in (tmp_path / "captures").iterdir()}
    assert sizes.keys() == {"right.pcapng", "wrong.pcapng"}
    assert min(sizes.values()) > 3000  # the text went along


@pytest.mark.usefixtures("has_rights")
@pytest.mark.parametrize("path", labelled([*LINUX, *LANGUAGE]))
def test_scripts_that_are_no_other_for_linux(
    path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script = tmp_path / path.name
    # A wide tolerance, because other tests run at the same time
    script.write_text("--tolerance_usecs=100000\n" + path.read_text(encoding="utf-8"))
    assert main(["drill", "--against", "kernel", "--profile", "linux", str(script)]) == 0, (
        capsys.readouterr().out
    )


def test_settings_are_the_namespaces_own(against_kernel: Callable[[str], Any]) -> None:
    setting = Path("/proc/sys/net/ipv4/tcp_timestamps")
    before = setting.read_text()
    assert against_kernel(ACTIVE)["result"] == "passed"
    assert setting.read_text() == before


def test_commands_that_mean_nothing_here_are_skipped_and_never_executed(
    against_kernel: Callable[[str], Any], tmp_path: Path
) -> None:
    witness = tmp_path / "witness"
    found = against_kernel(
        f"`touch {witness}; sysctl net.inet.tcp.rfc1323=0; sysctl kernel.printk=4`\n 0.00 socket(..., "
        "SOCK_STREAM, IPPROTO_TCP) = 3\n"
    )
    assert found["result"] == "passed"
    assert found["told"].count("skipped: ") == 3
    assert f"script.pkt:3: skipped: touch {witness}" in found["told"]
    assert not witness.exists()


def test_who_has_no_right_is_told_how_to_get_it(tmp_path: Path) -> None:
    unless(os.geteuid() == 0, "not root: no right can be given up")
    assert drill.run  # imported while it can be
    script = tmp_path / "script.pkt"
    script.write_text("0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3\n")
    read, write = os.pipe()
    if (child := os.fork()) == 0:
        status = 99
        try:
            with os.fdopen(write, "w") as sys.stderr:
                os.setgroups([])
                opened = os.open(script, os.O_RDONLY)  # whoever gave up all rights may not find the file
                os.setuid(65534)
                status = main(["drill", "--against", "kernel", f"/proc/self/fd/{opened}"])
        finally:
            os._exit(status)
    os.close(write)
    _, ended = os.waitpid(child, 0)
    told = os.read(read, 1000).decode()
    os.close(read)
    assert os.waitstatus_to_exitcode(ended) == 3, told
    assert "run as root" in told
    assert told.count("\n") == 1
