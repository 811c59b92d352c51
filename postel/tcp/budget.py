"""How many throttled answers a whole host gives in a second, drawn anew each second so that no peer can count
them (CVE-2016-5696).
"""

from hashlib import blake2b

from postel.times import SECOND


class Budget:
    """Between half of ``limit`` and ``limit`` a second, by a keyed hash of the second: a counter that a third
    party can't read.
    """

    __slots__ = ("_left", "_limit", "_second", "_secret")

    def __init__(self, limit: int, secret: bytes) -> None:
        self._limit = limit
        self._secret = blake2b(secret, digest_size=32).digest()
        self._second = -1
        self._left = 0

    def claim(self, now: int) -> bool:
        """Whether one more answer may be given in this second; it is counted."""
        second = now // SECOND
        if second != self._second:
            self._second = second
            self._left = self._limit // 2 + self._draw(second) % (self._limit // 2 + 1)
        if self._left == 0:
            return False
        self._left -= 1
        return True

    def _draw(self, second: int) -> int:
        return int.from_bytes(
            blake2b(second.to_bytes(16, "big"), digest_size=8, key=self._secret).digest(), "big"
        )
