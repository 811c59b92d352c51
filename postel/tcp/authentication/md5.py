"""TCP MD5 signatures (RFC 2385), for peers that have no TCP-AO (RFC 5925, 8).

There is one key and no key ID, and nothing protects from replayed segments.
"""

from dataclasses import replace
from hashlib import md5
from hmac import compare_digest
from typing import Final

from postel.errors import ArgumentError
from postel.tcp.authentication import Authentication, value_of
from postel.tcp.authentication.keys import Key
from postel.tcp.config import Config
from postel.wire import options, signature
from postel.wire.address import Endpoint
from postel.wire.segment import Segment, encode, with_checksum

DIGEST: Final = 16  # octets of an MD5 digest
_LENGTH: Final = 20  # octets of the TCP MD5 option with two NOPs before it


class Md5(Authentication):
    """TCP MD5 on one connection."""

    __slots__ = ()

    def __init__(self, local: Endpoint, remote: Endpoint, keys: tuple[Key, ...]) -> None:
        """Create the state; ``keys`` has one key."""
        super().__init__(local, remote, keys, _LENGTH, heeds_icmp=True)

    def seal(self, segment: Segment, layout: options.OptionLayout, iss: int, irs: int) -> bytes:
        """Return the octets of a segment, signed and with their checksum."""
        segment.other += ((options.MD5, bytes(DIGEST)),)
        octets = encode(segment, layout)
        at = signature.place(octets, 0, options.MD5) + 2
        octets = (
            octets[:at]
            + digest(self.keys[0].secret, octets, 0, len(octets), self.local, self.remote)
            + octets[at + DIGEST :]
        )
        return with_checksum(octets, self.local.address, self.remote.address)

    def _fault(self, octets: bytes, start: int, end: int, segment: Segment, iss: int, irs: int) -> str:
        value = value_of(segment, options.MD5)
        if not value:
            return "signature_missing"
        right = digest(self.keys[0].secret, octets, start, end, self.remote, self.local)
        return "" if compare_digest(right, value) else "signature_wrong"  # RFC2385-2, its length too

    def successor(self) -> "Md5":
        """Return the state for the next connection of the same pair."""
        return Md5(self.local, self.remote, self.keys)

    def adapted(self, config: Config) -> Config:
        """Return ``config`` without timestamps if it has SACK (RFC 5925, 7.6).

        Beside timestamps and a digest no SACK block has room, and loss recovery needs SACK more than
        timestamps.
        """
        return replace(config, timestamps=False) if config.sack else config

    def install(self, keys: tuple[Key, ...]) -> None:
        """Replace the key of a living connection; raises `ArgumentError` for a key of TCP-AO."""
        if keys[0].algorithm != "MD5":
            raise ArgumentError("keys", keys, "one of MD5, as this connection began")
        self.keys = keys


def digest(
    secret: bytes, octets: bytes, start: int, end: int, source: Endpoint, destination: Endpoint
) -> bytes:
    """Return the digest that signs the segment at ``octets[start:end]``."""
    covered = signature.covered_by_md5(octets, start, end, source.address, destination.address)
    return md5(covered + secret, usedforsecurity=False).digest()
