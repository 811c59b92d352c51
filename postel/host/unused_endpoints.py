"""Local endpoints and ports that TCP may use: not in use by a connection, by TIME-WAIT or by a listener."""

from postel.errors import AddressInUse
from postel.host.listener import Passive
from postel.host.pairs import destination_of, key_of
from postel.host.ports import Ports, Search
from postel.host.timewait import TimeWait
from postel.tcp.config import Config
from postel.tcp.connection import Connection
from postel.wire.address import Endpoint


class _PairSearch(Search):
    """Search for an ephemeral port to one remote endpoint (`Ports.find`)."""

    __slots__ = ("_config", "_now", "_remote", "_unused")

    def __init__(self, unused: "Unused", address: bytes, remote: Endpoint, config: Config, now: int) -> None:
        """Describe the search for a free port of ``address``, for a connection with this ``config``."""
        super().__init__(destination_of(address, remote), address, remote.address, remote.port)
        self._unused = unused
        self._remote = remote
        self._config = config
        self._now = now

    def is_free(self, port: int) -> bool:
        """Whether the connection may have this port."""
        if port == self.remote_port and self.local_address == self.remote_address:
            # The connection would be one with itself (simultaneous open), which the program didn't ask for
            return False
        return not self._unused.is_taken(
            Endpoint(self.local_address, port), self._remote, self._config, self._now
        )

    def taken(self) -> list[int]:
        """Ports in use to the remote endpoint."""
        return self._unused.ports_to(self.destination)

    def waiting(self) -> list[int]:
        """Ports to the remote endpoint in TIME-WAIT."""
        return self._unused.ports_in_time_wait(self.destination)

    def is_waiting(self, port: int) -> bool:
        """Whether the port to the remote endpoint is in TIME-WAIT."""
        return self._unused.is_in_time_wait(key_of(Endpoint(self.local_address, port), self._remote))


class _ListenerSearch(Search):
    """Search for a port without a listener (`Ports.find`)."""

    __slots__ = ("_passive",)

    def __init__(self, passive: Passive, address: bytes) -> None:
        """Describe the search for a free port for a listener at ``address``, b"" for all addresses."""
        super().__init__(b"listen" + address, address, b"", 0)
        self._passive = passive

    def is_free(self, port: int) -> bool:
        """Whether no listener has this port."""
        return not self._passive.offers(port)

    def taken(self) -> list[int]:
        """Ports of all listeners."""
        return self._passive.ports()


class Unused:
    """Finds local endpoints for connections and listeners."""

    __slots__ = ("_passive", "_ports", "_table", "_time_wait")

    def __init__(
        self, table: dict[bytes, Connection], passive: Passive, time_wait: TimeWait, ports: Ports
    ) -> None:
        """Make a finder that looks up in these tables what is in use."""
        self._table = table
        self._passive = passive
        self._time_wait = time_wait
        self._ports = ports

    def endpoint(self, address: bytes, port: int, remote: Endpoint, config: Config, now: int) -> Endpoint:
        """Local endpoint for a connection to ``remote``: no other connection has the pair (RFC6056-3.3c).

        A pair in TIME-WAIT is allowed if it may be reused. Port 0 takes an ephemeral port. That port has no
        listener, and the local endpoint with it isn't ``remote`` itself. A ``port`` that the program names
        needn't meet these two conditions. Raises AddressInUse.
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
        """Ephemeral port without a listener. Raises AddressInUse."""
        port = self._ports.find(_ListenerSearch(self._passive, address))
        if port == 0:
            raise AddressInUse("no port is free to listen to")
        return port

    def is_taken(self, local: Endpoint, remote: Endpoint, config: Config, now: int) -> bool:
        """Whether the search for an ephemeral port to ``remote`` must not take this local endpoint."""
        return self._passive.offers(local.port) or self._has(key_of(local, remote), config, now)

    def ports_to(self, destination: bytes) -> list[int]:
        """Local ports in use to a destination (`postel.host.pairs.destination_of`)."""
        ports = self._passive.ports()
        for keys in (self._table, self._passive.half_open, self._passive.cache, self._time_wait.keys()):
            ports += [key[-2] << 8 | key[-1] for key in keys if key[:-2] == destination]
        return ports

    def ports_in_time_wait(self, destination: bytes) -> list[int]:
        """Local ports to a destination that are in TIME-WAIT."""
        return [key[-2] << 8 | key[-1] for key in self._time_wait.keys() if key[:-2] == destination]  # noqa: SIM118 - iter gives records

    def is_in_time_wait(self, key: bytes) -> bool:
        """Whether the pair with this key is in TIME-WAIT."""
        return key in self._time_wait

    def _has(self, key: bytes, config: Config, now: int) -> bool:
        if key in self._table or self._passive.has(key):
            return True
        record = self._time_wait.get(key)
        return record is not None and not record.may_be_taken(config, now)
