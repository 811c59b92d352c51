"""Selection of the connections that are printed, and their order."""

import argparse
from collections.abc import Callable
from typing import Final

from postel.errors import ArgumentError
from postel.view.capture import Connection
from postel.view.capture.case import Story
from postel.view.capture.connection import Closing
from postel.view.capture.quality import is_unusual
from postel.wire.address import parse

Key = tuple[int, int]

_KEYS: Final[dict[str, Callable[[Connection], int]]] = {
    "began": lambda connection: connection.began,
    "duration": lambda connection: (
        connection.began - connection.last
    ),  # negative, so that the largest is first
    "octets": lambda connection: -sum(end.data for end in connection.ends),
    "packets": lambda connection: -sum(end.packets for end in connection.ends),
    "again": lambda connection: -sum(end.retransmissions for end in connection.ends),
    "handshake": lambda connection: -connection.handshake_time,
}
_WORDS: Final = {closing.value.replace(" ", "-").lower(): closing for closing in Closing}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the selection."""
    group = parser.add_argument_group(
        "selection", "of the connections that are listed; all conditions must hold"
    )
    group.add_argument("--only", choices=("unusual",), help="connections with a finding")
    group.add_argument(
        "--host",
        metavar="ADDRESS",
        action="append",
        default=[],
        help="connections of which one end has this address; may be repeated",
    )
    group.add_argument(
        "--port",
        metavar="PORT",
        type=int,
        action="append",
        default=[],
        help="connections of which one end has this port; may be repeated",
    )
    group.add_argument(
        "--closed",
        choices=sorted(_WORDS),
        action="append",
        default=[],
        help="connections that closed in this way; may be repeated",
    )
    group.add_argument(
        "--sort", choices=sorted(_KEYS), help="the largest first; default: in the order in which they began"
    )


class Selection:
    """Connections that the user asked for."""

    def __init__(self, options: argparse.Namespace) -> None:
        """Read the options. Raises ArgumentError for an address or port that isn't valid."""
        self.only_unusual: bool = options.only == "unusual"
        self._hosts = frozenset(parse(text) for text in options.host)
        for port in options.port:
            if not 0 <= port <= 65535:
                raise ArgumentError("--port", port, "0 to 65535")
        self._ports = frozenset(options.port)
        self._closings = frozenset(_WORDS[word] for word in options.closed)
        self._key = _KEYS.get(options.sort)

    def wants(self, connection: Connection, story: Story | None) -> bool:
        """Return whether a connection is to be printed."""
        if self.only_unusual and (story is None or not is_unusual(story)):
            return False
        ends = [end.endpoint for end in connection.ends]
        if self._hosts and not any(end.address in self._hosts for end in ends):
            return False
        if self._ports and not any(end.port in self._ports for end in ends):
            return False
        return not self._closings or connection.closing in self._closings

    def key(self, connection: Connection) -> int:
        """Return the key of a connection by which rows are sorted, the lowest first."""
        return connection.number if self._key is None else self._key(connection)
