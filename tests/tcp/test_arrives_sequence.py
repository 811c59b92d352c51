"""SEGMENT ARRIVES, first, second and fourth check: rules EP-SEQ, EP-RST, EP-SYN (RFC 9293, 3.10.7.4, and RFC
5961).
"""

from dataclasses import replace

import pytest

from postel.errors import ConnectionRefused, ConnectionReset
from postel.tcp.arrives import is_acceptable
from postel.tcp.state import CLOSE_WAIT, CLOSED, ESTABLISHED, LISTEN, SYN_RECEIVED, TIME_WAIT
from postel.testing import states
from postel.testing.states import (
    PLAIN,
    SYNCHRONIZED,
    Maker,
    Peer,
    Scene,
    established,
    syn_received,
    syn_received_active,
    time_wait,
)
from postel.times import SECOND
from postel.wire.segment import ACK, FIN, PSH, RST, SYN, URG

SMALL = replace(PLAIN, receive_buffer=10)
ALL = [*SYNCHRONIZED.values()]
WITH_READERS = [states.established, states.fin_wait_1, states.fin_wait_2]
EXPECTED_RESET = [states.established, states.fin_wait_1, states.fin_wait_2, states.close_wait]


def full() -> Scene:
    """ESTABLISHED with a receive window of zero: ten octets fill it."""
    scene = established(SMALL)
    scene.hears(ACK, b"0123456789")
    scene.expires()
    scene.events()
    assert scene.tcb.rcv.wnd == 0
    assert scene.sent[0].window == 0
    return scene


# The first check: sequence number


@pytest.mark.label("EP-SEQ-1", "BAD-SEQ-2")
@pytest.mark.parametrize("data", [b"", b"x", b"x" * 10, b"x" * 11])
@pytest.mark.parametrize("seq", [0, 1, 10, 11, 12, 1 + (1 << 31)])
def test_ep_seq_1_table_6_in_every_corner(seq: int, data: bytes) -> None:
    """RCV.NXT is 1 and the window 10 octets: 1 to 10."""
    scene = established(SMALL)
    last = seq + len(data) - 1
    expected = (1 <= seq <= 10) or (len(data) > 0 and seq <= 10 and last >= 1)
    assert is_acceptable(scene.tcb, scene.segment(ACK, data, seq=seq)) is expected


@pytest.mark.label("EP-SEQ-1", "EP-SEQ-5")
@pytest.mark.parametrize("data", [b"", b"x"])
def test_ep_seq_1_a_closed_window_takes_rcv_nxt_alone(data: bytes) -> None:
    scene = full()
    for seq in (10, 11, 12):
        assert is_acceptable(scene.tcb, scene.segment(ACK, data, seq=seq)) is (seq == 11)


@pytest.mark.label("EP-SEQ-1")
def test_ep_seq_1_what_lies_left_of_the_window_is_cut_off() -> None:
    scene = established()
    scene.hears(ACK, b"abcdef")
    scene.hears(ACK, b"defghi", seq=4)
    assert scene.reads() == b"abcdefghi"


@pytest.mark.label("EP-SEQ-1", "EP-TXT-2")
def test_ep_seq_1_what_lies_right_of_the_window_is_cut_off_with_the_fin() -> None:
    scene = established(SMALL)
    assert scene.hears(FIN | ACK, b"0123456789ABC") == ["ACK seq=1 ack=11"]
    assert scene.nxt == 11
    assert scene.state is ESTABLISHED
    assert scene.reads() == b"0123456789"


@pytest.mark.label("EP-SEQ-2", "BAD-SEQ-3")
def test_ep_seq_2_a_segment_that_covers_the_window_on_both_sides_gives_its_middle() -> None:
    scene = established(SMALL)
    scene.hears(ACK, b"ab")
    scene.hears(ACK, b"ab01234567XYZ", seq=1)
    assert scene.reads() == b"ab01234567"


@pytest.mark.label("EP-SEQ-3", "EP-RST-1", "RFC5961-3.2a", "RFC9293-3.5.3-1")
@pytest.mark.parametrize("make", [syn_received, syn_received_active, *ALL])
@pytest.mark.parametrize("beyond", [-1, -1000, 70_000, 1 << 31])
def test_ep_seq_3_a_reset_outside_the_window_is_dropped(make: Maker, beyond: int) -> None:
    scene = make()
    assert scene.ignores(RST, seq=scene.nxt + beyond)
    assert scene.ignores(RST | ACK, seq=scene.nxt + beyond)


@pytest.mark.label("EP-SEQ-4", "RFC9293-3.5.2-3")
@pytest.mark.parametrize("make", [syn_received, syn_received_active, *ALL])
@pytest.mark.parametrize("beyond", [-1000, 70_000])
@pytest.mark.parametrize("data", [b"", b"text"])
def test_ep_seq_4_an_unacceptable_segment_gets_an_empty_ack(make: Maker, beyond: int, data: bytes) -> None:
    scene = make()
    before = scene.image()
    assert scene.hears(ACK, data, seq=scene.nxt + beyond) == [f"ACK seq={scene.max} ack={scene.nxt}"]
    assert scene.image() == before


@pytest.mark.label("EP-SEQ-5", "MUST-66", "BAD-WIN-4", "RFC9293-3.8.6.1-1")
def test_ep_seq_5_a_probe_of_a_closed_window_is_answered_with_a_closed_window() -> None:
    scene = full()
    assert scene.hears(ACK, b"!") == ["ACK seq=1 ack=11"]
    assert scene.sent[0].window == 0
    assert scene.connection.readable == 10


@pytest.mark.label("EP-SEQ-5", "BAD-CLOSE-3", "RFC9293-3.8.6.1-1")
@pytest.mark.parametrize("data", [b"", b"!"])
def test_ep_seq_5_a_fin_at_a_closed_window_is_answered_and_comes_again(data: bytes) -> None:
    scene = full()
    assert scene.hears(FIN | ACK, data) == ["ACK seq=1 ack=11"]
    assert scene.state is ESTABLISHED
    scene.reads()
    scene.drain()
    assert scene.hears(FIN | ACK, data) == [f"ACK seq=1 ack={12 + len(data)}"]
    assert scene.state is CLOSE_WAIT


@pytest.mark.label("EP-SEQ-5", "MUST-66", "BAD-WIN-4")
def test_ep_seq_5_ack_window_and_urgent_of_a_probe_count() -> None:
    scene = full()
    scene.sends(b"hello")
    scene.hears(ACK | URG, b"!", ack=6, window=77, urgent=1)
    assert scene.una == 6
    assert scene.tcb.snd.wnd == 77
    assert "Urgent" in scene.events()


@pytest.mark.label("EP-SEQ-6", "RFC9293-A.2")
@pytest.mark.parametrize("data", [b"", b"?"])
def test_ep_seq_6_the_ack_of_a_keep_alive_counts(data: bytes) -> None:
    scene = established()
    scene.sends(b"hello")
    assert scene.hears(ACK, data, seq=0, ack=6, window=99) == ["ACK seq=6 ack=1"]
    assert scene.una == 6


@pytest.mark.label("EP-SEQ-6", "RFC9293-A.2")
def test_ep_seq_6_simultaneous_close_with_the_fin_repeated() -> None:
    """Both FINs crossed and both ACKs were lost: the repeated FIN acknowledges ours."""
    scene = states.closing()
    assert scene.hears(FIN | ACK, seq=1, ack=2) == ["ACK seq=2 ack=2"]
    assert scene.state is TIME_WAIT


@pytest.mark.label("EP-SEQ-7", "EP-ACK-14", "EP-FIN-7")
def test_ep_seq_7_the_peers_fin_again_restarts_time_wait() -> None:
    scene = time_wait()
    scene.passes(100 * SECOND)
    assert scene.hears(FIN | ACK, seq=1) == ["ACK seq=2 ack=2"]
    assert scene.connection.next_timeout() == scene.now + 240 * SECOND


@pytest.mark.label("EP-SEQ-7")
@pytest.mark.parametrize("seq", [-5000, 100_000])
def test_ep_seq_7_a_fin_that_is_not_the_peers_does_not(seq: int) -> None:
    scene = time_wait()
    deadline = scene.connection.next_timeout()
    scene.passes(100 * SECOND)
    scene.hears(FIN | ACK, seq=seq)
    assert scene.connection.next_timeout() == deadline


@pytest.mark.label("EP-SEQ-8", "EP-SYN-4")
@pytest.mark.parametrize("make", [syn_received, syn_received_active])
def test_ep_seq_8_the_syn_again_gets_the_syn_ack_again(make: Maker) -> None:
    scene = make()
    scene.passes(100_000)
    assert scene.hears(SYN, seq=0) == ["SYN,ACK seq=0 ack=1"]
    assert scene.hears(SYN, seq=0) == []  # not more often than every half second
    assert scene.state is SYN_RECEIVED


@pytest.mark.label("EP-SEQ-10", "SHLD-31", "MAY-13", "RFC5681-3.2a")
@pytest.mark.parametrize("make", WITH_READERS)
def test_ep_seq_10_text_ahead_is_held_and_acknowledged_at_once(make: Maker) -> None:
    scene = make()
    assert scene.hears(ACK, b"world", seq=6) == [f"ACK seq={scene.max} ack=1"]
    assert scene.connection.readable == 0
    assert scene.hears(ACK, b"hello", seq=1) == [f"ACK seq={scene.max} ack=11"]  # RFC5681-3.2b
    assert scene.reads() == b"helloworld"


@pytest.mark.label("EP-SEQ-10")
def test_ep_seq_10_ack_window_and_urgent_of_text_ahead_count() -> None:
    scene = established()
    scene.sends(b"hello")
    scene.hears(ACK | URG, b"ahead", seq=100, ack=6, window=77, urgent=5)
    assert scene.una == 6
    assert scene.tcb.snd.wnd == 77
    assert scene.events() == ["Urgent"]


@pytest.mark.label("EP-SEQ-11")
def test_ep_seq_11_octets_that_came_first_stay() -> None:
    scene = established()
    scene.hears(ACK, b"CDE", seq=3)
    scene.hears(ACK, b"cdefg", seq=3)
    scene.hears(ACK, b"abxx", seq=1)
    assert scene.reads() == b"abCDEfg"


@pytest.mark.label("EP-SEQ-12", "MUST-58", "MUST-59")
def test_ep_seq_12_several_segments_at_once_get_one_ack() -> None:
    scene = established()
    for number in range(8):
        scene.arrives(ACK, bytes(1000), seq=1 + 1000 * number)
    assert scene.drain() == ["ACK seq=1 ack=8001"]


# The second check: RST


@pytest.mark.label("EP-RST-2", "RFC5961-3.2c")
@pytest.mark.parametrize(
    "make", [syn_received, syn_received_active, *(make for make in ALL if make is not time_wait)]
)
@pytest.mark.parametrize("flags", [RST, RST | ACK])
def test_ep_rst_2_in_the_window_but_not_at_its_edge_a_reset_is_challenged(make: Maker, flags: int) -> None:
    scene = make()
    before = scene.image()
    assert scene.hears(flags, seq=scene.nxt + 1) == [f"ACK seq={scene.max} ack={scene.nxt}"]
    assert scene.image() == before


@pytest.mark.label("EP-RST-3", "MUST-11")
def test_ep_rst_3_a_passive_opener_listens_again_and_nobody_is_told() -> None:
    scene = syn_received()
    assert scene.hears(RST) == []
    assert scene.state is LISTEN
    assert scene.events() == []
    assert scene.connection.next_timeout() == states.NEVER


@pytest.mark.label("EP-RST-4", "MUST-11")
def test_ep_rst_4_an_active_opener_is_refused() -> None:
    scene = syn_received_active()
    assert scene.hears(RST) == []
    assert scene.state is CLOSED
    assert isinstance(scene.connection.error, ConnectionRefused)


@pytest.mark.label("EP-RST-5", "RFC5961-3.2b", "MUST-12", "BAD-RST-2", "RFC9293-3.5.3-1")
@pytest.mark.parametrize("make", EXPECTED_RESET)
def test_ep_rst_5_a_reset_at_the_edge_ends_the_connection(make: Maker) -> None:
    scene = make()
    assert scene.hears(RST) == []
    assert scene.state is CLOSED
    assert isinstance(scene.connection.error, ConnectionReset)
    assert [(type(event).__name__, event.error) for event in scene.all_events()] == [
        ("Closed", scene.connection.error)
    ]
    assert scene.tcb.snd.buffer.size == 0


@pytest.mark.label("EP-RST-5", "BAD-RST-2")
def test_bad_rst_2_what_came_in_order_stays_readable_and_what_waited_goes() -> None:
    scene = established()
    scene.hears(ACK, b"in order")
    scene.hears(ACK, b"ahead", seq=20)
    scene.hears(RST)
    assert scene.reads() == b"in order"
    assert scene.tcb.rcv.reassembly is None
    with pytest.raises(ConnectionReset):
        scene.reads()


@pytest.mark.label("EP-RST-6", "BAD-RST-2")
@pytest.mark.parametrize("make", [states.closing, states.last_ack])
def test_ep_rst_6_after_both_fins_a_reset_is_no_error(make: Maker) -> None:
    scene = make()
    assert scene.hears(RST) == []
    assert scene.state is CLOSED
    assert scene.connection.error is None
    assert scene.events() == ["Closed"]


@pytest.mark.label("EP-RST-7", "RFC1337-3", "BAD-TW-1", "BAD-RST-2")
def test_ep_rst_7_time_wait_is_not_assassinated() -> None:
    assert time_wait().ignores(RST)


@pytest.mark.label("EP-RST-7")
def test_ep_rst_7_unless_the_user_wants_it_as_in_rfc_9293() -> None:
    scene = time_wait(replace(PLAIN, rfc1337=False))
    assert scene.hears(RST) == []
    assert scene.state is CLOSED
    assert scene.connection.error is None


@pytest.mark.label("EP-RST-8", "SHLD-2", "BAD-RST-2")
def test_ep_rst_8_text_on_a_reset_is_ignored() -> None:
    scene = established()
    scene.hears(RST | ACK, b"reason")
    assert scene.state is CLOSED
    assert scene.connection.readable == 0


@pytest.mark.label("EP-RST-9", "MUST-66", "BAD-RST-2", "BAD-WIN-4")
def test_ep_rst_9_a_closed_window_lets_resets_in() -> None:
    scene = full()
    scene.hears(RST)
    assert scene.state is CLOSED
    assert scene.reads() == b"0123456789"


# The fourth check: SYN


@pytest.mark.label("EP-SYN-1")
@pytest.mark.parametrize("flags", [SYN, SYN | ACK, SYN | FIN])
def test_ep_syn_1_a_passive_opener_listens_again(flags: int) -> None:
    scene = syn_received()
    assert scene.hears(flags, seq=scene.nxt + 5) == []
    assert scene.state is LISTEN


@pytest.mark.label("EP-SYN-2", "RFC5961-4.2", "BAD-SYN-1")
@pytest.mark.parametrize("make", [syn_received_active, *(make for make in ALL if make is not time_wait)])
@pytest.mark.parametrize("beyond", [-5000, -1, 0, 1, 5000, 100_000])
@pytest.mark.parametrize("flags", [SYN, SYN | ACK])
def test_ep_syn_2_a_syn_anywhere_is_challenged(make: Maker, beyond: int, flags: int) -> None:
    scene = make()
    if make is syn_received_active and beyond == -1:
        return  # that is SEG.SEQ = IRS: EP-SYN-4
    before = scene.image()
    assert scene.hears(flags, seq=scene.nxt + beyond) == [f"ACK seq={scene.max} ack={scene.nxt}"]
    assert scene.image() == before


@pytest.mark.label("EP-SYN-3", "BAD-TW-1")
@pytest.mark.parametrize("beyond", [-5000, 0, 5000])
def test_ep_syn_3_time_wait_that_may_not_be_reopened_challenges(beyond: int) -> None:
    scene = time_wait(replace(PLAIN, time_wait_reuse=False))
    assert scene.hears(SYN, seq=scene.nxt + beyond) == ["ACK seq=2 ack=2"]
    assert scene.state is TIME_WAIT


@pytest.mark.label("EP-SYN-4", "RFC9293-A.2")
def test_ep_syn_4_a_crossing_syn_ack_completes_a_simultaneous_open() -> None:
    scene = syn_received_active(peer=Peer(window=99))
    scene.hears(SYN | ACK, seq=0)
    assert scene.state is ESTABLISHED
    assert scene.una == 1
    assert scene.tcb.snd.wnd == 99


@pytest.mark.label("EP-SYN-4", "RFC7323-2.2c")
def test_ep_syn_4_its_window_is_not_scaled() -> None:
    config = replace(PLAIN, window_scaling=True)
    scene = syn_received_active(config, Peer(window=99, window_scale=7))
    scene.hears(SYN | ACK, seq=0)
    assert scene.tcb.snd.wnd == 99
    scene.hears(ACK)
    assert scene.tcb.snd.wnd == 99 << 7


@pytest.mark.label("EP-SYN-4", "BAD-ACK-8")
@pytest.mark.parametrize("ack", [0, -1, 2])
def test_ep_syn_4_with_a_wrong_ack_it_is_reset(ack: int) -> None:
    scene = syn_received_active()
    assert scene.hears(SYN | ACK, seq=0, ack=ack) == [f"RST seq={ack}"]
    assert scene.state is SYN_RECEIVED


@pytest.mark.label("EP-SYN-4")
def test_ep_syn_4_text_and_fin_of_that_syn_ack_count() -> None:
    scene = syn_received_active()
    assert scene.hears(SYN | ACK | FIN | PSH, b"hello", seq=0) == ["ACK seq=1 ack=7"]
    assert scene.reads() == b"hello"
    assert scene.state is CLOSE_WAIT


@pytest.mark.label("EP-SYN-4")
def test_ep_syn_4_a_passive_opener_answers_a_syn_ack_at_irs_with_an_ack() -> None:
    scene = syn_received()
    assert scene.hears(SYN | ACK, seq=0) == ["ACK seq=1 ack=1"]
    assert scene.state is SYN_RECEIVED
