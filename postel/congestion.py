"""Congestion control: the controllers to choose from, and the interface for your own.

A congestion controller decides how many octets of a connection may be in flight (cwnd), and may set a pacing
rate. Three are here: `Cubic` (RFC 9438, the default), `Reno` (RFC 5681) and `BBR` (draft-ietf-ccwg-bbr).
Choose one by name or class: ``Config(congestion="bbr")`` or ``Config(congestion=BBR)``.

To bring your own, subclass `Congestion`, or one of the three; the docstring of `Congestion` is the contract
between a controller and a connection. `register` gives your class a name that every `Config` and every
command line understands. `postel.testing.check_congestion` checks your class against the contract.

>>> from postel import Config
>>> from postel.congestion import Reno, register, registered
>>> class Gentle(Reno):
...     '''Reno that keeps 70 % of the flight after a loss.'''
...     def lost(self, flight, now):
...         super().lost(flight, now)
...         self.window = self.threshold = max(flight * 7 // 10, 2 * self.smss)
>>> register("gentle", Gentle)
>>> "gentle" in registered()
True
>>> Config(congestion="gentle").controller is Gentle
True
"""

import re
from typing import Final

from postel.errors import ArgumentError
from postel.tcp.congestion import ARBITRARILY_HIGH, Congestion, Sample, initial_window
from postel.tcp.congestion.bbr import BBR
from postel.tcp.congestion.cubic import Cubic
from postel.tcp.congestion.registry import CONTROLLERS, registered, require_complete
from postel.tcp.congestion.reno import Reno
from postel.tcp.congestion.xorshift import Xorshift

__all__ = [
    "ARBITRARILY_HIGH",
    "BBR",
    "Congestion",
    "Cubic",
    "Reno",
    "Sample",
    "Xorshift",
    "initial_window",
    "register",
    "registered",
]

_NAME: Final = re.compile(r"[a-z][a-z0-9_-]*")


def register(name: str, controller: type[Congestion]) -> None:
    """Let ``name`` stand for ``controller``, a subclass of `Congestion`, in this process.

    ``name`` consists of lower-case ASCII letters, digits, ``-`` and ``_`` and begins with a letter, so that
    every command line and file can carry it. Call `register` in the module of the class, so that to import
    the module is enough.

    A class that is defined anew under the same module and name, as when its module is reloaded, replaces the
    earlier class. A `Config` keeps the class that the name stood for when the `Config` was made.

    Raises `ArgumentError` where ``name`` has another form, where ``controller`` isn't a subclass or lacks a
    method, and where the name stands for another class already.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ArgumentError("name", name, "a text of a-z, 0-9, '-' and '_' that begins with a letter")
    if not isinstance(controller, type) or not issubclass(controller, Congestion):
        raise ArgumentError("controller", controller, "a subclass of postel.congestion.Congestion")
    require_complete("controller", controller)
    before = CONTROLLERS.get(name, controller)
    if (before.__module__, before.__qualname__) != (controller.__module__, controller.__qualname__):
        raise ArgumentError("name", name, f"a name that doesn't stand for {before.__name__} already")
    CONTROLLERS[name] = controller
