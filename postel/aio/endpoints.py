"""``loop.create_datagram_endpoint`` over Postel: asyncio's arguments, on sockets of Postel."""

import socket
import sys
from typing import Any

from postel.aio.network import Network
from postel.aio.sockets import Socket
from postel.sockets.names import Name

NO_REUSE = (
    "Passing `reuse_address=True` is no longer supported, as the usage of SO_REUSEPORT in UDP poses "
    "a "
    "significant security concern."
)
_KIND = "datagram socket" if sys.version_info >= (3, 13) else "UDP Socket"  # asyncio's words
Key = tuple[int, int]  # family and protocol
Pair = list[Name | None]  # local and remote address


def check_socket(sock: Any, options: dict[str, Any]) -> None:
    """Raise what asyncio raises, in its words, for arguments that can't be given together with ``sock``."""
    if sock.type == socket.SOCK_STREAM:
        raise ValueError(f"A {_KIND} was expected, got {sock!r}")
    if any(options.values()):
        problems = ", ".join(f"{name}={value}" for name, value in options.items() if value)
        raise ValueError(
            f"socket modifier keyword arguments can not be used when sock is specified. ({problems})"
        )


async def pairs(
    resolved: Any, local: Any, remote: Any, family: int, proto: int, flags: int
) -> list[tuple[Key, Pair]]:
    """Return the pairs of local and remote address to try, one after another, by family and protocol.

    Raises ValueError, TypeError or OSError, as asyncio does.
    """
    if not (local or remote):
        if family == 0:
            raise ValueError("unexpected address family")
        return [((family, proto), [None, None])]
    found: dict[Key, Pair] = {}
    for index, address in enumerate((local, remote)):
        if address is None:
            continue
        if not (isinstance(address, tuple) and len(address) == 2):
            raise TypeError("2-tuple is expected")
        infos = await resolved(*address, family=family, type=socket.SOCK_DGRAM, proto=proto, flags=flags)
        if not infos:
            raise OSError("getaddrinfo() returned empty list")
        for info in infos:
            found.setdefault((info[0], info[2]), [None, None])[index] = info[4]
    whole = [
        (key, pair)
        for key, pair in found.items()
        if not ((local and pair[0] is None) or (remote and pair[1] is None))
    ]
    if not whole:
        raise ValueError("can not get address information")
    return whole


def opened(
    network: Network, tried: list[tuple[Key, Pair]], options: list[int], *, connect: bool
) -> tuple[Socket, Name | None]:
    """Open a socket with the first pair that works. Returns it and the remote address.

    If no pair works, raises the OSError of the first pair.
    """
    failures: list[OSError] = []
    for (family, proto), (local, remote) in tried:
        sock: Socket | None = None
        try:
            sock = network.socket(family, socket.SOCK_DGRAM, proto)
            for option in options:
                sock.setsockopt(socket.SOL_SOCKET, option, 1)
            if local is not None:
                sock.bind(local)
            if remote is not None and connect:
                sock.connect(remote)
        except OSError as error:
            failures.append(error)
            if sock is not None:
                sock.close()
        else:
            return sock, remote
    raise failures[0]
