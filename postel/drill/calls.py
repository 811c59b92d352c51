"""System calls of scripts: their arguments, and the comparison of their results.

`SystemCalls` has the parts that are the same for Postel's sockets (`postel.drill.sockets`) and for the
kernel's (`postel.drill.kernel_sockets`). Subclasses make the calls.
"""

import errno
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Final, Generic, TypeVar

from postel.drill import constants, epoll
from postel.drill.constants import value
from postel.drill.epoll import Poller
from postel.drill.script import Call
from postel.drill.vectors import plain
from postel.errors import ScriptError, ScriptFailed
from postel.sockets.options import LINGER
from postel.times import NEVER
from postel.wire.address import Endpoint

D = TypeVar("D")  # type of the object behind a file descriptor


class Waits(Exception):
    """Exception of a call that would block. The runner tries it again when something has happened."""


class Attempt:
    """One system call of the script that is being made, perhaps in several tries.

    It has these attributes:
        may_block: whether the script gives a time at which the call returns.
        progress: how many octets earlier tries have sent.
        until: time at which the call's own timeout ends, in microseconds; NEVER until that is known.
        is_repeated: whether an earlier try would have blocked.
    """

    def __init__(self, call: Call, *, may_block: bool = False) -> None:
        """Begin a call before its first try."""
        self.call = call
        self.may_block = may_block
        self.progress = 0
        self.until = NEVER
        self.is_repeated = False


class SystemCalls(ABC, Generic[D]):
    """The system calls of a script, by name, and its file descriptors.

    Where an address is expected, ``...`` in a script stands for ``local`` or ``remote``. ``nonblocking`` is
    the value of O_NONBLOCK on the system for which the script was written.
    """

    def __init__(self, local: Endpoint, remote: Endpoint, nonblocking: int) -> None:
        """Begin without file descriptors."""
        self.on_open: Callable[[Endpoint, Endpoint], None] = _ignore
        self.local = local
        self.remote = remote
        self.descriptors: dict[int, D] = {}
        self.pollers: dict[int, Poller] = {}
        self.names: dict[str, int] = {"O_NONBLOCK": nonblocking}
        self._calls: Final[dict[str, Callable[[Attempt], int]]] = {
            "socket": self._socket, "bind": self._bind, "listen": self._listen, "accept": self._accept,
            "accept4": self._accept,
            "connect": self._connect, "send": self._send, "write": self._send, "sendto": self._send,
            "recv": self._receive,
            "read": self._receive, "recvfrom": self._receive, "shutdown": self._shutdown,
            "close": self._close_any, "fcntl": self._fcntl,
            "setsockopt": self._setsockopt, "getsockopt": self._getsockopt, "ioctl": self._ioctl,
            "poll": self._poll,
            "epoll_create": self._epoll_create, "epoll_create1": self._epoll_create,
            "epoll_ctl": self._epoll_ctl,
            "epoll_wait": self._epoll_wait,
        }  # fmt: skip

    def call(self, attempt: Attempt) -> int:
        """Make the call, and return its result.

        Raises OSError; Waits if the call would block; ScriptError if the call can't be understood;
        ScriptFailed if a value that the call writes through a pointer differs from that in the script.
        """
        attempt.call = plain(attempt.call, self.names)
        return self._perform(attempt)

    def _perform(self, attempt: Attempt) -> int:
        name = attempt.call.name
        if name not in self._calls:
            raise ScriptError(0, name, "this system call isn't known")
        return self._calls[name](attempt)

    # Calls of the subclasses

    @abstractmethod
    def _socket(self, attempt: Attempt) -> int: ...

    @abstractmethod
    def _bind(self, attempt: Attempt) -> int: ...

    @abstractmethod
    def _listen(self, attempt: Attempt) -> int: ...

    @abstractmethod
    def _accept(self, attempt: Attempt) -> int: ...

    @abstractmethod
    def _connect(self, attempt: Attempt) -> int: ...

    @abstractmethod
    def _send(self, attempt: Attempt) -> int: ...

    @abstractmethod
    def _receive(self, attempt: Attempt) -> int: ...

    @abstractmethod
    def _shutdown(self, attempt: Attempt) -> int: ...

    @abstractmethod
    def _close(self, attempt: Attempt) -> int: ...

    @abstractmethod
    def _fcntl(self, attempt: Attempt) -> int: ...

    @abstractmethod
    def _setsockopt(self, attempt: Attempt) -> int: ...

    @abstractmethod
    def option(self, attempt: Attempt, name: str) -> object:
        """Value that getsockopt returns."""

    @abstractmethod
    def queued(self, attempt: Attempt, request: str) -> int:
        """Number of octets to be read (SIOCINQ, FIONREAD), or sent and not acknowledged (SIOCOUTQ)."""

    @abstractmethod
    def readiness(self, attempt: Attempt, entries: list[dict[str, object]], timeout: int) -> list[int]:
        """Events of each entry of poll. Raises Waits if there are none yet.

        ``timeout`` is in milliseconds; a negative one means to wait without limit.
        """

    @abstractmethod
    def poller(self) -> Poller:
        """New descriptor of epoll."""

    @abstractmethod
    def occurrences(self, attempt: Attempt, poller: Poller, most: int, timeout: int) -> list[tuple[int, int]]:
        """File descriptors with their events, as epoll_wait returns them. Raises Waits if there are none."""

    # Arguments

    def number(self, attempt: Attempt, index: int, default: int = 0) -> int:
        """Argument at ``index`` as a number; ``default`` if the argument is missing or is ``...``."""
        arguments = attempt.call.arguments
        if index >= len(arguments) or arguments[index] is ...:
            return default
        return constants.number(arguments[index], self.names)

    def selector(self, attempt: Attempt, index: int) -> str:
        """Argument at ``index`` as the name of a socket option or of an ioctl request."""
        found = value(argument(attempt, index), self.names)
        if not isinstance(found, str):
            raise ScriptError(0, str(found), "expected the name of an option")
        return found

    def descriptor(self, attempt: Attempt) -> D:
        """Object behind the file descriptor in the first argument. Raises OSError EBADF."""
        found = self.descriptors.get(self.number(attempt, 0, -1))
        if found is None:
            raise OSError(errno.EBADF, "bad file descriptor")
        return found

    def endpoint(self, attempt: Attempt, index: int, default: Endpoint) -> Endpoint:
        """Endpoint in the address structure at ``index``; ``default`` for ``...``."""
        arguments = attempt.call.arguments
        structure = value(arguments[index], self.names) if index < len(arguments) else ...
        if not isinstance(structure, dict):
            return default
        port = structure.get("sin_port", structure.get("sin6_port", default.port))
        return Endpoint(default.address, port if isinstance(port, int) else default.port)

    def add(self, attempt: Attempt, found: D) -> int:
        """Add a file descriptor. Its number is the call's result in the script, or else a free one."""
        result = self._number_for(attempt)
        self.descriptors.pop(result, None)
        self.descriptors[result] = found
        return result

    def _number_for(self, attempt: Attempt) -> int:
        wanted = attempt.call.result
        return (
            wanted
            if isinstance(wanted, int) and wanted >= 0
            else max([2, *self.descriptors, *self.pollers]) + 1
        )

    def _close_any(self, attempt: Attempt) -> int:
        poller = self.pollers.pop(self.number(attempt, 0, -1), None)
        if poller is None:
            return self._close(attempt)
        poller.close()
        return 0

    # Comparisons with the script

    def _getsockopt(self, attempt: Attempt) -> int:
        option = self.selector(attempt, 2)
        actual = self.option(attempt, option)
        expected = value(argument(attempt, 3), self.names)
        if expected not in (..., [...]) and expected not in (actual, [actual]):
            told = _error_name(actual) if option == "SO_ERROR" else actual
            raise ScriptFailed(
                0, option, first_text(argument(attempt, 3)), told, first_text(argument(attempt, 3))
            )
        return 0

    def _ioctl(self, attempt: Attempt) -> int:
        request = self.selector(attempt, 1)
        if request not in ("SIOCINQ", "FIONREAD", "SIOCOUTQ"):
            raise ScriptError(0, request, "this request isn't known")
        actual = self.queued(attempt, request)
        expected = value(argument(attempt, 2), self.names)
        if expected not in (..., [...], actual, [actual]):
            raise ScriptFailed(
                0, request, first_text(argument(attempt, 2)), actual, first_text(argument(attempt, 2))
            )
        return 0

    def _poll(self, attempt: Attempt) -> int:
        """poll: compare the events of each entry, and return how many entries have any."""
        entries = value(argument(attempt, 0), self.names)
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise ScriptError(0, "poll", "expected a list of structures")
        returned = self.readiness(attempt, entries, self.number(attempt, 2))
        ready = sum(actual != 0 for actual in returned)
        for entry, actual in zip(entries, returned, strict=True):
            if entry.get("revents", actual) not in (..., actual):
                raise ScriptFailed(0, "revents", entry["revents"], actual, "revents")
        return ready

    # epoll

    def _epoll_create(self, attempt: Attempt) -> int:
        if attempt.call.name == "epoll_create" and self.number(attempt, 0) < 1:
            raise OSError(errno.EINVAL, "room for no event")
        number = self._number_for(attempt)
        self.pollers[number] = self.poller()
        return number

    def _poller(self, attempt: Attempt) -> Poller:
        found = self.pollers.get(self.number(attempt, 0, -1))
        if found is None:
            raise OSError(errno.EBADF, "no descriptor of epoll")
        return found

    def _epoll_ctl(self, attempt: Attempt) -> int:
        poller = self._poller(attempt)
        watched = self.number(attempt, 2, -1)
        if watched not in self.descriptors:
            raise OSError(errno.EBADF, "bad file descriptor")
        event = value(attempt.call.arguments[3], self.names) if len(attempt.call.arguments) > 3 else ...
        poller.control(self.number(attempt, 1), watched, event if isinstance(event, dict) else {})
        return 0

    def _epoll_wait(self, attempt: Attempt) -> int:
        poller = self._poller(attempt)
        most = self.number(attempt, 2)
        if most < 1:
            raise OSError(errno.EINVAL, "room for no event")
        found = self.occurrences(attempt, poller, most, self.number(attempt, 3))
        epoll.compare(
            value(argument(attempt, 1), self.names), [poller.told(number, events) for number, events in found]
        )
        return len(found)


def argument(attempt: Attempt, index: int) -> object:
    """Argument of a call at ``index``. Raises ScriptError where it is missing."""
    arguments = attempt.call.arguments
    if index >= len(arguments):
        raise ScriptError(0, attempt.call.name, f"argument {index + 1} is missing")
    return arguments[index]


def first_text(expression: object) -> str:
    """Text of an expression in the script; for a list, the text of its first item."""
    if isinstance(expression, list) and expression:
        expression = expression[0]
    return str(getattr(expression, "text", expression))


def linger_octets(fields: object) -> bytes:
    """Structure of SO_LINGER as octets, from the script's ``{onoff=…, linger=…}``."""
    if isinstance(fields, dict):
        return LINGER.pack(
            fields.get("onoff", fields.get("l_onoff", 0)), fields.get("linger", fields.get("l_linger", 0))
        )
    if isinstance(fields, tuple) and len(fields) == 2:
        return LINGER.pack(*fields)
    raise ScriptError(0, "SO_LINGER", "expected {onoff=…, linger=…} for this option")


def linger_fields(octets: bytes) -> dict[str, int]:
    """Structure of SO_LINGER in the form in which a script has it."""
    on, time = LINGER.unpack(octets)
    return {"onoff": on, "linger": time}


def _error_name(actual: object) -> object:
    return errno.errorcode.get(actual, actual) if isinstance(actual, int) and actual else actual


def _ignore(local: Endpoint, remote: Endpoint) -> None:
    pass
