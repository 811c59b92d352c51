"""The machine as it is: what the doctor says must be true of it, whatever it is."""

import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from postel import cli
from postel.host import host

NAMES = ["core", "TUN", "offload", "queues", "right", "ip", "tcpdump", "tshark", "kernel"]


def findings(capfd: pytest.CaptureFixture[str]) -> dict[str, dict[str, Any]]:
    status = cli.main(["doctor", "--json"])
    found = {finding["name"]: finding for finding in json.loads(capfd.readouterr().out)}
    is_lacking = any(finding["needed"] and finding["state"] == "missing" for finding in found.values())
    assert status == (cli.NOT_ALLOWED if is_lacking else cli.DONE)
    return found


def test_what_it_says_is_so(capfd: pytest.CaptureFixture[str]) -> None:
    found = findings(capfd)
    assert (found["core"]["state"] == "missing") == host.__file__.endswith(".py")
    assert (found["TUN"]["state"] == "good") == os.access("/dev/net/tun", os.R_OK | os.W_OK)
    for program in ("ip", "tcpdump", "tshark"):
        assert (found[program]["state"] == "good") == bool(shutil.which(program))
    assert all(
        finding["advice"]
        for finding in found.values()
        if finding["state"] == "missing" and finding["name"] != "queues"
    )
    if found["TUN"]["state"] == "good":
        assert [name for name in found if not name.startswith("device ")] == NAMES


def test_it_leaves_no_device_behind(capfd: pytest.CaptureFixture[str]) -> None:
    before = socket.if_nameindex()
    findings(capfd)
    assert [name for _, name in socket.if_nameindex() if name.startswith("postel-doctor")] == []
    assert {name for _, name in before if not name.startswith("postel")} <= {
        name for _, name in socket.if_nameindex()
    }


def test_a_user_without_rights_is_told_what_to_do() -> None:
    if os.geteuid() != 0:
        pytest.skip("not root: nobody else can be tried")
    program = """
import encodings.ascii, importlib.metadata, json, os, sys, sysconfig
import postel.cli.doctor, postel.host.host
from postel import cli
sysconfig.get_path("include")
os.setgroups([])
os.setuid(65534)  # who may have no right to read what isn't imported yet
sys.exit(cli.main(["doctor"]))
"""
    environment = {
        **os.environ,
        "PYTHONPATH": str(Path(cli.__file__).parent.parent.parent),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode in (cli.DONE, cli.NOT_ALLOWED), done.stderr
    assert "ip tuntap add" in done.stdout


def test_every_line_says_whether_it_is_good(capfd: pytest.CaptureFixture[str]) -> None:
    cli.main(["doctor"])
    lines = capfd.readouterr().out.splitlines()
    assert all(line.split(maxsplit=1)[0] in ("ok", "no", "?", "->") for line in lines)
