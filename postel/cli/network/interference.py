"""Options with which a command in virtual time lets its user interfere."""

import argparse

from postel.lab import Interference


def arguments(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("interfere, by the numbers that the ladder prints")
    group.add_argument("--drop", metavar="N,N", default="", help="lose these segments")
    group.add_argument("--dup", metavar="N,N", default="", help="deliver these twice")
    group.add_argument("--delay", metavar="N=TIME,…", default="", help="deliver after so long, e.g. 3=2s")
    group.add_argument("--corrupt", metavar="N,N", default="", help="turn a bit of these")
    group.add_argument(
        "--reorder", metavar="N,N", default="", help="hold these back, so that others overtake them"
    )
    group.add_argument("--loss", metavar="CHANCE", default="", help="lose any segment, e.g. 10%%")
    group.add_argument("--seed", type=int, default=1, help="of all chance; default %(default)s")
    fields = "a field of Config, as ecn=ask; or time_wait=off, delay=50ms"
    group.add_argument("--set", metavar="NAME=VALUE", action="append", default=[], help=fields)


def read(options: argparse.Namespace) -> Interference:
    """Raises ArgumentError."""
    return Interference.read(
        drop=options.drop,
        dup=options.dup,
        delay=options.delay,
        corrupted=options.corrupt,
        reorder=options.reorder,
        loss=options.loss,
        seed=options.seed,
        settings=options.set,
    )
