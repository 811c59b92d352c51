"""UDP sockets that never wait."""

import errno
import socket
from socket import AF_INET, AF_INET6, SO_ERROR, SOCK_DGRAM, SOL_SOCKET
from typing import Any

import pytest

FAR_4, FAR_6, NEAR_4 = "10.7.0.2", "fd07::2", "10.7.0.1"


@pytest.fixture(params=[(AF_INET, FAR_4), (AF_INET6, FAR_6)], ids=["IPv4", "IPv6"])
def ends(request: pytest.FixtureRequest, both: Any) -> Any:
    """One that sends, and one that is bound."""
    family, address = request.param
    near, far = both.near.socket(family, SOCK_DGRAM), both.far.socket(family, SOCK_DGRAM)
    far.bind((address, 53))
    return near, far


def test_datagrams_keep_their_boundaries(both: Any, ends: Any) -> None:
    near, far = ends
    for data in (b"one", b"", b"three"):
        assert near.sendto(data, 0, far.getsockname()) == len(data)
    both.settle()
    data, name = far.recvfrom(10)
    assert (data, far.recv(10), far.recv(10)) == (b"one", b"", b"three")
    assert name[1] == near.getsockname()[1] != 0
    assert not far.is_readable
    with pytest.raises(BlockingIOError):
        far.recv(10)


def test_a_datagram_that_doesn_t_fit_is_cut(both: Any, ends: Any) -> None:
    near, far = ends
    near.sendto(b"abcdef", 0, far.getsockname())
    both.settle()
    assert far.recv(2, socket.MSG_PEEK) == b"ab"
    data, ancillary, flags, _ = far.recvmsg(4)
    assert (data, ancillary, flags) == (b"abcd", [], socket.MSG_TRUNC)
    assert not far.is_readable


def test_a_peer_is_chosen(both: Any, ends: Any) -> None:
    near, far = ends
    with pytest.raises(OSError, match="unspecified") as refused:
        near.send(b"x")
    assert refused.value.errno == errno.EDESTADDRREQ
    near.connect(far.getsockname())
    assert near.getpeername() == far.getsockname()
    near.send(b"x")
    both.settle()
    data, name = far.recvfrom(9)
    assert (data, name) == (b"x", near.getsockname())
    far.sendto(b"y", 0, name)
    both.settle()
    buffer = bytearray(5)
    assert near.recvfrom_into(buffer) == (1, far.getsockname())
    assert buffer == b"y\0\0\0\0"


def test_a_bound_port_stays_when_a_peer_is_chosen(both: Any, ends: Any) -> None:
    near, far = ends
    near.bind((near.getsockname()[0], 5000))
    near.connect(far.getsockname())
    near.connect(far.getsockname())
    assert near.getsockname()[1] == 5000


def test_a_closed_port_is_told_to_a_socket_with_a_peer(both: Any) -> None:
    near = both.near.socket(AF_INET, SOCK_DGRAM)
    near.connect((FAR_4, 9))
    near.send(b"x")
    both.settle()
    assert near.is_readable
    with pytest.raises(ConnectionRefusedError):
        near.recv(1)
    assert near.getsockopt(SOL_SOCKET, SO_ERROR) == 0


def test_a_closed_port_is_not_told_to_a_socket_without(both: Any) -> None:
    near = both.near.socket(AF_INET, SOCK_DGRAM)
    near.sendto(b"x", 0, (FAR_4, 9))
    both.settle()
    assert not near.is_readable


def test_what_only_streams_do_is_refused(ends: Any) -> None:
    for call in ("listen()", "accept()"):
        with pytest.raises(OSError, match="can't") as refused:
            eval(f"ends[0].{call}")
        assert refused.value.errno == errno.EOPNOTSUPP
    with pytest.raises(OSError, match="port 0"):
        ends[0].sendto(b"x", 0, (ends[1].getsockname()[0], 0))


def test_shutdown_and_close(both: Any, ends: Any) -> None:
    near, far = ends
    with pytest.raises(OSError, match="exist"):
        near.shutdown(socket.SHUT_WR)
    near.connect(far.getsockname())
    near.shutdown(socket.SHUT_RDWR)
    assert near.recv(1) == b""
    with pytest.raises(BrokenPipeError):
        near.send(b"x")
    near.close()
    near.close()
    with pytest.raises(OSError, match="closed"):
        near.recv(1)


def test_the_wildcard_of_ipv6_hears_ipv4(both: Any) -> None:
    near, far = both.near.socket(AF_INET, SOCK_DGRAM), both.far.socket(AF_INET6, SOCK_DGRAM)
    far.bind(("::", 53))
    near.sendto(b"x", 0, (FAR_4, 53))
    both.settle()
    data, name = far.recvfrom(9)
    assert (data, name[0]) == (b"x", f"::ffff:{NEAR_4}")
    far.sendto(b"y", 0, name)
    both.settle()
    assert near.recvfrom(9) == (b"y", (FAR_4, 53))
    assert near.getsockname()[0] == "0.0.0.0"


def test_after_the_network_s_end(ends: Any) -> None:
    near, _ = ends
    near.fail(OSError(errno.ENETDOWN, "gone"))
    assert near.is_readable
    for call in ("recv(1)", "send(b'x')"):
        with pytest.raises(OSError, match="gone"):
            eval(f"near.{call}")
