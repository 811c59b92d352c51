"""Rate samples: what each ACK says of how fast the path delivers (the BBR draft, 4.1)."""

from dataclasses import replace

import pytest

from postel.tcp.congestion import Sample
from postel.tcp.congestion.reno import Reno
from postel.tcp.recovery.rates import Rates
from postel.tcp.recovery.transmissions import Sent
from postel.testing.states import MSS, PLAIN, Peer, Scene, syn_received
from postel.times import MILLISECOND, SECOND
from postel.wire.segment import ACK

ROUND_TRIP = 100 * MILLISECOND


class Ear(Reno):
    """Reno that hears rates, and keeps what it heard."""

    is_model = True

    def __init__(self, smss: int, initial_window: int, seed: int) -> None:
        super().__init__(smss, initial_window, seed)
        self.heard: list[tuple[int, int, bool]] = []
        self.flights: list[tuple[int, int, int]] = []
        self.starts = 0

    def observed(self, sample: Sample, now: int) -> None:
        self.heard.append((sample.rate, sample.delivered, sample.is_app_limited))
        self.flights.append((sample.prior_delivered, sample.segment_flight, sample.lost_since))

    def started(self, now: int) -> None:
        self.starts += 1


def opened(*, sack: bool = True) -> tuple[Scene, Ear]:
    scene = syn_received(
        replace(PLAIN, sack=sack, tail_probe=False, congestion=Ear), Peer(sack=sack, window=65535)
    )
    scene.now += ROUND_TRIP
    scene.hears(ACK)
    ear = scene.tcb.ensure_controller()
    assert isinstance(ear, Ear)
    return scene, ear


@pytest.mark.label("BBR-rate-1")
@pytest.mark.parametrize("sack", [True, False])
def test_the_rate_is_what_was_delivered_over_a_round_trip(sack: bool) -> None:
    scene, ear = opened(sack=sack)
    scene.sends(bytes(100 * MSS))
    scene.now += ROUND_TRIP
    scene.hears(ACK, ack=1 + 5 * MSS)
    # The connection had nothing to send before
    assert ear.heard[-1] == (5 * MSS * SECOND // ROUND_TRIP, 5 * MSS, True)
    assert ear.flights[-1] == (0, 5 * MSS, 0)
    scene.now += 50 * MILLISECOND
    scene.hears(ACK, ack=1 + 10 * MSS)
    assert ear.heard[-1][0] == 10 * MSS * SECOND // (150 * MILLISECOND)
    assert ear.starts == 1


def test_an_interval_shorter_than_any_round_trip_is_no_sample() -> None:
    rates, sample = Rates(), Sample()
    record = Sent(0, MSS, 0, 1, is_again=False)
    rates.stamp(record, MSS, 0)
    sample.delivered = MSS
    rates.fill(sample, record, ROUND_TRIP, ROUND_TRIP - 1)
    assert (sample.rate, sample.interval) == (0, 0)
    rates.fill(sample, record, ROUND_TRIP, ROUND_TRIP)
    assert sample.interval == ROUND_TRIP


@pytest.mark.parametrize("sack", [True, False])
def test_a_sender_with_nothing_to_send_says_so_for_a_flight(sack: bool) -> None:
    scene, ear = opened(sack=sack)
    scene.sends(bytes(2 * MSS))
    scene.sends(bytes(2 * MSS))
    scene.now += ROUND_TRIP
    scene.hears(ACK)
    assert ear.heard[-1][2]
    scene.sends(bytes(100 * MSS))
    scene.now += ROUND_TRIP
    scene.hears(ACK, ack=scene.una + 8 * MSS)
    scene.now += ROUND_TRIP
    scene.hears(ACK)
    assert not ear.heard[-1][2]


def test_what_was_lost_meanwhile_is_told() -> None:
    scene, ear = opened()
    scene.sends(bytes(100 * MSS))
    scene.now += ROUND_TRIP
    scene.hears(ACK, ack=1, sack=((1 + MSS, 1 + 5 * MSS),))
    assert ear.flights[-1] == (0, 5 * MSS, MSS)
    scene.now += ROUND_TRIP
    scene.hears(ACK, ack=1 + 10 * MSS)
    assert ear.heard[-1][1] == 6 * MSS
    assert ear.flights[-1][2] == 0  # since the retransmission went out


@pytest.mark.label("BBR-rtt")
def test_without_sack_an_ack_that_ends_a_hole_measures_nothing() -> None:
    scene, ear = opened(sack=False)
    scene.sends(bytes(100 * MSS))
    scene.now += ROUND_TRIP
    for _ in range(3):
        scene.hears(ACK, ack=1)
    assert scene.tcb.ensure_recovery().is_active
    scene.now += ROUND_TRIP
    scene.hears(ACK, ack=501)
    scene.hears(ACK, ack=1 + 5 * MSS)
    assert ear.heard[-1][0] == 0
    assert scene.tcb.ensure_recovery().sample.round_trip == 0
