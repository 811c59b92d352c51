"""Lines for people and for machines. A reader that is slow, full or gone costs lines, and never the server's time."""

import os
import select
from typing import Final

from postel.errors import ArgumentError

_LONGEST: Final = 4000  # octets: a pipe that is writable takes 4,096 at once (PIPE_BUF)


class Lines:
    """Writes lines to ``descriptor``, each in one piece, for other processes write to it too. What it can't take at once is left out."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLOUT)
        self._left_out = 0

    def write(self, line: str) -> None:
        if not self._poll.poll(0):
            self._left_out += 1
            return
        if self._left_out:
            line = f"({self._left_out} lines are left out here)\n{line}"
        octets = line.encode(errors="backslashreplace")
        if len(octets) > _LONGEST:
            octets = octets[:_LONGEST] + " …".encode()
        try:
            os.write(self._descriptor, octets + b"\n")
        except OSError:  # a full disk; a pipe that nothing reads any more
            self._left_out += 1
        else:
            self._left_out = 0


class File:
    """The same for a file by its name, which is made, or added to. `reopen` after it was moved away."""

    def __init__(self, option: str, name: str) -> None:
        self._name = name
        try:
            self._open()
        except OSError as error:
            raise ArgumentError(option, name, f"a file that can be written ({error.strerror})") from error

    def write(self, line: str) -> None:
        self._lines.write(line)

    def reopen(self) -> None:
        """Open the file of that name anew; where that fails, go on with the old one. Raises OSError."""
        old = self._descriptor
        self._open()
        os.close(old)

    def _open(self) -> None:
        # A FIFO that nothing reads must not block us
        self._descriptor = os.open(self._name, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NONBLOCK, 0o644)
        self._lines = Lines(self._descriptor)
