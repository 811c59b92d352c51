"""Keys of a host or listener, found by the peer's address: which peers must sign, and with what."""

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
    """Keys for the peers that must sign their segments; an argument of `connect` and `listen`.

    A peer gets the keys with the longest prefix that contains its address. The first of them signs until the
    ends agree on another. A peer that has keys must sign every segment; a segment that isn't signed correctly
    is dropped without an answer and counted.

    >>> from postel import Key, Keychain
    >>> keys = Keychain(Key(b"a secret of both", peer="10.0.0.2"), Key(b"another", peer="10.0.0.0/8"))
    >>> [key.peer for key in keys.for_peer(bytes([10, 0, 0, 2]))]
    ['10.0.0.2']
    >>> keys.for_peer(bytes([192, 0, 2, 1]))
    ()
    """

    def __init__(self, *keys: Key, accepts_unmatched: bool = True, heeds_icmp: bool = False) -> None:
        """Create a keychain of ``keys``, each a `Key`.

        With ``accepts_unmatched``, signed segments of a peer that has no key here are accepted without a
        check of their signature; with False they are dropped (RFC 5925, 7.3). Segments of such a peer that
        aren't signed are accepted in both cases.

        With ``heeds_icmp``, ICMP errors reach synchronized connections under TCP-AO; with False they are
        ignored, because they aren't signed (7.8).

        Raises `ArgumentError` where an argument has another type, where two keys of one prefix have the same
        SendID or RecvID, and where a prefix has a key of TCP MD5 and another one.
        """
        # The loop is over objects, because compiled code would check the type of each key itself, and raise
        # an error that doesn't name the argument.
        given: tuple[object, ...] = keys
        for item in given:
            require_kind("key", item, Key, "a Key")
        require_kind("accepts_unmatched", accepts_unmatched, bool, "True or False")
        require_kind("heeds_icmp", heeds_icmp, bool, "True or False")
        self.keys = keys
        self.accepts_unmatched = accepts_unmatched
        self.heeds_icmp = heeds_icmp
        # Keys by the length of an address in octets, the length of the prefix in bits, and these bits
        self._found: dict[tuple[int, int, int], tuple[Key, ...]] = {}
        for key in keys:
            for network in key.networks:
                place = _place(network.address, network.prefix_length)
                self._found[place] = (*self._found.get(place, _NO_KEYS), key)
        for found in self._found.values():
            _require_distinct(found)
        self._lengths = sorted({length for _, length, _ in self._found}, reverse=True)

    def for_peer(self, address: bytes) -> tuple[Key, ...]:
        """Return the keys of the peer with this address (4 or 16 octets), () where it has none."""
        for length in self._lengths:
            if length <= 8 * len(address):
                found = self._found.get(_place(address, length))
                if found is not None:
                    return found
        return _NO_KEYS

    def authentication(self, local: Endpoint, remote: Endpoint) -> Authentication | None:
        """Return the authentication of a new connection between two endpoints; None where it needs none."""
        keys = self.for_peer(remote.address)
        if not keys:
            return None if self.accepts_unmatched else Unmatched(local, remote, keys, 0, heeds_icmp=True)
        return (
            Md5(local, remote, keys)
            if keys[0].algorithm == "MD5"
            else Ao(local, remote, keys, heeds_icmp=self.heeds_icmp)
        )


class Unmatched(Authentication):
    """Authentication of a peer without keys: it drops segments with a signature, which can't be checked."""

    __slots__ = ()

    def seal(self, segment: Segment, layout: options.OptionLayout, iss: int, irs: int) -> bytes:
        """Return the octets of a segment with its checksum, unsigned."""
        return encode_for(segment, self.local.address, self.remote.address, layout)

    def _fault(self, octets: bytes, start: int, end: int, segment: Segment, iss: int, irs: int) -> str:
        is_signed = value_of(segment, options.AO) or value_of(segment, options.MD5)
        return "signature_unmatched" if is_signed else ""  # RFC5925-7.3

    def successor(self) -> "Unmatched":
        """Return the state for the next connection of the same pair."""
        return Unmatched(self.local, self.remote, self.keys, self.length, heeds_icmp=self.heeds_icmp)


def _place(address: bytes, length: int) -> tuple[int, int, int]:
    """Return the index of a prefix in ``Keychain._found``."""
    return len(address), length, int.from_bytes(address, "big") >> 8 * len(address) - length


def _require_distinct(keys: tuple[Key, ...]) -> None:
    """Raise `ArgumentError` where the keys of one prefix can't be told apart."""
    # RFC5925-2.2: TCP-AO and TCP MD5 are never used together on one connection.
    if len(keys) > 1 and any(key.algorithm == "MD5" for key in keys):
        raise ArgumentError("keys", keys, "a single one where TCP MD5 is used")
    for name, numbers in (
        ("send_id", [key.send_id for key in keys]),
        ("receive_id", [key.receive_id for key in keys]),
    ):
        if len(set(numbers)) < len(numbers):
            raise ArgumentError(name, numbers, "a different one for each key of a prefix")
