"""Every edge of the state diagram is walked, by its id: RFC 9293, figure 5 (F) and its notes (N)."""

import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace

import pytest

from postel.errors import HostUnreachable, IllegalTransition
from postel.tcp import timewait
from postel.tcp.state import EDGES, SUCCESSORS, State
from postel.testing import states
from postel.testing.states import PLAIN, Scene
from postel.times import NEVER
from postel.wire.segment import ACK, FIN, RST, SYN, Segment

KEEPS_ALIVE = replace(PLAIN, keep_alive=True)
Act = Callable[[Scene], object]
Walk = tuple[states.Maker, Act]


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
    scene = states.established()
    scene.hears(FIN | ACK, b"unread")
    return scene


def is_unreachable(scene: Scene) -> None:
    scene.connection.network_error(HostUnreachable(), scene.now, hard=True, number=states.ISS)


def time_wait_of_rfc_9293() -> Scene:
    return states.time_wait(replace(PLAIN, rfc1337=False))


def time_wait_that_heard_a_new_syn() -> Scene:
    """The host makes a new connection where `timewait.reopens`; its walk begins in LISTEN."""
    old = states.time_wait()
    assert timewait.reopens(old.tcb, old.segment(SYN, seq=old.nxt + 1000))
    return states.listen()


WALKS: dict[str, Walk] = {
    "F1": (states.closed, lambda scene: scene.does(scene.connection.open_passive)),
    "F2": (states.closed, lambda scene: scene.does(scene.connection.open_active)),
    "F3": (states.listen, Scene.closes),
    "F4": (states.listen, lambda scene: scene.sends(b"hello")),
    "F5": (states.listen, hears(SYN)),
    "F6": (states.syn_sent, Scene.closes),
    "F7": (states.syn_sent, hears(SYN)),
    "F8": (states.syn_sent, hears(SYN | ACK)),
    "F9": (states.syn_received, hears(RST)),
    "F10": (states.syn_received, hears(ACK)),
    "F11": (states.syn_received, Scene.closes),
    "F12": (states.established, Scene.closes),
    "F13": (states.established, hears(FIN | ACK)),
    "F14": (states.fin_wait_1, hears(ACK)),
    "F15": (states.fin_wait_1, hears(FIN | ACK, ack=1)),
    "F16": (states.fin_wait_2, hears(FIN | ACK)),
    "F17": (states.closing, hears(ACK)),
    "F18": (states.close_wait, Scene.closes),
    "F19": (states.last_ack, hears(ACK)),
    "F20": (states.time_wait, waits),
    "N1": (states.fin_wait_1, hears(FIN | ACK)),
    "N2": (states.listen, lambda scene: scene.does(scene.connection.open_active)),
    "N3": (states.syn_sent, hears(RST | ACK)),
    "N4": (states.syn_received_active, hears(RST)),
    "N5": (states.syn_received, hears(SYN)),
    "N6": (states.syn_received, hears(FIN | ACK)),
    "N7": (states.syn_sent, hears(SYN | FIN | ACK)),
    "N8": (states.established, hears(RST)),
    "N9": (states.fin_wait_1, hears(RST)),
    "N10": (states.fin_wait_2, hears(RST)),
    "N11": (states.close_wait, hears(RST)),
    "N12": (states.closing, hears(RST)),
    "N13": (states.last_ack, hears(RST)),
    "N14": (time_wait_of_rfc_9293, hears(RST)),
    "N15": (states.time_wait, hears(RST)),
    "N16": (states.time_wait, hears(FIN | ACK, seq=1)),
    "N17": (time_wait_that_heard_a_new_syn, hears(SYN)),
    "N18": (states.listen, Scene.aborts),
    "N19": (states.syn_sent, Scene.aborts),
    "N20": (states.syn_received, Scene.aborts),
    "N21": (states.established, Scene.aborts),
    "N22": (states.fin_wait_1, Scene.aborts),
    "N23": (states.fin_wait_2, Scene.aborts),
    "N24": (states.close_wait, Scene.aborts),
    "N25": (states.closing, Scene.aborts),
    "N26": (states.last_ack, Scene.aborts),
    "N27": (states.time_wait, Scene.aborts),
    "N28": (states.syn_sent, is_unreachable),
    "N29": (states.syn_received_active, waits),
    "N30": (states.syn_received, waits),
    "N31": (states.established, sends_and_waits),
    "N32": (states.fin_wait_1, waits),
    "N33": (states.close_wait, sends_and_waits),
    "N34": (states.closing, waits),
    "N35": (states.last_ack, waits),
    "N36": (states.fin_wait_2, releases_and_waits),
    "N37": (states.established, gets_text_and_releases),
    "N38": (close_wait_with_unread, Scene.releases),
    "N39": (states.fin_wait_1, releases_and_hears_text),
    "N40": (states.fin_wait_2, releases_and_hears_text),
    "N41": (states.fin_wait_1, hears(ACK, b"text", ack=1)),
    "N42": (states.closing, hears(FIN | ACK, seq=1, ack=1)),
    "N43": (states.last_ack, hears(FIN | ACK, seq=1, ack=1)),
    "N44": (states.close_wait, hears(FIN | ACK, seq=1)),
    "N46": (states.syn_received, hears(ACK, ack=2)),
    "N47": (states.syn_sent, hears(ACK, ack=2)),
    "N48": (states.listen, hears(ACK, ack=2)),
}
_SENDING = re.compile("send (SYN,ACK|[A-Z]+)")
ANSWERS = {"SYN": SYN, "SYN,ACK": SYN | ACK, "FIN": FIN | ACK, "ACK": ACK, "RST": RST}
# Edges that one segment takes together with another: the state in between
BY_WAY_OF = {"N6": State.ESTABLISHED, "N7": State.ESTABLISHED, "N1": State.FIN_WAIT_2}


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


@pytest.mark.parametrize(
    "name", [name for name in WALKS if "no RST" in edge(name)[1] or edge(name)[1] in ("delete TCB", "ignore")]
)
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


@pytest.mark.parametrize("make", [states.established, states.close_wait, states.fin_wait_2])
def test_keep_alive_failure_walks_its_edges_too(make: states.Maker) -> None:
    scene = make(KEEPS_ALIVE)
    waits(scene)
    assert scene.state is State.CLOSED


def test_no_other_pair_is_allowed() -> None:
    for before in State:
        for after in State:
            if after not in SUCCESSORS[before]:
                scene = states.closed()
                scene.tcb.state = before
                with pytest.raises(IllegalTransition, match="no transition"):
                    scene.tcb.enter(after, scene.now)


def test_a_wrong_pair_changes_nothing_and_is_refused_without_asserts_too() -> None:
    program = """
from postel.errors import IllegalTransition
from postel.tcp.state import LISTEN, TIME_WAIT
from postel.testing.states import listen
tcb = listen().tcb
try:
    tcb.enter(TIME_WAIT, 0)
except IllegalTransition as error:
    print(error, tcb.state)
"""
    done = subprocess.run([sys.executable, "-O", "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "RFC 9293 has no transition from LISTEN to TIME-WAIT LISTEN\n"


def test_states_read_as_the_rfc_writes_them() -> None:
    assert " ".join(map(str, State)) == (
        "CLOSED LISTEN SYN-SENT SYN-RECEIVED ESTABLISHED FIN-WAIT-1 FIN-WAIT-2 CLOSE-WAIT CLOSING LAST-ACK "
        "TIME-WAIT"
    )


def test_any_segment_to_a_closed_connection_changes_nothing() -> None:
    scene = states.closed()
    scene.connection.segment_arrives(Segment(1, 2, 3, 4, RST, 5), scene.now)
    assert scene.image() == states.closed().image()
