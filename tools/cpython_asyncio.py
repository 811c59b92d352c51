"""CPython's own tests of asyncio, run on loops of `postel.aio`, against a list of what is expected of each.

All, against tests/conformance/cpython_asyncio.toml, with exit status 1 where they differ; or those with a
word in their names, with their tracebacks:

    python tools/cpython_asyncio.py
    python tools/cpython_asyncio.py -k test_server -v
The tests come with Python (the package ``test``); none of them is in this repository. Each of their loops is
one of `postel.aio`, with a host of its own. What they have in threads, or call without a loop, are sockets of
`postel.blocking`, on another host of the same loopback network (`shared_loopback`). Sockets that a test makes
for the loop are the system's, which the loop replaces, as it does for programs.
"""

import argparse
import asyncio
import contextlib
import faulthandler
import functools
import importlib
import io
import json
import logging
import os
import signal
import socket
import sys
import tempfile
import threading
import tomllib
import types
import unittest
import warnings
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))
sys.path.insert(0, str(ROOT / "tools"))

from shared_loopback import Hub

from postel import aio, blocking
from postel.aio import Network

LIST = ROOT / "tests" / "conformance" / "cpython_asyncio.toml"
PACKAGE = "test.test_asyncio"
PATIENCE = 120  # seconds for each test, on a machine that has much else to do
SystemSocket = socket.socket
SystemLoop = asyncio.SelectorEventLoop


class Place:
    """What one test has: its loops' hosts, and its blocking sockets'."""

    def __init__(self) -> None:
        self._hub = Hub()
        self._hosts = 0
        self.blocking = blocking.attach(*self._hub.join("10.9.1.1/24", "fd09::1:1/64"), linger=0)
        self.blocking.__enter__()  # now: tests count threads
        self.loop: Loop | None = None  # the latest
        self.listening: list[socket.socket] = []  # sockets of the system's for the loop to replace

    def network(self) -> Network:
        """Of a new loop."""
        self._hosts += 1
        return Network(*self._hub.join(f"10.9.0.{self._hosts}/24", f"fd09::{self._hosts}/64"), linger=0.2)

    def close(self) -> None:
        """After the test."""
        self.blocking.close()

    def waited_for(self, call: Callable[[], Any]) -> Any:
        """What ``call`` gives. The loop runs meanwhile where this is its thread: the kernel's stack wouldn't
        need it, Postel's does.
        """
        loop = self.loop
        for listener in self.listening:
            if loop is not None and not loop.is_closed() and listener.fileno() >= 0:
                loop._own_or_none(listener, "listen", replace=True)
        if (
            loop is None
            or loop.is_closed()
            or loop.is_running()
            or threading.current_thread() is not threading.main_thread()
        ):
            return call()
        done = loop.create_future()
        outcome: list[Any] = []

        def wait() -> None:
            try:
                outcome.append((call(), None))
            except BaseException as error:  # noqa: BLE001 - the caller's
                outcome.append((None, error))
            loop.call_soon_threadsafe(done.set_result, None)

        threading.Thread(target=wait, daemon=True).start()
        loop.run_until_complete(done)
        result, error = outcome.pop()
        if error is not None:
            raise error
        return result


place: Place


class Loop(aio.Loop):
    """In the place of ``asyncio.SelectorEventLoop``: what the tests call to make a loop."""

    def __init__(self, selector: Any = None) -> None:
        SystemLoop.__init__(self, selector)
        self.own_network = place.network()
        self.own_network.enter(self)  # now: a test may connect to a listening socket before it runs the loop
        place.loop = self


class Named(type):
    """The class of a blocking socket is that of the running test's network."""

    def __call__(cls, *arguments: Any, **options: Any) -> Any:
        return _blocking_class(place.blocking)(*arguments, **options)

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, SystemSocket)


@functools.cache
def _blocking_class(network: blocking.BlockingNetwork) -> Any:
    def connect(self: Any, address: Any) -> None:
        place.waited_for(lambda: network.socket.connect(self, address))

    inside = {"allows_machine": True, "connect": connect, "__module__": "socket"}
    return type("socket", (network.socket,), inside)


class BlockingSocket(metaclass=Named):
    """In the place of `socket.socket` where blocking code makes one."""


class EitherSocket(SystemSocket):
    """In the place of `socket.socket` in a test: the system's, for the loop to replace, until the test
    connects it or sends by it.
    """

    _blocking: Any = None

    def listen(self, *backlog: int) -> None:
        """As of every socket."""
        super().listen(*backlog)
        place.listening.append(self)

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        if self.family in (socket.AF_INET, socket.AF_INET6) and options.get("fileno") is None:
            # On the object, for the loop looks at the class to know whether a socket is the system's
            self.connect = functools.partial(self._as_blocking, "connect")  # type: ignore[method-assign]
            if self.type == socket.SOCK_DGRAM:
                self.sendto = functools.partial(self._as_blocking, "sendto")  # type: ignore[method-assign]

    def _as_blocking(self, call: str, *arguments: Any) -> Any:
        if self._blocking is None:
            self._blocking = BlockingSocket(self.family, self.type)
            self._blocking.settimeout(self.gettimeout())
            bound = super().getsockname()
            if bound[1]:
                self._blocking.bind(bound)
        try:
            return getattr(self._blocking, call)(*arguments)
        finally:
            os.dup2(self._blocking.fileno(), self.fileno())
            for name in ("getsockname", "getpeername", "getsockopt", "setsockopt", "shutdown", "recvfrom"):
                setattr(self, name, getattr(self._blocking, name))

    def close(self) -> None:
        """As of every socket."""
        if self._blocking is not None:
            self._blocking.close()
        super().close()


def module_with(kind: Any) -> Any:
    """The module `socket` with another class in it, and the functions that make sockets."""
    found: Any = types.ModuleType("socket")
    found.__dict__.update({name: value for name, value in vars(socket).items() if not name.startswith("__")})
    found.socket = kind
    for name in ("create_server", "create_connection"):
        source: Any = vars(socket)[name]
        setattr(
            found,
            name,
            types.FunctionType(source.__code__, vars(found), name, source.__defaults__, source.__closure__),
        )
        vars(found)[name].__kwdefaults__ = source.__kwdefaults__
    return found


BLOCKING, EITHER = module_with(BlockingSocket), module_with(EitherSocket)


def prepare(modules: list[str]) -> dict[str, Any]:
    """The test modules, with loops and sockets of Postel's."""
    found = {name: importlib.import_module(f"{PACKAGE}.{name}") for name in modules}
    asyncio.SelectorEventLoop = Loop  # type: ignore[assignment, misc]
    if hasattr(asyncio, "EventLoop"):
        asyncio.EventLoop = Loop
    asyncio.DefaultEventLoopPolicy._loop_factory = Loop  # type: ignore[attr-defined]
    for name in ("socketserver", f"{PACKAGE}.functional", f"{PACKAGE}.utils"):
        importlib.import_module(name).socket = BLOCKING  # type: ignore[attr-defined]
    for module in found.values():
        module.socket = EITHER
    return found


class Outcomes(unittest.TestResult):
    """What became of each test: that it passed, that it was skipped, or what went wrong."""

    def __init__(self, expected: dict[str, Any], *, verbose: bool) -> None:
        super().__init__()
        self.outcomes: dict[str, str] = {}
        self._expected = expected
        self._verbose = verbose

    def startTest(self, test: unittest.TestCase) -> None:  # noqa: N802
        """Give it a place of its own."""
        global place  # noqa: PLW0603 - where the loops and sockets of the running test find it
        super().startTest(test)
        place = Place()
        module = sys.modules[type(test).__module__]
        module.socket = BLOCKING if matches(name_of(test), self._expected.get("blocking", [])) else EITHER  # type: ignore[attr-defined]
        # Again and again: what a test does at its end may hang too
        signal.setitimer(signal.ITIMER_REAL, PATIENCE, 5)
        if self._verbose:
            print(name_of(test), flush=True)

    def stopTest(self, test: unittest.TestCase) -> None:  # noqa: N802
        """It is over."""
        place.close()
        signal.setitimer(signal.ITIMER_REAL, 0)
        self.outcomes.setdefault(name_of(test), "passed")
        super().stopTest(test)

    def _failed(self, test: Any, error: Any) -> None:
        text = self._exc_info_to_string(error, test)  # type: ignore[attr-defined]
        if self._verbose:
            print(text, flush=True)
        self.outcomes[name_of(test)] = (
            f"{error[0].__name__}: {str(error[1]).splitlines()[0] if str(error[1]) else ''}"
        )

    def addError(self, test: Any, err: Any) -> None:  # noqa: N802
        """It failed."""
        self._failed(test, err)

    def addFailure(self, test: Any, err: Any) -> None:  # noqa: N802
        """It failed."""
        self._failed(test, err)

    def addSubTest(self, test: Any, subtest: Any, err: Any) -> None:  # noqa: N802
        """A part of it failed, or didn't."""
        if err is not None:
            self._failed(test, err)

    def addSkip(self, test: Any, reason: str) -> None:  # noqa: N802
        """It refused to run."""
        self.outcomes[name_of(test)] = f"skipped: {reason}"


def name_of(test: Any) -> str:
    """Module, class and function: ``test_server.TestServer2.test_close``."""
    return str(test.id()).removeprefix(f"{PACKAGE}.")


def matches(name: str, patterns: list[str]) -> bool:
    """Whether one of them fits."""
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def reason_for(name: str, reasons: dict[str, list[str]]) -> str:
    """The reason under which the test is listed; "" where it isn't."""
    return next((reason for reason, patterns in reasons.items() if matches(name, patterns)), "")


def tests_in(suite: Any) -> Iterator[unittest.TestCase]:
    """One after another."""
    for each in suite:
        if isinstance(each, unittest.TestSuite):
            yield from tests_in(each)
        else:
            yield each


def out_of_time(*_: object) -> None:
    """The test hangs."""
    raise TimeoutError(f"longer than {PATIENCE} s")


def run(expected: dict[str, Any], only: str, *, verbose: bool) -> tuple[dict[str, str], dict[str, str]]:
    """What became of each test that applies, and why the others don't apply."""
    modules = prepare(expected["modules"])
    suites = unittest.TestSuite()
    others: dict[str, str] = {}
    for module in modules.values():
        chosen = unittest.TestSuite()
        for test in tests_in(unittest.defaultTestLoader.loadTestsFromModule(module)):
            name = name_of(test)
            if only not in name or matches(name, expected.get("same", [])):
                continue
            if reason := reason_for(name, expected["not-applying"]):
                others[name] = reason
            else:
                chosen.addTest(test)
        suites.addTest(chosen)
    result = Outcomes(expected, verbose=verbose)
    signal.signal(signal.SIGALRM, out_of_time)
    with contextlib.ExitStack() as quiet:
        if not verbose:
            quiet.enter_context(contextlib.redirect_stdout(io.StringIO()))
            quiet.enter_context(contextlib.redirect_stderr(io.StringIO()))
            logging.getLogger("asyncio").setLevel(logging.CRITICAL)
        suites.run(result)
    for name, outcome in list(result.outcomes.items()):
        if outcome.startswith("skipped"):
            others[name] = result.outcomes.pop(name).removeprefix("skipped: ")
    return result.outcomes, others


def differences(
    outcomes: dict[str, str], failures: dict[str, list[str]], unsettled: dict[str, list[str]]
) -> list[str]:
    """What isn't as listed: a test that fails, and one that is listed to fail and passes. Those in
    ``unsettled`` may do either.
    """
    found = []
    for name, outcome in sorted(outcomes.items()):
        if reason_for(name, unsettled):
            continue
        reason = reason_for(name, failures)
        if outcome != "passed" and not reason:
            found.append(f"{name} fails: {outcome}")
        elif outcome == "passed" and reason:
            found.append(f"{name} passes, and is listed to fail: {reason}")
    return found


def main() -> int:
    """The exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "-k", dest="only", default="", metavar="TEXT", help="only tests with this in their names"
    )
    parser.add_argument("-v", "--verbose", action="store_true", help="tracebacks, and what the tests print")
    parser.add_argument("--list", type=Path, default=LIST, help="what is expected of each test")
    parser.add_argument("--json", type=Path, help="write the outcome of each test there")
    options = parser.parse_args()
    report = None if options.json is None else options.json.absolute()
    faulthandler.enable()
    warnings.simplefilter("ignore")
    expected = tomllib.loads(options.list.read_text(encoding="utf-8"))
    try:
        importlib.import_module(PACKAGE)
    except ImportError:
        print(f"skipped: this Python has no package {PACKAGE}")
        return 77
    os.chdir(tempfile.mkdtemp())  # tests make files where they run
    outcomes, others = run(expected, options.only, verbose=options.verbose)
    if report is not None:
        report.write_text(
            json.dumps({"applies": outcomes, "not": others}, indent=1, sort_keys=True), encoding="utf-8"
        )
    passed = sum(outcome == "passed" for outcome in outcomes.values())
    percent = 100 * passed / max(1, len(outcomes))
    version = ".".join(map(str, sys.version_info[:3]))
    print(
        f"Python {version}: {len(outcomes)} tests apply, {passed} pass ({percent:.1f} %), {len(others)} "
        "don't apply"
    )
    for name, outcome in sorted(outcomes.items()):
        if outcome != "passed":
            print(
                f"  fails: {name}: "
                f"{reason_for(name, expected['failures'] | expected['unsettled']) or outcome}"
            )
    wrong = differences(outcomes, expected["failures"], expected["unsettled"])
    for line in wrong:
        print(f"not as listed: {line}")
    return 1 if wrong else 0


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    os._exit(status)  # threads of tests that failed may wait for ever
