"""Window scale of an end, as far as a capture shows it."""

from postel.view.capture.connection import End
from postel.view.capture.sent import UNKNOWN
from postel.wire.segment import ABSENT


def scale(end: End) -> int:
    """Return by how many bits the windows that ``end`` advertises are shifted (RFC 7323, 2.2).

    UNKNOWN where the capture lacks one of the SYNs.
    """
    if end.offer is None or end.other.offer is None:
        return UNKNOWN
    scales = ABSENT not in (end.offer.window_scale, end.other.offer.window_scale)
    return min(end.shift, 14) if scales else 0
