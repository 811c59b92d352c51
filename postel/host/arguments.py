"""What a caller may give as a port, a configuration or keys."""

from postel.errors import refused_time, require_kind, require_number
from postel.tcp.authentication.keychain import Keychain
from postel.tcp.config import Config


def require_port(port: int, lowest: int, name: str = "port") -> int:
    require_number(name, port, lowest, 65535, f"{lowest} to 65535")
    return port


def require_flag(name: str, value: object) -> None:
    """Refuse what is neither True nor False: ``"no"`` would silently mean yes."""
    require_kind(name, value, bool, "True or False")


def require_octets(name: str, value: object) -> None:
    """Refuse what isn't made of octets, numbers among it: ``bytes(5)`` is five octets of zero."""
    require_kind(name, value, (bytes, bytearray, memoryview), "octets")


def require_now(now: int) -> None:
    if not isinstance(now, int) or now < 0:
        raise refused_time(now)


def require_choices(config: Config | None, keys: Keychain | None) -> None:
    """What an OPEN may be given."""
    require_kind("config", config, (Config, type(None)), "a Config, or None for the host's")
    require_kind("keys", keys, (Keychain, type(None)), "a Keychain, or None")
