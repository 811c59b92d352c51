"""Table of a host's routes to other networks, by routers on its link."""

from typing import Final, NamedTuple

from postel.errors import ArgumentError, require_number
from postel.wire.address import Interface, Prefix, parse_interface, to_text

HIGHEST_METRIC: Final = 0xFFFFFFFF


class Route(NamedTuple):
    """A route: packets to ``network`` go to the router ``gateway``.

    Of two routes to the same network, the one with the lower ``metric`` is used.
    """

    network: Interface
    gateway: bytes
    metric: int

    def __str__(self) -> str:
        """Route as text, such as "10.0.0.0/8 by 10.7.0.1 metric 0"."""
        return f"{self.network} by {to_text(self.gateway)} metric {self.metric}"


class Gateways:
    """Table of routes, the best first: longest prefix, then lowest metric, then oldest."""

    __slots__ = ("routes",)

    def __init__(self) -> None:
        """Make an empty table."""
        self.routes: tuple[Route, ...] = ()

    def add(self, network: Prefix, gateway: bytes, metric: int) -> None:
        """Add a route, or replace the one with the same network and gateway. Raises ArgumentError."""
        require_number("metric", metric, 0, HIGHEST_METRIC, f"0 to {HIGHEST_METRIC}")
        found = parse_network(network)
        if len(found.address) != len(gateway):
            raise ArgumentError("gateway", to_text(gateway), f"an address of the family of {found}")
        kept = [route for route in self.routes if route.network != found or route.gateway != gateway]
        place = 0
        while place < len(kept) and _comes_before(kept[place], found.prefix_length, metric):
            place += 1
        kept.insert(place, Route(found, gateway, metric))
        self.routes = tuple(kept)

    def remove(self, network: Prefix, gateway: bytes) -> None:
        """Remove the routes to ``network``; with a ``gateway`` other than b"", only the route by that router.

        Raises ArgumentError if there is no such route.
        """
        found = parse_network(network)
        kept = [
            route for route in self.routes if route.network != found or (gateway and route.gateway != gateway)
        ]
        if len(kept) == len(self.routes):
            raise ArgumentError("network", network, "one to which there is a route")
        self.routes = tuple(kept)

    def gateway_to(self, destination: bytes, longer_than: int) -> bytes:
        """Router for ``destination`` by a route with a prefix of more than ``longer_than`` bits.

        Returns b"" where there is none.
        """
        for route in self.routes:
            if route.network.prefix_length <= longer_than:
                return b""
            if route.network.contains(destination):
                return route.gateway
        return b""


def parse_network(given: Prefix) -> Interface:
    """Network for text such as "10.0.0.0/8"; "0.0.0.0/0" and "::/0" are all addresses of an IP version.

    Raises ArgumentError, also if bits behind the prefix aren't zero.
    """
    network = parse_interface(given, "network")
    spare = 8 * len(network.address) - network.prefix_length
    if "/" not in str(given) or int.from_bytes(network.address, "big") & ((1 << spare) - 1):
        raise ArgumentError(
            "network",
            given,
            "a network with its prefix length and no bits behind it, such as 10.0.0.0/8 or ::/0",
        )
    return network


def _comes_before(route: Route, prefix_length: int, metric: int) -> bool:
    if route.network.prefix_length != prefix_length:
        return route.network.prefix_length > prefix_length
    return route.metric <= metric
