"""Parcels in and out of a host: what is left to the link, and what a host makes of a link's word."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postel.errors import ArgumentError
from postel.host.host import Host
from postel.tcp.authentication.keychain import Keychain
from postel.tcp.authentication.keys import Key
from postel.tcp.config import DEFAULT
from postel.tcp.observer import Observer
from postel.times import MILLISECOND
from postel.wire import ip, segment, udp
from postel.wire.address import Endpoint
from postel.wire.parcel import Parcel, finished
from postel.wire.segment import Segment
from tests.host.conftest import START, Pair

LARGEST = 65535
EAGER = replace(DEFAULT, nagle=False)
PAIR = (bytes([10, 0, 0, 1]), bytes([10, 0, 0, 2]))
FAMILIES = pytest.mark.parametrize("address", ["10.0.0.2", "fd00::2"])


class Watcher(Observer):
    """Keeps all segments."""

    def __init__(self) -> None:
        self.segments: list[Segment] = []

    def segment_sent(self, local: Endpoint, remote: Endpoint, segment: Segment, now: int) -> None:
        self.segments.append(segment)

    def segment_arrived(self, local: Endpoint, remote: Endpoint, segment: Segment, now: int) -> None:
        self.segments.append(segment)


def host(number: int, **options: object) -> Host:
    made = Host(f"10.0.0.{number}/24", f"fd00::{number}/64", secret=bytes([number]), config=EAGER, **options)  # type: ignore[arg-type]
    made.use_offload(LARGEST)
    return made


class Parcels(Pair):
    """As `Pair`, by parcels. ``harm`` is done to each on its way."""

    harm: Callable[[Parcel], Parcel] = staticmethod(lambda parcel: parcel)

    def pump(self) -> None:
        quiet = False
        while not quiet:
            quiet = True
            for sender, receiver in ((self.left, self.right), (self.right, self.left)):
                while (parcel := sender.next_parcel(self.now)) is not None:
                    quiet = False
                    self.carried.append((sender, parcel.head + parcel.text))
                    receiver.parcel_arrives(self.harm(parcel), self.now)


def moved(pair: Pair, address: str, octets: int, **options: object) -> bytes:
    client, server, _ = pair.connect(address=address, **options)
    rest, received = bytes(range(256)) * (octets // 256), b""
    for _ in range(100):
        rest = rest[client.send(rest, pair.now) :]
        pair.advance(100 * MILLISECOND)
        received += server.receive(octets, pair.now)
    return received


@FAMILIES
def test_large_segments_pass_whole_and_unchecked(address: str) -> None:
    pair = Parcels(host(1), host(2))
    assert moved(pair, address, 1 << 18) == bytes(range(256)) * 1024
    sizes = [len(octets) for sender, octets in pair.carried if sender is pair.left]
    assert max(sizes) > 60_000
    largest = next(octets for _, octets in pair.carried if len(octets) == max(sizes))
    packet = ip.parse(largest)
    assert not segment.checksum_is_right(largest, packet.start, packet.end, packet.source, packet.destination)
    figures = pair.right.statistics()
    assert figures["dropped"] == 0
    assert figures["segments_arrived"] == pair.left.statistics()["segments_sent"] > 180  # counted as packets


@FAMILIES
def test_a_link_that_cuts_nothing_gets_packets(address: str) -> None:
    """`next_packet` cuts what `next_parcel` would leave to the link."""
    pair = Pair(host(1), host(2))
    assert moved(pair, address, 1 << 18) == bytes(range(256)) * 1024
    assert max(len(octets) for _, octets in pair.carried) == 1500
    assert pair.right.statistics()["dropped"] == 0


@FAMILIES
def test_parcels_are_as_large_under_an_observer(address: str) -> None:
    def carried(*observers: Observer | None) -> list[bytes]:
        pair = Parcels(*(host(number + 1, observer=observer) for number, observer in enumerate(observers)))
        assert moved(pair, address, 1 << 18) == bytes(range(256)) * 1024
        return [octets for _, octets in pair.carried]

    left, right = Watcher(), Watcher()
    assert carried(left, right) == carried(None, None)
    for watcher in (left, right):
        assert max(segment.packets for segment in watcher.segments) > 40


@pytest.mark.label("MUST-3")
def test_must_3_what_no_link_vouches_for_is_verified() -> None:
    pair = Parcels(host(1), host(2))
    pair.harm = lambda parcel: Parcel(finished(parcel)[0][:-1] + b"?") if parcel.text else parcel
    client, server, _ = pair.connect()
    client.send(b"text!", pair.now)
    pair.pump()
    assert server.readable == 0
    assert pair.right.statistics()["dropped_bad_checksum"] == 1
    pair.harm = lambda parcel: Parcel(finished(parcel)[0], is_vouched=True)
    client.send(b" and more", pair.now)
    pair.advance(1_000_000)
    assert server.receive(100, pair.now) == b"text! and more"


@FAMILIES
@pytest.mark.parametrize("keys", [None, Keychain(Key(b"secret"))])
def test_a_parcel_in_two_is_the_same_as_in_one(address: str, keys: Keychain | None) -> None:
    pair = Parcels(host(1), host(2))
    pair.harm = lambda parcel: Parcel(*apart(finished(parcel)[0]), is_vouched=True)
    listener = pair.right.listen(80, START, keys=keys)
    client = pair.left.connect(address, 80, START, keys=keys)
    pair.advance(0)
    server = listener.accept()
    assert server is not None
    client.send(b"some text", pair.now)
    pair.pump()
    assert server.receive(100, pair.now) == b"some text"
    assert pair.right.statistics()["dropped"] == 0


def apart(octets: bytes) -> tuple[bytes, bytes]:
    start = 20 if octets[0] >> 4 == 4 else 40
    begin = start + (octets[start + 12] >> 4 << 2)
    return octets[:begin], octets[begin:]


def test_who_vouches_for_a_fragment_does_not_for_the_others() -> None:
    damaged = udp.encode_for(udp.Datagram(7, 53, b"x" * 100), *PAIR)[:-1] + b"?"
    receiver = host(2)
    socket = receiver.datagrams(53)
    for fragment in ip.fragments(*PAIR, udp.PROTOCOL, damaged, 100, identification=1):
        receiver.parcel_arrives(Parcel(fragment, is_vouched=True), START)
    assert socket.receive() is None
    assert receiver.statistics()["dropped_bad_checksum"] == 1


def test_signed_segments_leave_whole_and_each_in_a_packet_of_its_own() -> None:
    keys = Keychain(Key(b"secret"))
    left, right = host(1), host(2)
    pair = Parcels(left, right)
    listener = right.listen(80, START, keys=keys)
    client = left.connect("10.0.0.2", 80, START, keys=keys)
    pair.advance(0)
    assert listener.accept() is not None
    client.send(bytes(20_000), pair.now)
    pair.advance(0)
    assert max(len(octets) for _, octets in pair.carried) <= 1500
    assert right.statistics()["dropped"] == 0


def test_what_is_for_ourselves_is_not_left_to_a_link() -> None:
    alone = host(1)
    listener = alone.listen(80, START)
    client = alone.connect("10.0.0.1", 80, START)
    for _ in range(8):
        assert alone.next_parcel(START) is None
        alone.handle_timeout(START)
    server = listener.accept()
    assert server is not None
    client.send(bytes(20_000), START)
    for _ in range(20):
        assert alone.next_parcel(START) is None
        alone.handle_timeout(START)
    assert server.readable == 20_000
    assert alone.statistics()["dropped"] == 0


def test_datagrams_and_answers_leave_finished() -> None:
    left, right = host(1), host(2)
    left.datagrams(53).send(b"question", START, remote=Endpoint(bytes([10, 0, 0, 2]), 5353))
    parcel = left.next_parcel(START)
    assert parcel is not None
    assert parcel.start == 0
    assert udp.parse(ip.parse(parcel.head), verify=True).data == b"question"
    right.parcel_arrives(parcel, START)
    assert right.statistics()["dropped_no_port"] == 1


@pytest.mark.parametrize("largest", [-1, 1499, 65536])
def test_an_impossible_size_is_refused(largest: int) -> None:
    with pytest.raises(ArgumentError, match="largest"):
        host(1).use_offload(largest)


NUMBERS = st.sampled_from(
    [-1, 0, 1, 16, 19, 20, 21, 32, 39, 40, 41, 52, 53, 60, 72, 1448, 65535]
) | st.integers(-3, 80)


@settings(max_examples=400, deadline=None)
@given(
    cut=st.integers(0, 130),
    split=st.integers(0, 130),
    changes=st.lists(st.tuples(st.integers(0, 129), st.integers(0, 255)), max_size=3),
    numbers=st.tuples(NUMBERS, NUMBERS, NUMBERS),
    is_vouched=st.booleans(),
    family=st.sampled_from([4, 6]),
    is_watched=st.booleans(),
)
def test_any_parcel_is_borne(
    cut: int,
    split: int,
    changes: list[tuple[int, int]],
    numbers: tuple[int, int, int],
    is_vouched: bool,
    family: int,
    is_watched: bool,
) -> None:
    """A segment of a connection, changed and taken apart anywhere, with any word of a link on it: counted,
    and never raised.
    """
    receiver = Host(
        "10.0.0.2/24", "fd00::2/64", secret=b"2", config=EAGER, observer=Watcher() if is_watched else None
    )
    pair = Parcels(host(1), receiver)
    client, _, _ = pair.connect(address="10.0.0.2" if family == 4 else "fd00::2")
    client.send(bytes(range(60)), pair.now)
    parcel = pair.left.next_parcel(pair.now)
    assert parcel is not None
    octets = bytearray(parcel.head + parcel.text)[:cut]
    for at, value in changes:
        if at < len(octets):
            octets[at] = value
    stride, start, field = numbers
    head, text = bytes(octets[:split]), bytes(octets[split:])
    made = Parcel(head, text, stride=stride, start=start, field=field, is_vouched=is_vouched)
    pieces = finished(made)
    assert pieces
    assert sum(map(len, pieces)) >= len(octets)
    receiver.parcel_arrives(made, pair.now)
    receiver.statistics()
    pair.advance(MILLISECOND)
    receiver.parcel_arrives(parcel, pair.now)  # and the next one is heard
    pair.advance(MILLISECOND)
