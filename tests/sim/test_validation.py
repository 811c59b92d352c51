"""Congestion window validation (RFC 7661) through whole connections: what leaves at once when a thin sender
has much to send again.
"""

from dataclasses import replace

import pytest

from postel.host.host import Host
from postel.sim import World
from postel.tcp.config import DEFAULT, MEBIBYTE
from postel.tcp.congestion.cubic import Cubic
from postel.tcp.congestion.reno import Reno
from postel.tcp.connection import Connection
from postel.tcp.events import Acceptable, Event, Readable
from postel.times import MILLISECOND, MINUTE, SECOND

BULK = 3_000_000
ROUND_TRIP = 20 * MILLISECOND


def sink(connection: Connection, event: Event, now: int) -> None:
    if isinstance(event, Acceptable):
        connection.accept()
    elif isinstance(event, Readable):
        connection.receive(BULK, now)


class Sender:
    """Sends much, then a little now and then, then much again."""

    def __init__(self, congestion: type[Reno], *, sack: bool) -> None:
        self.world = World()
        config = replace(
            DEFAULT, congestion=congestion, sack=sack, send_buffer=4 * MEBIBYTE, receive_buffer=4 * MEBIBYTE
        )
        one: Host = self.world.host("one", "10.0.0.1/24", config=config)
        other: Host = self.world.host("other", "10.0.0.2/24", config=config, application=sink)
        self.world.path(one, other, delay=ROUND_TRIP // 2)
        other.listen(9, 0)
        self.connection = one.connect("10.0.0.2", 9, 0)
        self.world.run(until=SECOND)
        self.sends(BULK, 0)
        while self.connection.unacknowledged:
            self.world.run(until=self.world.now + ROUND_TRIP)
        self.wide = self.window

    @property
    def window(self) -> int:
        return self.connection._tcb.ensure_controller().window

    def sends(self, octets: int, wait: int) -> None:
        self.connection.send(bytes(octets), self.world.now)
        self.world.run(until=self.world.now + wait)

    def is_thin(self, duration: int) -> None:
        end = self.world.now + duration
        while self.world.now < end:
            self.sends(100, SECOND // 2)  # sooner than an RTO, so that it isn't idle

    def burst(self) -> int:
        """Octets that leave within the next millisecond, where there is much to send."""
        before = self.connection._tcb.snd.max
        self.sends(BULK, MILLISECOND)
        return (self.connection._tcb.snd.max - before) % (1 << 32)


@pytest.mark.label("RFC7661-4.2", "RFC7661-4.4a", "RFC7661-4.4.2")
@pytest.mark.parametrize("congestion", [Reno, Cubic])
@pytest.mark.parametrize("sack", [True, False], ids=["SACK", "no SACK"])
def test_a_window_that_was_not_used_for_seconds_is_paced(congestion: type[Reno], sack: bool) -> None:
    sender = Sender(congestion, sack=sack)
    sender.is_thin(10 * SECOND)
    assert sender.window == sender.wide
    assert sender.burst() <= sender.wide * 2 * MILLISECOND // ROUND_TRIP + 20_000
    sender.world.run(until=sender.world.now + 3 * SECOND)
    assert sender.connection.unacknowledged == 0
    assert sender.window >= sender.wide  # it was used again


@pytest.mark.label("RFC7661-4.4.3")
@pytest.mark.parametrize("congestion", [Reno, Cubic])
@pytest.mark.parametrize("sack", [True, False], ids=["SACK", "no SACK"])
def test_half_an_hour_of_thin_writes_leaves_little_of_a_window(congestion: type[Reno], sack: bool) -> None:
    sender = Sender(congestion, sack=sack)
    sender.is_thin(31 * MINUTE)
    assert sender.window <= max(sender.wide >> 5, sender.connection._tcb.ensure_controller().initial_window)
    assert sender.burst() <= sender.window


@pytest.mark.label("RFC7661-4.4a")
@pytest.mark.parametrize("congestion", [Reno, Cubic])
@pytest.mark.parametrize("sack", [True, False], ids=["SACK", "no SACK"])
def test_a_bulk_transfer_is_never_paced(congestion: type[Reno], sack: bool) -> None:
    sender = Sender(congestion, sack=sack)
    sender.connection.send(bytes(BULK), sender.world.now)
    while sender.connection.unacknowledged:
        sender.world.run(until=sender.world.now + MILLISECOND)
        if sender.connection.unacknowledged > 2 * sender.window:
            assert sender.connection._tcb.ensure_controller().pacing_rate == 0
