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
        self._heap: list[Entry] = []
        self._order = 0

    def __len__(self) -> int:
        return len(self._heap)

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
        self._order += 1
        heappush(self._heap, (when, self._order, node, packet, call, sender, self.now))

    def number(self) -> int:
        """A number of its own for a packet that is kept elsewhere, in the order of all entries."""
        self._order += 1
        return self._order

    def arrivals(self) -> list[Entry]:
        """The packets under way, the first to arrive first."""
        return sorted((entry for entry in self._heap if entry[3]), key=_moment)

    def has(self, number: int) -> bool:
        """Whether the entry with this number is still to come."""
        return any(entry[1] == number for entry in self._heap)

    def remove(self, numbers: set[int]) -> None:
        """Take out the entries with these numbers."""
        self._heap = [entry for entry in self._heap if entry[1] not in numbers]
        heapify(self._heap)

    def put_back(self, when: int, node: Node, octets: bytes, sender: str, sent_at: int) -> None:
        """A packet that was taken out, or kept elsewhere. It gets a new number."""
        self._order += 1
        heappush(self._heap, (when, self._order, node, octets, None, sender, sent_at))

    @property
    def last(self) -> int:
        """The number of the last entry that was put."""
        return self._order

    def due(self) -> int:
        """When the next entry is due; NEVER without one."""
        return self._heap[0][0] if self._heap else NEVER

    def pop(self, until: int) -> Entry | None:
        """Remove the next entry; None where none is due at ``until`` or before."""
        heap = self._heap
        return heappop(heap) if heap and heap[0][0] <= until else None


def octets_of(packet: Arrival) -> bytes:
    """The packet, written out."""
    return packet if isinstance(packet, bytes) else packet.octets()


def _moment(entry: Entry) -> tuple[int, int]:
    return entry[:2]
