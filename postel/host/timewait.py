"""TIME-WAIT as a small record: what is needed to answer for the old connection, and nothing else.

A connection that nobody holds any more is frozen into a `Record`. A segment for it thaws the record into a `Connection`, so that the
rules are written once, in `tcp.arrives`; when that has answered it is frozen again. `TimeWait` keeps a record as octets, some 230 of
memory in all where addresses are IPv4's.
"""

from collections import deque
from collections.abc import Iterator
from heapq import heapify, heappop, heappush
from struct import Struct
from typing import Final, NamedTuple

from postel.tcp.authentication import Authentication
from postel.tcp.budget import Budget
from postel.tcp.config import Config
from postel.tcp.connection import Connection
from postel.tcp.memory import Memory
from postel.tcp.observer import Observer
from postel.tcp.state import TIME_WAIT
from postel.tcp.tcb import Tcb
from postel.times import NEVER
from postel.wire.address import Endpoint

MOST: Final = 1 << 17  # records: beyond, the one that would expire first goes early, as a kernel's does

_STATE: Final = Struct("!IIIIIIIIIIIBB??QQ")
_PLACE: Final = Struct("!QI")  # when it expires, and the number of its configuration
_KEY_AT: Final = _PLACE.size + _STATE.size


class Record(NamedTuple):
    """``state`` holds the variables of the Tcb, packed; ``key`` remote and local address, remote and local port."""

    key: bytes
    expires: int
    state: bytes
    config: Config
    authentication: Authentication | None

    @property
    def local(self) -> Endpoint:
        size = (len(self.key) - 4) // 2
        return Endpoint(self.key[size : 2 * size], int.from_bytes(self.key[-2:], "big"))

    @property
    def remote(self) -> Endpoint:
        return Endpoint(self.key[: (len(self.key) - 4) // 2], int.from_bytes(self.key[-4:-2], "big"))

    @property
    def snd_max(self) -> int:
        """Above which the next incarnation's ISS must lie (EP-TW-8)."""
        return int.from_bytes(self.state[4:8], "big")

    def thaw(self, observer: Observer | None, memory: Memory | None, challenges: Budget | None, agenda: deque[Connection]) -> Connection:
        """A connection in TIME-WAIT again, with nobody to hear of it."""
        values = _STATE.unpack(self.state)
        connection = Connection(
            self.local,
            self.remote,
            self.config,
            iss=values[0],
            mtu=values[10],
            timestamp_offset=values[7],
            observer=observer,
            memory=memory,
            challenges=challenges,
            agenda=agenda,
            authentication=self.authentication,
        )
        tcb = connection.tcb
        tcb.state = TIME_WAIT  # not by `enter`: it never left
        tcb.nobody_reads = True
        tcb.timers.time_wait = self.expires
        tcb.snd.wnd, tcb.snd.max_wnd = values[2], values[3]
        tcb.rcv.irs, tcb.rcv.nxt, tcb.rcv.wnd = values[4], values[5], values[6]
        tcb.timestamps.recent, tcb.timestamps.last_ack_sent = values[8], values[9]
        tcb.snd.shift, tcb.rcv.shift, tcb.timestamps.agreed, tcb.sack_agreed = values[11], values[12], values[13], values[14]
        tcb.timestamps.recent_at, tcb.challenge_after = values[15], values[16]
        _close_both_ways(tcb, values[1])
        return connection


def frozen(key: bytes, tcb: Tcb, authentication: Authentication | None = None) -> Record:
    snd, rcv, timestamps = tcb.snd, tcb.rcv, tcb.timestamps
    state = _STATE.pack(
        snd.iss,
        snd.max,
        min(snd.wnd, 0xFFFFFFFF),
        min(snd.max_wnd, 0xFFFFFFFF),
        rcv.irs,
        rcv.nxt,
        rcv.wnd,
        timestamps.offset,
        timestamps.recent,
        timestamps.last_ack_sent,
        tcb.mtu,
        snd.shift,
        rcv.shift,
        timestamps.agreed,
        tcb.sack_agreed,
        timestamps.recent_at,
        tcb.challenge_after,
    )
    return Record(key, tcb.timers.time_wait, state, tcb.config, authentication)


def _close_both_ways(tcb: Tcb, snd_max: int) -> None:
    """Both FINs were sent and acknowledged: they are the last numbers before SND.MAX and RCV.NXT."""
    snd = tcb.snd
    snd.una = snd.nxt = snd.max = snd.up = snd_max
    tcb.syn_is_acked = True
    tcb.fin_is_queued = True
    tcb.fin_seq = (snd_max - 1) & 0xFFFFFFFF
    tcb.fin_is_received = True
    tcb.fin_expected = (tcb.rcv.nxt - 1) & 0xFFFFFFFF


class TimeWait:
    """All records of a host, found by their key and ordered by expiry.

    One is kept as octets that begin with when it expires and end with its key. So the same octets stand in the table and in the queue, in
    their place; those that the table no longer has are void.
    """

    __slots__ = ("_authentications", "_configs", "_numbers", "_queue", "_table", "_thawed")

    def __init__(self) -> None:
        self._table: dict[bytes, bytes] = {}
        self._queue: list[bytes] = []
        self._thawed: set[bytes] = set()
        self._authentications: dict[bytes, Authentication] = {}
        self._configs: list[Config] = []
        self._numbers: dict[Config, int] = {}

    def __len__(self) -> int:
        return len(self._table)

    def __contains__(self, key: bytes) -> bool:
        return key in self._table

    def __iter__(self) -> Iterator[Record]:
        """Those that aren't thawed."""
        for key, octets in self._table.items():
            if key not in self._thawed:
                yield self._read(octets)

    def put(self, record: Record) -> None:
        """Keep what answers for this pair until its 2MSL are over."""
        octets = _PLACE.pack(record.expires, self._number(record.config)) + record.state + record.key
        self._thawed.discard(record.key)
        if record.authentication is not None:
            self._authentications[record.key] = record.authentication
        if self._table.get(record.key) != octets:
            self._table[record.key] = octets
            self._enqueue(octets)
        while len(self._table) > MOST:
            self._take_first()

    def thaw(self, key: bytes) -> Record | None:
        """It will be a connection, which knows its time by itself, until it is put back."""
        octets = self._table.get(key)
        if octets is None:
            return None
        self._thawed.add(key)
        return self._read(octets)

    def discard(self, key: bytes) -> Record | None:
        """The pair is free again."""
        octets = self._table.get(key)
        return None if octets is None else self._remove(octets)

    def clear(self) -> None:
        for octets in list(self._table.values()):
            self._remove(octets)

    def next_timeout(self) -> int:
        return int.from_bytes(self._queue[0][:8], "big") if self._queue else NEVER

    def take_due(self, now: int) -> list[Record]:
        """Whose 2MSL are over: they are forgotten."""
        due: list[Record] = []
        while self.next_timeout() <= now:
            is_thawed = self._queue[0][_KEY_AT:] in self._thawed
            record = self._take_first()
            if record is not None and not is_thawed:
                due.append(record)
        return due

    def _enqueue(self, octets: bytes) -> None:
        heappush(self._queue, octets)
        if len(self._queue) > 2 * len(self._table) + 64:  # mostly void: pairs that were reopened, or waited anew
            self._queue = list(self._table.values())
            heapify(self._queue)

    def _take_first(self) -> Record | None:
        """Out of the queue; None for what is void."""
        octets = heappop(self._queue)
        return self._remove(octets) if self._table.get(octets[_KEY_AT:]) is octets else None

    def _remove(self, octets: bytes) -> Record:
        record = self._read(octets)
        del self._table[record.key]
        self._thawed.discard(record.key)
        self._authentications.pop(record.key, None)
        if not self._table:
            self._configs.clear()
            self._numbers.clear()
        return record

    def _read(self, octets: bytes) -> Record:
        expires, number = _PLACE.unpack_from(octets)
        key = octets[_KEY_AT:]
        return Record(key, expires, octets[_PLACE.size : _KEY_AT], self._configs[number], self._authentications.get(key))

    def _number(self, config: Config) -> int:
        """Few are different, so each record needs but a number."""
        number = self._numbers.get(config)
        if number is None:
            number = self._numbers[config] = len(self._configs)
            self._configs.append(config)
        return number
