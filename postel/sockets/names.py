"""Addresses as the socket module writes them: ``("10.0.0.2", 80)`` or ``("fd00::2", 80, 0, 0)``."""

import errno
import socket
from typing import Final, TypeAlias

from postel.errors import ArgumentError, KindError, NotResolved
from postel.wire.address import Endpoint, is_unspecified, parse, to_text

Name: TypeAlias = tuple[str, int] | tuple[str, int, int, int]

_MAPPED: Final = bytes(10) + b"\xff\xff"  # RFC 4291, 2.5.5.2: an IPv4 address as IPv6 writes it
_LENGTH: Final = {socket.AF_INET: 4, socket.AF_INET6: 16}
LOOPBACK: Final = {4: b"\x7f\0\0\1", 16: bytes(15) + b"\1"}


class UnresolvedName(NotResolved, socket.gaierror):
    """Failed look-up of a name: a `NotResolved` that is a ``socket.gaierror`` as well."""


def name_of(endpoint: Endpoint, family: int) -> Name:
    """Return an endpoint as a socket of this family shows it.

    A socket of IPv6 shows an IPv4 address as ``::ffff:10.0.0.2``.
    """
    octets, port = endpoint
    if family == socket.AF_INET:
        return to_text(bytes(4) if len(octets) == 16 and is_unspecified(octets) else octets), port
    if len(octets) == 4:
        return ("::" if is_unspecified(octets) else f"::ffff:{to_text(octets)}"), port, 0, 0
    return to_text(octets), port, 0, 0


def endpoint_of(name: object, family: int) -> Endpoint:
    """Return the endpoint that a program means by ``name``, as `socket.socket` accepts and refuses it.

    The host "" is the wildcard address. The driver (asyncio, trio, threads) has resolved host names before:
    here a host name raises a ``socket.gaierror``. Raises ArgumentError and KindError, too.
    """
    if not isinstance(name, tuple):
        raise KindError("address", name, "a tuple of host and port")
    if not (len(name) == 2 or (family == socket.AF_INET6 and 2 < len(name) <= 4)):
        raise KindError("address", name, "host and port, and for IPv6 flow and scope")
    host, port = name[0], name[1]
    if not isinstance(port, int):
        raise KindError("port", port, "int")
    if not 0 <= port <= 65535:
        raise ArgumentError("port", port, "0 to 65535")
    return Endpoint(_octets(host, family), port)


def _octets(host: object, family: int) -> bytes:
    """Return the octets of a host's address."""
    if isinstance(host, (bytes, bytearray)):
        host = bytes(host).decode("ascii", "replace")
    if not isinstance(host, str):
        raise KindError("host", host, "str")
    wanted = _LENGTH[socket.AddressFamily(family)]
    if host == "":
        return bytes(wanted)
    if host == "<broadcast>" and wanted == 4:
        return b"\xff" * 4
    try:
        octets = parse(host.partition("%")[0])
    except ArgumentError:
        raise UnresolvedName(
            socket.EAI_NONAME, f"{host!r} is no IP address: resolve names before the call"
        ) from None
    if octets[:12] == _MAPPED and len(octets) == 16:
        return octets[12:] if wanted == 16 else _refuse(host)
    return octets if len(octets) == wanted else _refuse(host)


def _refuse(host: str) -> bytes:
    """Raise the error for an address of another family."""
    raise UnresolvedName(
        getattr(socket, "EAI_ADDRFAMILY", errno.EAFNOSUPPORT), f"{host} is not of the socket's address family"
    )
