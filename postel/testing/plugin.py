"""Functions of the pytest plugin: a world, a seed and a run for each test that uses the fixture ``world``.

`pytest_postel` calls these functions. A program that runs tests itself, as ``postel sim`` does, sets
``config.stash[RUN]`` between runs.
"""

import inspect
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Any, Final

import pytest

from postel.errors import ArgumentError
from postel.sim import Fault, Simulation
from postel.testing import failure
from postel.view.trace import Trace

__all__ = ["RUN", "Run"]


@dataclass(frozen=True)
class Run:
    """How a test runs: its seed, its faults, and whether a trace is kept.

    ``faults`` replace those that the seed would draw; with None the seed draws. The ladders in the report of
    a failure need a trace.
    """

    seed: int
    faults: Sequence[Fault] | None = None
    trace: bool = True


RUN: Final = pytest.StashKey[Run]()
"""Key of the `Run` in ``config.stash``. It is read each time that a world is made."""

_SIMULATION: Final = pytest.StashKey[Simulation]()  # the item's newest simulation, in its stash
_SETTINGS: Final = ("seed", "runs", "time_limit", "real_time_limit", "tolerated", "trace", "sealed")


def parametrize(metafunc: pytest.Metafunc) -> None:
    """Make a test for each seed if the mark has ``runs``, unless the command line has a seed.

    Raises ArgumentError.
    """
    settings = _marked(metafunc.definition)
    runs = settings.get("runs", 1)
    if not isinstance(runs, int) or runs < 1:
        raise ArgumentError("runs", runs, "1 or more")
    if runs > 1 and _commanded(metafunc.config) is None:
        first = settings.get("seed", 0)
        metafunc.parametrize(
            "world", range(first, first + runs), indirect=True, ids=lambda seed: f"seed={seed}"
        )


def world(request: pytest.FixtureRequest) -> Iterator[Simulation]:
    """Make the fixture ``world``: yield a new simulation, and close it at the end of the test."""
    simulation = _make(request.node, getattr(request, "param", None))
    yield simulation
    left = [] if simulation.failure is not None else simulation.left_open()
    simulation.close()
    if left:
        warnings.warn("\n  ".join(["the test has left open:", *left]), ResourceWarning, stacklevel=1)


def call(item: pytest.Function) -> object:
    """Run the test if it is a coroutine function, and return True. Otherwise return None: pytest runs it."""
    __tracebackhide__ = True
    simulation = item.funcargs.get("world")
    if not isinstance(simulation, Simulation):
        return None
    if hasattr(item.obj, "hypothesis"):
        _run_examples(item, item.obj.hypothesis)
        return None
    function = inspect.unwrap(item.obj)  # pytest-asyncio wraps the function in its automatic mode
    if not inspect.iscoroutinefunction(function):
        return None
    arguments = {name: item.funcargs[name] for name in item._fixtureinfo.argnames}
    simulation.run(function(**arguments))
    return True


def allow_examples(item: Any) -> None:  # noqa: ANN401 - an item of a Hypothesis test
    """Turn off Hypothesis's warning about the fixture ``world``, because each example has a new world."""
    from hypothesis import HealthCheck, settings  # noqa: PLC0415 - where its user has it

    function = inspect.unwrap(item.obj, stop=lambda one: hasattr(one, "_hypothesis_internal_use_settings"))
    function = getattr(function, "__func__", function)
    before = getattr(function, "_hypothesis_internal_use_settings", None) or settings()
    suppressed = {*before.suppress_health_check, HealthCheck.function_scoped_fixture}
    function._hypothesis_internal_use_settings = settings(
        before, suppress_health_check=suppressed, deadline=None
    )


def _run_examples(item: pytest.Function, hypothesis: Any) -> None:  # noqa: ANN401 - Hypothesis's handle
    """Give each example of a Hypothesis test a world of its own."""
    inner: Callable[..., Any] = hypothesis.inner_test
    if getattr(inner, "makes_worlds", False):
        return

    @wraps(inner)
    def example(*args: Any, **options: Any) -> Any:  # noqa: ANN401 - as the test's
        __tracebackhide__ = True
        with _make(
            item, getattr(item.callspec, "params", {}).get("world") if hasattr(item, "callspec") else None
        ) as simulation:
            options["world"] = simulation
            found = inner(*args, **options)
            return simulation.run(found) if inspect.iscoroutine(found) else found

    example.makes_worlds = True  # type: ignore[attr-defined]  # a mark on a function
    hypothesis.inner_test = example


def complete(item: pytest.Item, report: pytest.TestReport) -> None:
    """Add to the report of a failure: how to run it again, the waiting tasks, the faults, the ladders."""
    simulation = item.stash.get(_SIMULATION, None)
    if report.when != "call" or simulation is None:
        return
    numbers = {
        "seed": simulation.seed,
        "faults": "; ".join(map(str, simulation.scheduled)),
        "virtual": simulation.now,
    }
    item.user_properties.append(("postel", {**numbers, "segments": simulation.world.packets}))
    report.user_properties[:] = item.user_properties
    if report.failed:
        report.sections += failure.sections(simulation, item, is_searched=RUN in item.config.stash)


def _make(item: pytest.Item, seed: int | None) -> Simulation:
    settings = _marked(item)
    run = item.config.stash.get(RUN, None) or _commanded(item.config)
    if run is None:
        run = Run(settings.get("seed", 0) if seed is None else seed, trace=settings.get("trace", True))
    limits = {
        name: settings[name] for name in ("time_limit", "real_time_limit", "tolerated") if name in settings
    }
    sealed = settings.get("sealed", True)
    simulation = Simulation(run.seed, observer=Trace() if run.trace else None, sealed=sealed, **limits)
    simulation.replay = None if run.faults is None else list(run.faults)
    item.stash[_SIMULATION] = simulation
    return simulation


def _marked(item: pytest.Item) -> dict[str, Any]:
    """Settings of the test's marks; the nearest mark wins. Raises ArgumentError."""
    found: dict[str, Any] = {}
    for mark in item.iter_markers("postel"):
        unknown = [name for name in mark.kwargs if name not in _SETTINGS]
        if unknown or mark.args:
            raise ArgumentError(
                "pytest.mark.postel", (unknown or list(mark.args))[0], f"by keyword: {', '.join(_SETTINGS)}"
            )
        found = {**mark.kwargs, **found}
    return found


def _commanded(config: pytest.Config) -> Run | None:
    """`Run` for which the options of the command line ask; None if there are none."""
    seed, faults = config.getoption("--postel-seed"), config.getoption("--postel-faults")
    if seed is None and faults is None:
        return None
    chosen = None if faults is None else [Fault.parse(text) for text in faults.split(";") if text.strip()]
    return Run(0 if seed is None else seed, chosen)
