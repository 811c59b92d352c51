"""Reasons why a RST was sent, as far as the segments before it show them (RFC 9293, 3.5.2)."""

from typing import Final

from postel.tcp import seq as sequence
from postel.view.capture.case import Case
from postel.view.capture.connection import End
from postel.view.capture.measures import scale
from postel.view.capture.sent import UNKNOWN, WIDEST
from postel.view.capture.table import Seen
from postel.wire.segment import ACK, SYN

_LONGEST: Final = 80  # largest number of characters of a RST's text that a finding shows


def look_at_reset(case: Case, seen: Seen) -> None:
    """Add the findings about a RST: the rule by which it was sent, and the text that it carries.

    The number of a RST outside the window is kept, because it is a finding if the connection goes on.
    """
    eye = case.eyes[seen.end.side]
    case.find(_reason(case, seen), seen.end, seen.number)
    eye.stands = True
    if length := seen.length:
        end = min(seen.located.end, seen.captured)
        text = seen.octets[seen.located.end - length : end].decode("ascii", "backslashreplace")
        case.find(
            "reset: text",
            seen.end,
            seen.number,
            text="".join(letter if letter.isprintable() else "?" for letter in text[:_LONGEST]),
        )
    if (
        not eye.reset_beyond
        and not _answers(case, seen)
        and _is_outside(seen.end, seen.located.seq, case.eyes[seen.end.other.side].window)
    ):
        eye.reset_beyond = seen.number


def _answers(case: Case, seen: Seen) -> bool:
    """Return whether the RST is the answer of an end without the connection to the other end's last segment.

    An end that doesn't have the connection sends a RST without ACK, with the sequence number that the last
    segment acknowledged (RFC 9293, 3.10.7.1).
    """
    last = case.eyes[seen.end.other.side]
    return not seen.located.bits & ACK and bool(last.kind & ACK) and seen.located.seq == last.ack


def _is_outside(end: End, seq: int, window: int) -> bool:
    """Return whether a sequence number of ``end`` is outside the other end's window, if that is known."""
    expected = end.other.ack
    if expected == UNKNOWN:
        return False
    over = sequence.offset(seq, expected)
    if abs(over) > WIDEST:
        return True
    shift = scale(end.other)
    return over < 0 or (UNKNOWN not in (window, shift) and over > max(window << shift, 1))


def _reason(case: Case, seen: Seen) -> str:
    """Return the kind of finding that says why the RST was sent."""
    connection, end, located = case.connection, seen.end, seen.located
    last = case.eyes[end.other.side]
    covers_syn = end.other.is_known and located.ack == sequence.add(end.other.first, 1)
    if not end.syns and end.other.syns and located.bits & ACK and covers_syn and connection.opened == UNKNOWN:
        return "reset: refused"
    if case.eyes[end.side].stands:
        return "reset: again"
    if connection.is_closed_by_fins:
        return "reset: after the close"
    if _is_opening(case):
        return _reason_while_opening(case, seen)
    if end.fin != UNKNOWN:
        return "reset: text after CLOSE" if last.length else "reset: after its FIN"
    return "reset: no such connection" if _answers(case, seen) else "reset: abort"


def _is_opening(case: Case) -> bool:
    """Return whether there is a SYN, but no complete handshake."""
    return case.connection.opened == UNKNOWN and any(end.syns for end in case.connection.ends)


def _reason_while_opening(case: Case, seen: Seen) -> str:
    """Return the kind of finding that says why the RST was sent before the connection was open."""
    end, last = seen.end, case.eyes[seen.end.other.side]
    if not _answers(case, seen):
        is_of_other = (
            not end.syns and end.other.is_known and seen.located.ack != sequence.add(end.other.first, 1)
        )
        return "reset: not of the SYN" if seen.located.bits & ACK and is_of_other else "reset: while opening"
    if not end.syns:
        return "reset: no such connection"  # the end may have had the connection before the capture
    if last.kind & SYN and end.is_known and last.ack == sequence.add(end.first, 1):
        return "reset: of a SYN,ACK"
    return "reset: unacceptable ACK"
