"""The report of a failed script names the rule that was at work, by what arrived and in which state."""

import re

import pytest

from postel.drill import Profile, parse, run
from postel.drill.rules import FIELDS, OPTIONS, RULES, Cause, name
from postel.errors import ScriptFailed
from postel.tcp.state import ESTABLISHED, State

OPENED = """0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0 fcntl(3, F_SETFL, O_RDWR | O_NONBLOCK) = 0
+0 connect(3, ..., ...) = -1 EINPROGRESS
+0 > S 0:0(0) <...>
"""
ESTABLISHED_BY_US = (
    OPENED + "+.01 < S. 0:0(0) ack 1 win 32767 <mss 1000,nop,nop,sackOK>\n+0 > . 1:1(0) ack 1\n"
)
LISTENING = "0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3\n+0 bind(3, ..., ...) = 0\n+0 listen(3, 1) = 0\n"
CLOSING = (
    ESTABLISHED_BY_US
    + "+0 close(3) = 0\n+0 > F. 1:1(0) ack 1\n+.01 < F. 1:1(0) ack 1 win 9\n+0 > . 2:2(0) ack 2\n"
)


def rule_of(text: str) -> str:
    found = run(parse(text), Profile.named("rfc"))
    assert found.result == "failed", found
    return found.rule


@pytest.mark.parametrize(
    ("lines", "rule"),
    [
        ("0 < . 1:1(0) ack 1 win 9\n+0 > F 1:1(0)", "EP-CLO-2, EP-CLO-3, RFC 9293, 3.10.7.1"),
        (
            LISTENING + "+0 < . 1:1(0) ack 1 win 9\n+0 > . 1:1(0) ack 1",
            "EP-LIS-2, RFC 9293, 3.10.7.2, second check",
        ),
        (
            LISTENING + "+0 < S 0:0(0) win 9\n+0 > R. 0:0(0) ack 1",
            "EP-LIS-3, EP-LIS-4, EP-LIS-5, RFC 9293, 3.10.7.2, third check",
        ),
        (
            LISTENING
            + "+0 < S 0:0(0) win 9\n+0 > S. 0:0(0) ack 1 <...>\n+0 < R 1:1(0) win 0\n+0 > . 1:1(0) ack 1",
            "EP-RST-1, EP-RST-2, EP-RST-3, EP-RST-4, RFC 9293, 3.10.7.4, second check",
        ),
        (
            OPENED + "+0 < . 7:7(0) ack 9 win 9\n+0 > . 9:9(0) ack 7",
            "EP-SS-1, EP-SS-7, RFC 9293, 3.10.7.3, first check",
        ),
        (
            OPENED + "+0 < S. 0:0(0) ack 1 win 9\n+0 > R 1:1(0)",
            "EP-SS-1, EP-SS-2, EP-SS-5, RFC 9293, 3.10.7.3, first and fourth check",
        ),
        (
            CLOSING + "+1 < R 2:2(0) win 9\n+0 > . 2:2(0) ack 2",
            "EP-RST-1, EP-RST-2, EP-RST-6, RFC 9293, 3.10.7.4, second check",
        ),
        (
            ESTABLISHED_BY_US + "+0 < S 9:9(0) win 9\n+0 > R 1:1(0)",
            "EP-SYN-2, RFC 9293, 3.10.7.4, fourth check",
        ),
        (
            ESTABLISHED_BY_US + "+0 < F. 1:1(0) ack 1 win 9\n+0 > . 1:1(0) ack 1",
            "EP-FIN-2, EP-FIN-8, RFC 9293, 3.10.7.4, eighth check",
        ),
        (
            CLOSING + "+1 < F. 1:1(0) ack 1 win 9\n+0 > . 2:2(0) ack 1",
            "EP-SEQ-4, RFC 9293, 3.10.7.4, first check",
        ),
        (
            ESTABLISHED_BY_US + "+0 < icmp unreachable port_unreachable [1:1(0)]\n+0 > R 1:1(0)",
            "MUST-54, MUST-56, SHLD-26, RFC 9293, 3.9.2.2",
        ),
        (
            ESTABLISHED_BY_US + "+0 write(3, ..., 10) = 10\n+0 > . 1:11(10) ack 1",
            "EP-SEND-4, RFC 9293, 3.10.2",
        ),
        (ESTABLISHED_BY_US + "+0 close(3) = 0\n+0 > R. 1:1(0) ack 1", "EP-CLOSE-5, RFC 9293, 3.10.4"),
        (
            ESTABLISHED_BY_US + "+1 < R 1:1(0) win 0\n+0 getsockopt(3, SOL_SOCKET, SO_ERROR, [0], [4]) = 0",
            "EP-RST-1, EP-RST-2, EP-RST-5, RFC 9293, 3.10.7.4, second check",
        ),
        ("0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3\n+0 close(3) = 7", "EP-CLOSE-1, RFC 9293, 3.10.4"),
        ("0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3\n+0 > . 1:1(0) ack 1", ""),
    ],
)
def test_by_state_and_event(lines: str, rule: str) -> None:
    assert rule_of(lines) == rule


@pytest.mark.parametrize(
    ("lines", "rule"),
    [
        (OPENED + "+2 > S 0:0(0) <...>", "EP-TMO-2, RFC6298-5.4, RFC6298-5.5, RFC6298-5.6, RFC 6298, 5"),
        (
            ESTABLISHED_BY_US + "+0 < . 1:2(1) ack 1 win 9\n+.4 > . 1:1(0) ack 2",
            "EP-TMO-5, SHLD-18, MUST-40, RFC 9293, 3.8.6.3",
        ),
        (
            ESTABLISHED_BY_US + "+0 < . 1:1(0) ack 1 win 0\n+0 write(3, ..., 10) = 10\n+5 > . 1:2(1) ack 1",
            "EP-TMO-4, SHLD-29, SHLD-30, RFC 9293, 3.8.6.1",
        ),
        (ESTABLISHED_BY_US + "+9 > . 0:0(0) ack 1", "EP-TMO-6, MUST-26, SHLD-12, RFC 9293, 3.8.4"),
        (ESTABLISHED_BY_US + "+9 > R 1:1(0)", "EP-TMO-1, RFC 9293, 3.10.8"),
    ],
)
def test_by_timer(lines: str, rule: str) -> None:
    assert rule_of(lines) == rule


@pytest.mark.parametrize(
    ("lines", "rule"),
    [
        (
            "+0 < . 1:2001(2000) ack 1 win 9\n+0 > . 1:1(0) ack 2001 win 1",
            "MUST-39, SHLD-14, RFC 9293, 3.8.6.2.2",
        ),
        (
            "+0 < . 2:3(1) ack 1 win 9\n+0 > . 1:1(0) ack 1",
            "RFC2018-4a, RFC2018-4b, RFC2018-4c, RFC2018-4d, RFC2883-4a, RFC 2018, 4",
        ),
        ("+0 close(3) = 0\n+0 > (ttl 3) F. 1:1(0) ack 1", "MUST-49, RFC 9293, 3.9.2"),
    ],
)
def test_by_field(lines: str, rule: str) -> None:
    assert rule_of(ESTABLISHED_BY_US + lines).startswith(rule)


@pytest.mark.parametrize(
    ("expected", "actual", "rule"),
    [
        ("<mss 1460>", "<mss 536>", "MUST-14"),
        ("<nop,wscale 7>", "<>", "RFC7323-2.2a"),
        ("<TS,nop,nop>", "<>", "RFC7323-3.2a"),
        ("<nop,nop,sackOK>", "<sackOK,nop,nop>", "MUST-4"),
    ],
)
def test_by_option(expected: str, actual: str, rule: str) -> None:
    assert name(ScriptFailed(1, "options", expected, actual), Cause(ESTABLISHED, "text", 0)).startswith(rule)


def test_every_state_has_a_rule_for_every_arrival() -> None:
    states = set(State)
    assert all(
        {state for what, state in RULES if what == arrival} == states
        for arrival in ("RST", "FIN", "text", "URG", "ACK", "nothing")
    )
    assert all(
        {state for what, state in RULES if what == arrival} == states
        for arrival in ("SYN", "SYN,ACK", "ICMP")
    )


def test_labels_have_the_form_of_labels() -> None:
    for rule in (*RULES.values(), *FIELDS.values(), *OPTIONS.values()):
        assert all(
            re.fullmatch(r"(MUST|SHLD|MAY|REC|EP-[A-Z]+)-\d+|RFC\d+-[\d.]+[a-z]?", label)
            for label in rule.labels.split(", ")
        )
