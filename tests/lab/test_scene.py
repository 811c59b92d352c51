"""The stage of the experiments: users that wait, segments treated in turn, and the person before a host."""

from dataclasses import replace

from postel.errors import ConnectionRefused
from postel.lab import Interference
from postel.lab.front import Front, OpensOnSyn, TakesAnyAck
from postel.lab.interference import DELAY
from postel.lab.packet_kinds import has_data, is_syn
from postel.lab.scene import End, Scene
from postel.sim import DROP, PASS
from postel.tcp.config import DEFAULT
from postel.tcp.state import CLOSE_WAIT, CLOSED, ESTABLISHED, LAST_ACK, SYN_RECEIVED, SYN_SENT
from postel.times import MINUTE, NEVER, SECOND
from postel.wire.segment import SYN


def scene(**settings: object) -> Scene:
    return Scene("plain", Interference(), **settings)  # type: ignore[arg-type]


def test_an_open_waits_for_both_ends() -> None:
    stage = scene()
    client, server = stage.open()
    assert (client.state, server.state, stage.world.now) == (ESTABLISHED, ESTABLISHED, 3 * DELAY)
    assert stage.peer(client) is server
    assert stage.peer(server) is client


def test_nobody_waits_for_ever() -> None:
    stage = scene()
    assert not stage.wait(lambda: False, MINUTE)
    assert stage.world.now == MINUTE


def test_an_end_of_nothing_does_no_harm() -> None:
    stage = scene()
    end = End(stage.client, None)
    end.send(b"x")
    end.read()
    end.close()
    end.abort()
    assert (end.state, end.text, end.has_ended, end.error) == (CLOSED, b"", True, None)
    assert stage.peer(end).state is CLOSED
    assert stage.path_of(end) == []
    assert stage.entered(end, CLOSED) == NEVER


def test_what_a_call_raises_is_kept() -> None:
    stage = scene()
    client = stage.client.connect(stage.server)
    stage.wait(lambda: client.state is CLOSED)
    client.send(b"too late")
    assert isinstance(client.error, ConnectionRefused)
    assert [(call.name, type(call.error)) for call in stage.calls if call.error] == [
        ("send", ConnectionRefused)
    ]


def test_segments_are_treated_in_turn() -> None:
    stage = scene()
    stage.treat(lambda segment: segment.flags == SYN, DROP, PASS, DROP)
    stage.open()
    assert [packet.lost for packet in stage.segments("client") if is_syn(packet)] == ["loss", ""]


def test_segments_of_one_sender_alone() -> None:
    stage = scene()
    stage.treat(lambda segment: True, DROP, sender="server")
    stage.open()
    assert [packet.sender for packet in stage.segments() if packet.lost] == ["server"]


def test_a_prompt_user_closes_before_the_ack_leaves() -> None:
    stage = scene()
    stage.server.is_prompt = True
    client, server = stage.open()
    client.send(b"last words")
    client.close()
    stage.run(SECOND)
    assert server.text == b"last words"
    assert stage.path_of(server)[-3:] == [CLOSE_WAIT, LAST_ACK, CLOSED]
    assert not [packet for packet in stage.segments("server") if packet.kind.value == "fin-ack"]


def test_a_user_who_serves_is_called_for_text_and_for_the_end() -> None:
    stage = scene()
    heard: list[tuple[bytes, bool]] = []
    stage.server.serves = lambda end: heard.append((end.text, end.has_ended))
    client, _ = stage.open()
    client.send(b"a request")
    stage.run(SECOND)
    client.close()
    stage.run(SECOND)
    assert heard == [(b"a request", False), (b"a request", True)]


def test_a_restart_is_told_and_takes_effect() -> None:
    stage = scene()
    client, server = stage.open()
    stage.client.restart()
    assert list(stage.client.host.connections()) == []
    assert stage.path_of(client)[-1] is CLOSED
    assert [remark.texts[0] for remark in stage.trace.flows[0].remarks] == [
        "restarts, and has forgotten the connection"
    ]
    assert server.is_open


class TestFront:
    def test_it_notes_the_variables_after_each_segment(self) -> None:
        stage = scene()
        stage.open()
        told = [
            (note.host, note.arrived, note.variables.get("SND.NXT"), note.variables.get("RCV.NXT"))
            for note in stage.notes
        ]
        assert told == [
            ("client", False, 1, None),
            ("server", True, 1, 1),
            ("server", False, 1, 1),
            ("client", True, 1, 1),
            ("client", False, 1, 1),
            ("server", True, 1, 1),
        ]

    def test_it_changes_nothing(self) -> None:
        stage = scene(fronts=(Front, Front))
        client, server = stage.open()
        client.send(bytes(5000))
        stage.run(SECOND)
        assert server.text == bytes(5000)

    def test_a_server_that_waits_for_no_third_segment(self) -> None:
        stage = scene(fronts=(Front, OpensOnSyn), config=replace(DEFAULT, timestamps=False))
        client, server = stage.open()
        assert stage.path_of(server) == [SYN_RECEIVED, ESTABLISHED]
        assert stage.entered(server, ESTABLISHED) == DELAY
        client.send(b"and yet it works")
        stage.run(SECOND)
        assert server.text == b"and yet it works"
        assert any(has_data(packet) for packet in stage.segments("client"))

    def test_a_client_that_takes_any_number_takes_the_right_one(self) -> None:
        stage = scene(fronts=(TakesAnyAck, Front))
        client, server = stage.open()
        client.send(b"hello")
        stage.run(SECOND)
        assert stage.path_of(client) == [SYN_SENT, ESTABLISHED]
        assert server.text == b"hello"
