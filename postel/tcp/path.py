"""What a connection has found out about its path, and what it looks for: see `postel.tcp.pathmtu`, which alone changes it."""

from postel.times import NEVER


class Path:
    """Made when there is something to remember. Sizes are those of packets, the IP header included."""

    __slots__ = ("candidate", "claim", "claim_number", "high", "is_bounded", "next_at", "point", "raised_at", "told")

    def __init__(self, told: int, point: int, raised_at: int) -> None:
        self.told = told  # the path MTU that others know of
        self.high = 0  # the largest size worth a probe
        self.is_bounded = False  # the next larger size was probed, and lost
        self.candidate = 0  # the size of the next probe
        self.next_at = NEVER  # no probe before then
        self.point = point  # nor before everything left of this number is acknowledged
        self.raised_at = raised_at  # when a probe last arrived
        self.claim = 0  # an MTU that a router claimed and that waits for a sign; 0: none
        self.claim_number = 0  # where the segment begins that it is about
