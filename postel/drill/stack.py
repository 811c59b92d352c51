"""The interface of a stack under test: a link, a clock and system calls.

`postel.drill.virtual` is Postel, `postel.drill.kernel` is Linux.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from postel.drill.calls import Attempt
from postel.drill.match import Arrived
from postel.wire.address import Endpoint


@dataclass(frozen=True, slots=True)
class Ends:
    """The two ends of the link: the stack's (``local``) and the script's (``remote``)."""

    local: Endpoint
    remote: Endpoint
    prefix_length: int
    mtu: int
    secret: bytes = b""  # of TCP MD5, for sockets with the option TCP_MD5SIG and for `md5 valid`


class Wire(Protocol):
    """The link and the clock.

    ``sent`` are packets that have left the stack and that no event has taken yet. ``on_step`` is called
    whenever something has happened.
    """

    sent: deque[Arrived]
    on_step: Callable[[], None]

    @property
    def now(self) -> int:
        """Time in microseconds."""

    def inject(self, octets: bytes) -> None:
        """Give a packet to the stack."""

    def pump(self) -> None:
        """Take the packets that have left the stack by now."""

    def advance(self, until: int) -> None:
        """Go on to this time."""

    def step(self, until: int) -> bool:
        """Go on to the next time at which something happens.

        Returns False where nothing does by ``until``.
        """
        ...


class Calls(Protocol):
    """System calls. ``on_open`` is called with both ends when a connection begins."""

    on_open: Callable[[Endpoint, Endpoint], None]

    def call(self, attempt: Attempt) -> int:
        """Make a call, and return its result.

        Raises OSError; Waits where it would block; ScriptError where it can't be understood; ScriptFailed
        where a value that it writes through a pointer differs from the script's.
        """
        ...


class Stack(Protocol):
    """A stack under test.

    ``tolerance`` is the least deviation of its clock that must be allowed, in microseconds.
    """

    tolerance: int

    @property
    def network(self) -> Wire:
        """Link and clock."""

    @property
    def sockets(self) -> Calls:
        """System calls."""

    def command(self, text: str, line: int) -> None:
        """Carry out a shell command of the script."""

    def information(self) -> dict[str, object]:
        """Fields of `tcp_info` of the newest connection."""
        ...

    def describe(self) -> str:
        """Connection under test, for people; "" where there is none."""
        ...
