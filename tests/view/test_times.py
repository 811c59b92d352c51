"""Times in the ladders: each state stands beside the time at which the end came into it, at both ends."""

import re
from collections.abc import Callable
from contextlib import suppress
from itertools import pairwise

import pytest

from postel import Connection
from postel.errors import TcpError
from postel.sim import World
from postel.tcp.state import CLOSE_WAIT, ESTABLISHED, FIN_WAIT_1, LAST_ACK, SYN_SENT, State
from postel.times import MILLISECOND, SECOND
from postel.view import Trace, caption, fold, ladder, moments
from postel.view.flow import Change, Flow
from postel.view.svg import ladder as picture
from postel.wire.address import Endpoint
from postel.wire.segment import ACK, FIN
from tests.view.capture.tape import Tape
from tests.view.stage import Stage
from tests.view.test_fold import transfer
from tests.view.test_ladder import one_side, simultaneous_open, trouble, whole_life

Shown = list[tuple[str, str]]  # time and name of each state that is printed at one end
NAMES = {str(state) for state in State}
SEEDS = range(120)


def printed(text: str) -> tuple[Shown, Shown]:
    """The states at both ends of a printed ladder, each with the time of its row."""
    ends: tuple[Shown, Shown] = ([], [])
    for line in text.splitlines()[2:]:  # below the titles and the initial states
        right = re.split("[│┤|┆:]", line[25:])[-1]
        for end, state in zip(ends, (line[12:24].strip(), right.strip()), strict=True):
            if state in NAMES:
                assert line[:11].strip(), line
                end.append((line[:11].strip(), state))
    return ends


def changes_at(end: Endpoint, flow: Flow) -> list[Change]:
    """Changes of state of an end, without one that only leads to its initial state."""
    changes = [change for change in flow.changes if change.at == end]
    return changes[1:] if changes and changes[0].after is flow.initial_state(end) else changes


def told(change: Change, start: int) -> tuple[str, str]:
    """Time and state of a change, as a ladder writes them."""
    return caption.clock(change.when - start).strip(), str(change.after)


def lasting(changes: list[Change]) -> list[Change]:
    """Without states that ended at the time at which they began."""
    return [
        one for one, following in pairwise([*changes, None]) if not following or following.when > one.when
    ]


def through_a_network(seed: int) -> Trace:
    """Two hosts open and close a connection; packets are lost, doubled, late, overtaken, and cross."""
    trace = Trace()
    world = World(seed=seed, observer=trace)
    client, server = world.host("client", "10.0.0.1/24"), world.host("server", "10.0.0.2/24")
    trouble = 0.25 if seed % 3 else 0.0
    world.path(
        client, server, delay=10 * MILLISECOND, jitter=seed % 4 * MILLISECOND,
        loss=trouble, duplicate=trouble, reorder=trouble, hold=seed % 5 * 12 * MILLISECOND,
    )  # fmt: skip
    listener = server.listen(80, world.now)
    near = client.connect("10.0.0.2", 80, world.now, local_port=5000)
    if seed % 10 == 9:  # both open
        server.connect("10.0.0.1", 5000, world.now, local_port=80)
    world.run(until=(15 + seed % 7 * 10) * MILLISECOND)
    with suppress(TcpError):
        near.send(bytes(700 * (seed % 4)), world.now)
    if seed % 2:
        _close(near, world.now)
    world.run(until=world.now + seed % 11 * 3 * MILLISECOND)
    far = listener.accept()
    if far is not None:
        with suppress(TcpError):
            far.send(bytes(3000), world.now)
        _close(far, world.now)
    world.run(until=world.now + seed % 6 * 4 * MILLISECOND)
    _close(near, world.now)
    world.run(until=world.now + 300 * SECOND)
    return trace


def _close(connection: Connection, now: int) -> None:
    with suppress(TcpError):  # a RST has ended it
        connection.close(now)


def refusal() -> Trace:
    """No process listens."""
    trace = Trace()
    world = World(seed=1, observer=trace)
    client, server = world.host("client", "10.0.0.1/24"), world.host("server", "10.0.0.2/24")
    world.path(client, server, delay=10 * MILLISECOND)
    client.connect("10.0.0.2", 80, world.now)
    world.run(until=SECOND)
    return trace


def at_once() -> Trace:
    """A remark at the time of an arrival, and a call that sends its segment later."""
    stage = Stage().handshake()
    left, right = stage.left, stage.right
    stage.trace.remark(right, left, ("accept()",), 30_000)
    stage.enters(left, FIN_WAIT_1, 40)
    stage.crosses(left, stage.packet(left, FIN | ACK, 1, 1), 41, CLOSE_WAIT)
    stage.enters(right, LAST_ACK, 51)
    stage.crosses(right, stage.packet(right, FIN | ACK, 1, 2), 51)
    return stage.trace


def captured() -> Trace:
    return Tape().handshake().close().trace()


MADE: list[Callable[[], Trace]] = [
    *(whole_life, simultaneous_open, trouble, one_side, transfer, refusal, at_once, captured)
]


def check(trace: Trace, **options: object) -> None:
    """Compare the printed states of each connection with the trace."""
    start = trace.packets[0].sent_at
    for flow in trace.flows:
        if not flow.packets:
            continue
        text = ladder.render(trace, connection=flow.number, **options)  # type: ignore[arg-type]
        for end, states in zip(flow.ends, printed(text), strict=True):
            changes = changes_at(end, flow)
            expected = [told(change, start) for change in lasting(changes)]
            assert [shown for shown in expected if shown not in states] == [], text
            remaining = iter([told(change, start) for change in changes])
            assert all(shown in remaining for shown in states), text


class TestText:
    @pytest.mark.parametrize("make", MADE)
    @pytest.mark.parametrize("width", [72, 104, 140])
    @pytest.mark.parametrize("language", ["en", "zh"])
    def test_each_state_stands_beside_its_own_time(
        self, make: Callable[[], Trace], width: int, language: str
    ) -> None:
        for form in ({}, {"with_notes": False}, {"unfold": True}, {"ascii_only": True}):
            check(make(), width=width, language=language, **form)

    @pytest.mark.parametrize("seed", SEEDS)
    def test_also_where_packets_are_lost_doubled_and_overtaken(self, seed: int) -> None:
        check(through_a_network(seed))

    @pytest.mark.parametrize("make", [whole_life, simultaneous_open, trouble, one_side, at_once, captured])
    def test_the_times_of_the_rows_never_go_back(self, make: Callable[[], Trace]) -> None:
        for part in ladder.render(make()).split("\n\n"):
            clocks = [line[:11].split() for line in part.splitlines()]
            times = [
                float(clock[0]) * (1000 if clock[1] == "s" else 1) for clock in clocks if len(clock) == 2
            ]
            assert times == sorted(times)

    def test_hours_leave_the_lifelines_straight(self) -> None:
        stage = Stage().handshake()
        stage.enters(stage.left, FIN_WAIT_1, 86_400_000)
        check(stage.trace)
        *_, above, last = ladder.render(stage.trace).splitlines()
        assert last.startswith("86400.000 s   FIN-WAIT-1 │")
        assert above.index("┆") == last.index("│")

    def test_2msl_can_be_measured(self) -> None:
        client, _ = printed(ladder.render(whole_life()))
        assert client[-2:] == [("271.000 ms", "TIME-WAIT"), ("240.271 s", "CLOSED")]

    def test_the_answer_s_row_spares_that_of_the_arrival(self) -> None:
        lines = ladder.render(whole_life()).splitlines()
        assert "SYN-RECEIVED" in next(line for line in lines if "#2" in line)
        assert not any("#1 ╌╌►" in line for line in lines)

    def test_a_segment_of_a_later_time_than_its_call_leaves_the_call_a_row(self) -> None:
        text = ladder.render(at_once())
        assert "  40.000 ms   FIN-WAIT-1 │ the user's call" in text
        assert "│ CLOSE-WAIT" in text

    def test_a_capture_says_whose_times_it_has(self) -> None:
        assert "passed the place of the capture" in ladder.render(captured())
        assert "报文段经过捕获点的时刻" in ladder.render(captured(), language="zh")
        assert "capture" not in ladder.render(whole_life())


class TestPicture:
    @pytest.mark.parametrize("make", MADE)
    def test_each_state_stands_at_the_height_of_its_own_time(self, make: Callable[[], Trace]) -> None:
        _check_picture(make())

    @pytest.mark.parametrize("seed", SEEDS)
    def test_also_where_packets_are_lost_doubled_and_overtaken(self, seed: int) -> None:
        _check_picture(through_a_network(seed))

    def test_two_states_of_one_moment_stand_above_the_next_time(self) -> None:
        stage = Stage()
        stage.enters(stage.left, SYN_SENT, 0)
        octets = stage.departs(stage.left, stage.packet(stage.left, ACK, 0, 1), 0, 10)
        stage.arrives(octets, 10, ESTABLISHED, stage.right)
        stage.enters(stage.right, CLOSE_WAIT, 10)
        stage.crosses(stage.left, stage.packet(stage.left, ACK, 1, 1), 11)
        _check_picture(stage.trace)

    def test_a_capture_says_whose_times_it_has(self) -> None:
        assert "passed the place of the capture" in picture.render(captured().flows)
        assert "capture" not in picture.render(whole_life().flows)


def _check_picture(trace: Trace) -> None:
    start = trace.packets[0].sent_at
    for flow in trace.flows:
        if not flow.packets:
            continue
        drawn = picture.Ladder(flow, moments.of(flow, fold.runs(flow)), start, ("en",), 0.0)
        clocks = {height: clock for height, clock in zip(drawn.heights, drawn.clocks, strict=True) if clock}
        places = sorted(clocks)
        assert all(below - above >= 13 for above, below in pairwise(places))  # the times don't overlap
        for side, end in zip(drawn.sides, flow.ends, strict=True):
            shown = []
            for (_, _, before), (height, state, number) in pairwise(side.states):
                if number != before:  # further states of the same moment stand below the first
                    assert height in clocks
                shown.append((clocks[max(place for place in places if place <= height)], str(state)))
            every = [change for change in flow.changes if change.at == end]
            assert shown == [told(change, start) for change in every]
