"""SYN cookies (RFC 4987, 3.6): a handshake without memory, while the queue of half-open connections is full.

Theory of operation. In a flood of SYNs most clients never answer. While a listener's queue is full, the host
keeps nothing for a SYN. It writes the contents of the SYN, signed, into fields of the SYN,ACK, and the
client's ACK returns these fields::

    client                              host
    SYN  seq=IRS            ─────────►  nothing is kept
                            ◄─────────  SYN,ACK  seq=cookie  TSval=clock and options
    ACK  ack=cookie+1       ─────────►  the hash is right: make the SYN again, and a connection of it
         TSecr=clock and options

    bits of      31 ─────────────────────────────────────────── 0
    ISS          │ time: 5 │ MSS: 3 │ keyed hash of both endpoints, IRS, time and MSS: 24 │
    TSval        │ clock: 27                      │ SACK: 1 │ window scale: 4            │

The time counts 64 seconds; a cookie is valid in its 64 seconds and in the next. The MSS is an index into a
table of common values. Only the ACK is checked. Then the SYN is written again as it was, and the ordinary
handshake code processes it. The timestamp has room for two options; without timestamps the connection has
neither SACK nor window scale. The ACE field of the ACK shows whether the SYN asked for RFC 9768 (RFC 9768,
5.1). Nothing in the ACK shows whether the SYN asked for RFC 3168, so the host doesn't agree to that.

Cookies are used only while the queue is full (RFC 4987, 3.7, "hybrid"): the connection loses options, and a
lost SYN,ACK isn't retransmitted.

Where the pair is still in TIME-WAIT, the new ISS must be above the old SND.MAX (RFC 9293, MAY-2). The cookie
without its time, 27 bits, is then added to the old SND.MAX, which the record of TIME-WAIT remembers. The ACK
is checked for both times at which the cookie may have been made.
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
LIFETIME: Final = 2 * _TICK  # longest time, in microseconds: a cookie is valid in its tick and in the next
_TICKS: Final = 32
_MSS: Final = (216, 536, 1220, 1300, 1360, 1440, 1460, 8940)
_HASH_BITS: Final = 0xFFFFFF
_WITHOUT_TIME: Final = 0x7FFFFFF  # mask of a cookie's 27 bits for MSS and hash
_STEP: Final = 1 << 16  # distance from the old SND.MAX, as for other new connections of such a pair
_OPTION_BITS: Final = 0x1F
_SACK_BIT: Final = 0x10
_NO_SCALE: Final = 15  # in the field for the shift: no window scale option (a shift is at most 14)
_LEAST_ACE: Final = 2  # the ACE field of a peer in AccECN mode is 2 or more: it says how the SYN,ACK arrived


class Cookies:
    """Makes and checks the SYN cookies of a host."""

    __slots__ = ("_key",)

    def __init__(self, secret: bytes) -> None:
        """Derive the key from the host's secret."""
        self._key = blake2b(secret, digest_size=32, person=b"cookies").digest()

    def iss(self, local: Endpoint, remote: Endpoint, syn: Segment, now: int) -> int:
        """Cookie for a SYN that `representable` made, as the ISS of the SYN,ACK."""
        return self._cookie(local, remote, syn.seq, now // _TICK, _MSS.index(syn.mss))

    def iss_beyond(self, local: Endpoint, remote: Endpoint, syn: Segment, snd_max: int, now: int) -> int:
        """Cookie for a SYN of a pair in TIME-WAIT: an ISS above the old connection's ``snd_max``."""
        return seq.add(snd_max, _STEP + (self.iss(local, remote, syn, now) & _WITHOUT_TIME))

    def syn_of(
        self, local: Endpoint, remote: Endpoint, segment: Segment, now: int, *, accurate: bool = False
    ) -> Segment | None:
        """SYN for which this segment returns a cookie; None where the cookie isn't valid, or too old.

        ``accurate`` says that the listener allows RFC 9768.
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
        """SYN for which this segment returns a cookie of `iss_beyond`; None where it isn't valid."""
        cookie = (segment.ack - 1 - snd_max - _STEP) & seq.MASK
        if cookie > _WITHOUT_TIME:
            return None
        tick, index, irs = now // _TICK, cookie >> 24, seq.add(segment.seq, -1)
        for age in range(min(1, tick) + 1):
            if cookie == self._cookie(local, remote, irs, tick - age, index) & _WITHOUT_TIME:
                return _syn(segment, index, accurate=accurate)
        return None

    def _cookie(self, local: Endpoint, remote: Endpoint, irs: int, tick: int, index: int) -> int:
        """Cookie of a pair for a SYN with sequence number ``irs`` at ``tick``, with the MSS at ``index``."""
        numbers = b"".join(
            [number.to_bytes(8, "big") for number in (local.port, remote.port, irs, tick, index)]
        )
        digest = blake2b(numbers + local.address + remote.address, digest_size=4, key=self._key).digest()
        return tick % _TICKS << 27 | index << 24 | int.from_bytes(digest, "big") & _HASH_BITS


def _syn(segment: Segment, index: int, *, accurate: bool) -> Segment:
    """SYN for the cookie in ``segment``, with the MSS at ``index`` of the table."""
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
    """Copy of a SYN with the options that a cookie holds; None if its MSS is below all in the table."""
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
    """Write the options of ``syn`` into the timestamp of the SYN,ACK.

    The timestamp is then up to 31 ms behind the clock, and never ahead of it.
    """
    if answer.tsval == ABSENT:
        return
    bits = _NO_SCALE if syn.window_scale == ABSENT else syn.window_scale
    bits |= _SACK_BIT if syn.sack_permitted else 0
    value = answer.tsval & ~_OPTION_BITS | bits
    answer.tsval = seq.add(value, 0 if value <= answer.tsval else -_OPTION_BITS - 1)
