"""States, timeline and headers of a whole connection; remarks and late arrivals in the ladder."""

import pytest

from postel.errors import ArgumentError
from postel.tcp.state import CLOSED, FIN_WAIT_1, LISTEN, SYN_RECEIVED, SYN_SENT
from postel.view import Trace, header, ladder, states, timeline, trace_json
from postel.view.packet import Kind, read
from postel.view.width import width
from postel.wire import icmp, ip, udp
from postel.wire.segment import ACK, FIN, PSH, SYN
from tests.view.stage import Stage
from tests.view.test_ladder import simultaneous_open, whole_life


class TestStates:
    def test_each_step_is_told_with_what_led_to_it(self) -> None:
        text = states.render(whole_life())
        assert "A1      0.000 ms  CLOSED → SYN-SENT: active OPEN / create TCB, send SYN" in text
        assert "A2     20.000 ms  SYN-SENT → ESTABLISHED: rcv SYN,ACK (#2) / send ACK" in text
        assert "A6    240.271 s   TIME-WAIT → CLOSED: 2MSL timeout / delete TCB" in text

    def test_the_diagram_bears_the_steps(self) -> None:
        diagram = states.render(whole_life()).partition("\n\n")[0]
        for label in (
            "[CLOSED: A0]",
            "[LISTEN: B0]",
            "[ESTABLISHED: A2 B2]",
            "[TIME-WAIT: A5]",
            "[CLOSED: A6 B5]",
        ):
            assert label in diagram
        assert "[CLOSING" not in diagram
        assert "CLOSING" in diagram

    def test_a_simultaneous_open(self) -> None:
        text = states.render(simultaneous_open())
        assert "SYN-SENT → SYN-RECEIVED: rcv SYN (no ACK) (#2)" in text
        assert "[SYN-RECEIVED: A2 B2]" in text

    def test_where_there_are_no_lines(self) -> None:
        assert states.render(whole_life(), ascii_only=True).isascii()

    def test_nothing_happened(self) -> None:
        assert states.render(Trace()) == ""


class TestTimeline:
    def test_a_bar_for_each_state_and_for_data(self) -> None:
        lines = timeline.render(whole_life()).splitlines()
        assert lines[0].endswith("281.000 ms")
        assert lines[1].startswith("client SYN-SENT")
        assert lines[1].endswith("20.000 ms")
        assert any(line.startswith("client ▶ server: 18") and line.endswith("210.000 ms") for line in lines)

    def test_what_lasts_longer_runs_out_of_the_picture(self) -> None:
        last = timeline.render(whole_life()).splitlines()[-1]
        assert last.startswith("client TIME-WAIT")
        assert last.endswith("▶     4.0 min")

    @pytest.mark.parametrize("columns", [60, 104, 200])
    def test_no_line_is_too_long(self, columns: int) -> None:
        assert (
            max(width(line) for line in timeline.render(whole_life(), width=columns).splitlines()) <= columns
        )

    def test_datagrams_have_a_bar_too(self) -> None:
        stage = Stage()
        payload = udp.encode_for(udp.Datagram(1024, 80, b"hello"), stage.left.address, stage.right.address)
        stage.crosses(
            stage.left, ip.encode(stage.left.address, stage.right.address, udp.PROTOCOL, payload), 0
        )
        assert timeline.render(stage.trace).splitlines()[1].startswith("client ▶ server: UDP 5")

    def test_where_there_are_no_blocks(self) -> None:
        assert timeline.render(whole_life(), ascii_only=True).isascii()

    def test_nothing_and_no_room(self) -> None:
        assert timeline.render(Trace()) == ""
        with pytest.raises(ArgumentError, match="60 columns or more"):
            timeline.render(Trace(), width=59)


class TestHeader:
    def test_every_octet_is_shown_once_and_in_order(self) -> None:
        for packet in whole_life().packets:
            fields = [field for _, fields in header.sections(packet.octets) for field in fields]
            assert b"".join(field.octets for field in fields) == packet.octets
            assert [field.at for field in fields] == [
                sum(len(before.octets) for before in fields[:n]) for n in range(len(fields))
            ]

    def test_what_the_fields_say(self) -> None:
        text = header.render(whole_life().packets[0])
        assert text.startswith("#1 client → server, ")
        for line in (
            "total length",
            "9  06                       protocol               6 TCP",
            "SYN",
            "option                 MSS 1460",
        ):
            assert line in text

    def test_long_data_is_cut(self) -> None:
        stage = Stage()
        stage.crosses(stage.left, stage.packet(stage.left, PSH | ACK, 1, 1, bytes(200)), 0)
        assert header.render(stage.trace.packets[0]).rstrip().endswith("…                      72 more")

    def test_udp_and_what_is_neither(self) -> None:
        stage = Stage()
        payload = udp.encode_for(udp.Datagram(1024, 53, b"?"), stage.left.address, stage.right.address)
        datagram = read(ip.encode(stage.left.address, stage.right.address, udp.PROTOCOL, payload), 1, 0)
        assert "destination port       53" in header.render(datagram)
        message = icmp.encode(
            icmp.IcmpMessage(icmp.ECHO_REQUEST, body=b"ping"), stage.left.address, stage.right.address
        )
        echo = read(ip.encode(stage.left.address, stage.right.address, icmp.PROTOCOL_4, message), 1, 0)
        assert [title for title, _ in header.sections(echo.octets)] == ["data"]


class TestRemarks:
    def test_a_remark_is_a_row_in_the_language_asked_for_and_may_be_a_cause(self) -> None:
        stage = Stage().handshake()
        stage.trace.remark(stage.left, stage.right, ("restarts", "重启"), 40_000)
        stage.enters(stage.left, FIN_WAIT_1, 40)
        stage.trace.remark(stage.right, stage.left, ("listen()",), 50_000)
        for language, word in (("en", "restarts"), ("zh", "重启")):
            text = ladder.render(stage.trace, language=language)
            assert f"  40.000 ms              │ {word} " in text
            assert "listen()" in text

    def test_a_change_right_after_a_remark_has_it_as_its_cause(self) -> None:
        stage = Stage().handshake()
        stage.trace.remark(stage.left, stage.right, ("restarts",), 40_000)
        stage.enters(stage.left, CLOSED, 40)
        assert "  40.000 ms       CLOSED │ restarts" in ladder.render(stage.trace)
        assert "the user's call" not in ladder.render(stage.trace)
        (flow,) = trace_json.of_flows(stage.trace.flows)
        assert flow["remarks"] == [
            {"at": str(stage.left), "texts": ("restarts",), "when": 40_000, "state": "CLOSED"}
        ]


class TestLateArrivals:
    def test_what_finds_its_receiver_changed_by_a_call_says_when_it_came(self) -> None:
        stage = Stage()
        stage.enters(stage.left, SYN_SENT, 0)
        stage.crosses(stage.left, stage.packet(stage.left, SYN, 0), 0, SYN_RECEIVED)
        answer = stage.departs(stage.right, stage.packet(stage.right, SYN | ACK, 0, 1), 10, 110)
        stage.enters(stage.left, CLOSED, 20)
        stage.arrives(answer, 110)
        assert "@110.000 ms │◄─ #2 SYN,ACK" in ladder.render(stage.trace)

    def test_an_ack_of_an_earlier_connection_is_not_the_end_of_this_handshake(self) -> None:
        stage = Stage()
        stage.enters(stage.left, SYN_SENT, 0)
        stage.crosses(stage.left, stage.packet(stage.left, SYN, 0), 0)
        stage.crosses(stage.right, stage.packet(stage.right, ACK, 1, -5000), 10)
        assert [packet.kind for packet in stage.trace.packets] == [Kind.SYN, Kind.PLAIN]

    def test_what_left_just_before_an_arrival_stands_above_it(self) -> None:
        stage = Stage().handshake()
        stage.enters(stage.left, FIN_WAIT_1, 30)
        fin = stage.departs(stage.left, stage.packet(stage.left, FIN | ACK, 1, 1), 30, 40)
        stage.departs(stage.right, stage.packet(stage.right, ACK, 1, 1), 40, 50)
        stage.arrives(fin, 40, LISTEN, stage.right)
        lines = ladder.render(stage.trace).splitlines()
        assert next(n for n, line in enumerate(lines) if "#5 ACK" in line) < next(
            n for n, line in enumerate(lines) if "#4 ╌╌►" in line
        )
