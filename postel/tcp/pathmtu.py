"""How large a packet the path carries, found by sending (RFC 4821), and what a router's word on it is worth
(RFC 5927, 7.2).

Sizes of packets count the IP header, as an MTU does; sizes of text are octets of data::

      BASE           path_mtu          candidate             high     ceiling
    ────┼────────────────┼──────────────────┼──────────────────┼─────────┼──►
        │  is sent; lost  │   a probe may find out what of it   │  found  │ what the link and
        │  it's congestion│   arrives; lost, it isn't           │  too big│ the peer can take

A search runs after a black hole, ten minutes after the path was last found narrow, or, if the user wants it,
from the start. It has no
timer: what is due is seen when there is text to send. A probe is that text, with enough behind it for its
loss to be noticed at once.
"""

from typing import Final

from postel.tcp import seq
from postel.tcp.path import MtuSearch
from postel.tcp.recovery import MtuProbe
from postel.tcp.seq import NO_SEQUENCE
from postel.tcp.tcb import HEADERS_4, HEADERS_6, Tcb
from postel.times import MINUTE, NEVER

BASE_4: Final = 1024  # RFC4821-7.2: nearly every path carries as much
LOWEST_6: Final = 1280  # RFC8201-4a: every path does
# Segments of some ten octets would cost a forger nothing and us a hundredfold of packets. Below this floor
# routers may fragment instead: the "don't fragment" bit goes off, and the path works even if it carries but
# 68 octets.
FLOOR_4: Final = 552
STEPS_4: Final = (BASE_4, FLOOR_4)  # RFC4821-7.7: about half, the second time
STEPS_6: Final = (LOWEST_6,)
TIMEOUTS: Final = (
    2  # of one segment, until a black hole is suspected: the second comes three RTO after it was sent
)
RAISE_AFTER: Final = 10 * MINUTE  # RFC4821-7.3, RFC8201-4b, RFC1191-3b
_COMMON: Final = 1500  # likely enough to be asked for first
_FOLLOWERS: Final = 3  # segments behind a probe, for fast retransmit (RFC4821-7.4)
_WORTH: Final = 64  # the search ends where less than this part of the size is left to gain
_TIMEOUT_COST: Final = 5  # RFC 4821, 7.6.3


def begin(tcb: Tcb, now: int) -> None:
    """The handshake is done. With ``mtu_probing`` "always" the search begins at what nearly every path
    carries.
    """
    if tcb.config.mtu_probing != "always":
        if tcb.path.search is not None:  # narrow from the start: only now is it known what the peer can take
            _rest(tcb, tcb.path.search, now)
        return
    tcb.path.mtu = min(tcb.path.mtu, _steps(tcb)[0])
    search = _known(tcb)
    search.told = tcb.path.mtu
    search.high = ceiling(tcb)
    search.next_at = now
    _aim(tcb, search, now)


def learn(tcb: Tcb, mtu: int, now: int) -> None:
    """What others found out."""
    mtu = max(mtu, _lowest(tcb))
    search = _known(tcb)
    search.told = mtu
    _narrow(tcb, search, mtu)
    _rest(tcb, search, now)


def overhead(tcb: Tcb) -> int:
    """Octets of a packet that aren't text: the headers, and the options of every segment."""
    return (HEADERS_4 if tcb.is_ipv4 else HEADERS_6) + tcb.send_mss - tcb.data_mss


def ceiling(tcb: Tcb) -> int:
    """The largest packet that the link and the peer can take (RFC4821-7.2)."""
    return min(
        tcb.path.link_mtu,
        min(tcb.path.peer_mss, tcb.config.largest_mss) + (HEADERS_4 if tcb.is_ipv4 else HEADERS_6),
    )


def may_be_fragmented(tcb: Tcb) -> bool:
    return tcb.path.mtu <= FLOOR_4 and tcb.path.mtu < tcb.path.link_mtu and tcb.is_ipv4


# What output asks and tells


def size_for(tcb: Tcb, unsent: int, usable: int, now: int) -> int:
    """Octets of text for the next new segment: SMSS, or a probe's; 0: hold on until the window has room for a
    probe.
    """
    search = tcb.path.search
    if search is None or now < search.next_at:
        return tcb.ensure_controller().smss
    return _probe_size(tcb, search, unsent, usable)


def _probe_size(tcb: Tcb, search: MtuSearch, unsent: int, usable: int) -> int:
    """RFC4821-7.4: no loss and no probe outstanding, and text and window for what must follow."""
    controller, snd = tcb.ensure_controller(), tcb.snd
    smss = controller.smss
    size = min(search.candidate, ceiling(tcb)) - overhead(tcb)  # MUST-16
    recovery = tcb.ensure_recovery()
    has_loss = (
        recovery.is_active or recovery.inflation > 0 or snd.nxt != snd.max or seq.lt(snd.una, search.point)
    )
    window = min(controller.window, snd.wnd)
    if (
        has_loss
        or recovery.mtu_probe is not None
        or size <= smss
        or min(unsent, window) < size + _FOLLOWERS * smss
    ):
        return smss
    return size if usable >= size else 0  # something is in flight then, whose ACK makes room


def sent(tcb: Tcb, start: int, count: int, end: int) -> None:
    """New text up to ``end``, ``count`` octets a packet. The ACK of the largest so far will prove that such a
    packet arrives.
    """
    if count > tcb.ensure_controller().smss:
        tcb.ensure_recovery().mtu_probe = MtuProbe(start, end)
    if count > tcb.path.tried or (count == tcb.path.tried and tcb.path.tried_end == NO_SEQUENCE):
        tcb.path.tried = count
        tcb.path.tried_end = end


def sent_again(tcb: Tcb, start: int, count: int) -> None:
    """Now an ACK says nothing of the size in which its octets arrived."""
    tcb.path.tried = max(tcb.path.tried, count)
    tcb.path.tried_end = NO_SEQUENCE
    recovery = tcb.ensure_recovery()
    probe = recovery.mtu_probe
    if probe is not None and not probe.is_lost and seq.le(probe.start, start) and seq.lt(start, probe.end):
        recovery.mtu_probe = None  # inconclusive: others were lost too (RFC 4821, 7.6.4)


# What is acknowledged, and what is lost


def acknowledged(tcb: Tcb, now: int) -> None:
    """SND.UNA moved."""
    una = tcb.snd.una
    if tcb.path.tried_end != NO_SEQUENCE and seq.ge(una, tcb.path.tried_end):
        tcb.path.tried_end = NO_SEQUENCE
        tcb.path.proven = tcb.path.tried
    search = tcb.path.search
    if search is None:
        return
    if seq.gt(una, search.point):  # follow, so that 2**31 octets without a loss don't turn the comparison
        search.point = una
    if search.claim and seq.gt(una, search.claim_number):  # it had arrived: the claim was false
        search.claim = 0
    recovery = tcb.ensure_recovery()
    probe = recovery.mtu_probe
    if probe is not None and seq.ge(una, probe.end):
        recovery.mtu_probe = None
        if probe.is_lost:
            _failed(tcb, search, probe, now, cost=1)
        else:
            _succeeded(tcb, search, probe, now)


def lost(tcb: Tcb, number: int, now: int) -> bool:
    """Recovery says that what begins at ``number`` was lost. Whether a router had said why: then all of its
    size goes again.
    """
    search = tcb.path.search
    if search is None or not search.claim or search.claim_number != number:
        return False
    _believe(tcb, search, search.claim, now)
    return True


def timed_out(tcb: Tcb, now: int) -> None:
    """The retransmission timer expired, and ``tcb.snd.retransmissions`` counts it."""
    search = tcb.path.search
    tcb.path.tried_end = NO_SEQUENCE
    if search is not None:
        recovery = tcb.ensure_recovery()
        probe = recovery.mtu_probe
        recovery.mtu_probe = None
        search.point = _beyond(tcb)
        if search.claim:  # RFC5927-7.2, with MAXSEGRTO = 1
            _narrow(tcb, search, search.claim)
            _rest(tcb, search, now)
            return
        if probe is not None and probe.start == tcb.snd.una:
            _failed(tcb, search, probe, now, cost=_TIMEOUT_COST)
    if tcb.snd.retransmissions >= TIMEOUTS and tcb.config.mtu_probing != "off":
        _suspect(tcb, now)


def _suspect(tcb: Tcb, now: int) -> None:
    """RFC4821-7.7, RFC2923-2: where a large packet times out again and again, the message that should tell
    why may be filtered.

    It may as well be an outage: then the first probe finds everything as it was before.
    """
    lost = overhead(tcb) + min(tcb.snd.flight, tcb.ensure_controller().smss)
    for step in _steps(tcb):
        if step < min(lost, tcb.path.mtu):
            break
    else:
        return
    search = _known(tcb)
    search.point = _beyond(tcb)
    if search.high < tcb.path.mtu or search.next_at > now:
        search.high = tcb.path.mtu
        search.is_bounded = False
    _narrow(tcb, search, step)
    if (
        now - search.raised_at < RAISE_AFTER
    ):  # a size that a probe found, and that doesn't last: two paths take turns (RFC 4821, 7.8)
        _rest(tcb, search, now)
    else:
        search.next_at = now
        _aim(tcb, search, now)


def link_changed(tcb: Tcb, mtu: int, now: int) -> None:
    """Our own link carries ``mtu`` octets from now on. Smaller segments go at once, and what was sent larger
    may have to go again; larger ones are looked for at once, as far as the peer can take them."""
    had, tcb.path.link_mtu = tcb.path.link_mtu, mtu
    if mtu < tcb.path.mtu:
        search = _known(tcb)
        search.told = mtu  # others know
        if tcb.is_synchronized and tcb.is_sender and tcb.snd.flight:
            _believe(tcb, search, mtu, now)
        else:
            _narrow(tcb, search, mtu)
            _rest(tcb, search, now)
    elif not tcb.is_synchronized:
        tcb.path.mtu = mtu if tcb.path.mtu == had else tcb.path.mtu
    elif tcb.config.mtu_probing != "off":
        search = _known(tcb)
        search.high = ceiling(tcb)
        search.is_bounded = False
        search.next_at = now
        _aim(tcb, search, now)


# What routers claim


def claimed(tcb: Tcb, mtu: int, number: int, now: int) -> bool:
    """A router says that it can't carry our segment that began at ``number``, and it is in flight. Whether
    that is believed at once.

    Of sizes that were never acknowledged it is. Else the claim must wait for a sign that the segment is lost
    (RFC5927-7.2). What a probe looks for is never set by a claim, only bounded (RFC8899-4.6).
    """
    mtu = max(mtu, _lowest(tcb))
    text = mtu - overhead(tcb)
    if text >= max(tcb.path.tried, tcb.path.proven):  # RFC5927-7.2: no packet was too large for that
        return False
    if mtu >= tcb.path.mtu:
        _bound(tcb, mtu, number)
        return False
    search = _known(tcb)
    if text >= tcb.path.proven or tcb.snd.retransmissions:
        _believe(tcb, search, mtu, now)
        return True
    search.claim = mtu
    search.claim_number = number
    return False


def _bound(tcb: Tcb, mtu: int, number: int) -> None:
    """The claim is about a probe: if that is lost, the next one has the size that was claimed."""
    search, probe = tcb.path.search, None if tcb.recovery is None else tcb.recovery.mtu_probe
    if search is not None and probe is not None and probe.start == number:
        search.high = mtu
        search.is_bounded = False


def _believe(tcb: Tcb, search: MtuSearch, mtu: int, now: int) -> None:
    _narrow(tcb, search, mtu)
    _rest(tcb, search, now)
    tcb.rtt.forget()
    tcb.path.tried_end = NO_SEQUENCE
    tcb.ensure_recovery().on_refused()  # RFC8201-5.4: lost, but not by congestion
    tcb.turn()


# What others may learn


def news(tcb: Tcb) -> int:
    """The path MTU, where it isn't what others were told and something arrived since it changed; else 0."""
    search = tcb.path.search
    if search is None or search.told == tcb.path.mtu or tcb.snd.retransmissions:
        return 0
    search.told = tcb.path.mtu
    return tcb.path.mtu


def is_proven(tcb: Tcb) -> bool:
    """Whether packets as large as the path MTU did arrive."""
    return tcb.path.proven >= tcb.data_mss


# The search


def _known(tcb: Tcb) -> MtuSearch:
    if tcb.path.search is None:
        tcb.path.search = MtuSearch(tcb.path.mtu, tcb.snd.una, raised_at=-RAISE_AFTER)
    return tcb.path.search


def _beyond(tcb: Tcb) -> int:
    """Where the loss at hand is over, and duplicate ACKs are to be trusted again (RFC 6582, 3.2)."""
    return seq.add(tcb.snd.max, 1)


def _lowest(tcb: Tcb) -> int:
    """No claim makes the path MTU less than this: text keeps the room that a peer's MSS must leave it. A host
    heeds no claim below FLOOR_4 or LOWEST_6 in the first place."""
    return min(tcb.config.smallest_mss + (HEADERS_4 if tcb.is_ipv4 else HEADERS_6), tcb.path.link_mtu)


def _steps(tcb: Tcb) -> tuple[int, ...]:
    return STEPS_4 if tcb.is_ipv4 else STEPS_6


def _succeeded(tcb: Tcb, search: MtuSearch, probe: MtuProbe, now: int) -> None:
    search.raised_at = now
    _resize(
        tcb, overhead(tcb) + seq.distance(probe.start, probe.end)
    )  # the windows stay what they are in octets (RFC4821-4)
    search.next_at = now
    _aim(tcb, search, now)


def _failed(tcb: Tcb, search: MtuSearch, probe: MtuProbe, now: int, *, cost: int) -> None:
    """Congestion control let it pass; so it shall not happen again before a window's packets might have been
    lost (RFC4821-4).
    """
    controller = tcb.ensure_controller()
    tcb.path.tried = min(tcb.path.tried, controller.smss)
    search.point = _beyond(tcb)
    search.next_at = now + cost * (controller.window // controller.smss) * max(tcb.rtt.smoothed, 1)
    size = overhead(tcb) + seq.distance(probe.start, probe.end)
    if search.high >= size:  # else a router told meanwhile what would fit
        search.high = size - 1
        search.is_bounded = True
    _aim(tcb, search, now)


def _aim(tcb: Tcb, search: MtuSearch, now: int) -> None:
    """The next size: a common one, else the largest, and after a failure the middle; or the search is over
    (RFC 4821, 7.3).
    """
    low = tcb.path.mtu
    search.high = min(search.high, ceiling(tcb))  # the path MTU may be more than the peer can take (MUST-16)
    if search.high - low <= low // _WORTH:
        _rest(tcb, search, now)
    elif search.is_bounded:
        search.candidate = (low + search.high + 1) // 2
    else:
        search.candidate = _COMMON if low < _COMMON < search.high else search.high


def _rest(tcb: Tcb, search: MtuSearch, now: int) -> None:
    """A larger size may be looked for after ten minutes at the earliest; and never where ``mtu_probing`` is
    "off".
    """
    search.high = ceiling(tcb)
    search.candidate = _COMMON if tcb.path.mtu < _COMMON < search.high else search.high
    search.is_bounded = False
    is_wanted = search.high > tcb.path.mtu and tcb.config.mtu_probing != "off"
    search.next_at = now + RAISE_AFTER if is_wanted else NEVER


def _narrow(tcb: Tcb, search: MtuSearch, mtu: int) -> None:
    """The path is another than it was: what arrived before proves nothing any more, and the last word of
    routers is heeded.
    """
    search.claim = 0
    if tcb.recovery is not None:
        tcb.recovery.mtu_probe = None
    _resize(tcb, mtu)
    tcb.path.proven = min(tcb.path.proven, tcb.data_mss)
    tcb.path.tried = 0


def _resize(tcb: Tcb, mtu: int) -> None:
    tcb.path.mtu = mtu
    if tcb.controller is not None:
        tcb.controller.resized(tcb.data_mss)
