"""Which peers must sign, and with what: the keys that a call of `connect` or `listen` is given, found by the
peer's address.
"""

from typing import Final

from postel.errors import ArgumentError, require_kind
from postel.tcp.authentication import Authentication, value_of
from postel.tcp.authentication.ao import Ao
from postel.tcp.authentication.keys import Key
from postel.tcp.authentication.md5 import Md5
from postel.wire import options
from postel.wire.address import Endpoint
from postel.wire.segment import Segment, encode_for

_NO_KEYS: Final[tuple[Key, ...]] = ()


class Keychain:
    """Of the keys given, a peer has those with the longest prefix that holds its address; the first signs
    until something else is agreed.

    A peer that has keys must sign every segment. One that has none need not, and what it signs nevertheless
    is accepted unread, unless ``accepts_unmatched`` is False (RFC 5925, 7.3). ``heeds_icmp=True`` lets ICMP
    errors through to synchronized connections (7.8). Raises ArgumentError where two keys for one prefix share
    an ID, or TCP MD5 isn't alone.
    """

    def __init__(self, *keys: Key, accepts_unmatched: bool = True, heeds_icmp: bool = False) -> None:
        given: tuple[object, ...] = (
            keys  # compiled, a loop over keys would refuse another kind without naming the argument
        )
        for item in given:
            require_kind("key", item, Key, "a Key")
        require_kind("accepts_unmatched", accepts_unmatched, bool, "True or False")
        require_kind("heeds_icmp", heeds_icmp, bool, "True or False")
        self.keys = keys
        self.accepts_unmatched = accepts_unmatched
        self.heeds_icmp = heeds_icmp
        self._found: dict[
            tuple[int, int, int], tuple[Key, ...]
        ] = {}  # by octets of an address, bits of the prefix, and these
        for key in keys:
            for network in key.networks:
                place = _place(network.address, network.prefix_length)
                self._found[place] = (*self._found.get(place, _NO_KEYS), key)
        for found in self._found.values():
            _require_distinct(found)
        self._lengths = sorted({length for _, length, _ in self._found}, reverse=True)

    def for_peer(self, address: bytes) -> tuple[Key, ...]:
        """The keys of that peer, () where it has none."""
        for length in self._lengths:
            if length <= 8 * len(address):
                found = self._found.get(_place(address, length))
                if found is not None:
                    return found
        return _NO_KEYS

    def authentication(self, local: Endpoint, remote: Endpoint) -> Authentication | None:
        """For a new connection; None where it needs none."""
        keys = self.for_peer(remote.address)
        if not keys:
            return None if self.accepts_unmatched else Unmatched(local, remote, keys, 0, heeds_icmp=True)
        return (
            Md5(local, remote, keys)
            if keys[0].algorithm == "MD5"
            else Ao(local, remote, keys, heeds_icmp=self.heeds_icmp)
        )


class Unmatched(Authentication):
    """The authentication of a peer without keys, where signatures that can't be checked are not accepted."""

    __slots__ = ()

    def seal(self, segment: Segment, layout: options.OptionLayout, iss: int, irs: int) -> bytes:
        return encode_for(segment, self.local.address, self.remote.address, layout)

    def _fault(self, octets: bytes, start: int, end: int, segment: Segment, iss: int, irs: int) -> str:
        is_signed = value_of(segment, options.AO) or value_of(segment, options.MD5)
        return "signature_unmatched" if is_signed else ""  # RFC5925-7.3

    def successor(self) -> "Unmatched":
        return Unmatched(self.local, self.remote, self.keys, self.length, heeds_icmp=self.heeds_icmp)


def _place(address: bytes, length: int) -> tuple[int, int, int]:
    return len(address), length, int.from_bytes(address, "big") >> 8 * len(address) - length


def _require_distinct(keys: tuple[Key, ...]) -> None:
    if len(keys) > 1 and any(
        key.algorithm == "MD5" for key in keys
    ):  # RFC5925-2.2: never both on one connection
        raise ArgumentError("keys", keys, "a single one where TCP MD5 is used")
    for name, numbers in (
        ("send_id", [key.send_id for key in keys]),
        ("receive_id", [key.receive_id for key in keys]),
    ):
        if len(set(numbers)) < len(numbers):
            raise ArgumentError(name, numbers, "a different one for each key of a prefix")
