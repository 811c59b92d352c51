"""TIME-WAIT as small records, with only the variables that are needed to answer for an old connection.

Theory of operation. A connection that closes first stays in TIME-WAIT for 2MSL (RFC 9293, 3.6.1), so that old
duplicates die out, and the last ACK can be sent again. A busy server has very many of them. So the host
replaces the connection by a `TimeWaitRecord`, and keeps this as octets, over IPv4 some 230 octets of memory
in all::

    FIN-WAIT-2 ──FIN──► TIME-WAIT ──► record (frozen) ──────── 2MSL ────────► forgotten
                                        │     ▲
             a segment of the pair ──►  ▼     │  after its answer
                                     Connection (thawed)

The connection becomes a record whether its program has released it or not. A program that still holds the
connection can read what arrived before, and the connection's state follows the record.

A segment for the pair makes a `Connection` of the record, so that the rules are written once, in
`postel.tcp.arrives`. When it has answered, it becomes a record again. A SYN may open the pair anew: from the
peer by RFC 6191, or by `connect` of this host where the timestamps make it safe
(`TimeWaitRecord.may_be_taken`).
"""

from collections.abc import Iterator
from struct import Struct
from typing import Final, NamedTuple

from postel.host.pairs import ends_of, key_of
from postel.host.ports import Ports
from postel.host.records import Records
from postel.tcp import time_wait_state
from postel.tcp.authentication import Authentication
from postel.tcp.config import Config
from postel.tcp.connection import Connection
from postel.tcp.keeper import Keeper
from postel.times import NEVER, SECOND
from postel.wire.address import Endpoint

MOST: Final = 1 << 17  # most records; above that, the record that expires first is removed early, as in Linux

_NUMBER: Final = Struct("!I")
_REUSE_AFTER: Final = SECOND  # after the peer's last segment: far longer than a tick of a timestamp clock


class TimeWaitRecord(NamedTuple):
    """A pair in TIME-WAIT.

    It has these attributes:
        key: the key of the pair (`postel.host.pairs`).
        expires: when its 2MSL end, in microseconds.
        state: the variables of the connection, packed (`postel.tcp.time_wait_state`).
        config: the options of the connection.
        authentication: the keys of signed segments, or None.
    """

    key: bytes
    expires: int
    state: bytes
    config: Config
    authentication: Authentication | None

    @property
    def ends(self) -> tuple[Endpoint, Endpoint]:
        """Local and remote endpoint."""
        return ends_of(self.key)

    @property
    def snd_max(self) -> int:
        """SND.MAX of the connection. The ISS of the pair's next connection must be above it (EP-TW-8)."""
        return time_wait_state.snd_max_of(self.state)

    def may_be_taken(self, config: Config, now: int) -> bool:
        """Whether `connect` with this ``config`` may use the pair now, as with Linux's ``tcp_tw_reuse``.

        The new SYN then has a larger timestamp than all segments before it. So the peer accepts the SYN even
        if the peer is in TIME-WAIT, too (RFC 6191). And old duplicates are recognised, because their
        timestamps are smaller than the new connection's (RFC 7323, 5).
        """
        kept = time_wait_state.variables(self.state)
        is_stamped = config.timestamps and kept.has_timestamps
        return (
            config.time_wait_reuse
            and is_stamped
            and self.authentication is None
            and now - kept.recent_at >= _REUSE_AFTER
        )


def record_of(key: bytes, connection: Connection) -> TimeWaitRecord:
    """Record of a connection in TIME-WAIT."""
    state = time_wait_state.frozen(connection)
    return TimeWaitRecord(
        key, time_wait_state.expires(connection), state, connection.config, connection.authentication
    )


class TimeWait(Keeper):
    """All records of a host, found by key and ordered by expiry.

    A *thawed* record is one from which a `Connection` was made for a moment. The record stays in the table
    until `put` replaces it.
    """

    __slots__ = ("_authentications", "_configs", "_numbers", "_ports", "_records", "_thawed")

    def __init__(self, ports: Ports) -> None:
        """Make an empty table. The table reports ports that become free to ``ports``."""
        self._ports = ports
        self._records = Records()  # content of each: the number of a configuration, and the packed state
        self._thawed: set[bytes] = set()
        self._authentications: dict[bytes, Authentication] = {}
        self._configs: list[Config] = []
        self._numbers: dict[Config, int] = {}

    def __len__(self) -> int:
        """Number of records, thawed ones included."""
        return len(self._records)

    def __contains__(self, key: bytes) -> bool:
        """Whether there is a record for this pair."""
        return key in self._records

    def __iter__(self) -> Iterator[TimeWaitRecord]:
        """Iterate over the records that aren't thawed."""
        for key in self._records:
            if key not in self._thawed:
                yield self._read(key)

    def keys(self) -> Iterator[bytes]:
        """Iterate over the keys of all records, thawed ones included."""
        return iter(self._records)

    def put(self, record: TimeWaitRecord) -> None:
        """Insert the record of a pair of endpoints, or replace the pair's older one.

        The record is kept until its 2MSL have passed. If more than MOST records exist, the one that expires
        first is removed earlier.
        """
        key = record.key
        self._thawed.discard(key)
        if record.authentication is not None:
            self._authentications[key] = record.authentication
        self._ports.wait(key[:-2], key[-2] << 8 | key[-1])
        self._records.put(key, record.expires, _NUMBER.pack(self._number(record.config)) + record.state)
        while len(self._records) > MOST and (first := self._records.due(NEVER)) is not None:
            self._remove(first)

    def get(self, key: bytes) -> TimeWaitRecord | None:
        """Record of the pair with this key; None where there is none. The record stays in the table."""
        return self._read(key) if key in self._records else None

    def thaw(self, key: bytes) -> TimeWaitRecord | None:
        """Record of the pair with this key, which counts as thawed until `put` replaces it; None for none."""
        if key not in self._records:
            return None
        self._thawed.add(key)
        return self._read(key)

    def discard(self, key: bytes) -> TimeWaitRecord | None:
        """Remove and return the record of a pair; None where there is none."""
        return self._remove(key) if key in self._records else None

    def clear(self) -> None:
        """Remove all records."""
        for key in list(self._records):
            self._remove(key)

    def keeps(self, local: Endpoint, remote: Endpoint, iss: int) -> bool:
        """Whether the pair's record is that of this connection, and not of an earlier or later one."""
        key = key_of(local, remote)
        return (
            key in self._records and time_wait_state.iss_of(self._records.content(key)[_NUMBER.size :]) == iss
        )

    def give_up(self, local: Endpoint, remote: Endpoint, now: int) -> None:
        """Let the record of this connection expire now."""
        key = key_of(local, remote)
        self._records.put(key, now, self._records.content(key))

    def next_timeout(self) -> int:
        """Earliest expiry in microseconds; NEVER where there is no record."""
        return self._records.next_timeout()

    def pop_due(self, now: int) -> list[TimeWaitRecord]:
        """Remove the records that have expired by ``now``. Returns those that weren't thawed."""
        due: list[TimeWaitRecord] = []
        while (key := self._records.due(now)) is not None:
            is_thawed = key in self._thawed
            record = self._remove(key)
            if not is_thawed:
                due.append(record)
        return due

    def _remove(self, key: bytes) -> TimeWaitRecord:
        record = self._read(key)
        self._records.discard(key)
        self._thawed.discard(key)
        self._authentications.pop(key, None)
        self._ports.free(key[:-2], key[-2] << 8 | key[-1])
        if not self._records:
            self._configs.clear()
            self._numbers.clear()
        return record

    def _read(self, key: bytes) -> TimeWaitRecord:
        content = self._records.content(key)
        config = self._configs[_NUMBER.unpack_from(content)[0]]
        return TimeWaitRecord(
            key, self._records.deadline(key), content[_NUMBER.size :], config, self._authentications.get(key)
        )

    def _number(self, config: Config) -> int:
        """Number of a configuration. A record has only this number, because few configurations differ."""
        number = self._numbers.get(config)
        if number is None:
            number = self._numbers[config] = len(self._configs)
            self._configs.append(config)
        return number
