"""Serve a directory, or any ASGI application, by HTTP over Postel's own TCP.

The command needs the packages uvicorn and starlette: ``pip install postel[serve]``. Programs on the kernel's
TCP, at the other side of the TUN device, can reach the server::

    postel serve . --tun postel0 --address 10.7.0.2/24 &
    curl http://10.7.0.2/
"""

import argparse
import asyncio
import errno
import os
import socket
import sys
from contextlib import suppress
from functools import partial
from typing import Any

from postel import aio
from postel.aio import Network
from postel.cli.network import attachment, workers
from postel.cli.network.attachment import Attachment
from postel.cli.network.numbers import natural
from postel.cli.network.ports import port
from postel.cli.network.siblings import Siblings
from postel.cli.network.workers import count
from postel.errors import LinkClosed, LinkError
from postel.links import Link, Tun, inherit_tun
from postel.wire.address import Endpoint


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to ``parser``."""
    parser.add_argument("application", metavar="APP", help="directory, or ASGI application (module:app)")
    parser.add_argument("--port", type=port, default=80, help="port to listen on; default %(default)s")
    parser.add_argument(
        "--workers",
        type=count,
        default=1,
        metavar="N",
        help="processes that share the connections; default %(default)s",
    )
    parser.add_argument("--quiet", action="store_true", help="print no line for each request")
    parser.add_argument(
        "--access-log", metavar="FILE", help="file for these lines; opened anew after it was moved away"
    )
    of_uvicorn = parser.add_argument_group("uvicorn", "options of uvicorn; limits are those of each worker")
    of_uvicorn.add_argument("--ssl-certfile", metavar="FILE", help="serve HTTPS with this certificate")
    of_uvicorn.add_argument("--ssl-keyfile", metavar="FILE", help="key, if it isn't in the same file")
    of_uvicorn.add_argument("--ssl-keyfile-password", metavar="TEXT", help="password of the key")
    of_uvicorn.add_argument(
        "--timeout-keep-alive",
        type=natural,
        default=5,
        metavar="SECONDS",
        help="longest pause between requests; default %(default)s",
    )
    of_uvicorn.add_argument(
        "--timeout-graceful-shutdown",
        type=natural,
        default=30,
        metavar="SECONDS",
        help="time to finish responses after SIGTERM; a second SIGTERM ends them at once; default "
        "%(default)s",
    )
    of_uvicorn.add_argument(
        "--limit-concurrency",
        type=natural,
        metavar="N",
        help="connections at once; further ones get status 503; default: no limit",
    )
    of_uvicorn.add_argument(
        "--backlog",
        type=natural,
        default=4096,
        metavar="N",
        help="connections that may wait to be accepted; default %(default)s",
    )
    attachment.arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Serve until SIGTERM, in this process or in several workers. Returns the exit status."""
    service = Service(options)
    if options.workers == 1:
        service.run()
        return 0
    links = service.attachment.queues(options.workers)
    siblings = Siblings(options.workers)
    service.announce()  # packets that arrive before a worker listens wait in its queue
    return workers.run(
        [partial(service.work, siblings, index, os.getpid(), link) for index, link in enumerate(links)],
        siblings.done,
    )


class Service:
    """Application that is served over a TUN device, by one process or by several."""

    def __init__(self, options: argparse.Namespace) -> None:
        """Load the application, and check all options. Raises ImportError where the extra is missing."""
        try:
            from postel.cli.http import application  # noqa: PLC0415 - needs an extra
        except ImportError as error:
            raise ImportError(
                f"serve needs uvicorn and starlette ({error}): pip install postel[serve]"
            ) from error
        self.attachment: Attachment = Attachment(options)
        self._options = options
        self._http = application
        self._config = application.configured(application.application(options.application), options)
        self._parent = 0

    def announce(self) -> None:
        """Print at which addresses the application is served."""
        options = self._options
        scheme, usual = ("https", ":443") if options.ssl_certfile else ("http", ":80")
        for interface in self.attachment.own:
            where = str(Endpoint(interface.address, options.port)).removesuffix(usual)
            text = (
                f"serving {options.application} at {scheme}://{where}/, for the kernel's side of "
                f"{self.attachment.tun}"
            )
            print(text, file=sys.stderr, flush=True)

    def work(self, siblings: Siblings, index: int, parent: int, link: Tun) -> None:
        """Serve as a worker, in a process of its own.

        The worker uses a copy of the queue's descriptor. The original descriptor stays open until the last
        process ends, and so does the queue.
        """
        self._parent = parent
        copy = inherit_tun(os.dup(link.fileno()), name=link.name, mtu=link.mtu)
        self.run(siblings.joined(copy, index), siblings)

    def run(self, link: Link | None = None, siblings: Siblings | None = None) -> None:
        """Serve until SIGTERM. Raises LinkClosed where the device is removed."""
        with asyncio.Runner(loop_factory=aio.Loop) as runner:
            runner.run(self._serve(link, siblings))

    async def _serve(self, link: Link | None, siblings: Siblings | None) -> None:
        server = self._http.Server(self._config, self.announce if link is None else _nothing, self._is_orphan)
        async with self.attachment.network(link) as network, network.as_default():
            asyncio.get_running_loop().set_exception_handler(_told_otherwise)
            serving = asyncio.ensure_future(server.serve(_listening(network, self._options)))
            gone = asyncio.ensure_future(network.wait_closed())
            await _first(serving, gone, asyncio.ensure_future(server.urgent.wait()))
            if not serving.done():
                server.should_exit = True
                await network.close()  # ends all connections
                await serving
            elif siblings is not None:
                siblings.done()
                await self._wait_for(siblings, server.urgent)
            if gone.done() and not gone.cancelled():
                raise LinkClosed(errno.ENODEV, f"TUN device {self.attachment.tun} was removed: start again")

    async def _wait_for(self, siblings: Siblings, urgent: asyncio.Event) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(self._options.timeout_graceful_shutdown):
                await _first(asyncio.ensure_future(siblings.all_done()), asyncio.ensure_future(urgent.wait()))

    def _is_orphan(self) -> bool:
        """Whether the parent of this worker has ended, so that no process waits for the worker any more."""
        return bool(self._parent) and workers.is_orphan(self._parent)


def _nothing() -> None:
    pass


def _listening(network: Network, options: argparse.Namespace) -> list[Any]:
    """Make a listening socket for each family.

    The sockets listen at once, so that connections which arrive before uvicorn begins wait in the backlogs.
    """
    made = []
    # The wildcard means all addresses of Postel's host, not of this machine.
    for family, wildcard in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):  # noqa: S104
        if network.has_family(family):
            listening = network.socket(family)
            if family == socket.AF_INET6:
                listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            listening.bind((wildcard, options.port))
            listening.listen(options.backlog)
            made.append(listening)
    return made


def _told_otherwise(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Report exceptions in the loop, except for that of a removed device, which is reported at the end."""
    if not isinstance(context.get("exception"), LinkError):
        loop.default_exception_handler(context)


async def _first(main: "asyncio.Future[Any]", *others: "asyncio.Future[Any]") -> None:
    """Wait until one of the futures is done, and cancel all but ``main``."""
    try:
        await asyncio.wait((main, *others), return_when=asyncio.FIRST_COMPLETED)
    finally:
        for other in others:
            other.cancel()
        await asyncio.gather(*others, return_exceptions=True)
