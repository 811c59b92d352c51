"""Events that a connection, a listener or a UDP socket has for its user, read by ``next_event()``.

Peers cause events, callers cause exceptions. An event is a value of one of these classes, to be distinguished
by ``match`` or ``isinstance``::

    match event:
        case Readable():
            ...
        case Closed(error):
            ...

An event reports the past: when it is handled, the peer may have reset the connection already.
"""

from typing import ClassVar, Final

from postel.errors import TcpError


class Event:
    """Base class of events. Two events are equal if their classes are, and their errors in class and args."""

    __slots__ = ()
    __match_args__: ClassVar[tuple[str, ...]] = ()

    def __eq__(self, other: object) -> bool:
        """Whether ``other`` is an event of the same class."""
        return self is other or type(self) is type(other)

    def __hash__(self) -> int:
        """Hash of the class."""
        return hash(type(self))

    def __repr__(self) -> str:
        """Name of the class: ``Readable()``."""
        return f"{type(self).__name__}()"


class Opened(Event):
    """A connection's handshake is done: ESTABLISHED was reached.

    With TCP Fast Open a server gets it earlier, when the SYN with its cookie has arrived (RFC 7413).
    """

    __slots__ = ()


class Readable(Event):
    """Data arrived at a connection or a UDP socket, and waits in `receive`.

    A connection doesn't repeat the event after a read that left octets: read until ``readable`` is 0.
    """

    __slots__ = ()


class Writable(Event):
    """A connection accepts octets again, after `send` accepted less than it was given."""

    __slots__ = ()


class Urgent(Event):
    """Urgent data is ahead on a connection, or its end moved on (RFC 9293, 3.8.5, MUST-32)."""

    __slots__ = ()


class EndOfStream(Event):
    """The peer's FIN arrived: after what is buffered nothing more comes (RFC 9293, 3.6, MUST-12)."""

    __slots__ = ()


class Acceptable(Event):
    """A connection waits in a listener's `accept`."""

    __slots__ = ()


class Asked(Event):
    """A connection request waits in `next_request` of a listener that asks before it accepts."""

    __slots__ = ()


class Trouble(Event):
    """A soft error of a connection or a UDP socket, or R1 retransmissions (RFC 9293, 3.9.1.8, MUST-47).

    ``error`` says what is wrong; the connection lives on.
    """

    __slots__ = ("error",)
    __match_args__: ClassVar[tuple[str, ...]] = ("error",)

    def __init__(self, error: TcpError) -> None:
        """Store the error."""
        self.error: TcpError = error

    def __eq__(self, other: object) -> bool:
        """Whether ``other`` is Trouble with an equal error."""
        return self is other or (isinstance(other, Trouble) and _is_same(self.error, other.error))

    def __hash__(self) -> int:
        """Hash of the class."""
        return hash(Trouble)

    def __repr__(self) -> str:
        """Name and error: ``Trouble(...)``."""
        return f"Trouble({self.error!r})"


class Closed(Event):
    """A connection has ended, and no event follows. ``error`` is the reason, None after an orderly close.

    What had arrived in order can still be read.
    """

    __slots__ = ("error",)
    __match_args__: ClassVar[tuple[str, ...]] = ("error",)

    def __init__(self, error: TcpError | None = None) -> None:
        """Store the reason."""
        self.error: TcpError | None = error

    def __eq__(self, other: object) -> bool:
        """Whether ``other`` is Closed with an equal reason."""
        return self is other or (isinstance(other, Closed) and _is_same(self.error, other.error))

    def __hash__(self) -> int:
        """Hash of the class."""
        return hash(Closed)

    def __repr__(self) -> str:
        """Name and reason: ``Closed()`` after an orderly close."""
        return f"Closed({'' if self.error is None else repr(self.error)})"


def _is_same(one: TcpError | None, other: TcpError | None) -> bool:
    """Whether two errors have the same class and arguments."""
    if one is None or other is None:
        return one is other
    return type(one) is type(other) and one.args == other.args


# One instance of each kind without contents serves all connections, so that no event needs a new object
OPENED: Final = Opened()
READABLE: Final = Readable()
WRITABLE: Final = Writable()
URGENT: Final = Urgent()
END_OF_STREAM: Final = EndOfStream()
ACCEPTABLE: Final = Acceptable()
ASKED: Final = Asked()
