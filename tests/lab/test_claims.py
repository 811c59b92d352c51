"""Every claim of the table is tried, and every check can come out otherwise."""

import pytest

from postel.errors import ArgumentError
from postel.lab import (
    Interference,
    Verdict,
    abrupt,
    claim,
    claims,
    close,
    compare,
    congestion,
    data,
    find,
    handshake,
    numbers,
    queues,
    run,
    timers,
    waiting,
    words,
    wrapping,
)
from postel.lab.bench import Bench
from postel.lab.front import CountsFromTheClock, Front, NeverProbes, OpensOnSyn, TakesAnyAck
from postel.lab.translations import remark, table
from postel.lab.verdict import decide
from postel.times import MINUTE, NEVER, SECOND
from postel.view.notes import TEXTS

PARTS = ("text", "look", "note")


def without(**told: object) -> Bench:
    """A bench with an interference."""
    return Bench(Interference.read(**told))  # type: ignore[arg-type]


def all_from(number: int) -> str:
    """The numbers of all segments from this one on."""
    return ",".join(str(later) for later in range(number, 400))


# What is found where the claim is false: by its id, the run and the verdict.
OTHERWISE = {
    "three-way": (lambda: handshake.three_way(Bench(), OpensOnSyn), Verdict.NOT_SHOWN),
    "random-isn": (lambda: numbers.random_isn(Bench(), CountsFromTheClock), Verdict.NOT_SHOWN),
    "syn-takes-a-number": (
        lambda: numbers.syn_takes_a_number(without(settings=["fast_open=off"])),
        Verdict.HOLDS,
    ),
    "ack-takes-none": (lambda: numbers.ack_takes_none(Bench(), early=b""), Verdict.NOT_SHOWN),
    "server-allocates-at-syn": (lambda: queues.server_allocates_at_syn(Bench(), backlog=100), Verdict.HOLDS),
    "stale-syn": (lambda: handshake.stale_syn(without(delay="1=5ms")), Verdict.NOT_SHOWN),
    "syn-lost": (lambda: handshake.syn_lost(without(settings=["rto_initial=10min"])), Verdict.NOT_SHOWN),
    "synack-lost": (
        lambda: handshake.synack_lost(without(settings=["rto_initial=10min"])),
        Verdict.NOT_SHOWN,
    ),
    "third-ack-lost": (lambda: handshake.third_ack_lost(Bench(), OpensOnSyn), Verdict.NOT_SHOWN),
    "closed-port": (
        lambda: handshake.closed_port(without(drop="2,4,6,8,10,12,14,16,18,20")),
        Verdict.NOT_SHOWN,
    ),
    "wrong-ack": (lambda: handshake.wrong_ack(Bench(), TakesAnyAck), Verdict.NOT_SHOWN),
    "simultaneous-open": (lambda: handshake.simultaneous_open(Bench(), later=SECOND), Verdict.NOT_SHOWN),
    "backlog-full": (lambda: queues.backlog_full(Bench(), backlog=100), Verdict.NOT_SHOWN),
    "syn-flood": (lambda: queues.syn_flood(Bench(), server=Front), Verdict.MYTH),
    "cookies-cost": (lambda: queues.cookies_cost(Bench(), timestamps=True), Verdict.NOT_SHOWN),
    "calls-and-segments": (lambda: handshake.calls_and_segments(Bench(), OpensOnSyn), Verdict.NOT_SHOWN),
    "client-crash-half-open": (
        lambda: handshake.client_crash_half_open(without(drop=all_from(5))),
        Verdict.NOT_SHOWN,
    ),
    "byte-stream": (lambda: data.byte_stream(Bench(), pause=SECOND), Verdict.NOT_SHOWN),
    "reliable": (lambda: data.reliable(Bench(), trusting=True), Verdict.NOT_SHOWN),
    "ack-is-seq-plus-one": (lambda: numbers.ack_is_seq_plus_one(Bench(), length=1), Verdict.HOLDS),
    "six-flags": (lambda: numbers.six_flags(Bench(), today="off"), Verdict.HOLDS),
    "push-delivers": (lambda: data.push_delivers(Bench(), length=100), Verdict.HOLDS),
    "urgent-pointer": (lambda: data.urgent_pointer(Bench(), is_urgent=False), Verdict.NOT_SHOWN),
    "sliding-window": (lambda: data.sliding_window(Bench(), room=1 << 20), Verdict.NOT_SHOWN),
    "zero-window-deadlock": (lambda: timers.zero_window_deadlock(Bench(), NeverProbes), Verdict.NOT_SHOWN),
    "nagle-delayed-ack": (lambda: timers.nagle_delayed_ack(Bench(), delay=0), Verdict.NOT_SHOWN),
    "keep-alive": (
        lambda: timers.keep_alive(without(settings=["keep_alive_probes=2"])),
        Verdict.NOT_SHOWN,
    ),
    "numbers-wrap": (lambda: wrapping.numbers_wrap(Bench(), Front), Verdict.NOT_SHOWN),
    "paws": (lambda: wrapping.paws(Bench(), timestamps=False), Verdict.NOT_SHOWN),
    "full-duplex": (lambda: data.full_duplex(Bench(), later=SECOND), Verdict.NOT_SHOWN),
    "socket-pair": (lambda: data.socket_pair(Bench(), third_port=5000), Verdict.NOT_SHOWN),
    "encapsulation": (lambda: data.encapsulation(Bench(), b"not HTTP"), Verdict.NOT_SHOWN),
    "rto-backoff": (lambda: timers.rto_backoff(Bench(), losses=1), Verdict.NOT_SHOWN),
    "karn": (lambda: timers.karn(without(settings=["timestamps=off"])), Verdict.HOLDS),
    "slow-start": (lambda: congestion.slow_start(Bench(), first=1), Verdict.HOLDS),
    "congestion-avoidance": (lambda: congestion.congestion_avoidance(Bench(), losses=0), Verdict.NOT_SHOWN),
    "fast-retransmit": (lambda: congestion.fast_retransmit(Bench(), behind=2), Verdict.NOT_SHOWN),
    "fast-recovery": (lambda: congestion.fast_recovery(Bench(), share=5), Verdict.HOLDS),
    "four-way": (lambda: close.four_way(Bench(), prompt=True), Verdict.NOT_SHOWN),
    "fin-takes-a-number": (lambda: numbers.fin_takes_a_number(without(drop=all_from(5))), Verdict.NOT_SHOWN),
    "half-close": (lambda: close.half_close(Bench(), released=True), Verdict.NOT_SHOWN),
    "always-four": (lambda: close.always_four(Bench(), prompt=False), Verdict.HOLDS),
    "why-not-three": (lambda: close.why_not_three(Bench(), length=0), Verdict.NOT_SHOWN),
    "ack-stops-fin": (lambda: close.ack_stops_fin(Bench(), losses=0), Verdict.NOT_SHOWN),
    "either-may-close": (lambda: close.either_may_close(without(drop=all_from(4))), Verdict.NOT_SHOWN),
    "simultaneous-close": (lambda: close.simultaneous_close(Bench(), later=SECOND), Verdict.NOT_SHOWN),
    "server-first-to-closed": (
        lambda: waiting.server_first_to_closed(without(settings=["time_wait=off"])),
        Verdict.NOT_SHOWN,
    ),
    "last-ack-lost": (lambda: waiting.last_ack_lost(without(settings=["time_wait=off"])), Verdict.NOT_SHOWN),
    "why-two-msl": (lambda: waiting.why_two_msl(Bench(), msl=5 * SECOND), Verdict.NOT_SHOWN),
    "old-duplicates": (lambda: waiting.old_duplicates(without(settings=["timestamps=off"])), Verdict.HOLDS),
    "two-msl-is-four-minutes": (
        lambda: waiting.two_msl_is_four_minutes(Bench(), kernel=2 * MINUTE),
        Verdict.HOLDS,
    ),
    "port-busy": (lambda: waiting.port_busy(Bench(), reuse=False), Verdict.HOLDS),
    "many-time-waits": (
        lambda: waiting.many_time_waits(without(settings=["time_wait=off"])),
        Verdict.NOT_SHOWN,
    ),
    "rst-aborts": (lambda: close.rst_aborts(Bench(), orderly=True), Verdict.NOT_SHOWN),
    "rst-for-unread": (lambda: abrupt.rst_for_unread(Bench(), reads=True), Verdict.NOT_SHOWN),
    "linger-zero": (lambda: abrupt.linger_zero(Bench(), length=100), Verdict.HOLDS),
    "fin-wait-2-waits": (lambda: close.fin_wait_2_waits(Bench(), orphan_timeout=NEVER), Verdict.HOLDS),
    "close-wait-stays": (lambda: abrupt.close_wait_stays(Bench(), forgets=False), Verdict.NOT_SHOWN),
    "udp-no-handshake": (lambda: compare.udp_no_handshake(without(drop="1")), Verdict.NOT_SHOWN),
    "head-of-line": (lambda: compare.head_of_line(without(drop="2")), Verdict.NOT_SHOWN),
    "url-to-page": (lambda: compare.url_to_page(without(drop="2")), Verdict.NOT_SHOWN),
    "one-connection-many-requests": (
        lambda: compare.one_connection_many_requests(Bench(), requests=1),
        Verdict.NOT_SHOWN,
    ),
}


@pytest.mark.parametrize("name", claims())
class TestClaim:
    def test_the_experiment_finds_the_verdict_of_the_table(self, name: str) -> None:
        report = run(name)
        assert report.verdict is claim(name).verdict
        assert report.agrees

    def test_the_check_finds_something_else_where_the_claim_is_false(self, name: str) -> None:
        made, verdict = OTHERWISE[name]
        assert made() is verdict
        assert verdict is not claim(name).verdict

    def test_nothing_is_shown_where_nothing_arrives(self, name: str) -> None:
        assert run(name, Interference.read(loss="100%")).verdict is not claim(name).verdict

    @pytest.mark.parametrize("seed", range(3))
    def test_whoever_interferes_breaks_nothing(self, name: str, seed: int) -> None:
        told = Interference.read(
            loss="20%", seed=seed, drop="2", dup="1,4", delay="3=2s", corrupted="5", reorder="6,7"
        )
        assert run(name, told).verdict in Verdict

    def test_the_same_seed_gives_the_same_run(self, name: str) -> None:
        one, other = (run(name, Interference.read(loss="10%", seed=7)) for _ in range(2))
        assert [scene.trace.to_json() for scene in one.scenes] == [
            scene.trace.to_json() for scene in other.scenes
        ]

    def test_its_texts_stand_side_by_side(self, name: str) -> None:
        found = claim(name)
        texts = [*(getattr(found, key) for key in PARTS), *found.runs.values()]
        assert all(text.en.strip() and text.zh.strip() for text in texts)
        assert not any(is_wide(character) for text in texts for character in text.en)

    def test_it_is_found_by_each_of_its_keywords_and_by_its_name(self, name: str) -> None:
        for wanted in (name, *claim(name).keywords):
            assert claim(name) in find(wanted), wanted

    def test_it_has_keywords_in_both_languages(self, name: str) -> None:
        wide = {any(is_wide(character) for character in word) for word in claim(name).keywords}
        assert wide == {True, False}

    def test_its_ladders_say_in_words_why_a_packet_was_dropped(self, name: str) -> None:
        reasons = {packet.dropped for scene in run(name).scenes for packet in scene.trace.packets}
        assert all(f"dropped {reason}" in TEXTS for reason in reasons if reason)

    def test_each_of_several_runs_has_its_name(self, name: str) -> None:
        titles = [scene.title for scene in run(name).scenes]
        assert titles == (list(claim(name).runs) if len(titles) > 1 else ["plain"])


def is_wide(character: str) -> bool:
    return character > "\u2e80"


def test_no_claim_goes_untested() -> None:
    assert list(OTHERWISE) == list(claims())


def test_what_is_said_around_them_stands_side_by_side() -> None:
    assert all(text.en and text.zh for text in words().values())
    assert all(both["en"] and both["zh"] for both in table()["remarks"].values())
    assert remark("window", count=10) == ("congestion window: 10 segments", "拥塞窗口：10 个报文段")
    assert {str(verdict) for verdict in Verdict} | {found.group for found in claims().values()} <= set(
        words()
    )


def test_names_that_nobody_knows() -> None:
    with pytest.raises(ArgumentError, match="no-such-claim"):
        claim("no-such-claim")


class TestVerdict:
    def test_what_was_shown_holds(self) -> None:
        assert decide(shown=True) is Verdict.HOLDS

    def test_an_exception_is_a_caveat_of_what_was_shown(self) -> None:
        assert decide(shown=True, exception=True) is Verdict.CAVEAT
        assert decide(shown=False, exception=True) is Verdict.NOT_SHOWN

    def test_what_is_refuted_was_right_once_or_never(self) -> None:
        assert decide(shown=False, refuted=True) is Verdict.MYTH
        assert decide(shown=True, refuted=True, formerly=True) is Verdict.CHANGED


class TestOldDuplicates:
    """The octets of the old connection really are in the new one, or really aren't."""

    def test_octets_of_the_old_connection_turn_up_in_the_new_one_only_where_nothing_guards_it(self) -> None:
        scenes = run("old-duplicates").scenes
        texts = [[end.text for end in scene.server.ends] for scene in scenes]
        assert [len(found) for found in texts] == [2, 2, 2]
        assert [b"o" in new for _, new in texts] == [False, True, False]
        assert [len(new) for _, new in texts] == [33_000] * 3
        assert all(set(old) == set(b"o") for old, _ in texts)

    def test_with_timestamps_everywhere_it_never_was_true(self) -> None:
        assert run("old-duplicates", Interference.read(settings=["timestamps=on"])).verdict is Verdict.MYTH


class TestLastAckLost:
    def test_time_wait_begins_again_and_ends_orderly(self) -> None:
        kept, met = run("last-ack-lost").scenes
        assert [end.error for scene in (kept, met) for end in scene.server.ends] == [None, None]
        assert [packet.segment.flags for packet in kept.segments("client")[-1:] if packet.segment] == [0x10]
        assert [packet.segment.flags for packet in met.segments("client")[-1:] if packet.segment] == [0x04]
