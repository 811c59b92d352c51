"""Each stream of the captures that the tests of this folder make has, for tshark, as many packets, octets and
retransmissions as for Postel, and the same completeness.

`conftest.py` keeps the captures while the other tests run, and puts this module's test behind them. Left out
are those that hypothesis makes, since nothing is known of such segments, and those with other links than
Ethernet, or with tags or tunnels. All captures become one file, so that tshark runs only once; each gets
addresses of its own. Where both differ on purpose, `DIFFERENT` tells why.
"""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from postel.view.capture.table import Seen
from tests.view.capture.tape import GATHERED, PCAP, read

FIELDS = (
    "tcp.stream",
    "ip.src",
    "ipv6.src",
    "tcp.srcport",
    "tcp.len",
    "frame.len",
    "tcp.analysis.retransmission",
    "tcp.completeness",
)


DIFFERENT = {  # by the name of the test, and why
    "test_a_challenge_ack_before_the_syn_ack": "tshark counts after numbers that the SYN,ACK made void",
    "test_refused_then_accepted": "as test_a_challenge_ack_before_the_syn_ack",
    "test_a_forged_rst_before_the_syn_ack": "as test_a_challenge_ack_before_the_syn_ack",
    "test_acknowledged_before_it_was_captured": "the capture lacked the segment: nothing was sent again",
    "test_text_that_comes_after_its_acknowledgement_was_never_seen_before": "as above",
    "test_copies_are_left_out_of_the_reckoning": "tshark counts packets that a mirror port repeats",
    "test_forgotten_when_it_has_been_over_for_2msl": "tshark forgets no stream",
    "test_what_is_unusual[cut]": "tshark doesn't believe IP's length where the frame is shorter",
    "test_time_that_goes_back_is_noticed": "tshark takes time that goes back for a long wait",
}


class Stream(NamedTuple):
    """What is compared of one connection."""

    packets: int
    octets: int  # of whole frames
    text: int  # octets of payload as they were sent, with those that were sent again
    retransmissions: int
    completeness: int


def frames(octets: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """Time, header and frame of each packet."""
    at = 24
    while at + 16 <= len(octets):
        seconds, fraction, captured, _ = (
            int.from_bytes(octets[at + 4 * field : at + 4 * field + 4], "little") for field in range(4)
        )
        yield seconds * 1_000_000 + fraction, octets[at : at + 16], octets[at + 16 : at + 16 + captured]
        at += 16 + captured


def is_plain(octets: bytes) -> bool:
    """Whether it is a pcap file of IPv4 and IPv6 packets in Ethernet frames."""
    return (
        octets[:20] == PCAP
        and octets[20] == 1
        and all(
            frame[12:14] in (b"\x08\x00", b"\x86\xdd") and len(frame) >= 54 for _, _, frame in frames(octets)
        )
    )


def readdressed(frame: bytes, number: int) -> bytes:
    """With addresses that no other capture has: two octets in the middle of each are the capture's number."""
    number_octets = number.to_bytes(2, "big")
    places = (27, 31) if frame[12:14] == b"\x08\x00" else (24, 40)
    for place in places:
        frame = frame[:place] + number_octets + frame[place + 2 :]
    return frame


def by_tshark(file: Path) -> dict[int, list[Stream]]:
    """The streams of each capture, in the order in which they began."""
    told = subprocess.run(
        ["tshark", "-n", "-2", "-r", str(file), "-T", "fields", *(f"-e{field}" for field in FIELDS)],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    found: dict[int, dict[str, list[int]]] = {}
    for line in told.splitlines():
        stream, four, six, _, length, frame, again, completeness = line.split("\t")
        if not stream:
            continue
        number = capture_of(four, six)
        row = found.setdefault(number, {}).setdefault(stream, [0, 0, 0, 0, 0])
        row[0] += 1
        row[1] += int(frame)
        row[2] += int(length)
        row[3] += bool(again)
        row[4] = int(completeness)
    return {number: [Stream(*row) for row in rows.values()] for number, rows in found.items()}


def capture_of(four: str, six: str) -> int:
    if four:
        _, high, low, _ = map(int, four.split("."))
        return high << 8 | low
    return int(six.split(":")[1], 16)


def by_postel(octets: bytes) -> list[Stream]:
    text: dict[int, int] = {}

    def look(seen: Seen) -> None:
        number = seen.end.connection.number
        text[number] = text.get(number, 0) + seen.length

    return [
        Stream(
            sum(end.packets for end in one.ends),
            sum(end.octets for end in one.ends),
            text.get(one.number, 0),
            sum(end.retransmissions for end in one.ends),
            one.completeness,
        )
        for one in read(octets, look)[0]
    ]


def test_all_captures_of_these_tests(tmp_path: Path) -> None:
    if shutil.which("tshark") is None:
        pytest.skip("there is no tshark")
    captures = {number: octets for number, octets in enumerate(GATHERED, 1) if is_plain(octets)}
    if not captures:
        pytest.skip("no other test of this folder ran before")
    file = tmp_path / "all.pcap"
    packets = [
        header + readdressed(frame, number)
        for number, octets in captures.items()
        for _, header, frame in frames(octets)
    ]
    file.write_bytes(PCAP + (1).to_bytes(4, "little") + b"".join(packets))
    theirs = by_tshark(file)
    different = {
        GATHERED[octets]: (ours, theirs.get(number, []))
        for number, octets in captures.items()
        if (ours := by_postel(octets)) != theirs.get(number, [])
        and not {GATHERED[octets], GATHERED[octets].partition("[")[0]} & DIFFERENT.keys()
    }
    assert different == {}
