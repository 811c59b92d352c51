"""An error that ended a connection is stored as the reason, and each call that fails for it raises an
exception of its own.
"""

import copy
import gc
import pickle
import tracemalloc
import weakref
from collections.abc import Callable
from typing import Any

import pytest

from postel import errors
from postel.errors import LinkError, PostelError, TcpError, renewed
from postel.tcp.connection import Connection
from tests.host.conftest import make_pair

KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, TcpError)]
CALLS: dict[str, Callable[[Connection, int], object]] = {
    "send": lambda connection, now: connection.send(b"x" * 1000, now),
    "receive": lambda connection, now: connection.receive(1000, now),
    "receive_into": lambda connection, now: connection.receive_into(bytearray(1000), now),
    "close": lambda connection, now: connection.close(now),
    "abort": lambda connection, now: connection.abort(now),
    "status": lambda connection, now: connection.status(now),
}


def reset() -> tuple[Connection, int]:
    pair = make_pair()
    client, server, _ = pair.connect()
    server.abort(pair.now)
    pair.advance(0)
    return client, pair.now


def refused() -> tuple[Connection, int]:
    pair = make_pair()
    client = pair.left.connect("10.0.0.2", 81, pair.now)
    pair.advance(0)
    return client, pair.now


def aborted() -> tuple[Connection, int]:
    pair = make_pair()
    client, _, _ = pair.connect()
    client.abort(pair.now)
    return client, pair.now


def timed_out() -> tuple[Connection, int]:
    pair = make_pair()
    pair.lose = lambda _sender, _octets: True
    client = pair.left.connect("10.0.0.2", 80, pair.now)
    pair.pump()
    pair.settle()
    return client, pair.now


def orderly() -> tuple[Connection, int]:
    pair = make_pair()
    client = pair.left.connect("10.0.0.99", 80, pair.now)
    client.close(pair.now)
    return client, pair.now


ENDS = [reset, refused, aborted, timed_out, orderly]
# After this end's own abort these calls tell the end of the stream, and no error
READS = ("receive", "receive_into")
CASES = [
    pytest.param(end, call, id=f"{end.__name__}-{name}")
    for end in ENDS
    for name, call in CALLS.items()
    if end is not aborted or name not in READS
]


@pytest.mark.parametrize(("end", "call"), CASES)
def test_each_call_raises_an_exception_of_its_own(end: Any, call: Any) -> None:
    connection, now = end()
    raised = []
    for _ in range(3):
        with pytest.raises(TcpError) as caught:
            call(connection, now)
        raised.append(caught.value)
    reason = connection.error or errors.ConnectionDoesNotExist("", str(connection.remote))
    assert {(type(error), error.errno, error.strerror, str(error)) for error in raised} == {
        (type(reason), reason.errno, reason.strerror, str(reason))
    }
    assert len({id(error) for error in (*raised, reason)}) == 4
    assert reason.__traceback__ is None
    assert reason.__context__ is None


@pytest.mark.soak
@pytest.mark.parametrize(("end", "call"), CASES)
def test_two_thousand_failing_calls_leave_memory_as_it_was(end: Any, call: Any) -> None:
    connection, now = end()

    def fail(times: int) -> None:
        for _ in range(times):
            try:
                call(connection, now)
            except PostelError:
                continue
            raise AssertionError("the call succeeded")

    fail(100)
    gc.collect()
    objects = len(gc.get_objects())
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        fail(2_000)
        after = tracemalloc.get_traced_memory()[0]  # without a collection: no cycle is left to it either
    finally:
        tracemalloc.stop()
    assert after - before < 4096
    assert abs(len(gc.get_objects()) - objects) < 50


def test_what_a_failed_call_was_given_is_not_kept() -> None:
    class Large(bytearray):
        pass

    connection, now = reset()
    data = Large(1_000_000)
    kept = weakref.ref(data)
    try:
        connection.send(data, now)
    except PostelError:
        del data
    assert kept() is None


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("detail", ["", "in words"])
@pytest.mark.parametrize(
    "way",
    [renewed, copy.copy, lambda error: pickle.loads(pickle.dumps(error))],
    ids=["renewed", "copy", "pickle"],
)
def test_renewed_error_equals_the_one_that_is_stored(kind: Any, detail: str, way: Any) -> None:
    reason = kind(detail)
    fresh = way(reason)
    assert fresh is not reason
    assert (type(fresh), fresh.errno, fresh.strerror, str(fresh), fresh.args) == (
        kind,
        reason.errno,
        reason.strerror,
        str(reason),
        reason.args,
    )


def test_renewed_error_has_no_past_and_no_notes() -> None:
    class UnpluggedError(LinkError):
        def __init__(self, port: int) -> None:
            super().__init__(19, f"port {port} is empty")
            self.port = port

    reason = UnpluggedError(3)
    reason.add_note("seen by the first caller")
    try:
        raise reason
    except UnpluggedError:
        fresh = renewed(reason)
    assert (type(fresh), fresh.errno, fresh.strerror, fresh.port) == (
        UnpluggedError,
        19,
        "port 3 is empty",
        3,
    )
    assert fresh.__traceback__ is None
    assert fresh.__context__ is None
    assert not hasattr(fresh, "__notes__")
