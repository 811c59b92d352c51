"""The User Timeout Option of RFC 5482."""

from dataclasses import replace

import pytest

from postel.errors import ArgumentError
from postel.tcp.config import DEFAULT
from postel.tcp.timers import KEEP_ALIVE, USER
from postel.testing.states import MSS, PLAIN, Peer, Scene, closed, established, established_active, listen
from postel.times import DAY, HOUR, MINUTE, NEVER, SECOND
from postel.wire.options import ABSENT, USER_TIMEOUT, user_timeout, user_timeout_in
from postel.wire.segment import ACK, FIN, SYN, encode, parse

TELLS = replace(PLAIN, user_timeout_option=True)


def hears(scene: Scene, told: int | bytes, data: bytes = b"", flags: int = ACK, **fields: int) -> list[str]:
    segment = scene.segment(flags, data, **fields)
    segment.other = (user_timeout(told) if isinstance(told, int) else (USER_TIMEOUT, told),)
    scene.connection.segment_arrives(segment, scene.now)
    return scene.drain()


def told(scene: Scene) -> list[int]:
    """By the segments of the last drain, in seconds; 0 where one said nothing."""
    return [max(0, user_timeout_in(segment.other)) // SECOND for segment in scene.sent]


# The option


@pytest.mark.label("RFC5482-3.3", "RFC5482-3.4")
@pytest.mark.parametrize(
    ("duration", "value"),
    [
        (0, "0001"),  # never zero
        (1, "0001"),
        (5 * MINUTE, "012c"),
        (5 * MINUTE + 1, "012d"),
        (0x7FFF * SECOND, "7fff"),
        (0x7FFF * SECOND + 1, "8223"),
        (DAY, "85a0"),
        (NEVER, "ffff"),
    ],
)
def test_rfc5482_3_3_seconds_or_minutes_in_fifteen_bits(duration: int, value: str) -> None:
    assert user_timeout(duration) == (28, bytes.fromhex(value))


@pytest.mark.label("RFC5482-3.3", "RFC5482-3.4")
@pytest.mark.parametrize(
    ("values", "duration"),
    [
        (["012c"], 5 * MINUTE),
        (["8005"], 5 * MINUTE),
        (["ffff"], 0x7FFF * MINUTE),
        (["0000"], ABSENT),
        (["8000"], ABSENT),
        (["01"], ABSENT),
        (["", "012c00"], ABSENT),
        (["0000", "01", "0064", "0001"], 100 * SECOND),
        ([], ABSENT),
    ],
)
def test_rfc5482_3_4_what_is_said_or_nothing(values: list[str], duration: int) -> None:
    other = ((77, b"\1\2"), *((USER_TIMEOUT, bytes.fromhex(value)) for value in values))
    assert user_timeout_in(other) == duration


def test_it_travels() -> None:
    scene = established(TELLS)
    scene.sends(b"hi")
    assert parse(encode(scene.sent[0]), 0, 20 + 4 + 2).other == ((28, b"\x01\x2c"),)


# Telling


@pytest.mark.label("RFC5482-3a")
def test_rfc5482_3a_it_is_off_by_default() -> None:
    scene = closed(PLAIN)
    scene.does(scene.connection.open_active)
    assert told(scene) == [0]
    hears(scene, HOUR, flags=SYN | ACK)
    hears(scene, HOUR)
    assert scene.tcb.user_timeout == 5 * MINUTE
    assert not DEFAULT.user_timeout_option


@pytest.mark.label("RFC5482-3a")
def test_rfc5482_3a_it_is_told_on_the_syn_and_on_the_first_segment_after() -> None:
    scene = closed(TELLS)
    scene.does(scene.connection.open_active)
    assert told(scene) == [300]
    scene.hears(SYN | ACK)
    assert told(scene) == [300]
    scene.sends(b"hi")
    assert told(scene) == [0]


@pytest.mark.label("RFC5482-3a")
def test_rfc5482_3a_a_listener_tells_too_and_text_that_fills_a_segment_goes_first() -> None:
    scene = listen(replace(TELLS, user_timeout_advertised=200 * SECOND))
    scene.hears(SYN)
    assert told(scene) == [200]
    scene.hears(ACK)
    scene.sends(bytes(2 * MSS + 900))
    assert told(scene) == [0, 0]
    scene.hears(ACK)
    assert told(scene) == [200]
    assert [len(segment.data) for segment in scene.sent] == [900]


def test_sack_blocks_go_first() -> None:
    scene = established(replace(TELLS, sack=True), Peer(sack=True))
    scene.hears(ACK, b"x", seq=1000)
    assert (told(scene), len(scene.sent[0].sack)) == ([0], 1)
    scene.hears(ACK, bytes(999))
    assert (told(scene), len(scene.sent[0].sack)) == ([300], 0)


@pytest.mark.label("RFC5482-3a")
def test_a_change_is_told() -> None:
    scene = established_active(TELLS)
    scene.connection.configure(replace(TELLS, user_timeout_advertised=10 * MINUTE), scene.now)
    scene.sends(b"a")
    assert told(scene) == [600]
    scene.connection.configure(replace(scene.tcb.config, nagle=False), scene.now)
    scene.sends(b"b")
    assert told(scene) == [0]


# Heeding


@pytest.mark.label("RFC5482-3.1a")
@pytest.mark.parametrize(
    ("remote", "adopted"),
    [(SECOND, 5 * MINUTE), (5 * MINUTE, 5 * MINUTE), (20 * MINUTE, 20 * MINUTE), (DAY, HOUR)],
)
def test_rfc5482_3_1a_the_longer_within_limits(remote: int, adopted: int) -> None:
    scene = established(TELLS)
    hears(scene, remote)
    assert scene.tcb.user_timeout == scene.connection.status().user_timeout == adopted


@pytest.mark.label("RFC5482-3.1a")
@pytest.mark.parametrize(
    ("remote", "adopted"), [(SECOND, 100 * SECOND), (150 * SECOND, 150 * SECOND), (HOUR, 200 * SECOND)]
)
def test_rfc5482_3_1a_a_short_advertisement_lets_the_peer_shorten_it(remote: int, adopted: int) -> None:
    scene = established(
        replace(TELLS, user_timeout_advertised=30 * SECOND, user_timeout_highest=200 * SECOND)
    )
    hears(scene, remote)
    assert scene.tcb.user_timeout == adopted


@pytest.mark.label("RFC5482-3.1a")
def test_rfc5482_3_1a_limits_that_can_not_be() -> None:
    wrongs = (
        {"user_timeout_lowest": 99 * SECOND},
        {"user_timeout_highest": 99 * SECOND},
        {"rto_maximum": 100 * SECOND},
        {"user_timeout_lowest": 2 * HOUR},
    )
    for wrong in wrongs:
        with pytest.raises(ArgumentError):
            replace(TELLS, **wrong)
    assert replace(PLAIN, rto_maximum=HOUR).rto_maximum == HOUR


@pytest.mark.label("RFC5482-3.1b", "RFC5482-3a")
@pytest.mark.parametrize("choice", [{"user_timeout_changeable": False}, {"user_timeout": 30 * SECOND}])
def test_rfc5482_3_1b_the_users_word_is_the_last(choice: dict[str, int]) -> None:
    config = replace(TELLS, **choice)
    scene = established(config)
    hears(scene, 20 * MINUTE)
    assert scene.tcb.user_timeout == config.user_timeout
    scene = established(TELLS)
    hears(scene, 20 * MINUTE)
    scene.connection.configure(config, scene.now)
    assert scene.tcb.user_timeout == (30 * SECOND if "user_timeout" in choice else 20 * MINUTE)
    hears(scene, 50 * MINUTE)
    assert scene.tcb.user_timeout == (30 * SECOND if "user_timeout" in choice else 20 * MINUTE)


@pytest.mark.label("RFC5482-3.3")
def test_rfc5482_3_3_it_counts_in_synchronized_states_alone() -> None:
    scene = listen(TELLS)
    hears(scene, HOUR, flags=SYN)
    assert scene.tcb.timers.due(USER) == scene.now + TELLS.syn_received_timeout
    scene.hears(ACK)
    scene.sends(b"anybody?")
    assert scene.tcb.timers.due(USER) == scene.now + HOUR


@pytest.mark.label("RFC5482-3.1a")
def test_what_waits_already_waits_as_long() -> None:
    scene = established(TELLS)
    scene.sends(b"anybody?")
    start = scene.now
    scene.now += SECOND
    hears(scene, HOUR, ack=1)
    assert scene.tcb.timers.due(USER) == start + HOUR


@pytest.mark.label("RFC5482-3.4")
@pytest.mark.parametrize("value", [b"", b"\0", b"\0\0", b"\x80\0", b"\x01\x2c\0"])
def test_bad_values_change_nothing(value: bytes) -> None:
    scene = established(TELLS)
    hears(scene, 20 * MINUTE)
    hears(scene, value)
    hears(scene, value, b"text")
    assert scene.tcb.user_timeout == 20 * MINUTE
    assert hears(scene, b"\xff\xff", flags=FIN | ACK) != []
    assert scene.tcb.user_timeout == HOUR


def test_what_is_not_acceptable_is_not_heeded() -> None:
    scene = established(TELLS)
    hears(scene, HOUR, seq=-50_000)
    hears(scene, HOUR, ack=50_000)
    assert scene.tcb.user_timeout == 5 * MINUTE


@pytest.mark.label("RFC5482-4.2")
def test_rfc5482_4_2_keep_alive_is_more_patient() -> None:
    scene = established(replace(TELLS, keep_alive=True, keep_alive_idle=MINUTE))
    assert scene.tcb.timers.due(KEEP_ALIVE) == scene.now + 5 * MINUTE + 1
    hears(scene, 20 * MINUTE)
    scene.hears(ACK)
    assert scene.tcb.timers.due(KEEP_ALIVE) == scene.now + 20 * MINUTE + 1
    scene = established(replace(PLAIN, keep_alive=True, keep_alive_idle=MINUTE))
    assert scene.tcb.timers.due(KEEP_ALIVE) == scene.now + MINUTE
