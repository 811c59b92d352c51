"""What a user may choose, what is refused, and that the defaults are the RFCs'."""

import doctest
from dataclasses import FrozenInstanceError, replace

import pytest

from postel.errors import ArgumentError, ConnectionReset, HostUnreachable
from postel.tcp import config as module
from postel.tcp.config import _BOUNDS, DEFAULT, Config, names
from postel.tcp.events import OPENED, Closed, Trouble
from postel.tcp.memory import Memory
from postel.tcp.observer import DECISIONS, TIMERS, Observer
from postel.tcp.state import CLOSED, LISTEN
from postel.times import HOUR, MILLISECOND, MINUTE, NEVER, SECOND
from postel.wire.address import Endpoint
from postel.wire.segment import ACK, Segment


@pytest.mark.label(
    "MUST-13",
    "MUST-20",
    "MUST-23",
    "MUST-25",
    "MUST-28",
    "MUST-40",
    "SHLD-10",
    "SHLD-11",
    "RFC9293-3.9.1.1-timeout",
)
def test_the_defaults_are_the_rfcs() -> None:
    assert DEFAULT.msl == 2 * MINUTE
    assert DEFAULT.user_timeout == 5 * MINUTE >= 100 * SECOND
    assert DEFAULT.syn_received_timeout >= 3 * MINUTE
    assert DEFAULT.r1 >= 3
    assert DEFAULT.delayed_ack < 500 * MILLISECOND
    assert not DEFAULT.keep_alive
    assert DEFAULT.keep_alive_idle >= 2 * HOUR
    assert 100 * MILLISECOND <= DEFAULT.override <= SECOND


@pytest.mark.parametrize(("name", "low", "high", "allowed"), _BOUNDS)
def test_each_bound_holds(name: str, low: int, high: int, allowed: str) -> None:
    others = (
        {"rto_maximum": HOUR}
        if name == "rto_minimum"
        else {"rto_minimum": 1}
        if name == "rto_maximum"
        else {}
    )
    for good in (low, high):
        assert getattr(replace(DEFAULT, **{name: good}, **others), name) == good
    for bad in (low - 1, high + 1):
        with pytest.raises(ArgumentError, match=name) as caught:
            replace(DEFAULT, **{name: bad}, **others)
        assert caught.value.allowed == allowed


@pytest.mark.label("MUST-40")
def test_must_40_half_a_second_is_too_long() -> None:
    with pytest.raises(ArgumentError, match="500 ms"):
        replace(DEFAULT, delayed_ack=500 * MILLISECOND)


def test_the_longest_timeout_is_not_shorter_than_the_shortest() -> None:
    with pytest.raises(ArgumentError, match="rto_minimum"):
        replace(DEFAULT, rto_maximum=10, rto_minimum=20)


@pytest.mark.label("MUST-21")
def test_must_21_for_ever_is_allowed() -> None:
    assert replace(DEFAULT, user_timeout=NEVER).user_timeout == NEVER


def test_it_is_frozen_and_its_fields_are_named() -> None:
    with pytest.raises(FrozenInstanceError):
        DEFAULT.msl = 1  # type: ignore[misc]
    assert {name for name, *_ in _BOUNDS} < set(names())
    assert Config() == DEFAULT


def test_the_example_in_its_text() -> None:
    assert doctest.testmod(module).failed == 0


def test_memory_counts_and_refuses() -> None:
    memory = Memory(10)
    assert memory.claim(7)
    assert not memory.claim(4)
    assert (memory.used, memory.free, memory.refused) == (7, 3, 1)
    memory.give(7)
    assert (memory.used, memory.free) == (0, 10)
    memory.limit = -5
    assert memory.free == 0


def test_an_event_says_what_it_is() -> None:
    assert repr(OPENED) == "Opened()"
    assert repr(Closed()) == "Closed()"
    assert repr(Closed(ConnectionReset())) == "Closed(ConnectionReset(104, 'connection reset by peer'))"
    assert repr(Trouble(HostUnreachable("a"))) == "Trouble(HostUnreachable(113, 'a'))"


def test_an_observer_that_overrides_nothing_is_told_in_vain() -> None:
    observer = Observer()
    segment = Segment(1, 2, 3, 4, ACK, 5)
    local, remote = Endpoint(b"\x0a\0\0\1", 80), Endpoint(b"\x0a\0\0\2", 4000)
    observer.state_changed(local, remote, CLOSED, LISTEN, 0)
    observer.segment_sent(local, remote, segment, 0)
    observer.segment_arrived(local, remote, segment, 0)
    for timer in TIMERS:
        observer.timer_expired(local, remote, timer, 0)
    for decision in DECISIONS:
        observer.decided(local, remote, decision, 0)
    observer.peer_erred(local, remote, "an error", 0)
    observer.packet_dropped("reason", b"", 0)
