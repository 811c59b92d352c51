"""What both ends must know beforehand: master keys (RFC 5925, 3.1), and what becomes of them (RFC 5926)."""

import hmac
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias, cast, get_args

from postel.compiler import door
from postel.errors import ArgumentError, require_choice, require_kind, require_number
from postel.tcp.authentication.aes import BLOCK, cmac
from postel.wire.address import Interface, Prefix, parse_interface

# RFC 5926, 3.1.1.3 has the names of the first two; "MD5" is TCP MD5, for peers that have nothing better.
Algorithm: TypeAlias = Literal["SHA1", "AES128", "MD5"]

MAC_LENGTH: Final = 12  # octets: RFC 5926, 3.2, of both
_LABEL: Final = (
    b"\x01TCP-AO"  # the counter, which never reaches 2: a traffic key is as long as what the function gives
)
_OCTETS: Final = "bytes, 1 octet or more; RFC 5925, 5.3 advises 12 to 24"
_BITS_SHA1: Final = b"\x00\xa0"
_BITS_AES128: Final = b"\x00\x80"


@dataclass(frozen=True)
class Key:
    """A master key tuple. ``secret`` is some octets that the peer has too, and is never shown.

    ``peer`` is an address, or a prefix as "10.7.0.0/16", as text or as an object of `ipaddress`; "" stands
    for every peer. The IDs, 0 to 255, tell the keys of one peer apart: ours are the peer's the other way
    round. With ``covers_options=False`` middleboxes may change the other options (RFC 5925, 9.1). Raises
    ArgumentError.
    """

    secret: bytes = field(repr=False)
    peer: Prefix = ""
    send_id: int = 0
    receive_id: int = 0
    algorithm: Algorithm = "SHA1"
    covers_options: bool = True

    @property
    def networks(self) -> tuple[Interface, ...]:
        """The networks of the peers that this key is for."""
        return (
            (parse_interface(self.peer),)
            if self.peer != ""
            else (parse_interface("0.0.0.0/0"), parse_interface("::/0"))
        )


def _require(name: str, value: object) -> None:
    """Refuse an argument of `Key` that isn't what it should be."""
    if name == "secret":
        if (
            not isinstance(value, bytes) or not value
        ):  # which isn't shown, for it may be the secret in another form
            raise ArgumentError(name, type(value) if value else value, _OCTETS)
    elif name == "peer":
        if value != "":
            parse_interface(cast(Prefix, value), name)
    elif name in ("send_id", "receive_id"):
        require_number(name, value, 0, 255, "0 to 255")
    elif name == "algorithm":
        require_choice(name, value, get_args(Algorithm))
    else:
        require_kind(name, value, bool, "True or False")


door(Key, _require)


def traffic_key(key: Key, context: bytes) -> bytes:
    """RFC5926-2.2: KDF_HMAC_SHA1 or KDF_AES_128_CMAC."""
    if key.algorithm == "SHA1":
        return hmac.digest(key.secret, _LABEL + context + _BITS_SHA1, "sha1")
    master = key.secret if len(key.secret) == BLOCK else cmac(bytes(BLOCK), key.secret)
    return cmac(master, _LABEL + context + _BITS_AES128)


def mac(algorithm: Algorithm, traffic: bytes, message: bytes) -> bytes:
    """RFC5926-2.2: HMAC-SHA-1-96 or AES-128-CMAC-96."""
    full = hmac.digest(traffic, message, "sha1") if algorithm == "SHA1" else cmac(traffic, message)
    return full[:MAC_LENGTH]
