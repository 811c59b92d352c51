"""Sockets with trio's methods: what each does, cancellation, and two tasks at one socket."""

import errno
import socket
from typing import Any

import pytest
import trio
from trio.testing import assert_checkpoints, wait_all_tasks_blocked

from postel.tcp.config import Config

FAR_4, NEAR_4 = "10.7.0.2", "10.7.0.1"


async def test_every_way_to_read_and_write_a_stream(networks: Any, far_address: str) -> None:
    async with networks() as both:
        client, server = [stream.socket for stream in await both.connected(far_address)]
        assert await client.send(b"one") == 3
        assert await server.recv(3) == b"one"
        assert await client.sendmsg([b"t", b"wo"]) == 3
        buffer = bytearray(4)
        assert await server.recv_into(buffer, 3) == 3
        assert await client.sendto(b"three", server.getsockname()) == 5
        assert await server.recvfrom(2) == (b"th", None)
        assert await server.recvfrom_into(buffer) == (3, None)
        assert buffer == b"reeo"[:3] + b"\0"
        assert await client.send(b"12345", trio.socket.MSG_DONTWAIT) == 5
        assert await server.recvmsg(2) == (b"12", [], 0, None)
        assert await server.recvmsg_into([buffer]) == (3, [], 0, None)
        client.close()
        server.close()


async def test_datagrams(networks: Any, far_address: str) -> None:
    family = trio.socket.AF_INET6 if ":" in far_address else trio.socket.AF_INET
    async with networks() as both:
        with (
            both.near.socket(family, trio.socket.SOCK_DGRAM) as near,
            both.far.socket(family, trio.socket.SOCK_DGRAM) as far,
        ):
            await far.bind((far_address, 53))
            async with trio.open_nursery() as nursery:
                nursery.start_soon(near.sendto, b"question", 0, (far_address, 53))
                data, name = await far.recvfrom(100)
            await near.connect((far_address, 53))
            await far.sendmsg([b"ans", b"wer"], [], 0, name)
            assert (data, await near.recv(100)) == (b"question", b"answer")
            assert near.getpeername() == far.getsockname()


async def test_what_a_socket_is(networks: Any) -> None:
    async with networks() as both:
        new = both.near.socket(trio.socket.AF_INET6)
        assert isinstance(new, trio.socket.SocketType)
        assert (new.family, new.type, new.proto) == (socket.AF_INET6, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        new.setsockopt(trio.socket.IPPROTO_TCP, trio.socket.TCP_NODELAY, 1)
        assert new.getsockopt(trio.socket.IPPROTO_TCP, trio.socket.TCP_NODELAY) == 1
        assert new.getsockopt(trio.socket.IPPROTO_TCP, trio.socket.TCP_NODELAY, 4) == b"\1\0\0\0"
        assert not new.get_inheritable()
        new.set_inheritable(False)
        assert new.fileno() >= 0
        new.close()
        assert new.fileno() == -1
        assert "closed" in repr(new)


@pytest.mark.parametrize("call", ["new.detach()", "new.dup()", "new.set_inheritable(True)", "new.listen()"])
async def test_what_a_socket_can_t_do(networks: Any, call: str) -> None:
    async with networks() as both:
        new = both.near.socket(trio.socket.AF_INET, trio.socket.SOCK_DGRAM)
        with pytest.raises(OSError, match="socket") as refused:
            eval(call, {"new": new})
        assert refused.value.errno == errno.EOPNOTSUPP
        new.close()


class TestConnect:
    async def test_refused(self, networks: Any) -> None:
        async with networks() as both:
            with (
                both.near.socket() as client,
                pytest.raises(ConnectionRefusedError, match=r"connect to 10\.7\.0\.2:9"),
            ):
                await client.connect((FAR_4, 9))

    async def test_cancelled_closes_the_socket(self, networks: Any) -> None:
        async with networks() as both:
            client = both.near.socket()
            with trio.move_on_after(5) as patience:
                await client.connect(("10.7.0.77", 80))
            assert patience.cancelled_caught
            assert client.fileno() == -1
            await wait_all_tasks_blocked()
            assert both.states() == []

    async def test_times_out(self, networks: Any) -> None:
        begun = trio.current_time()
        async with networks() as both:
            with both.near.socket() as client, pytest.raises(TimeoutError):
                await client.connect(("10.7.0.77", 80))
        assert trio.current_time() - begun > 100  # of virtual time

    async def test_every_call_is_a_checkpoint_whatever_comes_of_it(self, networks: Any) -> None:
        calls = {
            "connect": lambda new: new.connect((FAR_4, 9)),
            "recv": lambda new: new.recv(1),
            "send": lambda new: new.send(b"x"),
            "accept": lambda new: new.accept(),
            "bind": lambda new: new.bind(("192.0.2.1", 1)),
        }
        async with networks() as both:
            for call in calls.values():
                with both.near.socket() as new, assert_checkpoints(), pytest.raises(OSError, match=r"."):
                    await call(new)


class TestTwoTasks:
    @pytest.mark.parametrize("direction", ["recv", "send"])
    async def test_at_one_direction_are_refused(self, networks: Any, direction: str) -> None:
        async with networks(config=Config(send_buffer=4096, receive_buffer=4096)) as both:
            client, server = await both.connected()
            with trio.move_on_after(1):
                await client.send_all(b"x" * 100_000)
            with trio.move_on_after(1):
                while direction == "recv":
                    await client.receive_some()
            wait = {"recv": lambda: client.socket.recv(1), "send": lambda: client.socket.send(b"x")}[
                direction
            ]
            async with trio.open_nursery() as nursery:
                nursery.start_soon(wait)
                await wait_all_tasks_blocked()
                with pytest.raises(trio.BusyResourceError, match="another task"):
                    await wait()
                nursery.cancel_scope.cancel()
            await client.aclose()
            await server.aclose()

    async def test_one_closes_while_the_other_waits(self, networks: Any) -> None:
        async def expect_closed(call: Any) -> None:
            with pytest.raises(trio.ClosedResourceError):
                await call()

        async with networks() as both:
            client, server = await both.connected()
            listener = both.far.socket()
            listener.listen()
            async with trio.open_nursery() as nursery:
                for call in (lambda: client.socket.recv(1), lambda: server.socket.recv(1), listener.accept):
                    nursery.start_soon(expect_closed, call)
                await wait_all_tasks_blocked()
                for each in (client.socket, server.socket, listener):
                    each.close()

    async def test_a_cancelled_read_loses_nothing(self, networks: Any) -> None:
        async with networks() as both:
            client, server = await both.connected()
            for _ in range(3):
                with trio.move_on_after(1) as patience:
                    await server.receive_some()
                assert patience.cancelled_caught
            await client.send_all(b"whole")
            assert await server.receive_some() == b"whole"
            await client.aclose()
            await server.aclose()


async def test_wait_writable(networks: Any) -> None:
    async with networks(config=Config(send_buffer=4096, receive_buffer=4096)) as both:
        client, server = await both.connected()
        with trio.move_on_after(1):
            await client.send_all(b"x" * 100_000)
        with trio.move_on_after(1) as patience:
            await client.socket.wait_writable()
        assert patience.cancelled_caught
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.socket.wait_writable)
            await wait_all_tasks_blocked()
            await server.receive_some(100_000)
        await client.aclose()
        with pytest.raises(OSError, match="closed"):
            await client.socket.wait_writable()
        await server.aclose()


async def test_names_are_resolved(networks: Any) -> None:
    class Names:
        async def addresses(self, name: str) -> list[str]:
            return {"far.example": [FAR_4]}.get(name, [])

    async with networks(resolver=Names()) as both:
        with both.far.socket() as listener, both.near.socket() as client:
            await listener.bind(("", 0))
            listener.listen()
            await client.connect(("far.example", listener.getsockname()[1]))
            assert client.getpeername()[0] == FAR_4
        with both.near.socket() as client, pytest.raises(socket.gaierror):
            await client.connect(("nowhere.example", 80))
        with both.near.socket() as client, pytest.raises(TypeError):
            await client.connect("far.example")
