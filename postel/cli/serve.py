"""Serve the files of a directory by HTTP over Postel's own TCP.

Reachable from the kernel at the other side of a TUN device::

    postel serve . --tun postel0 --address 10.7.0.2/24 &
    curl http://10.7.0.2/
"""

import argparse
import asyncio
import errno
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from postel.cli.http.files import Site
from postel.cli.http.server import Server
from postel.cli.network import attachment
from postel.cli.network.attachment import Attachment
from postel.cli.network.ports import port
from postel.errors import ArgumentError, LinkError
from postel.wire.address import Endpoint


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("directory", metavar="DIR", help="whose files to serve")
    parser.add_argument("--port", type=port, default=80, help="default %(default)s")
    parser.add_argument("--quiet", action="store_true", help="no line for each request")
    attachment.arguments(parser)


def run(options: argparse.Namespace) -> int:
    directory = Path(options.directory)
    if not directory.is_dir():
        raise ArgumentError("DIR", options.directory, "a directory that exists")
    asyncio.run(_serve(Attachment(options), Site(directory), options.port, None if options.quiet else _log))
    return 0


async def _serve(attachment: Attachment, site: Site, port: int, log: Callable[[str], None] | None) -> None:
    server = Server(site, log=log)
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    async with attachment.network() as network:
        listening = await network.start_server(server.converse, port=port, limit=Server.LONGEST_HEAD)
        for interface in attachment.own:
            where = str(Endpoint(interface.address, port)).removesuffix(":80")
            _log(f"serving {site.root} at http://{where}/, for the kernel's side of {attachment.tun}")
        waiting = (asyncio.ensure_future(stopped.wait()), asyncio.ensure_future(listening.wait_closed()))
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for future in waiting:
            future.cancel()
        if not stopped.is_set():
            raise LinkError(errno.ENODEV, f"TUN device {attachment.tun} is gone: start again")


def _log(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
