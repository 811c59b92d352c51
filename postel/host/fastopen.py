"""The server's side of TCP Fast Open: cookies without memory, and SYNs that bring one (RFC 7413, 4.1.2, 4.2).

A cookie is a keyed hash of the client's address. Its key derives from the host's secret and changes every
`PERIOD`. The cookie of the period before is still accepted, so a cookie lives for one to two periods. Hosts
with the same secret and clock make and accept the same cookies, as servers behind one address must (RFC 7413,
6.3.4).
"""

from hashlib import blake2b
from hmac import compare_digest
from typing import Final

from postel.tcp.config import Config, is_fast_server
from postel.tcp.fastopen import Admission, Pending
from postel.times import HOUR
from postel.wire.segment import Segment

PERIOD: Final = 12 * HOUR
SIZE: Final = 8  # octets of a cookie


class Gate:
    """Check of the cookies that SYNs bring to a host's listeners: a valid one allows data in the SYN."""

    __slots__ = ("_key",)

    def __init__(self, secret: bytes) -> None:
        """Derive the key from the host's secret."""
        self._key = blake2b(secret, digest_size=32, person=b"fast open").digest()

    def admission(
        self, syn: Segment, client: bytes, config: Config, pending: Pending, now: int
    ) -> Admission | None:
        """Decision about a SYN to a listener; None means an ordinary handshake.

        With a valid cookie the data of the SYN is accepted. After an invalid cookie, or a request for a
        cookie, an ordinary handshake gives the client a cookie.
        """
        if not is_fast_server(config):  # RFC7413-2
            return None
        cookie = syn.fast_open
        if cookie is None or pending.reaches(config.fast_open_limit, now):  # RFC7413-4.2a
            return None
        fresh = self.cookie(client, now)
        if compare_digest(cookie, fresh):
            return Admission(None, pending)
        if now >= PERIOD and compare_digest(cookie, self.cookie(client, now - PERIOD)):
            return Admission(fresh, pending)
        return Admission(fresh, None)

    def cookie(self, client: bytes, now: int) -> bytes:
        """Cookie for a client's address at time ``now``: GetCookie of RFC 7413, 4.1.2."""  # RFC7413-4.1.2
        period = (now // PERIOD).to_bytes(8, "big")
        return blake2b(period + client, digest_size=SIZE, key=self._key).digest()
