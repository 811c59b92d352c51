"""How good the capture is for a connection: what it has twice, and what it lacks. All that is said beside it
depends on that.
"""

from postel.view.capture.case import Case
from postel.view.capture.sent import UNKNOWN


def look_at_quality(case: Case) -> None:
    """What is known when no more segments come."""
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
    if connection.copies:
        case.find("copies", one if one.packets else two, case.first, copies=f"{connection.copies:,}")
