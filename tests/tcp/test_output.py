"""What goes next: segment sizes, Nagle, silly windows, PUSH and urgent (RFC 9293, 3.7, 3.8.6.2.1,
3.9.1.2).
"""

from dataclasses import replace

import pytest

from postel.errors import HostUnreachable
from postel.tcp.config import DEFAULT
from postel.tcp.congestion.reno import Reno
from postel.tcp.timers import PACING
from postel.testing import states
from postel.testing.states import MSS, PLAIN, Peer, Scene, established, listen, syn_sent
from postel.times import MILLISECOND, NEVER, SECOND
from postel.wire.address import Endpoint
from postel.wire.segment import ABSENT, ACK, FIN, PSH, RST, SYN, URG

EAGER = replace(PLAIN, nagle=False)
STAMPED = replace(DEFAULT, window_scaling=False)
SIX_LOCAL, SIX_REMOTE = (
    Endpoint(b"\xfd" + bytes(14) + b"\x01", 80),
    Endpoint(b"\xfd" + bytes(14) + b"\x02", 4000),
)


def sizes(scene: Scene) -> list[int]:
    return [len(segment.data) for segment in scene.sent]


# Segment size


@pytest.mark.label("MUST-14", "SHLD-5", "MAY-3", "MUST-67", "RFC6691-2")
@pytest.mark.parametrize(
    ("mtu", "expected"), [(1500, 1460), (576, 536), (9000, 8960), (1280, 1240), (68, 28)]
)
def test_must_67_what_we_announce_is_the_mtu_less_the_fixed_headers(mtu: int, expected: int) -> None:
    scene = states.closed(DEFAULT, Peer(tsval=1), mtu=mtu)
    scene.does(scene.connection.open_active)
    assert scene.sent[0].mss == expected  # though the SYN itself has 20 octets of options
    scene = listen(DEFAULT, Peer(tsval=1), mtu=mtu)
    scene.hears(SYN)
    assert scene.sent[0].mss == expected


@pytest.mark.label("MUST-67", "RFC6691-2")
def test_must_67_over_ipv6_the_header_is_longer() -> None:
    scene = states.closed(local=SIX_LOCAL, remote=SIX_REMOTE)
    scene.does(scene.connection.open_active)
    assert scene.sent[0].mss == 1440


@pytest.mark.label("MUST-15")
@pytest.mark.parametrize(
    ("options", "expected"), [({}, 536), ({"local": SIX_LOCAL, "remote": SIX_REMOTE}, 1220)]
)
def test_must_15_without_the_option_the_default(options: dict[str, Endpoint], expected: int) -> None:
    scene = established(peer=Peer(mss=ABSENT), **options)
    scene.sends(bytes(5000))
    assert max(sizes(scene)) == expected


@pytest.mark.label("MUST-14", "MUST-16")
def test_must_16_the_segment_is_what_the_peer_and_the_path_take_less_options() -> None:
    for peer, mtu, expected in ((1000, 1500, 988), (9000, 1500, 1448), (1460, 576, 524)):
        scene = established(STAMPED, Peer(mss=peer, tsval=1), mtu=mtu)
        scene.sends(bytes(20_000))
        assert max(sizes(scene)) == expected


@pytest.mark.label("BAD-MSS-3", "RFC6691-2", "MUST-16")
def test_bad_mss_3_no_segment_is_larger_than_the_path() -> None:
    scene = established(DEFAULT, Peer(mss=65535, tsval=1, sack=True, window_scale=4), mtu=1500)
    for position in (5000, 7000, 9000):
        scene.hears(ACK, b"x", seq=position)
        scene.sends(bytes(4000))
        for segment in scene.sent:
            options = 12 + (4 + 8 * len(segment.sack) if segment.sack else 0)
            assert 40 + options + len(segment.data) <= 1500


@pytest.mark.label("BAD-MSS-2")
@pytest.mark.parametrize("mss", [0, 1, 8, 12, 13, 48])
def test_bad_mss_2_a_tiny_segment_size_makes_tiny_progress(mss: int) -> None:
    scene = established(DEFAULT, Peer(mss=mss, tsval=1, sack=True))
    scene.connection.send(b"0123456789", scene.now)
    received = b""
    for _ in range(40):
        scene.drain()
        received += b"".join(segment.data for segment in scene.sent)
        scene.hears(ACK)
        received += b"".join(segment.data for segment in scene.sent)
        scene.now += 1
    assert received == b"0123456789"


@pytest.mark.label("MUST-65", "RFC2018-2", "RFC7323-2.2b")
def test_must_65_the_options_of_a_syn_stand_on_syns_alone() -> None:
    scene = established(DEFAULT, Peer(window_scale=1, sack=True, tsval=1))
    lines = scene.sends(b"text") + scene.hears(ACK, b"1") + scene.hears(ACK, b"2") + scene.closes()
    assert lines
    for segment in scene.sent:
        assert (segment.mss, segment.window_scale, segment.sack_permitted) == (ABSENT, ABSENT, False)


@pytest.mark.label("SHLD-28", "SHLD-27", "MAY-16")
def test_shld_28_segments_are_full_whatever_the_writes() -> None:
    scene = established()
    for _ in range(300):
        scene.connection.send(b"0123456789", scene.now)
    scene.drain()
    assert sizes(scene) == [1000, 1000, 1000]


# Nagle


@pytest.mark.label("SHLD-7")
def test_shld_7_while_something_flies_small_data_waits() -> None:
    scene = established()
    assert scene.sends(b"a") == ["PSH,ACK seq=1 ack=1 len=1"]
    assert scene.sends(b"b") == []
    assert scene.sends(b"c") == []
    assert scene.hears(ACK) == ["PSH,ACK seq=2 ack=1 len=2"]


def corked(**choices: bool) -> Scene:
    return established(replace(PLAIN, cork=True, **choices))  # type: ignore[arg-type]


@pytest.mark.parametrize("nagle", [True, False])
def test_a_cork_holds_small_data_though_nothing_flies(nagle: bool) -> None:
    scene = corked(nagle=nagle)
    assert scene.sends(b"head") == []
    assert scene.sends(bytes(996)) == ["PSH,ACK seq=1 ack=1 len=1000"]
    assert scene.sends(b"tail") == []
    assert scene.hears(ACK) == []


def test_a_cork_holds_it_for_200_ms_at_most() -> None:
    scene = corked()
    assert scene.sends(b"a") == []
    assert scene.passes(199 * MILLISECOND) == []
    assert scene.passes(1 * MILLISECOND) == ["PSH,ACK seq=1 ack=1 len=1"]
    assert scene.sends(b"b") == []
    assert scene.hears(ACK) == []
    assert scene.passes(200 * MILLISECOND) == ["PSH,ACK seq=2 ack=1 len=1"]


def test_what_a_cork_held_goes_when_it_is_taken_out() -> None:
    scene = corked()
    scene.sends(b"abc")
    assert scene.does(scene.connection.configure, replace(PLAIN, cork=False)) == ["PSH,ACK seq=1 ack=1 len=3"]


def test_a_cork_does_not_hold_what_the_window_alone_keeps_small() -> None:
    scene = established(replace(PLAIN, cork=True), Peer(window=600))
    assert scene.sends(bytes(5000)) == ["ACK seq=1 ack=1 len=600"]


def test_a_fin_goes_with_what_a_cork_held() -> None:
    scene = corked()
    scene.sends(b"abc")
    assert scene.closes() == ["FIN,PSH,ACK seq=1 ack=1 len=3"]


@pytest.mark.label("SHLD-7")
def test_shld_7_until_a_segment_is_full() -> None:
    scene = established()
    scene.sends(b"a")
    assert scene.sends(bytes(999)) == []
    assert scene.sends(bytes(1)) == ["PSH,ACK seq=2 ack=1 len=1000"]


@pytest.mark.label("MUST-17")
def test_must_17_it_can_be_switched_off() -> None:
    scene = established(EAGER)
    scene.sends(b"a")
    assert scene.sends(b"b") == ["PSH,ACK seq=2 ack=1 len=1"]


@pytest.mark.label("SHLD-7")
def test_shld_7_the_last_words_before_a_fin_wait_for_nothing() -> None:
    scene = established()
    scene.sends(b"a")
    scene.connection.send(b"b", scene.now)
    assert scene.closes() == ["FIN,PSH,ACK seq=2 ack=1 len=1"]


# Silly windows


@pytest.mark.label("MUST-38")
def test_must_38_a_small_opening_is_not_filled() -> None:
    scene = established(EAGER, Peer(window=4000))
    scene.sends(bytes(10_000))
    assert scene.max == 4001
    assert scene.hears(ACK, ack=1001, window=3200) == []  # 200 octets
    assert scene.hears(ACK, ack=2001, window=3000) == ["ACK seq=4001 ack=1 len=1000"]


@pytest.mark.label("MUST-38")
def test_must_38_half_of_the_largest_window_is_worth_a_segment() -> None:
    scene = established(EAGER, Peer(window=800))
    scene.connection.send(bytes(5000), scene.now)
    assert scene.drain() == ["ACK seq=1 ack=1 len=800"]
    assert scene.hears(ACK, window=399) == []
    assert scene.hears(ACK, window=400) == ["ACK seq=801 ack=1 len=400"]


@pytest.mark.label("MUST-38", "MUST-60", "EP-TMO-7")
def test_must_38_and_the_override_timer_breaks_the_tie() -> None:
    scene = established(EAGER, Peer(window=800))
    scene.hears(ACK, window=100)
    assert scene.sends(bytes(500)) == []
    assert 100 * MILLISECOND <= scene.connection.next_timeout() - scene.now <= SECOND
    assert scene.expires() == ["ACK seq=1 ack=1 len=100"]
    assert scene.hears(ACK, window=100) == []
    assert scene.expires() == ["ACK seq=101 ack=1 len=100"]


# PUSH


@pytest.mark.label("MUST-61", "MAY-15")
def test_must_61_push_marks_the_last_that_is_buffered() -> None:
    scene = established()
    scene.sends(bytes(2000))
    assert [segment.flags & PSH for segment in scene.sent] == [0, PSH]
    scene.hears(FIN | ACK)
    assert [segment.flags & PSH for segment in scene.sent] == [0]


@pytest.mark.label("MUST-60", "MAY-16")
def test_must_60_nothing_is_kept_back_for_ever() -> None:
    for make in (established, states.close_wait):
        scene = make()
        assert scene.sends(b"x") != []
        scene.sends(b"y")
        assert scene.expires() != []  # the RTO at the latest


@pytest.mark.label("SHLD-27")
def test_shld_27_a_retransmission_collapses_what_was_sent_in_pieces() -> None:
    scene = established(EAGER)
    for letter in (b"a", b"b", b"c"):
        scene.sends(letter)
    assert scene.expires() == ["PSH,ACK seq=1 ack=1 len=3"]


@pytest.mark.label("BAD-RES-3")
def test_bad_res_3_a_hundred_thousand_tiny_writes_are_full_segments() -> None:
    """They wait for the window, coalesce, and each ACK costs the same however many were written."""
    scene = established(replace(PLAIN, nagle=False))
    scene.tcb.ensure_controller().window = states.MSS
    scene.sends(bytes(states.MSS))
    for _ in range(100_000):
        scene.connection.send(b"x", scene.now)
    scene.tcb.ensure_controller().window = 50 * states.MSS
    scene.drain()
    count = len(scene.sent)
    while scene.una < scene.max:
        assert {len(segment.data) for segment in scene.sent} == {states.MSS}
        scene.hears(ACK)
        count += len(scene.sent)
    assert count == 100


# Urgent


@pytest.mark.label("MUST-62", "MUST-30", "MUST-31")
def test_must_62_the_pointer_names_the_octet_after_the_urgent_ones() -> None:
    scene = established()
    scene.sends(bytes(2500), urgent=True)
    assert [(bool(segment.flags & URG), segment.urgent) for segment in scene.sent] == [
        (True, 2500),
        (True, 1500),
    ]
    scene.hears(ACK)
    assert [(bool(segment.flags & URG), segment.urgent) for segment in scene.sent] == [(True, 500)]


@pytest.mark.label("MUST-31", "MUST-62", "RFC7323-A")
def test_must_31_it_points_no_farther_than_its_field() -> None:
    scene = established()
    scene.sends(bytes(100_000), urgent=True)
    assert {segment.urgent for segment in scene.sent} == {65535}


@pytest.mark.label("MUST-30")
def test_must_30_what_was_urgent_stays_so_in_retransmissions_and_acks() -> None:
    scene = established(peer=Peer(window=0))
    scene.sends(b"now!", urgent=True)
    scene.hears(ACK, b"text")
    assert scene.expires() == ["ACK,URG seq=1 ack=5"]
    assert scene.expires() == ["ACK,URG seq=1 ack=5 len=1"]
    assert scene.sent[0].urgent == 4
    scene.hears(ACK, window=100)
    scene.hears(ACK, window=100)
    scene.sends(b"calm")
    assert not scene.sent[0].flags & URG


# The order


def test_an_ack_that_tells_of_a_gap_goes_alone() -> None:
    scene = established(DEFAULT, Peer(sack=True, tsval=1))
    scene.arrives(ACK, b"ahead", seq=10)
    scene.connection.send(b"text", scene.now)
    assert scene.drain() == ["ACK seq=1 ack=1", "PSH,ACK seq=1 ack=1 len=4"]
    assert scene.sent[0].sack


def test_draining_again_gives_nothing() -> None:
    for make in states.EVERY.values():
        scene = make()
        for flags in (SYN, ACK, FIN | ACK, RST):
            scene.hears(flags, b"x")
            assert scene.drain() == []


def test_resets_that_are_owed_are_bounded() -> None:
    scene = states.closed()
    for _ in range(1000):
        scene.arrives(ACK, ack=1)
    assert len(scene.drain()) <= 8


def test_nothing_is_sent_in_listen_and_closed() -> None:
    for scene in (listen(), states.closed()):
        scene.connection.handle_timeout(scene.now)
        assert scene.drain() == []


# A smaller path


@pytest.mark.label("RFC8201-5.4", "RFC5927-4.1", "RFC7323-5.7")
def test_rfc8201_5_4_too_big_is_sent_again_smaller_and_costs_no_window() -> None:
    scene = established(peer=Peer(mss=1460))
    scene.sends(bytes(4380))
    window = scene.tcb.ensure_controller().window
    assert scene.connection.packet_too_big(1000, scene.tcb.snd.una, scene.now)
    scene.drain()
    assert max(sizes(scene)) == 960
    assert scene.sent[0].seq == scene.tcb.snd.una
    assert scene.tcb.ensure_controller().window == window
    assert scene.tcb.ensure_controller().smss == 960


@pytest.mark.label("RFC1191-6.4")
def test_rfc1191_6_4_one_message_more_is_no_retransmission_more() -> None:
    scene = established(peer=Peer(mss=1460))
    scene.sends(bytes(4380))
    una = scene.tcb.snd.una
    assert scene.connection.packet_too_big(1000, una, scene.now)
    assert len(scene.drain()) == 5  # what flew, in smaller segments, once
    for number in (una, states.sequence.add(una, 1460), states.sequence.add(una, 2920)):
        assert not scene.connection.packet_too_big(1000, number, scene.now)
        assert scene.drain() == []


@pytest.mark.label("RFC5927-4.1", "BAD-ICMP-2")
@pytest.mark.parametrize("offset", [-1, 4380, 1 << 31])
def test_rfc5927_4_1_only_about_what_flies(offset: int) -> None:
    scene = established(peer=Peer(mss=1460))
    scene.sends(bytes(4380))
    number = states.sequence.add(scene.tcb.snd.una, offset)
    before = scene.image()
    assert not scene.connection.packet_too_big(1000, number, scene.now)
    scene.connection.network_error(HostUnreachable(), scene.now, hard=True, number=number)
    assert scene.image() == before


@pytest.mark.parametrize("mtu", [1500, 9000])
def test_a_path_never_grows_by_it(mtu: int) -> None:
    scene = established(peer=Peer(mss=1460))
    scene.sends(bytes(4380))
    assert not scene.connection.packet_too_big(mtu, scene.tcb.snd.una, scene.now)


def test_a_path_known_before_counts_from_the_start() -> None:
    scene = syn_sent(peer=Peer(mss=1460))
    scene.connection.path_mtu(600, scene.now)
    scene.hears(SYN | ACK)
    scene.sends(bytes(2000))
    assert max(sizes(scene)) == 560
    assert scene.connection.next_timeout() < NEVER


# Pacing


class Paced(Reno):
    """A megabyte a second."""

    def __init__(self, smss: int, initial_window: int, seed: int) -> None:
        super().__init__(smss, initial_window, seed)
        self.pacing_rate = 1000 * MSS


@pytest.mark.label("MAY-18")
def test_a_pacing_rate_spreads_what_the_window_allows() -> None:
    scene = established(replace(PLAIN, congestion=Paced))
    assert len(scene.sends(bytes(20 * MSS))) == 2  # one, and one by the credit of a clock that wakes late
    assert scene.tcb.timers.due(PACING) == scene.now + MILLISECOND
    for _ in range(8):
        assert len(scene.expires()) == 1
    assert scene.tcb.snd.flight == 10 * MSS
    assert not scene.tcb.timers.is_running(PACING) or scene.expires() == []


def test_what_is_lost_is_paced_too() -> None:
    scene = established(replace(PLAIN, congestion=Paced))
    scene.sends(bytes(20 * MSS))
    scene.passes(20 * MILLISECOND)
    scene.tcb.snd.paced_until = scene.now + 5 * MILLISECOND
    for _ in range(3):
        assert scene.hears(ACK, ack=1) == []
    assert scene.passes(5 * MILLISECOND)[0] == "ACK seq=1 ack=1 len=1000"


# Many small writes


@pytest.mark.label("BAD-RES-3")
def test_bad_res_3_a_hundred_thousand_writes_of_one_octet_leave_in_whole_segments() -> None:
    """The first octet goes alone, for Nagle had nothing to wait for; a timeout sends whole segments again,
    and an ACK may cut anywhere.
    """
    scene = established(peer=Peer(window=65535))
    for number in range(100_000):
        assert scene.connection.send(bytes((number % 251,)), scene.now) == 1
    lines = scene.drain()
    arrived = b"".join(segment.data for segment in scene.sent)
    while scene.tcb.snd.buffer.size:
        lines += scene.hears(ACK, ack=scene.max - 1 if scene.tcb.snd.flight > 1 else scene.max, window=65535)
        arrived += b"".join(segment.data for segment in scene.sent)
    assert arrived == bytes(number % 251 for number in range(100_000))
    assert len(lines) <= 100_000 // MSS + 20


@pytest.mark.label("BAD-RES-3")
def test_bad_res_3_and_go_again_in_whole_segments() -> None:
    scene = established(peer=Peer(window=65535))
    for _ in range(5000):
        scene.sends(b"x")
    assert scene.tcb.snd.flight == 1 + 4 * MSS  # Nagle holds what is less
    scene.expires()
    assert len(scene.sent[0].data) == MSS
