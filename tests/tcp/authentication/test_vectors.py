"""RFC 9235: what its client and its server sent, made here and accepted here, octet by octet."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

from postel.tcp.authentication import UNKNOWN
from postel.tcp.authentication.ao import Ao
from postel.tcp.authentication.keys import Key, mac, traffic_key
from postel.wire import ip, options, signature
from postel.wire.address import Endpoint
from postel.wire.ip import Packet
from postel.wire.segment import ACK, CHECKSUM_AT, SYN, parse

VECTORS = tomllib.loads((Path(__file__).parent / "rfc9235.toml").read_text("utf-8"))["vector"]
CLIENT, SERVER = 61, 84


def key_of(vector: dict[str, Any], send_id: int, receive_id: int) -> Key:
    return Key(
        b"testvector",
        send_id=send_id,
        receive_id=receive_id,
        algorithm=vector["algorithm"],
        covers_options=vector["covers_options"],
    )


def packet_of(vector: dict[str, Any]) -> Packet:
    return ip.parse(bytes.fromhex(vector["octets"]))


@pytest.mark.label("RFC5926-2.2", "RFC5925-5.1")
@pytest.mark.parametrize("vector", VECTORS, ids=[vector["section"] for vector in VECTORS])
class TestVector:
    def test_the_traffic_key(self, vector: dict[str, Any]) -> None:
        packet = packet_of(vector)
        isns = vector["source_isn"].to_bytes(4, "big") + vector["destination_isn"].to_bytes(4, "big")
        context = packet.source + packet.destination + packet.payload[:4] + isns
        assert traffic_key(key_of(vector, 0, 0), context).hex() == vector["traffic_key"]

    def test_the_mac(self, vector: dict[str, Any]) -> None:
        packet = packet_of(vector)
        octets, start, end = packet.octets, packet.start, packet.end
        at = signature.place(octets, start, options.AO)
        covers = vector["covers_options"]
        covered = signature.covered_by_ao(
            octets, start, end, packet.source, packet.destination, at=at, extension=0, options=covers
        )
        assert (
            mac(vector["algorithm"], bytes.fromhex(vector["traffic_key"]), covered)
            == octets[at + 4 : at + 16]
        )

    def test_whom_it_is_for_accepts_it(self, vector: dict[str, Any]) -> None:
        packet = packet_of(vector)
        segment = parse(packet.octets, packet.start, packet.end)
        value = dict(segment.other)[options.AO]
        local, remote = (
            Endpoint(packet.destination, segment.destination),
            Endpoint(packet.source, segment.source),
        )
        receiver = Ao(local, remote, (key_of(vector, value[1], value[0]),), heeds_icmp=False)
        irs = UNKNOWN if segment.flags & SYN else vector["source_isn"]
        assert (
            receiver.objection(
                packet.octets, packet.start, packet.end, segment, vector["destination_isn"], irs
            )
            == ""
        )
        assert (receiver.accepted, receiver.refused, receiver.heard) == (1, 0, (value[0], value[1]))
        broken = packet.octets[:-1] + bytes((packet.octets[-1] ^ 1,))
        segment = parse(broken, packet.start, packet.end)
        assert (
            receiver.objection(broken, packet.start, packet.end, segment, vector["destination_isn"], irs)
            == "signature_wrong"
        )
        assert (receiver.accepted, receiver.refused) == (1, 1)

    def test_its_sender_makes_it(self, vector: dict[str, Any]) -> None:
        packet = packet_of(vector)
        segment = parse(packet.octets, packet.start, packet.end)
        value = dict(segment.other)[options.AO]
        segment.other = ()
        local, remote = (
            Endpoint(packet.source, segment.source),
            Endpoint(packet.destination, segment.destination),
        )
        sender = Ao(local, remote, (key_of(vector, value[0], value[1]),), heeds_icmp=False)
        irs = UNKNOWN if segment.flags & (SYN | ACK) == SYN else vector["destination_isn"]
        made = sender.seal(segment, options.PACKED, vector["source_isn"], irs)
        told = packet.octets[packet.start : packet.end]
        if len(packet.source) == 4:
            made, told = [octets[:CHECKSUM_AT] + octets[CHECKSUM_AT + 2 :] for octets in (made, told)]
        assert made == told


def test_every_kind_of_segment_is_there() -> None:
    assert {vector["algorithm"] for vector in VECTORS} == {"SHA1", "AES128"}
    assert len(VECTORS) == 28


@pytest.mark.label("RFC5926-2.2")
@pytest.mark.parametrize("size", [1, 10, 15, 17, 40])
def test_rfc5926_2_2_a_secret_that_is_no_key_of_aes_is_made_one(size: int) -> None:
    keys = {traffic_key(Key(bytes(size), algorithm="AES128"), b"context") for size in (size, 16)}
    assert len(keys) == 2
    assert {len(key) for key in keys} == {16}
