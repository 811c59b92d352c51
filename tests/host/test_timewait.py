"""TIME-WAIT as a record: frozen, thawed, reopened, ended."""

import gc
import tracemalloc
from collections.abc import Callable
from dataclasses import replace

import pytest

from postel.errors import AddressInUse, ConnectionClosing, ConnectionDoesNotExist
from postel.host import timewait
from postel.host.host import Host
from postel.host.ports import Ports
from postel.host.timewait import TimeWait, TimeWaitRecord
from postel.tcp import seq
from postel.tcp.config import DEFAULT, Config
from postel.tcp.events import Acceptable
from postel.tcp.state import CLOSED, SYN_RECEIVED, TIME_WAIT
from postel.times import MILLISECOND, MINUTE, NEVER, SECOND
from postel.wire.segment import ABSENT, ACK, FIN, RST, SYN
from tests.host.conftest import Peer


def time_wait(peer: Peer, *, timestamps: bool = True, config: Config = DEFAULT, released: bool = True):
    """The host closed a connection of its listener first. The peer's last numbers: SEQ 1002, and what it must
    acknowledge.
    """
    stamp = {"tsval": 500, "tsecr": 0} if timestamps else {}
    listener = peer.host.listen(80, peer.now, config=config)
    answer = peer.segment(peer.give(peer.tcp(SYN, **stamp)))
    peer.give(peer.tcp(ACK, seq=1001, ack=answer.seq + 1, **stamp))
    connection = listener.accept()
    if released:
        connection.release(peer.now)
    else:
        connection.close(peer.now)
    fin = peer.segment(peer.drain())
    assert fin.flags & FIN
    last = peer.segment(peer.give(peer.tcp(FIN | ACK, seq=1001, ack=seq.add(fin.seq, 1), **stamp)))
    assert last.ack == 1002
    return connection, last


@pytest.mark.label("EP-TMO-3")
@pytest.mark.parametrize("released", [True, False])
def test_ep_tmo_3_two_msl_later_nothing_is_left(peer: Peer, host: Host, released: bool):
    connection, _ = time_wait(peer, released=released)
    assert (host.statistics()["time_wait"], host.statistics()["connections"]) == (1, 0)
    assert connection.state is (CLOSED if released else TIME_WAIT)
    assert [state for _, _, state in host.connections()] == [TIME_WAIT]
    assert peer.advance(4 * MINUTE - 1) == []
    assert [state for _, _, state in host.connections()] == [TIME_WAIT]
    assert peer.advance(1) == []
    assert list(host.connections()) == []
    assert connection.state is CLOSED
    assert [type(event).__name__ for subject, event in peer.events if subject is connection][-1] == "Closed"
    assert host.next_timeout() == NEVER


def test_who_is_released_late_leaves_the_pair_in_time_wait(peer: Peer, host: Host):
    connection, _ = time_wait(peer, released=False)
    peer.advance(MINUTE)
    connection.release(peer.now)
    peer.drain()
    assert (host.statistics()["time_wait"], host.statistics()["connections"]) == (1, 0)
    assert connection.state is CLOSED
    assert peer.advance(3 * MINUTE - 1) == []
    assert len(list(host.connections())) == 1
    peer.advance(1)
    assert list(host.connections()) == []


@pytest.mark.label("EP-ACK-14")
def test_ep_ack_14_a_repeated_fin_is_answered_from_the_record_and_restarts_it(peer: Peer, host: Host):
    _, last = time_wait(peer)
    began = peer.now
    for _ in range(3):
        peer.advance(MINUTE)
        again = peer.segment(peer.give(peer.tcp(FIN | ACK, seq=1001, ack=last.seq, tsval=600, tsecr=0)))
        assert (again.flags, again.seq, again.ack, again.window) == (ACK, last.seq, 1002, last.window)
        assert again.tsval - last.tsval == (peer.now - began) // MILLISECOND
        assert host.statistics()["time_wait"] == 1
        assert host.statistics()["connections"] == 0
    peer.advance(4 * MINUTE - 1)
    assert len(list(host.connections())) == 1
    peer.advance(1)
    assert list(host.connections()) == []


@pytest.mark.label("EP-ACK-15")
def test_ep_ack_15_a_pure_ack_is_not_answered(peer: Peer):
    _, last = time_wait(peer)
    assert peer.give(peer.tcp(ACK, seq=1002, ack=last.seq, tsval=600, tsecr=0)) == []


@pytest.mark.label("BAD-TW-1")
def test_bad_tw_1_no_assassination(peer: Peer, host: Host):
    _, last = time_wait(peer)
    peer.give(peer.tcp(RST, seq=1002), peer.tcp(RST | ACK, seq=1002, ack=last.seq))
    assert [state for _, _, state in host.connections()] == [TIME_WAIT]
    old_text = peer.segments(peer.give(peer.tcp(ACK, seq=900, ack=last.seq, data=b"old", tsval=400, tsecr=0)))
    assert all(not segment.flags & RST for segment in old_text)
    old_syn = peer.segments(peer.give(peer.tcp(SYN | ACK, seq=900, ack=last.seq, tsval=400, tsecr=0)))
    assert all(not segment.flags & RST for segment in old_syn)
    assert [state for _, _, state in host.connections()] == [TIME_WAIT]


@pytest.mark.label("EP-RST-7")
def test_ep_rst_7_as_rfc_9293_has_it(peer: Peer, host: Host):
    time_wait(peer, config=replace(DEFAULT, rfc1337=False))
    peer.give(peer.tcp(RST, seq=1002))
    assert list(host.connections()) == []
    assert peer.advance(4 * MINUTE) == []
    assert host.next_timeout() == NEVER


BEYOND, BEFORE = 1002, 1001  # the peer's FIN was 1001
EP_TW = [
    pytest.param(True, 501, BEFORE, True, id="EP-TW-1", marks=pytest.mark.label("EP-TW-1")),
    pytest.param(True, 500, BEYOND, True, id="EP-TW-2", marks=pytest.mark.label("EP-TW-2")),
    pytest.param(True, 500, BEFORE, False, id="EP-TW-2", marks=pytest.mark.label("EP-TW-2")),
    pytest.param(True, ABSENT, BEYOND, True, id="EP-TW-3", marks=pytest.mark.label("EP-TW-3")),
    pytest.param(True, ABSENT, BEFORE, False, id="EP-TW-4", marks=pytest.mark.label("EP-TW-4")),
    pytest.param(True, 499, BEYOND, False, id="EP-TW-4", marks=pytest.mark.label("EP-TW-4")),
    pytest.param(False, 1, BEFORE, True, id="EP-TW-5", marks=pytest.mark.label("EP-TW-5")),
    pytest.param(False, ABSENT, BEYOND, True, id="EP-TW-6", marks=pytest.mark.label("EP-TW-6")),
    pytest.param(False, ABSENT, BEFORE, False, id="EP-TW-7", marks=pytest.mark.label("EP-TW-7")),
]


@pytest.mark.label("BAD-TW-2", "RFC6191-2a", "RFC6191-2b")
@pytest.mark.parametrize("released", [True, False])
@pytest.mark.parametrize(("had", "tsval", "number", "accepted"), EP_TW)
def test_bad_tw_2_the_table_of_rfc_6191(
    peer: Peer, host: Host, released: bool, had: bool, tsval: int, number: int, accepted: bool
):
    connection, last = time_wait(
        peer, timestamps=had, released=released, config=replace(DEFAULT, time_wait_challenge=False)
    )
    answers = peer.segments(
        peer.give(peer.tcp(SYN, seq=number, tsval=tsval, tsecr=0 if tsval != ABSENT else ABSENT))
    )
    ((_, _, state),) = host.connections()
    if not accepted:
        assert answers == []  # silently
        assert state is TIME_WAIT
        assert host.statistics()["time_wait"] == 1
        assert connection.state is (CLOSED if released else TIME_WAIT)
        peer.advance(4 * MINUTE)
        assert list(host.connections()) == []
        return
    assert state is SYN_RECEIVED
    assert (answers[0].flags, answers[0].ack) == (SYN | ACK, number + 1)
    assert seq.gt(answers[0].seq, last.seq - 1)  # EP-TW-8, MAY-2
    assert connection.state is CLOSED
    assert [type(event).__name__ for subject, event in peer.events if subject is connection][-1] == "Closed"


@pytest.mark.label("EP-TW-8")
def test_ep_tw_8_the_iss_is_beyond_the_old_snd_max_even_if_the_clock_is_not(peer: Peer, host: Host):
    """More was sent than the clock of RFC 6528 counted: 250 octets a millisecond."""
    listener = host.listen(80, peer.now)
    answer = peer.segment(peer.give(peer.tcp(SYN, mss=1460)))
    peer.give(peer.tcp(ACK, seq=1001, ack=answer.seq + 1))
    connection = listener.accept()
    at = answer.seq + 1
    for _ in range(300):
        connection.send(bytes(1000), peer.now)
        peer.drain()
        at = seq.add(at, 1000)
        peer.give(peer.tcp(ACK, seq=1001, ack=at))
    connection.release(peer.now)
    peer.drain()
    peer.give(peer.tcp(FIN | ACK, seq=1001, ack=seq.add(at, 1)))
    again = peer.segment(peer.give(peer.tcp(SYN, seq=5000)))
    assert again.seq == seq.add(at, 1 + (1 << 16))


@pytest.mark.label("EP-TW-8")
@pytest.mark.parametrize("late", [False, True])
def test_ep_tw_8_a_reopening_that_fails_returns_to_time_wait(peer: Peer, host: Host, late: bool):
    time_wait(peer)
    if late:
        peer.advance(4 * MINUTE - SECOND)
    peer.give(peer.tcp(SYN, seq=2000, tsval=1000, tsecr=0))
    if late:
        peer.advance(2 * SECOND)
    peer.give(peer.tcp(RST, seq=2001))
    assert [state for _, _, state in host.connections()] == [TIME_WAIT] * (not late)
    peer.advance(10 * MINUTE)
    assert list(host.connections()) == []


def test_reopening_without_a_listener_or_permission_is_challenged(peer: Peer):
    """EP-SYN-3."""
    _, last = time_wait(peer, config=replace(DEFAULT, time_wait_reuse=False))
    answer = peer.segment(peer.give(peer.tcp(SYN, seq=5000, tsval=1000, tsecr=0)))
    assert (answer.flags, answer.ack, answer.seq) == (ACK, 1002, last.seq)


def test_reopening_waits_for_room_in_the_accept_queue(peer: Peer, host: Host):
    time_wait(peer)
    listener = host._connections.passive.find(peer.target, 80)
    listener.backlog = 1
    answer = peer.segment(peer.give(peer.tcp(SYN, port=6000)))
    peer.give(peer.tcp(ACK, seq=1001, ack=answer.seq + 1, port=6000))
    assert peer.give(peer.tcp(SYN, seq=5000, tsval=1000, tsecr=0)) == []
    assert sorted(str(state) for _, _, state in host.connections()) == ["ESTABLISHED", "TIME-WAIT"]


def test_a_pair_in_time_wait_is_taken_for_connect(peer: Peer, host: Host):
    time_wait(peer)
    host._connections.passive.find(peer.target, 80).close(peer.now)
    with pytest.raises(AddressInUse):
        host.connect("10.0.0.9", 5000, peer.now, local_address="10.0.0.1", local_port=80)


# A program that still holds the connection


def closed_with_text(peer: Peer, text: bytes = b"what had arrived"):
    """TIME-WAIT after `close` alone, with text that the program hasn't read."""
    listener = peer.host.listen(80, peer.now)
    answer = peer.segment(peer.give(peer.tcp(SYN)))
    peer.give(peer.tcp(ACK, seq=1001, ack=answer.seq + 1))
    connection = listener.accept()
    connection.close(peer.now)
    peer.drain()
    peer.give(peer.tcp(FIN | ACK, seq=1001, ack=answer.seq + 2, data=text))
    return connection, answer.seq + 2


def told(peer: Peer, connection: object) -> list[str]:
    return [type(event).__name__ for subject, event in peer.events if subject is connection]


def test_after_close_alone_what_had_arrived_is_read_in_time_wait(peer: Peer, host: Host):
    connection, _ = closed_with_text(peer)
    assert told(peer, connection) == ["Readable", "EndOfStream", "Closed"]
    assert (connection.state, connection.readable, connection.at_end) == (TIME_WAIT, 16, False)
    assert host.statistics()["memory_used"] == 0  # it is the program's
    assert connection.receive(4, peer.now) == b"what"
    peer.advance(4 * MINUTE - 1)
    assert (connection.state, connection.status(peer.now).state) == (TIME_WAIT, TIME_WAIT)
    peer.advance(1)
    assert connection.state is CLOSED
    assert connection.receive(99, peer.now) == b" had arrived"
    assert (connection.receive(99, peer.now), connection.at_end) == (b"", True)
    assert told(peer, connection).count("Closed") == 1
    assert (host.statistics()["memory_used"], host.next_timeout()) == (0, NEVER)


@pytest.mark.label("EP-SEND-5", "EP-CLOSE-8", "EP-SEND-1", "EP-CLOSE-1", "EP-ABORT-1", "EP-STAT-1")
def test_calls_after_close_alone_are_those_of_the_state(peer: Peer):
    connection, _ = closed_with_text(peer)
    for call in (lambda: connection.send(b"x", peer.now), lambda: connection.close(peer.now)):
        with pytest.raises(ConnectionClosing):
            call()
    peer.advance(4 * MINUTE)
    for call in (
        lambda: connection.send(b"x", peer.now),
        lambda: connection.close(peer.now),
        lambda: connection.abort(peer.now),
        lambda: connection.status(peer.now),
    ):
        with pytest.raises(ConnectionDoesNotExist):
            call()
    connection.release(peer.now)
    assert connection.readable == 0


@pytest.mark.label("EP-ABORT-5")
def test_ep_abort_5_an_abort_in_time_wait_frees_the_pair(peer: Peer, host: Host):
    connection, _ = closed_with_text(peer)
    connection.abort(peer.now)
    assert connection.state is CLOSED
    assert peer.advance(0) == []
    assert (list(host.connections()), host.statistics()["time_wait"]) == ([], 0)
    assert peer.advance(5 * MINUTE) == []
    assert told(peer, connection).count("Closed") == 1
    assert host.next_timeout() == NEVER


def test_the_state_follows_the_peers_fin_and_its_own_incarnation(peer: Peer, host: Host):
    connection, ack = closed_with_text(peer, b"")
    peer.advance(3 * MINUTE)
    peer.give(peer.tcp(FIN | ACK, seq=1001, ack=ack))  # restarts 2MSL
    peer.advance(3 * MINUTE)
    assert connection.state is TIME_WAIT
    peer.give(peer.tcp(SYN, seq=5000))
    assert connection.state is CLOSED
    # The attempt came to nothing: the pair is in TIME-WAIT again (EP-TW-8)
    peer.give(peer.tcp(RST, seq=5001))
    assert connection.state is TIME_WAIT
    answer = peer.segment(peer.give(peer.tcp(SYN, seq=6000)))
    peer.give(peer.tcp(ACK, seq=6001, ack=answer.seq + 1))
    successor = host._connections.passive.find(peer.target, 80).accept()
    successor.close(peer.now)
    peer.drain()
    peer.give(peer.tcp(FIN | ACK, seq=6001, ack=answer.seq + 2))
    assert (successor.state, connection.state) == (TIME_WAIT, CLOSED)
    peer.advance(4 * MINUTE)
    assert (successor.state, connection.state) == (CLOSED, CLOSED)
    assert told(peer, connection).count("Closed") == told(peer, successor).count("Closed") == 1


@pytest.mark.parametrize("released", [True, False])
def test_events_are_told_of_connections_that_the_program_has(peer: Peer, host: Host, released: bool):
    """None of those that are made from a record to answer, or to end."""
    connection, last = time_wait(peer, released=released)
    for flags in (FIN | ACK, ACK, RST, SYN | ACK):
        peer.give(peer.tcp(flags, seq=1001, ack=last.seq, tsval=600, tsecr=0))
    peer.give(peer.tcp(SYN, seq=5000, tsval=700, tsecr=0))
    peer.give(peer.tcp(RST, seq=5001))
    peer.advance(10 * MINUTE)
    assert {subject for subject, event in peer.events if not isinstance(event, Acceptable)} == {connection}
    assert told(peer, connection).count("Closed") == 1


def test_where_a_reset_ends_time_wait_no_stranger_is_told_of(peer: Peer, host: Host):
    connection, _ = time_wait(peer, config=replace(DEFAULT, rfc1337=False))
    peer.give(peer.tcp(RST, seq=1002))
    assert list(host.connections()) == []
    assert {subject for subject, event in peer.events if not isinstance(event, Acceptable)} == {connection}


@pytest.mark.parametrize("released", [True, False])
@pytest.mark.soak
def test_time_wait_costs_a_record_whatever_was_called(
    new_host: Callable[..., Host], new_peer: type[Peer], released: bool
):
    """The host keeps no connection, and so nothing of one that its program let go."""
    host = new_host()
    peer = new_peer(host)
    listener = host.listen(80, peer.now)

    def pass_through(ports: range) -> None:
        for port in ports:
            answer = peer.segment(peer.give(peer.tcp(SYN, port=port)))
            peer.give(peer.tcp(ACK, seq=1001, ack=answer.seq + 1, port=port))
            connection = listener.accept()
            connection.release(peer.now) if released else connection.close(peer.now)
            peer.drain()
            peer.give(peer.tcp(FIN | ACK, seq=1001, ack=answer.seq + 2, port=port))
            peer.events.clear()

    pass_through(range(2000, 3000))
    gc.collect()
    tracemalloc.start()
    try:
        pass_through(range(3000, 5000))
        gc.collect()
        grown = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert (host.statistics()["connections"], host.statistics()["time_wait"]) == (0, 3000)
    assert grown < 450 * 2000


def record(number: int, expires: int):
    return TimeWaitRecord(number.to_bytes(12, "big"), expires, bytes(64), DEFAULT, None)


def test_records_are_due_in_order_of_expiry():
    waiting = TimeWait(Ports(b"secret"))
    made = [record(number, expires) for number, expires in enumerate((30, 10, 20))]
    for one in made:
        waiting.put(one)
    assert waiting.next_timeout() == 10
    assert waiting.pop_due(25) == [made[1], made[2]]
    assert waiting.pop_due(30) == [made[0]]
    assert waiting.next_timeout() == NEVER


def test_a_discarded_record_is_not_due_and_may_be_put_back():
    waiting = TimeWait(Ports(b"secret"))
    one = record(1, 10)
    waiting.put(one)
    assert waiting.discard(one.key) == one
    assert waiting.discard(one.key) is None
    assert waiting.pop_due(10) == []
    waiting.put(one)
    assert waiting.pop_due(10) == [one]
    waiting.put(one)
    waiting.discard(one.key)
    waiting.put(one)
    assert waiting.pop_due(10) == [one]
    assert waiting.pop_due(10) == []


def test_pairs_that_are_reopened_often_do_not_pile_up():
    waiting = TimeWait(Ports(b"secret"))
    for round_ in range(1000):
        waiting.put(record(1, 1000 + round_))
        if round_ < 999:
            waiting.discard((1).to_bytes(12, "big"))
    assert len(waiting._records._queue) < 100
    assert len(waiting.pop_due(5000)) == 1


@pytest.mark.soak
def test_the_number_of_records_is_bounded():
    assert timewait.MOST >= 1 << 16
    waiting = TimeWait(Ports(b"secret"))
    for number in range(timewait.MOST + 5):
        waiting.put(record(number, 1000 + number))
    assert len(waiting) == timewait.MOST
    assert waiting.next_timeout() == 1005


def test_a_thawed_record_leaves_the_end_to_its_connection():
    waiting = TimeWait(Ports(b"secret"))
    one = record(1, 10)
    waiting.put(one)
    assert waiting.thaw(one.key) == one
    assert list(waiting) == []
    assert waiting.pop_due(10) == []
    assert len(waiting) == 0
