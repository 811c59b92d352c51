"""Postel as the stack under test, in virtual time."""

from typing import Final

from postel.drill import code, commands
from postel.drill.network import Network
from postel.drill.profile import Profile
from postel.drill.sockets import Sockets
from postel.drill.stack import Ends
from postel.sim.witness import Witness
from postel.tcp.connection import Connection
from postel.tcp.state import CLOSED, LISTEN, State
from postel.wire.address import Endpoint, to_text

_UNTOLD: Final = ("local", "remote", "state")  # fields of a Status that the output has elsewhere


class Virtual:
    """Host of Postel as the stack under test."""

    tolerance = 0

    def __init__(self, ends: Ends, profile: Profile, witness: Witness | None = None) -> None:
        """Make a host with the options of ``profile``."""
        address = f"{to_text(ends.local.address)}/{ends.prefix_length}"
        self.network: Network = Network(
            (address,), ends.mtu, profile.config, witness, fast_open=profile.fast_open
        )
        self.sockets: Sockets = Sockets(self.network, profile.config, ends, profile.nonblocking)
        self._profile = profile

    def command(self, text: str, line: int) -> None:
        """Carry out a shell command of the script."""
        self.sockets.settings = commands.execute(
            text, self._profile, self.sockets.settings, self.network, line
        )

    def information(self) -> dict[str, object]:
        """Fields of `tcp_info` of the newest connection."""
        latest = self.sockets.latest()
        return code.information(
            latest.connection if latest else None, latest.state if latest else CLOSED, self.network.now
        )

    def state(self, local: Endpoint, remote: Endpoint) -> State:
        """State of the connection between these endpoints.

        Without a connection, the state is LISTEN or CLOSED, according to the socket with the local port.
        """
        for ours, theirs, state in self.network.host.connections():
            if (ours, theirs) == (local, remote):
                return state
        listens = any(
            found.state is LISTEN and found.port == local.port for found in self.sockets.descriptors.values()
        )
        return LISTEN if listens else CLOSED

    def describe(self) -> str:
        """Connection under test, for human readers; "" if there is none."""
        latest = self.sockets.latest()
        return "" if latest is None or latest.connection is None else _described(latest.connection)


def _described(connection: Connection) -> str:
    if connection.state is CLOSED:
        return f"{connection.state}, {connection.error or 'no error'}"
    status = connection.status()._asdict()
    return ", ".join(
        [str(connection.state), *[f"{name}={value}" for name, value in status.items() if name not in _UNTOLD]]
    )
