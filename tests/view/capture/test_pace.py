"""How long things took in a connection, and what it waited for."""

import pytest

from postel.times import MILLISECOND
from postel.view.capture import translations
from postel.view.capture.pace import Pace
from postel.view.capture.report import pace_text
from postel.view.capture.unusual import Unusual
from postel.wire.segment import ACK, FIN, PSH, RST, SYN
from tests.view.capture.tape import OFFER, Tape, read

DATA = ACK | PSH


def pace(tape: Tape) -> Pace:
    unusual = Unusual()
    (connection,), _, _ = read(tape.pcap(), unusual.look)
    found = unusual.of(connection).pace
    assert found is not None
    return found


def bare() -> Tape:
    offer = {"mss": 1460, "window_scale": 0, "sack_permitted": True}
    return Tape().left(SYN, 0, **offer).right(SYN | ACK, 0, 1, **offer).left(ACK, 1, 1)


def test_the_opening_without_the_timeout_of_a_syn() -> None:
    tape = (
        Tape()
        .left(SYN, 0, **OFFER)
        .wait(3000)
        .left(SYN, 0, **OFFER)
        .wait(17)
        .right(SYN | ACK, 0, 1, **OFFER)
        .left(ACK, 1, 1)
    )
    found = pace(tape)
    assert found.opening() == (3020 * MILLISECOND, 3001 * MILLISECOND, 19 * MILLISECOND)
    assert "connect 3.020 s, of which 3.001 s waiting to send a SYN again; round trip 19.000 ms" in pace_text(
        found, "en"
    )
    assert pace_text(found, "zh") != pace_text(found, "en")


def test_no_opening_in_the_middle_of_a_stream() -> None:
    assert pace(Tape().left(DATA, 1, 1, b"x").right(ACK, 1, 2)).opening() is None


def test_round_trips_from_where_the_capture_was_made() -> None:
    tape = (
        bare()
        .left(DATA, 1, 1, b"x")
        .wait(9)
        .right(ACK, 1, 2)
        .left(DATA, 2, 1, b"y")
        .wait(19)
        .right(ACK, 1, 3)
    )
    # The shortest is the SYN's
    assert pace(tape).round_trips(0) == (1 * MILLISECOND, 10 * MILLISECOND, 20 * MILLISECOND)
    assert pace(tape).round_trips(1) == (1 * MILLISECOND,) * 3


def test_what_was_sent_again_gives_no_round_trip() -> None:
    tape = bare().left(DATA, 1, 1, b"text").wait(400).left(DATA, 1, 1, b"text").right(ACK, 1, 5)
    assert pace(tape).round_trips(0) == (1 * MILLISECOND,) * 3  # of the SYN alone
    assert pace(tape).share_sent_again(0) == pytest.approx(1 / 3)


def test_from_request_to_answer() -> None:
    tape = (
        bare()
        .left(DATA, 1, 1, b"ask")
        .right(ACK, 1, 4)
        .wait(48)
        .right(DATA, 1, 4, b"answer")
        .right(DATA, 7, 4, b"more")
    )
    tape.left(DATA, 4, 11, b"again").wait(99).right(DATA, 11, 9, b"answer")
    assert list(pace(tape).answers) == [50 * MILLISECOND, 100 * MILLISECOND]


def test_windows() -> None:
    tape = (
        bare()
        .right(ACK, 1, 1, window=10)
        .left(DATA, 1, 1, b"x" * 10)
        .right(ACK, 1, 11, window=0)
        .wait(99)
        .right(ACK, 1, 11, window=500)
    )
    found = pace(tape)
    assert (found.full(0), found.flight(0), found.shut_time(1)) == (1, 10, 100 * MILLISECOND)


STALLS = {
    "the wire lost text": (bare().left(DATA, 1, 1, b"text").wait(999).left(DATA, 1, 1, b"text"), "wire", 0),
    "the wire lost a SYN": (Tape().left(SYN, 0, **OFFER).wait(999).left(SYN, 0, **OFFER), "wire", 0),
    "the wire lost a FIN": (bare().left(FIN | ACK, 1, 1).wait(999).left(FIN | ACK, 1, 1), "wire", 0),
    "the wire is slow": (bare().left(DATA, 1, 1, b"x").wait(999).right(ACK, 1, 2), "wire", 0),
    "the server's program": (
        bare().left(DATA, 1, 1, b"ask").right(ACK, 1, 4).wait(999).right(DATA, 1, 4, b"answer"),
        "program",
        1,
    ),
    "the server's program, with the ACK": (
        bare().left(DATA, 1, 1, b"ask").wait(999).right(DATA, 1, 4, b"answer"),
        "program",
        1,
    ),
    "the client's program": (bare().wait(999).left(DATA, 1, 1, b"ask"), "program", 0),
    "the client's program, in an upload": (
        bare().left(DATA, 1, 1, b"part").right(ACK, 1, 5).wait(999).left(DATA, 5, 1, b"rest"),
        "program",
        0,
    ),
    "the client's window": (
        bare().right(DATA, 1, 1, b"much").left(ACK, 1, 5, window=0).wait(999).left(ACK, 1, 5, window=900),
        "window",
        0,
    ),
    "the server's window, with probes": (
        bare()
        .left(DATA, 1, 1, b"much")
        .right(ACK, 1, 5, window=0)
        .wait(999)
        .left(DATA, 5, 1, b"x")
        .right(ACK, 1, 5, window=0),
        "window",
        1,
    ),
}


@pytest.mark.parametrize("name", STALLS)
def test_what_a_stall_waited_for(name: str) -> None:
    tape, kind, side = STALLS[name]
    found = pace(tape)
    assert [(stall.kind, stall.by.side) for stall in found.stalls] == [(kind, side)]
    assert found.longest == found.stalls[0]
    assert found.stalls[0].length == 1000 * MILLISECOND


QUIET = [
    bare().left(DATA, 1, 1, b"ask").right(ACK, 1, 4).right(DATA, 1, 4, b"answer").left(ACK, 4, 7),
    bare()
    .left(DATA, 1, 1, b"ask")
    .right(DATA, 1, 4, b"answer")
    .left(ACK, 4, 7)
    .wait(60_000)
    .left(FIN | ACK, 4, 7)
    .right(FIN | ACK, 7, 5),
    bare()
    .left(DATA, 1, 1, b"x")
    .right(ACK, 1, 2)
    .wait(60_000)
    .left(ACK, 1, 1)
    .right(ACK, 1, 2),  # keep-alive
    Tape()
    .left(SYN, 0, **OFFER)
    .right(RST | ACK, 0, 1)
    .wait(999)
    .left(SYN, 0, **OFFER)
    .right(RST | ACK, 0, 1),
]


@pytest.mark.parametrize("tape", QUIET)
def test_what_is_no_stall(tape: Tape) -> None:
    assert pace(tape).stalls == []


def test_the_longest_stall_is_told_of() -> None:
    tape = bare()
    for number, pause in enumerate((400, 2000, 500)):
        tape.wait(pause).left(DATA, 1 + number, 1, b"x").right(ACK, 1, 2 + number)
    finding = tape.findings()["stall: program"]
    assert (finding.count, finding.values["seconds"]) == (3, "2.001")
    assert "up to 2.001 s" in translations.of_finding(finding, "en")
