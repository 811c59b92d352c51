"""Resolver of names for asyncio: it asks name servers over the network's own UDP, and TCP for long answers.

`Resolver` is a stub resolver (RFC 1034, 5.3.1). An answer counts only when it comes from the server that was
asked, to the random port and with the random identifier of this question, and repeats the question (RFC 5452,
4). All others are ignored.
"""

import asyncio
import socket
from collections.abc import Mapping, Sequence
from contextlib import suppress
from random import Random, SystemRandom

from postel.aio.network import Network
from postel.errors import AddressInUse, ArgumentError, WireError, require_kind
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
from postel.wire import address, dns
from postel.wire.address import Address, Endpoint
from postel.wire.dns import DnsMessage, Question


class Resolver:
    """Resolver (`NameResolver`) that asks name servers over ``network``.

    ``servers`` are addresses with or without a port, tried in this order. ``known`` maps names to addresses
    that are known without a server. ``random`` chooses ports and identifiers; give one with a seed for
    simulations. Raises KindError and ArgumentError.

    ::

        resolver = Resolver(network, ["10.7.0.1"], known={"router.example": "10.7.0.254"})
        await resolver.addresses("www.example.org")
    """

    def __init__(
        self,
        network: Network,
        servers: Sequence[Address],
        *,
        known: Mapping[str, str] | None = None,
        random: Random | None = None,
    ) -> None:
        """Make a resolver on ``network``, which needn't be open yet."""
        self._network = network
        require_kind("servers", servers, (list, tuple), "a list of addresses, with a port or without")
        self._servers = [server(where) for where in servers]
        self._known = {dns.canonical(name): text for name, text in (known or {}).items()}
        self._random = random or SystemRandom()

    async def addresses(self, name: str) -> list[str]:
        """Return the addresses of ``name`` as text, IPv6 first.

        The resolver asks only for addresses of families of which the host has an address. If ``name`` is an
        IP address, it is returned as it is. Raises NotResolved, which is a ``socket.gaierror``.
        """
        with suppress(ArgumentError):
            return [address.to_text(address.parse(self._known.get(dns.canonical(name), name)))]
        lengths = {len(interface.address) for interface in self._network.host.routes.interfaces}
        kinds = [kind for length, kind in TYPES.items() if length in lengths]
        asked = encoded(name)
        found = await asyncio.gather(*(self._lookup(asked, kind) for kind in kinds), return_exceptions=True)
        octets = [each for result in found if not isinstance(result, BaseException) for each in result]
        if not octets:
            failures = [result for result in found if isinstance(result, BaseException)]
            raise failures[-1] if failures else UnresolvedName(socket.EAI_NONAME, f"{name} has no address")
        return [address.to_text(each) for each in octets]

    async def _lookup(self, name: str, kind: int) -> list[bytes]:
        """Addresses of one kind: those of ``name``, or of the name to which its aliases lead."""
        chain = AliasChain(name)
        while True:
            answer = await self._answer(Question(chain.name, kind))
            if (found := chain.follow(answer)) is not None:
                return found

    async def _answer(self, question: Question) -> DnsMessage:
        """First useful answer of any server. The servers are asked one after another, in three rounds."""
        failure = no_server()
        for patience in PATIENCE:
            for where in self._servers:
                try:
                    async with asyncio.timeout(patience):
                        answer = await self._ask(question, where)
                except (OSError, WireError) as error:
                    failure = unanswered(where, error)
                else:
                    if is_useful(answer):
                        return answer
                    failure = refused(where, answer)
        raise failure

    async def _ask(self, question: Question, where: Endpoint) -> DnsMessage:
        """Ask one server: by UDP, and again by TCP where the answer doesn't fit."""
        query = DnsMessage(self._random.randrange(1 << 16), question)
        answer = await self._ask_over_udp(query, where)
        return await self._ask_over_tcp(query, where) if answer.is_truncated else answer

    async def _ask_over_udp(self, query: DnsMessage, where: Endpoint) -> DnsMessage:
        """Ask one server by UDP."""
        expected = Expected(query)
        transport = await self._socket(expected, where)
        try:
            transport.sendto(dns.encode(query))
            return await expected.answer
        finally:
            transport.close()

    async def _socket(self, expected: "Expected", where: Endpoint) -> asyncio.DatagramTransport:
        """Open a UDP socket to the server, on a port that is hard to guess (RFC 5452, 9.2).

        A port that the host chooses is only different from others, not random.
        """
        remote = (address.to_text(where.address), where.port)
        for _ in range(ATTEMPTS_AT_A_PORT):
            port = self._random.randrange(FIRST_PORT, 1 << 16)
            with suppress(AddressInUse):
                transport, _ = await self._network.create_datagram_endpoint(
                    lambda: expected, (None, port), remote
                )
                return transport
        raise AddressInUse("no UDP port is free")

    async def _ask_over_tcp(self, query: DnsMessage, where: Endpoint) -> DnsMessage:
        """Ask one server by TCP. Each message has its length in front (RFC 7766, 8)."""
        reader, writer = await self._network.open_connection(address.to_text(where.address), where.port)
        try:
            octets = dns.encode(query)
            writer.write(len(octets).to_bytes(2, "big") + octets)
            length = int.from_bytes(await reader.readexactly(2), "big")
            answer = dns.parse(await reader.readexactly(length))
        except asyncio.IncompleteReadError:
            raise WireError("dns", "the answer over TCP isn't whole") from None
        finally:
            writer.close()
        require_answer(answer, query)
        return answer


class Expected(asyncio.DatagramProtocol):
    """Protocol that waits for the datagram that answers ``query``."""

    def __init__(self, query: DnsMessage) -> None:
        """Wait from now on; ``answer`` is completed with the answer."""
        self._query = query
        self.answer: asyncio.Future[DnsMessage] = asyncio.get_running_loop().create_future()

    def datagram_received(self, data: bytes, addr: object) -> None:
        """Complete ``answer`` where this datagram is the answer."""
        try:
            message = dns.parse(data)
        except WireError:
            return  # any host may have sent this datagram: the right answer may still come
        if answers(message, self._query) and not self.answer.done():
            self.answer.set_result(message)

    def error_received(self, exc: Exception) -> None:
        """Fail, because an ICMP message says that the server can't be reached."""
        if not self.answer.done():
            self.answer.set_exception(exc)

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail, because the network or its link has ended."""
        if exc is not None:
            self.error_received(exc)
