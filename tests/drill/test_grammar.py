"""What scripts may say, and that what they may not is named by line and word."""

import pytest

from postel.drill.grammar import parse
from postel.drill.script import (
    ANY,
    Anchor,
    Call,
    Code,
    Command,
    Datagram,
    Either,
    Icmp,
    Name,
    Network,
    Option,
    Packet,
    When,
)
from postel.errors import ScriptError
from postel.times import MILLISECOND, SECOND
from postel.wire.segment import ACK, AE, CWR, ECE, FIN, PSH, SYN


def action(text: str) -> object:
    (event,) = parse(text).events
    return event.action


def packet(text: str) -> Packet:
    found = action("0 " + text)
    assert isinstance(found, Packet)
    return found


@pytest.mark.parametrize(
    ("text", "when"),
    [
        ("0", When(Anchor.ABSOLUTE)),
        ("+.5", When(Anchor.RELATIVE, 500 * MILLISECOND)),
        ("+ 1.000001", When(Anchor.RELATIVE, SECOND + 1)),
        ("*", When(Anchor.ANY)),
        ("+1~+2", When(Anchor.RELATIVE, SECOND, latest=2 * SECOND)),
        ("0...0.5", When(Anchor.ABSOLUTE, 0, ends=500 * MILLISECOND)),
    ],
)
def test_times(text: str, when: When) -> None:
    (event,) = parse(text + " close(3) = 0").events
    assert event.when == when


def test_a_segment() -> None:
    assert packet("> P. 1:101(100) ack 7 win 65535 urg 3 <nop,nop,sack 1:2 5:6>") == Packet(
        inbound=False,
        network=Network(),
        flags=PSH | ACK,
        seq=1,
        length=100,
        ack=7,
        window=65535,
        urgent=3,
        options=(Option(1, "nop"), Option(1, "nop"), Option(5, "sack", (1, 2, 5, 6))),
    )


def test_its_open_places() -> None:
    found = packet("> S. ...(0) <...>")
    assert (found.seq, found.ack, found.window, found.options) == (ANY, ANY, ANY, None)
    assert packet("> R. 0:0(0)!").absolute


def test_its_flags() -> None:
    assert packet("< - 0:0(0)").flags == 0
    assert packet("< F  . 0:0(0)").flags == FIN | ACK
    assert packet("< SA 0:0(0)").flags == SYN | AE
    assert packet("< SEWA 0:0(0)").flags == SYN | ECE | CWR | AE
    assert packet("> .6 1:1(0) ack 1").flags == ACK | AE | CWR  # the ACE field of RFC 9768
    assert packet("> P.1 1:2(1) ack 1").flags == PSH | ACK | ECE


def test_its_ports_and_its_ip_header() -> None:
    found = packet("< (tos 0x28, ttl 3) 80 > 1024 S 0:0(0)")
    assert (found.source_port, found.destination_port) == (80, 1024)
    assert (found.network.traffic_class, found.network.hop_limit) == (0x28, 3)
    assert packet("> [ect01] . 1:1(0) ack 1").network.ecn == "ect01"


def test_its_accurate_counters() -> None:
    found = packet("> . 1:1(0) ack 1 <ECN e0b 1 ceb 0 e1b 16777216,nop,ECN e1b 258,ECN>").options
    assert found is not None
    assert [(option.kind, option.value.hex()) for option in found if option.kind != 1] == [
        (172, "000001000000000000"),
        (174, "000102"),
        (172, ""),
    ]


def test_its_options() -> None:
    found = packet("< S 0:0(0) <mss 1460,nop,wscale 7,sackOK,TS val 5 ecr 0,FO 0a0b,EXP-FO 01,md5 valid,eol>")
    assert found.options is not None
    assert [option.kind for option in found.options] == [2, 1, 3, 4, 8, 34, 254, 19, 0]
    assert found.options[5].value == b"\x0a\x0b"
    assert found.options[6].value == b"\xf9\x89\x01"


def test_icmp_in_both_forms() -> None:
    assert action("0 < icmp unreachable frag_needed mtu 576 [1:1(0)]") == Icmp(
        Network(), "unreachable", "frag_needed", 576, 0, 1
    )
    assert action("0 < [1:1461(1460)] icmp unreachable frag_needed mtu 576") == Icmp(
        Network(), "unreachable", "frag_needed", 576, 0, 1
    )


def test_a_call() -> None:
    text = '0 f(3, ..., {a=1, b=htons(80)}, [X], A|B, "s", 0x10, {1, 2}) = -1 EAGAIN (Would (really) block)'
    found = action(text)
    assert isinstance(found, Call)
    assert (found.name, found.result, found.error) == ("f", -1, "EAGAIN")
    assert found.arguments[:2] == (3, ...)
    assert found.arguments[3:] == ([Name("X")], Either((Name("A"), Name("B"))), "s", 16, (1, 2))


def test_a_structure_whose_fields_have_counts() -> None:
    found = action("0 f({msg_name(...)=..., msg_iov(2)=[{..., 1}, {..., 2}], msg_flags=0}) = 3")
    assert isinstance(found, Call)
    assert found.arguments == (
        {
            "msg_name(count)": ...,
            "msg_name": ...,
            "msg_iov(count)": 2,
            "msg_iov": [(..., 1), (..., 2)],
            "msg_flags": 0,
        },
    )


def test_a_datagram() -> None:
    assert action("0 > (ttl 3) 53 > 54 udp (10)") == Datagram(False, Network(hop_limit=3), 10, 53, 54)
    assert action("0 < icmp unreachable port_unreachable [udp(10)]") == Icmp(
        Network(), "unreachable", "port_unreachable", datagram=10
    )


def test_commands_and_code_need_no_time() -> None:
    events = parse("`a\n   b`\n%{ assert 1 }%").events
    assert [event.action for event in events] == [Command("a b"), Code(" assert 1 ")]


def test_options_of_the_script() -> None:
    assert parse("--mtu=72 // small\n--ip_version=ipv6\n0 close(3) = 0").options == {
        "mtu": "72",
        "ip_version": "ipv6",
    }


@pytest.mark.parametrize(
    ("text", "line", "word"),
    [
        ("0 close(3) = 0\n+0 > Q 0:0(0)", 2, "0"),
        ("0 > S 0:5(0)", 1, ""),
        ("0 > S 0:0(0) <bss 1460>", 1, "1460"),
        ("0 close(3 = 0", 1, "="),
        ("0 close(3)", 1, ""),
        ("\n\n0 & 1", 3, "&"),
        ("0 > icmp unreachable", 1, "unreachable"),
        ("1 close(3) = 0", 1, ""),
        ("0 > . 1:1(0) ack x", 1, "x"),
        ("0 close(3) = 0 (never ends", 1, ""),
        ("0 > [ecn] . 1:1(0)", 1, "]"),
        ("0 > .8 1:1(0)", 1, "1"),
        ("0 > . 1:1(0) <ECN ceb 1>", 1, ">"),
        ("0 > (top 1) . 1:1(0)", 1, "1"),
        ("2~1 close(3) = 0", 1, "close"),
        ("--mtu=72\n--speed=10", 2, "--speed"),
        ("0 > udp 10", 1, "10"),
        ("0 f({msg_iov(1=2}) = 0", 1, "="),
        ("0 > . 1:1(0)/udp(1 > 2)", 1, "/"),
        ("0 < S 0:0(0) <FO xyz>", 1, ">"),
    ],
)
def test_what_is_no_script(text: str, line: int, word: str) -> None:
    with pytest.raises(ScriptError) as caught:
        parse(text)
    assert (caught.value.line, caught.value.word) == (line, word)


@pytest.mark.parametrize(
    "text",
    [
        f"0 read(3, ..., {'9' * 5000}) = 0",
        f"0 read(3, ..., 0x{'9' * 5000}) = 0",
        f"{'9' * 5000} close(3) = 0",
        f"0.{'9' * 5000} close(3) = {'- ' * 5000}",
        f"0 f({'[' * 5000}1{']' * 5000}) = 0",
        f"0 < . {'9' * 5000}:1(0) win 1",
    ],
)
def test_what_is_too_long_or_too_deep_is_an_error_of_the_script(text: str) -> None:
    with pytest.raises(ScriptError):
        parse(text)


def test_signs_before_a_number_may_repeat() -> None:
    assert action("0 close(- - -3) = 0") == action("0 close(-3) = 0")
