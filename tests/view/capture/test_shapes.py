"""What an end's numbers begin with, which octets count, what is a retransmission, and which packets are in a
capture twice.
"""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postel.view.capture import Connection, Reader, Table
from postel.view.capture.connection import Closing
from postel.view.capture.sent import Sight
from postel.wire.segment import ACK, FIN, PSH, RST, SYN
from tests.view.capture.tape import FIRST, LEFT, OFFER, RIGHT, Tape

DATA = ACK | PSH


def row(tape: Tape) -> tuple[int, int, int, Closing]:
    connection = tape.connection()
    one, two = connection.ends
    return one.data, two.data, one.retransmissions + two.retransmissions, connection.closing


# Where an end's numbers begin


def test_refused_then_accepted() -> None:
    """A RST that refuses carries no number of the stream; the SYN,ACK that comes after all begins it."""
    tape = (
        Tape()
        .left(SYN, 0, mss=1460)
        .right(RST | ACK, 90_000, 1)
        .wait(500)
        .left(SYN, 0, mss=1460)
        .right(RST | ACK, 90_000, 1)
    )
    tape.wait(500).left(SYN, 0, mss=1460).right(SYN | ACK, 0, 1, mss=1460).left(ACK, 1, 1).right(
        DATA, 1, 1, b"hello"
    ).left(ACK, 1, 6)
    assert row(tape) == (0, 5, 2, Closing.OPEN)
    assert tape.findings().keys() == {"reset: refused", "SYN after RST"}


def test_a_challenge_ack_before_the_syn_ack() -> None:
    """RFC 9293, 3.5.1, figure 10: the ACK of an old connection answers the SYN; its numbers aren't this
    connection's.
    """
    tape = Tape().left(SYN, 0, **OFFER).right(ACK, 70_000, 90_000).left(RST, 90_000).wait(3000)
    tape.left(SYN, 0, **OFFER).right(SYN | ACK, 0, 1, **OFFER).left(ACK, 1, 1).right(
        DATA, 1, 1, b"text"
    ).left(DATA, 1, 5, b"answer").close(7, 5)
    assert row(tape) == (6, 4, 1, Closing.FOUR_WAY)
    assert tape.connection().round_trip == 2000  # without the 3 s that the first SYN took


def test_a_forged_rst_before_the_syn_ack() -> None:
    tape = (
        Tape()
        .left(SYN, 0, **OFFER)
        .right(RST | ACK, 5, 1, window=0)
        .right(SYN | ACK, 0, 1, **OFFER)
        .left(ACK, 1, 1)
    )
    tape.left(DATA, 1, 1, b"text").right(ACK, 1, 5)
    assert row(tape) == (4, 0, 0, Closing.OPEN)


def test_a_rst_that_ends_it() -> None:
    assert (
        row(Tape().handshake().left(DATA, 1, 1, b"text").right(RST | ACK, 1, 5))[3] is Closing.RESET_BY_OTHER
    )
    assert (
        row(Tape().handshake().left(RST, 1).right(DATA, 1, 1, b"was under way"))[3] is Closing.RESET_BY_OPENER
    )


# Which octets count


def test_text_that_is_partly_new() -> None:
    tape = Tape().handshake().left(DATA, 1, 1, b"abcd").wait(300).left(DATA, 3, 1, b"cdef")
    assert row(tape)[:3] == (6, 0, 1)


def test_text_over_two_holes() -> None:
    tape = (
        Tape()
        .handshake()
        .left(DATA, 5, 1, b"5")
        .left(DATA, 9, 1, b"9")
        .wait(300)
        .left(DATA, 1, 1, b"123456789")
    )
    assert row(tape)[:3] == (9, 0, 1)


def test_text_before_the_first_captured_segment() -> None:
    tape = (
        Tape()
        .left(DATA, 100, 1, b"later")
        .right(ACK, 1, 105)
        .wait(300)
        .left(DATA, 90, 1, b"x" * 10)
        .left(DATA, 50, 1, b"y" * 10)
    )
    assert row(tape)[:3] == (25, 0, 2)
    assert tape.connection().ends[0].missing == 30


def test_a_window_probe_whose_octet_had_no_room() -> None:
    tape = (
        Tape()
        .handshake()
        .right(ACK, 1, 1, window=0)
        .left(DATA, 1, 1, b"a")
        .right(ACK, 1, 1, window=0)
        .wait(100)
    )
    tape.right(ACK, 1, 1, window=1000).left(DATA, 1, 1, b"abc")
    assert row(tape)[:3] == (3, 0, 0)


def test_a_window_probe_whose_octet_was_taken() -> None:
    tape = (
        Tape()
        .handshake()
        .right(ACK, 1, 1, window=0)
        .left(DATA, 1, 1, b"a")
        .right(ACK, 1, 2, window=1000)
        .left(DATA, 2, 1, b"bc")
    )
    assert row(tape)[:3] == (3, 0, 0)


def test_acknowledged_before_it_was_captured() -> None:
    """With offload a device hands the segment to the capture later than its ACK."""
    tape = Tape().handshake().left(DATA, 1, 1, b"a").right(ACK, 1, 5).left(DATA, 2, 1, b"bcd")
    assert row(tape)[:3] == (4, 0, 0)
    assert tape.connection().ends[0].missing == 0


def test_text_that_the_capture_lacks() -> None:
    tape = Tape().handshake().left(DATA, 1, 1, b"abcd").left(DATA, 105, 1, b"x").right(ACK, 1, 206)
    assert tape.connection().ends[0].missing == 200


TEXTS = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 20), st.integers(0, 5000)), max_size=30)


@given(TEXTS, st.booleans())
def test_each_octet_counts_once(texts: list[tuple[int, int, int]], has_syn: bool) -> None:
    """The same as a set of numbers has, whatever is sent again, ahead, or in parts; the window is never
    zero.
    """
    one, two = Connection(1, LEFT, RIGHT, 0, flipped=False).ends
    two.window = 1000
    number = FIRST[LEFT]
    now, captured = 0, set[int]()
    if has_syn:
        one.see(number, SYN, 0, two, 3000, now)
    for start, length, later in texts:
        now += later
        sight = one.see(number + 1 + start & 0xFFFFFFFF, ACK, length, two, 3000, now)
        if sight is not Sight.KEEP_ALIVE:
            captured.update(range(start, start + length))
    assert one.data == len(captured)


# What is in the capture twice


def twice(tape: Tape, *, apart: int = 0) -> Tape:
    """As a mirror port of both directions has it."""
    tape.packets = [(when + late, octets) for when, octets in tape.packets for late in (0, apart)]
    return tape


def identified(tape: Tape) -> Tape:
    """With an identification of its own for each packet, as systems fill it in."""
    tape.packets = [
        (when, octets[:18] + (number + 7).to_bytes(2, "big") + octets[20:])
        for number, (when, octets) in enumerate(tape.packets)
    ]
    return tape


def talk() -> Tape:
    tape = Tape().handshake().left(DATA, 1, 1, b"ask").right(DATA, 1, 4, b"answer").left(ACK, 4, 7)
    return tape.left(DATA, 4, 7, b"more").right(ACK, 7, 8).close(8, 7)


@pytest.mark.parametrize("apart", [0, 900])
def test_copies_are_left_out_of_the_reckoning(apart: int) -> None:
    tape = twice(identified(talk()), apart=apart)
    connection = tape.connection()
    assert row(tape) == row(talk())
    assert connection.copies == len(talk().packets)
    assert sum(end.packets for end in connection.ends) == len(tape.packets)


def test_a_retransmission_with_an_identification_of_its_own_is_none() -> None:
    tape = identified(Tape().handshake().left(DATA, 1, 1, b"text").left(DATA, 1, 1, b"text"))
    assert row(tape)[2] == 1
    assert tape.connection().copies == 0


def test_an_end_with_a_constant_identification() -> None:
    tape = (
        Tape()
        .handshake()
        .left(DATA, 1, 1, b"abc")
        .right(ACK, 1, 4)
        .left(DATA, 1, 1, b"abc")
        .left(DATA, 1, 1, b"abc")
    )
    tape.packets = [(when, octets[:18] + b"\x12\x34" + octets[20:]) for when, octets in tape.packets]
    assert (row(tape)[2], tape.connection().copies) == (2, 0)


# The size of reads makes no difference


class Trickle(io.BytesIO):
    """A file that gives ``size`` octets at a time."""

    size = 1

    def read1(self, size: int | None = -1, /) -> bytes:
        return super().read1(self.size)


def told(octets: bytes, size: int) -> list[tuple[object, ...]]:
    found: list[Connection] = []
    file = Trickle(octets)
    file.size = size
    reader, table = Reader(file), Table(found.append)
    for chunk, frames in reader.chunks():
        table.take(chunk, frames)
    table.finish()
    return sorted(facts(connection) for connection in found)


def facts(connection: Connection) -> tuple[object, ...]:
    ends = [(end.data, end.packets, end.retransmissions, end.missing) for end in connection.ends]
    return (
        connection.number,
        connection.began,
        *ends,
        connection.closing.value,
        connection.zeek.state,
        connection.zeek.history,
    )


SEGMENTS = st.lists(
    st.tuples(
        st.booleans(),
        st.sampled_from([ACK, DATA, DATA, SYN, SYN | ACK, FIN | ACK, RST, RST | ACK]),
        st.integers(0, 20),
        st.integers(0, 20),
        st.integers(0, 8),
        st.sampled_from([0, 0, 0, 1, 100, 5000, 250_000]),
    ),
    max_size=40,
)


@given(SEGMENTS, st.sampled_from([1, 7, 60, 500, 100_000]))
def test_chunks_of_any_size_tell_the_same(
    segments: list[tuple[bool, int, int, int, int, int]], size: int
) -> None:
    tape = Tape()
    for is_left, flags, seq, ack, length, pause in segments:
        send = tape.left if is_left else tape.right
        send(flags, seq, ack, b"x" * length)
        tape.wait(pause)
    octets = tape.pcap()
    assert told(octets, size) == told(octets, 1 << 20)


def test_a_connection_that_lives_on_after_a_rst_is_kept() -> None:
    """A forged RST; four minutes later it still is the same connection, however the file is read."""
    tape = (
        Tape()
        .handshake()
        .left(DATA, 1, 1, b"a")
        .right(RST, 60_000)
        .right(ACK, 1, 2)
        .left(DATA, 2, 1, b"b")
        .right(ACK, 1, 3)
    )
    for number in range(6):
        tape.wait(100_000).left(DATA, 3 + number, 1, b"c").right(ACK, 1, 4 + number)
    for size in (50, 1 << 20):
        (only,) = told(tape.pcap(), size)
        assert only[2] == (8, 10, 0, 0)
