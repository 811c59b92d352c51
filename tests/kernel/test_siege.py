"""`postel serve` under the tools that are quick to install; `tools/siege.py` has them all, and compares with
nginx.
"""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import postel
from tests.kernel.conftest import unless

ROOT = Path(postel.__file__).parents[1]


@pytest.mark.parametrize(
    ("tool", "program"),
    [
        ("ab -k", "ab"),
        ("ab", "ab"),
        ("wrk, Connection: close", "wrk"),
        ("curl --parallel", "curl"),
        ("garbage", "ip"),
    ],
)
def test_a_tool_finds_no_failure(namespace: Any, tool: str, program: str) -> None:
    unless(shutil.which(program), f"there is no {program}")
    command = (sys.executable, str(ROOT / "tools" / "siege.py"), "--alone", tool)
    done = subprocess.run(command, capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "postel: ok" in done.stdout
