"""Initial sequence numbers of RFC 6528, and the offset of each pair's timestamp clock."""

import itertools

import pytest

from postel.tcp import seq
from postel.tcp.config import DEFAULT
from postel.tcp.isn import Generator
from postel.testing import states
from postel.testing.states import LOCAL, REMOTE, Peer
from postel.times import HOUR, MILLISECOND, SECOND
from postel.wire.address import Endpoint

GENERATOR = Generator(b"a secret of the host")
OTHERS = [Endpoint(REMOTE.address, port) for port in range(1, 2001)]


@pytest.mark.label("MUST-8")
def test_must_8_the_clock_ticks_every_4_microseconds() -> None:
    first = GENERATOR.iss(LOCAL, REMOTE, 0)
    assert seq.distance(first, GENERATOR.iss(LOCAL, REMOTE, 4)) == 1
    assert seq.distance(first, GENERATOR.iss(LOCAL, REMOTE, SECOND)) == 250_000
    assert GENERATOR.iss(LOCAL, REMOTE, 4 << 32) == first
    assert 4.5 < (4 << 32) / HOUR < 5


@pytest.mark.label("MUST-9", "SHLD-1", "RFC6528-3", "BAD-ISN-1")
def test_must_9_without_the_secret_nothing_follows_from_anything() -> None:
    other = Generator(b"another secret")
    differences = {
        seq.distance(GENERATOR.iss(LOCAL, remote, 0), other.iss(LOCAL, remote, 0)) for remote in OTHERS
    }
    assert len(differences) > 1990


@pytest.mark.label("SHLD-1", "RFC6528-3", "BAD-ISN-1")
def test_bad_isn_1_the_numbers_of_many_pairs_look_random() -> None:
    numbers = [GENERATOR.iss(LOCAL, remote, 0) for remote in OTHERS]
    assert len(set(numbers)) == len(numbers)
    for bit in range(32):
        ones = sum(number >> bit & 1 for number in numbers)
        assert 800 < ones < 1200
    steps = {seq.distance(left, right) for left, right in itertools.pairwise(numbers)}
    assert len(steps) == len(numbers) - 1


@pytest.mark.label("SHLD-1")
def test_every_part_of_the_pair_counts() -> None:
    pairs = [
        (LOCAL, REMOTE),
        (REMOTE, LOCAL),
        (Endpoint(LOCAL.address, 81), REMOTE),
        (Endpoint(b"\x0a\x00\x00\x09", 80), REMOTE),
        (LOCAL, Endpoint(REMOTE.address, 1)),
        (LOCAL, Endpoint(bytes(16), REMOTE.port)),
    ]
    assert len({GENERATOR.iss(*pair, 0) for pair in pairs}) == len(pairs)
    assert len({GENERATOR.timestamp_offset(*pair) for pair in pairs}) == len(pairs)


@pytest.mark.label("BAD-ISN-2", "MAY-2")
def test_bad_isn_2_a_millisecond_later_the_number_is_higher() -> None:
    assert seq.gt(
        GENERATOR.iss(LOCAL, REMOTE, 5 * MILLISECOND), GENERATOR.iss(LOCAL, REMOTE, 4 * MILLISECOND)
    )


@pytest.mark.label("RFC7323-7", "BAD-TS-7")
def test_bad_ts_7_each_pair_has_a_clock_of_its_own() -> None:
    shown = set()
    for remote in OTHERS[:50]:
        scene = states.syn_received(
            DEFAULT, Peer(tsval=1), timestamp_offset=GENERATOR.timestamp_offset(LOCAL, remote)
        )
        scene.expires()
        shown.add(scene.sent[0].tsval)
    assert len(shown) == 50


@pytest.mark.label("BAD-TS-7")
def test_bad_ts_7_and_one_pair_the_same_clock_every_time() -> None:
    assert GENERATOR.timestamp_offset(LOCAL, REMOTE) == Generator(b"a secret of the host").timestamp_offset(
        LOCAL, REMOTE
    )


def test_the_two_uses_of_the_hash_are_apart() -> None:
    assert GENERATOR.iss(LOCAL, REMOTE, 0) != GENERATOR.timestamp_offset(LOCAL, REMOTE)
