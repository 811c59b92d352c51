"""The clock of a world, and everything that will happen: arrivals, wake-ups of hosts and the user's own
calls, in one heap, ordered by time and then by when they were put there. Between two of them nothing can
happen, so the clock jumps.
"""

from collections.abc import Callable
from heapq import heapify, heappop, heappush

from postel.host.packet_record import PacketRecord
from postel.sim.node import Node
from postel.times import NEVER

Arrival = bytes | PacketRecord
Entry = tuple[
    int, int, Node | None, Arrival, Callable[[], object] | None, str, int
]  # at last: of an arrival its sender, and since when


class Agenda:
    """What will happen in a world. ``now`` is the time of its clock."""

    def __init__(self) -> None:
        self.now: int = 0
        self.heap: list[Entry] = []  # always the same list: `postel.sim.running` keeps it
        self.order: int = 0  # the number of the last entry that was put

    def __len__(self) -> int:
        return len(self.heap)

    def put(
        self,
        when: int,
        node: Node | None,
        packet: Arrival = b"",
        call: Callable[[], object] | None = None,
        sender: str = "",
    ) -> None:
        """An arrival of ``packet`` from ``sender``; without one a wake-up of the host; or a call of the
        user's.
        """
        self.order += 1
        heappush(self.heap, (when, self.order, node, packet, call, sender, self.now))

    def number(self) -> int:
        """A number of its own for a packet that is kept elsewhere, in the order of all entries."""
        self.order += 1
        return self.order

    def arrivals(self) -> list[Entry]:
        """The packets under way, the first to arrive first."""
        return sorted((entry for entry in self.heap if entry[3]), key=_moment)

    def has(self, number: int) -> bool:
        """Whether the entry with this number is still to come."""
        return any(entry[1] == number for entry in self.heap)

    def remove(self, numbers: set[int]) -> None:
        """Take out the entries with these numbers."""
        self.heap[:] = [entry for entry in self.heap if entry[1] not in numbers]
        heapify(self.heap)

    def put_back(self, when: int, node: Node, octets: bytes, sender: str, sent_at: int) -> None:
        """A packet that was taken out, or kept elsewhere. It gets a new number."""
        self.order += 1
        heappush(self.heap, (when, self.order, node, octets, None, sender, sent_at))

    def due(self) -> int:
        """When the next entry is due; NEVER without one."""
        return self.heap[0][0] if self.heap else NEVER

    def pop(self, until: int) -> Entry | None:
        """Remove the next entry; None where none is due at ``until`` or before."""
        return heappop(self.heap) if self.heap and self.heap[0][0] <= until else None


def octets_of(packet: Arrival) -> bytes:
    """The packet, written out."""
    return packet if isinstance(packet, bytes) else packet.octets()


def _moment(entry: Entry) -> tuple[int, int]:
    return entry[:2]
