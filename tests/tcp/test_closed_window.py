"""Numbers beyond a closed window: which ones we send (EP-SEQ-5), and which ones we hear (MUST-66)."""

from dataclasses import replace

import pytest

from postel.tcp.state import CLOSED, ESTABLISHED, SYN_RECEIVED
from postel.testing import states
from postel.testing.states import PLAIN, Peer, Scene, established
from postel.times import SECOND
from postel.wire.segment import ACK, FIN, PSH, RST, SYN, URG

SMALL = replace(PLAIN, receive_buffer=10)
SCALED = replace(PLAIN, window_scaling=True)
SEGMENT = 1460
JOINED = 65_535


def probed(config: states.Config = PLAIN, peer: Peer | None = None) -> Scene:
    """The peer's window is closed, and a probe has gone beyond it: SND.UNA = 1001, SND.MAX = 1002."""
    scene = established(config, peer or Peer(window=1000))
    scene.sends(bytes(5000))
    scene.hears(ACK, window=0)
    assert scene.expires() == ["ACK seq=1001 ack=1 len=1"]
    assert (scene.una, scene.max) == (1001, 1002)
    return scene


def full(config: states.Config = SMALL, peer: Peer | None = None) -> Scene:
    """Our window is closed: RCV.NXT = 11. Five octets of ours are in flight."""
    scene = established(config, peer)
    scene.hears(ACK, b"0123456789")
    scene.sends(b"hello")
    scene.events()
    return scene


# What we send


@pytest.mark.label("EP-SEQ-5")
def test_an_ack_stands_at_the_right_edge_of_a_closed_window() -> None:
    scene = probed()
    scene.arrives(ACK, b"text", ack=1001, window=0)
    scene.arrives(ACK, b"text", ack=1001, window=0)
    assert scene.drain() == ["ACK seq=1001 ack=9"]


@pytest.mark.label("EP-SEQ-5", "EP-ABORT-4")
def test_a_reset_stands_at_the_right_edge_of_a_closed_window() -> None:
    assert probed().aborts() == ["RST seq=1001"]


@pytest.mark.label("EP-SEQ-5", "EP-ABORT-4")
@pytest.mark.parametrize(("una", "window"), [(1, 0), (1, 1), (1001, 500), (2001, 2999)])
def test_so_they_do_where_a_window_shrank(una: int, window: int) -> None:
    scene = established(peer=Peer(window=5000))
    scene.sends(bytes(9000))
    scene.hears(ACK, ack=una, window=window)
    assert scene.max == 5001
    scene.arrives(ACK, b"text", ack=una, window=window)
    scene.arrives(ACK, b"text", ack=una, window=window)
    assert scene.drain()[-1] == f"ACK seq={una + window} ack=9"
    assert scene.aborts() == [f"RST seq={una + window}"]


@pytest.mark.label("EP-SEQ-5")
def test_an_open_window_leaves_them_at_snd_max() -> None:
    scene = established(peer=Peer(window=5000))
    scene.sends(bytes(5000))
    scene.arrives(ACK, b"text", ack=1, window=5000)
    scene.arrives(ACK, b"text", ack=1, window=5000)
    assert scene.drain() == ["ACK seq=5001 ack=9"]
    assert scene.aborts() == ["RST seq=5001"]


@pytest.mark.label("RFC7323-2.4b")
def test_an_edge_that_was_only_rounded_is_none() -> None:
    """The window field counts units of 128 octets: 4,900 octets are told as 4,864, and the text up to the old
    edge is taken.
    """
    scene = established(SCALED, Peer(mss=512, window=5120, window_scale=7))
    scene.hears(ACK, window=40)
    scene.sends(bytes(9000))
    assert scene.max == 5121
    scene.arrives(ACK, b"text", ack=221, window=38)
    scene.arrives(ACK, b"text", ack=221, window=38)
    assert scene.drain() == ["ACK seq=5121 ack=9"]
    scene.hears(ACK, ack=221, window=37)
    assert scene.aborts() == ["RST seq=4957"]


@pytest.mark.label("RFC7323-2.4b", "EP-SEQ-5")
def test_nor_is_a_probe_taken_for_rounding() -> None:
    scene = established(SCALED, Peer(mss=512, window=1024, window_scale=7))
    scene.hears(ACK, window=8)
    scene.sends(bytes(5000))
    scene.hears(ACK, window=0)
    scene.expires()
    assert (scene.una, scene.max) == (1025, 1026)
    assert scene.aborts() == ["RST seq=1025"]


@pytest.mark.label("EP-SEQ-5")
def test_a_fin_that_probes_is_beyond_the_window_too() -> None:
    scene = established(peer=Peer(window=1000))
    scene.sends(bytes(1000))
    scene.hears(ACK, window=0)
    scene.closes()
    assert scene.expires() == ["FIN,ACK seq=1001 ack=1"]
    scene.arrives(ACK, b"text", ack=1001, window=0)
    scene.arrives(ACK, b"text", ack=1001, window=0)
    assert scene.drain() == ["ACK seq=1001 ack=9"]
    assert scene.aborts() == ["RST seq=1001"]


@pytest.mark.label("EP-ABORT-4")
def test_a_syn_is_before_the_window() -> None:
    """A peer that offers no window at first takes what follows our SYN."""
    scene = states.syn_received(peer=Peer(window=0))
    assert scene.state is SYN_RECEIVED
    assert scene.aborts() == ["RST seq=1"]


@pytest.mark.label("SHLD-12", "EP-TMO-6")
def test_a_keep_alive_is_left_of_a_closed_window() -> None:
    scene = established(replace(PLAIN, keep_alive=True, keep_alive_idle=SECOND))
    scene.hears(ACK, window=0)
    assert scene.expires() == ["ACK seq=0 ack=1"]


@pytest.mark.label("MAY-7", "EP-SEQ-5")
def test_an_ack_is_not_left_to_text_beyond_the_window() -> None:
    """What was lost goes again beyond an edge that moved back; a peer that doesn't take it doesn't hear its
    ACK field either.
    """
    scene = established(replace(PLAIN, sack=True), Peer(sack=True, window=9000))
    scene.sends(bytes(9000))
    for right in (6001, 7001, 8001):
        scene.hears(ACK, ack=1, window=9000, sack=((5001, right),))
    for _ in range(2):
        scene.arrives(ACK, b"text", ack=1, window=500, sack=((5001, 9001),))
    assert scene.drain() == ["ACK seq=3001 ack=9 len=1000", "ACK seq=501 ack=9"]


# What we hear


@pytest.mark.label("EP-SEQ-5", "MUST-66")
@pytest.mark.parametrize("ahead", [0, 1, 2, SEGMENT, JOINED])
@pytest.mark.parametrize("data", [b"", b"!", b"!" * SEGMENT])
def test_an_ack_beyond_a_closed_window_is_heard(ahead: int, data: bytes) -> None:
    scene = full()
    answers = scene.hears(ACK | PSH, data, seq=11 + ahead, ack=6, window=77)
    assert scene.una == 6
    assert scene.tcb.snd.wnd == 77
    assert scene.connection.readable == 10
    assert answers == (["ACK seq=6 ack=11"] if data else [])


@pytest.mark.label("EP-SEQ-5", "MUST-66")
def test_text_that_reaches_into_a_closed_window_from_the_left_brings_its_ack() -> None:
    """As a sender joins what it sends again with what it sends anew."""
    scene = full()
    assert scene.hears(ACK, b"56789ABCDE", seq=6, ack=6) == ["ACK seq=6 ack=11"]
    assert scene.una == 6


@pytest.mark.label("EP-SEQ-5", "EP-ACK-8")
def test_the_window_of_a_later_segment_before_it_still_counts() -> None:
    """ACKs beyond a closed window don't move SND.WL1 beyond it; among them the one with the highest ACK
    counts.
    """
    scene = full()
    scene.hears(ACK, seq=12, ack=6, window=500)
    scene.hears(ACK, seq=12, ack=1, window=1)
    assert scene.tcb.snd.wnd == 500
    scene.hears(ACK, b"!", seq=11, ack=6, window=300)
    assert scene.tcb.snd.wnd == 300


@pytest.mark.label("EP-SEQ-5", "MUST-66")
def test_an_urgent_pointer_beyond_a_closed_window_is_heard() -> None:
    scene = full()
    scene.hears(ACK | URG, seq=12, ack=6, urgent=5)
    assert scene.events() == ["Urgent"]
    assert scene.connection.urgent == 10 + 1 + 5


@pytest.mark.label("EP-SEQ-5", "MUST-66", "EP-RST-9", "RFC5961-3.2c")
@pytest.mark.parametrize("flags", [RST, RST | ACK])
def test_a_reset_beyond_a_closed_window_is_challenged(flags: int) -> None:
    """RFC 5961, 3.2: only the exact number resets. The peer has forgotten the connection, and answers the
    challenge with that.
    """
    for ahead in (1, 2, SEGMENT, JOINED):
        scene = full()
        assert scene.hears(flags, seq=11 + ahead, ack=1) == ["ACK seq=6 ack=11"]
        assert scene.state is ESTABLISHED
        assert scene.hears(RST, seq=11) == []
        assert scene.state is CLOSED


@pytest.mark.label("EP-SEQ-3", "RFC5961-3.2a")
@pytest.mark.parametrize("ahead", [-1, -10, JOINED + 1, 1 << 31])
@pytest.mark.parametrize("data", [b"", b"!" * 100])
def test_a_reset_farther_off_is_dropped(ahead: int, data: bytes) -> None:
    assert full().ignores(RST, data, seq=11 + ahead)


@pytest.mark.label("EP-SEQ-4")
@pytest.mark.parametrize("ahead", [-1000, JOINED + 1, 1 << 31])
def test_an_ack_farther_off_is_not_heard(ahead: int) -> None:
    scene = full()
    assert scene.hears(ACK, seq=11 + ahead, ack=6) == ["ACK seq=6 ack=11"]
    assert scene.una == 1


@pytest.mark.label("EP-SYN-2", "RFC5961-4.2a")
def test_a_syn_beyond_a_closed_window_is_challenged() -> None:
    scene = full()
    assert scene.hears(SYN, seq=12) == ["ACK seq=6 ack=11"]
    assert scene.state is ESTABLISHED


@pytest.mark.label("EP-SEQ-5", "EP-FIN-8")
def test_a_fin_beyond_a_closed_window_waits() -> None:
    scene = full()
    assert scene.hears(FIN | ACK, seq=12, ack=6) == ["ACK seq=6 ack=11"]
    assert scene.state is ESTABLISHED
    assert scene.una == 6


@pytest.mark.label("EP-CHL-1")
def test_two_closed_windows_make_no_storm() -> None:
    """A bare ACK beyond a closed window isn't answered, or two ends would answer each other for ever."""
    scene = full()
    for _ in range(100):
        assert scene.hears(ACK, seq=12, ack=6) == []


@pytest.mark.label("EP-SEQ-5", "RFC7323-2.4a")
def test_a_window_that_is_told_as_closed_counts_as_closed() -> None:
    """What is left of it is less than the field's unit, and the peer can't know of it."""
    scene = established(replace(SCALED, receive_buffer=1000, scale_for=6 << 20), Peer(window_scale=0))
    scene.hears(ACK, bytes(1000))
    scene.sends(b"hello")
    assert scene.sent[0].window == 0
    scene.hears(ACK, seq=scene.nxt + SEGMENT, ack=6)
    assert scene.una == 6


@pytest.mark.label("EP-RST-8", "RFC5961-3.2a", "SHLD-2")
@pytest.mark.parametrize("make", [states.syn_received, *states.SYNCHRONIZED.values()])
@pytest.mark.parametrize("config", [PLAIN, SMALL])
def test_the_text_of_a_reset_says_nothing_of_its_place(make: states.Maker, config: states.Config) -> None:
    """Its number lies left of the window, its text reaches into it: it is outside the window, and dropped."""
    scene = make(config)
    for flags in (RST, RST | ACK):
        for before in (1, 10, 100):
            assert scene.ignores(flags, bytes(before + 5), seq=scene.nxt - before)
