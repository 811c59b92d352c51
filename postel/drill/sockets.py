"""System calls of a script as calls of Postel's host.

A call returns its result, raises OSError, or raises `Waits` if a system's call would block. The runner then
tries the call again whenever something has happened.
"""

import errno
from dataclasses import replace

from postel.drill import descriptor
from postel.drill.calls import Attempt, SystemCalls, Waits, argument, first_text
from postel.drill.constants import CONSTANTS, SOCK_DGRAM, SOCK_STREAM, number, value
from postel.drill.datagrams import DatagramCalls, DatagramDescriptor
from postel.drill.descriptor import Descriptor
from postel.drill.epoll import Poller, VirtualPoller
from postel.drill.network import Network
from postel.drill.stack import Ends
from postel.errors import ScriptError
from postel.tcp.config import Config, is_fast_client, is_fast_server
from postel.tcp.connection import Connection
from postel.tcp.state import CLOSED
from postel.times import MILLISECOND, NEVER
from postel.wire.address import Endpoint


class Sockets(SystemCalls[Descriptor]):
    """Sockets of a script. New sockets get ``settings``, the defaults of the script's system."""

    def __init__(self, network: Network, settings: Config, ends: Ends, nonblocking: int) -> None:
        """Begin without sockets."""
        super().__init__(ends.local, ends.remote, nonblocking)
        self.settings = settings
        self._secret = ends.secret
        self._network = network
        self._datagram_calls = DatagramCalls(self, network)

    def latest(self) -> Descriptor | None:
        """Socket that code blocks ask about: that of the newest connection, else the newest one."""
        connected = [found for found in self.descriptors.values() if found.connection is not None]
        every = connected or list(self.descriptors.values())
        return every[-1] if every else None

    # Calls

    def _perform(self, attempt: Attempt) -> int:
        """Make a call. For a UDP socket `DatagramCalls` makes it."""
        name = attempt.call.name
        if name in self._datagram_calls.known:
            found = self.descriptors.get(self.number(attempt, 0, -1))
            if isinstance(found, DatagramDescriptor):
                return self._datagram_calls.known[name](attempt, found)
        return super()._perform(attempt)

    def _socket(self, attempt: Attempt) -> int:
        kind = self.number(attempt, 1, SOCK_STREAM)
        if kind & 0xF not in (SOCK_STREAM, SOCK_DGRAM):
            raise ScriptError(0, first_text(argument(attempt, 1)), "only streams and datagrams are supported")
        found = (
            Descriptor(self.settings)
            if kind & 0xF == SOCK_STREAM
            else DatagramDescriptor(self.settings, self._network)
        )
        found.is_nonblocking = kind & CONSTANTS["SOCK_NONBLOCK"] != 0
        return self.add(attempt, found)

    def _bind(self, attempt: Attempt) -> int:
        found = self.descriptor(attempt)
        if found.port:
            raise OSError(errno.EINVAL, "bound already")
        found.port = self.endpoint(attempt, 1, self.local).port
        # A RST from a bound port without a listener has the hop limit and traffic class of the socket
        host, config = self._network.host, found.config
        host.config = replace(host.config, hop_limit=config.hop_limit, traffic_class=config.traffic_class)
        return 0

    def _listen(self, attempt: Attempt) -> int:
        found = self.descriptor(attempt)
        if found.listener is None:
            backlog = max(1, self.number(attempt, 1, 1))
            found.listener = self._network.host.listen(
                found.port, self._network.now, backlog=backlog, config=found.config, keys=found.keys
            )
            self._network.listeners.append(found.listener)
            self.on_open(Endpoint(self.local.address, found.listener.local.port), self.remote)
        return 0

    def _accept(self, attempt: Attempt) -> int:
        found = self.descriptor(attempt)
        if found.listener is None:
            raise OSError(errno.EINVAL, "this socket doesn't listen")
        connection = found.listener.accept()
        if connection is None:
            raise found.would_block()
        return self.add(attempt, Descriptor(self.settings, connection, is_accepted=True))

    def _connect(self, attempt: Attempt) -> int:
        found = self.descriptor(attempt)
        if found.connection is None:
            found.connection = self._opened(found, self.endpoint(attempt, 1, self.remote), found.config)
            if found.is_nonblocking:
                raise OSError(errno.EINPROGRESS, "in progress")
            raise Waits
        found.raise_error()
        if found.is_opening:
            raise Waits if attempt.is_repeated else OSError(errno.EALREADY, "already in progress")
        if attempt.is_repeated:
            return 0
        raise OSError(errno.EISCONN, "connected already")

    def _opened(self, found: Descriptor, remote: Endpoint, config: Config) -> Connection:
        connection = self._network.host.connect(
            remote.host,
            remote.port,
            self._network.now,
            local_address=self.local.host,
            local_port=found.port,
            config=config,
            keys=found.keys,
        )
        self.on_open(connection.local, connection.remote)
        return connection

    def _send(self, attempt: Attempt) -> int:
        found = self.descriptor(attempt)
        count = self.number(attempt, 2)
        flags = self.number(attempt, 3)
        is_first = found.connection is None and attempt.call.name == "sendto"
        if is_first and (flags & CONSTANTS["MSG_FASTOPEN"] or is_fast_client(found.config)):
            self._open_fast(attempt, found, asks=flags & CONSTANTS["MSG_FASTOPEN"] != 0)
        connection = found.connected()
        found.raise_error()
        if found.is_opening and not is_first:
            raise found.would_block(flags & CONSTANTS["MSG_DONTWAIT"])
        rest = bytes(count - attempt.progress)
        attempt.progress += connection.send(rest, self._network.now, urgent=flags & CONSTANTS["MSG_OOB"] != 0)
        if attempt.progress == count or (attempt.progress and found.is_nonblocking):
            return attempt.progress
        raise found.would_block(flags & CONSTANTS["MSG_DONTWAIT"])

    def _open_fast(self, attempt: Attempt, found: Descriptor, *, asks: bool) -> None:
        """Open the connection of an unconnected socket by TCP Fast Open, for `sendto`.

        A socket with the option TCP_FASTOPEN takes data in any case. If only the call asks for it, by
        MSG_FASTOPEN, data is taken only if the host has a cookie of the server.
        """
        if asks and "client" not in self._network.fast_open:
            raise OSError(errno.EOPNOTSUPP, "fast open is switched off")
        config = replace(found.config, fast_open="both" if is_fast_server(found.config) else "client")
        found.connection = self._opened(found, self.endpoint(attempt, 4, self.remote), config)
        if asks and not found.connection.is_fast:
            raise OSError(errno.EINPROGRESS, "in progress") if found.is_nonblocking else Waits()

    def _receive(self, attempt: Attempt) -> int:
        found = self.descriptor(attempt)
        limit = self.number(attempt, 2)
        flags = self.number(attempt, 3)
        connection = found.connected()
        count = min(limit, connection.readable)
        if count and flags & CONSTANTS["MSG_PEEK"]:
            return count
        if count:
            found.octets_read += count
            return len(connection.receive(count, self._network.now))
        found.raise_error()
        if found.reads_no_more or connection.at_end or connection.state is CLOSED:
            return 0
        raise found.would_block(flags & CONSTANTS["MSG_DONTWAIT"])

    def _shutdown(self, attempt: Attempt) -> int:
        found = self.descriptor(attempt)
        how = self.number(attempt, 1)
        connection = found.connected()
        if connection.state is CLOSED:
            raise OSError(errno.ENOTCONN, "not connected")
        if how != 0:
            connection.close(self._network.now)
        found.reads_no_more = found.reads_no_more or how != 1
        return 0

    def _close(self, attempt: Attempt) -> int:
        found = self.descriptor(attempt)
        del self.descriptors[self.number(attempt, 0)]
        found.close(self._network.now)
        return 0

    def _fcntl(self, attempt: Attempt) -> int:
        found = self.descriptor(attempt)
        if self.number(attempt, 1) == CONSTANTS["F_GETFL"]:
            return 2 | (self.names["O_NONBLOCK"] if found.is_nonblocking else 0)
        found.is_nonblocking = self.number(attempt, 2) & self.names["O_NONBLOCK"] != 0
        return 0

    def _setsockopt(self, attempt: Attempt) -> int:
        found = self.descriptor(attempt)
        name = self.selector(attempt, 2)
        given = value(argument(attempt, 3), self.names)
        if name == "TCP_MD5SIG":
            found.sign(self._secret, given)
            return 0
        if name == "TCP_FASTOPEN":
            descriptor.allow_fast_open(
                found, self._network.fast_open if given not in (0, [0]) else frozenset(), self._network.now
            )
            return 0
        descriptor.set_option(found, name, given, self._network.now)
        return 0

    def option(self, attempt: Attempt, name: str) -> object:
        """Value that getsockopt returns."""
        return descriptor.option(self.descriptor(attempt), name, self._network.now)

    def queued(self, attempt: Attempt, request: str) -> int:
        """Number of octets to be read, or of octets sent and not acknowledged."""
        connection = self.descriptor(attempt).connected()
        return connection.unacknowledged if request == "SIOCOUTQ" else connection.readable

    def readiness(self, attempt: Attempt, entries: list[dict[str, object]], timeout: int) -> list[int]:
        """Events of each entry of poll. Raises Waits if there are none yet."""
        returned = [self._readiness(entry) for entry in entries]
        if not any(returned):
            self._wait(attempt, timeout)
        return returned

    def _wait(self, attempt: Attempt, timeout: int) -> None:
        """Raise Waits, unless ``timeout`` milliseconds have passed since the call was made.

        The network's clock then stops at the end of the timeout, so that the call is tried again.
        """
        if attempt.until == NEVER and timeout >= 0:
            attempt.until = self._network.now + timeout * MILLISECOND
        if self._network.now < attempt.until:
            self._network.wakes_at = attempt.until
            raise Waits

    def poller(self) -> Poller:
        """New descriptor of epoll."""
        return VirtualPoller(self.descriptors)

    def occurrences(self, attempt: Attempt, poller: Poller, most: int, timeout: int) -> list[tuple[int, int]]:
        """Descriptors with their events, as epoll_wait returns them. Raises Waits if there are none yet."""
        found = poller.ready(most, timeout)
        if not found:
            self._wait(attempt, timeout)
        return found

    def _readiness(self, entry: dict[str, object]) -> int:
        found = self.descriptors.get(number(entry.get("fd", -1), self.names))
        return (
            CONSTANTS["POLLNVAL"]
            if found is None
            else found.readiness(number(entry.get("events", 0), self.names))
        )
