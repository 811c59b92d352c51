"""Names of numbers in scripts, and the values of expressions."""

import errno
from typing import Final

from postel.drill.epoll import EPOLL
from postel.drill.script import Either, Function, Name
from postel.errors import ScriptError
from postel.sockets.table import NAMED

SOCK_STREAM: Final = 1
SOCK_DGRAM: Final = 2
CONSTANTS: Final = {
    "AF_INET": 2, "AF_INET6": 10, "SOCK_STREAM": SOCK_STREAM, "SOCK_DGRAM": SOCK_DGRAM,
    "SOCK_NONBLOCK": 1 << 20,
    "IPPROTO_IP": 0, "IPPROTO_TCP": 6,
    "IPPROTO_UDP": 17, "IPPROTO_IPV6": 41, "SOL_SOCKET": 1 << 16, "SOL_TCP": 6, "SOL_IP": 0, "SOL_IPV6": 41,
    "SHUT_RD": 0, "SHUT_WR": 1, "SHUT_RDWR": 2, "F_GETFL": 3, "F_SETFL": 4, "O_RDONLY": 0, "O_WRONLY": 1,
    "O_RDWR": 2,
    "MSG_OOB": 1, "MSG_PEEK": 2, "MSG_DONTROUTE": 4, "MSG_WAITALL": 0x100, "MSG_DONTWAIT": 0x40,
    "MSG_NOSIGNAL": 0x4000,
    "MSG_TRUNC": 0x20, "MSG_MORE": 0x8000, "MSG_FASTOPEN": 0x20000000,
    "POLLIN": 1, "POLLPRI": 2, "POLLOUT": 4, "POLLERR": 8, "POLLHUP": 16, "POLLNVAL": 32, "POLLRDHUP": 0x2000,
    "POLLRDNORM": 0x40, "POLLWRNORM": 0x100, "INADDR_ANY": 0, "NULL": 0, **EPOLL,
    "IPTOS_LOWDELAY": 0x10, "IPTOS_THROUGHPUT": 0x08, "IPTOS_RELIABILITY": 0x04,
    "IPTOS_ECN_NOTECT": 0, "IPTOS_ECN_ECT1": 1, "IPTOS_ECN_ECT0": 2, "IPTOS_ECN_CE": 3, "IPTOS_DSCP_EF": 0xB8,
    **{f"IPTOS_DSCP_CS{number}": number << 5 for number in range(8)},
    **{f"IPTOS_DSCP_AF{number}{drop}": number << 5 | drop << 3
       for number in range(1, 5) for drop in range(1, 4)},
}  # fmt: skip
# Names that have no number: options of sockets and requests of ioctl
SELECTORS: Final = frozenset(
    [*NAMED, "SO_ZEROCOPY", "TCP_MD5SIG", "SIOCINQ", "FIONREAD", "SIOCOUTQ", "FIONBIO"]
)


def value(expression: object, extra: dict[str, int]) -> object:
    """Value of an expression: a number, a text, a list or a structure.

    Ellipsis and the names in SELECTORS stay as they are. ``extra`` has values of further names.
    """
    if isinstance(expression, Name):
        return _named(expression.text, extra)
    if isinstance(expression, Either):
        total = 0
        for part in expression.parts:
            total |= number(part, extra)
        return total
    if isinstance(expression, Function):
        return value(expression.arguments[0], extra) if len(expression.arguments) == 1 else None
    if isinstance(expression, list):
        return [value(item, extra) for item in expression]
    if isinstance(expression, tuple):
        return tuple([value(item, extra) for item in expression])
    if isinstance(expression, dict):
        return {name: value(item, extra) for name, item in expression.items()}
    return expression


def number(expression: object, extra: dict[str, int]) -> int:
    """Value of an expression that must be a number. Raises ScriptError."""
    found = value(expression, extra)
    if isinstance(found, list) and len(found) == 1:
        found = found[0]
    if not isinstance(found, int):
        raise ScriptError(0, str(getattr(expression, "text", expression)), "expected a number")
    return found


def _named(text: str, extra: dict[str, int]) -> object:
    if text in extra:
        return extra[text]
    if text in CONSTANTS:
        return CONSTANTS[text]
    if text in SELECTORS:
        return text
    if text.startswith("E") and hasattr(errno, text):
        return getattr(errno, text)
    raise ScriptError(0, text, "this name isn't known")
