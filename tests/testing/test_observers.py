"""`check_observer` passes what only observes, and says what is wrong with the rest."""

import doctest

import pytest

from postel import Endpoint, Observer, Segment, State
from postel.errors import ArgumentError
from postel.links import PacketObserver
from postel.sim import Witness
from postel.tcp.observer import DECISIONS, TIMERS, Decision, TimerName
from postel.tcp.state import SUCCESSORS
from postel.testing import check_observer, observers
from postel.testing.observers import SCENARIOS, Outcome
from postel.testing.states import Watch
from postel.view import Observers, Trace
from postel.view.chart import Sampler


@pytest.mark.parametrize("make", [Observer, PacketObserver, Watch, Trace, Sampler])
def test_what_only_observes_passes(make: type[Observer]) -> None:
    check_observer(make)


def test_the_example_runs() -> None:
    assert doctest.testmod(observers).failed == 0


class Raising(Observer):
    def timer_expired(self, local: Endpoint, remote: Endpoint, timer: TimerName, now: int) -> None:
        if timer == "retransmission":
            raise ValueError("no such timer")


def test_a_hook_that_raises_is_named_with_its_scenario() -> None:
    with pytest.raises(
        AssertionError,
        match=r"peers that don't answer: Raising.timer_expired raised ValueError\('no such timer'\) at \d+ µs",  # noqa: E501
    ) as told:
        check_observer(Raising)
    assert isinstance(told.value.__cause__, ValueError)
    assert str(told.value).count("raised") <= observers.MOST_FAULTS
    assert "more" in str(told.value)
    assert "without the observer" not in str(told.value), (
        "that it raises changes nothing, for the check keeps it from the host"
    )


class Meddling(Observer):
    def segment_sent(self, local: Endpoint, remote: Endpoint, segment: Segment, now: int) -> None:
        if segment.data:
            segment.window //= 2


def test_a_hook_that_changes_a_segment_is_named_and_so_is_what_follows() -> None:
    with pytest.raises(AssertionError, match=r"Meddling.segment_sent changed its argument") as told:
        check_observer(Meddling)
    assert "packet" in str(told.value) or "more" in str(told.value)


class PacketRaising(PacketObserver):
    def packet_arrived(self, octets: bytes, now: int) -> None:
        raise LookupError(len(octets))


def test_an_observer_of_packets_is_checked_too() -> None:
    with pytest.raises(AssertionError, match=r"PacketRaising.packet_arrived raised LookupError"):
        check_observer(PacketRaising)


class WitnessRaising(Witness):
    def lost(self, sender: str, receiver: str, octets: bytes, sent_at: int, why: str) -> None:
        raise LookupError(why)


def test_a_witness_is_checked_too() -> None:
    with pytest.raises(AssertionError, match=r"WitnessRaising.lost raised LookupError\('loss'\) at \d+ µs"):
        check_observer(WitnessRaising)


def test_what_is_no_observer_is_refused() -> None:
    with pytest.raises(ArgumentError, match="an Observer or a PacketObserver"):
        check_observer(object)  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="make is None; allowed: a class of observers"):
        check_observer(None)  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="observers is None; allowed: an Observer or a PacketObserver"):
        Observers(Observer(), None)  # type: ignore[arg-type]


def test_every_difference_is_told() -> None:
    plain = Outcome([(1, b"a"), (2, b"b")], [(3, 0, b"c")], bytearray(b"text"), ["None"], 1000)
    assert plain.differences(plain) == []
    other = Outcome([(1, b"a"), (9, b"b")], [], bytearray(b"txt"), ["reset"], 1051)
    assert plain.differences(other) == [
        "packet 2 is another under the observer",
        "0 parcels left the hosts, without the observer 1",
        "the hosts delivered another text under the observer",
        "the connections ended as ['reset'], without the observer as ['None']",
        "the hosts hold 1051 octets of memory, without the observer 1000",
    ]
    assert plain.differences(Outcome(plain.packets, plain.parcels, plain.read, plain.ends, 1050)) == []


class Everything(Observer, PacketObserver):
    """What of it all the scenarios tell."""

    told: set[object] = set()  # noqa: RUF012 - of all that `check_observer` makes

    def state_changed(self, local: Endpoint, remote: Endpoint, before: State, after: State, now: int) -> None:
        self.told |= {before, after}

    def timer_expired(self, local: Endpoint, remote: Endpoint, timer: TimerName, now: int) -> None:
        self.told.add(timer)

    def decided(self, local: Endpoint, remote: Endpoint, decision: Decision, now: int) -> None:
        self.told.add(decision)

    def packet_dropped(self, reason: str, octets: bytes, now: int) -> None:
        self.told.add("dropped")

    def packet_sent(self, octets: bytes, now: int) -> None:
        self.told.add("sent")

    def packet_arrived(self, octets: bytes, now: int) -> None:
        self.told.add("arrived")


def test_the_scenarios_lead_to_every_hook() -> None:
    check_observer(Everything)
    assert {"dropped", "sent", "arrived", *DECISIONS} <= Everything.told
    assert {*TIMERS} - Everything.told <= {"override", "orphan"}
    assert {*SUCCESSORS} - Everything.told <= {State.CLOSING}


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_scenario_is_the_same_each_time(name: str) -> None:
    first, again = SCENARIOS[name](None), SCENARIOS[name](None)  # memory may differ by a table that has grown
    assert first.differences(again) == again.differences(first) == []
