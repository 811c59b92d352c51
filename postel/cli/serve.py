"""Serve the files of a directory by HTTP over Postel's own TCP.

Reachable from the kernel at the other side of a TUN device::

    postel serve . --tun postel0 --address 10.7.0.2/24 &
    curl http://10.7.0.2/
"""

import argparse
import asyncio
import errno
import json
import os
import signal
from collections.abc import Coroutine
from functools import partial
from pathlib import Path
from typing import Any, Final

from postel.cli.http import log
from postel.cli.http.files import Site
from postel.cli.http.limits import Limits
from postel.cli.http.server import Entry, Server
from postel.cli.network import attachment, memory, workers
from postel.cli.network.attachment import Attachment
from postel.cli.network.numbers import natural, seconds
from postel.cli.network.ports import port
from postel.cli.network.siblings import Siblings
from postel.cli.network.workers import count
from postel.errors import ArgumentError, LinkError
from postel.links import Link, Tun, inherit_tun
from postel.wire.address import Endpoint

_STDERR: Final = 2
_DEFAULT: Final = Limits()


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("directory", metavar="DIR", help="whose files to serve")
    parser.add_argument("--port", type=port, default=80, help="default %(default)s")
    parser.add_argument("--workers", type=count, default=1, metavar="N", help="processes that share the connections; default %(default)s")
    parser.add_argument("--quiet", action="store_true", help="no line for each request")
    parser.add_argument("--access-log", metavar="FILE", help="a line for each request in the Common Log Format; opened anew on SIGHUP")
    limits = parser.add_argument_group("limits", "for each worker; SIGUSR1 prints what it has counted")
    limits.add_argument(
        "--idle-timeout", type=seconds, default=_DEFAULT.idle, metavar="SECONDS", help="without a request; default %(default)g"
    )
    limits.add_argument(
        "--request-timeout", type=seconds, default=_DEFAULT.request, metavar="SECONDS", help="for a whole request; default %(default)g"
    )
    limits.add_argument(
        "--send-timeout", type=seconds, default=_DEFAULT.send, metavar="SECONDS", help="in which a peer reads nothing; default %(default)g"
    )
    limits.add_argument(
        "--drain-timeout",
        type=seconds,
        default=30.0,
        metavar="SECONDS",
        help="for responses that are on their way at SIGTERM; a second SIGTERM ends them; default %(default)g",
    )
    limits.add_argument(
        "--backlog", type=natural, default=4096, metavar="N", help="connections that wait for their turn; default %(default)s"
    )
    limits.add_argument("--connections", type=natural, default=_DEFAULT.connections, metavar="N", help="at once; default %(default)s")
    attachment.arguments(parser)


def run(options: argparse.Namespace) -> int:
    directory = Path(options.directory)
    if not directory.is_dir():
        raise ArgumentError("DIR", options.directory, "a directory that exists")
    service = Service(options, Attachment(options), Site(directory))
    if options.workers == 1:
        asyncio.run(service.serve())
        return 0
    links = service.attachment.queues(options.workers)
    siblings = Siblings(options.workers)
    service.announce()  # what comes before a worker listens waits in its queue
    return workers.run([partial(service.work, siblings, index, os.getpid(), link) for index, link in enumerate(links)], siblings.done)


class Service:
    """A site on a device, in one process or in several."""

    def __init__(self, options: argparse.Namespace, attachment: Attachment, site: Site) -> None:
        self.attachment = attachment
        self._options = options
        self._site = site
        self._log = log.Lines(_STDERR)
        self._access = log.File("--access-log", options.access_log) if options.access_log else None
        self._server = Server(
            site,
            log=None if options.quiet else self._log.write,
            complain=self._complain,
            entries=self._note if self._access else None,
            limits=Limits(options.idle_timeout, options.request_timeout, options.send_timeout, options.connections),
        )
        self._parent = 0
        self._siblings: Siblings | None = None
        self._stopping = asyncio.Event()
        self._aborting = asyncio.Event()

    def announce(self) -> None:
        for interface in self.attachment.own:
            where = str(Endpoint(interface.address, self._options.port)).removesuffix(":80")
            self._log.write(f"serving {self._site.root} at http://{where}/, for the kernel's side of {self.attachment.tun}")

    def work(self, siblings: Siblings, index: int, parent: int, link: Tun) -> None:
        """A worker's life. The descriptor is a copy: the original stays open, and with it the queue, until the last process ends."""
        self._parent = parent
        self._siblings = siblings
        copy = inherit_tun(os.dup(link.fileno()), name=link.name, mtu=link.mtu)
        asyncio.run(self.serve(siblings.joined(copy, index)))

    async def serve(self, link: Link | None = None) -> None:
        """Until SIGTERM. Raises LinkError where the device ends before."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._stop)
        loop.add_signal_handler(signal.SIGUSR1, self._count)
        loop.add_signal_handler(signal.SIGHUP, self._reopen)
        options = self._options
        async with self.attachment.network(link) as network:
            listening = await network.start_server(
                self._server.converse, port=options.port, limit=Server.LONGEST_HEAD, backlog=options.backlog
            )
            if link is None:
                self.announce()
            giving_back = asyncio.ensure_future(memory.give_back(self._server.counters))
            await _first(self._stopping.wait(), listening.wait_closed())
            giving_back.cancel()
            if not self._stopping.is_set():
                raise LinkError(errno.ENODEV, f"TUN device {self.attachment.tun} is gone: start again")
            listening.close()
            await _first(self._drain(options.drain_timeout), self._aborting.wait())
            self._server.abort()

    async def _drain(self, seconds: float) -> None:
        """Wait for the responses that are on their way, and those of other workers."""
        try:
            async with asyncio.timeout(seconds):
                await self._server.drain(seconds)
                if self._siblings is not None:
                    self._siblings.done()
                    await self._siblings.all_done()
        except TimeoutError:
            return

    def _stop(self) -> None:
        """The first SIGTERM drains, a second one aborts; so does the one that an orphan gets, for nothing waits for it."""
        if self._stopping.is_set() or (self._parent and workers.is_orphan(self._parent)):
            self._aborting.set()
        self._stopping.set()

    def _count(self) -> None:
        self._log.write(json.dumps({"process": os.getpid(), **self._server.counters.read()}))

    def _reopen(self) -> None:
        if self._access is not None:
            try:
                self._access.reopen()
            except OSError as error:
                self._complain(f"{self._options.access_log}: {error.strerror}")

    def _note(self, entry: Entry) -> None:
        if self._access is not None:
            self._access.write(entry.common(self._server.clock()))

    def _complain(self, text: str) -> None:
        self._log.write(f"postel: {text}")


async def _first(*waits: Coroutine[Any, Any, object]) -> None:
    """Wait for the first of these, and cancel the others."""
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
