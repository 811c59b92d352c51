"""Initial sequence numbers by RFC 6528: ISN = M + F(local, remote, secret)."""

from hashlib import blake2b

from postel.tcp import seq
from postel.wire.address import Endpoint


class Generator:
    """Source of initial sequence numbers: M ticks every 4 µs (MUST-8), F is keyed BLAKE2b (MUST-9, SHLD-1).

    The key is the host's secret. The same hash with another salt gives each pair of endpoints its own offset
    of the timestamp clock (RFC 7323, 7.1).
    """

    __slots__ = ("_key",)

    def __init__(self, secret: bytes) -> None:
        """Derive the key from ``secret``."""
        self._key = blake2b(secret, digest_size=32).digest()

    def iss(self, local: Endpoint, remote: Endpoint, now: int) -> int:
        """Return the initial sequence number of a connection that begins at ``now``."""
        return seq.add(self._hash(b"isn", local, remote), now >> 2)

    def timestamp_offset(self, local: Endpoint, remote: Endpoint) -> int:
        """Return the offset of the timestamp clock for a pair of endpoints, in ticks.

        The offset doesn't depend on time, so that timestamps grow from one connection of a pair to the next,
        as RFC 6191 needs.
        """
        return self._hash(b"timestamp", local, remote)

    def _hash(self, purpose: bytes, local: Endpoint, remote: Endpoint) -> int:
        """Return 32 bits that depend on the endpoints, the key and ``purpose``."""
        text = b"".join(
            (local.address, local.port.to_bytes(2, "big"), remote.address, remote.port.to_bytes(2, "big"))
        )
        return int.from_bytes(blake2b(text, digest_size=4, key=self._key, person=purpose).digest(), "big")
