"""Whatever a caller gives to a world, to a fault or to a rule is taken or refused by an ArgumentError, never
by another exception.
"""

import inspect
from collections.abc import Callable
from contextlib import suppress

import pytest

from postel.errors import ArgumentError
from postel.sim import Fault, PathSettings, World, where
from postel.testing.post import Post

JUNK = [
    None,
    5,
    -1,
    1.5,
    True,
    "",
    "x",
    b"x",
    [],
    [5],
    {},
    object(),
    (1, 2),
    float("nan"),
    list,
    "10ms",
    ["a"],
    1 << 70,
]
BARRIERS = ("partition", "hold", "repair", "release")
CALLS: dict[str, Callable[[World, object], object]] = {
    **{
        name: lambda world, junk, name=name: getattr(world, name)(junk)  # type: ignore[misc]
        for name in (
            "partition",
            "hold",
            "repair",
            "release",
            "crash",
            "restart",
            "pause",
            "resume",
            "is_crashed",
            "schedule",
            "begin",
            "mesh",
            "host",
        )
    },
    **{
        f"{name} to": lambda world, junk, name=name: getattr(world, name)("a", junk)  # type: ignore[misc]
        for name in (*BARRIERS, "slow", "path", "mesh")
    },
    **{
        f"{name} both": lambda world, junk, name=name: getattr(world, name)("a", "b", both=junk)  # type: ignore[misc]
        for name in BARRIERS
    },
    **{
        f"path {name}": lambda world, junk, name=name: world.path("a", "b", **{name: junk})  # type: ignore[misc]
        for name in PathSettings.__annotations__
    },
    **{
        f"change {name}": lambda world, junk, name=name: world.change_path("a", "b", **{name: junk})  # type: ignore[misc]
        for name in PathSettings.__annotations__
    },
    **{
        f"fault {name}": lambda world, junk, name=name: Fault(
            **{"kind": "partition", "hosts": "a", name: junk}
        )  # type: ignore[misc]
        for name in ("kind", "hosts", "others", "both", "at", "length", "settings")
    },
    **{
        f"where {name}": lambda world, junk, name=name: where(**{name: junk})  # type: ignore[misc]
        for name in inspect.signature(where).parameters
    },
    **{
        f"rule {name}": lambda world, junk, name=name: getattr(where(), name)(junk)  # type: ignore[misc]
        for name in ("delay", "duplicate", "corrupt", "becomes")
    },
    "flap": lambda world, junk: world.flap("a", "b", up=junk, down="1s"),  # type: ignore[arg-type]
    "run": lambda world, junk: world.run(junk if junk != 1 << 70 else -1),  # type: ignore[arg-type]
    "at": lambda world, junk: world.at(junk, list),  # type: ignore[arg-type]
    "call": lambda world, junk: world.at(1, junk),  # type: ignore[arg-type]
    "time": lambda world, junk: world.handle_timeout(junk),  # type: ignore[arg-type]
    "seed": lambda world, junk: World(junk),  # type: ignore[arg-type]
    "default": lambda world, junk: World(default_path=junk),  # type: ignore[arg-type]
    "parse": lambda world, junk: Fault.parse(junk),  # type: ignore[arg-type]
    "delay": lambda world, junk: world.in_flight()[0].delay(junk),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("call", CALLS)
def test_junk_is_taken_or_refused(call: str) -> None:
    for junk in JUNK:
        post = Post()
        post.send("a", "b", "under way")
        with suppress(ArgumentError):
            CALLS[call](post.world, junk)
