"""How much arrives, over paths that lose, overtake and queue: a table reviewed like code, and what must hold
in it.

    SNAPSHOT=write python -m pytest tests/sim/test_goodput.py

writes tests/sim/goodput.txt anew.
"""

import os
from dataclasses import dataclass
from math import sqrt
from pathlib import Path
from statistics import mean

import pytest

from bench.goodput import BANDWIDTH, Conditions, Flow, Transfer, table
from postel.tcp.congestion import Congestion
from postel.tcp.congestion.cubic import Cubic
from postel.tcp.congestion.reno import Reno
from postel.times import MILLISECOND, SECOND

TABLE = Path(__file__).parent / "goodput.txt"
OCTETS = 600_000
SMSS = 1448
LOSS_BASED = ("Reno", "Cubic")


@pytest.fixture(scope="module")
def found() -> str:
    return table(OCTETS)


def figures(text: str) -> dict[tuple[str, str, bool], float]:
    """By row, controller, and whether SACK was agreed."""
    lines = text.splitlines()
    names = lines[3].split()
    rows = {" ".join(line[:20].split()): line[20:].split() for line in lines[4:]}
    half = len(names) // 2
    return {
        (row, names[at], at < half): float(cell)
        for row, cells in rows.items()
        for at, cell in enumerate(cells)
    }


def test_the_table_is_as_reviewed(found: str) -> None:
    if os.environ.get("SNAPSHOT") == "write":
        TABLE.write_text(found, encoding="utf-8")
    assert found == TABLE.read_text(encoding="utf-8")


def test_no_more_arrives_than_the_path_carries_and_everything_does(found: str) -> None:
    for (row, name, _), goodput in figures(found).items():
        assert goodput <= BANDWIDTH / 1_000_000
        assert goodput > 0 or name not in LOSS_BASED, row


@pytest.mark.parametrize("round_trip", [20, 100])
@pytest.mark.parametrize("name", LOSS_BASED)
def test_more_loss_leaves_less(found: str, round_trip: int, name: str) -> None:
    cells = figures(found)
    for sack in (True, False):
        seen = [cells[f"{loss} lost {round_trip} ms", name, sack] for loss in ("1.0%", "3.0%", "10.0%")]
        assert seen == sorted(seen, reverse=True)


@pytest.mark.parametrize("name", LOSS_BASED)
def test_sack_is_worth_it(found: str, name: str) -> None:
    cells = figures(found)
    for loss in ("3.0%", "10.0%"):
        for round_trip in (1, 20, 100):
            row = f"{loss} lost {round_trip} ms"
            assert cells[row, name, True] > cells[row, name, False]


@pytest.mark.parametrize("round_trip", [20, 100])
def test_bbr_minds_loss_least(found: str, round_trip: int) -> None:
    """Of what the path delivers it gives up three tenths at most in a round trip, and keeps what did
    arrive.
    """
    cells = figures(found)
    for loss in ("3.0%", "10.0%"):
        row = f"{loss} lost {round_trip} ms"
        assert cells[row, "BBR", True] > 3 * max(cells[row, "Reno", True], cells[row, "Cubic", True])


@dataclass
class Steady:
    """What arrived once the beginning was over: Mbit/s, and the share of segments that had to go again."""

    goodput: float
    loss: float


def steady(controller: type[Congestion], conditions: Conditions, octets: int, seed: int = 1) -> Steady:
    transfer = Transfer(controller, conditions, seed=seed)
    flow = Flow(transfer, octets, 0)
    transfer.world.run(3600 * SECOND, stop=lambda: flow.arrived >= octets // 2)
    assert flow.connection is not None
    tcb = flow.connection._tcb
    arrived, began, sent, again = (
        flow.arrived,
        transfer.world.now,
        tcb.counts.segments_sent,
        tcb.counts.segments_retransmitted,
    )
    transfer.world.run(3600 * SECOND, stop=lambda: flow.arrived == octets)
    took = transfer.world.now - began
    return Steady(
        (octets - arrived) * 8 / took,
        (tcb.counts.segments_retransmitted - again) / (tcb.counts.segments_sent - sent),
    )


def mathis(loss: float) -> float:
    """Segments a round trip: Mathis's function for Reno, and Figure 3 of RFC 9438 for CUBIC's Reno-friendly
    region.
    """
    return sqrt(3 / (2 * loss))


@pytest.mark.label("RFC9438-4.3")
@pytest.mark.parametrize("acknowledge_every", [1, 2])
def test_cubic_at_one_percent_has_what_the_response_function_says(acknowledge_every: int) -> None:
    """Row "1.0% lost 20 ms" of the table, for longer: random losses, counted, for their number varies by a
    fifth. Of RFC 9438's two functions that of Figure 3 holds there; that of Figure 8 is for long round trips.
    """
    round_trip = 20 * MILLISECOND
    assert 1.054 * (round_trip / SECOND * 100) ** 0.75 < mathis(0.01) / 5
    conditions = Conditions(round_trip, loss=0.01, acknowledge_every=acknowledge_every)
    found = [steady(Cubic, conditions, 10_000_000, seed) for seed in (1, 2, 3)]
    shares = [each.goodput / (mathis(each.loss) * SMSS * 8 / round_trip) for each in found]
    assert mean(shares) == pytest.approx(1, rel=0.1)


def whole_segments(alpha: float, beta: float, every: int) -> float:
    """Segments a round trip of AIMD(alpha, beta) that loses one of ``every`` segments: the sawtooth of Figure
    3, round by round. The figure has fractions of segments in flight, and a window that grows during recovery
    too: where it is 12 segments, that makes a sixth.
    """
    window, since, sent, rounds = mathis(1 / every), 0, 0, 0
    while rounds < 50_000:
        flight = int(window)
        since, sent, rounds = since + flight, sent + flight, rounds + 1
        if since < every:
            window += alpha * flight / window
            continue
        since -= every
        window += alpha * (flight - since) / window  # before the loss is heard of
        window *= beta
        since, sent, rounds = since + int(window), sent + int(window), rounds + 1  # recovery
    return sent / rounds * (1 - 1 / every)


@pytest.mark.label("RFC9438-4.3", "RFC5681-3a")
@pytest.mark.parametrize("every", [100, 400])
@pytest.mark.parametrize(
    ("controller", "alpha", "beta"), [(Reno, 1, 0.5), (Cubic, 9 / 17, 0.7)], ids=["Reno", "Cubic"]
)
def test_evenly_spaced_losses_leave_what_a_sawtooth_of_whole_segments_carries(
    controller: type[Congestion], alpha: float, beta: float, every: int
) -> None:
    round_trip = 20 * MILLISECOND
    conditions = Conditions(round_trip, every=every, acknowledge_every=1, bandwidth=10**9, queue="16MiB")
    found = steady(controller, conditions, 40_000 * every)
    assert found.goodput == pytest.approx(
        whole_segments(alpha, beta, every) * SMSS * 8 / round_trip, rel=0.03
    )
    # With losses so rare that neither matters
    assert whole_segments(alpha, beta, 40_000) == pytest.approx(mathis(1 / 40_000), rel=0.02)


@pytest.mark.parametrize("controller", [Reno, Cubic])
def test_two_flows_share_a_bottleneck_evenly(controller: type[Congestion]) -> None:
    """Jain's index, over the last ten seconds of twenty; the second begins a second later."""
    transfer = Transfer(controller, Conditions(40 * MILLISECOND, bandwidth=4_000_000, queue="32KiB"))
    flows = [Flow(transfer, 1 << 30, begins * SECOND) for begins in range(2)]
    transfer.world.run(10 * SECOND)
    before = [flow.arrived for flow in flows]
    transfer.world.run(20 * SECOND)
    shares = [flow.arrived - count for flow, count in zip(flows, before, strict=True)]
    assert sum(shares) ** 2 / (len(shares) * sum(share * share for share in shares)) >= 0.95
    assert sum(shares) * 8 / (10 * SECOND) > 0.9 * 4
