"""mypyc makes the core (wire, tcp, host) into C extensions where a C compiler is there; else the same source is installed as it stands.

``POSTEL_COMPILE=0`` leaves it plain in any case; with ``POSTEL_COMPILE=1`` what prevents compiling is an error. An sdist and an editable
install are always plain. ``POSTEL_OPTIMISE`` is the C compiler's level, 3 unless told otherwise.
"""

import os
import sys
import tempfile
from pathlib import Path

from setuptools import Extension, setup
from setuptools.errors import CompileError

CORE = ("postel/wire", "postel/tcp", "postel/host")
PLAIN = {"postel/tcp/observer.py"}  # others write what it calls, in Python
BUILDING = {"build", "build_ext", "bdist_wheel", "install"}


def modules() -> list[str]:
    """The core's files, compiled in one group so that they call each other as C does."""
    found = sorted(path.as_posix() for folder in CORE for path in Path(folder).rglob("*.py"))
    return [path for path in found if path not in PLAIN]


def extensions() -> list[Extension]:
    from mypyc.build import mypycify  # noqa: PLC0415 - absent where nothing is to be compiled

    return list(mypycify(["--strict", *modules()], opt_level=os.environ.get("POSTEL_OPTIMISE", "3")))


def require_compiler() -> None:
    """Before mypyc works for a minute: whether there is a C compiler, and the interpreter's headers."""
    from setuptools.command.build_ext import build_ext  # noqa: PLC0415
    from setuptools.dist import Distribution  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "probe.c")
        source.write_text("#include <Python.h>\n", "ascii")
        command = build_ext(Distribution({"ext_modules": [Extension("probe", [str(source)])]}))
        command.build_lib = command.build_temp = folder
        command.ensure_finalized()
        try:
            command.run()
        except CompileError as error:
            raise SystemExit(f"no C compiler that works with this Python: {error}") from error


def compiled() -> None:
    require_compiler()
    setup(ext_modules=extensions(), options={"build_ext": {"parallel": True}})  # the small modules, beside the group


choice = os.environ.get("POSTEL_COMPILE", "")
if choice == "0" or not BUILDING & set(sys.argv):
    setup()
elif choice == "1":
    compiled()
else:
    try:
        compiled()
    except (ImportError, SystemExit) as error:
        print(f"postel: installed as plain Python, for it can't be compiled: {error}", file=sys.stderr)
        setup()
