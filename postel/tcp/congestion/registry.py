"""The names of controllers: what `Config(congestion="bbr")` and a command line mean.

There is one table for each process. It holds Reno, CUBIC and BBR from the start; `register` adds to it, and nothing takes a name away.
Register where the module of the controller is imported. A `Config` keeps the class that the name stood for when it was made.
"""

from typing import Final

from postel.errors import ArgumentError
from postel.tcp.congestion import Congestion
from postel.tcp.congestion.bbr import BBR
from postel.tcp.congestion.cubic import Cubic
from postel.tcp.congestion.reno import Reno

_CONTROLLERS: Final[dict[str, type[Congestion]]] = {"bbr": BBR, "cubic": Cubic, "reno": Reno}


def register(name: str, controller: type[Congestion]) -> None:
    """Let ``name`` stand for ``controller``, a subclass of `Congestion`, in this process.

    A name is lower-case ASCII letters, digits, ``-`` and ``_``, and begins with a letter: what every command line and file can carry.
    A class that was defined anew, as when its module is loaded again, replaces the one before.

    Raises `ArgumentError` for another kind of name, for what is no subclass, and for a name that stands for another class already.
    """
    if not isinstance(name, str) or not _is_name(name):
        raise ArgumentError("name", name, "a text of a-z, 0-9, '-' and '_' that begins with a letter")
    if not isinstance(controller, type) or not issubclass(controller, Congestion):
        raise ArgumentError("controller", controller, "a subclass of postel.congestion.Congestion")
    before = _CONTROLLERS.get(name, controller)
    if repr(before) != repr(controller):  # module and name: mypyc compiles no `__module__` of a class
        raise ArgumentError("name", name, f"a name that doesn't stand for {before.__name__} already")
    _CONTROLLERS[name] = controller


def registered() -> tuple[str, ...]:
    """The names that are known now, in alphabetical order."""
    return tuple(sorted(_CONTROLLERS))


def controller_of(choice: object) -> type[Congestion]:
    """The class that a name stands for, or the class itself. Raises `ArgumentError`, with the known names, for anything else."""
    if isinstance(choice, str):
        found = _CONTROLLERS.get(choice)
        if found is not None:
            return found
    elif isinstance(choice, type) and issubclass(choice, Congestion):
        return choice
    raise ArgumentError("congestion", choice, f"one of {', '.join(registered())}, or a subclass of postel.congestion.Congestion")


def _is_name(name: str) -> bool:
    return name.isascii() and name[:1].isalpha() and name == name.lower() and name.replace("-", "").replace("_", "").isalnum()
