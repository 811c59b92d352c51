"""A part of what `make fuzz` plays in full: hosts under a barrage, with seeds that stay."""

import pytest

from tests.fuzz.barrage import Barrage, barrage, weight

STATES = {
    "SYN_SENT",
    "SYN_RECEIVED",
    "ESTABLISHED",
    "FIN_WAIT_1",
    "FIN_WAIT_2",
    "CLOSE_WAIT",
    "CLOSING",
    "LAST_ACK",
    "TIME_WAIT",
}


@pytest.mark.parametrize("part", range(5))
def test_bad_hdr_12_no_packet_makes_a_host_raise(part: int) -> None:
    barrage(5000, 1000 * part)


def test_every_state_is_under_the_barrage() -> None:
    assert set(barrage(20_000, 77)) >= STATES


def test_memory_that_a_queue_holds_is_weighed() -> None:
    host = Barrage(1).host
    before = weight(host)
    host._outbound.queue.append(bytes(100_000))
    assert weight(host) - before >= 100_000
