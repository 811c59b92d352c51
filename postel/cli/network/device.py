"""The TUN device and the kernel's side of it, set up with iproute2's ``ip``."""

import errno
import json
import subprocess
from typing import Any

from postel.errors import ArgumentError, LinkError
from postel.link.tun import Tun, attach
from postel.wire.address import Interface

_LEAST_MTU_6 = 1280  # below it a device has no IPv6 at all: RFC 8200, 5
_PREFIX_OF_ONE = {4: 32, 16: 128}


def opened(name: str, kernel: list[Interface], *, mtu: int, namespace: str = "") -> Tun:
    """The device, up, with the kernel's addresses on it; in ``namespace`` if one is named. Raises LinkError, which says how to mend it."""
    return queues(name, kernel, mtu=mtu, namespace=namespace, offload=False, count=1)[0]


def queues(name: str, kernel: list[Interface], *, mtu: int, namespace: str, offload: bool, count: int) -> list[Tun]:
    """As `opened`, so many queues of the device."""
    links: list[Tun] = []
    try:
        while len(links) < count:
            links.append(attach(name, mtu=mtu, offload=offload, several=count > 1))
        if namespace:
            ip("link", "set", "dev", name, "netns", namespace)
        _configure(name, kernel, mtu, namespace)
    except BaseException:
        for link in links:
            link.close()
        raise
    return links


def _configure(name: str, kernel: list[Interface], mtu: int, namespace: str) -> None:
    inside = ("-netns", namespace) if namespace else ()
    if _is_ready(name, kernel, mtu, inside):
        return  # made by someone with more rights
    silent = ("addrgenmode", "none") if mtu >= _LEAST_MTU_6 else ()  # no link-local address: nothing to announce
    ip(*inside, "link", "set", "dev", name, "mtu", str(mtu), *silent)
    for interface in kernel:
        ip(*inside, "address", "replace", str(interface), "dev", name, *(("nodad",) if len(interface.address) == 16 else ()))
    ip(*inside, "link", "set", "dev", name, "up")


def _is_ready(name: str, kernel: list[Interface], mtu: int, inside: tuple[str, ...]) -> bool:
    described: list[dict[str, Any]] = json.loads(ip(*inside, "-json", "address", "show", "dev", name) or "[]")
    for device in described:
        present = {f"{info.get('local')}/{info.get('prefixlen')}" for info in device.get("addr_info", ())}
        if "UP" in device.get("flags", ()) and device.get("mtu") == mtu and present >= {str(interface) for interface in kernel}:
            return True
    return False


def ip(*arguments: str) -> str:
    """What ``ip`` prints. Raises LinkError with its complaint."""
    try:
        done = subprocess.run(("ip", *arguments), capture_output=True, text=True, check=False)  # noqa: S603, S607
    except FileNotFoundError:
        raise LinkError(errno.ENOENT, "the command ip is missing: install iproute2") from None
    if done.returncode:
        complaint = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        number = errno.EPERM if "not permitted" in done.stderr else errno.EINVAL
        mending = ": run as root, or let root set the device up" if number == errno.EPERM else ""
        raise LinkError(number, f"ip {' '.join(arguments)}: {complaint[-1]}{mending}")
    return done.stdout


def other_side(interface: Interface) -> Interface:
    """The first other address of the network, for the kernel. Raises ArgumentError where there is none."""
    size = 8 * len(interface.address)
    spare = size - interface.prefix_length
    if spare == 0:
        raise ArgumentError("--address", str(interface), f"a network with a prefix shorter than /{size}, or --kernel-address as well")
    network = int.from_bytes(interface.address, "big") >> spare << spare
    first = network if spare == 1 else network + 1  # RFC 3021: both addresses of a /31 are hosts'
    own = int.from_bytes(interface.address, "big")
    chosen = first if first != own else first + 1
    return Interface(chosen.to_bytes(size // 8, "big"), interface.prefix_length)
