"""Segments for a link that cuts them: as large as may be, and never anything that couldn't have gone one by
one.
"""

from dataclasses import replace

import pytest

from postel.tcp.config import DEFAULT
from postel.tcp.congestion.bbr import BBR
from postel.tcp.ecn import CE, ECT_0
from postel.tcp.invariants import check
from postel.testing import states
from postel.testing.states import MSS, PLAIN, Peer, Scene, established
from postel.times import MILLISECOND
from postel.wire.segment import ACK, CWR, FIN, PSH
from tests.tcp.scenes import RENO

BURST = 8_500  # eight packets, and not nine
EAGER = replace(PLAIN, nagle=False)
SACKING = replace(RENO, sack=True)


def bursting(config: object = PLAIN, peer: Peer | None = None, **options: object) -> Scene:
    scene = established(config, peer, **options)
    scene.tcb.path.burst = BURST
    return scene


def shape(scene: Scene) -> list[tuple[int, int]]:
    """Octets and packets of each segment."""
    return [(len(segment.data), segment.packets) for segment in scene.sent]


def test_whole_packets_as_many_as_the_link_cuts_and_the_window_lets_go() -> None:
    scene = bursting(EAGER)
    scene.sends(bytes(12_345))
    assert shape(scene) == [(8000, 8), (2000, 2)]  # a window of ten
    scene.hears(ACK, ack=10_001)
    assert shape(scene) == [(2000, 2), (345, 1)]
    assert scene.sent[0].flags == ACK
    assert scene.sent[1].flags == ACK | PSH
    assert scene.tcb.counts.texts_sent == 8 + 2 + 2 + 1
    assert scene.tcb.counts.segments_sent >= scene.tcb.counts.texts_sent


@pytest.mark.label("MUST-17", "MUST-38")
def test_must_38_the_rest_is_judged_as_ever() -> None:
    """Nagle holds back what doesn't fill a packet; FIN goes with the last text, whatever its size."""
    scene = bursting()
    assert scene.sends(bytes(3500)) == ["ACK seq=1 ack=1 len=3000"]
    scene.hears(ACK, ack=3001)
    assert shape(scene) == [(500, 1)]
    scene = bursting()
    scene.connection.send(bytes(3000), scene.now)
    assert scene.closes() == ["FIN,PSH,ACK seq=1 ack=1 len=3000"]
    assert scene.sent[0].flags & FIN


@pytest.mark.label("MUST-34")
def test_the_peers_window_cuts_a_burst_to_whole_packets() -> None:
    scene = bursting(EAGER, Peer(window=3700))
    scene.sends(bytes(20_000))
    assert shape(scene)[0] == (3000, 3)


def test_what_each_packet_must_carry_alone_goes_alone() -> None:
    scene = bursting()
    scene.connection.send(bytes(3000), scene.now)
    scene.sends(b"!", urgent=True)
    assert [packets for _, packets in shape(scene)] == [1] * len(scene.sent)
    scene = bursting()
    scene.tcb.path.signature_length = 18
    scene.sends(bytes(5000))
    assert all(packets == 1 for _, packets in shape(scene))
    scene = bursting(mtu=1500)
    scene.connection.path_mtu(552, scene.now)
    scene.sends(bytes(5000))
    assert all(packets == 1 for _, packets in shape(scene))


def test_what_was_lost_out_of_a_burst_goes_again_alone() -> None:
    scene = bursting(SACKING, Peer(sack=True))
    scene.sends(bytes(8000))
    assert shape(scene) == [(8000, 8)]
    scene.now += 50 * MILLISECOND
    scene.hears(ACK, ack=2001, sack=((3001, 8001),))
    assert [line for line in map(scene.text, scene.sent) if "seq=2001" in line] == [
        "ACK seq=2001 ack=1 len=1000"
    ]


@pytest.mark.label("RFC8985-6.2-4")
def test_packets_of_a_burst_are_counted_one_by_one_for_reordering() -> None:
    """Three that were SACKed are a sign of loss at once, though one record holds them."""
    scene = bursting(SACKING, Peer(sack=True))
    scene.sends(bytes(8000))
    scene.hears(ACK, ack=1, sack=((5001, 8001),))
    assert scene.tcb.counts.segments_retransmitted > 0


def test_a_timeout_sends_one_packet() -> None:
    scene = bursting(RENO)
    scene.sends(bytes(8000))
    scene.expires()
    assert shape(scene) == [(1000, 1)]


def test_pacing_lets_no_more_out_than_a_millisecond_holds() -> None:
    """So a burst is never longer than what a paced sender may catch up with at once."""
    scene = bursting(replace(EAGER, congestion=BBR))
    scene.tcb.ensure_controller().pacing_rate = 3_500 * 1000  # octets a second: three packets a millisecond
    scene.sends(bytes(20_000))
    assert shape(scene)[0] == (3000, 3)


def test_a_probe_of_the_path_is_one_packet_and_a_burst_proves_no_larger_one() -> None:
    scene = bursting(EAGER)
    scene.sends(bytes(8000))
    assert scene.tcb.path.tried == MSS
    assert scene.tcb.ensure_recovery().mtu_probe is None
    scene.hears(ACK, ack=8001)
    assert scene.tcb.path.proven == MSS


@pytest.mark.label("RFC3168-6.1.2c")
def test_cwr_may_lead_a_burst_but_a_counter_may_not() -> None:
    """A link that cuts takes CWR off all but the first: right for RFC 3168, wrong for the three bits of RFC
    9768.
    """
    scene = states.listen(replace(EAGER, ecn="ask-classic"))
    scene.hears(states.SYN | CWR | 0x040)
    scene.hears(ACK)
    scene.tcb.path.burst = BURST
    assert scene.tcb.ecn is not None
    scene.tcb.ecn.reduced(scene.tcb.snd.max)
    scene.sends(bytes(3000))
    assert shape(scene) == [(3000, 3)]
    assert scene.sent[0].flags & CWR
    scene = states.listen(replace(EAGER, ecn="ask"))
    scene.hears(states.SYN | CWR | 0x140)
    scene.arrives(ACK)
    scene.drain()
    scene.tcb.path.burst = BURST
    assert scene.tcb.ecn is not None
    assert scene.tcb.ecn.may_burst
    scene.hears(ACK, bytes(10), ecn=CE)  # r.cep becomes 6: CWR is its middle bit
    assert not scene.tcb.ecn.may_burst
    scene.sends(bytes(3000))
    assert all(packets == 1 for _, packets in shape(scene))


# What a link has joined


def joined(scene: Scene, octets: int, **fields: object) -> list[str]:
    segment = scene.segment(ACK, bytes(octets), **fields)  # type: ignore[arg-type]
    segment.divide(MSS)
    scene.connection.segment_arrives(segment, scene.now)
    check(scene.tcb)
    return scene.drain()


@pytest.mark.label("SHLD-19", "MUST-58")
def test_shld_19_two_packets_joined_are_acknowledged_at_once() -> None:
    scene = established()
    assert joined(scene, 2 * MSS) == ["ACK seq=1 ack=2001"]
    assert joined(scene, MSS) == []  # one packet waits for another
    assert scene.tcb.counts.texts_arrived == 3


@pytest.mark.label("MUST-58")
def test_a_peer_without_sack_gets_a_duplicate_for_each_packet() -> None:
    scene = established()
    assert joined(scene, 3 * MSS, seq=1001) == ["ACK seq=1 ack=1"] * 3


@pytest.mark.label("RFC9768-3.2")
def test_rfc9768_each_packet_of_a_joined_segment_counts() -> None:
    scene = states.listen(replace(DEFAULT, ecn="ask"))
    scene.hears(states.SYN | CWR | 0x140)
    scene.arrives(ACK)
    scene.drain()
    ecn = scene.tcb.ecn
    before = ecn.r_cep  # type: ignore[union-attr]
    joined(scene, 3 * MSS, ecn=CE)
    joined(scene, 2 * MSS, ecn=ECT_0)
    assert ecn.r_cep == before + 3  # type: ignore[union-attr]
