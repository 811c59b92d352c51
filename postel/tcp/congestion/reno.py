"""Slow start and congestion avoidance of RFC 5681, counting octets, not ACKs (RFC 3465)."""

from postel.tcp.congestion import Congestion


class Reno(Congestion):
    """The standard's controller: it doubles in a round trip until the threshold, then grows by one segment in each."""

    def __init__(self, smss: int, initial_window: int) -> None:
        super().__init__(smss, initial_window)
        self._counted = 0  # octets acknowledged since the last step of congestion avoidance

    def acknowledged(self, octets: int, now: int) -> None:
        if self.window < self.threshold:
            self.window += min(octets, self.smss)  # RFC5681-3.1f, RFC3465-2.2 with L = 1
            return
        self._counted += octets  # RFC5681-3.1g, RFC3465-2.1
        if self._counted >= self.window:
            self._counted -= self.window
            self.window += self.smss

    def lost(self, flight: int, now: int) -> None:
        self.threshold = max(flight // 2, 2 * self.smss)  # RFC5681-3.2d
        self.window = self.threshold
        self._counted = 0

    def recovered(self, flight: int, now: int) -> None:
        self.window = min(self.threshold, max(flight, self.smss) + self.smss)  # RFC6582-3.2-3a, against a burst

    def timed_out(self, flight: int, now: int, *, again: bool) -> None:
        if not again:  # RFC5681-3.1i
            self.threshold = max(flight // 2, 2 * self.smss)  # RFC5681-3.1h
        self.window = self.smss  # RFC5681-3.1j
        self._counted = 0

    def idled(self, now: int) -> None:
        self.window = min(self.window, self.initial_window)  # RFC5681-4.1a
