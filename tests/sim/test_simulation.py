"""Programs on computers of a world: names, crashes, restarts, failures, and how a run ends."""

import asyncio
import signal
import socket
import sys
import threading
from collections.abc import Awaitable, Callable, Coroutine, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from types import CodeType
from typing import Any

import pytest

from postel.errors import ArgumentError, BusyLoop, CallError, KindError, NothingLeft, TimeLimitReached
from postel.sim import Computer, Simulation
from postel.times import MILLISECOND, MINUTE, SECOND
from postel.view import Trace

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def two(seed: int = 1, **options: object) -> tuple[Simulation, Computer, Computer]:
    world = Simulation(seed, **options)  # type: ignore[arg-type]
    server, client = world.host("server"), world.host("client")
    world.path(server, client, delay=10 * MILLISECOND)
    return world, server, client


async def shout(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write((await reader.readline()).upper())
    writer.close()


async def serve(handler: Handler = shout) -> None:
    server = await asyncio.start_server(handler, port=7)
    await server.serve_forever()


async def ask(text: str = "hello\n", name: str = "server") -> str:
    reader, writer = await asyncio.open_connection(name, 7)
    try:
        writer.write(text.encode())
        return (await reader.read()).decode()
    finally:
        writer.close()


async def ask_for_ever() -> None:
    while True:
        await ask()


async def ask_until_answered() -> str:
    while True:
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(5):
                if answer := await ask():
                    return answer
        await asyncio.sleep(1)


def test_programs_find_each_other_by_the_names_of_their_computers() -> None:
    world, server, client = two()
    with world:
        server.run(serve)

        async def test() -> str:
            return await client.run(ask)

        assert world.run(test()) == "HELLO\n"
        assert world.now == 40 * MILLISECOND


def test_an_unknown_name_is_a_gaierror_that_says_which_there_are() -> None:
    world, _, client = two()

    async def test() -> None:
        with pytest.raises(socket.gaierror, match=r"'serve'.*server, client"):
            await client.run(ask, name="serve")

    with world:
        world.run(test())


def test_two_computers_have_the_same_port_and_addresses_of_their_own() -> None:
    world, server, client = two()
    with world:
        for computer in (server, client):
            computer.run(serve)

        async def test() -> list[str]:
            return [
                await client.run(ask, "a\n"),
                await server.run(ask, "b\n", name="client"),
                await client.run(ask, "c\n", name="fd00::1"),
            ]

        assert world.run(test()) == ["A\n", "B\n", "C\n"]
        assert server.addresses == ["10.0.0.1", "fd00::1"]
        assert client.addresses == ["10.0.0.2", "fd00::2"]


def test_a_name_is_given_once_and_an_unknown_computer_is_an_argument_error() -> None:
    world, server, _ = two()
    with world:
        with pytest.raises(ArgumentError, match="server"):
            world.host("server")
        with pytest.raises(ArgumentError, match="server, client"):
            world["nobody"]
        assert world["server"] is server


@pytest.mark.parametrize("moment", [0, 1, 15, 25, 35, 45, 1000])
def test_a_crash_ends_tasks_and_timers_and_nothing_leaves_after_it(moment: int) -> None:
    trace = Trace()
    world, server, client = two(observer=trace)
    lived: list[int] = []

    async def tick() -> None:
        asyncio.get_running_loop().call_later(0.2, lived.append, -1)
        while True:
            lived.append(world.now)
            await asyncio.sleep(0.001)

    async def stay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                writer.write(b"x" * 100)
                await asyncio.sleep(0.005)
        finally:
            writer.write(b"farewell")
            writer.close()
            await writer.wait_closed()
            lived.append(-2)

    server.run(tick)
    server.run(serve, stay)
    client.run(ask_until_answered)

    async def test() -> None:
        await asyncio.sleep(moment / 1000)
        server.crash()
        server.crash()
        await asyncio.sleep(60)

    with world:
        world.run(test())
    crashed_at = moment * MILLISECOND
    assert max(lived, default=0) <= crashed_at
    assert (-1 in lived) == (moment > 200)
    assert -2 not in lived
    sent = [packet.sent_at for packet in trace.packets if packet.source.address == b"\x0a\x00\x00\x01"]
    assert max(sent, default=0) <= crashed_at
    assert b"farewell" not in b"".join(packet.octets for packet in trace.packets)


def test_a_restart_calls_what_has_not_returned_and_the_peer_is_reset() -> None:
    world, server, client = two()
    starts: list[int] = []
    heard: list[str] = []

    async def count() -> None:
        starts.append(world.now)
        await serve(stay)

    async def once() -> None:
        starts.append(-1)

    async def stay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello")
        await reader.read()

    async def talk() -> str:
        while True:
            try:
                reader, writer = await asyncio.open_connection("server", 7)
                heard.append((await reader.readexactly(5)).decode())
                if len(heard) == 2:
                    writer.close()  # else a garbage collection before the world's end warns of it
                    return "twice"
                while True:
                    writer.write(b"ping")
                    await writer.drain()
                    await asyncio.sleep(1)
            except OSError as error:
                heard.append(type(error).__name__) if len(heard) > 2 else None

    server.run(once)
    server.run(count)

    async def test() -> str:
        result = client.run(talk)
        await asyncio.sleep(10)
        server.crash()
        await asyncio.sleep(5)
        server.restart()
        return await result

    with world:
        assert world.run(test()) == "twice"
    assert starts == [-1, 0, 15 * SECOND]
    assert heard == ["hello", "hello"]


def test_a_program_over_a_restart_has_the_result_of_its_last_call() -> None:
    world, _, client = two()
    calls: list[int] = []

    async def think() -> int:
        calls.append(world.now)
        await asyncio.sleep(10)
        return len(calls)

    async def test() -> int:
        program = client.run(think)
        await asyncio.sleep(5)
        client.crash()
        assert not program.done()
        with pytest.raises(CallError, match="think"):
            program.result()
        client.restart()
        with pytest.raises(CallError, match="crash"):
            client.restart()
        return await program

    with world:
        assert world.run(test()) == 2
    assert calls == [0, 5 * SECOND]


def test_software_may_crash_its_own_computer_and_ends_at_its_next_wait() -> None:
    world, server, _ = two()
    lived: list[str] = []

    async def suicidal() -> None:
        server.crash()
        lived.append("still in the same turn")
        await asyncio.sleep(1)
        lived.append("after the crash")

    async def test() -> None:
        server.run(suicidal)
        await asyncio.sleep(10)

    with world:
        world.run(test())
        assert lived == ["still in the same turn"]
        assert world.loop.tasks() == []


def test_a_paused_computer_stands_still_and_goes_on_where_it_was() -> None:
    world, server, client = two()
    ticks: list[int] = []

    async def tick() -> None:
        while True:
            await asyncio.sleep(1)
            ticks.append(world.now // SECOND)

    server.run(serve)
    server.run(tick)

    async def test() -> tuple[str, int]:
        await asyncio.sleep(2.5)
        server.pause()
        answer = client.run(ask)
        await asyncio.sleep(10)
        server.resume()
        text = await answer
        await asyncio.sleep(2)
        return text, world.now

    with world:
        text, now = world.run(test())
    assert text == "HELLO\n"
    assert 14 * SECOND < now < 16 * SECOND
    assert ticks == [1, 2, 12, 13, 14]


def test_an_exception_in_software_that_no_task_awaits_ends_the_run_with_the_computer_s_name() -> None:
    world, server, client = two()

    async def fail(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        raise ValueError("a bug in the server")

    server.run(serve, fail)

    async def test() -> None:
        with suppress(asyncio.CancelledError):
            await client.run(ask)
        await asyncio.sleep(600)

    with world:
        with pytest.raises(ValueError, match="a bug in the server") as told:
            world.run(test())
        assert "'server'" in told.value.__notes__[0]
        assert world.now < SECOND
        assert any("the test" in line for line in world.account)
        with pytest.raises(CallError, match="ended"):
            world.run(test())


def test_an_exception_goes_to_the_task_that_awaits_the_program() -> None:
    world, _, client = two()

    async def test() -> None:
        # asyncio's words where a name has two addresses
        with pytest.raises(OSError, match="Connect call failed"):
            await client.run(ask)

    with world:
        world.run(test())


def test_kinds_of_exceptions_may_be_tolerated() -> None:
    world, server, client = two(tolerated=(ConnectionError,))
    server.run(serve)

    async def test() -> None:
        failed = client.run(ask, name="10.0.0.2")
        await asyncio.sleep(1)
        assert failed.done()

    with world:
        world.run(test())


def test_a_callback_that_fails_ends_the_run() -> None:
    world, server, _ = two()

    async def call() -> None:
        asyncio.get_running_loop().call_later(1, {}.pop, "absent")
        await asyncio.sleep(10)

    async def test() -> None:
        await server.run(call)

    with world, pytest.raises(KeyError):
        world.run(test())


def test_a_run_in_which_every_task_waits_says_which_and_on_which_computer() -> None:
    world, server, client = two()

    async def wait_for_ever() -> None:
        await asyncio.Event().wait()

    server.run(wait_for_ever)

    async def test() -> None:
        await client.run(wait_for_ever)

    with world:
        with pytest.raises(NothingLeft) as told:
            world.run(test())
        assert "server: " in str(told.value)
        assert "client: " in str(told.value)
        assert "wait_for_ever at " in str(told.value)


def test_a_ticker_that_has_lost_its_wake_up_ends_at_the_limit_of_virtual_time() -> None:
    world, server, _ = two(time_limit=10 * MINUTE)

    async def tick() -> None:
        while True:  # noqa: ASYNC110 - a ticker
            await asyncio.sleep(1)

    server.run(tick)

    async def test() -> None:
        await asyncio.Event().wait()

    with world:
        with pytest.raises(TimeLimitReached, match="600 s") as told:
            world.run(test())
        assert "server: " in str(told.value)
        assert world.now == 600 * SECOND


def test_a_task_that_yields_and_never_waits_is_named() -> None:
    world, server, _ = two()

    async def spin() -> None:
        while True:  # noqa: ASYNC110
            await asyncio.sleep(0)

    server.run(spin)

    async def test() -> None:
        await asyncio.sleep(1)

    with world, pytest.raises(BusyLoop, match=r"server: .*spin"):
        world.run(test())


def test_a_deadline_that_a_callback_compares_itself_is_reached_when_its_timer_fires() -> None:
    """A callback that finds its own deadline not reached sets its timer again: by a rounding it would do so
    for ever.
    """
    world, _, _ = two()
    early: list[float] = []

    async def test() -> None:
        loop = asyncio.get_running_loop()
        for thousandth in range(1, 3000):
            deadline, fired = loop.time() + thousandth / 1000, loop.create_future()
            loop.call_at(deadline, fired.set_result, None)
            await fired
            if loop.time() < deadline:
                early.append(deadline)

    with world:
        world.loop.limit = 10**12
        world.run(test())
    assert early == []


def test_what_the_machine_has_is_refused_in_virtual_time() -> None:
    world, server, _ = two()
    refused: list[str] = []

    async def reach_out() -> None:
        loop = asyncio.get_running_loop()
        here, there = socket.socketpair()
        with here, there:
            for call in (
                asyncio.create_subprocess_exec("true"),
                asyncio.create_subprocess_shell("true"),
                asyncio.open_unix_connection("/nowhere"),
                asyncio.start_unix_server(shout, "/nowhere"),
                loop.connect_read_pipe(asyncio.Protocol, here),
                loop.connect_write_pipe(asyncio.Protocol, here),
            ):
                with pytest.raises(CallError, match="allowed: ") as told:
                    await call
                refused.append(str(told.value))
            for watch in (loop.add_reader, loop.add_writer):
                with pytest.raises(CallError, match="descriptor"):
                    watch(here, print)

    async def test() -> None:
        await server.run(reach_out)
        with pytest.raises(CallError, match="computer"):
            await asyncio.open_connection("server", 7)

    with world:
        world.run(test())
    assert len(refused) == 6


def test_what_is_no_coroutine_function_is_refused_where_it_is_given() -> None:
    world, server, _ = two()
    with world:
        with pytest.raises(KindError, match="function"):
            server.run(serve())  # type: ignore[arg-type]
        with pytest.raises(KindError, match="main"):
            world.run(serve)  # type: ignore[arg-type]


def test_leaving_the_block_ends_everything_at_once_even_what_refuses() -> None:
    world, server, _ = two()
    ended: list[str] = []

    async def stubborn() -> None:
        while True:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                ended.append("cancelled")

    async def leave() -> None:
        asyncio.get_running_loop().create_task(stubborn(), name="stubborn")
        server.run(stubborn)
        await asyncio.sleep(1)

    with world:
        world.run(leave())
        assert world.now == SECOND
    assert world.loop.is_closed()
    assert ended == ["cancelled"]  # the test's own task; a computer that is switched off doesn't cancel
    world.close()


def test_a_coroutine_that_never_yields_is_named_with_its_stack() -> None:
    world, server, _ = two(real_time_limit=0.2)

    def for_ever() -> None:
        while True:
            pass

    async def busy() -> None:
        try:
            for_ever()
        except Exception:  # noqa: BLE001 - which is not what ends it
            raise AssertionError from None

    server.run(busy)

    async def test() -> None:
        await asyncio.sleep(1)

    with world:
        with pytest.raises(BusyLoop, match="has not yielded") as told:
            world.run(test())
        assert "server: busy" in str(told.value)
        assert "for_ever at " in str(told.value)


def test_a_run_that_takes_too_long_in_real_time_ends() -> None:
    world, server, _ = two(real_time_limit=0.2, time_limit=10**15)

    async def tick() -> None:
        while True:  # noqa: ASYNC110
            await asyncio.sleep(1)

    server.run(tick)

    async def test() -> None:
        await asyncio.Event().wait()

    with world:
        with pytest.raises(TimeLimitReached, match=r"0\.2 s of real time") as told:
            world.run(test())
        assert "server: " in str(told.value)


class Probe(Coroutine[object, None, None]):
    """A coroutine that sleeps for ever, and notes the threads from which it is looked at."""

    def __init__(self) -> None:
        self.threads: set[int] = set()
        self._sleep = asyncio.sleep(10**8)

    @property
    def cr_code(self) -> CodeType:
        self.threads.add(threading.get_ident())
        return self._sleep.cr_code

    def send(self, value: None) -> object:
        return self._sleep.send(value)

    def throw(self, *error: Any) -> object:
        return self._sleep.throw(*error)

    def close(self) -> None:
        self._sleep.close()

    def __await__(self) -> Generator[object, None, None]:
        return self._sleep.__await__()


@pytest.mark.parametrize("in_main_thread", [True, False])
def test_a_report_is_written_by_the_thread_of_the_loop_alone(in_main_thread: bool) -> None:
    """Tasks and connections change while that thread runs: another one that lists them may find a dictionary
    that changes its size.
    """

    def run() -> None:
        probe = Probe()
        with Simulation(real_time_limit=0.2, time_limit=10**15) as world:
            world.paths(delay="1ms")
            world.host("server").run(serve)
            world.host("client").run(ask_for_ever)

            async def test() -> None:
                await asyncio.create_task(probe)

            with pytest.raises(TimeLimitReached, match="server: "):
                world.run(test())
        assert probe.threads == {threading.get_ident()}

    if in_main_thread:
        run()
    else:
        with ThreadPoolExecutor(1) as threads:
            threads.submit(run).result()


def test_signal_handlers_are_as_they_were_after_a_run() -> None:
    world, server, _ = two()
    before = signal.getsignal(signal.SIGTERM)

    async def handle() -> None:
        signal.signal(signal.SIGTERM, lambda *_: None)
        await asyncio.sleep(100)

    server.run(handle)

    async def test() -> None:
        await asyncio.sleep(1)
        server.crash()

    with world:
        world.run(test())
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_program_that_calls_exit_fails_the_run_and_not_the_process() -> None:
    world, server, _ = two()

    async def leave() -> None:
        sys.exit(3)

    async def test() -> None:
        server.run(leave)
        await asyncio.sleep(1)

    with world, pytest.raises(CallError, match=r"sys.exit\(3\)"):
        world.run(test())
