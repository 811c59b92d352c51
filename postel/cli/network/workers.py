"""Several processes on one device, each with a queue and a host of its own.

All hosts have the same addresses and listeners. The kernel chooses the queue of a segment by a hash of its
addresses and ports, which is the same for both directions, so a connection stays with the worker that got its
SYN. Another process would answer a segment of the connection with a RST; that can't happen while the number
of queues stays the same. Therefore the parent keeps every queue open: packets for a worker that died wait for
the worker that takes its place.
"""

import ctypes
import os
import signal
import sys
import time
from argparse import ArgumentTypeError
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Final

from postel import cli

MOST: Final = 256  # most queues that a device can have: MAX_TAP_QUEUES of the kernel
_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGHUP)
_PR_SET_PDEATHSIG: Final = 1  # option of prctl(2): the signal to get when the parent ends
# Seconds. A worker that died sooner isn't replaced, because the next worker would die, too.
_TOO_SOON: Final = 1.0


def count(text: str) -> int:
    """Read the number of workers from an argument."""
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= MOST):
        raise ArgumentTypeError(f"number of workers is {text!r}; allowed: 1 to {MOST}")
    return int(text)


def run(works: Sequence[Callable[[], None]], dismissed: Callable[[], None] = lambda: None) -> int:
    """Run each of ``works`` in a process, until SIGTERM or SIGINT. Returns the exit status.

    A worker that dies is replaced. If it died within its first second, or lacks a permission, all workers are
    ended instead. SIGUSR1 and SIGHUP are passed on to the workers. Whatever ends the parent, its workers get
    SIGTERM, and `is_orphan` is true in each of them. ``dismissed`` is called when no worker will be
    started any more.
    """
    crew = Crew(works, dismissed)
    signal.signal(signal.SIGTERM, crew.dismiss)
    signal.signal(signal.SIGINT, crew.dismiss)
    signal.signal(signal.SIGUSR1, crew.pass_on)
    signal.signal(signal.SIGHUP, crew.pass_on)
    return crew.run()


def is_orphan(parent: int) -> bool:
    """Whether ``parent``, the process that started this one, has ended."""
    return os.getppid() != parent


class Crew:
    """Parent of the workers, which starts and replaces them."""

    def __init__(self, works: Sequence[Callable[[], None]], dismissed: Callable[[], None]) -> None:
        """Take the functions that the workers run, and one to call when no more workers will be started."""
        self._works = works
        self._dismissed = dismissed
        self._running: dict[int, tuple[int, float]] = {}  # by process id: index in `_works`, time of start
        self._signal = 0
        self._status = cli.DONE

    def run(self) -> int:
        """Start all workers, and wait until all have ended. Returns the exit status."""
        for index in range(len(self._works)):
            self._begin(index)
        while self._running:
            process, status = os.wait()
            index, since = self._running.pop(process)
            if self._signal or self._status:
                continue
            code = os.waitstatus_to_exitcode(status)
            if code == cli.NOT_ALLOWED or time.monotonic() - since < _TOO_SOON:
                self._status = code if code > 0 else cli.FAILED
                self._dismissed()
                self._tell(signal.SIGTERM)
            else:
                print(
                    f"postel: worker {index} ended with status {code}; a new one takes its place",
                    file=sys.stderr,
                    flush=True,
                )
                self._begin(index)
        return cli.INTERRUPTED if self._signal == signal.SIGINT else self._status

    def dismiss(self, number: int, _frame: FrameType | None) -> None:
        """Handle a signal to end: pass SIGTERM to all workers."""
        self._signal = number
        self._dismissed()
        self._tell(signal.SIGTERM)

    def pass_on(self, number: int, _frame: FrameType | None) -> None:
        """Handle a signal by passing it to all workers."""
        self._tell(number)

    def _begin(self, index: int) -> None:
        sys.stdout.flush()
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)  # until ``_running`` has the new process
        parent = os.getpid()
        process = os.fork()
        if process == 0:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            # The parent handles SIGINT. The worker may install handlers of SIGUSR1 and SIGHUP later.
            for number in (signal.SIGINT, signal.SIGUSR1, signal.SIGHUP):
                signal.signal(number, signal.SIG_IGN)
            _end_with(parent)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
            os._exit(cli.exit_status(self._works[index]))
        self._running[process] = index, time.monotonic()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)

    def _tell(self, number: int) -> None:
        for process in self._running:
            os.kill(process, number)


def _end_with(parent: int) -> None:
    """Make the kernel send this process SIGTERM when its parent ends."""
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl is not None:
        prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)
    if is_orphan(parent):
        os._exit(cli.FAILED)  # the parent ended before the call
