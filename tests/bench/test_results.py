"""What `make bench` makes of its runs."""

import xml.etree.ElementTree as ET

from bench import chart
from bench.measure import FIGURES
from bench.place import STACKS
from bench.results import Result, empty, finish, table


def measured(**runs: dict[int, float]) -> Result:
    result = empty(FIGURES["bulk_in"], [*STACKS])
    for stack, values in runs.items():
        result["stacks"][stack]["runs"] |= values
    finish(result)
    return result


def test_a_ratio_is_the_median_of_what_neighbouring_runs_say() -> None:
    """The machine became slower, twice: each pair still says one half."""
    result = measured(compiled={1: 400.0, 2: 200.0, 3: 100.0}, linux={1: 800.0, 2: 400.0, 3: 200.0})
    assert result["ratios"] == {"linux": {"compiled": 0.5}}


def test_a_run_that_failed_has_no_neighbour() -> None:
    result = measured(postel={1: 10.0, 2: 90.0}, linux={2: 30.0})
    assert result["ratios"] == {"linux": {"postel": 3.0}}


def test_a_row_tells_what_each_stack_did() -> None:
    result = measured(postel={1: 10.0}, compiled={1: 1234.5}, linux={1: 2000.0})
    header, row = table(
        {"bulk_in": result}, ["postel", "compiled", "gvisor", "linux"], markdown=True
    ).splitlines()[::2]
    assert header == "| what | Postel | compiled | gVisor | Linux | beside the others |"
    assert row == "| bulk, in, Mbit/s | 10.0 | 1,234 | failed | 2,000 | 0.005 and 0.62 × Linux |"


def test_the_longest_bar_is_the_largest_value_and_what_failed_has_none() -> None:
    drawn = ET.fromstring(
        chart.render(
            {"bulk_in": measured(postel={1: 10.0}, linux={1: 40.0})},
            {"postel": "Postel", "linux": "Linux"},
            "here",
        )
    )
    widths = {
        bar.get("class"): float(bar.get("width", 0)) for bar in drawn.iter("{http://www.w3.org/2000/svg}rect")
    }
    assert widths["bar linux"] == chart.BARS
    assert widths["bar postel"] == chart.BARS / 4
    assert "bar compiled" not in widths
