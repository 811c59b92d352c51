"""Windows of segments, as a capture shows them."""

from postel.view.capture.connection import End
from postel.view.capture.sent import UNKNOWN
from postel.wire.segment import ABSENT


def scale(end: End) -> int:
    """By how many bits the windows that ``end`` advertises are shifted; UNKNOWN where the capture lacks a SYN
    (RFC 7323, 2.2).
    """
    if end.offer is None or end.other.offer is None:
        return UNKNOWN
    scales = ABSENT not in (end.offer.window_scale, end.other.offer.window_scale)
    return min(end.shift, 14) if scales else 0
