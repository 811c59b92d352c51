"""How much of a path a connection fills with the default buffers and controller."""

from dataclasses import replace

import pytest

from postel.host.listener import Listener
from postel.sim import Subject, World
from postel.sim.units import QueueLimit
from postel.tcp.config import DEFAULT, Config
from postel.tcp.connection import Connection
from postel.tcp.events import Acceptable, Event, Opened, Readable, Writable
from postel.times import MILLISECOND, SECOND

MEGABIT = 1_000_000


class Transfer:
    """From one host to another as fast as it goes. ``arrived`` holds the time and the octets so far of every
    read.
    """

    def __init__(self, config: Config, *, delay: int, bandwidth: int, queue: QueueLimit) -> None:
        self.world = World()
        sender, receiver = (
            self.world.host("sender", "10.0.0.1/24", config=config),
            self.world.host("receiver", "10.0.0.2/24", config=config),
        )
        self.world.path(sender, receiver, delay=delay, bandwidth=bandwidth, queue=queue)
        self.world.application(sender, self.send)
        self.world.application(receiver, self.receive)
        self.arrived: list[tuple[int, int]] = [(0, 0)]
        self.receiver: Connection | None = None
        receiver.listen(80, 0)
        self.sender = sender.connect("10.0.0.2", 80, 0)

    def send(self, subject: Subject, event: Event, now: int) -> None:
        if isinstance(subject, Connection) and isinstance(event, (Opened, Writable)):
            while subject.send(bytes(1 << 20), now):
                pass

    def receive(self, subject: Subject, event: Event, now: int) -> None:
        if isinstance(event, Acceptable) and isinstance(subject, Listener):
            self.receiver = subject.accept()
        elif isinstance(event, Readable) and isinstance(subject, Connection):
            self.arrived.append((now, self.arrived[-1][1] + len(subject.receive(1 << 30, now))))

    def rate(self, since: int, until: int) -> float:
        """Bits of text a second."""
        self.world.run(until)
        before = max(octets for when, octets in self.arrived if when <= since)
        return (self.arrived[-1][1] - before) * 8 * SECOND / (until - since)


@pytest.mark.parametrize("timestamps", [True, False])
def test_a_hundred_milliseconds_of_a_hundred_megabits_are_filled(timestamps: bool) -> None:
    # The queue drops nothing: this test doesn't ask what loss costs
    transfer = Transfer(
        replace(DEFAULT, timestamps=timestamps),
        delay=50 * MILLISECOND,
        bandwidth=100 * MEGABIT,
        queue="8MiB",
    )
    assert transfer.rate(2 * SECOND, 3 * SECOND) > 0.9 * 100 * MEGABIT
    assert transfer.receiver is not None
    assert transfer.receiver._tcb.rcv.limit > 100 * MEGABIT // 8 // 10
    assert transfer.sender._tcb.snd.limit > 100 * MEGABIT // 8 // 10


def test_a_fixed_buffer_of_half_the_product_fills_half() -> None:
    product = 100 * MEGABIT // 8 // 10
    transfer = Transfer(
        replace(DEFAULT, receive_buffer=product // 2),
        delay=50 * MILLISECOND,
        bandwidth=100 * MEGABIT,
        queue="8MiB",
    )
    assert 0.4 < transfer.rate(2 * SECOND, 3 * SECOND) / (100 * MEGABIT) < 0.55


def test_a_slow_path_takes_small_buffers() -> None:
    transfer = Transfer(DEFAULT, delay=5 * MILLISECOND, bandwidth=10 * MEGABIT, queue="50kB")
    assert transfer.rate(2 * SECOND, 4 * SECOND) > 0.9 * 10 * MEGABIT
    assert transfer.receiver is not None
    assert transfer.receiver._tcb.rcv.limit < 500_000
    assert transfer.sender._tcb.snd.limit < 500_000
