"""Ephemeral ports by RFC 6056, 3.3.4: algorithm 4, "double-hash".

Connections to one remote endpoint take ports one after another, which keeps a pair's next use as far away as can be; where the
sequence starts, and which of the counters it shares, is known to the holder of the secret alone.
"""

from collections.abc import Iterator
from hashlib import blake2b
from typing import Final

LOWEST: Final = 1024  # RFC6056-3.2: the whole range above the well-known ports
HIGHEST: Final = 65535
_COUNT: Final = HIGHEST - LOWEST + 1
_TABLE: Final = 1024  # counters; RFC 6056 found 10 to help already


class Ports:
    __slots__ = ("_secret", "_table")

    def __init__(self, secret: bytes) -> None:
        self._secret = blake2b(secret, digest_size=32, person=b"ports").digest()
        start = blake2b(b"table", digest_size=64, key=self._secret).digest()
        self._table = [int.from_bytes(start[2 * (i % 32) : 2 * (i % 32) + 2], "big") for i in range(_TABLE)]

    def candidates(self, local_address: bytes, remote_address: bytes, remote_port: int) -> Iterator[int]:
        """Every ephemeral port once, in the order in which to try them: bounded, so that exhaustion ends (RFC6056-3.3c)."""
        text = b"".join((bytes([len(local_address)]), local_address, remote_address, remote_port.to_bytes(2, "big")))
        digest = blake2b(text, digest_size=8, key=self._secret).digest()
        offset = int.from_bytes(digest[:4], "big")  # F
        index = int.from_bytes(digest[4:], "big") % _TABLE  # G
        for _ in range(_COUNT):
            port = LOWEST + (offset + self._table[index]) % _COUNT
            self._table[index] += 1
            yield port
