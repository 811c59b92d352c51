"""What a socket's close() does, and what can be changed while a connection lives."""

from dataclasses import replace

import pytest

from postel.tcp.memory import Memory
from postel.tcp.state import CLOSED, FIN_WAIT_1
from postel.tcp.timers import KEEP_ALIVE
from postel.testing import states
from postel.testing.states import EVERY, PLAIN, Maker, Peer, established, listen, syn_received, syn_sent
from postel.times import MINUTE, NEVER
from postel.wire.segment import ACK, FIN, RST

# RELEASE: what a socket's close() does


@pytest.mark.label("MAY-1")
def test_release_closes_in_order_when_nothing_is_unread() -> None:
    scene = established()
    scene.connection.send(b"bye", scene.now)
    assert scene.releases() == ["FIN,PSH,ACK seq=1 ack=1 len=3"]
    assert scene.state is FIN_WAIT_1


@pytest.mark.label("SHLD-3", "RFC2525-2.17", "RFC1122-4.2.2.13", "BAD-CLOSE-4")
@pytest.mark.parametrize("make", [established, states.fin_wait_1, states.fin_wait_2])
@pytest.mark.parametrize("ahead", [0, 5])
def test_release_with_unread_text_resets(make: Maker, ahead: int) -> None:
    scene = make()
    scene.hears(ACK, b"unread", seq=1 + ahead, ack=scene.max)
    assert scene.releases() == [f"RST seq={scene.max}"]
    assert scene.state is CLOSED
    assert scene.connection.readable == 0


@pytest.mark.label("SHLD-3", "BAD-CLOSE-4")
def test_release_with_unread_text_before_the_peers_fin_resets() -> None:
    scene = established()
    scene.hears(FIN | ACK, b"unread")
    assert scene.releases() == ["RST seq=1"]


@pytest.mark.label("BAD-CLOSE-4")
def test_release_with_data_to_send_sends_it_first() -> None:
    scene = established(peer=Peer(window=1000))
    scene.connection.send(bytes(1500), scene.now)
    assert scene.releases() == ["ACK seq=1 ack=1 len=1000"]
    assert scene.hears(ACK) == ["FIN,PSH,ACK seq=1001 ack=1 len=500"]


@pytest.mark.label("BAD-CLOSE-6")
def test_release_after_the_peers_fin_answers_it_with_ours() -> None:
    scene = states.close_wait()
    assert scene.releases() == ["FIN,ACK seq=1 ack=2"]
    assert scene.hears(ACK) == []
    assert scene.state is CLOSED


@pytest.mark.label("BAD-API-2")
@pytest.mark.parametrize("make", [*EVERY.values()])
def test_release_never_raises_however_often(make: Maker) -> None:
    scene = make()
    scene.releases()
    before = scene.image()
    assert scene.releases() == []
    assert scene.image() == before


def test_text_of_an_ended_connection_is_the_programs_and_counts_no_longer() -> None:
    memory = Memory(100)
    scene = established(memory=memory)
    scene.hears(ACK, b"unread")
    assert memory.used == 6
    scene.hears(RST)
    assert memory.used == 0
    assert scene.connection.receive(3, scene.now) == b"unr"  # D-14
    assert (memory.used, scene.connection.readable) == (0, 3)
    scene.releases()
    assert (memory.used, scene.connection.readable) == (0, 0)


# CONFIGURE


@pytest.mark.label("MUST-24")
def test_must_24_keep_alive_is_switched_on_and_off() -> None:
    scene = established()
    scene.connection.configure(replace(PLAIN, keep_alive=True, keep_alive_idle=MINUTE), scene.now)
    assert scene.connection.next_timeout() == scene.now + MINUTE
    scene.connection.configure(PLAIN, scene.now)
    assert scene.connection.next_timeout() == NEVER


@pytest.mark.parametrize("make", [listen, syn_sent, syn_received, states.time_wait])
def test_keep_alive_begins_with_established(make: Maker) -> None:
    scene = make()
    scene.connection.configure(replace(PLAIN, keep_alive=True), scene.now)
    assert not scene.tcb.timers.is_running(KEEP_ALIVE)


@pytest.mark.label("MUST-17")
def test_must_17_nagle_is_switched_off() -> None:
    scene = established()
    scene.sends(b"first")
    assert scene.sends(b"second") == []
    assert scene.does(scene.connection.configure, replace(PLAIN, nagle=False)) == [
        "PSH,ACK seq=6 ack=1 len=6"
    ]
