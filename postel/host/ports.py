"""Ephemeral ports by algorithm 4 of RFC 6056, 3.3.4, "double-hash port selection".

Theory of operation. Connections to one remote endpoint get ports one after another, so that a port isn't used
again for as long as possible. Where the sequence starts is a secret: an attacker must not guess the port. It
is the sum of an offset, a keyed hash of the two addresses and the remote port, and one of 1024 counters,
which other bits of the hash select::

    port = 1024 + (offset + counter) % 64512;  counter += 1;  repeat while the port is taken

`Ports.find` tries 16 ports like this. If all 16 are taken, trying more ports one by one would take long. So
each destination to which many ports are taken gets a set of the free ports (a "crowd"), as the bits of one
integer. The port at which the algorithm would arrive is found by shifting that integer. A search then costs
about the same whether many ports are free, one, or none.
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
_ZERO: Final = 0x30  # the character "0"
_ONE: Final = 0x31
_TABLE: Final = 1024  # number of counters; RFC 6056 says that even 10 help
_TRIES: Final = 16  # ports that are tried one by one, before the set of the free ones is used
_FEW: Final = 8  # with this number of taken ports or fewer, a destination's set is removed


@mypyc_attr(allow_interpreted_subclasses=True)
class Search(ABC):
    """One search for a free port: the questions that `Ports.find` asks.

    ``destination`` is the key of its set of free ports. A port is freed under the same key.
    """

    __slots__ = ("destination", "local_address", "remote_address", "remote_port")

    def __init__(
        self, destination: bytes, local_address: bytes, remote_address: bytes, remote_port: int
    ) -> None:
        """Describe the search for a free port of ``local_address``, for use with this remote endpoint."""
        self.destination: bytes = destination
        self.local_address: bytes = local_address
        self.remote_address: bytes = remote_address
        self.remote_port: int = remote_port

    @abstractmethod
    def is_free(self, port: int) -> bool:
        """Whether this port may be used for the destination now."""

    @abstractmethod
    def taken(self) -> Iterable[int]:
        """Ports that are taken for the destination.

        `Ports.find` asks once, when it makes the set of free ports.

        A taken port that is missing here is removed from the set when `is_free` refuses it.
        """

    def waiting(self) -> Iterable[int]:
        """Ports among `taken` that may become free without a call of `Ports.free`, because time passes."""
        return ()

    def is_waiting(self, port: int) -> bool:
        """Whether this port may become free without a call of `Ports.free`, because time passes."""
        return False


class _Crowd:
    """Sets of ports of a destination to which many ports are taken, as the bits of integers (`_set`).

    ``free`` are the free ports. ``waiting`` are taken ports that may become free as time passes.
    """

    __slots__ = ("free", "waiting")

    def __init__(self, taken: Iterable[int], waiting: Iterable[int]) -> None:
        """Make the sets from lists of ports."""
        self.free = _set(taken, _ZERO, _ONE)
        self.waiting = _set(waiting, _ONE, _ZERO)


class Ports:
    """Chooses ephemeral ports.

    Each port that becomes free must be reported to `free` or `free_everywhere`.
    """

    __slots__ = ("_crowded", "_secret", "_table")

    def __init__(self, secret: bytes) -> None:
        """Derive offsets and the starts of the counters from ``secret``."""
        self._secret = blake2b(secret, digest_size=32, person=b"ports").digest()
        start = blake2b(b"table", digest_size=64, key=self._secret).digest()
        self._table = [int.from_bytes(start[2 * (i % 32) : 2 * (i % 32) + 2], "big") for i in range(_TABLE)]
        self._crowded: dict[bytes, _Crowd] = {}

    def candidates(self, local_address: bytes, remote_address: bytes, remote_port: int) -> Iterator[int]:
        """Iterate over all ephemeral ports once, in the order in which to try them (RFC6056-3.3c)."""
        offset, index = self._start(local_address, remote_address, remote_port)
        for _ in range(_COUNT):
            port = LOWEST + (offset + self._table[index]) % _COUNT
            self._table[index] += 1
            yield port

    def find(self, search: Search) -> int:
        """First free port in the order of `candidates`; 0 where none is free (RFC6056-3.3c).

        If the first 16 ports are taken, makes the destination's set of free ports, and searches that.
        """
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
        """First free port among those that may become free when time passes; 0 if none is found.

        One call tries 16 ports at most, and the next call goes on with the ports behind these.
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
        """Note that a taken port may become free without a call of `free`, because time passes."""
        crowd = self._crowded.get(destination)
        if crowd is not None and port >= LOWEST:
            crowd.waiting |= 1 << port - LOWEST

    @property
    def is_crowded(self) -> bool:
        """Whether any destination has a set of free ports. Only then `free` has an effect."""
        return bool(self._crowded)

    def free(self, destination: bytes, port: int) -> None:
        """Note that a port is free again for this destination.

        The call does no harm if the port wasn't taken, or is still taken.
        """
        crowd = self._crowded.get(destination)
        if crowd is None or port < LOWEST:
            return
        crowd.free |= 1 << port - LOWEST
        crowd.waiting &= ~(1 << port - LOWEST)
        if _COUNT - crowd.free.bit_count() <= _FEW:
            del self._crowded[destination]

    def free_everywhere(self, port: int) -> None:
        """Note that a port is free again for all destinations.

        A listener, or a socket without a remote endpoint, had the port before.
        """
        for destination in list(self._crowded):
            self.free(destination, port)

    def _start(self, local_address: bytes, remote_address: bytes, remote_port: int) -> tuple[int, int]:
        """Offset of this destination, and index of its counter: functions F and G of RFC 6056."""
        port = remote_port.to_bytes(2, "big")
        text = b"".join((bytes([len(local_address)]), local_address, remote_address, port))
        digest = blake2b(text, digest_size=8, key=self._secret).digest()
        return int.from_bytes(digest[:4], "big"), int.from_bytes(digest[4:], "big") % _TABLE

    def _first(self, search: Search, free: int) -> int:
        """Port of the set ``free`` at which the algorithm arrives next.

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
    """Set in which these ports have the digit ``theirs``, and all others the digit ``others``.

    Bit i stands for port LOWEST + i. The set is written as binary digits, which `int` converts fast. (mypyc
    doesn't take an integer constant with all bits set.)
    """
    digits = bytearray((others,)) * _COUNT
    for port in ports:
        if port >= LOWEST:
            digits[HIGHEST - port] = theirs
    return int(digits, 2)
