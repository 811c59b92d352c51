"""ICMP errors among workers that share a device: over socket pairs in the place of its queues."""

import select
import socket
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postel.cli.network.siblings import Siblings, is_error
from postel.links import Link
from postel.links.tun import Tun

MANY = 100
UNREACHABLE = bytes.fromhex("4500001c000000004001000001020304050607080304000000000514")
ECHO = UNREACHABLE[:20] + b"\x08" + UNREACHABLE[21:]
SEGMENT = UNREACHABLE[:9] + b"\x06" + UNREACHABLE[10:]
TOO_BIG = bytes.fromhex("6000000000083a40") + bytes(32) + b"\x02" + bytes(7)
NEIGHBOUR = TOO_BIG[:40] + b"\x87" + bytes(7)


class Device:
    """Three queues, and what their workers read."""

    def __init__(self) -> None:
        pairs = [socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM) for _ in range(3)]
        self.kernel = [pair[0] for pair in pairs]
        self.siblings = Siblings(3)
        self.links: list[Link] = [
            self.siblings.joined(Tun("t0", fd=pair[1].detach()), index) for index, pair in enumerate(pairs)
        ]

    def close(self) -> None:
        for link in self.links:
            link.close()
            link.close()
            assert link.fileno() == -1
        for end in self.kernel:
            end.close()
        self.siblings.close()


@pytest.fixture
def device() -> Iterator[Device]:
    made = Device()
    yield made
    made.close()


def is_readable(link: Link) -> bool:
    return bool(select.select([link.fileno()], [], [], 0)[0])


def received(link: Link) -> list[bytes]:
    assert is_readable(link)
    return list(iter(lambda: link.receive(0), None))


@pytest.mark.parametrize("error", [UNREACHABLE, TOO_BIG])
def test_an_error_comes_to_all_and_only_once(device: Device, error: bytes) -> None:
    device.kernel[1].send(error)
    assert [received(device.links[1]), received(device.links[0]), received(device.links[2])] == [[error]] * 3
    assert not any(is_readable(link) for link in device.links)


@pytest.mark.parametrize("packet", [ECHO, SEGMENT, NEIGHBOUR])
def test_all_else_stays_with_the_worker_that_got_it(device: Device, packet: bytes) -> None:
    device.kernel[0].send(packet)
    assert received(device.links[0]) == [packet]
    assert not any(is_readable(link) for link in device.links)


def test_mail_is_read_while_the_device_is_busy(device: Device) -> None:
    device.kernel[1].send(UNREACHABLE)
    received(device.links[1])
    link, kernel = device.links[0], device.kernel[0]
    for number in range(MANY):
        kernel.send(SEGMENT)
        if link.receive(0) == UNREACHABLE:
            assert number < MANY // 2
            return
    raise AssertionError("the mail was never read")


def test_a_flood_of_errors_stops_nobody(device: Device) -> None:
    for _ in range(5000):
        device.kernel[0].send(UNREACHABLE)
        assert device.links[0].receive(0) == UNREACHABLE
    assert len(received(device.links[1])) <= 5000


@given(st.binary(max_size=60))
def test_any_octets_are_an_error_or_none(octets: bytes) -> None:
    assert is_error(octets) in (True, False)
