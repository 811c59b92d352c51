"""Clocks of a computer that show another time than the world's."""

from typing import Final

from postel.sim.units import Duration, duration
from postel.sim.world import World

_MILLION: Final = 1_000_000


class SkewedClock:
    """What the software of one computer reads from its clocks: `time.time`, `time.monotonic` and all that is
    made of them.

    ``offset`` is how far the wall clock is ahead, in microseconds. ``drift`` is how much too fast both clocks
    run, in microseconds a second (ppm); a change of it counts from now on. Timers, such as `asyncio.sleep`,
    keep the world's time.
    """

    def __init__(self, world: World) -> None:
        self.offset: int = 0
        self._world = world
        self._drift = 0.0
        self._since = 0  # when the drift was set: the world's time …
        self._reading = 0.0  # … and what the monotonic clock showed then

    @property
    def drift(self) -> float:
        """Microseconds a second."""
        return self._drift

    @drift.setter
    def drift(self, drift: float) -> None:
        self._reading, self._since = self.monotonic(), self._world.now
        self._drift = drift

    def jump(self, by: Duration) -> None:
        """Set the wall clock ``by`` ahead, in microseconds or as text ("5s"); back where it is a negative
        number. The monotonic clock doesn't jump."""
        self.offset += by if isinstance(by, int) else duration(by, "by")

    def monotonic(self) -> float:
        """Microseconds since the beginning of the world, by this clock."""
        elapsed = self._world.now - self._since
        return self._reading + elapsed + elapsed * self._drift / _MILLION

    def wall(self) -> float:
        """Microseconds since the world's epoch, by this clock."""
        return self.monotonic() + self.offset
