"""Hosts as a user names them: by `Host`, by name, by pattern, or several of these."""

import re
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from typing import Final, Protocol

from postel.host.host import Host


class Named(Protocol):
    """Object with a host's name, such as a `Computer`."""

    @property
    def name(self) -> str:
        """Name of the host."""
        ...


OneHost = Host | str | Named
Hosts = OneHost | Iterable[OneHost]

ALL: Final = ("*",)
_WILD: Final = frozenset("*?[")
_MOST_PAIRS: Final = 1000


class Names:
    """Names and patterns of some hosts. An example is ``"server1" in Names(("server*",))``.

    A host that is added to the world later belongs to them if its name fits.
    """

    def __init__(self, patterns: tuple[str, ...]) -> None:
        """Keep the patterns."""
        self.patterns = patterns
        self._known: dict[str, bool] = {}

    def __contains__(self, name: str) -> bool:
        """Whether ``name`` fits one of the patterns."""
        known = self._known.get(name)
        if known is None:
            known = self._known[name] = any(
                name == pattern or fnmatchcase(name, pattern) for pattern in self.patterns
            )
        return known


class Between:
    """Direction from some hosts to others, or ``both`` directions between them."""

    def __init__(self, hosts: tuple[str, ...], others: tuple[str, ...], *, both: bool) -> None:
        """Keep the names and patterns. An empty ``others`` stands for all hosts."""
        self.hosts: Names = Names(hosts)
        self.others: Names = Names(others or ALL)
        self.both = both
        # Pairs of sender and receiver; None where a pattern is among the names, or there would be too many
        # pairs.
        self.pairs: list[tuple[str, str]] | None = self._named_pairs()

    def _named_pairs(self) -> list[tuple[str, str]] | None:
        hosts, others = self.hosts.patterns, self.others.patterns
        if len(hosts) * len(others) > _MOST_PAIRS or any(set(name) & _WILD for name in (*hosts, *others)):
            return None
        there = [(one, other) for one in hosts for other in others]
        return there + [(other, one) for one, other in there] if self.both else there

    def covers(self, sender: str, receiver: str) -> bool:
        """Whether a packet from ``sender`` to ``receiver`` is one of this direction."""
        if sender in self.hosts and receiver in self.others:
            return True
        return self.both and sender in self.others and receiver in self.hosts

    def is_within(self, other: "Between") -> bool:
        """Whether ``other`` covers all packets that this one covers. Only names and patterns are compared."""
        here, there = (
            (self.hosts.patterns, self.others.patterns),
            (other.hosts.patterns, other.others.patterns),
        )
        if _are_within(here, there) and (other.both or not self.both):
            return True
        return other.both and _are_within(here, there[::-1])


def _are_within(here: tuple[tuple[str, ...], ...], there: tuple[tuple[str, ...], ...]) -> bool:
    return all(
        "*" in wider or set(narrower) <= set(wider) for narrower, wider in zip(here, there, strict=True)
    )


_PLAIN: Final = re.compile(r"[A-Za-z0-9_.:/*?!\[\]-]+")


def is_plain(name: str) -> bool:
    """Whether a name needs no quotation marks in the text of a fault."""
    return _PLAIN.fullmatch(name) is not None and name not in ("at", "for")


def matching(pattern: str, names: Iterable[str]) -> Iterator[str]:
    """Yield those of ``names`` that fit ``pattern``."""
    return (name for name in names if name == pattern or fnmatchcase(name, pattern))
