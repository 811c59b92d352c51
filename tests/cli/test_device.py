"""The kernel's side of the device: its address, and what ``ip`` complains of."""

import argparse
import shutil

import pytest

from postel.cli.network import attachment, device
from postel.cli.network.attachment import Attachment
from postel.congestion import BBR
from postel.errors import ArgumentError, LinkError
from postel.wire.address import parse_interface


@pytest.mark.parametrize(
    ("own", "other"),
    [
        ("10.7.0.2/24", "10.7.0.1/24"),
        ("10.7.0.1/24", "10.7.0.2/24"),
        ("10.7.0.77/26", "10.7.0.65/26"),
        ("10.7.0.2/31", "10.7.0.3/31"),
        ("10.7.0.3/31", "10.7.0.2/31"),
        ("fd07::2/64", "fd07::1/64"),
        ("fd07::1/64", "fd07::2/64"),
    ],
)
def test_the_other_side_is_the_first_other_address(own: str, other: str) -> None:
    assert str(device.other_side(parse_interface(own))) == other


@pytest.mark.parametrize("alone", ["10.7.0.2/32", "fd07::2/128"])
def test_who_is_alone_has_no_other_side(alone: str) -> None:
    with pytest.raises(ArgumentError, match="--kernel-address"):
        device.other_side(parse_interface(alone))


@pytest.mark.skipif(shutil.which("ip") is None, reason="iproute2 isn't installed")
def test_what_ip_says_is_told_in_one_line() -> None:
    with pytest.raises(LinkError, match=r"ip link show dev nothing-there: .*nothing-there") as caught:
        device.ip("link", "show", "dev", "nothing-there")
    assert "\n" not in caught.value.strerror


def options(
    *own: str, kernel: tuple[str, ...] = (), mtu: int = 1500, congestion: str = "cubic"
) -> argparse.Namespace:
    words = ["--tun", "t0", "--mtu", str(mtu), "--congestion", congestion]
    words += [word for address in own for word in ("--address", address)]
    words += [word for address in kernel for word in ("--kernel-address", address)]
    parser = argparse.ArgumentParser(exit_on_error=False)
    attachment.arguments(parser)
    return parser.parse_args(words)


@pytest.mark.parametrize(
    ("own", "reason"),
    [
        ("10.7.0.255/24", "the broadcast address"),
        ("10.7.0.63/26", "the broadcast address"),
        ("255.255.255.255/32", "the broadcast address"),
        ("10.7.0.0/24", "the address of the network itself"),
        ("10.7.0.64/26", "the address of the network itself"),
        ("224.0.0.1/24", "multicast"),
        ("239.1.2.3/32", "multicast"),
        ("ff02::1/64", "multicast"),
        ("0.0.0.0/0", "no address"),
        ("0.1.2.3/8", "no destinations"),
        ("250.0.0.1/24", "reserved"),
        ("127.0.0.1/8", "loopback"),
        ("::1/128", "loopback"),
        ("::/64", "no address"),
        ("::ffff:10.7.0.2/96", "IPv4 address"),
        ("fd07::/64", "anycast"),
    ],
)
def test_addresses_that_no_host_can_have_are_refused_with_the_reason(own: str, reason: str) -> None:
    with pytest.raises(ArgumentError, match=reason) as refused:
        Attachment(options(own))
    assert refused.value.name == "--address"
    with pytest.raises(ArgumentError, match=reason) as refused:
        Attachment(options("10.99.0.2/24", kernel=(own,)))
    assert refused.value.name == "--kernel-address"


@pytest.mark.parametrize(
    "own",
    [
        "10.7.0.2/24",
        "10.7.0.0/31",
        "10.7.0.1/31",
        "10.0.1.0/16",
        "10.0.0.255/16",
        "fd07::2/64",
        "fd07::/127",
        "fd07::ffff/64",
    ],
)
def test_addresses_that_look_odd_and_work(own: str) -> None:
    assert [str(interface) for interface in Attachment(options(own)).own] == [own]


def test_addresses_are_different() -> None:
    with pytest.raises(ArgumentError, match="--address"):
        Attachment(options("10.7.0.2/24", "10.7.0.2/16"))
    with pytest.raises(ArgumentError, match="--kernel-address"):
        Attachment(options("10.7.0.2/24", kernel=("10.7.0.2/24",)))


@pytest.mark.parametrize(
    ("own", "mtu", "works"),
    [
        ("fd07::2/64", 1279, False),
        ("fd07::2/64", 1280, True),
        ("10.7.0.2/24", 1279, True),
        ("10.7.0.2/24", 67, False),
        ("10.7.0.2/24", 65536, False),
    ],
)
def test_the_mtu_is_what_the_addresses_can_do_with(own: str, mtu: int, works: bool) -> None:
    if works:
        assert Attachment(options(own, mtu=mtu)).mtu == mtu
        return
    with pytest.raises(ArgumentError, match="--mtu"):
        Attachment(options(own, mtu=mtu))


@pytest.mark.skipif(shutil.which("ip") is None, reason="iproute2 isn't installed")
def test_the_kernels_own_address_is_refused() -> None:
    """The loopback's can't be given as an argument, but it is one that every kernel has."""
    with pytest.raises(ArgumentError, match="the kernel has it on lo"):
        device.require_not_the_kernels([parse_interface("127.0.0.1/8")], "")


def test_the_congestion_controller_has_a_name() -> None:
    assert Attachment(options("10.7.0.2/24", congestion="bbr")).config.congestion is BBR
    with pytest.raises(argparse.ArgumentError, match=r"choose from .*bbr.*cubic.*reno"):
        options("10.7.0.2/24", congestion="tahoe")
