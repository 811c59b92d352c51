"""Contract 4 for handshakes: no SYN, and nothing that follows it, makes a host raise or lose a place in a
queue, from clock 0 on.
"""

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from postel.host.host import Host
from postel.tcp import half_open, seq
from postel.tcp.config import DEFAULT
from postel.tcp.half_open import packed, unpacked
from postel.tcp.observer import Observer
from postel.times import MINUTE, SECOND
from postel.wire import ip, options
from postel.wire.address import Endpoint
from postel.wire.options import ROOM
from postel.wire.segment import ACK, HEADER, PROTOCOL, SYN, Segment, parse, with_checksum
from tests.host.conftest import Peer

KNOWN = [0, 1, 2, 3, 4, 5, 8, 19, 28, 29, 34, 172, 174, 200, 253, 255]
MANY = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
CONFIG = replace(DEFAULT, fast_open="server", user_timeout_option=True, ecn="ask")


@st.composite
def option(draw: st.DrawFn) -> bytes:
    """One option: sound, of a wrong length, or cut."""
    kind = draw(st.sampled_from(KNOWN) | st.integers(0, 255))
    sizes = {2: 2, 3: 1, 4: 0, 5: 8, 8: 8, 28: 2, 34: 8}
    size = draw(st.sampled_from([sizes.get(kind, 4)] * 3 + [0, 1, 3, 16, 19, 28, 38]))
    value = draw(st.binary(min_size=size, max_size=size))
    length = draw(st.sampled_from([size + 2] * 6 + [0, 1, size + 1, size + 3, 255]))
    return bytes((kind,)) if kind < 2 else bytes((kind, length)) + value


@st.composite
def option_list(draw: st.DrawFn) -> bytes:
    """Up to 40 octets of options, aligned or not, and often all 40."""
    octets = b"".join(draw(st.lists(option(), max_size=8)))[:ROOM]
    fill = draw(st.sampled_from([b"\x00", b"\x01", b"\x02", b"\xc8"]))
    target = ROOM if draw(st.booleans()) else -(-len(octets) // 4) * 4
    return octets + fill * (target - len(octets))


def segment_octets(
    flags: int, number: int, ack: int, port: int, listed: bytes, window: int = 65535, data: bytes = b""
) -> bytes:
    head = (
        port.to_bytes(2, "big") + (80).to_bytes(2, "big") + number.to_bytes(4, "big") + ack.to_bytes(4, "big")
    )
    bits = (HEADER + len(listed)) << 10 | flags
    return head + bits.to_bytes(2, "big") + window.to_bytes(2, "big") + bytes(4) + listed + data


def packet(peer: Peer, *fields: object, mark: int = 0, **more: object) -> bytes:
    payload = with_checksum(segment_octets(*fields, **more), peer.address, peer.target)
    return ip.encode(peer.address, peer.target, PROTOCOL, payload, traffic_class=mark)


@st.composite
def moves(draw: st.DrawFn) -> list[tuple]:
    """What peers send: SYNs, then segments of any flags near the numbers of the handshake, and time."""
    return draw(
        st.lists(
            st.tuples(
                st.sampled_from([SYN, SYN, SYN, ACK, ACK]) | st.integers(0, 0x1FF),
                st.integers(1, 6),  # the port
                option_list(),
                st.sampled_from([0, 1, 1, -1, 100_000]),  # SEG.SEQ from IRS on
                st.sampled_from([1, 1, 1, 0, 2, -1, 1 << 31]),  # SEG.ACK from ISS on
                st.integers(0, 65535),
                st.sampled_from([b"", b"", b"text", bytes(700)]),
                st.sampled_from([0, 0, 0, 1, 1000, SECOND, 10 * SECOND, 64 * SECOND, 3 * MINUTE]),
                st.integers(0, 3),  # the ECN field
            ),
            max_size=25,
        )
    )


@pytest.mark.parametrize("observer", [None, Observer()], ids=["unobserved", "observed"])
@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize(
    ("backlog", "most"), [(1, 32), (2, 0), (100, 0), (100, 32)], ids=["cookies", "both", "cache", "plain"]
)
@given(moves=moves(), start=st.sampled_from([0, 0, 1, 63_999_999, 64 * SECOND, 1 << 40]), plain=st.booleans())
@settings(MANY, max_examples=25)
def test_no_handshake_makes_a_host_raise(
    observer: Observer | None,
    family: int,
    backlog: int,
    most: int,
    moves: list[tuple],
    start: int,
    plain: bool,
) -> None:
    host = Host("10.0.0.1/24", "fd00::1/64", secret=b"s", observer=observer)
    host._connections.most_half_open = most
    peer = Peer(host) if family == 4 else Peer(host, "fd00::9", "fd00::1")
    peer.now = start
    listener = host.listen(80, start, backlog=backlog, config=DEFAULT if plain else CONFIG)
    issued: dict[int, int] = {}  # the latest ISS for each port
    for flags, port, listed, ahead, acked, window, data, wait, mark in moves:
        number = 1000 if flags & (SYN | ACK) == SYN else seq.add(1000, ahead)
        ack = seq.add(issued.get(port, 0), acked)
        octets = packet(peer, flags, number, ack, port, listed, window=window, data=data, mark=mark)
        answers = peer.segments(peer.give(octets) + peer.advance(wait))
        issued |= {answer.destination: answer.seq for answer in answers if answer.flags & SYN}
        check(host, listener)
    peer.advance(10 * MINUTE)
    check(host, listener)
    assert (listener.cached, len(listener.half_open)) == (0, 0)
    while (connection := listener.accept()) is not None:
        connection.release(peer.now)
    peer.advance(60 * MINUTE)
    assert serves(peer, listener)


def check(host: Host, listener: object) -> None:
    """The counts agree with what they count."""
    passive = host._connections.passive
    assert listener.cached == len(passive.cache)
    assert len(listener.half_open) == len(passive.half_open)
    assert host.statistics()["half_open"] == len(passive.cache) + len(passive.half_open) <= listener.backlog


def serves(peer: Peer, listener: object) -> bool:
    """Whether an honest client gets in."""
    answer = peer.segment(peer.give(peer.tcp(SYN, port=4000, mss=1460)))
    peer.give(peer.tcp(ACK, port=4000, seq=1001, ack=seq.add(answer.seq, 1)))
    return listener.accept() is not None


@given(
    listed=option_list(), flags=st.integers(0, 0x1FF), window=st.integers(0, 65535), mark=st.integers(0, 3)
)
@MANY
def test_what_the_cache_keeps_of_a_syn_never_grows(listed: bytes, flags: int, window: int, mark: int) -> None:
    octets = segment_octets(flags | SYN, 7, 0, 9, listed, window=window, data=b"text")
    try:
        syn = parse(octets, 0, len(octets))
    except ValueError:
        return
    syn.ecn = mark
    kept = packed(syn)
    assert len(kept) <= half_open._SYN.size + 24
    again = unpacked(kept, Endpoint(bytes(4), syn.destination), Endpoint(bytes(4), syn.source))
    assert (again.source, again.destination, again.seq, again.flags, again.window, again.ecn) == (
        9,
        80,
        7,
        syn.flags,
        window,
        mark,
    )
    assert options_of(again) == options_of(syn)


def options_of(syn: Segment) -> tuple:
    """What LISTEN reads."""
    told = options.user_timeout_in(syn.other)
    return syn.mss, syn.window_scale, syn.sack_permitted, syn.tsval, syn.tsecr, told


def test_a_record_is_counted_once_it_stands() -> None:
    """A backlog of two holds two, whatever their options, and is empty again when they are gone."""
    host = Host("10.0.0.1/24", secret=b"s")
    host._connections.most_half_open = 0
    peer = Peer(host)
    listener = host.listen(80, peer.now, backlog=2)
    unaligned = bytes.fromhex("020405b4 030307 0402 080a0000000000000000 c815".replace(" ", "")) + bytes(19)
    assert len(unaligned) == ROOM
    for port in range(1, 9):
        peer.give(packet(peer, SYN, 1000, 0, port, unaligned))
    assert (listener.cached, host.statistics()["half_open"]) == (2, 2)
    peer.advance(4 * MINUTE)
    assert (listener.cached, listener.half_open_is_full) == (0, False)
