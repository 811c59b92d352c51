"""Choices that RFC 9293 leaves open or that an older RFC made otherwise: what another stack does, ours can do
on request.
"""

from dataclasses import replace

import pytest

from postel.errors import ConnectionReset
from postel.tcp.config import DEFAULT
from postel.tcp.connection import Connection
from postel.tcp.invariants import check
from postel.tcp.state import CLOSED, CLOSING, ESTABLISHED, State
from postel.wire.address import Endpoint
from postel.wire.options import ALIGNED, PACKED, OptionLayout, encode
from postel.wire.segment import ACK, FIN, RST, SYN, Segment

LOCAL = Endpoint(bytes((10, 0, 0, 1)), 80)
REMOTE = Endpoint(bytes((10, 0, 0, 2)), 1024)
PEER = 5000


def established(**choices: object) -> Connection:
    """Opened actively, to a peer with an MSS of 1460 and no other option; our numbers begin at 0."""
    connection = Connection(LOCAL, REMOTE, replace(DEFAULT, timestamps=False, **choices))
    connection.open_active(0)
    assert connection.next_segment(0)
    answer = Segment(REMOTE.port, LOCAL.port, PEER, 1, SYN | ACK, 30000)
    answer.mss = 1460
    connection.segment_arrives(answer, 0)
    assert connection.state is ESTABLISHED
    assert connection.next_segment(0)
    return connection


def arrives(connection: Connection, ahead: int, flags: int, data: bytes = b"") -> Segment | None:
    """``ahead`` of the first number after the peer's SYN."""
    connection.segment_arrives(
        Segment(REMOTE.port, LOCAL.port, PEER + 1 + ahead, 1, flags, 30000, data), 1000
    )
    check(connection._tcb)
    return connection.next_segment(1000)


@pytest.mark.parametrize(("repeats", "flags", "number"), [(False, ACK, 2), (True, FIN | ACK, 1)])
def test_a_crossing_fin_is_acknowledged_alone_or_with_ours_again(
    repeats: bool, flags: int, number: int
) -> None:
    connection = established(repeat_fin=repeats)
    connection.close(0)
    assert connection.next_segment(0)
    answer = arrives(connection, 0, FIN | ACK)
    assert answer is not None
    assert (connection.state, answer.flags, answer.seq, answer.ack) == (CLOSING, flags, number, PEER + 2)
    assert connection.next_segment(1000) is None


@pytest.mark.parametrize(("exact", "state"), [(True, ESTABLISHED), (False, CLOSED)])
def test_a_reset_counts_at_its_place_or_anywhere_in_the_window(exact: bool, state: State) -> None:
    connection = established(exact_reset=exact)
    arrives(connection, 1, RST)
    assert connection.state is state


def test_a_syn_in_the_window_is_challenged_or_resets() -> None:
    answer = arrives(established(), 0, SYN)
    assert answer is not None
    assert answer.flags == ACK
    connection = established(challenge_syn=False)
    answer = arrives(connection, 0, SYN)
    assert answer is not None
    assert answer.flags & RST
    assert isinstance(connection.error, ConnectionReset)


def test_a_buffer_of_whole_segments() -> None:
    assert established(receive_buffer=65536)._tcb.rcv.limit == 65536
    assert established(receive_buffer=65536, whole_segments=True)._tcb.rcv.limit == 45 * 1460


def test_a_window_of_the_whole_buffer() -> None:
    connection = established(receive_buffer=65700, whole_buffer=True)
    assert connection._tcb.rcv.wnd == 65700
    arrives(connection, 0, ACK, bytes(799))
    answer = arrives(connection, 799, ACK, bytes(1))
    assert answer is not None
    assert answer.window == 64900
    connection.receive(800, 1000)
    answer = arrives(connection, 800, FIN | ACK)
    assert answer is not None
    assert answer.window == 65535


@pytest.mark.parametrize(("scale_for", "shift"), [(0, 0), (2 << 20, 6), (1 << 30, 14)])
def test_a_scale_for_what_the_buffer_may_become(scale_for: int, shift: int) -> None:
    connection = Connection(LOCAL, REMOTE, replace(DEFAULT, receive_buffer=65535, scale_for=scale_for))
    connection.open_active(0)
    syn = connection.next_segment(0)
    assert syn is not None
    assert syn.window_scale == shift


@pytest.mark.parametrize(
    ("layout", "timestamps", "scale", "octets"),
    [
        (ALIGNED, True, True, "020405b4 0402 080a0000000100000000 01030306"),
        (PACKED, True, True, "020405b4 01030306 0402 080a0000000100000000"),
        (ALIGNED, False, False, "020405b4 0101 0402"),
        (PACKED, False, False, "020405b4 0402 0000"),
        (PACKED, False, True, "020405b4 01030306 0402 0000"),
    ],
)
def test_the_layout_of_a_syns_options(
    layout: OptionLayout, timestamps: bool, scale: bool, octets: str
) -> None:
    syn = Segment(1, 2, 0, 0, SYN, 0)
    syn.mss, syn.sack_permitted = 1460, True
    if timestamps:
        syn.tsval, syn.tsecr = 1, 0
    if scale:
        syn.window_scale = 6
    assert encode(syn, layout) == bytes.fromhex(octets)


@pytest.mark.label("RFC2883-4.2")
def test_rfc2883_4_2_the_first_of_several_duplicates_is_told() -> None:
    """A segment over text left of RCV.NXT and over text that is held."""
    connection = established()
    connection._tcb.sack_agreed = True
    arrives(connection, 0, ACK, bytes(100))
    arrives(connection, 200, ACK, bytes(100))
    answer = arrives(connection, 0, ACK, bytes(400))
    assert answer is not None
    assert answer.sack == ((PEER + 1, PEER + 101),)


def test_the_largest_mss_bounds_what_is_told_and_what_is_sent() -> None:
    connection = Connection(LOCAL, REMOTE, replace(DEFAULT, largest_mss=700))
    connection.open_active(0)
    syn = connection.next_segment(0)
    assert syn is not None
    assert syn.mss == 700
    connection = established(largest_mss=700)
    connection.send(bytes(1000), 0)
    text = connection.next_segment(0)
    assert text is not None
    assert len(text.data) == 700
