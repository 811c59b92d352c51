"""How much arrives, over paths that lose, overtake and queue: a table reviewed like code, and what must hold in it.

    SNAPSHOT=write python -m pytest tests/sim/test_goodput.py

writes tests/sim/goodput.txt anew.
"""

import os
from math import sqrt
from pathlib import Path

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
    return {(row, names[at], at < half): float(cell) for row, cells in rows.items() for at, cell in enumerate(cells)}


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
    """Of what the path delivers it gives up three tenths at most in a round trip, and keeps what did arrive."""
    cells = figures(found)
    for loss in ("3.0%", "10.0%"):
        row = f"{loss} lost {round_trip} ms"
        assert cells[row, "BBR", True] > 3 * max(cells[row, "Reno", True], cells[row, "Cubic", True])


def steady(controller: type[Congestion], conditions: Conditions, octets: int) -> float:
    """Mbit/s, once the beginning is over."""
    transfer = Transfer(controller, conditions)
    flow = Flow(transfer, octets, 0)
    transfer.world.run(3600 * SECOND, stop=lambda: flow.arrived >= octets // 2)
    before, began = flow.arrived, transfer.world.now
    transfer.world.run(3600 * SECOND, stop=lambda: flow.arrived == octets)
    return (octets - before) * 8 / (transfer.world.now - began)


@pytest.mark.label("RFC9438-4.3", "RFC5681-3a")
@pytest.mark.parametrize(
    ("controller", "every", "within"), [(Reno, 100, 0.2), (Cubic, 100, 0.18), (Reno, 400, 0.1), (Cubic, 400, 0.1)], ids=str
)
def test_what_the_response_function_says_arrives(controller: type[Congestion], every: int, within: float) -> None:
    """Figure 3 of RFC 9438, which is Mathis's sqrt(3 / 2p) for Reno and for CUBIC's Reno-friendly region; Figure 8 says less at 20 ms.

    As there, losses are evenly spaced, and each segment has its ACK. The figure has windows in fractions of a segment and loses no time
    with recovery; where the window is 12 segments, a segment that doesn't fit and a round trip in ten cost a sixth.
    """
    round_trip = 20 * MILLISECOND
    friendly = sqrt(3 * every / 2)
    assert 1.054 * (round_trip / SECOND * every) ** 0.75 < friendly
    goodput = steady(controller, Conditions(round_trip, every=every, acknowledge_every=1, bandwidth=10**9, queue=1 << 24), 40_000 * every)
    assert goodput == pytest.approx(friendly * SMSS * 8 / round_trip, rel=within)


@pytest.mark.parametrize("controller", [Reno, Cubic])
def test_two_flows_share_a_bottleneck_evenly(controller: type[Congestion]) -> None:
    """Jain's index, over the last ten seconds of twenty; the second begins a second later."""
    transfer = Transfer(controller, Conditions(40 * MILLISECOND, bandwidth=4_000_000, queue=32 * 1024))
    flows = [Flow(transfer, 1 << 30, begins * SECOND) for begins in range(2)]
    transfer.world.run(10 * SECOND)
    before = [flow.arrived for flow in flows]
    transfer.world.run(20 * SECOND)
    shares = [flow.arrived - count for flow, count in zip(flows, before, strict=True)]
    assert sum(shares) ** 2 / (len(shares) * sum(share * share for share in shares)) >= 0.95
    assert sum(shares) * 8 / (10 * SECOND) > 0.9 * 4
