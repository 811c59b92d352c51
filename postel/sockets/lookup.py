"""``getaddrinfo`` and ``getnameinfo`` of a network: glibc's answers, by the network's own resolver."""

import ipaddress
import socket
from collections.abc import Iterable, Iterator
from socket import AF_INET, AF_INET6, AF_UNSPEC, SOCK_DGRAM, SOCK_RAW, SOCK_STREAM
from typing import Any, Final, Protocol

from postel.errors import KindError, NotResolved
from postel.host.host import Host
from postel.sockets.names import Name, UnresolvedName
from postel.wire.address import Interface

AddressInfo = tuple[socket.AddressFamily, socket.SocketKind, int, str, Name]
Text = str | bytes | bytearray | None

_KINDS: Final = ((SOCK_STREAM, socket.IPPROTO_TCP), (SOCK_DGRAM, socket.IPPROTO_UDP), (SOCK_RAW, 0))
# Services that are looked up before those in /etc/services, which small systems don't have
_SERVICES: Final = {
    "ftp": 21, "ssh": 22, "telnet": 23, "smtp": 25, "domain": 53, "http": 80, "pop3": 110, "ntp": 123,
    "imap2": 143, "https": 443,
    "submission": 587, "imaps": 993, "pop3s": 995, "postgresql": 5432, "mysql": 3306, "redis": 6379,
}  # fmt: skip
_OVER_UDP: Final = ("domain", "ntp", "https")
_LOCAL: Final = ("localhost", "localhost.localdomain", "ip6-localhost", "ip6-loopback")
_LOOPBACK: Final = ("::1", "127.0.0.1")
_WILDCARDS: Final = ("0.0.0.0", "::")  # noqa: S104 - of the network's host


class NameResolver(Protocol):
    """Object that a network asks for the addresses of a name: `postel.aio.Resolver` is one."""

    async def addresses(self, name: str) -> list[str]:
        """Return the addresses of ``name`` as text, the preferred one first.

        Raises NotResolved where there is none.
        """


class LookupNetwork(Protocol):
    """Part of a network that a look-up needs.

    If ``resolver`` is None, only IP addresses and ``localhost`` can be looked up.
    """

    host: Host
    resolver: NameResolver | None


async def getaddrinfo(
    network: LookupNetwork,
    host: Text,
    port: Text | int,
    *,
    family: int = 0,
    type: int = 0,
    proto: int = 0,
    flags: int = 0,
) -> list[AddressInfo]:
    """Resolve ``host`` and ``port``, as `socket.getaddrinfo` does.

    Raises NotResolved, a ``socket.gaierror``.
    """
    kinds = _kinds(type, proto)
    if family not in (AF_UNSPEC, AF_INET, AF_INET6):
        raise UnresolvedName(socket.EAI_FAMILY, "ai_family not supported")
    name, number = _text(host), _port(_service(port), kinds, flags)
    if name is None and port is None:
        raise UnresolvedName(socket.EAI_NONAME, "Name or service not known")
    if not isinstance(number, dict):
        number = dict.fromkeys(kinds, number)
    addresses = await _addresses(network, name, family, flags)
    if flags & socket.AI_ADDRCONFIG and name is not None:
        addresses = [each for each in addresses if _family_of(each) in _families(network)] or addresses
    canonical = (name or "") if flags & socket.AI_CANONNAME else ""
    found: list[AddressInfo] = []
    for address in addresses:
        for kind, its_proto in number:
            found.append(
                (
                    _family_of(address),
                    kind,
                    its_proto,
                    "" if found else canonical,
                    _socket_name(address, number[kind, its_proto]),
                )
            )
    return found


def getnameinfo(network: LookupNetwork, sockaddr: tuple[Any, ...], flags: int = 0) -> tuple[str, str]:
    """Return an address as text and its service, as `socket.getnameinfo` does. Raises KindError, NotResolved.

    No name is looked up: a network knows the addresses of names, and not the names of addresses.
    """
    del network
    if not isinstance(sockaddr, tuple) or len(sockaddr) not in (2, 3, 4):
        raise KindError("sockaddr", sockaddr, "a tuple of address and port")
    address = literal(str(sockaddr[0]))
    if address is None:
        raise UnresolvedName(socket.EAI_NONAME, "Name or service not known")
    if flags & socket.NI_NAMEREQD:
        raise UnresolvedName(socket.EAI_NONAME, "Name or service not known")
    port = int(sockaddr[1])
    if flags & socket.NI_NUMERICSERV:
        return address, str(port)
    return address, _service_at(port, "udp" if flags & socket.NI_DGRAM else "tcp")


def literal(text: str) -> str | None:
    """Return an address as `socket.inet_ntop` writes it; None for a name.

    IPv4 addresses in the short forms of ``inet_aton`` are addresses, too.
    """
    bare, _, zone = text.partition("%")
    try:
        parsed = ipaddress.ip_address(bare)
    except ValueError:
        if not bare or zone or bare.strip("0123456789abcdefxABCDEFX.") or not bare[0].isdigit():
            return None
        try:
            return socket.inet_ntoa(socket.inet_aton(bare))
        except OSError:
            return None
    if "%" in text and (parsed.version == 4 or not zone.isdigit()):
        return None
    # The module ipaddress writes IPv4-mapped addresses in another way
    written = str(parsed) if parsed.version == 4 else socket.inet_ntop(AF_INET6, parsed.packed)
    return f"{written}{'%' if zone else ''}{zone}"


async def _addresses(network: LookupNetwork, name: str | None, family: int, flags: int) -> list[str]:
    """Return the addresses of the wanted family, at least one. Raises NotResolved."""
    if name is None:
        return _of_family(_WILDCARDS if flags & socket.AI_PASSIVE else _LOOPBACK, family)
    address = literal(name)
    if address is not None:
        if not (found := _of_family([address], family)):
            raise UnresolvedName(_EAI_ADDRFAMILY, "Address family for hostname not supported")
        return found
    if flags & socket.AI_NUMERICHOST or not name:
        raise UnresolvedName(socket.EAI_NONAME, "Name or service not known")
    if (dotless := name.rstrip(".").lower()) in _LOCAL or dotless.endswith(".localhost"):  # RFC 6761, 6.3
        return _of_family(reversed(_LOOPBACK), family)
    if network.resolver is None:
        raise UnresolvedName(
            socket.EAI_NONAME, f"Name or service not known: {name!r} (the network has no resolver)"
        )
    if not (found := _of_family(await _asked(network, name), family)):
        raise UnresolvedName(_EAI_ADDRFAMILY, "Address family for hostname not supported")
    return found


async def _asked(network: LookupNetwork, name: str) -> list[str]:
    """Return the addresses that the resolver finds. Any failure is raised as a ``socket.gaierror``."""
    if network.resolver is None:
        return []
    try:
        found = await network.resolver.addresses(name)
    except socket.gaierror:
        raise
    except NotResolved as error:
        raise UnresolvedName(
            error.errno or socket.EAI_NONAME, error.strerror or "Name or service not known"
        ) from error
    if not found:
        raise UnresolvedName(socket.EAI_NONAME, f"Name or service not known: {name!r}")
    return found


_EAI_ADDRFAMILY: Final = getattr(socket, "EAI_ADDRFAMILY", socket.EAI_NONAME)


def _of_family(addresses: Iterable[str], family: int) -> list[str]:
    """Return the addresses that are of this family, or all addresses for AF_UNSPEC."""
    return [address for address in addresses if family in (AF_UNSPEC, _family_of(address))]


def _family_of(address: str) -> socket.AddressFamily:
    """Return the family of an address in text."""
    return AF_INET6 if ":" in address else AF_INET


def _families(network: LookupNetwork) -> set[int]:
    """Return the families of which the host has an address."""
    interfaces: Iterable[Interface] = network.host.routes.interfaces
    return {AF_INET if len(interface.address) == 4 else AF_INET6 for interface in interfaces}


def _socket_name(address: str, port: int) -> Name:
    """Return address and port as the socket module writes them."""
    bare, _, zone = address.partition("%")
    return (bare, port) if ":" not in bare else (bare, port, 0, int(zone or 0))


def _text(host: Text) -> str | None:
    """Return a host in text. Raises KindError."""
    if host is None or isinstance(host, str):
        return host
    if isinstance(host, (bytes, bytearray)):
        return bytes(host).decode("utf-8")
    raise KindError("host", host, "str, bytes or None")


def _kinds(kind: int, proto: int) -> list[tuple[socket.SocketKind, int]]:
    """Return the pairs of kind and protocol that are asked for, at least one. Raises NotResolved."""
    kind &= 0xF  # without Linux's SOCK_NONBLOCK and SOCK_CLOEXEC
    found = list(_matching(kind, proto))
    if not found:
        raise UnresolvedName(socket.EAI_SOCKTYPE, "ai_socktype not supported")
    return found


def _matching(kind: int, proto: int) -> Iterator[tuple[socket.SocketKind, int]]:
    """Yield the pairs of kind and protocol that match; 0 matches all."""
    for each, protocol in _KINDS:
        if kind in (0, each) and (proto in (0, protocol) or (each is SOCK_RAW and kind)):
            yield each, proto if each is SOCK_RAW else protocol


def _service(port: Text | int) -> int | str | None:
    """Return a port as a number, or the name of a service."""
    if isinstance(port, int):
        return port
    text = _text(port)
    if text is None:
        return None
    return int(text) if text.isascii() and text.isdigit() else text


def _port(
    service: int | str | None, kinds: list[tuple[socket.SocketKind, int]], flags: int
) -> int | dict[tuple[socket.SocketKind, int], int]:
    """Return a port for all kinds, or a service's port for each kind that has it. Raises NotResolved."""
    if not isinstance(service, str):
        if service is not None and service < 0:
            raise UnresolvedName(socket.EAI_SERVICE, "Servname not supported for ai_socktype")
        return 0 if service is None else service & 0xFFFF  # glibc takes the low 16 bits, too
    if flags & socket.AI_NUMERICSERV:
        raise UnresolvedName(socket.EAI_NONAME, "Name or service not known")
    found: dict[tuple[socket.SocketKind, int], int] = {}
    for kind, proto in kinds:
        number = _port_of(service, "udp" if kind is SOCK_DGRAM else "tcp")
        if number and kind is not SOCK_RAW:
            found[kind, proto] = number
    if not found:
        raise UnresolvedName(socket.EAI_SERVICE, "Servname not supported for ai_socktype")
    return found


def _port_of(service: str, protocol: str) -> int:
    """Return the port of a service; 0 where there is none."""
    if service in _SERVICES and (protocol == "tcp" or service in _OVER_UDP):
        return _SERVICES[service]
    try:
        return socket.getservbyname(service, protocol)
    except OSError:
        return 0


def _service_at(port: int, protocol: str) -> str:
    """Return the service at a port; the number as text where there is none."""
    for name, number in _SERVICES.items():
        if number == port and (protocol == "tcp" or name in _OVER_UDP):
            return name
    try:
        return socket.getservbyport(port, protocol)
    except (OSError, OverflowError):
        return str(port)
