"""Buffers that follow the bandwidth-delay product, and what a user hears of their room."""

from dataclasses import replace

import pytest

from postel.tcp.config import DEFAULT, FIRST_RECEIVE_BUFFER, FIRST_SEND_BUFFER, KIBIBYTE, MEBIBYTE
from postel.tcp.memory import Memory
from postel.testing.states import MSS, Peer, Scene, established, syn_sent
from postel.times import MILLISECOND, SECOND
from postel.wire.segment import ACK, FIN

WIDE = Peer(window=65535, window_scale=10, sack=True, tsval=1)
WIDE_WITHOUT_TIMESTAMPS = Peer(window=65535, window_scale=10, sack=True)
ROUND = 100 * MILLISECOND


def arrive_and_read(scene: Scene, octets: int, *, echo: int) -> None:
    """``octets`` in segments of one MSS, each read at once. ``echo`` is the time of the ACK that the peer
    answers.
    """
    for _ in range(octets // MSS):
        scene.hears(
            ACK,
            bytes(MSS),
            tsval=scene.now // MILLISECOND,
            tsecr=scene.tcb.timestamps.offset + echo // MILLISECOND,
        )
        scene.reads()


def rounds(scene: Scene, *octets: int) -> list[int]:
    """Round trips in which so much is read at once; the largest window after each. The ACK that the next
    echoes leaves a tick later.
    """
    limits = []
    for count in octets:
        tick, scene.now = scene.now + MILLISECOND, scene.now + ROUND
        arrive_and_read(scene, count, echo=tick)
        limits.append(scene.tcb.rcv.limit)
    return limits


# Receiving


def test_the_window_grows_to_twice_what_is_read_in_a_round_trip_and_twice_its_growth() -> None:
    scene = established(DEFAULT, WIDE)
    assert scene.tcb.rcv.limit == FIRST_RECEIVE_BUFFER == 128 * KIBIBYTE
    # The measuring begins after 16,384 octets; the echo that ends a round trip comes with the first segment
    # of the next.
    assert rounds(scene, 17 * MSS) == [FIRST_RECEIVE_BUFFER]
    assert rounds(scene, 60 * MSS) == [FIRST_RECEIVE_BUFFER]
    assert rounds(scene, 200 * MSS) == [2 * 60 * MSS + 2 * (60 - 1) * MSS]
    assert rounds(scene, 200 * MSS) == [2 * 200 * MSS + 2 * (200 - 60) * MSS]
    assert rounds(scene, 200 * MSS, 200 * MSS) == [680 * MSS, 680 * MSS]


def test_what_was_advertised_follows() -> None:
    scene = established(DEFAULT, WIDE)
    rounds(scene, 17 * MSS, 60 * MSS, 60 * MSS, 4 * MSS)
    assert scene.tcb.rcv.wnd > 235 * MSS


def test_the_window_scale_fits_the_largest_buffer_and_the_window_stops_there() -> None:
    scene = established(replace(DEFAULT, receive_buffer_maximum=300_000), WIDE)
    assert scene.tcb.rcv.shift == 3
    rounds(scene, *[100 * MSS] * 6)
    assert scene.tcb.rcv.limit == 300_000
    assert established(DEFAULT, WIDE).tcb.rcv.shift == 7
    assert established(replace(DEFAULT, receive_buffer_maximum=10_000), WIDE).tcb.rcv.limit == 10_000


def test_a_steady_slow_sender_needs_no_more_than_there_is() -> None:
    scene = established(DEFAULT, WIDE)
    assert set(rounds(scene, *[20 * MSS] * 20)) == {FIRST_RECEIVE_BUFFER}


def test_a_reader_who_sleeps_needs_no_larger_window() -> None:
    scene = established(DEFAULT, WIDE)
    rounds(scene, 17 * MSS, 10 * MSS)
    for _ in range(5):
        before, scene.now = scene.now, scene.now + ROUND
        for _ in range(20):
            scene.hears(
                ACK,
                bytes(MSS),
                tsval=scene.now // MILLISECOND,
                tsecr=scene.tcb.timestamps.offset + before // MILLISECOND,
            )
    assert scene.connection.readable == 100 * MSS
    assert scene.tcb.rcv.limit == FIRST_RECEIVE_BUFFER


def test_without_timestamps_a_windows_worth_takes_a_round_trip_or_more() -> None:
    scene = established(DEFAULT, WIDE_WITHOUT_TIMESTAMPS)
    assert not scene.tcb.timestamps.agreed
    window = FIRST_RECEIVE_BUFFER // MSS
    limits = rounds(scene, *[window * MSS] * 4)
    assert limits[0] == FIRST_RECEIVE_BUFFER
    assert 2 * window * MSS <= limits[-1] <= 5 * window * MSS
    assert set(rounds(scene, *[window * MSS] * 20)) == {limits[-1]}


@pytest.mark.parametrize("peer", [WIDE, WIDE_WITHOUT_TIMESTAMPS])
def test_a_size_that_was_chosen_stays(peer: Peer) -> None:
    scene = established(replace(DEFAULT, receive_buffer=200_000, send_buffer=50_000), peer)
    assert set(rounds(scene, *[150 * MSS] * 5)) == {200_000}
    assert scene.tcb.rcv.pace is None
    scene.sends(bytes(100_000))
    assert scene.connection.unacknowledged == 50_000
    scene.hears(ACK)
    assert scene.tcb.snd.limit == 50_000


def test_who_gets_little_is_not_measured() -> None:
    scene = established(DEFAULT, WIDE)
    rounds(scene, *[MSS] * 16)
    assert scene.tcb.rcv.pace is None


def test_a_peer_who_echoes_nonsense_moves_no_more_than_the_maximum() -> None:
    scene = established(replace(DEFAULT, receive_buffer_maximum=MEBIBYTE), WIDE)
    for echo in (0, 1 << 31, 0xFFFFFFFF, 77):
        for _ in range(200):
            scene.hears(ACK, bytes(MSS), tsval=1, tsecr=echo)
            scene.reads()
    assert scene.tcb.rcv.limit <= MEBIBYTE


# Sending


def flies(scene: Scene) -> None:
    """A round trip: everything in flight is acknowledged, segment by segment."""
    while scene.tcb.snd.flight:
        scene.hears(ACK, ack=min(scene.max, scene.una + MSS), tsval=scene.now // MILLISECOND)


def test_the_send_buffer_holds_two_congestion_windows() -> None:
    scene = established(DEFAULT, WIDE)
    assert scene.connection.writable == FIRST_SEND_BUFFER
    for _ in range(40):
        scene.sends(bytes(1 << 20))
        scene.hears(ACK, ack=scene.una + 5 * MSS, tsval=1)
        assert scene.tcb.snd.limit == max(FIRST_SEND_BUFFER, 2 * scene.tcb.ensure_controller().window)
    assert scene.tcb.snd.limit > FIRST_SEND_BUFFER


def test_it_does_not_grow_for_a_user_whom_it_does_not_hinder() -> None:
    scene = established(DEFAULT, WIDE)
    for _ in range(20):
        scene.sends(bytes(60_000))
        flies(scene)
    assert scene.tcb.ensure_controller().window > FIRST_SEND_BUFFER // 2
    assert scene.tcb.snd.limit == FIRST_SEND_BUFFER


def test_it_stops_at_its_maximum() -> None:
    scene = established(replace(DEFAULT, send_buffer_maximum=100_000), WIDE)
    for _ in range(20):
        scene.sends(bytes(1 << 20))
        flies(scene)
    assert scene.tcb.snd.limit == 100_000
    assert established(replace(DEFAULT, send_buffer_maximum=1000), WIDE).tcb.snd.limit == 1000


# Memory


def test_no_buffer_grows_while_memory_is_tight_and_windows_shrink() -> None:
    memory = Memory(1_000_000)
    scene = established(DEFAULT, WIDE, memory=memory)
    rounds(scene, 17 * MSS, 200 * MSS, 200 * MSS)
    assert scene.tcb.rcv.limit == 798 * MSS
    memory.claim(800_000)
    edge = scene.tcb.rcv.position + scene.tcb.rcv.wnd
    assert rounds(scene, *[20 * MSS] * 4)[-1] == FIRST_RECEIVE_BUFFER
    assert scene.tcb.rcv.position + scene.tcb.rcv.wnd >= edge  # SHLD-14
    for _ in range(20):
        scene.sends(bytes(1 << 20))
        flies(scene)
    assert scene.tcb.snd.limit == FIRST_SEND_BUFFER
    memory.give(800_000)
    assert rounds(scene, *[150 * MSS] * 4)[-1] > FIRST_RECEIVE_BUFFER


@pytest.mark.parametrize(("used", "is_tight"), [(0, False), (75, False), (76, True), (100, True)])
def test_memory_is_tight_when_less_than_a_quarter_is_free(used: int, is_tight: bool) -> None:
    memory = Memory(100)
    memory.claim(used)
    assert memory.is_tight == is_tight


# Room


def test_another_choice_of_a_size_counts_at_once() -> None:
    scene = established(DEFAULT, WIDE)
    scene.connection.configure(replace(DEFAULT, send_buffer=1000, receive_buffer=2000), scene.now)
    assert (scene.tcb.snd.limit, scene.tcb.rcv.limit) == (1000, 2000)
    scene.tcb.rcv.limit = 2048
    scene.connection.configure(replace(scene.tcb.config, nagle=False), scene.now)
    assert (scene.tcb.snd.limit, scene.tcb.rcv.limit) == (1000, 2048)


@pytest.mark.label("RFC9293-A.4")
def test_notsent_lowat_counts_only_what_was_never_sent() -> None:
    scene = established(replace(DEFAULT, notsent_lowat=4000, nagle=False), WIDE)
    assert scene.connection.writable == 4000
    assert scene.connection.send(bytes(20_000), scene.now) == 4000
    assert scene.connection.writable == 0
    scene.drain()
    assert scene.events() == ["Writable"]  # all of it has left, and nothing was acknowledged
    assert scene.connection.writable == 4000
    for _ in range(2):
        scene.connection.send(bytes(20_000), scene.now)
        scene.drain()
    assert scene.connection.unacknowledged == 12_000
    assert scene.tcb.snd.never_sent == 12_000 - scene.tcb.snd.flight > 2000
    assert scene.events() == ["Writable"]  # after the second call; after the third too much waits
    assert scene.connection.writable == 4000 - scene.tcb.snd.never_sent
    scene.connection.send(bytes(20_000), scene.now)
    scene.hears(ACK, ack=1 + scene.tcb.ensure_controller().smss, tsval=1)
    assert scene.events() == []
    scene.hears(ACK, ack=scene.una + scene.tcb.ensure_controller().smss, tsval=1)
    assert scene.events() == ["Writable"]


def test_notsent_lowat_counts_before_the_handshake_too() -> None:
    scene = syn_sent(replace(DEFAULT, notsent_lowat=4000), WIDE)
    assert scene.connection.send(bytes(5000), scene.now) == 4000


def test_what_goes_again_was_sent_and_the_fin_is_no_octet() -> None:
    scene = established(replace(DEFAULT, notsent_lowat=4000), WIDE)
    scene.sends(bytes(3000))
    scene.closes()
    assert (scene.tcb.snd.flight, scene.tcb.snd.never_sent) == (3001, 0)
    scene.now += SECOND
    scene.expires()
    assert scene.tcb.snd.never_sent == 0
    scene.hears(FIN | ACK, tsval=1)
    assert scene.tcb.snd.never_sent == 0
