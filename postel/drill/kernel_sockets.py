"""A script's system calls on the kernel's sockets, made by one thread inside the namespace, which may wait
where the script says so.
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

PATIENCE: Final = 500 * MILLISECOND  # with a call that isn't to block
_START: Final = 2 * MILLISECOND  # until one that may has begun
_NONBLOCKING: Final = os.O_NONBLOCK
_REQUESTS: Final = {"SIOCINQ": termios.FIONREAD, "FIONREAD": termios.FIONREAD, "SIOCOUTQ": termios.TIOCOUTQ}

_INFO: Final = 104  # octets of `tcp_info`, which every kernel has


class Worker(Protocol):
    def submit(self, work: Callable[[], int]) -> Future[int]: ...

    def wait_for(self, future: Future[int], patience: int) -> bool:
        """Whether it was done within so many microseconds; meanwhile packets are noted as they come."""
        ...


class KernelSockets(SystemCalls[socket.socket]):
    def __init__(self, worker: Worker, local: Endpoint, remote: Endpoint, nonblocking: int) -> None:
        super().__init__(local, remote, nonblocking)
        self._worker = worker
        self._under_way: dict[Attempt, Future[int]] = {}
        self._family = socket.AF_INET if len(local.address) == 4 else socket.AF_INET6

    def call(self, attempt: Attempt) -> int:
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
        """`tcp_info` of the newest connection, else of the newest socket."""
        latest: dict[str, object] = {}
        for found in filter(_is_stream, self.descriptors.values()):
            told = fields(found.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _INFO))
            if not latest or state_of(told["state"]) not in (State.CLOSED, State.LISTEN):
                latest = {f"tcpi_{name}": value for name, value in told.items()}
        return latest or {"tcpi_state": number_of(State.CLOSED)}

    def closed(self) -> int:
        """How many sockets have no connection."""
        return sum(not _is_opened(found) for found in self.descriptors.values() if _is_stream(found))

    def abandon(self) -> None:
        """End whatever waits."""
        for found in self.descriptors.values():
            try:
                found.shutdown(socket.SHUT_RDWR)
            except OSError:  # not connected: no call waits
                continue

    def close(self) -> None:
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
        """So that it is known before a packet leaves."""
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
        """O_NONBLOCK bears the number that it has for the script's author."""
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
        found = self.descriptor(attempt)
        if name == "SO_LINGER":
            return linger_fields(found.getsockopt(self._level(attempt), _option(name), LINGER.size))
        return found.getsockopt(self._level(attempt), _option(name))

    def queued(self, attempt: Attempt, request: str) -> int:
        answer = fcntl.ioctl(self.descriptor(attempt), _REQUESTS[request], bytes(4))
        return int.from_bytes(answer, "little")

    def poller(self) -> Poller:
        return KernelPoller(self.descriptors)

    def occurrences(self, attempt: Attempt, poller: Poller, most: int, timeout: int) -> list[tuple[int, int]]:
        return poller.ready(most, timeout)

    def readiness(self, attempt: Attempt, entries: list[dict[str, object]], timeout: int) -> list[int]:
        poll = select.poll()
        numbers = [self._registered(poll, entry) for entry in entries]
        is_invalid = any(found < 0 for found in numbers)
        ready = dict(poll.poll(0 if is_invalid else timeout))
        return [CONSTANTS["POLLNVAL"] if found < 0 else ready.get(found, 0) for found in numbers]

    # Select's type has no public name
    def _registered(self, poll: Any, entry: dict[str, object]) -> int:  # noqa: ANN401
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
    def __init__(self, descriptors: dict[int, socket.socket]) -> None:
        super().__init__()
        self._descriptors = descriptors
        self._epoll = select.epoll()
        self._numbers: dict[int, int] = {}  # the script's, by the kernel's

    def watch(self, number: int, events: int) -> None:
        found = self._descriptors[number].fileno()
        (self._epoll.modify if found in self._numbers else self._epoll.register)(found, events)
        self._numbers[found] = number

    def ignore(self, number: int) -> None:
        found = self._descriptors[number].fileno()
        self._epoll.unregister(found)
        del self._numbers[found]

    def ready(self, most: int, timeout: int) -> list[tuple[int, int]]:
        return [
            (self._numbers[found], events)
            for found, events in self._epoll.poll(timeout / 1000 if timeout >= 0 else None, most)
        ]

    def close(self) -> None:
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
    """Behind the back of Python, which would turn errors of such sockets into its own."""
    fcntl.fcntl(found, fcntl.F_SETFL, fcntl.fcntl(found, fcntl.F_GETFL) | _NONBLOCKING)


def _address(end: Endpoint) -> tuple[str, int]:
    return to_text(end.address), end.port


def _option(name: str) -> int:
    found = system_number(name)
    if found < 0:
        raise ScriptError(0, name, "this option isn't known")
    return found
