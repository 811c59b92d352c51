"""What a host is made of, and the calls that change that while it lives: its addresses, its MTU, what its
link cuts.
"""

from typing import Final

from postel.errors import ArgumentError, CallError, require_kind, require_number
from postel.host.answers import RequestAnswers
from postel.host.arguments import require_flag, require_now
from postel.host.connections import Connections
from postel.host.counters import Counters
from postel.host.datagrams import Datagrams
from postel.host.icmp import Icmp
from postel.host.outbound import Outbound
from postel.host.ports import Ports
from postel.host.routes import Routes
from postel.host.unclaimed import Unclaimed
from postel.tcp.bell import Bell
from postel.tcp.config import Config
from postel.tcp.memory import Memory
from postel.tcp.observer import Observer
from postel.times import NEVER
from postel.wire import ip
from postel.wire.address import Address, is_unspecified, octets_of, parse_interface

_LEAST_MTU: Final = 68
_USUAL_MTU: Final = 1500  # of a host on no link yet


class Settings:
    """The base of `Host`, which gives packets, calls and time to its parts."""

    def __init__(
        self,
        addresses: tuple[Address, ...],
        *,
        secret: bytes | None,
        mtu: int | None,
        config: Config,
        observer: Observer | None,
        any_address: bool,
        gateway: Address | tuple[Address, ...],
        memory_limit: int,
        orphan_limit: int,
    ) -> None:
        if mtu is not None:
            _require_mtu(mtu)
        require_number("memory_limit", memory_limit, 0, NEVER, "0 octets or more")
        require_number("orphan_limit", orphan_limit, 0, NEVER, "0 or more")
        if secret is not None:
            _require_secret(secret)
        require_kind("config", config, Config, "a Config")
        require_flag("any_address", any_address)
        require_kind(
            "observer",
            observer,
            (Observer, type(None)),
            "an Observer, or None; `postel.links.Observed` tells of packets",
        )
        self.config = config
        self.is_attached = False  # to a link, by a driver
        self.bell: Bell = Bell()  # for a driver of many hosts
        self.memory: Memory = Memory(memory_limit)
        self.routes: Routes = Routes(
            tuple([parse_interface(address) for address in addresses]),
            _USUAL_MTU if mtu is None else mtu,
            any_address=any_address,
        )
        for router in gateway if isinstance(gateway, tuple) else (gateway,):
            self.routes.add_default(router)
        self.has_secret: bool = secret is not None
        self.follows_link: bool = mtu is None
        self._orphan_limit = orphan_limit
        self._counters = Counters(observer)
        self._furnish(secret or b"")

    def __repr__(self) -> str:
        addresses = [str(interface) for interface in self.routes.interfaces]
        return f"<host {', '.join(addresses) or 'without an address'}>"

    def _furnish(self, secret: bytes) -> None:
        """Make the parts, which draw what no other may guess from ``secret``."""
        self._ports = Ports(secret)
        self._outbound = Outbound(self.routes, self._counters, secret, self.bell)
        self._connections = Connections(self._outbound, self._ports, self.memory, self._orphan_limit, secret)
        self._datagrams = Datagrams(self._outbound, self._ports)
        self._icmp = Icmp(self._outbound, self._connections, self._datagrams, secret)
        self._unclaimed = Unclaimed(self._connections, self._outbound, secret)
        self._answering = RequestAnswers(self._connections, self._unclaimed, self._icmp)

    @property
    def groups(self) -> frozenset[bytes]:
        """The multicast groups to which packets are accepted, 16 octets each: those that neighbour discovery
        needs for the host's IPv6 addresses (RFC 4861, 7.2.1): all nodes, and the solicited-node group of each
        address.
        """
        return self.routes.groups

    @property
    def mtu(self) -> int:
        """The largest packet in octets that the host sends and that its link carries."""
        return self.routes.mtu

    def join(self, mtu: int, secret: bytes, now: int) -> None:
        """As `Host.join`."""
        _require_mtu(mtu)
        if not self.has_secret:
            _require_secret(secret)
            self.has_secret = True
            self._furnish(secret)
        if self.follows_link and mtu != self.routes.mtu:
            self.set_mtu(mtu, now)

    def require_secret(self) -> None:
        """Raise CallError where nothing can be sent yet, because without a secret an attacker could guess its
        numbers.
        """
        if not self.has_secret:
            raise CallError(
                "this host has no secret yet: give it one, as Host(..., secret=...), or to a driver, as by "
                "postel.aio.attach"
            )

    def _own_or_unspecified(self, address: Address | None) -> bytes:
        """The octets of an own address, or of "0.0.0.0" or "::"; b"" for None. Raises ArgumentError,
        AddressNotAvailable.
        """
        octets = b"" if address is None else octets_of(address)
        if octets and not is_unspecified(octets):
            self.routes.require_own(octets)
        return octets

    def add_address(self, address: Address) -> None:
        """Take another address, with its network, as in "10.7.0.3/24". Harmless where the host has it
        already.

        Listeners and sockets without an address, and those to this one, hear at it from now on. Raises
        ArgumentError.
        """
        self.routes.add_interface(parse_interface(address))

    def remove_address(self, address: Address, now: int) -> None:
        """Give up an address. Connections from it end with AddressNotAvailable, and nothing is told to their
        peers, for nothing may be sent from it any more; half-open ones, requests and pairs in TIME-WAIT go
        silently.

        Listeners and sockets to this address stay, and hear again when it is added again. Raises
        ArgumentError, AddressNotAvailable.
        """
        require_now(now)
        octets = octets_of(address)
        self.routes.remove_interface(octets)
        if not self.routes.owns(octets):  # else by `any_address` it is still the host's
            self._connections.leave(octets, now)
            self.bell.ring()

    def set_mtu(self, mtu: int, now: int) -> None:
        """Change the link's MTU, in octets. Where it shrinks, connections send smaller segments at once, and
        what is in flight may come again in these; where it grows, new connections use it, and others find out
        what their paths carry (`Config.mtu_probing`).

        Raises ArgumentError; also where it would be more than `use_offload` was told.
        """
        require_now(now)
        _require_mtu(mtu)
        if 0 < self._connections.offload < mtu:
            raise ArgumentError(
                "mtu", mtu, f"the largest packet of use_offload ({self._connections.offload}) or less"
            )
        self.routes.resize(mtu)
        self._connections.resize(mtu, now)

    def use_offload(self, largest: int) -> None:
        """Connections made from now on may send packets of up to ``largest`` octets for the link to cut
        (`next_parcel`), or for `next_packet`; 0: none larger than the MTU."""
        allowed = f"0, or the MTU ({self.routes.mtu}) to {ip.LARGEST} octets"
        require_number("largest", largest, self.routes.mtu if largest else 0, ip.LARGEST, allowed)
        self._connections.offload = largest

    def forget_cookies(self) -> None:
        """Forget which servers do TCP Fast Open, and the cookies they gave, by which they could tell that a
        client is the same.
        """
        self._connections.servers.clear()


def _require_mtu(mtu: int) -> None:
    require_number("mtu", mtu, _LEAST_MTU, ip.LARGEST, f"{_LEAST_MTU} to {ip.LARGEST} octets")


def _require_secret(secret: bytes) -> None:
    if (
        not isinstance(secret, bytes) or not secret
    ):  # which isn't shown, for it may be the secret in another form
        raise ArgumentError(
            "secret", type(secret) if secret else secret, "bytes that no other can guess, at least one"
        )
