"""Every exception that Postel raises.

::

    PostelError
    ├── WireError (ValueError)               octets that are not what they should be; ``reason`` names the
    counter ├── ArgumentError (ValueError)           a caller's argument: which, its value, what is allowed
    │   └── KindError (TypeError)            of the wrong type
    ├── CallError (RuntimeError)             a call that can't be made here and now
    ├── NothingLeft (RuntimeError)           a simulation in which every task waits for ever
    ├── BusyLoop (RuntimeError)              a simulation in which a task runs and runs, and no time passes
    ├── TimeLimitReached (RuntimeError)      a simulation that hasn't ended at its limit of virtual or of real
    time ├── NotResolved (OSError)                a name without an address; from `postel.aio` a
    ``socket.gaierror`` ├── ScriptError                          a packetdrill script that can't be understood
    ├── ScriptFailed                         the stack did something else than the script says
    ├── IllegalTransition (RuntimeError)     a defect of Postel's: a connection was about to leave the RFC's
    state diagram ├── LinkError (OSError)                  a link that can't be opened or can't carry a packet
    │   ├── LinkDown                         a device that is switched off
    │   └── LinkClosed                       a link that has ended
    └── TcpError (OSError)                   what RFC 9293, 3.10 answers to a user call, with the kernel's
    errno
        ├── ConnectionDoesNotExist           ENOTCONN
        ├── ConnectionAlreadyExists          EISCONN
        ├── ConnectionClosing                EPIPE         (BrokenPipeError)
        ├── ConnectionReset                  ECONNRESET    (ConnectionResetError)
        ├── ConnectionRefused                ECONNREFUSED  (ConnectionRefusedError)
        ├── ConnectionAborted                ECONNABORTED  (ConnectionAbortedError)
        ├── ConnectionTimedOut               ETIMEDOUT     (TimeoutError)
        ├── HostUnreachable                  EHOSTUNREACH
        ├── NetworkUnreachable               ENETUNREACH
        │   └── AddressFamilyMismatch        EAFNOSUPPORT  (ArgumentError)
        ├── InsufficientResources            ENOBUFS
        ├── RemoteUnspecified                EDESTADDRREQ
        ├── AddressInUse                     EADDRINUSE
        ├── AddressNotAvailable              EADDRNOTAVAIL
        ├── MessageTooLong                   EMSGSIZE
        ├── OptionUnknown                    ENOPROTOOPT
        ├── OptionInvalid                    EINVAL
        ├── SocketClosed                     EBADF
        ├── SocketCallInvalid                EINVAL
        ├── SocketCallUnknown                EOPNOTSUPP
        ├── SocketKindUnknown                EAFNOSUPPORT
        └── WouldBlock                       EAGAIN        (BlockingIOError)
            ├── ConnectionBegun              EINPROGRESS
            └── ConnectionPending            EALREADY

They are OSErrors with the kernel's numbers, so ``except ConnectionResetError`` means the same over Postel as
over the kernel.
"""

import errno as _errno
from collections.abc import Sequence
from typing import TypeVar

__all__ = [
    "AddressFamilyMismatch",
    "AddressInUse",
    "AddressNotAvailable",
    "ArgumentError",
    "BusyLoop",
    "CallError",
    "ConnectionAborted",
    "ConnectionAlreadyExists",
    "ConnectionBegun",
    "ConnectionClosing",
    "ConnectionDoesNotExist",
    "ConnectionPending",
    "ConnectionRefused",
    "ConnectionReset",
    "ConnectionTimedOut",
    "HostUnreachable",
    "IllegalTransition",
    "InsufficientResources",
    "KindError",
    "LinkClosed",
    "LinkDown",
    "LinkError",
    "MessageTooLong",
    "NetworkUnreachable",
    "NotResolved",
    "NothingLeft",
    "OptionInvalid",
    "OptionUnknown",
    "PostelError",
    "RemoteUnspecified",
    "ScriptError",
    "ScriptFailed",
    "SocketCallInvalid",
    "SocketCallUnknown",
    "SocketClosed",
    "SocketKindUnknown",
    "TcpError",
    "TimeLimitReached",
    "WireError",
    "WouldBlock",
]


class PostelError(Exception):
    """The root: catch it to catch all that is Postel's own."""


class WireError(PostelError, ValueError):
    """Octets that don't parse. A host counts them under ``reason`` and drops them; they never leave it as an
    exception.

    Where the packet's source is to be told by an ICMP parameter problem, ``code`` is that message's, else -1;
    ``pointer`` is the offset of the octet that is wrong.
    """

    def __init__(self, reason: str, detail: str = "", code: int = -1, pointer: int = 0) -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.code = code
        self.pointer = pointer


class ArgumentError(PostelError, ValueError):
    """A caller's mistake, told by name, value and what is allowed."""

    def __init__(self, name: str, value: object, allowed: str) -> None:
        super().__init__(f"{name} is {value!r}; allowed: {allowed}")
        self.name = name
        self.value = value
        self.allowed = allowed


class KindError(ArgumentError, TypeError):
    """An argument of the wrong type, where Python's own interfaces raise TypeError, and where the compiled
    core finds it.
    """

    def __init__(self, name: str, value: object, allowed: str) -> None:
        Exception.__init__(self, f"{name} is of type {type(value).__name__}; allowed: {allowed}")
        self.name = name
        self.value = value
        self.allowed = allowed


class CallError(PostelError, RuntimeError):
    """A call that can't be made here and now: from another thread, before the beginning, after the end."""


class NothingLeft(PostelError, RuntimeError):
    """Every task of a simulation waits, and nothing more will happen.

    The text names the tasks, where they wait, and the states of all connections.
    """


class BusyLoop(PostelError, RuntimeError):
    """A simulation makes no progress: a task never yields, or yields again and again without waiting for
    anything.

    The text names the task, and where in the code it is.
    """


class TimeLimitReached(PostelError, RuntimeError):
    """A simulation hasn't ended at its limit of virtual or of real time.

    The text names the tasks that haven't ended, where they wait, and the states of all connections.
    """


class NotResolved(PostelError, OSError):
    """A name for which there is no address: it doesn't exist, has none, or no server answers.

    What `postel.aio` raises is a ``socket.gaierror`` too, and ``errno`` one of ``socket.EAI_…``.
    """


class ScriptError(PostelError):
    """A script that can't be understood: in which ``line``, and at which ``word``. Never a verdict on the
    stack.
    """

    def __init__(self, line: int, word: str, why: str) -> None:
        super().__init__(f"{why} at {word!r}" if word else why)
        self.line = line
        self.word = word


class ScriptFailed(PostelError):
    """The stack did something else than the ``line`` of a script says. ``word`` is the part of the line that
    differs.
    """

    def __init__(self, line: int, field: str, expected: object, actual: object, word: str = "") -> None:
        super().__init__(f"{field}: expected {expected}, actual {actual}")
        self.line = line
        self.field = field
        self.expected = expected
        self.actual = actual
        self.word = word


class IllegalTransition(PostelError, RuntimeError):
    """A connection was about to enter a state to which RFC 9293 has no edge.

    That is a defect of Postel's, never a peer's or a caller's doing: please report it.
    """


def require_number(name: str, value: object, lowest: int, highest: int, allowed: str) -> None:
    """Refuse what is no int, or out of bounds. A bool is no int here: ``r1=True`` would silently mean 1."""
    if not isinstance(value, int) or isinstance(value, bool) or not lowest <= value <= highest:
        raise ArgumentError(name, value, allowed)


def refused_time(now: object) -> ArgumentError:
    """What a call raises that is given a time which can't be. Times are counts of whole microseconds, never
    negative.
    """
    return ArgumentError("now", now, "microseconds as an int, 0 or more")


def require_kind(name: str, value: object, kind: type | tuple[type, ...], allowed: str) -> None:
    """Refuse what is no ``kind``."""
    if not isinstance(value, kind):
        raise ArgumentError(name, value, allowed)


def require_choice(name: str, value: object, allowed: tuple[str, ...]) -> None:
    """Refuse what is none of the words in ``allowed``."""
    if not isinstance(value, str) or value not in allowed:
        raise ArgumentError(name, value, one_of(allowed))


def one_of(words: Sequence[str]) -> str:
    """The words as a message tells of what is allowed: ``'off', 'client' or 'both'``."""
    quoted = [repr(word) for word in words]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} or {quoted[-1]}"


class LinkError(PostelError, OSError):
    """A link that can't be opened, or a packet that it can't carry."""


class LinkDown(LinkError):
    """A device that is switched off: it carries nothing now, and may again. ``errno`` is ENETDOWN."""

    def __init__(self, text: str) -> None:
        super().__init__(_errno.ENETDOWN, text)

    def __reduce__(self) -> "tuple[type[LinkDown], tuple[str]]":
        """As `TcpError`."""
        return type(self), (str(self.strerror),)


class LinkClosed(LinkError):
    """The link has ended, because it was closed here or on its other side. Nothing comes from it or goes to
    it any more.
    """


class TcpError(PostelError, OSError):
    """An answer to a user call (RFC 9293, 3.10), with the kernel's ``errno``.

    ``strerror`` is its text: ``detail`` says what happened, and before it stands the ``subject``, "" where
    there is none: which peer, and whether the connection was being opened, as in ``connect to 10.0.0.2:80:
    connection refused``.
    """

    number: int = _errno.EIO
    text: str = "connection error"
    told_at: int = 0  # when a soft error was heard of, in microseconds of its host's clock

    def __init__(self, detail: str = "", subject: str = "") -> None:
        self.detail: str = detail or self.text
        self.subject = subject
        OSError.__init__(self, self.number, f"{subject}: {self.detail}" if subject else self.detail)

    def __reduce__(self) -> "tuple[type[TcpError], tuple[str, str]]":
        """For `pickle` and `copy`, which would give the constructor the number too."""
        return type(self), (self.detail, self.subject)

    def about(self, subject: str) -> "TcpError":
        """A new error that says the same of ``subject``; its cause too."""
        error = type(self)(self.detail, subject)
        error.told_at = self.told_at
        error.__cause__ = self.__cause__
        return error


class ConnectionDoesNotExist(TcpError):
    """A call on a connection or socket that isn't open."""

    number: int = _errno.ENOTCONN
    text = "connection does not exist"


class ConnectionAlreadyExists(TcpError):
    """A second OPEN of one connection, or a choice that had to be made before the first."""

    number: int = _errno.EISCONN
    text = "connection already exists"


class ConnectionClosing(TcpError, BrokenPipeError):
    """A call that sends after the connection was closed here."""

    number: int = _errno.EPIPE
    text = "connection closing"


class ConnectionReset(TcpError, ConnectionResetError):
    """The peer sent RST, or what can only be answered by one."""

    number: int = _errno.ECONNRESET
    text = "connection reset by peer"


class ConnectionRefused(TcpError, ConnectionRefusedError):
    """The peer answered a SYN with RST, or by ICMP with "no such port"."""

    number: int = _errno.ECONNREFUSED
    text = "connection refused"


class ConnectionAborted(TcpError, ConnectionAbortedError):
    """The program's own `abort`, or the end of its network."""

    number: int = _errno.ECONNABORTED
    text = "connection aborted by its own user"


class ConnectionTimedOut(TcpError, TimeoutError):
    """The user timeout passed, or keep-alive probes had no answer. The latest soft error is its
    ``__cause__``.
    """

    number: int = _errno.ETIMEDOUT
    text = "connection aborted due to user timeout"


class HostUnreachable(TcpError):
    """ICMP says that the host can't be reached; or, as a soft error, nothing was acknowledged for long."""

    number: int = _errno.EHOSTUNREACH
    text = "host unreachable"


class NetworkUnreachable(TcpError):
    """ICMP says that the network can't be reached, or no route of this host leads there."""

    number: int = _errno.ENETUNREACH
    text = "network unreachable"


class AddressFamilyMismatch(NetworkUnreachable, ArgumentError):
    """A datagram for an address of the family that its socket, bound to an address, can't send from.

    It is a caller's mistake, and the kernel tells it as an OSError, which asyncio hands to
    ``error_received``; so it is both.
    """

    number: int = _errno.EAFNOSUPPORT
    text = "address family not supported by the socket"

    def __init__(self, detail: str = "", subject: str = "", value: object = None, allowed: str = "") -> None:
        TcpError.__init__(self, detail, subject)
        self.name = "remote"
        self.value = value
        self.allowed = allowed

    def __reduce__(self) -> "tuple[type[AddressFamilyMismatch], tuple[object, ...]]":  # type: ignore[override]
        return type(self), (self.detail, self.subject, self.value, self.allowed)


class InsufficientResources(TcpError):
    """The host's memory limit, or a full queue."""

    number: int = _errno.ENOBUFS
    text = "insufficient resources"


class RemoteUnspecified(TcpError):
    """No peer is named: an OPEN or a datagram without address or port."""

    number: int = _errno.EDESTADDRREQ
    text = "remote socket unspecified"


class AddressInUse(TcpError):
    """The port or the pair of endpoints is taken, or no port is free."""

    number: int = _errno.EADDRINUSE
    text = "address already in use"


class AddressNotAvailable(TcpError):
    """Not an address of this host, or not any more."""

    number: int = _errno.EADDRNOTAVAIL
    text = "address not available"


class MessageTooLong(TcpError):
    """More than a datagram can hold, or than the path carried."""

    number: int = _errno.EMSGSIZE
    text = "message too long"


class OptionUnknown(TcpError):
    """A socket option that Postel doesn't have."""

    number: int = _errno.ENOPROTOOPT
    text = "option not known"


class OptionInvalid(TcpError):
    """A value that a socket option can't have."""

    number: int = _errno.EINVAL
    text = "option can't have this value"


class SocketClosed(TcpError):
    """A call on a socket that was closed."""

    number: int = _errno.EBADF
    text = "the socket is closed"


class SocketCallInvalid(TcpError):
    """A call that can't be made on a socket in its present state, or an argument that can't be: `accept`
    where nothing listens.
    """

    number: int = _errno.EINVAL
    text = "the socket can't do this now"


class SocketCallUnknown(TcpError):
    """A call, or a flag of a call, that sockets of this kind don't have: `listen` of UDP."""

    number: int = _errno.EOPNOTSUPP
    text = "sockets of this kind can't do this"


class SocketKindUnknown(TcpError):
    """A socket that is asked for and that Postel doesn't have: of another family than IPv4 and IPv6, or
    neither of TCP nor of UDP.
    """

    number: int = _errno.EAFNOSUPPORT
    text = "sockets of this kind are not known"


class WouldBlock(TcpError, BlockingIOError):
    """A call on a socket that never waits, which would have to."""

    number: int = _errno.EAGAIN
    text = "the call would have to wait"


class ConnectionBegun(WouldBlock):
    """`connect` of a socket that never waits: the socket is writable once the outcome is known."""

    number: int = _errno.EINPROGRESS
    text = "the connection is being opened"


class ConnectionPending(WouldBlock):
    """A second `connect` before the outcome of the first is known."""

    number: int = _errno.EALREADY
    text = "the connection is being opened already"


Stored = TypeVar("Stored", bound=OSError)


def renewed(reason: Stored) -> Stored:
    """A new exception with the class, arguments, attributes and cause of ``reason``, but without its
    traceback.

    An exception that is stored as the reason of an end is never raised itself: each raise would lengthen its
    traceback, which keeps the variables of all callers alive for as long as the reason is stored.
    """
    kind = type(reason)
    fresh = kind.__new__(kind, *reason.args)
    OSError.__init__(fresh, *reason.args)  # a subclass may have a constructor of another shape
    for name, value in vars(reason).items():
        if name != "__notes__":  # a list, which the two would share
            setattr(fresh, name, value)
    if reason.__cause__ is not None:
        fresh.__cause__ = reason.__cause__
    return fresh
