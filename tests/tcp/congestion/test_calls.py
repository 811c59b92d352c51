"""Calls that one ACK or timer brings: where there is a sample, and where no undo."""

from dataclasses import replace
from typing import ClassVar

import pytest

from postel.congestion import Reno, Sample
from postel.testing import ACK, Scene, established, listen
from postel.testing.states import MSS, Peer
from postel.times import MILLISECOND
from postel.wire.segment import CWR, ECE, SYN
from tests.tcp.flights import ROUND_TRIP, SELECTIVE, of, opened, sacks
from tests.tcp.scenes import RENO


class Diary(Reno):
    """``calls`` are those since the last look: with the octets of a sample that were delivered, lost and
    marked.
    """

    calls: ClassVar[list[str]] = []

    def observed(self, sample: Sample, now: int) -> None:
        self.calls.append(f"observed {sample.delivered} {sample.lost} {sample.marked}")
        super().observed(sample, now)

    def acknowledged(self, octets: int, now: int) -> None:
        self.calls.append("acknowledged")
        super().acknowledged(octets, now)

    def lost(self, flight: int, now: int) -> None:
        self.calls.append("lost")
        super().lost(flight, now)

    def marked(self, flight: int, now: int) -> None:
        self.calls.append("marked")
        super().marked(flight, now)

    def undo(self, limit: int, now: int) -> None:
        self.calls.append("undo")
        super().undo(limit, now)


def calls() -> list[str]:
    found = list(Diary.calls)
    Diary.calls.clear()
    return found


def marking(segments: int, *, sack: bool) -> Scene:
    """ESTABLISHED with ECN, and so many segments in flight."""
    peer = Peer(sack=sack)
    scene = listen(
        replace(RENO, congestion=Diary, sack=sack, ecn="accept-classic", initial_window=segments), peer
    )
    scene.hears(SYN | ECE | CWR)
    scene.hears(ACK)
    scene.sends(bytes(20 * MSS))
    scene.now += ROUND_TRIP
    calls()
    return scene


@pytest.mark.parametrize("sack", [True, False])
def test_a_mark_is_told_after_the_sample_of_its_ack(sack: bool) -> None:
    scene = marking(4, sack=sack)
    scene.hears(ACK | ECE, ack=1 + MSS)
    assert calls() == [f"observed {MSS} 0 {MSS}", "marked"]


@pytest.mark.parametrize("sack", [True, False])
def test_text_that_acknowledges_nothing_may_tell_of_a_mark(sack: bool) -> None:
    """Such a segment is no duplicate ACK, and recovery never sees it."""
    scene = marking(4, sack=sack)
    scene.hears(ACK | ECE, b"text", ack=scene.una)
    assert calls() == ["observed 0 0 1", "marked"]
    scene.hears(ACK, b"more", ack=scene.una)
    assert calls() == []


def test_an_ack_that_begins_recovery_lets_nothing_grow() -> None:
    scene = established(replace(SELECTIVE, congestion=Diary, initial_window=10), Peer(sack=True))
    scene.sends(bytes(20 * MSS))
    scene.now += ROUND_TRIP
    calls()
    sacks(scene, of(2, 5), ack=1 + MSS)
    assert calls() == [f"observed {5 * MSS} {MSS} 0", "lost"]


def test_what_is_lost_by_waiting_has_a_sample() -> None:
    scene = opened(congestion=Diary, probe=False)
    scene.sends(bytes(10 * MSS))
    scene.now += ROUND_TRIP
    sacks(scene, of(1))
    calls()
    scene.expires()
    assert scene.watch.expired[-1:] == ["reorder"]
    assert calls() == [f"observed 0 {MSS} 0", "lost"]


@pytest.mark.label("RFC4015-3.1-9")
@pytest.mark.parametrize("sack", [True, False])
def test_a_mark_stands_whatever_becomes_of_a_timeout(sack: bool) -> None:
    scene = marking(10, sack=sack)
    scene.expires()
    scene.now += 10 * MILLISECOND
    scene.hears(ACK, ack=1 + MSS)
    window = scene.tcb.ensure_controller().window
    scene.hears(ACK | ECE, ack=1 + 2 * MSS)
    assert not scene.tcb.ensure_recovery().timeout_test.is_running
    assert scene.tcb.ensure_controller().window <= window + MSS
    assert "undo" not in calls()
