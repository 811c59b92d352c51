"""With a link that cuts, the same packets go over the wire as without: same octets, same order, same time."""

import random
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from postel.host.host import Host
from postel.sim.witness import Witness
from postel.sim.world import World
from postel.tcp.config import DEFAULT, Config
from postel.tcp.congestion.bbr import BBR
from postel.tcp.congestion.cubic import Cubic
from postel.tcp.congestion.reno import Reno
from postel.tcp.connection import Connection
from postel.tcp.events import Event
from postel.times import MILLISECOND, SECOND


class Wire(Witness):
    def __init__(self) -> None:
        self.packets: list[tuple[int, str, bytes]] = []

    def carried(
        self, sender: str, receiver: str, octets: bytes, sent_at: int, arrives_at: int, delivered: bytes
    ) -> None:
        self.packets.append((sent_at, sender, octets))


class Reader:
    def __init__(self) -> None:
        self.octets = bytearray()

    def __call__(self, subject: object, event: Event, now: int) -> None:
        connection = subject if isinstance(subject, Connection) else subject.accept()  # type: ignore[attr-defined]
        if connection is None:
            return
        self.octets += connection.receive(1 << 20, now)
        if connection.at_end and not connection._tcb.snd.fin_is_queued:
            connection.close(now)


def transfer(
    message: bytes, writes: list[int], config: Config, *, offload: int, mtu: int, **path: object
) -> tuple[bytes, Wire, Host]:
    wire, reader = Wire(), Reader()
    world = World(5, observer=wire)
    sender = world.host("sender", "10.0.0.1/24", config=config, mtu=mtu, offload=offload)
    receiver = world.host("receiver", "10.0.0.2/24", config=config, mtu=mtu, application=reader)
    world.path(sender, receiver, **path)  # type: ignore[arg-type]
    receiver.listen(80, 0)
    connection = sender.connect("10.0.0.2", 80, 0)
    rest = memoryview(message)

    def more(subject: object, event: Event, now: int) -> None:
        nonlocal rest
        while rest and (taken := connection.send(rest[: writes[len(rest) % len(writes)]], now)):
            rest = rest[taken:]
        if (
            not rest
            and connection._tcb.is_synchronized
            and not connection._tcb.snd.fin_is_queued
            and connection.error is None
        ):
            connection.close(now)

    world.application(sender, more)
    world.run(until=2000 * SECOND)
    assert receiver.statistics().get("dropped_bad_checksum", 0) == 0
    return bytes(reader.octets), wire, receiver


CONFIGS = st.builds(
    lambda nagle, sack, timestamps, scaling, ecn, congestion: replace(
        DEFAULT,
        nagle=nagle,
        sack=sack,
        timestamps=timestamps,
        window_scaling=scaling,
        ecn=ecn,
        congestion=congestion,
    ),
    *(st.booleans() for _ in range(4)),
    st.sampled_from(["off", "ask-classic", "ask"]),
    st.sampled_from([Reno, Cubic]),
)
WRITES = st.lists(st.sampled_from([1, 1000, 1460, 5000, 65536, 1 << 20]), min_size=1, max_size=3)


@settings(max_examples=60, deadline=None)
@given(
    size=st.integers(0, 300_000),
    writes=WRITES,
    config=CONFIGS,
    offload=st.sampled_from([9000, 65535]),
    mtu=st.sampled_from([600, 1500, 9000]),
)
def test_nobody_on_the_wire_can_tell(
    size: int, writes: list[int], config: Config, offload: int, mtu: int
) -> None:
    message = random.Random(size).randbytes(size)
    writes = [max(write, 1000) for write in writes] if size > 5000 else writes
    plain = transfer(message, writes, config, offload=0, mtu=mtu, delay=10 * MILLISECOND)
    offloaded = transfer(message, writes, config, offload=offload, mtu=mtu, delay=10 * MILLISECOND)
    assert plain[0] == offloaded[0] == message
    assert offloaded[1].packets == plain[1].packets


@settings(max_examples=60, deadline=None)
@given(
    size=st.integers(0, 200_000),
    config=CONFIGS.flatmap(lambda config: st.sampled_from([config, replace(config, congestion=BBR)])),
    loss=st.sampled_from([0.0, 0.02, 0.1]),
    reorder=st.sampled_from([0.0, 0.05]),
    duplicate=st.sampled_from([0.0, 0.05]),
    congestion=st.sampled_from([0.0, 0.05]),
    bandwidth=st.sampled_from([0, 5_000_000]),
)
def test_every_octet_arrives_in_packets_that_fit(
    size: int,
    config: Config,
    loss: float,
    reorder: float,
    duplicate: float,
    congestion: float,
    bandwidth: int,
) -> None:
    message = random.Random(size).randbytes(size)
    rough = {
        "loss": loss,
        "reorder": reorder,
        "duplicate": duplicate,
        "congestion": congestion,
        "bandwidth": bandwidth,
    }
    arrived, wire, _ = transfer(message, [1 << 20], config, offload=65535, mtu=1500, **rough)
    assert arrived == message
    assert max(len(octets) for _, _, octets in wire.packets) <= 1500
