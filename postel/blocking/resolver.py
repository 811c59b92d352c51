"""Resolver of names for blocking programs: it asks name servers by UDP and TCP sockets of the network.

It is a stub resolver (RFC 1034, 5.3.1).
"""

import socket
import time
from collections.abc import Sequence
from contextlib import suppress
from random import SystemRandom
from typing import Protocol

from postel.blocking.sockets import DescriptorSocket
from postel.errors import AddressInUse, WireError, require_kind
from postel.host.host import Host
from postel.sockets.names import UnresolvedName
from postel.sockets.questions import (
    ATTEMPTS_AT_A_PORT,
    FIRST_PORT,
    PATIENCE,
    TYPES,
    AliasChain,
    answers,
    encoded,
    is_useful,
    no_server,
    refused,
    require_answer,
    server,
    unanswered,
)
from postel.wire import dns
from postel.wire.address import Address, Endpoint, to_text
from postel.wire.dns import DnsMessage, Question

_LARGEST = 65535


class ResolverNetwork(Protocol):
    """Network over which a resolver asks name servers."""

    host: Host
    socket: type[DescriptorSocket]


class StubResolver:
    """Resolver that asks ``servers`` in their order: addresses of name servers, perhaps with a port."""

    def __init__(self, network: ResolverNetwork, servers: Sequence[Address]) -> None:
        """Make a resolver. Raises KindError and ArgumentError."""
        require_kind("servers", servers, (list, tuple), "a list of addresses, with a port or without")
        self._network = network
        self._servers = [server(where) for where in servers]
        self._random = SystemRandom()

    def addresses(self, name: str) -> list[str]:
        """Return the addresses of ``name`` as text, IPv6 first. Raises NotResolved.

        The resolver asks for addresses of a family only if the host has an address of that family.
        """
        lengths = {len(interface.address) for interface in self._network.host.routes.interfaces}
        asked = encoded(name)
        found: list[bytes] = []
        failure = UnresolvedName(socket.EAI_NONAME, f"{name} has no address")
        for length, kind in TYPES.items():
            if length in lengths:
                try:
                    found += self._lookup(asked, kind)
                except UnresolvedName as error:
                    failure = error
        if not found:
            raise failure
        return [to_text(octets) for octets in found]

    def _lookup(self, name: str, kind: int) -> list[bytes]:
        """Addresses of one kind: those of ``name``, or of the name to which its aliases lead."""
        chain = AliasChain(name)
        while True:
            answer = self._answer(Question(chain.name, kind))
            if (found := chain.follow(answer)) is not None:
                return found

    def _answer(self, question: Question) -> DnsMessage:
        """First useful answer of any server. All servers are asked one after another, up to three times."""
        failure = no_server()
        for patience in PATIENCE:
            for where in self._servers:
                try:
                    answer = self._ask(question, where, patience)
                except (OSError, WireError) as error:
                    failure = unanswered(where, error)
                else:
                    if is_useful(answer):
                        return answer
                    failure = refused(where, answer)
        raise failure

    def _ask(self, question: Question, where: Endpoint, patience: float) -> DnsMessage:
        """Ask one server by UDP, and again by TCP if the answer doesn't fit into a datagram."""
        query = DnsMessage(self._random.randrange(1 << 16), question)
        answer = self._ask_over_udp(query, where, patience)
        return self._ask_over_tcp(query, where, patience) if answer.is_truncated else answer

    def _ask_over_udp(self, query: DnsMessage, where: Endpoint, patience: float) -> DnsMessage:
        """Ask one server by UDP, for up to ``patience`` seconds."""
        deadline = time.monotonic() + patience
        with self._network.socket(_family(where), socket.SOCK_DGRAM) as sock:
            self._bind_by_chance(sock)
            sock.connect((where.host, where.port))
            sock.send(dns.encode(query))
            while True:
                sock.settimeout(max(0.001, deadline - time.monotonic()))
                octets = sock.recv(_LARGEST)
                # Any host may have sent this datagram: the right answer may still come
                with suppress(WireError):
                    answer = dns.parse(octets)
                    if answers(answer, query):
                        return answer

    def _bind_by_chance(self, sock: DescriptorSocket) -> None:
        """Bind to a random port, which is hard to guess (RFC 5452, 9.2). Raises AddressInUse.

        A port that the host chooses differs from ports in use, but isn't random.
        """
        for _ in range(ATTEMPTS_AT_A_PORT):
            with suppress(AddressInUse):
                sock.bind(("", self._random.randrange(FIRST_PORT, 1 << 16)))
                return
        raise AddressInUse("no UDP port is free")

    def _ask_over_tcp(self, query: DnsMessage, where: Endpoint, patience: float) -> DnsMessage:
        """Ask one server by TCP. Each message has its length in front (RFC 7766, 8)."""
        octets = dns.encode(query)
        with self._network.socket(_family(where), socket.SOCK_STREAM) as sock:
            sock.settimeout(patience)
            sock.connect((where.host, where.port))
            sock.sendall(len(octets).to_bytes(2, "big") + octets)
            with sock.makefile("rb") as file:
                length = int.from_bytes(file.read(2), "big")
                answer = dns.parse(file.read(length))
        require_answer(answer, query)
        return answer


def _family(where: Endpoint) -> int:
    """Return the family of a server's address."""
    return socket.AF_INET if len(where.address) == 4 else socket.AF_INET6
