"""`Connection.configure` reaches all that was computed from the choices before: a table of every field, and
every state for the timers.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import pytest

from postel.errors import ArgumentError, ConnectionTimedOut
from postel.tcp.config import AUTOMATIC, DEFAULT, Config, names
from postel.tcp.congestion.reno import Reno
from postel.tcp.state import CLOSED
from postel.tcp.timeouts import HANDLERS
from postel.tcp.timers import (
    DELAYED_ACK,
    KEEP_ALIVE,
    ORPHAN,
    OVERRIDE,
    PERSIST,
    RETRANSMISSION,
    TAIL_PROBE,
    TWO_MSL,
    USER,
)
from postel.testing import states
from postel.testing.states import PLAIN, Maker, Peer, Scene, established
from postel.times import HOUR, MILLISECOND, MINUTE, NEVER, SECOND
from postel.wire import options
from postel.wire.segment import ABSENT, ACK, FIN, SYN

# What each field means for a connection that lives. LIVE: it is read whenever it matters.
LIVE = (
    *(
        "rfc1337",
        "time_wait_reuse",
        "reports",
        "repeat_fin",
        "exact_reset",
        "challenge_syn",
        "nagle",
        "cork",
        "timestamps_required",
        "paws_idle",
    ),
    *(
        "keep_alive_probes",
        "hop_limit",
        "traffic_class",
        "option_layout",
        "whole_buffer",
        "time_wait_challenge",
    ),
)
# Fields that a SYN has told the peer: they stay as they were
TOLD = ("timestamps", "window_scaling", "scale_for", "sack", "ecn", "largest_mss")
# Fields that only the beginning of a connection reads
OPENING = (
    "initial_window",
    "smallest_mss",
    "drop_syn_fin",
    "rto_after_syn",
    "fast_open",
    "fast_open_limit",
    "congestion",
    "mtu_probing",
)
REMEMBERED = (  # as a deadline, a size or a limit: the tests below
    *(
        "msl",
        "orphan_timeout",
        "orphan_send_timeout",
        "user_timeout",
        "syn_received_timeout",
        "tail_probe",
        "r1",
        "rto_initial",
        "rto_minimum",
        "rto_maximum",
    ),
    *(
        "delayed_ack",
        "acknowledge_every",
        "override",
        "send_buffer",
        "send_buffer_maximum",
        "notsent_lowat",
        "receive_buffer",
    ),
    *(
        "receive_buffer_maximum",
        "whole_segments",
        "user_timeout_option",
        "user_timeout_advertised",
        "user_timeout_changeable",
    ),
    *(
        "user_timeout_lowest",
        "user_timeout_highest",
        "keep_alive",
        "keep_alive_idle",
        "keep_alive_interval",
        "challenge_interval",
    ),
)


def test_every_field_has_its_place_in_this_table() -> None:
    """A new field of `Config` must be put into one of them, and tested where it is remembered."""
    assert sorted((*LIVE, *TOLD, *OPENING, *REMEMBERED)) == sorted(names())


def configure(scene: Scene, **choices: object) -> None:
    scene.connection.configure(replace(scene.tcb.config, **choices), scene.now)  # type: ignore[arg-type]


# Each timer: how it is started, its name, the field and the first value

Start = Callable[[Config], Scene]


def waiting_for_ack(make: Maker) -> Start:
    def start(config: Config) -> Scene:
        scene = make(config)
        scene.sends(b"x")
        return scene

    return start


def released(config: Config) -> Scene:
    scene = states.fin_wait_2(config)
    scene.releases()
    return scene


def waiting_for_nobody(config: Config) -> Scene:
    scene = established(config)
    scene.releases()
    return scene


def unacknowledged(config: Config) -> Scene:
    scene = established(config)
    scene.hears(ACK, b"x")
    return scene


def held_back(config: Config) -> Scene:
    scene = established(config, Peer(window=2000))
    scene.sends(bytes(2000))
    scene.sends(bytes(500))
    scene.hears(ACK, window=100)
    return scene


def unanswered_persist(config: Config) -> Scene:
    scene = established(config, Peer(window=0))
    scene.sends(b"x")
    scene.expires()
    return scene


KEEPS = {"keep_alive": True, "keep_alive_idle": 100 * SECOND, "keep_alive_interval": 100 * SECOND}
DEADLINES: dict[str, tuple[Start, int, str, int, dict[str, object]]] = {
    "user, SYN-SENT": (states.syn_sent, USER, "user_timeout", 100 * SECOND, {}),
    "user, SYN-RECEIVED": (states.syn_received, USER, "syn_received_timeout", 100 * SECOND, {}),
    "user, SYN-RECEIVED by active open": (states.syn_received_active, USER, "user_timeout", 100 * SECOND, {}),
    "user, ESTABLISHED": (waiting_for_ack(established), USER, "user_timeout", 100 * SECOND, {}),
    "user, CLOSE-WAIT": (waiting_for_ack(states.close_wait), USER, "user_timeout", 100 * SECOND, {}),
    "user, FIN-WAIT-1": (states.fin_wait_1, USER, "user_timeout", 100 * SECOND, {}),
    "user, CLOSING": (states.closing, USER, "user_timeout", 100 * SECOND, {}),
    "user, LAST-ACK": (states.last_ack, USER, "user_timeout", 100 * SECOND, {}),
    "user, persist": (unanswered_persist, USER, "user_timeout", 100 * SECOND, {}),
    "idle, ESTABLISHED": (established, KEEP_ALIVE, "keep_alive_idle", 100 * SECOND, KEEPS),
    "idle, FIN-WAIT-2": (states.fin_wait_2, KEEP_ALIVE, "keep_alive_idle", 100 * SECOND, KEEPS),
    "idle, CLOSE-WAIT": (states.close_wait, KEEP_ALIVE, "keep_alive_idle", 100 * SECOND, KEEPS),
    "idle, LAST-ACK": (states.last_ack, KEEP_ALIVE, "keep_alive_idle", 100 * SECOND, KEEPS),
    "orphan": (released, ORPHAN, "orphan_timeout", 100 * SECOND, {}),
    "orphan, FIN-WAIT-1": (waiting_for_nobody, ORPHAN, "orphan_send_timeout", 100 * SECOND, {}),
    "delayed ACK": (unacknowledged, DELAYED_ACK, "delayed_ack", 100 * MILLISECOND, {}),
    "override": (held_back, OVERRIDE, "override", 400 * MILLISECOND, {"nagle": False}),
}


def started(name: str) -> tuple[Scene, int, str, int]:
    start, timer, field, value, others = DEADLINES[name]
    scene = start(replace(PLAIN, **(others | {field: value})))  # type: ignore[arg-type]
    return scene, timer, field, value


@pytest.mark.label("MUST-21", "MUST-24")
@pytest.mark.parametrize("parts", [(1, 2), (3, 4), (1, 1), (5, 4), (2, 1)])
@pytest.mark.parametrize("name", DEADLINES)
def test_a_timer_goes_on_from_where_it_started(name: str, parts: tuple[int, int]) -> None:
    scene, timer, field, value = started(name)
    began = scene.tcb.timers.due(timer) - value
    assert scene.now - SECOND <= began <= scene.now
    scene.now += value // 8
    after = value * parts[0] // parts[1]
    configure(scene, **{field: after})
    assert scene.tcb.timers.due(timer) == began + after
    configure(scene, **{field: value})
    assert scene.tcb.timers.due(timer) == began + value


@pytest.mark.parametrize("name", [name for name in DEADLINES if name.startswith(("user", "idle", "orphan"))])
def test_never_stops_it_and_from_never_it_begins(name: str) -> None:
    scene, timer, field, _ = started(name)
    scene.now += SECOND
    configure(scene, **{field: NEVER})
    assert scene.tcb.timers.due(timer) == NEVER
    scene.now += SECOND
    configure(scene, **{field: 10 * SECOND})
    assert scene.now < scene.tcb.timers.due(timer) <= scene.now + 10 * SECOND


@pytest.mark.parametrize("name", [name for name in DEADLINES if name.startswith(("user", "idle", "orphan"))])
def test_what_is_over_is_due_at_once(name: str) -> None:
    scene, timer, field, _ = started(name)
    scene.now += 50 * SECOND
    configure(scene, **{field: SECOND})
    assert scene.connection.next_timeout() <= scene.now
    scene.connection.handle_timeout(scene.now)
    assert {number: name for number, name, _ in HANDLERS}[timer] in scene.watch.expired
    assert timer == KEEP_ALIVE or scene.state.name in ("CLOSED", "LISTEN")


@pytest.mark.parametrize("make", states.EVERY.values())
@pytest.mark.parametrize("name", [*REMEMBERED, *LIVE, *TOLD, *OPENING])
def test_what_does_not_run_is_not_started(make: Maker, name: str) -> None:
    """In no state does a new choice start a timer, or send anything; and the old one puts all back."""
    others: dict[str, object] = {"keep_alive": True} if name == "keep_alive" else {}
    scene = make(replace(PLAIN, **others))
    before = scene.image()
    config = scene.tcb.config
    for value in others_than(getattr(config, name)):
        with suppress(ArgumentError):
            configure(scene, **{name: value})
        timers = scene.image()["timers"]
        assert running(timers) <= running(before["timers"])
        scene.connection.configure(config, scene.now)
        assert scene.image()["timers"] == before["timers"] or name == "keep_alive"


def running(timers: object) -> set[str]:
    assert isinstance(timers, dict)
    return {name for name, deadline in timers.items() if deadline != NEVER}


def others_than(value: object) -> list[object]:
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, type):
        return [Reno]
    return [0, 1, 2, 60, 1000, 100 * MILLISECOND, SECOND, 200 * SECOND, HOUR, NEVER]


# Keep-alive


@pytest.mark.label("MUST-24")
def test_the_interval_counts_while_probes_go_out() -> None:
    scene = established(
        replace(
            PLAIN,
            keep_alive=True,
            keep_alive_idle=10 * SECOND,
            keep_alive_interval=60 * SECOND,
            keep_alive_probes=2,
        )
    )
    assert len(scene.expires()) == 1
    sent = scene.now
    scene.now += 5 * SECOND
    configure(scene, keep_alive_interval=20 * SECOND)
    configure(scene, keep_alive_idle=HOUR)  # not now
    assert scene.connection.next_timeout() == sent + 20 * SECOND
    configure(scene, keep_alive_interval=NEVER)
    assert scene.connection.next_timeout() == NEVER
    configure(scene, keep_alive_interval=20 * SECOND)
    assert scene.connection.next_timeout() < NEVER


@pytest.mark.label("MUST-24")
@pytest.mark.parametrize("make", [established, states.fin_wait_2, states.close_wait])
def test_on_off_and_on_again_begins_anew(make: Maker) -> None:
    scene = make(
        replace(
            PLAIN,
            keep_alive=True,
            keep_alive_idle=10 * SECOND,
            keep_alive_interval=SECOND,
            keep_alive_probes=3,
        )
    )
    scene.expires()
    scene.expires()
    assert scene.tcb.counts.keep_alive_probes == 2
    configure(scene, keep_alive=False)
    assert scene.connection.next_timeout() == NEVER
    assert scene.passes(HOUR) == []
    configure(scene, keep_alive=True)
    assert scene.connection.next_timeout() == scene.now + 10 * SECOND
    start = scene.now
    while scene.state is not CLOSED:
        scene.expires()
    assert scene.now == start + 13 * SECOND
    assert isinstance(scene.connection.error, ConnectionTimedOut)


def test_fewer_probes_are_enough_at_once() -> None:
    scene = established(
        replace(PLAIN, keep_alive=True, keep_alive_idle=10 * SECOND, keep_alive_interval=SECOND)
    )
    for _ in range(4):
        scene.expires()
    configure(scene, keep_alive_probes=2)
    scene.expires()
    assert scene.state is CLOSED


def test_the_idle_time_is_longer_than_an_agreed_user_timeout() -> None:
    """RFC 5482, 4.2: where the option is on, keep-alive waits longer than the user timeout."""
    scene = established(replace(PLAIN, user_timeout_option=True, keep_alive=True, keep_alive_idle=MINUTE))
    began = scene.now
    scene.now += 10 * SECOND
    configure(scene, user_timeout=10 * MINUTE)
    assert scene.tcb.timers.due(KEEP_ALIVE) == began + 10 * MINUTE + 1
    configure(scene, user_timeout_option=False)
    assert scene.tcb.timers.due(KEEP_ALIVE) == began + MINUTE


# The user timeout of RFC 5482


def adopted(told: int = 20) -> Scene:
    scene = established(replace(PLAIN, user_timeout_option=True))
    scene.hears(ACK, other=(options.user_timeout(told * MINUTE),))
    assert scene.tcb.user_timeout == told * MINUTE
    scene.sends(b"x")
    return scene


@pytest.mark.label("RFC5482-3.1a")
@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ({"user_timeout_highest": 10 * MINUTE}, 10 * MINUTE),
        ({"user_timeout_lowest": 30 * MINUTE}, 30 * MINUTE),
        ({"user_timeout_advertised": 40 * MINUTE}, 40 * MINUTE),
        ({"user_timeout_option": False}, 5 * MINUTE),
        ({"user_timeout_changeable": False}, 20 * MINUTE),
        ({"user_timeout": NEVER}, NEVER),
    ],
)
def test_an_adopted_user_timeout_stays_within_new_limits(choice: dict[str, object], expected: int) -> None:
    scene = adopted()
    scene.now += SECOND
    configure(scene, **choice)
    assert scene.tcb.user_timeout == expected
    assert scene.tcb.timers.due(USER) == (NEVER if expected == NEVER else scene.now - SECOND + expected)


# Retransmission


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ({"rto_minimum": 5 * SECOND}, 5 * SECOND),
        ({"rto_minimum": 100 * MILLISECOND}, 100 * MILLISECOND),
        ({"rto_minimum": SECOND}, SECOND),
    ],
)
def test_the_retransmission_timeout_keeps_to_new_bounds(choice: dict[str, object], expected: int) -> None:
    scene = established()
    scene.sends(b"x")
    scene.now += 50 * MILLISECOND
    scene.hears(ACK)
    scene.sends(b"y")
    sent = scene.now
    scene.now += 20 * MILLISECOND
    configure(scene, **choice)
    assert scene.tcb.rtt.rto == expected
    assert scene.tcb.timers.due(RETRANSMISSION) == sent + expected


def test_a_timeout_that_was_backed_off_stays_so_within_the_bounds() -> None:
    scene = states.syn_sent()
    for _ in range(4):
        scene.expires()
    sent = scene.now
    assert scene.tcb.rtt.rto == 16 * SECOND
    configure(scene, rto_initial=200 * MILLISECOND, rto_minimum=100 * MILLISECOND)
    assert scene.tcb.timers.due(RETRANSMISSION) == sent + 16 * SECOND
    configure(scene, rto_maximum=4 * SECOND)
    assert scene.tcb.timers.due(RETRANSMISSION) == sent + 4 * SECOND


def test_the_first_timeout_is_the_new_one() -> None:
    scene = states.syn_sent()
    configure(scene, rto_initial=200 * MILLISECOND, rto_minimum=100 * MILLISECOND)
    assert scene.tcb.timers.due(RETRANSMISSION) == scene.now + 200 * MILLISECOND


def test_window_probes_keep_to_the_new_maximum() -> None:
    scene = established(peer=Peer(window=0))
    scene.sends(b"x")
    for _ in range(8):
        scene.expires()
        scene.hears(ACK, ack=1)
    assert scene.tcb.timers.due(PERSIST) == scene.now + MINUTE
    configure(scene, rto_maximum=5 * SECOND)
    assert scene.tcb.timers.due(PERSIST) == scene.now + 5 * SECOND


def test_trouble_is_reported_where_r1_is_passed_already() -> None:
    scene = waiting_for_ack(established)(replace(PLAIN, r1=10))
    for _ in range(4):
        scene.expires()
    assert scene.events() == []
    configure(scene, r1=3)
    assert scene.events() == ["Trouble"]
    configure(scene, r1=2)
    assert scene.events() == []


def test_without_tail_probes_the_retransmission_timeout_is_next() -> None:
    scene = established(replace(PLAIN, sack=True), Peer(sack=True))
    scene.sends(b"x")
    expires = scene.tcb.timers.expires
    assert scene.tcb.timers.due(TAIL_PROBE) < NEVER
    configure(scene, tail_probe=False)
    assert (scene.tcb.timers.due(TAIL_PROBE), scene.tcb.timers.due(RETRANSMISSION)) == (NEVER, expires)


# Acknowledging, throttle, ends


def test_an_ack_that_need_not_wait_any_more_goes_at_once() -> None:
    for choice in ({"delayed_ack": 0}, {"acknowledge_every": 1}):
        scene = unacknowledged(replace(PLAIN, delayed_ack=400 * MILLISECOND))
        configure(scene, **choice)
        assert scene.drain() == ["ACK seq=1 ack=2"]


def test_a_shorter_challenge_interval_begins_at_once() -> None:
    scene = established(replace(PLAIN, challenge_interval=HOUR))
    assert len(scene.hears(SYN)) == 1
    configure(scene, challenge_interval=0)
    assert len(scene.hears(SYN)) == 1


@pytest.mark.label("MUST-13")
def test_time_wait_lasts_as_long_as_msl_says() -> None:
    scene = states.time_wait()
    began = scene.tcb.timers.due(TWO_MSL) - 4 * MINUTE
    for msl in (SECOND, 10 * MINUTE, 0):
        configure(scene, msl=msl)
        assert scene.tcb.timers.due(TWO_MSL) == began + 2 * msl


# Buffers


def test_a_writer_that_waits_is_told_of_a_larger_buffer() -> None:
    for choice in ({"send_buffer": 100_000}, {"send_buffer": AUTOMATIC}):
        scene = established(replace(PLAIN, send_buffer=1000), Peer(window=0))
        assert scene.connection.send(bytes(2000), scene.now) == 1000
        configure(scene, nagle=False)
        assert scene.events() == []
        configure(scene, **choice)
        assert scene.events() == ["Writable"]
    scene = established(replace(PLAIN, notsent_lowat=1000), Peer(window=0))
    assert scene.connection.send(bytes(2000), scene.now) == 1000
    configure(scene, notsent_lowat=0)
    assert scene.events() == ["Writable"]


def test_a_larger_receive_buffer_opens_the_window() -> None:
    scene = established(replace(PLAIN, receive_buffer=2000))
    scene.hears(ACK, bytes(2000))
    assert scene.tcb.rcv.wnd == 0
    configure(scene, receive_buffer=50_000)
    assert [segment.window for segment in scene.sent] != [] or scene.drain() == ["ACK seq=1 ack=2001"]
    assert scene.tcb.rcv.wnd == 48_000


def test_buffers_that_grew_keep_to_a_new_maximum() -> None:
    scene = established(DEFAULT)
    scene.tcb.snd.limit = scene.tcb.rcv.limit = 1 << 20
    configure(scene, send_buffer_maximum=100_000, receive_buffer_maximum=200_000)
    assert (scene.tcb.snd.limit, scene.tcb.rcv.limit) == (100_000, 200_000)


def test_a_buffer_of_whole_segments_stays_one() -> None:
    scene = established(replace(PLAIN, whole_segments=True))
    configure(scene, receive_buffer=2500)
    assert scene.tcb.rcv.limit % states.MSS == 0
    assert scene.tcb.rcv.limit >= 2500


# What the SYN told


@pytest.mark.parametrize("make", [states.syn_sent, states.syn_received, states.syn_received_active])
@pytest.mark.parametrize(
    "choice",
    [
        {"timestamps": False},
        {"sack": False},
        {"window_scaling": False},
        {"scale_for": 1 << 30},
        {"receive_buffer": 1 << 28},
        {"receive_buffer": 1000},
        {"ecn": "off"},
        {"largest_mss": 600},
    ],
)
def test_what_the_syn_told_stays_as_it_was_told(make: Maker, choice: dict[str, object]) -> None:
    """A peer that agreed to timestamps drops what comes without; a window that another scale tells is another
    window.
    """
    peer = Peer(tsval=7, sack=True, window_scale=3)
    scene = make(replace(DEFAULT, ecn="ask"), peer)
    told = scene.tcb.rcv.shift
    mss = scene.tcb.advertised_mss
    configure(scene, **choice)
    scene.hears(SYN | ACK if make is states.syn_sent else ACK, tsval=8)
    assert scene.tcb.timestamps.agreed
    assert scene.tcb.sack_agreed
    assert (scene.tcb.opening.peer_scales, scene.tcb.rcv.shift) == (True, told)
    assert scene.tcb.advertised_mss == mss
    scene.hears(ACK, b"x", tsval=9)
    scene.hears(ACK, b"y", tsval=9)
    assert scene.sent[-1].tsval != ABSENT


def test_a_syn_again_says_what_the_first_said() -> None:
    scene = states.syn_sent(DEFAULT)
    scene.drain()
    scene.passes(SECOND)
    first = scene.sent[-1]
    configure(scene, receive_buffer=1 << 29, timestamps=False, sack=False, scale_for=1 << 30, largest_mss=100)
    scene.expires()
    again = scene.sent[-1]
    assert (again.window_scale, again.sack_permitted, again.mss) == (
        first.window_scale,
        first.sack_permitted,
        first.mss,
    )
    assert again.tsval != ABSENT


def test_before_the_syn_all_is_open() -> None:
    scene = states.listen(DEFAULT, Peer(tsval=7, sack=True, window_scale=3))
    configure(
        scene, timestamps=False, sack=False, window_scaling=False, initial_window=2, user_timeout=MINUTE
    )
    scene.hears(SYN)
    answer = scene.sent[-1]
    assert (answer.tsval, answer.sack_permitted, answer.window_scale) == (ABSENT, False, ABSENT)
    scene.hears(ACK)
    assert scene.tcb.ensure_controller().window == 2 * states.MSS


def test_a_controller_in_use_stays() -> None:
    scene = established(DEFAULT)
    configure(scene, congestion=Reno)
    assert type(scene.tcb.ensure_controller()) is Reno  # nothing was sent yet
    scene = waiting_for_ack(established)(DEFAULT)
    configure(scene, congestion=Reno)
    assert type(scene.tcb.ensure_controller()) is DEFAULT.congestion
    assert scene.tcb.config.congestion is DEFAULT.congestion


def test_mtu_probing_ends_at_once_and_begins_with_the_next_connection() -> None:
    scene = established(replace(DEFAULT, mtu_probing="off"))
    configure(scene, mtu_probing="always")
    assert scene.tcb.path.search is None


def test_a_fin_is_never_lost_to_a_new_config() -> None:
    scene = states.fin_wait_1()
    configure(scene, user_timeout=HOUR, rto_minimum=2 * SECOND)
    assert scene.expires() == ["FIN,ACK seq=1 ack=1"]
    scene.hears(FIN | ACK)
    assert scene.state.name == "TIME_WAIT"
