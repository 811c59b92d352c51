"""Fetch a URL over Postel's own TCP: name, handshake, TLS, request, response and close.

The server may run on the kernel's TCP, at the other side of a TUN device. With ``--lab`` client, servers and
network are simulated in virtual time; that needs no device, no root and no network::

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
    """Add the command's arguments to ``parser``."""
    parser.add_argument(
        "url",
        metavar="URL",
        nargs="?",
        help="http:// or https://, with a name or an address; may be left out with --lab",
    )
    parser.add_argument(
        "-o", "--output", metavar="FILE", help="file for the content; default: standard output"
    )
    parser.add_argument("-i", "--include", action="store_true", help="write the heads of responses, too")
    parser.add_argument("-v", "--verbose", dest="ladder", action="store_true", help="the same as --ladder")
    parser.add_argument(
        "--max-redirects",
        metavar="N",
        type=int,
        default=10,
        help="redirects to follow at most; 0 shows the redirect itself; default %(default)s",
    )
    parser.add_argument(
        "--waterfall",
        action=argparse.BooleanOptionalAction,
        help="show on standard error how long each step took; default: on a terminal, and with --lab",
    )
    group = parser.add_argument_group("TLS")
    group.add_argument(
        "--ca",
        metavar="FILE",
        default="",
        help="file of certificates to trust, in PEM; default: the system's",
    )
    group.add_argument("--insecure", action="store_true", help="accept any certificate")
    names.arguments(parser)
    attachment.arguments(parser, required=False)
    parser.add_argument(
        "--lab",
        action="store_true",
        help="simulate everything in virtual time, servers included; turns --ladder on",
    )
    interference.arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Fetch the URL. Returns 0, or 1 where the response was bad or had a status of 400 or more."""
    ground = _lab(options) if options.lab else _device(options)
    with ExitStack() as stack:
        try:
            # A name is opened as the user wrote it.
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
    """Network over which a URL is fetched, with the URL, the resolver of names and the certificates to trust.

    ``run`` runs a coroutine in real or in virtual time.
    """

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
        raise ArgumentError("--tun", options.tun or "", "a TUN device, with --address; or --lab instead")
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
    """Fetch the URL into ``output``, and show how long each step took.

    Returns the status of the last response.
    """
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
