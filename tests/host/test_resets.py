"""The CLOSED state: EP-CLO-1 to 3."""

import pytest

from postel.host.resets import Resets
from postel.times import SECOND
from postel.wire.segment import ABSENT, ACK, FIN, RST, SYN, Segment


def strange(flags: int, **options: object):
    return Segment(1, 2, 100, 700, flags, 0, **options)


@pytest.mark.label("EP-CLO-1")
def test_ep_clo_1_a_reset_is_never_answered():
    for flags in (RST, RST | ACK, RST | SYN):
        assert Resets(b"").answer(strange(flags), 0) is None


@pytest.mark.label("EP-CLO-2")
def test_ep_clo_2_without_ack():
    reset = Resets(b"").answer(strange(SYN | FIN, data=b"abc"), 0)
    assert (reset.flags, reset.seq, reset.ack, reset.source, reset.destination) == (RST | ACK, 0, 105, 2, 1)
    assert reset.tsval == ABSENT


@pytest.mark.label("EP-CLO-3")
def test_ep_clo_3_with_ack():
    reset = Resets(b"").answer(strange(ACK, tsval=9, tsecr=8), 0)
    assert (reset.flags, reset.seq, reset.tsval, reset.tsecr) == (RST, 700, 0, 9)  # RFC7323-5.2a


def test_resets_are_limited_and_the_limit_is_drawn_anew():
    counts = []
    for second in range(5):
        strangers = Resets(b"secret")
        counts.append(sum(strangers.answer(strange(ACK), second * SECOND) is not None for _ in range(3000)))
    assert len(set(counts)) > 1
    assert all(500 <= count <= 1000 for count in counts)
