"""The device itself."""

import errno
import os
from typing import Any

import pytest

from postel.errors import LinkError
from postel.link.tun import Tun


def test_device_in_use_is_refused(namespace: Any) -> None:
    with pytest.raises(LinkError, match="in use by another program") as caught:
        namespace.inside(lambda: Tun("postel0"))
    assert caught.value.errno == errno.EBUSY


def test_device_of_another_kind_is_refused(namespace: Any) -> None:
    namespace.command("ip", "tuntap", "add", "dev", "tap0", "mode", "tap")
    with pytest.raises(LinkError, match="another kind"):
        namespace.inside(lambda: Tun("tap0"))


def test_packet_for_a_device_that_is_down_is_lost(namespace: Any) -> None:
    packet = bytes.fromhex("4500001400000000400166e30a0700020a070001")
    assert namespace.tun.send(packet)
    namespace.command("ip", "link", "set", "postel0", "down")
    assert not namespace.tun.send(packet)
    assert len(namespace.tun.receive()) in (0, 48)  # a router solicitation may wait


def test_device_that_is_deleted_is_gone(namespace: Any) -> None:
    namespace.command("ip", "link", "delete", "postel0")
    for use in (namespace.tun.receive, lambda: namespace.tun.send(bytes(20))):
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
