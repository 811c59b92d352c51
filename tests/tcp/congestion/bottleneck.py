"""One sender, one bottleneck and no protocol: what a controller does with a path, told in samples as the
draft of BBR takes them (4.1).

Segments are numbered, never sent twice, and lost once three later ones have arrived; a position is a
segment's number times its size.
"""

from collections.abc import Callable
from heapq import heappop, heappush
from typing import Final

from postel.tcp.congestion import Congestion, Sample
from postel.times import NEVER, SECOND

SMSS: Final = 1000
REORDERING: Final = 3


class Flying:
    """A segment, with what was so when it was sent."""

    def __init__(self, path: "Bottleneck") -> None:
        self.number = path.sent
        self.sent_at = path.now
        self.first_sent_at = path.first_sent_at
        self.delivered = path.sample.total_delivered
        self.delivered_at = path.delivered_at
        self.lost = path.sample.total_lost
        self.flight = path.flight + SMSS
        self.is_app_limited = self.delivered <= path.app_limited


class Bottleneck:
    """``bandwidth`` in octets a second, ``delay`` there and back in microseconds, ``queue`` in octets; all
    may change on the way.

    ``loses`` says of a segment's number whether it is lost; ``supply`` is what the user brings in octets a
    second, 0 for no end of it; ``batch`` makes the peer's ACKs wait for each other, so many microseconds.
    """

    def __init__(
        self, control: Congestion, bandwidth: int, delay: int, queue: int = 1 << 30, now: int = 1000 * SECOND
    ) -> None:
        self.control = control
        self.bandwidth = bandwidth
        self.delay = delay
        self.queue = queue
        self.loses: Callable[[int], bool] = lambda number: False
        self.supply = 0
        self.batch = 0
        self.now = self.began = now
        self.sample = Sample()
        self.sent = 0
        self.supplied = 0  # number of segments, while ``supply`` limits
        self.first_sent_at = self.delivered_at = now
        self.app_limited = -1
        self.flying: dict[int, Flying] = {}
        self.flight = 0
        self.una = 0
        self.recovery_point = -1
        self.is_paused = False
        self.timeouts = 0
        self._free_at = now
        self._next_send = now
        self._events: list[tuple[int, int]] = []  # (when the ACK comes, number)
        self._limit_from = now

    def run(self, duration: int, until: Callable[[], bool] = lambda: False) -> bool:
        """Whether ``until`` came true, judged after each ACK."""
        end = self.now + duration
        while self.now < end:
            self._send()
            when = min(self._events[0][0] if self._events else NEVER, self._wakes())
            if when == NEVER and self.flying:
                when = self.now + SECOND
                self._time_out(min(when, end))
            elif when == NEVER or when > end:
                break
            self.now = when
            while self._events and self._events[0][0] <= self.now:
                self._acknowledged(heappop(self._events)[1])
                if until():
                    return True
        self.now = end
        return False

    def limit(self, supply: int) -> None:
        """The user brings no more than that from now on, in octets a second."""
        self.supply = supply
        self.supplied = self.sent
        self._limit_from = self.now

    def _allowed(self) -> int:
        """How many segments the user has brought."""
        return (
            self.supplied + (self.now - self._limit_from) * self.supply // (SECOND * SMSS)
            if self.supply
            else 1 << 60
        )

    def _wakes(self) -> int:
        if self.is_paused or self.flight + SMSS > self.control.window:
            return NEVER
        if self._allowed() <= self.sent:
            return self._limit_from + -(-(self.sent + 1 - self.supplied) * SMSS * SECOND // self.supply)
        return max(self._next_send, self.now)

    def _send(self) -> None:
        while (
            not self.is_paused and self.flight + SMSS <= self.control.window and self._next_send <= self.now
        ):
            if self._allowed() <= self.sent:
                self.app_limited = self.sample.total_delivered + self.flight
                return
            if not self.flying:
                self.control.started(self.now)
                self.first_sent_at = self.delivered_at = self.now
            self._transmit()

    def _transmit(self) -> None:
        segment = Flying(self)
        self.flying[segment.number] = segment
        self.flight += SMSS
        self.sent += 1
        if self.control.pacing_rate:
            self._next_send = max(self._next_send, self.now) + SMSS * SECOND // self.control.pacing_rate
        if self.loses(segment.number) or (self._free_at - self.now) * self.bandwidth > self.queue * SECOND:
            return
        self._free_at = max(self._free_at, self.now) + SMSS * SECOND // self.bandwidth
        arrives = self._free_at + self.delay
        if self.batch:
            arrives += -arrives % self.batch
        heappush(self._events, (arrives, segment.number))

    def _acknowledged(self, number: int) -> None:
        segment = self.flying.pop(number, None)
        if segment is None:
            return  # thought lost
        sample, control = self.sample, self.control
        sample.flight_before = self.flight
        self.flight -= SMSS
        sample.delivered = SMSS
        sample.total_delivered += SMSS
        self.delivered_at = self.now
        sample.lost = self._find_lost(number)
        sample.total_lost += sample.lost
        self.flight -= sample.lost
        sample.flight = self.flight
        una = min(self.flying, default=self.sent) * SMSS
        sample.acked, self.una = una - self.una, una
        sample.una, sample.max = una, self.sent * SMSS
        sample.round_trip = self.now - segment.sent_at
        sample.is_window_limited = 2 * sample.flight_before >= control.window
        sample.interval = max(segment.sent_at - segment.first_sent_at, self.now - segment.delivered_at)
        sample.rate = (sample.total_delivered - segment.delivered) * SECOND // max(1, sample.interval)
        self.first_sent_at = segment.sent_at
        sample.prior_delivered = segment.delivered
        sample.segment_flight, sample.segment_lost = segment.flight, segment.lost
        sample.lost_since = sample.total_lost - segment.lost
        sample.is_app_limited = segment.is_app_limited
        self._tell()

    def _find_lost(self, newest: int) -> int:
        lost = [number for number in self.flying if number <= newest - REORDERING]
        for number in lost:
            del self.flying[number]
        return len(lost) * SMSS

    def _tell(self) -> None:
        sample, control = self.sample, self.control
        is_in_recovery = self.una < self.recovery_point
        if sample.lost and not is_in_recovery:
            self.recovery_point = self.sent * SMSS
            control.remember(sample.flight_before)
            control.lost(sample.flight_before, self.now)
            is_in_recovery = True
        control.observed(sample, self.now)
        if 0 <= self.recovery_point <= self.una:
            self.recovery_point = -1
            control.recovered(sample.flight, self.now)
        elif not is_in_recovery and sample.is_window_limited:
            control.acknowledged(sample.acked, self.now)

    def _time_out(self, now: int) -> None:
        self.timeouts += 1
        self.control.remember(self.flight)
        self.control.timed_out(self.flight, now, again=False)
        self.sample.total_lost += self.flight
        self.flying.clear()
        self.flight = 0
        self.una = self.sent * SMSS
        self.recovery_point = -1
