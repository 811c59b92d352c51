"""The same program on the kernel's loopback and over Postel gives the same results and the same errno."""

import errno
import os
import select
import socket
import struct
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

RESET = struct.pack("ii", 1, 0)
MUCH = 1 << 20
SHORT = 0.05  # seconds: a timeout that is to pass

Program = Callable[[Any], object]


def outcome(call: Callable[..., object], *args: object) -> object:
    """What it returned, or how it failed: the kind that programs look at, and the number."""
    kinds = (
        BlockingIOError,
        ConnectionResetError,
        ConnectionRefusedError,
        BrokenPipeError,
        TimeoutError,
        socket.gaierror,
        OSError,
    )
    try:
        return call(*args)
    except kinds as error:
        return next(kind.__name__ for kind in kinds if isinstance(error, kind)), error.errno
    except (TypeError, ValueError, OverflowError) as error:
        return "TypeError" if isinstance(error, TypeError) else "a bad value"


def connected(stacks: Any, family: int = socket.AF_INET) -> tuple[socket.socket, socket.socket]:
    address = stacks.address if family == socket.AF_INET else stacks.address_6
    with stacks.far.create_server((address, 0), family=family) as listener:
        client = stacks.near.create_connection(listener.getsockname()[:2], timeout=10)
        server, _ = listener.accept()
    client.settimeout(10)
    server.settimeout(10)
    return client, server


def refused_port(stacks: Any) -> int:
    with stacks.far.socket() as probe:
        probe.bind((stacks.address, 0))
        port: int = probe.getsockname()[1]
        return port


def wait(sock: socket.socket, mask: int) -> int:
    """What poll says, once it says anything of ``mask``."""
    asked = select.poll()
    asked.register(sock, mask)
    return asked.poll(10_000)[0][1]


def poll_now(sock: socket.socket) -> int:
    asked = select.poll()
    asked.register(sock, select.POLLIN | select.POLLOUT)
    return dict(asked.poll(0)).get(sock.fileno(), 0)


# Programs


def a_new_stream_socket(stacks: Any) -> object:
    with stacks.near.socket() as sock:
        return [
            sock.family, sock.type, sock.proto, sock.getsockname(), sock.gettimeout(), poll_now(sock),
            outcome(sock.getpeername), outcome(sock.recv, 1), outcome(sock.send, b"x"),
            outcome(sock.sendall, b"x"),
            outcome(sock.accept), outcome(sock.shutdown, socket.SHUT_RDWR),
            outcome(sock.getsockopt, socket.SOL_SOCKET, socket.SO_ERROR),
        ]  # fmt: skip


def a_new_socket_of_ipv6(stacks: Any) -> object:
    with stacks.near.socket(socket.AF_INET6, socket.SOCK_STREAM) as sock:
        return sock.family, sock.getsockname(), outcome(sock.getpeername)


def a_new_datagram_socket(stacks: Any) -> object:
    with stacks.near.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(0)
        return [
            sock.type, sock.getsockname(), outcome(sock.getpeername), outcome(sock.recv, 1),
            outcome(sock.send, b"x"),
            outcome(sock.listen), outcome(sock.shutdown, socket.SHUT_RDWR), poll_now(sock) & select.POLLOUT,
        ]  # fmt: skip


def a_closed_socket(stacks: Any) -> object:
    sock = stacks.near.socket()
    sock.close()
    address = (stacks.address, 80)
    return [
        sock.fileno(), outcome(sock.getsockname), outcome(sock.getpeername), outcome(sock.connect, address),
        outcome(sock.bind, address),
        outcome(sock.listen), outcome(sock.recv, 1), outcome(sock.send, b"x"), outcome(sock.close),
        outcome(sock.setsockopt, socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    ]  # fmt: skip


def a_family_that_there_is_not(stacks: Any) -> object:
    return outcome(stacks.near.socket, 9999, socket.SOCK_STREAM)


def addresses_that_are_none(stacks: Any) -> object:
    found: list[object] = []
    for address in (
        "10.7.0.2",
        ("10.7.0.2",),
        ("10.7.0.2", "80"),
        ("10.7.0.2", 70000),
        (7, 80),
        ("no.such.name.invalid", 80),
    ):
        with stacks.near.socket() as sock:
            one = outcome(sock.connect, address)
            found.append(one if address[0] != "no.such.name.invalid" else one[0])  # type: ignore[index]
    return found


def octets_both_ways(stacks: Any) -> object:
    client, server = connected(stacks)
    with client, server:
        client.sendall(b"there")
        there = server.recv(100)
        server.sendall(b"back")
        return (
            there,
            client.recv(2),
            client.recv(100),
            client.getpeername() == server.getsockname(),
            server.getpeername() == client.getsockname(),
        )


def octets_both_ways_over_ipv6(stacks: Any) -> object:
    client, server = connected(stacks, socket.AF_INET6)
    with client, server:
        client.sendall(b"there")
        return server.recv(100), len(client.getpeername()), client.getpeername() == server.getsockname()


def peeking_and_waiting_for_all(stacks: Any) -> object:
    client, server = connected(stacks)
    with client, server:
        client.sendall(b"abc")
        server.settimeout(None)
        peeked = server.recv(2, socket.MSG_PEEK)
        client.sendall(b"def")
        into = bytearray(4)
        return (
            peeked,
            server.recv(6, socket.MSG_WAITALL),
            outcome(server.recv, 1, socket.MSG_DONTWAIT),
            client.send(b"wxyz"),
            server.recv_into(into),
            into,
        )


def messages_of_a_stream(stacks: Any) -> object:
    client, server = connected(stacks)
    with client, server:
        client.sendmsg([b"one ", b"two"])
        first, second = bytearray(4), bytearray(3)
        received = server.recvmsg_into([first, second])
        client.sendto(b"named", server.getsockname())
        return received, first, second, server.recvmsg(100)


def a_half_close_by_the_client(stacks: Any) -> object:
    client, server = connected(stacks)
    with client, server:
        client.sendall(b"question")
        client.shutdown(socket.SHUT_WR)
        question = server.recv(100), server.recv(100), server.recv(100)
        server.sendall(b"answer")
        server.close()
        return question, client.recv(100), client.recv(100), outcome(client.send, b"x")


def a_half_close_by_the_server(stacks: Any) -> object:
    client, server = connected(stacks)
    with client, server:
        server.shutdown(socket.SHUT_WR)
        ended = client.recv(100)
        client.sendall(b"later")
        return ended, server.recv(100), outcome(server.send, b"x")


def a_shutdown_for_reading(stacks: Any) -> object:
    client, server = connected(stacks)
    with client, server:
        client.shutdown(socket.SHUT_RD)
        ended = client.recv(10)
        client.sendall(b"still")
        return ended, server.recv(10)


def a_reset_by_linger(stacks: Any) -> object:
    client, server = connected(stacks)
    with client:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        server.close()
        mask = wait(client, select.POLLIN)
        return (
            mask,
            outcome(client.recv, 1),
            outcome(client.recv, 1),
            outcome(client.send, b"x"),
            outcome(client.getpeername),
            outcome(client.shutdown, 2),
        )


def a_reset_that_a_send_meets(stacks: Any) -> object:
    client, server = connected(stacks)
    with client:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        server.close()
        wait(client, select.POLLIN)
        return outcome(client.send, b"x"), outcome(client.send, b"x"), outcome(client.recv, 1)


def a_reset_that_the_options_tell(stacks: Any) -> object:
    client, server = connected(stacks)
    with client:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        server.close()
        wait(client, select.POLLIN)
        error = socket.SOL_SOCKET, socket.SO_ERROR
        return client.getsockopt(*error), client.getsockopt(*error), outcome(client.recv, 1)


def a_reset_that_the_system_tells(stacks: Any) -> object:
    """To what reads the descriptor itself, as OpenSSL does."""
    client, server = connected(stacks)
    with client:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        server.close()
        wait(client, select.POLLIN)
        client.setblocking(True)
        return (
            outcome(os.read, client.fileno(), 1),
            outcome(os.read, client.fileno(), 1),
            outcome(os.write, client.fileno(), b"x"),
        )


def a_reset_after_octets(stacks: Any) -> object:
    client, server = connected(stacks)
    with client:
        server.sendall(b"last words")
        wait(client, select.POLLIN)
        server.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        server.close()
        asked = select.poll()
        asked.register(client, 0)
        asked.poll(10_000)
        return outcome(client.recv, 100), outcome(client.recv, 1), outcome(client.recv, 1)


def a_close_with_octets_unread(stacks: Any) -> object:
    client, server = connected(stacks)
    with client:
        client.sendall(b"never read")
        wait(server, select.POLLIN)
        server.close()
        wait(client, select.POLLIN)
        return outcome(client.recv, 1), outcome(client.recv, 1)


def a_reset_after_a_half_close(stacks: Any) -> object:
    client, server = connected(stacks)
    with client:
        client.shutdown(socket.SHUT_WR)
        ended = server.recv(1)
        server.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        server.close()
        wait(client, select.POLLIN)
        return ended, outcome(client.recv, 1), outcome(client.recv, 1)


def a_write_to_a_closed_peer(stacks: Any) -> object:
    client, server = connected(stacks)
    with client:
        server.close()
        ended = client.recv(1)
        client.send(b"into the void")
        wait(client, select.POLLERR)
        return ended, outcome(client.send, b"x")[0] in ("ConnectionResetError", "BrokenPipeError")  # type: ignore[index]


def a_refused_connection(stacks: Any) -> object:
    address = (stacks.address, refused_port(stacks))
    with stacks.near.socket() as sock:
        return (
            outcome(sock.connect, address),
            outcome(sock.connect_ex, address),
            outcome(sock.connect, address),
        )


def a_refused_connection_with_a_timeout(stacks: Any) -> object:
    return outcome(lambda: stacks.near.create_connection((stacks.address, refused_port(stacks)), timeout=10))


def a_refused_connection_that_does_not_wait(stacks: Any) -> object:
    with stacks.near.socket() as sock:
        sock.setblocking(False)
        address = (stacks.address, refused_port(stacks))
        begun = sock.connect_ex(address) in (errno.EINPROGRESS, errno.ECONNREFUSED)
        mask = wait(sock, select.POLLOUT)
        ready = select.select([sock], [sock], [], 0)
        return (
            begun,
            mask,
            [bool(part) for part in ready],
            sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR),
            outcome(sock.getpeername),
        )


def a_connection_that_does_not_wait(stacks: Any) -> object:
    with stacks.far.create_server((stacks.address, 0)) as listener, stacks.near.socket() as sock:
        sock.setblocking(False)
        begun = outcome(sock.connect, listener.getsockname())
        mask = wait(sock, select.POLLOUT)
        error = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        again = outcome(sock.connect, listener.getsockname()), sock.connect_ex(listener.getsockname())
        server, _ = listener.accept()
        with server:
            sent = sock.send(b"now")
            return begun, mask, error, again, sent, server.recv(10), outcome(sock.recv, 1)


def a_second_connection_of_one_socket(stacks: Any) -> object:
    client, server = connected(stacks)
    with client, server:
        return (
            outcome(client.connect, (stacks.address, 9)),
            client.connect_ex((stacks.address, 9)),
            outcome(client.listen),
        )


def timeouts(stacks: Any) -> object:
    client, server = connected(stacks)
    with client, server:
        client.settimeout(SHORT)
        late = outcome(client.recv, 1)
        client.settimeout(0)
        return late, outcome(client.recv, 1), client.getblocking(), outcome(client.settimeout, -1)


def an_accept_that_takes_too_long(stacks: Any) -> object:
    with stacks.far.create_server((stacks.address, 0)) as listener:
        listener.settimeout(SHORT)
        late = outcome(listener.accept)
        listener.setblocking(False)
        return late, outcome(listener.accept), poll_now(listener)


def accepted_sockets_block(stacks: Any) -> object:
    with stacks.far.create_server((stacks.address, 0)) as listener:
        listener.settimeout(10)
        with stacks.near.create_connection(listener.getsockname()):
            server, _ = listener.accept()
            with server:
                return server.gettimeout(), server.getblocking()


def a_listener_is_no_stream(stacks: Any) -> object:
    with (
        stacks.far.create_server((stacks.address, 0)) as listener,
        stacks.near.create_connection(listener.getsockname()),
    ):
        wait(listener, select.POLLIN)
        found = (
            outcome(listener.recv, 1),
            outcome(listener.recv_into, bytearray(1)),
            outcome(listener.send, b"x"),
        )
        server, _ = listener.accept()
        with server:
            return found, outcome(listener.getpeername)


def many_wait_in_accept(stacks: Any) -> object:
    with stacks.far.create_server((stacks.address, 0), backlog=5) as listener:
        clients = [stacks.near.create_connection(listener.getsockname()) for _ in range(5)]
        listener.setblocking(False)
        found = []
        for _ in range(5):
            wait(listener, select.POLLIN)
            server, name = listener.accept()
            found.append(name)
            server.close()
        names = [client.getsockname() for client in clients]
        for client in clients:
            client.close()
        return sorted(found) == sorted(names), outcome(listener.accept)


def a_listener_of_both_families(stacks: Any) -> object:
    with stacks.far.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True) as listener:
        port = listener.getsockname()[1]
        with stacks.near.create_connection((stacks.address, port)):
            server, name = listener.accept()
            with server:
                return listener.getsockname()[0], name[0].startswith("::ffff:"), server.family, len(name)


def ports_that_are_taken(stacks: Any) -> object:
    with stacks.far.socket() as first, stacks.far.socket() as second:
        first.bind((stacks.address, 0))
        taken = first.getsockname()
        bound = outcome(second.bind, taken), outcome(first.bind, taken)
        first.listen()
        again = outcome(second.bind, taken), outcome(second.bind, ("0.0.0.0", taken[1]))
    with stacks.far.socket() as third:
        return bound, again, outcome(third.bind, ("203.0.113.9", 0)), outcome(third.bind, taken)


def a_port_is_free_at_once(stacks: Any) -> object:
    found: list[object] = []
    port = refused_port(stacks)
    for _ in range(3):
        with stacks.far.create_server((stacks.address, port)) as listener:
            found.append(listener.getsockname()[1] == port)
    return found


def a_listener_that_is_closed(stacks: Any) -> object:
    listener = stacks.far.create_server((stacks.address, 0))
    address = listener.getsockname()
    listener.close()
    with stacks.near.socket() as sock:
        return outcome(sock.connect, address)


def a_bound_client(stacks: Any) -> object:
    with stacks.far.create_server((stacks.address, 0)) as listener, stacks.near.socket() as sock:
        sock.bind(("0.0.0.0", 0))
        port = sock.getsockname()[1]
        sock.connect(listener.getsockname())
        server, name = listener.accept()
        server.close()
        return port != 0, name[1] == port, sock.getsockname()[1] == port


def options(stacks: Any) -> object:
    client, server = connected(stacks)
    found: list[object] = []
    with client, server:
        for level, name, value in (
            (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1), (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
            (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 5), (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 7),
            (socket.SOL_SOCKET, socket.SO_REUSEADDR, 1), (socket.IPPROTO_IP, socket.IP_TTL, 9),
        ):  # fmt: skip
            client.setsockopt(level, name, value)
            found.append(client.getsockopt(level, name))
        found += [
            client.getsockopt(socket.SOL_SOCKET, name)
            for name in (socket.SO_TYPE, socket.SO_ERROR, socket.SO_ACCEPTCONN)
        ]
        found += [
            outcome(client.setsockopt, socket.IPPROTO_TCP, 9999, 1),
            outcome(client.getsockopt, socket.IPPROTO_TCP, 9999),
        ]
        found += [outcome(client.setsockopt, socket.SOL_SOCKET, socket.SO_KEEPALIVE, "yes")]
        return [*found, len(client.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 8))]


def copies_of_a_descriptor(stacks: Any) -> object:
    client, server = connected(stacks)
    with server, client.dup() as copy:
        client.close()
        copy.sendall(b"by a copy")
        said = server.recv(100), copy.getpeername() == server.getsockname()
        with copy.makefile("rwb") as file:
            server.sendall(b"a line\n")
            said += (file.readline(),)
    with server:
        return said


def a_file_keeps_it_open(stacks: Any) -> object:
    client, server = connected(stacks)
    with server:
        file = client.makefile("w")
        client.close()
        file.write("text")
        file.flush()
        said = server.recv(100)
        server.setblocking(False)
        still = outcome(server.recv, 1)
        server.settimeout(10)
        file.close()
        return said, still, server.recv(1)


def a_detached_descriptor(stacks: Any) -> object:
    client, server = connected(stacks)
    with server, stacks.near.socket(fileno=client.detach()) as again:
        again.sendall(b"still mine")
        return client.fileno(), server.recv(100), again.getpeername() == server.getsockname()


def much_octets(stacks: Any) -> object:
    client, server = connected(stacks)
    with client, server:
        client.setblocking(False)
        sent = 0
        with suppress(BlockingIOError):
            while True:
                sent += client.send(bytes(MUCH))
        full = poll_now(client) & select.POLLOUT
        received = 0
        client.setblocking(True)
        client.shutdown(socket.SHUT_WR)
        while octets := server.recv(MUCH):
            received += len(octets)
        return full, sent == received, sent > 0


def datagrams(stacks: Any) -> object:
    with (
        stacks.far.socket(socket.AF_INET, socket.SOCK_DGRAM) as server,
        stacks.near.socket(socket.AF_INET, socket.SOCK_DGRAM) as client,
    ):
        server.bind((stacks.address, 0))
        server.settimeout(10)
        client.settimeout(10)
        address = server.getsockname()
        counts = [client.sendto(octets, address) for octets in (b"one", b"", b"three")]
        found = [server.recvfrom(100) for _ in range(3)]
        names = {name[1] == client.getsockname()[1] for _, name in found}
        client.connect(address)
        client.send(b"connected and long")
        cut = server.recvmsg(9)
        server.sendto(b"answer", cut[3])
        server.settimeout(None)
        into = bytearray(10)
        client.sendmsg([b"in ", b"parts"])
        return [
            counts, [octets for octets, _ in found], names, cut[:3], client.recv_into(into), bytes(into),
            client.getpeername() == address, server.recv(100, socket.MSG_PEEK), server.recv(2),
            outcome(server.recv, 1, socket.MSG_DONTWAIT),
        ]  # fmt: skip


def a_datagram_that_no_socket_takes(stacks: Any) -> object:
    with stacks.near.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.connect((stacks.address, 9))
        client.settimeout(10)
        client.send(b"x")
        wait(client, select.POLLIN)
        first = outcome(client.recv, 10)
        client.send(b"x")
        wait(client, select.POLLIN)
        return first, outcome(client.send, b"x"), outcome(client.sendto, b"x", ("10.7.0.2", 0))


def a_datagram_that_is_too_long(stacks: Any) -> object:
    with stacks.near.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        return outcome(client.sendto, bytes(65508), (stacks.address, 9)), outcome(
            client.sendto, b"x", "no address"
        )


def datagrams_over_ipv6(stacks: Any) -> object:
    datagrams_6 = socket.AF_INET6, socket.SOCK_DGRAM
    with stacks.far.socket(*datagrams_6) as server, stacks.near.socket(*datagrams_6) as client:
        server.bind((stacks.address_6, 0))
        server.settimeout(10)
        client.sendto(b"six", server.getsockname())
        octets, name = server.recvfrom(10)
        return octets, len(name)


PROGRAMS = [
    a_new_stream_socket, a_new_socket_of_ipv6, a_new_datagram_socket, a_closed_socket,
    a_family_that_there_is_not, addresses_that_are_none,
    octets_both_ways, octets_both_ways_over_ipv6, peeking_and_waiting_for_all, messages_of_a_stream,
    a_half_close_by_the_client,
    a_half_close_by_the_server, a_shutdown_for_reading, a_reset_by_linger, a_reset_that_a_send_meets,
    a_reset_that_the_options_tell,
    a_reset_that_the_system_tells,
    a_reset_after_octets, a_close_with_octets_unread, a_reset_after_a_half_close, a_write_to_a_closed_peer,
    a_refused_connection,
    a_refused_connection_with_a_timeout, a_refused_connection_that_does_not_wait,
    a_connection_that_does_not_wait,
    a_second_connection_of_one_socket, timeouts, an_accept_that_takes_too_long, accepted_sockets_block,
    a_listener_is_no_stream,
    many_wait_in_accept,
    a_listener_of_both_families, ports_that_are_taken, a_port_is_free_at_once, a_listener_that_is_closed,
    a_bound_client, options,
    copies_of_a_descriptor, a_file_keeps_it_open, a_detached_descriptor, much_octets, datagrams,
    a_datagram_that_no_socket_takes,
    a_datagram_that_is_too_long, datagrams_over_ipv6,
]  # fmt: skip


@pytest.mark.skipif(sys.platform != "linux", reason="what Postel does is what Linux does")
@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.__name__)
def test_a_program_sees_no_difference(program: Program, open_both: Any) -> None:
    kernel, postel = open_both
    with kernel() as stacks:
        expected = program(stacks)
    with postel() as stacks:
        assert program(stacks) == expected
