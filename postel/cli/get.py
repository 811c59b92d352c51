"""Fetch a URL by HTTP over Postel's own TCP.

From the kernel's own web server at the other side of a TUN device::

    postel get http://10.7.0.1:8000/ --tun postel0 --address 10.7.0.2/24 --ladder
"""

import argparse
import asyncio
import sys
from contextlib import ExitStack
from typing import BinaryIO

from postel.cli.http import client
from postel.cli.network import attachment
from postel.cli.network.attachment import Attached, Attachment
from postel.errors import ArgumentError

_FAILS_FROM = 400


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("url", metavar="URL", help="http:// with an address, such as http://10.7.0.1:8000/")
    parser.add_argument("-o", "--output", metavar="FILE", help="where to put the body; default: standard output")
    parser.add_argument("-i", "--include", action="store_true", help="the response's head as well")
    parser.add_argument("-v", "--verbose", dest="ladder", action="store_true", help="the same as --ladder")
    attachment.arguments(parser)


def run(options: argparse.Namespace) -> int:
    where = client.target(options.url)
    attached = Attachment(options)
    with ExitStack() as stack:
        try:
            output = stack.enter_context(open(options.output, "wb")) if options.output else sys.stdout.buffer  # noqa: PTH123
        except OSError as error:
            raise ArgumentError("--output", options.output, f"a file that can be written ({error.strerror})") from error
        try:
            status = asyncio.run(fetch(attached, where, output, includes_head=options.include))
        except client.BadResponse as error:
            print(f"postel: {error}", file=sys.stderr)
            return 1
        output.flush()
    if status >= _FAILS_FROM:
        print(f"postel: the server answered {status}", file=sys.stderr)
        return 1
    return 0


async def fetch(attached: Attached, where: client.Target, output: BinaryIO, *, includes_head: bool) -> int:
    """The response's status."""
    async with attached.network() as network:
        reader, writer = await network.open_connection(where.address, where.port, limit=client.LONGEST_HEAD)
        writer.write(client.request(where, "postel"))
        head = await client.read_head(reader)
        if includes_head:
            output.write(head.octets)
        await client.read_body(reader, head, output.write)
        writer.close()
        await writer.wait_closed()
    return head.status
