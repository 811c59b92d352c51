"""A search of orders: two connections, every short sequence of user calls, deliveries, losses, reorderings
and timeouts between them.

After each sequence the path is whole, the users close, and time runs until nothing is left to happen.
Whatever the order was, both ends must then be closed, no call may have raised anything but what it may
raise, each octet that was taken must have arrived where neither end aborted, and each connection that was
synchronized must have come there by `handshake.establish`: it told OPENED once, it knows its path MTU, and a
lost SYN has left it with an RTO of 3 s.

Run as a program it searches deeper: ``python -m tests.properties.test_orders 9``.
"""

import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from types import GetSetDescriptorType

import pytest

from postel.errors import TcpError
from postel.tcp.config import DEFAULT, Config
from postel.tcp.connection import Connection
from postel.tcp.invariants import check
from postel.tcp.memory import Memory
from postel.tcp.state import CLOSED, LISTEN, SYN_RECEIVED, SYN_SENT, State
from postel.tcp.timeouts import HANDLERS
from postel.tcp.timers import PERSIST, RETRANSMISSION, TAIL_PROBE, USER, Timers
from postel.testing.pairs import FAR, NEAR, decoded, encoded
from postel.times import MILLISECOND, NEVER, SECOND
from postel.wire import segment as wire
from postel.wire.segment import Segment

CALLS = ("send", "receive", "close", "release", "abort")
NETWORK = ("deliver", "lose", "late")  # the oldest segment towards this end; the youngest
TIMEOUT = "timeout"
MOST_CALLS = 3  # in one sequence, for both ends together
MOST_LOSSES = 2
OPENINGS = {"passive": False, "simultaneous": True}
CONFIGS = {
    "SACK": DEFAULT,
    "bare": replace(DEFAULT, sack=False, timestamps=False, window_scaling=False),
    "probes": replace(DEFAULT, timestamps=False, tail_probe=False, mtu_probing="always"),
}
STARTS: dict[str, tuple["Step", ...]] = {
    "SYN-SENT": (),
    "SYN-RECEIVED": ((1, "deliver"),),
    "ESTABLISHED": ((1, "deliver"), (0, "deliver"), (1, "send")),
}
_VARIABLES = (type(Timers.expires), GetSetDescriptorType)  # slots, and what mypyc makes of them
Step = tuple[int, str]  # which end, and what; -1 for both


class Pair:
    """Two ends and the segments between them."""

    def __init__(self, config: Config, *, together: bool) -> None:
        config = replace(config, msl=SECOND)
        self.now = SECOND
        self.memory = Memory(1 << 24)
        self.ends = (
            Connection(NEAR, FAR, config, iss=0xFFFFFFFE, memory=self.memory),
            Connection(FAR, NEAR, config, iss=0x7FFFFFFE, memory=self.memory),
        )
        self.flying: tuple[list[bytes], list[bytes]] = ([], [])
        self.sent = (bytearray(), bytearray())
        self.read = (bytearray(), bytearray())
        self.told: tuple[list[str], list[str]] = ([], [])
        self.was_let_go = [False, False]  # by abort or release: what arrives there then is lost
        self.ends[0].open_active(self.now)
        (self.ends[1].open_active if together else self.ends[1].open_passive)(self.now)
        self.drain()

    def drain(self) -> None:
        for side, end in enumerate(self.ends):
            while (segment := end.next_segment(self.now)) is not None:
                self.flying[1 - side].append(encoded(segment, end))
            while (event := end.next_event()) is not None:
                self.told[side].append(type(event).__name__)
            check(end._tcb)
        assert len(self.flying[0]) + len(self.flying[1]) < 100, "a storm"

    def may(self, step: Step) -> bool:
        side, what = step
        if what == TIMEOUT:
            return min(end.next_timeout() for end in self.ends) != NEVER
        if what in NETWORK:
            return len(self.flying[side]) > (what == "late")
        return self.ends[side].state not in (CLOSED, LISTEN)

    def do(self, step: Step) -> None:
        side, what = step
        if what == TIMEOUT:
            self.pass_time()
        elif what == "lose":
            self.flying[side].pop(0)
        elif what in NETWORK:
            self.arrives(side, self.flying[side].pop(0 if what == "deliver" else -1))
        else:
            self.call(side, what)
        self.drain()

    def pass_time(self) -> None:
        self.now = max(self.now, min(end.next_timeout() for end in self.ends))
        for end in self.ends:
            end.handle_timeout(self.now)

    def arrives(self, side: int, octets: bytes) -> None:
        self.now += MILLISECOND
        segment = decoded(octets, self.ends[side])
        assert isinstance(segment, Segment)
        before, end = self.ends[side]._tcb.snd.syn_is_acked, self.ends[side]
        lost_syns = end._tcb.snd.retransmissions
        end.segment_arrives(segment, self.now)
        if not before and end._tcb.is_synchronized:
            self.was_established(end, lost_syns)

    def was_established(self, end: Connection, lost_syns: int) -> None:
        """What `handshake.establish`, and nothing else, does."""
        tcb = end._tcb
        assert tcb.config.mtu_probing != "always" or tcb.path.search is not None
        assert "Opened" in [type(event).__name__ for event in tcb.events]
        if lost_syns:
            assert tcb.rtt.rto == tcb.config.rto_after_syn
        assert not tcb.timers.is_running(USER) or tcb.snd.flight
        assert bool(tcb.snd.flight) == any(map(tcb.timers.is_running, (RETRANSMISSION, TAIL_PROBE, PERSIST)))

    def call(self, side: int, what: str) -> None:
        end = self.ends[side]
        try:
            if what == "send":
                data = bytes([len(self.sent[side]) % 251]) * 3
                self.sent[side].extend(data[: end.send(data, self.now)])
            elif what == "receive":
                self.read[side].extend(end.receive(2, self.now))
            else:
                # EP-CLOSE-3: closed in SYN-SENT, a connection leaves nothing
                self.was_let_go[side] |= what != "close" or end.state is SYN_SENT
                getattr(end, what)(self.now)
        except TcpError:
            pass

    def heal(self) -> None:
        """Until nothing is left to happen."""
        for _ in range(400):
            for side, end in enumerate(self.ends):
                while self.flying[side]:
                    self.do((side, "deliver"))
                if end.readable:
                    self.read[side].extend(end.receive(1 << 20, self.now))
                if end._tcb.is_synchronized and not end._tcb.snd.fin_is_queued and (end.at_end or side == 0):
                    self.call(side, "close")
            self.drain()
            if not (self.flying[0] or self.flying[1]):
                if min(end.next_timeout() for end in self.ends) == NEVER:
                    return
                self.pass_time()
                self.drain()
        raise AssertionError("it never ends")

    def judge(self) -> None:
        self.heal()
        for side, end in enumerate(self.ends):
            other = self.ends[1 - side]
            assert end.state in (CLOSED, LISTEN) or other.error is not None or self.was_let_go[1 - side], (
                f"{end} is left over"
            )
            told = self.told[side]
            assert max(told.count("Opened"), told.count("Closed")) <= 1
            if not any(self.was_let_go):
                assert end.error is None, f"{end}: {end.error}"
                assert self.read[side] == self.sent[1 - side]
                if end._tcb.snd.syn_is_acked:
                    assert [told.count("Opened"), told[-1]] == [1, "Closed"]

    def image(self) -> object:
        """Everything that decides what comes next: equal images needn't both be searched."""
        return (
            self.now,
            tuple(map(tuple, self.flying)),
            tuple(map(bytes, self.read)),
            *(_image(end._tcb, 0) for end in self.ends),
        )


def _image(thing: object, depth: int) -> object:
    if thing is None or isinstance(thing, (int, str, bytes)):
        return thing
    if isinstance(thing, Timers):
        return thing.expires, tuple([thing.due(timer) for timer, _, _ in HANDLERS])
    if (
        type(thing).__module__.startswith("postel.tcp.")
        and depth < 6
        and not isinstance(thing, (Config, State, Memory))
    ):
        return tuple([_image(getattr(thing, name, None), depth + 1) for name in _names(type(thing))])
    if isinstance(thing, (list, tuple)):
        return tuple([_image(item, depth + 1) for item in thing])
    return repr(thing)


@cache
def _names(kind: type) -> tuple[str, ...]:
    """The variables of an object, compiled or not: what ``dir`` knows, and isn't computed."""
    return tuple(
        [
            name
            for name in dir(kind)
            if not name.startswith("__") and isinstance(getattr(kind, name), _VARIABLES)
        ]
    )


def steps(taken: tuple[Step, ...]) -> Iterator[Step]:
    """What may follow, as far as one more call and one more loss are allowed."""
    if sum(what in CALLS for _, what in taken) < MOST_CALLS:
        yield from ((side, what) for side in (0, 1) for what in CALLS)
    may_lose = sum(what == "lose" for _, what in taken) < MOST_LOSSES
    yield from ((side, what) for side in (0, 1) for what in NETWORK if may_lose or what != "lose")
    yield -1, TIMEOUT


def replayed(config: Config, taken: tuple[Step, ...], *, together: bool) -> Pair:
    pair = Pair(config, together=together)
    for step in taken:
        pair.do(step)
    return pair


def search(config: Config, depth: int, start: tuple[Step, ...] = (), *, together: bool) -> int:
    """How many different situations were found in so many steps after ``start``, each of which came to a good
    end.
    """
    seen: set[int] = set()
    front: list[tuple[Step, ...]] = [start]
    for _ in range(depth):
        following: list[tuple[Step, ...]] = []
        for taken in front:
            here = replayed(config, taken, together=together)
            for step in [step for step in steps(taken) if here.may(step)]:
                longer = (*taken, step)
                pair = replayed(config, longer, together=together)
                image = hash(pair.image())
                if image in seen:
                    continue
                seen.add(image)
                following.append(longer)
                try:
                    pair.judge()
                except Exception as error:
                    raise AssertionError(f"{error!r} after {longer}") from error
        front = following
    return len(seen)


@pytest.mark.label("EP-CLOSE-4", "EP-ACK-3")
@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("opening", OPENINGS)
@pytest.mark.parametrize("config", ["SACK", "bare"])
def test_every_order_comes_to_a_good_end(config: str, opening: str, start: str) -> None:
    assert search(CONFIGS[config], 3, STARTS[start], together=OPENINGS[opening]) > 200


@pytest.mark.label("EP-CLOSE-4")
@pytest.mark.parametrize("lost", [(), ("syn",), ("fin",), ("syn", "fin")])
@pytest.mark.parametrize("opening", OPENINGS)
@pytest.mark.parametrize("config", CONFIGS)
def test_close_in_syn_received_is_a_close(config: str, opening: str, lost: tuple[str, ...]) -> None:
    """Whichever of SYN,ACK and FIN is lost, both ends learn of both."""
    pair = Pair(CONFIGS[config], together=OPENINGS[opening])
    pair.do((1, "deliver"))
    assert pair.ends[1].state is SYN_RECEIVED
    pair.do((1, "close"))
    kept = [octets for octets in pair.flying[0] if not lost_by(lost, octets)]
    pair.flying[0][:] = kept
    pair.judge()
    assert [end.state for end in pair.ends] == [CLOSED, CLOSED]
    assert [told.count("Opened") for told in pair.told] == [1, 1]


def lost_by(lost: tuple[str, ...], octets: bytes) -> bool:
    flags = octets[13]
    return ("syn" in lost and bool(flags & wire.SYN)) or ("fin" in lost and bool(flags & wire.FIN))


if __name__ == "__main__":
    for name, config in CONFIGS.items():
        for opening, together in OPENINGS.items():
            found = search(config, int(sys.argv[1]), together=together)
            sys.stdout.write(f"{name}, {opening}: {found} situations, all of which came to a good end\n")
