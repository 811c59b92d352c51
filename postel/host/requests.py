"""Connection requests: SYNs that wait until the program answers, at a listener with ``ask=True``.

::

    SYN ──► waits ──► next_request() ──► answer("accept") ──► half-open, or a SYN cookie
            bounded in number            answer("refuse") ──► RST
            and in time                  answer("unreachable") … ──► ICMP
                                         answer("ignore"), or no answer in time ──► nothing
"""

from collections import deque
from typing import Final, Literal, TypeAlias, get_args

from postel.times import MINUTE, NEVER, SECOND
from postel.wire.address import Endpoint

# Microseconds: by then a client with an RTO of 1 s has sent its SYN five times
ANSWER_WITHIN: Final = 20 * SECOND
LONGEST_WAIT: Final = 10 * MINUTE

# The program's answer to a request. "accept": the handshake goes on. "refuse": RST, as if nothing listened.
# "unreachable", "no-network", "prohibited": the ICMP errors "host unreachable", "network unreachable" and
# "administratively prohibited". "ignore": nothing, as if the SYN had been lost
Answer: TypeAlias = Literal["accept", "refuse", "unreachable", "no-network", "prohibited", "ignore"]
ANSWERS: Final[tuple[str, ...]] = get_args(Answer)


class Request:
    """A client's SYN from ``remote`` to ``local`` that waits for the program's answer.

    `Listener.next_request` returns it. SYNs that the client sends again don't make new requests.

    It has these attributes:
        local: the own endpoint to which the SYN was sent.
        remote: the client's endpoint.
        arrived: when the first SYN arrived, in microseconds.
        expires: when the request is forgotten if it isn't answered, in microseconds.
    """

    __slots__ = ("arrived", "expires", "is_accepted", "key", "local", "octets", "remote")

    def __init__(
        self, key: bytes, local: Endpoint, remote: Endpoint, octets: bytes, now: int, expires: int
    ) -> None:
        """Make a request for a SYN that arrived at ``now``."""
        self.key: bytes = key
        self.local: Endpoint = local
        self.remote: Endpoint = remote
        self.octets: bytes = octets  # the packet with the latest SYN
        self.arrived: int = now
        self.expires: int = expires
        self.is_accepted: bool = False

    def __repr__(self) -> str:
        """Short text with both endpoints."""
        return f"<request from {self.remote} to {self.local}>"


class Waiting:
    """Requests of one listener that aren't answered yet, or that are accepted and wait for room.

    An accepted client makes no new request: its next SYN passes once there is room, and so does the ACK that
    returns its SYN cookie.
    """

    __slots__ = ("_asked", "_requests", "most", "within")

    def __init__(self, most: int, within: int) -> None:
        """Allow ``most`` requests at once, each for ``within`` microseconds."""
        self.most: int = most
        self.within: int = within
        self._requests: dict[bytes, Request] = {}  # requests by key, in the order in which they expire
        self._asked: deque[Request] = deque()  # requests that `next` hasn't returned yet

    def __len__(self) -> int:
        """Number of requests."""
        return len(self._requests)

    def get(self, key: bytes) -> Request | None:
        """Request of the pair with this key, or None."""
        return self._requests.get(key)

    def put(self, request: Request) -> bool:
        """Add a request. Returns False if the largest allowed number of requests waits already."""
        if len(self._requests) >= self.most:
            return False
        self._requests[request.key] = request
        self._asked.append(request)
        return True

    def next(self) -> Request | None:
        """Oldest request that the program hasn't seen, and that still waits; None where there is none."""
        while self._asked:
            request = self._asked.popleft()
            if self.has(request):
                return request
        return None

    def has(self, request: Request) -> bool:
        """Whether a request still waits for its answer."""
        return self._requests.get(request.key) is request and not request.is_accepted

    def accept(self, request: Request, now: int) -> None:
        """Let SYNs of this client pass from now on, for ``within`` microseconds."""
        del self._requests[request.key]
        request.is_accepted = True
        request.expires = now + self.within
        self._requests[request.key] = request

    def discard(self, key: bytes) -> None:
        """Forget the request of the pair with this key, if there is one."""
        self._requests.pop(key, None)

    def clear(self) -> None:
        """Forget all requests."""
        self._requests.clear()
        self._asked.clear()

    def leave(self, address: bytes) -> None:
        """Forget the requests to an address that the host has lost."""
        self._requests = {
            key: request for key, request in self._requests.items() if request.local.address != address
        }

    def next_timeout(self) -> int:
        """Time in microseconds at which the first request expires; NEVER where there is none."""
        for request in self._requests.values():
            return request.expires
        return NEVER

    def expire(self, now: int) -> list[Request]:
        """Forget the requests that have expired by ``now``. Returns those that had no answer."""
        unanswered = []
        while self.next_timeout() <= now:
            request = self._requests.pop(next(iter(self._requests)))
            if not request.is_accepted:
                unanswered.append(request)
        while self._asked and not self.has(self._asked[0]):
            self._asked.popleft()
        return unanswered
