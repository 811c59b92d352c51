"""Hypothesis state machine of two connections and a path, to subclass.

It needs Hypothesis: ``pip install 'postel[test]'``.

::

    from postel.testing.machine import PairMachine

    class Machine(PairMachine):
        def configs(self):
            return st.just(Config(congestion="mine"))

        @invariant()
        def my_window_is_sane(self):
            ...

    TestMachine = Machine.TestCase
"""

from dataclasses import replace

try:
    from hypothesis import strategies as st
    from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
except ImportError as _missing:  # pragma: no cover - tested in a process of its own
    raise ImportError(
        "postel.testing.machine needs Hypothesis, of the extra \"test\": pip install 'postel[test]'"
    ) from _missing

from postel.errors import TcpError
from postel.tcp.config import AUTOMATIC, DEFAULT, Config
from postel.tcp.connection import Connection
from postel.tcp.invariants import check
from postel.tcp.memory import Memory
from postel.tcp.state import CLOSED, LISTEN, SYN_RECEIVED, SYN_SENT
from postel.testing.pairs import CE, ECT_0, FAR, NEAR, NOT_ECT, decoded, encoded
from postel.times import HOUR, MILLISECOND, NEVER, SECOND

__all__ = ["PairMachine"]

_SIDES = st.sampled_from([0, 1])
_PICKS = st.integers(0, 1 << 30)
# Configuration with which only an abort ends a connection early
_PATIENT = replace(DEFAULT, msl=SECOND, user_timeout=8 * HOUR, syn_received_timeout=8 * HOUR)
_ROUNDS = 200_000  # limit of the steps of healing: a pair that needs more never falls silent


class PairMachine(RuleBasedStateMachine):
    """State machine of two connections and a path: Hypothesis chooses each step.

    A step is a call of a user, or decides what becomes of a packet. After each step the invariants of both
    connections must hold, and the octets read must be a prefix of those sent. At the end the path delivers
    everything and the users close. Then all octets that SEND accepted must have arrived, both ends must be
    closed, and no timer may be left.

    A subclass chooses other configurations with `configs`, other connections with `connections`, adds rules
    and invariants of its own, and overrides a rule by decorating a method of the same name again. ``ends``
    are the two connections, ``flying`` the packets on their way to each, ``sent`` and ``read`` the payload of
    each end, ``now`` the time in microseconds.
    """

    def __init__(self) -> None:
        """Begin without connections: `open` makes them."""
        super().__init__()
        self.now: int = 0
        self.flying: tuple[list[bytes], list[bytes]] = ([], [])
        self.sent: tuple[bytearray, bytearray] = (bytearray(), bytearray())
        self.read: tuple[bytearray, bytearray] = (bytearray(), bytearray())
        self.aborted: bool = False
        self.closed: list[bool] = [False, False]
        self.ends: tuple[Connection, ...] = ()

    # What a subclass may choose

    def configs(self) -> st.SearchStrategy[Config]:
        """Return the strategy for the configuration that both connections get."""
        return st.builds(
            replace,
            st.just(_PATIENT),
            receive_buffer=st.sampled_from([AUTOMATIC, 1, 500, 4000, 1 << 20]),
            sack=st.booleans(),
            timestamps=st.booleans(),
            ecn=st.sampled_from(["off", "ask-classic", "ask"]),
            tail_probe=st.booleans(),
        )

    def connections(self, config: Config, iss: tuple[int, int]) -> tuple[Connection, Connection]:
        """Make both connections, not opened yet, with these initial sequence numbers."""
        self.memory: Memory = Memory(1 << 24)
        return (
            Connection(NEAR, FAR, config, iss=iss[0], memory=self.memory),
            Connection(FAR, NEAR, config, iss=iss[1], memory=self.memory),
        )

    @initialize(
        data=st.data(),
        iss=st.tuples(st.integers(0, 0xFFFFFFFF), st.integers(0, 0xFFFFFFFF)),
        together=st.booleans(),
    )
    def open(self, data: st.DataObject, iss: tuple[int, int], together: bool) -> None:  # noqa: FBT001 - drawn by Hypothesis
        """Open both ends. The far end opens passively, or with ``together`` actively, too."""
        self.ends = self.connections(data.draw(self.configs()), iss)
        self.ends[0].open_active(0)
        if together:
            self.ends[1].open_active(0)
        else:
            self.ends[1].open_passive(0)
        self.drain()

    # The pump

    def drain(self) -> None:
        """Put the packets that both ends send on the path, and take their events."""
        for side, end in enumerate(self.ends):
            while (segment := end.next_segment(self.now)) is not None:
                self.flying[1 - side].append(encoded(segment, end))
            while end.next_event() is not None:
                pass

    def arrives(self, side: int, octets: bytes, mark: int = NOT_ECT) -> None:
        """Let a packet arrive at the end ``side``, with the ECN codepoint ``mark``."""
        segment = decoded(octets, self.ends[side])
        if segment is not None:
            segment.ecn = mark
            self.ends[side].segment_arrives(segment, self.now)
            self.drain()

    def is_synchronized(self, side: int) -> bool:
        """Whether the connection at ``side`` is in ESTABLISHED or a later state."""
        return self.ends[side].state not in (CLOSED, LISTEN, SYN_SENT, SYN_RECEIVED)

    # The users

    @rule(side=_SIDES, size=st.integers(1, 6000))
    def send(self, side: int, size: int) -> None:
        """Call SEND with ``size`` octets. All octets that the call accepts must arrive."""
        start = len(self.sent[side])
        data = bytes(number % 251 for number in range(start, start + size))
        try:
            taken = self.ends[side].send(data, self.now) if self.ends[side].state is not LISTEN else 0
        except TcpError:
            return
        self.sent[side].extend(data[:taken])
        self.drain()

    @rule(side=_SIDES, limit=st.integers(1, 6000))
    def receive(self, side: int, limit: int) -> None:
        """Call RECEIVE for up to ``limit`` octets."""
        try:
            self.read[side].extend(self.ends[side].receive(limit, self.now))
        except TcpError:
            return
        self.drain()

    @rule(side=_SIDES)
    def close(self, side: int) -> None:
        """Call CLOSE, in SYN-RECEIVED too: the FIN then follows a SYN without an ACK (EP-CLOSE-4)."""
        end = self.ends[side]
        if (self.is_synchronized(side) or end.state is SYN_RECEIVED) and not self.closed[side]:
            self.closed[side] = True
            end.close(self.now)
            self.drain()

    @rule(side=_SIDES, chance=st.integers(0, 9))
    def abort(self, side: int, chance: int) -> None:
        """Call ABORT if ``chance`` is 0, which is one step of this kind in ten."""
        if chance == 0 and self.is_synchronized(side):
            self.aborted = True
            self.ends[side].abort(self.now)
            self.drain()

    # The path: any packet in flight may be next, in any order

    @rule(side=_SIDES, pick=_PICKS)
    def deliver(self, side: int, pick: int) -> None:
        """Let a packet on its way to the end ``side`` arrive: ``pick`` chooses which."""
        if self.flying[side]:
            self.arrives(side, self.flying[side].pop(pick % len(self.flying[side])))

    @rule(side=_SIDES, pick=_PICKS, mark=st.sampled_from([ECT_0, CE]))
    def deliver_marked(self, side: int, pick: int, mark: int) -> None:
        """Let a packet, chosen by ``pick``, arrive with the ECN codepoint ``mark``, whatever was sent."""
        if self.flying[side]:
            self.arrives(side, self.flying[side].pop(pick % len(self.flying[side])), mark)

    @rule(side=_SIDES, pick=_PICKS)
    def lose(self, side: int, pick: int) -> None:
        """Lose a packet on its way to the end ``side``: ``pick`` chooses which."""
        if self.flying[side]:
            del self.flying[side][pick % len(self.flying[side])]

    @rule(side=_SIDES, pick=_PICKS)
    def duplicate(self, side: int, pick: int) -> None:
        """Let a copy of a packet, chosen by ``pick``, arrive. The packet itself stays under way."""
        if self.flying[side]:
            self.arrives(side, self.flying[side][pick % len(self.flying[side])])

    @rule(side=_SIDES, pick=_PICKS, bit=_PICKS)
    def corrupt(self, side: int, pick: int, bit: int) -> None:
        """Let a packet, chosen by ``pick``, arrive with one bit inverted."""
        if self.flying[side]:
            octets = bytearray(self.flying[side].pop(pick % len(self.flying[side])))
            octets[bit // 8 % len(octets)] ^= 1 << bit % 8
            self.arrives(side, bytes(octets))

    @rule(wait=st.sampled_from([MILLISECOND, 40 * MILLISECOND, SECOND, 30 * SECOND]))
    def pass_time(self, wait: int) -> None:
        """Let ``wait`` microseconds pass."""
        self.now += wait
        for end in self.ends:
            end.handle_timeout(self.now)
        self.drain()

    # What holds after each step, and at the end

    @invariant()
    def invariants_stand(self) -> None:
        """Check that each connection is consistent in itself."""
        for end in self.ends:
            check(end._tcb)

    @invariant()
    def what_was_read_was_sent(self) -> None:
        """Check that each side has read a prefix of what the other sent."""
        for side in (0, 1):
            assert self.sent[1 - side].startswith(self.read[side])

    def teardown(self) -> None:
        """Heal the path, let the users close, and check the result."""
        if not self.ends:
            return
        for _ in range(_ROUNDS):
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
        """Whether the other end is gone and no segment has said so.

        The connection then has nothing to send, and only a keep-alive would find out.
        """
        return self.ends[1 - side].state is CLOSED and (self.ends[1 - side].error is not None or self.aborted)

    def heal(self) -> bool:
        """Deliver all packets, read and close, or let time pass until the next deadline.

        Returns whether anything happened.
        """
        happened = any(self.flying)
        for side in (0, 1):
            while self.flying[side]:
                self.arrives(side, self.flying[side].pop(0))
        for side, end in enumerate(self.ends):
            if end.readable:
                self.receive(side, 1 << 30)
                happened = True
            if self.is_synchronized(side) and not self.closed[side]:
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
