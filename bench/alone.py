"""What needs no kernel, as a program that prints a line of JSON.

``alone.py through SECONDS``: Mbit/s from one host to another. ``alone.py crowd OTHERS…``: microseconds for a
segment in, beside so many connections that are idle. ``alone.py million CONNECTIONS``: what those cost,
opened and closed by peers that are nothing but packets.
"""

import asyncio
import json
import resource
import sys
import time
from array import array
from collections.abc import Iterable, Iterator
from pathlib import Path

from adapter import CHUNK, DISCARD, Discard, Writer
from workload import prepared, receives

from postel import Connection, Host, aio
from postel.links import pair
from postel.tcp.events import EndOfStream
from postel.times import SECOND
from postel.wire import ip
from postel.wire.segment import ACK, FIN, PROTOCOL, SYN, Segment, encode_for

TIMES = 15  # of which the shortest is told: the others were disturbed
IDLE = 5.0  # seconds

Told = dict[str, float]


# Both ends of a stream


class Counter(Discard):
    """Octets, until the peer closes."""

    octets = 0

    def data_received(self, data: bytes) -> None:
        Counter.octets += len(data)


async def through(seconds: float) -> Told:
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
    return {"rate": Counter.octets * 8e-6 / took}


# A stream beside others that are idle


def crowd(*numbers: int) -> Told:
    """The hosts take turns, so that what changes on the machine meanwhile meets all of them."""
    hosts = {others: prepared("in", others, TIMES) for others in numbers}
    times: dict[int, list[float]] = {others: [] for others in numbers}
    for _ in range(TIMES):
        for others, host in hosts.items():
            moments: list[float] = []
            # Called at once
            segments = receives(host, lambda: moments.append(time.perf_counter()))  # noqa: B023
            times[others].append((moments[1] - moments[0]) / segments * 1e6)
    return {str(others): min(those) for others, those in times.items()}


# Many that are idle


class Crowd:
    """Callers number 0 and up, each with an address of its own, and the host that they call. Only what the
    host does is timed.
    """

    FIRST = int.from_bytes(bytes((10, 16, 0, 0)), "big")
    HERE = bytes((10, 0, 0, 1))
    AT_ONCE = 1000
    NUMBER = slice(16, 20)  # where a packet of the host has the caller's address
    SEQ = slice(24, 28)

    def __init__(self, callers: int) -> None:
        self.host = Host("10.0.0.1/8", secret=b"alone")
        self.listener = self.host.listen(DISCARD, now(), backlog=2 * self.AT_ONCE)
        self.numbers = [
            range(start, min(start + self.AT_ONCE, callers)) for start in range(0, callers, self.AT_ONCE)
        ]
        # The sequence number that each caller expects
        self.next = array("L", bytes(array("L").itemsize * callers))
        self.opened: list[Connection] = []
        self.busy = 0.0  # seconds

    def open(self) -> None:
        for numbers in self.numbers:
            for answer in self._heard(self._segment(number, 0, SYN) for number in numbers):
                self.next[int.from_bytes(answer[self.NUMBER], "big") - self.FIRST] = (
                    int.from_bytes(answer[self.SEQ], "big") + 1
                )
            self._heard(self._segment(number, 1, ACK) for number in numbers)
            self.opened += iter(self.listener.accept, None)

    def close(self) -> None:
        """Each caller first, so that nothing stays in TIME-WAIT here."""
        self.opened.clear()
        for numbers in self.numbers:
            self._heard(self._segment(number, 1, FIN | ACK) for number in numbers)
            for number in numbers:
                self.next[number] += 1  # its FIN
            self._heard(self._segment(number, 2, ACK) for number in numbers)

    def _heard(self, packets: Iterable[bytes]) -> list[bytes]:
        """Packets that the host sends in answer. It closes a connection when its stream has ended."""
        said, packets = [], list(packets)
        started = time.perf_counter()
        for packet in packets:
            self.host.packet_arrives(packet, now())
        said += self._drained()
        while (told := self.host.next_event()) is not None:
            subject, event = told
            if isinstance(event, EndOfStream) and isinstance(subject, Connection):
                subject.close(now())
        said += self._drained()
        self.busy += time.perf_counter() - started
        return said

    def _drained(self) -> Iterator[bytes]:
        return iter(lambda: self.host.next_packet(now()), None)

    def _segment(self, number: int, seq: int, flags: int) -> bytes:
        there = (self.FIRST + number).to_bytes(4, "big")
        segment = Segment(40_000, DISCARD, seq, self.next[number] & 0xFFFFFFFF, flags, 0xFFFF)
        return ip.encode(there, self.HERE, PROTOCOL, encode_for(segment, there, self.HERE))


def million(callers: int) -> Told:
    crowd, before = Crowd(callers), resident()
    crowd.open()
    count = len(crowd.opened)
    assert count == callers, f"{count} are open"
    told = {
        "opened": count / crowd.busy,
        "memory": (resident() - before) / 1e6,
        "idle": asyncio.run(at_rest(crowd.host)),
    }
    crowd.busy = 0.0
    crowd.close()
    assert not crowd.host.statistics()["connections"], "some are still open"
    return told | {"closed": count / crowd.busy}


async def at_rest(host: Host) -> float:
    """Per cent of a processor that it takes while nothing happens."""
    async with aio.attach(host, pair()[0], linger=0):
        before = time.process_time()
        await asyncio.sleep(IDLE)
        return (time.process_time() - before) / IDLE * 100


def now() -> int:
    """As the event loop's clock."""
    return int(time.monotonic() * SECOND)


def resident() -> int:
    """Octets of this process's memory that are in RAM."""
    return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * resource.getpagesize()


def main() -> None:
    kind, *numbers = sys.argv[1:]
    told = (
        asyncio.run(through(float(*numbers)))
        if kind == "through"
        else {"crowd": crowd, "million": million}[kind](*map(int, numbers))
    )
    print(json.dumps(told))


if __name__ == "__main__":
    main()
