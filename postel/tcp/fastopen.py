"""TCP Fast Open (RFC 7413): what goes beyond the handshake in one that is fast, and what a host's clients
know of servers.

::

    client                                   server
    SYN, cookie?           ───────────────►              the first time: an `Attempt` that asks
                           ◄───────────────  SYN,ACK, cookie
    SYN, cookie, text      ───────────────►              afterwards: an `Attempt` with a cookie, an
    `Admission`
                           ◄───────────────  SYN,ACK of the text
                           ◄───────────────  more text, before the last ACK
    ACK                    ───────────────►

Only the first SYN and the first SYN,ACK are more than ordinary ones: what is sent again goes without option
and without text (4.2.2).
"""

from abc import ABC, abstractmethod
from collections import deque
from typing import Final

from postel.errors import ConnectionReset, TcpError
from postel.times import MINUTE
from postel.wire.address import Endpoint

SERVERS: Final = 1024  # whose cookies are kept, and paths that are known to refuse
LARGEST_MSS_4: Final = 1460  # RFC 7413, 4.1.3: a larger SYN may be cut into fragments or confuse a middlebox
LARGEST_MSS_6: Final = 1440
REFUSAL: Final = 15 * MINUTE  # how long a path isn't tried again: "at least temporarily"
RESET_COUNTS: Final = MINUTE  # how long a reset fast open counts as pending


class FastOpen(ABC):
    """One connection's part, until its handshake is over. ``opened``: text was admitted with the SYN, and may
    flow both ways already.

    ``option`` is the value to send, None for no option.
    """

    def __init__(self, option: bytes | None, *, opened: bool) -> None:
        self.option = option
        self.opened = opened

    @abstractmethod
    def succeeded(self, cookie: bytes | None, mss: int, now: int, *, refuses_text: bool) -> None:
        """Our SYN was acknowledged, by a segment with this option; ``mss`` is the peer's."""

    @abstractmethod
    def failed(self, error: TcpError | None, now: int, *, was_silent: bool) -> None:
        """The connection ended before. ``was_silent``: a SYN had gone unanswered for its timeout."""


class Attempt(FastOpen):
    """A client's. ``mss`` bounds the text of its SYN, options counted."""

    def __init__(self, cookie: bytes, mss: int, known: "Known", path: bytes) -> None:
        super().__init__(cookie, opened=False)
        self.mss = mss
        self._known = known
        self._path = path

    def succeeded(self, cookie: bytes | None, mss: int, now: int, *, refuses_text: bool) -> None:
        """No cookie where one was asked for, or text not acknowledged, is a "negative response" (4.1.3.1).
        Not so with a new cookie: the old one had expired."""
        self._known.learn(self._path, cookie, mss)
        if not cookie and (refuses_text or not self.option):
            self._known.refuse(self._path, now)

    def failed(self, error: TcpError | None, now: int, *, was_silent: bool) -> None:
        """RST and ICMP errors may be a middlebox's word on the option; silence is its usual one."""
        if was_silent or (
            error is not None and not isinstance(error, ConnectionReset)
        ):  # that is the user's own ABORT
            self._known.refuse(self._path, now)


class Admission(FastOpen):
    """A server's: the cookie that its SYN,ACK shall bring, if any, and whether the one in the SYN was
    valid.
    """

    def __init__(self, cookie: bytes | None, pending: "Pending | None") -> None:
        super().__init__(cookie, opened=pending is not None)
        self._pending = pending
        if pending is not None:
            pending.count += 1

    def succeeded(self, cookie: bytes | None, mss: int, now: int, *, refuses_text: bool) -> None:
        if self._pending is not None:
            self._pending.count -= 1

    def failed(self, error: TcpError | None, now: int, *, was_silent: bool) -> None:
        if self._pending is not None:
            self._pending.count -= 1
            self._pending.remember(now)


class Pending:
    """PendingFastOpenRequests of one listener: fast opens in SYN-RECEIVED, and those that ended there a short
    while ago, so that the RSTs of hosts whose address is abused don't make room for more (RFC 7413, 5.1)."""

    __slots__ = ("_ended", "count")

    def __init__(self) -> None:
        self.count: int = 0
        self._ended: deque[int] = deque()

    def remember(self, now: int) -> None:
        self._ended.append(now + RESET_COUNTS)

    def reaches(self, limit: int, now: int) -> bool:
        while self._ended and self._ended[0] <= now:
            self._ended.popleft()
        return self.count + len(self._ended) >= limit


class Known:
    """What a host's clients know of servers (RFC7413-4.1.3): the last cookie and MSS for each pair of
    addresses, and the paths, with their port, on which Fast Open did not work. Both are bounded; the oldest
    goes first.
    """

    __slots__ = ("_cookies", "_refused")

    def __init__(self) -> None:
        self._cookies: dict[bytes, tuple[bytes, int]] = {}
        self._refused: dict[bytes, int] = {}  # until when

    def attempt(self, local: Endpoint, remote: Endpoint, default_mss: int, now: int) -> Attempt | None:
        """None: for now this path does without. ``default_mss`` is for servers that told none."""
        path = local.address + remote.address + remote.port.to_bytes(2, "big")
        if self._refused.get(path, now) > now:
            return None
        cookie, mss = self._cookies.get(path[:-2], (b"", default_mss))
        return Attempt(cookie, mss, self, path)

    def learn(self, path: bytes, cookie: bytes | None, mss: int) -> None:
        """Learn from a SYN,ACK; without a cookie only the MSS of a server that gave one before is news."""
        addresses = path[:-2]
        kept = cookie or self._cookies.pop(addresses, (b"", 0))[0]
        if kept:
            self._cookies.pop(addresses, None)
            self._cookies[addresses] = (
                kept,
                min(mss, LARGEST_MSS_4 if len(addresses) == 8 else LARGEST_MSS_6),
            )
            if len(self._cookies) > SERVERS:
                del self._cookies[next(iter(self._cookies))]

    def refuse(self, path: bytes, now: int) -> None:
        self._refused.pop(path, None)
        self._refused[path] = now + REFUSAL
        if len(self._refused) > SERVERS:
            del self._refused[next(iter(self._refused))]

    def clear(self) -> None:
        self._cookies.clear()
        self._refused.clear()
