"""Summary of a capture in a few lines, and one line for many connections that are alike.

The summary says how long the capture is, how many connections it has, how they closed, and how much was
sent again.
"""

from collections import Counter
from typing import Final

from postel.view.capture import Connection, report, translations
from postel.view.capture.connection import Closing
from postel.wire.address import to_text

LEAST_ALIKE: Final = 10  # smallest number of connections in a group that is printed as one line
_MOST_PORTS: Final = 65_536
_OF_SCANS: Final = (Closing.UNANSWERED, Closing.REFUSED, Closing.HALF_OPEN, Closing.RESET_BY_OPENER)


class Summary:
    """Sums over all connections, including those without a row. Times are in microseconds."""

    def __init__(self) -> None:
        """Begin without connections."""
        self.connections: int = 0
        self.closings: Counter[Closing] = Counter()
        self.octets: int = 0
        self.packets: int = 0
        self.sent_again: int = 0
        self.began: int = 0
        self.ended: int = 0

    def count(self, connection: Connection) -> None:
        """Add a connection to the sums."""
        self.began = min(self.began, connection.began) if self.connections else connection.began
        self.ended = max(self.ended, connection.last)
        self.connections += 1
        self.closings[connection.closing] += 1
        for end in connection.ends:
            self.octets += end.data
            self.packets += end.packets
            self.sent_again += end.retransmissions

    def lines(self, packets: int, language: str) -> list[str]:
        """Return the lines of the summary; ``packets`` is the number of all packets in the capture."""
        share = f"{self.sent_again / self.packets:.2%}" if self.packets else "0%"
        closings = ", ".join(
            f"{translations.say(translations.CLOSINGS[closing], language)} {count:,}"
            for closing, count in self.closings.most_common()
        )
        values = {
            "span": report.duration(self.ended - self.began),
            "packets": f"{packets:,}",
            "tcp": f"{self.packets:,}",
            "connections": f"{self.connections:,}",
            "octets": f"{self.octets:,}",
            "again": f"{self.sent_again:,}",
            "share": share,
            "closings": closings,
        }
        keys = ["span", "sent again", *(["closed so"] if closings else [])]
        return [translations.say(translations.SENTENCES[key], language, **values) for key in keys]


class Alike:
    """Groups of connections without data that one host opened, and that ended in the same way.

    Such connections come from a port scan, or from many failed attempts to connect.
    """

    def __init__(self) -> None:
        """Begin without connections."""
        self._counts: Counter[str] = Counter()
        self._hosts: dict[str, set[bytes]] = {}
        self._ports: dict[str, set[int]] = {}

    def group(self, connection: Connection) -> str:
        """Add a connection to its group. Returns the group's name, or "" if there is no group for it."""
        one, two = connection.ends
        if connection.closing not in _OF_SCANS or one.data or two.data:
            return ""
        group = f"{to_text(one.endpoint.address)} {connection.closing.value}"
        self._counts[group] += 1
        self._hosts.setdefault(group, set()).add(two.endpoint.address)
        ports = self._ports.setdefault(group, set())
        if len(ports) < _MOST_PORTS:
            ports.add(two.endpoint.port)
        return group

    def is_many(self, group: str) -> bool:
        """Return whether a group is large enough to be printed as one line."""
        return self._counts[group] >= LEAST_ALIKE

    def line(self, group: str, language: str) -> str:
        """Return the line that is printed in place of the rows of a group."""
        opener, _, value = group.partition(" ")
        return translations.say(
            translations.SENTENCES["alike"],
            language,
            opener=opener,
            count=f"{self._counts[group]:,}",
            hosts=f"{len(self._hosts[group]):,}",
            ports=f"{len(self._ports[group]):,}",
            closing=translations.say(translations.CLOSINGS[Closing(value)], language),
        )
