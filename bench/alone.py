"""What needs no kernel, as a program that prints one number: ``alone.py through SECONDS`` in Mbit/s, ``alone.py crowd OTHERS`` in µs."""

import asyncio
import sys
import time
from itertools import pairwise

from adapter import CHUNK, DISCARD, Discard, Writer
from workload import performed

from postel import Host, aio
from postel.link.memory import pair

TIMES = 7  # of which the shortest is told: the others were disturbed


class Counter(Discard):
    """Octets, until the peer closes."""

    octets = 0

    def data_received(self, data: bytes) -> None:
        Counter.octets += len(data)


async def through(seconds: float) -> float:
    left, right = pair()
    near, far = Host("10.0.0.1/24", secret=b"near"), Host("10.0.0.2/24", secret=b"far")
    async with aio.attach(near, left, linger=0) as client, aio.attach(far, right, linger=0) as server:
        await server.create_server(Counter, port=DISCARD)
        started = time.perf_counter()
        _, writer = await client.create_connection(lambda: Writer(seconds=seconds), "10.0.0.2", DISCARD)
        writer.ended = asyncio.get_running_loop().create_future()
        writer.begin()
        await writer.ended
        took = time.perf_counter() - started
    assert Counter.octets >= len(CHUNK), "nothing came through"
    return Counter.octets * 8e-6 / took


def crowd(others: int) -> float:
    """The crowd is opened once for each time, so there are fewer where it is large."""
    times: list[float] = []
    for _ in range(TIMES if others <= 1000 else 1):
        moments: list[float] = []
        segments = performed("in", lambda: moments.append(time.perf_counter()), others)  # noqa: B023 - called at once
        times += [(after - before) / segments for before, after in pairwise(moments)]
    return min(times) * 1e6


if __name__ == "__main__":
    kind, argument = sys.argv[1:]
    print(asyncio.run(through(float(argument))) if kind == "through" else crowd(int(argument)))
