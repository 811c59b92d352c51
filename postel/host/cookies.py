"""SYN cookies (RFC 4987, 3.6): a handshake without memory, while a listener's half-open queue is full (3.7,
"hybrid").

What the SYN said goes out in the SYN,ACK and comes back in the ACK::

    ISS    │ time: 5 │ MSS: 3 │ keyed hash of both ends, IRS, time and MSS: 24 │
    TSval  │ the clock: 27                        │ SACK: 1 │ window scale: 4   │

Only the ACK is checked, and then the SYN is written again as it was, so that the rules of a handshake stay
where they are. Without timestamps there is no room for the last two: such a connection has neither. Whether
the SYN asked for RFC 9768 the ACK shows by itself, in its ACE field (RFC 9768, 5.1); RFC 3168 leaves no such
trace, and isn't agreed to.

Where the pair is still in TIME-WAIT, the ISS must be above the old SND.MAX (RFC 9293, MAY-2). There the
cookie, without its time, is added to that: the record of TIME-WAIT remembers where to begin. Both times that
a cookie can be of are then tried.
"""

from hashlib import blake2b
from typing import Final

from postel.tcp import seq
from postel.tcp.ecn import FLAGS, ace
from postel.tcp.tcb import DEFAULT_MSS_4, DEFAULT_MSS_6
from postel.times import SECOND
from postel.wire.address import Endpoint
from postel.wire.segment import ABSENT, CWR, ECE, SYN, Segment

_TICK: Final = 64 * SECOND
LIFETIME: Final = 2 * _TICK  # at most: a cookie is good for its tick and the next
_TICKS: Final = 32
_MSS: Final = (216, 536, 1220, 1300, 1360, 1440, 1460, 8940)
_HASH_BITS: Final = 0xFFFFFF
_WITHOUT_TIME: Final = 0x7FFFFFF  # MSS and hash
_STEP: Final = 1 << 16  # from SND.MAX on, as for other openings of such a pair
_OPTION_BITS: Final = 0x1F
_SACK_BIT: Final = 0x10
_NO_SCALE: Final = 15  # a shift is at most 14
_LEAST_ACE: Final = 2  # of a peer in AccECN mode: it says how the SYN,ACK arrived


class Cookies:
    __slots__ = ("_key",)

    def __init__(self, secret: bytes) -> None:
        self._key = blake2b(secret, digest_size=32, person=b"cookies").digest()

    def iss(self, local: Endpoint, remote: Endpoint, syn: Segment, now: int) -> int:
        """For a SYN that `representable` made."""
        return self._cookie(local, remote, syn.seq, now // _TICK, _MSS.index(syn.mss))

    def iss_beyond(self, local: Endpoint, remote: Endpoint, syn: Segment, snd_max: int, now: int) -> int:
        """As `iss`, above the old SND.MAX of a pair in TIME-WAIT."""
        return seq.add(snd_max, _STEP + (self.iss(local, remote, syn, now) & _WITHOUT_TIME))

    def syn_of(
        self, local: Endpoint, remote: Endpoint, segment: Segment, now: int, *, accurate: bool = False
    ) -> Segment | None:
        """The SYN that this segment's cookie stands for; None where it acknowledges no cookie of ours, or too
        old a one.

        ``accurate``: RFC 9768 may have been agreed on.
        """
        cookie = seq.add(segment.ack, -1)
        tick = now // _TICK
        age = (tick - (cookie >> 27)) % _TICKS
        index = cookie >> 24 & 7
        if age > min(1, tick) or cookie != self._cookie(
            local, remote, seq.add(segment.seq, -1), tick - age, index
        ):
            return None
        return _syn(segment, index, accurate=accurate)

    def syn_beyond(
        self,
        local: Endpoint,
        remote: Endpoint,
        segment: Segment,
        snd_max: int,
        now: int,
        *,
        accurate: bool = False,
    ) -> Segment | None:
        """As `syn_of`, for a cookie of `iss_beyond`."""
        cookie = (segment.ack - 1 - snd_max - _STEP) & seq.MASK
        if cookie > _WITHOUT_TIME:
            return None
        tick, index, irs = now // _TICK, cookie >> 24, seq.add(segment.seq, -1)
        for age in range(min(1, tick) + 1):
            if cookie == self._cookie(local, remote, irs, tick - age, index) & _WITHOUT_TIME:
                return _syn(segment, index, accurate=accurate)
        return None

    def _cookie(self, local: Endpoint, remote: Endpoint, irs: int, tick: int, index: int) -> int:
        numbers = b"".join(
            [number.to_bytes(8, "big") for number in (local.port, remote.port, irs, tick, index)]
        )
        digest = blake2b(numbers + local.address + remote.address, digest_size=4, key=self._key).digest()
        return tick % _TICKS << 27 | index << 24 | int.from_bytes(digest, "big") & _HASH_BITS


def _syn(segment: Segment, index: int, *, accurate: bool) -> Segment:
    """The SYN that a cookie with this MSS stands for, which came back in ``segment``."""
    syn = Segment(segment.source, segment.destination, seq.add(segment.seq, -1), 0, SYN, segment.window)
    syn.mss = _MSS[index]
    if accurate and ace(segment.flags) >= _LEAST_ACE:
        syn.flags |= FLAGS
    if segment.tsval != ABSENT:
        syn.tsval, syn.tsecr = segment.tsval, 0
        shift = segment.tsecr & _OPTION_BITS & ~_SACK_BIT
        syn.window_scale = ABSENT if shift == _NO_SCALE else shift
        syn.sack_permitted = segment.tsecr & _SACK_BIT != 0
    return syn


def representable(syn: Segment, *, ipv4: bool, timestamps: bool, accurate: bool = False) -> Segment | None:
    """As much of the SYN as a cookie holds; None where the MSS is smaller than any that it can name."""
    told = syn.mss if syn.mss != ABSENT else DEFAULT_MSS_4 if ipv4 else DEFAULT_MSS_6
    smaller = [size for size in _MSS if size <= told]
    if not smaller:
        return None
    reduced = Segment(syn.source, syn.destination, syn.seq, 0, SYN, syn.window)
    reduced.mss = smaller[-1]
    if accurate and syn.flags & FLAGS != ECE | CWR:
        reduced.flags |= syn.flags & FLAGS
        reduced.ecn = syn.ecn
    if timestamps and syn.tsval != ABSENT:
        reduced.tsval, reduced.tsecr = syn.tsval, syn.tsecr
        reduced.window_scale, reduced.sack_permitted = (
            min(syn.window_scale, _NO_SCALE - 1),
            syn.sack_permitted,
        )
    return reduced


def stamp(answer: Segment, syn: Segment) -> None:
    """Write the options of ``syn`` into the timestamp of the SYN,ACK, which thereby is up to 31 ms late,
    never early.
    """
    if answer.tsval == ABSENT:
        return
    bits = _NO_SCALE if syn.window_scale == ABSENT else syn.window_scale
    bits |= _SACK_BIT if syn.sack_permitted else 0
    value = answer.tsval & ~_OPTION_BITS | bits
    answer.tsval = seq.add(value, 0 if value <= answer.tsval else -_OPTION_BITS - 1)
