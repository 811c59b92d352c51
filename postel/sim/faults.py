"""Faults as data: which fault, of which hosts, from when and for how long. A search shrinks lists of faults.

>>> fault = Fault("partition", "client", "server", both=False, at="2s", length="3.26s")
>>> str(fault)
'partition client -> server at 2s for 3.26s'
>>> Fault.parse(str(fault)) == fault
True
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, NoReturn, cast, get_args

from postel.errors import ArgumentError, require_choice, require_kind
from postel.sim.between import ALL, is_plain
from postel.sim.units import Duration, bandwidth, duration, duration_text, queue_limit, size
from postel.times import NEVER

FaultKind = Literal["partition", "hold", "flap", "path", "crash", "pause", "slow", "clock"]
Setting = int | float | bool | str

KINDS: Final[tuple[FaultKind, ...]] = get_args(FaultKind)
_BETWEEN: Final = ("partition", "hold", "flap", "path")  # kinds between hosts
_NO_END: Final = ("clock",)
_TIMES: Final = ("up", "down", "each", "by", "delay", "jitter", "hold")
_POSITIVE: Final = ("up", "down", "each")
_SIZES: Final = ("mtu", "congested_at")
_CHANCES: Final = ("loss", "duplicate", "corrupt", "reorder", "congestion")
_SETTINGS: Final = {
    "flap": ("down", "up"),
    "slow": ("each",),
    "clock": ("by",),
    "path": ("bandwidth", "is_black_hole", "queue", *_TIMES[4:], *_SIZES, *_CHANCES),
}
_OPTIONAL: Final = ("path",)
_WORD: Final = re.compile(r'"(?:[^"\\]|\\.)*"|[^\s,"]+|,')
_EXAMPLE: Final = "such as 'partition client <-> server at 2s for 3.26s'"


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault of a world. A fault is hashable and comparable, and `parse` reads its text again.

    ``kind`` is "partition", "hold", "flap" or "path" between ``hosts`` and ``others``; or "crash", "pause",
    "slow" or "clock" of ``hosts``. ``hosts`` and ``others`` are names or patterns ("client*"), one or
    several; without ``others``, all hosts are meant. ``both`` is False where only packets from ``hosts`` to
    ``others`` are concerned.

    ``at`` is the time of the world's clock at which the fault begins, and ``length`` is how long it lasts, in
    microseconds or as text ("2s"); NEVER is for a fault that doesn't end. A crash lasts until the restart.
    ``settings`` depend on the kind: ``up`` and ``down`` of "flap", ``each`` of "slow", ``by`` of "clock", any
    setting of a `Path` of "path".
    """

    kind: FaultKind
    hosts: tuple[str, ...]
    others: tuple[str, ...] = ()
    both: bool = True
    at: int = 0
    length: int = NEVER
    settings: tuple[tuple[str, Setting], ...] = ()

    def __init__(
        self,
        kind: FaultKind,
        hosts: str | Iterable[str],
        others: str | Iterable[str] = (),
        *,
        both: bool = True,
        at: Duration = 0,
        length: Duration = NEVER,
        settings: Mapping[str, object] | Iterable[tuple[str, object]] = (),
    ) -> None:
        """Make a fault. Raises ArgumentError."""
        require_choice("kind", kind, KINDS)
        require_kind("both", both, bool, "True or False")
        hosts, others = _names("hosts", hosts), _names("others", others)
        if not hosts:
            raise ArgumentError("hosts", hosts, "the name of a host, or several")
        if kind not in _BETWEEN and (others or not both):
            raise ArgumentError(
                "others", others, f"nothing: {kind} is a fault of hosts, not of what is between them"
            )
        if others == ALL:
            others = ()
        fields = (
            kind,
            hosts,
            others,
            both,
            duration(at, "at"),
            duration(length, "length"),
            _settings(kind, _dict(settings)),
        )
        for name, value in zip(
            ("kind", "hosts", "others", "both", "at", "length", "settings"), fields, strict=True
        ):
            object.__setattr__(self, name, value)

    @property
    def ends_at(self) -> int:
        """Time at which the fault ends, in microseconds of the world; NEVER if the fault doesn't end."""
        return min(self.at + self.length, NEVER)

    def setting(self, name: str) -> Setting:
        """Value of one of the fault's settings. Raises KeyError."""
        return dict(self.settings)[name]

    def __str__(self) -> str:
        """Text that `parse` reads."""
        words: list[str] = [self.kind, _list(self.hosts)]
        if self.kind in _BETWEEN:
            words += ["<->" if self.both else "->", _list(self.others or ALL)]
        words += ["at", duration_text(self.at)]
        if self.length != NEVER:
            words += ["for", duration_text(self.length)]
        return " ".join([*words, *(f"{name}={_value(name, value)}" for name, value in self.settings)])

    def __repr__(self) -> str:
        """Python text of the call of `parse` that makes the same fault."""
        return f"Fault.parse({str(self)!r})"

    @classmethod
    def parse(cls, text: str) -> "Fault":
        """Read the fault that prints as ``text``. Raises ArgumentError."""
        require_kind("fault", text, str, f"text, {_EXAMPLE}")
        words = _Words(text)
        kind = words.next()
        if kind not in KINDS:
            words.refuse(f"a fault that begins with one of {', '.join(KINDS)}")
        hosts, both = words.names(), True
        others: tuple[str, ...] = ()
        if words.peek() in ("->", "<->"):
            both = words.next() == "<->"
            others = words.names()
        at = words.after("at", 0)
        length = words.after("for", NEVER)
        return cls(kind, hosts, others, both=both, at=at, length=length, settings=words.settings())


class _Words:
    """Reader of a fault's text, word by word."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._words = _WORD.findall(text)
        if _WORD.sub("", text).strip():
            self.refuse(f"text, {_EXAMPLE}, with names in whole quotation marks, if any")

    def refuse(self, allowed: str) -> NoReturn:
        raise ArgumentError("fault", self._text, allowed)

    def peek(self) -> str:
        return self._words[0] if self._words else ""

    def next(self) -> str:
        if not self._words:
            self.refuse(f"text, {_EXAMPLE}")
        return cast("str", self._words.pop(0))

    def names(self) -> tuple[str, ...]:
        found = [self._name()]
        while self.peek() == ",":
            self.next()
            found.append(self._name())
        return tuple(found)

    def _name(self) -> str:
        word = self.next()
        if not word.startswith('"'):
            return word
        try:
            return str(json.loads(word))
        except ValueError:
            self.refuse("names in quotation marks as in JSON")

    def after(self, word: str, otherwise: int) -> Duration:
        if self.peek() != word:
            return otherwise
        self.next()
        return self.next()

    def settings(self) -> dict[str, object]:
        found: dict[str, object] = {}
        while self._words:
            name, equals, value = self.next().partition("=")
            if not equals or name in found:
                self.refuse(f"settings as name=value, each once, at its end; {_EXAMPLE}")
            found[name] = _read(name, value)
        return found


def _names(name: str, given: str | Iterable[str]) -> tuple[str, ...]:
    require_kind(name, given, (str, Iterable), "names or patterns of hosts, as text")
    found = (given,) if isinstance(given, str) else tuple(given)
    for one in found:
        if not isinstance(one, str) or not one:
            raise ArgumentError(name, one, "names or patterns of hosts, as text")
    return found


def _dict(settings: object) -> dict[str, Any]:
    try:
        return dict(cast("Mapping[str, Any]", settings))
    except (TypeError, ValueError):
        raise ArgumentError("settings", settings, "a dict, or pairs of name and value") from None


def _settings(kind: str, given: dict[str, Any]) -> tuple[tuple[str, Setting], ...]:
    allowed = _SETTINGS.get(kind, ())
    for name in given:
        if name not in allowed:
            raise ArgumentError("settings", name, f"those of {kind}: {', '.join(allowed) or 'none'}")
    for name in allowed if kind not in _OPTIONAL else ():
        if name not in given:
            raise ArgumentError("settings", given, f"all of {', '.join(allowed)}, which {kind} needs")
    if kind == "path" and not given:
        raise ArgumentError("settings", given, f"at least one of {', '.join(allowed)}")
    return tuple(sorted((name, _checked(name, value)) for name, value in given.items()))


def _checked(name: str, value: Any) -> Setting:  # noqa: ANN401 - whatever a caller may try
    if name in _TIMES:
        found = duration(value, name)
        if name in _POSITIVE and not found:
            raise ArgumentError(name, value, "more than 0 microseconds")
        return found
    if name == "bandwidth":
        return bandwidth(value, name)
    if name == "queue":
        return queue_limit(value, name)
    if name in _SIZES:
        return size(value, name)
    if name == "is_black_hole":
        require_kind(name, value, bool, "True or False")
    elif not isinstance(value, int | float) or isinstance(value, bool) or not 0.0 <= value <= 1.0:
        raise ArgumentError(name, value, "a probability, 0.0 to 1.0")
    return cast("Setting", value)


def _list(names: tuple[str, ...]) -> str:
    return ",".join(name if is_plain(name) else json.dumps(name).replace(";", "\\u003b") for name in names)


def _value(name: str, value: Setting) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return value
    return duration_text(int(value)) if name in _TIMES else repr(value)


def _read(name: str, value: str) -> object:
    """Value of a setting that `_value` wrote as text. Text with a unit is left to `_checked`."""
    if value in ("yes", "no"):
        return value == "yes"
    if re.fullmatch(r"[0-9]+", value):
        return int(value)
    if name in _CHANCES:
        try:
            return float(value)
        except ValueError:
            return value
    return value
