"""Rules for packets described by what they are, and what becomes of these."""

from collections.abc import Callable

import pytest

from postel.errors import ArgumentError
from postel.host.host import Host
from postel.sim import DROP, PacketRule, Subject, World, echo, where
from postel.tcp.connection import Connection
from postel.tcp.events import Acceptable, EndOfStream, Event, Opened, Readable
from postel.times import MILLISECOND, NEVER, SECOND
from postel.view import Trace
from postel.view.packet import Packet
from postel.wire.address import Endpoint, parse
from postel.wire.segment import ACK, FIN, SYN


class Exchange:
    """A client sends 20,000 octets to a server, which sends them back; both close."""

    def __init__(self, *rules: PacketRule, name: str = "server") -> None:
        self.trace = Trace()
        self.world = World(observer=self.trace)
        self.client, self.server = self.world.host("client"), self.world.host(name)
        self.world.path(self.client, self.server, delay="10ms")
        self.world.rules += rules
        self.echoed = bytearray()
        self.world.application(self.client, self._of_client)
        self.world.application(self.server, self._of_server)
        self.server.listen(7, self.world.now)
        self.connection = self.client.connect("10.0.0.2", 7, self.world.now)

    def _of_client(self, subject: Subject, event: Event, now: int) -> None:
        assert isinstance(subject, Connection)
        if isinstance(event, Opened):
            subject.send(b"POST " + bytes(20_000), now)
            subject.close(now)
        elif isinstance(event, Readable):
            self.echoed += subject.receive(1 << 20, now)

    def _of_server(self, subject: Subject, event: Event, now: int) -> None:
        if isinstance(event, Acceptable) and not isinstance(subject, Connection):
            subject.accept()  # type: ignore[union-attr]
        elif isinstance(event, Readable) and isinstance(subject, Connection):
            subject.send(subject.receive(1 << 20, now), now)
        elif isinstance(event, EndOfStream) and isinstance(subject, Connection):
            subject.close(now)

    def packets(self) -> list[Packet]:
        """All packets of the whole exchange."""
        self.world.run()
        assert len(self.echoed) == 20_005
        return self.trace.packets

    def lost(self) -> list[Packet]:
        """Those of them that were lost."""
        return [packet for packet in self.packets() if packet.lost]


def flags_of(packet: Packet) -> int:
    assert packet.segment is not None
    return packet.segment.flags


def test_the_first_syn_ack_from_server_to_client_is_lost() -> None:
    first = where(flags="SYN,ACK", sender="server", receiver="client", nth=1).drop()
    (packet,) = Exchange(first).lost()
    assert flags_of(packet) == SYN | ACK
    assert first.matched == 3
    assert [flags_of(packet) for packet in Exchange(where(flags="SYN,ACK", nth=[1, 2]).drop()).lost()] == [
        SYN | ACK,
        SYN | ACK,
    ]


def test_every_fin_of_the_first_two_seconds_is_lost() -> None:
    lost = Exchange(where(flags="FIN", until="2s").drop()).lost()
    assert len(lost) > 2
    assert all(flags_of(packet) & FIN and packet.sent_at < 2 * SECOND for packet in lost)


def test_flags_that_are_not_set_count_too() -> None:
    (packet,) = Exchange(where(flags="SYN", without="ACK", nth=1).drop()).lost()
    assert flags_of(packet) & (SYN | ACK) == SYN


def test_data_segments_5_to_9_of_a_connection_are_late() -> None:
    exchange = Exchange()
    exchange.world.rules.append(
        where(connection=exchange.connection, sender="client", data=True, nth=range(5, 10)).delay("200ms")
    )
    exchange.packets()
    data = [
        packet
        for packet in exchange.trace.packets
        if packet.sender == "client" and packet.segment and packet.segment.data
    ]
    late = [
        number for number, packet in enumerate(data, 1) if packet.due_at - packet.sent_at > 100 * MILLISECOND
    ]
    assert late == [5, 6, 7, 8, 9]


def test_a_packet_is_found_by_what_it_says() -> None:
    (packet,) = Exchange(where(data=b"POST", sender="client", nth=1).drop()).lost()
    assert packet.segment is not None
    assert packet.segment.data.startswith(b"POST ")
    bare = Exchange(where(data=False, flags="ACK", without="SYN,FIN", nth=[1, 2]).drop()).lost()
    assert len(bare) == 2
    assert all(packet.segment is not None and not packet.segment.data for packet in bare)


def test_a_pattern_names_hosts_and_a_port_an_end() -> None:
    assert len(Exchange(where(sender="web*", receiver="c*", nth=1).drop(), name="web1").lost()) == 1
    assert len(Exchange(where(sender="web*", nth=1).drop()).lost()) == 0
    assert len(Exchange(where(port=7, nth=1).drop()).lost()) == 1
    assert len(Exchange(where(port=8, nth=1).drop()).lost()) == 0


def test_another_connection_is_left_alone() -> None:
    others = (Endpoint(parse("10.0.0.1"), 1), Endpoint(parse("10.0.0.2"), 7))
    assert Exchange(where(connection=others).drop()).lost() == []


def test_either_end_of_a_connection_names_it() -> None:
    exchange = Exchange()
    ends = exchange.connection.remote, exchange.connection.local
    exchange.world.rules.append(where(connection=ends, nth=1).drop())
    assert len(exchange.lost()) == 1


def test_duplicates_damage_and_old_copies() -> None:
    rules = [
        where(flags="SYN", nth=1).duplicate(3),
        where(data=True, nth=1).corrupt(),
        where(data=True, nth=1).becomes(echo(50_000)),
    ]
    packets = Exchange(*rules).packets()
    assert [packet.copy for packet in packets if packet.number == 1] == [0, 1, 2]
    assert sum(packet.damaged for packet in packets) == 1
    assert sum(bool(packet.copy) for packet in packets) == 3


def test_what_a_rule_holds_is_released_by_the_world() -> None:
    exchange = Exchange(where(flags="SYN", without="ACK", nth=1).hold())
    exchange.world.run(until="500ms")
    assert [packet.is_held for packet in exchange.world.in_flight()] == [True]
    exchange.world.release()
    exchange.packets()
    assert exchange.trace.packets[0].arrived_at == 500 * MILLISECOND


def test_udp_and_icmp_have_no_flags() -> None:
    world = World()
    one, other = world.host("one"), world.host("other")
    world.path(one, other)
    of_tcp, of_udp = where(flags="SYN").drop(), where(protocol="udp", port=53, data=b"question").drop()
    of_icmp = where(protocol="icmp").drop()
    world.rules += [of_tcp, of_udp, of_icmp]
    socket = one.datagrams(53, remote=Endpoint(parse("10.0.0.2"), 9))
    socket.send(b"a question", world.now)
    socket.send(b"another", world.now)
    world.run()
    assert (of_tcp.matched, of_udp.matched, of_icmp.matched) == (0, 1, 1), (
        "nothing listens at port 9, which ICMP says"
    )


def test_a_rule_says_what_it_does() -> None:
    rules = [
        "where(sender='server', flags='SYN,ACK', nth=3).drop()",
        "where(data=True, nth=range(5, 10)).delay('2s')",
        "where(receiver='c*', without='ACK').duplicate(2)",
        "where(data=b'POST', port=80, protocol='tcp', since=1000000, until=2000000).corrupt('any')",
        "where(nth=(1, 3)).hold()",
        "where(data=False).corrupt(7)",
    ]
    for text in rules:
        assert repr(eval(text, {"where": where})) == text
    assert repr(where()) == "where()"
    assert repr(where().becomes(DROP)).startswith("where().becomes(Verdict(")


def test_an_ordinary_caller_may_ask_a_rule_too() -> None:
    exchange = Exchange()
    exchange.world.pump()
    octets = exchange.world.in_flight()[0].octets
    assert where(flags="SYN").drop()(1, octets, "client", 0) == DROP
    assert where(flags="SYN", receiver="server").drop()(1, octets, "client", 0) is None
    assert where().drop()(1, b"no packet", "client", 0) is None


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: where(sender=""),
        lambda: where(sender=Host("10.0.0.1/24", secret=b"x")),  # type: ignore[arg-type]
        lambda: where(flags="SYN|ACK"),
        lambda: where(flags="syn"),
        lambda: where(without=2),  # type: ignore[arg-type]
        lambda: where(data=""),  # type: ignore[arg-type]
        lambda: where(data=b""),
        lambda: where(port=0),
        lambda: where(port=True),
        lambda: where(nth=0),
        lambda: where(nth=[1, 0]),
        lambda: where(nth=1.5),  # type: ignore[arg-type]
        lambda: where(protocol="sctp"),  # type: ignore[arg-type]
        lambda: where(connection=(1, 2)),  # type: ignore[arg-type]
        lambda: where(since=-1),
        lambda: where().delay(NEVER + 1),
        lambda: where().duplicate(0),
        lambda: where().corrupt(-1),
        lambda: where().becomes(0),  # type: ignore[arg-type]
    ],
)
def test_mistakes_are_named(wrong: Callable[[], object]) -> None:
    with pytest.raises(ArgumentError):
        wrong()
