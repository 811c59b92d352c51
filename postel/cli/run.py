"""Run a Python program with its sockets on Postel.

While the program runs, the module `socket` has Postel's sockets and name resolution, and asyncio's own loop
uses them. At the end, the system's sockets and name resolution are put back::

    postel run --tun postel0 --address 10.7.0.2/24 client.py --verbose
    postel run --address 10.7.0.2/24 -m http.server 80
"""

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module

from postel import blocking, links
from postel.blocking import BlockingNetwork, program
from postel.cli.network import attachment, names
from postel.cli.network.attachment import Attachment
from postel.errors import ArgumentError
from postel.links import Link


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to ``parser``."""
    parser.add_argument(
        "-m", dest="is_module", action="store_true", help="PROGRAM is a module, as for python -m"
    )
    parser.add_argument(
        "program", metavar="PROGRAM", help="file, or with -m a module; all that follows are its arguments"
    )
    parser.add_argument(
        "arguments", nargs=argparse.REMAINDER, metavar="ARGUMENTS", help="arguments of the program"
    )
    parser.add_argument(
        "--link",
        metavar="MODULE:FUNCTION",
        type=_maker,
        help="function that returns a link to use in place of a TUN device; without --tun and --link the "
        "program can only talk to itself",
    )
    attachment.arguments(parser, required=False)
    names.arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Run the program on its network. Returns the program's exit status."""
    if options.tun and options.link:
        raise ArgumentError("--link", "a link", "--tun or --link, not both")
    if (options.tun or options.link) and not options.address:
        raise ArgumentError("--address", None, "an address for the program's host, with --tun or --link")
    options.address = options.address or []
    with _network(options) as network, network.replacing_sockets():
        return program.run(options.program, options.arguments, is_module=options.is_module)


@contextmanager
def _network(options: argparse.Namespace) -> Iterator[BlockingNetwork]:
    attached = Attachment(options)
    nothing: Link | None = None
    try:
        if options.tun:
            link: Link = attached.queues(1)[0]
        elif options.link:
            link = options.link()
        else:
            link, nothing = links.pair(attached.mtu)
        servers = options.dns or (names.of_system(names.SYSTEM) if options.tun else [])
        host = attached.host(mtu=attached.mtu if options.tun else None)
        with blocking.attach(
            host, attached.recording.link(link), names=dict(options.resolve), servers=servers
        ) as network:
            yield network
    finally:
        if nothing is not None:
            nothing.close()
        attached.recording.finish()


def _maker(text: str) -> Callable[[], Link]:
    module, _, name = text.partition(":")
    try:
        found: Callable[[], Link] = getattr(import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise argparse.ArgumentTypeError(
            f"link is {text!r}; allowed: MODULE:FUNCTION, a function that returns a link ({error})"
        ) from None
    return found
