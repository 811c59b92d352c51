"""Which rule of the RFCs was at work where a script failed: a table from what the connection was told, and in which state, to the labels.

Labels and states alone: where several rules share a step, all of them are named. What a segment looks like (its options, its window) has
rules of its own, whatever caused it.
"""

from dataclasses import dataclass
from typing import Final, Protocol, runtime_checkable

from postel.drill.failure import Failure
from postel.drill.script import Packet
from postel.tcp.state import (
    CLOSE_WAIT,
    CLOSED,
    CLOSING,
    ESTABLISHED,
    FIN_WAIT_1,
    FIN_WAIT_2,
    LAST_ACK,
    LISTEN,
    SYN_RECEIVED,
    SYN_SENT,
    TIME_WAIT,
    State,
)
from postel.times import MILLISECOND
from postel.wire.address import Endpoint
from postel.wire.segment import ACK, FIN, RST, SYN, URG

_PATIENCE: Final = 500 * MILLISECOND  # no ACK is delayed for longer: MUST-40


@dataclass(frozen=True, slots=True)
class Rule:
    """``section`` goes down to the step, where the section has steps."""

    labels: str
    rfc: str
    section: str

    def __str__(self) -> str:
        return f"{self.labels}, {self.rfc}, {self.section}"


@dataclass(frozen=True, slots=True)
class Cause:
    """What the connection was told last, by the peer or by its user: a word of `kind`, or the name of a call."""

    state: State
    what: str
    at: int
    window_is_shut: bool = False  # the peer's


@runtime_checkable
class Watched(Protocol):
    """A stack that says in which state a connection is. Of one that doesn't, no rule can be named."""

    def state(self, local: Endpoint, remote: Endpoint) -> State: ...


def _step(labels: str, section: str) -> Rule:
    return Rule(labels, "RFC 9293", section)


def _steps(what: str, section: str, labels: dict[str, tuple[State, ...]]) -> dict[tuple[str, State], Rule]:
    return {(what, state): _step(label, section) for label, states in labels.items() for state in states}


_OPEN: Final = (ESTABLISHED, FIN_WAIT_1, FIN_WAIT_2)
_LATE: Final = (CLOSE_WAIT, CLOSING, LAST_ACK)
_SYNCHRONIZED: Final = (*_OPEN, *_LATE, TIME_WAIT)
_ARRIVALS: Final = ("RST", "SYN", "FIN", "text", "URG", "ACK", "nothing")
_ACKS: Final = "EP-ACK-2, EP-ACK-5, EP-ACK-6, EP-ACK-7, EP-ACK-8"

RULES: Final[dict[tuple[str, State], Rule]] = {
    **_steps("RST", "3.10.7.1", {"EP-CLO-1": (CLOSED,)}),
    **{(what, CLOSED): _step("EP-CLO-2, EP-CLO-3", "3.10.7.1") for what in _ARRIVALS[1:]},
    **_steps("RST", "3.10.7.2, first check", {"EP-LIS-1": (LISTEN,)}),
    **_steps("SYN", "3.10.7.2, third check", {"EP-LIS-3, EP-LIS-4, EP-LIS-5": (LISTEN,)}),
    **{(what, LISTEN): _step("EP-LIS-2", "3.10.7.2, second check") for what in ("SYN,ACK", "FIN", "text", "URG", "ACK")},
    **_steps("nothing", "3.10.7.2, fourth check", {"EP-LIS-6": (LISTEN,)}),
    **_steps("RST", "3.10.7.3, second check", {"EP-SS-1, EP-SS-3, EP-SS-4": (SYN_SENT,)}),
    **_steps("SYN", "3.10.7.3, fourth check", {"EP-SS-6": (SYN_SENT,)}),
    **_steps("SYN,ACK", "3.10.7.3, first and fourth check", {"EP-SS-1, EP-SS-2, EP-SS-5": (SYN_SENT,)}),
    **{(what, SYN_SENT): _step("EP-SS-1, EP-SS-7", "3.10.7.3, first check") for what in ("text", "URG", "ACK")},
    **_steps("FIN", "3.10.7.3, fifth check", {"EP-SS-1, EP-SS-8": (SYN_SENT,)}),
    **_steps("nothing", "3.10.7.3, fifth check", {"EP-SS-7": (SYN_SENT,)}),
    **_steps("duplicate", "3.10.7.4, first check", {"EP-SEQ-4": (*_OPEN, *_LATE), "EP-SEQ-4, EP-SEQ-7": (TIME_WAIT,)}),
    **_steps("RST", "3.10.7.4, second check", {
        "EP-RST-1, EP-RST-2, EP-RST-3, EP-RST-4": (SYN_RECEIVED,), "EP-RST-1, EP-RST-2, EP-RST-5": (*_OPEN, CLOSE_WAIT),
        "EP-RST-1, EP-RST-2, EP-RST-6": (CLOSING, LAST_ACK), "EP-RST-7": (TIME_WAIT,),
    }),
    **_steps("SYN", "3.10.7.4, fourth check", {
        "EP-SYN-1, EP-SYN-2, EP-SYN-4": (SYN_RECEIVED,), "EP-SYN-2": (*_OPEN, *_LATE), "EP-SYN-3": (TIME_WAIT,),
    }),
    **_steps("SYN,ACK", "3.10.7.4, fourth check", {
        "EP-SYN-1, EP-SYN-2, EP-SYN-4": (SYN_RECEIVED,), "EP-SYN-2": (*_OPEN, *_LATE), "EP-SYN-3": (TIME_WAIT,),
    }),
    **_steps("nothing", "3.10.7.4, fifth check", {"EP-ACK-1": (SYN_RECEIVED, *_SYNCHRONIZED)}),
    **_steps("ACK", "3.10.7.4, fifth check", {
        "EP-ACK-3, EP-ACK-4": (SYN_RECEIVED,), _ACKS: (ESTABLISHED,), f"{_ACKS}, EP-ACK-9": (FIN_WAIT_1,),
        f"{_ACKS}, EP-ACK-10": (FIN_WAIT_2,), f"{_ACKS}, EP-ACK-11": (CLOSE_WAIT,), f"{_ACKS}, EP-ACK-12": (CLOSING,),
        f"{_ACKS}, EP-ACK-13": (LAST_ACK,), "EP-ACK-2, EP-ACK-15": (TIME_WAIT,),
    }),
    **_steps("URG", "3.10.7.4, sixth check", {"EP-URG-1": (SYN_RECEIVED, *_OPEN), "EP-URG-2": (*_LATE, TIME_WAIT)}),
    **_steps("text", "3.10.7.4, seventh check", {
        "EP-TXT-5": (SYN_RECEIVED,), "EP-TXT-1, EP-TXT-2, EP-SEQ-10": (ESTABLISHED,),
        "EP-TXT-1, EP-TXT-2, EP-TXT-4, EP-SEQ-10": (FIN_WAIT_1, FIN_WAIT_2), "EP-TXT-3": (*_LATE, TIME_WAIT),
    }),
    **_steps("FIN", "3.10.7.4, eighth check", {
        "EP-FIN-2, EP-FIN-8": (SYN_RECEIVED, ESTABLISHED), "EP-FIN-3, EP-FIN-4, EP-FIN-8": (FIN_WAIT_1,),
        "EP-FIN-5, EP-FIN-8": (FIN_WAIT_2,), "EP-FIN-6": _LATE, "EP-FIN-7": (TIME_WAIT,),
    }),
    **_steps("ICMP", "3.9.2.2", {
        "MUST-54": (CLOSED, LISTEN, TIME_WAIT), "MUST-54, MUST-56, SHLD-26": (SYN_SENT, SYN_RECEIVED, *_OPEN, *_LATE),
    }),
    **_steps("listen", "3.10.1", {"EP-OPEN-1": (CLOSED,)}),
    **_steps("connect", "3.10.1", {"EP-OPEN-2, EP-OPEN-3": (CLOSED,)}),
    **_steps("write", "3.10.2", {
        "EP-SEND-1": (CLOSED,), "EP-SEND-2": (LISTEN,), "EP-SEND-3": (SYN_SENT, SYN_RECEIVED), "EP-SEND-4": (ESTABLISHED, CLOSE_WAIT),
        "EP-SEND-5": (FIN_WAIT_1, FIN_WAIT_2, CLOSING, LAST_ACK, TIME_WAIT),
    }),
    **_steps("close", "3.10.4", {
        "EP-CLOSE-1": (CLOSED,), "EP-CLOSE-2": (LISTEN,), "EP-CLOSE-3": (SYN_SENT,), "EP-CLOSE-4": (SYN_RECEIVED,),
        "EP-CLOSE-5": (ESTABLISHED,), "EP-CLOSE-6": (FIN_WAIT_1, FIN_WAIT_2), "EP-CLOSE-7": (CLOSE_WAIT,),
        "EP-CLOSE-8": (CLOSING, LAST_ACK, TIME_WAIT),
    }),
}  # fmt: skip

_SAME: Final = {"send": "write", "sendto": "write", "sendmsg": "write", "writev": "write", "shutdown": "close"}
OPENS: Final = ("listen", "connect")  # a new connection
CALLS: Final = frozenset({*OPENS, "write", "close", *_SAME})  # the others change nothing

FIELDS: Final = {
    "window": _step("MUST-39, SHLD-14", "3.8.6.2.2"),
    "urgent": _step("MUST-62", "3.8.5"),
    "traffic class": _step("MUST-48", "3.9.1.9"),
    "hop limit": _step("MUST-49", "3.9.2"),
    "ECN": Rule("RFC3168-6.1.2d, RFC3168-6.1.4, RFC3168-6.1.5", "RFC 3168", "6.1"),
    "TS val": Rule("RFC7323-5.4", "RFC 7323", "5.4"),
    "TS ecr": Rule("RFC7323-4.3a", "RFC 7323", "4.3"),
}
OPTIONS: Final = {
    "sack": Rule("RFC2018-4a, RFC2018-4b, RFC2018-4c, RFC2018-4d, RFC2883-4a", "RFC 2018", "4, and RFC 2883, 4"),
    "sackOK": Rule("RFC2018-2", "RFC 2018", "2"),
    "TS": Rule("RFC7323-3.2a, RFC7323-3.2b", "RFC 7323", "3.2"),
    "wscale": Rule("RFC7323-2.2a", "RFC 7323", "2.2"),
    "FO": Rule("RFC7413-4.1.1, RFC7413-4.2.2", "RFC 7413", "4.1.1 and 4.2"),
    "mss": _step("MUST-14, MUST-65, MUST-67, SHLD-5", "3.7.1"),
    "": _step("MUST-4, MUST-69", "3.1"),
}  # the first that differs is named; "" is padding and order

RETRANSMISSION: Final = Rule("EP-TMO-2, RFC6298-5.4, RFC6298-5.5, RFC6298-5.6", "RFC 6298", "5")
PERSIST: Final = _step("EP-TMO-4, SHLD-29, SHLD-30", "3.8.6.1")
DELAYED_ACK: Final = _step("EP-TMO-5, SHLD-18, MUST-40", "3.8.6.3")
KEEP_ALIVE: Final = _step("EP-TMO-6, MUST-26, SHLD-12", "3.8.4")
USER_TIMEOUT: Final = _step("EP-TMO-1", "3.10.8")


def kind(packet: Packet) -> str:
    """The word for what arrives, by the part of it that decides most."""
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


def name(failure: Failure, cause: Cause | None) -> str:
    """For a failure that some event caused at once; empty where no rule is known."""
    if failure.field == "options":
        return str(OPTIONS[_differing(str(failure.expected), str(failure.actual))])
    if failure.field in FIELDS:
        return str(FIELDS[failure.field])
    if "ETIMEDOUT" in f"{failure.expected} {failure.actual}":
        return str(USER_TIMEOUT)
    if cause is None:
        return ""
    what = _SAME.get(cause.what, cause.what)
    if (what, cause.state) not in RULES:
        what = what.removesuffix(",ACK")
    return str(RULES.get((what, cause.state), ""))


def name_of_timer(packet: Packet, cause: Cause, at: int) -> str:
    """For a packet that is due, or left, when nothing had happened for a while."""
    if packet.flags & RST:
        return str(USER_TIMEOUT)
    if packet.length or packet.flags & (SYN | FIN):
        return str(PERSIST if cause.window_is_shut else RETRANSMISSION)
    return str(DELAYED_ACK if cause.what in ("text", "FIN", "URG") and at - cause.at <= _PATIENCE else KEEP_ALIVE)


def _differing(expected: str, actual: str) -> str:
    """The kind of option that one side has and the other hasn't, or has otherwise."""
    sides = [{option.split(" ")[0]: option for option in side.strip("<>").split(",")} for side in (expected, actual)]
    return next((option for option in OPTIONS if option and sides[0].get(option) != sides[1].get(option)), "")
