"""The pytest plugin: a world for each test that asks for one, seeds, runs, and the report of a failing
test.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
pytest_plugins = ["pytester"]

PROGRAMS = """
import asyncio
import pytest

async def shout(reader, writer):
    writer.write((await reader.readline()).upper())
    writer.close()

async def serve():
    await (await asyncio.start_server(shout, port=7)).serve_forever()

async def ask(name="server"):
    reader, writer = await asyncio.open_connection(name, 7)
    writer.write(b"hello\\n")
    try:
        return await reader.read()
    finally:
        writer.close()
"""


def outcome(pytester: pytest.Pytester, test: str, *options: str) -> pytest.RunResult:
    pytester.makepyfile(PROGRAMS + test)
    return pytester.runpytest_inprocess(
        "-p", "pytest_postel", "-p", "no:cacheprovider", "-p", "no:asyncio", *options
    )


def test_an_async_test_that_asks_for_a_world_runs_in_it(pytester: pytest.Pytester) -> None:
    done = outcome(
        pytester,
        """
async def test_world(world, tmp_path):
    assert tmp_path.exists()
    server, client = world.host("server"), world.host("client")
    world.path(server, client, delay="10ms")
    server.run(serve)
    answer = client.run(ask)
    with world.partition(server, client):
        await asyncio.sleep(60)
    assert await answer == b"HELLO\\n"
    assert 60 < asyncio.get_running_loop().time() < 130

class TestClass:
    async def test_method(self, world):
        await asyncio.sleep(3600 - 1)

def test_function_that_runs_its_world_itself(world):
    async def main():
        return await world.host("alone").run(asyncio.sleep, 5, "result")
    assert world.run(main()) == "result"

def test_without_a_world():
    pass
""",
    )
    done.assert_outcomes(passed=4)


def test_runs_are_tests_with_a_seed_each(pytester: pytest.Pytester) -> None:
    test = """
@pytest.mark.postel(seed=5, runs=3, time_limit="10s")
async def test_seeds(world):
    assert world.loop.limit == 10_000_000
    assert world.seed != 6
"""
    done = outcome(pytester, test, "-v")
    done.assert_outcomes(passed=2, failed=1)
    done.stdout.fnmatch_lines(
        ["*test_seeds?seed=5? PASSED*", "*test_seeds?seed=6? FAILED*", "*test_seeds?seed=7? PASSED*"]
    )
    done.stdout.fnmatch_lines(["pytest '*::test_seeds' --postel-seed 6"])
    once = outcome(pytester, test, "--postel-seed", "6", "-v")
    once.assert_outcomes(failed=1)
    once.stdout.fnmatch_lines(["*::test_seeds FAILED*"])


def test_the_report_says_what_waited_the_faults_and_the_connections(pytester: pytest.Pytester) -> None:
    done = outcome(
        pytester,
        """
@pytest.mark.postel(time_limit="1m")
async def test_lost(world):
    server, client = world.host("server"), world.host("client")
    world.path(server, client)
    server.run(serve)
    world.partition(client, server, both=False)
    await client.run(ask)
""",
    )
    done.assert_outcomes(failed=1)
    text = done.stdout.str()
    assert "TimeLimitReached: the simulation's limit of 60 s of virtual time" in text
    assert re.search(r"postel: what waited at 1m", text)
    assert re.search(r"client: ask in ask at .*test_the_report\w*\.py:\d+", text)
    assert "active: partition client -> server at 0s" in text
    assert re.search(r"postel: connections -*\n", text)
    assert re.search(r"SYN-SENT .*#1 SYN", text)
    (file,) = (pytester.path / ".postel").glob("*.pcapng")
    assert str(file) in text
    assert file.read_bytes()[:4] == b"\x0a\x0d\x0d\x0a"
    assert (pytester.path / ".postel" / ".gitignore").read_text() == "*\n"


@pytest.mark.parametrize(
    ("mark", "body", "error"),
    [
        ("", "await forever()", "NothingLeft"),
        ('time_limit="5s"', "await ticks()", "TimeLimitReached"),
        ("", "await spins()", "BusyLoop"),
        ("real_time_limit=0.5", "await hangs()", "BusyLoop"),
        ("real_time_limit=0.5", "hosted = world.host('a').run(hangs); await hosted", "BusyLoop"),
        ("real_time_limit=0.5", "await ticks()", "TimeLimitReached"),
        ("", "await world.host('a').run(fails)", "ValueError"),
        ("", "world.host('a').run(fails); await forever()", "ValueError"),
    ],
)
def test_the_traceback_of_a_failure_has_the_frames_of_the_program_alone(
    pytester: pytest.Pytester, mark: str, body: str, error: str
) -> None:
    pytester.makepyfile(
        elsewhere="""
import asyncio

async def forever():
    await asyncio.Event().wait()

async def ticks():
    while True:
        await asyncio.sleep(1e-3)

async def spins():
    while True:
        await asyncio.sleep(0)

async def hangs():
    while True:
        pass

async def fails():
    await asyncio.sleep(1)
    raise ValueError
"""
    )
    test = f"""
from elsewhere import *

@pytest.mark.postel({mark})
async def test_ends(world):
    {body}
"""
    done = outcome(pytester, test)
    shown = str(done.stdout).partition("- postel: ")[0]
    places = re.findall(r"^(\S+):\d+: (?:in )?(\w*)$", shown, re.MULTILINE)
    own = {
        f"{test_the_traceback_of_a_failure_has_the_frames_of_the_program_alone.__name__}.py",
        "elsewhere.py",
    }
    assert {Path(file).name for file, _ in places} <= own
    assert (Path(places[-1][0]).name, places[-1][1]) == ("elsewhere.py", error)


def test_the_packets_go_where_the_option_says(pytester: pytest.Pytester) -> None:
    done = outcome(
        pytester,
        """
async def test_lost(world):
    server, client = world.host("server"), world.host("client")
    world.path(server, client)
    await client.run(ask)
""",
        "--postel-pcapng",
        "here.pcapng",
    )
    done.assert_outcomes(failed=1)
    assert (pytester.path / "here.pcapng").exists()
    assert not (pytester.path / ".postel").exists()


def test_the_failure_of_a_computer_s_software_fails_the_test(pytester: pytest.Pytester) -> None:
    done = outcome(
        pytester,
        """
async def fail():
    raise ValueError("a bug")

async def test_fails(world):
    world.host("server").run(fail)
    await asyncio.sleep(10)

@pytest.mark.postel(tolerated=(ValueError,))
async def test_tolerates(world):
    world.host("server").run(fail)
    await asyncio.sleep(10)
""",
    )
    done.assert_outcomes(failed=1, passed=1)
    done.stdout.fnmatch_lines(["*ValueError: a bug", "*in fail on the computer 'server', at 0 s*"])


def test_a_mark_with_a_setting_that_there_is_not_is_an_error_that_names_those_that_there_are(
    pytester: pytest.Pytester,
) -> None:
    done = outcome(
        pytester,
        """
@pytest.mark.postel(sead=5)
async def test_typo(world):
    pass
""",
    )
    assert "allowed: by keyword: seed, runs, time_limit" in done.stdout.str()


def test_each_example_of_hypothesis_has_a_world_of_its_own(pytester: pytest.Pytester) -> None:
    done = outcome(
        pytester,
        """
from hypothesis import given, settings, strategies as st
worlds = []

@settings(max_examples=20, database=None)
@given(seconds=st.integers(0, 50))
async def test_sleeps(world, seconds):
    worlds.append(world)
    world.host("server")
    await asyncio.sleep(seconds)
    assert asyncio.get_running_loop().time() < 20

@settings(max_examples=5, database=None)
@given(st.data())
def test_synchronous(world, data):
    world.run(asyncio.sleep(data.draw(st.integers(0, 50))))

def test_worlds():
    assert len(worlds) == len(set(worlds)) > 3
""",
    )
    done.assert_outcomes(failed=1, passed=2)
    done.stdout.fnmatch_lines(["*seconds=20,*"])


@pytest.mark.parametrize(
    "options", [("-p", "asyncio", "-o", "asyncio_mode=auto"), ("-p", "asyncio", "-o", "asyncio_mode=strict")]
)
def test_it_stands_beside_pytest_asyncio_and_anyio(
    pytester: pytest.Pytester, options: tuple[str, ...]
) -> None:
    pytest.importorskip("pytest_asyncio")
    pytester.makepyfile("""
import asyncio, pytest

async def test_world(world):
    await asyncio.sleep(3000)
    assert type(asyncio.get_running_loop()).__module__ == "postel.sim.loop"

@pytest.mark.asyncio
async def test_asyncio():
    await asyncio.sleep(0)
    assert type(asyncio.get_running_loop()).__module__ != "postel.sim.loop"

@pytest.fixture
def anyio_backend():
    return "asyncio"

@pytest.mark.anyio
async def test_anyio():
    assert type(asyncio.get_running_loop()).__module__ != "postel.sim.loop"
""")
    arguments = [argument for argument in options if argument not in ("-p", "asyncio")]
    command = [sys.executable, "-m", "pytest", "-p", "pytest_postel", "-p", "no:cacheprovider", *arguments]
    done = subprocess.run(
        command,
        cwd=pytester.path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert re.search(r"\d passed", done.stdout), done.stdout + done.stderr
    assert "failed" not in done.stdout, done.stdout


def test_without_a_world_pytest_imports_nothing_of_postel() -> None:
    """Coverage of the core would miss what is imported before it starts, and everyone's start would be
    slower.
    """
    program = (
        "import pytest_postel, sys; print([name for name in sys.modules if name.partition('.')[0] in "
        "('postel', 'asyncio')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_a_test_that_leaves_something_open_is_told_what(pytester: pytest.Pytester) -> None:
    done = outcome(
        pytester,
        """
async def poll():
    while True:
        await asyncio.sleep(1)

async def start():
    asyncio.get_running_loop().kept = asyncio.create_task(poll(), name="the poller")

async def connect():
    asyncio.get_running_loop().kept = await asyncio.open_connection("server", 7)

async def start_serving():
    await asyncio.start_server(shout, port=7)

async def test_own_task(world):
    world.kept = asyncio.create_task(poll(), name="the test's poller")

async def test_task(world):
    await world.host("client").run(start)

async def test_connection(world):
    server, client = world.host("server"), world.host("client")
    world.path(server, client)
    await server.run(start_serving)
    await client.run(connect)
    for _, writer in [asyncio.get_running_loop().kept]:
        writer.transport._closing = True  # else asyncio complains, too

async def test_nothing(world):
    server, client = world.host("server"), world.host("client")
    world.path(server, client)
    server.run(serve)
    assert await client.run(ask) == b"HELLO\\n"
""",
        "-W",
        "error::ResourceWarning",
    )
    done.assert_outcomes(passed=4, errors=3)
    text = done.stdout.str()
    assert "the test has left open:" in text
    assert "the test's poller in poll at " in text
    assert "client: the poller in poll at " in text
    assert re.search(r"client: the connection 10.0.0.2:\d+ to 10.0.0.1:7: ESTABLISHED", text)
