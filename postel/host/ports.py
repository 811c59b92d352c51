"""Ephemeral ports by RFC 6056, 3.3.4: algorithm 4, "double-hash".

Connections to one remote endpoint take ports one after another, which keeps a pair's next use as far away as
can be; where the sequence starts, and which of the counters it shares, is known to the holder of the secret
alone.

The algorithm tries one port after another until it meets a free one. Where a run of ports is taken,
`Ports.find` doesn't go through them one by one: for each destination to which many ports are taken it keeps
the set of the free ones, as the bits of one integer, and finds the port at which the algorithm would have
arrived by shifting that. So a search costs about the same whether many ports are free, one or none.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from itertools import islice
from typing import Final

from postel.compiler import mypyc_attr

LOWEST: Final = 1024  # RFC6056-3.2: the whole range above the well-known ports
HIGHEST: Final = 65535
_COUNT: Final = HIGHEST - LOWEST + 1
_ZERO: Final = 0x30  # digits
_ONE: Final = 0x31
_TABLE: Final = 1024  # counters; RFC 6056 found 10 to help already
_TRIES: Final = 16  # ports tried one by one before the set of the free ones is asked, or made
_FEW: Final = 8  # as few taken ports toward a destination don't need a set any more


@mypyc_attr(allow_interpreted_subclasses=True)
class Search(ABC):
    """What `Ports.find` asks about one search for a free port.

    ``destination`` names it in the table of sets: a port is freed under the same name.
    """

    __slots__ = ("destination", "local_address", "remote_address", "remote_port")

    def __init__(
        self, destination: bytes, local_address: bytes, remote_address: bytes, remote_port: int
    ) -> None:
        self.destination: bytes = destination
        self.local_address: bytes = local_address
        self.remote_address: bytes = remote_address
        self.remote_port: int = remote_port

    @abstractmethod
    def is_free(self, port: int) -> bool:
        """Whether this port may be used for the destination now."""

    @abstractmethod
    def taken(self) -> Iterable[int]:
        """Ports that are taken for the destination. Asked once, when its set of free ports is made.

        A port that is missing here is struck off the set when `is_free` refuses it.
        """

    def waiting(self) -> Iterable[int]:
        """Those of the `taken` that may become free by the passing of time alone."""
        return ()

    def is_waiting(self, port: int) -> bool:
        """Whether the port may become free by the passing of time alone."""
        return False


class _Crowd:
    """Ports toward a destination to which many are taken, each set as the bits of an integer (`_set`)."""

    __slots__ = ("free", "waiting")

    def __init__(self, taken: Iterable[int], waiting: Iterable[int]) -> None:
        self.free = _set(taken, _ZERO, _ONE)
        self.waiting = _set(waiting, _ONE, _ZERO)


class Ports:
    """Chooses ephemeral ports. A port that becomes free again must be told with `free` or
    `free_everywhere`.
    """

    __slots__ = ("_crowded", "_secret", "_table")

    def __init__(self, secret: bytes) -> None:
        self._secret = blake2b(secret, digest_size=32, person=b"ports").digest()
        start = blake2b(b"table", digest_size=64, key=self._secret).digest()
        self._table = [int.from_bytes(start[2 * (i % 32) : 2 * (i % 32) + 2], "big") for i in range(_TABLE)]
        self._crowded: dict[bytes, _Crowd] = {}

    def candidates(self, local_address: bytes, remote_address: bytes, remote_port: int) -> Iterator[int]:
        """Every ephemeral port once, in the order in which to try them: bounded, so that exhaustion ends
        (RFC6056-3.3c).
        """
        offset, index = self._start(local_address, remote_address, remote_port)
        for _ in range(_COUNT):
            port = LOWEST + (offset + self._table[index]) % _COUNT
            self._table[index] += 1
            yield port

    def find(self, search: Search) -> int:
        """The first free port in the order of `candidates`; 0 where none is free (RFC6056-3.3c)."""
        candidates = self.candidates(search.local_address, search.remote_address, search.remote_port)
        for port in islice(candidates, _TRIES):
            if search.is_free(port):
                return port
        crowd = self._crowded.get(search.destination)
        if crowd is None:
            crowd = self._crowded[search.destination] = _Crowd(search.taken(), search.waiting())
        while crowd.free:
            port = self._first(search, crowd.free)
            if search.is_free(port):
                return port
            crowd.free &= ~(1 << port - LOWEST)
        return self._find_waiting(search, crowd)

    def _find_waiting(self, search: Search, crowd: _Crowd) -> int:
        """As `find`, where only ports that wait for their time are left. Not all of them are asked; the next
        search goes on.
        """
        for _ in range(_TRIES):
            if not crowd.waiting:
                break
            port = self._first(search, crowd.waiting)
            if search.is_free(port):
                return port
            if not search.is_waiting(port):
                crowd.waiting &= ~(1 << port - LOWEST)
        return 0

    def wait(self, destination: bytes, port: int) -> None:
        """Note that a port, still taken for this destination, may become free by the passing of time
        alone.
        """
        crowd = self._crowded.get(destination)
        if crowd is not None and port >= LOWEST:
            crowd.waiting |= 1 << port - LOWEST

    @property
    def is_crowded(self) -> bool:
        """Whether there is a destination to which many ports are taken: only then `free` has anything to
        do.
        """
        return bool(self._crowded)

    def free(self, destination: bytes, port: int) -> None:
        """Note that a port is no longer taken for this destination. Harmless where it wasn't, or still is."""
        crowd = self._crowded.get(destination)
        if crowd is None or port < LOWEST:
            return
        crowd.free |= 1 << port - LOWEST
        crowd.waiting &= ~(1 << port - LOWEST)
        if _COUNT - crowd.free.bit_count() <= _FEW:
            del self._crowded[destination]

    def free_everywhere(self, port: int) -> None:
        """As `free`, of what took the port for all destinations: a listener, or a socket without a remote."""
        for destination in list(self._crowded):
            self.free(destination, port)

    def _start(self, local_address: bytes, remote_address: bytes, remote_port: int) -> tuple[int, int]:
        """RFC 6056's F and G: where the destination's sequence starts, and the counter that it shares."""
        port = remote_port.to_bytes(2, "big")
        text = b"".join((bytes([len(local_address)]), local_address, remote_address, port))
        digest = blake2b(text, digest_size=8, key=self._secret).digest()
        return int.from_bytes(digest[:4], "big"), int.from_bytes(digest[4:], "big") % _TABLE

    def _first(self, search: Search, free: int) -> int:
        """The port of ``free`` at which the algorithm arrives from here.

        The counter moves on as if each port on the way had been tried.
        """
        offset, index = self._start(search.local_address, search.remote_address, search.remote_port)
        position = (offset + self._table[index]) % _COUNT
        rest = free >> position
        steps = _lowest_bit(rest) if rest else _COUNT - position + _lowest_bit(free)
        self._table[index] += steps + 1
        return LOWEST + (position + steps) % _COUNT


def _lowest_bit(value: int) -> int:
    return (value & -value).bit_length() - 1


def _set(ports: Iterable[int], theirs: int, others: int) -> int:
    """A set in which these ports have the digit ``theirs``: written as binary digits, which is quickly read.

    Bit i stands for port LOWEST + i. (A constant with all bits set would be too large for mypyc.)
    """
    digits = bytearray((others,)) * _COUNT
    for port in ports:
        if port >= LOWEST:
            digits[HIGHEST - port] = theirs
    return int(digits, 2)
