"""Two machines and a path, step by step: Hypothesis chooses who acts and what becomes of each packet; then the path heals, and all that
was accepted must arrive, both ends close or reset, and no timer be left."""

from dataclasses import replace

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from postel.errors import TcpError
from postel.tcp.config import AUTOMATIC, DEFAULT, EcnMode
from postel.tcp.connection import Connection
from postel.tcp.ecn import CE, ECT_0, NOT_ECT
from postel.tcp.invariants import check
from postel.tcp.memory import Memory
from postel.tcp.state import CLOSED, LISTEN, SYN_RECEIVED
from postel.times import HOUR, MILLISECOND, NEVER, SECOND
from postel.wire import segment as wire
from tests.properties.test_pairs import LEFT, RIGHT, parsed

NAMES = (LEFT, RIGHT)
SIDES = st.sampled_from([0, 1])
PICKS = st.integers(0, 1 << 30)


class Machine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.now = 0
        self.flying: tuple[list[bytes], list[bytes]] = ([], [])  # towards the left, towards the right
        self.sent = (bytearray(), bytearray())
        self.read = (bytearray(), bytearray())
        self.aborted = False
        self.closed = [False, False]

    @initialize(
        numbers=st.tuples(st.integers(0, 0xFFFFFFFF), st.integers(0, 0xFFFFFFFF)),
        buffer=st.sampled_from([AUTOMATIC, 1, 500, 4000, 1 << 20]),
        sack=st.booleans(),
        timestamps=st.booleans(),
        ecn=st.sampled_from(["off", "ask-classic", "ask"]),
        probe=st.booleans(),
        together=st.booleans(),
    )
    def open(self, numbers: tuple[int, int], buffer: int, sack: bool, timestamps: bool, ecn: EcnMode, probe: bool, together: bool) -> None:
        config = replace(DEFAULT, receive_buffer=buffer, sack=sack, timestamps=timestamps, msl=SECOND, user_timeout=8 * HOUR)
        config = replace(config, syn_received_timeout=8 * HOUR, ecn=ecn, tail_probe=probe)
        self.memory = Memory(1 << 24)
        self.ends = (
            Connection(LEFT, RIGHT, config, iss=numbers[0], memory=self.memory),
            Connection(RIGHT, LEFT, config, iss=numbers[1], memory=self.memory),
        )
        self.ends[0].open_active(0)
        if together:
            self.ends[1].open_active(0)
        else:
            self.ends[1].open_passive(0)
        self.drain()

    def drain(self) -> None:
        for side, end in enumerate(self.ends):
            while (segment := end.next_segment(self.now)) is not None:
                self.flying[1 - side].append(wire.encode_for(segment, NAMES[side].address, NAMES[1 - side].address))
            while end.next_event() is not None:
                pass

    def arrives(self, side: int, octets: bytes, mark: int = NOT_ECT) -> None:
        segment = parsed(octets, NAMES[1 - side], NAMES[side])
        if segment is not None:
            segment.ecn = mark
            self.ends[side].segment_arrives(segment, self.now)
            self.drain()

    # The users

    @rule(side=SIDES, size=st.integers(1, 6000))
    def send(self, side: int, size: int) -> None:
        start = len(self.sent[side])
        data = bytes(number % 251 for number in range(start, start + size))
        try:
            taken = self.ends[side].send(data, self.now) if self.ends[side].state is not LISTEN else 0
        except TcpError:
            return
        self.sent[side].extend(data[:taken])
        self.drain()

    @rule(side=SIDES, limit=st.integers(1, 6000))
    def receive(self, side: int, limit: int) -> None:
        try:
            self.read[side].extend(self.ends[side].receive(limit, self.now))
        except TcpError:
            return
        self.drain()

    @rule(side=SIDES)
    def close(self, side: int) -> None:
        """In SYN-RECEIVED too, where the FIN follows a SYN that isn't acknowledged yet (EP-CLOSE-4)."""
        end = self.ends[side]
        if (end._tcb.is_synchronized or end.state is SYN_RECEIVED) and not self.closed[side]:
            self.closed[side] = True
            end.close(self.now)
            self.drain()

    @rule(side=SIDES, chance=st.integers(0, 9))
    def abort(self, side: int, chance: int) -> None:
        if chance == 0 and self.ends[side]._tcb.is_synchronized:
            self.aborted = True
            self.ends[side].abort(self.now)
            self.drain()

    # The path: any packet in flight may be next, so order is nobody's

    @rule(side=SIDES, pick=PICKS)
    def deliver(self, side: int, pick: int) -> None:
        if self.flying[side]:
            self.arrives(side, self.flying[side].pop(pick % len(self.flying[side])))

    @rule(side=SIDES, pick=PICKS, mark=st.sampled_from([ECT_0, CE]))
    def deliver_marked(self, side: int, pick: int, mark: int) -> None:
        if self.flying[side]:
            self.arrives(side, self.flying[side].pop(pick % len(self.flying[side])), mark)

    @rule(side=SIDES, pick=PICKS)
    def lose(self, side: int, pick: int) -> None:
        if self.flying[side]:
            del self.flying[side][pick % len(self.flying[side])]

    @rule(side=SIDES, pick=PICKS)
    def duplicate(self, side: int, pick: int) -> None:
        if self.flying[side]:
            self.arrives(side, self.flying[side][pick % len(self.flying[side])])

    @rule(side=SIDES, pick=PICKS, bit=PICKS)
    def corrupt(self, side: int, pick: int, bit: int) -> None:
        if self.flying[side]:
            octets = bytearray(self.flying[side].pop(pick % len(self.flying[side])))
            octets[bit // 8 % len(octets)] ^= 1 << bit % 8
            self.arrives(side, bytes(octets))

    @rule(wait=st.sampled_from([MILLISECOND, 40 * MILLISECOND, SECOND, 30 * SECOND]))
    def pass_time(self, wait: int) -> None:
        self.now += wait
        for end in self.ends:
            end.handle_timeout(self.now)
        self.drain()

    @invariant()
    def invariants_stand(self) -> None:
        for end in getattr(self, "ends", ()):
            check(end._tcb)

    @invariant()
    def what_was_read_was_sent(self) -> None:
        for side in (0, 1):
            assert self.sent[1 - side].startswith(self.read[side])

    def teardown(self) -> None:
        """The path is whole again, and the users close."""
        if not hasattr(self, "ends"):
            return
        for _ in range(200_000):
            if not self.heal():
                break
        else:
            raise AssertionError("it never ends")
        for side, end in enumerate(self.ends):
            assert end.next_timeout() == NEVER
            assert end.state is CLOSED or self.is_half_open(side)
            if not self.aborted and end.error is None and self.ends[1 - side].error is None:
                assert self.read[side] == self.sent[1 - side]

    def is_half_open(self, side: int) -> bool:
        """The other end is gone without a word that arrived: nothing is owed, and only a keep-alive would find out."""
        return self.ends[1 - side].state is CLOSED and (self.ends[1 - side].error is not None or self.aborted)

    def heal(self) -> bool:
        """One more round; whether anything happened."""
        happened = any(self.flying)
        for side in (0, 1):
            while self.flying[side]:
                self.arrives(side, self.flying[side].pop(0))
        for side, end in enumerate(self.ends):
            if end.readable:
                self.receive(side, 1 << 30)
                happened = True
            if end._tcb.is_synchronized and not self.closed[side]:
                self.close(side)
                happened = True
        if happened or any(self.flying):
            return True
        deadline = min(end.next_timeout() for end in self.ends)
        if deadline == NEVER:
            return False
        self.now = max(self.now, deadline)
        for end in self.ends:
            end.handle_timeout(self.now)
        self.drain()
        return True


Machine.TestCase.settings = settings(max_examples=60, stateful_step_count=60, deadline=None)
TestMachine = Machine.TestCase
