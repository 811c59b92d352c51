"""Interface of a stack under test: a link, a clock and system calls.

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
    """Two ends of the link: the stack's end is ``local``, the script's end is ``remote``."""

    local: Endpoint
    remote: Endpoint
    prefix_length: int
    mtu: int
    secret: bytes = b""  # key of TCP MD5, for sockets with the option TCP_MD5SIG and for `md5 valid`


class Wire(Protocol):
    """Link and clock of a stack.

    ``sent`` has the packets that have left the stack and that no event has expected yet. ``on_step`` is
    called whenever something has happened.
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
        """Advance to the time ``until``, and let everything happen that is due by then."""

    def step(self, until: int) -> bool:
        """Advance to the next time at which something happens.

        Returns False if nothing happens by ``until``.
        """
        ...


class Calls(Protocol):
    """System calls on a stack. ``on_open`` is called with both endpoints when a connection begins."""

    on_open: Callable[[Endpoint, Endpoint], None]

    def call(self, attempt: Attempt) -> int:
        """Make a call, and return its result.

        Raises OSError; Waits if the call would block; ScriptError if the call can't be understood;
        ScriptFailed if a value that the call writes through a pointer differs from that in the script.
        """
        ...


class Stack(Protocol):
    """Stack under test.

    ``tolerance`` is the deviation in microseconds that a script must at least allow to this stack's times.
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
        """Connection under test, for human readers; "" if there is none."""
        ...
