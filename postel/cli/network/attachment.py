"""``--tun`` and ``--address``: a host of the command's own on a TUN device."""

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
    group = parser.add_argument_group("network")
    group.add_argument(
        "--tun", metavar="NAME", required=required, help="TUN device to use; made if it doesn't exist"
    )
    group.add_argument(
        "--address",
        metavar="ADDRESS/PREFIX",
        required=required,
        action="append",
        help="Postel's own, such as 10.7.0.2/24 or fd07::2/64; repeatable",
    )
    group.add_argument(
        "--kernel-address",
        metavar="ADDRESS/PREFIX",
        action="append",
        default=[],
        help="the kernel's side; default: the first other of each network",
    )
    group.add_argument(
        "--netns", metavar="NAME", default="", help="put the kernel's side into this network namespace"
    )
    group.add_argument("--mtu", type=int, default=1500, help="of the device; default %(default)s")
    group.add_argument(
        "--congestion",
        choices=registered(),
        default="cubic",
        help="the congestion controller; default %(default)s",
    )
    group.add_argument(
        "--no-offload",
        dest="offload",
        action="store_false",
        help="cut and check packets here, though the kernel would",
    )
    recording.arguments(parser)


class Attached(Protocol):
    """Where commands get their network from."""

    def network(self) -> AbstractAsyncContextManager[aio.Network]: ...


class Attachment:
    """Options that have been checked: nothing of the system has been touched yet."""

    def __init__(self, options: argparse.Namespace) -> None:
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
        """The device, opened so many times, for as many processes."""
        if count > 1 and self.recording.observer is not None:
            raise ArgumentError(
                "--workers",
                count,
                "1 with --ladder or --pcapng, for each worker sees its own connections only",
            )
        device.require_not_the_kernels(self.own, self.namespace)
        return device.queues(
            self.tun, self.kernel, mtu=self.mtu, namespace=self.namespace, offload=self.offload, count=count
        )

    def host(self, *, mtu: int | None) -> Host:
        """A host with the addresses; without an ``mtu`` it is that of its link. All of one attachment have
        one secret.
        """
        own = [str(interface) for interface in self.own]
        return Host(*own, secret=self.secret, mtu=mtu, config=self.config, observer=self.recording.observer)

    @asynccontextmanager
    async def network(self, link: Link | None = None) -> AsyncIterator[aio.Network]:
        """A host attached to the device, which is opened unless one of its queues is given; shows the
        recording when all is closed.

        All that are made with one attachment have one secret: a cookie that one process gave is good in the
        others.
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
    """The reason why no host can have this address; "" where there is none."""
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
