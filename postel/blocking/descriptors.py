"""Socket pairs of the system: one end is the program's descriptor, the pump moves octets between the other
and a connection.
"""

import os
import socket
from _socket import socketpair  # the system's own, whatever stands in the module `socket` meanwhile
from contextlib import suppress
from pathlib import Path
from typing import Final

MachineSocket: Final = socket.socket

_STUFFING: Final = bytes(
    64 << 10
)  # more than a quarter of what a socket pair holds, above which Linux says that it isn't writable


def stream_pair() -> tuple[socket.socket, socket.socket]:
    """The pump's end, which never blocks, and the program's."""
    return _pair(socket.SOCK_STREAM)


def message_pair() -> tuple[socket.socket, socket.socket]:
    """As `stream_pair`, for whole messages: of a kind that tells of its other end's close, where the system
    has it.
    """
    try:
        return _pair(socket.SOCK_SEQPACKET)
    except OSError:
        return _pair(socket.SOCK_DGRAM)


def _pair(kind: int) -> tuple[socket.socket, socket.socket]:
    ours, theirs = [
        MachineSocket(socket.AF_UNIX, kind, 0, end.detach()) for end in socketpair(socket.AF_UNIX, kind)
    ]
    ours.setblocking(False)  # noqa: FBT003
    return ours, theirs


def lone(kind: int) -> int:
    """A descriptor of a socket that isn't connected, and says so to ``poll`` as one of TCP does."""
    with MachineSocket(socket.AF_UNIX, kind) as made:
        return made.detach()


def replace(descriptor: int, end: socket.socket) -> None:
    """Let ``descriptor`` of the program be ``end`` from now on; its number and its blocking mode stay. Closes
    ``end``.
    """
    with end:
        end.setblocking(os.get_blocking(descriptor))
        os.dup2(end.fileno(), descriptor, inheritable=os.get_inheritable(descriptor))


def identity(descriptor: int) -> int:
    """What all copies of a descriptor have in common while one of them is open."""
    return os.fstat(descriptor).st_ino


def fill(end: socket.socket) -> int:
    """Fill the program's ``end`` so that it isn't writable: with how many octets, which the other end must
    `skip`.
    """
    end.setblocking(False)  # noqa: FBT003
    return end.send(_STUFFING)


def skip(end: socket.socket, octets: int) -> None:
    """Pass over what `fill` wrote."""
    while octets > 0 and (count := len(end.recv(octets))):
        octets -= count


def break_off(end: socket.socket, number: int, descriptor: int) -> None:
    """Close the pump's ``end`` so that the program's has an error, ECONNRESET, and not an orderly end.

    The system tells ECONNRESET where the closed end had unread octets. One is written for that, by a copy of
    the program's descriptor, which has the identity ``number``: probably ``descriptor``, but another file may
    have that by now. Where the program has closed it, or has shut it down for writing, it can't be done, and
    the program sees an orderly end.
    """
    if not _wrote_one(descriptor, number):
        _wrote_one(find_open(number), number)
    end.close()


def _wrote_one(descriptor: int, number: int) -> bool:
    """Whether the descriptor has this identity. Then an octet was written to it, as far as that can be."""
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
    """A descriptor of this process with this identity, where the system lists them; -1 where there is
    none.
    """
    with suppress(OSError):
        for entry in Path("/proc/self/fd").iterdir():
            with suppress(OSError):
                if str(entry.readlink()) == f"socket:[{number}]":
                    return int(entry.name)
    return -1
