"""The sliding window of both sides (RFC 9293, 3.8.6; RFC 7323, 2)."""

from dataclasses import replace

import pytest

from postel.tcp.memory import Memory
from postel.tcp.timers import PERSIST
from postel.tcp.window import shift_for
from postel.testing import states
from postel.testing.states import PLAIN, Peer, Scene, established, established_active, listen, syn_sent
from postel.times import NEVER
from postel.wire.segment import ABSENT, ACK, FIN, SYN

SCALED = replace(PLAIN, window_scaling=True)


def advertised(scene: Scene) -> int:
    return scene.sent[-1].window << scene.tcb.rcv.shift


def edge(scene: Scene) -> int:
    return scene.nxt + scene.tcb.rcv.wnd


# What we advertise


@pytest.mark.label("SHLD-14", "RFC7323-2.4a")
def test_shld_14_the_right_edge_never_moves_back() -> None:
    scene = established(SCALED, Peer(window_scale=0))
    last = edge(scene)
    for number in range(200):
        scene.hears(ACK, bytes(999), seq=scene.nxt + (1 if number % 7 == 3 else 0))
        if number % 50 == 49:
            scene.reads(7777)
        assert edge(scene) >= last
        last = edge(scene)
        for segment in scene.sent:
            assert (
                states.sequence.distance(scene.irs, segment.ack) + (segment.window << scene.tcb.rcv.shift)
                <= last
            )


@pytest.mark.label("SHLD-14", "RFC7323-2.4a")
def test_shld_14_nor_when_the_host_runs_out_of_memory() -> None:
    memory = Memory(100_000)
    scene = established(memory=memory)
    before = edge(scene)
    memory.claim(99_000)
    scene.hears(ACK, b"x")
    scene.expires()
    assert edge(scene) == before
    assert advertised(scene) == 65535 - 1


@pytest.mark.label("MUST-39")
def test_must_39_small_reads_move_no_edge() -> None:
    scene = established(replace(PLAIN, receive_buffer=10_000))
    for _ in range(10):
        scene.hears(ACK, bytes(1000))
    assert advertised(scene) == 0
    scene.reads(1459)
    assert scene.drain() == []
    scene.reads(1)
    assert scene.drain() == ["ACK seq=1 ack=10001"]
    assert advertised(scene) == 1460


@pytest.mark.label("MUST-39")
def test_the_window_opens_no_wider_than_the_hosts_memory() -> None:
    scene = established(SCALED, Peer(window_scale=0), memory=Memory(80_000))
    scene.sends(b"x")
    assert 79_000 < advertised(scene) < 80_000


@pytest.mark.label("MUST-39")
def test_a_scaled_window_is_updated_by_halves_of_the_buffer() -> None:
    scene = established(replace(SCALED, receive_buffer=200_000), Peer(window_scale=0))
    while scene.tcb.rcv.wnd > 50_000:
        scene.hears(ACK, bytes(1000))
    scene.reads(scene.connection.readable - 40_000)
    assert scene.drain() != []
    scene.reads(30_000)
    assert scene.drain() == []


@pytest.mark.label("MUST-39")
def test_must_39_half_of_a_small_buffer_is_enough() -> None:
    scene = established(replace(PLAIN, receive_buffer=1000))
    scene.hears(ACK, bytes(1000))
    scene.expires()
    scene.reads(499)
    assert scene.drain() == []
    scene.reads(1)
    scene.drain()
    assert advertised(scene) == 500


@pytest.mark.label("MUST-39", "RFC5681-4.2b")
def test_a_window_that_is_wide_open_needs_no_update_for_each_read() -> None:
    scene = established()
    for _ in range(10):
        scene.hears(ACK, bytes(1000))
        scene.hears(ACK, bytes(1000))
        scene.reads()
        assert scene.drain() == []


@pytest.mark.label("BAD-WIN-10")
@pytest.mark.parametrize("size", [1, 2, 3, 100, 999])
def test_bad_win_10_a_tiny_buffer_makes_progress(size: int) -> None:
    scene = established(replace(PLAIN, receive_buffer=size))
    message = bytes(index % 251 for index in range(20 * size))
    received = b""
    for _ in range(100):
        window = scene.tcb.rcv.wnd
        if window:
            scene.hears(ACK, message[scene.nxt - 1 : scene.nxt - 1 + window])
        received += scene.reads(max(1, size // 2))
        scene.drain()
        if received == message:
            break
    assert received == message


@pytest.mark.label("MUST-1", "REC-1")
def test_must_1_the_field_is_unsigned() -> None:
    scene = established(peer=Peer(window=65535))
    scene.hears(ACK, window=65535)
    assert scene.tcb.snd.wnd == 65535
    scene.connection.send(bytes(100_000), scene.now)
    for _ in range(10):
        scene.drain()
        scene.hears(ACK, window=65535)
    assert scene.una == scene.max


@pytest.mark.label("REC-1", "RFC7323-2.3a")
def test_rec_1_windows_are_wide() -> None:
    scene = established(replace(SCALED, receive_buffer=1 << 30), Peer(window=65535, window_scale=14))
    scene.hears(ACK, b"x", window=65535)
    scene.expires()
    assert scene.tcb.snd.wnd == 65535 << 14 == scene.tcb.snd.max_wnd
    assert advertised(scene) > (1 << 30) - (1 << 15)


# Scaling


@pytest.mark.label("RFC7323-2.2a", "BAD-WS-2")
@pytest.mark.parametrize(("config", "offered"), [(SCALED, ABSENT), (PLAIN, 7)])
def test_rfc7323_2_2a_one_side_alone_scales_nothing(config: states.Config, offered: int) -> None:
    for scene in (
        established(config, Peer(window_scale=offered)),
        established_active(config, Peer(window_scale=offered)),
    ):
        assert (scene.tcb.snd.shift, scene.tcb.rcv.shift) == (0, 0)
        scene.hears(ACK, window=100)
        assert scene.tcb.snd.wnd == 100


@pytest.mark.label("RFC7323-2.2a")
def test_rfc7323_2_2a_the_answer_has_it_only_if_the_syn_had() -> None:
    scene = listen(SCALED)
    scene.hears(SYN)
    assert scene.sent[0].window_scale == ABSENT
    scene = listen(SCALED, Peer(window_scale=0))
    scene.hears(SYN)
    assert scene.sent[0].window_scale == 5


@pytest.mark.label("RFC7323-2.2b", "BAD-OPT-5", "EP-PRE-7", "RFC2018-2")
@pytest.mark.parametrize("make", [*states.SYNCHRONIZED.values()])
def test_bad_opt_5_options_of_a_syn_elsewhere_change_nothing(make: states.Maker) -> None:
    scene = make(SCALED, Peer(window_scale=3))
    segment = scene.segment(ACK)
    segment.mss, segment.window_scale, segment.sack_permitted = 77, 9, True
    scene.connection.segment_arrives(segment, scene.now)
    assert (scene.tcb.path.peer_mss, scene.tcb.snd.shift, scene.tcb.sack_agreed) == (1000, 3, False)


@pytest.mark.label("RFC7323-2.2c", "BAD-WS-3")
def test_rfc7323_2_2c_no_syn_is_scaled_in_either_direction() -> None:
    scene = syn_sent(SCALED, Peer(window=1000, window_scale=8))
    scene.hears(SYN | ACK)
    assert scene.tcb.snd.wnd == 1000
    scene = listen(SCALED, Peer(window=1000, window_scale=8))
    scene.hears(SYN)
    assert scene.sent[0].window == 65535
    assert scene.tcb.snd.wnd == 1000


@pytest.mark.label("RFC7323-2.3a")
def test_rfc7323_2_3a_everything_after_them_is() -> None:
    scene = established(SCALED, Peer(window=1000, window_scale=8))
    assert scene.tcb.snd.wnd == 256_000
    scene.hears(ACK, b"x")
    scene.expires()
    assert scene.sent[0].window == ((1 << 20) - 1) >> 5
    assert scene.tcb.rcv.wnd == scene.sent[0].window << 5


@pytest.mark.label("RFC7323-2.3b")
@pytest.mark.parametrize("offered", [14, 15, 255])
def test_rfc7323_2_3b_fourteen_is_the_most(offered: int) -> None:
    scene = established(SCALED, Peer(window_scale=offered))
    assert scene.tcb.snd.shift == 14
    said = [] if offered == 14 else [f"a window scale of {offered}; 14, the largest allowed, is used"]
    assert scene.watch.errors == said  # "SHOULD log the error"
    # Where no scale is agreed on there is no error
    assert established(PLAIN, Peer(window_scale=offered)).watch.errors == []


@pytest.mark.label("RFC7323-2.3b")
@pytest.mark.parametrize(("buffer", "shift"), [(1, 0), (65535, 0), (65536, 1), (1 << 20, 5), (1 << 30, 14)])
def test_the_scale_is_the_smallest_that_tells_the_buffer(buffer: int, shift: int) -> None:
    assert shift_for(buffer) == shift


def test_a_scaled_field_is_rounded_so_that_the_edge_stays() -> None:
    scene = established(SCALED, Peer(window_scale=0))
    scene.sends(b"x")
    before = edge(scene)
    scene.hears(ACK, b"seven!!")
    scene.expires()
    assert scene.nxt + advertised(scene) >= before


# What the peer advertises


def flying(octets: int, window: int) -> Scene:
    scene = established(peer=Peer(window=window))
    scene.sends(bytes(octets))
    return scene


@pytest.mark.label("MUST-34", "SHLD-15", "RFC7323-2.4b")
def test_must_34_a_window_that_shrinks_below_what_flies_is_borne() -> None:
    scene = flying(9000, 5000)
    assert scene.max == 5001
    assert scene.hears(ACK, ack=1001, window=1000) == []  # the usable window is -3000
    assert scene.hears(ACK, ack=2001, window=1000) == []
    assert scene.max == 5001


@pytest.mark.label("SHLD-16", "MUST-34", "RFC7323-2.4b")
def test_shld_16_what_lies_inside_goes_again() -> None:
    scene = flying(9000, 5000)
    scene.hears(ACK, ack=1001, window=1500)
    assert scene.expires() == ["ACK seq=1001 ack=1 len=1000"]
    scene = flying(9000, 5000)
    scene.hears(ACK, ack=1001, window=300)
    assert scene.expires() == ["ACK seq=1001 ack=1 len=300"]


@pytest.mark.label("SHLD-15", "RFC5681-2b")
def test_rfc5681_2b_nothing_goes_beyond_the_smaller_window() -> None:
    scene = established(peer=Peer(window=2500))
    scene.connection.send(bytes(20_000), scene.now)
    for _ in range(30):
        scene.drain()
        assert scene.max <= scene.una + 2500
        scene.hears(ACK)
    scene = established(peer=Peer(window=60_000))
    scene.sends(bytes(60_000))
    assert scene.max == scene.una + scene.tcb.ensure_controller().window


@pytest.mark.label("MUST-35", "MUST-36")
def test_must_35_shrunk_to_nothing_it_is_probed() -> None:
    scene = flying(9000, 5000)
    scene.hears(ACK, ack=1001, window=0)
    assert scene.expires() == ["ACK seq=1001 ack=1 len=1"]
    assert scene.tcb.snd.max == states.sequence.add(scene.tcb.snd.iss, 5001)
    assert scene.hears(ACK, ack=5001, window=5000)[0] == "ACK seq=5001 ack=1 len=1000"


@pytest.mark.label("MAY-7")
def test_may_7_what_was_lost_goes_again_even_beyond_an_edge_that_moved_back() -> None:
    """The peer held it when it fitted, and holds what lies behind it: to wait for the window would be to wait
    for this very segment.
    """
    scene = established(replace(PLAIN, sack=True), Peer(sack=True, window=9000))
    scene.sends(bytes(9000))
    lines: list[str] = []
    for right in (6001, 7001, 8001, 9001):
        lines += scene.hears(ACK, ack=1, window=1500, sack=((5001, right), (1001, 4001)))
    lines += scene.hears(ACK, ack=4001, window=500, sack=((5001, 9001),))
    assert lines == ["ACK seq=1 ack=1 len=1000", "ACK seq=4001 ack=1 len=1000"]
    assert scene.tcb.snd.wnd == 500  # so the last of them ends beyond SND.UNA + SND.WND


@pytest.mark.label("BAD-WIN-5")
def test_bad_win_5_a_closed_window_with_nothing_to_send_needs_no_timer() -> None:
    scene = flying(500, 5000)
    scene.hears(ACK, window=0)
    assert scene.connection.next_timeout() == NEVER
    scene.sends(b"now there is")
    assert scene.tcb.timers.due(PERSIST) < NEVER


def test_after_the_peers_fin_the_window_rests() -> None:
    scene = established(replace(PLAIN, receive_buffer=10))
    scene.hears(ACK, b"0123")
    scene.hears(FIN | ACK, b"456")
    before = edge(scene)
    scene.reads()
    assert scene.drain() == []
    assert edge(scene) == before


@pytest.mark.label("RFC7323-2.4a")
def test_rfc7323_2_4a_all_that_was_ever_offered_is_taken() -> None:
    memory = Memory(1 << 20)
    scene = established(memory=memory)
    scene.hears(ACK, b"x")
    scene.expires()
    memory.claim((1 << 20) - 70_000)
    scene.hears(ACK, b"end", seq=65535 - 2)  # the last octets of the first window
    assert scene.tcb.rcv.reassembly is not None
    assert scene.tcb.rcv.reassembly.held == 3
    assert PLAIN.receive_buffer == 1 << 20
