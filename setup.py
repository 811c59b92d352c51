"""Pure Python as it stands; with POSTEL_COMPILE=1 in the environment, mypyc makes the core (wire, tcp, host) into C extensions.

Building compiled needs the extra `compile` and no isolation: ``POSTEL_COMPILE=1 pip install --no-build-isolation .``
"""

import os
from pathlib import Path

from setuptools import setup

CORE = ("postel/wire", "postel/tcp", "postel/host")
# Classes that users subclass in plain Python, and what inherits from those: mypyc's native classes can't do that.
PLAIN = {
    "postel/tcp/observer.py",
    "postel/tcp/congestion/__init__.py",
    "postel/tcp/congestion/bbr.py",
    "postel/tcp/congestion/control.py",
    "postel/tcp/congestion/cubic.py",
    "postel/tcp/congestion/reno.py",
}


def modules() -> list[str]:
    """The core's files, compiled in one group so that they call each other as C does."""
    found = sorted(path.as_posix() for folder in CORE for path in Path(folder).rglob("*.py"))
    return [path for path in found if path not in PLAIN]


if os.environ.get("POSTEL_COMPILE") == "1":
    from mypyc.build import mypycify

    setup(ext_modules=mypycify(["--strict", *modules()], opt_level=os.environ.get("POSTEL_OPTIMISE", "3")))
else:
    setup()
