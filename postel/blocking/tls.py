"""TLS over the network's sockets.

The module `ssl` detaches a socket's descriptor, and makes a new object for the descriptor, an
`ssl.SSLSocket`. The new object must belong to the same network as the old one. So `taker` finds the new
object while it is being made, and `adopt` changes its class.
"""

import sys
from types import FrameType
from typing import Any, Final

_JOINED: Final[dict[tuple[type, type], type]] = {}


def taker(frame: FrameType) -> Any:  # noqa: ANN401 - an object of the module ssl, which isn't imported here
    """Return the `ssl.SSLSocket` that the function of ``frame`` is making for a socket's descriptor.

    Returns None if another function than that of `ssl` has detached the descriptor.
    """
    ssl = sys.modules.get("ssl")
    # Private, but the only function of `ssl` that detaches a descriptor
    if ssl is None or frame.f_code is not ssl.SSLSocket._create.__func__.__code__:  # noqa: SLF001
        return None
    return frame.f_locals.get("self")


def adopt(taken: Any, base: type) -> None:  # noqa: ANN401 - an `ssl.SSLSocket`
    """Let ``taken`` be also an object of the class ``base``.

    Methods that `ssl.SSLSocket` doesn't define come from ``base``.
    """
    kind = type(taken)
    if (kind, base) not in _JOINED:
        _JOINED[kind, base] = type(
            kind.__name__, (kind, base), {"__doc__": kind.__doc__, "__module__": kind.__module__}
        )
    taken.__class__ = _JOINED[kind, base]
