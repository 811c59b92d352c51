"""IPv4's options Record Route and Timestamp in an echo reply (RFC 791, 3.1; RFC 1122, 3.2.2.6)."""

from typing import Final

from postel.times import MILLISECOND
from postel.wire import ip

RECORD_ROUTE: Final = 7
TIMESTAMP: Final = 68

_ADDRESS: Final = 4  # octets of an IPv4 address
_STAMP: Final = 4
_STAMPS_ALONE: Final = 0  # flag of a Timestamp option: timestamps without addresses
_WITH_ADDRESSES: Final = 1
_AT_ADDRESSES: Final = 3
_OUR_OWN_CLOCK: Final = 0x80000000  # flag of a time that isn't milliseconds since midnight (RFC 791, 3.1)


def updated(options: bytes, own: bytes, now: int) -> bytes:
    """Record Route and Timestamp options of ``options``, each with an entry of this host.

    ``own`` is the address to which the echo request was sent, and ``now`` the time in microseconds. The
    result is padded to a multiple of 4 octets. If ``options`` has neither option, the result is b"".
    """
    octets = b""
    position = 0
    while position < len(options):
        option = bytearray(options[position : position + ip.option_length(options, position, len(options))])
        position += len(option)
        if option[0] == RECORD_ROUTE and len(option) > 2 and option[2] >= 4:
            _enter(option, own)
        elif option[0] == TIMESTAMP and len(option) > 3 and option[2] >= 5:
            _stamp(option, own, now)
        else:
            continue
        octets += bytes(option)
    return octets + bytes(-len(octets) % 4)


def _stamp(option: bytearray, own: bytes, now: int) -> None:
    """Add an entry to a Timestamp option (RFC 791, 3.1), or count that there was no room."""
    stamp = (_OUR_OWN_CLOCK | (now // MILLISECOND) & ~_OUR_OWN_CLOCK & 0xFFFFFFFF).to_bytes(_STAMP, "big")
    kind = option[3] & 15
    if kind == _AT_ADDRESSES:
        at = option[2] - 1
        if option[at : at + _ADDRESS] == own:
            _enter(option, own + stamp)
        return
    if kind not in (_STAMPS_ALONE, _WITH_ADDRESSES):
        return
    if not _enter(option, stamp if kind == _STAMPS_ALONE else own + stamp) and option[3] < 0xF0:
        option[3] += 0x10  # adds 1 to the count of hosts that had no room for their entry


def _enter(option: bytearray, entry: bytes) -> bool:
    """Write an entry at the offset in the option's pointer, and move the pointer behind the entry.

    Returns False where there is no room for the whole entry.
    """
    at = option[2] - 1
    if at + len(entry) > len(option):
        return False
    option[at : at + len(entry)] = entry
    option[2] += len(entry)
    return True
