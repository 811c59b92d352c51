"""TLS on a transport, by asyncio's own protocol, which works on any transport and any event loop."""

import asyncio
import ssl
from asyncio.sslproto import SSLProtocol
from dataclasses import dataclass
from typing import Any, cast

from postel.errors import ArgumentError


@dataclass(frozen=True, slots=True)
class Security:
    """Settings of TLS for a connection or a server. Times are in seconds, None for asyncio's defaults."""

    context: ssl.SSLContext | None  # None: asyncio's default, for clients
    server_side: bool
    server_hostname: str | None
    handshake_timeout: float | None
    shutdown_timeout: float | None

    def wrap(self, protocol: asyncio.BaseProtocol, waiter: "asyncio.Future[None] | None") -> SSLProtocol:
        """Return TLS's protocol for a transport, around the program's ``protocol``.

        ``waiter`` is completed when the handshake is done; the protocol's ``connection_made`` is called then.
        """
        return SSLProtocol(
            asyncio.get_running_loop(),
            protocol,
            cast(Any, self.context),  # the cast arguments may be None, though typeshed says otherwise
            cast(Any, waiter),
            server_side=self.server_side,
            server_hostname=self.server_hostname,
            ssl_handshake_timeout=cast(Any, self.handshake_timeout),
            ssl_shutdown_timeout=cast(Any, self.shutdown_timeout),
        )


def for_client(
    # True stands for a client's default context, as in asyncio
    secure: ssl.SSLContext | bool | None,  # noqa: FBT001 - asyncio's argument
    host: str,
    server_hostname: str | None,
    handshake: float | None,
    shutdown: float | None,
) -> Security | None:
    """Check a client's arguments. Returns None without TLS. Raises ArgumentError."""
    if not secure:
        _require_unset(
            server_hostname=server_hostname, ssl_handshake_timeout=handshake, ssl_shutdown_timeout=shutdown
        )
        return None
    context = _context(secure)
    return Security(
        context,
        False,  # noqa: FBT003 - server_side
        server_hostname if server_hostname is not None else host,
        handshake,
        shutdown,
    )


def for_server(
    secure: ssl.SSLContext | None, handshake: float | None, shutdown: float | None
) -> Security | None:
    """Check a server's arguments. Returns None without TLS. Raises ArgumentError."""
    if secure is None:
        _require_unset(ssl_handshake_timeout=handshake, ssl_shutdown_timeout=shutdown)
        return None
    if not isinstance(secure, ssl.SSLContext):
        raise ArgumentError("ssl", secure, "an ssl.SSLContext with a certificate, or None")
    return Security(secure, True, None, handshake, shutdown)  # noqa: FBT003 - server_side


def _context(secure: object) -> ssl.SSLContext | None:
    """Return the context of a client; None for asyncio's default. Raises ArgumentError."""
    if secure is True:
        return None
    if not isinstance(secure, ssl.SSLContext):
        raise ArgumentError("ssl", secure, "an ssl.SSLContext, True, or None")
    return secure


def _require_unset(**options: object) -> None:
    """Raise ArgumentError for an option that makes sense with TLS only."""
    for name, value in options.items():
        if value is not None:
            raise ArgumentError(name, value, "only with ssl")
