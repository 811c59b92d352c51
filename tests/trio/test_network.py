"""A network on a run of trio: its beginning, its end, its link, and threads."""

import errno
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import trio

import postel.trio
from postel import Host
from postel.errors import ArgumentError, CallError, LinkClosed, LinkError
from postel.links import Link, PushedLink, pair

ROOT = Path(__file__).parents[2]


async def test_a_network_is_entered_once_and_used_inside() -> None:
    link, other = pair()
    network = postel.trio.attach(Host("10.7.0.1/24"), link)
    with pytest.raises(CallError, match="inside"):
        network.socket()
    with pytest.raises(CallError, match="inside"):
        await network.wait_closed()
    async with network:
        with pytest.raises(CallError, match="once"):
            await network.__aenter__()
        with pytest.raises(ArgumentError, match="link"):
            postel.trio.attach(Host("10.7.0.1/24"), link)
    other.close()
    with pytest.raises(OSError, match="closed") as refused:
        network.socket()
    assert refused.value.errno == errno.ENETUNREACH


@pytest.mark.parametrize("linger", [-1, True, float("inf"), "2"])
def test_linger_is_checked(linger: Any) -> None:
    link, _ = pair()
    with pytest.raises(ArgumentError, match="linger"):
        postel.trio.attach(Host("10.7.0.1/24"), link, linger=linger)


async def test_the_link_s_end_is_told_to_all_that_wait(networks: Any) -> None:
    async def expect_the_end(call: Any) -> None:
        with pytest.raises(LinkClosed):
            await call()

    async with networks() as both:
        client, server = await both.connected()
        listener = both.near.socket()
        listener.listen()
        async with trio.open_nursery() as nursery:
            for call in (
                lambda: client.socket.recv(1),
                listener.accept,
                both.near.wait_closed,
                both.far.wait_closed,
            ):
                nursery.start_soon(expect_the_end, call)
            await trio.testing.wait_all_tasks_blocked()
            both.near.link.close()
        with pytest.raises(LinkClosed):
            both.near.socket()
        for each in (client, server, listener):
            with trio.CancelScope() as scope:
                scope.cancel()
                await each.aclose() if isinstance(each, trio.SocketStream) else each.close()


class SwitchedOff(Link):
    """Carries nothing."""

    mtu = 1500

    def receive(self, now: int) -> bytes | None:
        return None

    def send(self, packet: bytes, next_hop: bytes, now: int) -> bool:
        raise postel.LinkDown("the device is down")

    def close(self) -> None:
        self.notify()


async def test_a_device_that_is_switched_off_fails_what_is_being_opened() -> None:
    async with postel.trio.attach(Host("10.7.0.1/24", secret=b"near"), SwitchedOff()) as network:
        with network.socket() as client, pytest.raises(OSError, match="down") as refused:
            await client.connect(("10.7.0.2", 80))
        assert refused.value.errno == errno.ENETDOWN


async def test_a_link_that_fails_ends_the_network() -> None:
    class Broken(SwitchedOff):
        def send(self, packet: bytes, next_hop: bytes, now: int) -> bool:
            raise ZeroDivisionError

    async with postel.trio.attach(Host("10.7.0.1/24", secret=b"near"), Broken()) as network:
        with network.socket() as client, pytest.raises(LinkError, match="failed"):
            await client.connect(("10.7.0.2", 80))
        with pytest.raises(LinkError):
            await network.wait_closed()


@pytest.mark.real_time
async def test_packets_pushed_from_another_thread() -> None:
    """A link without a descriptor: it notifies, here from a worker thread."""
    host = Host("10.7.0.1/24", secret=b"near")
    sent: list[bytes] = []
    arrived = trio.Event()
    token = trio.lowlevel.current_trio_token()
    link = PushedLink(lambda packet: sent.append(packet) or token.run_sync_soon(arrived.set), mtu=1500)  # type: ignore[func-returns-value]
    peer = Host("10.7.0.2/24", secret=b"far")
    async with postel.trio.attach(host, link) as network:
        with network.socket() as client:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_answer, arrived, peer, sent, link)
                with pytest.raises(ConnectionRefusedError):
                    await client.connect(("10.7.0.2", 80))


async def _answer(arrived: trio.Event, peer: Host, sent: list[bytes], link: PushedLink) -> None:
    await arrived.wait()
    peer.packet_arrives(sent[0], 0)
    answer = peer.next_packet(0)
    assert answer is not None
    await trio.to_thread.run_sync(link.packets_arrive, [answer])


@pytest.mark.real_time
async def test_a_call_from_another_thread_is_refused(networks: Any) -> None:
    async with networks() as both:
        with both.near.socket() as new, pytest.raises(CallError, match=r"trio\.from_thread"):
            await trio.to_thread.run_sync(new.listen)


async def test_a_cancelled_program_still_says_farewell(networks: Any) -> None:
    """The pump isn't the program's to cancel: what was written leaves, and the peer hears the end."""
    async with networks(delay=10_000) as both:
        client, server = await both.connected()
        with trio.move_on_after(1):
            async with client:
                await client.send_all(b"last words")
                await trio.sleep_forever()
        assert await server.receive_some() == b"last words"
        assert await server.receive_some() == b""
        await server.aclose()


async def test_leaving_a_network_while_cancelled_closes_the_link() -> None:
    link, other = pair()
    with trio.CancelScope() as scope:
        async with postel.trio.attach(Host("10.7.0.1/24"), link):
            scope.cancel()
    assert link.fileno() == -1
    other.close()


async def test_an_error_in_the_body_passes_as_it_is() -> None:
    link, other = pair()
    with pytest.raises(ZeroDivisionError):
        async with postel.trio.attach(Host("10.7.0.1/24"), link):
            raise ZeroDivisionError
    other.close()


def test_without_trio_the_extra_is_named() -> None:
    script = "import sys; sys.modules['trio'] = None; import postel; import postel.trio"
    told = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert (
        "ImportError: postel.trio needs trio, of the extra \"trio\": pip install 'postel[trio]'"
        in told.stderr
    )
