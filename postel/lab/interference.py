"""Interference: what a user changes of an experiment: single packets, the path, or TCP's configuration.

>>> told = Interference.read(drop="2,5", delay="3=2s", settings=("msl=30s",))
>>> sorted(told.verdicts)
[2, 3, 5]
>>> told.configured(DEFAULT, "client").msl == 30 * SECOND
True
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, fields, replace
from typing import Any, Final

from postel.errors import ArgumentError
from postel.sim import DROP, Verdict, corrupt, deliver_after, duplicate
from postel.tcp.config import AUTOMATIC, DEFAULT, KIBIBYTE, MEBIBYTE, Config
from postel.times import DAY, HOUR, MILLISECOND, MINUTE, NEVER, SECOND

DELAY: Final = 10 * MILLISECOND  # one way
_HELD_BACK: Final = 3  # a packet that others shall overtake takes this many times as long
_UNITS: Final = {
    "": 1,
    "us": 1,
    "ms": MILLISECOND,
    "s": SECOND,
    "min": MINUTE,
    "h": HOUR,
    "d": DAY,
    "k": KIBIBYTE,
    "M": MEBIBYTE,
}
_AMOUNT: Final = re.compile(r"(\d+(?:\.\d+)?)([a-zA-Z]*)")
_SWITCHES: Final = {"on": True, "true": True, "yes": True, "off": False, "false": False, "no": False}
_TIME_WAIT: Final = "time_wait"  # a setting of the lab, not of Config: "off" is an MSL of 0
_OF_PATH: Final = ("delay", "jitter", "bandwidth")
_CHANCES: Final = ("loss", "duplicate", "corrupt", "reorder")
_CONFIG: Final = {found.name: getattr(DEFAULT, found.name) for found in fields(Config)}


@dataclass(frozen=True)
class Interference:
    """What a user changes in each run of an experiment.

    - ``verdicts``: what happens to single packets, by the numbers that the ladder prints.
    - ``path``: keyword arguments of `World.path`.
    - ``config``: fields of `Config` and their values, by host; "" stands for all hosts.
    - ``seed``: of the simulated world.
    """

    verdicts: dict[int, Verdict] = field(default_factory=dict)
    path: dict[str, Any] = field(default_factory=dict)
    config: dict[str, dict[str, Any]] = field(default_factory=dict)
    seed: int = 1

    @staticmethod
    def read(
        *,
        drop: str = "",
        dup: str = "",
        delay: str = "",
        corrupted: str = "",
        reorder: str = "",
        loss: str = "",
        seed: int = 1,
        settings: Iterable[str] = (),
    ) -> "Interference":
        """Return the interference that the options of a command line ask for.

        ``drop``, ``dup``, ``corrupted`` and ``reorder`` are lists of packet numbers, as "2,5"; ``delay`` is a
        list of NUMBER=TIME, as "3=2s"; ``loss`` is a probability, as "10%"; ``settings`` are "NAME=VALUE".
        Raises `ArgumentError`.
        """
        told = Interference({}, {"loss": _chance("--loss", loss)} if loss else {}, {}, seed)
        for setting in settings:
            told._set(setting)
        told._decide("--drop", drop, DROP)
        told._decide("--dup", dup, duplicate())
        told._decide("--corrupt", corrupted, corrupt())
        for part in _parts(delay):
            number, equals, length = part.partition("=")
            if not equals:
                raise ArgumentError("--delay", part, "NUMBER=TIME, such as 3=2s")
            told._decide("--delay", number, deliver_after(_amount("--delay", length)))
        told._decide("--reorder", reorder, deliver_after(_HELD_BACK * told.way))
        return told

    def _decide(self, option: str, numbers: str, verdict: Verdict) -> None:
        """Set ``verdict`` for packets by their numbers; raises `ArgumentError` where one has another."""
        for number in _numbers(option, numbers):
            if self.verdicts.setdefault(number, verdict) != verdict:
                raise ArgumentError(option, number, "numbers of packets that no other option names")

    @property
    def way(self) -> int:
        """Microseconds that a packet takes one way."""
        return int(self.path.get("delay", DELAY))

    def configured(self, config: Config, host: str) -> Config:
        """Return ``config`` with the user's changes for a host.

        Where an experiment does without TIME-WAIT, a changed MSL alone doesn't bring TIME-WAIT back;
        ``time_wait=on`` does.
        """
        changes = {**self.config.get("", {}), **self.config.get(host, {})}
        is_told = _TIME_WAIT in changes
        waits = changes.pop(_TIME_WAIT, config.msl > 0)
        changed = replace(config, **changes)
        return replace(changed, msl=(changed.msl or (DEFAULT.msl if is_told else 0)) if waits else 0)

    def _set(self, setting: str) -> None:
        """Take one setting: ``name=value`` for all hosts, or ``host.name=value`` for one."""
        name, equals, value = setting.partition("=")
        host, dot, rest = name.rpartition(".")
        if not equals or (dot and host not in ("client", "server")):
            raise ArgumentError("--set", setting, "NAME=VALUE, client.NAME=VALUE or server.NAME=VALUE")
        if rest in _OF_PATH and not host:
            self.path[rest] = _amount(name, value)
        elif rest in _CHANCES and not host:
            self.path[rest] = _chance(name, value)
        elif rest == _TIME_WAIT:
            self.config.setdefault(host, {})[rest] = _switch(name, value)
        elif rest in _CONFIG:
            self.config.setdefault(host, {})[rest] = _value(name, value, _CONFIG[rest])
            self.configured(DEFAULT, host)  # raises ArgumentError where `Config` doesn't allow the value
        else:
            raise ArgumentError(
                "--set",
                name,
                "a field of Config (docs/reference.md), time_wait, delay, jitter, bandwidth, loss, …",
            )


def _parts(text: str) -> list[str]:
    """Return the parts of a list with commas."""
    return [part.strip() for part in text.split(",") if part.strip()]


def _numbers(name: str, text: str) -> list[int]:
    """Return the packet numbers in a list; raises `ArgumentError`."""
    parts = _parts(text)
    if not all(part.isascii() and part.isdigit() and int(part) for part in parts):
        raise ArgumentError(name, text, "numbers as the ladder prints them, such as 9 or 2,9")
    return [int(part) for part in parts]


def _amount(name: str, text: str) -> int:
    """Return a time in microseconds or a size in octets; raises `ArgumentError`."""
    match = _AMOUNT.fullmatch(text.strip())
    if text == "never":
        return NEVER
    if match is None or match[2] not in _UNITS:
        raise ArgumentError(
            name, text, "a number, with us, ms, s, min, h or d for times and k or M for octets"
        )
    return round(float(match[1]) * _UNITS[match[2]])


def _chance(name: str, text: str) -> float:
    """Return a probability, 0 to 1; raises `ArgumentError`."""
    number = text.removesuffix("%")
    try:
        chance = float(number) / (100 if text.endswith("%") else 1)
    except ValueError:
        chance = -1.0
    if not 0.0 <= chance <= 1.0:
        raise ArgumentError(name, text, "a probability, such as 10% or 0.1")
    return chance


def _value(name: str, text: str, default: object) -> bool | int | str:
    """Return the value of a field of `Config`.

    The field's default tells what it is: a switch, an amount, or a word.
    """
    if isinstance(default, bool):
        return _switch(name, text)
    is_size = default == AUTOMATIC and text != AUTOMATIC
    return _amount(name, text) if is_size or isinstance(default, int) else text


def _switch(name: str, text: str) -> bool:
    """Return whether a switch is on; raises `ArgumentError`."""
    if text not in _SWITCHES:
        raise ArgumentError(name, text, "on or off")
    return _SWITCHES[text]
