"""Two networks on one memory link in one run of trio, and tests that are coroutines, in virtual time unless
they ask for real time.
"""

import inspect
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
import trio
from trio.testing import MockClock

import postel.trio
from postel import Host
from postel.links import Delayed, Link, pair
from postel.tcp.config import DEFAULT, Config
from postel.trio import TrioNetwork

PATIENCE = 3600  # seconds, of virtual time mostly, until a test that hangs is told so

NEAR_4, NEAR_6 = "10.7.0.1", "fd07::1"
FAR_4, FAR_6 = "10.7.0.2", "fd07::2"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "real_time: the clock of this test's run is trio's own")


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a coroutine test to its end, in a run of its own."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    arguments = {name: pyfuncitem.funcargs[name] for name in inspect.signature(pyfuncitem.obj).parameters}

    async def patiently() -> None:
        with trio.fail_after(30 if is_real else PATIENCE):
            await pyfuncitem.obj(**arguments)

    is_real = pyfuncitem.get_closest_marker("real_time") is not None
    trio.run(patiently, clock=None if is_real else MockClock(autojump_threshold=0))
    return True


@dataclass
class Pair:
    """``near`` usually calls and ``far`` usually serves."""

    near: TrioNetwork
    far: TrioNetwork

    def states(self) -> list[str]:
        return sorted(
            str(state) for network in (self.near, self.far) for _, _, state in network.host.connections()
        )

    async def connected(self, address: str = FAR_4) -> tuple[trio.SocketStream, trio.SocketStream]:
        """The stream of a client of ``near``, and that which ``far`` has accepted."""
        family = trio.socket.AF_INET6 if ":" in address else trio.socket.AF_INET
        with self.far.socket(family) as listener:
            await listener.bind((address, 0))
            listener.listen()
            client = self.near.socket(family)
            await client.connect(listener.getsockname())
            server, _ = await listener.accept()
        return trio.SocketStream(client), trio.SocketStream(server)


TwoNetworks = Callable[..., AbstractAsyncContextManager[Pair]]


@asynccontextmanager
async def two_networks(
    *,
    config: Config = DEFAULT,
    linger: float = 2,
    delay: int = 0,
    resolver: Any = None,
    wrap: Callable[[Link], Link] | None = None,
) -> AsyncIterator[Pair]:
    """``delay``: of each packet, in microseconds. When they close, nothing may stand, and nothing may be
    held.
    """
    left: Link
    right: Link
    left, right = pair()
    if delay:
        left = Delayed(left, delay=delay)
    if wrap is not None:
        left = wrap(left)
    near = Host(f"{NEAR_4}/24", f"{NEAR_6}/64", secret=b"near", config=config)
    far = Host(f"{FAR_4}/24", f"{FAR_6}/64", secret=b"far", config=config)
    async with (
        postel.trio.attach(near, left, linger=linger, resolver=resolver) as near_net,
        postel.trio.attach(far, right, linger=linger, resolver=resolver) as far_net,
    ):
        both = Pair(near_net, far_net)
        yield both
    assert set(both.states()) <= {"TIME-WAIT"}
    assert near.statistics()["memory_used"] == far.statistics()["memory_used"] == 0


@pytest.fixture
def networks() -> TwoNetworks:
    return two_networks


@pytest.fixture(params=[FAR_4, FAR_6], ids=["IPv4", "IPv6"])
def far_address(request: pytest.FixtureRequest) -> str:
    return str(request.param)
