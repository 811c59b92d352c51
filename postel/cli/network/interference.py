"""Options with which the user of a command in virtual time loses, delays or changes packets."""

import argparse

from postel.lab import Interference


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options to ``parser``."""
    group = parser.add_argument_group("interfere with segments, by the numbers that the ladder prints")
    group.add_argument("--drop", metavar="N,N", default="", help="lose these segments")
    group.add_argument("--dup", metavar="N,N", default="", help="deliver these segments twice")
    group.add_argument(
        "--delay", metavar="N=TIME,…", default="", help="deliver these segments after such a time, e.g. 3=2s"
    )
    group.add_argument("--corrupt", metavar="N,N", default="", help="invert a bit of these segments")
    group.add_argument(
        "--reorder", metavar="N,N", default="", help="hold these segments back, so that others overtake them"
    )
    group.add_argument(
        "--loss", metavar="CHANCE", default="", help="lose each segment with this chance, e.g. 10%%"
    )
    group.add_argument("--seed", type=int, default=1, help="seed of all random choices; default %(default)s")
    fields = "set a field of Config, such as ecn=ask; or time_wait=off, delay=50ms"
    group.add_argument("--set", metavar="NAME=VALUE", action="append", default=[], help=fields)


def read(options: argparse.Namespace) -> Interference:
    """Read the options. Raises ArgumentError for a value that isn't allowed."""
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
