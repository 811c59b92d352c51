"""A transfer of 200 segments with losses, judged by its trace: what RFC 2525 found wrong in others, and what
RFC 5681 bounds.
"""

import random
from dataclasses import replace

import pytest

from postel.testing.states import MSS, Peer, Scene, established
from postel.times import MILLISECOND, SECOND
from postel.wire.segment import ACK
from tests.tcp.scenes import RENO

HALF_WAY = 25 * MILLISECOND
TOTAL = 200
Blocks = tuple[tuple[int, int], ...]


class Transfer:
    """A receiver that keeps what comes out of order, acknowledges each segment, and SACKs if asked to."""

    def __init__(self, lost: set[int], *, sack: bool) -> None:
        """``lost``: ordinal numbers of transmissions."""
        config = replace(RENO, sack=sack, tail_probe=False, mtu_probing="off")
        self.scene: Scene = established(config, Peer(sack=sack, window=65535))
        self.sack = sack
        self.lost = lost
        self.arrived: set[int] = set()
        self.sent: list[tuple[int, int]] = []  # (when, SEG.SEQ)
        self.windows: list[int] = []
        self.bursts: list[int] = []
        self.data: list[tuple[int, int]] = []  # (when it arrives, number)
        self.acks: list[tuple[int, int, Blocks]] = []

    def run(self) -> None:
        scene = self.scene
        scene.sends(bytes(TOTAL * MSS))
        self._note()
        while scene.una < scene.max or self.data or self.acks:
            scene.now = max(
                scene.now,
                min([*(item[0] for item in [*self.data, *self.acks]), scene.connection.next_timeout()]),
            )
            while self.data and self.data[0][0] <= scene.now:
                self.arrived.add(self.data.pop(0)[1])
                expected = self._expected()
                self.acks.append(
                    (scene.now + HALF_WAY, expected, self._blocks(expected) if self.sack else ())
                )
            while self.acks and self.acks[0][0] <= scene.now:
                _, number, blocks = self.acks.pop(0)
                scene.hears(ACK, ack=number, sack=blocks)
                self._note()
            if scene.connection.next_timeout() <= scene.now:
                scene.expires()
                self._note()

    def _expected(self) -> int:
        number = 1
        while number in self.arrived:
            number += MSS
        return number

    def _blocks(self, ack: int) -> Blocks:
        ahead = sorted(number for number in self.arrived if number > ack)
        blocks: list[tuple[int, int]] = []
        for number in ahead:
            if blocks and blocks[-1][1] == number:
                blocks[-1] = (blocks[-1][0], number + MSS)
            else:
                blocks.append((number, number + MSS))
        return tuple(blocks[::-1][:4])

    def _note(self) -> None:
        scene = self.scene
        self.bursts.append(len(scene.sent))
        self.windows.append(scene.tcb.ensure_controller().window)
        for segment in scene.sent:
            number = (segment.seq - scene.tcb.snd.iss) % (1 << 32)
            if len(self.sent) not in self.lost:
                self.data.append((scene.now + HALF_WAY, number))
            self.sent.append((scene.now, number))


def transfer(lost: set[int], *, sack: bool) -> Transfer:
    made = Transfer(lost, sack=sack)
    made.run()
    return made


@pytest.mark.label("BAD-CC-7", "MUST-19")
@pytest.mark.parametrize("sack", [False, True])
def test_bad_cc_7_nothing_lost_nothing_sent_twice(sack: bool) -> None:
    made = transfer(set(), sack=sack)
    assert len(made.sent) == TOTAL
    assert made.bursts[0] == 10  # slow start at the start
    assert max(made.bursts[1:]) <= 2


@pytest.mark.label("BAD-CC-7", "RFC5681-3a", "RFC5681-2b", "RFC6298-5.0")
@pytest.mark.parametrize("sack", [False, True])
@pytest.mark.parametrize("seed", range(12))
def test_bad_cc_7_with_losses_each_segment_goes_again_for_a_reason(seed: int, sack: bool) -> None:
    draw = random.Random(seed)
    lost = {number for number in range(TOTAL) if draw.random() < 0.06}
    made = transfer(lost, sack=sack)
    assert made.scene.una == 1 + TOTAL * MSS
    again = len(made.sent) - TOTAL
    assert again >= len(lost)
    assert (
        again
        <= (len(lost) if sack else 6 * len(lost)) + 2 * made.scene.watch.expired.count("retransmission") * 30
    )
    assert max(made.bursts[1:]) <= 12


@pytest.mark.label("BAD-CC-7", "RFC5681-3.1j", "RFC6298-5.4", "RFC6298-2.4")
@pytest.mark.parametrize("sack", [False, True])
def test_bad_cc_7_after_a_timeout_one_segment_and_slow_start(sack: bool) -> None:
    """The whole first window is lost. The two that F-RTO sends on the first ACK, and the ACKs they draw, cost
    a round trip (RFC 5682).
    """
    made = transfer(set(range(10)), sack=sack)
    first = made.sent[10][0]
    assert first - made.sent[0][0] == SECOND
    assert made.bursts[1:3] == [1, 2]
    assert max(made.bursts[3:]) <= 3
    assert made.windows[1:4] == [MSS, 2 * MSS, 2 * MSS]
    assert [window for window in made.windows[3:8] if window > 2 * MSS] == [3 * MSS, 4 * MSS, 5 * MSS][
        : len(made.windows[5:8])
    ]


@pytest.mark.label("RFC5681-3.2c", "RFC6675-5b")
@pytest.mark.parametrize("sack", [False, True])
@pytest.mark.parametrize("number", [0, 3, 40, 120])
def test_one_loss_costs_half_a_window_and_no_timeout(number: int, sack: bool) -> None:
    made = transfer({number}, sack=sack)
    assert "retransmission" not in made.scene.watch.expired
    assert len(made.sent) == TOTAL + 1
    assert min(made.windows) >= 2 * MSS


@pytest.mark.label("RFC6675-5c")
@pytest.mark.parametrize("count", [2, 5, 10])
def test_sack_repairs_many_losses_of_a_window_in_one_round_trip_or_two(count: int) -> None:
    lost = set(range(60, 60 + 2 * count, 2))
    made = transfer(lost, sack=True)
    assert "retransmission" not in made.scene.watch.expired
    assert len(made.sent) == TOTAL + count


@pytest.mark.label("RFC6582-3.2-3b")
def test_newreno_repairs_one_in_each_round_trip() -> None:
    made = transfer({60, 62, 64}, sack=False)
    assert "retransmission" not in made.scene.watch.expired
    assert len(made.sent) == TOTAL + 3
