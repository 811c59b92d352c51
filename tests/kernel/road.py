"""A road between the test's namespace and the stacks that share it, one packet a read: ``road.py OPTIONS``,
until its stdin ends.
::

    left ◄── delay ◄── queue, rate ◄── overtaking ◄─┬─ right
                                                    └─ right
    left ──► overtaking ──► queue, rate ──► delay ──► the right with the destination's address

A process of its own: beside the stack and the test's threads it would have its turn too late, and delay is
what it is about.
"""

import heapq
import json
import os
import random
import select
import socket
import sys
import time
from contextlib import suppress
from typing import Any

STDIN = 0
LARGEST = 1 << 16
SPARED = 200  # octets: packets without text keep their order
BURST = 64  # packets from one end, before the others' turn
SMOOTHING = 0.02  # a packet's weight in the average of the queue: several round trips' packets make it


class Lane:
    """One direction. ``rate`` is in bits a second (0: no limit), and ``queue`` the octets that may wait for
    it; seconds otherwise.

    Every so many-th packet with text is held back, until ``overtaken`` others with text have passed it, but
    for ``hold`` at most. ``early`` is the chance that a packet with text is lost before the queue is full:
    that much when it is full on average, and in proportion below (random early detection, RFC 2309).
    """

    def __init__(
        self,
        *,
        delay: float,
        rate: int = 0,
        queue: int = 0,
        early: float = 0.0,
        every: int = 0,
        overtaken: int = 0,
        hold: float = 0.0,
    ) -> None:
        self._delay, self._rate, self._queue, self._early = delay, rate, queue, early
        self._every, self._overtaken, self._hold = every, overtaken, hold
        self.travelling: list[tuple[float, int, bytes]] = []
        self._serial = 0
        self._texts = 0
        self._held: tuple[float, int, bytes] | None = None  # until when, until which text, what
        self._free_at = 0.0
        self._random = random.Random(1)
        self._average = 0.0  # octets that wait

    def enters(self, packet: bytes, now: float) -> None:
        is_text = len(packet) > SPARED
        self._texts += is_text
        if is_text and self._every and self._texts % self._every == 0:
            self.release()
            self._held = (now + self._hold, self._texts + self._overtaken, packet)
            return
        self._goes(packet, now)
        if self._held is not None and self._texts >= self._held[1]:
            self.release()

    def release(self, until: float | None = None) -> None:
        """What is held back goes now; or only if its time is over."""
        if self._held is not None and (until is None or self._held[0] <= until):
            packet, self._held = self._held[2], None
            self._goes(packet, time.monotonic())

    def _goes(self, packet: bytes, now: float) -> None:
        leaves = now
        if self._rate:
            waiting = max(0.0, self._free_at - now) * self._rate / 8
            if waiting > self._queue or (
                self._early and len(packet) > SPARED and self._is_lost_early(waiting)
            ):
                return
            leaves = self._free_at = max(now, self._free_at) + len(packet) * 8 / self._rate
        self._serial += 1
        heapq.heappush(self.travelling, (leaves + self._delay, self._serial, packet))

    def _is_lost_early(self, waiting: float) -> bool:
        self._average += (waiting - self._average) * SMOOTHING
        return self._random.random() * self._queue < self._early * self._average

    def next_timeout(self) -> float:
        arrives = self.travelling[0][0] if self.travelling else float("inf")
        return min(arrives, self._held[0]) if self._held is not None else arrives


class Road:
    def __init__(self, left: int, rights: dict[bytes, int], **settings: Any) -> None:
        self._left, self._rights = left, rights
        self._inwards, self._outwards = Lane(**settings), Lane(**settings)
        for end in (left, *rights.values()):
            os.set_blocking(end, False)

    def run(self) -> None:
        ends = [self._left, *self._rights.values()]
        while True:
            wait = min(self._inwards.next_timeout(), self._outwards.next_timeout()) - time.monotonic()
            ready, _, _ = select.select([*ends, STDIN], [], [], max(0.0, wait) if wait < 1e9 else None)
            if STDIN in ready:
                return
            for end in ready:
                self._take(end, self._outwards if end == self._left else self._inwards)
            self._deliver()

    def _take(self, end: int, lane: Lane) -> None:
        with suppress(BlockingIOError):
            for _ in range(BURST):
                lane.enters(os.read(end, LARGEST), time.monotonic())

    def _deliver(self) -> None:
        now = time.monotonic()
        for lane in (self._inwards, self._outwards):
            lane.release(now)
            while lane.travelling and lane.travelling[0][0] <= now:
                packet = heapq.heappop(lane.travelling)[2]
                target = self._left if lane is self._inwards else self._rights.get(destination(packet))
                if target is not None:
                    with suppress(BlockingIOError):
                        os.write(target, packet)


def destination(packet: bytes) -> bytes:
    return packet[16:20] if packet[0] >> 4 == 4 else packet[24:40]


def main() -> None:
    options = json.loads(sys.argv[1])
    rights = {
        socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address): descriptor
        for address, descriptor in options["rights"].items()
    }
    Road(options["left"], rights, **options["settings"]).run()


if __name__ == "__main__":
    main()
