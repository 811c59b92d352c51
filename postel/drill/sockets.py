"""A script's file descriptors, and its system calls as calls of the host.

A call returns its result, raises OSError with the errno, or raises `Waits`: a real one would block, so it is tried again whenever
something happened.
"""

import errno
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from postel.drill import descriptor
from postel.drill.constants import number, value
from postel.drill.descriptor import Descriptor, Waits
from postel.drill.failure import Failure, ScriptError
from postel.drill.network import Network
from postel.drill.script import Call
from postel.tcp.config import Config
from postel.tcp.state import CLOSED, SYN_RECEIVED, SYN_SENT
from postel.wire.address import Endpoint

_PEEK: Final = 2
_DONTWAIT: Final = 0x40
_POLL_INVALID: Final = 32
_STREAM: Final = 1
_OPENING: Final = (SYN_SENT, SYN_RECEIVED)


class Attempt:
    """One call of the script, on its way: ``progress`` is what it did already, where it waits for the rest."""

    def __init__(self, call: Call) -> None:
        self.call = call
        self.progress = 0
        self.is_repeated = False


class Sockets:
    """``local`` and ``remote`` are what ``...`` stands for. ``settings`` are those of the system, which new sockets inherit."""

    def __init__(self, network: Network, settings: Config, local: Endpoint, remote: Endpoint, nonblocking: int) -> None:
        self.settings = settings
        self.on_open: Callable[[Endpoint, Endpoint], None] = _ignore
        self._network = network
        self._local = local
        self._remote = remote
        self._descriptors: dict[int, Descriptor] = {}
        self._names = {"O_NONBLOCK": nonblocking}
        self._calls: Final[dict[str, Callable[[Attempt], int]]] = {
            "socket": self._socket, "bind": self._bind, "listen": self._listen, "accept": self._accept, "accept4": self._accept,
            "connect": self._connect, "send": self._send, "write": self._send, "sendto": self._send, "recv": self._receive,
            "read": self._receive, "recvfrom": self._receive, "shutdown": self._shutdown, "close": self._close, "fcntl": self._fcntl,
            "setsockopt": self._setsockopt, "getsockopt": self._getsockopt, "ioctl": self._ioctl, "poll": self._poll,
        }  # fmt: skip

    def call(self, attempt: Attempt) -> int:
        """Raises OSError, Waits, ScriptError, or Failure where something that is written through a pointer differs."""
        name = attempt.call.name
        if name not in self._calls:
            raise ScriptError(0, name, "this system call isn't known")
        return self._calls[name](attempt)

    def latest(self) -> Descriptor | None:
        """What code blocks ask about: the newest connection, else the newest socket."""
        connected = [found for found in self._descriptors.values() if found.connection is not None]
        every = connected or list(self._descriptors.values())
        return every[-1] if every else None

    # Arguments

    def _number(self, attempt: Attempt, index: int, default: int = 0) -> int:
        arguments = attempt.call.arguments
        if index >= len(arguments) or arguments[index] is ...:
            return default
        return number(arguments[index], self._names)

    def _selector(self, attempt: Attempt, index: int) -> str:
        found = value(_argument(attempt, index), self._names)
        if not isinstance(found, str):
            raise ScriptError(0, str(found), "expected the name of an option")
        return found

    def _descriptor(self, attempt: Attempt) -> Descriptor:
        found = self._descriptors.get(self._number(attempt, 0, -1))
        if found is None:
            raise OSError(errno.EBADF, "bad file descriptor")
        return found

    def _endpoint(self, attempt: Attempt, index: int, default: Endpoint) -> Endpoint:
        """An address structure; ``...`` is the script's own."""
        arguments = attempt.call.arguments
        structure = value(arguments[index], self._names) if index < len(arguments) else ...
        if not isinstance(structure, dict):
            return default
        port = structure.get("sin_port", structure.get("sin6_port", default.port))
        return Endpoint(default.address, port if isinstance(port, int) else default.port)

    def _add(self, attempt: Attempt, found: Descriptor) -> int:
        """Any descriptor is as good as another: the script's own number is taken."""
        wanted = attempt.call.result
        result = wanted if isinstance(wanted, int) and wanted >= 0 else max([2, *self._descriptors]) + 1
        self._descriptors.pop(result, None)
        self._descriptors[result] = found
        return result

    # Calls

    def _socket(self, attempt: Attempt) -> int:
        kind = self._number(attempt, 1, _STREAM)
        if kind & 0xF != _STREAM:
            raise ScriptError(0, _first_text(_argument(attempt, 1)), "only streams are supported")
        found = Descriptor(self.settings)
        found.is_nonblocking = kind != _STREAM
        return self._add(attempt, found)

    def _bind(self, attempt: Attempt) -> int:
        found = self._descriptor(attempt)
        if found.port:
            raise OSError(errno.EINVAL, "bound already")
        found.port = self._endpoint(attempt, 1, self._local).port
        host, config = self._network.host, found.config  # a RST from a port that is bound, but not heard, bears the socket's marks
        host.config = replace(host.config, hop_limit=config.hop_limit, traffic_class=config.traffic_class)
        return 0

    def _listen(self, attempt: Attempt) -> int:
        found = self._descriptor(attempt)
        if found.listener is None:
            backlog = max(1, self._number(attempt, 1, 1))
            found.listener = self._network.host.listen(found.port, self._network.now, backlog=backlog, config=found.config)
            self.on_open(Endpoint(self._local.address, found.listener.local.port), self._remote)
        return 0

    def _accept(self, attempt: Attempt) -> int:
        found = self._descriptor(attempt)
        if found.listener is None:
            raise OSError(errno.EINVAL, "nobody listens here")
        connection = found.listener.accept()
        if connection is None:
            raise found.would_block()
        return self._add(attempt, Descriptor(self.settings, connection))

    def _connect(self, attempt: Attempt) -> int:
        found = self._descriptor(attempt)
        if found.connection is None:
            remote = self._endpoint(attempt, 1, self._remote)
            found.connection = self._network.host.connect(
                remote.address,
                remote.port,
                self._network.now,
                local_address=self._local.address,
                local_port=found.port,
                config=found.config,
            )
            self.on_open(found.connection.local, found.connection.remote)
            if found.is_nonblocking:
                raise OSError(errno.EINPROGRESS, "in progress")
            raise Waits
        found.raise_error()
        if found.connection.state in _OPENING:
            raise Waits if attempt.is_repeated else OSError(errno.EALREADY, "already in progress")
        if attempt.is_repeated:
            return 0
        raise OSError(errno.EISCONN, "connected already")

    def _send(self, attempt: Attempt) -> int:
        found = self._descriptor(attempt)
        count = self._number(attempt, 2)
        flags = self._number(attempt, 3)
        connection = found.connected()
        found.raise_error()
        if connection.state in _OPENING:
            raise found.would_block(flags & _DONTWAIT)
        attempt.progress += connection.send(bytes(count - attempt.progress), self._network.now)
        if attempt.progress == count or (attempt.progress and found.is_nonblocking):
            return attempt.progress
        raise found.would_block(flags & _DONTWAIT)

    def _receive(self, attempt: Attempt) -> int:
        found = self._descriptor(attempt)
        limit = self._number(attempt, 2)
        flags = self._number(attempt, 3)
        connection = found.connected()
        count = min(limit, connection.readable)
        if count and flags & _PEEK:
            return count
        if count:
            return len(connection.receive(count, self._network.now))
        found.raise_error()
        if found.reads_no_more or connection.at_end or connection.state is CLOSED:
            return 0
        raise found.would_block(flags & _DONTWAIT)

    def _shutdown(self, attempt: Attempt) -> int:
        found = self._descriptor(attempt)
        how = self._number(attempt, 1)
        connection = found.connected()
        if connection.state is CLOSED:
            raise OSError(errno.ENOTCONN, "not connected")
        if how != 0:
            connection.close(self._network.now)
        found.reads_no_more = found.reads_no_more or how != 1
        return 0

    def _close(self, attempt: Attempt) -> int:
        found = self._descriptor(attempt)
        del self._descriptors[self._number(attempt, 0)]
        found.close(self._network.now)
        return 0

    def _fcntl(self, attempt: Attempt) -> int:
        found = self._descriptor(attempt)
        if self._number(attempt, 1) == number(_argument(attempt, 1), {"F_GETFL": 3}) == 3:
            return 2 | (self._names["O_NONBLOCK"] if found.is_nonblocking else 0)
        found.is_nonblocking = self._number(attempt, 2) & self._names["O_NONBLOCK"] != 0
        return 0

    def _setsockopt(self, attempt: Attempt) -> int:
        found = self._descriptor(attempt)
        given = value(_argument(attempt, 3), self._names)
        descriptor.set_option(found, self._selector(attempt, 2), given, self._network.now)
        return 0

    def _getsockopt(self, attempt: Attempt) -> int:
        found = self._descriptor(attempt)
        option = self._selector(attempt, 2)
        actual = descriptor.option(found, option)
        expected = value(_argument(attempt, 3), self._names)
        if expected not in (..., [...]) and expected not in (actual, [actual]):
            told = _error_name(actual) if option == "SO_ERROR" else actual
            raise Failure(0, option, _first_text(_argument(attempt, 3)), told, _first_text(_argument(attempt, 3)))
        return 0

    def _ioctl(self, attempt: Attempt) -> int:
        found = self._descriptor(attempt)
        request = self._selector(attempt, 1)
        connection = found.connected()
        if request not in ("SIOCINQ", "FIONREAD", "SIOCOUTQ"):
            raise ScriptError(0, request, "this request isn't known")
        actual = connection.unacknowledged if request == "SIOCOUTQ" else connection.readable
        expected = value(_argument(attempt, 2), self._names)
        if expected not in (..., [...], actual, [actual]):
            raise Failure(0, request, _first_text(_argument(attempt, 2)), actual, _first_text(_argument(attempt, 2)))
        return 0

    def _poll(self, attempt: Attempt) -> int:
        """Every entry that is ready is counted; what each returned is compared."""
        entries = value(_argument(attempt, 0), self._names)
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise ScriptError(0, "poll", "expected a list of structures")
        returned = [self._readiness(entry) for entry in entries]
        ready = sum(actual != 0 for actual in returned)
        if not ready and self._number(attempt, 2):
            raise Waits
        for entry, actual in zip(entries, returned, strict=True):
            if entry.get("revents", actual) not in (..., actual):
                raise Failure(0, "revents", entry["revents"], actual, "revents")
        return ready

    def _readiness(self, entry: dict[str, object]) -> int:
        found = self._descriptors.get(number(entry.get("fd", -1), self._names))
        return _POLL_INVALID if found is None else found.readiness(number(entry.get("events", 0), self._names))


def _argument(attempt: Attempt, index: int) -> object:
    arguments = attempt.call.arguments
    if index >= len(arguments):
        raise ScriptError(0, attempt.call.name, f"argument {index + 1} is missing")
    return arguments[index]


def _first_text(expression: object) -> str:
    """As the script has it."""
    if isinstance(expression, list) and expression:
        expression = expression[0]
    return str(getattr(expression, "text", expression))


def _error_name(actual: object) -> object:
    return errno.errorcode.get(actual, actual) if isinstance(actual, int) and actual else actual


def _ignore(local: Endpoint, remote: Endpoint) -> None:
    pass
