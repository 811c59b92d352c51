"""What a script is run against: a stack behind a link, with a clock and system calls. `virtual` is Postel,
`kernel` is Linux.
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
    """The stack's end of the link and the script's."""

    local: Endpoint
    remote: Endpoint
    prefix_length: int
    mtu: int
    secret: bytes = b""  # of TCP MD5, for sockets that ask for it and the script's `md5 valid`


class Wire(Protocol):
    """The link and the clock. ``sent`` is what left the stack and no event claimed yet; ``on_step`` is called
    when something happened.
    """

    sent: deque[Arrived]
    on_step: Callable[[], None]

    @property
    def now(self) -> int: ...

    def inject(self, octets: bytes) -> None: ...

    def pump(self) -> None:
        """Take what left the stack by now."""

    def advance(self, until: int) -> None: ...

    def step(self, until: int) -> bool:
        """To the next thing that happens, where it does until then."""
        ...


class Calls(Protocol):
    """System calls. ``on_open`` is told both ends where a conversation begins."""

    on_open: Callable[[Endpoint, Endpoint], None]

    def call(self, attempt: Attempt) -> int:
        """Raises OSError, Waits, ScriptError, or ScriptFailed where something that is written through a
        pointer differs.
        """
        ...


class Stack(Protocol):
    """``tolerance`` is the least that its clock can be held to, in microseconds."""

    tolerance: int

    @property
    def network(self) -> Wire: ...

    @property
    def sockets(self) -> Calls: ...

    def command(self, text: str, line: int) -> None: ...

    def information(self) -> dict[str, object]:
        """The fields of `tcp_info`, of the newest connection."""
        ...

    def describe(self) -> str:
        """The connection under test, for people; empty where there is none."""
        ...
