"""IP addresses, endpoints and networks, as octets and as text.

Inside Postel an address is 4 octets (IPv4) or 16 octets (IPv6). Text such as "10.0.0.1" is converted where a
caller gives or reads it.

>>> to_text(parse("FD00:0:0::1")), str(Endpoint(parse("10.0.0.1"), 80))
('fd00::1', '10.0.0.1:80')
"""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final, NamedTuple

from postel.errors import ArgumentError, require_kind, require_number

UNSPECIFIED_4: Final = bytes(4)
UNSPECIFIED_6: Final = bytes(16)
LIMITED_BROADCAST: Final = b"\xff\xff\xff\xff"
LOOPBACK_4: Final = b"\x7f\x00\x00\x01"
LOOPBACK_6: Final = bytes(15) + b"\x01"
ALL_NODES: Final = b"\xff\x02" + bytes(13) + b"\x01"  # ff02::1, RFC 4291, 2.7.1
_SOLICITED_NODE: Final = b"\xff\x02" + bytes(9) + b"\x01\xff"  # ff02::1:ff00:0/104
_MAPPED: Final = bytes(10) + b"\xff\xff"

# What callers may give as an address. An IPv4Interface is an IPv4Address too
Address = str | IPv4Address | IPv6Address
Prefix = Address | IPv4Network | IPv6Network  # what callers may give as a network


def parse(text: str, name: str = "address") -> bytes:
    """Octets of an address in its usual notation, without a zone such as "%eth0".

    Raises ArgumentError about the argument ``name``.
    """
    try:
        octets = ip_address(text).packed
    except ValueError:
        octets = b""
    if not octets or "%" in text:
        raise ArgumentError(name, text, "an IPv4 or IPv6 address such as 10.0.0.1 or fd00::1")
    return octets


def octets_of(address: Address, name: str = "address") -> bytes:
    """Octets of an address that a caller gave, as text or as an object of `ipaddress`.

    All public calls convert addresses with this function. Raises ArgumentError about the argument ``name``.
    """
    # Of type object, because mypyc omits checks that the type annotation makes redundant
    given: object = address
    if isinstance(given, str):
        return parse(given, name)
    if not isinstance(given, (IPv4Address, IPv6Address)):
        raise ArgumentError(name, given, "an IPv4 or IPv6 address, as text or as an object of ipaddress")
    return parse(str(given), name)  # raises ArgumentError for a zone, such as "%eth0"


def to_text(octets: bytes) -> str:
    """Text of an address: dotted decimals for IPv4, the form of RFC 5952 for IPv6.

    Raises ArgumentError unless ``octets`` are 4 or 16.
    """
    if len(octets) not in (4, 16):
        raise ArgumentError("address", octets, "4 or 16 octets")
    return f"{octets[0]}.{octets[1]}.{octets[2]}.{octets[3]}" if len(octets) == 4 else str(ip_address(octets))


def _octets_in(text: str) -> bytes:
    """Octets of an address that may stand in brackets, as in URLs; b"" where ``text`` is no address."""
    try:
        return parse(text.removeprefix("[").removesuffix("]"))
    except ArgumentError:
        return b""


class Endpoint(NamedTuple):
    r"""An address and a port: what RFC 9293 calls a socket.

    ``str()`` gives "10.0.0.2:53" or "[fd00::2]:53". `Endpoint.parse` makes an endpoint from such text.

    >>> server = Endpoint.parse("10.0.0.2:53")
    >>> server.host, server.port, server.address
    ('10.0.0.2', 53, b'\n\x00\x00\x02')

    It has these attributes:
        address: 4 octets of an IPv4 address, or 16 octets of an IPv6 address.
        port: 1 to 65535; 0 only where a wildcard or a listener to all ports is shown.
    """

    address: bytes
    port: int

    @property
    def host(self) -> str:
        """Address as text, in the form that calls take: "10.0.0.2" or "fd00::2"."""
        return to_text(self.address)

    @staticmethod
    def parse(text: str, default_port: int = 0) -> "Endpoint":
        """Make an endpoint from text such as "10.0.0.2:53" or "[fd00::2]:53".

        ``default_port`` (1 to 65535) allows ``text`` without a port, such as "fd00::2"; with 0 the port is
        required. Raises ArgumentError.
        """
        require_number("default_port", default_port, 0, 65535, "1 to 65535, or 0 for none")
        require_kind("endpoint", text, str, "text such as 10.0.0.1:53 or [fd00::1]:53")
        has_port = text.count(":") == 1 or "]:" in text
        bare, _, port_text = text.rpartition(":") if has_port else (text, "", "")
        port = int(port_text) if port_text.isascii() and port_text.isdigit() and len(port_text) < 6 else 0
        octets = _octets_in(bare)
        if not octets or not (1 <= port <= 0xFFFF if has_port else default_port):
            port_is = (
                "an address and a port of 1 to 65535"
                if default_port == 0
                else "an address, with a port of 1 to 65535 or without"
            )
            raise ArgumentError("endpoint", text, f"{port_is}, such as 10.0.0.1:53 or [fd00::1]:53")
        return Endpoint(octets, port or default_port)

    def __str__(self) -> str:
        """Endpoint as text: "10.0.0.2:53", or "[fd00::2]:53" with brackets around an IPv6 address."""
        text = to_text(self.address)
        return f"{text}:{self.port}" if len(self.address) == 4 else f"[{text}]:{self.port}"


class Interface(NamedTuple):
    """An address of a host, and the number of its leading bits that the network's other hosts share."""

    address: bytes
    prefix_length: int

    def __str__(self) -> str:
        """Interface as text: "10.7.0.2/24"."""
        return f"{to_text(self.address)}/{self.prefix_length}"

    def contains(self, address: bytes) -> bool:
        """Whether the address is on this network."""
        if len(address) != len(self.address):
            return False
        shift = 8 * len(address) - self.prefix_length
        return int.from_bytes(address, "big") >> shift == int.from_bytes(self.address, "big") >> shift

    @property
    def broadcast(self) -> bytes:
        """Directed broadcast address of this network; ``b""`` where it has none.

        IPv6 has no broadcast, and IPv4 networks of one or two addresses have none (RFC 3021).
        """
        if len(self.address) != 4 or self.prefix_length > 30:
            return b""
        hosts = (1 << 32 - self.prefix_length) - 1
        return (int.from_bytes(self.address, "big") | hosts).to_bytes(4, "big")

    @property
    def network(self) -> bytes:
        """Address of the network itself; ``b""`` where `broadcast` is ``b""`` too.

        This address was once used for broadcasts, and isn't the address of a host (RFC 1122, 3.3.6).
        """
        if len(self.address) != 4 or self.prefix_length > 30:
            return b""
        shift = 32 - self.prefix_length
        return (int.from_bytes(self.address, "big") >> shift << shift).to_bytes(4, "big")


def parse_interface(given: Prefix, name: str = "address") -> Interface:
    """Interface for ``10.7.0.2/24``; without a prefix length it has the address alone, /32 or /128.

    An object of `ipaddress` is allowed as well as text. Raises ArgumentError about the argument ``name``.
    """
    text = _text_of(given, name)
    address_text, slash, length_text = text.partition("/")
    address = parse(address_text, name)
    bits = 8 * len(address)
    if not slash:
        return Interface(address, bits)
    if not (length_text.isascii() and length_text.isdigit()) or int(length_text) > bits:
        raise ArgumentError(name, text, f"a prefix length of 0 to {bits}")
    return Interface(address, int(length_text))


def _text_of(given: object, name: str) -> str:
    if isinstance(given, (IPv4Address, IPv6Address, IPv4Network, IPv6Network)):
        return str(given)
    if not isinstance(given, str):
        raise ArgumentError(
            name, given, "an address such as 10.0.0.1/24 or fd00::1/64, as text or as an object of ipaddress"
        )
    return given


def is_multicast(address: bytes) -> bool:
    """Whether the address is in 224.0.0.0/4 or ff00::/8."""
    return address[0] >> 4 == 14 if len(address) == 4 else address[0] == 0xFF


def is_link_local(address: bytes) -> bool:
    """Whether the address is in 169.254.0.0/16 or fe80::/10: on the link, never behind a router."""
    return (
        address[:2] == b"\xa9\xfe" if len(address) == 4 else address[0] == 0xFE and address[1] & 0xC0 == 0x80
    )


def solicited_node(address: bytes) -> bytes:
    """Multicast group of the neighbour discovery requests for this IPv6 address (RFC 4291, 2.7.1)."""
    return _SOLICITED_NODE + address[13:]


def is_unspecified(address: bytes) -> bool:
    """Whether the address is 0.0.0.0 or ::."""
    return address in (UNSPECIFIED_4, UNSPECIFIED_6)


def is_loopback(address: bytes) -> bool:
    """Whether the address is in 127.0.0.0/8, or is ::1."""
    return address[0] == 127 if len(address) == 4 else address == LOOPBACK_6


def is_limited_broadcast(address: bytes) -> bool:
    """Whether the address is 255.255.255.255."""
    return address == LIMITED_BROADCAST


def why_never_on_a_link(address: bytes) -> str:
    """Reason why an address must not be a source or destination on a link; "" if it may be one.

    The limited broadcast address is allowed, because it is a destination (RFC 1122, 3.2.1.3; RFC 4291, 2.5).
    """
    # Nearly all addresses end here, without a further call
    if len(address) == 4 and 0 < address[0] < 240 and address[0] != 127:
        return ""
    if is_unspecified(address):
        return "it stands for no address"
    if is_loopback(address):
        return "it is a loopback address, which never leaves a host"
    if len(address) == 16:
        return (
            "it is an IPv4 address written as IPv6's, which no packet carries"
            if address[:12] == _MAPPED
            else ""
        )
    if address[0] == 0:
        return "0.0.0.0/8 holds no destinations"
    return "240.0.0.0/4 is reserved" if address[0] >= 240 and not is_limited_broadcast(address) else ""
