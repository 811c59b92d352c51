"""What one ACK tells, by hand, and ACK clocks without a network."""

from typing import Final

from postel.tcp.congestion import Congestion, Sample
from postel.times import SECOND

SMSS: Final = 1000
START: Final = 1000 * SECOND


def sample(**fields: int) -> Sample:
    """Of a window in use, unless it says otherwise."""
    made = Sample()
    made.is_window_limited = True
    for name, value in fields.items():
        setattr(made, name, value)
    return made


class Clock:
    """Acknowledges segment by segment as a path of one round trip would, with a window that is always
    full.
    """

    def __init__(self, control: Congestion, round_trip: int, now: int = START) -> None:
        self.control = control
        self.round_trip = round_trip
        self.now = now
        self.arrived = 0
        self.sample = sample(round_trip=round_trip, acked=SMSS, delivered=SMSS)

    def acknowledge(self) -> None:
        window = self.control.window
        self.now += max(1, self.round_trip * SMSS // window)
        self.arrived += SMSS
        self.sample.una, self.sample.max = self.arrived, self.arrived + window
        self.sample.total_delivered = self.arrived
        self.sample.flight = self.sample.flight_before = window
        self.control.observed(self.sample, self.now)
        self.control.acknowledged(SMSS, self.now)

    def passes(self, duration: int) -> None:
        end = self.now + duration
        while self.now < end:
            self.acknowledge()

    def loses(self) -> None:
        self.control.remember(self.control.window)
        self.control.lost(self.control.window, self.now)
        self.control.recovered(self.control.window, self.now)
