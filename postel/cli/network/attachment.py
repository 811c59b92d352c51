"""Options ``--tun`` and ``--address``, and the host on a TUN device that they ask for."""

import argparse
import os
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol

from postel import aio
from postel.cli.network import device, recording
from postel.cli.network.recording import Recording
from postel.congestion import registered
from postel.errors import ArgumentError
from postel.host.host import Host
from postel.links import Link, Tun
from postel.links.contract import LARGEST_MTU, SMALLEST_MTU
from postel.tcp.config import Config
from postel.wire import address
from postel.wire.address import Interface


def arguments(parser: argparse.ArgumentParser, *, required: bool = True) -> None:
    """Add the options to ``parser``; without ``required`` the device and the addresses may be left out."""
    group = parser.add_argument_group("network")
    group.add_argument(
        "--tun", metavar="NAME", required=required, help="TUN device to use; it is made if it doesn't exist"
    )
    group.add_argument(
        "--address",
        metavar="ADDRESS/PREFIX",
        required=required,
        action="append",
        help="address of Postel's host, such as 10.7.0.2/24 or fd07::2/64; may be given again",
    )
    group.add_argument(
        "--kernel-address",
        metavar="ADDRESS/PREFIX",
        action="append",
        default=[],
        help="address of the kernel's side; default: the first other address of each network",
    )
    group.add_argument(
        "--netns",
        metavar="NAME",
        default="",
        help="put the kernel's side of the device into this network namespace",
    )
    group.add_argument(
        "--mtu", type=int, default=1500, help="MTU of the device, in octets; default %(default)s"
    )
    group.add_argument(
        "--congestion",
        choices=registered(),
        default="cubic",
        help="congestion controller; default %(default)s",
    )
    group.add_argument(
        "--no-offload",
        dest="offload",
        action="store_false",
        help="make packets and checksums here, even if the kernel could",
    )
    recording.arguments(parser)


class Attached(Protocol):
    """Source of a command's network: an `Attachment` (TUN device) or a `Laboratory` (simulation)."""

    def network(self) -> AbstractAsyncContextManager[aio.Network]:
        """Attach the host for the time of a block, and return its network."""
        ...


class Attachment:
    """Options for a host on a device, checked; the device hasn't been touched yet."""

    def __init__(self, options: argparse.Namespace) -> None:
        """Check the options. Raises ArgumentError for a value that isn't allowed."""
        own = [_interface("--address", text) for text in options.address]
        given = [_interface("--kernel-address", text) for text in options.kernel_address]
        _require_different(own, given)
        _require_mtu(options.mtu, [*own, *given])
        self.own = own
        self.kernel: list[Interface] = given or [device.other_side(interface) for interface in own]
        self.tun: str = options.tun
        self.mtu: int = options.mtu
        self.namespace: str = options.netns
        self.offload: bool = options.offload
        self.config: Config = Config(congestion=options.congestion)
        self.secret: bytes = os.urandom(16)
        names = {address.to_text(interface.address): "postel" for interface in own}
        names |= {address.to_text(interface.address): "kernel" for interface in self.kernel}
        self.recording: Recording = Recording(options, names, streams=True)

    def queues(self, count: int) -> list[Tun]:
        """Open the device ``count`` times, for as many processes.

        Raises ArgumentError where several workers are to be recorded, or the kernel has one of the addresses,
        and LinkError where the device can't be used.
        """
        if count > 1 and self.recording.observer is not None:
            raise ArgumentError(
                "--workers",
                count,
                "1 with --ladder or --pcapng, because each worker sees only its own connections",
            )
        device.require_not_the_kernels(self.own, self.namespace)
        return device.queues(
            self.tun, self.kernel, mtu=self.mtu, namespace=self.namespace, offload=self.offload, count=count
        )

    def host(self, *, mtu: int | None) -> Host:
        """Make a host with the addresses; without ``mtu`` the host uses the MTU of its link.

        All hosts of one attachment have one secret.
        """
        own = [str(interface) for interface in self.own]
        return Host(*own, secret=self.secret, mtu=mtu, config=self.config, observer=self.recording.observer)

    @asynccontextmanager
    async def network(self, link: Link | None = None) -> AsyncIterator[aio.Network]:
        """Attach a host for the time of the block, and show the recording after everything is closed.

        The device is opened unless ``link`` gives one of its queues. All hosts of one attachment have one
        secret, so that a cookie from one process is valid in the others.
        """
        try:
            host = self.host(mtu=self.mtu)
            async with aio.attach(
                host, self.recording.link(self.queues(1)[0] if link is None else link)
            ) as network:
                yield network
        finally:
            self.recording.finish()


def _interface(option: str, text: str) -> Interface:
    try:
        interface = address.parse_interface(text)
    except ArgumentError as error:
        raise ArgumentError(
            option, text, "an address with its prefix length, such as 10.7.0.2/24 or fd07::2/64"
        ) from error
    if "/" not in text and option == "--address":
        raise ArgumentError(
            option,
            text,
            f"a prefix length as well, such as {text}/{24 if len(interface.address) == 4 else 64}",
        )
    if reason := _why_no_hosts(interface):
        raise ArgumentError(option, text, f"the address of one host ({reason})")
    return interface


def _why_no_hosts(interface: Interface) -> str:
    """Reason why no host can have this address; empty where there is none."""
    octets = interface.address
    if reason := address.why_never_on_a_link(octets):
        return reason
    if address.is_multicast(octets):
        return "it is a multicast address"
    if address.is_limited_broadcast(octets) or octets == interface.broadcast:
        return "it is the broadcast address of its network"
    if octets == interface.network:
        return "it is the address of the network itself"
    hosts = 128 - interface.prefix_length
    if len(octets) == 16 and hosts > 1 and int.from_bytes(octets, "big") % (1 << hosts) == 0:
        return "it is the anycast address of the network's routers: RFC 4291, 2.6.1"
    return ""


def _require_different(own: list[Interface], given: list[Interface]) -> None:
    seen: set[bytes] = set()
    for interface in own:
        if interface.address in seen:
            raise ArgumentError("--address", str(interface), "each address once")
        seen.add(interface.address)
    for interface in given:
        if interface.address in seen:
            raise ArgumentError("--kernel-address", str(interface), "another address than Postel's own")


def _require_mtu(mtu: int, interfaces: list[Interface]) -> None:
    has_6 = any(len(interface.address) == 16 for interface in interfaces)
    least = device.LEAST_MTU_6 if has_6 else SMALLEST_MTU
    if not least <= mtu <= LARGEST_MTU:
        reason = " with an IPv6 address (RFC 8200, 5)" if has_6 else ""
        raise ArgumentError("--mtu", mtu, f"{least} to {LARGEST_MTU} octets{reason}")
