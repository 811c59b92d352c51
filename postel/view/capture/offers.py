"""Options of SYNs. Most systems send one list of options in all SYNs, so each list is read once."""

from contextlib import suppress
from typing import Final

from postel.errors import WireError
from postel.wire import options

_MOST: Final = 1024  # number of lists of options that are kept
_STAMPED: Final = bytes((options.TIMESTAMPS, 10))
# Offset of the timestamps in the list of options: first that of Linux, then that of macOS and the BSDs
_PLACES: Final = (6, 10)
_NOWHERE: Final = -1

_known: dict[tuple[int, bytes], options.Bearer] = {}


def read_offer(octets: bytes) -> options.Bearer:
    """Return the options of a SYN, as far as they can be read. They may be shared: don't change them.

    Of timestamps only their presence counts: the values may be those of another SYN.
    """
    at = _NOWHERE
    for place in _PLACES:
        if octets[place : place + 2] == _STAMPED and place + 10 <= len(octets):
            at = place
            break
    key = (at, octets) if at == _NOWHERE else (at, octets[: at + 2] + octets[at + 10 :])
    offer = _known.get(key)
    if offer is None:
        offer = options.Bearer()
        with suppress(WireError):
            options.read(octets, 0, len(octets), offer, syn=True)
        if at == _NOWHERE or _begins_option(octets, at):
            if len(_known) >= _MOST:
                _known.clear()
            _known[key] = offer
    return offer


def _begins_option(octets: bytes, at: int) -> bool:
    """Return whether an option begins at ``at``, not in the middle of another one."""
    position = 0
    while position < at and octets[position] != options.END:
        if octets[position] == options.NOP:
            position += 1
        elif octets[position + 1] < 2:
            return False
        else:
            position += octets[position + 1]
    return position == at
