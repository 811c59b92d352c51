"""Descriptor of the system that stands for a socket of Postel, for programs that poll one."""

import socket

_SMALLEST = 1  # octets of buffer to ask for: the system rounds up to its own minimum
_FILLING = bytes(65536)


class Descriptor:
    """One end of a socket pair of the system. `show` makes it readable and writable as Postel's socket is.

    Only this class reads from the pair and writes to it.
    """

    __slots__ = ("_far", "_is_readable", "_is_writable", "_near")

    def __init__(self) -> None:
        """Make the pair: not readable, and writable."""
        self._near, self._far = socket.socketpair()
        for end in (self._near, self._far):
            end.settimeout(0)
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SMALLEST)
        self._is_readable = False
        self._is_writable = True

    def fileno(self) -> int:
        """Return the number of the descriptor."""
        return self._near.fileno()

    def show(self, *, is_readable: bool, is_writable: bool) -> None:
        """Make the system's ``poll`` find the descriptor readable or not, and writable or not."""
        if is_readable is not self._is_readable:
            self._is_readable = is_readable
            if is_readable:
                self._far.send(b"\0")
            else:
                _empty(self._near)
        if is_writable is not self._is_writable:
            self._is_writable = is_writable
            if is_writable:
                _empty(self._far)
            else:
                _fill(self._near)

    def close(self) -> None:
        """Close both ends."""
        self._near.close()
        self._far.close()


def _empty(end: socket.socket) -> None:
    """Read all octets from ``end``: it becomes unreadable, and its other end writable."""
    try:
        while end.recv(65536):
            pass
    except BlockingIOError:
        return


def _fill(end: socket.socket) -> None:
    """Write to ``end`` until it is full: it becomes unwritable."""
    try:
        while True:
            end.send(_FILLING)
    except BlockingIOError:
        return
