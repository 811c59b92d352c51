"""Postel: TCP that you can import.

`Connection`, `Host` and `postel.sim.World` are one protocol at three sizes, all without I/O: time and octets come in, segments and
events go out. `postel.aio` drives a host on asyncio; `postel.view` shows what happened.
"""

from importlib import import_module
from types import ModuleType
from typing import Final

from postel.host.datagrams import DatagramSocket
from postel.host.host import Host
from postel.host.listener import Listener
from postel.tcp.authentication.keychain import Keychain
from postel.tcp.authentication.keys import Key
from postel.tcp.config import DEFAULT, Config
from postel.tcp.connection import Connection, Status
from postel.tcp.events import Acceptable, Asked, Closed, EndOfStream, Event, Opened, Readable, Trouble, Urgent, Writable
from postel.tcp.observer import Observer
from postel.tcp.state import State
from postel.wire.address import Endpoint
from postel.wire.segment import Segment

__version__: Final = "0.1.0"

__all__ = [
    "DEFAULT",
    "Acceptable",
    "Asked",
    "Closed",
    "Config",
    "Connection",
    "DatagramSocket",
    "EndOfStream",
    "Endpoint",
    "Event",
    "Host",
    "Key",
    "Keychain",
    "Listener",
    "Observer",
    "Opened",
    "Readable",
    "Segment",
    "State",
    "Status",
    "Trouble",
    "Urgent",
    "Writable",
    "__version__",
]

_LATER: Final = ("aio", "sim", "view")  # asyncio alone takes as long to import as all the rest


def __getattr__(name: str) -> ModuleType:
    if name in _LATER:
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
