"""Kinds of remarks that were false of real captures: each with packets that show it, and packets that don't.

Of the second, `said` is what is said in place of it, where the packets show something else.
"""

from typing import NamedTuple

import pytest

from postel.view import ladder
from postel.wire.segment import ACK, FIN, PSH, RST, SYN
from tests.view.capture.tape import OFFER, Tape

DATA = ACK | PSH
BARE = {"mss": 1460, "window_scale": 0, "sack_permitted": True}


class Kind(NamedTuple):
    """``shown`` has the finding, ``not_shown`` has not, but ``said`` instead ("" for nothing)."""

    finding: str
    shown: Tape
    not_shown: Tape
    said: str


def syn() -> Tape:
    return Tape().left(SYN, 0, **BARE)


def opened() -> Tape:
    return syn().right(SYN | ACK, 0, 1, **BARE).left(ACK, 1, 1)


def slowly_opened() -> Tape:
    """Opened by the third SYN, with a round trip of 1 ms; of three segments of data the second is missing."""
    tape = syn().wait(1000).left(SYN, 0, **BARE).wait(2000).left(SYN, 0, **BARE)
    tape.right(SYN | ACK, 0, 1, **BARE).left(ACK, 1, 1)
    return tape.right(DATA, 1, 1, b"one").right(DATA, 7, 1, b"three")


KINDS = {
    "no answer came in time": Kind(
        "SYN again",
        syn().wait(1000).left(SYN, 0, **BARE),
        syn().right(SYN | ACK, 0, 1, **BARE).wait(1000).left(SYN, 0, **BARE),
        "SYN again after its answer",
    ),
    "no answer came in time, to a SYN,ACK": Kind(
        "SYN,ACK again",
        syn().right(SYN | ACK, 0, 1, **BARE).wait(1000).right(SYN | ACK, 0, 1, **BARE),
        opened().wait(1000).right(SYN | ACK, 0, 1, **BARE),
        "SYN,ACK again after its ACK",
    ),
    "probes a closed window, after a RST's zero window": Kind(
        "window probe",
        opened().right(ACK, 1, 1, window=0).wait(300).left(DATA, 1, 1, b"x"),
        opened().right(RST | ACK, 1, 1, window=0).left(DATA, 1, 1, b"x"),
        "reset: abort",
    ),
    "probes a closed window, for segments in flight": Kind(
        "window probe",
        opened().left(DATA, 1, 1, b"a" * 50).right(ACK, 1, 51, window=0).wait(300).left(DATA, 51, 1, b"b"),
        opened().left(DATA, 1, 1, b"a" * 50).right(ACK, 1, 51, window=0).left(DATA, 51, 1, b"b" * 50),
        "zero window",
    ),
    "crashed or gave up": Kind(
        "reset: abort",
        opened().left(DATA, 1, 1, b"x").left(RST | ACK, 2, 1),
        opened().left(FIN | ACK, 1, 1).right(ACK, 1, 2).left(RST | ACK, 2, 1),
        "reset: after its FIN",
    ),
    "its program aborted": Kind(
        "reset: abort",
        opened().left(RST | ACK, 1, 1),
        syn().right(RST | ACK, 0, 1).right(RST | ACK, 0, 1),
        "reset: refused",
    ),
    "its program aborted, once": Kind(
        "reset: again",
        opened().left(RST | ACK, 1, 1).right(DATA, 1, 1, b"late").left(RST, 1),
        opened().left(RST | ACK, 1, 1).right(DATA, 1, 1, b"late"),
        "reset: abort",
    ),
    "outside the receive window": Kind(
        "outside the window",
        opened().right(ACK, 1, 1, window=100).left(DATA, 1, 1, b"x" * 101).right(ACK, 1, 1, window=100),
        opened().right(ACK, 1, 1, window=100).left(DATA, 1, 1, b"x" * 101).right(ACK, 1, 102, window=100),
        "",
    ),
    "ACK for what it hasn't sent": Kind(
        "reset: unacceptable ACK",
        syn().right(ACK, 300, 90).left(RST, 90),
        syn().right(SYN | ACK, 0, 1, **BARE).left(RST, 1),
        "reset: of a SYN,ACK",
    ),
    "reset outside the window": Kind(
        "blind reset",
        opened().left(DATA, 1, 1, b"x").right(RST, 1 << 31).right(ACK, 1, 2).left(ACK, 2, 1),
        opened().left(DATA, 1, 1, b"x").right(ACK, 1, 1 << 29).left(RST, 1 << 29).right(ACK, 1, 2),
        "reset: no such connection",
    ),
    "keep-alive": Kind(
        "keep-alive",
        opened().left(DATA, 1, 1, b"x").right(ACK, 1, 2).wait(1000).left(ACK, 1, 1, b"x"),
        opened().left(DATA, 1, 1, b"x").right(ACK, 1, 2, window=0).wait(1000).left(ACK, 1, 1, b"x"),
        "window probe",
    ),
    "overtaken": Kind(
        "overtaken",
        opened().right(DATA, 1, 1, b"one").right(DATA, 7, 1, b"three").right(DATA, 4, 1, b"two"),
        slowly_opened().wait(500).right(DATA, 4, 1, b"two"),
        "retransmission",
    ),
    "nothing unusual, of one direction": Kind(
        "one direction", Tape().left(DATA, 1, 1, b"x").left(DATA, 2, 1, b"y"), opened(), ""
    ),
    "nothing unusual, of octets that weren't captured": Kind(
        "missing",
        opened().left(DATA, 1, 1, b"x").right(ACK, 1, 90),
        opened().left(DATA, 1, 1, b"x").right(ACK, 1, 2),
        "",
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_said_where_the_packets_show_it(kind: str) -> None:
    assert KINDS[kind].finding in KINDS[kind].shown.findings()


@pytest.mark.parametrize("kind", KINDS)
def test_not_said_elsewhere(kind: str) -> None:
    findings = KINDS[kind].not_shown.findings()
    assert KINDS[kind].finding not in findings
    assert KINDS[kind].said in findings or not KINDS[kind].said
    assert KINDS[kind].said or not findings


def drawn(tape: Tape) -> str:
    return ladder.render(tape.trace(), language="en")


def test_a_handshake_in_mid_stream_is_none() -> None:
    assert "handshake" in drawn(opened())
    middle = Tape().left(DATA, 1, 1, b"ask").right(DATA, 1, 4, b"answer").left(ACK, 4, 7)
    assert "handshake" not in drawn(middle)


def test_a_capture_has_no_user_s_call() -> None:
    tape = opened().left(DATA, 1, 1, b"ask").close(4)
    assert "the user's call" not in drawn(tape)
    assert "the user's call" not in drawn(Tape().left(FIN | ACK, 1, 1).right(ACK, 1, 2))


def test_options_are_unknown_in_mid_stream() -> None:
    """A window is judged only where both SYNs are there: its scale isn't known else."""
    judged = opened().right(ACK, 1, 1, window=2).left(DATA, 1, 1, b"x" * 3)
    assert "outside the window" in judged.findings()
    middle = Tape().right(ACK, 1, 1, window=2).left(DATA, 1, 1, b"x" * 3)
    assert middle.findings().keys() == {"begins in the middle"}
    half = Tape().right(SYN | ACK, 0, 1, **OFFER).left(ACK, 1, 1, window=2).right(DATA, 1, 1, b"x" * 3)
    assert "outside the window" not in half.findings()
