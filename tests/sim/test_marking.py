"""A path that tells of congestion: with ECN the windows shrink, and nothing is lost (RFC 3168, 5; RFC
9768).
"""

from dataclasses import replace

import pytest

from postel.sim import Path, Subject, World
from postel.tcp.config import DEFAULT, EcnMode
from postel.tcp.connection import Connection
from postel.tcp.ecn.accurate import Accurate
from postel.tcp.events import EndOfStream, Event, Opened, Readable, Writable
from postel.times import MILLISECOND, MINUTE

TOTAL = 2_000_000


class Transfer:
    """Octets from one host to another, over 8 Mbit/s; what was sent again, and the windows after each
    event.
    """

    def __init__(self, ecn: EcnMode, family: int = 4, **settings: float) -> None:
        self.world = World(7)
        addresses = ("10.0.0.1/24", "10.0.0.2/24") if family == 4 else ("fd00::1/64", "fd00::2/64")
        sender = self.world.host(
            "sender", addresses[0], config=replace(DEFAULT, ecn=ecn), application=self.sends
        )
        receiver = self.world.host(
            "receiver", addresses[1], config=replace(DEFAULT, ecn="accept"), application=self.receives
        )
        self.there, self.back = self.world.path(sender, receiver, delay=10 * MILLISECOND, bandwidth=8_000_000)
        for name, value in settings.items():
            setattr(self.there, name, value)
        self.left = TOTAL
        self.arrived = 0
        self.windows: list[int] = []
        listener = receiver.listen(80, 0)
        self.accept = listener.accept
        self.connection = sender.connect(addresses[1].partition("/")[0], 80, 0)
        self.ended = self.world.run(10 * MINUTE)

    @property
    def path(self) -> Path:
        return self.there

    def sends(self, subject: Subject, event: Event, now: int) -> None:
        if isinstance(subject, Connection) and isinstance(event, (Opened, Writable)):
            self.left -= subject.send(bytes(self.left), now)
            if not self.left:
                subject.close(now)

    def receives(self, subject: Subject, event: Event, now: int) -> None:
        self.windows.append(self.connection._tcb.ensure_controller().window)
        if not isinstance(subject, Connection):
            self.accept()
        elif isinstance(event, Readable):
            self.arrived += len(subject.receive(1 << 20, now))
        elif isinstance(event, EndOfStream):
            subject.close(now)


@pytest.mark.label("RFC3168-5a")
@pytest.mark.parametrize("ecn", ["ask-classic", "ask"])
@pytest.mark.parametrize("family", [4, 6])
def test_a_queue_that_marks_stays_short_and_loses_nothing(ecn: EcnMode, family: int) -> None:
    """At 20,000 octets in the queue; a window without marks would grow to all that is sent."""
    transfer = Transfer(ecn, family, congested_at=20_000)
    assert transfer.arrived == TOTAL
    assert transfer.path.marked > 0
    assert (transfer.path.lost, transfer.connection._tcb.counts.segments_retransmitted) == (0, 0)
    assert max(transfer.windows[len(transfer.windows) // 2 :]) < 80_000
    falls = sum(
        later < earlier for earlier, later in zip(transfer.windows, transfer.windows[1:], strict=False)
    )
    assert 0 < falls < transfer.path.marked


def test_without_ecn_the_same_queue_loses() -> None:
    transfer = Transfer("off", congested_at=20_000)
    assert transfer.arrived == TOTAL
    assert transfer.path.marked == 0
    assert transfer.path.lost == transfer.connection._tcb.counts.segments_retransmitted > 0


@pytest.mark.label("RFC3168-5a")
@pytest.mark.parametrize("ecn", ["ask-classic", "ask"])
def test_marks_by_chance(ecn: EcnMode) -> None:
    """What isn't ECN-capable, such as a retransmission, may be lost to it."""
    transfer = Transfer(ecn, congestion=0.01)
    assert transfer.arrived == TOTAL
    assert transfer.path.marked >= 5


@pytest.mark.label("RFC9768-3.2")
def test_accurate_feedback_counts_every_mark() -> None:
    """The sender's s.cep follows the peer's counter to the last packet."""
    transfer = Transfer("ask", congested_at=20_000)
    ecn = transfer.connection._tcb.ecn
    assert isinstance(ecn, Accurate)
    assert ecn.s_cep - 5 == transfer.path.marked > 10
    assert ecn.s_ceb + ecn.s_e0b - 1 == TOTAL
