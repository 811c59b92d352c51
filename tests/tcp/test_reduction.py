"""Proportional Rate Reduction by itself: RFC 9937, 6.2, with its arithmetic in segments."""

import pytest

from postel.tcp.recovery.reduction import Reduction


@pytest.mark.label("RFC9937-6.2c", "RFC9937-6.3")
def test_rfc9937_6_2c_by_half_every_second_delivery_sends_one() -> None:
    reduction = Reduction(10, 20)
    in_flight, sent = 19, []
    for _ in range(18):
        in_flight -= 1
        reduction.on_ack(1, in_flight, 1, is_safe=True)
        count = max(0, reduction.window - in_flight)
        reduction.sent(count)
        in_flight += count
        sent.append(count)
    assert sent[:16] == [1, 0] * 8
    assert in_flight == 10


@pytest.mark.label("RFC9937-6.2c")
def test_rfc9937_6_2c_by_three_tenths_seven_of_ten() -> None:
    reduction = Reduction(14_000, 20_000)
    in_flight, total = 20_000, 0
    for _ in range(10):
        in_flight -= 1000
        reduction.on_ack(1000, in_flight, 1000, is_safe=False)
        count = max(0, reduction.window - in_flight)
        reduction.sent(count)
        total += count
        in_flight += count
    assert total == 7000


@pytest.mark.label("RFC9937-6.2d")
def test_rfc9937_6_2d_below_the_threshold_safe_acks_regrow_by_one_more() -> None:
    reduction = Reduction(10, 20)
    reduction.sent(2)
    reduction.on_ack(3, 4, 1, is_safe=False)
    assert reduction.window == 4 + 3
    reduction.on_ack(1, 4, 1, is_safe=True)
    assert reduction.window == 4 + 2 + 1
    reduction.on_ack(9, 8, 1, is_safe=True)
    assert reduction.window == 10  # never beyond


@pytest.mark.label("RFC9937-6.2e")
def test_rfc9937_6_2e_one_segment_at_least_at_first() -> None:
    reduction = Reduction(10, 20)
    reduction.on_ack(1, 10, 3, is_safe=False)
    assert reduction.window == 13
    reduction.sent(3)
    reduction.on_ack(1, 10, 3, is_safe=False)
    assert reduction.window == 10
