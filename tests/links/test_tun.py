"""What can be told of a TUN link without one; `tests/kernel` has the device itself."""

import errno
import socket
from collections.abc import Iterator

import pytest

from postel.errors import ArgumentError, LinkError
from postel.links import Tun
from postel.links.device import refused


@pytest.fixture
def inherited() -> Iterator[tuple[Tun, socket.socket]]:
    """A link on a descriptor that another program opened: a relay's, that carries one packet a read."""
    inner, outer = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    outer.setblocking(False)
    with outer:
        link = Tun("relay", mtu=100, fd=inner.detach())
        yield link, outer
        link.close()


def test_inherited_descriptor_carries_packets(inherited: tuple[Tun, socket.socket]) -> None:
    link, relay = inherited
    relay.send(b"in")
    assert link.send(b"out", b"", 0)
    assert (link.receive(0), link.receive(0), relay.recv(100)) == (b"in", None, b"out")


def test_packet_larger_than_the_mtu_is_refused(inherited: tuple[Tun, socket.socket]) -> None:
    link, _ = inherited
    with pytest.raises(LinkError, match="101 octets for a link with an MTU of 100"):
        link.send(bytes(101), b"", 0)


def test_full_link_loses_the_packet_and_says_so(inherited: tuple[Tun, socket.socket]) -> None:
    link, _ = inherited
    for _ in range(100_000):
        if not link.send(bytes(100), b"", 0):
            return
    pytest.fail("it took everything")


def test_link_that_is_gone_says_so(inherited: tuple[Tun, socket.socket]) -> None:
    link, relay = inherited
    relay.close()
    with pytest.raises(LinkError, match="TUN device relay is gone"):
        link.send(b"to nobody", b"", 0)


def test_closed_link_says_so_and_closes_twice(inherited: tuple[Tun, socket.socket]) -> None:
    link, _ = inherited
    link.close()
    link.close()
    assert link.fileno() == -1
    for use in (lambda: link.receive(0), lambda: link.send(b"x", b"", 0)):
        with pytest.raises(LinkError, match="TUN device relay is closed"):
            use()


@pytest.mark.parametrize("name", ["", "a/b", "a b", "sixteen-letters!", "ünüsüällylö"])
def test_impossible_name_is_refused(name: str) -> None:
    with pytest.raises(ArgumentError, match="name is"):
        Tun(name)


@pytest.mark.parametrize(
    ("number", "way_to_mend"),
    [
        (errno.EPERM, "run as root, or: ip tuntap add dev t0 mode tun user"),
        (errno.EACCES, "run as root, or: ip tuntap add dev t0 mode tun user"),
        (errno.ENOENT, "no /dev/net/tun: modprobe tun"),
        (errno.ENODEV, "no /dev/net/tun: modprobe tun"),
        (errno.EBUSY, "in use by another program"),
        (errno.EINVAL, "take another name"),
        (errno.EMFILE, "can't be opened"),
    ],
)
def test_refusal_says_how_to_mend_it(number: int, way_to_mend: str) -> None:
    refusal = refused("t0", OSError(number, "no"))
    assert refusal.errno == number
    assert way_to_mend in str(refusal)
