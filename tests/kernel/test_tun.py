"""The device itself."""

import asyncio
import errno
import os
import select
import socket
from typing import Any

import pytest

from postel.aio import attach as attach_to_asyncio
from postel.errors import ArgumentError, LinkDown, LinkError, WireError
from postel.host.host import Host
from postel.links import OffloadingTun, Tun, attach_tun, device, inherit_tun
from postel.wire import ip, udp
from postel.wire.parcel import Parcel


def test_device_in_use_is_refused(namespace: Any) -> None:
    with pytest.raises(LinkError, match="in use by another program") as caught:
        namespace.inside(lambda: Tun("postel0"))
    assert caught.value.errno == errno.EBUSY


def test_device_of_another_kind_is_refused(namespace: Any) -> None:
    namespace.command("ip", "tuntap", "add", "dev", "tap0", "mode", "tap")
    with pytest.raises(LinkError, match="another kind"):
        namespace.inside(lambda: Tun("tap0"))


def test_device_that_is_down_says_so_and_how_to_mend_it(namespace: Any) -> None:
    packet = bytes.fromhex("4500001400000000400166e30a0700020a070001")
    assert namespace.tun.send(packet, b"", 0)
    namespace.command("ip", "link", "set", "postel0", "down")
    with pytest.raises(LinkDown, match="TUN device postel0 is down: ip link set dev postel0 up") as caught:
        namespace.tun.send(packet, b"", 0)
    assert caught.value.errno == errno.ENETDOWN
    assert len(namespace.tun.receive(0) or b"") in (0, 48)  # a router solicitation may wait
    namespace.command("ip", "link", "set", "postel0", "up")
    assert namespace.tun.send(packet, b"", 0)


async def test_connecting_over_a_device_that_is_down_fails_at_once(namespace: Any) -> None:
    async with attach_to_asyncio(Host("10.7.0.2/24", secret=b"postel"), namespace.tun) as net:
        with namespace.inside(lambda: socket.create_server(("10.7.0.1", 80))):
            _, living = await net.open_connection("10.7.0.1", 80)
            namespace.command("ip", "link", "set", "postel0", "down")
            with pytest.raises(LinkDown, match="ip link set dev postel0 up"):
                await net.open_connection("10.7.0.1", 80)
            namespace.command("ip", "link", "set", "postel0", "up")
            _, again = await net.open_connection("10.7.0.1", 80)
            assert not living.transport.is_closing()
            again.close()
            living.close()


async def test_device_that_is_deleted_ends_the_network(namespace: Any) -> None:
    namespace.command("ip", "tuntap", "add", "dev", "gone0", "mode", "tun")
    namespace.command("ip", "link", "set", "gone0", "up")
    link = namespace.inside(lambda: Tun("gone0"))
    async with attach_to_asyncio(Host("10.8.0.2/24", secret=b"postel"), link) as net:
        server = await net.start_server(lambda _reader, _writer: None, port=80)
        serving = asyncio.ensure_future(server.serve_forever())
        await asyncio.sleep(0)
        namespace.command("ip", "link", "delete", "gone0")
        with pytest.raises(LinkError, match="gone0 is gone"):
            await serving


def kept_device(namespace: Any, kind: str) -> None:
    namespace.command("ip", "tuntap", "add", "dev", "kept0", *kind.split())
    namespace.command("ip", "address", "add", "10.8.0.1/24", "dev", "kept0")
    namespace.command("ip", "link", "set", "kept0", "up")


def datagram_of_the_kernel(namespace: Any, link: Tun) -> udp.Datagram:
    """Sent by the kernel's socket, received from the device; its checksum is checked. The kernel needs a
    moment to see the carrier.
    """
    with namespace.inside(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as sender:
        for _ in range(100):
            sender.sendto(b"hello", ("10.8.0.2", 9))
            select.select([link.fileno()], [], [], 0.05)
            while octets := link.receive(0):
                packet = ip.parse(octets)
                if packet.protocol == udp.PROTOCOL and packet.version == 4:
                    return udp.parse(packet)
    raise AssertionError("the kernel sent nothing")


@pytest.mark.parametrize("before", ["closed", "killed"])
@pytest.mark.parametrize("kind", ["mode tun", "mode tun multi_queue"])
def test_a_persistent_device_once_used_with_offload_works_without(
    namespace: Any, kind: str, before: str
) -> None:
    """TUNSETOFFLOAD outlives the descriptor: the kernel left out checksums for a program that computes
    none.
    """
    kept_device(namespace, kind)
    first = namespace.inside(lambda: attach_tun("kept0", several="multi_queue" in kind))
    assert isinstance(first, OffloadingTun)
    assert first.offloads
    if before == "closed":
        first.close()
    else:
        os.close(first.fileno())  # as the kernel does it for a process that was killed
    plain = namespace.inside(lambda: Tun("kept0"))
    assert datagram_of_the_kernel(namespace, plain).data == b"hello"
    plain.close()


def test_what_was_set_for_a_device_is_put_back_for_other_programs(namespace: Any) -> None:
    kept_device(namespace, "mode tun")
    namespace.inside(lambda: attach_tun("kept0")).close()
    # `device.attach` sets no address
    other = namespace.inside(lambda: device.attach("kept0", device.IFF_TUN | device.IFF_NO_PI))
    os.set_blocking(other, False)
    relayed = Relayed(other)
    assert datagram_of_the_kernel(namespace, relayed).data == b"hello"
    os.close(other)


class Relayed(Tun):
    """A device as another program left it."""

    def _learn_header(self, flag: int) -> None:
        pass

    def __init__(self, fd: int) -> None:
        super().__init__("kept0", fd=fd)


def test_device_that_is_deleted_is_gone(namespace: Any) -> None:
    namespace.command("ip", "link", "delete", "postel0")
    for use in (lambda: namespace.tun.receive(0), lambda: namespace.tun.send(bytes(20), b"", 0)):
        with pytest.raises(LinkError, match="TUN device postel0 is gone"):
            use()


async def test_network_on_a_deleted_device_ends(namespace: Any, attached: Any) -> None:
    async with attached() as net:
        server = await net.start_server(lambda *_: None, port=80)
        namespace.command("ip", "link", "delete", "postel0")
        await server.wait_closed()
        with pytest.raises(LinkError, match="gone"):
            await net.open_connection("10.7.0.1", 80)


def test_who_has_no_right_is_told_how_to_get_it(namespace: Any) -> None:
    del namespace  # only that this can be tried at all
    read, write = os.pipe()
    if (child := os.fork()) == 0:
        try:
            os.setgroups([])
            os.setuid(65534)
            Tun("postel1")
        except LinkError as error:
            os.write(write, f"{error.errno} {error}".encode())
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    told = os.read(read, 1000).decode()
    os.close(read)
    os.close(write)
    assert int(told.split()[0]) in (errno.EACCES, errno.EPERM)
    assert "run as root, or: ip tuntap add dev postel1 mode tun user $USER" in told


# With and without a virtio header

TSO = device.TUN_F_CSUM | device.TUN_F_TSO4 | device.TUN_F_TSO6


def test_a_device_of_our_own_has_offload_unless_nobody_wants_it(namespace: Any) -> None:
    made = namespace.inside(lambda: attach_tun("postel1"))
    assert isinstance(made, OffloadingTun)
    assert made.offloads & TSO == TSO
    assert made.receive(0) is None
    made.close()
    made = namespace.inside(lambda: attach_tun("postel1", offload=False))
    assert type(made) is Tun
    made.close()


@pytest.mark.parametrize("offload", [False, True])
def test_a_descriptor_says_itself_how_it_was_opened(namespace: Any, offload: bool) -> None:
    made = namespace.inside(lambda: attach_tun("postel1", offload=offload))
    heir = inherit_tun(os.dup(made.fileno()))
    assert type(heir) is type(made)
    with pytest.raises(ArgumentError, match="virtio"):
        (Tun if offload else OffloadingTun)("postel1", fd=made.fileno())
    heir.close()
    made.close()


@pytest.mark.parametrize(
    "kind", [(), ("multi_queue",), ("vnet_hdr",), ("multi_queue", "vnet_hdr")], ids="+".join
)
@pytest.mark.parametrize("offload", [False, True])
def test_a_persistent_device_of_any_kind_is_taken(
    namespace: Any, kind: tuple[str, ...], offload: bool
) -> None:
    namespace.command("ip", "tuntap", "add", "dev", "postel1", "mode", "tun", *kind)
    made = namespace.inside(lambda: attach_tun("postel1", offload=offload))
    assert isinstance(made, OffloadingTun) == offload
    namespace.command("ip", "link", "set", "postel1", "up")
    assert made.send(bytes.fromhex("4500001400000000400166e30a0700020a070001"), b"", 0)
    made.close()


def test_several_queues_of_one_device(namespace: Any) -> None:
    links = [namespace.inside(lambda: attach_tun("postel1", several=True)) for _ in range(3)]
    assert len({link.fileno() for link in links}) == 3
    for link in links:
        link.close()


def test_what_a_device_with_a_header_carries_is_whole_for_who_wants_packets(namespace: Any) -> None:
    """A datagram from the kernel comes with its checksum left open; `receive` ends it, `receive_parcel` hands
    it over as it is.
    """
    made = namespace.inside(lambda: attach_tun("postel1"))
    namespace.command("ip", "address", "add", "10.9.0.1/24", "dev", "postel1")
    namespace.command("ip", "link", "set", "postel1", "up")
    with namespace.inside(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as sender:
        for _ in range(2):
            sender.sendto(b"hello", ("10.9.0.2", 9))
        packets = [packet for packet in iter(lambda: made.receive(0), None) if packet[0] >> 4 == 4]
        assert [udp.parse(ip.parse(packet), verify=True).data for packet in packets] == [b"hello"] * 2
        sender.sendto(b"hello", ("10.9.0.2", 9))
        parcel = made.receive_parcel(0)
        assert parcel.start == 20
        assert parcel.is_vouched
        with pytest.raises(WireError, match="checksum"):
            udp.parse(ip.parse(parcel.head), verify=True)
    with pytest.raises(LinkError, match="1501 octets for a link with an MTU of 1500"):
        made.send(bytes(1501), b"", 0)
    with pytest.raises(LinkError, match="65536 octets for a link with an MTU of 65535"):
        made.send_parcel(Parcel(bytes(52), bytes(65484), stride=1448, start=20), b"", 0)
    with pytest.raises(LinkError, match="1501 octets"):
        made.send_parcel(Parcel(bytes(52), bytes(60_000), stride=1449, start=20), b"", 0)
    made.close()
