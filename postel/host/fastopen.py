"""The server's side of TCP Fast Open: cookies that need no memory, and what they open (RFC 7413, 4.1.2 and
4.2).

A cookie is a keyed hash of the client's address. The key is derived anew every `PERIOD` from the host's
secret, and the one before is still honoured: a cookie lives for one to two periods. Hosts that share secret
and clock give and take the same cookies, as a farm behind one address must (6.3.4).
"""

from hashlib import blake2b
from hmac import compare_digest
from typing import Final

from postel.tcp.config import Config, is_fast_server
from postel.tcp.fastopen import Admission, Pending
from postel.times import HOUR
from postel.wire.segment import Segment

PERIOD: Final = 12 * HOUR
SIZE: Final = 8  # octets


class Gate:
    __slots__ = ("_key",)

    def __init__(self, secret: bytes) -> None:
        self._key = blake2b(secret, digest_size=32, person=b"fast open").digest()

    def admission(
        self, syn: Segment, client: bytes, config: Config, pending: Pending, now: int
    ) -> Admission | None:
        """What to make of a SYN to a listener; None: an ordinary handshake."""
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
        """GetCookie."""  # RFC7413-4.1.2
        period = (now // PERIOD).to_bytes(8, "big")
        return blake2b(period + client, digest_size=SIZE, key=self._key).digest()
