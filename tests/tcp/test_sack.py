"""Which blocks the receiver sends: RFC 2018, RFC 2883."""

from dataclasses import replace

import pytest

from postel.tcp.config import DEFAULT
from postel.testing.states import PLAIN, Peer, Scene, established
from postel.wire.segment import ACK

SELECTIVE = replace(PLAIN, sack=True)
Block = tuple[int, int]


def heard(*pieces: tuple[int, int], config: object = None) -> Scene:
    """``pieces`` are (number, octets), each drained alone."""
    scene = established(DEFAULT if config else SELECTIVE, Peer(sack=True, tsval=5 if config else -1))
    for number, octets in pieces:
        scene.hears(ACK, bytes(octets), seq=number)
    return scene


def blocks(scene: Scene) -> list[Block]:
    """Of the last segment sent, relative."""
    return [
        ((left - scene.irs) % (1 << 32), (right - scene.irs) % (1 << 32))
        for left, right in scene.sent[-1].sack
    ]


@pytest.mark.label("RFC2018-4b", "RFC2018-4e", "RFC2018-3")
def test_rfc2018_4b_every_ack_below_what_is_held_says_so() -> None:
    scene = heard((101, 10))
    assert blocks(scene) == [(101, 111)]
    scene.hears(ACK, b"x")
    assert blocks(scene) == [(101, 111)]
    scene.hears(ACK, bytes(99))
    assert scene.sent[-1].sack == ()


@pytest.mark.label("RFC2018-4c", "RFC2018-4d")
def test_rfc2018_4c_the_newest_block_comes_first() -> None:
    scene = heard((101, 10), (201, 10), (301, 10), (401, 10), (501, 10))
    assert blocks(scene) == [(501, 511), (401, 411), (301, 311), (201, 211)]
    scene.hears(ACK, bytes(10), seq=211)
    assert blocks(scene) == [(201, 221), (501, 511), (401, 411), (301, 311)]


@pytest.mark.label("RFC2018-3", "BAD-SACK-7")
def test_bad_sack_7_three_fit_beside_timestamps() -> None:
    scene = heard((101, 10), (201, 10), (301, 10), (401, 10), config=DEFAULT)
    assert len(scene.sent[-1].sack) == 3


@pytest.mark.label("RFC2883-4a", "RFC2018-4e")
def test_rfc2883_4a_a_duplicate_is_told_once_and_first() -> None:
    scene = heard((1, 100), (1, 50))
    assert blocks(scene) == [(1, 51)]
    scene.hears(ACK, b"x")
    scene.hears(ACK, b"y")
    assert scene.sent[-1].sack == ()


@pytest.mark.label("RFC2883-4a")
def test_rfc2883_4a_only_the_part_that_was_there_before() -> None:
    scene = heard((1, 100), (51, 100))
    assert scene.nxt == 151
    assert blocks(scene) == [(51, 101)]


@pytest.mark.label("RFC2883-4b")
def test_rfc2883_4b_a_duplicate_of_what_is_held_is_followed_by_its_block() -> None:
    scene = heard((101, 100), (121, 20))
    assert blocks(scene) == [(121, 141), (101, 201)]


@pytest.mark.label("RFC2018-8b", "BAD-SEQ-8")
def test_rfc2018_8b_what_was_given_up_is_not_reported() -> None:
    scene = heard((101, 10), (201, 10))
    assert scene.tcb.rcv.reassembly is not None
    scene.tcb.rcv.reassembly.give_up(5)
    scene.hears(ACK, b"x", seq=50)
    assert blocks(scene) == [(50, 51), (101, 111)]
