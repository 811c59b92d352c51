"""Process that runs one test again and again, as the searching process controls it."""

import subprocess
import sys
from contextlib import suppress
from tempfile import TemporaryFile
from types import TracebackType
from typing import IO, Final, Self

from postel.errors import ArgumentError
from postel.search.records import CRASHED, Answer, Order, Outcome

_PATIENCE: Final = 10  # seconds after which a process that was told to end is killed
_CRASH: Final = "Fatal Python error"
_WORDS: Final = 4000  # limit of the characters kept of the crash message


class Runner:
    """Process that runs ``target``, "FILE.py::test", and imports the test once.

    ``test`` is the name that pytest has for the test. Use ``with``, which ends the process.
    """

    def __init__(self, target: str) -> None:
        """Start the process.

        Raises ArgumentError if there is no such test, or if the test doesn't use the fixture ``world``.
        """
        self.target = target
        self.test: str = ""  # the name that pytest has for the test
        self._is_killed = False
        self._start()

    def __enter__(self) -> Self:
        """Return the runner, for ``with``."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the process."""
        self.close()

    def run(self, order: Order) -> Answer:
        """Let the process run the test once, and return its answer.

        If the process ends in the middle of the run, the result is "crashed", and another process is started.
        """
        with suppress(BrokenPipeError):
            self._orders.write(order.to_json() + "\n")
            self._orders.flush()
        line = self._answers.readline()
        if line:
            return Answer.parse(line)
        status = self._process.wait()
        words = self._last_words()
        self.close()
        if not self._is_killed:
            self._start()
        how = f"exit status {status}" if status >= 0 else f"signal {-status}"
        return Answer(
            outcome=Outcome(
                order.seed,
                CRASHED,
                message=f"the process ended in the middle of the run: {how}\n{words}".strip(),
            )
        )

    def kill(self) -> None:
        """End the process now, also in the middle of a run, and start no other. Call `close` afterwards."""
        self._is_killed = True
        self._process.kill()

    def close(self) -> None:
        """End the process when it has finished its run, after 10 seconds at the latest."""
        with suppress(BrokenPipeError):
            self._orders.close()
        try:
            self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._answers.close()
        self._errors.close()

    def _start(self) -> None:
        self._errors: IO[bytes] = TemporaryFile()  # noqa: SIM115 - closed by `close`
        self._process = subprocess.Popen(
            [sys.executable, "-m", "postel.search.worker", self.target],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            encoding="utf-8",
            start_new_session=True,  # a user's Ctrl-C reaches only the search, which then ends this process
        )
        self._orders, self._answers = _pipes(self._process)
        line = self._answers.readline()
        answer = Answer.parse(line) if line else Answer(error=self._how_it_ended())
        if answer.error:
            self.close()
            raise ArgumentError(
                "FILE.py::test", self.target, f"a test that uses the fixture `world`; this one {answer.error}"
            )
        self.test = answer.test

    def _how_it_ended(self) -> str:
        """Reason why there is no first answer: the last line that the process wrote to standard error."""
        self._process.wait()
        lines = self._told().strip().splitlines()
        return f"ends its process: {lines[-1]}" if lines else "ends its process"

    def _last_words(self) -> str:
        """Text that the process's Python interpreter wrote when it crashed, with the place in the program."""
        _, mark, after = self._told().rpartition(_CRASH)
        return (mark + after).strip()[:_WORDS] if mark else ""

    def _told(self) -> str:
        """All text that the process has written to standard error."""
        self._errors.seek(0)
        return self._errors.read().decode("utf-8", "replace")


def _pipes(process: "subprocess.Popen[str]") -> tuple[IO[str], IO[str]]:
    assert process.stdin is not None  # noqa: S101 - it was started with pipes
    assert process.stdout is not None  # noqa: S101 - as stdin
    return process.stdin, process.stdout
