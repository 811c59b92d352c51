"""Say what this machine lets Postel do, what is missing, and what would make it faster.

It looks, and changes nothing: what a TUN device can do is tried on one in a network namespace of its own,
which is gone at once.
"""

import argparse
import ctypes
import json
import os
import platform
import shutil
import sys
import threading
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from postel.cli import DONE, NOT_ALLOWED, core
from postel.cli.network.device import QUEUE, ip
from postel.errors import LinkError
from postel.links import OffloadingTun, attach_tun, device

GOOD, MISSING, UNKNOWN = "good", "missing", "unknown"
_MARKS = {GOOD: "ok", MISSING: "no", UNKNOWN: "?"}
_CLONE_NEWNET = 0x40000000
_CAP_NET_ADMIN = 1 << 12
_PROBE = "postel-doctor"


@dataclass(frozen=True)
class Finding:
    """``advice`` is what would make it better; "" where nothing would. Without what is ``needed`` no TUN
    device can be used.
    """

    name: str
    state: str
    what: str
    advice: str = ""
    needed: bool = False


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="for programs")


def run(options: argparse.Namespace) -> int:
    findings = list(examine())
    if options.json:
        print(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        width = max(len(finding.name) for finding in findings)
        for finding in findings:
            print(f"{_MARKS[finding.state]:<3} {finding.name:<{width}}  {finding.what}")
            if finding.advice:
                print(f"    {'':<{width}}  -> {finding.advice}")
    return NOT_ALLOWED if any(finding.needed and finding.state == MISSING for finding in findings) else DONE


def examine() -> Iterator[Finding]:
    yield _core()
    yield from _device()
    yield _right()
    yield from _programs()
    yield from _drops()
    yield _kernel()


def _core() -> Finding:
    what = f"{core()}, {platform.python_implementation()} {platform.python_version()}"
    if core() == "compiled core":
        return Finding("core", GOOD, what)
    missing = [] if shutil.which(os.environ.get("CC", "cc")) else ["a C compiler"]
    if not os.access(Path(_headers(), "Python.h"), os.R_OK):
        missing.append("Python's headers")
    first = f"install {' and '.join(missing)}, then " if missing else ""
    return Finding(
        "core",
        MISSING,
        what,
        f"several times as fast compiled: {first}pip install --force-reinstall --no-binary postel postel",
    )


def _headers() -> str:
    import sysconfig  # noqa: PLC0415 - takes longer than all else

    return sysconfig.get_path("include")


def _device() -> Iterator[Finding]:
    try:
        flags = device.features()
    except OSError as error:
        state = UNKNOWN if sys.platform != "linux" else MISSING
        yield Finding(
            "TUN",
            state,
            f"{device.DEVICE} can't be opened",
            str(device.refused("postel0", error).strerror),
            needed=True,
        )
        return
    yield Finding("TUN", GOOD, f"{device.DEVICE} can be opened", needed=True)
    if flags & device.IFF_VNET_HDR:
        yield _offload()
    else:
        advice = "a larger --mtu (to 65535) does nearly as much, where both sides of the device may have it"
        yield Finding("offload", MISSING, "this kernel has no virtio header", advice)
    if flags & device.IFF_MULTI_QUEUE:
        yield Finding("queues", GOOD, "several for one device: postel serve --workers")
    else:
        yield Finding("queues", MISSING, "one for a device: --workers won't work")


def _offload() -> Finding:
    found = _tried()
    if isinstance(found, OSError):
        return Finding(
            "offload",
            UNKNOWN,
            f"the kernel has virtio headers; more can't be tried ({found.strerror})",
            "run as root to know",
        )
    known = {
        device.TUN_F_CSUM: "checksums",
        device.TUN_F_TSO4: "IPv4",
        device.TUN_F_TSO6: "IPv6",
        device.TUN_F_TSO_ECN: "ECN",
    }
    words = ", ".join(word for bit, word in known.items() if found & bit)
    if found & device.TUN_F_TSO4 and found & device.TUN_F_TSO6:
        return Finding("offload", GOOD, f"segments of 64 KiB both ways ({words})")
    return Finding(
        "offload", MISSING, f"only: {words or 'what we send'}", "a larger --mtu does nearly as much"
    )


def _tried() -> int | OSError:
    """What a device of our own agrees to; a thread that enters a new network namespace takes it along when it
    ends.
    """
    results: list[int | OSError] = []

    def probe() -> None:
        try:
            _enter_new_namespace()
            link = attach_tun(_PROBE)
            results.append(link.offloads if isinstance(link, OffloadingTun) else 0)
            link.close()
        except OSError as error:
            results.append(error)

    thread = threading.Thread(target=probe)
    thread.start()
    thread.join()
    return results[0]


def _enter_new_namespace() -> None:
    """`os.unshare` comes with Python 3.12."""
    if ctypes.CDLL(None, use_errno=True).unshare(_CLONE_NEWNET):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _right() -> Finding:
    user = "root" if os.geteuid() == 0 else "a user"
    if _capabilities() & _CAP_NET_ADMIN:
        return Finding("right", GOOD, f"{user} with CAP_NET_ADMIN: may make devices")
    what = "root without CAP_NET_ADMIN" if user == "root" else "an ordinary user: devices made by others only"
    made = f"ip tuntap add dev postel0 mode tun user {os.geteuid()} && ip address add 10.7.0.1/24 dev postel0"
    return Finding(
        "right",
        MISSING,
        what,
        device.right_to_use(f"{made} && ip link set dev postel0 txqueuelen {QUEUE} up"),
    )


def _capabilities() -> int:
    try:
        status = Path("/proc/self/status").read_text("ascii")
    except OSError:
        return 0
    return next((int(line.split()[1], 16) for line in status.splitlines() if line.startswith("CapEff:")), 0)


def _programs() -> Iterator[Finding]:
    needs = {
        "ip": "sets devices up: install iproute2",
        "tcpdump": "captures what `postel explain` reads: install tcpdump",
        "tshark": "shows captures beside Postel's own: install tshark",
    }
    for name, advice in needs.items():
        path = shutil.which(name)
        yield (
            Finding(name, GOOD, path)
            if path
            else Finding(name, MISSING, "not found", advice, needed=name == "ip")
        )


def _drops() -> Iterator[Finding]:
    """What the TUN devices of this network namespace have dropped, because the program behind them hadn't
    taken what came before.
    """
    try:
        devices = json.loads(ip("-statistics", "-json", "link", "show", "type", "tun") or "[]")
    except (LinkError, ValueError):
        return
    for found in devices:
        if not found.get("ifname"):
            continue
        sent = found.get("stats64", {}).get("tx", {})
        dropped, packets, length = sent.get("dropped", 0), sent.get("packets", 0), found.get("txqlen", 0)
        what = f"{dropped} packets dropped, {packets} delivered; {length} may wait (txqueuelen)"
        advice = ""
        if dropped and length < QUEUE:
            advice = f"ip link set dev {found['ifname']} txqueuelen {QUEUE}"
        elif dropped:
            advice = (
                "the program behind it was too slow for a burst, or not there: the compiled core, or "
                "postel serve --workers"
            )
        yield Finding(f"device {found['ifname']}", MISSING if dropped else GOOD, what, advice)


def _kernel() -> Finding:
    try:
        name = Path("/proc/sys/net/ipv4/tcp_congestion_control").read_text("ascii").strip()
    except OSError:
        return Finding("kernel", UNKNOWN, platform.platform())
    what = f"{platform.system()} {platform.release()}, sends with {name}"
    advice = (
        "for bulk from the kernel's sockets over a device of this machine cubic is faster: sysctl "
        "net.ipv4.tcp_congestion_control=cubic"
    )
    return Finding("kernel", GOOD, what, advice if name == "bbr" else "")
