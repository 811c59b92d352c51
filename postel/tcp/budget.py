"""Limit on how many answers of a kind a whole host gives in a second.

The limit differs from second to second by a keyed hash, so that no peer can count how many answers other
peers have got (CVE-2016-5696).
"""

from hashlib import blake2b

from postel.times import SECOND


class Budget:
    """Limit of between ``limit`` / 2 and ``limit`` answers a second, which a third party can't predict."""

    __slots__ = ("_left", "_limit", "_second", "_secret")

    def __init__(self, limit: int, secret: bytes) -> None:
        """Set the limit in answers a second, and the secret of the hash that varies it by second."""
        self._limit = limit
        self._secret = blake2b(secret, digest_size=32).digest()
        self._second = -1
        self._left = 0

    def claim(self, now: int) -> bool:
        """Count one more answer at ``now``, and return whether the limit allows it."""
        second = now // SECOND
        if second != self._second:
            self._second = second
            self._left = self._limit // 2 + self._draw(second) % (self._limit // 2 + 1)
        if self._left == 0:
            return False
        self._left -= 1
        return True

    def _draw(self, second: int) -> int:
        """Return a number that depends on the second and the secret only."""
        return int.from_bytes(
            blake2b(second.to_bytes(16, "big"), digest_size=8, key=self._secret).digest(), "big"
        )
