"""Reassembly of fragmented packets, within bounds (RFC 791, 3.2; RFC 815; RFC 8200, 4.5; RFC 5722).

Fragments that overlap make their whole packet void, in both families: RFC 5722 demands it of IPv6, and no
honest IPv4 sender makes them either. So what is held never overlaps, and a packet is whole when the lengths
add up: RFC 815's list of holes isn't needed. A mark of congestion on one fragment is one on the whole (RFC
3168, 5.3).
"""

from bisect import bisect_left
from typing import Final, NamedTuple

from postel.host.counters import Counters
from postel.times import NEVER, SECOND
from postel.wire import ip
from postel.wire.ip import Packet

LIFETIME_4: Final = (
    30 * SECOND
)  # RFC 791, 3.2 gives 15 as an example, RFC 1122, 3.3.2 wants 60 to 120; memory under attack wants less
LIFETIME_6: Final = 60 * SECOND  # RFC 8200, 4.5
MOST_PACKETS: Final = 64  # that are not whole yet
MOST_PIECES: Final = 128  # of one packet: 64 KiB at an MTU of 576 has 119
MOST_OCTETS: Final = 1 << 20

_ECN: Final = 3
_CE: Final = 3
_NOT_ECT: Final = 0


class Whole(NamedTuple):
    """A packet made of its fragments, of which ``first`` holds the payload's beginning."""

    octets: bytes
    first: Packet


class Partial:
    """A packet of which fragments are missing."""

    __slots__ = ("end", "expires", "held", "key", "octets", "offsets", "pieces")

    def __init__(self, key: bytes, expires: int) -> None:
        self.key: bytes = key
        self.expires: int = expires
        self.end: int = -1  # the whole length, once the last fragment came
        self.held: int = 0  # octets of payload
        self.octets: int = 0  # of memory: headers too
        self.offsets: list[int] = []  # ascending
        self.pieces: list[Packet] = []

    @property
    def is_whole(self) -> bool:
        return self.held == self.end

    @property
    def first(self) -> Packet | None:
        """The fragment that holds the payload's beginning."""
        return self.pieces[0] if self.offsets and self.offsets[0] == 0 else None

    def is_duplicate(self, piece: Packet) -> bool:
        """The network doubles packets; that isn't an overlap (RFC 8200, 4.5)."""
        index = bisect_left(self.offsets, piece.fragment_offset)
        if index == len(self.offsets) or self.offsets[index] != piece.fragment_offset:
            return False
        return (
            self.pieces[index].payload == piece.payload
            and self.pieces[index].more_fragments == piece.more_fragments
        )

    def overlaps(self, piece: Packet) -> bool:
        """Whether the piece covers what another does, or disagrees on where the packet ends."""
        offset, end = piece.fragment_offset, _end(piece)
        index = bisect_left(self.offsets, offset)
        if index < len(self.offsets) and (end > self.offsets[index] or not piece.more_fragments):
            return True
        if index and _end(self.pieces[index - 1]) > offset:
            return True
        return self.end >= 0 and (end > self.end or not piece.more_fragments)

    def insert(self, piece: Packet) -> None:
        index = bisect_left(self.offsets, piece.fragment_offset)
        self.offsets.insert(index, piece.fragment_offset)
        self.pieces.insert(index, piece)
        self.held += piece.end - piece.start
        self.octets += len(piece.octets)
        if not piece.more_fragments:
            self.end = _end(piece)


class Fragments:
    __slots__ = ("_counters", "_partials", "held")

    def __init__(self, counters: Counters) -> None:
        self._counters = counters
        self._partials: dict[bytes, Partial] = {}  # the oldest first
        self.held: int = 0  # octets, over all packets

    def __len__(self) -> int:
        return len(self._partials)

    def add(self, piece: Packet, now: int) -> "Whole | None":
        """The whole packet, if ``piece`` was the last that it lacked; else None."""
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
        return min([partial.expires for partial in self._partials.values()]) if self._partials else NEVER

    def expire(self, now: int) -> list[Packet]:
        """Give up what has waited too long; the first fragments of which to send TIME_EXCEEDED (RFC 792; RFC
        8200, 4.5).
        """
        firsts = []
        for partial in [partial for partial in self._partials.values() if partial.expires <= now]:
            self._give_up(partial, "fragment_timeout", now)
            if partial.first is not None:
                firsts.append(partial.first)
        return firsts

    def _complete(self, partial: Partial, now: int) -> "Whole | None":
        marks = {piece.traffic_class & _ECN for piece in partial.pieces}
        if _CE in marks and _NOT_ECT in marks:  # RFC 3168, 5.3: neither may be lost, and no packet is both
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
        if partial.overlaps(piece):
            return "fragment_overlap"
        if len(partial.pieces) >= MOST_PIECES:
            return "fragment_excess"
        if piece.version == 4 and _end(piece) + ip.HEADER_4 > ip.LARGEST:  # the ping of death
            return "fragment_beyond_end"
        return ""

    def _relieve(self, now: int) -> None:
        """The oldest go first: a flood of fragments starves itself, not a packet whose fragments come one
        right after another.
        """
        while len(self._partials) > MOST_PACKETS or self.held > MOST_OCTETS:
            self._give_up(self._partials[next(iter(self._partials))], "fragment_no_room", now)

    def _give_up(self, partial: Partial, reason: str, now: int) -> None:
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
    """One plain packet, so that it takes the usual way in. Its header is the first fragment's, but for
    ``mark`` (RFC 8200, 4.5).
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
