"""What TCP and the layers below tell each other: ICMP errors, Diffserv, hop limit (RFC 9293, 3.9.2; RFC
5927).
"""

from dataclasses import replace

import pytest

from postel.errors import ConnectionRefused, HostUnreachable, NetworkUnreachable, TcpError
from postel.host.host import Host
from postel.tcp.config import DEFAULT
from postel.tcp.events import Trouble
from postel.tcp.invariants import check
from postel.tcp.state import CLOSED
from postel.testing import states
from postel.testing.states import SYNCHRONIZED, Maker, Scene, established
from postel.wire import ip
from postel.wire.segment import ACK

SENDING = [states.established, states.close_wait]


def told(scene: Scene, error: TcpError, *, hard: bool) -> None:
    scene.connection.network_error(error, scene.now, hard=hard, number=scene.tcb.snd.una)
    check(scene.tcb)


@pytest.mark.label("MUST-54", "MUST-56", "SHLD-25", "MUST-47")
@pytest.mark.parametrize(
    "make", [states.syn_sent, states.syn_received_active, states.fin_wait_1, states.closing, states.last_ack]
)
def test_must_56_a_soft_error_is_told_and_survived(make: Maker) -> None:
    scene = make()
    before = scene.image()
    told(scene, NetworkUnreachable(), hard=False)
    (event,) = scene.all_events()
    assert isinstance(event, Trouble)
    assert isinstance(event.error, NetworkUnreachable)
    assert scene.connection.error is None  # it did not end the connection
    assert {**scene.image(), "error": None} == before


@pytest.mark.label("MUST-56", "SHLD-25", "RFC5927-5.2")
@pytest.mark.parametrize("make", SENDING)
@pytest.mark.parametrize("hard", [True, False])
def test_rfc5927_5_2_once_synchronized_no_error_ends_a_connection(make: Maker, hard: bool) -> None:
    scene = make()
    scene.sends(b"text")
    told(scene, ConnectionRefused(), hard=hard)
    assert scene.events() == ["Trouble"]
    scene.hears(ACK)
    assert scene.connection.unacknowledged == 0
    assert scene.connection.error is None


@pytest.mark.label("SHLD-26", "BAD-CLOSE-7")
@pytest.mark.parametrize("make", [states.syn_sent, states.syn_received_active])
def test_shld_26_a_hard_error_ends_an_attempt(make: Maker) -> None:
    scene = make()
    scene.connection.send(b"queued", scene.now)
    told(scene, HostUnreachable(), hard=True)
    assert scene.state is CLOSED
    assert isinstance(scene.connection.error, HostUnreachable)
    assert scene.events() == ["Closed"]


@pytest.mark.label("RFC5927-4.1", "BAD-ICMP-2")
@pytest.mark.parametrize("make", [states.closed, *SYNCHRONIZED.values()])
def test_rfc5927_4_1_an_error_about_nothing_in_flight_is_ignored(make: Maker) -> None:
    scene = make()
    before = scene.image()
    for number in (scene.tcb.snd.max, states.sequence.add(scene.tcb.snd.una, -1)):
        scene.connection.network_error(HostUnreachable(), scene.now, hard=True, number=number)
    assert scene.image() == before


@pytest.mark.label("MUST-45")
def test_must_45_the_local_address_never_changes() -> None:
    scene = established()
    with pytest.raises(AttributeError):
        scene.connection.local = states.REMOTE  # type: ignore[misc]
    scene.sends(b"text")
    scene.closes()
    assert {(segment.source, segment.destination) for segment in scene.sent} == {
        (states.LOCAL.port, states.REMOTE.port)
    }


def drained(host: Host, now: int) -> list[ip.Packet]:
    packets: list[ip.Packet] = []
    while (octets := host.next_packet(now)) is not None:
        packets.append(ip.parse(octets))
    return packets


@pytest.mark.label("MUST-48", "SHLD-21", "SHLD-22", "MUST-49")
@pytest.mark.parametrize("addresses", [("10.0.0.1/24", "10.0.0.2"), ("fd00::1/64", "fd00::2")])
def test_must_48_diffserv_and_hop_limit_are_the_users(addresses: tuple[str, str]) -> None:
    config = replace(DEFAULT, traffic_class=0x28, hop_limit=7)
    host = Host(addresses[0], secret=b"x")
    connection = host.connect(addresses[1], 80, 0, config=config)
    (packet,) = drained(host, 0)
    assert (packet.traffic_class, packet.hop_limit) == (0x28, 7)
    assert connection.status().traffic_class == 0x28
    connection.configure(replace(config, traffic_class=0xB8, hop_limit=200), 0)
    assert drained(host, 0) == []
    now = host.next_timeout()
    host.handle_timeout(now)
    (packet,) = drained(host, now)
    assert (packet.traffic_class, packet.hop_limit) == (0xB8, 200)
