"""Fetch of a URL in steps (name, handshake, TLS, request, response, close), with the time of each step."""

import asyncio
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import BinaryIO, Final

from postel.aio import Network
from postel.aio.resolver import Resolver
from postel.cli.http import client
from postel.cli.http.client import BadResponse, Target
from postel.errors import ArgumentError
from postel.times import NEVER, SECOND
from postel.wire import address

DNS: Final = "dns"
CONNECT: Final = "connect"
TLS: Final = "tls"
WAIT: Final = "wait"  # from the request to the first octet of the response
CONTENT: Final = "content"  # from the first octet of the response to the last
CLOSE: Final = "close"

_PATIENCE: Final = 10.0  # seconds to connect to one address, if another address is left to try


@dataclass(slots=True)
class Step:
    """One step of a fetch; times are microseconds of the loop's clock."""

    name: str
    begin: int
    end: int = NEVER
    failed: bool = False


@dataclass(slots=True)
class Visit:
    """Record of the fetch of one URL; a redirect leads to another visit.

    ``status`` is 0 if no response came, and ``octets`` counts the octets of the content.
    """

    where: Target
    steps: list[Step] = field(default_factory=list)
    status: int = 0
    octets: int = 0

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Record when the block begins and ends, and whether it fails, as a step with this name."""
        step = Step(name, _now())
        self.steps.append(step)
        try:
            yield
        except BaseException:
            step.failed = True
            raise
        finally:
            step.end = _now()


class Fetch:
    """Fetch of a URL over ``network``; ``visits`` has a record of each URL, also if the fetch failed."""

    def __init__(self, network: Network, resolver: Resolver, security: ssl.SSLContext) -> None:
        """Take the network, the resolver of names and the settings of TLS."""
        self.visits: list[Visit] = []
        self._network = network
        self._resolver = resolver
        self._security = security

    async def get(self, where: Target, output: BinaryIO, *, includes_head: bool, most_redirects: int) -> int:
        """Fetch a URL and write the content of the last response to ``output``. Returns its status.

        The last step closes the connection and the network. Raises BadResponse, NotResolved, and the errors
        of a connection.
        """
        while True:
            visit = Visit(where)
            self.visits.append(visit)
            onward = await self._visit(visit, output, includes_head=includes_head, follows=most_redirects > 0)
            if onward is None:
                return visit.status
            if len(self.visits) > most_redirects:
                raise BadResponse(f"more than {most_redirects} redirects")
            where = onward

    async def _visit(
        self, visit: Visit, output: BinaryIO, *, includes_head: bool, follows: bool
    ) -> Target | None:
        """Fetch one URL. Returns the target of a redirect, or None if the content was written."""
        reader, writer = await self._connected(visit)
        try:
            if visit.where.is_secure:
                await self._secure(visit, writer)
            with visit.step(WAIT):
                writer.write(client.request(visit.where, "postel"))
                begun = await reader.read(1)
            with visit.step(CONTENT):
                head = await client.read_head(reader, begun)
                visit.status = head.status
                if includes_head:
                    output.write(head.octets)
                onward = client.redirected(head, visit.where) if follows else None
                if onward is None:
                    await client.read_body(reader, head, partial(_write, visit, output))
            if onward is None:
                await self._closed(visit, writer)
        finally:
            writer.close()
        return onward

    async def _connected(self, visit: Visit) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect to the first of the name's addresses that answers, each recorded as a step."""
        *others, last = await self._addresses(visit)
        for text in others:
            with suppress(OSError), visit.step(CONNECT):
                async with asyncio.timeout(_PATIENCE):
                    return await self._open(text, visit.where.port)
        with visit.step(CONNECT):
            return await self._open(last, visit.where.port)

    async def _open(self, text: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await self._network.open_connection(text, port, limit=client.LONGEST_HEAD)

    async def _addresses(self, visit: Visit) -> list[str]:
        with suppress(ArgumentError):
            return [address.to_text(address.parse(visit.where.name))]
        with visit.step(DNS):
            return await self._resolver.addresses(visit.where.name)

    async def _secure(self, visit: Visit, writer: asyncio.StreamWriter) -> None:
        try:
            with visit.step(TLS):
                await writer.start_tls(self._security, server_hostname=visit.where.name)
        except ssl.SSLCertVerificationError as error:
            raise BadResponse(
                f"the certificate of {visit.where.name} can't be trusted: {error.verify_message} "
                "(--ca FILE trusts further certificates)"
            ) from error

    async def _closed(self, visit: Visit, writer: asyncio.StreamWriter) -> None:
        with visit.step(CLOSE):
            writer.close()
            with suppress(OSError):  # the response is whole, however the connection ends
                await writer.wait_closed()
            await self._network.close()


def _write(visit: Visit, output: BinaryIO, octets: bytes) -> None:
    visit.octets += len(octets)
    output.write(octets)


def security(*, authority: str = "", checks: bool = True) -> ssl.SSLContext:
    """Make the settings of TLS: trust the certificates of a file, or those of the system.

    Without ``checks`` any certificate is accepted. Raises ArgumentError where the file can't be loaded.
    """
    try:
        context = ssl.create_default_context(cafile=authority or None)
    except (OSError, ssl.SSLError) as error:
        raise ArgumentError(
            "--ca", authority, f"a file of certificates in PEM ({error.strerror or error})"
        ) from error
    if not checks:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _now() -> int:
    return int(asyncio.get_running_loop().time() * SECOND)
