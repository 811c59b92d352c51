"""conn_state and history, as Zeek's documentation of conn.log defines them."""

import pytest

from postel.view.capture import Connection, connlog
from postel.view.capture.zeek import Zeek
from postel.wire.address import Endpoint, parse
from postel.wire.segment import ACK, FIN, PSH, RST, SYN
from tests.view.capture.tape import IPV6_ENDS, LEFT, RIGHT, Tape, pcap, read, record

DATA = ACK | PSH
OTHER = Endpoint(RIGHT.address, 50_000)
SERVER = Endpoint(LEFT.address, 443)

ORIGINATOR, RESPONDER = 0, 1
FLAGS = {
    "S": SYN,
    "H": SYN | ACK,
    "A": ACK,
    "D": ACK | PSH,
    "F": FIN | ACK,
    "R": RST,
    "I": FIN | RST,
    "Q": SYN | FIN,
    "X": SYN | RST,
}


def seen(script: str, *, flipped: bool = False) -> Zeek:
    """A segment a letter, upper case from the originator."""
    zeek = Zeek(flipped=flipped)
    for number, letter in enumerate(script):
        kind = letter.upper()
        zeek.take(int(letter.islower()), FLAGS[kind], 5 * number, 0, 1000, 5 if kind == "D" else 0)
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
        ("ShADafFr", "SF"),
        ("ShADafR", "RSTO"),
        ("Sa", "S0"),  # an ACK before the SYN,ACK tells nothing of the responder
        ("SaR", "RSTOS0"),
        ("SaRh", "RSTO"),
        ("Sd", "OTH"),
        ("Ss", "S1"),  # any SYN of the responder establishes both
        ("AS", "S0"),
        ("Asr", "RSTRH"),
        ("ASr", "REJ"),
        ("ShADFRf", "SF"),  # a RST after a FIN, and the other's FIN
        ("ShADaRf", "RSTO"),
        ("SI", "OTH"),
        ("Q", "SH"),
    ],
)
def test_states(script: str, state: str) -> None:
    assert seen(script).state == state


@pytest.mark.parametrize(("script", "state"), [("hr", "RSTRH"), ("hf", "SHR"), ("h", "OTH"), ("hA", "S1")])
def test_states_of_who_answers_first(script: str, state: str) -> None:
    assert seen(script, flipped=True).state == state


@pytest.mark.parametrize(
    ("script", "history"),
    [
        ("ShADaddADfFa", "ShADadfF"),  # a and d once in each direction
        ("SSS", "S"),  # a SYN with another number begins the end's numbers anew
        ("ShARR", "ShARR"),  # f and r again where the number isn't the first one's
        ("I", "I"),
        ("Q", "Q"),
        ("X", "Q"),
    ],
)
def test_history(script: str, history: str) -> None:
    assert seen(script).history == history


@pytest.mark.parametrize(
    ("flags", "numbers", "history"),
    [(SYN, [7, 7, 7], "S"), (FIN, [7, 7, 7], "F"), (FIN, [7, 8, 8, 7], "FFF")],
)
def test_the_number_of_the_last_one_isn_t_written_again(flags: int, numbers: list[int], history: str) -> None:
    zeek = Zeek(flipped=False)
    for number in numbers:
        zeek.take(ORIGINATOR, flags, number, 0, 1000, 0)
    assert zeek.history == history


@pytest.mark.parametrize(("times", "history"), [(1, "t"), (9, "t"), (10, "tt"), (99, "tt"), (100, "ttt")])
def test_a_logarithm(times: int, history: str) -> None:
    zeek = Zeek(flipped=False)
    for _ in range(times):
        zeek.note(RESPONDER, "t")
    assert zeek.history == history


def test_of_a_capture() -> None:
    """Retransmitted text, a zero window, a gap; and the direction turned round where the SYN,ACK comes
    first.
    """
    tape = (
        Tape()
        .handshake()
        .left(ACK | PSH, 1, 1, b"hello")
        .left(ACK | PSH, 1, 1, b"hello")
        .right(ACK, 1, 6, window=0)
    )
    tape.right(ACK | PSH, 1, 6, b"x").left(ACK, 6, 100)
    assert tape.connection().zeek.history == "ShADTawdg"  # the last ACK covers what wasn't captured


@pytest.mark.parametrize(
    ("tape", "history"),
    [
        (Tape().right(SYN | ACK, 0, 1).left(ACK, 1, 1), "^hA"),
        (Tape().right(DATA, 1, 1, b"x").left(ACK, 1, 2), "^dA"),  # port 80 is a server's
        (Tape().right(RST, 1), "^r"),
        (Tape(SERVER, RIGHT).right(DATA, 1, 1, b"x"), "^d"),  # of two servers' ports, the smaller
    ],
)
def test_turned_round(tape: Tape, history: str) -> None:
    assert tape.connection().zeek.history == history
    assert tape.connection().ends[0].endpoint == tape.ends[0]


@pytest.mark.parametrize(
    "tape",
    [
        Tape().right(SYN, 0),  # a SYN settles it
        Tape().left(DATA, 1, 1, b"x"),
        Tape(LEFT, OTHER).right(DATA, 1, 1, b"x"),  # no port but a server's tells anything
        Tape(SERVER, RIGHT).left(DATA, 1, 1, b"x"),
    ],
)
def test_not_turned_round(tape: Tape) -> None:
    assert "^" not in tape.connection().zeek.history


def test_text_that_comes_after_its_acknowledgement_was_never_seen_before() -> None:
    tape = Tape().handshake().left(DATA, 1, 1, b"x").right(ACK, 1, 7).left(DATA, 2, 1, b"hello")
    connection = tape.connection()
    assert connection.zeek.history == "ShADaG"
    assert (connection.ends[0].data, connection.ends[0].retransmissions) == (6, 0)


@pytest.mark.parametrize("ends", [(LEFT, RIGHT), IPV6_ENDS])
def test_checksums_that_are_wrong(ends: tuple[Endpoint, Endpoint]) -> None:
    """They count for ``c``, at the 1st and 10th time, and for nothing else. Without ``checksums`` they are
    like others.
    """
    tape = Tape(*ends).handshake()
    for _ in range(10):
        tape.left(DATA, 1, 1, b"12")
        when, octets = tape.packets.pop()
        tape.packets.append((when, octets[:-1] + b"?"))
    tape.left(DATA, 1, 1, b"12")
    (asked,), _, _ = read(tape.pcap(), checksums=True)
    assert (asked.zeek.history, asked.ends[0].packets, asked.ends[0].retransmissions) == ("ShACCD", 3, 0)
    assert tape.connection().zeek.history == "ShADTT"


def test_a_checksum_over_what_wasn_t_captured_isn_t_wrong() -> None:
    when, octets = Tape().handshake().left(DATA, 1, 1, b"x" * 1000).packets[-1]
    cut = record(when, octets)
    (one,), _, _ = read(pcap([]) + cut[:8] + (70).to_bytes(4, "little") + cut[12:86], checksums=True)
    assert one.zeek.history == "D"


# Timers, and the log


@pytest.mark.parametrize(
    ("tape", "milliseconds", "connections"),
    [
        (Tape().left(SYN, 0), 4900, 1),
        (Tape().left(SYN, 0), 5100, 2),  # an attempt without an answer
        (Tape().left(SYN, 0).right(RST | ACK, 0, 1), 90, 1),
        (Tape().left(SYN, 0).right(RST | ACK, 0, 1), 110, 2),  # a reset
        (Tape().handshake().close(), 4900, 1),
        (Tape().handshake().close(), 5100, 2),  # a close
        (Tape().left(FIN | ACK, 1, 1), 2900, 1),
        (Tape().left(FIN | ACK, 1, 1), 3100, 2),  # of one end alone
        (Tape().handshake(), 299_000, 1),
        (Tape().handshake(), 301_000, 2),  # inactivity
    ],
)
def test_timers_divide(tape: Tape, milliseconds: int, connections: int) -> None:
    later = Tape()
    later.packets, later.now = list(tape.packets), tape.now
    octets = later.wait(milliseconds).left(ACK, 1, 1).pcap()
    assert len(read(octets, zeek_timers=True)[0]) == connections


FIELDS = next(line for line in connlog.heading(connlog.now()) if line.startswith("#fields")).split("\t")[1:]


def logged(connection: Connection) -> dict[str, str]:
    return dict(zip(FIELDS, connlog.line(connection).split("\t"), strict=True))


def test_a_line_of_conn_log() -> None:
    tape = Tape().handshake().left(DATA, 1, 1, b"hello").right(ACK, 1, 6).close(6)
    line = logged(tape.connection())
    assert [line[field] for field in FIELDS[2:7]] == ["10.0.0.1", "1024", "10.0.0.2", "80", "tcp"]
    assert (line["conn_state"], line["history"], line["orig_bytes"], line["resp_bytes"]) == (
        "SF",
        "ShADaFf",
        "5",
        "0",
    )
    assert (line["ts"], line["duration"], line["service"], line["missed_bytes"]) == (
        "1.000000",
        "0.008000",
        "-",
        "0",
    )
    assert (line["orig_pkts"], line["resp_pkts"], line["local_orig"], line["ip_proto"]) == (
        "5",
        "4",
        "T",
        "6",
    )
    assert int(line["orig_ip_bytes"]) == sum(
        len(octets) - 14 for _, octets in tape.packets if octets[26:30] == b"\x0a\x00\x00\x01"
    )
    assert logged(tape.connection()) == line


def test_an_attempt_has_neither_duration_nor_octets() -> None:
    line = logged(Tape().left(SYN, 0).connection())
    assert (line["duration"], line["orig_bytes"], line["resp_bytes"], line["conn_state"]) == (
        "-",
        "-",
        "-",
        "S0",
    )


LOCAL = ["10.1.2.3", "172.31.0.1", "192.168.1.1", "100.64.0.1", "127.0.0.1", "fd00::1", "fe80::1", "::1"]


@pytest.mark.parametrize("address", [*LOCAL, "172.32.0.1", "8.8.8.8", "2001:db8::1", "100.128.0.1"])
def test_local_networks(address: str) -> None:
    end = Endpoint(parse(address), 1024)
    other = Endpoint(parse("fd00::9" if ":" in address else "10.0.0.9"), 80)
    assert logged(Tape(end, other).left(SYN, 0).connection())["local_orig"] == (
        "T" if address in LOCAL else "F"
    )
