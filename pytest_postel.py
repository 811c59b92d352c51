"""Postel's pytest plugin: the fixture ``world``, the mark ``postel`` and three command line options.

The plugin imports the package postel only when a test uses ``world``, so that test runs without it don't pay
for the import.
"""

from collections.abc import Iterator
from typing import Any

import pytest

MARK = (
    "postel(seed=0, runs=1, time_limit='1h', real_time_limit=120.0, tolerated=(), trace=True, sealed=True): "
    "options of a test that uses the fixture world: the seeds with which it runs, how long it may take, "
    "and the exceptions in its computers' software that don't fail it"
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options `--postel-seed`, `--postel-faults` and `--postel-pcapng`."""
    group = parser.getgroup("postel", "Postel's worlds")
    group.addoption(
        "--postel-seed", type=int, metavar="N", help="run each test with a world once, with this seed"
    )
    group.addoption(
        "--postel-faults",
        metavar="TEXT",
        help='inject these faults, not random ones, such as "partition client -> server at 2s for 3s; …"',
    )
    group.addoption(
        "--postel-pcapng",
        metavar="FILE",
        help="write the packets of the failed test to FILE instead of a file in .postel/",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Register the mark ``postel``."""
    config.addinivalue_line("markers", MARK)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make a test for each run of a test with ``runs=100``: each has a seed and fixtures of its own."""
    if "world" in metafunc.fixturenames and metafunc.definition.get_closest_marker("postel") is not None:
        from postel.testing import plugin  # noqa: PLC0415 - only where a test needs it

        plugin.parametrize(metafunc)


def pytest_itemcollected(item: pytest.Item) -> None:
    """Let a Hypothesis test use the fixture ``world``, with a new world for each example."""
    if "world" in getattr(item, "fixturenames", ()) and hasattr(getattr(item, "obj", None), "hypothesis"):
        from postel.testing import plugin  # noqa: PLC0415 - only where a test needs it

        plugin.allow_examples(item)


@pytest.fixture
def world(request: pytest.FixtureRequest) -> Iterator[Any]:
    """A sealed `postel.sim.Simulation`: a simulated network in virtual time, repeatable from a seed."""
    from postel.testing import plugin  # noqa: PLC0415 - only where a test needs it

    yield from plugin.world(request)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> object:
    """Run an ``async def`` test that uses ``world`` inside its world.

    Other tests are left to pytest and other plugins.
    """
    if "world" not in pyfuncitem.fixturenames:
        return None
    from postel.testing import plugin  # noqa: PLC0415 - only where a test needs it

    __tracebackhide__ = True
    return plugin.call(pyfuncitem)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Any:  # noqa: ANN401 - pluggy wants a generator here
    """Add a description of what happened in the world to the report of a failed test."""
    report: pytest.TestReport = yield
    if "world" in getattr(item, "fixturenames", ()):
        from postel.testing import plugin  # noqa: PLC0415 - only where a test needs it

        plugin.complete(item, report)
    return report
