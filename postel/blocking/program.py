"""Run a Python program as ``python program.py`` or ``python -m module`` does, but inside this process."""

import runpy
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from pathlib import Path
from types import TracebackType
from typing import Final

from postel.errors import ArgumentError

FAILED: Final = 1
# These libraries open the system's sockets themselves, so their packets would silently use the machine's
# network
_OUT_OF_REACH: Final = ("uvloop", "gevent", "eventlet", "pycurl")


def run(name: str, arguments: Sequence[str], *, is_module: bool) -> int:
    """Run a program: ``name`` is a file, a folder with a ``__main__.py``, or a module.

    Returns the program's exit status, once all its threads but daemon threads have ended. An exception that
    leaves the program is printed as the interpreter does, with the traceback from the program's first line
    on. KeyboardInterrupt is printed and raised. Raises ArgumentError if there is no such file.
    """
    with _as_main(name, arguments, is_module=is_module), _out_of_reach():
        try:
            if is_module:
                runpy.run_module(name, run_name="__main__", alter_sys=True)
            else:
                runpy.run_path(name, run_name="__main__")
            _wait_for_threads()
        except SystemExit as leaving:
            _wait_for_threads()
            return _status(leaving.code)
        except BaseException as error:
            error.__traceback__ = _of_program(error.__traceback__)
            sys.excepthook(type(error), error, error.__traceback__)
            if isinstance(error, KeyboardInterrupt):
                raise
            _wait_for_threads()
            return FAILED
    return 0


@contextmanager
def _as_main(name: str, arguments: Sequence[str], *, is_module: bool) -> Iterator[None]:
    """Set ``sys.argv``, ``sys.path`` and ``__main__`` for the program, and restore them at the end."""
    file = Path(name)
    if not is_module and not file.exists():
        raise ArgumentError("program", name, "a Python program that is there, or -m and a module")
    argv, path, main = sys.argv, sys.path, sys.modules["__main__"]
    sys.argv = [name, *arguments]
    sys.path = [str(Path.cwd() if is_module else file.resolve().parent), *path]
    try:
        yield
    finally:
        sys.argv, sys.path, sys.modules["__main__"] = argv, path, main


@contextmanager
def _out_of_reach() -> Iterator[None]:
    """Refuse imports of libraries that can't use Postel, inside the block."""
    finder = _Refusal()
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


class _Refusal(MetaPathFinder):
    """Import hook that refuses libraries which open the system's sockets themselves.

    A program that works without such a library then uses asyncio's own loop. A program that needs it ends
    with an ImportError that says why.
    """

    def find_spec(self, fullname: str, path: object, target: object = None) -> None:
        """Raise ImportError if the module is one of these libraries."""
        if fullname in _OUT_OF_REACH:
            raise ImportError(
                f"{fullname} opens the system's sockets itself, so it can't be used over Postel",
                name=fullname,
            )


def _wait_for_threads() -> None:
    """Wait for all threads but daemons, as the interpreter does before it ends."""
    own = threading.current_thread()
    while threads := [thread for thread in threading.enumerate() if thread is not own and not thread.daemon]:
        for thread in threads:
            thread.join()


def _status(code: object) -> int:
    """Return the exit status for the argument of SystemExit."""
    if code is None:
        return 0
    if isinstance(code, int):
        return code & 0xFF
    print(code, file=sys.stderr)  # noqa: T201 - the interpreter prints it, too
    return FAILED


def _of_program(traceback: TracebackType | None) -> TracebackType | None:
    """Return the traceback without the entries of this module and of `runpy`."""
    own = {__file__, runpy.__file__, "<frozen runpy>"}
    while traceback is not None and traceback.tb_frame.f_code.co_filename in own:
        traceback = traceback.tb_next
    return traceback
