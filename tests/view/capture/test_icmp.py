"""ICMP errors beside the connection of the segment that they quote."""

import io

import pytest

from postel.view.capture import Reader, Table
from postel.view.capture.case import Finding
from postel.view.capture.files import Merged
from postel.view.capture.replay import Replay
from postel.view.capture.unusual import Unusual
from postel.wire import icmp, ip
from postel.wire.address import parse
from postel.wire.icmp import IcmpMessage
from tests.view.capture.tape import ETHERNET_4, ETHERNET_6, IPV6_ENDS, Tape, pcap

ROUTERS = {4: parse("192.0.2.1"), 6: parse("2001:db8::1")}


def told(tape: Tape, message: IcmpMessage, *, cut: int = 0) -> tuple[list[Finding], Replay]:
    """After the tape's last packet, which the message quotes."""
    when, octets = tape.packets[-1]
    quoted = ip.parse(octets[14:])
    router = ROUTERS[quoted.version]
    encoded = icmp.encode(
        message._replace(body=octets[14 : 14 + (cut or len(octets))]), router, quoted.source
    )
    packet = ip.encode(
        router, quoted.source, icmp.PROTOCOL_4 if quoted.version == 4 else icmp.PROTOCOL_6, encoded
    )
    tape.packets.append((when + 500, (ETHERNET_4 if quoted.version == 4 else ETHERNET_6) + packet))
    unusual, replay, found = Unusual(), Replay(), list[Finding]()
    table = Table(
        lambda connection: found.extend(unusual.of(connection).findings),
        closer=lambda seen: (unusual.look(seen), replay.look(seen)),
        notices=lambda notice: (unusual.notice(notice), replay.notice(notice)),
    )
    for chunk, frames in Merged([Reader(io.BytesIO(pcap(tape.packets)))]).chunks():
        table.take(chunk, frames)
    table.finish()
    return found, replay


@pytest.mark.parametrize("ends", [(), IPV6_ENDS])
@pytest.mark.parametrize(
    ("message", "kind"),
    [
        (IcmpMessage(icmp.PACKET_TOO_BIG, rest=1280), "ICMP: too big"),
        (IcmpMessage(icmp.UNREACHABLE, icmp.NO_HOST), "ICMP: unreachable"),
        (IcmpMessage(icmp.TIME_EXCEEDED, icmp.IN_TRANSIT), "ICMP: time exceeded"),
    ],
)
def test_an_error_is_told_of_with_its_connection(
    ends: tuple[object, ...], message: IcmpMessage, kind: str
) -> None:
    tape = (Tape(*IPV6_ENDS) if ends else Tape()).handshake().left(0x18, 1, 1, b"x" * 1000, tsval=1, tsecr=1)
    found, replay = told(tape, message)
    (finding,) = [finding for finding in found if finding.kind == kind]
    assert (finding.by.side, finding.packets) == (0, [5])
    assert finding.values["mtu"] == (1280 if kind == "ICMP: too big" else finding.values["mtu"])
    (flow,) = replay.finish().flows
    assert [packet.number for packet in flow.packets] == [1, 2, 3, 4, 5]
    assert flow.packets[-1].caption.startswith("ICMP")


def test_eight_octets_of_the_segment_are_enough() -> None:
    tape = Tape().handshake().left(0x18, 1, 1, b"x" * 1000, tsval=1, tsecr=1)
    found, _ = told(tape, IcmpMessage(icmp.UNREACHABLE, icmp.NO_HOST), cut=28)
    assert [finding.kind for finding in found] == ["ICMP: unreachable"]


def test_of_another_connection_it_says_nothing() -> None:
    tape = Tape().handshake()
    tape.packets.append((tape.now, tape.packets[0][1][:34] + b"\x09\x09" + tape.packets[0][1][36:]))
    found, replay = told(tape, IcmpMessage(icmp.UNREACHABLE, icmp.NO_HOST), cut=28)
    assert all(finding.by.endpoint.port != 1024 for finding in found if finding.kind.startswith("ICMP"))
    assert len(replay.finish().flows) == 2
