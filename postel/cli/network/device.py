"""TUN device and the kernel's side of it, set up with iproute2's ``ip``."""

import errno
import json
import os
import subprocess
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, Final

from postel.errors import ArgumentError, LinkError
from postel.links import Tun, attach_tun
from postel.links.device import right_to_use
from postel.wire import address
from postel.wire.address import Interface

LEAST_MTU_6: Final = 1280  # a device with a smaller MTU has no IPv6 at all (RFC 8200, 5)
# Number of packets that may wait in the kernel while Postel does something else, for example in a burst of
# SYNs. The kernel's default is 500.
QUEUE: Final = 4096


def opened(name: str, kernel: list[Interface], *, mtu: int, namespace: str = "") -> Tun:
    """Open the device, set it up, and give the kernel its addresses, in ``namespace`` if one is named.

    Raises LinkError, which says what to do.
    """
    return queues(name, kernel, mtu=mtu, namespace=namespace, offload=False, count=1)[0]


def queues(
    name: str, kernel: list[Interface], *, mtu: int, namespace: str, offload: bool, count: int
) -> list[Tun]:
    """Open ``count`` queues of the device, set it up, and give the kernel its addresses.

    No other program may have a queue of the device, because the kernel would spread connections over all
    queues. Raises LinkError, which says what to do.
    """
    _require_free(name, "")
    if namespace:
        _require_free(name, namespace)
    links: list[Tun] = []
    try:
        while len(links) < count:
            links.append(_attached(name, kernel, mtu=mtu, offload=offload, several=count > 1))
        _require_free(name, "", count)  # another program may have begun at the same time
        if namespace:
            ip("link", "set", "dev", name, "netns", namespace)
        _configure(name, kernel, mtu, namespace)
    except BaseException:
        for link in links:
            link.close()
        raise
    return links


def _attached(name: str, kernel: list[Interface], *, mtu: int, offload: bool, several: bool) -> Tun:
    try:
        return attach_tun(name, mtu=mtu, offload=offload, several=several)
    except LinkError as error:
        if error.errno not in (errno.EPERM, errno.EACCES):
            raise
        raise LinkError(
            error.errno, f"no right to use TUN device {name}: {_advice(name, kernel, mtu, several=several)}"
        ) from error


def _advice(name: str, kernel: list[Interface], mtu: int, *, several: bool) -> str:
    """Text with the commands that give this user the right to use the device, to be run as root."""
    kind = " multi_queue" if several else ""
    addresses = "".join(f" && ip address add {interface} dev {name}" for interface in kernel)
    made = f"ip tuntap add dev {name} mode tun user {os.geteuid()}{kind}{addresses}"
    return right_to_use(f"{made} && ip link set dev {name} mtu {mtu} txqueuelen {QUEUE} up")


def _require_free(name: str, namespace: str, own: int = 0) -> None:
    """Raise LinkError where another program has queues of the device.

    To open one more would take connections away from that program at once.
    """
    if _queues_in_use(name, namespace) > own:
        where = f" in network namespace {namespace}" if namespace else ""
        text = (
            f"TUN device {name}{where} is in use by another program, or by workers that still run after "
            "their parent has ended: stop them, or use another name"
        )
        raise LinkError(errno.EBUSY, text)


def _queues_in_use(name: str, namespace: str) -> int:
    """Number of open queues of a device with several queues.

    It is 0 where there is no such device, or where the device has a single queue.
    """
    try:
        described = json.loads(
            ip(*_inside(namespace), "-details", "-json", "link", "show", "dev", name) or "[]"
        )
    except LinkError as error:
        if error.errno == errno.ENOENT:
            raise
        return 0
    data: dict[str, Any] = described[0].get("linkinfo", {}).get("info_data", {}) if described else {}
    return int(data.get("numqueues", 0)) + int(data.get("numdisabled", 0)) if data.get("multi_queue") else 0


def _inside(namespace: str) -> tuple[str, ...]:
    return ("-netns", namespace) if namespace else ()


def _configure(name: str, kernel: list[Interface], mtu: int, namespace: str) -> None:
    inside = _inside(namespace)
    if _is_ready(name, kernel, mtu, inside):
        with suppress(LinkError):  # without the right to change it, the device keeps its queue length
            ip(*inside, "link", "set", "dev", name, "txqueuelen", str(QUEUE))
        return
    # Without a link-local address the kernel sends no announcements on the device.
    silent = ("addrgenmode", "none") if mtu >= LEAST_MTU_6 else ()
    ip(*inside, "link", "set", "dev", name, "mtu", str(mtu), "txqueuelen", str(QUEUE), *silent)
    for interface in kernel:
        ip(
            *inside,
            "address",
            "replace",
            str(interface),
            "dev",
            name,
            *(("nodad",) if len(interface.address) == 16 else ()),
        )
    ip(*inside, "link", "set", "dev", name, "up")


def require_not_the_kernels(own: Iterable[Interface], namespace: str) -> None:
    """Raise ArgumentError where the kernel itself has one of these addresses.

    The kernel would answer in Postel's place, and no packet would reach Postel.
    """
    taken: dict[bytes, str] = {}
    for device in json.loads(ip(*_inside(namespace), "-json", "address", "show") or "[]"):
        for info in device.get("addr_info", ()):
            with suppress(ArgumentError, KeyError):
                taken[address.parse(info["local"])] = device.get("ifname", "")
    for interface in own:
        if name := taken.get(interface.address):
            raise ArgumentError(
                "--address",
                str(interface),
                f"an address that the kernel doesn't have itself (the kernel has it on {name})",
            )


def _is_ready(name: str, kernel: list[Interface], mtu: int, inside: tuple[str, ...]) -> bool:
    described: list[dict[str, Any]] = json.loads(ip(*inside, "-json", "address", "show", "dev", name) or "[]")
    for device in described:
        present = {f"{info.get('local')}/{info.get('prefixlen')}" for info in device.get("addr_info", ())}
        if (
            "UP" in device.get("flags", ())
            and device.get("mtu") == mtu
            and present >= {str(interface) for interface in kernel}
        ):
            return True
    return False


def ip(*arguments: str) -> str:
    """Run ``ip`` and return what it prints. Raises LinkError with its error message."""
    try:
        # No shell is involved, and the user's PATH says where ip is.
        done = subprocess.run(("ip", *arguments), capture_output=True, text=True, check=False)  # noqa: S603, S607
    except FileNotFoundError:
        raise LinkError(errno.ENOENT, "the command ip isn't installed: install iproute2") from None
    if done.returncode:
        complaint = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        number = errno.EPERM if "not permitted" in done.stderr else errno.EINVAL
        mending = ""
        if number == errno.EPERM:
            mending = ": run as root, or let root set the device's addresses and MTU, and set it up"
        raise LinkError(number, f"ip {' '.join(arguments)}: {complaint[-1]}{mending}")
    return done.stdout


def other_side(interface: Interface) -> Interface:
    """First address of the network but ``interface``'s own. Raises ArgumentError if there is none."""
    size = 8 * len(interface.address)
    spare = size - interface.prefix_length
    if spare == 0:
        raise ArgumentError(
            "--address",
            str(interface),
            f"a network with a prefix shorter than /{size}, or --kernel-address as well",
        )
    network = int.from_bytes(interface.address, "big") >> spare << spare
    first = network if spare == 1 else network + 1  # both addresses of a /31 belong to hosts (RFC 3021)
    own = int.from_bytes(interface.address, "big")
    chosen = first if first != own else first + 1
    return Interface(chosen.to_bytes(size // 8, "big"), interface.prefix_length)
