"""What `instructions` counts: fixed work of one host, without a link, a clock or a peer.

A host is a function of its inputs. So each work is rehearsed against a second host, and what that one sent is
kept; then it is done once more by a fresh host that hears the same. Between two marks there is that host
alone: with `os.getpriority`, which nothing else calls, the marks are where callgrind writes down how many
instructions there were since the last.
"""

import gc
import itertools
import json
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final

from postel.host.host import Host, HostEvent
from postel.host.listener import Listener
from postel.tcp.config import DEFAULT, MEBIBYTE
from postel.tcp.connection import Connection
from postel.tcp.events import EndOfStream, Opened
from postel.times import MILLISECOND, MINUTE, SECOND
from postel.wire.ip import LARGEST

NEAR: Final = "10.0.0.1"
STREAM, DOOR, CROWD = 9, 80, 11  # ports: the stream, connections opened and closed, connections that stay
CONFIG: Final = replace(DEFAULT, send_buffer=MEBIBYTE, receive_buffer=64 * 1024)  # some 45 segments a turn
TEXT: Final = bytes(64 * 1024)
WARM, TURNS = 12, 15  # turns before the first mark, and between the two
OPENED_A_TURN: Final = 4
MOST_A_TURN: Final = 100  # connections of a crowd

Answers = Callable[[list[bytes], int], list[bytes]]  # packets that left, and when; packets that come
Mark = Callable[[], object]


class Near:
    """The host that is measured: a turn is what a pump does."""

    def __init__(self, answers: Answers) -> None:
        self.host = Host(f"{NEAR}/8", secret=b"near", config=CONFIG)
        self.host.use_offload(LARGEST)
        self.now = SECOND
        self.accepted: dict[int, list[Connection]] = {STREAM: [], DOOR: [], CROWD: []}  # by port
        for port in self.accepted:
            self.host.listen(port, self.now, backlog=2 * MOST_A_TURN)
        self._answers = answers

    def turn(self) -> None:
        self.now += MILLISECOND
        if self.host.next_timeout() <= self.now:
            self.host.handle_timeout(self.now)
        for packet in self._answers(drained(self.host, self.now), self.now):
            self.host.packet_arrives(packet, self.now)
        while (told := self.host.next_event()) is not None:
            self._happened(told)

    def _happened(self, told: HostEvent) -> None:
        subject, event = told
        if isinstance(subject, Listener) and (connection := subject.accept()):
            self.accepted[connection.local.port].append(connection)
        elif isinstance(subject, Connection) and isinstance(event, EndOfStream):
            subject.close(self.now)


class Far:
    """The other host, while all is rehearsed. It hears packets one by one, so that it acknowledges every
    second segment.
    """

    def __init__(self, play: Callable[[Host, int], None]) -> None:
        self.kept: list[list[bytes]] = []
        self._host = Host("10.0.0.2/8", secret=b"far", config=CONFIG, any_address=True)
        self._listener = self._host.listen(STREAM, 0)
        self._streams: list[Connection] = []
        self._play = play

    def answers(self, packets: list[bytes], now: int) -> list[bytes]:
        said: list[bytes] = []
        self._host.handle_timeout(now)
        for packet in packets:
            self._host.packet_arrives(packet, now)
            said += drained(self._host, now)
        if connection := self._listener.accept():
            self._streams.append(connection)
        for stream in self._streams:
            stream.receive(MEBIBYTE, now)
        self._play(self._host, now)
        said += drained(self._host, now)
        self.kept.append(said)
        return said


def drained(host: Host, now: int) -> list[bytes]:
    return list(iter(lambda: host.next_packet(now), None))


# The work: each a function of the host and its marks that returns of how many segments or connections it was,
# and a part for the far host


def marked(mark: Mark, turn: Callable[[], None], count: Callable[[], int]) -> int:
    """How many of what is counted came to pass between the marks."""
    for _ in range(WARM):
        turn()
    before = count()
    mark()
    for _ in range(TURNS):
        turn()
    mark()
    return count() - before


def sends(near: Near, mark: Mark) -> int:
    """Text in segments of 1,448 octets; for every second an ACK comes."""
    connection = near.host.connect("10.0.0.2", STREAM, near.now)

    def turn() -> None:
        while connection.send(TEXT, near.now) == len(TEXT):
            pass
        near.turn()

    return marked(mark, turn, lambda: near.host.statistics()["packets_sent"])


def receives(near: Near, mark: Mark) -> int:
    """Text in segments of 1,448 octets, in order, read once a turn."""

    def turn() -> None:
        near.turn()
        for stream in near.accepted[STREAM]:
            stream.receive(MEBIBYTE, near.now)

    return marked(mark, turn, lambda: near.host.statistics()["packets_arrived"])


def writer() -> Callable[[Host, int], None]:
    streams: list[Connection] = []

    def play(host: Host, now: int) -> None:
        if not streams:
            streams.append(host.connect(NEAR, STREAM, now))
        while streams[0].send(TEXT, now) == len(TEXT):
            pass

    return play


def opens(near: Near, mark: Mark) -> int:
    """Connections that the peer opens and closes, and this host after it."""
    return marked(mark, near.turn, lambda: len(near.accepted[DOOR]))


def callers() -> Callable[[Host, int], None]:
    def play(host: Host, now: int) -> None:
        while (told := host.next_event()) is not None:
            if isinstance(told[1], Opened) and isinstance(told[0], Connection):
                told[0].close(now)
        for _ in range(OPENED_A_TURN):
            host.connect(NEAR, DOOR, now)

    return play


def listener() -> Callable[[Host, int], None]:
    return lambda _host, _now: None


WORK: Final = {"out": (sends, listener), "in": (receives, writer), "open": (opens, callers)}


# A crowd: connections that are open, and idle


def crowd(near: Near, others: int) -> None:
    """Open, and open for so long that no timer remembers how they were opened."""
    while len(near.accepted[CROWD]) < others:
        near.turn()
    if others:
        near.now = MINUTE


def crowding(others: int, then: Callable[[Host, int], None]) -> Callable[[Host, int], None]:
    """From as many addresses as need be: one has no more than 65,535 ports."""
    left = iter(range(others))

    def play(host: Host, now: int) -> None:
        joining = list(itertools.islice(left, MOST_A_TURN))
        for number in joining:
            host.connect(
                NEAR,
                CROWD,
                now,
                local_address=f"10.1.{number >> 8 & 255}.{number & 255}",
                local_port=1024 + (number >> 16),
            )
        if not others or now > MINUTE:
            then(host, now)

    return play


# Rehearsal and performance


def rehearsed(name: str, others: int, times: int) -> Iterator[list[bytes]]:
    work, part = WORK[name]
    far = Far(crowding(others, part()))
    near = Near(far.answers)
    crowd(near, others)
    for _ in range(times):
        work(near, bool)
    return iter(far.kept)


def prepared(name: str, others: int = 0, times: int = 1) -> Near:
    """A host with its crowd, which can do this work so many times."""
    script = rehearsed(name, others, times)
    near = Near(lambda _packets, _now: next(script))
    crowd(near, others)
    gc.collect()
    gc.freeze()  # a collection of all that there is comes or doesn't: it isn't the work's
    return near


def performed(name: str, mark: Mark, others: int = 0) -> int:
    """Of how many segments or connections the work was."""
    return WORK[name][0](prepared(name, others), mark)


def main() -> None:
    """``workload.py OTHERS NAME…``: says of how many each was, in order."""
    others = int(sys.argv[1])
    print(
        json.dumps(
            {
                name: performed(name, lambda: os.getpriority(os.PRIO_PROCESS, 0), others)
                for name in sys.argv[2:]
            }
        )
    )


if __name__ == "__main__":
    main()
