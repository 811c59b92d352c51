"""Two blocking networks on one memory link, and the kernel's loopback in the same shape."""

import gc
import os
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
import trustme

from postel import blocking
from postel.blocking import BlockingNetwork
from postel.host.host import Host
from postel.links import pair

PATIENCE = 30  # seconds until a test that hangs is told so

NEAR_4, NEAR_6 = "10.7.0.1", "fd07::1"
FAR_4, FAR_6 = "10.7.0.2", "fd07::2"
NAMES = {"near.example": [NEAR_6, NEAR_4], "far.example": [FAR_4, FAR_6]}


@dataclass
class Stacks:
    """``near`` usually calls and ``far`` usually serves: each has the names of the module `socket`.
    ``address`` is that of ``far``.
    """

    near: Any
    far: Any
    address: str
    address_6: str


def descriptors() -> set[str]:
    return set(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else set()  # noqa: PTH112, PTH208


@contextmanager
def two_networks(*, linger: float = 2, mtu: int = 1500) -> Iterator[Stacks]:
    """When they close, no descriptor and no thread is left, and nothing is held."""
    gc.collect()
    before, threads = descriptors(), set(threading.enumerate())
    left, right = pair(mtu)
    near = Host(f"{NEAR_4}/24", f"{NEAR_6}/64", secret=b"near")
    far = Host(f"{FAR_4}/24", f"{FAR_6}/64", secret=b"far")
    with (
        blocking.attach(near, left, names=NAMES, linger=linger) as near_net,
        blocking.attach(far, right, names=NAMES, linger=linger) as far_net,
    ):
        yield Stacks(near_net, far_net, FAR_4, FAR_6)
    gc.collect()
    assert descriptors() <= before
    assert {thread for thread in threading.enumerate() if thread.name.startswith("postel")} <= threads
    assert {str(state) for host in (near, far) for _, _, state in host.connections()} <= {"TIME-WAIT"}
    assert near.statistics()["memory_used"] == far.statistics()["memory_used"] == 0


@contextmanager
def kernel_loopback() -> Iterator[Stacks]:
    yield Stacks(socket, socket, "127.0.0.1", "::1")


OpenStacks = Callable[[], AbstractContextManager[Stacks]]


@pytest.fixture
def networks() -> Iterator[Stacks]:
    with two_networks() as both:
        yield both


@pytest.fixture
def near(networks: Stacks) -> BlockingNetwork:
    network: BlockingNetwork = networks.near
    return network


@pytest.fixture
def far(networks: Stacks) -> BlockingNetwork:
    network: BlockingNetwork = networks.far
    return network


class Job:
    """A call in a thread of its own."""

    def __init__(self, function: Callable[..., Any], *args: Any) -> None:
        self._outcome: Future[Any] = Future()
        self._thread = threading.Thread(target=self._run, args=(function, args), daemon=True)
        self._thread.start()

    def _run(self, function: Callable[..., Any], args: tuple[Any, ...]) -> None:
        try:
            self._outcome.set_result(function(*args))
        except BaseException as error:  # noqa: BLE001 - it is the test's to see
            self._outcome.set_exception(error)

    def result(self, patience: float = PATIENCE) -> Any:
        found = self._outcome.result(patience)
        self._thread.join(patience)
        return found

    @property
    def is_done(self) -> bool:
        return self._outcome.done()


@pytest.fixture
def job() -> type[Job]:
    return Job


@dataclass
class Certificates:
    server: ssl.SSLContext
    client: ssl.SSLContext
    authority: bytes


@pytest.fixture(scope="session")
def certificates() -> Certificates:
    authority = trustme.CA()
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("far.example", FAR_4, FAR_6).configure_cert(server)
    authority.configure_trust(client)
    return Certificates(server, client, authority.cert_pem.bytes())


@pytest.fixture
def open_both() -> tuple[OpenStacks, OpenStacks]:
    return kernel_loopback, two_networks
