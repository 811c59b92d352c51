"""What a connection, a listener or a UDP socket tells its user: drained with ``next_event()`` after every
call.

Peers cause events, callers cause exceptions. An event is a value of one of these classes, to be told apart by
``match`` or ``isinstance``::

    match event:
        case Readable():
            ...
        case Closed(error):
            ...

An event tells of the past: when it is handled, the peer may have reset the connection already.
"""

from typing import ClassVar, Final

from postel.errors import TcpError


class Event:
    """What all events have in common. Two events are equal if their classes are, and their errors by class
    and arguments.
    """

    __slots__ = ()
    __match_args__: ClassVar[tuple[str, ...]] = ()

    def __eq__(self, other: object) -> bool:
        return self is other or type(self) is type(other)

    def __hash__(self) -> int:
        return hash(type(self))

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class Opened(Event):
    """Of a connection: the handshake is done, ESTABLISHED was reached."""

    __slots__ = ()


class Readable(Event):
    """Of a connection or a UDP socket: text arrived and waits in `receive`.

    A connection doesn't tell it again after a read that left something: read until ``readable`` is 0.
    """

    __slots__ = ()


class Writable(Event):
    """Of a connection: there is room again, after `send` took less than it was given."""

    __slots__ = ()


class Urgent(Event):
    """Of a connection: urgent data is ahead, or its pointer advanced (RFC 9293, 3.8.5, MUST-32)."""

    __slots__ = ()


class EndOfStream(Event):
    """Of a connection: the peer's FIN. After what is buffered, nothing more comes (RFC 9293, 3.6,
    MUST-12).
    """

    __slots__ = ()


class Acceptable(Event):
    """Of a listener: a connection waits in `accept`."""

    __slots__ = ()


class Asked(Event):
    """Of a listener that asks first: a request waits in `next_request`."""

    __slots__ = ()


class Trouble(Event):
    """Of a connection or a UDP socket: a soft error, or R1 passed (RFC 9293, 3.9.1.8, MUST-47).

    ``error`` says what is wrong; the connection lives on.
    """

    __slots__ = ("error",)
    __match_args__: ClassVar[tuple[str, ...]] = ("error",)

    def __init__(self, error: TcpError) -> None:
        self.error: TcpError = error

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Trouble) and _is_same(self.error, other.error))

    def __hash__(self) -> int:
        return hash(Trouble)

    def __repr__(self) -> str:
        return f"Trouble({self.error!r})"


class Closed(Event):
    """Of a connection: it is over, and no event follows. ``error`` says why, None after an orderly close.

    What had arrived in order can still be read.
    """

    __slots__ = ("error",)
    __match_args__: ClassVar[tuple[str, ...]] = ("error",)

    def __init__(self, error: TcpError | None = None) -> None:
        self.error: TcpError | None = error

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Closed) and _is_same(self.error, other.error))

    def __hash__(self) -> int:
        return hash(Closed)

    def __repr__(self) -> str:
        return f"Closed({'' if self.error is None else repr(self.error)})"


def _is_same(one: TcpError | None, other: TcpError | None) -> bool:
    if one is None or other is None:
        return one is other
    return type(one) is type(other) and one.args == other.args


# One of each kind without contents is enough: what the core tells, with no object made for it.
OPENED: Final = Opened()
READABLE: Final = Readable()
WRITABLE: Final = Writable()
URGENT: Final = Urgent()
END_OF_STREAM: Final = EndOfStream()
ACCEPTABLE: Final = Acceptable()
ASKED: Final = Asked()
