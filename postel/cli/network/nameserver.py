"""A small name server, for networks that have no other: it answers what a function knows, by UDP and, what is
longer, by TCP.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Self

from postel.aio import Network
from postel.errors import WireError
from postel.wire import address, dns
from postel.wire.dns import DnsMessage, Question, ResourceRecord

Answer = tuple[int, Sequence[ResourceRecord]]  # an RCODE, and the records
_TTL = 60


class NameServer(asyncio.DatagramProtocol):
    """``answer(question)`` is called for each query that can be read; what can't be read gets no answer."""

    def __init__(self, answer: Callable[[Question], Answer]) -> None:
        self._answer = answer
        self._transport: asyncio.DatagramTransport | None = None

    async def start(self, network: Network, port: int = dns.PORT) -> Self:
        self._transport, _ = await network.create_datagram_endpoint(lambda: self, (None, port))
        await network.start_server(self._converse, port=port)
        return self

    def datagram_received(self, data: bytes, addr: object) -> None:
        answer = self._answered(data)
        if len(answer) > dns.LONGEST_OVER_UDP:
            answer = dns.encode(dns.parse(answer)._replace(is_truncated=True, answers=()))
        if answer and self._transport is not None:
            # Asyncio's own name for what comes with a datagram
            self._transport.sendto(answer, addr)  # type: ignore[arg-type]

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            answer = self._answered(
                await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big"))
            )
            if answer:
                writer.write(len(answer).to_bytes(2, "big") + answer)
        except (asyncio.IncompleteReadError, OSError):
            pass  # half a question gets no answer
        finally:
            writer.close()

    def _answered(self, octets: bytes) -> bytes:
        try:
            query = dns.parse(octets)
        except WireError:
            return b""
        if query.is_response:
            return b""
        rcode, records = self._answer(query.question)
        return dns.encode(
            DnsMessage(query.id, query.question, is_response=True, rcode=rcode, answers=tuple(records))
        )


def alias(name: str, target: str) -> ResourceRecord:
    return ResourceRecord(name, dns.CNAME, dns.encode_name(target), _TTL)


def host(name: str, text: str) -> ResourceRecord:
    """The record that gives ``name`` this address."""
    octets = address.parse(text)
    return ResourceRecord(name, dns.A if len(octets) == 4 else dns.AAAA, octets, _TTL)
