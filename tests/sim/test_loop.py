"""asyncio in virtual time: programs as they are, a clock that jumps, and an error that lists the waiting
tasks when nothing can come any more.
"""

import asyncio
import time

import pytest

from postel.aio import Network
from postel.errors import NothingLeft
from postel.host.host import Host
from postel.sim import World, dropping
from postel.sim.loop import Loop, run
from postel.times import HOUR, MILLISECOND, SECOND
from postel.view import Trace

FAR = "10.0.0.2"


def joined(seed: int = 1, *, observer: Trace | None = None, loss: float = 0.0) -> tuple[World, Host, Host]:
    world = World(seed, observer=observer)
    near, far = world.host("near", "10.0.0.1/24"), world.host("far", f"{FAR}/24")
    world.path(near, far, delay=10 * MILLISECOND, loss=loss)
    return world, near, far


def here() -> Loop:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, Loop)
    return loop


async def shout(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write((await reader.read()).upper())
    writer.close()


async def exchanged(near: Network, text: bytes) -> bytes:
    reader, writer = await near.open_connection(FAR, 7)
    writer.write(text)
    writer.write_eof()
    answer = await reader.read()
    writer.close()
    return answer


def shouted(text: bytes, *, seed: int = 1, loss: float = 0.0) -> tuple[bytes, Trace, World]:
    trace = Trace()
    world, near, far = joined(seed, observer=trace, loss=loss)

    async def main() -> bytes:
        async with here().attach(far) as server, here().attach(near) as client:
            await server.start_server(shout, port=7)
            return await exchanged(client, text)

    return run(main(), world), trace, world


def test_sleeping_takes_no_time_and_ends_to_the_microsecond() -> None:
    world, _, _ = joined()
    began = time.monotonic()

    async def main() -> list[int]:
        moments = []
        for length in (0.000_001, 0.29, 3600, 86_400.000_007):
            await asyncio.sleep(length)
            moments.append(world.now)
        return moments

    first, second, third, fourth = run(main(), world)
    assert (first, second, third) == (1, 290_001, HOUR + 290_001)
    assert fourth == third + 24 * HOUR + 7
    assert time.monotonic() - began < 10


def test_timers_of_the_loop_and_arrivals_come_in_their_order() -> None:
    world, near, far = joined()
    heard: list[tuple[str, int]] = []

    class Ear(asyncio.DatagramProtocol):
        def datagram_received(self, data: bytes, addr: object) -> None:
            heard.append((data.decode(), world.now))

    async def main() -> None:
        async with here().attach(far) as there, here().attach(near) as network:
            await there.create_datagram_endpoint(Ear, ("0.0.0.0", 9))
            transport, _ = await network.create_datagram_endpoint(
                asyncio.DatagramProtocol, remote_addr=(FAR, 9)
            )
            here().call_later(0.005, lambda: heard.append(("timer", world.now)))
            transport.sendto(b"datagram")
            await asyncio.sleep(0.02)

    run(main(), world)
    assert heard == [("timer", 5 * MILLISECOND), ("datagram", 10 * MILLISECOND)]


def test_a_program_for_any_link_runs_and_its_trace_knows_every_packet_s_way() -> None:
    answer, trace, _ = shouted(b"hello")
    assert answer == b"HELLO"
    assert [flow.names[end] for flow in trace.flows for end in flow.ends] == ["near", "far"]
    assert all(packet.arrived_at - packet.sent_at == 10 * MILLISECOND for packet in trace.packets)


def test_loss_is_repaired_and_the_same_seed_gives_the_same_run() -> None:
    text = bytes(range(97, 123)) * 4000
    answer, trace, _ = shouted(text, loss=0.05)
    assert answer == text.upper()
    assert any(packet.lost for packet in trace.packets)
    again = shouted(text, loss=0.05)[1]
    assert again.to_json() == trace.to_json()
    assert shouted(text, seed=2, loss=0.05)[1].to_json() != trace.to_json()


def test_what_is_left_of_a_host_goes_on_in_the_world() -> None:
    _, trace, world = shouted(b"hello")
    states = {str(change.after) for change in trace.flows[0].changes}
    assert "TIME-WAIT" in states
    ended = world.now
    world.run()
    assert world.now >= ended + 200 * SECOND
    assert set(map(str, trace.flows[0].states.values())) == {"CLOSED"}


def test_the_world_s_rules_and_calls_work_as_ever() -> None:
    world, near, far = joined()
    world.rules.append(dropping(1))
    called: list[int] = []
    world.at(3 * MILLISECOND, lambda: called.append(world.now))

    async def main() -> bytes:
        async with here().attach(far) as server, here().attach(near) as client:
            await server.start_server(shout, port=7)
            return await exchanged(client, b"hello")

    assert run(main(), world) == b"HELLO"
    assert called == [3 * MILLISECOND]
    assert world.now > SECOND  # the SYN went twice


def test_when_nothing_is_left_to_happen_it_is_told_who_waits_and_for_what() -> None:
    world, near, far = joined()

    async def wait_for_ever(network: Network) -> None:
        reader, _ = await network.open_connection(FAR, 7)
        await reader.read()

    async def keep(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async def main() -> None:
        async with here().attach(far) as server, here().attach(near) as client:
            await server.start_server(keep, port=7)
            await asyncio.create_task(wait_for_ever(client), name="the reader")

    with pytest.raises(NothingLeft) as told:
        run(main(), world)
    text = str(told.value)
    assert "the reader in " in text
    assert "wait_for_ever at " in text
    assert "10.0.0.1:" in text
    assert ": ESTABLISHED" in text


def test_another_thread_is_heard_and_a_closed_wire_carries_nothing() -> None:
    world, near, _ = joined()

    async def main() -> str:
        network = here().attach(near)
        async with network:
            pass
        with pytest.raises(OSError, match="closed"):
            network.link.send(b"x", b"", 0)
        with pytest.raises(OSError, match="octets"):
            network.link.send(bytes(2000), b"", 0)
        told: asyncio.Future[str] = here().create_future()
        here().call_soon_threadsafe(told.set_result, "heard")
        return await told

    assert run(main(), world) == "heard"
