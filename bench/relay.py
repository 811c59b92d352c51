"""A long and bad road between two descriptors that carry one packet a read, until its stdin ends.

``relay.py LEFT RIGHT LOSS DELAY SEED``

Loss is a share of the packets over 200 octets: to lose SYNs and lone ACKs, which are rare or cumulative,
would add noise and no meaning. Delay is in seconds, one way. The generator is seeded: every stack meets the
same sequence of fates.
"""

import os
import random
import select
import sys
import time
from collections import deque
from contextlib import suppress

STDIN = 0
LARGEST = 1 << 16
SPARED = 200  # octets
BURST = 64  # packets from one side, before the other's turn


class Road:
    def __init__(self, left: int, right: int, *, loss: float, delay: float, seed: int) -> None:
        self._other = {left: right, right: left}
        self._loss = loss
        self._delay = delay
        self._random = random.Random(seed)
        # The delay is constant, so first in is first out
        self._travelling: deque[tuple[float, int, bytes]] = deque()
        for end in self._other:
            os.set_blocking(end, False)

    def run(self) -> None:
        while True:
            ready, _, _ = select.select([*self._other, STDIN], [], [], self._wait())
            if STDIN in ready:
                return
            for source in ready:
                self._take(source)
            self._deliver()

    def _wait(self) -> float | None:
        return max(0.0, self._travelling[0][0] - time.monotonic()) if self._travelling else None

    def _take(self, source: int) -> None:
        arrives = time.monotonic() + self._delay
        with suppress(BlockingIOError):
            for _ in range(BURST):
                packet = os.read(source, LARGEST)
                if len(packet) <= SPARED or self._random.random() >= self._loss:
                    self._travelling.append((arrives, self._other[source], packet))

    def _deliver(self) -> None:
        now = time.monotonic()
        while self._travelling and self._travelling[0][0] <= now:
            _, target, packet = self._travelling.popleft()
            with suppress(BlockingIOError):  # a full queue loses what comes, as a router's does
                os.write(target, packet)


if __name__ == "__main__":
    Road(
        int(sys.argv[1]),
        int(sys.argv[2]),
        loss=float(sys.argv[3]),
        delay=float(sys.argv[4]),
        seed=int(sys.argv[5]),
    ).run()
