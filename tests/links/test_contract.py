"""What a driver makes of a link, whatever its kind: the end, back-pressure, wake-ups, one host and one link
at a time.
"""

import asyncio
import errno
from collections import deque
from pathlib import Path
from typing import Any

import pytest

from postel import aio
from postel.errors import ArgumentError, LinkClosed, LinkError
from postel.host.host import Host
from postel.links import Link, pair
from postel.sim import World
from postel.sim.loop import run
from postel.times import NEVER, SECOND


def host(address: str = "10.0.0.1/24") -> Host:
    return Host(address, secret=b"links")


class Plain(Link):
    """No descriptor; two of them are joined. ``room`` is how many packets it takes before it has none."""

    mtu = 1500

    def __init__(self, room: int = 1 << 30) -> None:
        self.arrived: deque[bytes] = deque()
        self.peer: Plain = self
        self.room = room
        self.end: Exception | None = None
        self.nothing: Any = None
        self.calls = 0
        self.sent: list[bytes] = []

    def receive(self, now: int) -> bytes | None:
        self.calls += 1
        if self.end is not None:
            raise self.end
        return self.arrived.popleft() if self.arrived else self.nothing

    def send(self, packet: bytes, next_hop: bytes, now: int) -> bool:
        assert self.room > 0
        self.room -= 1
        self.has_room = self.room > 0
        self.sent.append(packet)
        self.peer.arrived.append(packet)
        self.peer.notify()
        return True

    def close(self) -> None:
        self.end = LinkClosed(errno.EBADF, "the link is closed")
        self.notify()


def joined(**options: int) -> tuple[Plain, Plain]:
    left, right = Plain(**options), Plain()
    left.peer, right.peer = right, left
    return left, right


async def shout(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write((await reader.read()).upper())
    writer.close()


async def asked(net: aio.Network, octets: bytes) -> bytes:
    reader, writer = await net.open_connection("10.0.0.2", 7)
    writer.write(octets)
    writer.write_eof()
    answer = await reader.read()
    writer.close()
    return answer


def in_virtual_time(main: Any) -> None:
    run(main(), World())


def test_link_without_a_descriptor_wakes_its_driver() -> None:
    async def main() -> None:
        left, right = joined()
        async with aio.attach(host(), left) as near, aio.attach(host("10.0.0.2/24"), right) as far:
            await far.start_server(shout, port=7)
            assert await asked(near, b"a" * 500_000) == b"A" * 500_000  # more than a batch

    in_virtual_time(main)


def test_packet_that_waited_before_the_driver_came_is_taken() -> None:
    async def main() -> None:
        left, _ = joined()
        left.arrived.append(b"anything")
        async with aio.attach(host(), left) as net:
            await asyncio.sleep(1)
            assert net.host.statistics()["packets_arrived"] == 1

    in_virtual_time(main)


def test_link_without_room_is_given_nothing_until_it_has_some() -> None:
    async def main() -> None:
        left, right = joined(room=3)
        async with aio.attach(host(), left) as near, aio.attach(host("10.0.0.2/24"), right) as far:
            await far.start_server(shout, port=7)
            asking = asyncio.ensure_future(asked(near, b"a" * 20_000))
            while not asking.done():
                await asyncio.sleep(0.1)
                assert left.room == 0 or asking.done()
                left.room, left.has_room = 3, True
                left.notify()
            assert await asking == b"A" * 20_000
            octets = sum(len(packet) for packet in left.sent)
            assert 20_000 < octets < 20_000 + 64 * len(left.sent)  # each octet went once: nothing was lost

    in_virtual_time(main)


@pytest.mark.parametrize("nothing", [b"", 0, False, ""], ids=repr)
def test_nothing_in_place_of_none_is_refused_at_the_door(nothing: object) -> None:
    async def main() -> None:
        left, _ = joined()
        async with aio.attach(host(), left) as net:
            left.nothing = nothing
            left.notify()
            with pytest.raises(
                LinkError, match="allowed: a packet, None for nothing now, or LinkClosed raised"
            ):
                await net.wait_closed()

    in_virtual_time(main)


@pytest.mark.parametrize(
    "error",
    [LinkClosed(errno.ENOTCONN, "the far side went"), OSError(errno.EIO, "broken"), ValueError("a bug")],
)
def test_end_of_a_link_is_told_once_to_everything_that_waits(error: Exception) -> None:
    async def main() -> None:
        left, right = joined()
        async with (
            aio.attach(host(), left, linger=1000) as near,
            aio.attach(host("10.0.0.2/24"), right) as far,
        ):
            await far.start_server(shout, port=7)
            serving = asyncio.ensure_future((await near.start_server(shout, port=9)).serve_forever())
            reader, _ = await near.open_connection("10.0.0.2", 7)
            waiting = [
                serving,
                *(asyncio.ensure_future(waits) for waits in (reader.read(), near.wait_closed())),
            ]
            await asyncio.sleep(1)
            left.calls, left.end = 0, error
            left.notify()
            for result in await asyncio.gather(*waiting, return_exceptions=True):
                assert isinstance(result, LinkError)
                assert str(error.args[-1]) in str(result)
            assert left.calls == 1
            before = asyncio.get_running_loop().time()
        assert asyncio.get_running_loop().time() - before < 100

    in_virtual_time(main)


async def wait_for_close(net: aio.Network) -> str:
    await net.wait_closed()
    return "closed"


def test_network_that_was_closed_ends_without_an_error() -> None:
    async def main() -> None:
        left, _ = joined()
        net = aio.attach(host(), left)
        with pytest.raises(RuntimeError, match="inside"):
            await net.wait_closed()
        async with net:
            waiting = asyncio.ensure_future(wait_for_close(net))
            await asyncio.sleep(1)
            assert not waiting.done()
        assert await waiting == "closed"

    in_virtual_time(main)


class Ticking(Plain):
    """Delivers what it was given at the next whole second."""

    def __init__(self) -> None:
        super().__init__()
        self.held: list[bytes] = []
        self.due = NEVER
        self.ticks: list[int] = []

    def send(self, packet: bytes, next_hop: bytes, now: int) -> bool:
        self.held.append(packet)
        self.due = min(self.due, (now // SECOND + 1) * SECOND)
        return True

    def next_timeout(self) -> int:
        return self.due

    def handle_timeout(self, now: int) -> None:
        if now >= self.due:
            self.ticks.append(now)
            self.due = NEVER
            for packet in self.held:
                self.peer.arrived.append(packet)
            self.held.clear()
            self.peer.notify()


def test_timers_of_a_link_are_kept() -> None:
    async def main() -> None:
        left, right = Ticking(), Plain()
        left.peer, right.peer = right, left
        async with aio.attach(host(), left) as near, aio.attach(host("10.0.0.2/24"), right) as far:
            await far.start_server(shout, port=7)
            assert await asked(near, b"hello") == b"HELLO"
        assert [tick % SECOND < 10 for tick in left.ticks] == [True] * len(left.ticks)
        assert len(left.ticks) >= 3

    in_virtual_time(main)


def test_a_host_is_on_one_link_at_a_time_and_a_link_under_one_host() -> None:
    async def main() -> None:
        (left, right), (other, _) = pair(), pair()
        one = host()
        async with aio.attach(one, left):
            with pytest.raises(ArgumentError, match="allowed: a host that is on no other link"):
                aio.attach(one, other)
            with pytest.raises(ArgumentError, match="allowed: a link that no other host"):
                aio.attach(host("10.0.0.3/24"), left)
        async with aio.attach(one, other):  # it may move
            pass
        made = aio.attach(one, right), aio.attach(one, pair()[0])
        async with made[0]:
            with pytest.raises(ArgumentError, match="one link at a time"):
                async with made[1]:
                    raise AssertionError("entered")

    in_virtual_time(main)


def test_a_host_of_a_world_has_one_network_at_a_time() -> None:
    world = World()
    near, far = world.host("near", "10.0.0.1/24"), world.host("far", "10.0.0.2/24")
    world.path(near, far)

    async def main() -> None:
        loop: Any = asyncio.get_running_loop()
        async with loop.attach(near) as net, loop.attach(far) as there:
            await there.start_server(shout, port=7)
            with pytest.raises(ArgumentError, match="one link at a time"):
                loop.attach(near)
            assert await asked(net, b"as before") == b"AS BEFORE"
        async with loop.attach(near) as net, loop.attach(far) as there:
            await there.start_server(shout, port=7)
            assert await asked(net, b"again") == b"AGAIN"

    run(main(), world)


def test_a_host_that_follows_its_link_has_the_mtu_of_the_one_that_is_entered() -> None:
    async def main() -> None:
        one, far = Host("10.0.0.1/24"), Host("10.0.0.2/24")
        (small, other), (large, _) = pair(600), pair(1500)
        first, second = aio.attach(one, small), aio.attach(one, large)
        async with first as near, aio.attach(far, other) as there:
            assert one.mtu == 600
            await there.start_server(shout, port=7)
            assert await asked(near, b"a" * 50_000) == b"A" * 50_000
        async with second:
            assert one.mtu == 1500

    in_virtual_time(main)


def test_a_descriptor_that_cannot_be_waited_for_leaves_host_and_link_free(tmp_path: Path) -> None:
    class File(Plain):
        def fileno(self) -> int:
            return self.file.fileno()

    async def main() -> None:
        left, one = File(), host()
        left.file = (tmp_path / "file").open("wb")  # type: ignore[attr-defined]
        with left.file, pytest.raises(OSError):  # type: ignore[attr-defined]
            async with aio.attach(one, left):
                raise AssertionError("entered")
        async with aio.attach(one, pair()[0]):
            assert left.ready is None

    asyncio.run(main())


def test_an_object_that_lacks_a_method_is_told_which() -> None:
    class Half:
        mtu = 1500

        def send(self) -> None: ...

    with pytest.raises(ArgumentError, match="fileno is missing"):
        aio.attach(host(), Half())  # type: ignore[arg-type]
