"""What happens when a deadline passes: rules EP-TMO (RFC 9293, 3.10.8 and 3.8)."""

from dataclasses import replace

import pytest

from postel.errors import ConnectionTimedOut, HostUnreachable
from postel.tcp.config import DEFAULT
from postel.tcp.events import Trouble
from postel.tcp.state import CLOSED, ESTABLISHED, FIN_WAIT_1, FIN_WAIT_2, LAST_ACK, LISTEN, TIME_WAIT
from postel.tcp.timers import KEEP_ALIVE, PERSIST, RETRANSMISSION
from postel.testing import states
from postel.testing.states import EVERY, PLAIN, Maker, Peer, Scene, established, syn_received, syn_sent
from postel.times import HOUR, MILLISECOND, MINUTE, NEVER, SECOND
from postel.wire.segment import ACK
from tests.tcp.scenes import RENO

FOREVER = replace(PLAIN, user_timeout=NEVER)
KEEPS = replace(PLAIN, keep_alive=True, keep_alive_probes=3)


def intervals(scene: Scene, count: int) -> list[int]:
    """Between the next transmissions, in seconds."""
    found: list[int] = []
    last = scene.now
    while len(found) < count:
        if scene.expires():
            found.append((scene.now - last) // SECOND)
            last = scene.now
    return found


def ends(scene: Scene) -> int:
    """When the connection gives up, from now."""
    start = scene.now
    while scene.state not in (CLOSED, LISTEN):
        scene.expires()
    return scene.now - start


# The user timeout


@pytest.mark.label("EP-TMO-1", "MUST-20", "SHLD-11", "RFC9293-3.9.1.1-timeout")
@pytest.mark.parametrize("make", [established, states.close_wait])
def test_ep_tmo_1_five_minutes_of_silence_end_a_connection(make: Maker) -> None:
    scene = make()
    scene.sends(b"anybody?")
    scene.events()
    assert ends(scene) == 5 * MINUTE
    assert isinstance(scene.connection.error, ConnectionTimedOut)
    assert scene.events()[-1] == "Closed"
    assert scene.connection.unacknowledged == 0


@pytest.mark.label("EP-TMO-1", "BAD-CLOSE-6")
@pytest.mark.parametrize("make", [states.fin_wait_1, states.closing, states.last_ack])
def test_ep_tmo_1_closing_states_are_left_too(make: Maker) -> None:
    assert ends(make()) == 5 * MINUTE


@pytest.mark.label("EP-TMO-1", "MUST-21")
def test_ep_tmo_1_the_user_chooses_how_long() -> None:
    scene = established(replace(PLAIN, user_timeout=20 * SECOND))
    scene.sends(b"anybody?")
    assert ends(scene) == 20 * SECOND


@pytest.mark.label("EP-TMO-1", "MUST-21", "BAD-RTO-4")
def test_ep_tmo_1_even_for_ever() -> None:
    scene = established(FOREVER)
    scene.sends(b"anybody?")
    scene.passes(100 * HOUR)
    assert scene.state is ESTABLISHED
    assert scene.connection.next_timeout() - scene.now <= MINUTE
    assert scene.expires() == ["PSH,ACK seq=1 ack=1 len=8"]
    scene.hears(ACK)
    assert scene.connection.next_timeout() == NEVER


@pytest.mark.label("EP-TMO-1")
def test_ep_tmo_1_each_progress_begins_it_anew() -> None:
    scene = established()
    scene.sends(bytes(3000))
    scene.passes(4 * MINUTE)
    scene.hears(ACK, ack=1001)
    assert ends(scene) == 5 * MINUTE


@pytest.mark.label("EP-TMO-1")
def test_ep_tmo_1_no_courtesy_reset_is_sent() -> None:
    scene = established()
    scene.sends(b"anybody?")
    ends(scene)
    assert scene.sent == []


@pytest.mark.label("MUST-22", "MUST-23", "EP-TMO-1", "BAD-CLOSE-7", "BAD-RTO-1")
@pytest.mark.parametrize("make", [syn_sent, states.syn_received_active])
def test_must_23_a_syn_is_tried_for_three_minutes_at_least(make: Maker) -> None:
    scene = make()
    scene.connection.send(b"queued", scene.now)
    assert ends(scene) >= 3 * MINUTE
    assert isinstance(scene.connection.error, ConnectionTimedOut)
    assert scene.events() == ["Trouble", "Closed"]


@pytest.mark.label("EP-TMO-10", "MUST-23")
def test_ep_tmo_10_a_passive_opener_listens_again_and_tells_nobody() -> None:
    scene = syn_received()
    assert ends(scene) == 3 * MINUTE
    assert scene.state is LISTEN
    assert scene.connection.error is None
    assert scene.connection.next_timeout() == NEVER
    assert "Closed" not in scene.events()


# Retransmission


@pytest.mark.label("EP-TMO-2", "BAD-RTO-1", "RFC6298-5.5", "RFC6298-5.6", "RFC8961-4.4", "MUST-19")
@pytest.mark.parametrize(
    ("make", "line"),
    [
        (lambda: syn_sent(FOREVER), "SYN seq=0"),
        (lambda: states.syn_received_active(FOREVER), "SYN,ACK seq=0 ack=1"),
        (lambda: states.fin_wait_1(FOREVER), "FIN,ACK seq=1 ack=1"),
        (lambda: states.last_ack(FOREVER), "FIN,ACK seq=1 ack=2"),
    ],
)
def test_ep_tmo_2_again_and_again_with_twice_the_patience(make: Maker, line: str) -> None:
    scene = make()
    assert intervals(scene, 9) == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert [scene.text(segment) for segment in scene.sent] == [line]


@pytest.mark.label("EP-TMO-2", "RFC6298-5.4", "RFC5681-3.1j", "RFC6928-2d", "RFC8961-4.3", "RFC5681-3.1h")
def test_ep_tmo_2_the_first_segment_alone_goes_again_and_the_window_shrinks() -> None:
    scene = established(RENO)
    scene.sends(bytes(20_000))
    flight = scene.tcb.snd.flight
    assert scene.expires() == ["ACK seq=1 ack=1 len=1000"]
    assert (scene.tcb.ensure_controller().window, scene.tcb.ensure_controller().threshold) == (
        1000,
        flight // 2,
    )


@pytest.mark.label("EP-TMO-2", "MUST-19")
def test_ep_tmo_2_slow_start_brings_the_rest() -> None:
    scene = established()
    scene.sends(bytes(10_000))
    scene.expires()
    assert scene.hears(ACK, ack=1001) == ["ACK seq=1001 ack=1 len=1000", "ACK seq=2001 ack=1 len=1000"]
    assert len(scene.hears(ACK, ack=3001)) == 3


@pytest.mark.label("EP-TMO-2", "RFC9293-3.6-2")
def test_ep_tmo_2_the_fin_goes_again_with_its_data() -> None:
    scene = established()
    scene.connection.send(b"bye", scene.now)
    scene.closes()
    assert scene.expires() == ["FIN,PSH,ACK seq=1 ack=1 len=3"]
    assert scene.hears(ACK, ack=4) == []
    assert scene.expires() == ["FIN,ACK seq=4 ack=1"]
    assert scene.state is FIN_WAIT_1


@pytest.mark.label("EP-TMO-2", "MUST-20", "SHLD-9", "SHLD-10", "MUST-47")
def test_ep_tmo_2_after_r1_the_user_hears_of_trouble_once() -> None:
    scene = established(FOREVER)
    scene.sends(b"anybody?")
    intervals(scene, 2)
    assert scene.events() == []
    intervals(scene, 1)
    (event,) = scene.all_events()
    assert isinstance(event, Trouble)
    assert isinstance(event.error, HostUnreachable)
    intervals(scene, 5)
    assert scene.events() == []
    assert scene.state is ESTABLISHED


@pytest.mark.label("RFC6298-5.0")
def test_rfc6298_5_0_never_earlier_than_one_rto_after_it_was_sent() -> None:
    scene = established()
    scene.sends(bytes(1000))
    scene.passes(900 * MILLISECOND)
    scene.sends(bytes(1000))
    assert scene.passes(99 * MILLISECOND) == []
    assert scene.passes(MILLISECOND) == ["ACK seq=1 ack=1 len=1000"]


# TIME-WAIT


@pytest.mark.label("EP-TMO-3", "MUST-13")
@pytest.mark.parametrize(
    ("config", "expected"), [(PLAIN, 4 * MINUTE), (replace(PLAIN, msl=SECOND), 2 * SECOND)]
)
def test_ep_tmo_3_time_wait_lasts_two_msl(config: states.Config, expected: int) -> None:
    scene = states.time_wait(config)
    assert scene.passes(expected - 1) == []
    assert scene.state is TIME_WAIT
    assert scene.passes(1) == []
    assert scene.state is CLOSED
    assert (scene.connection.error, scene.events()) == (None, ["Closed"])


# Persist


def shut(config: states.Config = PLAIN, **options: object) -> Scene:
    """ESTABLISHED; the peer's window is closed and 2,500 octets wait."""
    scene = established(config, **options)
    scene.hears(ACK, window=0)
    scene.peer.window = 0
    scene.sends(bytes(2500))
    return scene


@pytest.mark.label("EP-TMO-4", "MUST-35", "MUST-36", "SHLD-29", "SHLD-30", "BAD-WIN-1")
def test_ep_tmo_4_a_closed_window_is_probed_ever_more_seldom() -> None:
    scene = shut(FOREVER)
    assert scene.expires() == ["ACK seq=1 ack=1 len=1"]
    assert scene.now == states.START + SECOND
    assert intervals(scene, 8) == [2, 4, 8, 16, 32, 60, 60, 60]


@pytest.mark.label("EP-TMO-4", "MUST-37", "BAD-WIN-1", "MAY-8", "RFC6429-4")
def test_ep_tmo_4_a_peer_that_answers_probes_is_never_given_up() -> None:
    scene = shut()
    for _ in range(200):
        assert scene.expires() == ["ACK seq=1 ack=1 len=1"]
        assert scene.hears(ACK, ack=1) == []
    assert scene.now > states.START + 3 * HOUR
    assert scene.state is ESTABLISHED
    assert scene.events() == []


@pytest.mark.label("EP-TMO-4", "BAD-WIN-7")
def test_ep_tmo_4_one_that_does_not_is() -> None:
    scene = shut()
    assert 5 * MINUTE <= ends(scene) <= 6 * MINUTE
    assert isinstance(scene.connection.error, ConnectionTimedOut)


@pytest.mark.label("EP-TMO-4", "BAD-WIN-2", "MUST-36", "RFC2525-2.12")
def test_ep_tmo_4_a_lost_window_update_is_made_good() -> None:
    scene = shut()
    scene.expires()
    scene.peer.window = 10_000  # its ACK shows what the lost one would have
    assert scene.hears(ACK, ack=2) == ["ACK seq=2 ack=1 len=1000", "ACK seq=1002 ack=1 len=1000"]
    assert scene.hears(ACK) == ["PSH,ACK seq=2002 ack=1 len=499"]


@pytest.mark.label("EP-TMO-4")
def test_ep_tmo_4_a_probe_that_was_refused_goes_again_when_the_window_opens() -> None:
    scene = shut()
    scene.expires()
    assert scene.hears(ACK, ack=1, window=10_000)[0] == "ACK seq=1 ack=1 len=1000"


@pytest.mark.label("EP-TMO-4")
@pytest.mark.parametrize(("make", "after"), [(established, FIN_WAIT_2), (states.close_wait, CLOSED)])
def test_ep_tmo_4_a_fin_is_probed_with_too(make: Maker, after: states.State) -> None:
    scene = make()
    scene.hears(ACK, window=0)
    assert scene.closes() == []
    assert scene.expires() == [f"FIN,ACK seq=1 ack={scene.nxt}"]
    assert scene.state in (FIN_WAIT_1, LAST_ACK)
    scene.hears(ACK, window=0)
    assert scene.state is after


@pytest.mark.label("EP-TMO-4", "BAD-WIN-5")
def test_bad_win_5_an_ack_that_takes_all_and_closes_the_window() -> None:
    scene = established()
    scene.sends(b"all")
    scene.hears(ACK, window=0)
    assert scene.connection.next_timeout() == NEVER
    scene.tcb.timers.start(PERSIST, scene.now)  # as if it had been armed
    scene.connection.handle_timeout(scene.now)
    assert scene.drain() == []


@pytest.mark.label("SHLD-17", "MUST-34", "MUST-35")
def test_shld_17_a_window_shrunk_to_nothing_stops_the_retransmission_timer() -> None:
    scene = established()
    scene.sends(bytes(5000))
    scene.hears(ACK, ack=1001, window=0)
    assert not scene.tcb.timers.is_running(RETRANSMISSION)
    assert scene.tcb.timers.due(PERSIST) < NEVER
    assert scene.expires() == ["ACK seq=1001 ack=1 len=1"]


# Delayed ACK, override


@pytest.mark.label("EP-TMO-5", "MUST-40")
@pytest.mark.parametrize("delay", [1, 200 * MILLISECOND, 499 * MILLISECOND])
def test_ep_tmo_5_the_delayed_ack(delay: int) -> None:
    scene = established(replace(PLAIN, delayed_ack=delay))
    scene.hears(ACK, b"x")
    scene.passes(delay - 1)
    assert scene.passes(1) == ["ACK seq=1 ack=2"]


@pytest.mark.label("EP-TMO-7", "MUST-38")
def test_ep_tmo_7_what_is_small_goes_after_a_while() -> None:
    scene = established(peer=Peer(window=5000))
    scene.hears(ACK, window=100)  # far below half of the largest
    assert scene.sends(bytes(300)) == []
    assert scene.passes(199 * MILLISECOND) == []
    assert scene.passes(MILLISECOND) == ["ACK seq=1 ack=1 len=100"]


# Keep-alive


@pytest.mark.label("EP-TMO-6", "MUST-28", "SHLD-12", "MAY-5", "RFC1122-4.2.3.6")
def test_ep_tmo_6_two_silent_hours_then_a_probe_without_data() -> None:
    scene = established(KEEPS)
    assert scene.passes(2 * HOUR - 1) == []
    assert scene.passes(1) == ["ACK seq=0 ack=1"]


@pytest.mark.label("EP-TMO-6", "MUST-29", "BAD-KA-2")
def test_ep_tmo_6_one_lost_answer_is_no_dead_peer() -> None:
    scene = established(KEEPS)
    assert intervals(scene, 2) == [7200, 75]
    scene.hears(ACK)
    assert scene.tcb.counts.keep_alive_probes == 0
    assert intervals(scene, 3) == [7200, 75, 75]
    assert scene.state is ESTABLISHED


@pytest.mark.label("EP-TMO-6", "BAD-KA-2")
def test_ep_tmo_6_but_all_of_them_are() -> None:
    scene = established(KEEPS)
    assert ends(scene) == 2 * HOUR + 3 * 75 * SECOND
    assert isinstance(scene.connection.error, ConnectionTimedOut)


@pytest.mark.label("MUST-26")
def test_must_26_nothing_outstanding_is_probed() -> None:
    scene = established(replace(KEEPS, user_timeout=NEVER, keep_alive_idle=10 * SECOND))
    scene.sends(b"anybody?")
    assert set(scene.passes(5 * MINUTE)) == {"PSH,ACK seq=1 ack=1 len=8"}


@pytest.mark.parametrize("make", [syn_sent, syn_received, states.time_wait])
def test_where_no_probe_is_due_what_arrives_starts_none(make: Maker) -> None:
    scene = make(KEEPS)
    scene.hears(ACK, seq=-5000)
    assert not scene.tcb.timers.is_running(KEEP_ALIVE)


@pytest.mark.label("MUST-26", "MUST-27")
def test_must_26_whatever_arrives_puts_it_off() -> None:
    scene = established(replace(KEEPS, keep_alive_idle=10 * SECOND))
    scene.passes(9 * SECOND)
    scene.hears(ACK, b"hi")
    assert scene.passes(9 * SECOND) == ["ACK seq=1 ack=3"]  # the delayed one
    assert scene.passes(SECOND) == ["ACK seq=0 ack=3"]


@pytest.mark.label("MUST-25", "MUST-28")
def test_must_25_keep_alive_is_off_by_default() -> None:
    assert established().connection.next_timeout() == NEVER
    assert DEFAULT.keep_alive is False
    assert DEFAULT.keep_alive_idle >= 2 * HOUR


# The orphan


@pytest.mark.label("EP-TMO-9", "BAD-CLOSE-6")
def test_ep_tmo_9_fin_wait_2_ends_when_nobody_reads_and_nobody_sends() -> None:
    scene = states.fin_wait_2()
    scene.releases()
    assert ends(scene) == MINUTE
    assert (scene.connection.error, scene.events()) == (None, ["Closed"])


@pytest.mark.label("BAD-CLOSE-6")
def test_bad_close_6_fin_wait_2_lasts_while_somebody_reads() -> None:
    assert states.fin_wait_2().connection.next_timeout() == NEVER
    assert states.close_wait().connection.next_timeout() == NEVER


# Late, early, too often


def busy() -> list[Scene]:
    """One scene for each timer, and every state."""
    ackless, talking, shy = established(), established(), established(peer=Peer(window=5000))
    ackless.hears(ACK, b"x")
    talking.sends(bytes(3000))
    shy.hears(ACK, window=100)
    shy.sends(bytes(300))
    return [ackless, talking, shy, shut(), established(KEEPS), *(make() for make in EVERY.values())]


@pytest.mark.parametrize("index", range(len(busy())))
def test_calling_early_or_too_often_is_harmless(index: int) -> None:
    scene = busy()[index]
    scene.events()
    while scene.connection.next_timeout() < NEVER:
        before = scene.image()
        for early in (scene.now, min(scene.connection.next_timeout(), scene.now + MINUTE) - 1):
            scene.connection.handle_timeout(early)
            assert scene.drain() == []
            assert scene.events() == []
        assert scene.image() == before
        scene.expires()
        assert scene.drain() == []
        before = scene.image()
        scene.connection.handle_timeout(scene.now)
        assert scene.drain() == []
        assert scene.image() == before
        scene.events()


@pytest.mark.label("BAD-CLK-1")
@pytest.mark.parametrize("index", range(len(busy())))
def test_bad_clk_1_an_hour_late_each_timer_acts_once(index: int) -> None:
    scene = busy()[index]
    scene.now += HOUR
    scene.connection.handle_timeout(scene.now)
    assert len(scene.drain()) <= 1
    assert scene.connection.next_timeout() > scene.now
    assert len(scene.watch.expired) == len(set(scene.watch.expired))


@pytest.mark.label("BAD-CLK-1")
def test_bad_clk_1_a_timer_after_the_end_does_nothing() -> None:
    for make in EVERY.values():
        scene = make()
        scene.releases()
        if scene.state is not CLOSED:
            scene.aborts()
        before = scene.image()
        scene.connection.handle_timeout(scene.now + 100 * HOUR)
        assert scene.drain() == []
        assert scene.image() == before


def test_the_observer_hears_of_every_timer() -> None:
    found: set[str] = set()
    for scene in [*busy(), states.fin_wait_2()]:
        scene.connection.configure(replace(scene.tcb.config, msl=SECOND), scene.now)
        if scene.state is FIN_WAIT_2:
            scene.releases()
        scene.passes(4 * HOUR)
        found |= set(scene.watch.expired)
    assert found == {
        "retransmission",
        "time-wait",
        "persist",
        "delayed-ack",
        "keep-alive",
        "user-timeout",
        "override",
        "orphan",
    }


def test_simultaneous_deadlines_are_all_met() -> None:
    scene = established(replace(PLAIN, keep_alive=True, keep_alive_idle=40 * MILLISECOND))
    scene.hears(ACK, b"x")
    assert scene.expires() == ["ACK seq=0 ack=2"]  # the probe is an ACK too
    assert scene.watch.expired == ["keep-alive", "delayed-ack"]


@pytest.mark.label("SHLD-20")
def test_shld_20_reports_can_be_switched_off() -> None:
    scene = established(replace(FOREVER, reports=False))
    scene.sends(b"unheard")
    for _ in range(5):
        scene.expires()
    assert scene.events() == []
