"""The names of controllers: what `Config(congestion="bbr")` and a command line mean.

There is one table for each process. It holds Reno, CUBIC and BBR from the start; `postel.congestion.register`
adds to it, and nothing takes a name away. A `Config` keeps the class that a name stood for when it was made.
"""

from typing import Final

from postel.errors import ArgumentError
from postel.tcp.congestion import Congestion
from postel.tcp.congestion.bbr import BBR
from postel.tcp.congestion.cubic import Cubic
from postel.tcp.congestion.reno import Reno

# The abstract methods of Congestion, of which a compiled class keeps no list
_REQUIRED: Final = ("acknowledged", "idled", "lost", "recovered", "timed_out")
CONTROLLERS: Final[dict[str, type[Congestion]]] = {"bbr": BBR, "cubic": Cubic, "reno": Reno}


def registered() -> tuple[str, ...]:
    """The names that are known now, in alphabetical order."""
    return tuple(sorted(CONTROLLERS))


def controller_of(choice: object) -> type[Congestion]:
    """The class that a name stands for, or the class itself. Raises `ArgumentError`, with the known names,
    for anything else.
    """
    if isinstance(choice, str):
        found = CONTROLLERS.get(choice)
        if found is not None:
            return found
    elif isinstance(choice, type) and issubclass(choice, Congestion):
        require_complete("congestion", choice)
        return choice
    raise ArgumentError(
        "congestion",
        choice,
        f"one of {', '.join(registered())}, or a subclass of postel.congestion.Congestion",
    )


def require_complete(name: str, controller: type[Congestion]) -> None:
    """Refuse a class that lacks a method of Congestion: else the first connection to send would find out."""
    missing = [method for method in _REQUIRED if getattr(controller, method) is getattr(Congestion, method)]
    if missing:
        raise ArgumentError(
            name, controller, f"a class with all methods of Congestion; missing: {', '.join(missing)}"
        )
