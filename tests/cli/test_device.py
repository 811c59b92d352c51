"""The kernel's side of the device: its address, and what ``ip`` complains of."""

import shutil

import pytest

from postel.cli.network import device
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
