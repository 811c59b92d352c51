"""Signed segments: TCP-AO (RFC 5925) and TCP MD5 (RFC 2385).

A connection with keys has an `Authentication`, which signs each segment that is sent and checks each that
arrives. A connection without keys has none.
"""

from abc import ABC, abstractmethod
from typing import Final

from postel.errors import ArgumentError
from postel.tcp.authentication.keys import Key
from postel.tcp.config import Config
from postel.wire.address import Endpoint
from postel.wire.options import OptionLayout
from postel.wire.segment import Segment

# Stands for the peer's initial sequence number before its SYN arrived, and for a key ID that isn't given
UNKNOWN: Final = -1


class Authentication(ABC):
    """Base class of what signs and checks the segments of one connection.

    ``keys`` are all keys that may be used. ``length`` is how many octets of option space a signature takes
    with its padding. ``accepted`` and ``refused`` count arriving segments. ``heeds_icmp`` says whether ICMP
    errors reach the connection when it is synchronized (RFC 5925, 7.8).

    The methods take ``iss`` and ``irs``, the initial sequence numbers of this end and of the peer; ``irs`` is
    UNKNOWN before the peer's SYN.
    """

    __slots__ = ("accepted", "heeds_icmp", "keys", "length", "local", "refused", "remote")

    def __init__(
        self, local: Endpoint, remote: Endpoint, keys: tuple[Key, ...], length: int, *, heeds_icmp: bool
    ) -> None:
        """Create the state of the connection between two endpoints."""
        self.local: Endpoint = local
        self.remote: Endpoint = remote
        self.keys: tuple[Key, ...] = keys
        self.length: int = length
        self.heeds_icmp: bool = heeds_icmp
        self.accepted: int = 0
        self.refused: int = 0

    @abstractmethod
    def seal(self, segment: Segment, layout: OptionLayout, iss: int, irs: int) -> bytes:
        """Return the octets of a segment, signed and with their checksum."""

    def objection(self, octets: bytes, start: int, end: int, segment: Segment, iss: int, irs: int) -> str:
        """Return why the segment at ``octets[start:end]`` must be dropped; "" if it is authentic.

        A segment that isn't authentic is dropped without an answer. The reason is the name of a counter of
        dropped packets, as "signature_missing". ``segment`` is the segment as parsed.
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
        """Return the state for the next connection of the same pair, with the same keys."""

    def adapted(self, config: Config) -> Config:
        """Return ``config``, without options that have no room beside a signature; here unchanged."""
        return config

    def install(self, keys: tuple[Key, ...]) -> None:
        """Replace the keys of a living connection. This class raises `ArgumentError`: it has no keys."""
        raise ArgumentError("keys", keys, "none: this connection was opened without")

    def prefer(self, send_id: int, receive_id: int) -> None:
        """Sign with the key ``send_id`` from now on, and ask the peer to sign with ``receive_id``.

        UNKNOWN leaves one of the two as it is. This class raises `ArgumentError`: only keys of TCP-AO have
        IDs.
        """
        raise ArgumentError("send_id", send_id, "none: only TCP-AO's keys have IDs")


def value_of(segment: Segment, wanted: int) -> bytes:
    """Return the content of the first option of the kind ``wanted``; b"" where there is none."""
    for kind, value in segment.other:
        if kind == wanted:
            return value
    return b""
