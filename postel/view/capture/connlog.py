"""Log of connections in the format of Zeek's conn.log, which is text in columns separated by tabs."""

from collections.abc import Iterator
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Final

from postel.times import SECOND
from postel.view.capture.connection import Connection, End
from postel.wire.address import to_text

_FIELDS: Final = {
    "ts": "time",
    "uid": "string",
    "id.orig_h": "addr",
    "id.orig_p": "port",
    "id.resp_h": "addr",
    "id.resp_p": "port",
    "proto": "enum",
    "service": "string",
    "duration": "interval",
    "orig_bytes": "count",
    "resp_bytes": "count",
    "conn_state": "string",
    "local_orig": "bool",
    "local_resp": "bool",
    "missed_bytes": "count",
    "history": "string",
    "orig_pkts": "count",
    "orig_ip_bytes": "count",
    "resp_pkts": "count",
    "resp_ip_bytes": "count",
    "tunnel_parents": "set[string]",
    "ip_proto": "count",
}
_UNSET: Final = "-"
_DIGITS: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_UID_DIGITS: Final = 17
_TCP: Final = "6"
_PRIVATE_6: Final = (b"\xfc", b"\xfd", b"\xfe")


def heading(opened: datetime) -> Iterator[str]:
    """Yield the lines of the log before the first connection."""
    yield "#separator \\x09"
    yield "#set_separator\t,"
    yield "#empty_field\t(empty)"
    yield f"#unset_field\t{_UNSET}"
    yield "#path\tconn"
    yield f"#open\t{opened:%Y-%m-%d-%H-%M-%S}"
    yield "\t".join(["#fields", *_FIELDS])
    yield "\t".join(["#types", *_FIELDS.values()])


def ending(closed: datetime) -> str:
    """Return the last line of the log."""
    return f"#close\t{closed:%Y-%m-%d-%H-%M-%S}"


def now() -> datetime:
    """Return the present time, as an argument for `heading` and `ending`."""
    return datetime.now(UTC)


def line(connection: Connection) -> str:
    """Return the line of one connection.

    The fields for the service and for tunnels are never set. Times are those of all segments, including those
    that come late, after a close.
    """
    one, two = connection.ends
    took = connection.last - connection.began
    sizes = [_UNSET, _UNSET, _UNSET] if took <= 0 else [_seconds(took), str(_sent(one)), str(_sent(two))]
    missed = one.missing + two.missing if one.packets and two.packets else 0
    values = [
        _seconds(connection.began),
        _uid(connection),
        to_text(one.endpoint.address),
        str(one.endpoint.port),
        to_text(two.endpoint.address),
        str(two.endpoint.port),
        "tcp",
        _UNSET,
        *sizes,
        connection.zeek.state,
        _local(one),
        _local(two),
        str(missed),
        connection.zeek.history,
        *(str(number) for end in (one, two) for number in (end.packets, end.ip_octets)),
        _UNSET,
        _TCP,
    ]
    return "\t".join(values)


def _sent(end: End) -> int:
    """Return the number of octets of payload that an end sent, including octets that the capture lacks."""
    return end.data + (end.missing if end.packets else 0)


def _seconds(microseconds: int) -> str:
    """Return microseconds as seconds with six places."""
    return f"{microseconds // SECOND}.{microseconds % SECOND:06}"


def _uid(connection: Connection) -> str:
    """Return an identifier of the connection.

    The same packets always get the same identifier, whereas Zeek's identifiers are random.
    """
    key = "".join(map(str, (connection.began, connection.number, *(end.endpoint for end in connection.ends))))
    number = int.from_bytes(blake2b(key.encode(), digest_size=16).digest(), "big")
    digits = []
    for _ in range(_UID_DIGITS):
        number, digit = divmod(number, len(_DIGITS))
        digits.append(_DIGITS[digit])
    return "C" + "".join(digits)


def _local(end: End) -> str:
    """Return "T" for an address of a private network, else "F".

    The private networks are the default of Zeek's `Site::local_nets` (RFC 1918, RFC 6598, RFC 4193,
    RFC 4291).
    """
    address = end.endpoint.address
    if len(address) == 4:
        first, second = address[:2]
        is_private = (
            first in (10, 127)
            or (first == 172 and 16 <= second < 32)
            or address[:2] in (b"\xc0\xa8", b"\xa9\xfe")
        )
        return "T" if is_private or (first == 100 and 64 <= second < 128) else "F"
    return "T" if address[:1] in _PRIVATE_6 or address == bytes(15) + b"\x01" else "F"
