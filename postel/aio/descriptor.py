"""A real descriptor for a socket of Postel's, for programs that poll one."""

import socket

_SMALLEST = 1  # octets that are asked for as a buffer: the system rounds up to its own least
_FILLING = bytes(65536)


class Descriptor:
    """One end of a pair of the system's sockets. `show` makes it readable and writable as the socket is for
    which it stands.

    Nothing is read from it or written to it but here.
    """

    __slots__ = ("_far", "_is_readable", "_is_writable", "_near")

    def __init__(self) -> None:
        self._near, self._far = socket.socketpair()
        for end in (self._near, self._far):
            end.settimeout(0)
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SMALLEST)
        self._is_readable = False
        self._is_writable = True

    def fileno(self) -> int:
        """Its number."""
        return self._near.fileno()

    def show(self, *, is_readable: bool, is_writable: bool) -> None:
        """Be found by the system's ``poll`` as the arguments say."""
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
        """Give the pair back."""
        self._near.close()
        self._far.close()


def _empty(end: socket.socket) -> None:
    try:
        while end.recv(65536):
            pass
    except BlockingIOError:
        return


def _fill(end: socket.socket) -> None:
    try:
        while True:
            end.send(_FILLING)
    except BlockingIOError:
        return
