"""Command line of Postel: one module beside this one for each command.

A module's name is the command's name. The first line of its docstring is the help, ``arguments(parser)`` adds
its arguments, and ``run(options)`` runs it and returns the exit status. Packages beside the modules hold what
several commands share.

Exit status: 0 done, 1 the command failed, 2 a mistake in the arguments, 3 a permission, a device or an
optional package is missing, 130 interrupted.
"""

import argparse
import os
import platform
import sys
from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from io import TextIOWrapper
from pkgutil import iter_modules
from typing import Final, NoReturn

from postel.errors import ArgumentError, LinkError, TcpError

DONE: Final = 0
FAILED: Final = 1
MISTAKE: Final = 2
NOT_ALLOWED: Final = 3
INTERRUPTED: Final = 130
PIPE_BROKEN: Final = 141  # 128 + SIGPIPE: the status that a shell reports for a program ended by SIGPIPE


class _Parser(argparse.ArgumentParser):
    """Parser that reports a mistake in one line."""

    def error(self, message: str) -> NoReturn:
        """Print the mistake and where to find help, and exit with status 2."""
        self.exit(MISTAKE, f"{self.prog}: {message} (see {self.prog} --help)\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command, and return its exit status.

    Never raises for a mistake of the user, the peer or the system: the error is printed in one line.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal may lack a character: print "?" instead
    try:
        options = _parser(arguments).parse_args(arguments)
    except SystemExit as leaving:  # argparse has printed the reason
        return leaving.code if isinstance(leaving.code, int) else MISTAKE
    return exit_status(partial(options.run, options))


def commands() -> list[str]:
    """Names of all commands, in alphabetical order."""
    return sorted(module.name for module in iter_modules(__path__) if not module.ispkg)


def _parser(arguments: list[str]) -> argparse.ArgumentParser:
    """Make the parser.

    Only the module of the command in ``arguments`` is imported, or all of them where the help lists them.
    """
    parser = _Parser(
        prog="postel",
        description="TCP that you can import: RFC 9293 in Python, beside the kernel's or without it.",
    )
    parser.add_argument("--version", action="version", version=f"postel {_version()}")
    parser.set_defaults(run=lambda _: parser.print_help())
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND")
    known = commands()
    for name in arguments[:1] if arguments[:1] and arguments[0] in known else known:
        module = import_module(f"{__name__}.{name}")
        summary = (module.__doc__ or "").partition("\n")[0]
        command = subparsers.add_parser(
            name, help=summary[:1].lower() + summary[1:].rstrip("."), description=summary
        )
        module.arguments(command)
        command.set_defaults(run=module.run)
    return parser


def exit_status(command: Callable[[], int | None]) -> int:
    """Run a command that may fail: print its error, and return the exit status for it."""
    try:
        status = command()
        sys.stdout.flush()
    except ArgumentError as error:
        return _tell(error, MISTAKE)
    except LinkError as error:
        return _tell(error.strerror or error, NOT_ALLOWED)
    except ImportError as error:
        return _tell(error.msg, NOT_ALLOWED)
    except KeyboardInterrupt:
        return INTERRUPTED
    except OSError as error:
        return _failed(error)
    return int(status or DONE)


def _failed(error: OSError) -> int:
    """Report an error of the network or the system.

    Nothing is printed if the program that reads standard output has closed the pipe.
    """
    if isinstance(error, BrokenPipeError) and not isinstance(error, TcpError):
        # Otherwise the interpreter prints an error when it flushes the output at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PIPE_BROKEN
    text = error.strerror or str(error) or type(error).__name__
    return _tell(f"{error.filename}: {text}" if error.filename else text, FAILED)


def _tell(message: object, status: int) -> int:
    print(f"postel: {printable(' '.join(str(message).split()))}", file=sys.stderr)
    return status


def printable(text: str) -> str:
    """Replace each character that could control a terminal, because the text may come from a peer."""
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)


def _version() -> str:
    version = getattr(import_module("postel"), "__version__", "(unknown version)")
    return f"{version}, {core()}, {platform.python_implementation()} {platform.python_version()}"


def core() -> str:
    """Text that says how the core runs: as C extensions ("compiled core") or as source ("plain Python")."""
    return (
        "plain Python" if str(import_module("postel.host.host").__file__).endswith(".py") else "compiled core"
    )
