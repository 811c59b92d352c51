"""Draw the connections of a capture as ladders, with the states that both ends were in.

FILE is pcap or pcapng; - is a pipe. A state is printed where the segments show it. Whether a packet arrived
is known from later packets.
"""

import argparse
import sys

from postel.cli.capture import source
from postel.cli.network.recording import show
from postel.errors import ArgumentError
from postel.view.capture import Connection, Table
from postel.view.capture.replay import Replay


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to ``parser``."""
    source.arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Draw the ladders. Returns 0, or another status where a part of the capture couldn't be read."""
    if options.conn < 0:
        raise ArgumentError("--conn", options.conn, "1 or more")
    replay = Replay()
    table = Table(_forget, closer=replay.look, notices=replay.notice, only=options.conn)
    with source.opened(options.file) as reader:
        source.read(reader, table)
    trace = replay.finish()
    if options.conn and not trace.packets:
        source.tell_of_whole(reader, table)
        raise ArgumentError("--conn", options.conn, f"the number of a connection, up to {table.connections}")
    show(trace, options.lang, sys.stdout, unfold=options.unfold)
    return source.tell_of_whole(reader, table)


def _forget(connection: Connection) -> None:
    """Do nothing with a connection that is over, because the replay has all that is drawn."""
