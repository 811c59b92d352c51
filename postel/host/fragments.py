"""Reassembly of fragmented IP packets, within bounds (RFC 791, 3.2; RFC 815; RFC 8200, 4.5; RFC 5722).

Theory of operation. The fragments of a packet have its source, its destination and an identification in
common; in IPv4 also the protocol. Each has an offset, in octets of the whole payload, and all but the last
have the flag "more fragments". A `Partial` collects them, sorted by offset::

    offset    0           1480         2960       4440    4900
              ├───────────┼────────────┼───────────┼───────┤
              │ A  more   │ B  more    │ missing   │ D     │  end = 4900, known from D
              └───────────┴────────────┴───────────┴───────┘
    held = 1480 + 1480 + 460 = 3420 octets; the packet is whole once held == end

Fragments that overlap make the whole packet void, in both IP versions. RFC 5722 demands it for IPv6; a
correct IPv4 sender doesn't make them either, and an attacker uses them to hide data from a firewall. An exact
duplicate isn't an overlap: it is dropped alone. Because nothing held overlaps, the sum of the lengths shows
whether the packet is whole, and RFC 815's list of holes isn't needed.

The whole packet gets the first fragment's header. If one fragment is marked by "congestion experienced", the
whole is (RFC 3168, 5.3).

Memory is bounded by the number of incomplete packets, of fragments in each, and of octets. Beyond a bound the
oldest packet is dropped first, so that a flood of fragments drops its own packets, and not a packet with
fragments that arrive one right after another. After 30 s (IPv4) or 60 s (IPv6) an incomplete packet is
dropped, and its sender gets an ICMP "time exceeded" if the first fragment had arrived.
"""

from bisect import bisect_left
from typing import Final, NamedTuple

from postel.host.counters import Counters
from postel.times import NEVER, SECOND
from postel.wire import ip
from postel.wire.ip import Packet

# Lifetime of an incomplete IPv4 packet. RFC 791, 3.2 gives 15 s as an example, RFC 1122, 3.3.2 wants 60 to
# 120 s. A shorter time needs less memory in an attack
LIFETIME_4: Final = 30 * SECOND
LIFETIME_6: Final = 60 * SECOND  # RFC 8200, 4.5
MOST_PACKETS: Final = 64  # most incomplete packets that a host holds
MOST_PIECES: Final = 128  # most fragments of one packet: 64 KiB at an MTU of 576 octets are 119
MOST_OCTETS: Final = 1 << 20  # most octets of all fragments together, headers included

_ECN: Final = 3
_CE: Final = 3
_NOT_ECT: Final = 0


class Whole(NamedTuple):
    """A reassembled packet, and its first fragment as it arrived."""

    octets: bytes
    first: Packet


class Partial:
    """An incomplete packet, and its fragments."""

    __slots__ = ("end", "expires", "held", "key", "octets", "offsets", "pieces")

    def __init__(self, key: bytes, expires: int) -> None:
        """Begin a packet that expires at ``expires``, in microseconds."""
        self.key: bytes = key
        self.expires: int = expires
        self.end: int = -1  # the length of the whole payload, once the last fragment has arrived
        self.held: int = 0  # octets of payload in the fragments so far
        self.octets: int = 0  # octets of all fragments, headers included
        self.offsets: list[int] = []  # offsets of the fragments in octets, ascending
        self.pieces: list[Packet] = []

    @property
    def is_whole(self) -> bool:
        """Whether all fragments have arrived."""
        return self.held == self.end

    @property
    def first(self) -> Packet | None:
        """Fragment with the beginning of the payload; None where it hasn't arrived."""
        return self.pieces[0] if self.offsets and self.offsets[0] == 0 else None

    def is_duplicate(self, piece: Packet) -> bool:
        """Whether an equal fragment has arrived before.

        The network may double a packet; that isn't an overlap (RFC 8200, 4.5).
        """
        index = bisect_left(self.offsets, piece.fragment_offset)
        if index == len(self.offsets) or self.offsets[index] != piece.fragment_offset:
            return False
        return (
            self.pieces[index].payload == piece.payload
            and self.pieces[index].more_fragments == piece.more_fragments
        )

    def overlaps(self, piece: Packet) -> bool:
        """Whether a fragment covers octets of another fragment, or gives another end of the whole packet."""
        offset, end = piece.fragment_offset, _end(piece)
        index = bisect_left(self.offsets, offset)
        if index < len(self.offsets) and (end > self.offsets[index] or not piece.more_fragments):
            return True
        if index and _end(self.pieces[index - 1]) > offset:
            return True
        return self.end >= 0 and (end > self.end or not piece.more_fragments)

    def insert(self, piece: Packet) -> None:
        """Add a fragment that doesn't overlap."""
        index = bisect_left(self.offsets, piece.fragment_offset)
        self.offsets.insert(index, piece.fragment_offset)
        self.pieces.insert(index, piece)
        self.held += piece.end - piece.start
        self.octets += len(piece.octets)
        if not piece.more_fragments:
            self.end = _end(piece)


class Fragments:
    """All incomplete packets of a host."""

    __slots__ = ("_counters", "_partials", "held")

    def __init__(self, counters: Counters) -> None:
        """Begin without packets."""
        self._counters = counters
        self._partials: dict[bytes, Partial] = {}  # packets by key, the oldest first
        self.held: int = 0  # octets of the fragments of all packets, headers included

    def __len__(self) -> int:
        """Number of incomplete packets."""
        return len(self._partials)

    def add(self, piece: Packet, now: int) -> "Whole | None":
        """Add a fragment. Returns the whole packet if it was the last one missing, else None."""
        partial = self._partial_of(piece, now)
        if partial.is_duplicate(piece):
            self._counters.drop("fragment_duplicate", piece.octets, now)
            return None
        reason = self._objection(partial, piece)
        if reason:
            self._counters.drop(reason, piece.octets, now)
            self._give_up(partial, reason, now)
            return None
        partial.insert(piece)
        self.held += len(piece.octets)
        if partial.is_whole:
            return self._complete(partial, now)
        self._relieve(now)
        return None

    def next_timeout(self) -> int:
        """Time in microseconds at which the first incomplete packet expires; NEVER where there is none."""
        return min([partial.expires for partial in self._partials.values()]) if self._partials else NEVER

    def expire(self, now: int) -> list[Packet]:
        """Drop the packets that have expired by ``now``.

        Returns the first fragments of those that have one, for ICMP "time exceeded" (RFC 792; RFC 8200, 4.5).
        """
        firsts = []
        for partial in [partial for partial in self._partials.values() if partial.expires <= now]:
            self._give_up(partial, "fragment_timeout", now)
            if partial.first is not None:
                firsts.append(partial.first)
        return firsts

    def _complete(self, partial: Partial, now: int) -> "Whole | None":
        """Whole packet of fragments that are complete; None where their ECN marks contradict each other."""
        marks = {piece.traffic_class & _ECN for piece in partial.pieces}
        if _CE in marks and _NOT_ECT in marks:  # RFC 3168, 5.3: one header can't have both marks
            self._give_up(partial, "fragment_mixed_ecn", now)
            return None
        self._remove(partial)
        return Whole(_join(partial.pieces, _CE if _CE in marks else _NOT_ECT), partial.pieces[0])

    def _partial_of(self, piece: Packet, now: int) -> Partial:
        key = _key(piece)
        partial = self._partials.get(key)
        if partial is None:
            partial = Partial(key, now + (LIFETIME_4 if piece.version == 4 else LIFETIME_6))
            self._partials[key] = partial
        return partial

    def _objection(self, partial: Partial, piece: Packet) -> str:
        """Reason why a fragment makes its packet void; "" where there is none."""
        if partial.overlaps(piece):
            return "fragment_overlap"
        if len(partial.pieces) >= MOST_PIECES:
            return "fragment_excess"
        if piece.version == 4 and _end(piece) + ip.HEADER_4 > ip.LARGEST:  # "ping of death"
            return "fragment_beyond_end"
        return ""

    def _relieve(self, now: int) -> None:
        """Drop the oldest packets until all bounds are met."""
        while len(self._partials) > MOST_PACKETS or self.held > MOST_OCTETS:
            self._give_up(self._partials[next(iter(self._partials))], "fragment_no_room", now)

    def _give_up(self, partial: Partial, reason: str, now: int) -> None:
        """Drop an incomplete packet, and count its fragments as dropped."""
        self._remove(partial)
        for piece in partial.pieces:
            self._counters.drop(reason, piece.octets, now)

    def _remove(self, partial: Partial) -> None:
        del self._partials[partial.key]
        self.held -= partial.octets


def _key(piece: Packet) -> bytes:
    number = piece.identification.to_bytes(4, "big")
    protocol = piece.protocol if piece.version == 4 else 0  # RFC 8200, 4.5: not part of IPv6's key
    return piece.source + piece.destination + number + bytes([protocol])


def _end(piece: Packet) -> int:
    return piece.fragment_offset + piece.end - piece.start


def _join(pieces: list[Packet], mark: int) -> bytes:
    """Whole packet of these fragments, without a fragment header, so that it is processed as any other.

    The header is that of the first fragment, except for the ECN field ``mark`` (RFC 8200, 4.5).
    """
    first = pieces[0]
    payload = b"".join([piece.payload for piece in pieces])
    traffic_class = first.traffic_class | mark
    return ip.encode(
        first.source,
        first.destination,
        first.protocol,
        payload,
        hop_limit=first.hop_limit,
        traffic_class=traffic_class,
    )
