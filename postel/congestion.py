"""Congestion control to choose, and to bring your own: the interface of controllers, those that are here, and
their names.

`Congestion` is the class to subclass; its docstring is the contract between a controller and a connection.
``Config(congestion=Mine)`` uses it, and so does ``Config(congestion="mine")`` and every command line, once
`register` has given it a name. `postel.testing.check_congestion` finds a wrong one.
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

    A name is lower-case ASCII letters, digits, ``-`` and ``_``, and begins with a letter: what every command
    line and file can carry. Register where the module of the controller is imported. A class that was defined
    anew, as when its module is loaded again, replaces the one before; a `Config` keeps the class that the
    name stood for when it was made.

    Raises `ArgumentError` for another kind of name, for what is no subclass or lacks methods, and for a name
    that stands for another class already.
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
