"""Clocks of a computer that show another time than the world's."""

from typing import Final

from postel.sim.units import Duration, duration
from postel.sim.world import World

_MILLION: Final = 1_000_000


class SkewedClock:
    """Clocks of one computer, as `time.time`, `time.monotonic` and functions like these read them.

    ``offset`` is how far the wall clock is ahead, in microseconds. Timers, such as `asyncio.sleep`, keep the
    world's time.
    """

    def __init__(self, world: World) -> None:
        """Make clocks that show the world's time."""
        self.offset: int = 0
        self._world = world
        self._drift = 0.0
        self._since = 0  # the world's time when the drift was set, in microseconds
        self._reading = 0.0  # what the monotonic clock showed at that time, in microseconds

    @property
    def drift(self) -> float:
        """Microseconds a second (ppm) by which both clocks run too fast. Assignments count from now on."""
        return self._drift

    @drift.setter
    def drift(self, drift: float) -> None:
        """Let both clocks run at another speed from now on."""
        self._reading, self._since = self.monotonic(), self._world.now
        self._drift = drift

    def jump(self, by: Duration) -> None:
        """Set the wall clock ahead by ``by``, in microseconds or as text ("5s"); back for a negative number.

        The monotonic clock doesn't jump. Raises ArgumentError.
        """
        self.offset += by if isinstance(by, int) else duration(by, "by")

    def monotonic(self) -> float:
        """Microseconds since the beginning of the world, by this clock."""
        elapsed = self._world.now - self._since
        return self._reading + elapsed + elapsed * self._drift / _MILLION

    def wall(self) -> float:
        """Microseconds since the world's epoch, by this clock."""
        return self.monotonic() + self.offset
