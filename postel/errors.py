"""Every exception that Postel raises.

::

    PostelError
    ├── WireError (ValueError)               octets that aren't a valid packet, segment or message
    ├── ArgumentError (ValueError)           an argument with a value that isn't allowed
    │   └── KindError (TypeError)            an argument of the wrong type
    ├── CallError (RuntimeError)             a call that can't be made from here, or not now
    ├── NothingLeft (RuntimeError)           a simulation in which every task waits for ever
    ├── BusyLoop (RuntimeError)              a simulation in which a task runs without end, and no time passes
    ├── TimeLimitReached (RuntimeError)      a simulation that exceeds its limit of virtual or real time
    ├── NotResolved (OSError)                a name without an address; also a socket.gaierror
    ├── ScriptError                          a packetdrill script that can't be understood
    ├── ScriptFailed                         a packetdrill script that the stack under test failed
    ├── IllegalTransition (RuntimeError)     a defect of Postel: a state change that RFC 9293 doesn't have
    ├── LinkError (OSError)                  a link that can't be opened, or can't carry a packet
    │   ├── LinkDown                         ENETDOWN: a device that is switched off
    │   └── LinkClosed                       a link that has been closed, here or at its other end
    └── TcpError (OSError)                   an answer to a user call (RFC 9293, 3.10)
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

In brackets stands a class of Python's from which the error derives as well. Each `TcpError` is an OSError
with the number that the kernel would use, so ``except ConnectionResetError`` also catches Postel's error:

>>> issubclass(ConnectionReset, ConnectionResetError), ConnectionReset().errno == _errno.ECONNRESET
(True, True)
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
    """Root of all exceptions that Postel defines: ``except PostelError`` catches every one of them."""


class WireError(PostelError, ValueError):
    """Octets that can't be parsed as a packet, a segment, an option or a message.

    The functions of `postel.wire` raise this error. A host catches it, drops the packet, and counts it under
    ``dropped_REASON`` in `Host.statistics`: octets from the network never raise an exception out of a host.

    It has these attributes:
        reason: one word for the counter, such as ``bad_checksum`` or ``truncated``.
        code: the code of the ICMP parameter problem that answers the packet, or -1 where no message should be
            sent.
        pointer: the offset in octets of the wrong octet in the packet, for that ICMP message.
    """

    def __init__(self, reason: str, detail: str = "", code: int = -1, pointer: int = 0) -> None:
        """Make the error; ``detail`` follows ``reason`` in its message."""
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.code = code
        self.pointer = pointer


class ArgumentError(PostelError, ValueError):
    """An argument with a value that isn't allowed.

    Every public call of Postel checks its arguments and raises this error before it changes anything.

    >>> print(ArgumentError("port", 70000, "1 to 65535"))
    port is 70000; allowed: 1 to 65535

    It has these attributes:
        name: the name of the argument.
        value: the value that the caller gave.
        allowed: what is allowed, in words.
    """

    def __init__(self, name: str, value: object, allowed: str) -> None:
        """Make the error, and its message from all three arguments."""
        super().__init__(f"{name} is {value!r}; allowed: {allowed}")
        self.name = name
        self.value = value
        self.allowed = allowed


class KindError(ArgumentError, TypeError):
    """An argument of the wrong type: an `ArgumentError` that is also a TypeError.

    Postel raises it where Python's own interfaces raise TypeError. The compiled core also raises it for each
    argument that isn't of its annotated type.
    """

    def __init__(self, name: str, value: object, allowed: str) -> None:
        """Make the error; its message names the type of ``value``, not the value."""
        Exception.__init__(self, f"{name} is of type {type(value).__name__}; allowed: {allowed}")
        self.name = name
        self.value = value
        self.allowed = allowed


class CallError(PostelError, RuntimeError):
    """A call that can't be made from here, or not now.

    For example: a call from another thread, on a network that isn't open yet or is closed already, or on a
    host that has no secret yet.
    """


class NothingLeft(PostelError, RuntimeError):
    """A simulation in which every task waits, and no timer or packet can wake any of them.

    The message names the tasks, the line where each waits, and the states of all connections.
    """


class BusyLoop(PostelError, RuntimeError):
    """A simulation in which a task runs without end, so that virtual time can't pass.

    Either the task never awaits anything, or it yields again and again without waiting for anything. The
    message names the task, and the line of code that it runs.
    """


class TimeLimitReached(PostelError, RuntimeError):
    """A simulation that hasn't ended at its limit of virtual time or of real time.

    The message names the tasks that haven't ended, the line where each waits, and the states of all
    connections.
    """


class NotResolved(PostelError, OSError):
    """A host name for which no address was found.

    The name doesn't exist, it has no address of the wanted family, or no name server answers. The error that
    `postel.aio` raises is a ``socket.gaierror`` as well, and its ``errno`` is one of ``socket.EAI_…``.
    """


class ScriptError(PostelError):
    """A packetdrill script that can't be understood. This error says nothing about the stack under test.

    It has these attributes:
        line: the number of the line in the script.
        word: the word of the line at which the parser stopped, or "".
    """

    def __init__(self, line: int, word: str, why: str) -> None:
        """Make the error; ``why`` is its message."""
        super().__init__(f"{why} at {word!r}" if word else why)
        self.line = line
        self.word = word


class ScriptFailed(PostelError):
    """A packetdrill script with an expectation that the stack under test didn't meet.

    It has these attributes:
        line: the number of the line in the script.
        field: what differs, such as "ack" or "options".
        expected: the value in the script.
        actual: the value that the stack sent.
        word: the part of the line that differs, or "".
    """

    def __init__(self, line: int, field: str, expected: object, actual: object, word: str = "") -> None:
        """Make the error, and its message from ``field``, ``expected`` and ``actual``."""
        super().__init__(f"{field}: expected {expected}, actual {actual}")
        self.line = line
        self.field = field
        self.expected = expected
        self.actual = actual
        self.word = word


class IllegalTransition(PostelError, RuntimeError):
    """A change of a connection's state that isn't in the state diagram of RFC 9293, 3.3.2.

    No peer and no caller can cause it. It is always a defect of Postel: please report it.
    """


def require_number(name: str, value: object, lowest: int, highest: int, allowed: str) -> None:
    """Raise ArgumentError unless ``value`` is an int from ``lowest`` to ``highest``.

    A bool is refused too, because ``r1=True`` would silently mean 1.
    """
    if not isinstance(value, int) or isinstance(value, bool) or not lowest <= value <= highest:
        raise ArgumentError(name, value, allowed)


def refused_time(now: object) -> ArgumentError:
    """Make the ArgumentError for a ``now`` that isn't an int of microseconds, 0 or more."""
    return ArgumentError("now", now, "microseconds as an int, 0 or more")


def require_kind(name: str, value: object, kind: type | tuple[type, ...], allowed: str) -> None:
    """Raise ArgumentError unless ``value`` is an instance of ``kind``."""
    if not isinstance(value, kind):
        raise ArgumentError(name, value, allowed)


def require_choice(name: str, value: object, allowed: tuple[str, ...]) -> None:
    """Raise ArgumentError unless ``value`` is one of the words in ``allowed``."""
    if not isinstance(value, str) or value not in allowed:
        raise ArgumentError(name, value, one_of(allowed))


def one_of(words: Sequence[str]) -> str:
    """List of words for a message that says what is allowed: ``'off', 'client' or 'both'``."""
    quoted = [repr(word) for word in words]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} or {quoted[-1]}"


class LinkError(PostelError, OSError):
    """A link that can't be opened, or a packet that a link can't carry.

    Where a call of the operating system failed, ``errno`` is the number that the call gave.
    """


class LinkDown(LinkError):
    """A network device that is switched off. ``errno`` is ENETDOWN.

    The link carries no packets now. It works again once the device is switched on.
    """

    def __init__(self, text: str) -> None:
        """Make the error; ``text`` is its ``strerror``."""
        super().__init__(_errno.ENETDOWN, text)

    def __reduce__(self) -> "tuple[type[LinkDown], tuple[str]]":
        """Arguments for `pickle` and `copy`: the text alone, because the constructor adds the number."""
        return type(self), (str(self.strerror),)


class LinkClosed(LinkError):
    """A link that has ended, because it was closed here or at its other end.

    No packet comes from the link or goes to it any more, and it can't be opened again.
    """


class TcpError(PostelError, OSError):
    """An answer to a user call (RFC 9293, 3.10), as an OSError with the kernel's ``errno``.

    Events carry such an error, too: `Closed` as the reason why the connection has ended, `Trouble` as a
    problem on the path that doesn't end the connection.

    >>> print(ConnectionRefused("", "connect to 10.0.0.2:80").strerror)
    connect to 10.0.0.2:80: connection refused

    It has these attributes:
        number: the ``errno`` of this class.
        text: the message of this class, used where ``detail`` is "".
        detail: what happened.
        subject: what the error is about: the peer, and "connect to" before it while the connection was being
            opened; "" where the error is about nothing in particular.
        told_at: when the host received the ICMP message behind this error, in microseconds of the host's
            clock.
    """

    number: int = _errno.EIO
    text: str = "connection error"
    told_at: int = 0  # when the ICMP message of a soft error arrived, in microseconds

    def __init__(self, detail: str = "", subject: str = "") -> None:
        """Make the error; its ``strerror`` is ``subject``, a colon and ``detail``."""
        self.detail: str = detail or self.text
        self.subject = subject
        OSError.__init__(self, self.number, f"{subject}: {self.detail}" if subject else self.detail)

    def __reduce__(self) -> "tuple[type[TcpError], tuple[str, str]]":
        """Arguments for `pickle` and `copy`, without ``errno``, which the constructor adds."""
        return type(self), (self.detail, self.subject)

    def about(self, subject: str) -> "TcpError":
        """Copy of this error about ``subject``, with the same cause."""
        error = type(self)(self.detail, subject)
        error.told_at = self.told_at
        error.__cause__ = self.__cause__
        return error


class ConnectionDoesNotExist(TcpError):
    """A call on a connection or socket that isn't open or isn't connected. ``errno`` is ENOTCONN.

    RFC 9293, 3.10: "connection does not exist".
    """

    number: int = _errno.ENOTCONN
    text = "connection does not exist"


class ConnectionAlreadyExists(TcpError):
    """A second OPEN of a connection. ``errno`` is EISCONN.

    RFC 9293, 3.10.1: "connection already exists". A socket raises it also for `connect` once it is connected
    or listens, and for an option that can only be set before the connection is opened.
    """

    number: int = _errno.EISCONN
    text = "connection already exists"


class ConnectionClosing(TcpError, BrokenPipeError):
    """A SEND or CLOSE after the program has closed its side of the connection. ``errno`` is EPIPE.

    RFC 9293, 3.10.2: "connection closing". A socket without a connection raises it from `send`, as Linux
    does.
    """

    number: int = _errno.EPIPE
    text = "connection closing"


class ConnectionReset(TcpError, ConnectionResetError):
    """A connection that was reset. ``errno`` is ECONNRESET.

    The peer sent a RST, or a segment to which a RST is the only answer: for example data for a connection
    that the program has released. A program that aborts a connection before the handshake is complete gets
    the error, too (RFC 9293, 3.10.5). Calls on the connection raise the error, and `Closed` carries it.
    """

    number: int = _errno.ECONNRESET
    text = "connection reset by peer"


class ConnectionRefused(TcpError, ConnectionRefusedError):
    """A connection that the peer refused to open. ``errno`` is ECONNREFUSED.

    The peer answered the SYN with a RST, or with the ICMP error "port unreachable" or "protocol unreachable".
    A UDP socket gets it in a `Trouble` event after such an ICMP error.
    """

    number: int = _errno.ECONNREFUSED
    text = "connection refused"


class ConnectionAborted(TcpError, ConnectionAbortedError):
    """A connection that was ended on this side. ``errno`` is ECONNABORTED.

    The program called `abort`, or the network that carries the connection was closed.
    """

    number: int = _errno.ECONNABORTED
    text = "connection aborted by its own user"


class ConnectionTimedOut(TcpError, TimeoutError):
    """A connection to a peer that doesn't answer any more. ``errno`` is ETIMEDOUT.

    The user timeout has passed (RFC 9293, 3.8.3), the keep-alive probes had no answer (3.8.4), or the peer
    accepted no more data after the program had released the connection. ``__cause__`` of the error is the
    latest soft error, such as `HostUnreachable`, if there was one.
    """

    number: int = _errno.ETIMEDOUT
    text = "connection aborted due to user timeout"


class HostUnreachable(TcpError):
    """A host to which no packet arrives. ``errno`` is EHOSTUNREACH.

    Either an ICMP message has reported it (host unreachable, communication prohibited, time exceeded,
    parameter problem), or a segment was retransmitted R1 times without an answer (RFC 9293, 3.8.3). The error
    is soft: the connection goes on, and the program gets a `Trouble` event (RFC 9293, 3.9.2.2).
    """

    number: int = _errno.EHOSTUNREACH
    text = "host unreachable"


class NetworkUnreachable(TcpError):
    """A network to which no packet arrives. ``errno`` is ENETUNREACH.

    `Host.connect`, `Host.datagrams` and `DatagramSocket.send` raise it where no address of the host can reach
    the destination, or where no packet may be sent to it: to the address of a network, for example. In a
    `Trouble` event this error stands for an ICMP error "network unreachable". Calls on a network that has
    been closed also raise this error.
    """

    number: int = _errno.ENETUNREACH
    text = "network unreachable"


class AddressFamilyMismatch(NetworkUnreachable, ArgumentError):
    """A datagram from a socket that is bound to an address of the other family. ``errno`` is EAFNOSUPPORT.

    The error is an `ArgumentError`, because the caller made the mistake, and also an OSError as from the
    kernel, because asyncio passes OSErrors to ``error_received``. ``value`` is the remote endpoint that the
    caller gave.
    """

    number: int = _errno.EAFNOSUPPORT
    text = "address family not supported by the socket"

    def __init__(self, detail: str = "", subject: str = "", value: object = None, allowed: str = "") -> None:
        """Make the error; ``value`` and ``allowed`` are those of an `ArgumentError` about ``remote``."""
        TcpError.__init__(self, detail, subject)
        self.name = "remote"
        self.value = value
        self.allowed = allowed

    # The type differs from `TcpError`'s, because the constructor has more arguments
    def __reduce__(self) -> "tuple[type[AddressFamilyMismatch], tuple[object, ...]]":  # type: ignore[override]
        """Arguments for `pickle` and `copy`, without ``errno``, which the constructor adds."""
        return type(self), (self.detail, self.subject, self.value, self.allowed)


class InsufficientResources(TcpError):
    """A call for which the host has no room. ``errno`` is ENOBUFS.

    The host's ``memory_limit`` is reached (RFC 9293, 3.10.1), or the host's queue of packets for the link is
    full.
    """

    number: int = _errno.ENOBUFS
    text = "insufficient resources"


class RemoteUnspecified(TcpError):
    """An OPEN or a datagram without a remote endpoint. ``errno`` is EDESTADDRREQ.

    RFC 9293, 3.10: "remote socket unspecified".
    """

    number: int = _errno.EDESTADDRREQ
    text = "remote socket unspecified"


class AddressInUse(TcpError):
    """A port or a pair of endpoints that is in use, or a search that found no free port.

    ``errno`` is EADDRINUSE.
    """

    number: int = _errno.EADDRINUSE
    text = "address already in use"


class AddressNotAvailable(TcpError):
    """An address that the host doesn't have, or has no longer. ``errno`` is EADDRNOTAVAIL.

    Connections from an address end with this error when `Host.remove_address` takes that address away.
    """

    number: int = _errno.EADDRNOTAVAIL
    text = "address not available"


class MessageTooLong(TcpError):
    """A datagram that is larger than IP allows, or than the path carried. ``errno`` is EMSGSIZE.

    `DatagramSocket.send` raises it in the first case. In the second case an earlier datagram was lost, and
    the error comes in a `Trouble` event.
    """

    number: int = _errno.EMSGSIZE
    text = "message too long"


class OptionUnknown(TcpError):
    """A socket option that Postel doesn't have, or doesn't have for this kind of socket.

    ``errno`` is ENOPROTOOPT.
    """

    number: int = _errno.ENOPROTOOPT
    text = "option not known"


class OptionInvalid(TcpError):
    """A value that a socket option can't have. ``errno`` is EINVAL."""

    number: int = _errno.EINVAL
    text = "option can't have this value"


class SocketClosed(TcpError):
    """A call on a socket that the program has closed. ``errno`` is EBADF."""

    number: int = _errno.EBADF
    text = "the socket is closed"


class SocketCallInvalid(TcpError):
    """A call that a socket can't do in its present state, or an argument that the call can't take.

    ``errno`` is EINVAL.

    For example: `accept` on a socket that doesn't listen.
    """

    number: int = _errno.EINVAL
    text = "the socket can't do this now"


class SocketCallUnknown(TcpError):
    """A call, or a flag of a call, that sockets of this kind don't have. ``errno`` is EOPNOTSUPP.

    For example: `listen` on a UDP socket.
    """

    number: int = _errno.EOPNOTSUPP
    text = "sockets of this kind can't do this"


class SocketKindUnknown(TcpError):
    """A kind of socket that Postel doesn't have. ``errno`` is EAFNOSUPPORT.

    Postel has the families AF_INET and AF_INET6, and the types SOCK_STREAM (TCP) and SOCK_DGRAM (UDP).
    """

    number: int = _errno.EAFNOSUPPORT
    text = "sockets of this kind are not known"


class WouldBlock(TcpError, BlockingIOError):
    """A call on a non-blocking socket that would have to wait. ``errno`` is EAGAIN."""

    number: int = _errno.EAGAIN
    text = "the call would have to wait"


class ConnectionBegun(WouldBlock):
    """The first `connect` on a non-blocking socket. ``errno`` is EINPROGRESS.

    The socket becomes writable once the connection is open or has failed.
    """

    number: int = _errno.EINPROGRESS
    text = "the connection is being opened"


class ConnectionPending(WouldBlock):
    """A second `connect` before the outcome of the first is known. ``errno`` is EALREADY."""

    number: int = _errno.EALREADY
    text = "the connection is being opened already"


Stored = TypeVar("Stored", bound=OSError)


def renewed(reason: Stored) -> Stored:
    """Copy of ``reason`` with its class, arguments, attributes and cause, but without its traceback.

    An exception that is stored as the reason why a connection ended is never raised itself. Each raise would
    lengthen its traceback, and the traceback keeps the variables of all callers alive for as long as the
    reason is stored.
    """
    kind = type(reason)
    fresh = kind.__new__(kind, *reason.args)
    OSError.__init__(fresh, *reason.args)  # not the subclass's constructor, which may take others
    for name, value in vars(reason).items():
        if name != "__notes__":  # the notes are a list, which the copy would share with ``reason``
            setattr(fresh, name, value)
    if reason.__cause__ is not None:
        fresh.__cause__ = reason.__cause__
    return fresh
