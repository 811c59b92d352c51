"""Socket pairs of the system. One end is the program's descriptor; the pump has the other end."""

import os
import socket
from _socket import socketpair  # the system's own, even while the module `socket` has Postel's sockets
from contextlib import suppress
from pathlib import Path
from typing import Final

MachineSocket: Final = socket.socket

# More than a quarter of the octets that a socket pair holds: Linux then reports the pair as not writable
_STUFFING: Final = bytes(64 << 10)


def stream_pair() -> tuple[socket.socket, socket.socket]:
    """Make a pair for a stream. Returns the pump's end, which never blocks, and the program's."""
    return _pair(socket.SOCK_STREAM)


def message_pair() -> tuple[socket.socket, socket.socket]:
    """Make a pair for whole messages. Returns the pump's end, which never blocks, and the program's.

    Where the system has such pairs, each end learns that the other was closed.
    """
    try:
        return _pair(socket.SOCK_SEQPACKET)
    except OSError:
        return _pair(socket.SOCK_DGRAM)


def _pair(kind: int) -> tuple[socket.socket, socket.socket]:
    """Make a pair of this kind."""
    ours, theirs = [
        MachineSocket(socket.AF_UNIX, kind, 0, end.detach()) for end in socketpair(socket.AF_UNIX, kind)
    ]
    ours.setblocking(False)  # noqa: FBT003 - the method's only argument
    return ours, theirs


def lone(kind: int) -> int:
    """Make a descriptor of an unconnected socket. ``poll`` reports the same for it as for one of TCP."""
    with MachineSocket(socket.AF_UNIX, kind) as made:
        return made.detach()


def replace(descriptor: int, end: socket.socket) -> None:
    """Let the number ``descriptor`` of the program stand for ``end`` from now on. Closes ``end``.

    The number itself stays, and so does its blocking mode.
    """
    with end:
        end.setblocking(os.get_blocking(descriptor))
        os.dup2(end.fileno(), descriptor, inheritable=os.get_inheritable(descriptor))


def identity(descriptor: int) -> int:
    """Return a number that all copies of a descriptor have in common, while one of them is open."""
    return os.fstat(descriptor).st_ino


def fill(end: socket.socket) -> int:
    """Fill the buffer of ``end``, the program's, so that it isn't writable.

    Returns how many octets must be read at the other end with `skip`.
    """
    end.setblocking(False)  # noqa: FBT003 - the method's only argument
    return end.send(_STUFFING)


def skip(end: socket.socket, octets: int) -> None:
    """Read and drop the octets that `fill` wrote."""
    while octets > 0 and (count := len(end.recv(octets))):
        octets -= count


def break_off(end: socket.socket, number: int, descriptor: int) -> None:
    """Close the pump's ``end``, so that the program's calls raise ECONNRESET, not see an orderly end.

    The system reports ECONNRESET if the closed end had unread octets. So one octet is written to it, by a
    copy of the program's descriptor. The program's descriptor has the identity ``number``. It is probably
    ``descriptor``, unless another file has that number by now. If the program has closed its descriptor, or
    has shut it down for writing, no octet can be written, and the program sees an orderly end.
    """
    if not _wrote_one(descriptor, number):
        _wrote_one(find_open(number), number)
    end.close()


def _wrote_one(descriptor: int, number: int) -> bool:
    """Write an octet to ``descriptor``, if its identity is ``number``. Returns whether it is."""
    try:
        copy = os.dup(descriptor)
    except OSError:
        return False
    try:
        if identity(copy) != number:
            return False
        with suppress(OSError), MachineSocket(socket.AF_UNIX, socket.SOCK_STREAM, 0, os.dup(copy)) as writer:
            writer.send(b"\0", getattr(socket, "MSG_DONTWAIT", 0))
        return True
    finally:
        os.close(copy)


def find_open(number: int) -> int:
    """Return an open descriptor of this process with the identity ``number``; -1 if none is found.

    Only systems with /proc list the descriptors.
    """
    with suppress(OSError):
        for entry in Path("/proc/self/fd").iterdir():
            with suppress(OSError):
                if str(entry.readlink()) == f"socket:[{number}]":
                    return int(entry.name)
    return -1
