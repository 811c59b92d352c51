"""Names of congestion controllers, for ``Config(congestion="bbr")`` and command lines.

There is one table for each process. It holds Reno, CUBIC and BBR from the start. `postel.congestion.register`
adds to it, and nothing takes a name away. A `Config` keeps the class that a name stood for when the `Config`
was made.
"""

from typing import Final

from postel.errors import ArgumentError
from postel.tcp.congestion import Congestion
from postel.tcp.congestion.bbr import BBR
from postel.tcp.congestion.cubic import Cubic
from postel.tcp.congestion.reno import Reno

# The abstract methods of Congestion: a compiled class has no ``__abstractmethods__``
_REQUIRED: Final = ("acknowledged", "idled", "lost", "recovered", "timed_out")
CONTROLLERS: Final[dict[str, type[Congestion]]] = {"bbr": BBR, "cubic": Cubic, "reno": Reno}


def registered() -> tuple[str, ...]:
    """Return the names of all controllers of this process, in alphabetical order.

    >>> from postel.congestion import registered
    >>> set(registered()) >= {"bbr", "cubic", "reno"}
    True
    """
    return tuple(sorted(CONTROLLERS))


def controller_of(choice: object) -> type[Congestion]:
    """Return the class that a name stands for, or the class itself where ``choice`` is one.

    Raises `ArgumentError`, with the known names, for anything else.
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
    """Raise `ArgumentError` where a class lacks a method of `Congestion`.

    Without this check, the error would come only when a connection first sends.
    """
    missing = [method for method in _REQUIRED if getattr(controller, method) is getattr(Congestion, method)]
    if missing:
        raise ArgumentError(
            name, controller, f"a class with all methods of Congestion; missing: {', '.join(missing)}"
        )
