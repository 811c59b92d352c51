"""The parts of a host, and the calls that change a living host: addresses, MTU, offload."""

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
_USUAL_MTU: Final = 1500  # MTU in octets of a host that isn't attached to a link yet


class Settings:
    """The base class of `Host`: it makes the parts of the host, such as `Routes` and `Connections`."""

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
        """Check the arguments of `Host`, and make its parts."""
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
        self.is_attached = False  # whether a driver has attached the host to a link
        self.bell: Bell = Bell()  # tells a driver of many hosts that this host may have output
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
        """Short text with the addresses, such as ``<host 10.7.0.2/24>``."""
        addresses = [str(interface) for interface in self.routes.interfaces]
        return f"<host {', '.join(addresses) or 'without an address'}>"

    def _furnish(self, secret: bytes) -> None:
        """Make the parts of the host. They derive unpredictable numbers from ``secret``."""
        self._ports = Ports(secret)
        self._outbound = Outbound(self.routes, self._counters, secret, self.bell)
        self._connections = Connections(self._outbound, self._ports, self.memory, self._orphan_limit, secret)
        self._datagrams = Datagrams(self._outbound, self._ports)
        self._icmp = Icmp(self._outbound, self._connections, self._datagrams, secret)
        self._unclaimed = Unclaimed(self._connections, self._outbound, secret)
        self._answering = RequestAnswers(self._connections, self._unclaimed, self._icmp)

    @property
    def groups(self) -> frozenset[bytes]:
        """Multicast groups from which the host accepts packets, as 16 octets each.

        Neighbour discovery needs them for the host's IPv6 addresses: all nodes, and the solicited-node group
        of each address (RFC 4861, 7.2.1).
        """
        return self.routes.groups

    @property
    def mtu(self) -> int:
        """Size in octets of the largest packet that the host sends, and that its link carries."""
        return self.routes.mtu

    def join(self, mtu: int, secret: bytes, now: int) -> None:
        """Set the MTU and the secret that the constructor wasn't given (`Host.join`)."""
        _require_mtu(mtu)
        if not self.has_secret:
            _require_secret(secret)
            self.has_secret = True
            self._furnish(secret)
        if self.follows_link and mtu != self.routes.mtu:
            self.set_mtu(mtu, now)

    def require_secret(self) -> None:
        """Raise CallError where the host has no secret.

        Without one an attacker could guess the numbers of its connections.
        """
        if not self.has_secret:
            raise CallError(
                "this host has no secret yet: give it one, as in Host(..., secret=...), or attach it, as "
                "with postel.aio.attach"
            )

    def _own_or_unspecified(self, address: Address | None) -> bytes:
        """Octets of an own address, of "0.0.0.0" or of "::"; b"" for None.

        Raises ArgumentError, AddressNotAvailable.
        """
        octets = b"" if address is None else octets_of(address)
        if octets and not is_unspecified(octets):
            self.routes.require_own(octets)
        return octets

    def add_address(self, address: Address) -> None:
        """Add an address with its network, such as "10.7.0.3/24". Harmless where the host has it already.

        Listeners and sockets without an address, and those with this one, receive at it from now on. Raises
        ArgumentError.
        """
        self.routes.add_interface(parse_interface(address))

    def remove_address(self, address: Address, now: int) -> None:
        """Take an address away from the host.

        Connections from the address end with AddressNotAvailable. Their peers get no RST, because nothing may
        be sent from the address any more. Half-open connections, requests and pairs in TIME-WAIT end without
        an event. Listeners and sockets with this address stay, and receive again once the address is added
        again.

        Raises ArgumentError; AddressNotAvailable where the host doesn't have the address.
        """
        require_now(now)
        octets = octets_of(address)
        self.routes.remove_interface(octets)
        if not self.routes.owns(octets):  # with `any_address` the host still accepts packets to the address
            self._connections.leave(octets, now)
            self.bell.ring()

    def set_mtu(self, mtu: int, now: int) -> None:
        """Change the MTU of the link, in octets (68 to 65535).

        If the MTU becomes smaller, connections send smaller segments at once, and may send octets in flight
        again in these. If it becomes larger, new connections use the larger MTU, and the others find out
        which packets their paths carry (`Config.mtu_probing`).

        Raises ArgumentError, also where ``mtu`` is larger than the packets of `use_offload`.
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
        """Let new connections make packets of up to ``largest`` octets, which the link cuts.

        `next_parcel` returns such packets; `next_packet` cuts them itself. With 0 no packet is larger than
        the MTU. Raises ArgumentError for other values below the MTU or above 65535.
        """
        allowed = f"0, or the MTU ({self.routes.mtu}) to {ip.LARGEST} octets"
        require_number("largest", largest, self.routes.mtu if largest else 0, ip.LARGEST, allowed)
        self._connections.offload = largest

    def forget_cookies(self) -> None:
        """Forget which servers support TCP Fast Open, and their cookies.

        A server could recognise this client by its cookie.
        """
        self._connections.servers.clear()


def _require_mtu(mtu: int) -> None:
    require_number("mtu", mtu, _LEAST_MTU, ip.LARGEST, f"{_LEAST_MTU} to {ip.LARGEST} octets")


def _require_secret(secret: bytes) -> None:
    # The message doesn't show the value, because it may be the secret in another form
    if not isinstance(secret, bytes) or not secret:
        raise ArgumentError(
            "secret", type(secret) if secret else secret, "bytes that no other can guess, at least one"
        )
