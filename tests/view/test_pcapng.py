"""Captures, read back block by block and by tshark."""

import io
import os
import shutil
import subprocess
from pathlib import Path
from struct import unpack_from

import pytest

from postel.links import pcapng as kinds
from postel.times import SECOND
from postel.view import Trace, pcapng
from postel.wire.segment import ACK, PSH
from tests.view.stage import Stage


def scene() -> Trace:
    stage = Stage().handshake()
    request = stage.packet(stage.left, PSH | ACK, 1, 1, b"x" * 11)
    stage.departs(stage.left, request, 30, lost="loss")
    stage.crosses(stage.left, request, 1030)
    stage.crosses(stage.right, stage.packet(stage.right, ACK, 1, 12), 1040)
    return stage.trace


def blocks(octets: bytes) -> list[tuple[int, bytes]]:
    found = []
    position = 0
    while position < len(octets):
        kind, length = unpack_from("<II", octets, position)
        assert length % 4 == 0
        assert unpack_from("<I", octets, position + length - 4) == (length,)
        found.append((kind, octets[position + 8 : position + length - 4]))
        position += length
    return found


def options(octets: bytes) -> dict[int, bytes]:
    found = {}
    position = 0
    while True:
        code, length = unpack_from("<HH", octets, position)
        if code == 0:
            assert position + 4 == len(octets)
            return found
        found[code] = octets[position + 4 : position + 4 + length]
        position += 4 + length + -length % 4


def written(trace: Trace, **settings: object) -> bytes:
    file = io.BytesIO()
    pcapng.write(trace, file, **settings)  # type: ignore[arg-type]
    return file.getvalue()


def test_each_packet_is_a_block_with_a_comment() -> None:
    trace = scene()
    section, interface, *packets = blocks(written(trace))
    assert section[0] == kinds.SECTION_HEADER
    assert unpack_from("<IHHq", section[1]) == (0x1A2B3C4D, 1, 0, -1)
    assert interface[0] == kinds.INTERFACE_DESCRIPTION
    assert unpack_from("<HHI", interface[1]) == (kinds.LINKTYPE_RAW, 0, 0)
    assert options(interface[1][8:])[9] == b"\x06"
    for packet, (kind, body) in zip(trace.packets, packets, strict=True):
        assert kind == kinds.ENHANCED_PACKET
        number, high, low, captured, original = unpack_from("<IIIII", body)
        assert (number, high << 32 | low, captured, original) == (
            0,
            packet.sent_at,
            len(packet.octets),
            len(packet.octets),
        )
        assert body[20 : 20 + captured] == packet.octets
        assert options(body[20 + captured + -captured % 4 :])[1].decode() == pcapng.comment(
            packet, trace.flows[0]
        )


def test_comments_say_who_what_and_in_which_state() -> None:
    trace = scene()
    comments = [pcapng.comment(packet, trace.flows[0]) for packet in trace.packets]
    assert (
        comments[0]
        == "client → server: #1 SYN, asks to open: “my numbers start here”; SYN-SENT → SYN-RECEIVED"
    )
    assert comments[3] == "client → server: #4 PSH,ACK, lost on the way (loss); sent again as #5; ESTABLISHED"
    assert comments[4] == "client → server: #5 PSH,ACK, retransmission of #4; ESTABLISHED → ESTABLISHED"
    assert comments[5] == "server → client: #6 ACK, acknowledges up to 12; ESTABLISHED → ESTABLISHED"
    assert (
        pcapng.comment(trace.packets[2], trace.flows[0], "zh")
        == "client → server: #3 ACK, 三次握手完成; ESTABLISHED → ESTABLISHED"
    )


def test_times_are_counted_from_the_epoch_given() -> None:
    epoch = 1_700_000_000 * SECOND
    _, _, first, *_ = blocks(written(scene(), epoch=epoch))
    _, high, low = unpack_from("<III", first[1])
    assert high << 32 | low == epoch


def test_a_long_comment_is_cut_between_characters() -> None:
    stage = Stage()
    octets = stage.packet(stage.left, ACK, 1, 1)
    stage.trace.packet_sent(octets, 0)
    stage.trace.flows[0].names[stage.left] = "长" * 30000
    *_, (_, body) = blocks(written(stage.trace))
    assert len(options(body[20 + len(octets) :])[1]) == 65535


@pytest.mark.skipif(
    shutil.which("tshark") is None and "CI" not in os.environ, reason="tshark isn't installed"
)
def test_tshark_reads_it_without_a_complaint(tmp_path: Path) -> None:
    file = tmp_path / "scene.pcapng"
    trace = scene()
    file.write_bytes(written(trace, language="zh"))
    fields = (
        "-T",
        "fields",
        "-e",
        "frame.number",
        "-e",
        "frame.time_epoch",
        "-e",
        "tcp.checksum.status",
        "-e",
        "frame.comment",
    )
    command = ("tshark", "-r", str(file), "-o", "tcp.check_checksum:TRUE", *fields)
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, env={**os.environ, "LC_ALL": "C.UTF-8"}
    )
    assert not [line for line in done.stderr.splitlines() if "root" not in line]
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    assert [row[0] for row in rows] == ["1", "2", "3", "4", "5", "6"]
    assert rows[4][1] == "1.030000000"
    assert {row[2] for row in rows} == {"1"}  # good
    assert [row[3] for row in rows] == [
        pcapng.comment(packet, trace.flows[0], "zh") for packet in trace.packets
    ]
    expert = subprocess.run(
        ("tshark", "-r", str(file), "-q", "-z", "expert,warn"), capture_output=True, text=True, check=True
    )
    assert "Malformed" not in expert.stdout
