"""How packets fare on one way: which of them arrive, as what, and when. Paths of a `World` and links in
between are made of this.

::

    departs ──► queue (drop-tail) ──► bandwidth ──► loss? duplicate? corrupt? ──► delay + jitter ──► reorder?
    ──► arrives
       └─────────── Bottleneck ──────────┘ └────────── Chances ──────────┘ └──────────── Travel ───────┘

Every setting is checked whenever it is assigned.
"""

from collections import deque
from random import Random
from typing import Any, Final

from postel.errors import ArgumentError
from postel.times import MILLISECOND, SECOND

QUEUE: Final = 1000  # packets, as many as Linux gives a device (`txqueuelen`)
UNLIMITED: Final = 1 << 62  # more packets or octets than ever wait
HOLD: Final = 20 * MILLISECOND
ANY_BIT: Final = -2  # one that the dice choose


class _Setting:
    """A setting, checked whenever it is assigned. Without ``__get__``, so that reading one costs what any
    attribute costs.
    """

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __set__(self, course: object, value: Any) -> None:  # noqa: ANN401 - whatever a caller may try
        self.check(self._name, value)
        settings = vars(course)
        settings[self._name] = value
        settings["is_judged"] = False  # a path draws conclusions from its settings

    def check(self, name: str, value: object) -> None:
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise ArgumentError(name, value, "an int, 0 or more")


class _Packets(_Setting):
    """How many packets may wait, whatever their length: the limit of a `Bottleneck`."""

    def __set__(self, course: object, value: Any) -> None:  # noqa: ANN401 - whatever a caller may try
        super().__set__(course, value)
        vars(course).update(most_packets=value, most_octets=UNLIMITED)


class _Chance(_Setting):
    def check(self, name: str, value: object) -> None:
        if not isinstance(value, int | float) or isinstance(value, bool) or not 0.0 <= value <= 1.0:
            raise ArgumentError(name, value, "a probability, 0.0 to 1.0")


class _Dice(_Setting):
    def check(self, name: str, value: object) -> None:
        if not isinstance(value, Random):
            raise ArgumentError(name, value, "a random.Random: its seed decides all that chance decides")


def count() -> Any:  # noqa: ANN401 - a descriptor stands for the value
    """An int of 0 or more."""
    return _Setting()


def packets() -> Any:  # noqa: ANN401
    """The number of packets that may wait in the queue of a `Bottleneck`."""
    return _Packets()


def chance() -> Any:  # noqa: ANN401
    """A probability, 0.0 to 1.0."""
    return _Chance()


def dice() -> Any:  # noqa: ANN401
    """A `random.Random`."""
    return _Dice()


class Bottleneck:
    """Base class: packets leave one after another, at ``bandwidth`` bits a second (0: no limit).

    A subclass has a setting ``queue``, which sets how many packets (``most_packets``) or octets
    (``most_octets``) may wait while a packet is being sent.
    """

    bandwidth: int = count()
    most_packets: int
    most_octets: int

    def __init__(self, bandwidth: int) -> None:
        self.bandwidth = bandwidth
        self._free_at = 0  # when the last octet that waits will have left
        self._leaving: deque[int] = deque()  # when the last octet of each packet that waits will have left

    def is_full(self, now: int) -> bool:
        """Whether a packet that comes now is lost."""
        if not self.bandwidth:
            return False
        if self.most_octets != UNLIMITED:
            return self.waits_more_than(self.most_octets, now)
        self._forget_those_that_left(now)
        return len(self._leaving) > self.most_packets

    def waits_more_than(self, octets: int, now: int) -> bool:
        """Whether more than so many octets wait to leave."""
        return self.bandwidth > 0 and (self._free_at - now) * self.bandwidth > octets * 8 * SECOND

    def leaves(self, length: int, now: int) -> int:
        """Take a packet of ``length`` octets into the queue: when its last octet will have left."""
        if not self.bandwidth:
            return now
        self._free_at = max(now, self._free_at) + -(-length * 8 * SECOND // self.bandwidth)
        self._forget_those_that_left(now)
        self._leaving.append(self._free_at)
        return self._free_at

    def _forget_those_that_left(self, now: int) -> None:
        leaving = self._leaving
        while leaving and leaving[0] <= now:
            leaving.popleft()


class Chances:
    """``loss``, ``duplicate`` and ``corrupt`` are the probabilities that a packet is lost, comes twice, or
    with one bit turned over.
    """

    random: Random = dice()
    loss: float = chance()
    duplicate: float = chance()
    corrupt: float = chance()

    def __init__(self, random: Random, loss: float, duplicate: float, corrupt: float) -> None:
        self.random = random
        self.loss = loss
        self.duplicate = duplicate
        self.corrupt = corrupt

    def copies(self) -> int:
        """How often the next packet arrives."""
        copies = 0 if self.loss and self.random.random() < self.loss else 1
        return copies + 1 if self.duplicate and self.random.random() < self.duplicate else copies

    def is_corrupt(self) -> bool:
        """Whether a bit of the next packet is turned over."""
        return self.corrupt > 0 and self.random.random() < self.corrupt

    def turned(self, octets: bytes, bit: int = ANY_BIT) -> bytes:
        """The octets with one bit turned over: number ``bit``, counted from the first octet's highest."""
        length = len(octets) * 8
        place = self.random.randrange(length) if bit == ANY_BIT else bit % length
        changed = bytearray(octets)
        changed[place >> 3] ^= 0x80 >> (place & 7)
        return bytes(changed)


class Travel:
    """The time on the way, in microseconds: ``delay``, and up to ``jitter`` more, which never reorders by
    itself. With the probability ``reorder`` a packet is held back by up to ``hold`` more, and others overtake
    it.
    """

    random: Random = dice()
    delay: int = count()
    jitter: int = count()
    hold: int = count()
    reorder: float = chance()

    def __init__(self, random: Random, delay: int, jitter: int, reorder: float, hold: int) -> None:
        self.random = random
        self.delay = delay
        self.jitter = jitter
        self.reorder = reorder
        self.hold = hold
        self._last_arrival = 0

    def arrival(self, leaves: int) -> int:
        """When a packet arrives that leaves at ``leaves``."""
        arrival = leaves + self.delay
        if self.jitter:
            arrival += self.random.randint(0, self.jitter)
        if self.reorder and self.random.random() < self.reorder:
            return arrival + self.random.randint(1, max(self.hold, 1))
        self._last_arrival = max(arrival, self._last_arrival)
        return self._last_arrival
