"""What a figure was measured on."""

import os
import platform
import re
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path


def described() -> dict[str, str | int]:
    return {
        "processor": processor(),
        "cores": len(os.sched_getaffinity(0)),
        "architecture": platform.machine(),
        "kernel": f"{platform.system()} {platform.release()}",
        "python": python(),
        "compiler": compiler(),
        "commit": said(
            "git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--abbrev=12"
        ),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def told(machine: dict[str, str | int]) -> str:
    return "{processor}, {cores} cores; {kernel}, {architecture}; {python}".format(**machine)


def python() -> str:
    return f"{platform.python_implementation()} {platform.python_version()}"


def compiler() -> str:
    """That makes extensions here; empty if there is none."""
    found = shutil.which(os.environ.get("CC", "cc"))
    return said(found, "--version").partition("\n")[0] if found else ""


def processor() -> str:
    model = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text("utf-8"), re.MULTILINE)
    return model[1] if model else platform.processor()


def said(*command: str) -> str:
    """Nothing, where the program isn't there or fails."""
    try:
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""
