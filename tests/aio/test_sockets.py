"""Sockets in asyncio: Postel's own, and those that a program made of the system's before it handed them to
the loop.
"""

import asyncio
import errno
import gc
import select
import socket
from collections.abc import Callable, Coroutine
from io import BytesIO
from typing import Any

import pytest

from postel import aio
from postel.host.host import Host
from postel.links import pair

NEAR, FAR = "10.7.0.1", "10.7.0.2"
Main = Callable[[Any, aio.Network, aio.Network], Coroutine[Any, Any, Any]]


def run(main: Main) -> Any:
    """Run ``main(loop, near, far)``; the near host is the loop's own."""
    left, right = pair()
    near, far = Host(f"{NEAR}/24", "fd07::1/64"), Host(f"{FAR}/24", "fd07::2/64")

    async def both() -> Any:
        loop: Any = asyncio.get_running_loop()
        async with aio.attach(far, right) as network:
            return await main(loop, loop.own_network, network)

    with asyncio.Runner(loop_factory=aio.loop_factory(near, left), debug=True) as runner:
        answer = runner.run(asyncio.wait_for(both(), 30))
    gc.collect()
    return answer


async def listening(far: aio.Network, port: int = 80) -> Any:
    async with far.as_default():
        sock = far.socket()
        sock.bind((FAR, port))
        sock.listen()
        return sock


def test_the_calls_of_a_stream_socket() -> None:
    async def main(loop: Any, near: aio.Network, far: aio.Network) -> None:
        server = await listening(far)
        client = near.socket()
        await loop.sock_connect(client, (FAR, 80))
        accepted, peer = await loop.sock_accept(server)
        assert peer == client.getsockname()
        assert accepted.getsockname() == client.getpeername() == (FAR, 80)
        sending = asyncio.ensure_future(loop.sock_sendall(client, b"x" * 1_000_000))
        received = 0
        while received < 1_000_000:
            received += len(await loop.sock_recv(accepted, 65536))
        await sending
        await loop.sock_sendall(accepted, b"back")
        room = bytearray(10)
        assert await loop.sock_recv_into(client, room) == 4
        accepted.shutdown(socket.SHUT_WR)
        assert await loop.sock_recv(client, 10) == b""
        for sock in (server, client, accepted):
            sock.close()
            assert sock.fileno() == -1

    run(main)


def test_the_calls_of_a_datagram_socket() -> None:
    async def main(loop: Any, near: aio.Network, far: aio.Network) -> None:
        with far.socket(type=socket.SOCK_DGRAM) as server, near.socket(type=socket.SOCK_DGRAM) as client:
            server.bind((FAR, 53))
            assert await loop.sock_sendto(client, b"who", (FAR, 53)) == 3
            data, sender = await loop.sock_recvfrom(server, 100)
            assert (data, sender[0]) == (b"who", NEAR)
            room = bytearray(10)
            waiting = asyncio.ensure_future(loop.sock_recvfrom_into(client, room))
            await loop.sock_sendto(server, b"me", sender)
            assert await waiting == (2, (FAR, 53))

    run(main)


def test_a_refused_connection_is_told_as_asyncio_tells_it() -> None:
    async def main(loop: Any, near: aio.Network, far: aio.Network) -> None:
        with near.socket() as client, pytest.raises(ConnectionRefusedError) as caught:
            await loop.sock_connect(client, (FAR, 81))
        assert str(caught.value) == f"[Errno {errno.ECONNREFUSED}] Connect call failed ('{FAR}', 81)"

    run(main)


def test_readers_and_writers_are_called_while_the_socket_is_ready() -> None:
    async def main(loop: Any, near: aio.Network, far: aio.Network) -> None:
        server = await listening(far)
        client = near.socket()
        await loop.sock_connect(client, (FAR, 80))
        accepted, _ = await loop.sock_accept(server)
        got: list[bytes] = []
        done = loop.create_future()

        def read() -> None:
            got.append(accepted.recv(1))
            if len(got) == 3:
                done.set_result(None)

        loop.add_reader(accepted, read)
        writable = loop.create_future()
        loop.add_writer(client, writable.set_result, None)
        await writable
        assert loop.remove_writer(client)
        assert not loop.remove_writer(client)
        await loop.sock_sendall(client, b"abc")
        await done
        assert got == [b"a", b"b", b"c"]
        assert loop.remove_reader(accepted)
        for sock in (server, client, accepted):
            sock.close()

    run(main)


async def until(condition: Callable[[], Any]) -> None:
    """Let the loop turn until it is so: no event tells what the system's poll would find."""
    while not condition():  # noqa: ASYNC110
        await asyncio.sleep(0)


def test_a_descriptor_can_be_watched_in_place_of_its_socket() -> None:
    async def main(loop: Any, near: aio.Network, far: aio.Network) -> None:
        server = await listening(far)
        client = near.socket()
        ready = loop.create_future()
        loop.add_reader(server.fileno(), lambda: ready.done() or ready.set_result(None))
        await loop.sock_connect(client, (FAR, 80))
        await ready
        assert loop.remove_reader(server.fileno())
        assert not loop.remove_reader(server.fileno())
        client.close()
        server.close()

    run(main)


def poll(sock: Any, events: int) -> int:
    """What the system's ``poll`` finds now."""
    polled = select.poll()
    polled.register(sock.fileno(), events)
    return polled.poll(0)[0][1] if polled.poll(0) else 0


def test_a_descriptor_is_as_readable_and_writable_as_its_socket() -> None:
    async def main(loop: Any, near: aio.Network, far: aio.Network) -> None:
        server = await listening(far)
        client = near.socket()
        assert poll(server, select.POLLIN) == 0
        client.fileno()
        connecting = asyncio.ensure_future(loop.sock_connect(client, (FAR, 80)))
        await asyncio.sleep(0)
        assert poll(client, select.POLLOUT) == 0
        await connecting
        assert poll(client, select.POLLOUT) == select.POLLOUT
        await until(lambda: poll(server, select.POLLIN))
        accepted, _ = server.accept()
        assert poll(server, select.POLLIN) == 0
        assert poll(accepted, select.POLLIN) == 0
        await loop.sock_sendall(client, b"ab")
        await until(lambda: poll(accepted, select.POLLIN))
        assert accepted.recv(1) == b"a"
        assert poll(accepted, select.POLLIN) == select.POLLIN
        assert accepted.recv(1) == b"b"
        assert poll(accepted, select.POLLIN) == 0
        with pytest.raises(BlockingIOError):
            client.sendall(bytes(10_000_000))
        assert poll(client, select.POLLOUT) == 0
        while not poll(client, select.POLLOUT):
            await loop.sock_recv(accepted, 1 << 20)
        for sock in (server, client, accepted):
            sock.close()

    run(main)


def test_the_descriptor_of_a_transport_tells_of_the_peers_end() -> None:
    """httpcore polls it before it uses a connection again, with reading paused."""

    async def main(loop: Any, near: aio.Network, far: aio.Network) -> None:
        server = await listening(far)
        _, writer = await asyncio.open_connection(FAR, 80)
        accepted, _ = await loop.sock_accept(server)
        shown = writer.get_extra_info("socket")
        writer.transport.pause_reading()
        assert poll(shown, select.POLLIN) == 0
        accepted.close()
        await until(lambda: poll(shown, select.POLLIN))
        writer.close()
        await writer.wait_closed()
        assert shown.fileno() == -1
        server.close()

    run(main)


def test_a_socket_of_the_systems_is_replaced_before_it_connects() -> None:
    """aiohappyeyeballs: socket.socket, bind, sock_connect, create_connection(sock=…)."""

    async def main(loop: Any, near: aio.Network, far: aio.Network) -> None:
        server = await listening(far)
        made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        made.setblocking(False)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        await loop.sock_connect(made, (FAR, 80))
        accepted, _ = await loop.sock_accept(server)
        reader, writer = await asyncio.open_connection(sock=made)
        shown = writer.get_extra_info("socket")
        assert shown.getpeername() == (FAR, 80)
        assert shown.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        assert shown.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1
        writer.write(b"over Postel")
        assert await loop.sock_recv(accepted, 100) == b"over Postel"
        accepted.close()
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()
        assert made.fileno() == -1
        server.close()

    run(main)


class SubclassOfSocket(socket.socket):
    """With a dictionary, as most subclasses."""


@pytest.mark.parametrize("kind", [socket.socket, SubclassOfSocket])
def test_a_program_closes_its_own_socket(kind: type[socket.socket]) -> None:
    """``sock.close()`` of a socket of the system's that Postel's stands for: the peer hears the end, and its
    names were Postel's.
    """

    async def main(loop: Any, near: aio.Network, far: aio.Network) -> None:
        server = await listening(far)
        made = kind(socket.AF_INET, socket.SOCK_STREAM)
        made.setblocking(False)
        await loop.sock_connect(made, (FAR, 80))
        accepted, name = await loop.sock_accept(server)
        assert made.getsockname() == name
        assert made.getpeername() == (FAR, 80)
        assert isinstance(made, kind)
        await loop.sock_sendall(made, b"all of it")
        made.close()
        assert made.fileno() == -1
        assert await loop.sock_recv(accepted, 100) == b"all of it"
        assert await loop.sock_recv(accepted, 100) == b""
        accepted.close()
        server.close()

    run(main)


def test_a_program_closes_its_own_listening_socket() -> None:
    async def main(loop: Any, near: aio.Network, far: aio.Network) -> None:
        made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        made.setblocking(False)
        made.bind(("", 0))
        made.listen()
        name = NEAR, made.getsockname()[1]
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(loop.sock_accept(made), 0.01)
        made.close()
        async with far.as_default():
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection(*name)

    run(main)


def test_a_socket_may_be_forgotten_in_another_thread() -> None:
    async def main(loop: Any, near: aio.Network, far: aio.Network) -> None:
        server = await listening(far)
        made = [socket.socket(socket.AF_INET, socket.SOCK_STREAM)]
        made[0].setblocking(False)
        await loop.sock_connect(made[0], (FAR, 80))
        accepted, _ = await loop.sock_accept(server)

        def forget() -> None:
            with pytest.warns(ResourceWarning):  # noqa: PT031
                made.clear()
                gc.collect()

        await asyncio.to_thread(forget)
        assert await loop.sock_recv(accepted, 100) == b""
        accepted.close()
        server.close()

    run(main)


@pytest.mark.parametrize("listens", [False, True])
def test_a_server_on_a_socket_of_the_systems_listens_on_postel_alone(listens: bool) -> None:
    """hypercorn binds, anyio.create_tcp_listener listens too."""

    async def main(loop: Any, near: aio.Network, far: aio.Network) -> None:
        made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        made.bind(("", 0))
        port = made.getsockname()[1]
        if listens:
            made.listen()
        answered = asyncio.Event()

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"hello")
            writer.close()
            answered.set()

        server = await asyncio.start_server(answer, sock=made)
        assert server.sockets[0].getsockname() == ("0.0.0.0", port)
        async with far.as_default():
            reader, writer = await asyncio.open_connection(NEAR, port)
            assert await reader.read() == b"hello"
            writer.close()
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", port)) == errno.ECONNREFUSED
        await answered.wait()
        server.close()

    run(main)


def test_a_protocol_hears_of_nothing_before_its_connection_is_made() -> None:
    """The connection waited to be accepted, and goes on receiving while its transport begins."""

    class Recorder(asyncio.Protocol):
        def __init__(self) -> None:
            self.told: list[str] = []
            told.append(self.told)

        def connection_made(self, transport: Any) -> None:
            self.told.append("made")

        def data_received(self, data: bytes) -> None:
            self.told.append("data")

        def connection_lost(self, exc: Exception | None) -> None:
            self.told.append("lost")
            if all(each[-1] == "lost" for each in told):
                ended.set_result(None)

    told: list[list[str]] = []
    ended: asyncio.Future[None]

    async def main(loop: Any, near: aio.Network, far: aio.Network) -> None:
        nonlocal ended
        ended = loop.create_future()
        server = await listening(far)
        writing, resetting = near.socket(), near.socket()
        for client in (writing, resetting):
            await loop.sock_connect(client, (FAR, 80))
            await loop.sock_sendall(client, b"first")
        serving = await loop.create_server(Recorder, sock=server, start_serving=False)
        await until(lambda: server.is_ready(to_write=False))
        await asyncio.gather(serving.start_serving(), loop.sock_sendall(writing, b"second"))
        resetting.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, (1).to_bytes(4, "little") + bytes(4))
        resetting.close()
        writing.close()
        await ended
        assert [each[:2] for each in told] == [["made", "data"]] * 2
        serving.close()

    run(main)


def test_a_datagram_socket_of_the_systems_for_both_families_shows_mapped_addresses() -> None:
    """aioquic: AF_INET6 without IPV6_V6ONLY, bound to "::", and IPv4 peers by their mapped addresses."""

    class Asked(asyncio.DatagramProtocol):
        def __init__(self) -> None:
            self.heard: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        def datagram_received(self, data: bytes, addr: Any) -> None:
            self.heard.set_result((data, addr))

    async def main(loop: Any, near: aio.Network, far: aio.Network) -> None:
        with far.socket(type=socket.SOCK_DGRAM) as server:
            server.bind((FAR, 4433))
            made = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            made.bind(("::", 0, 0, 0))
            transport, protocol = await loop.create_datagram_endpoint(Asked, sock=made)
            assert transport.get_extra_info("sockname")[0] == "::"
            transport.sendto(b"who", (f"::ffff:{FAR}", 4433, 0, 0))
            data, sender = await loop.sock_recvfrom(server, 100)
            assert (data, sender[0]) == (b"who", NEAR)
            await loop.sock_sendto(server, b"me", sender)
            assert await protocol.heard == (b"me", (f"::ffff:{FAR}", 4433, 0, 0))
            transport.close()

    run(main)


def test_files_are_sent(tmp_path: Any) -> None:
    async def main(loop: Any, near: aio.Network, far: aio.Network) -> None:
        server = await listening(far)
        path = tmp_path / "file"
        path.write_bytes(b"0123456789" * 10000)
        client = near.socket()
        await loop.sock_connect(client, (FAR, 80))
        accepted, _ = await loop.sock_accept(server)

        async def all_of() -> bytes:
            whole = BytesIO()
            while data := await loop.sock_recv(accepted, 65536):
                whole.write(data)
            return whole.getvalue()

        receiving = asyncio.ensure_future(all_of())
        with path.open("rb") as file:
            with pytest.raises(asyncio.SendfileNotAvailableError):
                await loop.sock_sendfile(client, file, fallback=False)
            assert await loop.sock_sendfile(client, file, 10) == 99990
            transport, _ = await loop.connect_accepted_socket(asyncio.Protocol, client)
            assert await loop.sendfile(transport, file, 1, 5) == 5
        transport.close()
        assert await receiving == (b"0123456789" * 10000)[10:] + b"12345"
        accepted.close()
        server.close()

    run(main)


def test_unix_sockets_and_connected_ones_stay_the_systems() -> None:
    async def main(loop: Any, near: aio.Network, far: aio.Network) -> None:
        ours, theirs = socket.socketpair()
        theirs.setblocking(False)
        reader, writer = await asyncio.open_connection(sock=ours)
        await loop.sock_sendall(theirs, b"hello")
        assert await reader.read(5) == b"hello"
        writer.close()
        await writer.wait_closed()
        theirs.close()

    run(main)


def test_a_socket_that_is_forgotten_is_closed_with_a_warning() -> None:
    async def main(loop: Any, near: aio.Network, far: aio.Network) -> None:
        sock: Any = near.socket()
        sock.bind(("", 77))
        with pytest.warns(ResourceWarning, match="unclosed"):  # noqa: PT031
            del sock
            gc.collect()
        with near.socket() as again:
            again.bind(("", 77))

    run(main)


@pytest.mark.parametrize("listens", [False, True])
def test_the_system_gets_a_replaced_socket_back(listens: bool) -> None:
    """Its port is free for the machine, and the program's object is the same one with Postel's calls,
    whatever its class.
    """

    class Mine(socket.socket):
        label = "mine"

    async def main(loop: Any, near: aio.Network, far: aio.Network) -> None:
        for kind in (socket.socket, Mine):
            made = kind(socket.AF_INET, socket.SOCK_STREAM)
            made.bind(("127.0.0.1", 0))
            port = made.getsockname()[1]
            if listens:
                made.listen()
            server = await asyncio.start_server(lambda _, writer: writer.close(), sock=made)
            assert isinstance(made, kind)
            assert getattr(made, "label", "mine") == "mine"
            assert made.getsockname() == ("127.0.0.1", port)
            assert made.fileno() == server.sockets[0].fileno()
            with socket.socket() as machine:
                machine.bind(("127.0.0.1", port))
            made.close()
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection("127.0.0.1", port)
            server.close()

    run(main)
