"""A host of a world that talks to itself: no virtual time passes, and the network between the hosts sees
nothing of it.
"""

from typing import Any

import pytest

from postel.host.host import Host
from postel.sim import Witness, World
from postel.tcp.events import Opened
from postel.tcp.state import ESTABLISHED
from postel.wire.address import Endpoint
from postel.wire.segment import Segment


class Seen(Witness):
    def __init__(self) -> None:
        self.packets = 0
        self.segments = 0

    def packet_sent(self, octets: bytes, now: int) -> None:
        self.packets += 1

    def packet_arrived(self, octets: bytes, now: int) -> None:
        self.packets += 1

    def segment_sent(self, local: Endpoint, remote: Endpoint, segment: Segment, now: int) -> None:
        self.segments += 1


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "10.0.0.1", "fd00::1"])
@pytest.mark.parametrize("has_path", [False, True])
def test_a_host_of_a_world_answers_itself_at_once(address: str, has_path: bool):
    seen = Seen()
    world = World(observer=seen)
    opened_at: list[int] = []

    def application(_subject: Any, event: Any, now: int) -> None:
        if isinstance(event, Opened):
            opened_at.append(now)

    one: Host = world.host("one", "10.0.0.1/24", "fd00::1/64", application=application)
    if has_path:
        world.path(one, world.host("other", "10.0.0.2/24"))
    one.listen(80, 0, address=address)
    world.run(until=1000)
    client = one.connect(address, 80, world.now)
    assert world.next_timeout() == 1000
    world.run(until=1000)
    assert client.state is ESTABLISHED
    assert opened_at == [1000]
    assert (seen.packets, seen.segments) == (0, 3)
