"""The send buffer against a bytes object."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postel.tcp.sendbuffer import SendBuffer


@given(
    st.lists(st.binary(max_size=20) | st.integers(0, 30), max_size=50), st.integers(0, 50), st.integers(0, 50)
)
def test_it_is_a_queue_that_can_be_looked_into(steps: list[bytes | int], start: int, count: int) -> None:
    buffer, model = SendBuffer(), b""
    for step in steps:
        if isinstance(step, bytes):
            buffer.append(step)
            model += step
        else:
            taken = min(step, len(model))
            buffer.discard(taken)
            model = model[taken:]
        assert buffer.size == len(model)
        assert buffer.slice(start, count) == model[start : start + count]
    buffer.clear()
    assert buffer.size == 0


@pytest.mark.label("BAD-API-3")
def test_bad_api_3_it_copies() -> None:
    octets = bytearray(b"abc")
    buffer = SendBuffer()
    buffer.append(octets)
    buffer.append(memoryview(octets)[1:])
    octets[:] = b"XYZ"
    assert buffer.slice(0, 10) == b"abcbc"


@pytest.mark.label("BAD-RES-3")
def test_bad_res_3_a_hundred_thousand_tiny_writes_coalesce() -> None:
    buffer = SendBuffer()
    for _ in range(100_000):
        buffer.append(b"x")
    assert buffer.slice(5000, 1460) == b"x" * 1460
    for _ in range(100_000):
        buffer.discard(1)
    assert buffer.size == 0
