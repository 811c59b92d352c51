"""Each field of a packet is compared, and only those that the script names."""

import pytest

from postel.drill.flow import REMOTE_ISN, Flow
from postel.drill.grammar import parse
from postel.drill.match import Arrived, check, flags_text, options_of, text
from postel.drill.octets import segment
from postel.drill.script import Packet
from postel.errors import ScriptFailed
from postel.wire import ip
from postel.wire.address import Endpoint
from postel.wire.segment import ACK, SYN, Segment, encode_for

LOCAL = Endpoint(bytes((10, 0, 0, 1)), 8080)
REMOTE = Endpoint(bytes((10, 0, 0, 2)), 9090)
ISS = 0x7FFF_FFFF


def expectation(line: str) -> Packet:
    found = parse("0 " + line).events[0].action
    assert isinstance(found, Packet)
    return found


def flow() -> Flow:
    found = Flow(LOCAL, REMOTE)
    found.stack_sends_syn(0, ISS)
    found.peer_sends_syn(0)
    return found


def arrived(
    data: bytes = b"", *, flags: int = ACK, sack: tuple[tuple[int, int], ...] = (), hop_limit: int = 64
) -> Arrived:
    """``> . 1:1(0) ack 1 win 1000`` on the wire."""
    sent = Segment(LOCAL.port, REMOTE.port, ISS + 1, REMOTE_ISN + 1, flags, 1000, data)
    sent.sack = tuple([(REMOTE_ISN + left, REMOTE_ISN + right) for left, right in sack])
    octets = encode_for(sent, LOCAL.address, REMOTE.address)
    return Arrived(
        ip.encode(LOCAL.address, REMOTE.address, 6, octets, hop_limit=hop_limit, traffic_class=2), 0
    )


@pytest.mark.parametrize(
    "line",
    [
        "> . 1:1(0) ack 1 win 1000",
        "> . 1:1(0) ack 1",
        "> . ...(0) ack 1 <...>",
        "> [ect0] . 1:1(0) ack 1",
        "> [ect01] . 1:1(0) ack 1",
        "> (ttl 64, tos 2) . 1:1(0) ack 1",
        "> 8080 > 9090 . 1:1(0) ack 1",
    ],
)
def test_the_same(line: str) -> None:
    check(expectation(line), arrived(), flow(), 1)


@pytest.mark.parametrize(
    ("line", "field"),
    [
        ("> F. 1:1(0) ack 1 win 1000", "flags"),
        ("> . 2:2(0) ack 1 win 1000", "seq"),
        ("> . 1:2(1) ack 1 win 1000", "length"),
        ("> . 1:1(0) ack 2 win 1000", "ack"),
        ("> . 1:1(0) ack 1 win 1001", "window"),
        ("> . 1:1(0) ack 1 urg 1", "urgent"),
        ("> . 1:1(0) ack 1 <nop,nop,nop,nop>", "options"),
        ("> (ttl 63) . 1:1(0) ack 1", "hop limit"),
        ("> (tos 0) . 1:1(0) ack 1", "traffic class"),
        ("> [ce] . 1:1(0) ack 1", "ECN"),
    ],
)
def test_another(line: str, field: str) -> None:
    with pytest.raises(ScriptFailed) as caught:
        check(expectation(line), arrived(), flow(), 7)
    assert (caught.value.field, caught.value.line) == (field, 7)


def test_options_are_compared_with_order_and_padding() -> None:
    check(expectation("> . 1:1(0) ack 1 <nop,nop,sack 5:9>"), arrived(sack=((5, 9),)), flow(), 1)
    for wrong in ("", "<sack 5:9,nop,nop>", "<nop,nop,sack 5:8>", "<sack 5:9>", "<eol,nop,sack 5:9>"):
        with pytest.raises(ScriptFailed, match="options"):
            check(expectation("> . 1:1(0) ack 1 " + wrong), arrived(sack=((5, 9),)), flow(), 1)


def test_the_order_of_accurate_counters_counts() -> None:
    made = arrived()
    made.options = options_of(b"\xac\x08\0\0\x01\0\0\x02")
    check(expectation("> . 1:1(0) ack 1 <ECN e0b 1 ceb 2>"), made, flow(), 1)
    assert text(made, flow()) == "> . 1:1(0) ack 1 win 1000 <ECN e0b 1 ceb 2>"
    for wrong in ("e1b 1 ceb 2", "e0b 1", "e0b 1 ceb 3"):
        with pytest.raises(ScriptFailed, match="options"):
            check(expectation(f"> . 1:1(0) ack 1 <ECN {wrong}>"), made, flow(), 1)


def test_text_is_zeros() -> None:
    check(expectation("> . 1:3(2) ack 1"), arrived(bytes(2)), flow(), 1)
    with pytest.raises(ScriptFailed, match="payload"):
        check(expectation("> . 1:3(2) ack 1"), arrived(b"\0a"), flow(), 1)


def test_the_ack_field_counts_without_its_flag_too() -> None:
    with pytest.raises(ScriptFailed, match="ack"):
        check(expectation("> S 1:1(0)"), arrived(flags=SYN), flow(), 1)


def test_a_packet_reads_as_a_script_has_it() -> None:
    assert text(arrived(sack=((5, 9),)), flow()) == "> . 1:1(0) ack 1 win 1000 <nop,nop,sack 5:9>"
    assert flags_text(0) == "-"


def test_what_comes_in_is_what_was_written() -> None:
    octets = segment(expectation("< S. 0:3(3) ack 1 win 77 urg 2 <sackOK,eol,nop,mss 9>"), flow(), 1)
    found = Arrived(octets, 0)
    assert (found.segment.source, found.segment.destination) == (REMOTE.port, LOCAL.port)
    assert (found.segment.seq, found.segment.ack, found.segment.window, found.segment.urgent) == (
        REMOTE_ISN,
        ISS + 1,
        77,
        2,
    )
    assert [option.name for option in found.options] == ["sackOK", "eol", "nop", "mss"]
