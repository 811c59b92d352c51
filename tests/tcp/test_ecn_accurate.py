"""Counters told and heard: RFC 9768, 3.2, on an open connection, and the examples of its appendix A."""

from dataclasses import replace

import pytest

from postel.tcp.ecn import CE, ECT_0, ECT_1, NOT_ECT, ace, flags_of
from postel.tcp.ecn.accurate import ORDER_0, ORDER_1, Accurate
from postel.tcp.timers import DELAYED_ACK
from postel.testing.states import MSS, Peer, Scene, listen
from postel.times import SECOND
from postel.wire import segment as wire
from postel.wire.segment import ACK, AE, CWR, ECE, SYN, Segment, encode, flags_text
from tests.tcp.scenes import RENO

CONFIG = replace(RENO, ecn="accept", nagle=False)
Other = tuple[tuple[int, bytes], ...]


def opened(peer: Peer | None = None, **choices: object) -> Scene:
    """ESTABLISHED, with accurate ECN."""
    scene = listen(replace(CONFIG, **choices), peer)  # type: ignore[arg-type]
    scene.hears(SYN | AE | ECE | CWR)
    scene.hears(ACK | flags_of(0b010))
    scene.all_events()
    return scene


def accurate(scene: Scene) -> Accurate:
    assert isinstance(scene.tcb.ecn, Accurate)
    return scene.tcb.ecn


def aces(scene: Scene) -> list[int]:
    return [ace(segment.flags) for segment in scene.sent]


def marks(scene: Scene) -> list[int]:
    return [segment.ecn for segment in scene.sent]


def others(scene: Scene) -> list[Other]:
    return [segment.other for segment in scene.sent]


def option(kind: int, *counters: int) -> Other:
    return ((kind, b"".join([counter.to_bytes(3, "big") for counter in counters])),)


# The receiver counts


@pytest.mark.label("RFC9768-3.2")
def test_where_the_counters_begin() -> None:
    ecn = accurate(opened())
    assert (
        (ecn.r_cep, ecn.r_ceb, ecn.r_e0b, ecn.r_e1b)
        == (ecn.s_cep, ecn.s_ceb, ecn.s_e0b, ecn.s_e1b)
        == (5, 0, 1, 1)
    )


@pytest.mark.label("RFC9768-3.2")
def test_what_is_counted() -> None:
    """Packets with CE, bare ACKs too, and octets by their mark; what lies outside the window doesn't
    count.
    """
    scene = opened()
    ecn = accurate(scene)
    for data, mark in ((10, ECT_0), (20, ECT_1), (30, CE), (40, NOT_ECT), (0, CE), (0, ECT_0)):
        scene.hears(ACK | flags_of(5), bytes(data), ecn=mark)
    scene.hears(ACK | flags_of(5), bytes(5), seq=1, ecn=CE)
    assert (ecn.r_cep, ecn.r_ceb, ecn.r_e0b, ecn.r_e1b) == (7, 30, 11, 21)


@pytest.mark.label("RFC9768-3.2.2")
def test_the_ace_field_is_the_counter_modulo_eight() -> None:
    """On bare ACKs, on text and on what goes again."""
    scene = opened()
    told = []
    for _ in range(5):
        scene.hears(ACK | flags_of(5), bytes(10), ecn=CE)
        told += aces(scene)
        scene.hears(ACK | flags_of(5), bytes(10))
    assert told == [6, 7, 0, 1, 2]
    scene.sends(bytes(10))
    assert aces(scene) == [2]
    scene.arrives(ACK | flags_of(5), bytes(10), ack=1, ecn=CE)
    scene.drain()
    scene.expires()
    assert aces(scene)[-1] == 3


@pytest.mark.label("RFC9768-3.1.5")
def test_cwr_and_ece_have_no_other_meaning() -> None:
    """After a reduction CWR isn't set for its own sake."""
    scene = opened()
    scene.sends(bytes(10 * MSS))
    scene.hears(ACK | flags_of(6), ack=1 + 10 * MSS)
    scene.sends(bytes(MSS))
    assert aces(scene) == [5]


# ACKs


@pytest.mark.label("RFC9768-3.2.2.5")
def test_a_mark_after_none_is_acknowledged_at_once() -> None:
    """A change triggers, and then every second mark."""
    scene = opened(acknowledge_every=64)
    assert scene.hears(ACK | flags_of(5), bytes(10), ecn=ECT_0) == []
    assert len(scene.hears(ACK | flags_of(5), bytes(10), ecn=CE)) == 1
    assert scene.hears(ACK | flags_of(5), bytes(10), ecn=CE) == []
    assert len(scene.hears(ACK | flags_of(5), bytes(10), ecn=CE)) == 1
    assert scene.hears(ACK | flags_of(5), bytes(10), ecn=ECT_0) == []
    assert len(scene.hears(ACK | flags_of(5), bytes(10), ecn=CE)) == 1


@pytest.mark.label("RFC9768-3.2.2.5")
def test_marked_acks_are_acknowledged_by_threes() -> None:
    """Fewer would let two hosts play ping-pong."""
    scene = opened()
    counts = [len(scene.hears(ACK | flags_of(5), ecn=CE)) for _ in range(7)]
    assert counts == [0, 0, 1, 0, 0, 1, 0]
    assert accurate(scene).r_cep == 12


@pytest.mark.label("RFC9768-3.2.2.5")
def test_acks_of_acks_have_no_sack_blocks() -> None:
    """While text waits behind a gap they would pass for duplicate ACKs, three of which are a loss. The ACKs
    of text tell of the gap.
    """
    scene = opened(Peer(sack=True), sack=True)
    scene.hears(ACK | flags_of(5), bytes(100), seq=2000)
    assert [len(ack.sack) for ack in scene.sent] == [1]
    found = []
    for _ in range(9):
        scene.hears(ACK | flags_of(5), ecn=CE)
        found += [(len(ack.sack), ace(ack.flags)) for ack in scene.sent]
    assert found == [(0, 0), (0, 3), (0, 6)]
    scene.hears(ACK | flags_of(5), bytes(100), seq=4000)
    assert [len(ack.sack) for ack in scene.sent] == [2]


@pytest.mark.label("RFC9768-3.2.2.5")
@pytest.mark.parametrize("text_comes_first", [True, False])
def test_an_ack_that_text_asks_for_too_has_its_sack_blocks(text_comes_first: bool) -> None:
    scene = opened(Peer(sack=True), sack=True)
    acks, text = [(b"", 1, CE)] * 4, [(bytes(100), 2001, NOT_ECT)]
    for data, number, mark in text + acks if text_comes_first else acks + text:
        scene.arrives(ACK | flags_of(5), data, seq=number, ecn=mark)
    scene.drain()
    assert [len(ack.sack) for ack in scene.sent] == [1]


# Options


@pytest.mark.label("RFC9768-3.2.3", "RFC9768-3.2.3.3")
def test_an_option_goes_with_each_ack_after_a_counter_moved() -> None:
    """Order 0, the fields that ever moved."""
    scene = opened(acknowledge_every=1)
    told = []
    for data, mark in (
        (10, ECT_0),
        (10, NOT_ECT),
        (10, CE),
        (10, ECT_0),
        (10, ECT_1),
        (0, NOT_ECT),
        (10, ECT_0),
    ):
        scene.hears(ACK | flags_of(5), bytes(data), ecn=mark)
        told += others(scene)
    assert told == [
        option(ORDER_0, 11),
        (),
        option(ORDER_0, 11, 10),
        option(ORDER_0, 21, 10),
        option(ORDER_0, 21, 10, 11),
        option(ORDER_0, 31, 10, 11),
    ]


@pytest.mark.label("RFC9768-3.2.3")
def test_order_1_where_ect_0_never_came() -> None:
    scene = opened(acknowledge_every=1)
    scene.hears(ACK | flags_of(5), bytes(10), ecn=ECT_1)
    assert others(scene) == [option(ORDER_1, 11)]
    scene.hears(ACK | flags_of(5), bytes(10), ecn=CE)
    assert others(scene) == [option(ORDER_1, 11, 10)]


@pytest.mark.label("RFC9768-3.2.3")
def test_counters_of_24_bits() -> None:
    scene = opened(acknowledge_every=1)
    accurate(scene).r_e0b = (1 << 24) - 5
    scene.hears(ACK | flags_of(5), bytes(10), ecn=ECT_0)
    assert others(scene) == [option(ORDER_0, 5)]


@pytest.mark.label("RFC9768-3.2.3.3")
def test_sack_blocks_come_first() -> None:
    """Two of them with timestamps leave eight octets: two fields, and of three what moved, or nothing."""
    scene = opened(Peer(sack=True, tsval=1), acknowledge_every=1, sack=True, timestamps=True)
    ecn = accurate(scene)
    for start in (2000, 4000):
        scene.hears(ACK | flags_of(5), bytes(100), seq=start, ecn=ECT_0)
    (ack,) = scene.sent
    assert (len(ack.sack), ack.other) == (2, option(ORDER_0, 201))
    assert len(wire.parse(encode(ack), 0, len(encode(ack))).sack) == 2
    scene.hears(ACK | flags_of(5), bytes(100), seq=6000, ecn=CE)
    (ack,) = scene.sent
    assert (len(ack.sack), ack.other) == (3, option(ORDER_0, 201, 100))
    assert len(wire.parse(encode(ack), 0, len(encode(ack))).sack) == 2
    scene.hears(ACK | flags_of(5), bytes(100), seq=8000, ecn=ECT_1)  # the third field moved, and has no room
    assert others(scene) == [()]
    scene.hears(ACK | flags_of(5), bytes(100), seq=10_000, ecn=ECT_0)
    assert others(scene) == [()]
    scene.hears(ACK | flags_of(5), bytes(9000), ecn=NOT_ECT)
    while scene.tcb.rcv.reassembly is not None:
        scene.hears(ACK | flags_of(5), bytes(1900))
    scene.hears(ACK | flags_of(5), bytes(10), ecn=ECT_0)
    assert others(scene) == [option(ORDER_0, ecn.r_e0b, 100, 101)]


@pytest.mark.label("RFC9768-3.2.3.3")
def test_only_what_moved_where_not_all_that_ever_did_has_room() -> None:
    ecn = Accurate(0)
    for mark in (ECT_0, CE, ECT_1):
        ecn.count(mark, 10)
    ack = Segment(1, 2, 0, 0, ACK, 0)
    ecn.write(ack, 12, is_new=False)
    assert ack.other == option(ORDER_0, 11, 10, 11)
    ecn.count(ECT_0, 10)
    for room, told in ((4, ()), (8, option(ORDER_0, 21))):
        ack = Segment(1, 2, 0, 0, ACK, 0)
        ecn.write(ack, room, is_new=False)
        assert ack.other == told


@pytest.mark.label("RFC9768-3.2.3.3")
def test_text_leaves_room_for_options() -> None:
    """A counter that moved shortens the next segment; what goes again has no option (3.2.3.2.2)."""
    scene = opened()
    scene.arrives(ACK | flags_of(5), bytes(10), ecn=ECT_0)
    scene.sends(bytes(2 * MSS))
    assert [len(segment.data) for segment in scene.sent] == [MSS - 8, MSS, 8]
    assert others(scene) == [option(ORDER_0, 11), (), ()]
    for mark in (CE, ECT_1):
        scene.arrives(ACK | flags_of(5), bytes(10), ack=1, ecn=mark)
    scene.sends(bytes(MSS))
    assert [(len(segment.data), segment.other) for segment in scene.sent] == [
        (MSS - 12, option(ORDER_0, 11, 10, 11)),
        (12, ()),
    ]
    scene.arrives(ACK | flags_of(5), bytes(10), ack=1, ecn=ECT_0)
    scene.tcb.owes = 0
    scene.tcb.timers.stop(DELAYED_ACK)
    scene.expires()
    assert ([len(segment.data) for segment in scene.sent], others(scene), marks(scene)) == (
        [MSS],
        [()],
        [NOT_ECT],
    )


@pytest.mark.label("RFC9768-3.2.3.2", "RFC9768-3.2.3")
def test_the_first_text_tests_the_path_if_only_by_an_empty_option() -> None:
    scene = opened()
    scene.sends(bytes(MSS - 4))
    assert others(scene) == [option(ORDER_0)]
    scene.sends(bytes(10))
    assert others(scene) == [()]


# The sender hears


def heard(scene: Scene, ace_field: int, segments: int, other: Other = ()) -> int:
    """An ACK of so many more segments; how far s.cep moved."""
    ecn = accurate(scene)
    before = ecn.s_cep
    scene.sends(bytes(segments * MSS))
    scene.tcb.ensure_controller().window = 1 << 20
    scene.drain()
    scene.hears(ACK | flags_of(ace_field), ack=scene.max, other=other)
    return ecn.s_cep - before


@pytest.mark.label("RFC3168-5a", "RFC3168-6.1.2a")
def test_one_mark_costs_a_fifth_of_the_flight_once_a_round_trip() -> None:
    """By counters (RFC 9768, 4)."""
    scene = opened()
    scene.sends(bytes(30 * MSS))
    scene.hears(ACK | flags_of(6), ack=1 + MSS)
    assert (scene.tcb.ensure_controller().window, accurate(scene).newly_marked) == (8 * MSS, MSS)
    scene.hears(ACK | flags_of(7), ack=1 + 10 * MSS)
    assert scene.tcb.ensure_controller().window == 8 * MSS
    scene.hears(ACK | flags_of(7), ack=1 + 10 * MSS, seq=1)
    # The same count, and too few segments for eight more: no news
    scene.hears(ACK | flags_of(7), ack=scene.max - 4 * MSS)
    assert scene.tcb.ensure_controller().window >= 8 * MSS


@pytest.mark.label("RFC9768-3.2.3")
def test_the_examples_of_appendix_a_1() -> None:
    """33,554,433 and a field of 1461 make 33,555,893."""
    ecn = Accurate(0)
    ecn.s_ceb = 33_554_433
    told = Segment(1, 2, 0, 0, ACK, 0)
    told.other = option(ORDER_0, 1, 1461)
    assert ecn.heed(told, 1460, 1460, is_newer=True) == 1460
    assert ecn.s_ceb == 33_555_893


@pytest.mark.label("RFC9768-3.2.2.5")
@pytest.mark.parametrize(("packets", "moves"), [(9, 2), (10, 10), (8, 2), (18, 18), (2, 2), (1, 2)])
def test_the_examples_of_appendix_a_2_1(packets: int, moves: int) -> None:
    """The sender's side, 3.2.2.5.2: how far the field may have wrapped."""
    ecn = Accurate(0)
    ecn.heed(Segment(1, 2, 0, 0, ACK | flags_of(5), 0), MSS, MSS, is_newer=True)
    ecn.heed(Segment(1, 2, 0, 0, ACK | flags_of(7), 0), packets * MSS, MSS, is_newer=True)
    assert ecn.s_cep == 5 + moves


@pytest.mark.parametrize(
    ("least", "packets", "octets", "moves"),
    [(0, 8, 1460, 8), (2, 10, 1460, 2), (7, 15, 10_200, 7), (2, 10, 9000, 10)],
)
def test_the_examples_of_appendix_a_2_2(least: int, packets: int, octets: int, moves: int) -> None:
    """An option says more than the field."""
    ecn = Accurate(0)
    told = Segment(1, 2, 0, 0, ACK | flags_of(5 + least), 0)
    told.other = option(ORDER_0, 1, octets)
    assert ecn.heed(told, packets * 1460, 1460, is_newer=True) == octets
    assert ecn.s_cep == 5 + moves


def test_a_peer_that_acknowledges_by_dozens_is_not_suspected() -> None:
    """A.2.1: where every ACK covers so much, a jump of eight says nothing."""
    scene = opened()
    assert [heard(scene, 5, 9), heard(scene, 5, 12), heard(scene, 5, 9)] == [0, 0, 0]
    scene = opened()
    # Where marks are rare, a change by less might hide eight
    assert [heard(scene, 5, 2), heard(scene, 5, 9), heard(scene, 5, 9)] == [0, 8, 8]
    for _ in range(6):
        heard(scene, 5, 12)
    assert heard(scene, 5, 12) == 0


def test_no_mark_is_suspected_on_text_that_bore_none() -> None:
    scene = opened()
    accurate(scene).may_mark = False
    assert heard(scene, 5, 9) == 0


def test_a_superseded_ack_turns_nothing_back() -> None:
    """3.2.2.2 and A.1: one that acknowledges nothing new, and isn't newer."""
    scene = opened()
    scene.sends(bytes(5 * MSS))
    scene.hears(ACK | flags_of(7), ack=1 + 4 * MSS)
    ecn = accurate(scene)
    assert ecn.s_cep == 7
    scene.hears(ACK | flags_of(6), ack=1 + 2 * MSS)
    scene.hears(ACK | flags_of(6), ack=1 + 4 * MSS)
    assert (ecn.s_cep, ecn.newly_marked) == (7, 0)
    scene.hears(ACK | flags_of(0), bytes(10), ack=1 + 4 * MSS)
    scene.hears(ACK | flags_of(1), bytes(10), ack=1 + 4 * MSS)  # newer by its number
    assert ecn.s_cep == 9


def test_newer_by_its_timestamp() -> None:
    """A.1."""
    scene = opened(Peer(tsval=1), timestamps=True)
    scene.sends(bytes(5 * MSS))
    scene.hears(ACK | flags_of(6), ack=1 + MSS, tsval=2)
    scene.hears(ACK | flags_of(7), ack=1 + MSS, tsval=2)
    assert accurate(scene).s_cep == 6
    scene.hears(ACK | flags_of(7), ack=1 + MSS, tsval=3)
    assert accurate(scene).s_cep == 7


@pytest.mark.label("RFC9768-3.2.3")
@pytest.mark.parametrize(
    ("other", "ceb", "e0b", "e1b"),
    [
        (option(ORDER_0, 101, 50, 31), 50, 101, 31),
        (option(ORDER_1, 31, 50, 101), 50, 101, 31),
        (option(ORDER_0, 101, 50), 50, 101, 1),
        (option(ORDER_1, 31, 50), 50, 1, 31),
        (option(ORDER_0, 101), 0, 101, 1),
        (option(ORDER_0), 0, 1, 1),
        (((ORDER_0, b"\0\0\x65\0\0"),), 0, 101, 1),  # another length: the whole fields count
        (((ORDER_0, b"\0\0\x65\0\0\x32\0\0\x1f\xff\xff"),), 50, 101, 31),
        (((ORDER_0, b"\0"),), 0, 1, 1),
        (((99, b"\0\0\x65"), *option(ORDER_0, 101)), 0, 101, 1),
    ],
)
def test_options_of_every_length_are_read(other: Other, ceb: int, e0b: int, e1b: int) -> None:
    scene = opened()
    scene.sends(bytes(MSS))
    scene.hears(ACK | flags_of(6), other=other)
    ecn = accurate(scene)
    assert (ecn.s_ceb, ecn.s_e0b, ecn.s_e1b) == (ceb, e0b, e1b)


@pytest.mark.label("RFC9768-3.2.3.2")
def test_an_option_on_a_syn_is_ignored() -> None:
    scene = listen(CONFIG)
    scene.hears(SYN | AE | ECE | CWR, other=option(ORDER_0, 9, 9, 9))
    assert (accurate(scene).s_e0b, accurate(scene).s_ceb) == (1, 0)


@pytest.mark.label("BAD-CC-6")
@pytest.mark.parametrize("other", [option(ORDER_0, 0, 0, 1), option(ORDER_1, 0), option(ORDER_0, 1, 0, 0)])
def test_options_that_begin_with_zero_are_ignored_from_then_on(other: Other) -> None:
    """Bleached counters (3.2.3.2.4)."""
    scene = listen(CONFIG)
    scene.hears(SYN | AE | ECE | CWR)
    scene.hears(ACK | flags_of(0b010), other=other)
    scene.sends(bytes(MSS))
    scene.hears(ACK | flags_of(5), other=option(ORDER_0, 1001, 500, 1))
    assert (accurate(scene).s_ceb, accurate(scene).ignores_options) == (0, True)
    scene.sends(bytes(MSS))
    assert marks(scene) == [ECT_0]


@pytest.mark.label("BAD-CC-6")
@pytest.mark.parametrize(("octets", "may_mark"), [(MSS, False), (8 * MSS, True)])
def test_octets_marked_and_no_packet(octets: int, may_mark: bool) -> None:
    """A middlebox clears the field (3.2.3.2.5); unless it wrapped."""
    scene = opened()
    scene.sends(bytes(8 * MSS))
    scene.hears(ACK | flags_of(5), ack=scene.max, other=option(ORDER_0, 1, octets))
    assert accurate(scene).may_mark is may_mark


@pytest.mark.label("BAD-CC-6")
def test_marks_on_everything_are_no_congestion() -> None:
    """All segments come with CE. For four round trips it is answered, then ECN is given up (3.2.2.3)."""
    scene = opened()
    count = 5
    for _ in range(4):
        assert accurate(scene).may_mark
        scene.sends(bytes(2 * MSS))
        count += 2
        scene.hears(ACK | flags_of(count), ack=scene.max)
    assert (accurate(scene).may_mark, accurate(scene).is_deaf) == (False, True)
    scene.sends(bytes(MSS))
    assert NOT_ECT in marks(scene)
    window = scene.tcb.ensure_controller().window
    scene.hears(ACK | flags_of(count + 1), ack=scene.max)
    assert scene.tcb.ensure_controller().window >= window


def test_a_path_that_marks_half_of_it_is_believed() -> None:
    scene = opened()
    for count in range(6, 14):
        scene.sends(bytes(2 * MSS))
        scene.hears(ACK | flags_of(count), ack=scene.max)
        scene.passes(SECOND)
    assert accurate(scene).may_mark


@pytest.mark.label("RFC3168-6.1.2b")
def test_a_window_of_one_segment_waits_for_the_timer() -> None:
    scene = opened()
    scene.sends(bytes(MSS))
    scene.expires()
    scene.hears(ACK | flags_of(6))
    scene.sends(bytes(MSS))
    assert scene.sent == []
    assert len(scene.expires()) == 1


@pytest.mark.label("RFC3168-6.1.4", "RFC3168-6.1.5", "RFC3168-6.1.6", "RFC3168-6.1.2d")
def test_text_and_its_first_sending_alone_is_marked() -> None:
    """RFC 9768, 4 leaves these rules as they are."""
    scene = opened()
    scene.sends(bytes(MSS))
    assert marks(scene) == [ECT_0]
    scene.expires()
    assert marks(scene) == [NOT_ECT]
    scene.hears(ACK | flags_of(5), bytes(10), ecn=CE)
    assert marks(scene) == [NOT_ECT]
    scene.hears(ACK | flags_of(5), window=0)
    scene.sends(bytes(MSS))
    scene.expires()
    assert marks(scene) == [NOT_ECT]


def test_what_a_segment_says_of_its_mark() -> None:
    made = Segment(1, 2, 0, 0, ACK, 0)
    assert "ECT" not in repr(made)
    made.ecn = ECT_0
    assert "ECT(0)" in repr(made)
    assert flags_text(flags_of(5)) == "ECE,AE"
