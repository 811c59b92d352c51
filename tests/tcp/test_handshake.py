"""What two SYNs agree on, and simultaneous opens and closes between two real connections whatever is lost,
doubled or swapped.
"""

import itertools
from dataclasses import replace

import pytest

from postel.tcp.config import DEFAULT
from postel.tcp.connection import Connection
from postel.tcp.events import Opened
from postel.tcp.invariants import check
from postel.tcp.recovery.newreno import NewReno
from postel.tcp.recovery.rack import Rack
from postel.tcp.state import CLOSED, ESTABLISHED, State
from postel.testing import states
from postel.testing.states import LOCAL, PLAIN, REMOTE, Peer, established, listen, syn_received, syn_sent
from postel.times import HOUR, NEVER
from postel.wire.segment import ABSENT, ACK, SYN, Segment


@pytest.mark.label("RFC2018-4a", "RFC8985-4a")
@pytest.mark.parametrize(("ours", "theirs"), [(True, True), (True, False), (False, True)])
def test_rfc2018_4a_sack_only_if_both_permit_it(ours: bool, theirs: bool) -> None:
    scene = established(replace(PLAIN, sack=ours), Peer(sack=theirs))
    assert scene.tcb.sack_agreed is (ours and theirs)
    assert isinstance(scene.tcb.ensure_recovery(), Rack if ours and theirs else NewReno)
    scene.hears(ACK, b"ahead", seq=10)
    assert bool(scene.sent[0].sack) is (ours and theirs)


def test_every_choice_of_ours_is_offered_and_none_that_we_lack() -> None:
    for config in itertools.product([False, True], repeat=3):
        sack, stamps, scaling = config
        scene = states.closed(replace(DEFAULT, sack=sack, timestamps=stamps, window_scaling=scaling))
        scene.does(scene.connection.open_active)
        syn = scene.sent[0]
        assert (syn.sack_permitted, syn.tsval != ABSENT, syn.window_scale != ABSENT) == config


def test_every_offer_is_answered_by_what_we_want_of_it() -> None:
    for ours, theirs in itertools.product(itertools.product([False, True], repeat=3), repeat=2):
        sack, stamps, scaling = ours
        peer = Peer(sack=theirs[0], tsval=9 if theirs[1] else ABSENT, window_scale=3 if theirs[2] else ABSENT)
        scene = listen(replace(DEFAULT, sack=sack, timestamps=stamps, window_scaling=scaling), peer)
        scene.hears(SYN)
        answer = scene.sent[0]
        found = (answer.sack_permitted, answer.tsval != ABSENT, answer.window_scale != ABSENT)
        assert found == tuple(left and right for left, right in zip(ours, theirs, strict=True))


def test_the_syn_again_is_the_same_syn() -> None:
    for scene in (
        syn_sent(DEFAULT, Peer(sack=True)),
        syn_received(DEFAULT, Peer(sack=True, tsval=3, window_scale=2)),
    ):
        scene.expires()
        first = scene.sent[0]
        scene.expires()
        again = scene.sent[0]
        for name in ("seq", "ack", "flags", "window", "mss", "window_scale", "sack_permitted", "tsecr"):
            assert getattr(first, name) == getattr(again, name)


def test_a_small_buffer_is_a_small_first_window() -> None:
    scene = states.closed(replace(DEFAULT, receive_buffer=100))
    scene.does(scene.connection.open_active)
    assert scene.sent[0].window == 100


# Two connections

QUICK = replace(PLAIN, msl=1_000_000)
Fault = tuple[int, str]


class Pair:
    """Two connections, a segment in flight each way at a time, and one fault: the n-th segment of all is
    lost, doubled or late.
    """

    def __init__(self, fault: Fault) -> None:
        self.ends = [
            Connection(LOCAL, REMOTE, QUICK, iss=states.ISS),
            Connection(REMOTE, LOCAL, QUICK, iss=states.IRS),
        ]
        self.now = 0
        self.flying: list[tuple[int, int, Segment]] = []
        self.late: list[tuple[int, int, Segment]] = []
        self.count = 0
        self.fault = fault
        self.opened = [0, 0]

    def pump(self) -> None:
        for index, end in enumerate(self.ends):
            while (segment := end.next_segment(self.now)) is not None:
                self._carry(1 - index, segment)
            while (event := end.next_event()) is not None:
                self.opened[index] += isinstance(event, Opened)
            check(end._tcb)

    def _carry(self, to: int, segment: Segment) -> None:
        which, what = self.fault
        arrives = self.now + 10_000
        for copy in range(2 if (self.count, what) == (which, "doubled") else 1):
            late = (self.count, what) == (which, "late")
            if (self.count, what) != (which, "lost"):
                self.flying.append((arrives + copy * 5000 + (35_000 if late else 0), to, segment))
        self.count += 1

    def run(self, until: int) -> None:
        end = self.now + until
        self.pump()
        while (deadline := self._next()) <= end:
            self.now = max(self.now, deadline)
            for item in [item for item in self.flying if item[0] <= self.now]:
                self.flying.remove(item)
                self.ends[item[1]].segment_arrives(item[2], self.now)
                self.pump()
            for connection in self.ends:
                connection.handle_timeout(self.now)
            self.pump()
        self.now = end

    def _next(self) -> int:
        return min([item[0] for item in self.flying] + [end.next_timeout() for end in self.ends])

    def states(self) -> list[State]:
        return [end.state for end in self.ends]


def faults(segments: int) -> list[Fault]:
    return [(-1, "none"), *itertools.product(range(segments), ("lost", "doubled", "late"))]


@pytest.mark.label("BAD-OPEN-1", "MUST-10")
@pytest.mark.parametrize("fault", faults(4), ids=str)
def test_bad_open_1_a_simultaneous_open_makes_one_connection(fault: Fault) -> None:
    pair = Pair(fault)
    for end in pair.ends:
        end.open_active(0)
    pair.run(HOUR)
    assert pair.states() == [ESTABLISHED, ESTABLISHED]
    assert pair.opened == [1, 1]
    for end, other in (pair.ends, pair.ends[::-1]):
        end.send(b"hello", pair.now)
        pair.run(HOUR)
        assert other.receive(100, pair.now) == b"hello"
    assert [end.next_timeout() for end in pair.ends] == [NEVER, NEVER]


@pytest.mark.parametrize("fault", faults(3), ids=str)
def test_an_ordinary_open_with_each_segment_lost_doubled_or_late(fault: Fault) -> None:
    pair = Pair(fault)
    pair.ends[1].open_passive(0)
    pair.ends[0].open_active(0)
    pair.ends[0].send(b"hello", 0)
    pair.run(HOUR)
    assert pair.states() == [ESTABLISHED, ESTABLISHED]
    assert pair.ends[1].receive(100, pair.now) == b"hello"


@pytest.mark.label("BAD-CLOSE-1")
@pytest.mark.parametrize("fault", faults(4), ids=str)
@pytest.mark.parametrize("together", [True, False])
def test_bad_close_1_every_close_ends(fault: Fault, together: bool) -> None:
    pair = Pair((-1, "none"))
    pair.ends[1].open_passive(0)
    pair.ends[0].open_active(0)
    pair.run(HOUR)
    pair.count, pair.fault = 0, fault
    pair.ends[0].close(pair.now)
    if not together:
        pair.run(HOUR)
    pair.ends[1].close(pair.now)
    pair.run(HOUR)
    assert pair.states() == [CLOSED, CLOSED]
    assert [end.error for end in pair.ends] == [None, None]


@pytest.mark.label("RFC9293-A.2")
def test_rfc9293_a_2_simultaneous_window_probes_do_not_lock() -> None:
    """Both windows are closed, both have something to say, and both open again."""
    pair = Pair((-1, "none"))
    small = replace(QUICK, receive_buffer=10)
    pair.ends = [
        Connection(LOCAL, REMOTE, small, iss=states.ISS),
        Connection(REMOTE, LOCAL, small, iss=states.IRS),
    ]
    pair.ends[1].open_passive(0)
    pair.ends[0].open_active(0)
    pair.run(HOUR)
    for end in pair.ends:
        end.send(b"0123456789ABCDEFGHIJ", pair.now)
    pair.run(HOUR)
    received = [b"", b""]
    for _ in range(10):
        for index, end in enumerate(pair.ends):
            received[index] += end.receive(100, pair.now)
        pair.run(HOUR)
    assert received == [b"0123456789ABCDEFGHIJ"] * 2


@pytest.mark.label("BAD-OPEN-2", "BAD-HDR-10")
def test_bad_open_2_a_connection_to_itself() -> None:
    connection = Connection(LOCAL, LOCAL, QUICK, iss=states.ISS)
    connection.open_active(0)
    total = 0
    for now in range(0, 10_000_000, 10_000):
        connection.handle_timeout(now)
        while (segment := connection.next_segment(now)) is not None:
            connection.segment_arrives(segment, now)
            total += 1
            assert total < 100
        check(connection._tcb)
    assert connection.state is ESTABLISHED
    connection.send(b"echo", 10_000_000)
    segment = connection.next_segment(10_000_000)
    assert segment is not None
    connection.segment_arrives(segment, 10_000_000)
    assert connection.receive(10, 10_000_000) == b"echo"
