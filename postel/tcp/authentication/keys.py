"""Master keys, which both ends have beforehand (RFC 5925, 3.1), and the algorithms of TCP-AO (RFC 5926)."""

import hmac
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias, cast, get_args

from postel.compiler import door
from postel.errors import ArgumentError, require_choice, require_kind, require_number
from postel.tcp.authentication.aes import BLOCK, cmac
from postel.wire.address import Interface, Prefix, parse_interface

# RFC 5926, 3.1.1.3 has the names of the first two; "MD5" is TCP MD5, for peers that have nothing better.
Algorithm: TypeAlias = Literal["SHA1", "AES128", "MD5"]

MAC_LENGTH: Final = 12  # octets of the MAC of both algorithms of TCP-AO (RFC 5926, 3.2)
# The KDF's counter and label. The counter stays 1: a traffic key is as long as one result of the function.
_LABEL: Final = b"\x01TCP-AO"
_OCTETS: Final = "bytes, 1 octet or more; RFC 5925, 5.3 advises 12 to 24"
_BITS_SHA1: Final = b"\x00\xa0"  # length of a traffic key in bits, 160, as the KDF takes it
_BITS_AES128: Final = b"\x00\x80"  # length of a traffic key in bits, 128


@dataclass(frozen=True)
class Key:
    """Master key tuple of TCP-AO, or the key of TCP MD5 (RFC 5925, 3.1).

    - ``secret``: octets that the peer has too, 1 or more; RFC 5925, 5.3 advises 12 to 24. ``repr`` doesn't
      show them.
    - ``peer``: the peers that the key is for, as an address or a prefix like "10.7.0.0/16", as text or as an
      object of `ipaddress`; "" stands for every peer.
    - ``send_id``, ``receive_id``: SendID and RecvID, 0 to 255, which tell the keys of one peer apart. One
      end's SendID is the other's RecvID.
    - ``algorithm``: "SHA1" (HMAC-SHA-1-96), "AES128" (AES-128-CMAC-96, slow here), or "MD5" (TCP MD5, RFC
      2385, for peers without TCP-AO).
    - ``covers_options``: sign the other TCP options too. With False, middleboxes may change them (RFC 5925,
      9.1).

    Raises `ArgumentError` for any other value.

    >>> from postel import Key
    >>> Key(b"a secret of both", peer="10.0.0.2", send_id=61, receive_id=84)
    Key(peer='10.0.0.2', send_id=61, receive_id=84, algorithm='SHA1', covers_options=True)
    """

    secret: bytes = field(repr=False)
    peer: Prefix = ""
    send_id: int = 0
    receive_id: int = 0
    algorithm: Algorithm = "SHA1"
    covers_options: bool = True

    @property
    def networks(self) -> tuple[Interface, ...]:
        """The networks of the peers that this key is for; both families where it is for every peer."""
        return (
            (parse_interface(self.peer),)
            if self.peer != ""
            else (parse_interface("0.0.0.0/0"), parse_interface("::/0"))
        )


def _require(name: str, value: object) -> None:
    """Raise `ArgumentError` where an argument of `Key` isn't what it should be."""
    if name == "secret":
        # The error doesn't show the value, which may be the secret in another form.
        if not isinstance(value, bytes) or not value:
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
    """Return the traffic key that ``key`` gives for a connection, described by ``context`` (RFC5926-2.2).

    The key's algorithm decides the function: KDF_HMAC_SHA1 for "SHA1", KDF_AES_128_CMAC for "AES128".
    """
    if key.algorithm == "SHA1":
        return hmac.digest(key.secret, _LABEL + context + _BITS_SHA1, "sha1")
    master = key.secret if len(key.secret) == BLOCK else cmac(bytes(BLOCK), key.secret)
    return cmac(master, _LABEL + context + _BITS_AES128)


def mac(algorithm: Algorithm, traffic: bytes, message: bytes) -> bytes:
    """Return the MAC of a message, 12 octets (RFC5926-2.2).

    The function is HMAC-SHA-1-96 for the ``algorithm`` "SHA1", else AES-128-CMAC-96. ``traffic`` is the
    traffic key.
    """
    full = hmac.digest(traffic, message, "sha1") if algorithm == "SHA1" else cmac(traffic, message)
    return full[:MAC_LENGTH]
