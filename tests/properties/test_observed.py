"""Observation changes nothing: whatever happens, the same packets, the same parcels and the same memory, with
an observer and without.
"""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postel import DEFAULT, Connection, Endpoint, Event, Host, Listener, Observer, Segment
from postel.sim import Subject, World
from postel.tcp.observer import Decision, TimerName
from postel.tcp.state import State
from postel.testing.observers import held
from postel.times import MILLISECOND, MINUTE, SECOND
from postel.wire import ip
from postel.wire.segment import SYN, encode_for

HALF_OPEN = 2000


class Busy(Observer):
    """Looks at everything that it is told, and keeps nothing but a sum."""

    def __init__(self) -> None:
        self.sum = 0

    def state_changed(self, local: Endpoint, remote: Endpoint, before: State, after: State, now: int) -> None:
        self.sum += hash((local, remote, str(before), str(after), now))

    def segment_sent(self, local: Endpoint, remote: Endpoint, segment: Segment, now: int) -> None:
        self.sum += hash((local, remote, repr(segment), now))

    def segment_arrived(self, local: Endpoint, remote: Endpoint, segment: Segment, now: int) -> None:
        self.sum += hash((local, remote, repr(segment), now))

    def timer_expired(self, local: Endpoint, remote: Endpoint, timer: TimerName, now: int) -> None:
        self.sum += hash((local, remote, timer, now))

    def decided(self, local: Endpoint, remote: Endpoint, decision: Decision, now: int) -> None:
        self.sum += hash((local, remote, decision, now))

    def packet_dropped(self, reason: str, octets: bytes, now: int) -> None:
        self.sum += hash((reason, octets, now))


def run(
    observer: Observer | None, seed: int, message: bytes, offload: int, sack: bool, chances: dict[str, float]
) -> tuple[list[object], int]:
    """Packets with the times at which they left, what else there is to see, and the memory in the end."""
    carried: list[object] = []
    world = World(seed, observer=observer)
    world.rules.append(lambda number, octets, sender, now: carried.append((now, sender, octets)))
    rests: dict[Connection, bytes] = {}

    def serve(subject: Subject, event: Event, now: int) -> None:
        connection = subject.accept() if isinstance(subject, Listener) else subject
        if not isinstance(connection, Connection) or connection.error is not None:
            carried.append((now, repr(subject), repr(event)))
            return
        rest = rests.setdefault(connection, message)
        carried.append((now, repr(event), connection.receive(1 << 20, now) if connection.readable else b""))
        if connection.writable:
            rests[connection] = rest = rest[connection.send(rest, now) :] if rest else rest
        if not rest and connection.at_end:
            connection.release(now)
        elif not rest and connection.writable:
            connection.close(now)

    config = replace(DEFAULT, sack=sack)
    hosts = [
        world.host(f"h{n}", f"10.0.0.{n}/24", config=config, offload=offload, application=serve)
        for n in (1, 2)
    ]
    world.path(*hosts, delay=5 * MILLISECOND, **chances)  # type: ignore[arg-type]
    hosts[1].listen(80, 0)
    for _ in range(2):
        hosts[0].connect("10.0.0.2", 80, 0)
    world.run(3 * MINUTE)
    statistics = [host.statistics() for host in hosts]
    assert any(chances.values()) or statistics[0]["segments_arrived"] > 4
    return [*carried, statistics], held(hosts, beside=observer)


@pytest.mark.parametrize("offload", [0, 65535])
@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 1 << 32),
    message=st.integers(1, 200_000).map(bytes),
    sack=st.booleans(),
    chances=st.fixed_dictionaries(
        {name: st.sampled_from([0.0, 0.03, 0.2]) for name in ("loss", "duplicate", "reorder", "corrupt")}
    ),
)
def test_a_transfer_is_the_same(
    offload: int, seed: int, message: bytes, sack: bool, chances: dict[str, float]
) -> None:
    plain, memory = run(None, seed, message, offload, sack, chances)
    observed, observed_memory = run(Busy(), seed, message, offload, sack, chances)
    assert observed == plain
    assert observed_memory <= memory * 1.05


def flooded(observer: Observer | None) -> int:
    """Octets of memory that a half-open connection takes, of very many."""
    host = Host("10.0.0.2/8", secret=b"s", observer=observer)
    host.listen(80, SECOND, backlog=2 * HALF_OPEN)
    before = held([host], beside=observer)
    for number in range(HALF_OPEN):
        source, target = bytes([10, 1, number >> 8, number & 255]), bytes([10, 0, 0, 2])
        syn = Segment(1024 + number, 80, number, 0, SYN, 65535)
        syn.mss = 1460
        host.packet_arrives(ip.encode(source, target, 6, encode_for(syn, source, target)), SECOND + number)
        while host.next_packet(SECOND + number) is not None:
            pass
    assert host.statistics()["half_open"] == HALF_OPEN
    return (held([host], beside=observer) - before) // HALF_OPEN


def test_a_half_open_connection_is_as_small() -> None:
    assert flooded(Busy()) <= flooded(None) * 1.05
    assert flooded(Busy()) < 400
