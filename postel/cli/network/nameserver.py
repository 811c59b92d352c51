"""Small name server for a network that has no other.

It answers by UDP, and by TCP where an answer is too long for UDP. A function gives the answers.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Self

from postel.aio import Network
from postel.errors import WireError
from postel.wire import address, dns
from postel.wire.dns import DnsMessage, Question, ResourceRecord

Answer = tuple[int, Sequence[ResourceRecord]]  # response code (RCODE), and the records of the answer section
_TTL = 60


class NameServer(asyncio.DatagramProtocol):
    """Name server that calls ``answer(question)`` for each query.

    Octets that aren't a query get no answer.
    """

    def __init__(self, answer: Callable[[Question], Answer]) -> None:
        """Take the function that answers."""
        self._answer = answer
        self._transport: asyncio.DatagramTransport | None = None

    async def start(self, network: Network, port: int = dns.PORT) -> Self:
        """Listen on a port by UDP and by TCP."""
        self._transport, _ = await network.create_datagram_endpoint(lambda: self, (None, port))
        await network.start_server(self._converse, port=port)
        return self

    def datagram_received(self, data: bytes, addr: object) -> None:
        """Answer a query that came by UDP; an answer that is too long is marked as truncated."""
        answer = self._answered(data)
        if len(answer) > dns.LONGEST_OVER_UDP:
            answer = dns.encode(dns.parse(answer)._replace(is_truncated=True, answers=()))
        if answer and self._transport is not None:
            # asyncio gives addresses to this method as objects of any type
            self._transport.sendto(answer, addr)  # type: ignore[arg-type]

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            answer = self._answered(
                await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big"))
            )
            if answer:
                writer.write(len(answer).to_bytes(2, "big") + answer)
        except (asyncio.IncompleteReadError, OSError):
            pass  # a query that isn't whole gets no answer
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
    """Make the record that says that ``name`` is another name of ``target``."""
    return ResourceRecord(name, dns.CNAME, dns.encode_name(target), _TTL)


def host(name: str, text: str) -> ResourceRecord:
    """Make the record that gives ``name`` this address."""
    octets = address.parse(text)
    return ResourceRecord(name, dns.A if len(octets) == 4 else dns.AAAA, octets, _TTL)
