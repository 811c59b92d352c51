"""A path with an MTU smaller than the link's, and with routers that say nothing."""

from random import Random

import pytest

from postel.tcp.config import DEFAULT
from postel.tcp.connection import Connection
from postel.tcp.state import CLOSED
from postel.testing.pairs import FAR, NEAR, End, HostilePath, Pair
from postel.times import HOUR, SECOND

HEADER = 20  # of IPv4


class Narrow(HostilePath):
    """Swallows packets larger than ``mtu``, once ``after`` packets have passed."""

    def __init__(self, mtu: int, after: int) -> None:
        super().__init__()
        self.mtu = mtu
        self.after = after
        self.last_at = 0

    def put(self, to: int, octets: bytes, now: int) -> None:
        if self.count < self.after or len(octets) + HEADER <= self.mtu:
            super().put(to, octets, now)
            self.last_at = now


@pytest.mark.label("BAD-ICMP-5")
@pytest.mark.parametrize("after", [0, 50])
@pytest.mark.parametrize(("mtu", "seconds"), [(1400, 10), (1280, 10), (600, 60)])
def test_bad_icmp_5_the_path_shrinks_and_nobody_says_so(mtu: int, seconds: int, after: int) -> None:
    message = Random(1).randbytes(200_000)
    left, right = Connection(NEAR, FAR, DEFAULT, iss=1), Connection(FAR, NEAR, DEFAULT, iss=2)
    left.open_active(0)
    right.open_passive(0)
    ends = [End(left, message, 1 << 30), End(right, b"", 1 << 30)]
    path = Narrow(mtu, after)
    Pair(*ends, path).run(until=HOUR)
    assert bytes(ends[1].incoming) == message
    assert left.state is CLOSED
    assert left.error is None
    assert path.last_at < seconds * SECOND
