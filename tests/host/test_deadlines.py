"""One heap for all connections, with lazy deletion."""

from postel.host.deadlines import Deadlines
from postel.tcp.connection import Connection
from postel.tcp.timers import OVERRIDE
from postel.times import NEVER
from postel.wire.address import Endpoint


def connection(deadline: int = NEVER):
    made = Connection(Endpoint(b"\x0a\0\0\1", 1), Endpoint(b"\x0a\0\0\2", 2))
    made._tcb.timers.start(OVERRIDE, deadline)
    return made


def test_nothing_is_armed_for_a_connection_without_a_deadline():
    timers = Deadlines()
    timers.arm(connection(), NEVER)
    assert timers.next_timeout() == NEVER
    assert len(timers) == 0


def test_the_earliest_comes_first_and_ties_in_order():
    timers = Deadlines()
    late, first, second = connection(7), connection(5), connection(5)
    for one in (late, first, second):
        timers.arm(one, one.next_timeout())
    assert timers.next_timeout() == 5
    assert timers.pop_due(4) == []
    assert timers.pop_due(7) == [first, second, late]
    assert timers.next_timeout() == NEVER


def test_a_later_deadline_leaves_the_entry_and_is_asked_again():
    timers = Deadlines()
    one = connection(5)
    timers.arm(one, 5)
    one._tcb.timers.start(OVERRIDE, 9)
    timers.arm(one, 9)
    assert timers.next_timeout() == 5
    assert timers.pop_due(6) == []
    assert timers.next_timeout() == 9
    assert timers.pop_due(9) == [one]


def test_a_deadline_that_went_away_costs_one_look():
    timers = Deadlines()
    one = connection(5)
    timers.arm(one, 5)
    one._tcb.timers.stop(OVERRIDE)
    assert timers.pop_due(5) == []
    assert timers.next_timeout() == NEVER


def test_an_earlier_deadline_overtakes():
    timers = Deadlines()
    one = connection(9)
    timers.arm(one, 9)
    one._tcb.timers.start(OVERRIDE, 3)
    timers.arm(one, 3)
    assert timers.pop_due(3) == [one]
    assert timers.pop_due(9) == []


def test_the_forgotten_are_never_due_and_do_not_pile_up():
    timers = Deadlines()
    kept = connection(1000)
    timers.arm(kept, 1000)
    for _ in range(1000):
        gone = connection(5000)
        timers.arm(gone, 5000)
        timers.forget(gone)
    timers.forget(connection())
    assert len(timers._heap) < 200
    assert timers.pop_due(5000) == [kept]
