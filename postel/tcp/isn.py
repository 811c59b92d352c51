"""Initial sequence numbers by RFC 6528: ISN = M + F(local, remote, secret)."""

from hashlib import blake2b

from postel.tcp import seq
from postel.wire.address import Endpoint


class Generator:
    """M ticks every 4 µs (MUST-8); F is BLAKE2b keyed with the host's secret (MUST-9, SHLD-1).

    The same hash, differently salted, gives each pair its own offset of the timestamp clock (RFC 7323, 7.1).
    """

    __slots__ = ("_key",)

    def __init__(self, secret: bytes) -> None:
        self._key = blake2b(secret, digest_size=32).digest()

    def iss(self, local: Endpoint, remote: Endpoint, now: int) -> int:
        return seq.add(self._hash(b"isn", local, remote), now >> 2)

    def timestamp_offset(self, local: Endpoint, remote: Endpoint) -> int:
        """By addresses alone, so that it grows across incarnations of one pair, as RFC 6191 needs."""
        return self._hash(b"timestamp", local, remote)

    def _hash(self, purpose: bytes, local: Endpoint, remote: Endpoint) -> int:
        text = b"".join(
            (local.address, local.port.to_bytes(2, "big"), remote.address, remote.port.to_bytes(2, "big"))
        )
        return int.from_bytes(blake2b(text, digest_size=4, key=self._key, person=purpose).digest(), "big")
