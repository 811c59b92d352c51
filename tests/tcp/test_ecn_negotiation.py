"""What SYN and SYN,ACK agree on: the tables of RFC 3168, 6.1.1 and RFC 9768, 3.1, and what falls back."""

from dataclasses import replace

import pytest

from postel.tcp import seq
from postel.tcp.config import EcnMode
from postel.tcp.ecn import CE, ECT_0, ECT_1, NOT_ECT, Ecn, ace, flags_of
from postel.tcp.ecn.accurate import ORDER_0, Accurate
from postel.tcp.ecn.classic import Classic
from postel.tcp.state import CLOSED, ESTABLISHED, LISTEN, SYN_RECEIVED
from postel.tcp.tcb import Tcb
from postel.testing.states import MSS, PLAIN, Scene, established_active, listen, syn_sent
from postel.times import SECOND
from postel.wire.segment import ACK, CWR, ECE, RST, SYN, Segment
from tests.tcp.scenes import RENO

WHOLE_OPTION = ((ORDER_0, b"\0\0\1\0\0\0\0\0\1"),)


def offering(ecn: EcnMode) -> Scene:
    return listen(replace(RENO, ecn=ecn))


def asking(ecn: EcnMode) -> Scene:
    return syn_sent(replace(RENO, ecn=ecn))


def mode(tcb: Tcb) -> type[Ecn] | None:
    return None if tcb.ecn is None else type(tcb.ecn)


def bits(scene: Scene) -> list[int]:
    return [ace(segment.flags) for segment in scene.sent]


def marks(scene: Scene) -> list[int]:
    return [segment.ecn for segment in scene.sent]


ACCEPTED = [
    # what we offer, AE CWR ECE of the SYN, its mark; AE CWR ECE of the SYN,ACK, the mode
    ("off", 0b000, NOT_ECT, 0b000, None),
    ("off", 0b011, NOT_ECT, 0b000, None),
    ("off", 0b111, CE, 0b000, None),
    ("accept-classic", 0b000, NOT_ECT, 0b000, None),
    ("accept-classic", 0b001, NOT_ECT, 0b000, None),
    ("accept-classic", 0b010, NOT_ECT, 0b000, None),
    ("accept-classic", 0b011, NOT_ECT, 0b001, Classic),
    ("accept-classic", 0b100, NOT_ECT, 0b000, None),
    ("accept-classic", 0b111, NOT_ECT, 0b001, Classic),
    ("ask-classic", 0b111, NOT_ECT, 0b001, Classic),
    ("accept", 0b000, CE, 0b000, None),
    ("accept", 0b011, CE, 0b001, Classic),
    ("accept", 0b111, NOT_ECT, 0b010, Accurate),
    ("accept", 0b111, ECT_1, 0b011, Accurate),
    ("accept", 0b111, ECT_0, 0b100, Accurate),
    ("accept", 0b111, CE, 0b110, Accurate),
    ("ask", 0b111, NOT_ECT, 0b010, Accurate),
    *[("accept", reserved, NOT_ECT, 0b010, Accurate) for reserved in (0b001, 0b010, 0b100, 0b101, 0b110)],
]


@pytest.mark.label(
    "SHLD-8", "RFC3168-6.1.1a", "RFC3168-6.1.1c", "RFC9768-3.1.1", "RFC9768-3.1.2", "RFC3168-6.1.1b"
)
@pytest.mark.parametrize(("ecn", "syn", "mark", "answer", "agreed"), ACCEPTED)
def test_what_a_responder_agrees_to(
    ecn: EcnMode, syn: int, mark: int, answer: int, agreed: type[Ecn] | None
) -> None:
    scene = offering(ecn)
    scene.hears(SYN | flags_of(syn), ecn=mark)
    assert (bits(scene), mode(scene.tcb)) == ([answer], agreed)
    assert marks(scene) == [NOT_ECT]  # RFC3168-6.1.1b


ANSWERED = [
    # what we ask, AE CWR ECE of our SYN and of the SYN,ACK, the mode
    *[("accept", 0b000, answer, None) for answer in range(8)],
    ("ask-classic", 0b011, 0b000, None),
    ("ask-classic", 0b011, 0b001, Classic),
    ("ask-classic", 0b011, 0b010, None),
    ("ask-classic", 0b011, 0b011, None),
    ("ask-classic", 0b011, 0b101, Classic),
    ("ask-classic", 0b011, 0b111, None),
    ("ask", 0b111, 0b000, None),
    ("ask", 0b111, 0b001, Classic),
    ("ask", 0b111, 0b010, Accurate),
    ("ask", 0b111, 0b011, Accurate),
    ("ask", 0b111, 0b100, Accurate),
    ("ask", 0b111, 0b101, Accurate),
    ("ask", 0b111, 0b110, Accurate),
    ("ask", 0b111, 0b111, None),
]


@pytest.mark.label(
    "RFC3168-6.1.1a", "RFC3168-6.1.1c", "RFC9768-3.1.1", "RFC9768-3.1.2", "BAD-CC-6", "RFC3168-6.1.1b"
)
@pytest.mark.parametrize(("ecn", "syn", "answer", "agreed"), ANSWERED)
def test_what_an_initiator_makes_of_the_answer(
    ecn: EcnMode, syn: int, answer: int, agreed: type[Ecn] | None
) -> None:
    """Reflected bits are no answer."""
    scene = Scene(replace(RENO, ecn=ecn))
    scene.does(scene.connection.open_active)
    assert (bits(scene), marks(scene)) == ([syn], [NOT_ECT])  # RFC3168-6.1.1b
    scene.hears(SYN | ACK | flags_of(answer))
    assert (scene.state, mode(scene.tcb)) == (ESTABLISHED, agreed)


@pytest.mark.label("RFC3168-6.1.1.1", "RFC9768-3.1.4", "BAD-CC-6")
@pytest.mark.parametrize("ecn", ["ask", "ask-classic"])
def test_a_third_syn_goes_without(ecn: EcnMode) -> None:
    """A box on the way may drop SYNs that ask."""
    scene = asking(ecn)
    asked = 0b111 if ecn == "ask" else 0b011
    numbers = set()
    told = []
    for _ in range(3):
        scene.expires()
        told += bits(scene)
        numbers |= {segment.seq for segment in scene.sent}
    assert told == [asked, 0, 0]
    assert numbers == {scene.tcb.snd.iss}
    scene.hears(SYN | ACK)
    assert mode(scene.tcb) is None


@pytest.mark.label("RFC3168-6.1.1b", "RFC9768-3.1.5")
def test_an_answer_to_the_first_syn_that_comes_after_the_last_without() -> None:
    """We sent a SYN that didn't ask, so nothing of ours is marked; there only a server minds."""
    for ecn, answer, may_mark in (("ask-classic", 0b001, False), ("ask", 0b010, True)):
        scene = asking(ecn)
        scene.expires()
        scene.expires()
        scene.hears(SYN | ACK | flags_of(answer))
        scene.sends(bytes(10))
        assert marks(scene) == [ECT_0 if may_mark else NOT_ECT]


@pytest.mark.label("RFC9768-3.1.2s")
@pytest.mark.parametrize(
    ("ecn", "syn", "answer", "agreed"),
    [
        ("ask", 0b111, 0b010, Accurate),
        ("ask", 0b011, 0b001, Classic),
        ("ask", 0b000, 0b000, None),
        ("ask-classic", 0b011, 0b001, Classic),
        ("ask-classic", 0b111, 0b001, Classic),
        ("accept", 0b111, 0b000, None),  # our SYN has told the peer that we don't
    ],
)
def test_both_open_at_once(ecn: EcnMode, syn: int, answer: int, agreed: type[Ecn] | None) -> None:
    scene = asking(ecn)
    scene.hears(SYN | flags_of(syn))
    assert (scene.state, bits(scene), mode(scene.tcb)) == (SYN_RECEIVED, [answer], agreed)
    scene.hears(SYN | ACK | flags_of(0b001), seq=0)  # the mode is fixed
    scene.sends(bytes(10))
    assert (mode(scene.tcb), marks(scene)) == (agreed, [ECT_0 if agreed else NOT_ECT])


@pytest.mark.label("RFC9768-3.1.5", "RFC3168-6.1.1b")
def test_a_crossing_syn_after_ours_went_without() -> None:
    """The mode is the responder's, and nothing is marked."""
    scene = asking("ask")
    scene.expires()
    scene.expires()
    scene.hears(SYN | flags_of(0b111), seq=0)
    assert bits(scene) == [0b010]
    scene.hears(ACK | flags_of(0b010), seq=1)
    scene.sends(bytes(10))
    assert marks(scene) == [NOT_ECT]


def test_a_crossing_syn_ack_says_how_it_arrived() -> None:
    scene = asking("ask")
    scene.hears(SYN | flags_of(0b111), ecn=ECT_0)
    assert bits(scene) == [0b100]
    scene.hears(SYN | ACK | flags_of(0b010), seq=0, ecn=CE)
    assert isinstance(scene.tcb.ecn, Accurate)
    assert scene.tcb.ecn.r_cep == 6
    scene.sends(bytes(10))
    scene.hears(ACK | flags_of(5), bytes(10))
    scene.passes(SECOND // 2)
    assert bits(scene) == [6]  # the other end has left SYN-RECEIVED, and takes any ACK of ours for a counter


def test_a_syn_ack_to_a_server_is_none_of_its_business() -> None:
    scene = offering("accept")
    scene.hears(SYN | flags_of(0b111))
    scene.hears(SYN | ACK | flags_of(0b010), seq=0, ecn=CE)
    assert isinstance(scene.tcb.ecn, Accurate)
    assert scene.tcb.ecn.r_cep == 5


def test_a_late_syn_ack_that_gets_no_answer_changes_none() -> None:
    """Its ACK is throttled: the next one, for text, is a counter."""
    scene = asking("ask")
    scene.hears(SYN | ACK | flags_of(0b010))
    scene.hears(SYN | ACK | flags_of(0b010), seq=0)
    assert bits(scene) == [0b010]
    assert scene.hears(SYN | ACK | flags_of(0b010), seq=0) == []
    scene.hears(ACK | flags_of(5), bytes(10))
    scene.hears(ACK | flags_of(5), bytes(10))
    assert bits(scene) == [5]


# SYN,ACKs that go again


@pytest.mark.label("RFC9768-3.2.3.2", "RFC9768-3.1.4", "RFC9768-3.1.5")
def test_a_syn_ack_again_has_no_option_and_then_no_flags() -> None:
    """Having sent one without, a server marks nothing."""
    scene = offering("accept")
    scene.hears(SYN | flags_of(0b111))
    assert [segment.other for segment in scene.sent] == [WHOLE_OPTION]
    scene.expires()
    assert (bits(scene), [segment.other for segment in scene.sent]) == ([0b010], [()])
    scene.expires()
    assert bits(scene) == [0b000]
    scene.hears(ACK | flags_of(0b010))
    assert mode(scene.tcb) is Accurate
    scene.sends(bytes(10))
    assert marks(scene) == [NOT_ECT]


@pytest.mark.label("RFC3168-6.1.1b")
def test_a_classic_syn_ack_too_goes_without_the_third_time() -> None:
    scene = offering("accept")
    scene.hears(SYN | ECE | CWR)
    assert [flags for _ in range(2) for flags in (scene.expires(), bits(scene))[1]] == [0b001, 0b000]
    scene.hears(ACK)
    scene.sends(bytes(10))
    assert marks(scene) == [NOT_ECT]


@pytest.mark.label("RFC9768-3.1.5", "RFC9768-3.2")
def test_the_latest_syn_is_fed_back() -> None:
    scene = offering("accept")
    scene.hears(SYN | flags_of(0b111), ecn=ECT_1)
    scene.hears(SYN | flags_of(0b111), seq=0, ecn=CE)
    assert (bits(scene), scene.sent[0].other) == ([0b110], ())
    assert isinstance(scene.tcb.ecn, Accurate)
    assert scene.tcb.ecn.r_cep == 5  # RFC9768-3.2: CE on a SYN isn't counted


@pytest.mark.label("RFC9768-3.1.5", "RFC3168-6.1.1b")
@pytest.mark.parametrize(("first", "mode_", "answer"), [(0b111, Accurate, 0b010), (0b011, Classic, 0b000)])
def test_a_syn_without_after_one_with(first: int, mode_: type[Ecn], answer: int) -> None:
    """The mode stays, and nothing is marked, as in the example of RFC 3168, 6.1.1.1."""
    scene = offering("accept")
    scene.hears(SYN | flags_of(first))
    scene.hears(SYN, seq=0)
    assert (bits(scene), mode(scene.tcb)) == ([answer], mode_)
    scene.hears(ACK | flags_of(0b010 if mode_ is Accurate else 0))
    scene.sends(bytes(10))
    assert marks(scene) == [NOT_ECT]


@pytest.mark.label("RFC9768-3.1.5")
def test_a_syn_with_after_one_without() -> None:
    """There is no way back into a mode."""
    scene = offering("accept")
    scene.hears(SYN)
    scene.hears(SYN | flags_of(0b111), seq=0)
    assert (bits(scene), mode(scene.tcb)) == ([0], None)


@pytest.mark.label("RFC9768-3.1.5")
@pytest.mark.parametrize(("first", "second"), [(0b111, 0b011), (0b011, 0b111), (0b011, 0b100)])
def test_a_handshake_that_mixes_both_ways_is_reset(first: int, second: int) -> None:
    scene = offering("accept")
    scene.hears(SYN | flags_of(first))
    assert scene.hears(SYN | flags_of(second), seq=0) == ["RST,ACK seq=0 ack=1"]
    assert scene.state is LISTEN
    assert scene.tcb.ecn is None


@pytest.mark.label("RFC9768-3.1.5")
@pytest.mark.parametrize(("first", "second"), [(0b111, 0b011), (0b011, 0b111)])
@pytest.mark.parametrize("ecn", ["accept", "ask"])
def test_it_is_reset_too_where_the_first_syn_asked_for_nothing(ecn: EcnMode, first: int, second: int) -> None:
    """There is no mode that the second could contradict, but the peer doesn't know which of its SYNs came
    first.
    """
    scene = offering(ecn)
    scene.hears(SYN)
    assert scene.hears(SYN | flags_of(first), seq=0) == ["SYN,ACK seq=0 ack=1"]
    scene.hears(SYN, seq=0)
    assert scene.hears(SYN | flags_of(second), seq=0) == ["RST,ACK seq=0 ack=1"]
    assert (scene.state, scene.tcb.opening.syn_asks) == (LISTEN, 0)
    scene.hears(SYN | flags_of(second))  # the next attempt begins anew
    assert scene.state is SYN_RECEIVED


def test_the_same_question_after_none_is_no_mixture() -> None:
    scene = offering("accept")
    scene.hears(SYN)
    for asks in (0b111, 0b111, 0b101):
        scene.hears(SYN | flags_of(asks), seq=0)
        assert scene.state is SYN_RECEIVED


@pytest.mark.label("RFC9768-3.1.5", "RFC3168-6.1.1b")
@pytest.mark.parametrize(("asks", "agreed"), [(0b111, Accurate), (0b011, Classic)])
def test_a_crossing_syn_ack_without(asks: int, agreed: type[Ecn]) -> None:
    """The mode is that of the SYN; but as a server that hears an answer without, we mark nothing."""
    scene = asking("ask")
    scene.hears(SYN | flags_of(asks))
    scene.hears(SYN | ACK, seq=0)
    scene.sends(bytes(10))
    assert (scene.state, mode(scene.tcb), marks(scene)) == (ESTABLISHED, agreed, [NOT_ECT])


@pytest.mark.label("RFC9768-3.1.5")
def test_a_crossing_handshake_that_mixes_both_ways_ends_the_connection() -> None:
    scene = asking("ask")
    scene.hears(SYN | flags_of(0b111))
    assert scene.hears(SYN | flags_of(0b011), seq=0) == ["RST,ACK seq=0 ack=1"]
    assert (scene.state, scene.events()) == (CLOSED, ["Closed"])


def test_who_knows_the_classic_way_alone_sees_no_mixture() -> None:
    scene = offering("accept-classic")
    scene.hears(SYN | flags_of(0b011))
    scene.hears(SYN | flags_of(0b111), seq=0)
    assert (bits(scene), mode(scene.tcb)) == ([0b001], Classic)


# The ACK of the SYN,ACK


@pytest.mark.label("RFC9768-3.2.2", "RFC9768-3.2.3.2")
@pytest.mark.parametrize(
    ("mark", "told", "counter"), [(NOT_ECT, 0b010, 5), (ECT_1, 0b011, 5), (ECT_0, 0b100, 5), (CE, 0b110, 6)]
)
def test_the_ack_of_a_syn_ack_says_how_that_arrived(mark: int, told: int, counter: int) -> None:
    """Table 3; it carries an option."""
    scene = asking("ask")
    scene.hears(SYN | ACK | flags_of(0b010), ecn=mark)
    assert bits(scene) == [told]
    assert [segment.other for segment in scene.sent] == [WHOLE_OPTION]
    scene.hears(ACK | flags_of(5), bytes(10))
    scene.passes(SECOND)
    assert bits(scene) == [counter & 7]
    scene.hears(SYN | ACK | flags_of(0b010), seq=0, ecn=CE)  # it came again: our ACK was lost
    assert bits(scene) == [0b110]
    assert isinstance(scene.tcb.ecn, Accurate)
    assert scene.tcb.ecn.r_cep == 6  # counted once at most


@pytest.mark.label("RFC9768-3.2.2", "RFC9768-3.2.3.2")
def test_text_that_waits_for_the_handshake_goes_after_that_ack() -> None:
    """A segment with text couldn't say it. The first text has an option too."""
    scene = asking("ask")
    scene.connection.send(bytes(10), scene.now)
    assert scene.hears(SYN | ACK | flags_of(0b010)) == [
        "ACK,CWR seq=1 ack=1",
        "PSH,ACK,ECE,AE seq=1 ack=1 len=10",
    ]
    assert (bits(scene), marks(scene)) == ([0b010, 0b101], [NOT_ECT, ECT_0])
    assert [kind for segment in scene.sent for kind, _ in segment.other] == [ORDER_0, ORDER_0]


@pytest.mark.label("RFC9768-3.2.2", "BAD-CC-6")
@pytest.mark.parametrize(
    ("told", "counter", "may_mark"),
    [
        (0b001, 5, True),
        (0b010, 5, True),
        (0b011, 5, False),
        (0b100, 5, False),
        (0b101, 5, True),
        (0b110, 6, False),
        (0b111, 5, True),
    ],
)
def test_what_a_server_makes_of_it(told: int, counter: int, may_mark: bool) -> None:
    """Table 4; we sent it as Not-ECT, so whoever says otherwise tells of mangling (3.2.2.3)."""
    scene = offering("accept")
    scene.hears(SYN | flags_of(0b111))
    scene.hears(ACK | flags_of(told))
    assert isinstance(scene.tcb.ecn, Accurate)
    assert (scene.tcb.ecn.s_cep, scene.tcb.ensure_controller().window) == (
        counter,
        10_000 if told != 0b110 else 8000,
    )
    scene.sends(bytes(10))
    assert marks(scene) == [ECT_0 if may_mark else NOT_ECT]


@pytest.mark.label("RFC9768-3.2.2", "BAD-CC-6")
def test_zero_there_turns_a_server_deaf_not_mute() -> None:
    """Table 4, note 1; bleached flags."""
    scene = offering("accept")
    scene.hears(SYN | flags_of(0b111))
    scene.hears(ACK)
    scene.sends(bytes(5 * MSS))
    assert marks(scene) == [NOT_ECT] * 5
    window = scene.tcb.ensure_controller().window
    scene.hears(ACK | flags_of(6), bytes(10), ecn=CE, ack=1 + MSS)
    assert scene.tcb.ensure_controller().window >= window  # no answer to marks told
    assert bits(scene)[-1] == 6  # but the peer's are told


@pytest.mark.label("RFC9768-3.2.2")
@pytest.mark.parametrize(("told", "marked"), [(5, False), (6, True)])
def test_text_that_completes_the_handshake_has_a_counter(told: int, marked: bool) -> None:
    """The handshake's encoding is a bare ACK's alone."""
    scene = offering("accept")
    scene.hears(SYN | flags_of(0b111))
    scene.hears(ACK | flags_of(told), bytes(10))
    assert isinstance(scene.tcb.ecn, Accurate)
    assert (scene.tcb.ecn.s_cep, scene.tcb.ensure_controller().window) == (told, 8000 if marked else 10_000)


@pytest.mark.parametrize(
    ("told", "may_mark", "window"), [(0b010, True, 10_000), (0b011, False, 10_000), (0b110, False, 8000)]
)
def test_what_a_client_hears_of_its_syn(told: int, may_mark: bool, window: int) -> None:
    """3.2.2.2: CE is answered, and not counted. 3.2.2.3: any mark is mangling, for there was none."""
    scene = asking("ask")
    scene.hears(SYN | ACK | flags_of(told))
    assert isinstance(scene.tcb.ecn, Accurate)
    assert (scene.tcb.ecn.s_cep, scene.tcb.ensure_controller().window) == (5, window)
    scene.sends(bytes(10))
    assert marks(scene) == [ECT_0 if may_mark else NOT_ECT]


@pytest.mark.label("RFC9768-3.2")
def test_text_on_a_syn_ack_is_counted_and_that_of_a_syn_is_not() -> None:
    scene = asking("ask")
    scene.hears(SYN | ACK | flags_of(0b010), bytes(7), ecn=ECT_0)
    assert isinstance(scene.tcb.ecn, Accurate)
    assert scene.tcb.ecn.r_e0b == 8
    scene = offering("accept")
    scene.hears(SYN | flags_of(0b111), bytes(7), ecn=ECT_0)
    assert isinstance(scene.tcb.ecn, Accurate)
    assert scene.tcb.ecn.r_e0b == 1


@pytest.mark.label("RFC9768-3.2.3.2")
def test_a_syn_ack_option_where_others_leave_no_room() -> None:
    """It is left off."""
    ecn = Accurate(0)
    syn_ack = Segment(1, 2, 0, 0, SYN | ACK, 0)
    ecn.introduce(syn_ack, 11)
    assert syn_ack.other == ()


def test_an_attempt_that_is_given_up_leaves_no_mode() -> None:
    scene = offering("accept")
    scene.hears(SYN | flags_of(0b111))
    scene.hears(RST)
    assert (scene.state, scene.tcb.ecn) == (LISTEN, None)


@pytest.mark.label("RFC9768-3.1.1d")
def test_sack_goes_with_d_sack() -> None:
    scene = syn_sent(replace(RENO, ecn="ask", sack=True))
    scene.peer.sack = True
    scene.hears(SYN | ACK | flags_of(0b010))
    scene.hears(ACK | flags_of(5), bytes(10))
    scene.hears(ACK | flags_of(5), bytes(10), seq=1)
    (ack,) = scene.sent
    assert ack.sack == ((seq.add(scene.irs, 1), seq.add(scene.irs, 11)),)


@pytest.mark.label("RFC9768-3.1.5", "RFC3168-6.1.1b")
def test_without_ecn_nothing_is_marked() -> None:
    scene = established_active(PLAIN)
    scene.hears(ACK, bytes(10), ecn=CE)
    scene.sends(bytes(10))
    assert (marks(scene), bits(scene)) == ([NOT_ECT], [0])
