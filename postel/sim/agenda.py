"""Clock of a world, and a heap of everything that will happen.

Arrivals, wake-ups of hosts and calls of the user are ordered by time. Entries of the same time are in the
order in which they were put there. Nothing can happen between two entries, so the clock jumps from one to the
next.
"""

from collections.abc import Callable
from heapq import heapify, heappop, heappush

from postel.host.packet_record import PacketRecord
from postel.sim.node import Node
from postel.times import NEVER

Arrival = bytes | PacketRecord
# Time in microseconds, number of the entry, host, packet, call; for an arrival also the sender's name and the
# time at which the packet left.
Entry = tuple[int, int, Node | None, Arrival, Callable[[], object] | None, str, int]


class Agenda:
    """Clock of a world and heap of all that will happen. ``now`` is the clock's time in microseconds."""

    def __init__(self) -> None:
        """Begin at time 0, with an empty heap."""
        self.now: int = 0
        self.heap: list[Entry] = []  # always the same list: `postel.sim.running` keeps it
        self.order: int = 0  # the number of the last entry

    def __len__(self) -> int:
        """Number of entries in the heap."""
        return len(self.heap)

    def put(
        self,
        when: int,
        node: Node | None,
        packet: Arrival = b"",
        call: Callable[[], object] | None = None,
        sender: str = "",
    ) -> None:
        """Add an entry at the time ``when``.

        It is the arrival of ``packet`` from ``sender``, or a ``call``, or else a wake-up of ``node``.
        """
        self.order += 1
        heappush(self.heap, (when, self.order, node, packet, call, sender, self.now))

    def number(self) -> int:
        """Take the next entry's number for a packet that is kept outside of the heap, as a held packet is."""
        self.order += 1
        return self.order

    def arrivals(self) -> list[Entry]:
        """Packets under way, the first to arrive first."""
        return sorted((entry for entry in self.heap if entry[3]), key=_moment)

    def has(self, number: int) -> bool:
        """Whether the entry with this number is still in the heap."""
        return any(entry[1] == number for entry in self.heap)

    def remove(self, numbers: set[int]) -> None:
        """Take out the entries with these numbers."""
        self.heap[:] = [entry for entry in self.heap if entry[1] not in numbers]
        heapify(self.heap)

    def put_back(self, when: int, node: Node, octets: bytes, sender: str, sent_at: int) -> None:
        """Put back a packet that was removed or was kept elsewhere. Its entry gets a new number."""
        self.order += 1
        heappush(self.heap, (when, self.order, node, octets, None, sender, sent_at))

    def due(self) -> int:
        """Time of the next entry, in microseconds; NEVER if the heap is empty."""
        return self.heap[0][0] if self.heap else NEVER

    def pop(self, until: int) -> Entry | None:
        """Remove and return the next entry. Return None if no entry is due at ``until`` or before."""
        return heappop(self.heap) if self.heap and self.heap[0][0] <= until else None


def octets_of(packet: Arrival) -> bytes:
    """Octets of a packet. A `PacketRecord` is written out as octets first."""
    return packet if isinstance(packet, bytes) else packet.octets()


def _moment(entry: Entry) -> tuple[int, int]:
    return entry[:2]
