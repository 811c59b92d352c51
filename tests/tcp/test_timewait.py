"""TIME-WAIT and new SYNs: RFC 6191, figure 1, and MAY-2 (rules EP-TW)."""

from dataclasses import replace

import pytest

from postel.tcp import seq
from postel.tcp.isn import Generator
from postel.tcp.timewait import is_bare_syn, reopens
from postel.testing import states
from postel.testing.states import PLAIN, SYNCHRONIZED, Maker, Peer, Scene, time_wait
from postel.times import MILLISECOND
from postel.wire.segment import ABSENT, ACK, FIN, PSH, RST, SYN, URG

STAMPED = replace(PLAIN, timestamps=True)
RECENT = 5000
BEYOND, LAST = 2, 1  # RCV.NXT, and the number of the peer's FIN


def stamped() -> Scene:
    return time_wait(STAMPED, Peer(tsval=RECENT))


def bare(config: states.Config = PLAIN) -> Scene:
    return time_wait(config)


def accepts(scene: Scene, number: int, tsval: int) -> bool:
    return reopens(scene.tcb, scene.segment(SYN, seq=number, tsval=tsval))


@pytest.mark.label("EP-TW-1", "EP-SEQ-9", "BAD-TW-2", "MAY-2", "SHLD-4")
@pytest.mark.parametrize("number", [LAST, BEYOND, -9000, 9000])
@pytest.mark.parametrize("tsval", [RECENT + 1, RECENT + (1 << 31) - 1])
def test_ep_tw_1_a_newer_stamp_is_enough(number: int, tsval: int) -> None:
    assert accepts(stamped(), number, tsval)


@pytest.mark.label("EP-TW-2", "BAD-TW-2")
@pytest.mark.parametrize(
    ("number", "expected"), [(BEYOND, True), (9000, True), (LAST, False), (-9000, False)]
)
def test_ep_tw_2_with_the_same_stamp_the_number_decides(number: int, *, expected: bool) -> None:
    assert accepts(stamped(), number, RECENT) is expected


@pytest.mark.label("EP-TW-3", "EP-TW-4", "BAD-TW-2")
@pytest.mark.parametrize(
    ("number", "expected"), [(BEYOND, True), (9000, True), (LAST, False), (-9000, False)]
)
def test_ep_tw_3_without_a_stamp_too(number: int, *, expected: bool) -> None:
    assert accepts(stamped(), number, ABSENT) is expected


@pytest.mark.label("EP-TW-4", "BAD-TW-2")
@pytest.mark.parametrize("number", [LAST, BEYOND, 9000])
@pytest.mark.parametrize("tsval", [RECENT - 1, RECENT - 4000])
def test_ep_tw_4_an_older_stamp_is_never_enough(number: int, tsval: int) -> None:
    assert not accepts(stamped(), number, tsval)


@pytest.mark.label("EP-TW-5", "BAD-TW-2")
@pytest.mark.parametrize("number", [LAST, BEYOND, -9000])
def test_ep_tw_5_the_first_stamp_of_a_pair_is_new(number: int) -> None:
    scene = time_wait(STAMPED)  # the old connection had none
    assert accepts(scene, number, 1)


@pytest.mark.label("EP-TW-6", "EP-TW-7", "BAD-TW-2")
@pytest.mark.parametrize(
    ("number", "expected"), [(BEYOND, True), (9000, True), (LAST, False), (-9000, False)]
)
def test_ep_tw_6_and_7_without_any_stamps_the_number_decides(number: int, *, expected: bool) -> None:
    assert accepts(bare(), number, ABSENT) is expected
    assert accepts(bare(), number, 77) is expected  # we wouldn't answer it


@pytest.mark.label("EP-TW-8", "MAY-2", "BAD-ISN-2")
def test_ep_tw_8_the_clock_alone_puts_a_new_iss_above_a_short_connections_numbers() -> None:
    generator = Generator(b"secret")
    old = generator.iss(states.LOCAL, states.REMOTE, 0)
    scene = time_wait(iss=old)
    assert seq.gt(generator.iss(states.LOCAL, states.REMOTE, MILLISECOND), scene.tcb.snd.max)


def test_the_user_may_forbid_it() -> None:
    assert not accepts(bare(replace(PLAIN, time_wait_reuse=False)), BEYOND, ABSENT)


@pytest.mark.parametrize("flags", [SYN | ACK, SYN | RST, SYN | ACK | RST, ACK, FIN, 0])
def test_a_syn_with_ack_or_rst_never_reopens(flags: int) -> None:
    scene = bare()
    segment = scene.segment(flags, seq=9000, ack=0)
    assert not is_bare_syn(segment)
    assert not reopens(scene.tcb, segment)


@pytest.mark.parametrize("flags", [SYN, SYN | FIN, SYN | PSH, SYN | URG])
def test_other_flags_do_not_matter(flags: int) -> None:
    scene = bare()
    assert reopens(scene.tcb, scene.segment(flags, seq=9000))


@pytest.mark.parametrize("make", [maker for name, maker in SYNCHRONIZED.items() if name != "TIME-WAIT"])
def test_only_time_wait_is_reopened(make: Maker) -> None:
    scene = make()
    assert not reopens(scene.tcb, scene.segment(SYN, seq=9000))


def test_to_ask_changes_nothing() -> None:
    scene = stamped()
    before = scene.image()
    for number in (LAST, BEYOND):
        for tsval in (ABSENT, RECENT - 1, RECENT, RECENT + 1):
            accepts(scene, number, tsval)
    assert scene.image() == before
