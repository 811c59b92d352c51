"""Packets that no connection sends."""

from postel.host.counters import Counters
from postel.host.outbound import MOST, Outbound
from postel.host.routes import Routes
from postel.tcp.bell import Bell
from postel.wire import ip
from postel.wire.address import parse, parse_interface

OWN, OTHER = parse("10.0.0.1"), parse("10.0.0.2")


def outbound(mtu: int = 1500):
    return Outbound(
        Routes((parse_interface("10.0.0.1/24"),), mtu, any_address=False), Counters(None), b"secret", Bell()
    )


def test_a_large_payload_leaves_in_fragments():
    out = outbound(mtu=576)
    assert out.send(OWN, OTHER, 17, bytes(1000), 0)
    packets = [ip.parse(octets) for octets in out.queue]
    assert [(packet.fragment_offset, packet.more_fragments) for packet in packets] == [
        (0, True),
        (552, False),
    ]
    assert packets[0].identification == packets[1].identification
    assert not packets[0].dont_fragment


def test_to_ourselves_by_the_other_queue():
    out = outbound()
    out.send(OWN, OWN, 17, b"x", 0)
    assert (len(out.queue), len(out.looped)) == (0, 1)


def test_the_queue_is_bounded():
    out = outbound()
    assert all(out.send(OWN, OTHER, 17, b"x", 0) for _ in range(MOST))
    assert not out.send(OWN, OTHER, 17, b"x", 0)


def test_identifications_differ_and_do_not_count_from_zero():
    out = outbound()
    numbers = [out.identification(OWN, OTHER) for _ in range(100)]
    assert len(set(numbers)) == 100
    assert max(numbers) <= 0xFFFF
    assert Outbound(out.routes, Counters(None), b"other", Bell()).identification(OWN, OTHER) != numbers[0]
    assert out.identification(parse("fd00::1"), parse("fd00::2")) > 0xFFFF
