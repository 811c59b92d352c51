"""Traces made by hand: what happens is told to a `Trace` as a world and its hosts would tell it, so no TCP
takes part.
"""

from postel.tcp.state import CLOSED, ESTABLISHED, LISTEN, SYN_RECEIVED, SYN_SENT, State
from postel.times import MILLISECOND
from postel.view import Trace
from postel.wire import ip
from postel.wire.address import Endpoint, parse
from postel.wire.segment import ACK, SYN, Segment, encode_for

LEFT = Endpoint(parse("10.0.0.1"), 1024)
RIGHT = Endpoint(parse("10.0.0.2"), 80)
FIRST = {LEFT: 0xFFFFFFF0, RIGHT: 5000}  # the left's numbers wrap
NAMES = {LEFT: "client", RIGHT: "server"}


Blocks = tuple[tuple[int, int], ...]


class Stage:
    """``left`` and ``right`` talk; times are in milliseconds, sequence numbers relative."""

    left = LEFT
    right = RIGHT

    def __init__(self, trace: Trace | None = None) -> None:
        self.trace = trace or Trace()
        self.states = {LEFT: CLOSED, RIGHT: LISTEN}

    def handshake(self) -> "Stage":
        """From 0 to 30 ms."""
        self.enters(LEFT, SYN_SENT, 0)
        self.crosses(
            LEFT,
            self.packet(LEFT, SYN, 0, window_scale=7, window=65535, mss=1460, sack_permitted=True),
            0,
            SYN_RECEIVED,
        )
        reply = self.packet(
            RIGHT, SYN | ACK, 0, 1, window_scale=3, window=65535, mss=1460, sack_permitted=True
        )
        self.crosses(RIGHT, reply, 10, ESTABLISHED)
        self.crosses(LEFT, self.packet(LEFT, ACK, 1, 1), 20, ESTABLISHED)
        return self

    def peer(self, end: Endpoint) -> Endpoint:
        return RIGHT if end == LEFT else LEFT

    def packet(
        self,
        end: Endpoint,
        flags: int,
        seq: int,
        ack: int = 0,
        data: bytes = b"",
        sack: Blocks = (),
        **fields: object,
    ) -> bytes:
        peer = self.peer(end)
        number = (FIRST[end] + seq) & 0xFFFFFFFF
        segment = Segment(
            end.port,
            peer.port,
            number,
            (FIRST[peer] + ack) & 0xFFFFFFFF if flags & ACK else 0,
            flags,
            1000,
            data,
        )
        segment.sack = tuple(
            ((FIRST[peer] + start) & 0xFFFFFFFF, (FIRST[peer] + stop) & 0xFFFFFFFF) for start, stop in sack
        )
        for name, value in fields.items():
            setattr(segment, name, value)
        return ip.encode(end.address, peer.address, 6, encode_for(segment, end.address, peer.address))

    def departs(
        self,
        end: Endpoint,
        octets: bytes,
        at: float,
        arrives: float = 0.0,
        *,
        lost: str = "",
        names: bool = True,
    ) -> bytes:
        now = int(at * MILLISECOND)
        self.trace.packet_sent(octets, now)
        names_of = (NAMES[end], NAMES[self.peer(end)]) if names else ("", "")
        if lost:
            self.trace.lost(*names_of, octets, now, lost)
        elif arrives:
            self.trace.carried(*names_of, octets, now, int(arrives * MILLISECOND), octets)
        return octets

    def arrives(
        self, octets: bytes, at: float, state: State | None = None, end: Endpoint | None = None
    ) -> None:
        now = int(at * MILLISECOND)
        self.trace.packet_arrived(octets, now)
        if state is not None and end is not None:
            self.enters(end, state, at)

    def crosses(self, end: Endpoint, octets: bytes, at: float, state: State | None = None) -> None:
        """Departs at ``at``, arrives 10 ms later, with nothing between; ``state`` is the receiver's then."""
        self.departs(end, octets, at, at + 10)
        self.arrives(octets, at + 10, state, self.peer(end))

    def enters(self, end: Endpoint, state: State, at: float) -> None:
        self.trace.state_changed(end, self.peer(end), self.states[end], state, int(at * MILLISECOND))
        self.states[end] = state

    def expires(self, end: Endpoint, timer: str, at: float) -> None:
        self.trace.timer_expired(end, self.peer(end), timer, int(at * MILLISECOND))
