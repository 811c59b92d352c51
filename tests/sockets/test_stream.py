"""TCP sockets that never wait: what each call does, and raises, beside what Linux does."""

import errno
import socket
from socket import (
    AF_INET,
    AF_INET6,
    IPPROTO_IPV6,
    IPPROTO_TCP,
    IPV6_V6ONLY,
    SO_ERROR,
    SO_LINGER,
    SO_REUSEADDR,
    SOL_SOCKET,
    TCP_NODELAY,
)
from struct import pack
from typing import Any

import pytest

FAR_4, FAR_6, NEAR_4 = "10.7.0.2", "fd07::2", "10.7.0.1"
MESSAGES = [b"one", bytearray(b"two"), memoryview(b"three"), memoryview(b"f.o.u.r.")[::2]]


@pytest.fixture(params=[(AF_INET, FAR_4), (AF_INET6, FAR_6)], ids=["IPv4", "IPv6"])
def ends(request: pytest.FixtureRequest, connected: Any) -> Any:
    return connected(*request.param)


class TestTransfer:
    @pytest.mark.parametrize("data", MESSAGES, ids=lambda data: type(data).__name__)
    def test_octets_of_any_buffer_arrive(self, both: Any, ends: Any, data: Any) -> None:
        client, server = ends
        assert client.send(data) == len(data)
        both.settle()
        assert server.recv(100) == bytes(data)

    def test_nothing_yet_would_block(self, ends: Any) -> None:
        with pytest.raises(BlockingIOError):
            ends[1].recv(1)
        assert not ends[1].is_readable
        assert ends[1].recv(0) == b""

    def test_a_look_leaves_what_it_saw(self, both: Any, ends: Any) -> None:
        client, server = ends
        client.send(b"abcdef")
        both.settle()
        assert server.recv(2, socket.MSG_PEEK) == b"ab"
        assert server.recv(4, socket.MSG_PEEK) == b"abcd"
        assert server.is_readable
        assert (server.recv(3), server.recv(9)) == (b"abc", b"d")  # what was looked at comes first
        assert server.recv(9) == b"ef"

    def test_into_buffers(self, both: Any, ends: Any) -> None:
        client, server = ends
        client.sendmsg([b"ab", b"cdef", b"ghi"])
        both.settle()
        first, second = bytearray(2), bytearray(3)
        assert server.recv_into(first) == 2
        assert server.recv_into(second, 1) == 1
        one, other = bytearray(1), bytearray(9)
        assert server.recvmsg_into([one, other]) == (6, [], 0, None)
        assert (first, second, one, other[:5]) == (b"ab", b"c\0\0", b"d", b"efghi")

    def test_a_read_only_buffer_is_refused(self, ends: Any) -> None:
        with pytest.raises(TypeError):
            ends[0].recv_into(b"read only")

    def test_more_than_there_is_room_for(self, both: Any, ends: Any) -> None:
        client, server = ends
        changes: list[bool] = []
        client.changed = lambda: changes.append(client.is_writable)
        while client.is_writable:
            client.send(b"x" * 10_000)
            both.settle()
        with pytest.raises(BlockingIOError):
            client.send(b"x")
        changes.clear()
        while server.is_readable:
            server.recv(100_000)
            both.settle()
        assert changes[-1] is True

    def test_unknown_flags_are_refused(self, ends: Any) -> None:
        with pytest.raises(OSError, match="flags") as refused:
            ends[0].recv(1, socket.MSG_TRUNC)
        assert refused.value.errno == errno.EOPNOTSUPP


class TestEnds:
    def test_half_close(self, both: Any, ends: Any) -> None:
        client, server = ends
        client.shutdown(socket.SHUT_WR)
        both.settle()
        assert server.is_readable
        assert server.recv(1) == server.recv(1) == b""
        server.send(b"still")
        both.settle()
        assert client.recv(9) == b"still"
        with pytest.raises(BrokenPipeError):
            client.send(b"x")

    def test_reading_can_be_ended(self, both: Any, ends: Any) -> None:
        client, _ = ends
        client.shutdown(socket.SHUT_RD)
        assert client.is_readable
        assert client.recv(1) == b""

    def test_a_reset_is_told_once_and_then_the_end(self, both: Any, ends: Any) -> None:
        client, server = ends
        client.setsockopt(SOL_SOCKET, SO_LINGER, pack("ii", 1, 0))
        client.close()
        both.settle()
        assert server.is_readable
        assert server.is_writable
        with pytest.raises(ConnectionResetError):
            server.recv(1)
        assert server.recv(1) == b""
        with pytest.raises(BrokenPipeError):
            server.send(b"x")

    def test_a_reset_may_be_told_as_an_option(self, both: Any, ends: Any) -> None:
        client, server = ends
        client.setsockopt(SOL_SOCKET, SO_LINGER, pack("ii", 1, 0))
        client.close()
        both.settle()
        assert server.getsockopt(SOL_SOCKET, SO_ERROR) == errno.ECONNRESET
        assert server.getsockopt(SOL_SOCKET, SO_ERROR) == 0

    def test_what_was_written_before_close_arrives(self, both: Any, ends: Any) -> None:
        client, server = ends
        client.send(b"farewell")
        client.close()
        assert both.near.abandoned
        both.settle()
        assert (server.recv(100), server.recv(100)) == (b"farewell", b"")

    @pytest.mark.parametrize(
        "call",
        ["recv(1)", "send(b'x')", "getsockname()", "getpeername()", "listen()", "accept()", "shutdown(1)"],
    )
    def test_calls_after_close(self, ends: Any, call: str) -> None:
        client, _ = ends
        client.close()
        client.close()
        with pytest.raises(OSError, match="closed") as refused:
            eval(f"client.{call}")
        assert refused.value.errno == errno.EBADF

    def test_what_was_received_is_read_after_the_network_ended(self, both: Any, ends: Any) -> None:
        client, server = ends
        client.send(b"before")
        both.settle()
        server.fail(OSError(errno.ENETDOWN, "gone"))
        assert server.recv(9) == b"before"
        with pytest.raises(OSError, match="gone"):
            server.recv(9)
        with pytest.raises(BrokenPipeError):
            server.send(b"x")


class TestOpening:
    def test_a_connection_that_is_refused(self, both: Any) -> None:
        client = both.near.socket()
        with pytest.raises(BlockingIOError) as opening:
            client.connect((FAR_4, 9))
        assert opening.value.errno == errno.EINPROGRESS
        with pytest.raises(BlockingIOError) as already:
            client.connect((FAR_4, 9))
        assert already.value.errno == errno.EALREADY
        assert not client.is_writable
        both.settle()
        assert client.is_writable
        assert client.getsockopt(SOL_SOCKET, SO_ERROR) == errno.ECONNREFUSED
        with pytest.raises(BlockingIOError):
            client.connect((FAR_4, 9))  # another attempt

    def test_connected_already(self, ends: Any) -> None:
        with pytest.raises(OSError, match="exists") as refused:
            ends[0].connect(ends[0].getpeername())
        assert refused.value.errno == errno.EISCONN

    @pytest.mark.parametrize(
        ("family", "name", "kind"),
        [
            (AF_INET, ("fd07::2", 80), socket.gaierror),
            (AF_INET6, ("10.7.0.2", 80), socket.gaierror),
            (AF_INET, ("far.example", 80), socket.gaierror),
            (AF_INET, "10.7.0.2", TypeError),
            (AF_INET, ("10.7.0.2", 80, 0, 0), TypeError),
            (AF_INET, ("10.7.0.2", "80"), TypeError),
            (AF_INET, ("10.7.0.2", 65536), ValueError),
            (AF_INET, ("10.7.0.2", 0), ConnectionRefusedError),
            (AF_INET, ("224.0.0.1", 80), OSError),
        ],
    )
    def test_addresses_that_no_connection_can_have(
        self, both: Any, family: int, name: Any, kind: type[Exception]
    ) -> None:
        with pytest.raises(kind):
            both.near.socket(family).connect(name)

    def test_from_a_bound_address(self, both: Any) -> None:
        listener, client = both.far.socket(), both.near.socket()
        listener.listen()
        client.bind((NEAR_4, 4321))
        with pytest.raises(BlockingIOError):
            client.connect((FAR_4, listener.getsockname()[1]))
        both.settle()
        assert listener.accept()[1] == client.getsockname() == (NEAR_4, 4321)

    def test_a_new_socket(self, both: Any) -> None:
        new = both.near.socket()
        assert new.getsockname() == ("0.0.0.0", 0)
        for call, number in (
            ("recv(1)", errno.ENOTCONN),
            ("send(b'')", errno.EPIPE),
            ("accept()", errno.EINVAL),
            ("shutdown(1)", errno.ENOTCONN),
        ):
            with pytest.raises(OSError, match=r".") as refused:
                eval(f"new.{call}")
            assert refused.value.errno == number


class TestListening:
    def test_port_0_shows_itself_at_once_and_is_alone(self, both: Any) -> None:
        sockets = [both.far.socket() for _ in range(20)]
        for each in sockets:
            each.bind(("", 0))
        assert len({each.getsockname()[1] for each in sockets} - {0}) == 20

    def test_a_bound_port_is_taken(self, both: Any) -> None:
        first, second = both.far.socket(), both.far.socket()
        first.bind((FAR_4, 80))
        with pytest.raises(OSError, match="bound") as refused:
            second.bind(("", 80))
        assert refused.value.errno == errno.EADDRINUSE
        first.close()
        second.bind(("", 80))

    def test_with_reuseaddr_two_may_bind_and_one_listen(self, both: Any) -> None:
        first, second = both.far.socket(), both.far.socket()
        for each in (first, second):
            each.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
            each.bind((FAR_4, 80))
        first.listen()
        with pytest.raises(OSError, match="listener") as refused:
            second.listen()
        assert refused.value.errno == errno.EADDRINUSE

    def test_an_address_of_another_host(self, both: Any) -> None:
        with pytest.raises(OSError, match="not an address") as refused:
            both.far.socket().bind((NEAR_4, 80))
        assert refused.value.errno == errno.EADDRNOTAVAIL

    def test_nothing_to_accept_yet(self, both: Any) -> None:
        listener = both.far.socket()
        listener.listen(0)
        listener.listen(5)
        assert not listener.is_readable
        with pytest.raises(BlockingIOError):
            listener.accept()
        listener.shutdown(socket.SHUT_RD)
        assert listener.is_readable
        with pytest.raises(OSError, match="listen") as refused:
            listener.accept()
        assert refused.value.errno == errno.EINVAL

    def test_options_pass_to_what_is_accepted(self, both: Any) -> None:
        listener, client = both.far.socket(), both.near.socket()
        listener.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
        listener.setsockopt(SOL_SOCKET, SO_LINGER, pack("ii", 1, 7))
        listener.listen()
        with pytest.raises(BlockingIOError):
            client.connect((FAR_4, listener.getsockname()[1]))
        both.settle()
        accepted, _ = listener.accept()
        assert accepted.getsockopt(IPPROTO_TCP, TCP_NODELAY) == 1
        assert accepted.getsockopt(SOL_SOCKET, SO_LINGER, 8) == pack("ii", 1, 7)

    @pytest.mark.parametrize("is_v6only", [False, True])
    def test_the_wildcard_of_ipv6_hears_ipv4_unless_told_otherwise(self, both: Any, is_v6only: bool) -> None:
        listener, client = both.far.socket(AF_INET6), both.near.socket()
        listener.setsockopt(IPPROTO_IPV6, IPV6_V6ONLY, is_v6only)
        listener.bind(("::", 80))
        listener.listen()
        with pytest.raises(BlockingIOError):
            client.connect((FAR_4, 80))
        both.settle()
        if is_v6only:
            assert client.getsockopt(SOL_SOCKET, SO_ERROR) == errno.ECONNREFUSED
            return
        accepted, name = listener.accept()
        assert accepted.getsockname() == (f"::ffff:{FAR_4}", 80, 0, 0)
        assert accepted.getpeername() == name == (f"::ffff:{NEAR_4}", client.getsockname()[1], 0, 0)

    def test_ipv4_by_a_socket_of_ipv6(self, both: Any) -> None:
        listener, client = both.far.socket(), both.near.socket(AF_INET6)
        listener.listen()
        with pytest.raises(BlockingIOError):
            client.connect((f"::ffff:{FAR_4}", listener.getsockname()[1]))
        both.settle()
        assert listener.accept()[1] == (NEAR_4, client.getsockname()[1])


@pytest.mark.parametrize(("family", "kind"), [(socket.AF_UNIX, 1), (AF_INET, socket.SOCK_RAW)])
def test_sockets_of_other_kinds_are_refused(both: Any, family: int, kind: int) -> None:
    with pytest.raises(OSError, match="allowed"):
        both.near.socket(family, kind)
