"""Calls with octets in several buffers (writev, sendmsg and others), as plain calls with the same effect."""

from dataclasses import replace
from typing import Final

from postel.drill.constants import number
from postel.drill.script import Call
from postel.errors import ScriptError

_PLAIN: Final = {"writev": "write", "readv": "read", "sendmsg": "sendto", "recvmsg": "recvfrom"}
_LEFT_OUT: Final = ("msg_control", "msg_flags")  # fields that must be 0 or absent
_IN_PIECES: Final = ("writev", "readv")


def plain(call: Call, names: dict[str, int]) -> Call:
    """Plain call with the effect of ``call``, if that has several buffers; else ``call`` itself.

    Raises ScriptError if the message has more than octets and an address.
    """
    if call.name not in _PLAIN:
        return call
    if len(call.arguments) != 3:
        raise ScriptError(0, call.name, "expected 3 arguments")
    descriptor, given, last = call.arguments
    if call.name in _IN_PIECES:
        arguments: tuple[object, ...] = (descriptor, ..., _octets(given, last, call, names))
    else:
        message = _message(given, call, names)
        count = message.get("msg_iov(count)", ...)
        octets = _octets(message.get("msg_iov", []), count, call, names)
        arguments = (
            descriptor,
            ...,
            octets,
            last,
            message.get("msg_name", ...),
            message.get("msg_name(count)", ...),
        )
    return replace(call, name=_PLAIN[call.name], arguments=arguments)


def _octets(pieces: object, count: object, call: Call, names: dict[str, int]) -> int:
    """Number of octets in all buffers, such as ``[{..., 1000}, {..., 500}]``."""
    if not isinstance(pieces, list) or not all(
        isinstance(piece, tuple) and len(piece) == 2 for piece in pieces
    ):
        raise ScriptError(0, call.name, "expected [{..., octets}, …] for this call")
    if count is not ... and number(count, names) != len(pieces):
        raise ScriptError(0, call.name, f"{len(pieces)} pieces, and another count,")
    return sum(number(octets, names) for _, octets in pieces)


def _message(given: object, call: Call, names: dict[str, int]) -> dict[str, object]:
    if not isinstance(given, dict):
        raise ScriptError(
            0, call.name, "expected {msg_name(…)=…, msg_iov(1)=[{..., octets}], msg_flags=0} for this call"
        )
    for name in _LEFT_OUT:
        if given.get(name, ...) not in (..., []) and number(given[name], names) != 0:
            raise ScriptError(0, name, "only 0 is supported")
    return given
