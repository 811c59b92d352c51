"""Checks of the arguments that callers give to a host and its sockets."""

from postel.errors import refused_time, require_kind, require_number
from postel.tcp.authentication.keychain import Keychain
from postel.tcp.config import Config


def require_port(port: int, lowest: int, name: str = "port") -> int:
    """Return ``port`` if it is an int from ``lowest`` to 65535; otherwise raise ArgumentError."""
    require_number(name, port, lowest, 65535, f"{lowest} to 65535")
    return port


def require_flag(name: str, value: object) -> None:
    """Raise ArgumentError unless ``value`` is True or False: ``"no"`` would silently mean yes."""
    require_kind(name, value, bool, "True or False")


def require_octets(name: str, value: object) -> None:
    """Raise ArgumentError unless ``value`` is bytes, a bytearray or a memoryview.

    A number is refused too, because ``bytes(5)`` is five octets of zero.
    """
    require_kind(name, value, (bytes, bytearray, memoryview), "octets")


def require_now(now: int) -> None:
    """Raise ArgumentError unless ``now`` is an int of microseconds, 0 or more."""
    if not isinstance(now, int) or now < 0:
        raise refused_time(now)


def require_choices(config: Config | None, keys: Keychain | None) -> None:
    """Raise ArgumentError unless ``config`` and ``keys`` are what an OPEN takes."""
    require_kind("config", config, (Config, type(None)), "a Config, or None for the host's")
    require_kind("keys", keys, (Keychain, type(None)), "a Keychain, or None")
