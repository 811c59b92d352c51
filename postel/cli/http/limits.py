"""How long a server waits for its peers, how many it serves at once, and what it has counted."""

from dataclasses import asdict, dataclass, field


@dataclass(frozen=True, slots=True)
class Limits:
    """``idle``: seconds without a request, from when all of the last response is acknowledged; then the connection is closed with FIN.
    ``request``: seconds for a request, from its first octet to the end of its body; then it is answered with 408.
    ``send``: seconds in which a peer acknowledges not an octet of what waits for it; then its connection is aborted.
    ``connections``: how many at once; beyond them an idle one is closed, or, if none is idle, the new one is answered with 503.
    """

    idle: float = 60.0
    request: float = 60.0
    send: float = 60.0
    connections: int = 10_000


@dataclass(slots=True)
class Counters:
    """``open`` and ``peak`` are connections now and at most at once; ``recent`` is such a peak that may be set back. The others only grow.

    ``connections`` were accepted; ``refused`` of them were answered with 503 for the limit, and ``aborted`` ended without FIN.
    ``idle`` ended for want of a request, and ``stalled`` because the peer read nothing. ``octets`` are those of heads and bodies written.
    """

    open: int = 0
    peak: int = 0
    recent: int = 0
    connections: int = 0
    refused: int = 0
    aborted: int = 0
    idle: int = 0
    stalled: int = 0
    requests: int = 0
    octets: int = 0
    statuses: dict[int, int] = field(default_factory=dict)

    def answered(self, status: int) -> None:
        self.requests += 1
        self.statuses[status] = self.statuses.get(status, 0) + 1

    def read(self) -> dict[str, object]:
        """All of them, for JSON."""
        return asdict(self)
