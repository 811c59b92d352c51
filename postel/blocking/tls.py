"""TLS's sockets take the descriptor of another: ``ssl`` wraps a socket by detaching it and making a new
object of its descriptor.
"""

import sys
from types import FrameType
from typing import Any, Final

_JOINED: Final[dict[tuple[type, type], type]] = {}


def taker(frame: FrameType) -> Any:  # noqa: ANN401 - an object of the module ssl, which isn't imported here
    """The `ssl.SSLSocket` that is just being made by the function of ``frame``, which detaches another
    socket; None for any other.
    """
    ssl = sys.modules.get("ssl")
    if ssl is None or frame.f_code is not ssl.SSLSocket._create.__func__.__code__:  # noqa: SLF001
        return None
    return frame.f_locals.get("self")


def adopt(taken: Any, base: type) -> None:  # noqa: ANN401 - an `ssl.SSLSocket`
    """What isn't TLS's to do is done by ``base``, a class of sockets, from now on, and not by the machine."""
    kind = type(taken)
    if (kind, base) not in _JOINED:
        _JOINED[kind, base] = type(
            kind.__name__, (kind, base), {"__doc__": kind.__doc__, "__module__": kind.__module__}
        )
    taken.__class__ = _JOINED[kind, base]
