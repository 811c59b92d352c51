"""A capture that is written while packets pass, in bounded memory: for hosts that serve for days."""

from typing import BinaryIO, Final

from postel.links import pcapng as blocks
from postel.tcp.state import CLOSED, TIME_WAIT
from postel.view import pcapng
from postel.view.flow import Flow
from postel.view.trace import Trace

_REMEMBERED: Final = 4096  # data segments of one direction, of which a retransmission can be told
_RECENT: Final = 16  # packets and changes of a connection


class TraceFile(Trace):
    """Of one host and its link: each packet is in ``file`` once the next one comes, or at `finish`; the file
    should be unbuffered.

    Its remarks are those of a `Trace`, as far as they need not what was long ago: it keeps of a connection
    only what later remarks need. At most ``limit`` octets are written, 0 for no bound; ``left_out`` counts
    the packets that are not in the file. Of more than ``most_flows`` connections, those that have ended are
    forgotten. ``epoch`` is the time of day, in microseconds since 1970, at which the host's clock stood at 0.
    """

    flows: list[Flow]  # of the base class: type checkers want a declaration in each class that writes it

    def __init__(
        self,
        file: BinaryIO,
        *,
        names: dict[str, str],
        epoch: int = 0,
        language: str = "en",
        limit: int = 0,
        most_flows: int = 2048,
    ) -> None:
        super().__init__(names=names)
        self._capture = blocks.Capture(file, limit=limit)
        self._epoch = epoch
        self._language = language
        self._most_flows = most_flows
        self._now = 0

    @property
    def left_out(self) -> int:
        """Packets that are not in the file."""
        return self._capture.left_out

    @property
    def error(self) -> OSError | None:
        """Why nothing more is written; None while all is well."""
        return self._capture.error

    def packet_sent(self, octets: bytes, now: int) -> None:
        self._settle(now)
        super().packet_sent(octets, now)
        self._flying.clear()  # nothing that one host sends comes back to it as the same packet

    def packet_arrived(self, octets: bytes, now: int) -> None:
        self._settle(now)
        super().packet_arrived(octets, now)

    def finish(self) -> None:
        """Write what waits, and how many packets were left out. The file is the caller's to close."""
        self._settle(self._now)
        self._capture.finish(self._now + self._epoch)

    def _settle(self, now: int) -> None:
        """Nothing more will be known of the packets until now: write them, and forget them."""
        self._now = now
        for packet in self.packets:
            flow = self._current.get((packet.source, packet.destination, packet.protocol))
            self._capture.add(
                pcapng.enhanced_packet(packet, self._epoch, pcapng.comment(packet, flow, self._language))
            )
            if flow is not None:
                flow.forget(recent=_RECENT, remembered=_REMEMBERED)
        self.packets.clear()
        if len(self.flows) > self._most_flows:
            self._forget_flows()

    def _forget_flows(self) -> None:
        """The older half, and first those that have ended: of such a connection that lives on, numbers begin
        anew.
        """
        ended = [
            flow for flow in self.flows if all(state in (CLOSED, TIME_WAIT) for state in flow.states.values())
        ]
        gone = set(ended[: len(self.flows) // 2] or self.flows[: len(self.flows) // 2])
        self.flows = [flow for flow in self.flows if flow not in gone]
        for key, flow in tuple(self._current.items()):
            if flow in gone:
                del self._current[key]
        for ends in tuple(self._causes):
            if not any((*ends, protocol) in self._current for protocol in (6, 17)):
                del self._causes[ends]
