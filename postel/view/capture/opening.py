"""What is unusual in how a connection opens: SYNs sent again, and options that don't fit together."""

from typing import Final

from postel.view.capture.case import Case
from postel.view.capture.sent import UNKNOWN, Sight
from postel.view.capture.table import Seen
from postel.wire import options
from postel.wire.segment import ABSENT, ACK, AE, CWR, ECE, RST, SYN

LEAST_MSS: Final = {4: 536, 16: 1220}


def look_at_opening(case: Case, seen: Seen, bearer: options.Bearer) -> None:
    """Find what is unusual in a SYN or SYN,ACK; ``bearer`` has its options."""
    end, flags, number = seen.end, seen.located.bits, seen.number
    crosses = not flags & ACK and end.other.syns and end.other.ack == UNKNOWN
    if crosses and end.side:
        case.find("simultaneous open", end, number)
    if seen.sight is Sight.RETRANSMISSION:
        _look_at_second_opening(case, seen, bearer)
        case.eyes[end.side].offer = bearer
        return
    case.eyes[end.side].offer = bearer
    least = LEAST_MSS[len(end.endpoint.address)]
    if bearer.mss == ABSENT:
        case.find("no MSS", end, number, default=least)
    elif bearer.mss < least:
        case.find("small MSS", end, number, mss=bearer.mss, least=least)
    if seen.length and bearer.fast_open is None:
        case.find("data in SYN", end, number)
    offer = end.other.offer
    if flags & ACK and offer is not None:
        _compare_offers(case, seen, offer, bearer)
        _look_at_ecn_answer(case, seen)


def _look_at_second_opening(case: Case, seen: Seen, bearer: options.Bearer) -> None:
    """Find why a SYN or SYN,ACK comes a second time, with the same sequence number.

    What the second one shows depends on the other end's segments that were captured between the two.
    """
    end, eye, other = seen.end, case.eyes[seen.end.side], case.eyes[seen.end.other.side]
    if seen.located.bits & ACK:
        if not eye.kind & ACK:
            return  # in a simultaneous open the SYN comes again with an ACK, as the answer to the other SYN
        is_answered = other.kind & (SYN | ACK) == ACK and case.speaker is end.other
        case.find("SYN,ACK again after its ACK" if is_answered else "SYN,ACK again", end, seen.number)
        return
    if other.number < eye.opening:
        case.find("SYN again", end, seen.number)
        lost = _offered(eye.offer) - _offered(bearer) if eye.offer is not None else set()
        if lost:
            case.find("SYN with less", end, seen.number, options=", ".join(sorted(lost)))
    elif other.kind & RST:
        case.find("SYN after RST", end, seen.number)
    else:
        case.find(
            "SYN again after its answer" if other.kind & SYN else "SYN after a stray ACK", end, seen.number
        )


def _offered(bearer: options.Bearer) -> set[str]:
    """Return the names of those options in a SYN that are in force only if both ends offer them."""
    has = {
        "window scale": bearer.window_scale != ABSENT,
        "SACK": bearer.sack_permitted,
        "timestamps": bearer.tsval != ABSENT,
    }
    return {name for name, is_there in has.items() if is_there}


def _compare_offers(case: Case, seen: Seen, offer: options.Bearer, answer: options.Bearer) -> None:
    """Find options in a SYN,ACK that don't fit those of the SYN."""
    offered, answered = _offered(offer), _offered(answer)
    if answered - offered:
        case.find("not offered", seen.end, seen.number, options=", ".join(sorted(answered - offered)))
    if len(offered) > 1 and not answered:
        case.find("all options gone", seen.end, seen.number, options=", ".join(sorted(offered)))


def _look_at_ecn_answer(case: Case, seen: Seen) -> None:
    """Find ECN flags in a SYN,ACK that don't fit those of the SYN (RFC 3168, 6.1.1)."""
    asked, answered = (end.syn_flags & (AE | CWR | ECE) for end in (seen.end.other, seen.end))
    if asked == CWR | ECE and answered == CWR | ECE:
        case.find("ECN reflected", seen.end, seen.number)
    elif not asked and answered & ECE:
        case.find("ECN unasked", seen.end, seen.number)
