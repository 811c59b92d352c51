"""Canonical states, each built from the one before it, and a peer who is played by hand.

Numbers are relative in both directions, as Wireshark shows them: 0 is the SYN, 1 the first octet. ``hears`` lets a segment of the peer
arrive and returns what the connection answers, one line for each segment; ``sent`` has the segments themselves. The clock stands still
until ``passes``. Every step asserts the TCB's invariants.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from postel.tcp import seq as sequence
from postel.tcp.config import DEFAULT, MEBIBYTE, Config
from postel.tcp.congestion.reno import Reno
from postel.tcp.connection import Connection
from postel.tcp.events import Event
from postel.tcp.invariants import check
from postel.tcp.memory import Memory
from postel.tcp.observer import Observer
from postel.tcp.state import CLOSED, LISTEN, SYN_SENT, State
from postel.tcp.tcb import Tcb
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

PLAIN = replace(
    DEFAULT, timestamps=False, sack=False, window_scaling=False, send_buffer=MEBIBYTE, receive_buffer=MEBIBYTE
)  # buffers of a fixed size: test_tuning has the others
Field = int | tuple[tuple[int, int], ...] | tuple[tuple[int, bytes], ...] | None


class Standard(Reno):
    """RFC 5681 alone: for tests that count segments."""

    uses_hystart = False


RENO = replace(PLAIN, congestion=Standard)
OPEN_ENDED = 1000  # segments: more in one drain is a storm


@dataclass
class Peer:
    """What the other end puts into its SYN, and its window and timestamp clock afterwards."""

    mss: int = MSS
    window: int = WINDOW
    window_scale: int = ABSENT
    sack: bool = False
    tsval: int = ABSENT


class Watch(Observer):
    def __init__(self) -> None:
        self.changes: list[tuple[State, State]] = []
        self.expired: list[str] = []
        self.errors: list[str] = []

    def peer_erred(self, local: object, remote: object, error: str, now: int) -> None:
        self.errors.append(error)

    def state_changed(self, local: object, remote: object, before: State, after: State, now: int) -> None:
        self.changes.append((before, after))

    def timer_expired(self, local: object, remote: object, timer: str, now: int) -> None:
        self.expired.append(timer)


class Scene:
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
        self.watch = Watch()
        self.connection = Connection(
            local,
            remote,
            config,
            iss=iss,
            mtu=mtu,
            timestamp_offset=timestamp_offset,
            observer=self.watch,
            memory=memory,
        )
        self.peer = peer or Peer()
        self.irs = irs
        self.now = START
        self.sent: list[Segment] = []

    @property
    def tcb(self) -> Tcb:
        return self.connection.tcb

    @property
    def state(self) -> State:
        return self.connection.state

    @property
    def nxt(self) -> int:
        """RCV.NXT, relative."""
        return sequence.distance(self.irs, self.tcb.rcv.nxt)

    @property
    def una(self) -> int:
        return sequence.offset(self.tcb.snd.una, self.tcb.snd.iss)

    @property
    def max(self) -> int:
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
        """A segment of the peer; what isn't given fits: SEG.SEQ = RCV.NXT, SEG.ACK = SND.MAX, its options as agreed."""
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
            made.mss, made.window_scale, made.sack_permitted = self.peer.mss, self.peer.window_scale, self.peer.sack
        if flags & SYN or self.tcb.timestamps.agreed or tsval is not None:
            made.tsval = self.peer.tsval if tsval is None else tsval
            made.tsecr = tsecr if tsecr != ABSENT or made.tsval == ABSENT else 0
        made.ecn, made.other = ecn, other
        made.sack = tuple((sequence.add(self.tcb.snd.iss, left), sequence.add(self.tcb.snd.iss, right)) for left, right in sack)
        return made

    def hears(self, flags: int, data: bytes = b"", **fields: Field) -> list[str]:
        self.arrives(flags, data, **fields)
        return self.drain()

    def arrives(self, flags: int, data: bytes = b"", **fields: Field) -> None:
        """Without a drain: for several segments that come at once."""
        self.connection.segment_arrives(self.segment(flags, data, **fields), self.now)  # type: ignore[arg-type]
        check(self.tcb)

    def ignores(self, flags: int, data: bytes = b"", **fields: Field) -> bool:
        """Whether the segment leaves no trace: no answer, no event, no change of state, numbers or timers."""
        before = self.image()
        return self.hears(flags, data, **fields) == [] and self.image() == before

    # What the connection does

    def drain(self) -> list[str]:
        self.sent = []
        while (segment := self.connection.next_segment(self.now)) is not None:
            self.sent.append(segment)
            assert len(self.sent) < OPEN_ENDED, "a storm of segments"
        check(self.tcb)
        return [self.text(segment) for segment in self.sent]

    def text(self, segment: Segment) -> str:
        """``ACK seq=1 ack=1 len=5``."""
        is_blind = segment.flags & (RST | ACK) == RST | ACK  # <SEQ=0>: the one number that isn't relative
        line = f"{flags_text(segment.flags)} seq={segment.seq if is_blind else sequence.offset(segment.seq, self.tcb.snd.iss)}"
        if segment.flags & ACK:
            line += f" ack={sequence.offset(segment.ack, self.irs)}"
        return line + (f" len={len(segment.data)}" if segment.data else "")

    def does(self, call: Callable[..., object], *arguments: object, **options: object) -> list[str]:
        """A user call at this time, and what is sent for it."""
        call(*arguments, self.now, **options)
        check(self.tcb)
        return self.drain()

    def sends(self, data: bytes, *, urgent: bool = False) -> list[str]:
        return self.does(self.connection.send, data, urgent=urgent)

    def reads(self, limit: int = 1 << 30) -> bytes:
        data = self.connection.receive(limit, self.now)
        check(self.tcb)
        return data

    def closes(self) -> list[str]:
        return self.does(self.connection.close)

    def releases(self) -> list[str]:
        return self.does(self.connection.release)

    def aborts(self) -> list[str]:
        return self.does(self.connection.abort)

    def events(self) -> list[str]:
        """Their names, since the last look."""
        return [event.name for event in self.all_events()]

    def all_events(self) -> list[Event]:
        found: list[Event] = []
        while (event := self.connection.next_event()) is not None:
            found.append(event)
        return found

    # Time

    def passes(self, duration: int) -> list[str]:
        """Time, with each deadline in it met on the microsecond; what is sent meanwhile."""
        end = self.now + duration
        lines: list[str] = []
        while self.connection.next_timeout() <= end:
            lines += self.expires()
        self.now = end
        return lines

    def expires(self) -> list[str]:
        """Until the next deadline, and what is sent then."""
        assert self.connection.next_timeout() < NEVER, "no timer runs"
        self.now = max(self.now, self.connection.next_timeout())
        self.connection.handle_timeout(self.now)
        return self.drain()

    # Comparing

    def image(self) -> dict[str, object]:
        """The whole TCB in plain values; not what is only counted, nor the throttle."""
        return image(self.tcb)


_APART = {
    *("config", "observer", "memory"),
    *("segments_sent", "segments_arrived", "throttled", "challenge_after", "keep_alives_until"),
    *("texts_sent", "texts_arrived", "last_data_at", "last_ack_at"),
    *("wl1", "wl2"),  # which segment told the window: of interest only where the window is
    *("_congestion", "_recovery", "controller", "is_sender"),  # whether anybody asked for them yet
    *("path", "proven", "tried", "tried_end"),  # what is known of the path MTU
}


def image(thing: object) -> dict[str, object]:
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
    is_record = type(thing).__module__.startswith("postel.tcp.") and not isinstance(thing, State)
    return image(thing) if is_record else thing


# The eleven states. Each returns with nothing owed and no event waiting.


def closed(config: Config = PLAIN, peer: Peer | None = None, **options: object) -> Scene:
    return Scene(config, peer, **options)  # type: ignore[arg-type]


def listen(config: Config = PLAIN, peer: Peer | None = None, **options: object) -> Scene:
    scene = closed(config, peer, **options)
    scene.connection.open_passive(scene.now)
    return _still(scene)


def syn_sent(config: Config = PLAIN, peer: Peer | None = None, **options: object) -> Scene:
    scene = closed(config, peer, **options)
    scene.connection.open_active(scene.now)
    return _still(scene)


def syn_received(config: Config = PLAIN, peer: Peer | None = None, **options: object) -> Scene:
    """By passive OPEN."""
    scene = listen(config, peer, **options)
    scene.arrives(SYN)
    return _still(scene)


def syn_received_active(config: Config = PLAIN, peer: Peer | None = None, **options: object) -> Scene:
    """By simultaneous open."""
    scene = syn_sent(config, peer, **options)
    scene.arrives(SYN)
    return _still(scene)


def established(config: Config = PLAIN, peer: Peer | None = None, **options: object) -> Scene:
    scene = syn_received(config, peer, **options)
    scene.arrives(ACK)
    return _still(scene)


def established_active(config: Config = PLAIN, peer: Peer | None = None, **options: object) -> Scene:
    scene = syn_sent(config, peer, **options)
    scene.arrives(SYN | ACK)
    return _still(scene)


def fin_wait_1(config: Config = PLAIN, peer: Peer | None = None, **options: object) -> Scene:
    """Our FIN is on its way: SND.UNA = 1, SND.NXT = 2."""
    scene = established(config, peer, **options)
    scene.connection.close(scene.now)
    return _still(scene)


def fin_wait_2(config: Config = PLAIN, peer: Peer | None = None, **options: object) -> Scene:
    scene = fin_wait_1(config, peer, **options)
    scene.arrives(ACK)
    return _still(scene)


def closing(config: Config = PLAIN, peer: Peer | None = None, **options: object) -> Scene:
    scene = fin_wait_1(config, peer, **options)
    scene.arrives(FIN | ACK, ack=1)
    return _still(scene)


def time_wait(config: Config = PLAIN, peer: Peer | None = None, **options: object) -> Scene:
    scene = fin_wait_2(config, peer, **options)
    scene.arrives(FIN | ACK)
    return _still(scene)


def close_wait(config: Config = PLAIN, peer: Peer | None = None, **options: object) -> Scene:
    scene = established(config, peer, **options)
    scene.arrives(FIN | ACK)
    return _still(scene)


def last_ack(config: Config = PLAIN, peer: Peer | None = None, **options: object) -> Scene:
    scene = close_wait(config, peer, **options)
    scene.connection.close(scene.now)
    return _still(scene)


def _still(scene: Scene) -> Scene:
    scene.drain()
    scene.all_events()
    return scene


Maker = Callable[..., Scene]

SYNCHRONIZED: dict[str, Maker] = {
    "ESTABLISHED": established,
    "FIN-WAIT-1": fin_wait_1,
    "FIN-WAIT-2": fin_wait_2,
    "CLOSE-WAIT": close_wait,
    "CLOSING": closing,
    "LAST-ACK": last_ack,
    "TIME-WAIT": time_wait,
}
EVERY: dict[str, Maker] = {
    "CLOSED": closed,
    "LISTEN": listen,
    "SYN-SENT": syn_sent,
    "SYN-RECEIVED": syn_received,
    "SYN-RECEIVED, active": syn_received_active,
    **SYNCHRONIZED,
}
