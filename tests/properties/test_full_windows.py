"""Two senders that have both filled the other's window with text that was lost: they must go on hearing each
other.
"""

from dataclasses import replace

import pytest

from postel.sim import Path, World
from postel.tcp.config import DEFAULT
from postel.tcp.connection import Connection
from postel.times import MILLISECOND, MINUTE, SECOND

WINDOW = 12_000


@pytest.mark.label("EP-SEQ-1")
@pytest.mark.parametrize("sack", [False, True])
def test_a_window_full_of_lost_text_on_both_sides_is_no_deadlock(sack: bool) -> None:
    """Every number of the window is sent and lost, so a bare ACK stands at its right edge: what it
    acknowledges counts all the same.
    """
    world = World(1)
    config = replace(
        DEFAULT, sack=sack, receive_buffer=WINDOW, send_buffer=WINDOW, delayed_ack=0, nagle=False
    )
    near, far = (
        world.host("near", "10.0.0.1/24", config=config),
        world.host("far", "10.0.0.2/24", config=config),
    )
    paths: tuple[Path, Path] = world.path(near, far, delay=MILLISECOND)
    listener = far.listen(80, world.now)
    one = near.connect("10.0.0.2", 80, world.now)
    world.run(until=SECOND)
    other = listener.accept()
    assert isinstance(other, Connection)
    for path in paths:
        path.loss = 1.0
    for connection in (one, other):
        connection._tcb.ensure_controller().window = 2 * WINDOW
        assert connection.send(bytes(WINDOW), world.now) == WINDOW
    world.run(until=world.now + 10 * MILLISECOND)
    assert [connection._tcb.snd.flight for connection in (one, other)] == [WINDOW, WINDOW]
    for path in paths:
        path.loss = 0.0
    world.run(until=world.now + MINUTE)
    assert [connection.readable for connection in (one, other)] == [WINDOW, WINDOW]
    assert [connection.unacknowledged for connection in (one, other)] == [0, 0]
