"""Serve the files of a directory by HTTP over Postel's own TCP.

Reachable from the kernel at the other side of a TUN device::

    postel serve . --tun postel0 --address 10.7.0.2/24 &
    curl http://10.7.0.2/
"""

import argparse
import asyncio
import errno
import os
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from postel.cli.http.files import Site
from postel.cli.http.server import Server
from postel.cli.network import attachment, workers
from postel.cli.network.attachment import Attachment
from postel.cli.network.ports import port
from postel.cli.network.workers import count
from postel.errors import ArgumentError, LinkError
from postel.link.tun import Tun, inherit
from postel.wire.address import Endpoint

Log = Callable[[str], None] | None


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("directory", metavar="DIR", help="whose files to serve")
    parser.add_argument("--port", type=port, default=80, help="default %(default)s")
    parser.add_argument("--workers", type=count, default=1, metavar="N", help="processes that share the connections; default %(default)s")
    parser.add_argument("--quiet", action="store_true", help="no line for each request")
    attachment.arguments(parser)


def run(options: argparse.Namespace) -> int:
    directory = Path(options.directory)
    if not directory.is_dir():
        raise ArgumentError("DIR", options.directory, "a directory that exists")
    attachment, site, log = Attachment(options), Site(directory), None if options.quiet else _log
    if options.workers == 1:
        asyncio.run(_serve(attachment, site, options.port, log))
        return 0
    links = attachment.queues(options.workers)
    _announce(attachment, site, options.port)  # what comes before a worker listens waits in its queue
    return workers.run([partial(_work, attachment, site, options.port, log, link) for link in links])


def _work(attachment: Attachment, site: Site, port: int, log: Log, link: Tun) -> None:
    """A worker's life. The descriptor is a copy: the original stays open, and with it the queue, until the last process ends."""
    asyncio.run(_serve(attachment, site, port, log, inherit(os.dup(link.fileno()), name=link.name, mtu=link.mtu)))


async def _serve(attachment: Attachment, site: Site, port: int, log: Log, link: Tun | None = None) -> None:
    server = Server(site, log=log)
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    async with attachment.network(link) as network:
        listening = await network.start_server(server.converse, port=port, limit=Server.LONGEST_HEAD)
        if link is None:
            _announce(attachment, site, port)
        waiting = (asyncio.ensure_future(stopped.wait()), asyncio.ensure_future(listening.wait_closed()))
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for future in waiting:
            future.cancel()
        if not stopped.is_set():
            raise LinkError(errno.ENODEV, f"TUN device {attachment.tun} is gone: start again")


def _announce(attachment: Attachment, site: Site, port: int) -> None:
    for interface in attachment.own:
        where = str(Endpoint(interface.address, port)).removesuffix(":80")
        _log(f"serving {site.root} at http://{where}/, for the kernel's side of {attachment.tun}")


def _log(line: str) -> None:
    sys.stderr.write(f"{line}\n")  # in one piece, for workers write to the same terminal
    sys.stderr.flush()
