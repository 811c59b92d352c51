"""TCP Fast Open (RFC 7413): payload on the SYN for clients that a server knows by a cookie.

Theory of operation. The first connection to a server asks for a cookie. Later connections send it with
payload on the SYN, so the server's answer comes one round trip earlier:

    client                                          server
      SYN, cookie request      ───────────────►                           first connection: an
                               ◄───────────────     SYN,ACK, cookie       `Attempt` without cookie
      ACK                      ───────────────►

      SYN, cookie, payload     ───────────────►     checks the cookie,    later: an `Attempt` with
                                                    delivers the payload  cookie, an `Admission`
                               ◄───────────────     SYN,ACK of both
                               ◄───────────────     more payload, before the handshake is over
      ACK                      ───────────────►

The cookie shows that the client receives packets at its address, so a forged address gets no answer larger
than a SYN,ACK. Only the first SYN and the first SYN,ACK carry option and payload. A SYN that is sent again is
an ordinary one, because a middlebox may have dropped the first for its option (4.2.2). `Known` remembers
cookies, and paths on which Fast Open failed. `Pending` limits the fast connections of a listener (5.1).
"""

from abc import ABC, abstractmethod
from collections import deque
from typing import Final

from postel.errors import ConnectionReset, TcpError
from postel.times import MINUTE
from postel.wire.address import Endpoint

SERVERS: Final = 1024  # at most so many cookies are kept, and as many paths on which Fast Open failed
LARGEST_MSS_4: Final = 1460  # RFC 7413, 4.1.3: a larger SYN may be fragmented, or dropped by a middlebox
LARGEST_MSS_6: Final = 1440
REFUSAL: Final = 15 * MINUTE  # how long Fast Open isn't tried on a path where it failed (4.1.3.1)
RESET_COUNTS: Final = MINUTE  # how long a fast open that was reset counts as pending


class FastOpen(ABC):
    """Part of a connection's state that Fast Open needs until the handshake is over.

    ``option`` is the value of the option to send, b"" to ask for a cookie, None for no option. ``opened``
    says whether payload was accepted with the peer's SYN, so that payload may flow both ways already.
    """

    def __init__(self, option: bytes | None, *, opened: bool) -> None:
        """Store the option to send and whether the handshake began with accepted payload."""
        self.option = option
        self.opened = opened

    @abstractmethod
    def succeeded(self, cookie: bytes | None, mss: int, now: int, *, refuses_text: bool) -> None:
        """Process the segment that acknowledged our SYN, and its options ``cookie`` and ``mss``.

        ``mss`` is in octets. ``refuses_text`` says that the peer acknowledged our SYN without its payload.
        """

    @abstractmethod
    def failed(self, error: TcpError | None, now: int, *, was_silent: bool) -> None:
        """Note that ``error`` ended the handshake; ``was_silent`` says that a SYN timed out."""


class Attempt(FastOpen):
    """Client side of Fast Open. ``mss`` bounds options and payload of its SYN, in octets."""

    def __init__(self, cookie: bytes, mss: int, known: "Known", path: bytes) -> None:
        """Prepare a SYN with ``cookie``, or one that asks for a cookie where that is b""."""
        super().__init__(cookie, opened=False)
        self.mss = mss
        self._known = known
        self._path = path

    def succeeded(self, cookie: bytes | None, mss: int, now: int, *, refuses_text: bool) -> None:
        """Store the cookie; after a "negative response" don't try Fast Open on this path for a while.

        RFC 7413, 4.1.3.1. An answer is negative if it lacks the cookie that was asked for, or doesn't
        acknowledge the payload. An answer with a new cookie is never negative: the old cookie had expired.
        """
        self._known.learn(self._path, cookie, mss)
        if not cookie and (refuses_text or not self.option):
            self._known.refuse(self._path, now)

    def failed(self, error: TcpError | None, now: int, *, was_silent: bool) -> None:
        """Don't try Fast Open on this path for a while after a timeout, an ICMP error or a RST.

        Middleboxes that refuse the option usually drop the SYN silently; some answer with RST or ICMP.
        """
        # ConnectionReset is the user's own ABORT in SYN-SENT
        if was_silent or (error is not None and not isinstance(error, ConnectionReset)):
            self._known.refuse(self._path, now)


class Admission(FastOpen):
    """Server side of Fast Open: the cookie for the SYN,ACK, if any, and the count of pending requests."""

    def __init__(self, cookie: bytes | None, pending: "Pending | None") -> None:
        """Count the connection as pending, where ``pending`` shows that the SYN's cookie was valid."""
        super().__init__(cookie, opened=pending is not None)
        self._pending = pending
        if pending is not None:
            pending.count += 1

    def succeeded(self, cookie: bytes | None, mss: int, now: int, *, refuses_text: bool) -> None:
        """Stop counting the connection as pending, because its handshake is over."""
        if self._pending is not None:
            self._pending.count -= 1

    def failed(self, error: TcpError | None, now: int, *, was_silent: bool) -> None:
        """Count the connection as pending for `RESET_COUNTS` more: it may have been reset (RFC 7413, 5.1)."""
        if self._pending is not None:
            self._pending.count -= 1
            self._pending.remember(now)


class Pending:
    """Count of a listener's pending fast opens (PendingFastOpenRequests of RFC 7413, 5.1).

    Connections in SYN-RECEIVED count, and those that ended there count for a minute more. Otherwise an
    attacker could forge the addresses of other hosts, and the RSTs of these hosts would make room for more of
    its SYNs.
    """

    __slots__ = ("_ended", "count")

    def __init__(self) -> None:
        """Begin with no pending fast opens."""
        self.count: int = 0
        self._ended: deque[int] = deque()

    def remember(self, now: int) -> None:
        """Count a fast open that ended at ``now`` for a minute more."""
        self._ended.append(now + RESET_COUNTS)

    def reaches(self, limit: int, now: int) -> bool:
        """Whether ``limit`` or more fast opens are pending at ``now``."""
        while self._ended and self._ended[0] <= now:
            self._ended.popleft()
        return self.count + len(self._ended) >= limit


class Known:
    """Cookies of servers, and paths that refuse Fast Open, which a host's clients remember (RFC7413-4.1.3).

    One table holds the last cookie and the MSS for each pair of addresses. The other holds, for each path
    (the two addresses and the server's port), the time until which Fast Open isn't tried. Both tables are
    bounded; the oldest entry is dropped first.
    """

    __slots__ = ("_cookies", "_refused")

    def __init__(self) -> None:
        """Begin with no cookies and no refusals."""
        self._cookies: dict[bytes, tuple[bytes, int]] = {}
        self._refused: dict[bytes, int] = {}  # path: until when Fast Open isn't tried

    def attempt(self, local: Endpoint, remote: Endpoint, default_mss: int, now: int) -> Attempt | None:
        """Return the `Attempt` for a new connection; None where Fast Open isn't tried on this path now.

        ``default_mss``, in octets, is for servers that sent no MSS.
        """
        path = local.address + remote.address + remote.port.to_bytes(2, "big")
        if self._refused.get(path, now) > now:
            return None
        cookie, mss = self._cookies.get(path[:-2], (b"", default_mss))
        return Attempt(cookie, mss, self, path)

    def learn(self, path: bytes, cookie: bytes | None, mss: int) -> None:
        """Store cookie and MSS from a SYN,ACK; without a cookie, update the MSS of a known server."""
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
        """Don't try Fast Open on ``path`` for `REFUSAL` from ``now`` on."""
        self._refused.pop(path, None)
        self._refused[path] = now + REFUSAL
        if len(self._refused) > SERVERS:
            del self._refused[next(iter(self._refused))]

    def clear(self) -> None:
        """Forget all cookies and refusals."""
        self._cookies.clear()
        self._refused.clear()
