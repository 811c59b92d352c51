"""Postel: TCP that you can import.

`Connection` is one TCP connection, `Host` is many connections behind the addresses of one computer, and
`postel.sim.World` is many hosts on a simulated network. None of them does I/O: the caller passes in the time
and the octets that arrived, and takes out the segments or packets to send and the events for the program.
`postel.aio` runs a host on asyncio, `postel.trio` on trio, and `postel.blocking` in a thread. `postel.view`
shows what happened.

These modules are the public interface, each with its ``__all__``: `postel`, `postel.aio`, `postel.blocking`,
`postel.congestion`, `postel.errors`, `postel.links`, `postel.sim`, `postel.testing`, `postel.times` and
`postel.view`. These are public too, and some need another package: `postel.testing.faults` and
`postel.testing.machine` (Hypothesis), `postel.trio` (trio), `postel.view.capture`, `postel.view.chart`,
`postel.view.ladder`, `postel.view.notebook`, `postel.view.pcapng` and `postel.view.status`. All other modules
are private, and so are all names that begin with an underscore: they may change in any release.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Final

from postel.errors import (
    AddressFamilyMismatch,
    AddressInUse,
    AddressNotAvailable,
    ArgumentError,
    CallError,
    ConnectionAborted,
    ConnectionAlreadyExists,
    ConnectionBegun,
    ConnectionClosing,
    ConnectionDoesNotExist,
    ConnectionPending,
    ConnectionRefused,
    ConnectionReset,
    ConnectionTimedOut,
    HostUnreachable,
    IllegalTransition,
    InsufficientResources,
    KindError,
    LinkClosed,
    LinkDown,
    LinkError,
    MessageTooLong,
    NetworkUnreachable,
    NothingLeft,
    NotResolved,
    OptionInvalid,
    OptionUnknown,
    PostelError,
    RemoteUnspecified,
    ScriptError,
    ScriptFailed,
    SocketCallInvalid,
    SocketCallUnknown,
    SocketClosed,
    SocketKindUnknown,
    TcpError,
    WireError,
    WouldBlock,
)
from postel.host.datagrams import DatagramSocket
from postel.host.host import Host, HostEvent
from postel.host.listener import ANY_PORT, Listener
from postel.host.requests import Answer, Request
from postel.tcp.agreed import EcnAgreed, Options
from postel.tcp.authentication.keychain import Keychain
from postel.tcp.authentication.keys import Algorithm, Key
from postel.tcp.config import DEFAULT, BufferSize, Config, EcnMode, FastOpenMode, MtuProbing
from postel.tcp.connection import Connection, Status
from postel.tcp.events import (
    Acceptable,
    Asked,
    Closed,
    EndOfStream,
    Event,
    Opened,
    Readable,
    Trouble,
    Urgent,
    Writable,
)
from postel.tcp.observer import Decision, Observer, TimerName
from postel.tcp.state import State
from postel.times import (
    DAY,
    HOUR,
    MICROSECOND,
    MILLISECOND,
    MINUTE,
    NEVER,
    SECOND,
)
from postel.wire.address import Address, Endpoint, Prefix
from postel.wire.options import OptionLayout
from postel.wire.segment import Segment

if TYPE_CHECKING:
    from postel.aio import attach

__version__: Final = "0.1.0"

__all__ = [
    "ANY_PORT",
    "DAY",
    "DEFAULT",
    "HOUR",
    "MICROSECOND",
    "MILLISECOND",
    "MINUTE",
    "NEVER",
    "SECOND",
    "Acceptable",
    "Address",
    "AddressFamilyMismatch",
    "AddressInUse",
    "AddressNotAvailable",
    "Algorithm",
    "Answer",
    "ArgumentError",
    "Asked",
    "BufferSize",
    "CallError",
    "Closed",
    "Config",
    "Connection",
    "ConnectionAborted",
    "ConnectionAlreadyExists",
    "ConnectionBegun",
    "ConnectionClosing",
    "ConnectionDoesNotExist",
    "ConnectionPending",
    "ConnectionRefused",
    "ConnectionReset",
    "ConnectionTimedOut",
    "DatagramSocket",
    "Decision",
    "EcnAgreed",
    "EcnMode",
    "EndOfStream",
    "Endpoint",
    "Event",
    "FastOpenMode",
    "Host",
    "HostEvent",
    "HostUnreachable",
    "IllegalTransition",
    "InsufficientResources",
    "Key",
    "Keychain",
    "KindError",
    "LinkClosed",
    "LinkDown",
    "LinkError",
    "Listener",
    "MessageTooLong",
    "MtuProbing",
    "NetworkUnreachable",
    "NotResolved",
    "NothingLeft",
    "Observer",
    "Opened",
    "OptionInvalid",
    "OptionLayout",
    "OptionUnknown",
    "Options",
    "PostelError",
    "Prefix",
    "Readable",
    "RemoteUnspecified",
    "Request",
    "ScriptError",
    "ScriptFailed",
    "Segment",
    "SocketCallInvalid",
    "SocketCallUnknown",
    "SocketClosed",
    "SocketKindUnknown",
    "State",
    "Status",
    "TcpError",
    "TimerName",
    "Trouble",
    "Urgent",
    "WireError",
    "WouldBlock",
    "Writable",
    "__version__",
    "attach",
]

# Imported at first use: asyncio alone takes as long to import as all the rest of Postel
_LATER: Final = ("aio", "blocking", "congestion", "links", "sim", "testing", "trio", "view")


def __getattr__(name: str) -> object:
    """Import a public submodule, or `postel.aio.attach`, when the program first uses it."""
    if name in _LATER:
        return import_module(f"{__name__}.{name}")
    if name == "attach":
        return import_module("postel.aio").attach
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
