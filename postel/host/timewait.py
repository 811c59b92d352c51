"""TIME-WAIT as a small record: what is needed to answer for the old connection, and nothing else.

A connection in TIME-WAIT is frozen into a `TimeWaitRecord`, whether its program released it or not. The host
forgets it; a program that still holds it can read what arrived, and its state follows the record. A segment
for the pair thaws the record into a `Connection`, so that the rules are written once, in `tcp.arrives`; when
that has answered it is frozen again. `TimeWait` keeps a record as octets, some 230 of memory in all where
addresses are IPv4's.
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

MOST: Final = 1 << 17  # records: beyond, the one that would expire first goes early, as a kernel's does

_NUMBER: Final = Struct("!I")
_REUSE_AFTER: Final = SECOND  # since the peer was last heard: far above a tick of either's timestamps


class TimeWaitRecord(NamedTuple):
    """``state`` holds the variables of the Tcb, packed; ``key`` remote and local address, remote and local
    port.
    """

    key: bytes
    expires: int
    state: bytes
    config: Config
    authentication: Authentication | None

    @property
    def ends(self) -> tuple[Endpoint, Endpoint]:
        """Local and remote."""
        return ends_of(self.key)

    @property
    def snd_max(self) -> int:
        """Above which the next incarnation's ISS must lie (EP-TW-8)."""
        return time_wait_state.snd_max_of(self.state)

    def may_be_taken(self, config: Config, now: int) -> bool:
        """Whether an active OPEN with this ``config`` may take the pair, as with kernels' ``tcp_tw_reuse``.

        The new SYN has a larger timestamp than all that the peer saw, by which it reopens the pair even where
        the peer is in TIME-WAIT too (RFC 6191), and old duplicates have smaller ones than the new connection
        (RFC 7323, 5).
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
    """The record of a connection in TIME-WAIT."""
    state = time_wait_state.frozen(connection)
    return TimeWaitRecord(
        key, time_wait_state.expires(connection), state, connection.config, connection.authentication
    )


class TimeWait(Keeper):
    """All records of a host, found by their key and ordered by expiry."""

    __slots__ = ("_authentications", "_configs", "_numbers", "_ports", "_records", "_thawed")

    def __init__(self, ports: Ports) -> None:
        self._ports = ports
        self._records = Records()  # each the number of its configuration and its state
        self._thawed: set[bytes] = set()
        self._authentications: dict[bytes, Authentication] = {}
        self._configs: list[Config] = []
        self._numbers: dict[Config, int] = {}

    def __len__(self) -> int:
        return len(self._records)

    def __contains__(self, key: bytes) -> bool:
        return key in self._records

    def __iter__(self) -> Iterator[TimeWaitRecord]:
        """Those that aren't thawed."""
        for key in self._records:
            if key not in self._thawed:
                yield self._read(key)

    def keys(self) -> Iterator[bytes]:
        """Those of all records, thawed ones too."""
        return iter(self._records)

    def put(self, record: TimeWaitRecord) -> None:
        """Keep what answers for this pair until its 2MSL are over."""
        key = record.key
        self._thawed.discard(key)
        if record.authentication is not None:
            self._authentications[key] = record.authentication
        self._ports.wait(key[:-2], key[-2] << 8 | key[-1])
        self._records.put(key, record.expires, _NUMBER.pack(self._number(record.config)) + record.state)
        while len(self._records) > MOST and (first := self._records.due(NEVER)) is not None:
            self._remove(first)

    def get(self, key: bytes) -> TimeWaitRecord | None:
        """The record of a pair, which stays."""
        return self._read(key) if key in self._records else None

    def thaw(self, key: bytes) -> TimeWaitRecord | None:
        """It will be a connection, which knows its time by itself, until it is put back."""
        if key not in self._records:
            return None
        self._thawed.add(key)
        return self._read(key)

    def discard(self, key: bytes) -> TimeWaitRecord | None:
        """The pair is free again."""
        return self._remove(key) if key in self._records else None

    def clear(self) -> None:
        for key in list(self._records):
            self._remove(key)

    def keeps(self, local: Endpoint, remote: Endpoint, iss: int) -> bool:
        """Whether the record of this connection is here, not one of an incarnation before or after it."""
        key = key_of(local, remote)
        return (
            key in self._records and time_wait_state.iss_of(self._records.content(key)[_NUMBER.size :]) == iss
        )

    def give_up(self, local: Endpoint, remote: Endpoint, now: int) -> None:
        """Let the record of this connection be due at once."""
        key = key_of(local, remote)
        self._records.put(key, now, self._records.content(key))

    def next_timeout(self) -> int:
        return self._records.next_timeout()

    def pop_due(self, now: int) -> list[TimeWaitRecord]:
        """Forget the records whose 2MSL are over. Returns those that weren't thawed."""
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
        """Few are different, so each record needs but a number."""
        number = self._numbers.get(config)
        if number is None:
            number = self._numbers[config] = len(self._configs)
            self._configs.append(config)
        return number
