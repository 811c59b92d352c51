"""Checks of what programs pass to a network, and its translation into what a host understands."""

import ssl as tls
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address
from typing import TypedDict, cast

from postel.errors import ArgumentError, require_number
from postel.tcp.authentication.keychain import Keychain
from postel.tcp.config import Config
from postel.wire import address
from postel.wire.address import Address, Endpoint


class ConnectionOptions(TypedDict, total=False):
    """Keyword arguments of `Network.create_connection` and `Network.open_connection`. All may be left out.

    - ``ssl``, ``server_hostname``, ``ssl_handshake_timeout``, ``ssl_shutdown_timeout``, ``local_addr``: as in
      asyncio.
    - ``config``: what TCP does on this connection, a `Config`.
    - ``data``: octets that TCP Fast Open sends with the SYN (RFC 7413).
    - ``keys``: keys that sign its segments (RFC 5925), a `Keychain`.
    """

    ssl: tls.SSLContext | bool | None
    server_hostname: str | None
    ssl_handshake_timeout: float | None
    ssl_shutdown_timeout: float | None
    local_addr: tuple[Address | None, int] | None
    config: Config | None
    data: bytes
    keys: Keychain | None


class ServerOptions(TypedDict, total=False):
    """Keyword arguments of `Network.create_server` and `Network.start_server`. All may be left out.

    - ``backlog``: how many connections may wait to be accepted, 100 unless given.
    - ``ssl``, ``ssl_handshake_timeout``, ``ssl_shutdown_timeout``, ``start_serving``: as in asyncio.
    - ``config``: what TCP does on its connections, a `Config`.
    - ``keys``: keys that sign their segments (RFC 5925), a `Keychain`.
    """

    backlog: int
    ssl: tls.SSLContext | None
    ssl_handshake_timeout: float | None
    ssl_shutdown_timeout: float | None
    start_serving: bool
    config: Config | None
    keys: Keychain | None


def literal(name: str, value: object) -> bytes:
    """Return the octets of an IP address.

    Raises ArgumentError for anything else; names are not resolved here.
    """
    if not isinstance(value, str | IPv4Address | IPv6Address):
        raise ArgumentError(name, value, "an IPv4 or IPv6 address, as text or as an object of ipaddress")
    try:
        return address.octets_of(value)
    except ArgumentError:
        raise ArgumentError(name, value, "an IPv4 or IPv6 address: names are not resolved") from None


def number(name: str, value: object, lowest: int) -> int:
    """Return a port of ``lowest`` to 65535. Raises ArgumentError for anything else."""
    require_number(name, value, lowest, 65535, f"{lowest} to 65535")
    return cast(int, value)


def endpoint(name: str, value: object, lowest_port: int = 1) -> Endpoint:
    """Return the endpoint that a tuple names, such as ``("10.7.0.1", 80)``. Raises ArgumentError.

    The flow and the scope of an IPv6 tuple, where given, are ignored.
    """
    if not isinstance(value, tuple) or len(value) not in (2, 4):
        raise ArgumentError(name, value, "a tuple of address and port")
    return Endpoint(literal(name, value[0]), number(name, value[1], lowest_port))


def local(name: str, value: object) -> tuple[str | None, int]:
    """Return the own address (None for any) and the port (0 for any) in ``value``, a tuple or None.

    Raises ArgumentError.
    """
    if value is None:
        return None, 0
    if not isinstance(value, tuple) or len(value) not in (2, 4):
        raise ArgumentError(name, value, "a tuple of address and port")
    host, port = value[0], number(name, value[1], 0)
    return (None if host is None or host == "" else address.to_text(literal(name, host))), port


def interfaces(value: Address | Sequence[Address] | None) -> list[str | None]:
    """Return the addresses on which a server listens; None in the list stands for all of the host.

    Raises ArgumentError.
    """
    if value is None or value == "":
        return [None]
    if isinstance(value, str | IPv4Address | IPv6Address):
        return [address.to_text(literal("host", value))]
    found: list[str | None] = [address.to_text(literal("host", each)) for each in value]
    if not found:
        raise ArgumentError("host", value, "an address, several, or None for all")
    return found
