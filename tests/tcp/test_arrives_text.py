"""SEGMENT ARRIVES, sixth to eighth check: rules EP-URG, EP-TXT, EP-FIN (RFC 9293, 3.10.7.4)."""

from dataclasses import replace

import pytest

from postel.errors import ConnectionReset
from postel.tcp import prediction
from postel.tcp.memory import Memory
from postel.tcp.reassembly import PIECE, QUEUE
from postel.tcp.state import CLOSE_WAIT, CLOSED, CLOSING, ESTABLISHED, FIN_WAIT_2, TIME_WAIT
from postel.tcp.timers import TWO_MSL
from postel.testing import states
from postel.testing.states import (
    PLAIN,
    Maker,
    Peer,
    Scene,
    closing,
    established,
    fin_wait_1,
    fin_wait_2,
    last_ack,
    syn_received,
    time_wait,
)
from postel.times import MILLISECOND, NEVER, SECOND
from postel.wire.segment import ACK, FIN, PSH, RST, URG

READING = [established, fin_wait_1, fin_wait_2]
PAST_FIN = [states.close_wait, closing, last_ack, time_wait]


# The sixth check: URG


@pytest.mark.label("EP-URG-1", "MUST-30", "MUST-32", "MUST-33", "MUST-62", "RFC6093-5")
@pytest.mark.parametrize("make", READING)
def test_ep_urg_1_urgent_text_is_told_and_comes_in_line(make: Maker) -> None:
    scene = make()
    scene.hears(ACK | URG, b"abc!def", urgent=4)
    assert scene.events() == ["Urgent", "Readable"]
    assert scene.connection.urgent == 4  # octets until its end, MUST-33
    assert scene.reads(2) == b"ab"
    assert scene.connection.urgent == 2
    assert scene.reads(100) == b"c!def"
    assert scene.connection.urgent == 0


@pytest.mark.label("EP-URG-1", "MUST-32", "BAD-URG-3")
def test_ep_urg_1_each_advance_is_told_once() -> None:
    scene = established()
    scene.hears(ACK | URG, urgent=1000)
    assert scene.events() == ["Urgent"]
    scene.hears(ACK | URG, urgent=1000)
    assert scene.events() == []
    scene.hears(ACK | URG, urgent=1001)
    assert scene.events() == ["Urgent"]


@pytest.mark.label("MUST-31")
def test_must_31_urgent_data_may_be_longer_than_any_segment() -> None:
    scene = established()
    scene.hears(ACK | URG, bytes(1000), urgent=40_000)
    assert scene.connection.urgent == 40_000
    for _ in range(39):
        scene.hears(ACK | URG, bytes(1000), urgent=40_000 - (scene.nxt - 1))
    assert scene.events() == ["Urgent", "Readable"]
    scene.reads()
    assert scene.connection.urgent == 0


@pytest.mark.label("EP-URG-2")
@pytest.mark.parametrize("make", PAST_FIN)
def test_ep_urg_2_after_the_peers_fin_urgent_is_ignored(make: Maker) -> None:
    scene = make()
    scene.hears(ACK | URG, b"x", ack=1, urgent=1)
    assert "Urgent" not in scene.events()
    assert scene.connection.urgent == 0


@pytest.mark.label("EP-URG-3", "RFC9293-3.8.5-1", "BAD-URG-1")
@pytest.mark.parametrize("urgent", [0, 1, 7, 8, 65535])
def test_ep_urg_3_no_pointer_disturbs_delivery(urgent: int) -> None:
    scene = established()
    scene.hears(ACK | URG, b"0123456", urgent=urgent)
    assert scene.reads() == b"0123456"
    assert ("Urgent" in scene.events()) is (urgent > 0)


@pytest.mark.label("EP-URG-3", "RFC9293-3.8.5-1")
def test_ep_urg_3_a_receding_pointer_is_ignored() -> None:
    scene = established()
    scene.hears(ACK | URG, urgent=100)
    scene.events()
    scene.hears(ACK | URG, urgent=50)
    assert (scene.events(), scene.connection.urgent) == ([], 100)


@pytest.mark.label("EP-URG-3")
def test_ep_urg_3_a_pointer_to_what_was_read_is_ignored() -> None:
    scene = established()
    scene.hears(ACK, b"0123456789")
    scene.reads()
    scene.events()
    scene.hears(ACK | URG, b"89a", seq=9, urgent=2)
    assert scene.events() == ["Readable"]


@pytest.mark.label("EP-URG-4", "MUST-66")
def test_ep_urg_4_a_closed_window_lets_urgent_in() -> None:
    scene = established(replace(PLAIN, receive_buffer=10))
    scene.hears(ACK, b"0123456789")
    scene.events()
    scene.hears(ACK | URG, urgent=5)
    assert scene.events() == ["Urgent"]
    assert scene.connection.urgent == 15


@pytest.mark.label("BAD-URG-3")
@pytest.mark.parametrize("flags", [URG | ACK, URG | ACK | FIN, URG | ACK | PSH])
def test_bad_urg_3_urgent_on_any_segment_is_harmless(flags: int) -> None:
    for make in states.EVERY.values():
        scene = make()
        scene.hears(flags, urgent=5)
        assert scene.events().count("Urgent") <= 1


@pytest.mark.label("BAD-URG-4")
def test_bad_urg_4_a_reader_that_stops_at_the_mark_goes_on_behind_it() -> None:
    scene = established()
    scene.hears(ACK | URG, b"urgent, and more", urgent=6)
    assert scene.reads(scene.connection.urgent) == b"urgent"
    assert scene.connection.urgent == 0
    assert scene.reads() == b", and more"


# The seventh: text


@pytest.mark.label("EP-TXT-1", "SHLD-18", "SHLD-19", "MUST-40")
@pytest.mark.parametrize("make", READING)
def test_ep_txt_1_every_second_segment_is_acknowledged_at_once(make: Maker) -> None:
    scene = make()
    edge = scene.nxt + scene.tcb.rcv.wnd
    assert scene.hears(ACK, bytes(1000)) == []
    assert scene.nxt == 1001
    assert scene.nxt + scene.tcb.rcv.wnd == edge
    assert scene.hears(ACK, bytes(1000)) == [f"ACK seq={scene.max} ack=2001"]


@pytest.mark.label("EP-TXT-1", "EP-TMO-5", "MUST-40", "RFC5681-4.2a")
def test_ep_txt_1_one_segment_alone_is_acknowledged_within_the_delay() -> None:
    scene = established()
    scene.hears(ACK, b"hello")
    assert scene.connection.next_timeout() - scene.now == 40 * MILLISECOND
    assert scene.expires() == ["ACK seq=1 ack=6"]
    assert scene.connection.next_timeout() == NEVER


@pytest.mark.label("EP-TXT-1", "RFC5681-3.2b", "RFC5681-4.2b")
def test_ep_txt_1_a_closed_gap_is_acknowledged_at_once() -> None:
    scene = established()
    assert scene.hears(ACK, b"3", seq=3) == ["ACK seq=1 ack=1"]
    assert scene.hears(ACK, b"5", seq=5) == ["ACK seq=1 ack=1"]
    assert scene.hears(ACK, b"1") == ["ACK seq=1 ack=2"]
    assert scene.hears(ACK, b"2") == ["ACK seq=1 ack=4"]
    assert scene.hears(ACK, b"4") == ["ACK seq=1 ack=6"]
    assert scene.reads() == b"12345"


def test_ep_txt_1_a_peer_without_sack_gets_every_duplicate_ack() -> None:
    """MUST-58 aggregates, but this peer counts to three (RFC 5681, 3.2)."""
    scene = established()
    for number in range(3):
        scene.arrives(ACK, b"x", seq=3 + number)
    assert scene.drain() == ["ACK seq=1 ack=1"] * 3


@pytest.mark.label("EP-TXT-1")
def test_ep_txt_1_without_delay_each_segment_is_acknowledged() -> None:
    scene = established(replace(PLAIN, delayed_ack=0))
    assert scene.hears(ACK, b"a") == ["ACK seq=1 ack=2"]


@pytest.mark.label("EP-TXT-1", "RFC2525-2.13")
def test_ep_txt_1_the_ack_rides_on_text_of_ours() -> None:
    scene = established()
    scene.hears(ACK, b"request")
    assert scene.sends(b"answer") == ["PSH,ACK seq=1 ack=8 len=6"]
    assert scene.passes(100 * MILLISECOND) == []


@pytest.mark.label("EP-TXT-2")
@pytest.mark.parametrize("make", READING)
def test_ep_txt_2_no_more_than_the_window_is_taken(make: Maker) -> None:
    scene = make(replace(PLAIN, receive_buffer=10))
    scene.hears(ACK, b"0123456789more")
    assert (scene.nxt, scene.tcb.rcv.wnd) == (11, 0)
    assert scene.reads() == b"0123456789"


@pytest.mark.label("EP-TXT-2")
def test_ep_txt_2_text_ahead_is_cut_at_the_windows_end_too() -> None:
    scene = established(replace(PLAIN, receive_buffer=10))
    scene.hears(ACK, b"56789more", seq=6)
    scene.hears(ACK, b"01234")
    assert scene.reads() == b"0123456789"


@pytest.mark.label("EP-TXT-3")
@pytest.mark.parametrize("make", PAST_FIN)
def test_ep_txt_3_text_after_the_peers_fin_is_ignored_and_acknowledged(make: Maker) -> None:
    scene = make()
    before = scene.image()
    assert scene.hears(ACK, b"too late", ack=scene.una) == [f"ACK seq={scene.max} ack=2"]
    assert scene.image() == before


@pytest.mark.label("EP-TXT-4", "SHLD-3", "RFC2525-2.17", "RFC1122-4.2.2.13", "BAD-CLOSE-4", "MAY-1")
@pytest.mark.parametrize("make", [fin_wait_1, fin_wait_2])
def test_ep_txt_4_text_that_nobody_will_read_is_reset(make: Maker) -> None:
    scene = make()
    scene.releases()
    assert scene.hears(ACK, b"lost") == ["RST seq=2"]
    assert scene.state is CLOSED
    assert isinstance(scene.connection.error, ConnectionReset)


@pytest.mark.label("EP-TXT-5", "RFC9293-3.5-data-on-syn")
def test_ep_txt_5_text_is_not_delivered_before_established() -> None:
    scene = syn_received()
    scene.hears(ACK, b"injected", ack=99)
    assert scene.connection.readable == 0
    scene.hears(ACK, b"real")
    assert scene.reads() == b"real"


def test_text_that_memory_cannot_hold_comes_again() -> None:
    memory = Memory(10)
    scene = established(memory=memory)
    scene.hears(ACK, b"0123456789")
    assert scene.hears(ACK, b"more") == []
    assert (scene.nxt, memory.used, memory.refused) == (11, 10, 1)
    scene.reads()
    assert memory.used == 0
    scene.hears(ACK, b"more")
    assert scene.reads() == b"more"


@pytest.mark.label("BAD-SEQ-8")
def test_bad_seq_8_text_in_order_displaces_what_waits_behind_a_gap() -> None:
    memory = Memory(10 + 2 * PIECE + QUEUE)
    scene = established(memory=memory)
    scene.hears(ACK, b"fghij", seq=6)
    scene.hears(ACK, b"vwxyz", seq=22)
    assert memory.used == memory.limit
    scene.hears(ACK, b"ABCDE")
    assert scene.reads() == b"ABCDEfghij"
    assert memory.used == 0
    assert scene.tcb.rcv.reassembly is None
    scene.hears(ACK, b"klmnopqrst")
    scene.reads()
    scene.hears(ACK, b"uvwxyz")
    assert scene.reads() == b"uvwxyz"


def test_text_ahead_that_memory_cannot_hold_is_dropped() -> None:
    memory = Memory(3 + PIECE + QUEUE)
    scene = established(memory=memory)
    scene.hears(ACK, b"four", seq=5)
    assert scene.tcb.rcv.reassembly is None
    assert memory.used == 0


def displaced(memory: Memory) -> Scene:
    """Text waited behind a gap, and had to go for text in order, for which there was no room even so."""
    scene = established(replace(PLAIN, sack=True), Peer(sack=True), memory=memory)
    scene.hears(ACK, b"b", seq=2)
    assert scene.sent[0].sack
    scene.hears(ACK, bytes(memory.limit + 1))
    assert (scene.nxt, memory.used, list(memory.gaps)) == (1, 0, [])
    return scene


def test_a_queue_that_had_to_go_leaves_no_gap() -> None:
    """The peer sees it in ACKs that wait for one another again, and name no block."""
    scene = displaced(Memory(QUEUE + PIECE + 1))
    assert scene.tcb.rcv.reassembly is None
    segment = scene.segment(ACK, b"a")
    assert prediction.holds(scene.tcb, segment)
    assert scene.hears(ACK, b"a") == []
    assert scene.expires() == ["ACK seq=1 ack=2"]
    assert scene.sent[0].sack == ()


def test_a_queue_that_had_to_go_is_nothing_unread() -> None:
    assert displaced(Memory(QUEUE + PIECE + 1)).releases() == ["FIN,ACK seq=1 ack=1"]


# The eighth: FIN


@pytest.mark.label("EP-FIN-1")
@pytest.mark.parametrize("make", [states.closed, states.listen, states.syn_sent])
def test_ep_fin_1_where_nothing_validates_it_a_fin_is_not_processed(make: Maker) -> None:
    scene = make()
    before = scene.state
    for flags in (FIN, FIN | ACK):
        scene.hears(flags, ack=1)
        assert scene.state is before
        assert scene.events() == []
        assert not scene.tcb.rcv.fin_is_received


@pytest.mark.label("EP-FIN-2", "MUST-12")
@pytest.mark.parametrize("make", [established, syn_received])
def test_ep_fin_2_the_peer_closes(make: Maker) -> None:
    scene = make()
    assert scene.hears(FIN | ACK, b"bye") == ["ACK seq=1 ack=5"]
    assert scene.state is CLOSE_WAIT
    assert not scene.connection.at_end
    assert scene.reads() == b"bye"
    assert scene.connection.at_end
    assert scene.events()[-1] == "EndOfStream"


@pytest.mark.label("EP-FIN-3")
def test_ep_fin_3_a_fin_that_acknowledges_ours() -> None:
    scene = fin_wait_1()
    assert scene.hears(FIN | ACK) == ["ACK seq=2 ack=2"]
    assert scene.state is TIME_WAIT
    assert scene.connection.next_timeout() == scene.now + 240 * SECOND


@pytest.mark.label("EP-FIN-4")
def test_ep_fin_4_fins_cross() -> None:
    scene = fin_wait_1()
    assert scene.hears(FIN | ACK, ack=1) == ["ACK seq=2 ack=2"]
    assert scene.state is CLOSING


@pytest.mark.label("EP-FIN-5", "MUST-13")
def test_ep_fin_5_our_fin_came_first() -> None:
    scene = fin_wait_2(replace(PLAIN, keep_alive=True))
    scene.releases()
    assert scene.hears(FIN | ACK) == ["ACK seq=2 ack=2"]
    assert scene.state is TIME_WAIT
    timers = scene.tcb.timers
    assert timers.due(TWO_MSL) == scene.now + 240 * SECOND
    timers.stop(TWO_MSL)
    assert timers.next() == NEVER  # every other one stopped


@pytest.mark.label("EP-FIN-6")
@pytest.mark.parametrize("make", [states.close_wait, closing, last_ack])
@pytest.mark.parametrize("seq", [1, 2])
def test_ep_fin_6_a_second_fin_is_acknowledged_and_changes_nothing(make: Maker, seq: int) -> None:
    scene = make()
    before = scene.image()
    assert scene.hears(FIN | ACK, seq=seq, ack=1) == [f"ACK seq={scene.max} ack=2"]
    assert scene.image() == before


@pytest.mark.label("EP-FIN-8", "RFC5681-3.2a")
def test_ep_fin_8_a_fin_ahead_waits_for_the_gap_to_close() -> None:
    scene = established()
    assert scene.hears(FIN | ACK, b"world", seq=6) == ["ACK seq=1 ack=1"]
    assert scene.state is ESTABLISHED
    assert scene.hears(ACK, b"hello") == ["ACK seq=1 ack=12"]
    assert scene.state is CLOSE_WAIT
    assert scene.reads() == b"helloworld"


@pytest.mark.label("EP-FIN-8", "RFC5681-3.2a")
def test_ep_fin_8_a_fin_ahead_that_comes_again_is_acknowledged_again() -> None:
    scene = established()
    assert scene.hears(FIN | ACK, seq=6) == ["ACK seq=1 ack=1"]
    assert scene.hears(FIN | ACK, seq=6) == ["ACK seq=1 ack=1"]


@pytest.mark.label("EP-FIN-8")
def test_ep_fin_8_text_beyond_the_fin_is_discarded() -> None:
    scene = established()
    scene.hears(FIN | ACK, seq=6)
    scene.hears(ACK, b"beyond", seq=7)
    scene.hears(ACK, b"hello, and beyond")
    assert scene.reads() == b"hello"
    assert scene.state is CLOSE_WAIT


@pytest.mark.label("EP-FIN-8")
def test_ep_fin_8_a_fin_inside_text_that_came_first_is_not_believed() -> None:
    scene = established()
    scene.hears(ACK, b"beyond", seq=10)
    assert scene.hears(FIN | ACK, seq=6) == ["ACK seq=1 ack=1"]
    scene.hears(ACK, b"012345678")
    assert scene.reads() == b"012345678beyond"
    assert scene.state is ESTABLISHED


@pytest.mark.label("EP-FIN-8")
def test_ep_fin_8_in_fin_wait_2_too() -> None:
    scene = fin_wait_2()
    scene.hears(FIN | ACK, seq=2)
    assert scene.state is FIN_WAIT_2
    scene.hears(ACK, b"x")
    assert scene.state is TIME_WAIT


@pytest.mark.label("BAD-RST-2")
def test_a_reset_after_the_peers_fin_is_told_apart_from_it() -> None:
    """MUST-12."""
    scene = states.close_wait()
    scene.hears(RST)
    assert isinstance(scene.connection.error, ConnectionReset)
    assert scene.connection.at_end


def test_readable_is_told_when_text_arrives_and_not_after_a_read_that_left_some() -> None:
    scene = established()
    scene.hears(ACK, b"four")
    scene.arrives(ACK, b"more")
    scene.hears(ACK, b"text")
    assert scene.events() == ["Readable"]  # once for all that came before the drain
    assert scene.reads(2) == b"fo"
    assert (scene.events(), scene.connection.readable) == ([], 10)
    scene.hears(ACK, b"!")
    assert scene.events() == ["Readable"]
    assert scene.reads() == b"urmoretext!"
    assert scene.events() == []
