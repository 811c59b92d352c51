"""What a bare ACK is called: an answer to what arrived, or a window update."""

import pytest

from postel.host.listener import Listener
from postel.sim import Subject, World, dropping
from postel.tcp.events import Acceptable, Event
from postel.times import MILLISECOND, SECOND
from postel.view import Trace, ladder
from postel.view.packet import Kind


def accept(subject: Subject, event: Event, now: int) -> None:
    if isinstance(event, Acceptable) and isinstance(subject, Listener):
        subject.accept()


@pytest.mark.parametrize("text_size", [1, 1000, 1448])
@pytest.mark.parametrize("sends_more", [False, True])
def test_the_answer_to_a_fin_out_of_order_is_a_duplicate_ack(text_size: int, *, sends_more: bool) -> None:
    trace = Trace()
    world = World(1, observer=trace)
    near = world.host("near", "10.0.0.1/24")
    far = world.host("far", "10.0.0.2/24", application=accept)
    world.path(near, far, delay=10 * MILLISECOND)
    world.rules.append(dropping(4))
    far.listen(7, 0)
    connection = near.connect("10.0.0.2", 7, 0)
    world.run(until=100 * MILLISECOND)
    connection.send(bytes(text_size), world.now)
    world.pump()
    if sends_more:
        connection.send(b"more", world.now)
        world.pump()
    connection.close(world.now)
    world.run(until=SECOND)
    answers = [
        packet for packet in trace.packets if packet.source.port == 7 and packet.kind is not Kind.SYN_ACK
    ]
    assert answers[0].kind is Kind.DUPLICATE_ACK
    assert "window update" not in ladder.render(trace)


def test_more_room_alone_is_a_window_update() -> None:
    trace = Trace()
    world = World(1, observer=trace)
    near, far = world.host("near", "10.0.0.1/24"), world.host("far", "10.0.0.2/24")
    world.path(near, far, delay=10 * MILLISECOND)
    listener = far.listen(7, 0)
    connection = near.connect("10.0.0.2", 7, 0)
    world.run(until=100 * MILLISECOND)
    server = listener.accept()
    assert server is not None
    while connection.send(bytes(100_000), world.now):
        world.run(until=world.now + 100 * MILLISECOND)
    server.receive(1 << 20, world.now)
    world.run(until=world.now + 5 * MILLISECOND)
    assert trace.packets[-1].kind is Kind.WINDOW_UPDATE
