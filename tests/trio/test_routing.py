"""trio's own functions on the network of the current task, and virtual time."""

import socket
import ssl
from typing import Any

import pytest
import trio
import trustme

from postel.errors import CallError

FAR_4, NEAR_4 = "10.7.0.2", "10.7.0.1"


class Names:
    """far.example has an address, and no other name has."""

    async def addresses(self, name: str) -> list[str]:
        return [FAR_4] if name == "far.example" else []


async def echo(stream: trio.abc.Stream) -> None:
    while data := await stream.receive_some():  # type: ignore[attr-defined]
        await stream.send_all(data)


async def serve(network: Any, *, task_status: Any = trio.TASK_STATUS_IGNORED) -> None:
    async with network.as_default():
        await trio.serve_tcp(echo, 7, host="0.0.0.0", task_status=task_status)


async def test_open_tcp_stream_and_serve_tcp(networks: Any) -> None:
    async with networks(resolver=Names()) as both, trio.open_nursery() as nursery:
        listeners = await nursery.start(serve, both.far)
        assert listeners[0].socket.getsockname() == ("0.0.0.0", 7)
        async with both.near.as_default(), await trio.open_tcp_stream("far.example", 7) as stream:
            await stream.send_all(b"hello")
            assert await stream.receive_some() == b"hello"
            assert stream.socket.getsockname()[0] == NEAR_4
        nursery.cancel_scope.cancel()


async def test_listeners_of_both_families(networks: Any) -> None:
    async with networks() as both, both.far.as_default():
        listeners = await trio.open_tcp_listeners(80)
        assert sorted(each.socket.getsockname()[0] for each in listeners) == ["0.0.0.0", "::"]
        for each in listeners:
            await each.aclose()


async def test_tls(networks: Any) -> None:
    authority, server, client = (
        trustme.CA(),
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER),
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
    )
    authority.issue_cert("far.example").configure_cert(server)
    authority.configure_trust(client)

    async def serve_tls(task_status: Any = trio.TASK_STATUS_IGNORED) -> None:
        async with both.far.as_default():
            await trio.serve_ssl_over_tcp(echo, 443, server, https_compatible=True, task_status=task_status)

    async with networks(resolver=Names(), delay=5_000) as both, trio.open_nursery() as nursery:
        await nursery.start(serve_tls)
        async with both.near.as_default():
            stream = await trio.open_ssl_over_tcp_stream(
                "far.example", 443, ssl_context=client, https_compatible=True
            )
            await stream.send_all(b"secret")
            assert await stream.receive_some() == b"secret"
            await stream.aclose()
        nursery.cancel_scope.cancel()


async def test_names(networks: Any) -> None:
    async with networks(resolver=Names()) as both, both.near.as_default():
        found = await trio.socket.getaddrinfo("far.example", 80, type=socket.SOCK_STREAM)
        assert found == [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (FAR_4, 80))]
        assert await trio.socket.getnameinfo((FAR_4, 80), socket.NI_NUMERICSERV) == (FAR_4, "80")
        with pytest.raises(socket.gaierror):
            await trio.socket.getaddrinfo("nowhere.example", 80)


async def test_happy_eyeballs_pass_over_an_address_that_refuses(networks: Any) -> None:
    class Two:
        async def addresses(self, name: str) -> list[str]:
            return ["fd07::2", FAR_4]

    async with networks(resolver=Two()) as both, trio.open_nursery() as nursery:
        await nursery.start(serve, both.far)  # of IPv4 alone
        async with both.near.as_default(), await trio.open_tcp_stream("far.example", 7) as stream:
            assert stream.socket.getpeername()[0] == FAR_4
        nursery.cancel_scope.cancel()


def is_postel_s() -> bool:
    with trio.socket.socket() as new:
        return type(new).__module__.startswith("postel")


async def test_tasks_outside_keep_what_they_had(networks: Any) -> None:
    found: dict[str, bool] = {}

    async def look(name: str) -> None:
        await trio.sleep(1)
        found[name] = is_postel_s()

    async with networks() as both, trio.open_nursery() as nursery:
        nursery.start_soon(look, "started before")
        async with both.near.as_default():
            nursery.start_soon(look, "started inside")
            async with both.far.as_default():
                with trio.socket.socket() as new:
                    await new.bind((FAR_4, 80))
            assert is_postel_s()
        assert not is_postel_s()
    assert found == {"started before": False, "started inside": True}


async def test_a_task_that_outlives_its_network_doesn_t_get_the_machine_s(networks: Any) -> None:
    async with networks() as both:
        pass
    with pytest.raises(CallError):
        async with both.near.as_default():
            trio.socket.socket()
    async with networks() as both, both.near.as_default():
        await both.near.close()
        with pytest.raises(OSError, match="closed"):
            trio.socket.socket()


async def test_a_factory_of_the_program_goes_on_serving_other_tasks(networks: Any) -> None:
    class Mine(trio.abc.SocketFactory):
        def socket(self, family: Any = None, type: Any = None, proto: Any = None) -> Any:  # noqa: A002
            return "mine"

    trio.socket.set_custom_socket_factory(Mine())
    async with networks() as both:
        for network in (both.near, both.far):
            async with network.as_default():
                assert is_postel_s()
            assert trio.socket.socket() == "mine"


async def test_what_is_no_network_s_is_refused(networks: Any) -> None:
    async with networks() as both, both.near.as_default():
        with pytest.raises(OSError, match="allowed: AF_INET"):
            trio.socket.socket(socket.AF_UNIX)


async def test_ten_minutes_of_a_message_a_second(networks: Any) -> None:
    async with networks(delay=10_000) as both:
        client, server = await both.connected()
        begun = trio.current_time()
        for _ in range(600):
            await client.send_all(b"tick")
            assert await server.receive_some() == b"tick"
            await trio.sleep(1)
        assert trio.current_time() - begun == pytest.approx(600 * 1.01)
        await client.aclose()
        await server.aclose()
