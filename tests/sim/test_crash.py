"""Hosts that crash and come back while programs run on them, and worlds that change while they run: what is
drawn happened.
"""

import asyncio
from collections.abc import Callable

import pytest

from postel import aio
from postel.aio import Network
from postel.errors import ArgumentError, LinkError
from postel.host.host import Host
from postel.links import pair
from postel.sim import Subject, World
from postel.sim.loop import Loop, run
from postel.tcp.events import Acceptable, Event
from postel.tcp.observer import Observer
from postel.times import MILLISECOND, SECOND
from postel.view import Trace, ladder

FAR = "10.0.0.2"


def joined(observer: Observer | None = None, seed: int = 1) -> tuple[World, Host, Host]:
    world = World(seed, observer=observer)
    near, far = world.host("near", "10.0.0.1/24"), world.host("far", f"{FAR}/24")
    world.path(near, far, delay=10 * MILLISECOND)
    return world, near, far


def here() -> Loop:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, Loop)
    return loop


async def talk_for_ever(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(b"x" * 5000)
        await writer.drain()
        await asyncio.sleep(0.005)


async def read_to_the_end(reader: asyncio.StreamReader) -> None:
    while await reader.read(1000):
        pass


@pytest.mark.parametrize("moment", [0.0, 0.001, 0.0123, 0.02, 0.033, 0.05, 0.4])
def test_after_a_crash_the_ladder_shows_no_packet_that_no_path_carried(moment: float) -> None:
    trace = Trace()
    world, near, far = joined(trace)
    carried: list[bytes] = []
    world.rules.append(lambda _number, octets, _sender, _now: carried.append(octets))
    errors: list[BaseException] = []

    async def main() -> None:
        async def serve() -> None:
            try:
                async with here().attach(far) as network:
                    server = await network.start_server(talk_for_ever, port=7)
                    await server.serve_forever()
            except OSError as error:
                errors.append(error)

        serving = asyncio.create_task(serve())
        async with here().attach(near) as client:
            await asyncio.sleep(0)
            reader, writer = await client.open_connection(FAR, 7)
            await asyncio.sleep(moment)
            new = world.restart(far)
            before = world.now
            writer.write(b"are you still there?")
            # The new host knows of no connection (RFC 9293, 3.5.1, figure 10)
            with pytest.raises(ConnectionResetError):
                await read_to_the_end(reader)
            assert world.now <= before + 3 * SECOND
            async with here().attach(new) as network:
                await network.start_server(talk_for_ever, port=7)
                again, _ = await client.open_connection(FAR, 7)
                assert await again.read(10)
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)

    run(main(), world)
    assert [packet.octets for packet in trace.packets if not packet.copy] == carried
    assert not [packet for packet in trace.packets if packet.lost == "not carried"]
    assert [isinstance(error, LinkError) for error in errors] == [True]
    assert "the host has crashed" in str(errors[0])


def test_a_program_on_a_host_that_crashed_hears_of_it_and_may_leave() -> None:
    world, near, far = joined()

    async def main() -> list[type[BaseException]]:
        heard: list[type[BaseException]] = []
        async with here().attach(far) as there, here().attach(near) as client:
            server = await there.start_server(talk_for_ever, port=7)
            reader, writer = await client.open_connection(FAR, 7)
            await reader.read(1)
            world.restart(near)
            for call in (reader.readexactly(1 << 20), client.open_connection(FAR, 7)):
                try:
                    await call
                except OSError as error:
                    heard.append(type(error))
            with pytest.raises(OSError, match="restarted"):
                await client.create_datagram_endpoint(asyncio.DatagramProtocol, remote_addr=(FAR, 9))
            writer.close()
            server.close()
        return heard

    assert all(issubclass(kind, OSError) for kind in run(main(), world))
    world.run()


def test_observers_hear_nothing_more_of_a_host_that_crashed() -> None:
    trace = Trace()
    world, near, far = joined(trace)
    far.listen(7, world.now)
    connection = near.connect(FAR, 7, world.now)
    world.run(until=SECOND)
    world.restart(near)
    order = trace.order
    connection.send(b"from the grave", world.now)
    while near.next_packet(world.now) is not None:
        pass
    connection.abort(world.now)
    near.handle_timeout(world.now + 10 * SECOND)
    assert trace.order == order


@pytest.mark.parametrize("kind", ["host", "restart", "restart itself", "path"])
@pytest.mark.parametrize("way", ["run", "pump"])
def test_an_application_may_change_the_world_that_calls_it(kind: str, way: str) -> None:
    world = World(1)
    made: list[Host] = []

    def application(subject: Subject, event: Event, now: int) -> None:
        if not isinstance(event, Acceptable):
            return
        if kind == "host":
            made.append(world.host(f"new {len(made)}", f"10.0.1.{len(made) + 1}/24"))
        elif kind == "path":
            world.path(a, b, delay=SECOND)
        else:
            made.append(world.restart(a if kind == "restart" else b))

    a = world.host("a", "10.0.0.1/24")
    b = world.host("b", f"{FAR}/24", application=application)
    world.path(a, b)
    b.listen(80, 0)
    a.connect(FAR, 80, 0)
    if way == "run":
        world.run(until=10 * SECOND)
    else:
        world.pump()
        while world.next_timeout() < 10 * SECOND:
            world.handle_timeout(world.next_timeout())
            world.pump()
    assert len(made) == (kind != "path")


def test_a_rule_and_a_path_may_change_while_packets_are_under_way() -> None:
    world, near, far = joined()
    far.listen(7, world.now)
    there, _ = world._one(near).paths[world._one(far)], None
    connection = near.connect(FAR, 7, world.now)
    world.run(until=5 * MILLISECOND)
    there.delay = 500 * MILLISECOND  # the SYN under way keeps its 10 ms
    world.run(until=25 * MILLISECOND)
    assert connection.state.name == "ESTABLISHED"
    connection.send(b"x", world.now)
    there.loss = 1.0
    world.run(until=2 * SECOND)
    assert connection.unacknowledged == 1
    there.loss, there.delay = 0.0, MILLISECOND
    world.run(until=10 * SECOND)
    assert connection.unacknowledged == 0


@pytest.mark.parametrize(
    "wrong", [("10.0.0.1/24",), ("10.0.0.9/24", "10.0.0.1/24"), ("10.0.0.9/24", "10.0.0.9/16"), ("nonsense",)]
)
def test_a_host_that_is_refused_leaves_nothing_behind(wrong: tuple[str, ...]) -> None:
    world, near, _far = joined()
    with pytest.raises(ArgumentError):
        world.host("new", *wrong)
    with pytest.raises(ArgumentError):
        world.host("new", "10.0.0.9/24", mtu=1)
    new = world.host("new", "10.0.0.9/24")
    world.path(near, new)
    assert world.name(new) == "new"


def test_a_packet_still_under_way_is_not_drawn_as_arrived() -> None:
    trace = Trace()
    world, near, far = joined(trace)
    far.listen(7, world.now)
    near.connect(FAR, 7, world.now)
    world.run(until=5 * MILLISECOND)
    picture = ladder.render(trace)
    assert "still under way" in picture
    assert "►" not in picture
    world.run(until=15 * MILLISECOND)
    assert "#1 SYN" in ladder.render(trace).split("►")[0]


def test_a_packet_that_left_a_host_outside_the_world_is_not_drawn_as_arrived() -> None:
    trace = Trace()
    world, near, far = joined(trace)
    far.listen(7, world.now)
    connection = near.connect(FAR, 7, world.now)
    world.run(until=SECOND)
    connection.send(b"x", world.now)
    octets = near.next_packet(world.now)  # by hand, so that no path carries it
    assert octets
    trace.packet_sent(octets, world.now)
    assert trace.packets[-1].lost == "not carried"
    assert "no path carried it" in ladder.render(trace)


async def counted(network: Network) -> int:
    return await asyncio.to_thread(sum, range(10)) + await asyncio.get_running_loop().run_in_executor(
        None, len, "abc"
    )


def test_threads_take_no_time_and_every_run_is_alike() -> None:
    def once() -> tuple[str, int]:
        trace = Trace()
        world, near, far = joined(trace)

        async def main() -> int:
            async with here().attach(far) as there, here().attach(near) as network:
                await there.start_server(talk_for_ever, port=7)
                reader, _ = await network.open_connection(FAR, 7)
                total = await counted(network)
                assert await reader.readexactly(2000)
                total += sum(await asyncio.gather(*(asyncio.to_thread(pow, 2, n) for n in range(5))))
                with pytest.raises(ZeroDivisionError):
                    await asyncio.to_thread(divmod, 1, 0)
                with pytest.raises(RuntimeError):
                    await asyncio.to_thread(next, iter(()))
                return total

        return str(run(main(), world)) + trace.to_json(), world.now

    first = once()
    assert first[0].startswith("79")
    assert all(once() == first for _ in range(20))


SETTINGS = {
    "delay": -1,
    "jitter": "x",
    "bandwidth": 1.5,
    "queue": None,
    "mtu": True,
    "hold": -2,
    "congested_at": b"",
    "loss": 2.0,
}
SETTINGS |= {"duplicate": "x", "corrupt": -0.1, "reorder": None, "congestion": True}


@pytest.mark.parametrize(("name", "wrong"), SETTINGS.items())
def test_a_setting_of_a_path_is_checked_whenever_it_is_given(name: str, wrong: object) -> None:
    world, near, far = joined()
    there, _ = world.path(near, far)
    before = getattr(there, name)
    with pytest.raises(ArgumentError, match=name):
        setattr(there, name, wrong)
    assert getattr(there, name) == before
    with pytest.raises(ArgumentError, match=name):
        world.path(near, far, **{name: wrong})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "call",
    [
        lambda world: world.host("new", 5),
        lambda world: world.host(5, "10.0.0.9/24"),
        lambda world: world.host("new", "10.0.0.9/24", application=5),
        lambda world: world.at("x", print),
        lambda world: world.at(1.5, print),
        lambda world: world.at(5, None),
        lambda world: world.run(until="x"),
        lambda world: world.run(until=0.5),
        lambda world: aio.attach(Host("10.0.0.9/24", secret=b"x"), None),  # type: ignore[arg-type]
        lambda world: aio.attach(None, pair()[0]),  # type: ignore[arg-type]
    ],
)
def test_an_argument_of_the_wrong_kind_is_refused_at_the_door(call: Callable[[World], object]) -> None:
    world, _near, _far = joined()
    with pytest.raises(ArgumentError):
        call(world)
    assert len(world._nodes) == 2
