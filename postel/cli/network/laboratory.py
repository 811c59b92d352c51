"""Network of ``--lab``: simulated in virtual time, with a name server and a web server.

::

    client 10.0.0.1 ─┬─ dns    10.0.0.53    knows every name, but those that end in .invalid
                     └─ server 10.0.0.80    has a page; a name www.… is an alias of web.…
"""

import argparse
import asyncio
import ssl
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from http import HTTPStatus
from random import Random
from typing import Any, Final, TypeVar

from postel.aio import Network
from postel.aio.resolver import Resolver
from postel.cli.http.client import Target, number
from postel.cli.http.server import LONGEST_HEAD, Response, Server, text_response
from postel.cli.network import interference
from postel.cli.network.nameserver import Answer as Known
from postel.cli.network.nameserver import NameServer, alias, host
from postel.cli.network.recording import Recording
from postel.errors import ArgumentError
from postel.host.host import Host
from postel.sim import World, deciding
from postel.sim.loop import Loop, run
from postel.tcp.config import DEFAULT
from postel.times import HOUR
from postel.wire import dns
from postel.wire.dns import Question

T = TypeVar("T")
DEFAULT_URL: Final = "http://www.example.org/"
_CLIENT, _DNS, _SERVER = "10.0.0.1", "10.0.0.53", "10.0.0.80"
_WWW: Final = "www."
_OCTETS: Final = "/octets/"
_MOST_OCTETS: Final = 10_000_000
# Most serial numbers of certificates have 159 bits; one of 151 bits or fewer takes fewer octets.
_SHORT_SERIAL: Final = 151
_NEW_YEAR: Final = 1_767_225_600  # start of 2026 in seconds since 1970; the simulated clock begins then
_PAGE: Final = """<!DOCTYPE html>
<title>{host}</title>
<h1>It works, and it took no time</h1>
<p>You asked for / at {host}. Try /redirect, /octets/100000, or a name that ends in .invalid.
"""


class Laboratory:
    """Simulated network for one command.

    The same options give the same run. Only the contents of TLS differ, because Python's TLS draws its own
    random numbers; their lengths are the same.
    """

    def __init__(self, options: argparse.Namespace, where: Target) -> None:
        """Make the hosts and paths. Raises ArgumentError for a value that isn't allowed."""
        self.recording: Recording = Recording(options, {}, epoch=_NEW_YEAR * 1_000_000)
        self._interference = interference.read(options)
        self._world = World(self._interference.seed, observer=self.recording.trace)
        self._world.rules.append(deciding(self._interference.verdicts))
        self._client = self._host("client", _CLIENT, options.mtu)
        self._dns = self._host("dns", _DNS, options.mtu)
        self._server = self._host("server", _SERVER, options.mtu)
        for other in (self._dns, self._server):
            self._world.path(
                self._client, other, **{"delay": self._interference.way, **self._interference.path}
            )
        self._port = where.port
        self._certificate = _certified(where.name) if where.is_secure else None

    def run(self, main: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine in virtual time, as `asyncio.run` does, and return its result.

        Then the hosts get another hour, in which TIME-WAIT ends, and the recording is shown.
        """
        try:
            return run(main, self._world)
        finally:
            self._world.run(self._world.now + HOUR)
            self.recording.finish()

    @asynccontextmanager
    async def network(self) -> AsyncIterator[Network]:
        """Start both servers for the time of the block, and return the client's network."""
        loop = asyncio.get_running_loop()
        assert isinstance(loop, Loop)  # noqa: S101 - `run` made it
        async with (
            loop.attach(self._dns) as names,
            loop.attach(self._server) as web,
            loop.attach(self._client) as near,
        ):
            await NameServer(_known).start(names)
            server = Server(_page, clock=lambda: _NEW_YEAR + loop.time())
            secure = self._certificate[0] if self._certificate else None
            await web.start_server(server.converse, port=self._port, limit=LONGEST_HEAD, ssl=secure)
            yield near

    def resolver(self, network: Network) -> Resolver:
        """Make a resolver that asks the simulated name server."""
        # The same seed must give the same run, so the resolver's random numbers come from the seed.
        return Resolver(network, [_DNS], random=Random(f"{self._interference.seed}/resolver"))  # noqa: S311

    def security(self) -> ssl.SSLContext:
        """Settings of TLS for the client, which trusts the server's certificate."""
        return self._certificate[1] if self._certificate else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

    def _host(self, name: str, address: str, mtu: int) -> Host:
        return self._world.host(
            name, f"{address}/24", mtu=mtu, config=self._interference.configured(DEFAULT, name)
        )


def _page(target: str, host: str) -> Response:
    """Answer of the web server to a request."""
    if target == "/redirect":
        return Response(HTTPStatus.FOUND, {"Location": "/"})
    if target == "/":
        return Response(
            HTTPStatus.OK, {"Content-Type": "text/html; charset=utf-8"}, _PAGE.format(host=host).encode()
        )
    count = number(target.removeprefix(_OCTETS)) if target.startswith(_OCTETS) else None
    if count is not None and count <= _MOST_OCTETS:
        return Response(
            HTTPStatus.OK, {"Content-Type": "text/plain"}, (b"0123456789" * (count // 10 + 1))[:count]
        )
    return text_response(HTTPStatus.NOT_FOUND)


def _known(question: Question) -> Known:
    name = dns.canonical(question.name)
    if name.rpartition(".")[2] == "invalid":  # RFC 6761, 6.4
        return dns.NAME_ERROR, []
    if not name.startswith(_WWW):
        return dns.NO_ERROR, [host(question.name, _SERVER)] if question.type == dns.A else []
    target = f"web.{name.removeprefix(_WWW)}"
    return dns.NO_ERROR, [
        alias(question.name, target),
        *([host(target, _SERVER)] if question.type == dns.A else []),
    ]


def _certified(name: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Settings of TLS for a server with a certificate for ``name``, and for a client that trusts it.

    Python itself can't make certificates; the package trustme does. Raises ArgumentError where it is missing.
    """
    try:
        import trustme  # noqa: PLC0415 - only TLS in the lab needs it
    except ImportError:
        raise ArgumentError(
            "URL",
            f"https://{name}",
            "http:// with --lab; for https:// install the package trustme, which makes certificates",
        ) from None
    # Everything that TLS sends has the same length in every run: RSA's signatures (ECDSA's vary by two
    # octets), the certificate, and no session tickets, which contain random numbers of varying length.
    authority = trustme.CA(key_type=trustme.KeyType.RSA)
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    server.num_tickets = 0
    certificate = authority.issue_cert(name, key_type=trustme.KeyType.RSA)
    while _serial_number(certificate.cert_chain_pems[0].bytes()).bit_length() <= _SHORT_SERIAL:
        certificate = authority.issue_cert(name, key_type=trustme.KeyType.RSA)
    certificate.configure_cert(server)
    authority.configure_trust(client)
    return server, client


def _serial_number(certificate: bytes) -> int:
    from cryptography import x509  # noqa: PLC0415 - trustme brings it

    return x509.load_pem_x509_certificate(certificate).serial_number
