"""Checks and settings of a new network, for all drivers: its host, its link, and how long it lingers."""

import math
import os
from typing import Final

from postel.errors import ArgumentError
from postel.host.host import Host
from postel.links.contract import Link
from postel.links.junction import require_free

DEFAULT_LINGER: Final = 2.0  # default time for closed connections at a network's end, in seconds
_SECRET: Final = 16  # octets of a random secret for a host without a secret


def prepare(host: Host, link: Link, linger: float) -> None:
    """Give ``host`` the link's MTU, and a secret where it has none. A driver calls this for a new network.

    Raises ArgumentError for a ``linger`` that is no number of 0 or more, and for a host or a link that is in
    use or can't be used together.
    """
    if isinstance(linger, bool) or not isinstance(linger, (int, float)) or not 0 <= linger < math.inf:
        raise ArgumentError("linger", linger, "seconds, 0 or more")
    require_free(host, link)
    host.join(link.mtu, b"" if host.has_secret else os.urandom(_SECRET), 0)
