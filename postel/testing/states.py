"""Connection in any of the eleven states of RFC 9293, with a peer that the test plays by hand.

>>> from postel.testing import ACK, FIN, established
>>> scene = established()
>>> scene.hears(ACK, b"hello")  # its ACK is delayed
[]
>>> scene.reads()
b'hello'
>>> scene.hears(FIN | ACK), str(scene.state)
(['ACK seq=1 ack=7'], 'CLOSE-WAIT')
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol, TypedDict, Unpack

from postel.tcp import seq as sequence
from postel.tcp.config import DEFAULT, MEBIBYTE, Config
from postel.tcp.connection import Connection
from postel.tcp.events import Event
from postel.tcp.invariants import check
from postel.tcp.memory import Memory
from postel.tcp.observer import Observer, TimerName
from postel.tcp.state import CLOSED, LISTEN, SYN_SENT, State
from postel.tcp.tcb import Tcb
from postel.tcp.timeouts import HANDLERS
from postel.tcp.timers import Timers
from postel.times import NEVER, SECOND
from postel.wire.address import Endpoint
from postel.wire.segment import ABSENT, ACK, FIN, RST, SYN, Segment, flags_text

LOCAL = Endpoint(b"\x0a\x00\x00\x01", 80)
REMOTE = Endpoint(b"\x0a\x00\x00\x02", 40000)
ISS = 0xFFFFFFF0  # so that every test crosses the wrap
IRS = 0xFFFFFFFA
START = 1000 * SECOND
MSS = 1000
WINDOW = 60_000

# No option but MSS, and buffers of a fixed size, so that segments are short as text and no buffer is tuned
PLAIN = replace(
    DEFAULT, timestamps=False, sack=False, window_scaling=False, send_buffer=MEBIBYTE, receive_buffer=MEBIBYTE
)
Field = int | tuple[tuple[int, int], ...] | tuple[tuple[int, bytes], ...] | None
OPEN_ENDED = 1000  # limit of the segments sent at once: a connection that reaches it would never stop


@dataclass
class Peer:
    """Settings of the peer: the options and the window of its segments, and its clock for timestamps.

    ``mss`` and ``window`` are in octets, ``window`` as the header's field (0 to 65,535). ``window_scale`` (0
    to 14) and ``tsval`` are ``ABSENT`` if the peer doesn't offer that option.
    """

    mss: int = MSS
    window: int = WINDOW
    window_scale: int = ABSENT
    sack: bool = False
    tsval: int = ABSENT


class Watch(Observer):
    """Observer that keeps changes of state, expired timers and the peer's errors in lists, in their order."""

    def __init__(self) -> None:
        """Begin with empty lists."""
        self.changes: list[tuple[State, State]] = []
        self.expired: list[str] = []
        self.errors: list[str] = []

    def peer_erred(self, local: Endpoint, remote: Endpoint, error: str, now: int) -> None:
        """Note an error of the peer."""
        self.errors.append(error)

    def state_changed(self, local: Endpoint, remote: Endpoint, before: State, after: State, now: int) -> None:
        """Note a change of state."""
        self.changes.append((before, after))

    def timer_expired(self, local: Endpoint, remote: Endpoint, timer: TimerName, now: int) -> None:
        """Note a timer that expired."""
        self.expired.append(timer)


class SceneOptions(TypedDict, total=False):
    """Keyword arguments of functions such as `established`, besides configuration and peer: see `Scene`."""

    iss: int
    irs: int
    mtu: int
    memory: Memory | None
    local: Endpoint
    remote: Endpoint
    timestamp_offset: int


class Scene:
    """Connection, and a peer that the test plays by hand.

    Sequence numbers are relative in both directions, as Wireshark shows them: 0 is the SYN, 1 the first
    octet. `hears` lets a segment of the peer arrive and returns the answers of the connection, one line for
    each segment; ``sent`` has the segments themselves. The clock, ``now`` in microseconds, moves only in
    `passes` and `expires`. Every step asserts the connection's invariants.

    ``iss`` and ``irs`` are the initial sequence numbers of the connection and of the peer. By default both
    are near 2**32, so that sequence numbers wrap in each test. ``mtu`` is that of the path, in octets;
    ``memory`` is the account that the buffers are charged to.
    """

    def __init__(
        self,
        config: Config = PLAIN,
        peer: Peer | None = None,
        *,
        iss: int = ISS,
        irs: int = IRS,
        mtu: int = 1500,
        memory: Memory | None = None,
        local: Endpoint = LOCAL,
        remote: Endpoint = REMOTE,
        timestamp_offset: int = 7,
    ) -> None:
        """Make a connection in the state CLOSED."""
        self.watch: Watch = Watch()
        self.connection: Connection = Connection(
            local,
            remote,
            config,
            iss=iss,
            mtu=mtu,
            timestamp_offset=timestamp_offset,
            observer=self.watch,
            memory=memory,
        )
        self.peer: Peer = peer or Peer()
        self.irs = irs
        self.now: int = START
        self.sent: list[Segment] = []

    @property
    def tcb(self) -> Tcb:
        """Variables of the connection, for Postel's own tests.

        These variables aren't public, and may change with any version.
        """
        return self.connection._tcb

    @property
    def state(self) -> State:
        """State of the connection (RFC 9293, 3.3.2)."""
        return self.connection.state

    @property
    def nxt(self) -> int:
        """RCV.NXT, relative: the next octet that the connection expects."""
        return sequence.distance(self.irs, self.tcb.rcv.nxt)

    @property
    def una(self) -> int:
        """SND.UNA, relative: the oldest octet that the peer hasn't acknowledged."""
        return sequence.offset(self.tcb.snd.una, self.tcb.snd.iss)

    @property
    def max(self) -> int:
        """Number after the highest sequence number that was ever sent, relative.

        Except during a retransmission this is SND.NXT.
        """
        return sequence.offset(self.tcb.snd.max, self.tcb.snd.iss)

    # What the peer does

    def segment(
        self,
        flags: int,
        data: bytes = b"",
        *,
        seq: int | None = None,
        ack: int | None = None,
        window: int | None = None,
        urgent: int = 0,
        tsval: int | None = None,
        tsecr: int = ABSENT,
        sack: tuple[tuple[int, int], ...] = (),
        ecn: int = 0,
        other: tuple[tuple[int, bytes], ...] = (),
    ) -> Segment:
        """Make a segment of the peer. ``flags`` are ``SYN | ACK`` and so on; ``data`` is the payload.

        Fields that aren't given fit: SEG.SEQ = RCV.NXT, SEG.ACK = `max`, the peer's window, the options as
        agreed. ``seq``, ``ack`` and the blocks of ``sack`` are relative; ``window`` is the header's field,
        unscaled; ``ecn`` is the codepoint of the IP header (0 to 3); ``other`` has options by kind and
        content.
        """
        if seq is None:
            seq = 0 if self.state in (CLOSED, LISTEN, SYN_SENT) else self.nxt
        if ack is None:
            ack = self.max if flags & ACK else 0
        made = Segment(
            self.connection.remote.port,
            self.connection.local.port,
            sequence.add(self.irs, seq),
            sequence.add(self.tcb.snd.iss, ack) if flags & ACK else 0,
            flags,
            self.peer.window if window is None else window,
            data,
            urgent,
        )
        if flags & SYN:
            made.mss, made.window_scale, made.sack_permitted = (
                self.peer.mss,
                self.peer.window_scale,
                self.peer.sack,
            )
        if flags & SYN or self.tcb.timestamps.agreed or tsval is not None:
            made.tsval = self.peer.tsval if tsval is None else tsval
            made.tsecr = tsecr if tsecr != ABSENT or made.tsval == ABSENT else 0
        made.ecn, made.other = ecn, other
        made.sack = tuple(
            (sequence.add(self.tcb.snd.iss, left), sequence.add(self.tcb.snd.iss, right))
            for left, right in sack
        )
        return made

    def hears(self, flags: int, data: bytes = b"", **fields: Field) -> list[str]:
        """Let a segment of the peer arrive, with the fields of `segment`.

        Returns the segments that the connection sends in answer, one line each.
        """
        self.arrives(flags, data, **fields)
        return self.drain()

    def arrives(self, flags: int, data: bytes = b"", **fields: Field) -> None:
        """Let a segment of the peer arrive, and don't take the connection's answers yet.

        Use it for several segments that arrive together.
        """
        self.connection.segment_arrives(self.segment(flags, data, **fields), self.now)  # type: ignore[arg-type]  # fields by name
        check(self.tcb)

    def ignores(self, flags: int, data: bytes = b"", **fields: Field) -> bool:
        """Let a segment of the peer arrive. Returns whether the connection ignored it.

        An ignored segment causes no answer, no event, and no change of state, numbers or timers.
        """
        before = self.image()
        return self.hears(flags, data, **fields) == [] and self.image() == before

    # What the connection does

    def drain(self) -> list[str]:
        """Take the segments that the connection sends now, one line each; `sent` has the segments."""
        self.sent = []
        while (segment := self.connection.next_segment(self.now)) is not None:
            self.sent.append(segment)
            assert len(self.sent) < OPEN_ENDED, "a storm of segments"
        check(self.tcb)
        return [self.text(segment) for segment in self.sent]

    def text(self, segment: Segment) -> str:
        """Text of a segment of the connection in one line: ``ACK seq=1 ack=1 len=5``."""
        # A RST with <SEQ=0> has the only sequence number that isn't relative
        is_blind = segment.flags & (RST | ACK) == RST | ACK
        line = (
            f"{flags_text(segment.flags)} "
            f"seq={segment.seq if is_blind else sequence.offset(segment.seq, self.tcb.snd.iss)}"
        )
        if segment.flags & ACK:
            line += f" ack={sequence.offset(segment.ack, self.irs)}"
        return line + (f" len={len(segment.data)}" if segment.data else "")

    def does(self, call: Callable[..., object], *arguments: object, **options: object) -> list[str]:
        """Call a method of the connection, with the time as its last argument.

        Returns the segments that the connection then sends, one line each.
        """
        call(*arguments, self.now, **options)
        check(self.tcb)
        return self.drain()

    def sends(self, data: bytes, *, urgent: bool = False) -> list[str]:
        """Queue ``data`` with SEND (RFC 9293, 3.10.2). Returns the segments that are then sent."""
        return self.does(self.connection.send, data, urgent=urgent)

    def reads(self, limit: int = 1 << 30) -> bytes:
        """Read up to ``limit`` octets with RECEIVE (RFC 9293, 3.10.3).

        `drain` then returns the window update, if any.
        """
        data = self.connection.receive(limit, self.now)
        check(self.tcb)
        return data

    def closes(self) -> list[str]:
        """Call CLOSE (RFC 9293, 3.10.4). Returns the segments that are then sent."""
        return self.does(self.connection.close)

    def releases(self) -> list[str]:
        """Close, and read no more: `Connection.release`. Returns the segments that are then sent."""
        return self.does(self.connection.release)

    def aborts(self) -> list[str]:
        """Call ABORT (RFC 9293, 3.10.5). Returns the segments that are then sent."""
        return self.does(self.connection.abort)

    def events(self) -> list[str]:
        """Take the events of the connection. Returns their names."""
        return [type(event).__name__ for event in self.all_events()]

    def all_events(self) -> list[Event]:
        """Take the events of the connection. Returns the events themselves."""
        found: list[Event] = []
        while (event := self.connection.next_event()) is not None:
            found.append(event)
        return found

    # Time

    def passes(self, duration: int) -> list[str]:
        """Let ``duration`` microseconds pass, with each timeout handled at its exact microsecond.

        Returns the segments that are sent meanwhile.
        """
        end = self.now + duration
        lines: list[str] = []
        while self.connection.next_timeout() <= end:
            lines += self.expires()
        self.now = end
        return lines

    def expires(self) -> list[str]:
        """Let time pass until the next deadline. Returns the segments that are sent then.

        Raises AssertionError if no timer is running.
        """
        assert self.connection.next_timeout() < NEVER, "no timer runs"
        self.now = max(self.now, self.connection.next_timeout())
        self.connection.handle_timeout(self.now)
        return self.drain()

    # Comparing

    def image(self) -> dict[str, object]:
        """Return the whole state of the connection in plain values, for comparisons.

        Counters are left out.
        """
        return _image(self.tcb)


# Fields of the TCB in which two connections in the same state may differ
_APART = {
    *("config", "observer", "memory"),
    *("segments_sent", "segments_arrived", "throttled", "challenge_after", "keep_alives_until"),
    *("texts_sent", "texts_arrived", "last_data_at", "last_ack_at"),
    *("wl1", "wl2"),  # the segment that gave the window
    *("controller", "recovery", "is_sender"),  # made when first needed
    *("search", "proven", "tried", "tried_end"),  # what the connection knows of the path MTU
}


def _image(thing: object) -> dict[str, object]:
    found: dict[str, object] = {}
    for name in dir(thing):
        if name.startswith("__") or name in _APART:
            continue
        value = getattr(thing, name)
        if callable(value):
            continue
        found[name] = [_value(item) for item in value] if isinstance(value, list) else _value(value)
    return found


def _value(thing: object) -> object:
    if isinstance(thing, Timers):
        return {name: thing.due(timer) for timer, name, _ in HANDLERS} | {"expires": thing.expires}
    is_record = type(thing).__module__.startswith("postel.tcp.") and not isinstance(thing, State)
    return _image(thing) if is_record else thing


# The eleven states. Each function returns a connection with no segment to send and no event to take


class Maker(Protocol):
    """Function that makes one of the canonical states."""

    def __call__(
        self, config: Config = PLAIN, peer: Peer | None = None, **options: Unpack[SceneOptions]
    ) -> Scene:
        """Make the state. The arguments are those of `closed`."""
        ...


def closed(config: Config = PLAIN, peer: Peer | None = None, **options: Unpack[SceneOptions]) -> Scene:
    """Make a connection in CLOSED: nothing has happened yet.

    ``config`` is the connection's, ``peer`` the other end; ``options`` are those of `Scene`.
    """
    return Scene(config, peer, **options)


def listen(config: Config = PLAIN, peer: Peer | None = None, **options: Unpack[SceneOptions]) -> Scene:
    """Make a connection in LISTEN, after a passive OPEN. The arguments are those of `closed`."""
    scene = closed(config, peer, **options)
    scene.connection.open_passive(scene.now)
    return _still(scene)


def syn_sent(config: Config = PLAIN, peer: Peer | None = None, **options: Unpack[SceneOptions]) -> Scene:
    """Make a connection in SYN-SENT: the SYN has left. The arguments are those of `closed`."""
    scene = closed(config, peer, **options)
    scene.connection.open_active(scene.now)
    return _still(scene)


def syn_received(config: Config = PLAIN, peer: Peer | None = None, **options: Unpack[SceneOptions]) -> Scene:
    """Make a connection in SYN-RECEIVED on the passive side: the SYN-ACK has left.

    The arguments are those of `closed`.
    """
    scene = listen(config, peer, **options)
    scene.arrives(SYN)
    return _still(scene)


def syn_received_active(
    config: Config = PLAIN, peer: Peer | None = None, **options: Unpack[SceneOptions]
) -> Scene:
    """Make a connection in SYN-RECEIVED on the active side, by a simultaneous open (RFC 9293, Figure 7).

    The arguments are those of `closed`.
    """
    scene = syn_sent(config, peer, **options)
    scene.arrives(SYN)
    return _still(scene)


def established(config: Config = PLAIN, peer: Peer | None = None, **options: Unpack[SceneOptions]) -> Scene:
    """Make a connection in ESTABLISHED on the passive side, with no payload sent yet.

    The arguments are those of `closed`.
    """
    scene = syn_received(config, peer, **options)
    scene.arrives(ACK)
    return _still(scene)


def established_active(
    config: Config = PLAIN, peer: Peer | None = None, **options: Unpack[SceneOptions]
) -> Scene:
    """Make a connection in ESTABLISHED on the active side, with no payload sent yet.

    The arguments are those of `closed`.
    """
    scene = syn_sent(config, peer, **options)
    scene.arrives(SYN | ACK)
    return _still(scene)


def fin_wait_1(
    config: Config = PLAIN,
    peer: Peer | None = None,
    *,
    after: Maker = established,
    **options: Unpack[SceneOptions],
) -> Scene:
    """Make a connection in FIN-WAIT-1: it closed first, and its FIN is in flight (SND.UNA = 1, SND.NXT = 2).

    The arguments are those of `closed`. ``after`` makes the state from which the connection closes:
    `established_active` after an active open.
    """
    scene = after(config, peer, **options)
    scene.connection.close(scene.now)
    return _still(scene)


def fin_wait_2(
    config: Config = PLAIN,
    peer: Peer | None = None,
    *,
    after: Maker = established,
    **options: Unpack[SceneOptions],
) -> Scene:
    """Make a connection in FIN-WAIT-2: its FIN is acknowledged, and the peer may still send.

    The arguments are those of `fin_wait_1`.
    """
    scene = fin_wait_1(config, peer, after=after, **options)
    scene.arrives(ACK)
    return _still(scene)


def closing(
    config: Config = PLAIN,
    peer: Peer | None = None,
    *,
    after: Maker = established,
    **options: Unpack[SceneOptions],
) -> Scene:
    """Make a connection in CLOSING: both closed at once, and the FINs crossed (RFC 9293, Figure 13).

    The arguments are those of `fin_wait_1`.
    """
    scene = fin_wait_1(config, peer, after=after, **options)
    scene.arrives(FIN | ACK, ack=1)
    return _still(scene)


def time_wait(
    config: Config = PLAIN,
    peer: Peer | None = None,
    *,
    after: Maker = established,
    **options: Unpack[SceneOptions],
) -> Scene:
    """Make a connection in TIME-WAIT, after FIN-WAIT-2: both directions are closed, and 2 MSL begin.

    The arguments are those of `fin_wait_1`.
    """
    scene = fin_wait_2(config, peer, after=after, **options)
    scene.arrives(FIN | ACK)
    return _still(scene)


def close_wait(
    config: Config = PLAIN,
    peer: Peer | None = None,
    *,
    after: Maker = established,
    **options: Unpack[SceneOptions],
) -> Scene:
    """Make a connection in CLOSE-WAIT: the peer closed first, and the connection may still send.

    The arguments are those of `closed`. ``after`` makes the state in which the FIN arrives:
    `established_active` after an active open.
    """
    scene = after(config, peer, **options)
    scene.arrives(FIN | ACK)
    return _still(scene)


def last_ack(
    config: Config = PLAIN,
    peer: Peer | None = None,
    *,
    after: Maker = established,
    **options: Unpack[SceneOptions],
) -> Scene:
    """Make a connection in LAST-ACK: first the peer closed, then the connection; its FIN is in flight.

    The arguments are those of `close_wait`.
    """
    scene = close_wait(config, peer, after=after, **options)
    scene.connection.close(scene.now)
    return _still(scene)


def _still(scene: Scene) -> Scene:
    scene.drain()
    scene.all_events()
    return scene


# States in which both ends know each other's initial sequence number, by name
SYNCHRONIZED: dict[str, Maker] = {
    "ESTABLISHED": established,
    "FIN-WAIT-1": fin_wait_1,
    "FIN-WAIT-2": fin_wait_2,
    "CLOSE-WAIT": close_wait,
    "CLOSING": closing,
    "LAST-ACK": last_ack,
    "TIME-WAIT": time_wait,
}
# All eleven states by name; SYN-RECEIVED is there for the passive and for the active side
EVERY: dict[str, Maker] = {
    "CLOSED": closed,
    "LISTEN": listen,
    "SYN-SENT": syn_sent,
    "SYN-RECEIVED": syn_received,
    "SYN-RECEIVED, active": syn_received_active,
    **SYNCHRONIZED,
}
