"""conn_state and history, as Zeek's documentation of conn.log defines them."""

import pytest

from postel.view.capture.zeek import Zeek
from postel.wire.segment import ACK, FIN, PSH, RST, SYN
from tests.view.capture.tape import Tape

ORIGINATOR, RESPONDER = 0, 1
FLAGS = {"S": SYN, "H": SYN | ACK, "A": ACK, "D": ACK | PSH, "F": FIN | ACK, "R": RST, "I": FIN | RST, "Q": SYN | FIN, "X": SYN | RST}


def seen(script: str, *, flipped: bool = False) -> Zeek:
    """A segment a letter, upper case from the originator."""
    zeek = Zeek(flipped=flipped)
    for number, letter in enumerate(script):
        kind = letter.upper()
        zeek.take(int(letter.islower()), FLAGS[kind], number, 5 if kind == "D" else 0)
    return zeek


@pytest.mark.parametrize(
    ("script", "state"),
    [
        ("S", "S0"),
        ("Sh", "S1"),
        ("ShA", "S1"),
        ("ShADad", "S1"),
        ("ShADadFf", "SF"),
        ("ShADadfF", "SF"),
        ("Sr", "REJ"),
        ("ShADaF", "S2"),
        ("ShADaf", "S3"),
        ("ShADR", "RSTO"),
        ("ShR", "RSTO"),
        ("ShADr", "RSTR"),
        ("ShADFr", "RSTR"),
        ("SR", "RSTOS0"),
        ("SF", "SH"),
        ("SAR", "OTH"),
        ("DaD", "OTH"),
        ("Da", "OTH"),
        ("R", "OTH"),
        ("DdFf", "SF"),
        ("DF", "SH"),
        ("Dr", "RSTRH"),
        ("SsHh", "S1"),
        ("SR" + "R", "RSTOS0"),
        ("Rr", "REJ"),
    ],
)
def test_states(script: str, state: str) -> None:
    assert seen(script).state == state


@pytest.mark.parametrize(("script", "state"), [("hr", "RSTRH"), ("hf", "SHR"), ("h", "OTH"), ("hA", "OTH")])
def test_states_of_who_answers_first(script: str, state: str) -> None:
    assert seen(script, flipped=True).state == state


@pytest.mark.parametrize(
    ("script", "history"),
    [
        ("ShADaddADfFa", "ShADadfF"),  # a and d once in each direction
        ("SSS", "SSS"),  # s, h, f and r again where the number is another
        ("I", "IFR"),
        ("Q", "QSF"),
        ("X", "QSR"),
    ],
)
def test_history(script: str, history: str) -> None:
    assert seen(script).history == history


def test_the_same_number_isn_t_written_again() -> None:
    zeek = Zeek(flipped=False)
    for _ in range(3):
        zeek.take(ORIGINATOR, SYN, 7, 0)
    assert zeek.history == "S"


@pytest.mark.parametrize(("times", "history"), [(1, "t"), (9, "t"), (10, "tt"), (99, "tt"), (100, "ttt")])
def test_a_logarithm(times: int, history: str) -> None:
    zeek = Zeek(flipped=False)
    for number in range(times):
        zeek.note(RESPONDER, "t", number)
    assert zeek.history == history


def test_of_a_capture() -> None:
    """Retransmitted text, a zero window, a gap; and the direction turned round where the SYN,ACK comes first."""
    tape = Tape().handshake().left(ACK | PSH, 1, 1, b"hello").left(ACK | PSH, 1, 1, b"hello").right(ACK, 1, 6, window=0)
    tape.right(ACK | PSH, 1, 6, b"x").left(ACK, 6, 100)
    assert tape.connection().zeek.history == "ShADTawdg"  # the last ACK covers what wasn't seen
    turned = Tape().right(SYN | ACK, 0, 1).left(ACK, 1, 1).connection()
    assert turned.zeek.history == "^hA"
    assert turned.ends[0].endpoint.port == 1024
