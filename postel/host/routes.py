"""Addresses, routes and path MTUs of a host.

Theory of operation. A host has one link. For each packet it answers these questions:

- May it leave the host? No packet goes to or comes from an address that is never on a link (RFC 1122,
  3.2.1.3).
- From which own address (`Routes.source_for`)? From the destination itself if that is an own address; else
  from the address with the smallest network that contains the destination; else, behind a router, from the
  address on that router's network; else from the first of the IP version (RFC 6724 in short).
- To which neighbour (`Routes.next_hop`)? The longest matching prefix decides among the own networks and the
  routes::

      destination 10.7.0.9       10.7.0.0/24 is an own network      the destination itself
      destination 10.9.1.1       10.0.0.0/8 by router 10.7.0.1      10.7.0.1
      destination 192.0.2.1      0.0.0.0/0 by router 10.7.0.254     10.7.0.254
      no route                                                      the destination itself, as a neighbour

- How large may it be (`Routes.mtu_to`)? As large as the link's MTU, or as the path MTU that ICMP or a
  connection's probes have found (RFC 1191, RFC 8201). The host forgets a path MTU after ten minutes, because
  the path may have changed.

And for a packet from the link: is its source forged, and is it for this host (`Routes.objection`)?
"""

from typing import Final, NamedTuple

from postel.errors import AddressNotAvailable, ArgumentError, NetworkUnreachable, require_kind
from postel.host.gateways import Gateways, Route
from postel.tcp.pathmtu import FLOOR_4, RAISE_AFTER
from postel.wire.address import (
    ALL_NODES,
    LOOPBACK_4,
    LOOPBACK_6,
    UNSPECIFIED_4,
    UNSPECIFIED_6,
    Address,
    Interface,
    Prefix,
    is_limited_broadcast,
    is_link_local,
    is_loopback,
    is_multicast,
    octets_of,
    solicited_node,
    to_text,
    why_never_on_a_link,
)

# RFC 1191, 7.1: likely MTUs of routers that don't report theirs
PLATEAUS: Final = (65535, 32000, 17914, 8166, 4352, 2002, 1492, 1006, 508, 296, 68)
LOWEST_4: Final = 68  # RFC1191-3a: every IPv4 link carries it, so a smaller claim is false
LOWEST_6: Final = 1280  # RFC8201-4a
# RFC 1191, 6.3 and RFC 8201, 4: after this time a larger size may be tried again, never before 5 minutes
AGE: Final = RAISE_AFTER
_MOST_PATHS: Final = 4096


class PathMtu(NamedTuple):
    """The path MTU to a destination in octets, and when it is forgotten, in microseconds."""

    mtu: int
    expires: int
    may_fragment: bool  # whether routers may fragment, because the path's MTU is below this host's minimum


class Routes:
    """The addresses of a host, the routers on its link, and path MTUs.

    A destination without a route is a neighbour.

    ``Host.routes`` is this object.

    >>> from postel import Host
    >>> routes = Host("10.7.0.2/24", gateway="10.7.0.254").routes
    >>> routes.add("10.0.0.0/8", gateway="10.7.0.1")
    >>> [str(route) for route in routes.table]
    ['10.0.0.0/8 by 10.7.0.1 metric 0', '0.0.0.0/0 by 10.7.0.254 metric 0']

    It has these attributes:
        own: the host's addresses, as octets.
        interfaces: the host's addresses with their networks.
        groups: the multicast groups that the host has joined, which neighbour discovery needs.
        mtu: the MTU of the link in octets.
    """

    __slots__ = (
        "_gateways",
        "_hops",
        "_paths",
        "any_address",
        "broadcasts",
        "groups",
        "interfaces",
        "mtu",
        "networks",
        "own",
    )

    def __init__(self, interfaces: tuple[Interface, ...], mtu: int, *, any_address: bool) -> None:
        """Begin with these addresses and no routes.

        Raises ArgumentError for an address that no host can have.
        """
        for interface in interfaces:
            _require_of_a_host(interface.address)
        self.interfaces: tuple[Interface, ...] = ()
        self.mtu: int = mtu
        self.any_address: bool = any_address
        self.own: frozenset[bytes] = frozenset()
        self.broadcasts: frozenset[bytes] = frozenset()
        self.networks: frozenset[bytes] = frozenset()
        self.groups: frozenset[bytes] = frozenset()
        self._gateways = Gateways()
        self._hops: dict[bytes, bytes] = {}  # cache: the next hop of each destination
        self._have(interfaces)
        self._paths: dict[bytes, PathMtu] = {}

    # Addresses

    def is_unicast(self, address: bytes) -> bool:
        """Whether the address may be that of one host on a link: this one or another."""
        return address in self.own or not (
            why_never_on_a_link(address)
            or is_multicast(address)
            or is_limited_broadcast(address)
            or address in self.broadcasts
            or address in self.networks
        )

    def loops(self, address: bytes) -> bool:
        """Whether packets to this address stay in the host: an own address, 127.0.0.0/8 or ::1."""
        return address in self.own or is_loopback(address)

    def owns(self, address: bytes) -> bool:
        """Whether a packet to this address is for this host."""
        return self.loops(address) or (self.any_address and self.is_unicast(address))

    def is_broadcast(self, address: bytes) -> bool:
        """Whether the address is the limited broadcast address, or that of an own network."""
        return is_limited_broadcast(address) or address in self.broadcasts

    def objection(self, source: bytes, destination: bytes) -> str:
        """Reason to drop a packet from the link with these addresses; "" where there is none (EP-PRE-3)."""
        if self.is_forged(source):
            return "invalid_source"
        if is_loopback(destination):  # a loopback address never occurs on a link
            return "invalid_destination"
        if destination in self.own:
            return ""
        if is_multicast(destination):
            return "" if destination in self.groups else "multicast"
        return "" if self.owns(destination) or self.is_broadcast(destination) else "not_ours"

    def is_forged(self, source: bytes) -> bool:
        """Whether no packet from the link can have this source address.

        Such an address is an own address ("LAND" attack, BAD-HDR-10), or one that RFC1122-3.2.1.3 forbids as
        a source.
        """
        return source in self.own or not self.is_unicast(source)

    def require_destination(self, address: bytes) -> None:
        """Raise NetworkUnreachable where no packet may be sent to this address."""
        if self.loops(address):
            return
        reason = why_never_on_a_link(address)
        if address in self.networks:
            reason = "it is the network's own address"
        if reason:  # RFC 1122, 3.2.1.3; RFC 4291, 2.5
            raise NetworkUnreachable(f"nothing is sent to {to_text(address)}: {reason}")

    def require_one_host(self, address: bytes) -> None:
        """Raise NetworkUnreachable unless a packet for a single host may go to the address (MUST-46)."""
        self.require_destination(address)
        if not self.is_unicast(address) and not is_loopback(address):
            raise NetworkUnreachable(f"{to_text(address)} is no address of a single host")

    def source_for(self, destination: bytes) -> bytes:
        """MUST-44: own address from which a packet to ``destination`` leaves.

        RFC 6724, rules 1 and 8 in short. Raises NetworkUnreachable where the host has no address of that IP
        version.
        """
        if destination in self.own:
            return destination
        if is_loopback(destination):
            return LOOPBACK_4 if len(destination) == 4 else LOOPBACK_6
        best = self._nearest(destination)
        if best is not None and not best.contains(destination) and self._gateways.routes:
            best = self._nearest(self.next_hop(destination))  # the address on the router's network
        if best is None:
            raise NetworkUnreachable(f"no address of this host reaches {to_text(destination)}")
        return best.address

    def _nearest(self, destination: bytes) -> Interface | None:
        """Own address with the smallest network that contains the destination.

        Where none contains it, it is the first address of the IP version; None where there is none.
        """
        best: Interface | None = None
        longest = -2
        for interface in self.interfaces:
            if len(interface.address) == len(destination) and not is_loopback(interface.address):
                length = interface.prefix_length if interface.contains(destination) else -1
                if length > longest:
                    best, longest = interface, length
        return best

    def choose_source(self, remote: bytes, chosen: bytes | None) -> bytes:
        """Own address for a connection to ``remote``: ``chosen`` by the user (MUST-43), or by `source_for`.

        Raises ArgumentError, AddressNotAvailable, NetworkUnreachable.
        """
        if chosen is None:
            return self.source_for(remote)  # MUST-44
        if len(chosen) != len(remote):
            raise ArgumentError(
                "local_address", to_text(chosen), f"an address of the family of {to_text(remote)}"
            )
        self.require_own(chosen)
        self.require_source(chosen, remote)
        return chosen

    def require_source(self, source: bytes, destination: bytes) -> None:
        """Raise NetworkUnreachable where no packet from this own address may go to the destination."""
        if self.loops(destination):
            return
        if is_loopback(source) or source == destination:  # RFC 1122, 3.2.1.3 (g); RFC 4291, 2.5.3; and LAND
            raise NetworkUnreachable(
                f"{to_text(destination)}: nothing for it leaves this host from {to_text(source)}"
            )

    @property
    def wildcard(self) -> bytes:
        """Address that stands for "all addresses": ``::`` where the host has IPv6, else 0.0.0.0.

        With ``::`` the addresses of both IP versions are meant.
        """
        has_6 = any(len(interface.address) == 16 for interface in self.interfaces)
        return UNSPECIFIED_6 if has_6 else UNSPECIFIED_4

    def require_own(self, address: bytes) -> None:
        """Raise AddressNotAvailable where the address isn't the host's."""
        if not self.owns(address):
            raise AddressNotAvailable(f"{to_text(address)} is not an address of this host")

    def add_interface(self, interface: Interface) -> None:
        """Add an address to the host, or replace its network.

        Raises ArgumentError for one that no host can have.
        """
        _require_of_a_host(interface.address)
        self._have(
            tuple([other for other in self.interfaces if other.address != interface.address] + [interface])
        )

    def remove_interface(self, address: bytes) -> None:
        """Take an address away from the host. Raises AddressNotAvailable where the host doesn't have it."""
        if address not in self.own:
            raise AddressNotAvailable(f"{to_text(address)} is not an address of this host")
        self._have(tuple([interface for interface in self.interfaces if interface.address != address]))

    def _have(self, interfaces: tuple[Interface, ...]) -> None:
        """Set the host's addresses, and from these its networks, broadcast addresses and multicast groups.

        The cache of next hops is emptied.
        """
        self.interfaces = interfaces
        self.own = frozenset([interface.address for interface in interfaces])
        self.broadcasts = frozenset([interface.broadcast for interface in interfaces]) - {b""}
        self.networks = frozenset([interface.network for interface in interfaces]) - {b""}
        own_6 = [interface.address for interface in interfaces if len(interface.address) == 16]
        groups = [solicited_node(address) for address in own_6]
        self.groups = frozenset([*groups, ALL_NODES] if own_6 else groups)
        self._hops.clear()

    # Next hops

    @property
    def table(self) -> tuple[Route, ...]:
        """Routes of `add` and `add_default`, the best first."""
        return self._gateways.routes

    def add(self, network: Prefix, *, gateway: Address, metric: int = 0) -> None:
        """Send packets to ``network`` to the router ``gateway``.

        ``network`` is such as "10.0.0.0/8"; "0.0.0.0/0" and "::/0" are all addresses of an IP version. The
        longest prefix decides, own networks included, then the lowest ``metric`` (0 to 2**32 - 1). A route
        with the same network and gateway is replaced. Raises ArgumentError.
        """
        octets = octets_of(gateway, "gateway")
        if octets in self.own or not self.is_unicast(octets):
            raise ArgumentError("gateway", to_text(octets), "the address of a router on the link")
        self._gateways.add(network, octets, metric)
        self._hops.clear()

    def add_default(self, gateway: Address) -> None:
        """Send packets without another route, of the IP version of ``gateway``, to that router.

        Raises ArgumentError.
        """
        octets = octets_of(gateway, "gateway")
        self.add("0.0.0.0/0" if len(octets) == 4 else "::/0", gateway=gateway)

    def remove(self, network: Prefix, *, gateway: Address | None = None) -> None:
        """Remove the routes to ``network``, or only the route by ``gateway`` if that is given.

        Raises ArgumentError if there is no such route.
        """
        self._gateways.remove(network, b"" if gateway is None else octets_of(gateway, "gateway"))
        self._hops.clear()

    def next_hop(self, destination: bytes) -> bytes:
        """Address of the neighbour to which packets for ``destination`` are given.

        The neighbour is a router, or the destination itself. ``destination`` is 4 or 16 octets, as in an
        `Endpoint`.
        """
        hop = self._hops.get(destination)
        if hop is None:
            require_kind("destination", destination, bytes, "4 or 16 octets, as of an Endpoint's address")
            if len(self._hops) >= _MOST_PATHS:
                self._hops.clear()
            hop = self._hops[destination] = self._next_hop(destination)
        return hop

    def next_hop_of(self, packet: bytes) -> bytes:
        """Next hop of a ``packet`` of this host; its IP header is enough."""
        return self.next_hop(packet[16:20] if packet[0] >> 4 == 4 else packet[24:40])

    def _next_hop(self, destination: bytes) -> bytes:
        if is_multicast(destination) or is_link_local(destination) or self.is_broadcast(destination):
            return destination
        connected = -1
        for interface in self.interfaces:
            if interface.contains(destination) and interface.prefix_length > connected:
                connected = interface.prefix_length
        return self._gateways.gateway_to(destination, connected) or destination

    def resize(self, mtu: int) -> None:
        """Set the MTU of the link in octets. Path MTUs that aren't smaller are forgotten."""
        self.mtu = mtu
        self._paths = {destination: path for destination, path in self._paths.items() if path.mtu < mtu}

    # Path MTU (RFC 1191, RFC 8201)

    def mtu_to(self, destination: bytes, now: int) -> int:
        """Size in octets of the largest packet that the path to ``destination`` is known to carry."""
        path = self._path(destination, now)
        return self.mtu if path is None else path.mtu

    def may_fragment(self, destination: bytes, now: int) -> bool:
        """Whether routers on the path may fragment packets.

        Routers may do so only if the path's MTU is below this host's minimum.
        """
        path = self._path(destination, now)
        return path is not None and path.may_fragment

    def usable(self, destination: bytes, claimed: int, length: int, now: int) -> int:
        """MTU to use after a router claimed ``claimed`` for a packet of ``length`` octets.

        The result is 0 for a claim that can't be true. The result may be larger than the known path MTU: the
        connection that sent the packet may not know that MTU yet, and decides itself.
        """
        if len(destination) == 16:
            return claimed if LOWEST_6 <= claimed < self.mtu else 0  # RFC8201-4a
        if claimed == 0:  # RFC1191-3c
            current = self.mtu_to(destination, now)
            claimed = plateau_below(min(length, current) or current)
        if claimed < LOWEST_4 or claimed >= self.mtu:  # RFC1191-3a
            return 0
        return max(claimed, min(FLOOR_4, self.mtu))

    def learn(self, destination: bytes, mtu: int, now: int) -> None:
        """Remember the path MTU to this destination for ten minutes."""
        if mtu >= self.mtu:
            self._paths.pop(destination, None)
            return
        if destination not in self._paths and len(self._paths) >= _MOST_PATHS:
            del self._paths[next(iter(self._paths))]
        self._paths[destination] = PathMtu(mtu, now + AGE, len(destination) == 4 and mtu <= FLOOR_4)

    def _path(self, destination: bytes, now: int) -> PathMtu | None:
        if not self._paths:
            return None
        path = self._paths.get(destination)
        if path is not None and path.expires <= now:
            del self._paths[destination]
            return None
        return path


def _require_of_a_host(address: bytes) -> None:
    """Raise ArgumentError for an address that no host can have, because others would drop its packets."""
    reason = "" if is_loopback(address) else why_never_on_a_link(address)
    if reason or is_multicast(address) or is_limited_broadcast(address):
        raise ArgumentError("address", to_text(address), "the address of one host")


def plateau_below(length: int) -> int:
    """Largest plateau that is less than the length of the packet (RFC 1191, 5)."""
    for plateau in PLATEAUS:
        if plateau < length:
            return plateau
    return LOWEST_4
