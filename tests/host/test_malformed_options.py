"""Options that can't be followed are ignored, and those before them count, on SYNs and on all others (RFC
1122, 1.2.2; MUST-7).
"""

import pytest

from postel.errors import WireError
from postel.host.host import Host
from postel.tcp import seq
from postel.tcp.config import DEFAULT, Config
from postel.tcp.state import ESTABLISHED
from postel.wire import ip
from postel.wire.segment import (
    ABSENT,
    ACK,
    FIN,
    HEADER,
    PROTOCOL,
    PSH,
    SYN,
    parse,
    parse_leniently,
    with_checksum,
)
from tests.host.conftest import Peer

MSS, SCALE, SACK, STAMPS = "020403e8", "010303 02", "0402 0101", "0101 080a 00000009 00000000"
BROKEN = [
    "0200",
    "0201",
    "0205 01 02",
    "fe00",
    "fe01",
    "fe28 0000",
    "08",
    "0303",
    "0522 0000",
    "ff",
    "2201",
    "1d00",
    "1300",
]
STRANGE = ["0100", "00ff", "0000"]  # these can be followed


def packet(
    peer: Peer, flags: int, number: int, ack: int, options: str, data: bytes = b"", port: int = 5000
) -> bytes:
    listed = bytes.fromhex(options)
    listed += b"\x01" * (-len(listed) % 4) if not options.endswith(("08", "ff", "0303")) else b""
    listed = b"\x01" * (-len(listed) % 4) + listed
    head = (
        port.to_bytes(2, "big") + (80).to_bytes(2, "big") + number.to_bytes(4, "big") + ack.to_bytes(4, "big")
    )
    head += ((HEADER + len(listed)) << 10 | flags).to_bytes(2, "big") + (1000).to_bytes(2, "big") + bytes(4)
    return ip.encode(
        peer.address, peer.target, PROTOCOL, with_checksum(head + listed + data, peer.address, peer.target)
    )


@pytest.mark.label("MUST-7", "EP-PRE-5", "BAD-OPT-1", "BAD-OPT-2")
@pytest.mark.parametrize("broken", BROKEN)
@pytest.mark.parametrize("before", ["", MSS, MSS + SACK, STAMPS, MSS + SCALE + SACK + STAMPS])
@pytest.mark.parametrize("family", [4, 6])
def test_a_syn_with_a_malformed_option_opens(host: Host, broken: str, before: str, family: int) -> None:
    peer = Peer(host) if family == 4 else Peer(host, "fd00::9", "fd00::1")
    listener = host.listen(80, peer.now)
    answer = peer.segment(peer.give(packet(peer, SYN, 1000, 0, before + broken)))
    assert (answer.flags, answer.ack) == (SYN | ACK, 1001)
    assert (answer.tsval != ABSENT, answer.sack_permitted) == (STAMPS in before, SACK in before)
    assert answer.window_scale == (7 if SCALE in before else ABSENT)
    assert peer.host.statistics()["malformed_options"] == 1
    assert peer.host.statistics()["dropped"] == 0
    text = packet(peer, ACK | PSH, 1001, seq.add(answer.seq, 1), STAMPS if STAMPS in before else "", b"text")
    peer.give(text)
    connection = listener.accept()
    assert connection.receive(9, peer.now) == b"text"
    assert connection.status(peer.now).snd_mss <= (1000 if MSS in before else 1220)


@pytest.mark.label("MUST-7", "EP-PRE-5")
@pytest.mark.parametrize("broken", BROKEN)
@pytest.mark.parametrize("stamped", [True, False])
def test_other_segments_with_a_malformed_option_count_too(
    host: Host, peer: Peer, broken: str, stamped: bool
) -> None:
    listener = host.listen(80, peer.now)
    stamps = STAMPS if stamped else ""
    answer = peer.segment(peer.give(packet(peer, SYN, 1000, 0, stamps)))
    ack = seq.add(answer.seq, 1)
    peer.give(packet(peer, ACK, 1001, ack, stamps + broken))
    connection = listener.accept()
    assert connection.state is ESTABLISHED
    peer.give(packet(peer, ACK | PSH, 1001, ack, stamps + broken, b"text"))
    assert connection.receive(9, peer.now) == b"text"
    peer.give(packet(peer, ACK | FIN, 1005, ack, stamps + broken))
    assert connection.at_end
    assert host.statistics()["malformed_options"] == 3


@pytest.mark.label("EP-PAWS-1")
def test_timestamps_that_are_malformed_are_missing(host: Host, peer: Peer) -> None:
    listener = host.listen(80, peer.now)
    answer = peer.segment(peer.give(packet(peer, SYN, 1000, 0, STAMPS)))
    ack = seq.add(answer.seq, 1)
    peer.give(packet(peer, ACK, 1001, ack, STAMPS))
    connection = listener.accept()
    assert peer.give(packet(peer, ACK | PSH, 1001, ack, "0101 080b 0000 0009 0000 0000", b"text")) == []
    assert connection.readable == 0


@pytest.mark.parametrize("strange", STRANGE)
def test_what_can_be_followed_is_not_counted(host: Host, peer: Peer, strange: str) -> None:
    host.listen(80, peer.now)
    assert peer.segment(peer.give(packet(peer, SYN, 1000, 0, strange))).flags == SYN | ACK
    assert host.statistics()["malformed_options"] == 0


@pytest.mark.label("RFC5925-2.2")
@pytest.mark.parametrize(
    "options", ["1d02 0101", "1d04 0000 1d04 0000", "1312" + 16 * "00" + "1d04 0000 0101"]
)
def test_signatures_that_contradict_still_drop_the_segment(host: Host, peer: Peer, options: str) -> None:
    host.listen(80, peer.now)
    assert peer.give(packet(peer, SYN, 1000, 0, options), packet(peer, SYN, 1000, 0, options + "fe00")) == []
    assert host.statistics()["dropped_bad_option"] == 2


@pytest.mark.parametrize("broken", BROKEN)
def test_who_parses_strictly_is_told(peer: Peer, broken: str) -> None:
    octets = packet(peer, SYN, 1000, 0, MSS + broken)
    with pytest.raises(WireError, match="bad_option: kind"):
        parse(octets, 20, len(octets))
    assert parse_leniently(octets, 20, len(octets)).mss == 1000


@pytest.mark.label("EP-LIS-4")
@pytest.mark.parametrize("dropped", [False, True])
@pytest.mark.parametrize("backlog", [1, 5])
def test_a_syn_with_fin_is_a_matter_of_choice(host: Host, peer: Peer, dropped: bool, backlog: int) -> None:
    """Where it opens a connection its FIN counts when it comes again."""
    listener = host.listen(80, peer.now, backlog=backlog, config=Config(drop_syn_fin=dropped))
    peer.give(peer.tcp(SYN, port=1))
    answers = peer.segments(peer.give(peer.tcp(SYN | FIN, seq=1000)))
    assert [answer.flags for answer in answers] == [] if dropped else [SYN | ACK]
    assert peer.dropped("syn_fin") == dropped
    if not dropped:
        peer.give(peer.tcp(ACK | FIN, seq=1001, ack=seq.add(answers[0].seq, 1)))
        assert listener.accept().at_end


def test_a_syn_with_fin_may_cross_ours(host: Host, peer: Peer) -> None:
    for dropped, port in ((False, 5000), (True, 5001)):
        config = Config(drop_syn_fin=dropped, timestamps=DEFAULT.timestamps)
        connection = host.connect("10.0.0.9", port, peer.now, local_port=80, config=config)
        peer.drain()
        peer.give(peer.tcp(SYN | FIN, port=port))
        assert str(connection.state) == ("SYN-SENT" if dropped else "SYN-RECEIVED")
