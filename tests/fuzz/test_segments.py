"""Segments from liars, to a connection in every state: no exception, and the invariants of the TCB stand
after each (BAD-HDR-12).
"""

import os
import random
from dataclasses import replace

import pytest

from postel.errors import TcpError
from postel.tcp.config import AUTOMATIC, CHOICES, DEFAULT
from postel.tcp.connection import Connection
from postel.tcp.invariants import check
from postel.tcp.state import State
from postel.times import MILLISECOND, NEVER
from postel.wire.address import Endpoint
from postel.wire.options import USER_TIMEOUT
from postel.wire.segment import ABSENT, ACK, AE, CWR, ECE, FIN, PSH, RST, SYN, URG, Segment

LOCAL = Endpoint(b"\x0a\x00\x00\x01", 40000)
REMOTE = Endpoint(b"\x0a\x00\x00\x02", 80)
ROUNDS = int(os.environ.get("POSTEL_FUZZ", "300"))
FLAGS = (
    ACK,
    ACK,
    ACK,
    ACK | PSH,
    ACK | FIN,
    SYN,
    SYN | ACK,
    RST,
    RST | ACK,
    FIN,
    0,
    ACK | URG,
    SYN | FIN,
    0x1FF,
)


class Liar:
    """A peer that knows the numbers, and is near them or nowhere."""

    def __init__(self, draw: random.Random, connection: Connection) -> None:
        self.draw = draw
        self.connection = connection

    def near(self, number: int) -> int:
        draw = self.draw
        if draw.random() < 0.1:
            return draw.getrandbits(32)
        return (
            number + draw.choice((0, 0, 0, 0, 1, -1, 2, draw.randrange(-3000, 70000), 1 << 31))
        ) & 0xFFFFFFFF

    def segment(self) -> Segment:
        draw, tcb = self.draw, self.connection._tcb
        data = draw.randbytes(draw.choice((0, 0, 0, 1, 10, 1460)))
        flags = draw.choice(FLAGS)
        ack = self.near(draw.choice((tcb.snd.una, tcb.snd.nxt, tcb.snd.max)))
        window = draw.choice((0, 1, 100, 65535))
        made = Segment(
            80, 40000, self.near(tcb.rcv.nxt), ack, flags, window, data, draw.choice((0, 1, 65535))
        )
        if draw.random() < 0.7:
            made.tsval = self.near(tcb.timestamps.recent)
            made.tsecr = self.near(tcb.timestamps.offset)
        if draw.random() < 0.3:
            made.sack = tuple(
                (self.near(tcb.snd.una), self.near(tcb.snd.max)) for _ in range(draw.randrange(5))
            )
        made.flags ^= draw.choice((0, 0, 0, ECE, CWR, AE, AE | CWR, AE | CWR | ECE))
        made.ecn = draw.randrange(4)
        if draw.random() < 0.3:
            made.other = ((draw.choice((172, 174, USER_TIMEOUT)), draw.randbytes(draw.randrange(13))),)
        if flags & SYN:
            made.mss = draw.choice((ABSENT, 0, 1, 48, 1460, 65535))
            made.window_scale = draw.choice((ABSENT, 0, 7, 14, 255))
            made.sack_permitted = draw.random() < 0.5
        return made


def user_acts(draw: random.Random, connection: Connection, now: int) -> None:
    roll = draw.random()
    try:
        if roll < 0.3:
            connection.send(draw.randbytes(draw.choice((1, 100, 5000))), now, urgent=draw.random() < 0.1)
        elif roll < 0.6:
            connection.receive(draw.choice((1, 100, 1 << 20)), now)
        elif roll < 0.63:
            connection.close(now)
        elif roll < 0.64:
            connection.release(now)
        elif roll < 0.645:
            connection.abort(now)
    except TcpError:
        pass  # the call wasn't for this state, and said so


def drain(connection: Connection, now: int) -> int:
    count = 0
    while connection.next_segment(now) is not None:
        count += 1
    while connection.next_event() is not None:
        pass
    check(connection._tcb)
    return count


@pytest.mark.parametrize("seed", range(20))
def test_bad_hdr_12_no_segment_hurts(seed: int) -> None:
    draw = random.Random(seed)
    seen: set[State] = set()
    for _ in range(ROUNDS // 20):
        seen |= one_life(draw)
    assert State.ESTABLISHED in seen


def one_life(draw: random.Random) -> set[State]:
    config = replace(
        DEFAULT,
        receive_buffer=draw.choice((AUTOMATIC, 1, 5000, 1 << 20)),
        notsent_lowat=draw.choice((0, 0, 1, 1000)),
        user_timeout_option=draw.random() < 0.5,
        sack=draw.random() < 0.7,
        timestamps=draw.random() < 0.7,
        rfc1337=draw.random() < 0.5,
        keep_alive=draw.random() < 0.3,
        ecn=draw.choice(CHOICES["ecn"]),
    )
    connection = Connection(
        LOCAL, REMOTE, config, iss=draw.getrandbits(32), timestamp_offset=draw.getrandbits(32)
    )
    now = 0
    if draw.random() < 0.5:
        connection.open_active(now)
    else:
        connection.open_passive(now)
    liar = Liar(draw, connection)
    seen: set[State] = set()
    for _ in range(200):
        now += draw.choice((0, MILLISECOND, 300 * MILLISECOND))
        connection.segment_arrives(liar.segment(), now)
        assert drain(connection, now) < 2000
        user_acts(draw, connection, now)
        drain(connection, now)
        if draw.random() < 0.1 and connection.next_timeout() != NEVER:
            now = max(now, connection.next_timeout())
            connection.handle_timeout(now)
            drain(connection, now)
        seen.add(connection.state)
        if connection.state is not State.CLOSED:
            connection.status(now)
    return seen
