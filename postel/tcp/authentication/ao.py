"""TCP-AO: the authentication option of one connection (RFC 5925, 4 and 7).

Theory of operation. Both ends share master keys (`Key`), which they got outside of TCP. From a master key
each connection derives traffic keys, one for each direction, so that the same master key never signs the same
thing twice::

    master key ──KDF(addresses, ports, both initial sequence numbers)──► traffic key
    traffic key ──MAC──► 12 octets, over: SNE │ pseudo-header │ TCP header and options │ payload

    option    kind 29 │ length 16 │ KeyID │ RNextKeyID │ MAC, 12 octets

The sequence number extension (SNE) counts how often the sequence numbers have wrapped. It isn't sent; both
ends count. So a segment of 2**32 octets ago has another MAC, and can't be replayed.

A SYN is sent before the peer's initial sequence number is known, so 0 stands for that. Other segments can't
be signed or checked before the peer's SYN has arrived.

Keys can change while the connection lives. KeyID names the key that signs this segment, RNextKeyID the key
that the peer should sign with. One end's SendID is the other's RecvID::

    A (keys 61 and 62)                                   B (the same keys, under 84 and 85)
      │  rekey(receive_id=85): ``next`` is the new key      │
      │ ── KeyID 61, RNextKeyID 85 ───────────────────────► │  85 is a SendID here: ``current`` is the new key
      │ ◄──────────────────────── KeyID 85, RNextKeyID 61 ─ │  signed with the new key
"""

from hmac import compare_digest
from typing import Final

from postel.errors import ArgumentError
from postel.tcp import seq
from postel.tcp.authentication import UNKNOWN, Authentication, value_of
from postel.tcp.authentication.keys import MAC_LENGTH, Key, mac, traffic_key
from postel.wire import options, signature
from postel.wire.address import Endpoint
from postel.wire.segment import ACK, SYN, Segment, encode, encode_for, with_checksum

_LENGTH: Final = signature.AO_IDS + MAC_LENGTH  # octets of the TCP-AO option: kind, length, two IDs, MAC


class Ao(Authentication):
    """State of TCP-AO on one connection.

    ``current`` is the key that signs what we send, ``next`` the key that we ask the peer to sign with.
    ``heard`` is KeyID and RNextKeyID of the last segment that the peer signed, UNKNOWN before. `prefer` and
    `install` change both keys. The peer's first SYN changes ``next``, and its RNextKeyID changes ``current``.
    """

    __slots__ = ("_arrived", "_arriving", "_leaving", "_sent", "current", "heard", "next")

    def __init__(self, local: Endpoint, remote: Endpoint, keys: tuple[Key, ...], *, heeds_icmp: bool) -> None:
        """Create the state; the first of ``keys`` signs until the ends agree on another."""
        super().__init__(local, remote, keys, _LENGTH, heeds_icmp=heeds_icmp)
        self.current: Key = keys[0]
        self.next: Key = keys[0]
        self.heard: tuple[int, int] = (UNKNOWN, UNKNOWN)
        # Highest sequence number sent and received so far, without wrapping: the bits above 32 are SND.SNE
        # and RCV.SNE.
        self._sent = UNKNOWN
        self._arrived = UNKNOWN
        self._leaving: dict[int, bytes] = {}  # Send_other_traffic_key by SendID
        self._arriving: dict[int, bytes] = {}  # Receive_other_traffic_key by RecvID

    # Signing what is sent: RFC 5925, 7.4

    def seal(self, segment: Segment, layout: options.OptionLayout, iss: int, irs: int) -> bytes:
        """Return the octets of a segment, signed with ``current`` and with their checksum (RFC 5925, 7.4)."""
        local, remote = self.local.address, self.remote.address
        key = self.current
        if segment.flags & (SYN | ACK) == SYN:
            number, traffic = iss, self._derive(key, self.local, self.remote, iss, 0)
        elif irs == UNKNOWN:  # 5.2: without the peer's number there is no traffic key, so it isn't signed
            return encode_for(segment, local, remote, layout)
        else:
            traffic = self._leaving.get(key.send_id, b"") or self._derive(
                key, self.local, self.remote, iss, irs
            )
            self._leaving[key.send_id] = traffic
            number = seq.extended(segment.seq, max(iss, self._sent))
            self._sent = max(number, self._sent)
        segment.other += ((options.AO, bytes((key.send_id, self.next.receive_id)) + bytes(MAC_LENGTH)),)
        octets = encode(segment, layout)  # RFC5925-7.4: signed last, when nothing else changes
        at = signature.place(octets, 0, options.AO)
        extension = number >> 32 & seq.MASK  # RFC5925-6.2
        message = signature.covered_by_ao(
            octets, 0, len(octets), local, remote, at=at, extension=extension, options=key.covers_options
        )
        at += signature.AO_IDS
        octets = octets[:at] + mac(key.algorithm, traffic, message) + octets[at + MAC_LENGTH :]
        return with_checksum(octets, local, remote)

    # Checking what arrives: RFC 5925, 7.5

    def _fault(self, octets: bytes, start: int, end: int, segment: Segment, iss: int, irs: int) -> str:
        """Return why a segment isn't authentic, "" if it is; of an authentic one, learn the key IDs (7.5)."""
        value = value_of(segment, options.AO)
        if not value:
            return "signature_missing"
        key = self._by_receive_id(value[0])
        if key is None:
            return "signature_key"
        if len(value) != _LENGTH - 2:  # checked before anything costly is computed
            return "signature_length"
        number = segment.seq
        # RFC5925-5.1: a SYN carries the peer's initial number itself; without ACK, 0 stands for our own
        # number.
        if segment.flags & SYN:
            traffic = self._derive(
                key, self.remote, self.local, segment.seq, iss if segment.flags & ACK else 0
            )
        elif irs == UNKNOWN:
            return "signature_early"
        else:
            number = seq.extended(segment.seq, max(irs, self._arrived))
            traffic = self._arriving.get(key.receive_id, b"") or self._derive(
                key, self.remote, self.local, irs, iss
            )
            self._arriving[key.receive_id] = traffic
        message = signature.covered_by_ao(
            octets,
            start,
            end,
            self.remote.address,
            self.local.address,
            at=signature.place(octets, start, options.AO),
            extension=number >> 32 & seq.MASK,
            options=key.covers_options,
        )
        if not compare_digest(mac(key.algorithm, traffic, message), value[2:]):
            return "signature_wrong"
        if not segment.flags & SYN:
            self._arrived = max(number, self._arrived)
        # An attacker may replay the SYN of an earlier connection. Such a SYN is authentic, but its key IDs
        # say nothing of this connection.
        elif irs not in (UNKNOWN, segment.seq):
            return ""
        self._learn(key, value[0], value[1], segment)
        return ""

    def _learn(self, key: Key, key_id: int, next_id: int, segment: Segment) -> None:
        """Adopt the key IDs of an authentic segment (RFC 5925, 7.5, step 2.e).

        The key of the peer's first SYN is the one that we ask the peer to sign with, until `prefer` chooses
        another (6.1).
        """
        self.heard = (key_id, next_id)
        if segment.flags & (SYN | ACK) == SYN:
            self.next = key
        wanted = self._by_send_id(next_id)
        if wanted is not None:
            self.current = wanted

    def _derive(
        self, key: Key, source: Endpoint, destination: Endpoint, source_isn: int, destination_isn: int
    ) -> bytes:
        """Return the traffic key for one direction of one connection (5.2)."""
        ports = source.port << 16 | destination.port
        numbers = (ports << 64 | source_isn << 32 | destination_isn).to_bytes(12, "big")
        return traffic_key(key, source.address + destination.address + numbers)

    # Keys

    def successor(self) -> "Ao":
        """Return the state for the next connection of the same pair, with the keys now in use."""
        made = Ao(self.local, self.remote, self.keys, heeds_icmp=self.heeds_icmp)
        made.current, made.next = self.current, self.next
        return made

    def install(self, keys: tuple[Key, ...]) -> None:
        """Replace the keys of a living connection.

        Raises `ArgumentError` for a key of TCP MD5, and for a new key that has the ID of a present one.
        """
        for key in keys:
            namesakes = (self._by_receive_id(key.receive_id), self._by_send_id(key.send_id))
            # 3.1: what an ID stands for doesn't change.
            if key.algorithm == "MD5" or [known for known in namesakes if known not in (None, key)]:
                raise ArgumentError(
                    "keys", key, "keys of TCP-AO, and under the IDs of those in use the same ones"
                )
        self.keys = keys
        self._leaving.clear()
        self._arriving.clear()
        if self.current not in keys:
            self.current = keys[0]
        if self.next not in keys:
            self.next = keys[0]

    def prefer(self, send_id: int, receive_id: int) -> None:
        """Sign with the key ``send_id`` from now on, and ask the peer to sign with ``receive_id``.

        UNKNOWN leaves one of the two as it is. Raises `ArgumentError` where no key has the given ID.
        """
        current = self.current if send_id == UNKNOWN else self._by_send_id(send_id)
        following = self.next if receive_id == UNKNOWN else self._by_receive_id(receive_id)
        if current is None:
            raise ArgumentError("send_id", send_id, "that of a key of this connection")
        if following is None:
            raise ArgumentError("receive_id", receive_id, "that of a key of this connection")
        self.current, self.next = current, following

    def _by_send_id(self, number: int) -> Key | None:
        """Return the key with this SendID, or None."""
        for key in self.keys:
            if key.send_id == number:
                return key
        return None

    def _by_receive_id(self, number: int) -> Key | None:
        """Return the key with this RecvID, or None."""
        for key in self.keys:
            if key.receive_id == number:
                return key
        return None
