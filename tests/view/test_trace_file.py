"""A capture written while packets pass: what a trace would have written, in bounded memory, and what it left
out.
"""

import io
import os
from collections.abc import Callable

import pytest

from postel.host.host import Host
from postel.links import pcapng as blocks
from postel.times import SECOND
from postel.view import Observers, Trace, pcapng
from postel.view.capture import container
from postel.view.trace_file import TraceFile

NAMES = {"10.0.0.1": "client", "10.0.0.2": "server"}
STATISTICS = len(blocks.statistics(0, 0, 0))


class Busy:
    """A client that is observed with its packets, and its server: so many connections, each of which receives
    so many octets.
    """

    def __init__(self, observer: Trace | Observers) -> None:
        self.observer = observer
        self.client = Host("10.0.0.1/24", secret=b"a", observer=observer)
        self.server = Host("10.0.0.2/24", secret=b"b")
        self.now = 64 * SECOND
        self.server.listen(80, self.now)

    def run(self, connections: int, octets: int) -> None:
        for _ in range(connections):
            connection = self.client.connect("10.0.0.2", 80, self.now)
            left, got = octets, 0
            far = None
            while got < octets:
                far = self.exchange() or far
                if far is not None and left:
                    left -= far.send(bytes(min(left, 50_000)), self.now)
                got += len(connection.receive(1 << 20, self.now))
                self.now += 1000
            assert far is not None
            connection.close(self.now)
            far.close(self.now)
            self.exchange()
            self.now += 61 * SECOND
            for host in (self.client, self.server):
                host.handle_timeout(self.now)
            self.exchange()

    def exchange(self) -> object:
        """All packets, both ways; the connection that was accepted meanwhile."""
        accepted = None
        moved = True
        while moved:
            moved = False
            for one, other in ((self.client, self.server), (self.server, self.client)):
                while (packet := one.next_packet(self.now)) is not None:
                    tell = self.observer.packet_sent if one is self.client else self.observer.packet_arrived
                    tell(packet, self.now)
                    other.packet_arrives(packet, self.now)
                    moved = True
                while (told := one.next_event()) is not None:
                    accept = getattr(told[0], "accept", None)
                    if accept is not None:
                        accepted = accept()
        return accepted


def packets(octets: bytes) -> int:
    """How many are in a capture."""
    return sum(len(frames) for _, frames in container.Reader(io.BytesIO(octets)).chunks())  # type: ignore[arg-type]


def recorded(use: Callable[[Busy], None], **options: int) -> tuple[bytes, TraceFile]:
    file = io.BytesIO()
    trace_file = TraceFile(file, names=NAMES, **options)
    use(Busy(trace_file))
    trace_file.finish()
    return file.getvalue(), trace_file


def test_the_file_is_what_a_trace_would_have_written() -> None:
    file, traced = io.BytesIO(), io.BytesIO()
    trace = Trace(names=NAMES)
    trace_file = TraceFile(file, names=NAMES, epoch=5)
    Busy(Observers(trace, trace_file)).run(3, 20_000)
    trace_file.finish()
    pcapng.write(trace, traced, epoch=5)
    assert len(trace.packets) > 60
    assert file.getvalue()[:-STATISTICS] == traced.getvalue()


def test_each_packet_is_in_the_file_when_the_next_one_comes() -> None:
    file = io.BytesIO()
    trace_file = TraceFile(file, names=NAMES)
    busy = Busy(trace_file)
    before = len(file.getvalue())
    busy.client.connect("10.0.0.2", 80, busy.now)
    busy.exchange()  # three segments pass
    assert packets(file.getvalue()) == 2
    assert len(file.getvalue()) > before


def test_what_is_kept_in_memory_has_a_bound() -> None:
    def use(busy: Busy) -> None:
        busy.run(1, 13_000_000)

    _, trace_file = recorded(use)
    flow = trace_file.flows[0]
    assert trace_file.packets == []
    assert len(flow.packets) <= 16
    assert len(flow.expiries) <= 16
    assert sum(len(direction.ranges) for direction in flow._directions.values()) <= 3 * 4096


def test_connections_that_have_ended_are_forgotten() -> None:
    _, trace_file = recorded(lambda busy: busy.run(250, 10), most_flows=100)
    assert len(trace_file.flows) <= 102
    assert len(trace_file._current) <= 2 * 102
    assert len(trace_file._causes) <= 4 * 102


def test_a_limit_and_what_it_left_out() -> None:
    whole, _ = recorded(lambda busy: busy.run(2, 20_000))
    part, trace_file = recorded(lambda busy: busy.run(2, 20_000), limit=10_000)
    assert len(part) < 10_000 + 400
    assert trace_file.left_out == packets(whole) - packets(part)
    assert f"{trace_file.left_out} packets are left out".encode() in part


class FullDisk(io.RawIOBase):
    def write(self, _octets: object) -> int:
        raise OSError(28, os.strerror(28))


def test_a_full_disk_is_no_trouble_for_the_host() -> None:
    trace_file = TraceFile(FullDisk(), names=NAMES)  # type: ignore[arg-type]
    Busy(trace_file).run(1, 1000)
    trace_file.finish()
    assert trace_file.error is not None
    assert trace_file.left_out > 5


@pytest.mark.parametrize("left_out", [0, 7])
def test_the_last_block_is_well_formed(left_out: int) -> None:
    block = blocks.statistics(1 << 40, 9, left_out)
    assert len(block) % 4 == 0
    assert int.from_bytes(block[4:8], "little") == int.from_bytes(block[-4:], "little") == len(block)
