"""The scoreboard against a model that counts octets one by one, and its bounds."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postel.tcp.config import DEFAULT
from postel.tcp.congestion import initial_window
from postel.tcp.congestion.reno import Reno
from postel.tcp.recovery.rack import Rack
from postel.tcp.recovery.scoreboard import RANGES, Scoreboard
from postel.tcp.recovery.transmissions import LOST
from postel.tcp.recovery.undo import NO_ECHO
from postel.tcp.rtt import Rtt
from postel.wire.segment import ACK, Segment
from tests.tcp.flights import Block

Step = tuple[str, int, int]
STEPS = ("send", "again", "ack", "sack", "timeout", "wait")


@settings(max_examples=300)
@given(
    st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 90), st.integers(1, 30)), max_size=60),
    st.sampled_from([0, 0xFFFFFF00, 0x7FFFFFF0]),
)
def test_the_pipe_is_what_counting_octets_gives(steps: list[Step], first: int) -> None:
    """RFC9937-6.2b, octet by octet: in flight, neither SACKed nor lost, and once more if sent again since."""
    smss = 10
    recovery = Rack(first, Reno(smss, initial_window(smss)), Rtt(DEFAULT))
    _board, una, end, now = recovery.board, 0, 0, 0
    sacked: set[int] = set()
    for now, (kind, position, octets) in enumerate(steps, 1):
        if kind == "send":
            recovery.on_sent((first + end) % (1 << 32), octets, now)
            end += octets
        elif kind == "again":
            number, most = recovery.next_lost((first + una) % (1 << 32))
            if number >= 0:
                recovery.on_sent(number, min(most, octets), now)
        elif kind == "ack" and una < position <= end:
            acked, una = position - una, position
            heard(recovery, first + una, acked, (), now)
        elif kind == "sack" and una < position and position + octets <= end:
            sacked |= set(range(position, position + octets))
            heard(recovery, first + una, 0, ((first + position, first + position + octets),), now)
        elif kind == "timeout" and end > una:
            recovery.on_timeout(again=False, has_more=False, now=now)
            sacked = set() if una in sacked else sacked
        elif kind == "wait":
            recovery.on_reorder_timeout(now + octets)
        sacked = {number for number in sacked if una <= number}
        consistent(recovery, una, end, sacked)


def heard(recovery: Rack, una: int, acked: int, blocks: tuple[Block, ...], now: int) -> None:
    segment = Segment(1, 2, 0, una % (1 << 32), ACK, 1000)
    segment.sack = tuple((left % (1 << 32), right % (1 << 32)) for left, right in blocks)
    recovery.on_ack(segment, una % (1 << 32), acked, NO_ECHO, now, is_duplicate=bool(blocks), has_more=False)


def consistent(recovery: Rack, una: int, end: int, sacked: set[int]) -> None:
    board = recovery.board
    records = board.sent.all()
    assert [record.start for record in records[1:]] == [record.end for record in records[:-1]]
    if end > una:
        assert (records[0].start, records[-1].end) == (una, end)
    lost = sum(record.end - record.start for record in records if record.state == LOST)
    assert board.lost == lost
    assert board.sacked.total == len(sacked)
    assert board.pipe == end - una - len(sacked) - lost
    first = board.first_lost()
    assert (first is not None) == (lost > 0)
    if first is not None:
        assert first.start == min(record.start for record in records if record.state == LOST)


@settings(max_examples=300)
@given(
    st.lists(
        st.tuples(st.sampled_from((*STEPS, "send", "sack")), st.integers(0, 90), st.integers(1, 9)),
        max_size=60,
    ),
    st.sampled_from([0, 0xFFFFFF00]),
)
def test_a_shared_record_is_equal_to_one_for_each_segment(steps: list[Step], first: int) -> None:
    """Whole segments leave in bursts, each at one instant; the twin believes that something was sent between
    any two of them.
    """
    smss = 10
    pair = [Rack(first, Reno(smss, initial_window(smss)), Rtt(DEFAULT)) for _ in range(2)]
    una = end = 0
    for now, (kind, position, count) in enumerate(steps, 1):
        at, octets = position // smss * smss, count * smss
        for recovery in pair:
            if kind == "send":
                for index in range(count):
                    recovery.on_sent((first + end + index * smss) % (1 << 32), smss, now)
                    pair[1].board.sent._serial += 1
            else:
                happens(
                    recovery,
                    kind,
                    first,
                    una,
                    at if una < at <= end else una,
                    octets if at + octets <= end else 0,
                    now,
                )
        end += octets if kind == "send" else 0
        una = at if kind == "ack" and una < at <= end else una
        told = []
        for recovery in pair:
            board, figures = recovery.board, recovery.figures()
            number, most = recovery.next_lost((first + una) % (1 << 32))
            told.append(
                (
                    *(
                        board.pipe,
                        board.lost,
                        board.segments_sacked,
                        figures.retransmitted,
                        figures.reorderings > 0,
                    ),
                    *(
                        number,
                        min(most, smss),
                        recovery.reorder_at,
                        recovery.is_active,
                        recovery.watches_tail(),
                        recovery.tail(),
                    ),
                    *(
                        recovery.congestion.window,
                        recovery.sample.round_trip,
                        recovery.sample.delivered,
                        recovery.sample.lost,
                    ),
                )
            )
        assert told[0] == told[1]


@settings(max_examples=200)
@given(
    st.lists(
        st.tuples(st.sampled_from(("send", "ack", "wait")), st.integers(1, 90), st.integers(1, 30)),
        max_size=60,
    ),
    st.sampled_from([0, 0xFFFFFF00]),
)
def test_the_short_way_of_an_ack_in_order_is_equal_to_the_long_one(steps: list[Step], first: int) -> None:
    """Two of them hear the same; one always takes the long way, since it waits for something to undo."""
    pair = [Rack(first, Reno(10, initial_window(10)), Rtt(DEFAULT)) for _ in range(2)]
    una, end, now = 0, 0, 1000
    for kind, amount, octets in steps:
        now += octets
        if kind == "send":
            for recovery in pair:
                recovery.on_sent((first + end) % (1 << 32), octets, now)
            end += octets
        elif kind == "ack" and end > una:
            acked = min(amount, end - una)
            una += acked
            for recovery in pair:
                heard(recovery, first + una, acked, (), now)
        elif kind == "wait":
            now += 50 * amount
        pair[1]._undo.begin()
        pair[1]._undo_until = 1 << 40
        told = [
            (
                seen.sample.delivered,
                seen.sample.round_trip,
                seen.sample.flight,
                seen.sample.una,
                seen.reorder_at,
            )
            for seen in pair
        ]
        assert told[0] == told[1]
        known = [
            (seen._round_trip, seen._forward, seen._reordering.count, seen.board.pipe, seen.watches_tail())
            for seen in pair
        ]
        assert known[0] == known[1]


def happens(recovery: Rack, kind: str, first: int, una: int, at: int, octets: int, now: int) -> None:
    if kind == "again":
        number, most = recovery.next_lost((first + una) % (1 << 32))
        if number >= 0:
            recovery.on_sent(number, min(most, recovery.congestion.smss), now)
    elif kind == "ack" and at > una:
        heard(recovery, first + at, at - una, (), now)
    elif kind == "sack" and at > una and octets:
        heard(recovery, first + una, 0, ((first + at, first + at + octets),), now)
    elif kind == "timeout" and recovery.board.flight:
        recovery.on_timeout(again=False, has_more=False, now=now)
    elif kind == "wait":
        recovery.on_reorder_timeout(now + octets)


@pytest.mark.label("BAD-MSS-2")
def test_bad_mss_2_a_thousand_holes_are_all_that_is_believed() -> None:
    board = Scoreboard(0)
    board.sent.add(0, 1 << 20, 0)
    for number in range(3 * RANGES):
        if board.may_take(16 * number + 8, 16 * number + 16):
            board.take_block(16 * number + 8, 16 * number + 16)
    assert len(board.sacked) == RANGES
