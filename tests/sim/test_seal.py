"""Sealed worlds: what Python's clocks and chance are for programs, that everything is set back, and what is
refused.
"""

import asyncio
import datetime as dt
import os
import random
import secrets
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime as imported_datetime
from random import randint as imported_randint
from time import monotonic as imported_monotonic
from time import time as imported_time
from typing import Any

import pytest

from postel.errors import CallError
from postel.sim import Computer, Simulation

EPOCH = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


def defaulted(
    clock: Callable[[], float] = time.monotonic, *, wall: Callable[[], float] = time.time
) -> tuple[float, float]:
    return clock(), wall()


def in_world(
    *programs: Callable[[], Awaitable[Any]],
    seed: int = 1,
    prepare: Callable[[Computer], None] = lambda _: None,
) -> list[Any]:
    """What each returns, on a computer of its own."""
    with Simulation(seed, time_limit="2d").seal() as world:
        computers = [world.host(f"host{number}") for number in range(len(programs))]
        for computer in computers:
            prepare(computer)

        async def test() -> list[Any]:
            started = [computer.run(program) for computer, program in zip(computers, programs, strict=True)]  # type: ignore[arg-type]
            return [await one for one in started]

        return world.run(test())


def chances() -> list[object]:
    return [
        random.random(), random.randint(1, 10**9), random.sample(range(1000), 3), random.gauss(),
        random.Random().random(),
        imported_randint(1, 10**9), random.SystemRandom().random(), secrets.token_hex(),
        secrets.randbelow(10**9), os.urandom(8),
        os.getrandom(8), uuid.uuid4(), uuid.uuid1(), uuid.getnode(),
    ]  # fmt: skip


async def chance() -> list[object]:
    return chances()


def test_every_clock_is_the_world_s() -> None:
    names = ("time", "monotonic", "perf_counter", "process_time", "thread_time")

    async def measure() -> list[list[float]]:
        def clocks() -> list[float]:
            seconds = [getattr(time, name)() for name in names] + [
                getattr(time, f"{name}_ns")() / 10**9 for name in names
            ]
            seconds += [
                time.clock_gettime(time.CLOCK_REALTIME),
                time.clock_gettime(time.CLOCK_MONOTONIC),
                time.clock_gettime_ns(1) / 10**9,
            ]
            seconds += [imported_time(), imported_monotonic(), *defaulted()]
            seconds += [
                each.timestamp()
                for each in (dt.datetime.now(dt.UTC), dt.datetime.today(), imported_datetime.now())
            ]
            return [
                *seconds,
                dt.datetime.now().timestamp(),
                time.mktime(time.localtime()),
                time.mktime(time.gmtime()),
            ]

        first = clocks()
        await asyncio.sleep(3600)
        return [first, clocks()]

    ((before, after),) = in_world(measure)
    assert [later - earlier for earlier, later in zip(before, after, strict=True)] == pytest.approx(
        [3600] * len(before), abs=1e-5
    )
    assert before[0] == EPOCH.timestamp()
    assert before[1] == 0


def test_dates_and_texts_of_now_are_the_world_s() -> None:
    async def tell() -> list[object]:
        await asyncio.sleep(86400)
        return [
            dt.date.today(),
            dt.datetime.now(dt.UTC).isoformat(),
            time.strftime("%Y-%m-%d"),
            time.ctime(),
            time.asctime(),
        ]

    ((day, moment, text, *others),) = in_world(tell)
    assert day == dt.date(2026, 1, 2)
    assert moment == "2026-01-02T00:00:00+00:00"
    assert text == "2026-01-02"
    assert all(other.startswith("Fri Jan  2") for other in others)


def test_a_moment_is_of_the_type_that_it_always_was() -> None:
    class Special(dt.datetime):
        pass

    async def tell() -> list[type]:
        return [
            type(dt.datetime.now()),
            type(Special.now()),
            type(Special.now(dt.UTC)),
            type(dt.date.today()),
        ]

    ((now, special, aware, today),) = in_world(tell)
    assert now is dt.datetime
    assert special is aware is Special
    assert today is dt.date


def test_the_methods_of_dates_are_the_same_objects_in_every_run() -> None:
    """Python's caches hold them without a reference: a thread that runs while they are exchanged would call a
    method that was freed.
    """

    async def methods() -> list[object]:
        return [vars(dt.datetime)[name] for name in ("now", "utcnow")]

    before = [vars(dt.datetime)[name] for name in ("now", "utcnow")]
    first, second = in_world(methods), in_world(methods)
    assert all(one is other for one, other in zip(first[0], second[0], strict=True))
    assert [vars(dt.datetime)[name] for name in ("now", "utcnow")] == before
    assert before != first[0]


def test_chance_is_seeded_and_each_computer_s_own() -> None:
    first, second = in_world(chance, chance)
    assert in_world(chance, chance) == [first, second]
    assert all(one != other for one, other in zip(first, second, strict=True))
    (elsewhere,) = in_world(chance, seed=2)
    assert all(one != other for one, other in zip(first[:-1], elsewhere[:-1], strict=True))


def test_a_uuid_of_time_has_the_world_s_and_is_never_given_twice() -> None:
    async def several() -> list[uuid.UUID]:
        return [uuid.uuid1() for _ in range(100)]

    (made,) = in_world(several)
    assert len(set(made)) == 100
    assert (made[0].time - 0x01B21DD213814000) // 10**7 == EPOCH.timestamp()
    assert made[0].version == 1
    assert made[0].node >> 40 & 1


def test_the_clocks_of_a_computer_may_be_wrong() -> None:
    def skew(computer: Computer) -> None:
        if computer.name == "host0":
            computer.clock.jump("1h")
            computer.clock.drift = 1000  # 1 ms a second

    async def read() -> tuple[float, float]:
        await asyncio.sleep(100)
        return time.time() - EPOCH.timestamp(), time.monotonic()

    (wrong, right) = in_world(read, read, prepare=skew)
    assert wrong == pytest.approx((3700.1, 100.1), abs=1e-6)
    assert right == pytest.approx((100, 100), abs=1e-6)


def test_the_test_s_own_tasks_have_the_world_s_time_and_a_chance_of_their_own() -> None:
    async def test() -> tuple[float, float]:
        await asyncio.sleep(5)
        return time.monotonic(), random.random()

    results = []
    for _ in range(2):
        with Simulation(3).seal() as world:
            results.append(world.run(test()))
    assert results[0] == results[1]
    assert results[0][0] == 5


def originals() -> list[object]:
    found: list[object] = [
        vars(module).get(name) for module in (time, random, os, uuid, socket) for name in dir(module)
    ]
    found += [
        random.Random.seed,
        threading.Thread.start,
        subprocess.Popen.__init__,
        socket.socket.connect,
        socket.socket.connect_ex,
    ]
    found += [
        imported_time,
        imported_monotonic,
        imported_randint,
        defaulted.__defaults__,
        defaulted.__kwdefaults__,
        dt.datetime.now,
    ]
    return [
        *found,
        dt.datetime.__dict__["now"],
        dt.datetime.__dict__["utcnow"],
        "connect" in vars(socket.socket),
    ]


def test_everything_is_set_back_whatever_happens() -> None:
    before = originals()

    async def fail() -> None:
        assert time.time is not before
        raise ValueError("a bug")

    for program in (chance, fail):
        with suppress(ValueError):
            in_world(program)
        assert [one == other for one, other in zip(originals(), before, strict=True)] == [True] * len(before)
    assert abs(time.time() - dt.datetime.now().timestamp()) < 10


def test_a_module_that_is_imported_meanwhile_is_set_back_too(tmp_path: Any) -> None:
    (tmp_path / "imported_in_a_sealed_world.py").write_text(
        "from time import monotonic\nfrom random import random\n"
    )
    sys.path.insert(0, str(tmp_path))
    try:

        async def load() -> float:
            await asyncio.sleep(9)
            from imported_in_a_sealed_world import monotonic  # type: ignore[import-not-found] # noqa: PLC0415

            return float(monotonic())

        assert in_world(load) == [9]
        import imported_in_a_sealed_world as module  # type: ignore[import-not-found] # noqa: PLC0415

        assert module.monotonic is time.monotonic
        assert module.random == random.random
    finally:
        sys.path.remove(str(tmp_path))
        sys.modules.pop("imported_in_a_sealed_world", None)


def test_what_a_module_does_while_it_is_imported_is_no_part_of_the_run(tmp_path: Any) -> None:
    """It would be done in the first of several runs alone."""
    source = (
        "import random, subprocess, sys\nrandom.random()\nsubprocess.run([sys.executable, '-c', ''], "
        "check=True)\n"
    )
    (tmp_path / "imported_once.py").write_text(source)
    sys.path.insert(0, str(tmp_path))
    try:

        async def load() -> float:
            import imported_once  # type: ignore[import-not-found] # noqa: F401, PLC0415

            return random.random()

        assert in_world(load) == in_world(load)
    finally:
        sys.path.remove(str(tmp_path))
        sys.modules.pop("imported_once", None)


def test_other_threads_keep_their_time() -> None:
    told: list[float] = []
    asked, answered = threading.Event(), threading.Event()

    def look() -> None:
        asked.wait(60)
        told.append(time.time())
        answered.set()

    thread = threading.Thread(target=look)
    thread.start()

    async def ask() -> None:
        asked.set()
        answered.wait(60)

    in_world(ask)
    thread.join()
    assert abs(told[0] - time.time()) < 100


@pytest.mark.parametrize(
    ("call", "instead"),
    [
        (lambda: time.sleep.__call__(1), "asyncio.sleep"),
        (lambda: threading.Thread(target=print).start(), "to_thread"),
        (lambda: subprocess.run(["true"], check=False), "computer.run"),
        (lambda: os.system("true"), "computer.run"),
        (lambda: socket.create_connection(("127.0.0.1", 9)), "sock_connect"),
        (lambda: socket.getaddrinfo("example.org", 80), "loop.getaddrinfo"),
    ],
)
def test_what_blocks_or_leaves_the_world_is_refused_and_the_error_says_what_to_do(
    call: Callable[[], object], instead: str
) -> None:
    async def attempt() -> str:
        with pytest.raises(CallError) as told:
            call()
        return str(told.value)

    (text,) = in_world(attempt)
    assert "in a sealed world; allowed: " in text
    assert instead in text


def test_names_of_the_own_computer_and_addresses_are_answered() -> None:
    async def ask() -> list[object]:
        return [
            socket.gethostname(),
            socket.getfqdn(),
            socket.getaddrinfo("10.0.0.1", 80)[0][4],
            socket.getaddrinfo(None, 80, socket.AF_INET)[0][4],
        ]

    assert in_world(ask) == [["host0", "host0", ("10.0.0.1", 80), ("127.0.0.1", 80)]]


def test_work_for_threads_is_done_at_once_by_asyncio_and_by_anyio() -> None:
    anyio = pytest.importorskip("anyio")

    async def work() -> list[object]:
        found: list[object] = []
        for _ in range(3):
            found += [await asyncio.to_thread(chances), await anyio.to_thread.run_sync(chances)]
        with pytest.raises(ZeroDivisionError):
            await anyio.to_thread.run_sync(lambda: 1 // 0)
        return [*found, time.monotonic()]

    runs = [in_world(work) for _ in range(3)]
    assert runs[0] == runs[1] == runs[2]
    assert runs[0][0][-1] == 0


def test_tenacity_stops_after_a_minute_of_the_world() -> None:
    tenacity = pytest.importorskip("tenacity")
    tries: list[float] = []

    async def retry() -> None:
        stop = tenacity.stop_after_delay(60) | tenacity.stop_after_attempt(1000)
        async for attempt in tenacity.AsyncRetrying(stop=stop, wait=tenacity.wait_fixed(1), reraise=True):
            with attempt:
                tries.append(time.monotonic())
                await asyncio.open_connection("host0", 7)

    with pytest.raises(OSError, match="Connect call failed"):
        in_world(retry)
    assert tries == pytest.approx(list(range(61)), abs=0.01)
