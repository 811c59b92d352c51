"""Whole segments that leave at one instant, one behind the other: what the first of them carries, all do."""

from postel.wire.segment import Segment


class Train:
    """``count`` more may follow, as long as it is still ``at`` and nothing else has happened to the connection."""

    __slots__ = ("ack", "at", "count", "destination", "octets", "source", "tsecr", "tsval", "window")

    def __init__(self, first: Segment, count: int, now: int) -> None:
        self.count = count
        self.at = now
        self.octets = len(first.data)  # of each
        self.source = first.source
        self.destination = first.destination
        self.ack = first.ack
        self.window = first.window
        self.tsval = first.tsval
        self.tsecr = first.tsecr
