"""From octets to a connection: the rules that hold before the state machine (EP-PRE, RFC 9293, 3.1 and
3.2).
"""

from dataclasses import replace

import pytest

from postel.errors import WireError
from postel.tcp.config import DEFAULT
from postel.tcp.state import SYN_RECEIVED
from postel.testing import states
from postel.testing.states import LOCAL, PLAIN, REMOTE, SYNCHRONIZED, Maker, Peer, Scene, established, listen
from postel.wire.segment import (
    ABSENT,
    ACK,
    CWR,
    ECE,
    FIN,
    SYN,
    checksum_is_right,
    encode_for,
    parse,
    parse_leniently,
)

NOP, END = b"\x01", b"\x00"


def octets_of(scene: Scene, flags: int, data: bytes = b"", options: bytes = b"") -> bytes:
    """A segment of the peer as it travels, with these options as they stand, and the right checksum."""
    segment = scene.segment(flags, data)
    segment.mss, segment.window_scale, segment.sack_permitted, segment.tsval = ABSENT, ABSENT, False, ABSENT
    plain = encode_for(segment, REMOTE.address, LOCAL.address)
    options += END * (-len(options) % 4)
    changed = bytearray(plain[:20] + options + data)
    changed[12] = (20 + len(options)) // 4 << 4
    return with_checksum(changed)


def with_checksum(octets: bytearray) -> bytes:
    octets[16:18] = b"\x00\x00"
    pseudo_header = REMOTE.address + LOCAL.address + bytes([0, 6]) + len(octets).to_bytes(2, "big")
    value = -int.from_bytes(pseudo_header + octets + bytes(len(octets) % 2), "big") % 0xFFFF
    octets[16:18] = value.to_bytes(2, "big")
    return bytes(octets)


def hears(scene: Scene, octets: bytes) -> list[str]:
    """As a host does: what isn't sound never reaches the connection."""
    if not checksum_is_right(octets, 0, len(octets), REMOTE.address, LOCAL.address):
        return []
    try:
        segment = parse_leniently(octets, 0, len(octets))
    except WireError:
        return []
    scene.connection.segment_arrives(segment, scene.now)
    return scene.drain()


def test_what_is_sound_arrives() -> None:
    scene = established()
    hears(scene, octets_of(scene, ACK, b"hello"))
    assert scene.reads() == b"hello"


@pytest.mark.label("EP-PRE-1", "BAD-HDR-1", "RFC9293-3.1-doffset")
@pytest.mark.parametrize("make", [listen, *SYNCHRONIZED.values()])
def test_ep_pre_1_a_segment_cut_in_its_header_leaves_no_trace(make: Maker) -> None:
    scene = make()
    whole = octets_of(scene, ACK, b"", NOP * 8)
    before = scene.image()
    for length in range(28):
        assert hears(scene, with_checksum(bytearray(whole[: max(18, length)]))[:length]) == []
    for offset in (0, 1, 2, 3, 4, 8, 15):
        cut = bytearray(whole)
        cut[12] = offset << 4
        assert hears(scene, with_checksum(cut)) == []
    assert scene.image() == before


@pytest.mark.label("MUST-2", "MUST-3", "EP-PRE-2", "BAD-CSUM-1")
def test_must_3_no_flipped_bit_gets_through() -> None:
    scene = established()
    octets = octets_of(scene, ACK, b"odd")
    before = scene.image()
    for bit in range(8 * len(octets)):
        damaged = bytearray(octets)
        damaged[bit // 8] ^= 1 << bit % 8
        assert hears(scene, bytes(damaged)) == []
    assert scene.image() == before


@pytest.mark.label("MUST-2")
def test_must_2_every_segment_that_leaves_has_its_checksum() -> None:
    for config in (PLAIN, DEFAULT):
        for make in states.EVERY.values():
            scene = make(config, Peer(tsval=1, sack=True, window_scale=2))
            for flags in (SYN, ACK, FIN | ACK):
                scene.hears(flags, b"x", seq=scene.nxt + 5)
                for segment in scene.sent:
                    octets = encode_for(segment, LOCAL.address, REMOTE.address)
                    assert checksum_is_right(octets, 0, len(octets), LOCAL.address, REMOTE.address)


@pytest.mark.label("MUST-4", "MUST-64", "EP-PRE-8", "MUST-14")
@pytest.mark.parametrize("before", range(4))
def test_must_64_options_begin_anywhere(before: int) -> None:
    scene = listen()
    hears(
        scene,
        octets_of(scene, SYN, options=NOP * before + bytes.fromhex("0204 03e7") + END + b"\x02\x04\x00\x01"),
    )
    assert scene.state is SYN_RECEIVED
    assert scene.tcb.path.peer_mss == 999


@pytest.mark.label("MUST-5", "MUST-6", "MUST-68", "EP-PRE-6", "RFC3360-2")
@pytest.mark.parametrize("kind", [6, 9, 30, 69, 253, 254])
@pytest.mark.parametrize("make", [maker for name, maker in SYNCHRONIZED.items() if name != "LAST-ACK"])
def test_must_6_unknown_options_are_skipped_by_their_length(make: Maker, kind: int) -> None:
    """Beside a known one behind them, on any segment."""
    scene, plain = make(), make()
    hears(scene, octets_of(scene, ACK, b"text", bytes([kind, 5, 1, 2, 3]) + NOP))
    hears(plain, octets_of(plain, ACK, b"text"))
    assert scene.image() == plain.image()


@pytest.mark.label("MUST-7", "EP-PRE-5", "BAD-OPT-1", "BAD-OPT-2", "BAD-OPT-8")
@pytest.mark.parametrize("options", ["0200", "0201", "080a0000", "0522", "fe00", "01010102", "0828"])
@pytest.mark.parametrize(
    "make", [listen, states.syn_sent, *[maker for name, maker in SYNCHRONIZED.items() if name != "LAST-ACK"]]
)
@pytest.mark.parametrize("flags", [SYN, ACK, SYN | ACK])
def test_must_7_what_follows_a_lie_in_the_list_is_ignored(make: Maker, options: str, flags: int) -> None:
    """Not D-2, which drops the segment: other receivers ignore the option, and a reset would let anybody
    outside end connections.
    """
    scene, plain = make(), make()
    heard = hears(scene, octets_of(scene, flags, options=bytes.fromhex(options)))
    assert heard == hears(plain, octets_of(plain, flags))
    assert scene.image() == plain.image()


@pytest.mark.label("EP-PRE-7", "BAD-OPT-4")
@pytest.mark.parametrize(
    "option",
    [
        "0202",
        "020305",
        "0205010203",
        "020601020304",
        "0302",
        "03040102",
        "040301",
        "080900000000000000",
        "080b000000000000000000",
    ],
)
def test_bad_opt_4_a_wrong_length_makes_an_option_count_for_nothing(option: str) -> None:
    scene, plain = listen(DEFAULT), listen(DEFAULT)
    hears(scene, octets_of(scene, SYN, options=bytes.fromhex(option)))
    hears(plain, octets_of(plain, SYN))
    assert scene.image() == plain.image()
    assert scene.state is SYN_RECEIVED


@pytest.mark.label("BAD-OPT-7")
@pytest.mark.parametrize(("kind", "length"), [(19, 2), (19, 3), (19, 4), (19, 18), (29, 4), (29, 18)])
def test_bad_opt_7_signatures_without_a_key_are_ignored(kind: int, length: int) -> None:
    scene = established()
    hears(scene, octets_of(scene, ACK, b"signed", bytes([kind, length]) + bytes(length - 2)))
    assert scene.reads() == b"signed"


@pytest.mark.label("BAD-OPT-7", "RFC5925-2.2")
@pytest.mark.parametrize("make", [listen, *SYNCHRONIZED.values()])
@pytest.mark.parametrize("options", ["1d02", "1d0301", "1d0401021d040102", "1d0401021302"])
def test_bad_opt_7_what_is_no_tcp_ao_leaves_no_trace(options: str, make: Maker) -> None:
    scene = make()
    before = scene.image()
    assert hears(scene, octets_of(scene, ACK, b"signed", bytes.fromhex(options))) == []
    assert scene.image() == before


@pytest.mark.label("RFC9293-3.1-reserved", "BAD-HDR-4", "RFC3360-2")
@pytest.mark.parametrize("bits", range(16))
def test_bad_hdr_4_reserved_bits_change_nothing(bits: int) -> None:
    """The lowest is AE: reserved without RFC 9768, with which it means something on a SYN
    (tests/tcp/test_ecn_negotiation.py).
    """
    config = replace(PLAIN, ecn="accept-classic")
    for flags in (SYN, ACK, ACK | ECE | CWR, FIN | ACK):
        for make in (listen, established, states.fin_wait_1):
            scene, plain = make(config), make(config)
            octets = bytearray(octets_of(scene, flags, b"text"))
            octets[12] |= bits
            answers = hears(scene, with_checksum(octets))
            assert answers == hears(plain, octets_of(plain, flags & ~(ECE | CWR), b"text"))
            assert scene.image() == plain.image()
            for segment in scene.sent:
                assert encode_for(segment, LOCAL.address, REMOTE.address)[12] & 0x0F == 0


@pytest.mark.label("RFC9293-3.1-doffset", "MUST-69")
@pytest.mark.parametrize("filler", [b"\x00\x00\x00", b"\x02\x04\x00", b"\xff\xff\xff"])
def test_must_69_what_stands_behind_the_end_of_the_list_is_padding(filler: bytes) -> None:
    scene = established()
    hears(scene, octets_of(scene, ACK, b"text", END + filler))
    assert scene.reads() == b"text"


@pytest.mark.label("RFC9293-3.4-seglen")
@pytest.mark.parametrize(
    ("flags", "data", "length"), [(SYN, b"", 1), (FIN | ACK, b"ab", 3), (SYN | FIN, b"ab", 4), (ACK, b"", 0)]
)
def test_rfc9293_3_4_seglen_syn_before_and_fin_behind_the_text(flags: int, data: bytes, length: int) -> None:
    scene = established()
    octets = octets_of(scene, flags, data)
    assert parse(octets, 0, len(octets)).len == length
