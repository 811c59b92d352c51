"""What a trace makes of what it is told."""

import json

from postel.tcp.state import (
    CLOSE_WAIT,
    CLOSED,
    ESTABLISHED,
    FIN_WAIT_1,
    LAST_ACK,
    LISTEN,
    SYN_RECEIVED,
    SYN_SENT,
    TIME_WAIT,
)
from postel.times import MILLISECOND, NEVER
from postel.view import Trace
from postel.view.packet import Kind
from postel.wire import dns, icmp, ip, udp
from postel.wire.segment import ACK, FIN, PSH, RST, SYN
from tests.view.stage import Stage


def test_numbers_are_relative_and_windows_scaled() -> None:
    stage = Stage().handshake()
    stage.crosses(stage.left, stage.packet(stage.left, PSH | ACK, 1, 1, b"x" * 100), 30)
    stage.crosses(stage.right, stage.packet(stage.right, ACK, 1, 101), 40)
    packets = stage.trace.packets
    assert [(packet.seq, packet.ack) for packet in packets] == [(0, -1), (0, 1), (1, 1), (1, 1), (1, 101)]
    assert [packet.window for packet in packets] == [65535, 65535, 128000, 128000, 8000]
    assert [packet.kind for packet in packets[:3]] == [Kind.SYN, Kind.SYN_ACK, Kind.HANDSHAKE_ACK]


def test_states_on_departure_and_after_arrival() -> None:
    stage = Stage().handshake()
    packets = stage.trace.packets
    assert [packet.sender_state for packet in packets] == [SYN_SENT, SYN_RECEIVED, ESTABLISHED]
    assert [packet.receiver_state for packet in packets] == [SYN_RECEIVED, ESTABLISHED, ESTABLISHED]
    (flow,) = stage.trace.flows
    assert [flow.initial_state(end) for end in flow.ends] == [CLOSED, LISTEN]
    assert [packet.sender for packet in packets] == ["client", "server", "client"]
    assert flow.names == {stage.left: "client", stage.right: "server"}


def test_a_call_right_after_an_arrival_is_not_the_arrivals_doing() -> None:
    stage = Stage().handshake()
    fin = stage.packet(stage.left, FIN | ACK, 1, 1)
    stage.enters(stage.left, FIN_WAIT_1, 30)
    stage.crosses(stage.left, fin, 30, CLOSE_WAIT)
    stage.enters(stage.right, LAST_ACK, 40)
    packet = stage.trace.packets[-1]
    assert packet.receiver_state is CLOSE_WAIT
    assert stage.trace.flows[0].changes[-1].cause is None


def test_a_timer_is_tied_to_the_change_in_either_order() -> None:
    stage = Stage().handshake()
    stage.expires(stage.left, "time-wait", 50)
    stage.enters(stage.left, CLOSED, 50)
    stage.enters(stage.right, CLOSED, 60)
    stage.expires(stage.right, "user-timeout", 60)
    flow = stage.trace.flows[0]
    assert [change.cause for change in flow.changes[-2:]] == flow.expiries


def test_retransmissions_are_tied_to_their_originals() -> None:
    stage = Stage().handshake()
    left, lost = stage.left, stage.packet(stage.left, ACK, 1, 1, b"a" * 10)
    stage.departs(left, lost, 30, lost="loss")
    stage.crosses(left, stage.packet(left, ACK, 11, 1, b"b" * 10), 31)
    stage.crosses(stage.right, stage.packet(stage.right, ACK, 1, 1, sack=((11, 21),)), 41)
    stage.crosses(left, lost, 200)
    stage.crosses(left, stage.packet(left, ACK, 16, 1, b"b" * 5), 300)
    first, second, _, again, half = stage.trace.packets[3:]
    assert (first.lost, first.again, first.arrived_at) == ("loss", again.number, NEVER)
    assert (again.original, again.arrived_at, again.kind) == (first.number, 210 * MILLISECOND, Kind.PLAIN)
    assert half.original == second.number


def test_duplicate_acknowledgements_are_counted() -> None:
    stage = Stage().handshake()
    for at in (30, 31):
        stage.departs(
            stage.left, stage.packet(stage.left, ACK, 1 + 10 * (at - 30), 1, b"x" * 10), at, lost="loss"
        )
    for at in (40, 41, 42):
        stage.crosses(stage.right, stage.packet(stage.right, ACK, 1, 1), at)
    assert [packet.repeated for packet in stage.trace.packets[-3:]] == [0, 1, 2]


def test_windows_and_probes_are_recognised() -> None:
    stage = Stage().handshake()
    left, right = stage.left, stage.right
    stage.crosses(left, stage.packet(left, ACK, 1, 1, b"x" * 10), 30)
    stage.crosses(right, stage.packet(right, ACK, 1, 11, window=0), 40)
    stage.crosses(left, stage.packet(left, ACK, 11, 1, b"y"), 200)
    stage.crosses(right, stage.packet(right, ACK, 1, 11, window=0), 210)
    stage.crosses(right, stage.packet(right, ACK, 1, 11, window=500), 300)
    stage.crosses(left, stage.packet(left, ACK, 11, 1, b"y"), 310)
    stage.crosses(right, stage.packet(right, ACK, 1, 12, window=500), 320)
    stage.crosses(left, stage.packet(left, ACK, 11, 1), 7200_000)
    stage.crosses(right, stage.packet(right, RST | ACK, 1, 12), 7200_010)
    kinds = [packet.kind.value for packet in stage.trace.packets[4:]]
    assert kinds == [
        "zero-window",
        "window-probe",
        "zero-window",
        "window-update",
        "plain",
        "plain",
        "keep-alive",
        "rst",
    ]


def test_a_new_syn_between_the_same_ends_begins_another_connection() -> None:
    stage = Stage().handshake()
    # The same SYN again begins no other connection
    stage.crosses(stage.left, stage.packet(stage.left, SYN, 0, window_scale=7), 25)
    stage.enters(stage.left, CLOSED, 30)
    stage.enters(stage.left, SYN_SENT, 40)
    stage.crosses(stage.left, stage.packet(stage.left, SYN, 77), 40)
    one, other = stage.trace.flows
    assert (len(one.packets), len(other.packets)) == (4, 1)
    assert (other.packets[0].seq, other.packets[0].original, other.initial_state(stage.left)) == (
        0,
        0,
        CLOSED,
    )


def test_the_networks_copies_are_no_retransmissions() -> None:
    stage = Stage().handshake()
    octets = stage.packet(stage.left, ACK, 1, 1, b"x")
    stage.departs(stage.left, octets, 30, 40)
    stage.trace.carried("client", "server", octets, 30_000, 41_000, octets)
    stage.arrives(octets, 40)
    stage.arrives(octets, 41)
    packet, copy = stage.trace.packets[-2:]
    assert (packet.number, packet.copy, packet.original, packet.arrived_at) == (4, 0, 0, 40_000)
    assert (copy.number, copy.copy, copy.original, copy.arrived_at) == (4, 1, 0, 41_000)


def test_damage_on_the_way_and_its_end() -> None:
    stage = Stage().handshake()
    octets = stage.packet(stage.left, ACK, 1, 1, b"x")
    damaged = octets[:-1] + b"y"
    stage.trace.packet_sent(octets, 30_000)
    stage.trace.carried("client", "server", octets, 30_000, 40_000, damaged)
    stage.trace.packet_arrived(damaged, 40_000)
    stage.trace.packet_dropped("bad_checksum", damaged, 40_000)
    packet = stage.trace.packets[-1]
    assert (packet.number, packet.damaged, packet.dropped, packet.octets) == (4, True, "bad_checksum", octets)


def test_one_side_alone_knows_no_states_of_the_other() -> None:
    stage = Stage()
    trace = Trace(names={"10.0.0.1": "kernel"})
    trace.packet_arrived(stage.packet(stage.left, SYN, 0), 0)
    trace.state_changed(stage.right, stage.left, LISTEN, SYN_RECEIVED, 0)
    trace.packet_sent(stage.packet(stage.right, SYN | ACK, 0, 1), 5)
    first, second = trace.packets
    assert (first.sender_state, first.receiver_state) == (None, SYN_RECEIVED)
    assert (second.sender_state, second.receiver_state) == (SYN_RECEIVED, None)
    assert trace.flows[0].names == {stage.left: "kernel"}
    assert [trace.flows[0].initial_state(end) for end in trace.flows[0].ends] == [None, LISTEN]


def test_a_trace_that_begins_midstream_counts_from_one() -> None:
    stage = Stage()
    stage.departs(stage.right, stage.packet(stage.right, ACK, 3000, 700, b"abc"), 0)
    stage.departs(stage.left, stage.packet(stage.left, ACK, 700, 3003), 1)
    assert [(packet.seq, packet.ack) for packet in stage.trace.packets] == [(1, 1), (1, 4)]


def test_other_protocols_have_captions() -> None:
    stage = Stage()
    source, destination = stage.left.address, stage.right.address
    datagram = udp.encode_for(udp.Datagram(53, 1000, b"query"), source, destination)
    stage.handshake()
    offending = ip.parse(stage.packet(stage.left, ACK, 1, 1))
    too_big = icmp.encode(icmp.packet_too_big(1300, offending), destination, source)
    for protocol, payload in ((udp.PROTOCOL, datagram), (icmp.PROTOCOL_4, too_big), (200, b"12345")):
        stage.trace.packet_sent(ip.encode(source, destination, protocol, payload), 50_000)
    stage.trace.packet_sent(b"nonsense", 60_000)
    captions = [packet.caption for packet in stage.trace.packets[3:]]
    assert captions[:3] == ["UDP len=5", "ICMP packet too big mtu=1300", "protocol 200, 5 octets"]
    # ICMP goes with the connection that it is about
    assert stage.trace.packets[4] in stage.trace.flows[0].packets
    assert len(stage.trace.packets) == 7


def test_what_is_said_of_names_is_told() -> None:
    stage = Stage()
    source, destination = stage.left.address, stage.right.address
    question = dns.DnsMessage(7, dns.Question("www.example.org", dns.A))
    records = tuple(
        dns.ResourceRecord("www.example.org", dns.A, bytes([10, 0, 0, number])) for number in range(9)
    )
    for message in (question, question._replace(is_response=True, answers=records)):
        datagram = udp.encode_for(udp.Datagram(1000, dns.PORT, dns.encode(message)), source, destination)
        stage.trace.packet_sent(ip.encode(source, destination, udp.PROTOCOL, datagram), 0)
    asked, answered = (packet.text for packet in stage.trace.packets)
    assert asked == "A? www.example.org"
    assert answered.startswith("www.example.org A 10.0.0.0, www.example.org A 10.0.0.1, ")
    assert (len(answered), answered[-1]) == (160, "…")


def test_a_full_trace_counts_on() -> None:
    stage = Stage()
    stage.trace.limit = 2
    stage.handshake()
    assert (len(stage.trace.packets), stage.trace.forgotten) == (2, 1)


def test_json_says_it_all() -> None:
    stage = Stage().handshake()
    stage.departs(stage.left, stage.packet(stage.left, ACK, 1, 1, b"GET / HTTP/1.1\r\n"), 30, lost="loss")
    stage.expires(stage.left, "retransmission", 230)
    stage.enters(stage.left, TIME_WAIT, 230)
    (connection,) = json.loads(stage.trace.to_json())["connections"]
    assert connection["ends"][0] == {"endpoint": "10.0.0.1:1024", "name": "client", "initial_state": "CLOSED"}
    assert connection["packets"][0]["flags"] == "SYN"
    assert (
        connection["packets"][3] | {"lost": "loss", "arrived_at": None, "len": 16, "seq": 1}
        == connection["packets"][3]
    )
    assert connection["timers"] == [
        {"at": "10.0.0.1:1024", "timer": "retransmission", "when": 230_000, "state": "TIME-WAIT"}
    ]
    assert connection["states"][0] == {
        "at": "10.0.0.1:1024",
        "before": "CLOSED",
        "after": "SYN-SENT",
        "when": 0,
    }
