"""Timestamps of RFC 7323: agreement, PAWS (rules EP-PAWS), the echo and what it measures."""

from dataclasses import replace

import pytest

from postel.tcp.config import DEFAULT
from postel.tcp.state import CLOSED, ESTABLISHED
from postel.tcp.timestamps import TICK
from postel.testing import states
from postel.testing.states import PLAIN, SYNCHRONIZED, Maker, Peer, Scene, established, established_active
from postel.times import DAY, HOUR, MILLISECOND, SECOND
from postel.wire.segment import ABSENT, ACK, FIN, RST, SYN

STAMPED = replace(PLAIN, timestamps=True)
RECENT = 1_000_000


def stamped(make: Maker = established, config: states.Config = STAMPED, tsval: int = RECENT) -> Scene:
    return make(config, Peer(tsval=tsval))


# Agreement


@pytest.mark.label("RFC7323-3.2a", "RFC7323-3.2e")
def test_rfc7323_3_2a_agreed_in_both_syns_it_is_on_every_segment() -> None:
    scene = states.closed(STAMPED, Peer(tsval=RECENT))
    scene.does(scene.connection.open_active)
    assert scene.sent[0].tsval != ABSENT
    assert scene.sent[0].tsecr == 0  # nothing to echo yet
    scene.hears(SYN | ACK)
    assert scene.sent[0].tsecr == RECENT
    scene.sends(b"text")
    assert scene.sent[0].tsecr == RECENT
    scene.hears(FIN | ACK)
    assert scene.sent[0].tsecr == RECENT
    scene.aborts()
    assert scene.sent[0].tsecr == RECENT


@pytest.mark.label("RFC7323-3.2b")
@pytest.mark.parametrize(("config", "tsval"), [(STAMPED, ABSENT), (PLAIN, RECENT), (PLAIN, ABSENT)])
def test_rfc7323_3_2b_only_if_both_want_it(config: states.Config, tsval: int) -> None:
    scene = states.listen(config, Peer(tsval=tsval))
    scene.hears(SYN)
    assert scene.sent[0].tsval == ABSENT
    scene.hears(ACK)
    scene.sends(b"text")
    assert scene.sent[0].tsval == ABSENT


@pytest.mark.label("RFC7323-3.2d")
def test_rfc7323_3_2d_what_was_not_agreed_is_ignored() -> None:
    scene = established()
    scene.hears(ACK, b"one", tsval=500)
    scene.hears(ACK, b"two", tsval=100)
    assert scene.reads() == b"onetwo"
    assert scene.sent[0].tsval == ABSENT


# PAWS


@pytest.mark.label("EP-PAWS-1", "RFC7323-3.2c")
def test_ep_paws_1_without_the_option_a_segment_is_dropped_silently() -> None:
    scene = stamped()
    assert scene.ignores(ACK, b"text", tsval=ABSENT)
    assert scene.ignores(FIN | ACK, tsval=ABSENT)


@pytest.mark.label("EP-PAWS-1")
def test_ep_paws_1_unless_the_user_is_lenient() -> None:
    scene = stamped(config=replace(STAMPED, timestamps_required=False))
    scene.hears(ACK, b"text", tsval=ABSENT)
    assert scene.reads() == b"text"
    assert scene.tcb.timestamps.recent == RECENT


@pytest.mark.label("EP-PAWS-2", "RFC7323-5.3a", "BAD-TS-1")
@pytest.mark.parametrize("make", [*SYNCHRONIZED.values()])
@pytest.mark.parametrize("back", [1, 1000, (1 << 31) - 1])
def test_ep_paws_2_an_older_stamp_is_answered_and_dropped(make: Maker, back: int) -> None:
    scene = stamped(make)
    before = scene.image()
    assert scene.hears(ACK, b"old", tsval=(RECENT - back) % (1 << 32)) == [
        f"ACK seq={scene.max} ack={scene.nxt}"
    ]
    assert scene.image() == before


@pytest.mark.label("RFC7323-5.3a")
def test_rfc7323_5_3a_paws_comes_before_the_sequence_check() -> None:
    scene = stamped()
    scene.sends(b"x")
    scene.hears(ACK, seq=scene.nxt - 1, tsval=RECENT - 1)  # a keep-alive by its number, but old
    assert scene.una == 1


@pytest.mark.label("EP-PAWS-3", "RFC7323-5.5", "BAD-TS-5")
def test_ep_paws_3_after_24_days_of_silence_any_stamp_is_good() -> None:
    scene = stamped()
    scene.now += 24 * DAY + 1
    scene.hears(ACK, b"hello again", tsval=5)
    assert scene.reads() == b"hello again"
    assert scene.tcb.timestamps.recent == 5


@pytest.mark.label("EP-PAWS-3", "RFC7323-5.5", "BAD-TS-5")
def test_ep_paws_3_not_before() -> None:
    scene = stamped()
    scene.now += 24 * DAY
    scene.hears(ACK, b"too early", tsval=5)
    assert scene.reads() == b""


@pytest.mark.label("EP-PAWS-3", "RFC7323-5.5")
def test_ep_paws_3_the_days_count_from_the_syn() -> None:
    scene = stamped(established_active)
    scene.now += 24 * DAY
    scene.hears(ACK, b"too early", tsval=5)
    assert scene.reads() == b""


@pytest.mark.label("EP-PAWS-4", "RFC7323-5.2a")
@pytest.mark.parametrize("tsval", [ABSENT, RECENT - 5, RECENT + 5])
def test_ep_paws_4_a_reset_needs_no_stamp_and_leaves_none(tsval: int) -> None:
    scene = stamped()
    scene.hears(RST, seq=scene.nxt + 1, tsval=tsval)
    assert scene.tcb.timestamps.recent == RECENT
    scene.hears(RST, tsval=tsval)
    assert scene.state is CLOSED


@pytest.mark.label("EP-PAWS-5", "RFC7323-4.3a")
def test_ep_paws_5_the_echo_is_that_of_the_segment_the_last_ack_asked_for() -> None:
    scene = stamped()
    scene.hears(ACK, b"1", tsval=RECENT + 10)
    scene.hears(ACK, b"2", tsval=RECENT + 20)  # delayed ACK: the earlier one is echoed
    assert scene.sent[0].tsecr == RECENT + 10


@pytest.mark.parametrize("make", [established, states.fin_wait_1, states.fin_wait_2])
def test_an_old_duplicate_that_ends_at_rcv_nxt_is_echoed(make: Maker) -> None:
    """Our ACK was lost, and its sender will measure how long the ACK of its retransmission took."""
    scene = stamped(make)
    scene.arrives(ACK, b"text", tsval=RECENT + 1)
    scene.passes(SECOND)
    at = scene.now
    scene.hears(ACK, b"text", seq=scene.nxt - 4, tsval=RECENT + 1000)
    assert (scene.sent[-1].tsecr, scene.sent[-1].ack) == (RECENT + 1000, scene.tcb.rcv.nxt)
    assert scene.tcb.timestamps.recent_at == at
    scene.hears(ACK, b"ext", seq=scene.nxt - 3, tsval=RECENT + 2000)  # cut anew
    assert scene.sent[-1].tsecr == RECENT + 2000


@pytest.mark.parametrize("make", [states.close_wait, states.closing, states.last_ack, states.time_wait])
def test_an_old_fin_is_echoed_alike(make: Maker) -> None:
    scene = stamped(make)
    scene.passes(SECOND)
    scene.hears(FIN | ACK, seq=scene.nxt - 1, ack=scene.una, tsval=RECENT + 1000)
    assert scene.tcb.timestamps.recent == RECENT + 1000


@pytest.mark.label("RFC7323-4.3a", "BAD-TS-4")
@pytest.mark.parametrize(
    "fields",
    [
        {"seq": 1, "tsval": RECENT + 1000},  # ends before RCV.NXT
        {"seq": 5, "tsval": RECENT - 1},  # PAWS refuses it
        {"seq": 5, "ack": 50_000, "tsval": RECENT + 1000},  # acknowledges what was never sent
        {"seq": 5, "ack": -100_000, "tsval": RECENT + 1000},  # and what was acknowledged long ago
    ],
    ids=["older", "older stamp", "future ACK", "ancient ACK"],
)
def test_no_other_old_duplicate_moves_ts_recent(fields: dict[str, int]) -> None:
    scene = stamped()
    scene.hears(ACK, b"text", tsval=RECENT)
    scene.hears(ACK, b"more", tsval=RECENT)
    scene.passes(SECOND)
    before, at = scene.tcb.timestamps.recent, scene.tcb.timestamps.recent_at
    scene.hears(ACK, b"more", **fields)
    assert (scene.tcb.timestamps.recent, scene.tcb.timestamps.recent_at) == (before, at)


def test_a_duplicate_of_what_the_last_ack_did_not_ask_for_is_not_echoed() -> None:
    """The delayed ACK will be for both segments, and the first is echoed (RFC 7323, 4.3)."""
    scene = stamped(config=replace(STAMPED, delayed_ack=SECOND // 4, acknowledge_every=3))
    scene.hears(ACK, b"text", tsval=RECENT + 1)
    scene.hears(ACK, b"more", tsval=RECENT + 2)
    scene.hears(ACK, b"more", seq=5, tsval=RECENT + 1000)
    assert scene.sent[-1].tsecr == RECENT + 1


@pytest.mark.label("EP-PAWS-5", "RFC7323-4.3a")
def test_ep_paws_5_what_lies_ahead_of_a_gap_is_not_echoed() -> None:
    scene = stamped()
    scene.hears(ACK, b"3", seq=3, tsval=RECENT + 10)
    assert scene.sent[0].tsecr == RECENT
    scene.hears(ACK, b"12", seq=1, tsval=RECENT + 20)
    assert scene.sent[0].tsecr == RECENT + 20


@pytest.mark.label("RFC7323-5.3b")
def test_rfc7323_5_3b_text_that_waited_is_not_judged_again() -> None:
    scene = stamped()
    scene.hears(ACK, b"two", seq=4, tsval=RECENT + 1)
    scene.hears(ACK, b"one", seq=1, tsval=RECENT + 50)
    assert scene.reads() == b"onetwo"


@pytest.mark.label("BAD-TS-1")
@pytest.mark.parametrize(
    ("step", "is_taken"), [((1 << 31) - 1, True), (1 << 31, False), (-1, False), (0, True)]
)
def test_bad_ts_1_comparison_is_modular(step: int, *, is_taken: bool) -> None:
    scene = stamped()
    scene.hears(ACK, b"x", tsval=(RECENT + step) % (1 << 32))
    assert bool(scene.reads()) is is_taken


@pytest.mark.label("BAD-TS-1")
def test_bad_ts_1_the_connection_outlives_the_wrap_of_the_clock() -> None:
    scene = stamped(tsval=(1 << 32) - 3)
    for number in range(6):
        scene.hears(ACK, b"x", tsval=((1 << 32) - 3 + number) % (1 << 32))
    assert scene.reads() == b"x" * 6
    assert scene.tcb.timestamps.recent == 1  # of the last but one: the last ACK is still delayed


@pytest.mark.label("BAD-TS-4")
@pytest.mark.parametrize(
    "fields",
    [{"seq": 100_000}, {"seq": -5000}, {"seq": 2}, {"ack": 5000}, {"ack": -100_000}],
    ids=["right", "left", "ahead", "beyond", "old"],
)
def test_bad_ts_4_an_injected_stamp_does_not_poison_ours(fields: dict[str, int]) -> None:
    scene = stamped()
    scene.hears(ACK, b"spoofed", tsval=RECENT + 1_000_000, **fields)
    assert scene.tcb.timestamps.recent == RECENT
    scene.now += SECOND
    scene.hears(ACK, b"real", tsval=RECENT + 1000)
    assert scene.connection.readable >= len("real")


# The clock


@pytest.mark.label("RFC7323-5.4")
def test_rfc7323_5_4_the_clock_ticks_every_millisecond() -> None:
    assert MILLISECOND <= TICK <= SECOND
    scene = stamped()
    stamps = []
    for _ in range(3):
        scene.sends(b"x")
        stamps.append(scene.sent[0].tsval)
        scene.hears(ACK)
        scene.now += 5 * MILLISECOND
    assert [stamp - stamps[0] for stamp in stamps] == [0, 5, 10]


@pytest.mark.label("RFC7323-7")
def test_rfc7323_7_it_begins_where_the_host_says() -> None:
    first, second = (
        established_active(STAMPED, Peer(tsval=1), timestamp_offset=offset) for offset in (0, 1 << 31)
    )
    for scene in (first, second):
        scene.sends(b"x")
    assert (second.sent[0].tsval - first.sent[0].tsval) % (1 << 32) == 1 << 31


# Round trips


@pytest.mark.label("BAD-TS-2")
@pytest.mark.parametrize("tsecr", [0, 12345, (1 << 32) - 1, ABSENT])
def test_bad_ts_2_an_echo_that_cannot_be_measures_nothing(tsecr: int) -> None:
    scene = stamped()
    before = scene.tcb.rtt.smoothed
    scene.sends(b"x")
    scene.expires()
    scene.now += 50 * MILLISECOND
    scene.hears(ACK, tsecr=tsecr)
    assert scene.tcb.rtt.smoothed == before
    assert scene.tcb.rtt.rto == 2 * SECOND


@pytest.mark.label("BAD-TS-2")
def test_bad_ts_2_nor_does_one_from_the_future() -> None:
    scene = stamped()
    scene.sends(b"x")
    scene.expires()
    before = scene.tcb.rtt.smoothed
    scene.hears(ACK, tsecr=scene.sent[0].tsval + 1000)
    assert scene.tcb.rtt.smoothed == before


@pytest.mark.label("RFC7323-3.2d")
def test_rfc7323_3_2d_an_echo_that_was_not_agreed_measures_nothing() -> None:
    scene = established()
    scene.sends(b"x")
    scene.expires()
    before = scene.tcb.rtt.smoothed
    scene.now += 50 * MILLISECOND
    scene.hears(ACK, tsval=1, tsecr=7 + states.START // TICK)
    assert scene.tcb.rtt.smoothed == before


@pytest.mark.label("RFC7323-4.1")
def test_rfc7323_4_1_only_an_ack_of_something_new_measures() -> None:
    scene = stamped()
    before = scene.tcb.rtt.smoothed
    scene.now += HOUR
    scene.hears(ACK, b"text", tsecr=7 + states.START // TICK)
    assert scene.tcb.rtt.smoothed == before


@pytest.mark.label("RFC7323-4.2")
def test_rfc7323_4_2_one_sample_in_a_round_trip() -> None:
    """Each of ten ACKs echoes a stamp; the estimator hears of the segment that was timed."""
    scene = stamped()
    scene.hears(ACK)
    scene.sends(bytes(10_000))
    stamp = scene.sent[0].tsval
    found = []
    for octets in range(1000, 11_000, 1000):
        scene.now += 5 * MILLISECOND
        scene.hears(ACK, ack=1 + octets, tsecr=stamp)
        found.append(scene.tcb.rtt.smoothed)
    assert len(set(found)) == 1
    scene.sends(bytes(1000))
    scene.expires()
    scene.now += 30 * MILLISECOND
    scene.hears(ACK, tsecr=scene.sent[0].tsval)
    # The next round trip, by the echo
    assert scene.tcb.rtt.smoothed == (7 * found[0] + 30 * MILLISECOND) // 8


@pytest.mark.label("RFC7323-5.2b")
def test_rfc7323_5_2b_a_reset_echoes_the_stamp_of_what_it_answers() -> None:
    scene = established_active(STAMPED, Peer(tsval=RECENT))
    scene.aborts()
    scene.hears(ACK, tsval=RECENT + 5)
    (reset,) = scene.sent
    assert (reset.flags, reset.tsval, reset.tsecr) == (RST, 0, RECENT + 5)
    scene.hears(ACK, tsval=ABSENT)
    assert (scene.sent[0].flags, scene.sent[0].tsval) == (RST, ABSENT)


def test_defaults_offer_timestamps_and_live_without() -> None:
    assert DEFAULT.timestamps
    assert established_active(DEFAULT).state is ESTABLISHED
