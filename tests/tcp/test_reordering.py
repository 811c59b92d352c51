"""The reordering window by itself: RFC 8985, 6.2, steps 1 and 4."""

import pytest

from postel.tcp.recovery.reordering import PERSISTENCE, Reordering
from postel.times import MINUTE


@pytest.mark.label("RFC8985-6.2-4")
def test_rfc8985_6_2_4_it_widens_with_each_round_of_duplicates_and_is_bounded_by_the_round_trip() -> None:
    reordering = Reordering(0)
    reordering.count = 1
    reordering.measured(1000, 0)
    assert reordering.window(0, 1200, is_recovering=False) == 250
    for number in range(3):
        reordering.duplicated(number, number + 1)
        reordering.duplicated(number, number + 1)  # the same round
    assert reordering.window(0, 1200, is_recovering=True) == 1000
    for number in range(3, 200):
        reordering.duplicated(number, number + 1)
    assert reordering.window(9, 1200, is_recovering=False) == 1200


@pytest.mark.label("RFC8985-6.2-4")
def test_rfc8985_6_2_4_sixteen_recoveries_without_one_narrow_it_again() -> None:
    reordering = Reordering(0)
    reordering.count = 1
    reordering.measured(1000, 0)
    reordering.duplicated(0, 1)
    for _ in range(PERSISTENCE - 1):
        reordering.recovered()
    assert reordering.window(0, 1200, is_recovering=False) == 500
    reordering.recovered()
    assert reordering.window(0, 1200, is_recovering=False) == 250


@pytest.mark.label("RFC8985-6.2-1")
def test_rfc8985_6_2_1_the_shortest_round_trip_is_that_of_the_last_minutes() -> None:
    reordering = Reordering(0)
    reordering.measured(1000, 0)
    reordering.measured(1100, 5 * MINUTE)
    assert reordering.shortest == 1000
    reordering.measured(1100, 5 * MINUTE + 1)
    assert reordering.shortest == 1100
