"""Clocks and random numbers of a task of a simulation: those of its computer, or of the test."""

from random import Random

from postel.sim.skew import SkewedClock

_UUID_EPOCH = 0x01B21DD213814000  # RFC 9562, 5.1: from 1582-10-15 to 1970-01-01, in units of 100 ns


class Place:
    """Clocks and random numbers that sealed functions give to the tasks of one computer."""

    def __init__(self, name: str, clock: SkewedClock, random: Random, epoch: int) -> None:
        """Make a computer's place. ``epoch`` is the beginning of the world in microseconds since 1970."""
        self.name = name
        self.clock = clock
        self.random = random
        # RFC 9562, 6.10: the multicast bit says that this number is no address of a device
        self.node: int = Random(f"{name}/node").getrandbits(48) | 1 << 40
        self._epoch = epoch
        self._last_stamp = 0

    def wall(self) -> float:
        """Seconds since 1970."""
        return (self._epoch + self.clock.wall()) / 1_000_000

    def wall_ns(self) -> int:
        """Nanoseconds since 1970."""
        return (self._epoch * 1000) + int(self.clock.wall() * 1000)

    def monotonic(self) -> float:
        """Seconds since the beginning of the world."""
        return self.clock.monotonic() / 1_000_000

    def monotonic_ns(self) -> int:
        """Nanoseconds since the beginning of the world."""
        return int(self.clock.monotonic() * 1000)

    def stamp(self) -> int:
        """Time for a UUID in units of 100 ns since 1582, later than that of any earlier call."""
        self._last_stamp = max(self._last_stamp + 1, self.wall_ns() // 100 + _UUID_EPOCH)
        return self._last_stamp
