"""Two networks on one memory link, in this process, and tests that are coroutines."""

import asyncio
import inspect
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
import trustme

from postel import aio
from postel.aio import Network
from postel.host.host import Host
from postel.links import pair
from postel.tcp.config import DEFAULT, Config

PATIENCE = 30  # seconds until a test that hangs is told so

NEAR_4, NEAR_6 = "10.7.0.1", "fd07::1"
FAR_4, FAR_6 = "10.7.0.2", "fd07::2"


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a coroutine test to its end, on a loop of its own in debug mode."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    wanted = inspect.signature(pyfuncitem.obj).parameters
    arguments = {name: pyfuncitem.funcargs[name] for name in wanted}
    with asyncio.Runner(debug=True) as runner:
        runner.run(asyncio.wait_for(pyfuncitem.obj(**arguments), PATIENCE))
    return True


@dataclass
class Pair:
    """``near`` usually calls and ``far`` usually serves. ``blamed`` is what the loop's exception handler was
    told.
    """

    near: Network
    far: Network
    blamed: list[dict[str, Any]]

    def states(self) -> list[str]:
        return sorted(str(state) for net in (self.near, self.far) for _, _, state in net.host.connections())


TwoNetworks = Callable[..., AbstractAsyncContextManager[Pair]]


@asynccontextmanager
async def two_networks(
    *, config: Config = DEFAULT, linger: float = 2, expect_blame: bool = False
) -> AsyncIterator[Pair]:
    """When they close, nothing may stand, and nothing may be held."""
    blamed: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: blamed.append(context))
    left, right = pair()
    near = Host(f"{NEAR_4}/24", f"{NEAR_6}/64", secret=b"near", config=config)
    far = Host(f"{FAR_4}/24", f"{FAR_6}/64", secret=b"far", config=config)
    async with (
        aio.attach(near, left, linger=linger) as near_net,
        aio.attach(far, right, linger=linger) as far_net,
    ):
        both = Pair(near_net, far_net, blamed)
        yield both
    assert set(both.states()) <= {"TIME-WAIT"}
    assert near.statistics()["memory_used"] == far.statistics()["memory_used"] == 0
    assert expect_blame or not blamed


Until = Callable[[Callable[[], bool]], Awaitable[None]]


async def _until(condition: Callable[[], bool]) -> None:
    """Lets the loop turn until it is so: for what no event tells."""
    while not condition():  # noqa: ASYNC110
        await asyncio.sleep(0)


@pytest.fixture
def until() -> Until:
    return _until


@pytest.fixture
def networks() -> TwoNetworks:
    return two_networks


@pytest.fixture(params=[FAR_4, FAR_6], ids=["IPv4", "IPv6"])
def far_address(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@dataclass
class Certificates:
    server: ssl.SSLContext
    client: ssl.SSLContext
    stranger: ssl.SSLContext  # a client that trusts another authority


@pytest.fixture(scope="session")
def certificates() -> Certificates:
    authority = trustme.CA()
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.issue_cert("far.example", FAR_4, FAR_6).configure_cert(server)
    authority.configure_trust(client)
    stranger = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trustme.CA().configure_trust(stranger)
    return Certificates(server, client, stranger)
