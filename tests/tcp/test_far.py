"""Connections that carried more than the circle of sequence numbers holds: nothing stale seems ahead
again.
"""

from random import Random

from postel.tcp import seq
from postel.tcp.connection import Connection
from postel.testing.states import established
from postel.wire.segment import ACK, PSH, URG, Segment

STEP = 1 << 30


def leap(connection: Connection, octets: int) -> None:
    """As if ``octets`` had been sent and acknowledged, and received and read, meanwhile."""
    tcb = connection._tcb
    for name in ("una", "nxt", "max", "wl2", "up"):
        setattr(tcb.snd, name, seq.add(getattr(tcb.snd, name), octets))
    tcb.rcv.nxt = seq.add(tcb.rcv.nxt, octets)
    tcb.snd.wl1 = seq.add(tcb.snd.wl1, octets)
    tcb.rcv.position += octets


def test_urgent_data_of_long_ago_is_not_ahead() -> None:
    connection = established().connection
    tcb = connection._tcb
    connection.segment_arrives(
        Segment(tcb.remote.port, tcb.local.port, tcb.rcv.nxt, tcb.snd.una, ACK | URG, 1000, b"now!", 4), 0
    )
    assert connection.urgent == 4
    connection.receive(4, 0)
    for _ in range(5):
        leap(connection, STEP)
        assert connection.urgent == 0
        text = Random(1).randbytes(10)
        connection.segment_arrives(
            Segment(
                tcb.remote.port, tcb.local.port, tcb.rcv.nxt, tcb.snd.una, ACK | URG | PSH, 1000, text, 3
            ),
            0,
        )
        assert connection.urgent == 3
        assert connection.receive(100, 0) == text
