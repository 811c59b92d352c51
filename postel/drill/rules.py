"""Rules of the RFCs that applied when a script failed.

A table maps what the connection got last (a segment or a call) and its state to the labels of rules. If
several rules share a step, all of them are named. The form of a segment, such as its options and its window,
has rules of its own, whatever caused the segment.
"""

from dataclasses import dataclass
from typing import Final, Protocol, runtime_checkable

from postel.drill.script import Packet
from postel.errors import ScriptFailed
from postel.tcp.state import State
from postel.times import MILLISECOND
from postel.wire.address import Endpoint
from postel.wire.segment import ACK, FIN, RST, SYN, URG

_PATIENCE: Final = 500 * MILLISECOND  # an ACK may not be delayed for longer (RFC 9293, MUST-40)


@dataclass(frozen=True, slots=True)
class Rule:
    """Labels of rules with their RFC and section, and the step of the section if it has steps."""

    labels: str
    rfc: str
    section: str

    def __str__(self) -> str:
        """Rule as text for human readers."""
        return f"{self.labels}, {self.rfc}, {self.section}"


@dataclass(frozen=True, slots=True)
class Cause:
    """Segment or call that the connection got last, at the time ``at`` in microseconds.

    ``what`` is a word that `kind` returns, or the name of a call.
    """

    state: State
    what: str
    at: int
    window_is_shut: bool = False  # whether the peer's window is closed


@runtime_checkable
class Watched(Protocol):
    """Interface of a stack that reports the states of its connections. Without it no rule can be named."""

    def state(self, local: Endpoint, remote: Endpoint) -> State:
        """State of the connection between these endpoints."""


def _step(labels: str, section: str) -> Rule:
    return Rule(labels, "RFC 9293", section)


_GROUPS: Final = {
    "open": ("ESTABLISHED", "FIN_WAIT_1", "FIN_WAIT_2"),
    "late": ("CLOSE_WAIT", "CLOSING", "LAST_ACK"),
    "synchronized": (
        "ESTABLISHED",
        "FIN_WAIT_1",
        "FIN_WAIT_2",
        "CLOSE_WAIT",
        "CLOSING",
        "LAST_ACK",
        "TIME_WAIT",
    ),
}
_ACKS: Final = "EP-ACK-2 EP-ACK-5 EP-ACK-6 EP-ACK-7 EP-ACK-8"

# What the connection got | in which states | section | rules
_TABLE: Final = f"""
RST                          | CLOSED       | 3.10.7.1               | EP-CLO-1
SYN SYN,ACK FIN text URG ACK nothing | CLOSED       | 3.10.7.1               | EP-CLO-2 EP-CLO-3
RST                          | LISTEN       | 3.10.7.2, first check  | EP-LIS-1
SYN,ACK FIN text URG ACK     | LISTEN       | 3.10.7.2, second check | EP-LIS-2
SYN                          | LISTEN       | 3.10.7.2, third check  | EP-LIS-3 EP-LIS-4 EP-LIS-5
nothing                      | LISTEN       | 3.10.7.2, fourth check | EP-LIS-6
text URG ACK                 | SYN_SENT     | 3.10.7.3, first check  | EP-SS-1 EP-SS-7
RST                          | SYN_SENT     | 3.10.7.3, second check | EP-SS-1 EP-SS-3 EP-SS-4
SYN                          | SYN_SENT     | 3.10.7.3, fourth check | EP-SS-6
SYN,ACK                      | SYN_SENT     | 3.10.7.3, first and fourth check | EP-SS-1 EP-SS-2 EP-SS-5
FIN                          | SYN_SENT     | 3.10.7.3, fifth check  | EP-SS-1 EP-SS-8
nothing                      | SYN_SENT     | 3.10.7.3, fifth check  | EP-SS-7
duplicate                    | open late    | 3.10.7.4, first check  | EP-SEQ-4
duplicate                    | TIME_WAIT    | 3.10.7.4, first check  | EP-SEQ-4 EP-SEQ-7
RST                          | SYN_RECEIVED | 3.10.7.4, second check | EP-RST-1 EP-RST-2 EP-RST-3 EP-RST-4
RST                          | open CLOSE_WAIT | 3.10.7.4, second check | EP-RST-1 EP-RST-2 EP-RST-5
RST                          | CLOSING LAST_ACK | 3.10.7.4, second check | EP-RST-1 EP-RST-2 EP-RST-6
RST                          | TIME_WAIT    | 3.10.7.4, second check | EP-RST-7
SYN SYN,ACK                  | SYN_RECEIVED | 3.10.7.4, fourth check | EP-SYN-1 EP-SYN-2 EP-SYN-4
SYN SYN,ACK                  | open late    | 3.10.7.4, fourth check | EP-SYN-2
SYN                          | TIME_WAIT    | 3.10.7.4, fourth check | EP-SYN-3 EP-SEQ-9
SYN,ACK                      | TIME_WAIT    | 3.10.7.4, fourth check | EP-SYN-3
nothing                      | SYN_RECEIVED synchronized | 3.10.7.4, fifth check  | EP-ACK-1
ACK                          | SYN_RECEIVED | 3.10.7.4, fifth check  | EP-ACK-3 EP-ACK-4
ACK                          | ESTABLISHED  | 3.10.7.4, fifth check  | {_ACKS}
ACK                          | FIN_WAIT_1   | 3.10.7.4, fifth check  | {_ACKS} EP-ACK-9
ACK                          | FIN_WAIT_2   | 3.10.7.4, fifth check  | {_ACKS} EP-ACK-10
ACK                          | CLOSE_WAIT   | 3.10.7.4, fifth check  | {_ACKS} EP-ACK-11
ACK                          | CLOSING      | 3.10.7.4, fifth check  | {_ACKS} EP-ACK-12
ACK                          | LAST_ACK     | 3.10.7.4, fifth check  | {_ACKS} EP-ACK-13
ACK                          | TIME_WAIT    | 3.10.7.4, fifth check  | EP-ACK-2 EP-ACK-15
URG                          | SYN_RECEIVED open | 3.10.7.4, sixth check  | EP-URG-1
URG                          | late TIME_WAIT | 3.10.7.4, sixth check  | EP-URG-2
text                         | SYN_RECEIVED | 3.10.7.4, seventh check | EP-TXT-5
text                         | ESTABLISHED  | 3.10.7.4, seventh check | EP-TXT-1 EP-TXT-2 EP-SEQ-10
text | FIN_WAIT_1 FIN_WAIT_2 | 3.10.7.4, seventh check | EP-TXT-1 EP-TXT-2 EP-TXT-4 EP-SEQ-10
text                         | late TIME_WAIT | 3.10.7.4, seventh check | EP-TXT-3
FIN                          | SYN_RECEIVED ESTABLISHED | 3.10.7.4, eighth check | EP-FIN-2 EP-FIN-8
FIN                          | FIN_WAIT_1   | 3.10.7.4, eighth check | EP-FIN-3 EP-FIN-4 EP-FIN-8
FIN                          | FIN_WAIT_2   | 3.10.7.4, eighth check | EP-FIN-5 EP-FIN-8
FIN                          | late         | 3.10.7.4, eighth check | EP-FIN-6
FIN                          | TIME_WAIT    | 3.10.7.4, eighth check | EP-FIN-7
ICMP                         | CLOSED LISTEN TIME_WAIT | 3.9.2.2                | MUST-54
ICMP | SYN_SENT SYN_RECEIVED open late | 3.9.2.2 | MUST-54 MUST-56 SHLD-26
listen                       | CLOSED       | 3.10.1                 | EP-OPEN-1
connect                      | CLOSED       | 3.10.1                 | EP-OPEN-2 EP-OPEN-3
write                        | CLOSED       | 3.10.2                 | EP-SEND-1
write                        | LISTEN       | 3.10.2                 | EP-SEND-2
write                        | SYN_SENT SYN_RECEIVED | 3.10.2                 | EP-SEND-3
write                        | ESTABLISHED CLOSE_WAIT | 3.10.2                 | EP-SEND-4
write | FIN_WAIT_1 FIN_WAIT_2 CLOSING LAST_ACK TIME_WAIT | 3.10.2 | EP-SEND-5
close                        | CLOSED       | 3.10.4                 | EP-CLOSE-1
close                        | LISTEN       | 3.10.4                 | EP-CLOSE-2
close                        | SYN_SENT     | 3.10.4                 | EP-CLOSE-3
close                        | SYN_RECEIVED | 3.10.4                 | EP-CLOSE-4
close                        | ESTABLISHED  | 3.10.4                 | EP-CLOSE-5
close                        | FIN_WAIT_1 FIN_WAIT_2 | 3.10.4                 | EP-CLOSE-6
close                        | CLOSE_WAIT   | 3.10.4                 | EP-CLOSE-7
close                        | CLOSING LAST_ACK TIME_WAIT | 3.10.4                 | EP-CLOSE-8
"""


def _rules(table: str) -> dict[tuple[str, State], Rule]:
    found = {}
    for line in table.strip().split("\n"):
        told, states, section, labels = (cell.strip() for cell in line.split("|"))
        rule = _step(", ".join(labels.split()), section)
        names = [name for word in states.split() for name in _GROUPS.get(word, (word,))]
        found.update({(what, State[name]): rule for what in told.split() for name in names})
    return found


RULES: Final = _rules(_TABLE)

_SAME: Final = {
    "send": "write",
    "sendto": "write",
    "sendmsg": "write",
    "writev": "write",
    "shutdown": "close",
}
OPENS: Final = ("listen", "connect")  # calls that begin a connection
CALLS: Final = frozenset({*OPENS, "write", "close", *_SAME})  # other calls change nothing

FIELDS: Final = {
    "window": _step("MUST-39, SHLD-14", "3.8.6.2.2"),
    "urgent": _step("MUST-62", "3.8.5"),
    "traffic class": _step("MUST-48", "3.9.1.9"),
    "hop limit": _step("MUST-49", "3.9.2"),
    "ECN": Rule("RFC3168-6.1.2d, RFC3168-6.1.4, RFC3168-6.1.5", "RFC 3168", "6.1"),
    "TS val": Rule("RFC7323-5.4", "RFC 7323", "5.4"),
    "TS ecr": Rule("RFC7323-4.3a", "RFC 7323", "4.3"),
}
# The kind of the first option that differs has the rule; "" is for padding and order
OPTIONS: Final = {
    "sack": Rule(
        "RFC2018-4a, RFC2018-4b, RFC2018-4c, RFC2018-4d, RFC2883-4a", "RFC 2018", "4, and RFC 2883, 4"
    ),
    "sackOK": Rule("RFC2018-2", "RFC 2018", "2"),
    "TS": Rule("RFC7323-3.2a, RFC7323-3.2b", "RFC 7323", "3.2"),
    "wscale": Rule("RFC7323-2.2a", "RFC 7323", "2.2"),
    "FO": Rule("RFC7413-4.1.1, RFC7413-4.2.2", "RFC 7413", "4.1.1 and 4.2"),
    "mss": _step("MUST-14, MUST-65, MUST-67, SHLD-5", "3.7.1"),
    "": _step("MUST-4, MUST-69", "3.1"),
}

RETRANSMISSION: Final = Rule("EP-TMO-2, RFC6298-5.4, RFC6298-5.5, RFC6298-5.6", "RFC 6298", "5")
PERSIST: Final = _step("EP-TMO-4, SHLD-29, SHLD-30", "3.8.6.1")
DELAYED_ACK: Final = _step("EP-TMO-5, SHLD-18, MUST-40", "3.8.6.3")
KEEP_ALIVE: Final = _step("EP-TMO-6, MUST-26, SHLD-12", "3.8.4")
USER_TIMEOUT: Final = _step("EP-TMO-1", "3.10.8")


def kind(packet: Packet) -> str:
    """Word for an arriving segment, which names its most important part."""
    flags = packet.flags
    if flags & RST:
        return "RST"
    if flags & SYN:
        return "SYN,ACK" if flags & ACK else "SYN"
    if not flags & ACK:
        return "nothing"
    if flags & FIN:
        return "FIN"
    if flags & URG:
        return "URG"
    return "text" if packet.length else "ACK"


def name(failure: ScriptFailed, cause: Cause | None) -> str:
    """Rule for a failure right after the event that caused it; "" if no rule is known."""
    if failure.field == "options":
        return str(OPTIONS[_differing(str(failure.expected), str(failure.actual))])
    if failure.field in FIELDS:
        return str(FIELDS[failure.field])
    if "ETIMEDOUT" in f"{failure.expected} {failure.actual}":
        return str(USER_TIMEOUT)
    if cause is None:
        return ""
    return str(RULES.get((_SAME.get(cause.what, cause.what), cause.state), ""))


def name_of_timer(packet: Packet, cause: Cause, at: int) -> str:
    """Rule for a packet that was due, or that left, some time after the last event."""
    if packet.flags & RST:
        return str(USER_TIMEOUT)
    if packet.length or packet.flags & (SYN | FIN):
        return str(PERSIST if cause.window_is_shut else RETRANSMISSION)
    return str(
        DELAYED_ACK if cause.what in ("text", "FIN", "URG") and at - cause.at <= _PATIENCE else KEEP_ALIVE
    )


def _differing(expected: str, actual: str) -> str:
    """Kind of the first option that only one of the two has, or that differs."""
    sides = [
        {option.split(" ")[0]: option for option in side.strip("<>").split(",")}
        for side in (expected, actual)
    ]
    return next((option for option in OPTIONS if option and sides[0].get(option) != sides[1].get(option)), "")
