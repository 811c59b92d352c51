"""TIME-WAIT as a small record: what is needed to answer for the old connection, and nothing else.

A connection that nobody holds any more is frozen into a `Record`. A segment for it thaws the record into a `Connection`, so that the
rules are written once, in `tcp.arrives`; when that has answered it is frozen again.
"""

from collections import deque
from heapq import heapify, heappop, heappush
from struct import Struct
from typing import Final

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

_STATE: Final = Struct("!IIIIIIIIIIBB??QQ")


class Record:
    """``octets`` holds the variables of the Tcb, packed."""

    __slots__ = ("authentication", "config", "expires", "is_thawed", "key", "mtu", "octets", "queued_for")

    def __init__(self, key: bytes, config: Config, authentication: Authentication | None = None) -> None:
        self.key = key  # remote and local address, remote and local port
        self.config = config
        self.authentication = authentication
        self.mtu = 0
        self.octets = b""
        self.expires = NEVER
        self.queued_for = NEVER  # the deadline under which it stands in the queue
        self.is_thawed = False

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
        return int.from_bytes(self.octets[4:8], "big")

    def freeze(self, tcb: Tcb) -> None:
        snd, rcv, timestamps = tcb.snd, tcb.rcv, tcb.timestamps
        self.mtu = tcb.mtu
        self.expires = tcb.timers.time_wait
        self.octets = _STATE.pack(
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
            snd.shift,
            rcv.shift,
            timestamps.agreed,
            tcb.sack_agreed,
            timestamps.recent_at,
            tcb.challenge_after,
        )

    def thaw(self, observer: Observer | None, memory: Memory | None, challenges: Budget | None, agenda: deque[Connection]) -> Connection:
        """A connection in TIME-WAIT again, with nobody to hear of it."""
        values = _STATE.unpack(self.octets)
        connection = Connection(
            self.local,
            self.remote,
            self.config,
            iss=values[0],
            mtu=self.mtu,
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
        tcb.snd.shift, tcb.rcv.shift, tcb.timestamps.agreed, tcb.sack_agreed = values[10], values[11], values[12], values[13]
        tcb.timestamps.recent_at, tcb.challenge_after = values[14], values[15]
        _close_both_ways(tcb, values[1])
        return connection


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
    """All records of a host, found by their key and ordered by expiry."""

    __slots__ = ("_queue", "records")

    def __init__(self) -> None:
        self.records: dict[bytes, Record] = {}
        self._queue: list[tuple[int, bytes]] = []

    def __len__(self) -> int:
        return len(self.records)

    def freeze(self, key: bytes, tcb: Tcb, authentication: Authentication | None = None) -> None:
        """Keep what answers for this pair until its 2MSL are over."""
        record = self.records.get(key)
        if record is None:
            record = Record(key, tcb.config, authentication)
        record.freeze(tcb)
        self.put(record)

    def put(self, record: Record) -> None:
        record.is_thawed = False
        self.records[record.key] = record
        if record.queued_for > record.expires:
            self._enqueue(record)
        while len(self.records) > MOST:
            self._take_first()

    def discard(self, key: bytes) -> Record | None:
        """The pair is free again."""
        record = self.records.pop(key, None)
        if record is not None:
            record.queued_for = NEVER  # its entry stays in the queue, and is void
        return record

    def next_timeout(self) -> int:
        return self._queue[0][0] if self._queue else NEVER

    def take_due(self, now: int) -> list[Record]:
        """Whose 2MSL are over: they are forgotten. A thawed one's connection knows the time by itself."""
        due: list[Record] = []
        while self._queue and self._queue[0][0] <= now:
            record = self._take_first()
            if record is None:
                continue
            if record.expires > now:  # restarted since it was queued (EP-ACK-14)
                self.records[record.key] = record
                self._enqueue(record)
            elif not record.is_thawed:
                due.append(record)
        return due

    def _enqueue(self, record: Record) -> None:
        record.queued_for = record.expires
        heappush(self._queue, (record.expires, record.key))
        if len(self._queue) > 2 * len(self.records) + 64:  # mostly entries of pairs that were reopened
            self._queue = [(kept.queued_for, kept.key) for kept in self.records.values()]
            heapify(self._queue)

    def _take_first(self) -> Record | None:
        """Out of the queue; None for an entry that is no longer valid."""
        deadline, key = heappop(self._queue)
        record = self.records.get(key)
        if record is None or record.queued_for != deadline:
            return None
        del self.records[key]
        record.queued_for = NEVER
        return record
