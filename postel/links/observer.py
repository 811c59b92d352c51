"""Observers of packets, as links carry them."""


class PacketObserver:
    """Base class of observers of packets: every method does nothing, so override the ones that you need.

    ``octets`` is one whole IP packet as a wire would carry it, and ``now`` the time of the host at that link, in microseconds.
    """

    def packet_sent(self, octets: bytes, now: int) -> None:
        """A host sent the packet. Whether its link carried it is told elsewhere, if at all."""

    def packet_arrived(self, octets: bytes, now: int) -> None:
        """The packet came out of the link; its host has not looked at it yet."""
