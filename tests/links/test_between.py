"""Links around another link, in real and in virtual time, around plain and offloading ones, and around each
other.
"""

import asyncio
import io
from collections.abc import Callable
from random import Random
from struct import unpack_from
from typing import Any

import pytest

from postel import aio
from postel.errors import ArgumentError, LinkClosed, LinkDown
from postel.host.host import Host
from postel.links import (
    Delayed,
    Faulty,
    Link,
    MemoryLink,
    Offloading,
    Parcel,
    PushedLink,
    Recorder,
    Shaped,
    pair,
    pcapng,
)
from postel.links.memory import EventBell
from postel.sim import World
from postel.sim.loop import run
from postel.times import MILLISECOND, NEVER, SECOND
from postel.wire import ip
from tests.links.test_contract import asked, shout
from tests.links.test_memory import large

OCTETS = b"a" * 200_000
MAKERS: dict[str, Callable[[Link], Link]] = {
    "nothing": lambda link: link,
    "faulty": lambda link: Faulty(link, Random(1), loss=0.02, duplicate=0.02, corrupt=0.02, reorder=0.05),
    "delayed": lambda link: Delayed(link, 20 * MILLISECOND, jitter=5 * MILLISECOND, random=Random(2)),
    "shaped": lambda link: Shaped(link, 10_000_000, queue=20),
    "recorder": lambda link: Recorder(link, io.BytesIO()),
    "all of them": lambda link: Recorder(
        Shaped(Delayed(Faulty(link, Random(3), loss=0.02), MILLISECOND), 50_000_000), io.BytesIO()
    ),
}


async def talks(make: Callable[[Link], Link], *, offload: bool, octets: bytes = OCTETS) -> Link:
    left, right = pair(offload=offload)
    link = make(left)
    near, far = Host("10.0.0.1/24", secret=b"near"), Host("10.0.0.2/24", secret=b"far")
    async with aio.attach(near, link) as client, aio.attach(far, right) as server:
        await server.start_server(shout, port=7)
        assert await asked(client, octets) == octets.upper()
    return link


@pytest.mark.parametrize("offload", [False, True])
@pytest.mark.parametrize("kind", MAKERS)
def test_streams_arrive_whole_in_virtual_time(kind: str, offload: bool) -> None:
    run(talks(MAKERS[kind], offload=offload), World())


@pytest.mark.parametrize("offload", [False, True])
@pytest.mark.parametrize("kind", MAKERS)
def test_streams_arrive_whole_in_real_time(kind: str, offload: bool) -> None:
    asyncio.run(talks(MAKERS[kind], offload=offload, octets=b"a" * 5000))


def packets_of(link: Link, now: int) -> list[bytes]:
    return list(iter(lambda: link.receive(now), None))


def test_a_delayed_packet_comes_when_it_is_due_and_in_order() -> None:
    left, right = pair()
    link = Delayed(left, 50, side="incoming")
    assert link.next_timeout() == NEVER
    right.send(b"one", b"", 100)
    assert link.receive(100) is None
    right.send(b"two", b"", 120)
    assert link.receive(120) is None
    assert link.next_timeout() == 150
    assert packets_of(link, 149) == []
    assert packets_of(link, 150) == [b"one"]
    assert link.statistics() == {"lost": 0, "held": 1}
    assert packets_of(link, 170) == [b"two"]
    assert link.send(b"out", b"", 170)
    assert right.receive(170) == b"out"


def test_a_delayed_packet_leaves_at_the_timeout() -> None:
    left, right = pair()
    link = Delayed(left, 50, side="outgoing")
    link.send(b"one", b"", 100)
    assert right.receive(100) is None
    link.handle_timeout(149)
    assert right.receive(149) is None
    assert link.next_timeout() == 150
    link.handle_timeout(150)
    assert right.receive(150) == b"one"
    assert link.next_timeout() == NEVER


def test_a_shaped_link_carries_so_many_bits_a_second_and_loses_what_its_queue_cannot_hold() -> None:
    left, right = pair()
    link = Shaped(left, 8_000_000, queue=3)  # an octet a microsecond
    assert [link.send(bytes(1000), b"", 0) for _ in range(6)] == [True, True, True, True, False, False]
    assert link.statistics()["lost"] == 2
    times = []
    while (now := link.next_timeout()) != NEVER:
        link.handle_timeout(now)
        times += [now] * len(packets_of(right, now))
    assert times == [1000, 2000, 3000, 4000]


def test_faults_are_those_of_the_seed_and_counted() -> None:
    def fates(seed: int) -> tuple[list[bytes], dict[str, int]]:
        left, right = pair(queue=10_000)
        link = Faulty(left, Random(seed), loss=0.1, duplicate=0.1, corrupt=0.1, reorder=0.1)
        for number in range(500):
            assert link.send(number.to_bytes(4, "big"), b"", number)
        link.handle_timeout(SECOND)
        faults = link.outgoing
        assert all(
            20 < count < 90 for count in (faults.lost, faults.duplicated, faults.corrupted, faults.reordered)
        )
        return packets_of(right, SECOND), link.statistics()

    received, statistics = fates(1)
    assert (received, statistics) == fates(1)
    assert received != fates(2)[0]
    assert 20 < statistics["lost"] < 90
    assert sorted(received) != received
    assert len(set(received)) < len(received)
    assert any(int.from_bytes(packet, "big") >= 500 for packet in received)


def test_one_side_alone_and_settings_that_change() -> None:
    left, right = pair()
    link = Faulty(left, Random(1), loss=1.0, side="incoming")
    assert link.send(b"out", b"", 0)
    assert right.receive(0) == b"out"
    right.send(b"in", b"", 0)
    assert link.receive(0) is None
    link.incoming.loss, link.outgoing.loss = 0.0, 1.0
    right.send(b"in", b"", 0)
    assert link.receive(0) == b"in"
    link.send(b"out", b"", 0)
    assert right.receive(0) is None
    with pytest.raises(ArgumentError, match="loss is 2"):
        link.outgoing.loss = 2


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda link: Faulty(link, Random(1), loss=1.5), "loss is 1.5"),
        (lambda link: Faulty(link, None), "random is None"),
        (
            lambda link: Faulty(link, Random(1), side="left"),
            "side is 'left'; allowed: both, outgoing or incoming",
        ),
        (lambda link: Delayed(link, -1), "delay is -1"),
        (lambda link: Delayed(link, 1, jitter=1), "random is None"),
        (lambda link: Shaped(link, 0), "bandwidth is 0"),
        (lambda link: Shaped(link, 1, queue=-1), "queue is -1"),
        (lambda link: Recorder(link, "file"), "file is 'file'"),
        (lambda link: Recorder(link, io.BytesIO(), limit=-1), "limit is -1; allowed: 0 octets or more"),
        (
            lambda link: Recorder(link, io.BytesIO(), epoch=1.5),
            "epoch is 1.5; allowed: microseconds since 1970 as an int, 0 or more",
        ),
        (
            lambda _: Delayed(None, 0),
            r"link is None; allowed: a Link, or an object with its methods and attributes \(fileno is missing\)",  # noqa: E501
        ),
    ],
)
def test_wrong_settings_are_named_and_leave_the_link_free(make: Any, message: str) -> None:
    left, _ = pair()
    with pytest.raises(ArgumentError, match=message):
        make(left)
    Delayed(left, 0)


def test_a_link_in_use_cannot_have_another_around_it() -> None:
    left, _ = pair()
    Delayed(left, 1)
    with pytest.raises(ArgumentError, match="no other host or link uses"):
        Delayed(left, 1)


class Down(MemoryLink):
    """A device that is switched off."""

    def send(self, packet: bytes, next_hop: bytes, now: int) -> bool:
        raise LinkDown("it is down")


def test_a_device_that_is_down_is_told_to_the_sender_and_its_packets_are_counted() -> None:
    at_once, later = (Delayed(Down(1500, 10, EventBell), 10, side=side) for side in ("incoming", "outgoing"))  # type: ignore[arg-type]
    with pytest.raises(LinkDown):
        at_once.send(b"x", b"", 0)
    assert later.send(b"x", b"", 0)
    later.handle_timeout(10)
    assert at_once.statistics()["lost"] == later.statistics()["lost"] == 1


# The recorder


def blocks(octets: bytes) -> list[tuple[int, bytes]]:
    found, position = [], 0
    while position < len(octets):
        kind, length = unpack_from("<II", octets, position)
        assert octets[position + length - 4 : position + length] == length.to_bytes(4, "little")
        found.append((kind, octets[position + 8 : position + length - 4]))
        position += length
    return found


def recorded(file: io.BytesIO) -> list[tuple[int, int, bytes]]:
    """Time, direction and octets of each packet."""
    packets = []
    for kind, body in blocks(file.getvalue()):
        if kind == pcapng.ENHANCED_PACKET:
            _, high, low, size, _ = unpack_from("<IIIII", body)
            octets = body[20 : 20 + size]
            direction = unpack_from("<I", body, 20 + -(-size // 4) * 4 + 4)[0]
            packets.append((high << 32 | low, direction, octets))
    return packets


def test_a_recorder_writes_what_passes() -> None:
    left, right = pair()
    file = io.BytesIO()
    link = Recorder(left, file, epoch=1 << 40)
    link.send(b"out", b"", 5)
    right.send(b"come in", b"", 6)
    assert link.receive(7) == b"come in"
    assert link.receive(7) is None
    assert recorded(file) == [
        ((1 << 40) + 5, pcapng.OUTBOUND, b"out"),
        ((1 << 40) + 7, pcapng.INBOUND, b"come in"),
    ]


@pytest.mark.parametrize("joined", [False, True])
def test_a_recorder_of_parcels_writes_them_cut_or_joined(joined: bool) -> None:
    left, right = pair(offload=True)
    file = io.BytesIO()
    link = Recorder(left, file, joined=joined)
    parcel = large(5000)
    assert isinstance(right, Offloading)
    assert link.send_parcel(parcel, b"", 0)
    assert right.receive_parcel(0) is parcel
    right.send_parcel(parcel, b"", 0)
    assert link.receive_parcel(0) is parcel
    sizes = [len(octets) for _, _, octets in recorded(file)]
    assert sizes == ([5040] if joined else [1500, 1500, 1500, 660]) * 2
    for _, _, octets in recorded(file):
        packet = ip.parse(octets)
        assert packet.end == len(octets)


def test_a_full_file_is_no_harm_to_the_link() -> None:
    class Full(io.BytesIO):
        def write(self, octets: Any) -> int:
            if self.tell() + len(octets) > 400:
                raise OSError(28, "No space left on device")
            return super().write(octets)

    left, right = pair()
    link = Recorder(left, Full())
    for _ in range(10):
        assert link.send(bytes(50), b"", 0)
    assert len(packets_of(right, 0)) == 10
    assert link.recording.left_out > 0
    assert link.recording.error is not None


# A transport that pushes


def test_packets_that_are_pushed_reach_the_host_and_its_packets_the_transport() -> None:
    async def main() -> None:
        left = PushedLink(lambda packet: right.packets_arrive([packet]))
        right = PushedLink(lambda packet: left.packets_arrive([packet]))
        async with (
            aio.attach(Host("10.0.0.1/24", secret=b"a"), left) as client,
            aio.attach(Host("10.0.0.2/24", secret=b"b"), right) as server,
        ):
            await server.start_server(shout, port=7)
            assert await asked(client, OCTETS) == OCTETS.upper()
        assert left.statistics() == right.statistics() == {"lost": 0}

    run(main(), World())
    asyncio.run(main())


def test_a_host_waits_while_the_transport_pauses_it() -> None:
    sent: list[bytes] = []

    async def main() -> None:
        link = PushedLink(sent.append)
        async with aio.attach(Host("10.0.0.1/24", secret=b"a"), link) as net:
            link.pause_sending()
            connecting = asyncio.ensure_future(net.open_connection("10.0.0.2", 7))
            await asyncio.sleep(10)
            assert sent == []
            link.resume_sending()
            await asyncio.sleep(0.1)
            assert len(sent) == 1  # not one for every timeout
            assert link.statistics() == {"lost": 0}
            connecting.cancel()

    run(main(), World())


def test_a_queue_that_fills_asks_for_a_pause_and_loses_the_rest() -> None:
    resumed: list[bool] = []
    link = PushedLink(lambda _: None, queue=10, resume=lambda: resumed.append(True))
    assert link.packets_arrive([b"x"] * 4)
    assert not link.packets_arrive([b"x"] * 4)
    assert not link.packets_arrive([b"x"] * 4)
    assert link.statistics() == {"lost": 2}
    assert not resumed
    assert len(packets_of(link, 0)) == 10
    assert resumed == [True]


def test_what_the_transport_cannot_take_is_lost_and_counted() -> None:
    link = PushedLink(lambda packet: len(packet) < 100)
    assert (link.send(bytes(50), b"", 0), link.send(bytes(100), b"", 0), link.statistics()) == (
        True,
        False,
        {"lost": 1},
    )


def test_the_end_of_the_transport_comes_after_what_it_gave() -> None:
    link = PushedLink(lambda _: None)
    link.packets_arrive([b"last"])
    link.end()
    assert link.receive(0) == b"last"
    for use in (lambda: link.receive(0), lambda: link.send(b"x", b"", 0)):
        with pytest.raises(LinkClosed, match="the transport under the link has ended"):
            use()
    link = PushedLink(lambda _: None)
    link.end(ConnectionResetError(104, "reset by peer"))
    with pytest.raises(OSError, match="reset by peer") as caught:
        link.receive(0)
    assert caught.value.errno == 104


@pytest.mark.parametrize("batch", [[b""], b"one packet", ["text"], [None]])
def test_what_is_no_packet_is_refused_and_is_no_end(batch: Any) -> None:
    link = PushedLink(lambda _: None)
    with pytest.raises(
        ArgumentError, match="allowed: packets, each of 1 octet or more; `end` tells of the end"
    ):
        link.packets_arrive(batch)
    assert link.receive(0) is None


def test_closing_stops_the_transport_once() -> None:
    stopped: list[bool] = []
    link = PushedLink(lambda _: None, stop=lambda: stopped.append(True))
    link.close()
    link.close()
    assert stopped == [True]
    assert not link.packets_arrive([b"late"]) or link.statistics() == {"lost": 1}


def test_a_parcel_is_no_matter_for_a_link_that_holds_packets() -> None:
    left, right = pair(offload=True)
    link = Faulty(left, Random(1))
    assert link.largest == 0
    right.send_parcel(large(3000), b"", 0)  # type: ignore[attr-defined]
    assert [len(packet) for packet in packets_of(link, 0)] == [1500, 1500, 120]
    assert isinstance(large(1), Parcel)
