"""Capture that is written while packets pass, in bounded memory, for hosts that serve for days."""

from typing import BinaryIO, Final

from postel.links import pcapng as blocks
from postel.tcp.state import CLOSED, TIME_WAIT
from postel.view import pcapng
from postel.view.flow import Flow
from postel.view.trace import Trace

_REMEMBERED: Final = 4096  # segments kept for each direction of a connection, to recognise retransmissions
_RECENT: Final = 16  # number of packets, and of changes of state, kept for each connection


class TraceFile(Trace):
    """Trace of one host and its link that writes each packet into ``file`` when the next packet passes.

    `finish` writes the last packet. The file should be unbuffered, so that it is complete however the program
    ends.

    Each packet gets the comment that it would get from a `Trace`, except where the comment depends on packets
    that are forgotten: each connection keeps only its latest packets and ranges of sequence numbers. When
    there are more than ``most_flows`` connections, up to half are forgotten, first those that have ended.

    At most ``limit`` octets are written, or any number with 0; ``left_out`` counts packets that aren't in the
    file. ``epoch`` is the time of day, in microseconds since 1970, at which the host's clock stood at 0.
    """

    flows: list[Flow]  # repeated from the base class: type checkers want it in each class that assigns it

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
        """Begin a capture in ``file``, a binary file that is open for writing."""
        super().__init__(names=names)
        self._capture = blocks.Capture(file, limit=limit)
        self._epoch = epoch
        self._language = language
        self._most_flows = most_flows
        self._now = 0

    @property
    def left_out(self) -> int:
        """Number of packets that aren't in the file."""
        return self._capture.left_out

    @property
    def error(self) -> OSError | None:
        """Error from writing the file, after which nothing more is written; None if there was none."""
        return self._capture.error

    def packet_sent(self, octets: bytes, now: int) -> None:
        """Write the previous packet into the file, and record the new one."""
        self._settle(now)
        super().packet_sent(octets, now)
        self._flying.clear()  # a packet that this host sends never arrives at the same host

    def packet_arrived(self, octets: bytes, now: int) -> None:
        """Write the previous packet into the file, and record the new one."""
        self._settle(now)
        super().packet_arrived(octets, now)

    def finish(self) -> None:
        """Write the last packet, and how many packets were left out. The caller closes the file."""
        self._settle(self._now)
        self._capture.finish(self._now + self._epoch)

    def _settle(self, now: int) -> None:
        """Write the recorded packets and forget them, because no later call adds to their records."""
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
        """Forget up to half of the connections: those that have ended, or the oldest if none has ended.

        If a forgotten connection goes on, its relative numbers begin anew.
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
