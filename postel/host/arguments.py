"""What a caller may give as an address or a port."""

from postel.errors import ArgumentError
from postel.wire.address import parse


def octets_of(address: str | bytes) -> bytes:
    if isinstance(address, str):
        return parse(address)
    if len(address) not in (4, 16):
        raise ArgumentError("address", address, "4 or 16 octets")
    return address


def require_port(port: int, lowest: int) -> int:
    if not lowest <= port <= 65535:
        raise ArgumentError("port", port, f"{lowest} to 65535")
    return port
