"""Path MTU: how large a packet may be, found by sending (RFC 4821) and by ICMP (RFC 1191, 8201, 5927).

Theory of operation. A segment that is too large for a link on the path is dropped. The router there should
report its MTU by ICMP, but such reports can be filtered or forged. So there are two sources:

1. Probes (RFC 4821). New payload is sent in one packet of a larger size, a probe. If it is acknowledged, the
path carries that size. If it is lost, it doesn't, and the loss isn't taken for congestion (RFC 4821, 7.6.2).
`_aim` chooses the next size between what works and what is known to be too large.

2. Reports (RFC 5927, 7.2). A report is believed at once if no packet larger than the reported MTU was ever
acknowledged. Otherwise it must wait until the segment it names seems lost, because a forged report could make
segments tiny.

      lowest          path.mtu           candidate            high           ceiling
    ────┼────────────────┼───────────────────┼───────────────────┼───────────────┼──────►
        │ sizes in use:  │ a probe shows whether the candidate   │ known to be   │ too large for
        │ a loss here is │ size arrives; its loss isn't          │ too large     │ our link or for
        │ congestion     │ congestion                            │               │ the peer's MSS

When a large segment times out twice, the path may drop large packets silently: a black hole. Then the path
MTU falls to a size that nearly every path carries, and a search goes up from there:

    search runs:    from the start (``mtu_probing="always"``), after a black hole, after our link's MTU grew,
                    and ten minutes after the path was last found narrow
    a probe needs:  a payload of its size and three segments behind it, so that its loss is noticed by
                    duplicate ACKs, and a window for all; no loss and no other probe outstanding (7.4)

The search has no timer: `size_for` looks whether a probe is due when payload is sent. Sizes of packets count
the IP header, as an MTU does; sizes of payload are octets of data.
"""

from typing import Final

from postel.tcp import seq
from postel.tcp.path import MtuSearch
from postel.tcp.recovery import MtuProbe
from postel.tcp.seq import NO_SEQUENCE
from postel.tcp.tcb import HEADERS_4, HEADERS_6, Tcb
from postel.times import MINUTE, NEVER

BASE_4: Final = 1024  # RFC4821-7.2: nearly every path carries packets of this size
LOWEST_6: Final = 1280  # RFC8201-4a: every path carries packets of this size
# A forged claim could force segments of ten octets, at hundreds of packets in place of one. Below this floor
# packets go without the "don't fragment" bit instead, so that the path works even if it carries 68 octets.
FLOOR_4: Final = 552
# RFC4821-7.7: path MTUs to fall back to after a suspected black hole; the second is about half the first
STEPS_4: Final = (BASE_4, FLOOR_4)
STEPS_6: Final = (LOWEST_6,)
# Timeouts of one segment until a black hole is suspected: the second comes three RTOs after the segment was
# sent
TIMEOUTS: Final = 2
# RFC4821-7.3, RFC8201-4b, RFC1191-3b: time until a path that was found narrow is probed again
RAISE_AFTER: Final = 10 * MINUTE
_COMMON: Final = 1500  # the commonest MTU, so it is probed first
_FOLLOWERS: Final = 3  # segments behind a probe, for fast retransmit (RFC4821-7.4)
_WORTH: Final = 64  # the search ends where less than 1/64 of the size is left to gain
_TIMEOUT_COST: Final = 5  # RFC 4821, 7.6.3: a probe that caused a timeout delays the next five times as long


def begin(tcb: Tcb, now: int) -> None:
    """Begin to search for the path MTU where ``mtu_probing`` is "always"; called when the handshake is done.

    Until a probe arrives, packets have at most BASE_4 or LOWEST_6 octets.
    """
    if tcb.config.mtu_probing != "always":
        if tcb.path.search is not None:  # the search was made before the peer's MSS, its bound, was known
            _rest(tcb, tcb.path.search, now)
        return
    tcb.path.mtu = min(tcb.path.mtu, _steps(tcb)[0])
    search = _known(tcb)
    search.told = tcb.path.mtu
    search.high = ceiling(tcb)
    search.next_at = now
    _aim(tcb, search, now)


def learn(tcb: Tcb, mtu: int, now: int) -> None:
    """Adopt the path MTU, in octets, that other connections to the same host found."""
    mtu = max(mtu, _lowest(tcb))
    search = _known(tcb)
    search.told = mtu
    _narrow(tcb, search, mtu)
    _rest(tcb, search, now)


def overhead(tcb: Tcb) -> int:
    """Return the octets of a packet that aren't payload: headers and the options of every segment."""
    return (HEADERS_4 if tcb.is_ipv4 else HEADERS_6) + tcb.send_mss - tcb.data_mss


def ceiling(tcb: Tcb) -> int:
    """Return the size of the largest packet that our link and the peer accept (RFC4821-7.2)."""
    return min(
        tcb.path.link_mtu,
        min(tcb.path.peer_mss, tcb.config.largest_mss) + (HEADERS_4 if tcb.is_ipv4 else HEADERS_6),
    )


def may_be_fragmented(tcb: Tcb) -> bool:
    """Whether packets go without the "don't fragment" bit, because the path carries no more than FLOOR_4."""
    return tcb.path.mtu <= FLOOR_4 and tcb.path.mtu < tcb.path.link_mtu and tcb.is_ipv4


# For output


def size_for(tcb: Tcb, unsent: int, usable: int, now: int) -> int:
    """Return the octets of payload for the next new segment: SMSS, or a probe's size.

    0 means to wait: a probe is due, and an ACK must first make room for it in the window. ``unsent`` is the
    octets that wait to be sent, ``usable`` the octets that the windows allow now.
    """
    search = tcb.path.search
    if search is None or now < search.next_at:
        return tcb.ensure_controller().smss
    return _probe_size(tcb, search, unsent, usable)


def _probe_size(tcb: Tcb, search: MtuSearch, unsent: int, usable: int) -> int:
    """Return the size of a probe if its conditions hold, SMSS if not, 0 to wait (RFC4821-7.4).

    A probe needs no loss and no other probe outstanding, and payload and window for itself and `_FOLLOWERS`.
    """
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
    return size if usable >= size else 0  # octets in flight fill the window, and their ACK makes room


def sent(tcb: Tcb, start: int, count: int, end: int) -> None:
    """Record new payload in packets of ``count`` octets, from ``start`` to ``end``.

    The ACK of the largest packet so far will prove that the path carries its size.
    """
    if count > tcb.ensure_controller().smss:
        tcb.ensure_recovery().mtu_probe = MtuProbe(start, end)
    if count > tcb.path.tried or (count == tcb.path.tried and tcb.path.tried_end == NO_SEQUENCE):
        tcb.path.tried = count
        tcb.path.tried_end = end


def sent_again(tcb: Tcb, start: int, count: int) -> None:
    """Record that payload at ``start`` was sent again: its ACK no longer says in which size it arrived."""
    tcb.path.tried = max(tcb.path.tried, count)
    tcb.path.tried_end = NO_SEQUENCE
    recovery = tcb.ensure_recovery()
    probe = recovery.mtu_probe
    if probe is not None and not probe.is_lost and seq.le(probe.start, start) and seq.lt(start, probe.end):
        recovery.mtu_probe = None  # inconclusive: packets of a normal size were lost too (RFC 4821, 7.6.4)


# After ACKs and losses


def acknowledged(tcb: Tcb, now: int) -> None:
    """Conclude from a new SND.UNA which size is proven, whether a claim was false, and how a probe ended."""
    una = tcb.snd.una
    if tcb.path.tried_end != NO_SEQUENCE and seq.ge(una, tcb.path.tried_end):
        tcb.path.tried_end = NO_SEQUENCE
        tcb.path.proven = tcb.path.tried
    search = tcb.path.search
    if search is None:
        return
    if seq.gt(una, search.point):  # follows SND.UNA, so that the two stay less than 2**31 apart
        search.point = una
    if search.claim and seq.gt(una, search.claim_number):  # the segment had arrived: the claim was false
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
    """Believe a router's claim about the lost segment at ``number``; return whether there was such a claim.

    Called when recovery has declared the segment lost. A believed claim reduces the path MTU, and everything
    in flight is sent again.
    """
    search = tcb.path.search
    if search is None or not search.claim or search.claim_number != number:
        return False
    _believe(tcb, search, search.claim, now)
    return True


def timed_out(tcb: Tcb, now: int) -> None:
    """Draw conclusions from a retransmission timeout; ``tcb.snd.retransmissions`` counts it already."""
    search = tcb.path.search
    tcb.path.tried_end = NO_SEQUENCE
    if search is not None:
        recovery = tcb.ensure_recovery()
        probe = recovery.mtu_probe
        recovery.mtu_probe = None
        search.point = _beyond(tcb)
        if search.claim:  # RFC5927-7.2, with MAXSEGRTO = 1: one timeout confirms the claim
            _narrow(tcb, search, search.claim)
            _rest(tcb, search, now)
            return
        if probe is not None and probe.start == tcb.snd.una:
            _failed(tcb, search, probe, now, cost=_TIMEOUT_COST)
    if tcb.snd.retransmissions >= TIMEOUTS and tcb.config.mtu_probing != "off":
        _suspect(tcb, now)


def _suspect(tcb: Tcb, now: int) -> None:
    """Suspect a black hole after repeated timeouts of a large packet, and step down (RFC4821-7.7, RFC2923-2).

    The ICMP message that would name the reason may be filtered. If the cause is an outage instead, the first
    probe afterwards finds the old size again.
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
    # A probe arrived only minutes ago, so packets seem to alternate between two paths (RFC 4821, 7.8)
    if now - search.raised_at < RAISE_AFTER:
        _rest(tcb, search, now)
    else:
        search.next_at = now
        _aim(tcb, search, now)


def link_changed(tcb: Tcb, mtu: int, now: int) -> None:
    """Adopt a new MTU of our own link, in octets.

    If the new MTU is below the path MTU, segments get smaller at once, and octets in flight are sent again.
    Otherwise an open connection begins to search for larger sizes, unless ``mtu_probing`` is "off".
    """
    had, tcb.path.link_mtu = tcb.path.link_mtu, mtu
    if mtu < tcb.path.mtu:
        search = _known(tcb)
        search.told = mtu  # the host tells its other connections, too
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


# Claims of routers


def claimed(tcb: Tcb, mtu: int, number: int, now: int) -> bool:
    """Judge a router's claim about our segment in flight at ``number``; return whether to believe it.

    Believe it if no packet larger than ``mtu`` was ever acknowledged, or after a timeout. Otherwise it must
    wait for a sign that the segment is lost (RFC5927-7.2). A claim sets no size to search for, it only
    bounds the search (RFC8899-4.6).
    """
    mtu = max(mtu, _lowest(tcb))
    text = mtu - overhead(tcb)
    if text >= max(tcb.path.tried, tcb.path.proven):  # RFC5927-7.2: no packet was larger than the claim
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
    """Limit the search to the claimed size, if the claim is about the probe: the next probe has that size."""
    search, probe = tcb.path.search, None if tcb.recovery is None else tcb.recovery.mtu_probe
    if search is not None and probe is not None and probe.start == number:
        search.high = mtu
        search.is_bounded = False


def _believe(tcb: Tcb, search: MtuSearch, mtu: int, now: int) -> None:
    """Adopt the claimed MTU and send again what is in flight, as lost but not by congestion."""
    _narrow(tcb, search, mtu)
    _rest(tcb, search, now)
    tcb.rtt.forget()
    tcb.path.tried_end = NO_SEQUENCE
    tcb.ensure_recovery().on_refused()  # RFC8201-5.4: lost, but not by congestion
    tcb.turn()


# For the host's other connections


def news(tcb: Tcb) -> int:
    """Return the path MTU in octets if the host's other connections should adopt it, else 0.

    They should if this connection's path MTU differs from the one that the host last got from here or gave
    to this connection. After a retransmission timeout the answer is 0 until an ACK of new octets shows that
    packets arrive again.
    """
    search = tcb.path.search
    if search is None or search.told == tcb.path.mtu or tcb.snd.retransmissions:
        return 0
    search.told = tcb.path.mtu
    return tcb.path.mtu


def is_proven(tcb: Tcb) -> bool:
    """Whether packets as large as the path MTU have arrived."""
    return tcb.path.proven >= tcb.data_mss


# The search


def _known(tcb: Tcb) -> MtuSearch:
    """Return the record of the path MTU search; the first call makes it."""
    if tcb.path.search is None:
        tcb.path.search = MtuSearch(tcb.path.mtu, tcb.snd.una, raised_at=-RAISE_AFTER)
    return tcb.path.search


def _beyond(tcb: Tcb) -> int:
    """Return the number from which on duplicate ACKs don't stem from the present loss (RFC 6582, 3.2)."""
    return seq.add(tcb.snd.max, 1)


def _lowest(tcb: Tcb) -> int:
    """Return the lowest path MTU that a claim can set: room for the least MSS that we accept of a peer.

    A host ignores claims below FLOOR_4 or LOWEST_6 before they come here.
    """
    return min(tcb.config.smallest_mss + (HEADERS_4 if tcb.is_ipv4 else HEADERS_6), tcb.path.link_mtu)


def _steps(tcb: Tcb) -> tuple[int, ...]:
    """Return the sizes to fall back to after a black hole, the largest first."""
    return STEPS_4 if tcb.is_ipv4 else STEPS_6


def _succeeded(tcb: Tcb, search: MtuSearch, probe: MtuProbe, now: int) -> None:
    """Adopt the size of a probe that arrived, and aim at the next."""
    search.raised_at = now
    # The windows keep their size in octets (RFC4821-4)
    _resize(tcb, overhead(tcb) + seq.distance(probe.start, probe.end))
    search.next_at = now
    _aim(tcb, search, now)


def _failed(tcb: Tcb, search: MtuSearch, probe: MtuProbe, now: int, *, cost: int) -> None:
    """Note that the size of a lost probe is too large, and delay the next probe (RFC4821-4).

    Its loss didn't reduce the congestion window. So the next loss of a probe must not come sooner than
    congestion control would accept one: after as many round trips as the window has packets, ``cost`` times.
    """
    controller = tcb.ensure_controller()
    tcb.path.tried = min(tcb.path.tried, controller.smss)
    search.point = _beyond(tcb)
    search.next_at = now + cost * (controller.window // controller.smss) * max(tcb.rtt.smoothed, 1)
    size = overhead(tcb) + seq.distance(probe.start, probe.end)
    if search.high >= size:  # otherwise a router has claimed a smaller MTU after the probe was sent
        search.high = size - 1
        search.is_bounded = True
    _aim(tcb, search, now)


def _aim(tcb: Tcb, search: MtuSearch, now: int) -> None:
    """Choose the size of the next probe, or end the search (RFC 4821, 7.3).

    The first probe has the commonest MTU, or else the largest size possible. After a failed probe the next
    has the middle between the path MTU and the size that failed.
    """
    low = tcb.path.mtu
    search.high = min(search.high, ceiling(tcb))  # the peer may accept less than the path carries (MUST-16)
    if search.high - low <= low // _WORTH:
        _rest(tcb, search, now)
    elif search.is_bounded:
        search.candidate = (low + search.high + 1) // 2
    else:
        search.candidate = _COMMON if low < _COMMON < search.high else search.high


def _rest(tcb: Tcb, search: MtuSearch, now: int) -> None:
    """End the search; another may begin in ten minutes, or never where ``mtu_probing`` is "off"."""
    search.high = ceiling(tcb)
    search.candidate = _COMMON if tcb.path.mtu < _COMMON < search.high else search.high
    search.is_bounded = False
    is_wanted = search.high > tcb.path.mtu and tcb.config.mtu_probing != "off"
    search.next_at = now + RAISE_AFTER if is_wanted else NEVER


def _narrow(tcb: Tcb, search: MtuSearch, mtu: int) -> None:
    """Reduce the path MTU. The path has changed, so what arrived before proves nothing any more."""
    search.claim = 0
    if tcb.recovery is not None:
        tcb.recovery.mtu_probe = None
    _resize(tcb, mtu)
    tcb.path.proven = min(tcb.path.proven, tcb.data_mss)
    tcb.path.tried = 0


def _resize(tcb: Tcb, mtu: int) -> None:
    """Set the path MTU and the controller's SMSS."""
    tcb.path.mtu = mtu
    if tcb.controller is not None:
        tcb.controller.resized(tcb.data_mss)
