"""UDP sockets of a script, with the calls that differ from those of TCP sockets."""

import errno
from collections import deque
from collections.abc import Callable
from typing import Final

from postel.drill.calls import Attempt, SystemCalls
from postel.drill.constants import CONSTANTS, SOCK_DGRAM
from postel.drill.descriptor import ERROR, IN, OUT, Descriptor
from postel.drill.network import Network
from postel.errors import ScriptError, ScriptFailed, TcpError
from postel.host.datagrams import DatagramSocket
from postel.tcp.config import Config
from postel.wire.address import Endpoint


class DatagramDescriptor(Descriptor):
    """UDP socket of a script. ``socket`` is the host's, and None until it is bound, connected or used."""

    port: int  # declared again, because type checkers want that in each class that sets it

    def __init__(self, config: Config, network: Network) -> None:
        """Make a socket that isn't bound yet."""
        super().__init__(config, kind=SOCK_DGRAM)
        self.socket: DatagramSocket | None = None
        self._network = network
        self._arrivals = 0
        # Datagrams that were taken from `socket` and wait for a call
        self._waiting: deque[tuple[bytes, Endpoint]] = deque()

    @property
    def arrivals(self) -> int:
        """Number of datagrams that have arrived."""
        self._take()
        return self._arrivals

    def readiness(self, asked: int) -> int:
        """Events that poll returns, out of the events ``asked`` for."""
        self._take()
        return asked & (OUT | (IN if self._waiting else 0)) | (
            ERROR if self.socket in self._network.errors else 0
        )

    def claim_error(self) -> TcpError | None:
        """Remove and return the error that an ICMP message reported; None if there is none."""
        return None if self.socket is None else self._network.errors.pop(self.socket, None)

    def close(self, now: int) -> None:
        """Close the socket."""
        if self.socket is not None:
            self.socket.close()

    def open(self, local: Endpoint, remote: Endpoint | None) -> DatagramSocket:
        """Open the host's socket.

        If the socket gets a remote endpoint, it is closed and opened anew, because for the host it is another
        socket.
        """
        self.close(self._network.now)
        self.socket = self._network.host.datagrams(local.port, address=local.host, remote=remote)
        self.port = self.socket.local.port
        return self.socket

    def receive(self, *, peeks: bool) -> tuple[bytes, Endpoint] | None:
        """Return the oldest datagram and its sender; None if no datagram waits.

        With ``peeks`` the datagram isn't removed.
        """
        self._take()
        if not self._waiting:
            return None
        return self._waiting[0] if peeks else self._waiting.popleft()

    def _take(self) -> None:
        while self.socket is not None and (found := self.socket.receive()) is not None:
            self._waiting.append(found)
            self._arrivals += 1


class DatagramCalls:
    """Calls of `Sockets` that differ for UDP sockets."""

    def __init__(self, calls: SystemCalls[Descriptor], network: Network) -> None:
        """Make calls on behalf of ``calls``."""
        self._calls = calls
        self._network = network
        self.known: Final[dict[str, Callable[[Attempt, DatagramDescriptor], int]]] = {
            "bind": self._bind, "connect": self._connect, "send": self._send, "sendto": self._send,
            "write": self._send,
            "recv": self._receive, "recvfrom": self._receive, "read": self._receive, "listen": _refuse,
            "accept": _refuse,
            "shutdown": _refuse, "ioctl": _refuse,
        }  # fmt: skip

    def _bind(self, attempt: Attempt, found: DatagramDescriptor) -> int:
        opened = found.open(self._calls.endpoint(attempt, 1, self._calls.local), None)
        self._calls.on_open(opened.local, self._calls.remote)
        return 0

    def _connect(self, attempt: Attempt, found: DatagramDescriptor) -> int:
        remote = self._calls.endpoint(attempt, 1, self._calls.remote)
        opened = found.open(self._calls.local._replace(port=found.port), remote)
        self._calls.on_open(opened.local, remote)
        return 0

    def _send(self, attempt: Attempt, found: DatagramDescriptor) -> int:
        found.raise_error()
        opened = found.socket or found.open(self._calls.local._replace(port=0), None)
        remote = opened.remote
        if remote is None:
            if attempt.call.name != "sendto":
                raise OSError(errno.EDESTADDRREQ, "no destination")
            remote = self._calls.endpoint(attempt, 4, self._calls.remote)
            self._calls.on_open(opened.local, remote)
        octets = self._calls.number(attempt, 2)
        opened.send(bytes(octets), self._network.now, remote=remote)
        return octets

    def _receive(self, attempt: Attempt, found: DatagramDescriptor) -> int:
        found.raise_error()
        flags = self._calls.number(attempt, 3)
        arrived = found.receive(peeks=flags & CONSTANTS["MSG_PEEK"] != 0)
        if arrived is None:
            raise found.would_block(flags & CONSTANTS["MSG_DONTWAIT"])
        data, sender = arrived
        told = self._calls.endpoint(attempt, 4, sender)
        if told != sender:
            raise ScriptFailed(0, "sender", told, sender, "sin_port")
        return len(data) if flags & CONSTANTS["MSG_TRUNC"] else min(len(data), self._calls.number(attempt, 2))


def _refuse(attempt: Attempt, _: DatagramDescriptor) -> int:
    raise ScriptError(0, attempt.call.name, "not supported for UDP")
