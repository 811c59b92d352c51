"""Kinds of capture files: old and modified pcap, compressed, damaged there, several at once."""

import bz2
import gzip
import io
import lzma
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec

import pytest

from postel.errors import ArgumentError
from postel.view.capture import Connection, Reader, Table
from postel.view.capture.connection import Closing
from postel.view.capture.files import Merged, plain
from postel.wire.address import Endpoint, parse
from tests.view.capture.tape import RIGHT, Tape

OTHER = Endpoint(parse("10.0.0.9"), 999)


def talk(tape: Tape | None = None) -> Tape:
    return (
        (tape or Tape())
        .handshake()
        .left(0x18, 1, 1, b"x" * 500)
        .right(0x18, 1, 501, b"y" * 300)
        .close(501, 301)
    )


def told(*files: bytes) -> tuple[list[Connection], Merged]:
    found: list[Connection] = []
    reader, table = Merged([Reader(plain(io.BytesIO(file))) for file in files]), Table(found.append)
    for octets, frames in reader.chunks():
        table.take(octets, frames)
    table.finish()
    assert not table.goes_back
    return sorted(found, key=lambda connection: connection.number), reader


def facts(found: list[Connection]) -> list[tuple[object, ...]]:
    return [(connection.closing, *(end.data for end in connection.ends)) for connection in found]


WHOLE = [(Closing.FOUR_WAY, 500, 300)]


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress, bytes])
def test_compressed(compress: Callable[[bytes], bytes]) -> None:
    found, reader = told(compress(talk().pcap()))
    assert facts(found) == WHOLE
    assert reader.damage is None


@pytest.mark.skipif(find_spec("zstandard") is None, reason="zstandard isn't installed")
def test_zstd() -> None:
    compress = import_module("zstandard").compress
    assert facts(told(compress(talk().pcap()))[0]) == WHOLE


@pytest.mark.skipif(
    find_spec("compression") is not None or find_spec("zstandard") is not None, reason="zstd is here"
)
def test_without_zstd_the_error_says_what_to_do() -> None:
    with pytest.raises(ArgumentError, match="zstd -dc FILE"):
        told(b"\x28\xb5\x2f\xfd" + bytes(100))


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress])
def test_a_compressed_file_that_is_cut_or_damaged(compress: Callable[[bytes], bytes]) -> None:
    octets = compress(talk().pcap() * 1)
    for damaged in (
        octets[: len(octets) * 3 // 4],
        octets[: len(octets) // 2] + b"\xff\x00\xff" + octets[len(octets) // 2 + 3 :],
    ):
        _, reader = told(damaged)
        assert reader.damage is not None
        assert "compressed file is damaged" in str(reader.damage)


def rewritten(header: bytes, record: Callable[[bytes], bytes]) -> bytes:
    octets, at = talk().pcap(), 24
    out = header + octets[len(header) : 24]
    while at < len(octets):
        captured = int.from_bytes(octets[at + 8 : at + 12], "little")
        out += record(octets[at : at + 16]) + octets[at + 16 : at + 16 + captured]
        at += 16 + captured
    return out


def test_modified_pcap() -> None:
    """With the interface, the protocol and the direction behind the lengths."""
    assert facts(told(rewritten(b"\x34\xcd\xb2\xa1", lambda header: header + bytes(8)))[0]) == WHOLE


def test_pcap_2_2_has_its_lengths_the_other_way_round() -> None:
    old = b"\xd4\xc3\xb2\xa1\x02\x00\x02\x00"
    longer = rewritten(old, lambda header: header[:8] + (1500).to_bytes(4, "little") + header[8:12])
    assert facts(told(longer)[0]) == WHOLE


def test_several_files_are_one_capture_in_the_order_of_time() -> None:
    """Rotated, given in any order; and of two interfaces at the same time."""
    octets = talk()
    first, second = Tape(), Tape()
    first.packets, second.packets = octets.packets[:4], octets.packets[4:]
    beside = talk(Tape(OTHER, RIGHT))
    beside.packets = [(when + 500, frame) for when, frame in beside.packets]
    found, _ = told(second.pcap(), beside.pcap(), first.pcap())
    assert facts(found) == WHOLE * 2


def test_the_damage_of_any_file_is_told() -> None:
    found, reader = told(talk().pcap(), talk(Tape(OTHER, RIGHT)).pcap()[:-1])
    assert len(found) == 2
    assert reader.damage is not None
