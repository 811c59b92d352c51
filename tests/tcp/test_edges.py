"""Every edge of the state diagram is walked, by its id: RFC 9293, figure 5 (F) and its notes (N)."""

import re
from collections.abc import Callable
from dataclasses import replace

import pytest

from postel.errors import HostUnreachable
from postel.tcp import timewait
from postel.tcp.state import EDGES, SUCCESSORS, State
from postel.times import NEVER
from postel.wire.segment import ACK, FIN, RST, SYN, Segment
from tests.tcp import scenes
from tests.tcp.scenes import PLAIN, Scene

KEEPS_ALIVE = replace(PLAIN, keep_alive=True)
Act = Callable[[Scene], object]
Walk = tuple[scenes.Maker, Act]


def hears(flags: int, data: bytes = b"", **numbers: int) -> Act:
    return lambda scene: scene.hears(flags, data, **numbers)


def waits(scene: Scene) -> None:
    """Until nothing more can happen by itself."""
    before = scene.state
    while scene.state is before and scene.connection.next_timeout() < NEVER:
        scene.expires()


def sends_and_waits(scene: Scene) -> None:
    scene.sends(b"anybody?")
    waits(scene)


def gets_text_and_releases(scene: Scene) -> None:
    scene.hears(ACK, b"unread")
    scene.releases()


def releases_and_hears_text(scene: Scene) -> None:
    scene.releases()
    scene.hears(ACK, b"late", ack=1)


def releases_and_waits(scene: Scene) -> None:
    scene.releases()
    waits(scene)


def close_wait_with_unread() -> Scene:
    scene = scenes.established()
    scene.hears(FIN | ACK, b"unread")
    return scene


def is_unreachable(scene: Scene) -> None:
    scene.connection.network_error(HostUnreachable(), scene.now, hard=True, number=scenes.ISS)


def time_wait_of_rfc_9293() -> Scene:
    return scenes.time_wait(replace(PLAIN, rfc1337=False))


def time_wait_that_heard_a_new_syn() -> Scene:
    """The host makes a new connection where `timewait.reopens`; its walk begins in LISTEN."""
    old = scenes.time_wait()
    assert timewait.reopens(old.tcb, old.segment(SYN, seq=old.nxt + 1000))
    return scenes.listen()


WALKS: dict[str, Walk] = {
    "F1": (scenes.closed, lambda scene: scene.does(scene.connection.open_passive)),
    "F2": (scenes.closed, lambda scene: scene.does(scene.connection.open_active)),
    "F3": (scenes.listen, Scene.closes),
    "F4": (scenes.listen, lambda scene: scene.sends(b"hello")),
    "F5": (scenes.listen, hears(SYN)),
    "F6": (scenes.syn_sent, Scene.closes),
    "F7": (scenes.syn_sent, hears(SYN)),
    "F8": (scenes.syn_sent, hears(SYN | ACK)),
    "F9": (scenes.syn_received, hears(RST)),
    "F10": (scenes.syn_received, hears(ACK)),
    "F11": (scenes.syn_received, Scene.closes),
    "F12": (scenes.established, Scene.closes),
    "F13": (scenes.established, hears(FIN | ACK)),
    "F14": (scenes.fin_wait_1, hears(ACK)),
    "F15": (scenes.fin_wait_1, hears(FIN | ACK, ack=1)),
    "F16": (scenes.fin_wait_2, hears(FIN | ACK)),
    "F17": (scenes.closing, hears(ACK)),
    "F18": (scenes.close_wait, Scene.closes),
    "F19": (scenes.last_ack, hears(ACK)),
    "F20": (scenes.time_wait, waits),
    "N1": (scenes.fin_wait_1, hears(FIN | ACK)),
    "N2": (scenes.listen, lambda scene: scene.does(scene.connection.open_active)),
    "N3": (scenes.syn_sent, hears(RST | ACK)),
    "N4": (scenes.syn_received_active, hears(RST)),
    "N5": (scenes.syn_received, hears(SYN)),
    "N6": (scenes.syn_received, hears(FIN | ACK)),
    "N7": (scenes.syn_sent, hears(SYN | FIN | ACK)),
    "N8": (scenes.established, hears(RST)),
    "N9": (scenes.fin_wait_1, hears(RST)),
    "N10": (scenes.fin_wait_2, hears(RST)),
    "N11": (scenes.close_wait, hears(RST)),
    "N12": (scenes.closing, hears(RST)),
    "N13": (scenes.last_ack, hears(RST)),
    "N14": (time_wait_of_rfc_9293, hears(RST)),
    "N15": (scenes.time_wait, hears(RST)),
    "N16": (scenes.time_wait, hears(FIN | ACK, seq=1)),
    "N17": (time_wait_that_heard_a_new_syn, hears(SYN)),
    "N18": (scenes.listen, Scene.aborts),
    "N19": (scenes.syn_sent, Scene.aborts),
    "N20": (scenes.syn_received, Scene.aborts),
    "N21": (scenes.established, Scene.aborts),
    "N22": (scenes.fin_wait_1, Scene.aborts),
    "N23": (scenes.fin_wait_2, Scene.aborts),
    "N24": (scenes.close_wait, Scene.aborts),
    "N25": (scenes.closing, Scene.aborts),
    "N26": (scenes.last_ack, Scene.aborts),
    "N27": (scenes.time_wait, Scene.aborts),
    "N28": (scenes.syn_sent, is_unreachable),
    "N29": (scenes.syn_received_active, waits),
    "N30": (scenes.syn_received, waits),
    "N31": (scenes.established, sends_and_waits),
    "N32": (scenes.fin_wait_1, waits),
    "N33": (scenes.close_wait, sends_and_waits),
    "N34": (scenes.closing, waits),
    "N35": (scenes.last_ack, waits),
    "N36": (scenes.fin_wait_2, releases_and_waits),
    "N37": (scenes.established, gets_text_and_releases),
    "N38": (close_wait_with_unread, Scene.releases),
    "N39": (scenes.fin_wait_1, releases_and_hears_text),
    "N40": (scenes.fin_wait_2, releases_and_hears_text),
    "N41": (scenes.fin_wait_1, hears(ACK, b"text", ack=1)),
    "N42": (scenes.closing, hears(FIN | ACK, seq=1, ack=1)),
    "N43": (scenes.last_ack, hears(FIN | ACK, seq=1, ack=1)),
    "N44": (scenes.close_wait, hears(FIN | ACK, seq=1)),
    "N46": (scenes.syn_received, hears(ACK, ack=2)),
    "N47": (scenes.syn_sent, hears(ACK, ack=2)),
    "N48": (scenes.listen, hears(ACK, ack=2)),
}
_SENDING = re.compile("send (SYN,ACK|[A-Z]+)")
ANSWERS = {"SYN": SYN, "SYN,ACK": SYN | ACK, "FIN": FIN | ACK, "ACK": ACK, "RST": RST}
BY_WAY_OF = {"N6": State.ESTABLISHED, "N7": State.ESTABLISHED, "N1": State.FIN_WAIT_2}  # one segment, two edges


def edge(name: str) -> tuple[State, str, State]:
    return next((before, action, after) for found, before, _, action, after in EDGES if found == name)


def test_each_edge_has_its_walk() -> None:
    assert list(WALKS) == [name for name, *_ in EDGES]


@pytest.mark.parametrize("name", WALKS)
def test_edge(name: str) -> None:
    make, act = WALKS[name]
    before, _, after = edge(name)
    scene = make()
    if name != "N17":
        assert scene.state is before
    act(scene)
    assert scene.state is after
    if name in BY_WAY_OF:
        assert scene.watch.changes[-2:] == [(before, BY_WAY_OF[name]), (BY_WAY_OF[name], after)]
    elif before is not after and name != "N17":
        assert scene.watch.changes[-1] == (before, after)


@pytest.mark.parametrize("name", [name for name in WALKS if "send" in edge(name)[1]])
def test_what_the_edge_sends(name: str) -> None:
    make, act = WALKS[name]
    scene = make()
    act(scene)
    if name == "N41":
        scene.expires()  # the ACK of text may be delayed
    assert ANSWERS[_SENDING.findall(edge(name)[1])[0]] in [segment.flags for segment in scene.sent]


@pytest.mark.parametrize("name", [name for name in WALKS if "no RST" in edge(name)[1] or edge(name)[1] in ("delete TCB", "ignore")])
def test_edges_that_send_nothing(name: str) -> None:
    make, act = WALKS[name]
    scene = make()
    act(scene)
    assert scene.sent == []


@pytest.mark.parametrize("name", ["N8", "N9", "N10", "N11", "N3", "N4", "N28", "N29", "N31", "N32", "N33"])
def test_edges_that_signal_an_error(name: str) -> None:
    make, act = WALKS[name]
    scene = make()
    act(scene)
    assert scene.connection.error is not None
    assert scene.all_events()[-1].error is scene.connection.error


@pytest.mark.parametrize("make", [scenes.established, scenes.close_wait, scenes.fin_wait_2])
def test_keep_alive_failure_walks_its_edges_too(make: scenes.Maker) -> None:
    scene = make(KEEPS_ALIVE)
    waits(scene)
    assert scene.state is State.CLOSED


def test_no_other_pair_is_allowed() -> None:
    for before in State:
        for after in State:
            if after not in SUCCESSORS[before]:
                scene = scenes.closed()
                scene.tcb.state = before
                with pytest.raises(AssertionError, match="no edge"):
                    scene.tcb.enter(after, scene.now)


def test_states_read_as_the_rfc_writes_them() -> None:
    assert " ".join(map(str, State)) == (
        "CLOSED LISTEN SYN-SENT SYN-RECEIVED ESTABLISHED FIN-WAIT-1 FIN-WAIT-2 CLOSE-WAIT CLOSING LAST-ACK TIME-WAIT"
    )


def test_any_segment_to_a_closed_connection_changes_nothing() -> None:
    scene = scenes.closed()
    scene.connection.segment_arrives(Segment(1, 2, 3, 4, RST, 5), scene.now)
    assert scene.image() == scenes.closed().image()
