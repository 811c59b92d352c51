"""SEGMENT ARRIVES, fifth check: rules EP-ACK (RFC 9293, 3.10.7.4; RFC 5961, 5)."""

from dataclasses import replace

import pytest

from postel.tcp.state import CLOSED, CLOSING, ESTABLISHED, FIN_WAIT_1, FIN_WAIT_2, SYN_RECEIVED, TIME_WAIT
from postel.tcp.tcb import NO_SEQUENCE
from postel.tcp.timers import RETRANSMISSION
from postel.testing import states
from postel.testing.states import (
    MSS,
    PLAIN,
    SYNCHRONIZED,
    Maker,
    Scene,
    established,
    fin_wait_1,
    syn_received,
    time_wait,
)
from postel.times import NEVER, SECOND
from postel.wire.segment import ACK, FIN, PSH, SYN, URG

ALL = [*SYNCHRONIZED.values()]
SENDING = [states.established, states.close_wait]
LARGE = bytes(range(250)) * 12  # three segments


@pytest.mark.label("EP-ACK-1", "BAD-URG-4")
@pytest.mark.parametrize("make", [syn_received, *ALL])
@pytest.mark.parametrize("flags", [0, FIN, PSH, URG, FIN | PSH | URG])
def test_ep_ack_1_without_the_ack_bit_a_segment_is_dropped(make: Maker, flags: int) -> None:
    scene = make()
    assert scene.ignores(flags, b"text", urgent=3)


@pytest.mark.label("EP-ACK-2", "RFC5961-5.2", "MAY-12", "BAD-ACK-2", "BAD-SYN-3")
@pytest.mark.parametrize("make", ALL)
def test_ep_ack_2_an_ack_from_long_ago_is_answered_and_its_text_discarded(make: Maker) -> None:
    scene = make()
    oldest = scene.una - scene.tcb.snd.max_wnd
    before = scene.image()
    assert scene.hears(ACK, b"injected", ack=oldest - 1) == [f"ACK seq={scene.max} ack={scene.nxt}"]
    assert scene.image() == before


@pytest.mark.label("EP-ACK-2", "RFC5961-5.2", "MAY-12", "BAD-SYN-3")
def test_ep_ack_2_as_far_back_as_the_largest_window_an_ack_is_good() -> None:
    scene = established()
    scene.hears(ACK, b"hello", ack=scene.una - scene.tcb.snd.max_wnd)
    assert scene.reads() == b"hello"


@pytest.mark.label("EP-ACK-2")
def test_ep_ack_2_the_largest_window_is_remembered() -> None:
    scene = established()
    scene.hears(ACK, window=10)
    assert scene.tcb.snd.max_wnd == states.WINDOW
    scene.hears(ACK, window=65535)
    assert scene.tcb.snd.max_wnd == 65535


@pytest.mark.label("EP-ACK-3")
def test_ep_ack_3_the_ack_of_our_syn_establishes() -> None:
    scene = syn_received()
    assert scene.hears(ACK, window=123) == []
    assert scene.state is ESTABLISHED
    snd = scene.tcb.snd
    assert (snd.wnd, snd.max_wnd, snd.wl1, snd.wl2) == (123, states.WINDOW, scene.tcb.rcv.nxt, snd.una)
    assert scene.events() == ["Opened"]
    assert scene.connection.next_timeout() == NEVER


@pytest.mark.label("EP-ACK-3", "EP-TXT-5", "BAD-SEQ-9", "RFC9293-3.5-data-on-syn")
def test_ep_ack_3_when_that_ack_was_lost_text_brings_it() -> None:
    scene = syn_received()
    scene.hears(ACK, b"third and text")
    assert scene.state is ESTABLISHED
    assert scene.reads() == b"third and text"


@pytest.mark.label("EP-ACK-3")
def test_ep_ack_3_what_was_queued_goes_out() -> None:
    scene = syn_received()
    assert scene.sends(b"welcome") == []
    assert scene.hears(ACK) == ["PSH,ACK seq=1 ack=1 len=7"]


@pytest.mark.label("EP-ACK-4", "RFC9293-3.5.2-2", "BAD-ACK-8")
@pytest.mark.parametrize("make", [syn_received, states.syn_received_active])
@pytest.mark.parametrize("ack", [0, -1, 2, 100_000])
def test_ep_ack_4_a_wrong_ack_of_our_syn_is_reset(make: Maker, ack: int) -> None:
    scene = make()
    before = scene.image()
    assert scene.hears(ACK, b"text", ack=ack) == [f"RST seq={ack}"]
    assert scene.state is SYN_RECEIVED
    assert scene.image() == before


@pytest.mark.label("EP-ACK-5", "BAD-ACK-6")
@pytest.mark.parametrize("make", SENDING)
def test_ep_ack_5_acknowledged_octets_are_freed_to_the_octet(make: Maker) -> None:
    scene = make()
    scene.sends(LARGE)
    assert scene.hears(ACK, ack=1 + 1234) == []
    assert scene.una == 1235
    assert scene.connection.unacknowledged == len(LARGE) - 1234
    assert scene.expires() == [f"ACK seq=1235 ack={scene.nxt} len=1000"]
    assert scene.sent[0].data == LARGE[1234:2234]


@pytest.mark.label("BAD-ACK-6")
def test_bad_ack_6_an_ack_of_the_syn_alone_frees_no_data() -> None:
    scene = syn_received()
    scene.connection.send(b"hello", scene.now)
    scene.hears(ACK, ack=1)
    assert scene.connection.unacknowledged == 5
    assert scene.sent[0].data == b"hello"


@pytest.mark.label("EP-ACK-5", "BAD-ACK-5")
def test_ep_ack_5_an_ack_of_the_original_flight_after_a_timeout_is_good() -> None:
    scene = established()
    scene.sends(LARGE)
    assert scene.expires() == ["ACK seq=1 ack=1 len=1000"]  # RTO: SND.NXT went back, SND.MAX stayed (D-1)
    assert scene.hears(ACK, ack=1 + len(LARGE)) == []
    assert scene.una == scene.max == 1 + len(LARGE)
    assert scene.connection.next_timeout() == NEVER


@pytest.mark.label("EP-ACK-5")
def test_ep_ack_5_writers_wake_when_half_the_buffer_is_free() -> None:
    scene = established(replace(PLAIN, send_buffer=1000))
    assert scene.connection.send(bytes(1500), scene.now) == 1000
    scene.drain()
    scene.hears(ACK, ack=400)
    assert scene.events() == []
    scene.hears(ACK, ack=600)
    assert scene.events() == ["Writable"]
    scene.hears(ACK, ack=1001)
    assert scene.events() == []  # once


@pytest.mark.label("EP-ACK-6", "RFC1122-4.2.2.20g")
def test_ep_ack_6_an_old_ack_frees_nothing_but_its_text_counts() -> None:
    scene = established()
    scene.sends(b"hello")
    scene.hears(ACK, ack=6)
    scene.hears(ACK, b"text", ack=3)
    assert scene.una == 6
    assert scene.reads() == b"text"


@pytest.mark.label("EP-ACK-6", "EP-ACK-8", "RFC1122-4.2.2.20g")
def test_ep_ack_6_a_duplicate_may_carry_a_window_update() -> None:
    scene = established()
    scene.hears(ACK, window=5)
    assert scene.tcb.snd.wnd == 5
    scene.hears(ACK, window=50_000)
    assert scene.tcb.snd.wnd == 50_000


@pytest.mark.label("EP-ACK-7", "BAD-CC-3")
@pytest.mark.parametrize("make", ALL)
@pytest.mark.parametrize("beyond", [1, 1000, 1 << 30])
def test_ep_ack_7_an_ack_of_what_was_not_sent_is_answered(make: Maker, beyond: int) -> None:
    scene = make()
    before = scene.image()
    assert scene.hears(ACK, b"text", ack=scene.max + beyond) == [f"ACK seq={scene.max} ack={scene.nxt}"]
    assert scene.image() == before


# EP-ACK-8: which window is the newest


@pytest.mark.label("EP-ACK-8", "RFC9293-3.8.6-1", "BAD-WIN-8")
def test_ep_ack_8_an_older_segments_window_is_ignored() -> None:
    scene = established()
    scene.hears(ACK, b"0123456789", window=1000)  # WL1 is its number, 1
    scene.hears(ACK, b"x", seq=0 + 11, window=2000)
    scene.hears(ACK, b"789x", seq=8, window=3000)  # lower SEG.SEQ, though it overlaps nothing new
    assert scene.tcb.snd.wnd == 2000


@pytest.mark.label("EP-ACK-8", "RFC9293-3.8.6-1", "BAD-WIN-8")
def test_ep_ack_8_with_the_same_number_the_higher_ack_is_newer() -> None:
    scene = established()
    scene.sends(LARGE)
    scene.hears(ACK, ack=1001, window=5000)
    scene.hears(ACK, ack=1, window=9000)
    assert scene.tcb.snd.wnd == 5000
    scene.hears(ACK, ack=1001, window=4000)
    assert scene.tcb.snd.wnd == 4000
    scene.hears(ACK, ack=2001, window=3000)
    assert scene.tcb.snd.wnd == 3000


@pytest.mark.label("EP-ACK-8")
def test_ep_ack_8_wl1_is_the_number_before_trimming() -> None:
    scene = established()
    scene.hears(ACK, b"abc")
    scene.hears(ACK, b"abcdef", seq=1, window=7000)
    assert scene.tcb.snd.wl1 == scene.segment(ACK, seq=1).seq


@pytest.mark.label("EP-ACK-8")
def test_ep_ack_8_a_newer_number_counts_whatever_it_acknowledges() -> None:
    scene = established()
    scene.sends(b"hello")
    scene.hears(ACK, b"abc", ack=6, window=1000)
    scene.hears(ACK, b"d", ack=6, window=2000)
    assert scene.tcb.snd.wnd == 2000


# The FIN of ours


@pytest.mark.label("EP-ACK-9")
def test_ep_ack_9_fin_wait_1_waits_for_the_ack_of_the_fin_itself() -> None:
    scene = established()
    scene.connection.send(b"hello", scene.now)
    assert scene.closes() == ["FIN,PSH,ACK seq=1 ack=1 len=5"]
    scene.hears(ACK, ack=6)
    assert scene.state is FIN_WAIT_1
    scene.hears(ACK, ack=7)
    assert scene.state is FIN_WAIT_2


@pytest.mark.label("EP-ACK-9")
def test_ep_ack_9_before_the_fin_is_sent_nothing_acknowledges_it() -> None:
    scene = established()
    scene.hears(ACK, window=0)
    scene.connection.send(b"hello", scene.now)
    scene.closes()
    assert scene.state is FIN_WAIT_1
    assert scene.tcb.snd.fin_seq == NO_SEQUENCE
    scene.hears(ACK, window=0)
    assert scene.state is FIN_WAIT_1


@pytest.mark.label("EP-ACK-10", "EP-TMO-9")
def test_ep_ack_10_fin_wait_2_has_a_timer_only_when_orphaned() -> None:
    scene = states.fin_wait_2()
    assert scene.connection.next_timeout() == NEVER
    scene = fin_wait_1()
    scene.releases()
    scene.hears(ACK)
    assert scene.connection.next_timeout() == scene.now + 60 * SECOND


@pytest.mark.label("EP-ACK-11")
def test_ep_ack_11_close_wait_sends_on() -> None:
    scene = states.close_wait()
    assert scene.sends(b"more") == ["PSH,ACK seq=1 ack=2 len=4"]
    scene.hears(ACK)
    assert scene.una == 5


@pytest.mark.label("EP-ACK-12")
def test_ep_ack_12_closing_waits_for_the_ack_of_the_fin() -> None:
    scene = states.closing()
    scene.hears(ACK, ack=1)
    assert scene.state is CLOSING
    scene.hears(ACK, ack=2)
    assert scene.state is TIME_WAIT
    assert scene.connection.next_timeout() == scene.now + 240 * SECOND


def closing_behind_data() -> Scene:
    """Data and FIN of ours are on their way, and the peer's FIN came."""
    scene = established()
    scene.connection.send(LARGE, scene.now)
    scene.closes()
    scene.hears(FIN | ACK, ack=1)
    return scene


@pytest.mark.label("EP-ACK-12")
def test_ep_ack_12_data_before_our_fin_is_acknowledged_as_ever() -> None:
    """D-16."""
    scene = closing_behind_data()
    scene.hears(ACK, ack=1001)
    assert (scene.state, scene.una) == (CLOSING, 1001)
    assert scene.expires() == ["ACK seq=1001 ack=2 len=1000"]


@pytest.mark.label("EP-ACK-13")
def test_ep_ack_13_last_ack_waits_for_the_ack_of_the_fin() -> None:
    scene = states.close_wait()
    scene.connection.send(LARGE, scene.now)
    scene.closes()
    scene.hears(ACK, ack=1001)
    assert scene.una == 1001
    scene.hears(ACK, ack=1 + len(LARGE))
    assert scene.state is not CLOSED
    assert scene.hears(ACK) == []
    assert scene.state is CLOSED
    assert (scene.connection.error, scene.events()) == (None, ["Closed"])


@pytest.mark.label("EP-ACK-14", "EP-FIN-7")
@pytest.mark.parametrize("seq", [1, 2])
def test_ep_ack_14_a_fin_in_time_wait_restarts_it(seq: int) -> None:
    scene = time_wait()
    scene.passes(10 * SECOND)
    assert scene.hears(FIN | ACK, seq=seq) == ["ACK seq=2 ack=2"]
    assert scene.connection.next_timeout() == scene.now + 240 * SECOND


@pytest.mark.label("EP-ACK-15", "BAD-TW-1")
@pytest.mark.parametrize("ack", [2, 1])
def test_ep_ack_15_a_pure_ack_in_time_wait_is_dropped(ack: int) -> None:
    assert time_wait().ignores(ACK, ack=ack, window=states.WINDOW)


@pytest.mark.label("BAD-TW-1", "RFC1337-3", "EP-TXT-3")
@pytest.mark.parametrize("seq", [1, 2, -500])
def test_bad_tw_1_old_text_in_time_wait_is_answered_and_changes_nothing(seq: int) -> None:
    scene = time_wait()
    before = scene.image()
    assert scene.hears(ACK, b"old", seq=seq) == ["ACK seq=2 ack=2"]
    assert scene.image() == before


# ACK wars and floods


@pytest.mark.label("BAD-ACK-3")
def test_bad_ack_3_two_that_disagree_fight_no_war() -> None:
    """Each sees the other's ACK as unacceptable: without the throttle they would answer each other for
    ever.
    """
    left, right = established(irs=states.IRS), established(irs=states.IRS + 5000)
    exchanged = 0
    left.connection.segment_arrives(left.segment(ACK, seq=-9000), left.now)
    for _ in range(100):
        left.drain()
        for segment in left.sent:
            exchanged += 1
            right.connection.segment_arrives(segment, right.now)
        right.drain()
        for segment in right.sent:
            exchanged += 1
            left.connection.segment_arrives(segment, left.now)
    assert exchanged <= 2


@pytest.mark.label("BAD-ACK-9")
@pytest.mark.parametrize("outstanding", [b"", bytes(5 * MSS)])
@pytest.mark.soak
def test_bad_ack_9_a_flood_of_duplicate_acks_is_harmless(outstanding: bytes) -> None:
    scene = established()
    scene.sends(outstanding + bytes(50_000) if outstanding else b"")
    window, deadline = scene.tcb.ensure_controller().window, scene.tcb.timers.due(RETRANSMISSION)
    sent = 0
    for _ in range(10_000):
        sent += len(scene.hears(ACK, ack=1))
    assert sent <= (60 if outstanding else 0)
    assert scene.tcb.ensure_controller().window <= window
    assert scene.tcb.ensure_recovery().inflation <= scene.tcb.snd.flight
    assert scene.tcb.timers.due(RETRANSMISSION) == deadline


@pytest.mark.label("BAD-CC-3")
def test_bad_cc_3_an_optimistic_ack_gains_nothing() -> None:
    scene = established()
    scene.sends(LARGE)
    window = scene.tcb.ensure_controller().window
    scene.hears(ACK, ack=scene.max + 1)
    assert scene.una == 1
    assert scene.tcb.ensure_controller().window == window


@pytest.mark.label("BAD-CC-3")
def test_bad_cc_3_acks_ahead_of_delivery_let_out_no_more_than_the_window_that_is_told() -> None:
    """However fast they come, and however far the congestion window is led astray."""
    scene = established()
    scene.sends(bytes(64_000))
    for _ in range(30):
        scene.connection.send(bytes(64_000), scene.now)
        scene.hears(ACK, ack=scene.max, window=20_000)
        assert 0 < scene.tcb.snd.flight <= 20_000
    assert scene.tcb.ensure_controller().window > 20_000


def test_a_syn_among_duplicates_is_no_sign_of_loss() -> None:
    scene = established()
    scene.sends(LARGE)
    for _ in range(5):
        scene.hears(SYN | ACK, ack=1)
        scene.hears(FIN | ACK, ack=1, seq=scene.nxt + 10)
    assert not scene.tcb.ensure_recovery().is_active


@pytest.mark.label("EP-ACK-15", "RFC9293-3.5.2-3")
def test_ep_ack_15_only_the_number_that_another_time_wait_would_send_is_passed_over() -> None:
    scene = time_wait()
    deadline = scene.connection.next_timeout()
    assert scene.hears(ACK) == []
    assert scene.hears(ACK, seq=scene.nxt + 1) == ["ACK seq=2 ack=2"]
    assert scene.hears(ACK, seq=scene.nxt + 1) == []  # EP-CHL-1
    assert scene.connection.next_timeout() == deadline
