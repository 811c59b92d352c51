"""What a host answers to strangers in a second: a limit that others can't count (CVE-2016-5696)."""

import pytest

from postel.tcp.budget import Budget
from postel.times import SECOND


def taken(budget: Budget, second: int, tries: int = 1000) -> int:
    return sum(budget.claim(second * SECOND + number) for number in range(tries))


def test_between_half_and_all_of_the_limit_in_each_second() -> None:
    budget = Budget(100, b"secret")
    counts = [taken(budget, second) for second in range(50)]
    assert all(50 <= count <= 100 for count in counts)
    assert len(set(counts)) > 10  # drawn anew


def test_the_secret_decides() -> None:
    counts = [[taken(Budget(100, secret), second) for second in range(20)] for secret in (b"one", b"two")]
    assert counts[0] != counts[1]
    assert counts[0] == [taken(Budget(100, b"one"), second) for second in range(20)]


@pytest.mark.parametrize("limit", [0, 1, 2, 3])
def test_small_limits(limit: int) -> None:
    assert all(limit // 2 <= taken(Budget(limit, b""), second) <= limit for second in range(20))
