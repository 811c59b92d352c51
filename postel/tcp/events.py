"""What a connection tells its user: drained with ``next_event()`` after every call. Peers cause events, callers cause exceptions."""

from typing import Final

from postel.errors import TcpError


class Event:
    """``name`` says which; ``error`` is set on CLOSED when something went wrong, and on TROUBLE always."""

    __slots__ = ("error", "name")

    def __init__(self, name: str, error: TcpError | None = None) -> None:
        self.name = name
        self.error = error

    def __eq__(self, other: object) -> bool:
        """Whether both say the same: errors of one class with the same arguments do."""
        if self is other:
            return True
        if not isinstance(other, Event) or self.name != other.name or type(self.error) is not type(other.error):
            return False
        return self.error is None or other.error is None or self.error.args == other.error.args

    def __hash__(self) -> int:
        return hash(self.name)

    def __repr__(self) -> str:
        return f"<{self.name}{f': {self.error}' if self.error else ''}>"


OPENED: Final = Event("opened")  # ESTABLISHED was reached
READABLE: Final = Event("readable")  # text arrived, and waits in `receive`; not told again after a read that left something
WRITABLE: Final = Event("writable")  # room again after `send` took less than it was given
URGENT: Final = Event("urgent")  # urgent data is ahead, or its pointer advanced (MUST-32)
END_OF_STREAM: Final = Event("end-of-stream")  # the peer's FIN: after what is buffered, nothing more comes (MUST-12)
ACCEPTABLE: Final = Event("acceptable")  # of a listener: a connection waits in `accept`
ASKED: Final = Event("asked")  # of a listener that asks first: a request waits in `next_request`

# Made when needed, for they carry an error:
CLOSED_NAME: Final = "closed"  # the TCB is gone: error None after an orderly close, else what ended it
TROUBLE_NAME: Final = "trouble"  # a soft error or R1 passed (MUST-47); the connection lives on
