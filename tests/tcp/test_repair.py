"""What goes again after a loss, in which order and how much of it: RFC 8985, 9.3 and PRR (RFC 9937)."""

import pytest

from postel.testing.states import MSS
from postel.wire.segment import ACK
from tests.tcp.flights import ROUND_TRIP, flying, of, rack, sacks, sent_at


@pytest.mark.label("RFC2018-5a", "RFC6675-4d")
def test_the_holes_are_filled_in_order_and_only_they() -> None:
    """Segments 0, 3 and 4 are lost."""
    scene = flying()
    lines = sacks(scene, of(5, 9), of(1, 2))
    assert lines[0] == sent_at(0)[0]
    while len(retransmitted := [line for line in lines if line in sent_at(0, 3, 4)]) < 3:
        lines += sacks(scene, of(5, scene.max // MSS - 1), of(1, 2))
        assert len(lines) < 40
    assert retransmitted == sent_at(0, 3, 4)


@pytest.mark.label("RFC6675-4d")
def test_a_hole_smaller_than_a_segment_is_a_smaller_segment() -> None:
    scene = flying()
    assert sacks(scene, (301, 8001))[0] == "ACK seq=1 ack=1 len=300"


@pytest.mark.label("RFC6675-4e")
def test_when_the_holes_are_filled_new_data_follows() -> None:
    scene = flying()
    lines = sacks(scene, of(1, 9))
    assert lines == sent_at(0, *range(10, 10 + len(lines) - 1))
    assert len(lines) > 1


@pytest.mark.label("RFC6675-4e")
def test_if_the_peers_window_allows() -> None:
    scene = flying()
    assert scene.hears(ACK, ack=1, sack=(of(1, 9),), window=10 * MSS) == sent_at(0)


@pytest.mark.label("RFC9937-6.1", "RFC9937-6.2a", "RFC9937-6.2b", "RFC9937-6.2c", "RFC9937-6.3", "RFC5681-2b")
def test_rfc9937_6_2c_the_flight_shrinks_in_proportion_to_what_arrives() -> None:
    """Half the window: one segment goes out for every two that arrive."""
    scene = flying(20)
    sent = [len(sacks(scene, of(1, number))) for number in range(1, 20)]
    assert 10 <= sum(sent) <= 12  # two by limited transmit, before the third SACK
    assert max(sent) <= 2
    assert (
        scene.tcb.snd.flight - rack(scene).board.sacked.total <= scene.tcb.ensure_controller().threshold + MSS
    )


@pytest.mark.label("RFC9937-6.2d")
def test_rfc9937_6_2d_below_the_threshold_it_is_filled_as_fast_as_segments_leave() -> None:
    """All but the last three are lost: the pipe is far below the threshold, and grows by one on ACKs that
    bring progress alone.
    """
    scene = flying(20)
    assert len(sacks(scene, of(17, 19))) == 3
    scene.now += ROUND_TRIP
    assert len(sacks(scene, of(17, 19), ack=1 + MSS)) == 2  # a safe ACK
    assert len(sacks(scene, (1 + 2 * MSS, 1 + 3 * MSS), of(17, 19), ack=1 + MSS)) == 1


@pytest.mark.label("RFC9937-6.2e")
def test_rfc9937_6_2e_the_first_retransmission_waits_for_nothing() -> None:
    scene = flying(60)
    sacks(scene, of(1))
    sacks(scene, of(1, 2))
    assert sacks(scene, of(1, 3)) == sent_at(0)


@pytest.mark.label("RFC9937-6.4", "RFC6675-5d")
def test_rfc9937_6_4_recovery_ends_with_the_threshold_for_a_window() -> None:
    scene = flying(20)
    point = scene.max
    sacks(scene, of(1, 9))
    sacks(scene, ack=point - 1)
    assert scene.tcb.ensure_recovery().is_active
    scene.hears(ACK, ack=point)
    assert not scene.tcb.ensure_recovery().is_active
    assert scene.tcb.ensure_controller().window == scene.tcb.ensure_controller().threshold == 10 * MSS


@pytest.mark.label("RFC8985-9.3")
def test_rfc8985_9_3_what_is_lost_waits_for_room() -> None:
    scene = flying(40)
    lines = sacks(scene, of(30, 39))
    assert lines == sent_at(*range(10))[: len(lines)]
    board = rack(scene).board
    assert board.pipe <= 10 * MSS
    assert board.lost == 30 * MSS - board.pipe


@pytest.mark.label("RFC5681-3.2d")
def test_acks_that_are_read_at_once_had_all_been_in_flight() -> None:
    """A host drains a batch of ACKs before it sends: half of the window is half of what flew when the batch
    came.
    """
    scene = flying(20)
    for number in range(1, 15):
        scene.arrives(ACK, ack=1 + number * MSS)
    scene.arrives(ACK, ack=scene.una, sack=(of(15, 18),))
    scene.drain()
    assert scene.tcb.ensure_controller().threshold == 10 * MSS


@pytest.mark.label("RFC5681-3.1b")
def test_and_all_say_that_the_window_fits() -> None:
    scene = flying(20)
    for number in range(1, 21):
        scene.arrives(ACK, ack=1 + number * MSS)
    assert scene.tcb.ensure_controller().window == 40 * MSS


def test_one_window_is_cut_once() -> None:
    scene = flying(20)
    sacks(scene, of(1, 4))
    threshold = scene.tcb.ensure_controller().threshold
    sacks(scene, of(10, 15), of(1, 4))
    sacks(scene, of(10, 15), ack=1 + 5 * MSS)
    assert scene.tcb.ensure_controller().threshold == threshold


@pytest.mark.label("RFC3168-6.1.2a")
def test_rfc3168_6_1_2a_a_loss_among_what_a_mark_answered_for_costs_nothing_more() -> None:
    scene = flying(20)
    scene.tcb.ensure_recovery().on_marked(scene.tcb.snd.flight)
    scene.tcb.ensure_recovery().on_bare_mark(scene.now)
    threshold = scene.tcb.ensure_controller().threshold
    lines = sacks(scene, of(1, 9))
    assert lines[0] == sent_at(0)[0]
    assert scene.tcb.ensure_recovery().is_active
    assert scene.tcb.ensure_controller().threshold == threshold
