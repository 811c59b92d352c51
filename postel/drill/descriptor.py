"""What stands behind a file descriptor: a socket that is fresh, listens, or is connected; and its options."""

import errno
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from postel.drill.calls import Waits
from postel.drill.constants import CONSTANTS, SOCK_STREAM
from postel.drill.failure import ScriptError
from postel.drill.profile import FastOpenSide, fast_open_mode
from postel.errors import ArgumentError, TcpError
from postel.host.listener import Listener
from postel.tcp.authentication.keychain import Keychain
from postel.tcp.authentication.keys import Key
from postel.tcp.config import Config
from postel.tcp.connection import Connection
from postel.tcp.state import CLOSED, LISTEN, SYN_RECEIVED, SYN_SENT, State
from postel.times import MILLISECOND, NEVER, SECOND

IN, PRIORITY, OUT, ERROR, HANGUP = (CONSTANTS[f"POLL{name}"] for name in ("IN", "PRI", "OUT", "ERR", "HUP"))


class Descriptor:
    """``config`` is what the connection to come is made with; of a living one the connection's own counts."""

    def __init__(self, config: Config, connection: Connection | None = None) -> None:
        self.config = config
        self.connection = connection
        self.listener: Listener | None = None
        self.keys: Keychain | None = None
        self.port = 0
        self.is_nonblocking = False
        self.reads_no_more = False
        self.aborts = False  # SO_LINGER with no time
        self.linger: object = 0
        self._told: TcpError | None = None  # the error that was handed out: each is told once

    @property
    def state(self) -> State:
        if self.connection is not None:
            return self.connection.state
        return CLOSED if self.listener is None else LISTEN

    @property
    def is_opening(self) -> bool:
        """What is sent must wait. A connection that was accepted by its cookie need not."""
        return self.connection is not None and self.state in (SYN_SENT, SYN_RECEIVED) and not self.connection.tcb.is_fast

    def connected(self) -> Connection:
        if self.connection is None:
            raise OSError(errno.ENOTCONN, "not connected")
        return self.connection

    def take_error(self) -> TcpError | None:
        """SO_ERROR: what went wrong since it was asked last."""
        found = self.connection.error if self.connection is not None else None
        if found is None or found is self._told:
            return None
        self._told = found
        return found

    def raise_error(self) -> None:
        found = self.take_error()
        if found is not None:
            raise found

    def would_block(self, at_once: int = 0) -> Exception:
        """What a call raises that can't be done now."""
        return OSError(errno.EAGAIN, "would block") if self.is_nonblocking or at_once else Waits()

    @property
    def arrivals(self) -> int:
        """Grows whenever something came to be read."""
        if self.connection is None:
            return len(self.listener.ready) if self.listener is not None else 0
        return self.connection.tcb.position + self.connection.tcb.fin_is_received

    def readiness(self, asked: int) -> int:
        """What poll says."""
        connection = self.connection
        if connection is None:
            return asked & IN if self.listener is not None and self.listener.ready else 0 if self.listener is not None else HANGUP
        ready = 0
        if connection.readable or connection.at_end or connection.state is CLOSED:
            ready |= IN
        if connection.urgent:
            ready |= PRIORITY
        if not self.is_opening and connection.writable:
            ready |= OUT
        always = (ERROR if connection.error not in (None, self._told) else 0) | (HANGUP if connection.state is CLOSED else 0)
        return ready & asked | always

    def close(self, now: int) -> None:
        if self.listener is not None:
            self.listener.close(now)
        if self.connection is None:
            return
        if self.aborts and self.connection.state is not CLOSED:
            self.connection.abort(now)
        else:
            self.connection.release(now)

    def configure(self, config: Config, now: int) -> None:
        self.config = config
        if self.listener is not None:
            self.listener.config = config
        if self.connection is not None:
            self.connection.configure(config, now)

    def sign(self, secret: bytes, given: object) -> None:
        """TCP_MD5SIG, before anything is opened: with the script's secret, for everybody."""
        if not secret:
            raise ScriptError(0, "TCP_MD5SIG", "expected --tcp_md5_secret for this option")
        if self.state is not CLOSED:
            raise OSError(errno.EISCONN, "a connection signs from its SYN on, or never")
        self.keys = Keychain(Key(secret, algorithm="MD5")) if given in (1, [1]) else None

    def current(self) -> Config:
        return self.config if self.connection is None else self.connection.tcb.config


# Options: which field of the Config each is, and what its unit is worth; 0 for a choice between yes and no

_FIELDS: Final[dict[str, tuple[str, int]]] = {
    "SO_RCVBUF": ("receive_buffer", 1),
    "SO_SNDBUF": ("send_buffer", 1),
    "SO_KEEPALIVE": ("keep_alive", 0),
    "TCP_KEEPIDLE": ("keep_alive_idle", SECOND),
    "TCP_KEEPINTVL": ("keep_alive_interval", SECOND),
    "TCP_KEEPCNT": ("keep_alive_probes", 1),
    "TCP_USER_TIMEOUT": ("user_timeout", MILLISECOND),
    "TCP_MAXSEG": ("largest_mss", 1),
    "TCP_NOTSENT_LOWAT": ("notsent_lowat", 1),
    "IP_TTL": ("hop_limit", 1),
    "IPV6_UNICAST_HOPS": ("hop_limit", 1),
    "IP_TOS": ("traffic_class", 1),
    "IPV6_TCLASS": ("traffic_class", 1),
}
_WITHOUT_EFFECT: Final = ("SO_REUSEADDR", "SO_REUSEPORT", "IP_MTU_DISCOVER", "IPV6_V6ONLY", "TCP_QUICKACK", "SO_TIMESTAMP")


def set_option(found: Descriptor, name: str, given: object, now: int) -> None:
    """Raises OSError EINVAL where it can't be so, ScriptError for what isn't known."""
    if name == "SO_LINGER":
        _set_linger(found, given)
        return
    amount = given[0] if isinstance(given, list) and given else given
    if name in _WITHOUT_EFFECT:
        return
    if not isinstance(amount, int):
        raise ScriptError(0, name, "expected a number for this option")
    config = found.current()
    try:
        if name == "TCP_NODELAY":
            found.configure(replace(config, nagle=amount == 0), now)
        elif name in _FIELDS:
            found.configure(_changed(config, *_FIELDS[name], amount), now)
        else:
            raise ScriptError(0, name, "this option isn't known")
    except ArgumentError as error:
        raise OSError(errno.EINVAL, str(error)) from error


def allow_fast_open(found: Descriptor, sides: frozenset[FastOpenSide], now: int) -> None:
    """TCP_FASTOPEN: the sides that the system allows, or none."""
    found.configure(replace(found.current(), fast_open=fast_open_mode(sides)), now)


def _set_linger(found: Descriptor, given: object) -> None:
    fields = given[0] if isinstance(given, list) and given else given
    if isinstance(fields, dict):
        on, time = fields.get("onoff", fields.get("l_onoff", 0)), fields.get("linger", fields.get("l_linger", 0))
    elif isinstance(fields, tuple) and len(fields) == 2:
        on, time = fields
    else:
        raise ScriptError(0, "SO_LINGER", "expected {onoff=…, linger=…} for this option")
    found.linger = given
    found.aborts = on != 0 and time == 0


def _changed(config: Config, field: str, unit: int, amount: int) -> Config:
    changes: dict[str, Any] = {field: amount * unit if unit else amount != 0}
    if field == "user_timeout" and amount == 0:
        changes[field] = NEVER
    return replace(config, **changes)


def option(found: Descriptor, name: str) -> object:
    """What getsockopt gives."""
    if name == "SO_TYPE":
        return SOCK_STREAM
    if name in _READ:
        return _READ[name](found)
    if name not in _FIELDS:
        raise ScriptError(0, name, "this option isn't known")
    field, unit = _FIELDS[name]
    return int(getattr(found.current(), field)) // max(1, unit)


def _error(found: Descriptor) -> object:
    error = found.take_error()
    return 0 if error is None else error.errno


def _mss(found: Descriptor) -> object:
    if found.connection is None or not found.connection.tcb.is_synchronized:
        return min(536, found.current().largest_mss)
    return found.connection.tcb.congestion.smss


def _nodelay(found: Descriptor) -> object:
    return int(not found.current().nagle)


def _fast_open(found: Descriptor) -> object:
    return int(found.current().fast_open != "off")


def _receive_buffer(found: Descriptor) -> object:
    return found.current().receive_buffer if found.connection is None else found.connection.tcb.receive_limit


def _listens(found: Descriptor) -> object:
    return int(found.listener is not None)


def _linger(found: Descriptor) -> object:
    return found.linger


_READ: Final[dict[str, Callable[[Descriptor], object]]] = {
    "SO_ERROR": _error,
    "SO_ACCEPTCONN": _listens,
    "SO_RCVBUF": _receive_buffer,
    "SO_LINGER": _linger,
    "TCP_FASTOPEN": _fast_open,
    "TCP_MAXSEG": _mss,
    "TCP_NODELAY": _nodelay,
}
