"""Requests: SYNs to a listener that asks the program before anything answers them.

::

    SYN ──► waits ──► next_request() ──► answer("accept") ──► half-open, or a SYN cookie
            bounded in number                answer("refuse") ──► RST
            and in time                      answer("unreachable") … ──► ICMP
                                             answer("ignore"), or none in time ──► nothing
"""

from collections import deque
from typing import Final, Literal, TypeAlias, get_args

from postel.times import MINUTE, NEVER, SECOND
from postel.wire.address import Endpoint

ANSWER_WITHIN: Final = 20 * SECOND  # by then a client that begins with a second has sent its SYN five times
LONGEST_WAIT: Final = 10 * MINUTE

# What a program makes of a request. "accept": the handshake goes on; "refuse": RST, nothing listens there;
# "unreachable", "no-network", "prohibited": ICMP, no such host, no such network, administratively prohibited;
# "ignore": nothing, to the client its SYN was lost.
Answer: TypeAlias = Literal["accept", "refuse", "unreachable", "no-network", "prohibited", "ignore"]
ANSWERS: Final[tuple[str, ...]] = get_args(Answer)


class Request:
    """A client's wish to open a connection from ``remote`` to ``local``, the address and port to which its
    SYN came.

    It ``arrived`` then, and is forgotten at ``expires`` if it isn't answered. SYNs that come again meanwhile
    change nothing.
    """

    __slots__ = ("arrived", "expires", "is_accepted", "key", "local", "octets", "remote")

    def __init__(
        self, key: bytes, local: Endpoint, remote: Endpoint, octets: bytes, now: int, expires: int
    ) -> None:
        self.key: bytes = key
        self.local: Endpoint = local
        self.remote: Endpoint = remote
        self.octets: bytes = octets  # the packet with the latest SYN
        self.arrived: int = now
        self.expires: int = expires
        self.is_accepted: bool = False

    def __repr__(self) -> str:
        return f"<request from {self.remote} to {self.local}>"


class Waiting:
    """The requests of one listener that aren't answered yet, and those that were accepted but can't be
    admitted yet.

    The latter don't ask again: what is missing is room, or the ACK of a SYN cookie.
    """

    __slots__ = ("_asked", "_requests", "most", "within")

    def __init__(self, most: int, within: int) -> None:
        self.most: int = most
        self.within: int = within
        self._requests: dict[bytes, Request] = {}  # in the order in which they expire
        self._asked: deque[Request] = deque()  # that the program hasn't seen

    def __len__(self) -> int:
        return len(self._requests)

    def get(self, key: bytes) -> Request | None:
        return self._requests.get(key)

    def put(self, request: Request) -> bool:
        """A new request; False where there are as many as may wait."""
        if len(self._requests) >= self.most:
            return False
        self._requests[request.key] = request
        self._asked.append(request)
        return True

    def next(self) -> Request | None:
        """The oldest request that the program hasn't seen and that still waits."""
        while self._asked:
            request = self._asked.popleft()
            if self.has(request):
                return request
        return None

    def has(self, request: Request) -> bool:
        """Whether it still waits for its answer."""
        return self._requests.get(request.key) is request and not request.is_accepted

    def accept(self, request: Request, now: int) -> None:
        """Let SYNs of this client pass from now on, for as long as a request may wait."""
        del self._requests[request.key]
        request.is_accepted = True
        request.expires = now + self.within
        self._requests[request.key] = request

    def discard(self, key: bytes) -> None:
        self._requests.pop(key, None)

    def clear(self) -> None:
        self._requests.clear()
        self._asked.clear()

    def leave(self, address: bytes) -> None:
        """The host has lost this address: forget requests to it."""
        self._requests = {
            key: request for key, request in self._requests.items() if request.local.address != address
        }

    def next_timeout(self) -> int:
        for request in self._requests.values():
            return request.expires
        return NEVER

    def expire(self, now: int) -> list[Request]:
        """Forget the requests that have expired. Returns those that got no answer."""
        unanswered = []
        while self.next_timeout() <= now:
            request = self._requests.pop(next(iter(self._requests)))
            if not request.is_accepted:
                unanswered.append(request)
        while self._asked and not self.has(self._asked[0]):
            self._asked.popleft()
        return unanswered
