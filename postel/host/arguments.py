"""What a caller may give as an address or a port."""

from postel.errors import ArgumentError, require_kind, require_number
from postel.tcp.authentication.keychain import Keychain
from postel.tcp.config import Config
from postel.wire.address import parse


def octets_of(address: str | bytes) -> bytes:
    if isinstance(address, str):
        return parse(address)
    require_kind("address", address, bytes, "text, or 4 or 16 octets")
    if len(address) not in (4, 16):
        raise ArgumentError("address", address, "4 or 16 octets")
    return address


def require_port(port: int, lowest: int) -> int:
    require_number("port", port, lowest, 65535, f"{lowest} to 65535")
    return port


def require_choices(config: Config | None, keys: Keychain | None) -> None:
    """What an OPEN may be given."""
    require_kind("config", config, (Config, type(None)), "a Config, or None for the host's")
    require_kind("keys", keys, (Keychain, type(None)), "a Keychain, or None")
