"""The states that both ends must have been in, drawn."""

import pytest

from postel.tcp.state import State
from postel.view import ladder
from postel.view.capture.replay import Replay
from postel.view.trace import Trace
from postel.wire.segment import ACK, FIN, PSH, RST, SYN
from tests.view.capture.tape import OFFER, Tape, read

DATA = ACK | PSH


def states(trace: Trace) -> list[str]:
    """``sender → receiver`` of each packet, ``-`` where nothing tells."""
    return [f"{told(packet.sender_state)} → {told(packet.receiver_state)}" for packet in trace.packets]


def told(state: State | None) -> str:
    return "-" if state is None else str(state)


def test_from_the_handshake_to_time_wait() -> None:
    assert states(Tape().handshake().close().trace()) == [
        "SYN-SENT → SYN-RECEIVED",
        "SYN-RECEIVED → ESTABLISHED",
        "ESTABLISHED → ESTABLISHED",
        "FIN-WAIT-1 → CLOSE-WAIT",
        "CLOSE-WAIT → FIN-WAIT-2",
        "LAST-ACK → TIME-WAIT",
        "TIME-WAIT → CLOSED",
    ]


def test_figure_7() -> None:
    tape = (
        Tape()
        .left(SYN, 0, **OFFER)
        .right(SYN, 0, **OFFER)
        .left(SYN | ACK, 0, 1, **OFFER)
        .right(SYN | ACK, 0, 1, **OFFER)
    )
    assert states(tape.left(ACK, 1, 1).trace())[:4] == [
        "SYN-SENT → SYN-RECEIVED",
        "SYN-SENT → SYN-RECEIVED",
        "SYN-RECEIVED → ESTABLISHED",
        "SYN-RECEIVED → ESTABLISHED",
    ]


def test_figure_13() -> None:
    tape = Tape().handshake().left(FIN | ACK, 1, 1).right(FIN | ACK, 1, 1).left(ACK, 2, 2).right(ACK, 2, 2)
    assert states(tape.trace())[3:] == [
        "FIN-WAIT-1 → CLOSING",
        "FIN-WAIT-1 → CLOSING",
        "CLOSING → TIME-WAIT",
        "TIME-WAIT → TIME-WAIT",
    ]


def test_what_was_lost_didn_t_arrive() -> None:
    """A SYN that is sent again before its answer, and a FIN likewise."""
    tape = (
        Tape()
        .left(SYN, 0, **OFFER)
        .wait(1000)
        .left(SYN, 0, **OFFER)
        .right(SYN | ACK, 0, 1, **OFFER)
        .left(ACK, 1, 1)
    )
    tape.left(FIN | ACK, 1, 1).wait(200).left(FIN | ACK, 1, 1).right(ACK, 1, 2)
    assert states(tape.trace()) == [
        "SYN-SENT → -",
        "SYN-SENT → SYN-RECEIVED",
        "SYN-RECEIVED → ESTABLISHED",
        "ESTABLISHED → ESTABLISHED",
        "FIN-WAIT-1 → -",
        "FIN-WAIT-1 → CLOSE-WAIT",
        "CLOSE-WAIT → FIN-WAIT-2",
    ]


def test_an_ack_that_wasn_t_heard() -> None:
    tape = (
        Tape()
        .left(SYN, 0, **OFFER)
        .right(SYN | ACK, 0, 1, **OFFER)
        .left(ACK, 1, 1)
        .right(SYN | ACK, 0, 1, **OFFER)
        .left(ACK, 1, 1)
    )
    assert states(tape.trace())[2:] == [
        "ESTABLISHED → SYN-RECEIVED",
        "SYN-RECEIVED → ESTABLISHED",
        "ESTABLISHED → ESTABLISHED",
    ]


@pytest.mark.parametrize(
    ("tape", "last"),
    [
        (Tape().left(SYN, 0, **OFFER), "SYN-SENT → -"),
        (Tape().left(SYN, 0, **OFFER).right(RST | ACK, 0, 1), "CLOSED → CLOSED"),
        (Tape().handshake().left(RST | ACK, 1, 1), "CLOSED → CLOSED"),
        (Tape().handshake().left(RST, 1 << 31).right(DATA, 1, 1, b"on"), "ESTABLISHED → -"),
        (Tape().left(DATA, 1, 1, b"x"), "- → -"),
        (Tape().left(DATA, 1, 1, b"x").right(DATA, 1, 2, b"y").left(ACK, 2, 2), "ESTABLISHED → ESTABLISHED"),
    ],
)
def test_ends(tape: Tape, last: str) -> None:
    assert states(tape.trace())[-1] == last


def test_numbers_are_the_capture_s() -> None:
    """Of the second connection alone: a ladder that the findings can point into."""
    tape = Tape().handshake().close().left(SYN, 90_000, **OFFER)
    trace = tape.trace(2)
    assert [packet.number for packet in trace.packets] == [8]
    assert "#8 SYN" in ladder.render(trace)
    assert "三次握手完成" in ladder.render(tape.trace(1), language="zh")


def test_options_that_can_t_be_followed_are_left_out() -> None:
    tape = Tape().handshake()
    when, octets = tape.packets[0]
    tape.packets[0] = (when, octets[:54] + b"\x02\xff" + octets[56:])  # an MSS option of 255 octets
    assert "#1 SYN seq=0 win=1000 ─" in ladder.render(tape.trace())


def test_too_many_packets_are_counted() -> None:
    replay = Replay(most=2)
    read(Tape().handshake().pcap(), replay.look)
    assert "1 more packets were not kept" in ladder.render(replay.finish())
