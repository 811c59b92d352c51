"""The lines of connections that are over are kept in the order in which these began, and not in memory where
there are many.
"""

import tracemalloc

from postel.cli.capture.rows import Rows, Told, storage
from postel.view.capture import report

HEADS = report.heads("en")


def told(number: int) -> Told:
    return Told((str(number), "10.0.0.1:1024 → 10.0.0.2:80" + " " * number, *("",) * 7), "", ["a finding"])


def test_in_the_order_in_which_they_began() -> None:
    with storage() as file:
        rows = Rows(file, HEADS)
        assert not rows
        for number in (2, 5, 1):
            rows.keep(number, told(number))
        assert rows
        assert list(rows) == [told(1), told(2), told(5)]
        assert rows.widths[1] == 32


def test_many_are_in_a_file() -> None:
    tracemalloc.start()
    try:
        with storage() as file:
            rows = Rows(file, HEADS)
            for number in range(1, 400):  # 40 MB
                rows.keep(number, Told(told(1).row, "x" * 100_000, []))
            assert tracemalloc.get_traced_memory()[0] < 20_000_000
            assert sum(1 for _ in rows) == 399
    finally:
        tracemalloc.stop()
