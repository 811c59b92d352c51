"""TCP-AO on one connection (RFC 5925, 4 and 7): which key signs, which the peer is asked to use, and what
each may still prove.
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

_LENGTH: Final = signature.AO_IDS + MAC_LENGTH


class Ao(Authentication):
    """``current`` signs what we send, ``next`` is what we ask the peer to sign with; ``heard`` are the KeyID
    and RNextKeyID that the peer told last, UNKNOWN before. Only `prefer` changes ``next``; the peer's
    RNextKeyID changes ``current``.
    """

    __slots__ = ("_arrived", "_arriving", "_leaving", "_sent", "current", "heard", "next")

    def __init__(self, local: Endpoint, remote: Endpoint, keys: tuple[Key, ...], *, heeds_icmp: bool) -> None:
        super().__init__(local, remote, keys, _LENGTH, heeds_icmp=heeds_icmp)
        self.current: Key = keys[0]
        self.next: Key = keys[0]
        self.heard: tuple[int, int] = (UNKNOWN, UNKNOWN)
        self._sent = (
            UNKNOWN  # the highest number yet, without its wrapping: SND.SNE is what lies above 32 bits
        )
        self._arrived = UNKNOWN
        self._leaving: dict[int, bytes] = {}  # Send_other_traffic_key by SendID
        self._arriving: dict[int, bytes] = {}  # Receive_other_traffic_key by RecvID

    # Sending, as 7.4 says

    def seal(self, segment: Segment, layout: options.OptionLayout, iss: int, irs: int) -> bytes:
        local, remote = self.local.address, self.remote.address
        key = self.current
        if segment.flags & (SYN | ACK) == SYN:
            number, traffic = iss, self._derive(key, self.local, self.remote, iss, 0)
        elif irs == UNKNOWN:  # 5.2: what can't be signed goes as it is
            return encode_for(segment, local, remote, layout)
        else:
            traffic = self._leaving.get(key.send_id, b"") or self._derive(
                key, self.local, self.remote, iss, irs
            )
            self._leaving[key.send_id] = traffic
            number = seq.extended(segment.seq, max(iss, self._sent))
            self._sent = max(number, self._sent)
        segment.other += ((options.AO, bytes((key.send_id, self.next.receive_id)) + bytes(MAC_LENGTH)),)
        octets = encode(segment, layout)  # RFC5925-7.4: everything else stands
        at = signature.place(octets, 0, options.AO)
        extension = number >> 32 & seq.MASK  # RFC5925-6.2
        message = signature.covered_by_ao(
            octets, 0, len(octets), local, remote, at=at, extension=extension, options=key.covers_options
        )
        at += signature.AO_IDS
        octets = octets[:at] + mac(key.algorithm, traffic, message) + octets[at + MAC_LENGTH :]
        return with_checksum(octets, local, remote)

    # Arriving, as 7.5 says

    def _fault(self, octets: bytes, start: int, end: int, segment: Segment, iss: int, irs: int) -> str:
        value = value_of(segment, options.AO)
        if not value:
            return "signature_missing"
        key = self._by_receive_id(value[0])
        if key is None:
            return "signature_key"
        if len(value) != _LENGTH - 2:  # before anything is computed
            return "signature_length"
        number = segment.seq
        if (
            segment.flags & SYN
        ):  # RFC5925-5.1: the segment itself tells the peer's number; of a first SYN ours is 0
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
        elif irs not in (
            UNKNOWN,
            segment.seq,
        ):  # an attacker may repeat an old SYN: it is authentic, and tells nothing of this connection
            return ""
        self._learn(key, value[0], value[1], segment)
        return ""

    def _learn(self, key: Key, key_id: int, next_id: int, segment: Segment) -> None:
        """7.5, step 2.e; and a first SYN's key is the one that we ask for, until we are told otherwise
        (6.1).
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
        """5.2: a traffic key, for one direction of one connection."""
        ports = source.port << 16 | destination.port
        numbers = (ports << 64 | source_isn << 32 | destination_isn).to_bytes(12, "big")
        return traffic_key(key, source.address + destination.address + numbers)

    # Keys

    def successor(self) -> "Ao":
        made = Ao(self.local, self.remote, self.keys, heeds_icmp=self.heeds_icmp)
        made.current, made.next = self.current, self.next
        return made

    def install(self, keys: tuple[Key, ...]) -> None:
        for key in keys:
            namesakes = (self._by_receive_id(key.receive_id), self._by_send_id(key.send_id))
            if key.algorithm == "MD5" or [
                known for known in namesakes if known not in (None, key)
            ]:  # 3.1: a key doesn't change
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
        current = self.current if send_id == UNKNOWN else self._by_send_id(send_id)
        following = self.next if receive_id == UNKNOWN else self._by_receive_id(receive_id)
        if current is None:
            raise ArgumentError("send_id", send_id, "that of a key of this connection")
        if following is None:
            raise ArgumentError("receive_id", receive_id, "that of a key of this connection")
        self.current, self.next = current, following

    def _by_send_id(self, number: int) -> Key | None:
        for key in self.keys:
            if key.send_id == number:
                return key
        return None

    def _by_receive_id(self, number: int) -> Key | None:
        for key in self.keys:
            if key.receive_id == number:
                return key
        return None
