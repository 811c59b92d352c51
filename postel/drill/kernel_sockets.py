"""System calls of a script on the kernel's sockets.

One thread inside the namespace makes the calls. A call may block if the script gives a time of its return.
"""

import fcntl
import os
import select
import socket
import termios
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Final, Protocol

from postel.drill.calls import Attempt, SystemCalls, Waits, argument, first_text, linger_fields, linger_octets
from postel.drill.constants import CONSTANTS, SOCK_DGRAM, SOCK_STREAM, number, value
from postel.drill.epoll import Poller
from postel.errors import ScriptError
from postel.sockets.options import LINGER
from postel.sockets.table import system_number
from postel.sockets.tcpinfo import fields, number_of, state_of
from postel.tcp.state import State
from postel.times import MILLISECOND
from postel.wire.address import Endpoint, to_text

PATIENCE: Final = 500 * MILLISECOND  # the longest wait for a call that must not block
_START: Final = 2 * MILLISECOND  # the wait for a call that may block to begin
_NONBLOCKING: Final = os.O_NONBLOCK
_REQUESTS: Final = {"SIOCINQ": termios.FIONREAD, "FIONREAD": termios.FIONREAD, "SIOCOUTQ": termios.TIOCOUTQ}

_INFO: Final = 104  # number of octets of `tcp_info` that every kernel has


class Worker(Protocol):
    """Interface of a thread that makes calls."""

    def submit(self, work: Callable[[], int]) -> Future[int]:
        """Let the thread call ``work``."""

    def wait_for(self, future: Future[int], patience: int) -> bool:
        """Wait for a call, at most ``patience`` microseconds, and take packets meanwhile.

        Returns whether the call has ended.
        """
        ...


class KernelSockets(SystemCalls[socket.socket]):
    """The system calls of a script, on sockets of the kernel."""

    def __init__(self, worker: Worker, local: Endpoint, remote: Endpoint, nonblocking: int) -> None:
        """Make the calls in the thread of ``worker``."""
        super().__init__(local, remote, nonblocking)
        self._worker = worker
        self._under_way: dict[Attempt, Future[int]] = {}
        self._family = socket.AF_INET if len(local.address) == 4 else socket.AF_INET6

    def call(self, attempt: Attempt) -> int:
        """Make a call, or see whether the call under way has ended. Raises Waits if it hasn't."""
        future = self._under_way.get(attempt)
        if future is None:
            future = self._under_way[attempt] = self._worker.submit(
                lambda: super(KernelSockets, self).call(attempt)
            )
            self._worker.wait_for(future, _START if attempt.may_block else PATIENCE)
        if not future.done():
            raise Waits
        del self._under_way[attempt]
        return future.result()

    def information(self) -> dict[str, object]:
        """Fields of `tcp_info` of the newest connection, else of the newest socket."""
        latest: dict[str, object] = {}
        for found in filter(_is_stream, self.descriptors.values()):
            told = fields(found.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _INFO))
            if not latest or state_of(told["state"]) not in (State.CLOSED, State.LISTEN):
                latest = {f"tcpi_{name}": value for name, value in told.items()}
        return latest or {"tcpi_state": number_of(State.CLOSED)}

    def closed(self) -> int:
        """Number of sockets without a connection."""
        return sum(not _is_opened(found) for found in self.descriptors.values() if _is_stream(found))

    def abandon(self) -> None:
        """End each call that still waits."""
        for found in self.descriptors.values():
            try:
                found.shutdown(socket.SHUT_RDWR)
            except OSError:  # the socket isn't connected, so no call waits
                continue

    def close(self) -> None:
        """Close all sockets and descriptors of epoll."""
        for found in self.descriptors.values():
            found.close()
        for poller in self.pollers.values():
            poller.close()

    # Calls

    def _socket(self, attempt: Attempt) -> int:
        kind = self.number(attempt, 1, SOCK_STREAM)
        if kind & 0xF not in (SOCK_STREAM, SOCK_DGRAM):
            raise ScriptError(0, first_text(argument(attempt, 1)), "only streams and datagrams are supported")
        found = socket.socket(self._family, kind & 0xF)
        if kind & CONSTANTS["SOCK_NONBLOCK"]:
            _set_nonblocking(found)
        return self.add(attempt, found)

    def _bind(self, attempt: Attempt) -> int:
        found = self.descriptor(attempt)
        found.bind(_address(self.endpoint(attempt, 1, self.local)))
        if not _is_stream(found):
            self.on_open(self._own(found), self.remote)
        return 0

    def _listen(self, attempt: Attempt) -> int:
        found = self.descriptor(attempt)
        found.listen(max(0, self.number(attempt, 1, 1)))
        self.on_open(self._own(found), self.remote)
        return 0

    def _accept(self, attempt: Attempt) -> int:
        accepted, _ = self.descriptor(attempt).accept()
        if attempt.call.name == "accept4" and self.number(attempt, 3) & CONSTANTS["SOCK_NONBLOCK"]:
            _set_nonblocking(accepted)
        return self.add(attempt, accepted)

    def _connect(self, attempt: Attempt) -> int:
        found = self.descriptor(attempt)
        remote = self.endpoint(attempt, 1, self.remote)
        self._begin(found, remote)
        found.connect(_address(remote))
        return 0

    def _begin(self, found: socket.socket, remote: Endpoint) -> None:
        self._give_port(found)
        if not _is_stream(found) or not _is_opened(found):
            self.on_open(self._own(found), remote)

    def _give_port(self, found: socket.socket) -> None:
        """Bind a socket to a free port before its first packet leaves, so that the port is known."""
        if not self._own(found).port:
            found.bind(_address(Endpoint(self.local.address, 0)))

    def _send(self, attempt: Attempt) -> int:
        found = self.descriptor(attempt)
        flags = self.number(attempt, 3)
        data = bytes(self.number(attempt, 2))
        if flags & CONSTANTS["MSG_FASTOPEN"] or (
            attempt.call.name == "sendto" and not _is_stream(found) and not _has_peer(found)
        ):
            remote = self.endpoint(attempt, 4, self.remote)
            self._begin(found, remote)
            return found.sendto(data, flags | socket.MSG_NOSIGNAL, _address(remote))
        return found.send(data, flags | socket.MSG_NOSIGNAL)

    def _receive(self, attempt: Attempt) -> int:
        found = self.descriptor(attempt)
        return len(found.recv(self.number(attempt, 2), self.number(attempt, 3)))

    def _shutdown(self, attempt: Attempt) -> int:
        self.descriptor(attempt).shutdown(self.number(attempt, 1))
        return 0

    def _close(self, attempt: Attempt) -> int:
        found = self.descriptor(attempt)
        del self.descriptors[self.number(attempt, 0)]
        found.close()
        return 0

    def _fcntl(self, attempt: Attempt) -> int:
        """Read or set flags. O_NONBLOCK has its value on the system for which the script was written."""
        found = self.descriptor(attempt)
        told = self.names["O_NONBLOCK"]
        if self.number(attempt, 1) == CONSTANTS["F_GETFL"]:
            flags = fcntl.fcntl(found, fcntl.F_GETFL)
            return flags & ~_NONBLOCKING | (told if flags & _NONBLOCKING else 0)
        flags = self.number(attempt, 2)
        return fcntl.fcntl(found, fcntl.F_SETFL, flags & ~told | (_NONBLOCKING if flags & told else 0))

    def _setsockopt(self, attempt: Attempt) -> int:
        name = self.selector(attempt, 2)
        given = value(argument(attempt, 3), self.names)
        first = given[0] if isinstance(given, list) and given else given
        if name == "SO_LINGER":
            first = linger_octets(first)
        if not isinstance(first, int | bytes):
            raise ScriptError(0, name, "expected a number for this option")
        self.descriptor(attempt).setsockopt(self._level(attempt), _option(name), first)
        return 0

    def option(self, attempt: Attempt, name: str) -> object:
        """Value that getsockopt returns."""
        found = self.descriptor(attempt)
        if name == "SO_LINGER":
            return linger_fields(found.getsockopt(self._level(attempt), _option(name), LINGER.size))
        return found.getsockopt(self._level(attempt), _option(name))

    def queued(self, attempt: Attempt, request: str) -> int:
        """Number of octets to be read, or of octets sent and not acknowledged."""
        answer = fcntl.ioctl(self.descriptor(attempt), _REQUESTS[request], bytes(4))
        return int.from_bytes(answer, "little")

    def poller(self) -> Poller:
        """New descriptor of epoll."""
        return KernelPoller(self.descriptors)

    def occurrences(self, attempt: Attempt, poller: Poller, most: int, timeout: int) -> list[tuple[int, int]]:
        """Descriptors with their events, as epoll_wait returns them."""
        return poller.ready(most, timeout)

    def readiness(self, attempt: Attempt, entries: list[dict[str, object]], timeout: int) -> list[int]:
        """Events of each entry of poll."""
        poll = select.poll()
        numbers = [self._registered(poll, entry) for entry in entries]
        is_invalid = any(found < 0 for found in numbers)
        ready = dict(poll.poll(0 if is_invalid else timeout))
        return [CONSTANTS["POLLNVAL"] if found < 0 else ready.get(found, 0) for found in numbers]

    # Any, because the type of select.poll() has no public name
    def _registered(self, poll: Any, entry: dict[str, object]) -> int:  # noqa: ANN401 - see above
        found = self.descriptors.get(number(entry.get("fd", -1), self.names))
        if found is None:
            return -1
        poll.register(found, number(entry.get("events", 0), self.names))
        return found.fileno()

    def _level(self, attempt: Attempt) -> int:
        level = self.number(attempt, 1)
        return socket.SOL_SOCKET if level == CONSTANTS["SOL_SOCKET"] else level

    def _own(self, found: socket.socket) -> Endpoint:
        return self.local._replace(port=found.getsockname()[1])


class KernelPoller(Poller):
    """Poller for sockets of the kernel."""

    def __init__(self, descriptors: dict[int, socket.socket]) -> None:
        """Watch sockets among these descriptors."""
        super().__init__()
        self._descriptors = descriptors
        self._epoll = select.epoll()
        self._numbers: dict[int, int] = {}  # number in the script by number in the kernel

    def watch(self, number: int, events: int) -> None:
        """Watch a descriptor for ``events``."""
        found = self._descriptors[number].fileno()
        (self._epoll.modify if found in self._numbers else self._epoll.register)(found, events)
        self._numbers[found] = number

    def ignore(self, number: int) -> None:
        """Stop watching a descriptor."""
        found = self._descriptors[number].fileno()
        self._epoll.unregister(found)
        del self._numbers[found]

    def ready(self, most: int, timeout: int) -> list[tuple[int, int]]:
        """Descriptors with their events. ``timeout`` is in milliseconds; a negative one means no limit."""
        return [
            (self._numbers[found], events)
            for found, events in self._epoll.poll(timeout / 1000 if timeout >= 0 else None, most)
        ]

    def close(self) -> None:
        """Close the descriptor of epoll."""
        self._epoll.close()


def _is_opened(found: socket.socket) -> bool:
    return found.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] != number_of(State.CLOSED)


def _is_stream(found: socket.socket) -> bool:
    return found.type == socket.SOCK_STREAM


def _has_peer(found: socket.socket) -> bool:
    try:
        found.getpeername()
    except OSError:
        return False
    return True


def _set_nonblocking(found: socket.socket) -> None:
    """Set O_NONBLOCK by a system call: if Python knew of it, it would change the errors of the socket."""
    fcntl.fcntl(found, fcntl.F_SETFL, fcntl.fcntl(found, fcntl.F_GETFL) | _NONBLOCKING)


def _address(end: Endpoint) -> tuple[str, int]:
    return to_text(end.address), end.port


def _option(name: str) -> int:
    found = system_number(name)
    if found < 0:
        raise ScriptError(0, name, "this option isn't known")
    return found
