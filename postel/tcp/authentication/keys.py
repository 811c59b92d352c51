"""What both ends must know beforehand: master keys (RFC 5925, 3.1), and what becomes of them (RFC 5926)."""

import hmac
from dataclasses import dataclass, field
from typing import Final

from postel.errors import ArgumentError
from postel.tcp.authentication.aes import BLOCK, cmac
from postel.wire.address import Interface, parse_interface

SHA1: Final = "SHA1"  # RFC 5926, 3.1.1.3 has these names
AES128: Final = "AES128"
MD5: Final = "MD5"  # TCP MD5, for peers that have nothing better

MAC_LENGTH: Final = 12  # octets: RFC 5926, 3.2, of both
_LABEL: Final = b"\x01TCP-AO"  # the counter, which never reaches 2: a traffic key is as long as what the function gives
_BITS_SHA1: Final = b"\x00\xa0"
_BITS_AES128: Final = b"\x00\x80"


@dataclass(frozen=True)
class Key:
    """A master key tuple. ``secret`` is some octets that the peer has too, and is never shown.

    ``peer`` is an address, or a prefix as "10.7.0.0/16"; "" stands for everybody. The IDs, 0 to 255, tell the keys of one peer apart:
    ours are the peer's the other way round. With ``covers_options=False`` middleboxes may change the other options (RFC 5925, 9.1).
    Raises ArgumentError.
    """

    secret: bytes = field(repr=False)
    peer: str = ""
    send_id: int = 0
    receive_id: int = 0
    algorithm: str = SHA1
    covers_options: bool = True

    def __post_init__(self) -> None:
        if not self.secret:
            raise ArgumentError("secret", self.secret, "1 octet or more; RFC 5925, 5.3 advises 12 to 24")
        if self.algorithm not in (SHA1, AES128, MD5):
            raise ArgumentError("algorithm", self.algorithm, f"{SHA1}, {AES128} or {MD5}")
        for name, value in (("send_id", self.send_id), ("receive_id", self.receive_id)):
            if not 0 <= value <= 255:
                raise ArgumentError(name, value, "0 to 255")
        if self.peer:
            parse_interface(self.peer)

    @property
    def networks(self) -> tuple[Interface, ...]:
        """Whom it is for."""
        return (parse_interface(self.peer),) if self.peer else (parse_interface("0.0.0.0/0"), parse_interface("::/0"))


def traffic_key(key: Key, context: bytes) -> bytes:
    """RFC5926-2.2: KDF_HMAC_SHA1 or KDF_AES_128_CMAC."""
    if key.algorithm == SHA1:
        return hmac.digest(key.secret, _LABEL + context + _BITS_SHA1, "sha1")
    master = key.secret if len(key.secret) == BLOCK else cmac(bytes(BLOCK), key.secret)
    return cmac(master, _LABEL + context + _BITS_AES128)


def mac(algorithm: str, traffic: bytes, message: bytes) -> bytes:
    """RFC5926-2.2: HMAC-SHA-1-96 or AES-128-CMAC-96."""
    full = hmac.digest(traffic, message, "sha1") if algorithm == SHA1 else cmac(traffic, message)
    return full[:MAC_LENGTH]
