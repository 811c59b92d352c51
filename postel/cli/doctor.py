"""Say what this machine lets Postel do, what is missing, and what would make it faster.

The command changes nothing. To learn what a TUN device can do, it makes one in a new network namespace, and
removes the device and the namespace at once.
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
    """One item of the machine that was examined, such as a permission or a program.

    ``advice`` says how the user can improve it, or is empty. If an item with ``needed`` is missing, Postel
    can't use a TUN device.
    """

    name: str
    state: str
    what: str
    advice: str = ""
    needed: bool = False


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to ``parser``."""
    parser.add_argument("--json", action="store_true", help="print JSON on standard output")


def run(options: argparse.Namespace) -> int:
    """Print what was found. Returns 3 where something that is needed is missing."""
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
    """Examine the machine, and yield a finding for each item that was examined."""
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
        "compiled it is several times as fast: "
        f"{first}pip install --force-reinstall --no-binary postel postel",
    )


def _headers() -> str:
    import sysconfig  # noqa: PLC0415 - takes longer than all other imports

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
        advice = "use a larger --mtu, up to 65535, on both sides of the device: it helps nearly as much"
        yield Finding("offload", MISSING, "this kernel has no virtio header", advice)
    if flags & device.IFF_MULTI_QUEUE:
        yield Finding("queues", GOOD, "a device can have several: postel serve --workers works")
    else:
        yield Finding("queues", MISSING, "a device can have only one: postel serve --workers won't work")


def _offload() -> Finding:
    found = _tried()
    if isinstance(found, OSError):
        return Finding(
            "offload",
            UNKNOWN,
            f"the kernel has virtio headers; which offloads it has can't be tried ({found.strerror})",
            "run this command as root to try them",
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
        "offload",
        MISSING,
        f"only: {words or 'segments that Postel sends'}",
        "use a larger --mtu: it helps nearly as much",
    )


def _tried() -> int | OSError:
    """Offloads that a new TUN device accepts, as bits, or the error from making the device.

    The device is made in a thread that enters a new network namespace; both disappear when the thread ends.
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
    """Move this thread into a new network namespace; `os.unshare` only comes with Python 3.12."""
    if ctypes.CDLL(None, use_errno=True).unshare(_CLONE_NEWNET):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _right() -> Finding:
    user = "root" if os.geteuid() == 0 else "a user"
    if _capabilities() & _CAP_NET_ADMIN:
        return Finding("right", GOOD, f"{user} with CAP_NET_ADMIN: can make devices")
    what = "root without CAP_NET_ADMIN" if user == "root" else "an ordinary user: can't make devices"
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
        "ip": "install iproute2: Postel sets devices up with it",
        "tcpdump": "install tcpdump: it makes the captures that `postel explain` reads",
        "tshark": "install tshark: it shows captures, too",
    }
    for name, advice in needs.items():
        path = shutil.which(name)
        yield (
            Finding(name, GOOD, path)
            if path
            else Finding(name, MISSING, "not found", advice, needed=name == "ip")
        )


def _drops() -> Iterator[Finding]:
    """Finding about how many packets the TUN devices of this network namespace have dropped.

    The kernel drops packets when the program behind a device doesn't read it fast enough.
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
                "the program behind the device was too slow, or wasn't running: use the compiled core, or "
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
        "large transfers from the kernel's sockets over a device of this machine are faster with cubic: "
        "sysctl net.ipv4.tcp_congestion_control=cubic"
    )
    return Finding("kernel", GOOD, what, advice if name == "bbr" else "")
