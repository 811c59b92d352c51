"""Programs that are annotated check without an error: the echo server of the how-to, as mypy reads it."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def checked(program: str, folder: Path) -> str:
    """What ``mypy --strict`` says of the program; "" where it finds nothing."""
    path = folder / "program.py"
    path.write_text(program, encoding="utf-8")
    command = [
        sys.executable,
        "-m",
        "mypy",
        "--strict",
        "--no-error-summary",
        "--cache-dir",
        str(ROOT / ".mypy_cache"),
        str(path),
    ]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout


def test_the_echo_server_of_the_how_to_can_be_annotated(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "how-to.md").read_text(encoding="utf-8")
    programs = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    [program] = [found for found in programs if "def echo(subject, event, now):" in found]
    annotated = program.replace(
        "def echo(subject, event, now):", "def echo(subject: sim.Subject, event: Event, now: int) -> None:"
    )
    assert checked("from postel import Event\n" + annotated, tmp_path) == ""


def test_choices_and_addresses_have_names_to_annotate_with(tmp_path: Path) -> None:
    program = """
from postel import Address, Config, EcnMode, FastOpenMode, Host, HostEvent, MtuProbing, OptionLayout


def configured(ecn: EcnMode, fast_open: FastOpenMode, probing: MtuProbing, layout: OptionLayout) -> Config:
    return Config(ecn=ecn, fast_open=fast_open, mtu_probing=probing, option_layout=layout)


def told(address: Address) -> HostEvent | None:
    return Host(address, config=configured("ask", "off", "always", "packed")).next_event()
"""
    assert checked(program, tmp_path) == ""


def test_an_option_of_a_stream_that_is_unknown_is_found(tmp_path: Path) -> None:
    program = """
import asyncio

from postel.aio import Network


async def opened(network: Network) -> asyncio.StreamWriter:
    return (await network.open_connection("10.0.0.2", 80, data=b"x", {}))[1]
"""
    assert checked(program.replace("{}", 'local_addr=("10.0.0.1", 0)'), tmp_path) == ""
    assert 'Unexpected keyword argument "confg"' in checked(program.replace("{}", "confg=None"), tmp_path)


def test_a_wrong_annotation_is_found(tmp_path: Path) -> None:
    program = (
        "from postel import Closed, TcpError\n\n\ndef reason(event: Closed) -> TcpError:\n    return "
        "event.error\n"
    )
    assert "TcpError | None" in checked(program, tmp_path)
