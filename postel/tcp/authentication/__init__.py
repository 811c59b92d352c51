"""Signed segments: TCP-AO (RFC 5925) and TCP MD5 (RFC 2385). Without keys a connection has no
`Authentication`.
"""

from abc import ABC, abstractmethod
from typing import Final

from postel.errors import ArgumentError
from postel.tcp.authentication.keys import Key
from postel.tcp.config import Config
from postel.wire.address import Endpoint
from postel.wire.options import OptionLayout
from postel.wire.segment import Segment

UNKNOWN: Final = -1  # an initial sequence number, before the peer's SYN; an ID that no call named


class Authentication(ABC):
    """What signs the segments of one connection and judges those that arrive.

    ``keys`` are all that may be used, ``length`` the octets of options that a signature takes with its
    padding. ``accepted`` and ``refused`` count arriving segments. ``iss`` and ``irs`` are the connection's
    own number and its peer's, UNKNOWN before its SYN.
    """

    __slots__ = ("accepted", "heeds_icmp", "keys", "length", "local", "refused", "remote")

    def __init__(
        self, local: Endpoint, remote: Endpoint, keys: tuple[Key, ...], length: int, *, heeds_icmp: bool
    ) -> None:
        self.local: Endpoint = local
        self.remote: Endpoint = remote
        self.keys: tuple[Key, ...] = keys
        self.length: int = length
        self.heeds_icmp: bool = heeds_icmp  # RFC 5925, 7.8
        self.accepted: int = 0
        self.refused: int = 0

    @abstractmethod
    def seal(self, segment: Segment, layout: OptionLayout, iss: int, irs: int) -> bytes:
        """The segment's octets, signed, with their checksum."""

    def objection(self, octets: bytes, start: int, end: int, segment: Segment, iss: int, irs: int) -> str:
        """Why the segment at ``octets[start:end]`` must be dropped without an answer; "" where it is
        authentic.
        """
        reason = self._fault(octets, start, end, segment, iss, irs)
        if reason:
            self.refused += 1
        else:
            self.accepted += 1
        return reason

    @abstractmethod
    def _fault(self, octets: bytes, start: int, end: int, segment: Segment, iss: int, irs: int) -> str: ...

    @abstractmethod
    def successor(self) -> "Authentication":
        """For the next connection of this pair, with the same keys."""

    def adapted(self, config: Config) -> Config:
        """What the connection can do beside a signature."""
        return config

    def install(self, keys: tuple[Key, ...]) -> None:
        """Replace the keys of a living connection. Raises ArgumentError."""
        raise ArgumentError("keys", keys, "none: this connection was opened without")

    def prefer(self, send_id: int, receive_id: int) -> None:
        """Sign with that key from now on, and ask the peer to; UNKNOWN leaves one as it is. Raises
        ArgumentError.
        """
        raise ArgumentError("send_id", send_id, "none: only TCP-AO's keys have IDs")


def value_of(segment: Segment, wanted: int) -> bytes:
    """The content of the first option of that kind; b"" where there is none."""
    for kind, value in segment.other:
        if kind == wanted:
            return value
    return b""
