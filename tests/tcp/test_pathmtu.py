"""The size that the path carries: figures 2 to 6 of RFC 5927, and one probe at a time (RFC 4821, 7)."""

from dataclasses import replace

import pytest

from postel.tcp import pathmtu
from postel.tcp.path import MtuSearch
from postel.tcp.pathmtu import BASE_4, FLOOR_4, LOWEST_6, RAISE_AFTER
from postel.testing import states
from postel.testing.states import PLAIN, Peer, Scene, established, syn_sent
from postel.times import NEVER, SECOND
from postel.wire.address import Endpoint
from postel.wire.segment import ACK, SYN

SACK = replace(PLAIN, sack=True, tail_probe=False)
SELECTIVE = pytest.mark.parametrize("sack", [False, True], ids=["newreno", "sack"])


def sender(mtu: int = 1500, **options: object) -> Scene:
    """A connection to a peer that takes packets as large as the link carries them."""
    return established(peer=Peer(mss=mtu - 40), mtu=mtu, **options)


def sizes(scene: Scene) -> list[int]:
    """Of the packets sent last, with their headers."""
    return [40 + len(segment.data) for segment in scene.sent]


def claim(scene: Scene, mtu: int, number: int = 0) -> bool:
    """A router quotes the segment that began at ``number`` (relative), the oldest in flight unless it is
    given.
    """
    position = states.sequence.add(scene.tcb.snd.iss, number or scene.una)
    return scene.connection.packet_too_big(mtu, position, scene.now)


def path(scene: Scene) -> MtuSearch:
    found = scene.tcb.path.search
    assert found is not None
    return found


# RFC 5927, 7.3


@pytest.mark.label("RFC5927-7.2")
def test_rfc5927_figure_2_the_first_segments_of_a_bulk_transfer() -> None:
    scene = sender(4464)
    scene.sends(bytes(4424))
    assert sizes(scene) == [4464]
    assert claim(scene, 2048)
    scene.drain()
    assert sizes(scene)[0] == 2048
    assert claim(scene, 1500)
    scene.drain()
    assert sizes(scene)[0] == 1500
    scene.hears(ACK)
    assert scene.tcb.path.mtu == 1500


@pytest.mark.label("RFC5927-7.2")
def test_rfc5927_figure_3_the_path_changes_and_the_segment_times_out() -> None:
    scene = sender()
    scene.sends(bytes(1460))
    scene.hears(ACK)
    scene.sends(bytes(1460))
    assert not claim(scene, 1492)
    assert scene.drain() == []
    assert scene.tcb.path.mtu == 1500
    scene.expires()
    assert sizes(scene) == [1492]
    assert scene.tcb.path.mtu == 1492


@pytest.mark.label("RFC5927-7.2", "RFC5927-4.1")
def test_rfc5927_figure_4_an_idle_connection_has_nothing_in_flight() -> None:
    scene = sender()
    scene.sends(bytes(50))
    scene.hears(ACK)
    before = scene.image()
    for number in (1, 51):
        assert not claim(scene, 68, number)
    assert scene.image() == before


@pytest.mark.label("RFC5927-7.2")
def test_rfc5927_figure_5_progress_proves_a_claim_false() -> None:
    scene = sender()
    scene.sends(bytes(1460))
    scene.hears(ACK)
    scene.sends(bytes(4 * 1460))
    assert not claim(scene, 68)
    scene.hears(ACK, ack=scene.una + 1460)
    assert path(scene).claim == 0
    scene.expires()  # something else is lost later: the claim is forgotten
    assert sizes(scene) == [1500]


@pytest.mark.label("RFC5927-7.2")
def test_rfc5927_figure_6_a_forger_during_the_discovery_is_believed_for_a_while() -> None:
    """The discovery isn't protected; what a true router says then still counts, for it is less."""
    scene = sender(4464)
    scene.sends(bytes(8848))
    assert claim(scene, 2048)
    scene.drain()
    assert claim(scene, 1500)
    scene.drain()
    assert not claim(scene, 2048)
    assert not claim(scene, 4464)
    assert scene.tcb.path.mtu == 1500


@pytest.mark.label("RFC5927-7.2")
def test_rfc5927_7_2_no_router_can_object_to_less_than_it_claims_to_carry() -> None:
    scene = sender()
    scene.sends(bytes(560))
    assert not claim(scene, 1400)  # nothing larger than 600 was sent
    assert not claim(scene, 600)
    assert scene.tcb.path.mtu == 1500
    assert claim(scene, 599)


@pytest.mark.label("RFC5927-7.2", "RFC8201-5.4")
@SELECTIVE
def test_rfc5927_7_2_shown_not_to_have_been_received_it_need_not_time_out(sack: bool) -> None:
    scene = sender(config=replace(PLAIN, sack=sack, tail_probe=False))
    scene.peer.sack = sack
    scene = established(replace(PLAIN, sack=sack, tail_probe=False), Peer(mss=1460, sack=sack))
    scene.sends(bytes(1460))
    scene.hears(ACK)
    scene.sends(bytes(8 * 1460))
    una = scene.una
    assert not claim(scene, 1400)
    lines: list[str] = []
    for count in range(2, 7):
        lines += scene.hears(ACK, ack=una, sack=((una + 1460, una + count * 1460),) if sack else ())
    assert lines[0] == f"ACK seq={una} ack=1 len=1360"
    assert scene.tcb.path.mtu == 1400


@pytest.mark.label("RFC5927-7.2")
def test_rfc5927_7_2_what_timed_out_before_the_claim_came_is_believed_at_once() -> None:
    scene = sender()
    scene.sends(bytes(1460))
    scene.hears(ACK)
    scene.sends(bytes(1460))
    scene.expires()
    assert claim(scene, 1400)


def test_a_retransmission_proves_nothing_of_sizes() -> None:
    """The ACK may be for the smaller segments that were sent first."""
    scene = sender(config=replace(PLAIN, nagle=False))
    scene.sends(bytes(700))
    scene.sends(bytes(700))
    scene.expires()
    assert sizes(scene) == [1440]
    scene.hears(ACK)
    assert scene.tcb.path.proven == 0
    scene.sends(bytes(1460))
    scene.hears(ACK)
    assert scene.tcb.path.proven == 1460


def test_a_claim_about_an_attempt_is_none() -> None:
    """A SYN has forty octets and some."""
    scene = syn_sent()
    assert not scene.connection.packet_too_big(552, scene.tcb.snd.iss, scene.now)


# Black holes


@pytest.mark.label("RFC4821-7.7", "RFC2923-2")
@SELECTIVE
def test_rfc4821_7_7_the_second_timeout_goes_to_the_base_the_third_to_the_floor(sack: bool) -> None:
    scene = established(replace(PLAIN, sack=sack, tail_probe=False), Peer(mss=1460, sack=sack))
    scene.sends(bytes(30_000))
    start = scene.now
    for size in (1500, BASE_4, FLOOR_4, FLOOR_4):
        scene.expires()
        assert sizes(scene) == [size]
        if size == BASE_4:
            assert scene.now - start == 3 * SECOND
    assert pathmtu.may_be_fragmented(scene.tcb)


@pytest.mark.label("RFC4821-7.7", "RFC8504-5")
def test_rfc8504_5_over_ipv6_the_base_is_what_every_path_carries() -> None:
    addresses = {"local": Endpoint(bytes(15) + b"\x01", 80), "remote": Endpoint(bytes(15) + b"\x02", 40000)}
    scene = established(peer=Peer(mss=1440), **addresses)
    scene.sends(bytes(30_000))
    found = []
    for _ in range(4):
        scene.expires()
        found.append(60 + len(scene.sent[0].data))
    assert found == [1500, LOWEST_6, LOWEST_6, LOWEST_6]
    assert not pathmtu.may_be_fragmented(scene.tcb)


@pytest.mark.parametrize("mss", [100, 500])
def test_small_packets_vanish_in_no_black_hole(mss: int) -> None:
    scene = established(peer=Peer(mss=mss))
    scene.sends(bytes(3000))
    for _ in range(4):
        scene.expires()
    assert scene.tcb.path.mtu == 1500
    assert scene.tcb.path.search is None


def test_nor_does_a_little_text() -> None:
    scene = sender()
    scene.sends(bytes(500))
    for _ in range(4):
        scene.expires()
    assert scene.tcb.path.mtu == 1500


def test_who_never_probes_sees_no_black_holes() -> None:
    scene = sender(config=replace(PLAIN, mtu_probing="off"))
    scene.sends(bytes(30_000))
    for _ in range(4):
        scene.expires()
        assert sizes(scene) == [1500]


# Probes


def after_hole(sack: bool = False) -> Scene:
    """Out of a black hole, all acknowledged, and a window of 20,000 octets: the next new segment is a probe
    of 1,500.
    """
    scene = established(replace(PLAIN, sack=sack, tail_probe=False), Peer(mss=1460, sack=sack))
    scene.sends(bytes(1460))
    scene.expires()
    scene.expires()
    scene.hears(ACK)
    scene.sends(bytes(TEXT))
    scene.hears(ACK)
    scene.tcb.ensure_controller().window = 20_000
    assert scene.tcb.path.mtu == BASE_4
    return scene


TEXT = BASE_4 - 40
PROBE = 1460


@pytest.mark.label("RFC4821-7.4")
def test_rfc4821_7_4_a_probe_needs_text_behind_it() -> None:
    scene = after_hole()
    scene.sends(bytes(PROBE + 3 * TEXT - 1))
    assert max(sizes(scene)) == BASE_4
    scene.hears(ACK)
    scene.sends(bytes(PROBE + 3 * TEXT))
    assert sizes(scene) == [1500, BASE_4, BASE_4, BASE_4]


@pytest.mark.label("RFC4821-7.4")
@pytest.mark.parametrize("which", ["congestion", "peer"])
def test_rfc4821_7_4_and_a_window_for_it(which: str) -> None:
    scene = after_hole()
    if which == "congestion":
        scene.tcb.ensure_controller().window = PROBE + 3 * TEXT - 1
    else:
        scene.hears(ACK, window=PROBE + 3 * TEXT - 1)
    scene.sends(bytes(20_000))
    assert max(sizes(scene)) == BASE_4


@pytest.mark.label("RFC4821-7.4")
def test_rfc4821_7_4_it_waits_until_a_full_window_has_room_for_it() -> None:
    scene = after_hole()
    path(scene).next_at = scene.now + 1
    scene.sends(bytes(60_000))
    assert max(sizes(scene)) == BASE_4
    scene.now += 1
    scene.tcb.ensure_controller().threshold = (
        20_000  # congestion avoidance: an ACK frees what it acknowledges
    )
    assert scene.hears(ACK, ack=scene.una + TEXT) == []
    scene.hears(ACK, ack=scene.una + TEXT)
    assert sizes(scene)[0] == 1500


@pytest.mark.label("RFC4821-7.4")
@SELECTIVE
def test_rfc4821_7_4_one_at_a_time_and_none_while_something_is_lost(sack: bool) -> None:
    scene = after_hole(sack)
    scene.sends(bytes(8_000))
    assert sizes(scene)[0] == 1500
    scene.sends(bytes(8_000))
    assert max(sizes(scene)) == BASE_4
    scene.expires()
    assert scene.tcb.ensure_recovery().mtu_probe is None
    scene.tcb.ensure_controller().window = 40_000
    path(scene).next_at = 0
    scene.hears(ACK, ack=scene.una + TEXT)
    assert max(sizes(scene)) <= BASE_4


@SELECTIVE
def test_one_that_arrives_raises_the_size_and_not_the_window(sack: bool) -> None:
    scene = after_hole(sack)
    scene.sends(bytes(PROBE + 3 * TEXT))
    window = scene.tcb.ensure_controller().window
    scene.hears(ACK, ack=scene.una + PROBE)
    assert scene.tcb.path.mtu == 1500
    assert scene.tcb.ensure_controller().window <= window + TEXT
    assert path(scene).next_at == NEVER  # there is no more than the link's


def lose_probe(scene: Scene, *, sack: bool, others: int = 0) -> int:
    """The probe is lost, and so are ``others`` behind it. The number at which it began."""
    una = scene.una
    scene.sends(bytes(PROBE + 12 * TEXT))
    left = una + PROBE + others * TEXT
    for count in range(1, 6):
        scene.hears(ACK, ack=una, sack=((left, left + count * TEXT),) if sack else ())
    return una


@pytest.mark.label("RFC4821-4")
@SELECTIVE
def test_rfc4821_4_a_probe_that_alone_is_lost_is_sent_again_and_costs_no_window(sack: bool) -> None:
    scene = after_hole(sack)
    window, threshold = scene.tcb.ensure_controller().window, scene.tcb.ensure_controller().threshold
    una = lose_probe(scene, sack=sack)
    assert scene.tcb.ensure_recovery().is_excused
    assert (scene.tcb.ensure_controller().window, scene.tcb.ensure_controller().threshold) == (
        window,
        threshold,
    )
    scene.hears(ACK, ack=una + TEXT)
    scene.hears(ACK)
    assert scene.una == scene.max
    assert not scene.tcb.ensure_recovery().is_active
    assert scene.tcb.ensure_controller().window >= window
    assert scene.tcb.ensure_controller().threshold == threshold
    assert (path(scene).high, scene.tcb.path.mtu) == (1499, BASE_4)
    assert path(scene).candidate == (BASE_4 + 1499 + 1) // 2


@pytest.mark.label("RFC4821-4")
@SELECTIVE
def test_rfc4821_4_not_before_a_window_of_round_trips_is_another_lost(sack: bool) -> None:
    scene = after_hole(sack)
    scene.tcb.rtt.smoothed = 100_000
    una = lose_probe(scene, sack=sack)
    scene.hears(ACK, ack=una + TEXT)
    scene.hears(ACK)
    window = scene.tcb.ensure_controller().window // TEXT
    assert path(scene).next_at == scene.now + window * scene.tcb.rtt.smoothed
    scene.sends(bytes(8_000))
    assert max(sizes(scene)) == BASE_4


@pytest.mark.label("RFC4821-4")
def test_rfc4821_4_any_other_loss_is_congestion_even_if_it_shows_later() -> None:
    """NewReno sees it by a partial ACK that goes beyond the probe."""
    scene = after_hole()
    una = lose_probe(scene, sack=False)
    assert scene.tcb.ensure_recovery().is_excused
    scene.hears(ACK, ack=una + TEXT)
    assert scene.tcb.ensure_recovery().is_excused
    scene.hears(ACK, ack=una + PROBE + TEXT)
    assert not scene.tcb.ensure_recovery().is_excused
    assert scene.tcb.ensure_controller().window < 20_000
    assert path(scene).high == 1500  # inconclusive


@pytest.mark.label("RFC4821-4")
def test_rfc4821_4_any_other_loss_is_congestion_at_once_where_sack_shows_it() -> None:
    scene = after_hole(sack=True)
    lose_probe(scene, sack=True, others=1)
    assert not scene.tcb.ensure_recovery().is_excused
    assert scene.tcb.ensure_controller().window < 20_000


@pytest.mark.label("RFC4821-4")
def test_rfc4821_4_and_where_it_shows_it_later() -> None:
    scene = after_hole(sack=True)
    una = lose_probe(scene, sack=True)
    assert scene.tcb.ensure_recovery().is_excused
    left = una + PROBE + 6 * TEXT
    for count in range(1, 4):
        scene.hears(ACK, ack=una, sack=((left, left + count * TEXT), (una + PROBE, una + PROBE + 5 * TEXT)))
    assert not scene.tcb.ensure_recovery().is_excused
    assert scene.tcb.ensure_controller().window < 20_000


@pytest.mark.label("RFC4821-4")
@pytest.mark.parametrize("another", [False, True])
def test_rfc4821_4_the_excuse_lasts_until_the_end_of_that_recovery(another: bool) -> None:
    scene = after_hole(sack=True)
    una = lose_probe(scene, sack=True)
    window, threshold = scene.tcb.ensure_controller().window, scene.tcb.ensure_controller().threshold
    repaired = una + PROBE + 5 * TEXT
    scene.hears(ACK, ack=repaired)
    assert scene.tcb.ensure_recovery().mtu_probe is None
    assert scene.tcb.ensure_recovery().is_active
    if another:
        for count in range(2, 6):
            scene.hears(ACK, ack=repaired, sack=((repaired + TEXT, repaired + count * TEXT),))
        assert scene.tcb.ensure_controller().window == scene.tcb.ensure_controller().threshold < window
    else:
        scene.hears(ACK)
        assert not scene.tcb.ensure_recovery().is_active
        assert scene.tcb.ensure_controller().window >= window
        assert scene.tcb.ensure_controller().threshold == threshold


@SELECTIVE
def test_a_probe_that_is_lost_behind_another_loss_says_nothing(sack: bool) -> None:
    scene = after_hole(sack)
    path(scene).next_at = scene.now + 1
    scene.sends(bytes(TEXT))
    una = scene.una
    scene.now += 1
    scene.sends(bytes(PROBE + 8 * TEXT))
    assert sizes(scene)[0] == 1500
    for count in range(1, 6):
        left = una + TEXT + PROBE
        scene.hears(ACK, ack=una, sack=((left, left + count * TEXT),) if sack else ())
    assert scene.tcb.ensure_controller().window < 20_000
    scene.hears(ACK, ack=una + TEXT)
    assert scene.tcb.ensure_recovery().mtu_probe is None
    scene.hears(ACK)
    assert (scene.tcb.path.mtu, path(scene).high, path(scene).candidate) == (BASE_4, 1500, 1500)


@SELECTIVE
def test_a_probe_that_times_out_is_paid_for_and_waits_longer(sack: bool) -> None:
    """RFC 4821, 7.6.3."""
    scene = after_hole(sack)
    scene.tcb.rtt.smoothed = 100_000
    scene.sends(bytes(PROBE + 3 * TEXT))
    scene.expires()
    assert sizes(scene)[0] == BASE_4
    assert scene.tcb.ensure_controller().window == TEXT
    assert path(scene).high == 1499
    assert path(scene).next_at == scene.now + 5 * (20_000 // TEXT) * 100_000


@pytest.mark.label("RFC8899-4.6")
def test_rfc8899_4_6_a_claim_about_a_probe_bounds_the_search_and_sets_nothing() -> None:
    scene = after_hole()
    una = lose_probe(scene, sack=False)
    assert not claim(scene, 1300, una)
    assert scene.tcb.path.mtu == BASE_4
    scene.hears(ACK)
    assert (path(scene).high, path(scene).candidate) == (1300, 1300)


@pytest.mark.label("RFC8899-4.6")
def test_rfc8899_4_6_a_claim_never_raises() -> None:
    scene = after_hole()
    scene.sends(bytes(PROBE + 3 * TEXT))
    assert not claim(scene, 1300, scene.una + PROBE)  # about a segment that isn't the probe
    assert not claim(scene, 1500)
    assert path(scene).high == 1500
    assert scene.tcb.path.mtu == BASE_4


@pytest.mark.label("RFC4821-7.3")
def test_rfc4821_7_3_it_converges_and_rests() -> None:
    """A path of 1,400 octets: each larger probe is lost."""
    scene = after_hole()
    tried: list[int] = []
    while path(scene).next_at < scene.now + RAISE_AFTER // 2 and len(tried) < 20:
        scene.now = max(scene.now, path(scene).next_at)
        scene.sends(b"beyond the last loss")
        scene.hears(ACK)
        scene.tcb.ensure_controller().window = 20_000
        una, low = scene.una, scene.tcb.ensure_controller().smss
        scene.sends(bytes(20_000))
        probe = len(scene.sent[0].data)
        tried.append(40 + probe)
        if probe > 1360:
            for _ in range(3):
                scene.hears(ACK, ack=una)
            scene.hears(ACK, ack=una + low)
        while scene.una < scene.max:
            scene.hears(ACK)
    assert tried == [1500, 1262, 1381, 1440, 1410, 1395]
    assert scene.tcb.path.mtu == 1395
    assert path(scene).next_at == scene.now + RAISE_AFTER
    assert path(scene).candidate == 1500


def test_a_size_that_does_not_last_is_left_alone() -> None:
    """RFC 4821, 7.8: two paths take turns, and a probe found the wider one."""
    scene = after_hole()
    scene.sends(bytes(PROBE + 3 * TEXT))
    scene.hears(ACK)
    assert scene.tcb.path.mtu == 1500
    scene.sends(bytes(30_000))
    scene.expires()
    scene.expires()
    assert scene.tcb.path.mtu == BASE_4
    assert path(scene).next_at == scene.now + RAISE_AFTER


@pytest.mark.label("RFC4821-7.2")
@pytest.mark.parametrize(
    ("mss", "mtu", "high"), [(1460, 9000, 1500), (8960, 1500, 1500), (8960, 9000, 9000), (536, 1500, 576)]
)
def test_rfc4821_7_2_the_search_ends_where_the_link_or_the_peer_ends(mss: int, mtu: int, high: int) -> None:
    scene = established(replace(PLAIN, mtu_probing="always"), Peer(mss=mss), mtu=mtu)
    assert pathmtu.ceiling(scene.tcb) == path(scene).high == high
    scene.sends(bytes(40_000))
    assert sizes(scene)[0] == min(high, 1500)
    assert scene.tcb.path.mtu == BASE_4


def test_what_was_known_before_the_handshake_is_raised_ten_minutes_later() -> None:
    scene = syn_sent(peer=Peer(mss=1460))
    scene.connection.path_mtu(600, scene.now)
    scene.hears(SYN | ACK)
    assert path(scene).next_at == scene.now + RAISE_AFTER
    assert path(scene).candidate == 1500


def test_news_for_others_wait_until_something_arrived() -> None:
    scene = established(peer=Peer(mss=1460))
    assert pathmtu.news(scene.tcb) == 0
    scene.sends(bytes(1460))
    scene.expires()
    scene.expires()
    assert pathmtu.news(scene.tcb) == 0
    scene.hears(ACK)
    assert pathmtu.news(scene.tcb) == BASE_4
    assert not pathmtu.is_proven(scene.tcb)
    assert pathmtu.news(scene.tcb) == 0
