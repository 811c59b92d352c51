"""Small captures of real traffic in which the plain numbers are easily got wrong, with what tshark, Zeek or
the packets say of each.

They aren't part of the project: where they are absent, these tests are skipped. `test_shapes` has captures of
the same shapes.
"""

from pathlib import Path

import pytest

from tests.view.capture.tape import read

# Beside the checkout, or beside a copy inside it
FOLDERS = [parent / "shared" / "captures" for parent in Path(__file__).parents]
FOLDER = next((folder for folder in FOLDERS if folder.is_dir()), FOLDERS[0])
pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="the shared captures aren't here")

# By file: for each connection octets each way, segments sent again, how it closed, and Zeek's words; None:
# not known from elsewhere
ROWS = {
    "refused-then-accepted": [(0, 56_132, 2, "open", None)],
    "stray-ack-before-synack": [(427, 7131, 1, "open", None), (344, 1507, 1, "three-way", None)],
    "rst-before-synack": [(175, 0, 0, "RST by other", None)],
    "syn-again-after-rst": [(0, 0, 2, "refused", None)],
    "offload-acked-before-seen": [(72_574, 83_782, 0, "open", None)],
    "window-probe-then-data": [(0, 25_100, 0, "open", None)],
    "triplicate-mirror": [(64, 51, 0, "open", None), (24, 17, 0, "open", None)],
    "zeek-rst-after-both-fins-SF": [(540, 5653, 0, "RST by other", "SF ShAdDafFr")],
    "zeek-one-sided-G": [(0, 259, 0, "half-closed", "SHR ^hadf")],
    "zeek-T-out-of-order": [(1685, 223, 1, "four-way", "SF ShADadtTfF")],
    "zeek-synack-first-S1": [(110, 90, 0, "open", "S1 ^hADd")],
    "zeek-gap-at-end": [(538, 0, 0, "four-way", "SF ShADafgF")],
    "zeek-gap-truncated-snaplen": [(474, 23_783, 2, "RST by opener", "RSTO ShADaGdgtR")],
}


@pytest.mark.parametrize("name", ROWS)
def test_rows(name: str) -> None:
    found, _, _ = read((FOLDER / f"{name}.pcap").read_bytes())
    for connection, (sent, received, again, closing, zeek) in zip(found, ROWS[name], strict=True):
        one, two = connection.ends
        assert (one.data, two.data, one.retransmissions + two.retransmissions) == (sent, received, again)
        assert connection.closing.value == closing
        assert zeek in (None, f"{connection.zeek.state} {connection.zeek.history}")


def test_a_mirrored_capture_says_so() -> None:
    found, _, _ = read((FOLDER / "triplicate-mirror.pcap").read_bytes())
    assert [connection.copies for connection in found] == [26, 14]
    assert [sum(end.packets for end in connection.ends) for connection in found] == [39, 21]


def test_octets_that_are_missing() -> None:
    (found,), _, _ = read((FOLDER / "zeek-gap-at-end.pcap").read_bytes())
    assert [end.missing for end in found.ends] == [0, 2902]


def test_zeek_divides_by_its_timers() -> None:
    found, _, _ = read((FOLDER / "syn-again-after-rst.pcap").read_bytes(), zeek_timers=True)
    assert [f"{connection.zeek.state} {connection.zeek.history}" for connection in found] == ["REJ Sr"] * 3
