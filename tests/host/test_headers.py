"""What a host answers to headers that it can't use: RFC 8200, 4; RFC 4443, 2.4 and 3.4; RFC 7112; RFC 1122,
3.2.2.

The model here walks a chain of header by header from the front and says what the first trouble is; the host
must say the same.
"""

from collections.abc import Callable
from itertools import product
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from postel.host.host import Host
from postel.times import MINUTE, SECOND
from postel.wire import checksum, icmp, ip, udp
from postel.wire.address import parse
from postel.wire.icmp import IcmpMessage
from postel.wire.segment import PROTOCOL, SYN
from tests.host.conftest import Peer

SOURCE, TARGET = parse("fd00::9"), parse("fd00::1")
MANY = parse("ff02::1")
NOTHING = None


class Header(NamedTuple):
    """An extension header but for the octet that names the next; ``trouble`` is the code and where in the
    header to point.
    """

    kind: int
    rest: bytes
    trouble: tuple[int, int] | None = None
    is_silent: bool = False  # to be dropped without a word
    is_told_to_many: bool = False  # the trouble, of a packet to a multicast address too


def options(kind: int, octets: bytes, trouble: tuple[int, int] | None = None, **more: bool) -> Header:
    size = -(len(octets) + 2) % 8
    pad = b"" if size == 0 else b"\0" if size == 1 else bytes((1, size - 2)) + bytes(size - 2)
    rest = octets + (b"" if trouble is not None and trouble[0] == 0 else pad)
    rest += bytes(-(len(rest) + 2) % 8)
    return Header(kind, bytes(((len(rest) + 2) // 8 - 1,)) + rest, trouble, **more)


def routing(kind: int, left: int, words: int = 0) -> Header:
    return Header(43, bytes((words, kind, left)) + bytes(4 + 8 * words), (0, 2) if left else None)


ATOMIC = Header(44, b"\0\0\0\0\0\0\x4d")
OPTIONS = [
    (b"", None, {}),
    (b"\0\0\0\0", None, {}),
    (b"\x1e\x04abcd", None, {}),  # unknown, may be skipped
    (b"\x05\x02\0\0\x3f\x01z", None, {}),  # router alert, and an unknown one
    (b"\x1e\x0eabcdefghijklmn", None, {}),
    (b"\x41\x02ab", None, {"is_silent": True}),
    (b"\x7f\0", None, {"is_silent": True}),
    (b"\x80\x02ab", (2, 2), {"is_told_to_many": True}),
    (b"\x01\x01\0\x8a\x03abc", (2, 5), {"is_told_to_many": True}),
    (b"\0\0\0\xbf\0", (2, 5), {"is_told_to_many": True}),
    (b"\xc0\x02ab", (2, 2), {}),
    (b"\x1e\x01z\xc2\x04\0\1\0\0", (2, 5), {}),  # a jumbogram's
    (b"\xff\x04abcd\x80\0", (2, 2), {}),  # the first counts
    (b"\x01\x05\0\0\0\0", (0, 3), {}),  # longer than its header
    (b"\x1e\xffabcd", (0, 3), {}),
    (b"\x80\x05abcd", (0, 3), {}),
    (b"\0\0\0\0\0\x1e", (0, 7), {}),  # without a length
]
OF_OPTIONS = [options(kind, octets, trouble, **more) for kind in (0, 60) for octets, trouble, more in OPTIONS]
OTHERS = [
    ATOMIC,
    *[routing(kind, left, words) for kind, left, words in product((0, 2, 3, 4, 200), (0, 1, 255), (0, 2))],
]
ANY = OF_OPTIONS + OTHERS
MOST = 8


def datagram() -> bytes:
    return udp.encode_for(udp.Datagram(5000, 7, b"nobody"), SOURCE, TARGET)


def message(kind: int, *, body: bytes = bytes(56)) -> bytes:
    """Of ICMPv6, with a right checksum."""
    blank = bytes((kind, 0, 0, 0, 0, 0, 0, 1)) + body
    value = checksum.of_payload(blank, SOURCE, TARGET, 58)
    return blank[:2] + value.to_bytes(2, "big") + blank[4:]


# Upper layers: protocol, octets, whether it is an ICMP error, and what is answered to it where the headers
# are right
PORT, ECHO = "port", "echo"
UPPER = [
    (17, datagram(), False, PORT),
    (58, message(128), False, ECHO),
    (58, message(1), True, NOTHING),
    (58, message(4), True, NOTHING),
    (58, message(127), True, NOTHING),
    (58, message(137), True, NOTHING),  # a redirect is as good as an error
    (58, message(133), False, NOTHING),
    (59, b"nothing", False, NOTHING),
    (132, bytes(20), False, (1, -1)),
    (51, bytes(20), False, (1, -1)),
    (1, bytes(20), False, (1, -1)),
    (253, b"", False, (1, -1)),
]


class Chain(NamedTuple):
    octets: bytes
    expected: object  # NOTHING, PORT, ECHO, or code and pointer
    to_many: object  # the same, for a multicast destination
    starts: list[int]


def chain(headers: list[Header], upper: tuple[int, bytes, bool, object]) -> Chain:
    """The packet, and what the model says of it."""
    protocol, payload, is_error, answer = upper
    kinds = [header.kind for header in headers] + [protocol]
    octets = (
        b"".join(
            bytes((following,)) + header.rest for header, following in zip(headers, kinds[1:], strict=True)
        )
        + payload
    )
    expected: object = (1, 6) if answer == (1, -1) else answer
    to_many: object = NOTHING
    names = 6  # where the octet is that names the next header
    at = 40
    starts = []
    for number, header in enumerate(headers):
        starts.append(at)
        if number >= MOST:  # more than are looked at, whatever they are
            expected = NOTHING
            break
        if header.kind == 0 and number > 0:
            expected = 1, names
            break
        if header.is_silent:
            expected = NOTHING
            break
        if header.trouble is not None:
            expected = header.trouble[0], at + header.trouble[1]
            to_many = expected if header.is_told_to_many else NOTHING
            break
        names, at = at, at + 1 + len(header.rest)
        if answer == (1, -1):
            expected = 1, names
    if is_error:
        expected = to_many = NOTHING
    return Chain(ip.encode(SOURCE, TARGET, kinds[0], octets), expected, to_many, starts)


def said(peer: Peer, packets: list[bytes]) -> object:
    """The answer, as the model says it."""
    if not packets:
        return NOTHING
    (octets,) = packets
    packet = ip.parse(octets)
    assert (packet.source, packet.destination) == (TARGET, SOURCE)
    assert len(octets) <= 1280
    answer = icmp.parse(packet)
    if answer.kind == icmp.PARAMETER_PROBLEM:
        return answer.code, answer.rest
    return {icmp.ECHO_REPLY: ECHO, icmp.UNREACHABLE: PORT}[answer.kind]


def fresh() -> Peer:
    return Peer(Host("10.0.0.1/24", "fd00::1/64", secret=b"secret"), "fd00::9", "fd00::1")


@pytest.mark.parametrize("upper", UPPER, ids=[f"{upper[0]}-{upper[1][:1].hex()}" for upper in UPPER])
def test_each_header_before_each_upper_layer(upper: tuple[int, bytes, bool, object]):
    for headers in ([], *([header] for header in ANY), *([header, options(60, b"")] for header in ANY)):
        made, peer = chain(headers, upper), fresh()
        answers = peer.give(made.octets)
        assert said(peer, answers) == made.expected, headers
        if isinstance(made.expected, tuple):
            assert icmp.parse(ip.parse(answers[0])).body == made.octets[:1232]
        assert said(peer, peer.give(made.octets[:24] + MANY + made.octets[40:])) == made.to_many, headers


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(ANY), max_size=11), st.sampled_from(UPPER))
@example([*[options(60, b"")] * MOST, options(0, b"")], UPPER[0])
def test_any_chain_of_headers(headers: list[Header], upper: tuple[int, bytes, bool, object]):
    made, peer = chain(headers, upper), fresh()
    answers = peer.give(made.octets)
    assert said(peer, answers) == made.expected
    if answers and made.expected is not ECHO:
        assert made.octets.startswith(icmp.parse(ip.parse(answers[0])).body)
    assert said(peer, peer.give(made.octets[:24] + MANY + made.octets[40:])) == made.to_many
    assert peer.advance(MINUTE) == []


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.sampled_from([header for header in ANY if header.kind != 0]), max_size=6),
    st.sampled_from(UPPER),
    st.integers(0, 30),
)
def test_any_chain_of_headers_in_fragments(
    headers: list[Header], upper: tuple[int, bytes, bool, object], extra: int
):
    """The same is said, pointing at the same octet, in a quote of the first fragment as it came."""
    made, peer = chain(headers, upper), fresh()
    # As if it had no next header, so that all is payload
    whole = ip.parse(made.octets[:6] + b"\x3b" + made.octets[7:])
    size = len(whole.payload) // 8 * 8
    if size == 0 or size == len(whole.payload):
        return
    parts = ip.fragments(SOURCE, TARGET, made.octets[6], whole.payload, 48 + size, identification=7)
    assert len(parts) == 2
    answers = peer.give(*parts)
    expected = made.expected
    if isinstance(expected, tuple):
        code, pointer = expected
        expected = code, 40 if pointer == 6 else pointer + 8
    assert said(peer, answers) == expected
    if answers and expected is not ECHO:
        assert icmp.parse(ip.parse(answers[0])).body == parts[0][:1232]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(ANY), max_size=9), st.integers(0, 200), st.integers(0, 200))
def test_any_chain_cut_anywhere(headers: list[Header], cut: int, length: int):
    """Nothing is raised, and nothing is quoted that did not come."""
    octets = chain(headers, UPPER[0]).octets[: 40 + cut]
    peer = fresh()
    for packet in (
        octets,
        octets[:4] + (len(octets) - 40).to_bytes(2, "big") + octets[6:],
        octets[:4] + length.to_bytes(2, "big") + octets[6:],
    ):
        for answer in peer.messages(peer.give(packet)):
            assert packet.startswith(answer.body)
            assert answer.kind != icmp.PARAMETER_PROBLEM or answer.rest < max(len(packet), 41)


@pytest.mark.parametrize("kind", [0, 43, 60])
@pytest.mark.parametrize(("size", "pointer"), [(0, 4), (1, 4), (2, 41), (7, 41), (8, 41), (15, 41)])
def test_a_header_that_its_packet_is_too_short_for(kind: int, size: int, pointer: int):
    """RFC 4443, 3.4: the header's length is wrong, or the packet's where the header has none."""
    packet = ip.encode(SOURCE, TARGET, kind, (bytes((17, 1)) + bytes(14))[:size])
    peer = fresh()
    assert said(peer, peer.give(packet)) == (0, pointer)


# Fragments


def fragment(bits: int, text: bytes, *, following: int = 17, before: bytes = b"", kind: int = 44) -> bytes:
    header = bytes((following, 0)) + bits.to_bytes(2, "big") + bytes(4)
    return ip.encode(SOURCE, TARGET, kind, before + header + text)


OPTIONS_BEFORE = bytes((44, 0, 1, 4, 0, 0, 0, 0))


VOID = [
    (fragment(1, bytes(9)), (0, 4)),
    (fragment(1, bytes(15)), (0, 4)),
    (fragment(0x0FF9, bytes(12)), (0, 4)),
    (fragment(0xFFF8, bytes(8)), (0, 42)),
    (fragment(0xFFF8, bytes(100), following=58), (0, 42)),
    (fragment(0xFFF9, bytes(8)), (0, 42)),
    (fragment(0xFFF8, bytes(7)), None),
    # Too large: 65,536 octets with the header before it
    (fragment(0xFFF0, bytes(8), before=OPTIONS_BEFORE, kind=60), (0, 50)),
    (fragment(0xFFF0, bytes(7), before=OPTIONS_BEFORE, kind=0), None),
    (fragment(0x0FF9, b""), None),
    (fragment(1, b""), (3, 0)),
    (fragment(1, bytes(8)), None),
    (fragment(1, bytes(16), following=6), (3, 0)),  # a TCP header has 20 octets
    (fragment(1, bytes(24), following=6), None),
    (fragment(1, bytes(12) + b"\x60" + bytes(11), following=6), None),
    (fragment(1, bytes(12) + b"\xf0" + bytes(11), following=6), (3, 0)),  # and this one 60
    (fragment(1, bytes(12) + b"\xf0" + bytes(51), following=6), None),
    (fragment(1, bytes((17, 0)) + bytes(6), following=60), (3, 0)),
    (fragment(1, bytes((17, 1)) + bytes(6), following=60), (3, 0)),
    (fragment(1, bytes((17, 0)) + bytes(14), following=60), None),
    (fragment(1, bytes((17, 1)) + bytes(14), following=43), (3, 0)),
    (fragment(1, bytes((6, 0)) + bytes(22), following=60), (3, 0)),
    (fragment(1, bytes((60, 0)) + bytes(14), following=60), (3, 0)),
    # Unanswered: hop-by-hop options are complained of once the packet is whole
    (fragment(1, bytes(8) + bytes((17, 0)) + bytes(14), following=60), None),
    (fragment(1, bytes((17, 0)) + bytes(14), following=0), (1, 40)),
    (fragment(1, bytes(8), following=59), None),
    (fragment(1, bytes(8), following=132), None),
    (ip.encode(SOURCE, TARGET, 44, bytes((17, 0, 0, 1))), (0, 4)),
]


@pytest.mark.parametrize("number", range(len(VOID)))
def test_fragments_of_no_use(number: int):
    packet, expected = VOID[number]
    peer = fresh()
    answers = peer.give(packet)
    assert said(peer, answers) == expected
    assert said(peer, peer.give(packet[:24] + MANY + packet[40:])) is None
    if answers:
        assert icmp.parse(ip.parse(answers[0])).body == packet[:1232]


def test_a_first_fragment_that_is_refused_is_not_kept():
    peer = fresh()
    peer.give(fragment(1, bytes(16), following=6))
    assert peer.host.statistics()["fragments_held"] == 0
    assert peer.advance(2 * MINUTE) == []


@pytest.mark.parametrize("version", [4, 6])
def test_the_quote_of_a_reassembled_packet_is_what_came(host: Host, new_peer: type[Peer], version: int):
    """RFC 1122, 3.2.2: header and data unchanged."""
    peer = new_peer(host, "10.0.0.9", "10.0.0.1") if version == 4 else new_peer(host, "fd00::9", "fd00::1")
    for protocol, code in ((17, icmp.NO_PORT), (132, icmp.NO_PROTOCOL if version == 4 else 1)):
        payload = udp.encode_for(udp.Datagram(5000, 7, bytes(range(256)) * 5), peer.address, peer.target)
        sent = ip.fragments(
            peer.address,
            peer.target,
            protocol,
            payload,
            576,
            hop_limit=9,
            traffic_class=0x28,
            identification=0x1234,
        )
        (answer,) = peer.messages(peer.give(*reversed(sent)))
        assert answer.code == code
        assert answer.body == sent[0][: 548 if version == 4 else 1232]
        if answer.kind == icmp.PARAMETER_PROBLEM:
            assert answer.body[answer.rest] == protocol


# Sources that get no answer


@pytest.mark.parametrize("source", ["::", "::1", "ff02::1", "fd00::1", "::ffff:10.0.0.9"])
def test_nothing_is_told_to_what_is_no_single_host(source: str):
    peer = fresh()
    for header in ANY:
        octets = chain([header], UPPER[0]).octets
        assert peer.give(octets[:8] + parse(source) + octets[24:]) == []


def test_nothing_is_told_of_packets_that_are_not_ours():
    peer = fresh()
    for header in ANY:
        octets = chain([header], UPPER[0]).octets
        assert peer.give(octets[:24] + parse("fd00::2") + octets[40:]) == []


def test_a_host_without_an_address_to_answer_from_is_silent():
    peer = Peer(Host("10.0.0.1/24", secret=b"secret"), "fd00::9", "fd00::1")
    octets = chain([options(60, b"\x80\0", (2, 2))], UPPER[0]).octets
    assert peer.give(octets[:24] + MANY + octets[40:]) == []


@pytest.mark.parametrize("number", [3, 5, 30])
def test_many_headers_before_an_error_do_not_hide_it(number: int):
    peer = fresh()
    headers = [options(60, b"\x80\0", (2, 2))] + [options(60, b"")] * number
    assert peer.give(chain(headers, UPPER[2]).octets) == []


# Rates


@pytest.mark.parametrize(("source", "target"), [("10.0.0.9", "10.0.0.1"), ("fd00::9", "fd00::1")])
@pytest.mark.parametrize("what", ["echo", "header", "port"])
def test_all_answers_have_a_rate(host: Host, new_peer: type[Peer], source: str, target: str, what: str):
    peer = new_peer(host, source, target)
    packets = {
        "echo": peer.control(IcmpMessage(icmp.ECHO_REQUEST, 0, 1, b"x")),
        "port": peer.datagram(b"?"),
        "header": with_options4(b"\x07\x01")
        if len(peer.address) == 4
        else chain([options(60, b"\xc0\0", (2, 2))], UPPER[0]).octets,
    }
    counts = []
    for _ in range(4):
        counts.append(sum(len(peer.give(packets[what])) for _ in range(3000)))
        others = [len(peer.give(packets[other])) for other in packets if other != what]
        assert sum(others) == (2 if what == "echo" else 1)  # echoes are counted apart from errors
        peer.now += SECOND
    assert all(500 <= count <= 1000 for count in counts)
    assert len(set(counts)) > 1


# IPv4


def with_options4(
    octets: bytes, *, protocol: int = 17, payload: bytes = b"", bits: int = 0, target: bytes = b""
) -> bytes:
    """A packet with these options, padded with zeros; a datagram to a port where nothing is, unless told
    otherwise.
    """
    source, target = parse("10.0.0.9"), target or parse("10.0.0.1")
    octets += bytes(-len(octets) % 4)
    payload = payload or udp.encode_for(udp.Datagram(5000, 7, b"nobody"), source, target)
    total = 20 + len(octets) + len(payload)
    first = (
        bytes((0x45 + len(octets) // 4, 0)) + total.to_bytes(2, "big") + b"\x12\x34" + bits.to_bytes(2, "big")
    )
    blank = first + bytes((64, protocol, 0, 0)) + source + target + octets
    return blank[:10] + checksum.ones_complement(blank).to_bytes(2, "big") + blank[12:] + payload


def trouble4(octets: bytes) -> tuple[int, int, int]:
    """ICMP type, code and pointer for the first trouble of an option string; type 3 and code 3 is that of the
    port.
    """
    octets += bytes(-len(octets) % 4)
    at = 0
    while at < len(octets) and octets[at]:
        if octets[at] == 1:
            at += 1
            continue
        if at + 1 == len(octets):
            return 12, 0, 20 + at
        length = octets[at + 1]
        if length < 2 or at + length > len(octets):
            return 12, 0, 20 + at + 1
        if octets[at] in (131, 137):
            if length == 2:
                return 12, 0, 20 + at + 1
            pointer = octets[at + 2]
            if pointer < 4:
                return 12, 0, 20 + at + 2
            return (3, 5, 0) if pointer <= length else (0, 0, 0)
        at += length
    return 3, 3, 0


def said4(answers: list[bytes]) -> tuple[int, int, int]:
    if not answers:
        return 0, 0, 0
    payload = ip.parse(answers[0]).payload
    return payload[0], payload[1], payload[4]


OPTION_OCTETS = st.sampled_from([0, 1, 2, 3, 4, 5, 7, 8, 68, 130, 131, 136, 137, 148, 255]) | st.integers(
    0, 255
)


@settings(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(OPTION_OCTETS, max_size=40).map(bytes))
def test_any_options_of_ipv4(new_host: Callable[..., Host], new_peer: type[Peer], octets: bytes):
    peer = new_peer(new_host())
    packet = with_options4(octets)
    answers = peer.give(packet)
    assert said4(answers) == trouble4(octets)
    for answer in peer.messages(answers):
        assert answer.body == packet[:548]
    for error in (icmp.UNREACHABLE, icmp.TIME_EXCEEDED, icmp.PARAMETER_PROBLEM, icmp.SOURCE_QUENCH):
        payload = icmp.encode(IcmpMessage(error, 0, 0, bytes(28)), peer.address, peer.target)
        assert peer.give(with_options4(octets, protocol=1, payload=payload)) == []
    for target in ("10.0.0.255", "255.255.255.255", "224.0.0.1", "10.0.0.7"):
        assert peer.give(with_options4(octets, target=parse(target))) == []
    later = peer.give(with_options4(octets, bits=0x0010))  # a fragment that isn't the first
    assert later == []


@pytest.mark.label("RFC1122-3.2.1.3")
@pytest.mark.parametrize(
    ("octets", "expected"),
    [
        ("07", (12, 0, 21)),
        ("0701", (12, 0, 21)),
        ("01010107", (12, 0, 23)),
        ("010728", (12, 0, 22)),
        ("830704", (3, 5, 0)),
        ("8307040a000002", (3, 5, 0)),
        ("89070a0a000002", (0, 0, 0)),
        ("8307030a000002", (12, 0, 22)),
        ("8302", (12, 0, 21)),
        ("880400000703040000", (3, 3, 0)),  # stream identifier, record route
        ("9904abcd", (3, 3, 0)),
        ("0007ffff", (3, 3, 0)),  # behind the end
    ],
)
def test_options_of_ipv4(host: Host, peer: Peer, octets: str, expected: tuple[int, int, int]):
    text = bytes.fromhex(octets)
    text += bytes(-len(text) % 4) if text != bytes.fromhex("830704") else bytes(5)
    assert said4(peer.give(with_options4(text))) == expected == trouble4(text)


ROUTE = "070f04" + "00" * 12 + "00"


def test_an_echo_brings_back_the_route(host: Host, peer: Peer):
    """RFC 1122, 3.2.2.6: Record Route and Timestamp with this host's entry, and no other option."""
    request = icmp.encode(IcmpMessage(icmp.ECHO_REQUEST, 0, 7, b"ping"), peer.address, peer.target)
    for options, expected in (
        (ROUTE, "070f08" + peer.target.hex() + "00" * 8 + "00"),
        ("94040000" + ROUTE, "070f08" + peer.target.hex() + "00" * 8 + "00"),
        ("94040000", ""),
    ):
        (octets,) = peer.give(with_options4(bytes.fromhex(options), protocol=1, payload=request))
        packet = ip.parse(octets)
        assert octets[20 : packet.start].hex() == expected
        assert icmp.parse(packet) == IcmpMessage(icmp.ECHO_REPLY, 0, 7, b"ping")
    assert peer.give(peer.datagram(b"x"))[0][0] == 0x45


def test_a_long_echo_brings_back_the_route_in_its_first_fragment(host: Host, peer: Peer):
    request = icmp.encode(IcmpMessage(icmp.ECHO_REQUEST, 0, 7, bytes(3000)), peer.address, peer.target)
    first = with_options4(bytes.fromhex(ROUTE), protocol=1, payload=request[:1480], bits=0x2000)
    rest = [
        with_options4(b"", protocol=1, payload=request[1480:2960], bits=0x2000 | 185),
        with_options4(b"", protocol=1, payload=request[2960:], bits=370),
    ]
    replies = peer.give(*rest, first)
    assert len(replies) > 2
    assert max(map(len, replies)) <= 1500
    assert [octets[0] & 15 for octets in replies] == [9] + [5] * (len(replies) - 1)
    assert b"".join(ip.parse(octets).payload for octets in replies)[8:] == bytes(3000)


@settings(max_examples=500, deadline=None)
@given(
    st.binary(max_size=90),
    st.sampled_from([0x45, 0x46, 0x4F, 0x60]),
    st.sampled_from([0, 1, 6, 17, 43, 44, 58, 59, 60, 132]),
    st.booleans(),
)
def test_any_octets_behind_a_plausible_header(octets: bytes, first: int, protocol: int, any_address: bool):
    """Never an exception, and never more than one answer to a packet."""
    host = Host("10.0.0.1/24", "fd00::1/64", secret=b"secret", any_address=any_address)
    if first == 0x60:
        packet = ip.encode(SOURCE, TARGET, protocol, octets)
    else:
        header = (
            bytes((first, 0))
            + (20 + len(octets)).to_bytes(2, "big")
            + bytes((0, 0, 0, 0, 64, protocol, 0, 0))
        )
        header += parse("10.0.0.9") + parse("10.0.0.1")
        end = (first & 15) * 4
        blank = header + octets
        value = checksum.ones_complement(blank[:end] + bytes(len(blank[:end]) % 2))
        packet = blank[:10] + value.to_bytes(2, "big") + blank[12:]
    host.listen(80, 0)
    host.packet_arrives(packet, 0)
    answers = 0
    while host.next_packet(0) is not None:
        answers += 1
    assert answers <= 1
    host.statistics()


def test_a_segment_behind_headers_is_heard(host: Host, new_peer: type[Peer]):
    peer = new_peer(host, "fd00::9", "fd00::1")
    host.listen(80, peer.now)
    headers = [header for header in ANY if header.trouble is None and not header.is_silent]
    for number, header in enumerate(headers):
        octets = bytes((PROTOCOL,)) + header.rest + peer.tcp(SYN, port=5000 + number)[40:]
        assert peer.segment(peer.give(ip.encode(SOURCE, TARGET, header.kind, octets))).flags & SYN
