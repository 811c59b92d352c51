"""SEGMENT ARRIVES in CLOSED, LISTEN and SYN-SENT: rules EP-CLO, EP-LIS, EP-SS (RFC 9293, 3.10.7.1 to
3.10.7.3).
"""

from dataclasses import replace

import pytest

from postel.errors import ConnectionRefused
from postel.tcp.config import DEFAULT
from postel.tcp.state import CLOSE_WAIT, CLOSED, ESTABLISHED, LISTEN, SYN_RECEIVED, SYN_SENT
from postel.tcp.timers import RETRANSMISSION
from postel.testing import states
from postel.testing.states import PLAIN, Peer, closed, established_active, listen, syn_received, syn_sent
from postel.wire.segment import ABSENT, ACK, FIN, PSH, RST, SYN, URG

NULL, FIN_ONLY, XMAS = 0, FIN, FIN | PSH | URG


# CLOSED


@pytest.mark.parametrize("flags", [RST, RST | ACK, RST | SYN])
def test_ep_clo_1_a_reset_is_dropped(flags: int) -> None:
    assert closed().ignores(flags)


@pytest.mark.label("RFC9293-3.5.2-1", "EP-CLO-2")
@pytest.mark.parametrize(
    ("flags", "data", "length"),
    [(SYN, b"", 1), (SYN | FIN, b"abc", 5), (FIN, b"", 1), (0, b"", 0), (PSH, b"abc", 3)],
)
def test_ep_clo_2_without_ack_the_reset_acknowledges_all_of_the_segment(
    flags: int, data: bytes, length: int
) -> None:
    assert closed().hears(flags, data, seq=0) == [f"RST,ACK seq=0 ack={length}"]


@pytest.mark.label("RFC9293-3.5.2-1", "EP-CLO-3")
@pytest.mark.parametrize("flags", [ACK, SYN | ACK, FIN | ACK, PSH | ACK])
def test_ep_clo_3_with_ack_the_reset_takes_its_number_from_it(flags: int) -> None:
    scene = closed()
    assert scene.hears(flags, ack=77) == ["RST seq=77"]
    assert (scene.sent[0].window, scene.sent[0].ack, scene.sent[0].data) == (0, 0, b"")


def test_a_reset_echoes_the_timestamp_of_what_it_answers() -> None:
    """RFC 7323, 5.2."""
    scene = closed()
    scene.hears(SYN, tsval=123)
    assert (scene.sent[0].tsval, scene.sent[0].tsecr) == (0, 123)
    scene.hears(SYN)
    assert scene.sent[0].tsval == ABSENT


@pytest.mark.label("BAD-HDR-6")
@pytest.mark.parametrize("flags", [NULL, FIN_ONLY, XMAS])
def test_bad_hdr_6_scans_find_nothing_but_the_reset_of_a_closed_port(flags: int) -> None:
    assert listen().ignores(flags)
    assert closed().hears(flags) == [f"RST,ACK seq=0 ack={int(flags & FIN > 0)}"]
    assert states.established().ignores(flags)


# LISTEN


@pytest.mark.parametrize("flags", [RST, RST | ACK, RST | SYN])
def test_ep_lis_1_a_reset_is_ignored(flags: int) -> None:
    assert listen().ignores(flags)


@pytest.mark.label("RFC9293-3.5.2-2", "EP-LIS-2")
@pytest.mark.parametrize("flags", [ACK, SYN | ACK, FIN | ACK])
def test_ep_lis_2_an_ack_is_reset_and_changes_nothing(flags: int) -> None:
    scene = listen()
    assert scene.hears(flags, ack=77) == ["RST seq=77"]
    assert scene.image() == listen().image()


def test_ep_lis_3_a_syn_is_answered_from_syn_received() -> None:
    scene = listen(DEFAULT, Peer(window_scale=7, sack=True, tsval=5, window=400))
    assert scene.hears(SYN) == ["SYN,ACK seq=0 ack=1"]
    assert scene.state is SYN_RECEIVED
    tcb, answer = scene.tcb, scene.sent[0]
    assert (scene.una, scene.max, scene.nxt) == (0, 1, 1)
    assert tcb.rcv.irs == states.IRS
    assert tcb.opening.is_passive
    assert tcb.timestamps.last_ack_sent == tcb.rcv.nxt
    assert (tcb.snd.wnd, tcb.snd.shift) == (400, 7)  # the window of a SYN isn't scaled
    assert (answer.mss, answer.window_scale, answer.sack_permitted, answer.tsecr) == (1460, 7, True, 5)
    assert answer.window == 0xFFFF
    assert scene.events() == []


@pytest.mark.label("EP-LIS-4", "BAD-HDR-7", "BAD-SEQ-9", "RFC9293-3.5-data-on-syn")
@pytest.mark.parametrize("flags", [SYN, SYN | FIN])
def test_ep_lis_4_text_and_fin_of_a_syn_count_once_and_after_the_handshake(flags: int) -> None:
    scene = listen()
    assert scene.hears(flags, b"early") == ["SYN,ACK seq=0 ack=1"]  # D-3: the peer sends them again
    assert scene.connection.readable == 0
    scene.hears(flags & FIN | ACK, b"early", seq=1)
    assert scene.reads() == b"early"
    assert scene.state is (CLOSE_WAIT if flags & FIN else ESTABLISHED)


@pytest.mark.parametrize("flags", [0, FIN, PSH | URG])
def test_ep_lis_6_anything_else_is_dropped(flags: int) -> None:
    assert listen().ignores(flags, b"text")


# SYN-SENT


@pytest.mark.label("RFC9293-3.5.2-2", "EP-SS-1", "BAD-ACK-8", "BAD-OPEN-4")
@pytest.mark.parametrize("ack", [0, -1, 2, 1000, -(1 << 31)])
@pytest.mark.parametrize("flags", [ACK, SYN | ACK, FIN | ACK])
def test_ep_ss_1_an_ack_of_what_was_not_sent_is_reset(flags: int, ack: int) -> None:
    scene = syn_sent()
    assert scene.hears(flags, ack=ack) == [f"RST seq={ack}"]
    assert scene.image() == syn_sent().image()


@pytest.mark.label("EP-SS-1", "BAD-RST-3", "RFC5961-3.2d", "RFC9293-3.5.3-1")
@pytest.mark.parametrize("ack", [0, -1, 2])
def test_ep_ss_1_a_reset_with_a_wrong_ack_is_dropped(ack: int) -> None:
    assert syn_sent().ignores(RST | ACK, ack=ack)


@pytest.mark.label("EP-SS-2", "EP-SS-3", "RFC5961-3.2d", "RFC9293-3.5.3-1", "BAD-CLOSE-7")
def test_ep_ss_3_a_reset_that_acknowledges_our_syn_refuses() -> None:
    scene = syn_sent()
    scene.connection.send(b"queued", scene.now)
    assert scene.hears(RST | ACK, seq=4711) == []
    assert scene.state is CLOSED
    assert isinstance(scene.connection.error, ConnectionRefused)
    assert [(type(event).__name__, event.error) for event in scene.all_events()] == [
        ("Closed", scene.connection.error)
    ]


@pytest.mark.label("EP-SS-4", "BAD-RST-3", "RFC5961-3.2d")
def test_ep_ss_4_a_reset_without_ack_is_dropped() -> None:
    assert syn_sent().ignores(RST)


@pytest.mark.label("EP-SS-5", "RFC1122-4.2.2.20c")
def test_ep_ss_5_syn_ack_establishes() -> None:
    scene = syn_sent(peer=Peer(window=321))
    assert scene.hears(SYN | ACK) == ["ACK seq=1 ack=1"]
    assert scene.state is ESTABLISHED
    snd = scene.tcb.snd
    assert (snd.wnd, snd.wl1, snd.wl2, snd.max_wnd) == (321, scene.tcb.rcv.irs, snd.una, 321)
    assert scene.una == 1
    assert scene.tcb.timers.due(RETRANSMISSION) == states.NEVER
    assert scene.events() == ["Opened"]


def test_ep_ss_5_queued_data_rides_on_the_ack() -> None:
    scene = syn_sent()
    assert scene.sends(b"hello") == []
    assert scene.hears(SYN | ACK) == ["PSH,ACK seq=1 ack=1 len=5"]


@pytest.mark.label("EP-SS-5", "RFC7323-2.2c", "BAD-WS-3")
def test_ep_ss_5_the_window_of_a_syn_ack_is_not_scaled() -> None:
    scene = syn_sent(DEFAULT, Peer(window=65535, window_scale=14, tsval=1))
    scene.connection.send(bytes(200_000), scene.now)
    scene.hears(SYN | ACK)
    assert scene.tcb.snd.wnd == 65535
    assert sum(len(segment.data) for segment in scene.sent) <= 65535


@pytest.mark.label("EP-SS-5", "BAD-SEQ-9", "BAD-HDR-7")
def test_ep_ss_5_text_urgent_and_fin_of_a_syn_ack_are_processed() -> None:
    scene = syn_sent()
    assert scene.hears(SYN | ACK | FIN | URG, b"hello", urgent=3) == ["ACK seq=1 ack=7"]
    assert scene.state is CLOSE_WAIT
    assert scene.reads() == b"hello"
    assert scene.events() == ["Opened", "Urgent", "Readable", "EndOfStream"]


@pytest.mark.label("EP-SS-6", "MUST-10")
def test_ep_ss_6_a_syn_alone_is_a_simultaneous_open() -> None:
    scene = syn_sent(peer=Peer(window=321))
    assert scene.hears(SYN) == ["SYN,ACK seq=0 ack=1"]
    assert scene.state is SYN_RECEIVED
    assert not scene.tcb.opening.is_passive
    snd = scene.tcb.snd
    assert (snd.wnd, snd.wl1, snd.wl2) == (321, scene.tcb.rcv.irs, snd.iss)  # D-5


@pytest.mark.label("EP-SS-6", "BAD-HDR-7", "RFC9293-3.5-data-on-syn")
def test_ep_ss_6_text_and_fin_of_that_syn_wait() -> None:
    scene = syn_sent()
    assert scene.hears(SYN | FIN, b"early") == ["SYN,ACK seq=0 ack=1"]
    assert scene.connection.readable == 0
    assert scene.hears(ACK | FIN, b"early", seq=1) == ["ACK seq=1 ack=7"]
    assert scene.reads() == b"early"


@pytest.mark.parametrize("flags", [0, ACK, FIN, PSH | ACK, FIN | ACK])
def test_ep_ss_7_and_8_neither_syn_nor_reset_is_dropped(flags: int) -> None:
    assert syn_sent().ignores(flags, b"text", seq=1)


@pytest.mark.label("BAD-OPEN-4")
def test_bad_open_4_an_old_syn_ack_then_the_real_one() -> None:
    scene = syn_sent()
    assert scene.hears(SYN | ACK, seq=-5000, ack=-300) == ["RST seq=-300"]
    assert scene.hears(SYN | ACK) == ["ACK seq=1 ack=1"]
    assert scene.state is ESTABLISHED


@pytest.mark.label("BAD-OPEN-4")
def test_bad_open_4_an_old_duplicate_syn_then_the_real_one() -> None:
    """Figure 8: the peer answers our SYN,ACK with RST, and its real SYN finds us listening."""
    scene = listen()
    assert scene.hears(SYN, seq=-70) == ["SYN,ACK seq=0 ack=-69"]
    assert scene.hears(RST, seq=-69) == []
    assert scene.state is LISTEN
    assert scene.hears(SYN) == ["SYN,ACK seq=0 ack=1"]
    scene.hears(ACK)
    assert scene.state is ESTABLISHED


@pytest.mark.label("MUST-10")
def test_must_10_a_simultaneous_open_ends_as_any_other() -> None:
    scene = states.syn_received_active()
    assert scene.hears(SYN | ACK, seq=0) == []  # figure 7
    assert scene.state is ESTABLISHED
    assert scene.events() == ["Opened"]
    scene.hears(ACK, b"hi")
    assert scene.reads() == b"hi"


def test_the_state_of_a_handshake_without_options_is_that_of_one_that_offers_them_in_vain() -> None:
    offered, plain = established_active(DEFAULT), established_active(PLAIN)
    assert offered.tcb.snd.shift == plain.tcb.snd.shift == offered.tcb.rcv.shift == 0
    assert not offered.tcb.timestamps.agreed
    assert not offered.tcb.sack_agreed


def test_nothing_of_a_failed_attempt_stays_in_listen() -> None:
    """EP-RST-3: the child is deleted. MUST-15 for the next peer, which offers nothing."""
    scene = syn_received(DEFAULT, Peer(mss=300, window_scale=9, sack=True, tsval=77))
    scene.hears(RST)
    scene.peer = Peer(mss=ABSENT)
    scene.hears(SYN)
    answer = scene.sent[0]
    assert (answer.window_scale, answer.tsval, answer.sack_permitted) == (ABSENT, ABSENT, False)
    assert scene.tcb.path.peer_mss == 536


@pytest.mark.label("EP-RST-3", "MUST-11")
def test_what_was_queued_for_a_failed_attempt_is_flushed() -> None:
    scene = syn_received()
    scene.connection.send(b"for somebody else", scene.now)
    scene.connection.close(scene.now)
    scene.hears(RST)
    scene.hears(SYN)
    assert scene.hears(ACK) == []
    assert scene.state is ESTABLISHED


@pytest.mark.label("MUST-11", "EP-OPEN-4")
def test_must_11_a_listener_that_opens_actively_is_no_longer_passive() -> None:
    scene = syn_received()
    scene.hears(RST)
    scene.does(scene.connection.open_active)
    scene.hears(SYN)
    scene.hears(RST)
    assert scene.state is CLOSED
    assert isinstance(scene.connection.error, ConnectionRefused)


@pytest.mark.label("BAD-HDR-10", "BAD-OPEN-2")
def test_bad_open_2_a_connection_to_itself_opens_once_and_is_quiet() -> None:
    """LAND: every segment of ours is also the one that arrives."""
    scene = syn_sent(replace(PLAIN, nagle=False), local=states.LOCAL, remote=states.LOCAL, irs=states.ISS)
    again = [scene.segment(SYN, ack=0)]
    exchanged = 0
    while again and exchanged < 100:
        exchanged += 1
        scene.connection.segment_arrives(again.pop(0), scene.now)
        scene.drain()
        again += scene.sent
    assert scene.state is ESTABLISHED
    assert exchanged < 5
    assert scene.state is not SYN_SENT


@pytest.mark.label("EP-SS-6", "RFC9293-3.5-data-on-syn", "MUST-10")
def test_ep_ss_6_text_of_a_crossing_syn_waits_for_established() -> None:
    scene = syn_sent()
    assert scene.hears(SYN, b"hey", seq=0, ack=0) == ["SYN,ACK seq=0 ack=1"]
    assert scene.connection.readable == 0
    scene.hears(ACK, b"!", seq=4, ack=1)
    assert scene.state is ESTABLISHED
    assert scene.reads() == b"hey!"


@pytest.mark.label("EP-SS-6", "EP-RST-4")
def test_ep_ss_6_text_of_a_crossing_syn_goes_with_a_refusal() -> None:
    scene = syn_sent()
    scene.hears(SYN, b"hey", seq=0, ack=0)
    scene.hears(RST, seq=1)
    assert scene.state is CLOSED
    assert scene.connection.readable == 0
