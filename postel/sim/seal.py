"""Seal of a simulation: Python's clocks and random numbers are those of the world while its programs run.

Theory of operation
-------------------

A program asks many functions for the time or for chance: `time.time`, `datetime.now`, `random.random`,
`os.urandom`, `uuid.uuid4`. In a world each must answer by the clock and the seed of the computer on which it
is called, or two runs of one seed differ. So the functions are replaced while the programs run, and set back
afterwards::

    Simulation.run  --> begin   each function of `_functions` is replaced, wherever it is held
                        program runs:  time.time() --> the replacement
                                          |-- a task of a sealed loop calls: its computer's clock
                                          |-- else: the original
                    --> end     all is set back

- *Where functions are held.* ``from time import time`` gives another module the function itself, and so does
  a default argument. `postel.sim.holders` looks through all modules once, and replaces the function in each
  place.
- *Methods* of classes, such as ``threading.Thread.start``, are replaced in their classes (`_methods`).
- *``datetime.now``* is a method of a type that is written in C; see below.
- *Which computer calls.* The context of the running task has its network (`postel.aio.network.current`), and
  `Loop.places` has a `Place` for each network. Code that isn't part of the run gets the originals: other
  threads, tools that measure a test, and modules that are just being imported.
- *What can't be made virtual* is refused, with an error that says what to do instead: `time.sleep`, threads,
  subprocesses, connections of the machine and blocking look-ups (`postel.sim.refused`).
"""

import ctypes
import datetime as dt
import gc
import os
import random
import socket
import ssl
import subprocess
import sys
import threading
import time
import uuid
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from postel.sim import refused, virtual
from postel.sim.holders import Holders
from postel.sim.loop import Loop
from postel.sim.place import Place
from postel.sim.virtual import Function, place_of_caller

__all__ = ["seal"]

_PROGRAM: Final = "the program as a coroutine function, by computer.run() on a computer of its own"
_SOCKET: Final = "asyncio's streams, or the loop's sock_connect() on a computer of the world"


@contextmanager
def seal(loop: Loop) -> Iterator[None]:
    """Let Python's clocks and random numbers be those of the computers on ``loop``, while the block runs.

    Only tasks of this loop see the difference.
    """
    loop.is_sealed = True
    _SEAL.begin()
    try:
        yield
    finally:
        loop.is_sealed = False
        _SEAL.end()


class _Seal:
    """All replacements. They are made once, and are in place while at least one block of `seal` runs."""

    def __init__(self) -> None:
        self._users = 0
        self._holders = Holders()
        self._attributes: list[
            tuple[type, str, Function]
        ] = []  # class, name of a method, and its replacement
        self._before: list[tuple[type, str, Any]] = []

    def begin(self) -> None:
        """Put the replacements in place, unless another block has done so."""
        self._users += 1
        if self._users > 1:
            return
        if not self._attributes:
            self._holders.replace(_functions())
            self._attributes = _methods()
        self._before = [(owner, name, vars(owner).get(name)) for owner, name, _ in self._attributes]
        for owner, name, replacement in self._attributes:
            setattr(owner, name, replacement)
        _set_datetime(_SEALED)
        self._holders.begin()

    def end(self) -> None:
        """Put the originals back, unless another block still needs the replacements."""
        self._users -= 1
        if self._users:
            return
        self._holders.end()
        _set_datetime(_ORIGINAL)
        for owner, name, before in self._before:
            if before is None:
                delattr(owner, name)
            else:
                setattr(owner, name, before)


def _functions() -> list[tuple[Function, Function]]:
    """Pairs of an original function and its replacement."""
    found = [*_clocks(), *_chance()]
    found += [
        (function, refused.refusing(function, f"os.{name}()", _PROGRAM))
        for name, function in _of(os, "fork", "system", "posix_spawn")
    ]
    found += [
        (function, refused.looking_up(function))
        for _, function in _of(socket, "getaddrinfo", "gethostbyname", "gethostbyname_ex")
    ]
    found += [(socket.gethostname, virtual.timed(socket.gethostname, _name)), (socket.getfqdn, _own_name)]
    return found


def _clocks() -> Iterator[tuple[Function, Function]]:
    for name, function in _of(time, "time", "monotonic", "perf_counter", "process_time", "thread_time"):
        yield function, virtual.timed(function, Place.wall if name == "time" else Place.monotonic)
        nanoseconds: Function = getattr(time, f"{name}_ns")
        yield nanoseconds, virtual.timed(nanoseconds, Place.wall_ns if name == "time" else Place.monotonic_ns)
    for _, function in _of(time, "clock_gettime"):
        yield function, virtual.by_clock(function, Place.wall, Place.monotonic)
    for _, function in _of(time, "clock_gettime_ns"):
        yield function, virtual.by_clock(function, Place.wall_ns, Place.monotonic_ns)
    for _, function in _of(time, "gmtime", "localtime", "ctime"):
        yield function, virtual.broken_down(function, 0, float)
    yield time.asctime, virtual.broken_down(time.asctime, 0, time.localtime)
    yield time.strftime, virtual.broken_down(time.strftime, 1, time.localtime)
    yield time.sleep, refused.sleeping(time.sleep)


def _chance() -> Iterator[tuple[Function, Function]]:
    hidden: Any = random
    for name in random.__all__:
        function = getattr(random, name)
        if getattr(function, "__self__", None) is hidden._inst:  # noqa: SLF001 - the generator behind the functions of the module `random`
            yield function, virtual.drawn(function, name)
    for _, function in [*_of(os, "urandom", "getrandom"), *_of(ssl, "RAND_bytes")]:
        yield function, virtual.octets(function)
    yield uuid.uuid1, _uuid1
    yield uuid.getnode, virtual.timed(uuid.getnode, _node)


def _methods() -> list[tuple[type, str, Function]]:
    return [
        (random.Random, "seed", virtual.seeded(random.Random.seed)),
        (threading.Thread, "start", refused.starting(threading.Thread.start)),
        (subprocess.Popen, "__init__", refused.refusing(subprocess.Popen.__init__, "a subprocess", _PROGRAM)),
        (socket.socket, "connect", refused.connecting(socket.socket.connect, _SOCKET)),
        (socket.socket, "connect_ex", refused.connecting(socket.socket.connect_ex, _SOCKET)),
    ]


def _of(module: Any, *names: str) -> list[tuple[str, Function]]:  # noqa: ANN401 - a module
    """Functions of these names that the module has on this system."""
    return [(name, getattr(module, name)) for name in names if hasattr(module, name)]


def _name(place: Place) -> str:
    return place.name


def _node(place: Place) -> int:
    return place.node


_GETFQDN: Final = socket.getfqdn
_UUID1: Final = uuid.uuid1


def _own_name(name: str = "") -> str:
    place = place_of_caller()
    if place is None:
        return _GETFQDN(name)
    return name if name not in ("", "0.0.0.0", "::") else place.name  # noqa: S104 - these stand for the computer's own name


def _uuid1(node: int | None = None, clock_seq: int | None = None) -> uuid.UUID:
    place = place_of_caller()
    if place is None:
        return _UUID1(node, clock_seq)
    stamp = place.stamp()
    sequence = place.random.getrandbits(14) if clock_seq is None else clock_seq
    fields = (
        stamp & 0xFFFFFFFF,
        stamp >> 32 & 0xFFFF,
        stamp >> 48 & 0x0FFF,
        sequence >> 8 & 0x3F,
        sequence & 0xFF,
    )
    return uuid.UUID(fields=(*fields, place.node if node is None else node), version=1)


# `datetime.datetime` is a type written in C. Its methods can't be assigned, but its dictionary can be
# changed. So every reference to the type gets the replacements, and `type(moment) is datetime` stays true,
# which wouldn't be so if a subclass replaced the type.


def _now(cls: type[dt.datetime], tz: dt.tzinfo | None = None) -> dt.datetime:
    place = place_of_caller()
    if place is None:
        return _ORIGINAL["now"].__get__(None, cls)(tz)  # type: ignore[no-any-return]  # a method of C, without a type
    return cls.fromtimestamp(place.wall(), tz)


def _utcnow(cls: type[dt.datetime]) -> dt.datetime:
    place = place_of_caller()
    if place is None:
        return _ORIGINAL["utcnow"].__get__(None, cls)()  # type: ignore[no-any-return]  # a method of C, without a type
    if sys.version_info >= (3, 12):
        warnings.warn(
            "datetime.datetime.utcnow() is deprecated: use dt.datetime.now(datetime.UTC)",
            DeprecationWarning,
            stacklevel=2,
        )
    return cls.fromtimestamp(place.wall(), dt.UTC).replace(tzinfo=None)


_DICT: Final[dict[str, Any]] = gc.get_referents(dt.datetime.__dict__)[0]
_FORGET_CACHED: Final = ctypes.pythonapi.PyType_Modified
_FORGET_CACHED.argtypes = [ctypes.py_object]
_FORGET_CACHED.restype = None

# The original methods must live as long as the process: Python's method cache, and bytecode that is
# specialised for a type, keep a method without a reference to it until PyType_Modified is called, and another
# thread may run before that call.
_ORIGINAL: Final = {name: _DICT[name] for name in ("now", "utcnow")}
_SEALED: Final = {"now": classmethod(_now), "utcnow": classmethod(_utcnow)}


def _set_datetime(methods: dict[str, Any]) -> None:
    """Put ``methods``, which must never be freed, into the type `datetime.datetime`."""
    _DICT.update(methods)
    _FORGET_CACHED(dt.datetime)


_SEAL: Final = _Seal()
