"""``--dns`` and ``--resolve``: where a command gets addresses from."""

import argparse
from argparse import ArgumentTypeError
from contextlib import suppress
from pathlib import Path
from typing import Final

from postel.aio import Network
from postel.aio.resolver import Resolver
from postel.errors import ArgumentError
from postel.sockets.questions import server
from postel.wire import address

SYSTEM: Final = Path("/etc/resolv.conf")


def arguments(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("names")
    group.add_argument(
        "--dns",
        metavar="ADDRESS[:PORT]",
        type=_server,
        action="append",
        help=f"name server; repeatable; default: those of {SYSTEM} that aren't this machine",
    )
    group.add_argument(
        "--resolve",
        metavar="HOST:ADDRESS",
        type=_known,
        action="append",
        default=[],
        help="the address of a name; repeatable",
    )


def resolver(options: argparse.Namespace, network: Network) -> Resolver:
    return Resolver(network, options.dns or of_system(SYSTEM), known=dict(options.resolve))


def of_system(file: Path) -> list[str]:
    """The name servers that the system asks, but for those of its own loopback, which a host on a link can't
    reach.
    """
    found = []
    with suppress(OSError):
        for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
            words = line.split()
            if len(words) > 1 and words[0] == "nameserver":
                with suppress(ArgumentError):
                    if not address.is_loopback(address.parse(words[1])):
                        found.append(words[1])
    return found


def _server(text: str) -> str:
    try:
        server(text)
    except ArgumentError as error:
        raise ArgumentTypeError(str(error)) from None
    return text


def _known(text: str) -> tuple[str, str]:
    name, _, literal = text.partition(":")
    try:
        return name, address.to_text(address.parse(literal.removeprefix("[").removesuffix("]")))
    except ArgumentError:
        raise ArgumentTypeError(
            f"resolve is {text!r}; allowed: HOST:ADDRESS, such as www.example.org:10.7.0.1"
        ) from None
