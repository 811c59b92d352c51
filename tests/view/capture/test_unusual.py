"""Each unusual thing, shown by the segments that make it, with the numbers of the packets and the rule."""

import pytest

from postel.view import notes
from postel.view.capture import translations
from postel.view.capture.case import MOST_PACKETS
from postel.wire.segment import ACK, CWR, ECE, FIN, PSH, RST, SYN, URG
from tests.view.capture.tape import OFFER, Tape

DATA = ACK | PSH
STAMPS = {"tsval": 1, "tsecr": 1}
ECN = {"ecn": 2}


def opened() -> Tape:
    return Tape().handshake()


def bare() -> Tape:
    """Without timestamps, so that segments need none."""
    offer = {"mss": 1460, "window_scale": 0, "sack_permitted": True}
    return Tape().left(SYN, 0, **offer).right(SYN | ACK, 0, 1, **offer).left(ACK, 1, 1)


def at(opener: int, other: int) -> Tape:
    """Captured where a round trip to the opener and to the other end takes so many milliseconds."""
    offer = {"mss": 1460, "window_scale": 0, "sack_permitted": True}
    tape = Tape().left(SYN, 0, **offer).wait(other - 1).right(SYN | ACK, 0, 1, **offer)
    return tape.wait(opener - 1).left(ACK, 1, 1)


def with_ecn() -> Tape:
    return Tape().left(SYN | ECE | CWR, 0, mss=1460).right(SYN | ACK | ECE, 0, 1, mss=1460).left(ACK, 1, 1)


def duplicates() -> Tape:
    tape = bare().left(DATA, 1, 1, b"a" * 10).left(DATA, 11, 1, b"b" * 10).right(ACK, 1, 1)
    return tape.right(ACK, 1, 1, sack=((5000, 5010),)).right(ACK, 1, 1).right(ACK, 1, 1)


CASES = [
    ("SYN again", Tape().left(SYN, 0, **OFFER).wait(1000).left(SYN, 0, **OFFER), [2]),
    (
        "SYN,ACK again",
        Tape().left(SYN, 0, **OFFER).right(SYN | ACK, 0, 1, **OFFER).right(SYN | ACK, 0, 1, **OFFER),
        [3],
    ),
    ("SYN with less", Tape().left(SYN, 0, **OFFER).left(SYN, 0, mss=1460), [2]),
    ("all options gone", Tape().left(SYN, 0, **OFFER).right(SYN | ACK, 0, 1, mss=1460), [2]),
    ("not offered", Tape().left(SYN, 0, mss=1460).right(SYN | ACK, 0, 1, **OFFER), [2]),
    ("no MSS", Tape().left(SYN, 0), [1]),
    ("small MSS", Tape().left(SYN, 0, mss=88), [1]),
    ("over the MSS", bare().left(DATA, 1, 1, b"x" * 1461), [4]),
    ("data in SYN", Tape().left(SYN, 0, 0, b"early", mss=1460), [1]),
    ("simultaneous open", Tape().left(SYN, 0, **OFFER).right(SYN, 0, **OFFER), [2]),
    ("half-open", Tape().left(SYN, 0, **OFFER).right(SYN | ACK, 0, 1, **OFFER), [2]),
    (
        "SYN after RST",
        Tape().left(SYN, 0, **OFFER).right(RST | ACK, 0, 1).wait(500).left(SYN, 0, **OFFER),
        [3],
    ),
    (
        "SYN again after its answer",
        Tape().left(SYN, 0, **OFFER).right(SYN | ACK, 0, 1, **OFFER).wait(1000).left(SYN, 0, **OFFER),
        [3],
    ),
    (
        "SYN after a stray ACK",
        Tape().left(SYN, 0, **OFFER).right(ACK, 90, 700).left(RST, 700).wait(3000).left(SYN, 0, **OFFER),
        [4],
    ),
    ("reset: not of the SYN", Tape().left(SYN, 0, **OFFER).right(RST | ACK, 0, 0), [2]),
    ("SYN,ACK again after its ACK", opened().right(SYN | ACK, 0, 1, **OFFER), [4]),
    ("unanswered", Tape().left(SYN, 0, **OFFER), [1]),
    ("begins in the middle", Tape().left(DATA, 1, 1, b"x"), [1]),
    ("ports again", opened().close().left(SYN, 90_000, **OFFER), [8]),
    ("retransmission", bare().left(DATA, 1, 1, b"abc").wait(300).left(DATA, 1, 1, b"abc"), [5]),
    ("fast retransmit", duplicates().left(DATA, 1, 1, b"a" * 10), [10]),
    ("duplicate ACKs", duplicates(), [8]),
    (
        "SACK recovery",
        bare()
        .left(DATA, 1, 1, b"abc")
        .left(DATA, 4, 1, b"def")
        .right(ACK, 1, 1, sack=((0xFFFFFF04, 0xFFFFFF07),))
        .left(DATA, 1, 1, b"abc"),
        [7],
    ),
    ("spurious", bare().left(DATA, 1, 1, b"abc").right(ACK, 1, 4).left(DATA, 1, 1, b"abc"), [6]),
    (
        "duplicate SACK",
        bare().left(DATA, 1, 1, b"abc").right(ACK, 1, 4, sack=((0xFFFFFF01, 0xFFFFFF04),)),
        [5],
    ),
    ("overtaken", bare().left(DATA, 4, 1, b"def").left(DATA, 1, 1, b"abc"), [5]),
    ("outside the window", bare().right(ACK, 1, 1, window=100).left(DATA, 1, 1, b"x" * 101), [5]),
    ("zero window", bare().right(ACK, 1, 1, window=0), [4]),
    ("window probe", bare().right(ACK, 1, 1, window=0).left(DATA, 1, 1, b"x"), [5]),
    ("silly window", bare().right(ACK, 1, 1, window=0).right(ACK, 1, 1, window=10), [5]),
    ("keep-alive", bare().left(DATA, 1, 1, b"x").right(ACK, 1, 2).wait(1000).left(ACK, 1, 1, b"x"), [6]),
    ("timestamp missing", opened().left(DATA, 1, 1, b"x"), [4]),
    (
        "timestamp goes back",
        opened().left(DATA, 1, 1, b"x", tsval=9, tsecr=1).left(DATA, 2, 1, b"x", tsval=5, tsecr=1),
        [5],
    ),
    ("urgent", bare().left(DATA | URG, 1, 1, b"x", urgent=1), [4]),
    ("contradictory flags", Tape().left(SYN | FIN, 0, mss=1460), [1]),
    ("no ACK bit", bare().left(PSH, 1, 0, b"x"), [4]),
    (
        "ECN reflected",
        Tape().left(SYN | ECE | CWR, 0, mss=1460).right(SYN | ACK | ECE | CWR, 0, 1, mss=1460),
        [2],
    ),
    ("ECN unasked", Tape().left(SYN, 0, mss=1460).right(SYN | ACK | ECE, 0, 1, mss=1460), [2]),
    ("ECT on SYN", Tape().left(SYN, 0, mss=1460, **ECN), [1]),
    ("ECT unagreed", bare().left(DATA, 1, 1, b"x", **ECN), [4]),
    ("ECT again", with_ecn().left(DATA, 1, 1, b"x", **ECN).wait(300).left(DATA, 1, 1, b"xy", **ECN), [5]),
    ("CE", with_ecn().left(DATA, 1, 1, b"x", ecn=3), [4]),
    ("half-closed", bare().left(FIN | ACK, 1, 1).right(ACK, 1, 2).right(DATA, 1, 2, b"on"), [6]),
    (
        "simultaneous close",
        bare().left(FIN | ACK, 1, 1).right(FIN | ACK, 1, 1).left(ACK, 2, 2).right(ACK, 2, 2),
        [5],
    ),
    ("reset: refused", Tape().left(SYN, 0, **OFFER).right(RST | ACK, 0, 1), [2]),
    ("reset: unacceptable ACK", Tape().left(SYN, 0, **OFFER).right(ACK, 300, 90).left(RST, 90), [3]),
    ("reset: no such connection", bare().right(DATA, 1, 50, b"?").left(RST, 50), [5]),
    (
        "reset: text after CLOSE",
        bare().left(FIN | ACK, 1, 1).right(DATA, 1, 2, b"more").left(RST | ACK, 2, 5),
        [6],
    ),
    ("reset: abort", bare().left(RST | ACK, 1, 1), [4]),
    ("reset: after the close", opened().close().left(RST, 2), [8]),
    ("blind reset", bare().left(DATA, 1, 1, b"x").right(RST, 1 << 31).right(ACK, 1, 2).left(ACK, 2, 1), [5]),
    ("reset: of a SYN,ACK", Tape().left(SYN, 0, **OFFER).right(SYN | ACK, 0, 1, **OFFER).left(RST, 1), [3]),
    ("reset: while opening", Tape().left(SYN, 0, **OFFER).wait(50).left(RST | ACK, 1, 0), [2]),
    (
        "reset: after its FIN",
        opened().left(FIN | ACK, 1, 1, **STAMPS).right(ACK, 1, 2, **STAMPS).left(RST | ACK, 2, 1),
        [6],
    ),
    ("reset: again", bare().left(RST | ACK, 1, 1).right(DATA, 1, 1, b"late").left(RST, 1), [6]),
    ("stall: wire", bare().left(DATA, 1, 1, b"abc").wait(400).left(DATA, 1, 1, b"abc"), [5]),
    (
        "stall: program",
        bare().left(DATA, 1, 1, b"ask").right(ACK, 1, 4).wait(900).right(DATA, 1, 4, b"answer"),
        [6],
    ),
    (
        "stall: window",
        bare().left(DATA, 1, 1, b"abc").right(ACK, 1, 4, window=0).wait(700).right(ACK, 1, 4, window=900),
        [6],
    ),
    ("reset: text", bare().left(RST | ACK, 1, 1, b"no space left"), [4]),
    ("cut", bare().left(DATA, 1, 1, b"x" * 100).cut(20), [4]),
    ("offload", bare().left(DATA, 1, 1, b"x" * 1461), [4]),
    ("offload: sender", at(opener=1, other=30).left(DATA, 1, 1, b"x" * 1461), [4]),
    ("offload: receiver", at(opener=30, other=1).left(DATA, 1, 1, b"x" * 1461), [4]),
    ("one direction", Tape().left(DATA, 1, 1, b"x").left(DATA, 2, 1, b"y"), [1]),
    ("missing", bare().left(DATA, 1, 1, b"x").right(ACK, 1, 90), [1]),
]


@pytest.mark.parametrize(("kind", "tape", "packets"), CASES, ids=[kind for kind, _, _ in CASES])
def test_what_is_unusual(kind: str, tape: Tape, packets: list[int]) -> None:
    finding = tape.findings()[kind]
    assert finding.packets == packets
    assert translations.rule(finding).startswith("RFC ") or kind in (
        "one direction",
        "missing",
        "copies",
        "cut",
        "offload",
        "offload: sender",
        "offload: receiver",
        "stall: program",
    )
    assert len({translations.of_finding(finding, language) for language in notes.LANGUAGES}) == 2


def test_a_mark_that_nobody_echoes() -> None:
    tape = with_ecn().left(DATA, 1, 1, b"x", ecn=3)
    for _ in range(8):
        tape.right(ACK, 1, 2)
    assert tape.findings()["CE unanswered"].packets == [4]
    assert "CE unanswered" not in with_ecn().left(DATA, 1, 1, b"x", ecn=3).right(ACK | ECE, 1, 2).findings()


def test_every_text_has_its_case() -> None:
    assert set(translations.FINDINGS) - {kind for kind, _, _ in CASES} == {
        "CE unanswered",
        "copies",
        "ICMP: too big",
        "ICMP: unreachable",
        "ICMP: time exceeded",
    }


@pytest.mark.parametrize(
    "tape",
    [opened().left(DATA, 1, 1, b"x", **STAMPS).right(ACK, 1, 2, **STAMPS).close(2), with_ecn(), bare()],
)
def test_what_is_usual(tape: Tape) -> None:
    assert tape.findings() == {}


def test_many_packets_are_counted() -> None:
    tape = bare().left(DATA, 1, 1, b"x")
    for _ in range(MOST_PACKETS + 5):
        tape.left(DATA, 1, 1, b"x", window=1000)
    finding = tape.left(DATA, 1, 1, b"xy").findings()["keep-alive"]
    assert finding.count == MOST_PACKETS + 5
    assert len(finding.packets) == MOST_PACKETS
