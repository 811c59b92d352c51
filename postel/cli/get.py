"""Fetch a URL over Postel's own TCP: name, handshake, TLS, request, response and close.

From the kernel's own web server at the other side of a TUN device, or all of it in virtual time, without a
device, a right or a network::

    postel get http://10.7.0.1:8000/ --tun postel0 --address 10.7.0.2/24 --ladder
    postel get --lab http://www.example.org/
"""

import argparse
import asyncio
import shutil
import ssl
import sys
from collections.abc import Callable, Coroutine
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any, BinaryIO, Final

from postel.aio import Network
from postel.aio.resolver import Resolver
from postel.cli.http import client, waterfall
from postel.cli.http.fetch import Fetch, Visit, security
from postel.cli.network import attachment, interference, names
from postel.cli.network.attachment import Attached, Attachment
from postel.cli.network.laboratory import DEFAULT_URL, Laboratory
from postel.cli.network.recording import can_encode, speakable
from postel.errors import ArgumentError

_FAILS_FROM: Final = 400
_COLUMNS: Final = 80
_WIDEST: Final = 120
_INTERFERING: Final = ("drop", "dup", "delay", "corrupt", "reorder", "loss", "set")


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "url",
        metavar="URL",
        nargs="?",
        help="http:// or https://, with a name or an address; may be left out with --lab",
    )
    parser.add_argument(
        "-o", "--output", metavar="FILE", help="where to put the content; default: standard output"
    )
    parser.add_argument("-i", "--include", action="store_true", help="the heads of responses as well")
    parser.add_argument("-v", "--verbose", dest="ladder", action="store_true", help="the same as --ladder")
    parser.add_argument(
        "--max-redirects",
        metavar="N",
        type=int,
        default=10,
        help="0: show a redirect itself; default %(default)s",
    )
    parser.add_argument(
        "--waterfall",
        action=argparse.BooleanOptionalAction,
        help="where the time went, on standard error; default: where that is a terminal, and in the lab",
    )
    group = parser.add_argument_group("TLS")
    group.add_argument(
        "--ca", metavar="FILE", default="", help="certificates to believe, in PEM; default: the system's"
    )
    group.add_argument("--insecure", action="store_true", help="believe any certificate")
    names.arguments(parser)
    attachment.arguments(parser, required=False)
    parser.add_argument(
        "--lab", action="store_true", help="all of it in virtual time, servers included; --ladder is on"
    )
    interference.arguments(parser)


def run(options: argparse.Namespace) -> int:
    ground = _lab(options) if options.lab else _device(options)
    with ExitStack() as stack:
        try:
            output = stack.enter_context(open(options.output, "wb")) if options.output else sys.stdout.buffer  # noqa: PTH123
        except OSError as error:
            raise ArgumentError(
                "--output", options.output, f"a file that can be written ({error.strerror})"
            ) from error
        try:
            status = ground.run(fetch(ground, output, options))
        except client.BadResponse as error:
            print(f"postel: {error}", file=sys.stderr)
            return 1
    if status >= _FAILS_FROM:
        print(f"postel: the server answered {status}", file=sys.stderr)
        return 1
    return 0


@dataclass(frozen=True, slots=True)
class Ground:
    """Where to, and by which network, which names and which trust; ``run`` runs what is to happen there."""

    where: client.Target
    attached: Attached
    run: Callable[[Coroutine[Any, Any, int]], int]
    resolver: Callable[[Network], Resolver]
    security: ssl.SSLContext


def _device(options: argparse.Namespace) -> Ground:
    for name in _INTERFERING:
        if value := getattr(options, name):
            raise ArgumentError(f"--{name}", value, "only with --lab")
    where = client.target(options.url or "")
    if not (options.tun and options.address):
        raise ArgumentError("--tun", options.tun or "", "a device, and --address, or --lab instead")
    trust = security(authority=options.ca, checks=not options.insecure)
    return Ground(where, Attachment(options), asyncio.run, partial(names.resolver, options), trust)


def _lab(options: argparse.Namespace) -> Ground:
    for name in ("tun", "address", "kernel_address", "netns", "dns", "resolve", "ca", "insecure"):
        if value := getattr(options, name):
            raise ArgumentError(f"--{name.replace('_', '-')}", value, "only without --lab, which has its own")
    where = client.target(options.url or DEFAULT_URL)
    options.ladder = True
    laboratory = Laboratory(options, where)
    return Ground(where, laboratory, laboratory.run, laboratory.resolver, laboratory.security())


async def fetch(ground: Ground, output: BinaryIO, options: argparse.Namespace) -> int:
    """The last response's status."""
    async with ground.attached.network() as network:
        fetching = Fetch(network, ground.resolver(network), ground.security)
        try:
            return await fetching.get(
                ground.where, output, includes_head=options.include, most_redirects=options.max_redirects
            )
        finally:
            output.flush()
            if options.waterfall or (options.waterfall is None and (options.lab or sys.stderr.isatty())):
                _show(fetching.visits, options.lang)


def _show(visits: list[Visit], language: str) -> None:
    stream = sys.stderr
    columns = (
        min(max(shutil.get_terminal_size().columns, waterfall.NARROWEST), _WIDEST)
        if stream.isatty()
        else _COLUMNS
    )
    language = speakable(language, stream)
    print(
        waterfall.render(
            visits, columns=columns, language=language, ascii_only=not can_encode("█▒…", stream)
        ),
        file=stream,
        flush=True,
    )
