"""A plain segment, looked at fast, shows what it shows when it is looked at closely."""

import io
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postel.view.capture import Connection, Reader, Table, report
from postel.view.capture.table import Seen
from postel.view.capture.unusual import Unusual
from postel.wire.segment import ACK, CWR, ECE, FIN, PSH, RST, SYN
from tests.view.capture.tape import FIRST, IPV6_ENDS, LEFT, OFFER, RIGHT, Tape

DATA = ACK | PSH
BEFORE = (FIRST[LEFT], FIRST[RIGHT])
EVERY = 1 << 60  # packets of a finding
NEXT = -99  # whatever comes next in order

SEGMENTS = st.lists(
    st.tuples(
        st.integers(0, 1),
        st.sampled_from([ACK, DATA] * 8 + [FIN | ACK, RST, RST | ACK, SYN, SYN | ACK, ACK | ECE]),
        st.sampled_from([NEXT] * 9 + [-1, 1, 2, 4, 7, 11, 14, 18, 30]),
        st.sampled_from([NEXT] * 9 + [-1, 1, 2, 4, 7, 11, 14, 18, 30]),
        st.sampled_from([0, 0, 1, 7, 7, 40]),
        st.sampled_from([900] * 9 + [0, 3, 30]),
        st.sampled_from(
            ["as offered"] * 6 + ["stamps"] + ["old stamps", "sack", "stamps and sack", "none", "mss"]
        ),
        st.sampled_from([0] * 9 + [2, 3]),
        st.sampled_from([0] * 9 + [3, 350]),
    ),
    max_size=40,
)
Segments = list[tuple[int, int, int, int, int, int, str, int, int]]


def opening(tape: Tape, offer: dict[str, object], asks: int) -> Tape:
    """A handshake; ``asks`` are the flags of ECN."""
    tape.left(SYN | asks, 0, **offer).right(SYN | ACK | asks & ECE, 0, 1, **offer)
    return tape.left(ACK, 1, 1, **tape.stamps(offer))


def taped(segments: Segments, tape: Tape, offer: dict[str, object]) -> Tape:
    """The segments behind a handshake with these options."""
    opening(tape, offer, asks=ECE | CWR if "tsval" in offer else 0)
    stamps = tape.stamps(offer)
    tape.wait(3).left(DATA, 1, 1, b"ask", **stamps).right(ACK, 1, 4, **stamps)
    tape.right(DATA, 1, 4, b"say", **stamps).left(ACK, 4, 4, **stamps)
    following = [4, 4]
    offered = "stamps" if stamps else "none"
    for place, (side, flags, number, ack, length, window, chosen, mark, wait) in enumerate(segments):
        seq = following[side] if number == NEXT else number
        following[side] = max(following[side], seq + length + (flags & FIN != 0))
        fields: dict[str, object] = {"window": window, "ecn": mark}
        options = offered if chosen == "as offered" else chosen
        if "stamps" in options:
            fields |= {"tsval": 0 if options == "old stamps" else place + 1, "tsecr": 1}
        acknowledged = following[1 - side] if ack == NEXT else ack
        if "sack" in options:
            left = (BEFORE[1 - side] + acknowledged + 3 - place % 9) & 0xFFFFFFFF
            fields["sack"] = ((left, (left + 4) & 0xFFFFFFFF),) * (1 + place % 2)
        if options == "mss":
            fields["mss"] = 1000
        tape.wait(wait)
        (tape.right if side else tape.left)(flags, seq, acknowledged, bytes(length), **fields)
    return tape


def told(octets: bytes, *, briefly: bool, snap: int = 1 << 16) -> tuple[list[object], int]:
    """All that is told of each connection, and how many segments were looked at closely."""
    unusual, found = Unusual(EVERY), list[tuple[int, object]]()
    closely = 0

    def over(connection: Connection) -> None:
        ends = [(end.missing, end.ip_octets, end.duplicates, end.next, end.ack) for end in connection.ends]
        found.append((connection.number, (report.record(connection, unusual.of(connection), "en"), ends)))

    def look(seen: Seen) -> None:
        nonlocal closely
        closely += 1
        unusual.look(seen)

    table = Table(over, closer=look, brief=unusual.look_briefly if briefly else None)
    for chunk, frames in Reader(io.BytesIO(octets)).chunks():
        cut = [(when, at, min(size, snap), whole, link) for when, at, size, whole, link in frames]
        table.take(chunk, cut)
    table.finish()
    return sorted(found, key=lambda one: one[0]), closely


def assert_both_tell_the_same(octets: bytes, snap: int = 1 << 16) -> int:
    """How many segments fewer are looked at closely."""
    long, all_of_them = told(octets, briefly=False, snap=snap)
    short, closely = told(octets, briefly=True, snap=snap)
    assert short == long
    return all_of_them - closely


@given(
    SEGMENTS,
    st.booleans(),
    st.sampled_from([OFFER, OFFER | {"mss": 20}, {"mss": 1460}, {"mss": 9, "window_scale": 0}]),
    st.sampled_from([1 << 16, 1 << 16, 100, 90, 74, 66, 54]),
)
@settings(deadline=None)
def test_any_segments_show_the_same(
    segments: Segments, over_ipv6: bool, offer: dict[str, object], snap: int
) -> None:
    tape = taped(segments, Tape(*IPV6_ENDS) if over_ipv6 else Tape(), offer)
    assert_both_tell_the_same(tape.pcap(), snap)


def transfer(seed: int, *, has_stamps: bool, mark: int) -> Tape:
    """A thousand segments of text, some of them lost, each other one acknowledged."""
    chance = random.Random(seed)
    offer: dict[str, object] = OFFER if has_stamps else {"mss": 1460, "sack_permitted": True}
    tape = opening(Tape(), offer, ECE | CWR if mark else 0)
    stamps: dict[str, object] = {"tsval": 1, "tsecr": 1} if has_stamps else {}
    tape.left(DATA, 1, 1, b"ask", ecn=mark, **stamps)
    lost: list[int] = []
    for place in range(1000):
        seq = 1 + 100 * place
        if has_stamps:
            stamps = {"tsval": place + 1, "tsecr": place}
        if chance.random() < 0.03:
            lost.append(seq)
            continue
        tape.right(DATA, seq, 4, bytes(100), ecn=mark, **stamps)
        if lost:
            block = ((FIRST[RIGHT] + lost[-1] + 100, FIRST[RIGHT] + seq + 100),)
            tape.left(ACK, 4, lost[0], sack=block if seq > lost[-1] else (), **stamps)
        elif place % 2:
            tape.left(ACK, 4, seq + 100, **stamps)
        if len(lost) > 1 or (lost and chance.random() < 0.2):
            tape.wait(chance.choice((3, 30)))
            for again in lost:
                tape.right(DATA, again, 4, bytes(100), **stamps)
            lost.clear()
            tape.left(ACK, 4, seq + 100, **stamps)
    return tape


@pytest.mark.parametrize("snap", [1 << 16, 96])
@pytest.mark.parametrize("mark", [0, 2])
@pytest.mark.parametrize("has_stamps", [True, False])
def test_a_transfer_with_losses_is_mostly_plain(has_stamps: bool, mark: int, snap: int) -> None:
    tape = transfer(3, has_stamps=has_stamps, mark=mark)
    assert assert_both_tell_the_same(tape.pcap(), snap) > 0.85 * len(tape.packets)


def test_a_half_closed_connection_is_mostly_plain() -> None:
    """It sends on for long after the other end's FIN."""
    tape = Tape().handshake().left(DATA, 1, 1, b"ask", tsval=1, tsecr=1)
    tape.left(FIN | ACK, 4, 1, tsval=1, tsecr=1).right(ACK, 1, 5, tsval=1, tsecr=1)
    for place in range(100):
        tape.right(DATA, 1 + 5 * place, 5, b"hello", tsval=1, tsecr=1)
        tape.left(ACK, 5, 6 + 5 * place, tsval=1, tsecr=1)
    assert assert_both_tell_the_same(tape.pcap()) > 180
    assert tape.findings()["half-closed"].count == 100


def test_a_reset_connection_is_not_plain() -> None:
    tape = Tape().handshake().left(DATA, 1, 1, b"x", tsval=1, tsecr=1).right(ACK, 1, 2, tsval=1, tsecr=1)
    tape.right(RST | ACK, 1, 2).left(DATA, 2, 1, b"y", tsval=1, tsecr=1).right(RST, 1)
    before_the_reset = 3  # the ACK of the handshake, the data, and its ACK
    assert assert_both_tell_the_same(tape.pcap()) == before_the_reset
