"""Model of one direction of a path: which packets arrive, whether they are damaged, and when.

Paths of a `World`, and the links `Delayed`, `Shaped` and `Faulty`, are made of these parts. A packet goes
through them from left to right::

    queue (drop-tail) --> bandwidth --> loss? duplicate? corrupt? --> delay + jitter --> reorder?
    |                             |     |                       |     |                         |
    +-------- Bottleneck ---------+     +------- Chances -------+     +-------- Travel ---------+

All times are in microseconds, bandwidth in bits a second. Every setting is checked when it is assigned.
"""

from collections import deque
from random import Random
from typing import Any, Final

from postel.errors import ArgumentError
from postel.times import MILLISECOND, SECOND

QUEUE: Final = 1000  # default limit of a queue, in packets: that of a Linux device (`txqueuelen`)
UNLIMITED: Final = 1 << 62  # limit of a queue without a limit: more packets or octets than ever wait
HOLD: Final = 20 * MILLISECOND
ANY_BIT: Final = -2  # stands for a bit that the random number generator chooses


class _Setting:
    """Descriptor of a setting, which is checked whenever it is assigned.

    It has no ``__get__``, so that reading a setting is as fast as reading any attribute.
    """

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __set__(self, course: object, value: Any) -> None:  # noqa: ANN401 - whatever a caller may try
        self.check(self._name, value)
        settings = vars(course)
        settings[self._name] = value
        settings["is_judged"] = False  # values that a path has derived from its settings are out of date

    def check(self, name: str, value: object) -> None:
        """Raise ArgumentError for a value that the setting can't have."""
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise ArgumentError(name, value, "an int, 0 or more")


class _Packets(_Setting):
    """Number of packets that may wait, whatever their length: the limit of a `Bottleneck`."""

    def __set__(self, course: object, value: Any) -> None:  # noqa: ANN401 - whatever a caller may try
        super().__set__(course, value)
        vars(course).update(most_packets=value, most_octets=UNLIMITED)


class _Chance(_Setting):
    """Probability, 0.0 to 1.0."""

    def check(self, name: str, value: object) -> None:
        """Raise ArgumentError for a value that is no probability."""
        if not isinstance(value, int | float) or isinstance(value, bool) or not 0.0 <= value <= 1.0:
            raise ArgumentError(name, value, "a probability, 0.0 to 1.0")


class _Dice(_Setting):
    """Random number generator of the user's choice."""

    def check(self, name: str, value: object) -> None:
        """Raise ArgumentError for a value that is no `random.Random`."""
        if not isinstance(value, Random):
            raise ArgumentError(name, value, "a random.Random")


def count() -> Any:  # noqa: ANN401 - a descriptor stands for the value
    """Make a setting that is an int of 0 or more."""
    return _Setting()


def packets() -> Any:  # noqa: ANN401 - a descriptor stands for the value
    """Make the setting of a `Bottleneck` that limits the packets in its queue."""
    return _Packets()


def chance() -> Any:  # noqa: ANN401 - a descriptor stands for the value
    """Make a setting that is a probability, 0.0 to 1.0."""
    return _Chance()


def dice() -> Any:  # noqa: ANN401 - a descriptor stands for the value
    """Make a setting that is a `random.Random`."""
    return _Dice()


class Bottleneck:
    """Queue and bandwidth: packets leave one after another, at ``bandwidth`` bits a second (0: no limit).

    A subclass has a setting ``queue``. This setting limits how many packets (``most_packets``) or octets
    (``most_octets``) may wait while a packet is being sent; a packet that finds the queue full is lost
    (drop-tail).
    """

    bandwidth: int = count()
    most_packets: int
    most_octets: int

    def __init__(self, bandwidth: int) -> None:
        """Start with an empty queue. ``bandwidth`` is in bits a second, 0 for no limit."""
        self.bandwidth = bandwidth
        self._free_at = 0  # time at which the last octet in the queue will have left, in microseconds
        self._leaving: deque[int] = deque()  # the same time for each packet in the queue

    def is_full(self, now: int) -> bool:
        """Tell whether the queue is full, so that a packet that comes now is lost."""
        if not self.bandwidth:
            return False
        if self.most_octets != UNLIMITED:
            return self.waits_more_than(self.most_octets, now)
        self._forget_those_that_left(now)
        return len(self._leaving) > self.most_packets

    def waits_more_than(self, octets: int, now: int) -> bool:
        """Tell whether more than this number of octets wait in the queue."""
        return self.bandwidth > 0 and (self._free_at - now) * self.bandwidth > octets * 8 * SECOND

    def leaves(self, length: int, now: int) -> int:
        """Put a packet of ``length`` octets into the queue. Returns when its last octet will have left."""
        if not self.bandwidth:
            return now
        self._free_at = max(now, self._free_at) + -(-length * 8 * SECOND // self.bandwidth)
        self._forget_those_that_left(now)
        self._leaving.append(self._free_at)
        return self._free_at

    def _forget_those_that_left(self, now: int) -> None:
        """Remove the packets that have left the queue by ``now``."""
        leaving = self._leaving
        while leaving and leaving[0] <= now:
            leaving.popleft()


class Chances:
    """Probabilities of loss, duplication and damage, each 0.0 to 1.0; ``random`` decides.

    With ``loss`` a packet doesn't arrive, with ``duplicate`` it arrives twice, with ``corrupt`` one of its
    bits is wrong.
    """

    random: Random = dice()
    loss: float = chance()
    duplicate: float = chance()
    corrupt: float = chance()

    def __init__(self, random: Random, loss: float, duplicate: float, corrupt: float) -> None:
        """Set all probabilities. Raises ArgumentError."""
        self.random = random
        self.loss = loss
        self.duplicate = duplicate
        self.corrupt = corrupt

    def copies(self) -> int:
        """Return how often the next packet arrives: 0, 1 or 2 times."""
        copies = 0 if self.loss and self.random.random() < self.loss else 1
        return copies + 1 if self.duplicate and self.random.random() < self.duplicate else copies

    def is_corrupt(self) -> bool:
        """Tell whether the next packet arrives with one wrong bit."""
        return self.corrupt > 0 and self.random.random() < self.corrupt

    def turned(self, octets: bytes, bit: int = ANY_BIT) -> bytes:
        """Return the octets with one bit inverted.

        ``bit`` is the number of that bit, counted from the highest bit of the first octet. With ANY_BIT
        ``random`` chooses the bit.
        """
        length = len(octets) * 8
        place = self.random.randrange(length) if bit == ANY_BIT else bit % length
        changed = bytearray(octets)
        changed[place >> 3] ^= 0x80 >> (place & 7)
        return bytes(changed)


class Travel:
    """Time that a packet takes on its way: ``delay``, and up to ``jitter`` more, in microseconds.

    Jitter alone never changes the order. With the probability ``reorder`` a packet is held back by up to
    ``hold`` microseconds more, and others overtake it.
    """

    random: Random = dice()
    delay: int = count()
    jitter: int = count()
    hold: int = count()
    reorder: float = chance()

    def __init__(self, random: Random, delay: int, jitter: int, reorder: float, hold: int) -> None:
        """Set all times and the probability. Raises ArgumentError."""
        self.random = random
        self.delay = delay
        self.jitter = jitter
        self.reorder = reorder
        self.hold = hold
        self._last_arrival = 0

    def arrival(self, leaves: int) -> int:
        """Return when a packet that leaves at ``leaves`` arrives."""
        arrival = leaves + self.delay
        if self.jitter:
            arrival += self.random.randint(0, self.jitter)
        if self.reorder and self.random.random() < self.reorder:
            return arrival + self.random.randint(1, max(self.hold, 1))
        self._last_arrival = max(arrival, self._last_arrival)
        return self._last_arrival
