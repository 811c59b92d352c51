"""Throttles: of one connection (RFC 5961, 7) and of a host, that nobody outside can count (CVE-2016-5696)."""

from dataclasses import replace

import pytest

from postel.tcp.budget import Budget
from postel.times import MILLISECOND, SECOND
from postel.wire.segment import ACK, RST, SYN
from tests.tcp.scenes import PLAIN, established


def taken(budget: Budget, second: int, tries: int = 1000) -> int:
    return sum(budget.take(second * SECOND + number) for number in range(tries))


@pytest.mark.label("EP-CHL-1", "RFC5961-7a")
def test_between_half_and_all_of_the_limit_in_each_second() -> None:
    budget = Budget(100, b"secret")
    counts = [taken(budget, second) for second in range(50)]
    assert all(50 <= count <= 100 for count in counts)
    assert len(set(counts)) > 10  # drawn anew


@pytest.mark.label("EP-CHL-1", "BAD-CHL-1", "RFC5961-7b")
def test_the_secret_decides() -> None:
    counts = [[taken(Budget(100, secret), second) for second in range(20)] for secret in (b"one", b"two")]
    assert counts[0] != counts[1]
    assert counts[0] == [taken(Budget(100, b"one"), second) for second in range(20)]


@pytest.mark.parametrize("limit", [0, 1, 2, 3])
def test_small_limits(limit: int) -> None:
    assert all(limit // 2 <= taken(Budget(limit, b""), second) <= limit for second in range(20))


@pytest.mark.label("EP-CHL-1", "RFC5961-7a")
@pytest.mark.parametrize("flags", [RST, SYN, ACK])
def test_ep_chl_1_one_answer_in_half_a_second(flags: int) -> None:
    scene = established()
    seq = scene.nxt + (1 if flags == RST else 100_000)
    assert len(scene.hears(flags, seq=seq)) == 1
    for _ in range(100):
        assert scene.hears(flags, seq=seq) == []
    assert scene.tcb.throttled == 100
    scene.now += 500 * MILLISECOND
    assert len(scene.hears(flags, seq=seq)) == 1


@pytest.mark.label("EP-CHL-1")
def test_ep_chl_1_the_interval_is_the_users_choice() -> None:
    scene = established(replace(PLAIN, challenge_interval=0))
    for _ in range(5):
        assert len(scene.hears(SYN)) == 1


@pytest.mark.label("EP-CHL-2", "RFC9293-3.5.2-3")
def test_ep_chl_2_what_takes_sequence_space_is_always_answered() -> None:
    scene = established(challenges=Budget(0, b""))
    for _ in range(10):
        assert scene.hears(ACK, b"old", seq=-500) == ["ACK seq=1 ack=1"]
    assert scene.hears(SYN) == []  # but a SYN isn't


@pytest.mark.label("EP-CHL-2")
def test_ep_chl_2_text_in_the_window_never_loses_its_ack() -> None:
    scene = established(challenges=Budget(0, b""))
    scene.hears(SYN)
    scene.hears(ACK, bytes(1000))
    assert scene.hears(ACK, bytes(1000)) == ["ACK seq=1 ack=2001"]


@pytest.mark.label("BAD-CHL-1", "RFC5961-7b")
def test_bad_chl_1_what_others_do_shows_little() -> None:
    """An attacker counts the challenge ACKs on a connection of his own, while he spoofs others."""
    budget = Budget(100, b"secret")
    own, victim = established(challenges=budget), established(challenges=budget)
    quiet = established(challenges=Budget(100, b"secret"))
    for scene in (own, quiet):
        scene.hears(RST, seq=scene.nxt + 1)
    for guess in range(50):
        victim.hears(RST, seq=victim.nxt + 2 + guess)
    answers = [len(scene.hears(RST, seq=scene.nxt + 1)) for scene in (own, quiet)]
    assert answers[0] == answers[1]


def test_the_hosts_budget_is_shared() -> None:
    budget = Budget(1, b"x")
    total = taken(Budget(1, b"x"), 1000)
    answers = sum(len(established(challenges=budget).hears(SYN)) for _ in range(10))
    assert answers == total
