"""A network from its beginning to its end: threads, children, names, and what is refused."""

import errno
import os
import queue
import random
import select
import socket
import ssl
import subprocess
import sys
import threading
import time
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from postel import CallError, ConnectionAborted, ConnectionReset, LinkError, NetworkUnreachable, blocking
from postel.blocking import BlockingNetwork
from postel.errors import ArgumentError, NotResolved, OptionUnknown
from postel.host.host import Host
from postel.links import MemoryLink, PushedLink, pair
from postel.links.exchange import BATCH
from postel.wire import ip

ROOT = Path(__file__).parents[2]
PATIENCE = 30  # seconds until a test that hangs fails
MUCH = 1 << 20


def connected(near: Any, far: Any, port: int = 7) -> tuple[socket.socket, socket.socket]:
    with far.create_server(("", port)) as listener:
        client = near.create_connection(("far.example", port), timeout=20)
        server, _ = listener.accept()
        server.settimeout(20)
        return client, server


# Beginning and end


def test_before_the_beginning_and_after_the_end() -> None:
    left, right = pair()
    network = blocking.attach(Host("10.7.0.1/24"), left)
    with pytest.raises(CallError, match="inside `with`"):
        network.socket()
    with network:
        with pytest.raises(CallError, match="once"):
            network.__enter__()
        sock = network.socket()
    with pytest.raises(NetworkUnreachable, match="closed"):
        network.socket()
    with pytest.raises(NetworkUnreachable, match="closed"):
        sock.connect(("10.7.0.2", 80))
    sock.close()
    network.close()
    assert left.fileno() == -1
    right.close()


def test_a_host_and_a_link_are_free_again() -> None:
    host = Host("10.7.0.1/24")
    for _ in range(2):
        left, right = pair()
        with blocking.attach(host, left), pytest.raises(ArgumentError, match="no other link"):
            blocking.attach(host, right)
        right.close()


@pytest.mark.parametrize("linger", [-1, "2", True, float("inf")])
def test_a_linger_that_is_none(linger: Any) -> None:
    left, right = pair()
    with pytest.raises(ArgumentError, match="seconds"):
        blocking.attach(Host("10.7.0.1/24"), left, linger=linger)
    left.close()
    right.close()


def test_a_link_that_is_closed() -> None:
    left, right = pair()
    network = blocking.attach(Host("10.7.0.1/24"), left)
    left.close()
    with pytest.raises(LinkError, match="closed"), network:
        pass
    right.close()


def test_calls_that_wait_hear_of_the_end(near: BlockingNetwork, far: BlockingNetwork, job: Any) -> None:
    client, server = connected(near, far)
    listener = near.create_server(("", 9))
    datagrams = near.socket(socket.AF_INET, socket.SOCK_DGRAM)
    datagrams.bind(("", 9))
    opening = near.socket()
    waiting = [
        job(client.recv, 1),
        job(listener.accept),
        job(datagrams.recv, 1),
        job(opening.connect, ("10.7.0.99", 80)),
    ]
    near.close()
    for each in waiting:
        with pytest.raises((ConnectionAborted, NetworkUnreachable), match="closed"):
            each.result()
    with pytest.raises(ConnectionReset):
        server.recv(1)
    for sock in (client, server, listener, datagrams, opening):
        sock.close()


def test_what_was_closed_is_still_delivered(near: BlockingNetwork, far: BlockingNetwork, job: Any) -> None:
    client, server = connected(near, far)
    octets = random.Random(1).randbytes(3 * MUCH)
    sending = job(client.sendall, octets)
    received = bytearray()
    while len(received) < MUCH:
        received += server.recv(1 << 16)
    ending: Any = None
    while part := server.recv(1 << 16):
        received += part
        if ending is None and len(received) > 2 * MUCH:
            sending.result()
            client.close()
            ending = job(near.close)
    ending.result()
    assert received == octets
    server.close()


def test_the_end_of_the_link_is_told(job: Any) -> None:
    left, right = pair()
    host = Host("10.7.0.1/24")
    with blocking.attach(host, left) as network, network.create_server(("", 80)) as listener:
        waiting = job(listener.accept)
        right.close()
        with pytest.raises(LinkError, match="the other end of the memory link is closed"):
            waiting.result()
        with pytest.raises(LinkError, match="the other end"):
            network.socket()


def test_a_link_without_a_descriptor_called_from_another_thread() -> None:
    """Two hosts, each with the other's packets pushed to it."""
    links: list[PushedLink] = []
    links.append(PushedLink(lambda packet: links[1].packets_arrive([packet])))
    links.append(PushedLink(lambda packet: links[0].packets_arrive([packet])))
    with (
        blocking.attach(Host("10.7.0.1/24"), links[0]) as near,
        blocking.attach(Host("10.7.0.2/24"), links[1]) as far,
    ):
        client, server = connected_by_address(near, far)
        with client, server:
            client.sendall(b"pushed")
            assert server.recv(100) == b"pushed"


# Threads and processes


def test_fifty_threads_at_once(near: BlockingNetwork, far: BlockingNetwork, job: Any) -> None:
    def echo(sock: socket.socket) -> None:
        with sock:
            while octets := sock.recv(1 << 16):
                sock.sendall(octets)

    def talk(number: int) -> bool:
        octets = random.Random(number).randbytes(20_000)
        for _ in range(4):
            with near.create_connection(("far.example", 7)) as sock:
                sock.settimeout(60)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, number % 2)
                sending = threading.Thread(
                    target=lambda sock=sock: (sock.sendall(octets), sock.shutdown(socket.SHUT_WR))
                )
                sending.start()
                received = bytearray()
                while part := sock.recv(4096):
                    received += part
                sending.join()
                if received != octets:
                    return False
        return True

    with far.create_server(("", 7), backlog=64) as listener:
        serving = job(lambda: [job(echo, listener.accept()[0]) for _ in range(200)])
        talking = [job(talk, number) for number in range(50)]
        assert all(each.result(120) for each in talking)
        for each in serving.result(120):
            each.result()


def forked(work: Any) -> int:
    """A child that ends with ``work``."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12: there are threads
        child = os.fork()
    if child == 0:
        try:
            work()
        finally:
            os._exit(0)
    return child


def test_a_child_process_is_refused(near: BlockingNetwork) -> None:
    sock = near.socket()
    reading, writing = os.pipe()

    def work() -> None:
        with pytest.raises(CallError, match="not in a child"):
            sock.connect(("10.7.0.2", 80))
        os.write(writing, b"refused")

    os.waitpid(forked(work), 0)
    os.close(writing)
    assert os.read(reading, 100) == b"refused"
    os.close(reading)
    sock.close()


def test_a_child_does_not_keep_connections_open(near: BlockingNetwork, far: BlockingNetwork) -> None:
    """A descriptor that it inherits may be used there; the pump's ends are the parent's alone."""
    client, server = connected(near, far)
    reading, writing = os.pipe()

    def work() -> None:
        os.close(writing)
        client.sendall(b"from the child")
        os.close(client.detach())
        os.close(server.detach())
        os.read(reading, 1)

    child = forked(work)
    try:
        assert server.recv(100) == b"from the child"
        server.close()
        assert client.recv(100) == b""
        client.close()
    finally:
        os.close(writing)
        os.waitpid(child, 0)
        os.close(reading)


def test_a_child_keeps_what_has_a_number_of_the_pump_s(near: BlockingNetwork) -> None:
    """A network that has ended owns no descriptor any more: others may have its numbers."""
    near.close()
    files = [os.pipe() for _ in range(8)]
    reading, writing = os.pipe()

    def work() -> None:
        for one, other in files:
            os.fstat(one)
            os.fstat(other)
        os.write(writing, b"all there")

    os.waitpid(forked(work), 0)
    os.close(writing)
    assert os.read(reading, 100) == b"all there"
    for descriptor in (reading, *(each for pipe in files for each in pipe)):
        os.close(descriptor)


def test_a_program_that_forgets_its_network_ends() -> None:
    """The pump's thread keeps no interpreter alive."""
    program = (
        "from postel import Host, blocking; from postel.links import pair\n"
        "network = blocking.attach(Host('10.7.0.1/24'), pair()[0]).__enter__(); sock = network.socket(); "
        "print('done')"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, timeout=60, check=True
    )
    assert (ended.stdout, ended.stderr) == ("done\n", "")


# Back-pressure


def test_a_peer_that_does_not_read_stops_the_writer(near: BlockingNetwork, far: BlockingNetwork) -> None:
    client, server = connected(near, far)
    client.settimeout(0.5)
    sent = 0
    with suppress(TimeoutError):
        while True:
            sent += client.send(bytes(MUCH))
    assert sent < 64 * MUCH
    client.settimeout(20)
    received = 0
    client.shutdown(socket.SHUT_WR)
    while part := server.recv(MUCH):
        received += len(part)
    assert received == sent
    client.close()
    server.close()


def test_files_are_sent_by_the_system(
    near: BlockingNetwork, far: BlockingNetwork, job: Any, tmp_path: Path
) -> None:
    """`socket.sendfile` has the kernel copy the file into the descriptor."""
    octets = random.Random(2).randbytes(2 * MUCH)
    (tmp_path / "file").write_bytes(octets)
    client, server = connected(near, far)
    with client, server, (tmp_path / "file").open("rb") as file:
        sending = job(client.sendfile, file)
        received = bytearray()
        while len(received) < len(octets):
            received += server.recv(MUCH)
        assert sending.result() == len(octets)
        assert received == octets


def test_lingering_waits_until_all_is_delivered(
    near: BlockingNetwork, far: BlockingNetwork, job: Any
) -> None:
    client, server = connected(near, far)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\x14\0\0\0")

    def send_and_close() -> None:
        client.sendall(bytes(MUCH))  # more than fits into the buffers in between
        client.close()

    closing = job(send_and_close)
    received = 0
    while part := server.recv(MUCH):
        received += len(part)
    closing.result()
    assert received == MUCH
    server.close()


# Names


def test_names(near: BlockingNetwork) -> None:
    assert near.gethostbyname("far.example") == "10.7.0.2"
    assert near.gethostbyname("FAR.example.") == "10.7.0.2"
    assert near.gethostbyname_ex("far.example") == ("far.example", [], ["10.7.0.2"])
    assert near.gethostbyaddr("10.7.0.2")[0] == "far.example"
    assert near.gethostbyname(socket.gethostname()) == "10.7.0.1"
    assert [entry[4][0] for entry in near.getaddrinfo("near.example", "http", type=socket.SOCK_STREAM)] == [
        "fd07::1",
        "10.7.0.1",
    ]
    assert near.getnameinfo(("10.7.0.2", 80), 0) == ("10.7.0.2", "http")
    with pytest.raises(NotResolved, match="not known"):
        near.getaddrinfo("nowhere.example", 80)
    with pytest.raises(socket.gaierror):
        near.create_connection(("nowhere.example", 80))
    with pytest.raises(socket.herror):
        near.gethostbyaddr("10.7.0.77")


def test_a_resolver_of_the_program_s() -> None:
    class Asked:
        def addresses(self, name: str) -> list[str]:
            return ["10.7.0.9"] if name == "known.example" else []

    left, right = pair()
    with blocking.attach(Host("10.7.0.1/24"), left, resolver=Asked()) as network:
        assert network.gethostbyname("known.example") == "10.7.0.9"
        with pytest.raises(NotResolved):
            network.gethostbyname("unknown.example")
    right.close()


def test_a_name_with_an_address_that_is_none() -> None:
    left, right = pair()
    with pytest.raises(ArgumentError, match=r"address of server"):
        blocking.attach(Host("10.7.0.1/24"), left, names={"server": "10.7.0"})
    left.close()
    right.close()


def test_the_first_address_that_answers_is_taken(near: BlockingNetwork, far: BlockingNetwork) -> None:
    with (
        far.create_server(("fd07::2", 7), family=socket.AF_INET6),
        near.create_connection(("far.example", 7)) as sock,
    ):
        assert sock.getpeername() == ("fd07::2", 7, 0, 0)
    with pytest.raises(ExceptionGroup) as all_of_them:
        near.create_connection(("far.example", 8), all_errors=True)
    assert [error.errno for error in all_of_them.value.exceptions] == [errno.ECONNREFUSED, errno.ECONNREFUSED]  # type: ignore[union-attr]


# In the place of the module socket


def test_what_is_replaced_is_put_back(near: BlockingNetwork, far: BlockingNetwork) -> None:
    before = {name: getattr(socket, name) for name in dir(socket)}
    with near.replacing_sockets():
        assert issubclass(socket.socket, near.socket)
        with pytest.raises(CallError, match="allowed: one at a time"), far.replacing_sockets():
            pass
        made = socket.socket()
        assert socket.gethostbyname("far.example") == "10.7.0.2"
        one, other = socket.socketpair()
        with one, other:
            assert one.family == socket.AF_UNIX
    assert {name: getattr(socket, name) for name in dir(socket)} == before
    with far.create_server(("", 7)):
        made.connect(("far.example", 7))
        assert made.getpeername() == ("10.7.0.2", 7)
        made.close()


# What can't be reached


def test_a_peer_that_never_answers(near: BlockingNetwork) -> None:
    with near.socket() as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 200)  # milliseconds
        with pytest.raises(TimeoutError) as raised:
            sock.connect(("10.7.0.99", 80))
        assert raised.value.errno == errno.ETIMEDOUT
    with near.socket() as sock:
        sock.settimeout(0.05)
        assert sock.connect_ex(("10.7.0.99", 80)) == errno.EAGAIN
        assert sock.connect_ex(("10.7.0.99", 80)) == errno.EALREADY
        with pytest.raises(OSError, match="not exist"):
            sock.getpeername()


def test_a_connection_that_dies_of_silence(near: BlockingNetwork, far: BlockingNetwork) -> None:
    """The descriptor alone would say ECONNRESET."""
    client, server = connected(near, far)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 200)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    far.call(lambda: far.host.remove_address("10.7.0.2", far.now()))
    client.sendall(b"is there an answer?")
    with pytest.raises(TimeoutError) as raised:
        client.recv(1)
    assert raised.value.errno == errno.ETIMEDOUT
    assert client.recv(1) == b""
    client.close()
    server.close()


# What is refused


def test_descriptors_of_others(near: BlockingNetwork) -> None:
    one, other = socket.socketpair()
    with one, other, pytest.raises(OSError, match="not of this network"):
        near.socket(fileno=one.fileno())


def test_options_that_there_are_not(near: BlockingNetwork) -> None:
    with near.socket() as sock, pytest.raises(OptionUnknown):
        sock.setsockopt(socket.SOL_SOCKET, 9999, 1)


def test_urgent_data_is_refused(near: BlockingNetwork, far: BlockingNetwork) -> None:
    client, server = connected(near, far)
    with client, server, pytest.raises(OSError, match="urgent"):
        client.send(b"!", socket.MSG_OOB)


def test_tls_before_the_connection(
    near: BlockingNetwork, far: BlockingNetwork, certificates: Any, job: Any
) -> None:
    """As the documentation of `ssl` shows it: wrap, then connect."""

    def serve(listener: Any) -> bytes:
        sock, _ = listener.accept()
        with certificates.server.wrap_socket(sock, server_side=True) as server:
            server.sendall(b"tls")
            received: bytes = server.recv(100)
            return received

    with far.create_server(("", 443)) as listener:
        serving = job(serve, listener)
        with certificates.client.wrap_socket(near.socket(), server_hostname="far.example") as client:
            assert isinstance(client, ssl.SSLSocket)
            assert isinstance(client, near.socket)
            client.settimeout(20)
            client.connect(("far.example", 443))
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            assert client.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1
            assert client.getpeername() == ("10.7.0.2", 443)
            assert client.version() == "TLSv1.3"
            assert client.recv(100) == b"tls"
            client.sendall(b"back")
            assert serving.result() == b"back"


def test_a_memory_link_of_two_threads(job: Any) -> None:
    """`notify` of one comes from the other's thread."""
    left, right = pair()
    assert isinstance(left, MemoryLink)
    with (
        blocking.attach(Host("10.7.0.1/24"), left) as near,
        blocking.attach(Host("10.7.0.2/24"), right) as far,
    ):
        client, server = connected_by_address(near, far)
        with client, server:
            sending = job(client.sendall, bytes(4 * MUCH))
            received = 0
            while received < 4 * MUCH:
                received += len(server.recv(MUCH))
            sending.result()


@pytest.mark.parametrize("descriptor", [True, False])
def test_a_late_turn_sends_all_answers(descriptor: bool) -> None:
    """A timer is long due when the thread begins, and more packets wait than one batch.

    No packet and no call comes afterwards that could wake the pump once more.
    """
    left, right = pair()
    count = 3 * BATCH + 1
    host, peer = Host("10.7.0.1/24", secret=b"near"), Host("10.7.0.2/24", secret=b"far")
    for one in (host, peer):
        one.join(left.mtu, b"", 0)
    host.connect("10.7.0.9", 80, 0)
    while host.next_packet(0) is not None:
        pass
    assert host.next_timeout() < time.monotonic_ns() // 1000  # the retransmission of the SYN
    answers: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    link = left if descriptor else PushedLink(answers.put, mtu=left.mtu)
    for _ in range(count):
        peer.connect("10.7.0.1", 7, 0)
        syn = peer.next_packet(0)
        assert syn is not None
        if isinstance(link, PushedLink):
            link.packets_arrive([syn])
        else:
            right.send(syn, b"", 0)
    resets = 0
    with blocking.attach(host, link):
        while resets < count:
            if descriptor:
                assert select.select([right.fileno()], [], [], PATIENCE)[0]
                answer = right.receive(0)
            else:
                answer = answers.get(timeout=PATIENCE)
            resets += answer is not None and ip.parse(answer).destination == bytes([10, 7, 0, 2])
    right.close()
    left.close()


def connected_by_address(near: BlockingNetwork, far: BlockingNetwork) -> tuple[socket.socket, socket.socket]:
    with far.create_server(("", 7)) as listener:
        client = near.create_connection(("10.7.0.2", 7), timeout=20)
        return client, listener.accept()[0]
