"""Ladders as pictures: each in a file of its own under ``ladders``, to be looked at. POSTEL_DRAW=1 draws them
anew.
"""

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from postel.errors import ArgumentError
from postel.tcp.state import (
    CLOSE_WAIT,
    CLOSED,
    ESTABLISHED,
    FIN_WAIT_1,
    FIN_WAIT_2,
    LAST_ACK,
    LISTEN,
    SYN_RECEIVED,
    SYN_SENT,
    TIME_WAIT,
)
from postel.view import Trace, ladder, trace_json
from postel.view.width import width
from postel.wire import icmp, ip, udp
from postel.wire.segment import ACK, FIN, PSH, RST, SYN
from tests.view.stage import Stage

PICTURES = Path(__file__).parent / "ladders"


def whole_life() -> Trace:
    """Handshake, a lost segment, RTO, four segments to close, 2MSL."""
    stage = Stage().handshake()
    left, right = stage.left, stage.right
    request = stage.packet(left, PSH | ACK, 1, 1, b"GET / HTTP/1.1\r\n\r\n")
    stage.departs(left, request, 30, lost="loss")
    stage.expires(left, "retransmission", 230)
    stage.crosses(left, request, 230)
    stage.crosses(right, stage.packet(right, PSH | ACK, 1, 19, b"HTTP/1.1 204 No Content\r\n\r\n"), 240)
    stage.enters(left, FIN_WAIT_1, 250)
    stage.crosses(left, stage.packet(left, FIN | ACK, 19, 28), 250, CLOSE_WAIT)
    answer = stage.departs(right, stage.packet(right, ACK, 28, 20), 260, 270)
    stage.enters(right, LAST_ACK, 261)
    fin = stage.departs(right, stage.packet(right, FIN | ACK, 28, 20), 261, 271)
    stage.arrives(answer, 270, FIN_WAIT_2, left)
    stage.arrives(fin, 271, TIME_WAIT, left)
    stage.crosses(left, stage.packet(left, ACK, 20, 29), 271, CLOSED)
    stage.expires(left, "time-wait", 240_271)
    stage.enters(left, CLOSED, 240_271)
    return stage.trace


def simultaneous_open() -> Trace:
    """Both SYNs are under way at once."""
    stage = Stage()
    stage.states[stage.right] = CLOSED
    syns = {}
    for at, end in ((0, stage.left), (4, stage.right)):
        stage.enters(end, SYN_SENT, at)
        syns[end] = stage.departs(end, stage.packet(end, SYN, 0), at, at + 10)
    answers = {}
    for at, end in ((10, stage.right), (14, stage.left)):
        stage.arrives(syns[stage.peer(end)], at, SYN_RECEIVED, end)
        answers[end] = stage.departs(end, stage.packet(end, SYN | ACK, 0, 1), at, at + 10)
    for at, end in ((20, stage.left), (24, stage.right)):
        stage.arrives(answers[stage.peer(end)], at, ESTABLISHED, end)
    return stage.trace


def test_the_cookies_of_fast_open() -> None:
    stage = Stage()
    stage.crosses(stage.left, stage.packet(stage.left, SYN, 0, other=((34, b""),)), 0, SYN_RECEIVED)
    stage.crosses(stage.right, stage.packet(stage.right, SYN | ACK, 0, 1, other=((34, b"\1\2\3\4"),)), 10)
    asks, gives = [line for line in ladder.render(stage.trace).splitlines() if "SYN" in line and "#" in line]
    assert "cookie? " in asks
    assert "cookie=01020304 " in gives


def trouble() -> Trace:
    """Reordering, a copy, damage, a datagram to a closed port, a reset, and a call that sends nothing."""
    stage = Stage().handshake()
    left, right = stage.left, stage.right
    late = stage.departs(left, stage.packet(left, ACK, 1, 1, b"a" * 100), 30, 60)
    stage.crosses(left, stage.packet(left, ACK, 101, 1, b"b" * 100), 31)
    stage.crosses(right, stage.packet(right, ACK, 1, 1, sack=((101, 201),)), 41)
    stage.arrives(late, 60)
    copied = stage.departs(right, stage.packet(right, ACK, 1, 201), 60, 70)
    stage.trace.carried("server", "client", copied, 60_000, 72_000, copied)
    stage.arrives(copied, 70)
    stage.arrives(copied, 72)
    octets = stage.packet(left, ACK, 201, 1, b"c")
    damaged = octets[:-1] + b"d"
    stage.trace.packet_sent(octets, 80_000)
    stage.trace.carried("client", "server", octets, 80_000, 90_000, damaged)
    stage.trace.packet_arrived(damaged, 90_000)
    stage.trace.packet_dropped("bad_checksum", damaged, 90_000)
    wrong = icmp.encode(icmp.unreachable(icmp.NO_PORT, ip.parse(octets)), right.address, left.address)
    stage.crosses(right, ip.encode(right.address, left.address, icmp.PROTOCOL_4, wrong), 90)
    stage.enters(left, FIN_WAIT_1, 110)
    stage.crosses(right, stage.packet(right, RST | ACK, 1, 201), 120, CLOSED)
    datagram = udp.encode_for(udp.Datagram(5353, 53, b"?"), left.address, right.address)
    stage.crosses(left, ip.encode(left.address, right.address, udp.PROTOCOL, datagram), 130)
    return stage.trace


def one_side() -> Trace:
    """Only the server's host is watched: the client's margin has a name and no states."""
    stage = Stage(Trace(names={"10.0.0.1": "kernel", "10.0.0.2": "postel"}))
    trace, left, right = stage.trace, stage.left, stage.right
    trace.packet_arrived(stage.packet(left, SYN, 0, mss=1460), 0)
    trace.state_changed(right, left, LISTEN, SYN_RECEIVED, 0)
    trace.packet_sent(stage.packet(right, SYN | ACK, 0, 1, mss=1460), 120)
    trace.packet_arrived(stage.packet(left, ACK, 1, 1), 300)
    trace.state_changed(right, left, SYN_RECEIVED, ESTABLISHED, 300)
    trace.timer_expired(right, left, "keep-alive", 7_200_000_000)
    trace.packet_sent(stage.packet(right, ACK, 0, 1), 7_200_000_050)
    return trace


DRAWINGS: dict[str, tuple[Callable[[], Trace], dict[str, object]]] = {
    "whole_life": (whole_life, {}),
    "whole_life_zh": (whole_life, {"language": "zh"}),
    "whole_life_narrow_ascii": (whole_life, {"width": 72, "ascii_only": True}),
    "whole_life_zh_narrow": (whole_life, {"width": 76, "language": "zh"}),
    "simultaneous_open": (simultaneous_open, {}),
    "trouble": (trouble, {}),
    "trouble_zh": (trouble, {"language": "zh"}),
    "one_side": (one_side, {}),
}


@pytest.mark.parametrize("name", DRAWINGS)
def test_the_picture_is_the_one_that_was_looked_at(name: str) -> None:
    scenario, options = DRAWINGS[name]
    drawn = ladder.render(scenario(), **options) + "\n"  # type: ignore[arg-type]
    picture = PICTURES / f"{name}.txt"
    if os.environ.get("POSTEL_DRAW"):
        picture.write_text(drawn, encoding="utf-8")
    assert drawn == picture.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", DRAWINGS)
def test_the_lifelines_are_straight(name: str) -> None:
    scenario, options = DRAWINGS[name]
    columns = int(options.get("width", 104))  # type: ignore[call-overload]
    left, right = 25, columns - 14
    for line in ladder.render(scenario(), **options).splitlines():  # type: ignore[arg-type]
        assert width(line) <= columns
        if "10.0.0.1" not in line and line:
            assert _at(line, left) in "│├┆|:", line
            assert _at(line, right) in "│┤┆|:", line


def _at(line: str, column: int) -> str:
    """The character in that column."""
    for index in range(len(line)):
        if width(line[:index]) == column:
            return line[index]
    return ""


def test_colours_change_nothing_else() -> None:
    coloured = ladder.render(trouble(), colour=True)
    assert "\033[31m" in coloured
    plain = re.sub(r"\033\[[0-9;]*m", "", coloured)
    assert [line.rstrip() for line in plain.splitlines()] == ladder.render(trouble()).splitlines()


def test_notes_may_be_left_out() -> None:
    assert "retransmission of" not in ladder.render(whole_life(), with_notes=False)
    assert len(ladder.render(whole_life(), with_notes=False).splitlines()) == 18


def test_one_connection_of_several() -> None:
    trace = trouble()
    assert ladder.render(trace, connection=2).count("\n") == 2
    with pytest.raises(ArgumentError, match="connection is 3; allowed: 1 to 2"):
        ladder.render(trace, connection=3)


def test_marks_are_shown() -> None:
    stage = Stage().handshake()
    for number, mark in enumerate((2, 3, 1, 0)):
        octets = stage.packet(stage.left, PSH | ACK, 1 + number, 1, b"x")
        packet = ip.parse(octets)
        marked = ip.encode(packet.source, packet.destination, 6, packet.payload, traffic_class=mark)
        stage.crosses(stage.left, marked, 30 + 20 * number)
    lines = [line for line in ladder.render(stage.trace).splitlines() if "PSH" in line]
    assert ["ECT(0)" in line for line in lines] == [True, False, False, False]
    assert [" CE" in line for line in lines] == [False, True, False, False]
    assert ["ECT(1)" in line for line in lines] == [False, False, True, False]
    (flow,) = trace_json.of_flows(stage.trace.flows)
    assert [packet.get("ecn") for packet in flow["packets"]] == [
        None,
        None,
        None,
        "ECT(0)",
        "CE",
        "ECT(1)",
        None,
    ]


def test_nothing_is_said_to_be_nothing() -> None:
    assert ladder.render(Trace()) == "no packets"
    assert ladder.render(Trace(), language="zh") == "没有分组"


def test_what_was_not_kept_is_told() -> None:
    stage = Stage(Trace(limit=2)).handshake()
    assert ladder.render(stage.trace).endswith("1 more packets were not kept")


def test_too_narrow_is_a_mistake() -> None:
    with pytest.raises(ArgumentError, match="width is 71; allowed: 72 columns or more"):
        ladder.render(Trace(), width=71)
    with pytest.raises(ArgumentError, match="language is 'fr'"):
        ladder.render(whole_life(), language="fr")
