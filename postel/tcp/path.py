"""Sizes of packets and payload on the path to the peer; `postel.tcp.pathmtu` explains their use."""

from postel.tcp.seq import NO_SEQUENCE
from postel.times import NEVER


class MtuSearch:
    """Search for the path MTU, made when it is needed. Only `postel.tcp.pathmtu` changes it.

    Sizes are those of packets, the IP header included.
    """

    __slots__ = (
        "candidate",
        "claim",
        "claim_number",
        "high",
        "is_bounded",
        "next_at",
        "point",
        "raised_at",
        "told",
    )

    def __init__(self, told: int, point: int, raised_at: int) -> None:
        """Begin without a probe; ``told``, ``point`` and ``raised_at`` are explained below."""
        self.told: int = told  # the path MTU that the host's other connections know
        self.high: int = 0  # the largest size worth a probe
        self.is_bounded: bool = False  # the next larger size was probed, and lost
        self.candidate: int = 0  # the size of the next probe
        self.next_at: int = NEVER  # no probe before this time
        self.point: int = point  # no probe before everything left of this number is acknowledged
        self.raised_at: int = raised_at  # when a probe last arrived
        self.claim: int = 0  # an MTU that a router claimed, which waits for a sign of loss; 0: none
        self.claim_number: int = 0  # sequence number at which the segment that the router refused begins


class PathSizes:
    """Sizes of packets and payload that link, path and peer accept, in octets."""

    __slots__ = (
        "burst",
        "link_mtu",
        "mtu",
        "peer_mss",
        "proven",
        "search",
        "signature_length",
        "tried",
        "tried_end",
    )

    def __init__(self, link_mtu: int, peer_mss: int) -> None:
        """Begin with the link's MTU as the path's."""
        self.link_mtu: int = link_mtu  # MTU of our link, from which the MSS option of our SYN follows
        self.mtu: int = link_mtu  # MTU of the path, which limits the packets that we send
        # The largest payload of a segment that the link cuts into packets; 0: a segment is one packet
        self.burst: int = 0
        self.peer_mss: int = peer_mss
        self.signature_length: int = 0  # length of the option that authenticates every segment; 0: none
        # The largest payload known to have arrived in one packet: maxsizeacked of RFC 5927, 7.2
        self.proven: int = 0
        self.tried: int = 0  # the largest payload sent in one packet: maxsizesent
        # An ACK of this number proves that payload of the size `tried` arrived; unknown after a
        # retransmission
        self.tried_end: int = NO_SEQUENCE
        self.search: MtuSearch | None = None
