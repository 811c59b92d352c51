"""A Python program, run as ``python program.py`` or ``python -m module`` would run it, but inside this
process.
"""

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
# They open the system's sockets by themselves, and would talk to the machine's network without a word
_OUT_OF_REACH: Final = ("uvloop", "gevent", "eventlet", "pycurl")


def run(name: str, arguments: Sequence[str], *, is_module: bool) -> int:
    """The exit status of the program: ``name`` is a file, a folder with a ``__main__.py``, or a module.

    It ends once its threads have ended, other than daemons. An exception that leaves it is told as the
    interpreter does, from the program's first line on. KeyboardInterrupt is raised, once told.
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
    """What a program sees of how it was called; put back at the end."""
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
    finder = _Refusal()
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


class _Refusal(MetaPathFinder):
    """Programs that can do without one of these take asyncio's own loop then; others are told why they
    can't.
    """

    def find_spec(self, fullname: str, path: object, target: object = None) -> None:
        if fullname in _OUT_OF_REACH:
            raise ImportError(
                f"{fullname} opens the system's sockets itself, so it can't be used over Postel",
                name=fullname,
            )


def _wait_for_threads() -> None:
    """As the interpreter does before it ends: for all that are no daemons, those that they start too."""
    own = threading.current_thread()
    while threads := [thread for thread in threading.enumerate() if thread is not own and not thread.daemon]:
        for thread in threads:
            thread.join()


def _status(code: object) -> int:
    if code is None:
        return 0
    if isinstance(code, int):
        return code & 0xFF
    print(code, file=sys.stderr)  # noqa: T201 - as the interpreter does
    return FAILED


def _of_program(traceback: TracebackType | None) -> TracebackType | None:
    """Without the lines that lead to the program."""
    own = {__file__, runpy.__file__, "<frozen runpy>"}
    while traceback is not None and traceback.tb_frame.f_code.co_filename in own:
        traceback = traceback.tb_next
    return traceback
