"""Quality of the capture of a connection: what it has twice, what it lacks, and where it was made.

All other findings about the connection depend on this quality.
"""

from typing import Final

from postel.view.capture.case import Case, Story
from postel.view.capture.connection import End
from postel.view.capture.sent import UNKNOWN
from postel.view.capture.table import Seen

_OF_THE_CAPTURE: Final = frozenset(  # findings that say only how the capture was made
    ("cut", "offload: sender", "offload: receiver", "offload", "over the MSS")
)
# The capture was made at one end if the round trip to the other end takes more than 4 times as long.
_NEARER: Final = 4
_SURELY_AWAY: Final = 300  # µs; if both round trips are shorter, they don't show where the capture was made


def is_unusual(story: Story) -> bool:
    """Return whether any finding is about the connection itself, and not about how it was captured."""
    return any(finding.kind not in _OF_THE_CAPTURE for finding in story.findings)


def look_at_snap_length(case: Case, seen: Seen) -> None:
    """Add a finding for the first segment of each end of which the snap length cuts payload off."""
    eye = case.eyes[seen.end.side]
    if seen.length and seen.located.end > seen.captured and not eye.is_cut:
        eye.is_cut = True
        case.find("cut", seen.end, seen.number)


def look_at_quality(case: Case) -> None:
    """Add the findings about the capture's quality. Called after the connection's last segment."""
    connection = case.connection
    one, two = connection.ends
    for end in connection.ends:
        if not end.packets and end.other.ack != UNKNOWN:
            case.find("one direction", end.other, case.first)
        if end.missing and end.packets:
            case.find("missing", end, case.first, octets=f"{end.missing:,}")
        eye = case.eyes[end.side]
        if eye.reset_beyond and connection.reset_by is not end:
            case.find("blind reset", end, eye.reset_beyond)
        if large := case.findings.get(("over the MSS", end.side)):
            _tell_of_offload(case, end, large.packets[0], large.count)
    if connection.copies:
        case.find("copies", one if one.packets else two, case.first, copies=f"{connection.copies:,}")


def _tell_of_offload(case: Case, sender: End, number: int, count: int) -> None:
    """Add a finding about segments larger than the MSS, and at which end the capture was made, if that shows.

    Segments larger than the MSS don't pass the wire: either the sender's device cuts them after the capture
    (TSO), or the receiver's device joined them before the capture (GRO).
    """
    near = _nearer_end(case)
    values = {"count": f"{count:,}"}
    if near is None:
        case.find("offload", sender, number, **values)
    else:
        case.find("offload: sender" if near is sender else "offload: receiver", near, number, **values)


def _nearer_end(case: Case) -> End | None:
    """Return the end at which the capture was made, or None if the handshake doesn't show it.

    A round trip from the capture to the other end takes longer than one to this end.
    """
    connection = case.connection
    if UNKNOWN in (connection.syn_last, connection.syn_ack_last, connection.opened):
        return None
    to_other = connection.syn_ack_last - connection.syn_last
    to_opener = connection.opened - connection.syn_ack_last
    if max(to_other, to_opener) < _SURELY_AWAY:
        return None
    if to_other > _NEARER * to_opener:
        return connection.ends[0]
    return connection.ends[1] if to_opener > _NEARER * to_other else None
