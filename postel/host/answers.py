"""What a host does with a program's answers to connection requests (`postel.host.requests`)."""

from typing import Final

from postel.errors import WireError
from postel.host.connections import Connections
from postel.host.icmp import Icmp
from postel.host.listener import Answering, Listener
from postel.host.requests import Answer, Request
from postel.host.unclaimed import Unclaimed
from postel.wire import icmp, ip
from postel.wire.segment import parse_leniently

_ECN: Final = 3  # the ECN field: two bits of the traffic class (RFC 3168, 5)
_CODES: Final[dict[str, int]] = {
    "unreachable": icmp.NO_HOST,
    "no-network": icmp.NO_NETWORK,
    "prohibited": icmp.PROHIBITED,
}


class RequestAnswers(Answering):
    """Carries out the answers of all listeners of a host."""

    __slots__ = ("_connections", "_icmp", "_unclaimed")

    def __init__(self, connections: Connections, unclaimed: Unclaimed, icmp: Icmp) -> None:
        """Use these parts of the host."""
        self._connections = connections
        self._unclaimed = unclaimed
        self._icmp = icmp

    def answer(self, listener: Listener, request: Request, answer: Answer, now: int) -> None:
        """Carry out the program's answer to a request.

        After "accept" the host processes the request's SYN once more, and now the listener takes it. By then
        the pair may belong to a connection, a record of TIME-WAIT or no listener at all; the SYN is handled
        accordingly.
        """
        try:
            packet = ip.parse(request.octets)
            syn = parse_leniently(packet.octets, packet.start, packet.end)
        except WireError:
            # The link has delivered the payload apart from the SYN. The client will send the SYN again
            return
        if answer == "accept":
            syn.ecn = packet.traffic_class & _ECN
            if not self._connections.segment_arrives(request.key, syn, packet, now):
                self._unclaimed.arrives(packet, syn, listener.config, now)
        elif answer == "refuse":
            self._unclaimed.refuse(syn, request.local, request.remote, listener.config, now)
        elif answer in _CODES:
            self._icmp.refuse_connection(_CODES[answer], packet, now)
