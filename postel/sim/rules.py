"""Rules, which interfere with single packets.

Each rule is called for each packet that leaves a host, in the order of `World.rules`. Its arguments are the
packet's number (from 1, over the whole world, as the ladder prints it), the packet's octets, the name of the
host that sends the packet, and the time in microseconds. If the rule returns None, the next rule is called,
and after the last rule the path decides. If it returns a `Verdict`, no further rule is called.

>>> def stale(number, octets, sender, now):
...     return deliver_after(2 * SECOND) if number == 3 else None
"""

from collections.abc import Callable
from typing import Final, Literal, NamedTuple

from postel.errors import require_kind, require_number
from postel.links.course import ANY_BIT
from postel.times import NEVER

BY_PATH: Final = -1  # value of a field of a verdict: the path decides
_MOST_COPIES: Final = 1 << 16
_LAST_BIT: Final = 8 * 65535 - 1  # number of the last bit of the longest packet


class Verdict(NamedTuple):
    """What becomes of a packet. `BY_PATH` (-1) leaves a field to the path.

    ``copies`` is how many copies arrive, 0 for a loss. ``after`` is the time from leaving to arrival. ``bit``
    is the number of the bit that changes on the way. ``again`` is the time from leaving to a second arrival
    of the packet. ``later`` is an addition to the path's time, during which other packets overtake this one.
    Times are in microseconds.
    """

    copies: int = BY_PATH
    after: int = BY_PATH
    bit: int = BY_PATH
    again: int = BY_PATH
    later: int = 0


Rule = Callable[[int, bytes, str, int], Verdict | None]

PASS: Final = Verdict()  # verdict that leaves everything to the path: no further rule is called
DROP: Final = Verdict(copies=0)


def deliver_after(delay: int) -> Verdict:
    """Verdict: arrive ``delay`` microseconds after leaving, whatever delay and bandwidth the path has.

    Raises ArgumentError.
    """
    _require_delay(delay)
    return Verdict(copies=1, after=delay)


def duplicate(copies: int = 2) -> Verdict:
    """Verdict: arrive ``copies`` times, 1 to 65,536. Raises ArgumentError."""
    require_number("copies", copies, 1, _MOST_COPIES, f"1 to {_MOST_COPIES}")
    return Verdict(copies=copies)


def echo(delay: int) -> Verdict:
    """Verdict: arrive as the path decides, and once more ``delay`` microseconds after leaving.

    The second arrival is the old duplicate of RFC 9293, 3.4.3. Raises ArgumentError.
    """
    _require_delay(delay)
    return Verdict(again=delay)


def corrupt(bit: int | Literal["any"] = "any") -> Verdict:
    """Verdict: arrive with one bit turned over.

    ``bit`` is its number in the packet, from the highest bit of the first octet on; "any" lets chance
    decide. Raises ArgumentError.
    """
    if bit == "any":
        return Verdict(copies=1, bit=ANY_BIT)
    require_number("bit", bit, 0, _LAST_BIT, f"0 to {_LAST_BIT}, or 'any'")
    return Verdict(copies=1, bit=bit)


def _require_delay(delay: int) -> None:
    require_number("delay", delay, 0, NEVER, "0 microseconds or more")


def dropping(*numbers: int) -> Rule:
    """Rule that loses the packets with these numbers, from 1. Raises ArgumentError."""
    for number in numbers:
        require_number("number", number, 1, NEVER, "1 or more")
    chosen = frozenset(numbers)

    def rule(number: int, octets: bytes, sender: str, now: int) -> Verdict | None:  # noqa: ARG001 - the shape of a Rule
        return DROP if number in chosen else None

    return rule


def deciding(verdicts: dict[int, Verdict]) -> Rule:
    """Rule with a verdict for each of some numbers, from 1. Raises ArgumentError."""
    require_kind("verdicts", verdicts, dict, "a dict of verdicts by the number of the packet")
    for number, verdict in verdicts.items():
        require_number("number", number, 1, NEVER, "1 or more")
        require_kind("verdict", verdict, Verdict, "a Verdict, such as DROP or duplicate()")

    def rule(number: int, octets: bytes, sender: str, now: int) -> Verdict | None:  # noqa: ARG001 - the shape of a Rule
        return verdicts.get(number)

    return rule
