"""Options ``--dns`` and ``--resolve``, which say how a command finds the addresses of names."""

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
    """Add the options to ``parser``."""
    group = parser.add_argument_group("names")
    group.add_argument(
        "--dns",
        metavar="ADDRESS[:PORT]",
        type=_server,
        action="append",
        help=f"name server to ask; may be given again; default: those of {SYSTEM} on other machines",
    )
    group.add_argument(
        "--resolve",
        metavar="HOST:ADDRESS",
        type=_known,
        action="append",
        default=[],
        help="address to use for a name; may be given again",
    )


def resolver(options: argparse.Namespace, network: Network) -> Resolver:
    """Make the resolver that the options describe, over ``network``."""
    return Resolver(network, options.dns or of_system(SYSTEM), known=dict(options.resolve))


def of_system(file: Path) -> list[str]:
    """Name servers that the system asks.

    Those on the machine's own loopback are left out, because a host on a link can't reach them.
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
