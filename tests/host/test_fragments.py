"""Reassembly: RFC 791, 815, 8200, 5722."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postel.host.counters import Counters
from postel.host.fragments import LIFETIME_4, LIFETIME_6, MOST_OCTETS, MOST_PACKETS, Fragments
from postel.host.host import Host
from postel.times import NEVER
from postel.wire import icmp, ip
from postel.wire.address import parse
from postel.wire.ip import Packet
from tests.host.conftest import Peer

PAIRS = {4: (parse("10.0.0.9"), parse("10.0.0.1")), 6: (parse("fd00::9"), parse("fd00::1"))}
TEXT = bytes(range(256)) * 16


def pieces(version: int, text: bytes = TEXT, mtu: int = 576, identification: int = 7, protocol: int = 17):
    source, destination = PAIRS[version]
    return [
        ip.parse(octets)
        for octets in ip.fragments(source, destination, protocol, text, mtu, identification=identification)
    ]


def piece(offset: int, text: bytes, *, more: bool = True, identification: int = 7, version: int = 4):
    """One fragment by hand."""
    made = pieces(
        version, bytes(offset + len(text) + (8 if more else 0)), mtu=65528, identification=identification
    )[0]
    made.octets = made.octets[: made.start] + text
    made.end = made.start + len(text)
    made.fragment_offset = offset
    made.more_fragments = more
    return made


@pytest.fixture
def fragments():
    return Fragments(Counters(None))


@pytest.mark.parametrize("version", [4, 6])
@given(data=st.randoms(use_true_random=False), repeated=st.integers(0, 3))
def test_in_any_order_and_doubled(version: int, data: random.Random, repeated: int):
    fragments = Fragments(Counters(None))
    sent = pieces(version)
    data.shuffle(sent)
    sent[1:1] = sent[:repeated][:1] * repeated
    results = [fragments.add(one, 0) for one in sent]
    assert [whole is not None for whole in results] == [False] * (len(sent) - 1) + [True]
    whole = ip.parse(results[-1].octets)
    assert (whole.payload, whole.protocol, whole.source, whole.is_fragment) == (
        TEXT,
        17,
        PAIRS[version][0],
        False,
    )
    assert (len(fragments), fragments.held, fragments.next_timeout()) == (0, 0, NEVER)


def test_packets_are_told_apart(fragments: Fragments):
    one, two = pieces(4, identification=1), pieces(4, bytes(len(TEXT)), identification=2)
    other_protocol = pieces(4, bytes(len(TEXT)), identification=1, protocol=1)
    results = []
    for trio in zip(one, two, other_protocol, strict=True):
        results += [fragments.add(each, 0) for each in trio]
    assert [ip.parse(whole.octets).payload for whole in results if whole is not None] == [
        TEXT,
        bytes(len(TEXT)),
        bytes(len(TEXT)),
    ]


@pytest.mark.parametrize(
    ("held", "arriving"),
    [
        (piece(0, bytes(16)), piece(8, bytes(16))),
        (piece(8, bytes(16)), piece(0, bytes(16))),
        (piece(0, bytes(16)), piece(0, bytes(24))),
        (piece(0, bytes(16)), piece(0, b"x" * 16)),
        (piece(0, bytes(24)), piece(8, bytes(8))),
        (piece(16, bytes(8), more=False), piece(24, bytes(8))),
        (piece(16, bytes(8), more=False), piece(8, bytes(8), more=False)),
        (piece(16, bytes(8)), piece(8, bytes(8), more=False)),
        (piece(16, bytes(8), more=False), piece(16, bytes(8))),
        (piece(16, bytes(8)), piece(32, bytes(8), more=False)),
    ],
)
def test_rfc5722_an_overlap_voids_the_packet(held: Packet, arriving: Packet):
    counters = Counters(None)
    fragments = Fragments(counters)
    assert fragments.add(held, 0) is None
    assert fragments.add(arriving, 0) is None
    if arriving.fragment_offset == 32:  # no overlap: the control
        assert len(fragments) == 1
        return
    assert counters.drops == {"fragment_overlap": 2}
    assert (len(fragments), fragments.held) == (0, 0)


def test_too_many_pieces_void_the_packet(fragments: Fragments):
    for number in range(129):
        fragments.add(piece(16 * number, bytes(8)), 0)
    assert len(fragments) == 0


def test_the_ping_of_death(fragments: Fragments):
    assert fragments.add(piece(0xFFF8 - 16, bytes(20), more=False), 0) is None
    assert len(fragments) == 0


def test_packets_are_bounded_and_the_oldest_goes(fragments: Fragments):
    for number in range(MOST_PACKETS + 1):
        fragments.add(piece(0, bytes(8), identification=number), 0)
    assert len(fragments) == MOST_PACKETS
    assert fragments.add(piece(8, bytes(8), more=False, identification=0), 0) is None
    assert fragments.add(piece(8, bytes(8), more=False, identification=5), 0) is not None


def test_octets_are_bounded(fragments: Fragments):
    for number in range(40):
        fragments.add(piece(0, bytes(60000), identification=number), 0)
    assert 0 < fragments.held <= MOST_OCTETS


def test_time_runs_out_and_the_first_fragment_is_given(fragments: Fragments):
    first, headless = piece(0, bytes(8)), piece(8, bytes(8), version=6)
    fragments.add(first, 0)
    fragments.add(headless, 0)
    assert fragments.next_timeout() == LIFETIME_4
    assert fragments.expire(LIFETIME_4 - 1) == []
    assert fragments.expire(LIFETIME_4) == [first]
    assert fragments.expire(LIFETIME_6) == []
    assert fragments.next_timeout() == NEVER


@pytest.mark.parametrize(("source", "target"), [("10.0.0.9", "10.0.0.1"), ("fd00::9", "fd00::1")])
def test_a_host_takes_fragments_and_tells_of_time_exceeded(
    host: Host, new_peer: type[Peer], source: str, target: str
):
    peer = new_peer(host, source, target)
    request = icmp.encode(icmp.IcmpMessage(icmp.ECHO_REQUEST, 0, 7, TEXT), peer.address, peer.target)
    protocol = icmp.PROTOCOL_4 if len(peer.address) == 4 else icmp.PROTOCOL_6
    octets = ip.fragments(peer.address, peer.target, protocol, request, 1280, identification=9)
    assert peer.give(*octets[1:]) == []
    answers = peer.give(octets[0])
    assert [ip.parse(answer).is_fragment for answer in answers] == [True] * 3

    assert peer.give(octets[0]) == []
    (message,) = peer.messages(peer.advance(LIFETIME_6))
    assert (message.kind, message.code) == (icmp.TIME_EXCEEDED, icmp.IN_REASSEMBLY)
    assert octets[0].startswith(message.body)


def test_fragments_of_fragments_are_dropped(host: Host, new_peer: type[Peer]):
    peer = new_peer(host, "fd00::9", "fd00::1")
    inner = ip.fragments(peer.address, peer.target, 17, bytes(100), 88, identification=1)[0][40:]
    outer = ip.fragments(peer.address, peer.target, ip.FRAGMENT, inner, 72, identification=2)
    assert len(outer) == 2
    assert peer.give(*outer) == []
    assert peer.dropped("fragment_nested") == 1


def test_a_whole_packet_that_does_not_parse(host: Host, new_peer: type[Peer]):
    """An option that forbids to go on stands behind the fragments' header, so it is seen in the whole packet
    alone.
    """
    peer = new_peer(host, "fd00::9", "fd00::1")
    text = b"\x11\0\x81\x04" + bytes(4) + bytes(56)
    outer = ip.fragments(peer.address, peer.target, ip.DESTINATION_OPTIONS, text, 88, identification=2)
    assert peer.give(outer[0]) == []
    (message,) = peer.messages(peer.give(outer[1]))
    assert (message.kind, message.code, message.rest) == (icmp.PARAMETER_PROBLEM, 2, 40 + 8 + 2)
    assert message.body == outer[0]
    assert peer.dropped("bad_option") == 1


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(1, 12), st.booleans()), max_size=60))
def test_whatever_comes_the_books_balance(moves: list):
    counters = Counters(None)
    fragments = Fragments(counters)
    source = random.Random(1)
    for offset, size, more in moves:
        whole = fragments.add(piece(8 * offset, source.randbytes(8 * size), more=more), 0)
        assert fragments.held == sum(partial.octets for partial in fragments._partials.values())
        if whole is not None:
            assert ip.parse(whole.octets)


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize(
    ("marks", "whole"),
    [
        ((2, 2), 2),
        ((1, 1), 1),
        ((0, 0), 0),
        ((3, 3), 3),
        ((3, 2), 3),
        ((2, 3), 3),
        ((1, 3), 3),
        ((2, 1), 2),
        ((3, 0), -1),
        ((0, 3), -1),
    ],
)
def test_a_mark_of_congestion_survives(
    fragments: Fragments, version: int, marks: tuple[int, int], whole: int
):
    """RFC 3168, 5.3: CE on one is CE on all, but never on what isn't ECN-capable: that is dropped."""
    sent = pieces(version, bytes(900))
    assert len(sent) == len(marks)
    for one, mark in zip(sent, marks, strict=True):
        one.traffic_class = 0x28 | mark
    results = [fragments.add(one, 0) for one in sent]
    if whole < 0:
        assert (results, fragments.held, len(fragments)) == ([None, None], 0, 0)
    else:
        assert ip.parse(results[1].octets).traffic_class == 0x28 | whole
