"""STATUS: what is counted, and that a count is what its name says."""

from dataclasses import replace

import pytest

from postel.tcp.config import DEFAULT
from postel.tcp.connection import Connection, Status
from postel.tcp.recovery import Figures
from postel.tcp.state import ESTABLISHED
from postel.tcp.status import SACK, TIMESTAMPS, WINDOW_SCALE, of
from postel.testing import states
from postel.testing.states import LOCAL, MSS, PLAIN, REMOTE, Peer, Scene, established
from postel.times import MILLISECOND, SECOND
from postel.wire.segment import ACK, FIN


def status(scene: Scene) -> Status:
    return scene.connection.status(scene.now)


@pytest.mark.label("EP-STAT-2", "RFC9293-3.10.6")
def test_it_has_what_the_rfc_asks_for() -> None:
    scene = established(PLAIN, Peer(window=5000))
    scene.hears(ACK, b"unread", urgent=0)
    scene.sends(bytes(7000))
    told = status(scene)
    assert (told.local, told.remote, told.state) == (LOCAL, REMOTE, ESTABLISHED)
    assert (told.send_window, told.receive_window) == (5000, scene.tcb.rcv.wnd)
    assert (told.awaiting_ack, told.awaiting_receipt, told.unsent, told.urgent_pending) == (5000, 6, 2000, 0)
    assert told.user_timeout == PLAIN.user_timeout


def test_what_was_agreed() -> None:
    told = status(established(DEFAULT, Peer(window_scale=3, sack=True, tsval=1)))
    assert (told.options, told.snd_wscale, told.rcv_wscale) == (TIMESTAMPS | SACK | WINDOW_SCALE, 3, 7)
    assert (told.congestion, told.snd_mss, told.advmss, told.rcv_mss, told.pmtu) == (
        "cubic",
        988,
        1460,
        1448,
        1500,
    )
    told = status(established(PLAIN))
    assert (told.options, told.snd_mss, told.rcv_mss, told.snd_cwnd, told.ato) == (
        0,
        1000,
        1460,
        10,
        40 * MILLISECOND,
    )


def test_octets_and_segments_are_counted_each_time_and_once() -> None:
    scene = established(replace(PLAIN, nagle=False))
    before = status(scene)
    scene.sends(bytes(2500))
    scene.hears(ACK, b"abc", ack=1001)
    scene.expires()  # the delayed ACK, or
    while not scene.tcb.counts.segments_retransmitted:
        scene.expires()
    told = status(scene)
    assert (told.bytes_sent, told.bytes_acked, told.bytes_retrans, told.bytes_received) == (
        2500 + 1000,
        1000,
        1000,
        3,
    )
    assert (told.data_segs_out, told.data_segs_in) == (4, 1)
    assert (told.segs_out - before.segs_out, told.segs_in - before.segs_in) == (5, 1)
    assert (told.unacked, told.total_retrans, told.retransmits, told.notsent_bytes) == (2, 1, 1, 0)
    assert (told.snd_cwnd, told.congestion_window, told.threshold, told.snd_ssthresh) == (1, 1000, 2000, 2)
    scene.hears(ACK)
    assert (status(scene).bytes_acked, status(scene).unacked) == (2500, 0)


def test_the_handshake_is_no_text() -> None:
    told = status(established())
    assert (
        told.bytes_sent,
        told.bytes_acked,
        told.bytes_received,
        told.data_segs_out,
        told.data_segs_in,
    ) == (0, 0, 0, 0, 0)
    scene = states.last_ack()
    assert (status(scene).bytes_sent, status(scene).bytes_received) == (0, 0)
    assert status(scene).unacked == 1  # the FIN


def test_how_long_ago() -> None:
    scene = established(PLAIN)
    scene.sends(b"a")
    scene.now += 10 * MILLISECOND
    scene.hears(ACK)
    scene.now += 20 * MILLISECOND
    scene.hears(ACK, b"b", ack=-5)
    scene.now += 5 * MILLISECOND
    told = status(scene)
    assert (told.last_data_sent, told.last_ack_recv, told.last_data_recv) == (
        35 * MILLISECOND,
        5 * MILLISECOND,
        5 * MILLISECOND,
    )
    told = scene.connection.status()
    assert (told.last_data_sent, told.last_ack_recv) == (30 * MILLISECOND, 0)


# What it waited for


def times(scene: Scene) -> tuple[int, int, int]:
    """Busy, and of that held back by the peer's window and by the send buffer: milliseconds."""
    told = status(scene)
    return told.busy_time // MILLISECOND, told.rwnd_limited // MILLISECOND, told.sndbuf_limited // MILLISECOND


def test_who_sends_nothing_is_never_busy_and_has_no_stopwatch() -> None:
    scene = established(PLAIN)
    scene.hears(ACK, b"text")
    scene.now += SECOND
    assert times(scene) == (0, 0, 0)
    assert scene.tcb.snd.stopwatch is None


def test_busy_until_all_is_acknowledged() -> None:
    scene = established(PLAIN)
    scene.now += SECOND
    scene.sends(bytes(3000))
    scene.now += 10 * MILLISECOND
    assert times(scene) == (10, 0, 0)
    scene.hears(ACK, ack=1001)
    scene.now += 10 * MILLISECOND
    scene.hears(ACK)
    scene.now += SECOND
    assert times(scene) == (20, 0, 0)
    scene.sends(b"more")
    scene.now += MILLISECOND
    assert times(scene) == (21, 0, 0)


def test_the_peers_window_or_congestion_control() -> None:
    scene = established(PLAIN, Peer(window=3000))
    scene.sends(bytes(100_000))
    scene.now += 10 * MILLISECOND
    assert times(scene) == (10, 10, 0)
    scene.hears(ACK, window=60_000)
    assert scene.tcb.snd.never_sent > 0
    scene.now += 10 * MILLISECOND
    assert times(scene) == (20, 10, 0)
    scene.hears(ACK, window=0)
    scene.now += 10 * MILLISECOND
    assert times(scene) == (30, 20, 0)


def test_the_send_buffer() -> None:
    scene = established(replace(PLAIN, send_buffer=3000))
    scene.sends(bytes(5000))
    scene.now += 10 * MILLISECOND
    assert times(scene) == (10, 0, 10)
    scene.hears(ACK)
    scene.now += 10 * MILLISECOND
    assert times(scene) == (10, 0, 10)


# What recovery knows


def test_figures_of_recovery_are_told_in_segments_and_unknown_ones_are_zero() -> None:
    scene = established(PLAIN)
    told = status(scene)
    names = ("sacked", "lost", "retrans", "delivered", "dsack_dups", "reord_seen", "min_rtt", "delivery_rate")
    assert {getattr(told, name) for name in names} == {0}
    found = Figures()
    for number, name in enumerate(
        (
            "sacked",
            "lost",
            "retransmitted",
            "delivered",
            "duplicates",
            "reorderings",
            "min_rtt",
            "delivery_rate",
        )
    ):
        setattr(found, name, 10 * MSS * number + 1)
    told = of(scene.tcb, found, 0, scene.now)
    assert (told.dsack_dups, told.reord_seen, told.min_rtt, told.delivery_rate) == (
        *(found.duplicates, found.reorderings, found.min_rtt, found.delivery_rate),
    )
    for count, octets in (
        (told.sacked, found.sacked),
        (told.lost, found.lost),
        (told.retrans, found.retransmitted),
        (told.delivered, found.delivered),
    ):
        assert count == octets // MSS + 1


def test_every_field_is_told_in_every_state() -> None:
    for name, make in states.EVERY.items():
        if name != "CLOSED":
            told = status(make())
            assert None not in told


# Properties of a connection, which need no STATUS


def test_what_holds_now_can_be_asked_without_the_tcb() -> None:
    scene = established(DEFAULT, Peer(window_scale=3, sack=True, tsval=1))
    connection = scene.connection
    assert connection.config is scene.tcb.config
    assert (connection.mss, connection.send_limit, connection.receive_limit) == (
        988,
        scene.tcb.snd.limit,
        scene.tcb.rcv.limit,
    )
    assert (connection.is_fast, connection.has_peer_ended) == (False, False)
    scene.hears(ACK | FIN)
    assert connection.has_peer_ended


def test_asking_for_the_mss_makes_no_controller() -> None:
    scene = established()
    assert (scene.connection.mss, scene.tcb.controller) == (MSS, None)
    scene.sends(b"x")
    assert scene.tcb.controller is not None
    assert scene.connection.mss == MSS


def test_variables_are_those_of_3_3_1() -> None:
    scene = established(PLAIN, Peer(window=5000))
    scene.sends(bytes(2000))
    scene.hears(ACK, b"abc", ack=1001)
    told = scene.connection.variables()
    assert [told[name] for name in ("SND.UNA", "SND.NXT", "SND.WND", "RCV.NXT")] == [1001, 2001, 5000, 4]
    assert (told["ISS"], told["IRS"]) == (scene.tcb.snd.iss, scene.tcb.rcv.irs)
    assert "IRS" not in states.syn_sent().connection.variables()
    scene.aborts()
    assert scene.connection.variables() == {}


def test_options_are_what_both_syns_have() -> None:
    options = established(DEFAULT, Peer(mss=1000, window_scale=3, sack=True, tsval=1)).connection.options
    assert (options.send_mss, options.receive_mss) == (1000, 1460)
    assert (options.timestamps, options.sack, options.window_scaling) == (True, True, True)
    assert (options.send_shift, options.receive_shift, options.ecn, options.signature) == (3, 7, "off", 0)
    options = established(DEFAULT, Peer()).connection.options
    assert (
        options.timestamps,
        options.sack,
        options.window_scaling,
        options.send_shift,
        options.receive_shift,
    ) == (
        False,
        False,
        False,
        0,
        0,
    )


def test_asking_for_options_and_controller_makes_nothing() -> None:
    connection = Connection(LOCAL, REMOTE)
    connection.open_active(0)
    assert (connection.controller, connection.options.timestamps) == (None, False)
    assert connection._tcb.controller is None
