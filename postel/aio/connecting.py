"""One attempt of ``loop.create_connection``: a socket of Postel, bound and connected as asyncio does it."""

from typing import Any, Protocol

from postel.aio.network import Network
from postel.aio.serving import reason
from postel.aio.sockcalls import worded
from postel.aio.sockets import Socket
from postel.sockets.lookup import AddressInfo


class Connecting(Protocol):
    """Part of an event loop that an attempt to connect needs."""

    async def sock_connect(self, sock: Any, address: Any) -> None:
        """Connect ``sock`` to ``address``, as asyncio's loops do."""


async def connected(
    loop: Connecting,
    network: Network,
    attempts: list[list[OSError]],
    info: AddressInfo,
    local: list[AddressInfo] | None,
) -> Socket:
    """Return a connected socket.

    Raises the OSError with which the attempt failed. Before that, all errors of the attempt are added to
    ``attempts``, as asyncio expects.
    """
    errors: list[OSError] = []
    attempts.append(errors)
    family, kind, proto, _, address = info
    sock: Socket | None = None
    try:
        sock = network.socket(family, kind, proto)
        if local is not None:
            _bind(sock, local, errors)
        await loop.sock_connect(sock, address)
    except BaseException as error:
        if isinstance(error, OSError):
            errors.append(error)
        if sock is not None:
            sock.close()
        raise
    return sock


def _bind(sock: Socket, local: list[AddressInfo], errors: list[OSError]) -> None:
    """Bind the socket to the first local address of its family that is free. Raises OSError."""
    for family, *_, address in local:
        if family != sock.family:
            continue
        try:
            sock.bind(address)
        except OSError as error:
            errors.append(
                worded(error, f"error while attempting to bind on address {address!r}: {reason(error)}")
            )
        else:
            return
    if errors:
        raise errors.pop()
    raise OSError(f"no matching local address with family={sock.family!r} found")
