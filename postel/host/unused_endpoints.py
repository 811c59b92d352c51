"""The endpoints and ports that TCP may still take: none of a connection, of TIME-WAIT or of a listener."""

from postel.errors import AddressInUse
from postel.host.listener import Passive
from postel.host.pairs import destination_of, key_of
from postel.host.ports import Ports, Search
from postel.host.timewait import TimeWait
from postel.tcp.config import Config
from postel.tcp.connection import Connection
from postel.wire.address import Endpoint


class _PairSearch(Search):
    """For an ephemeral port to one remote endpoint."""

    __slots__ = ("_config", "_now", "_remote", "_unused")

    def __init__(self, unused: "Unused", address: bytes, remote: Endpoint, config: Config, now: int) -> None:
        super().__init__(destination_of(address, remote), address, remote.address, remote.port)
        self._unused = unused
        self._remote = remote
        self._config = config
        self._now = now

    def is_free(self, port: int) -> bool:
        if port == self.remote_port and self.local_address == self.remote_address:
            # the connection would be with itself: a simultaneous open that the program did not ask for
            return False
        return not self._unused.is_taken(
            Endpoint(self.local_address, port), self._remote, self._config, self._now
        )

    def taken(self) -> list[int]:
        return self._unused.ports_to(self.destination)

    def waiting(self) -> list[int]:
        return self._unused.ports_in_time_wait(self.destination)

    def is_waiting(self, port: int) -> bool:
        return self._unused.is_in_time_wait(key_of(Endpoint(self.local_address, port), self._remote))


class _ListenerSearch(Search):
    """For a port at which no listener is."""

    __slots__ = ("_passive",)

    def __init__(self, passive: Passive, address: bytes) -> None:
        super().__init__(b"listen" + address, address, b"", 0)
        self._passive = passive

    def is_free(self, port: int) -> bool:
        return not self._passive.offers(port)

    def taken(self) -> list[int]:
        return self._passive.ports()


class Unused:
    """Finds what an OPEN may take as its local endpoint."""

    __slots__ = ("_passive", "_ports", "_table", "_time_wait")

    def __init__(
        self, table: dict[bytes, Connection], passive: Passive, time_wait: TimeWait, ports: Ports
    ) -> None:
        self._table = table
        self._passive = passive
        self._time_wait = time_wait
        self._ports = ports

    def endpoint(self, address: bytes, port: int, remote: Endpoint, config: Config, now: int) -> Endpoint:
        """A local endpoint such that no other connection has the same pair (RFC6056-3.3c), TIME-WAIT that may
        be reused aside.

        Port 0 asks for an ephemeral port: one at which no listener is, and which doesn't make the connection
        one with itself. A ``port`` that the program asks for may do so. Raises AddressInUse.
        """
        if port:
            local = Endpoint(address, port)
            if self._has(key_of(local, remote), config, now):
                raise AddressInUse(f"{local} to {remote} is taken")
            return local
        port = self._ports.find(_PairSearch(self, address, remote, config, now))
        if port == 0:
            raise AddressInUse(f"no port is free for {remote}")
        return Endpoint(address, port)

    def port_to_listen(self, address: bytes) -> int:
        """An ephemeral port at which no listener is. Raises AddressInUse."""
        port = self._ports.find(_ListenerSearch(self._passive, address))
        if port == 0:
            raise AddressInUse("no port is free to listen to")
        return port

    def is_taken(self, local: Endpoint, remote: Endpoint, config: Config, now: int) -> bool:
        """Whether the local port is no ephemeral one toward ``remote``."""
        return self._passive.offers(local.port) or self._has(key_of(local, remote), config, now)

    def ports_to(self, destination: bytes) -> list[int]:
        """Local ports in use toward a destination."""
        ports = self._passive.ports()
        for keys in (self._table, self._passive.half_open, self._passive.cache, self._time_wait.keys()):
            ports += [key[-2] << 8 | key[-1] for key in keys if key[:-2] == destination]
        return ports

    def ports_in_time_wait(self, destination: bytes) -> list[int]:
        """The ports that TIME-WAIT holds, of those that are taken."""
        return [key[-2] << 8 | key[-1] for key in self._time_wait.keys() if key[:-2] == destination]  # noqa: SIM118

    def is_in_time_wait(self, key: bytes) -> bool:
        return key in self._time_wait

    def _has(self, key: bytes, config: Config, now: int) -> bool:
        if key in self._table or self._passive.has(key):
            return True
        record = self._time_wait.get(key)
        return record is not None and not record.may_be_taken(config, now)
