"""How large a packet may be on the way to the peer, and what is known of that: see `postel.tcp.pathmtu`."""

from postel.tcp.seq import NO_SEQUENCE
from postel.times import NEVER


class MtuSearch:
    """What a connection looks for, made when there is something to remember. Only `postel.tcp.pathmtu`
    changes it.

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
        self.told: int = told  # the path MTU that others know of
        self.high: int = 0  # the largest size worth a probe
        self.is_bounded: bool = False  # the next larger size was probed, and lost
        self.candidate: int = 0  # the size of the next probe
        self.next_at: int = NEVER  # no probe before then
        self.point: int = point  # nor before everything left of this number is acknowledged
        self.raised_at: int = raised_at  # when a probe last arrived
        self.claim: int = 0  # an MTU that a router claimed and that waits for a sign; 0: none
        self.claim_number: int = 0  # where the segment begins that it is about


class PathSizes:
    """Sizes of packets and of text that link, path and peer take. In octets."""

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
        self.link_mtu: int = link_mtu  # what we advertise
        self.mtu: int = link_mtu  # of the path: what we send
        self.burst: int = (
            0  # of text that may leave as one segment, to be cut by the link; 0: no more than one packet's
        )
        self.peer_mss: int = peer_mss
        self.signature_length: int = 0  # of the options that the authentication of every segment takes
        self.proven: int = (
            0  # the largest text that is known to have arrived in one packet: maxsizeacked of RFC 5927, 7.2
        )
        self.tried: int = 0  # and the largest that was sent: maxsizesent
        self.tried_end: int = NO_SEQUENCE  # the ACK of that, where it was sent only once
        self.search: MtuSearch | None = None
