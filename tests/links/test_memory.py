import errno
import os
import select
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from struct import Struct
from typing import Any

import pytest

from postel.errors import ArgumentError, LinkError
from postel.links import LinkClosed, MemoryLink, OffloadingMemoryLink, pair
from postel.links.memory import EventBell, SocketBell
from postel.wire import ip
from postel.wire.parcel import Parcel

Pair = tuple[MemoryLink, MemoryLink]


@pytest.fixture(params=[EventBell, SocketBell])
def links(request: pytest.FixtureRequest) -> Iterator[Pair]:
    if request.param is EventBell and not hasattr(os, "eventfd"):
        pytest.skip("this system has no eventfd")
    left, right = MemoryLink(1500, 3, request.param), MemoryLink(1500, 3, request.param)
    left.peer, right.peer = right, left
    yield left, right
    left.close()
    right.close()


def is_readable(link: MemoryLink) -> bool:
    return bool(select.select([link], [], [], 0)[0])


def test_packets_arrive_whole_and_in_order(links: Pair) -> None:
    left, right = links
    assert left.send(b"one", b"", 0)
    assert left.send(b"two", b"", 0)
    assert (right.receive(0), right.receive(0), right.receive(0)) == (b"one", b"two", None)


def test_both_directions_are_apart(links: Pair) -> None:
    left, right = links
    left.send(b"to the right", b"", 0)
    right.send(b"to the left", b"", 0)
    assert (left.receive(0), right.receive(0)) == (b"to the left", b"to the right")


def test_descriptor_is_readable_while_a_packet_waits(links: Pair) -> None:
    left, right = links
    assert not is_readable(right)
    for _ in range(2):
        left.send(b"one", b"", 0)
        left.send(b"two", b"", 0)
        right.receive(0)
        assert is_readable(right)
        right.receive(0)
        assert right.receive(0) is None
        assert not is_readable(right)


def test_full_link_loses_the_packet_and_says_so(links: Pair) -> None:
    left, right = links
    assert [left.send(bytes([number]), b"", 0) for number in range(5)] == [True, True, True, False, False]
    assert [right.receive(0) for _ in range(4)] == [b"\0", b"\1", b"\2", None]


def test_packet_larger_than_the_mtu_is_refused(links: Pair) -> None:
    left, right = links
    assert left.send(bytes(1500), b"", 0)
    with pytest.raises(LinkError, match="1501 octets for a link with an MTU of 1500") as caught:
        left.send(bytes(1501), b"", 0)
    assert caught.value.errno == errno.EMSGSIZE
    assert len(right.receive(0)) == 1500


def test_closed_end_takes_and_gives_nothing(links: Pair) -> None:
    left, right = links
    left.send(b"lost", b"", 0)
    right.close()
    right.close()
    assert right.fileno() == -1
    with pytest.raises(LinkClosed, match="closed"):
        right.receive(0)
    assert not left.send(b"to a closed end", b"", 0)
    with pytest.raises(LinkError, match="closed"):
        right.send(b"from a closed end", b"", 0)


@pytest.mark.parametrize("offload", [False, True])
@pytest.mark.parametrize("when", ["before", "after", "never"])
def test_end_that_is_closed_is_heard_at_the_other_after_what_it_sent(offload: bool, when: str) -> None:
    left, right = pair(offload=offload)
    told: list[str] = []
    right.ready = lambda: told.append("look")
    descriptor = right.fileno() if when == "before" else None
    left.send(b"the last", b"", 0)
    told.clear()
    left.close()
    if when == "after":
        descriptor = right.fileno()
    assert descriptor is None or is_readable(right)
    assert told == ["look"]
    assert right.receive(0) == b"the last"
    for _ in range(2):
        with pytest.raises(LinkClosed, match="the other end of the memory link is closed"):
            right.receive(0)
        assert descriptor is None or is_readable(right)
    assert not right.send(b"to a closed end", b"", 0)
    right.close()
    with pytest.raises(LinkClosed, match="memory link is closed"):
        right.receive(0)


def test_reader_and_sender_in_two_threads_lose_nothing() -> None:
    left, right = pair(queue=100_000)
    sender = threading.Thread(
        target=lambda: [left.send(number.to_bytes(4, "big"), b"", 0) for number in range(20_000)]
    )
    received: list[int] = []
    sender.start()
    while len(received) < 20_000:
        assert select.select([right], [], [], 10)[0], "asleep while a packet waits"
        batch = [right.receive(0) for _ in range(7)]  # bounded: the descriptor must still tell of the rest
        received.extend(int.from_bytes(packet, "big") for packet in batch if packet)
    sender.join()
    left.close()
    right.close()
    assert received == list(range(20_000))


class Stage:
    """Runs ``other`` once, as another thread would, at the ``place``-th point where it could come in
    between.
    """

    def __init__(self) -> None:
        self.place = -1
        self.points = 0
        self.other: Callable[[], object] = lambda: None

    def point(self) -> None:
        self.points += 1
        if self.points - 1 == self.place:
            self.other()


def staged(kind: type[EventBell] | type[SocketBell], stage: Stage) -> EventBell | SocketBell:
    class Staged(kind):  # type: ignore[misc, valid-type]
        _is_rung = False

        @property
        def rung(self) -> bool:
            stage.point()
            is_rung = self._is_rung
            stage.point()
            return is_rung

        @rung.setter
        def rung(self, rung: bool) -> None:
            stage.point()
            self._is_rung = rung
            stage.point()

        def ring(self) -> None:
            super().ring()
            stage.point()

        def silence(self) -> None:
            super().silence()
            stage.point()

    return Staged()


class StagedQueue(deque[Parcel]):
    stage: Stage

    def append(self, parcel: Parcel) -> None:
        super().append(parcel)
        self.stage.point()

    def popleft(self) -> Parcel:
        self.stage.point()
        try:
            return super().popleft()
        finally:
            self.stage.point()


def received_from(link: MemoryLink) -> list[bytes]:
    """As a driver does: while it is readable, and not for ever."""
    packets = []
    for _ in range(20):
        if not is_readable(link):
            return packets
        packets += [packet for packet in (link.receive(0), link.receive(0)) if packet]
    raise AssertionError("readable without end")


@pytest.mark.parametrize("kind", [EventBell, SocketBell] if hasattr(os, "eventfd") else [SocketBell])
@pytest.mark.parametrize("waiting", range(3))
@pytest.mark.parametrize(
    ("acting", "coming"),
    [
        ("send", "send"),
        ("send", "receive"),
        ("receive", "send"),
        ("send", "close"),
        ("receive", "close"),
        ("receive", "far close"),
    ],
)
def test_another_thread_may_come_in_anywhere(kind: Any, waiting: int, acting: str, coming: str) -> None:
    for place in range(60):
        stage = Stage()
        left, right = MemoryLink(1500, 10, kind), MemoryLink(1500, 10, partial(staged, kind, stage))
        left.peer, right.peer = right, left
        queue = right._parcels = StagedQueue()
        assert right.fileno() >= 0
        queue.stage = stage
        taken: list[bytes] = []
        actions: dict[str, Callable[[], object]] = {
            "send": lambda: left.send(b"the last", b"", 0),  # noqa: B023
            "receive": lambda: taken.extend(packet for _ in range(3) if (packet := right.receive(0))),  # noqa: B023
            "close": right.close,
            "far close": left.close,
        }
        sent = [b"%d" % number for number in range(waiting)]
        for packet in sent:
            left.send(packet, b"", 0)
        sent += [b"the last"] * [acting, coming].count("send")
        stage.points, stage.place, stage.other = 0, place, actions[coming]
        with suppress(LinkClosed):  # raised by the reader that finds its link closed
            actions[acting]()
        reached = stage.points > place
        stage.place = -1
        if coming == "close":
            right.close()
            assert not left.send(b"late", b"", 0)
            with pytest.raises(LinkClosed):
                right.receive(0)
        elif coming == "far close":
            left.close()
            assert is_readable(right)
            with pytest.raises(LinkClosed):
                taken.extend(right.receive(0) or b"" for _ in range(10))
            assert taken == sent
            assert is_readable(right)
        else:
            assert (taken + received_from(right)) == (
                sent if reached else sent[: len(sent) - (coming == "send")]
            )
        left.close()
        right.close()
        if not reached:
            return
    raise AssertionError("more points than were tried")


@pytest.mark.parametrize("mtu", [0, 67, 65536])
def test_impossible_mtu_is_refused(mtu: int) -> None:
    with pytest.raises(ArgumentError, match=f"mtu is {mtu}; allowed: 68"):
        pair(mtu)


def test_queue_must_hold_a_packet() -> None:
    with pytest.raises(ArgumentError, match="queue is 0"):
        pair(queue=0)


# Parcels


@pytest.fixture
def offloading() -> Iterator[tuple[OffloadingMemoryLink, OffloadingMemoryLink]]:
    left, right = pair(offload=True)
    assert isinstance(left, OffloadingMemoryLink)
    assert isinstance(right, OffloadingMemoryLink)
    yield left, right
    left.close()
    right.close()


def large(octets: int, stride: int = 1460) -> Parcel:
    """A segment that would be cut."""
    envelope = ip.Envelope(bytes([10, 0, 0, 1]), bytes([10, 0, 0, 2]), 6)
    head = envelope.header(20 + octets) + Struct("!HHIIHHHH").pack(1, 2, 3, 4, 0x5010, 5, 0, 0)
    return Parcel(head, bytes(octets), stride=stride, start=20)


def test_a_parcel_passes_whole_or_cut_as_its_reader_likes(
    offloading: tuple[OffloadingMemoryLink, OffloadingMemoryLink],
) -> None:
    left, right = offloading
    parcel = large(5000)
    assert left.send_parcel(parcel, b"", 0)
    assert right.receive_parcel(0) is parcel
    assert right.receive_parcel(0) is None
    assert left.send_parcel(parcel, b"", 0)
    assert left.send(b"next", b"", 0)
    assert [len(right.receive(0) or b"") for _ in range(6)] == [1500, 1500, 1500, 660, 4, 0]


def test_a_parcel_larger_than_the_link_cuts_is_refused(
    offloading: tuple[OffloadingMemoryLink, OffloadingMemoryLink],
) -> None:
    for parcel in (
        Parcel(bytes(40), bytes(65500), stride=1460, start=20),
        large(5000, 1461),
        Parcel(bytes(1501)),
    ):
        with pytest.raises(LinkError, match="octets for a link with an MTU of"):
            offloading[0].send_parcel(parcel, b"", 0)
