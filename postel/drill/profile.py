"""Profiles: what scripts assume about the stack they were written for, such as constants of no RFC."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Literal, TypeAlias

from postel.errors import ArgumentError
from postel.tcp.config import DEFAULT, KIBIBYTE, MEBIBYTE, Config, FastOpenMode
from postel.times import MILLISECOND, MINUTE, SECOND
from postel.wire.options import PACKED

FastOpenSide: TypeAlias = Literal["client", "server"]
NONBLOCKING_BSD: Final = 0x4
NONBLOCKING_LINUX: Final = 0o4000


def fast_open_mode(sides: frozenset[FastOpenSide]) -> FastOpenMode:
    """Value of `Config.fast_open` for the roles in ``sides``: "client", "server", both or none."""
    if len(sides) == 2:
        return "both"
    return next(iter(sides)) if sides else "off"


@dataclass(frozen=True)
class Profile:
    """Stack for which a script was written.

    It has these attributes:
        name: the name, such as "linux".
        config: the options of its sockets.
        sysctls: for each system variable the fields of the configuration that it sets, and the unit of its
            numbers. A variable for TCP Fast Open has one bit for each of its fields, the lowest bit for the
            first field.
        nonblocking: the value of O_NONBLOCK.
        fast_open: roles ("client", "server") in which the system lets sockets use TCP Fast Open on request.
        meanings: for variables with other values than those of Postel's fields, the field's value for each.
        fixed: for variables without a field, the values that describe what Postel does.
    """

    name: str
    config: Config
    sysctls: dict[str, tuple[tuple[str, ...], int]] = field(default_factory=dict)
    nonblocking: int = NONBLOCKING_LINUX
    fast_open: frozenset[FastOpenSide] = frozenset({"client", "server"})
    meanings: Mapping[str, Mapping[str, int | str]] = field(default_factory=dict)
    fixed: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @staticmethod
    def named(name: str) -> "Profile":
        """Profile with this name. Raises ArgumentError if there is none."""
        if name not in PROFILES:
            raise ArgumentError("profile", name, ", ".join(PROFILES))
        return PROFILES[name]

    @staticmethod
    def names() -> tuple[str, ...]:
        """Names of all profiles."""
        return tuple(PROFILES)


_FREEBSD: Final = replace(
    DEFAULT,
    option_layout=PACKED,
    scale_for=2 * MEBIBYTE,
    receive_buffer=64 * KIBIBYTE,
    send_buffer=32 * KIBIBYTE,
    whole_segments=True,
    whole_buffer=True,
    repeat_fin=True,
    tail_probe=False,
    mtu_probing="off",
    delayed_ack=40 * MILLISECOND,
    acknowledge_every=2,
    challenge_interval=0,
    time_wait_reuse=False,
    time_wait_challenge=False,
    ecn="accept-classic",
    rto_initial=SECOND,
    msl=30 * SECOND,
)
_FREEBSD_SYSCTLS: Final = {
    "net.inet.tcp.rfc1323": (("timestamps", "window_scaling"), 1),
    "net.inet.tcp.sack.enable": (("sack",), 1),
    "net.inet.tcp.recvspace": (("receive_buffer",), 1),
    "net.inet.tcp.sendspace": (("send_buffer",), 1),
    "kern.ipc.maxsockbuf": (("scale_for",), 1),
    "net.inet.tcp.delacktime": (("delayed_ack",), MILLISECOND),
    "net.inet.tcp.rexmit_initial": (("rto_initial",), MILLISECOND),
    "net.inet.tcp.rexmit_min": (("rto_minimum",), MILLISECOND),
    "net.inet.tcp.msl": (("msl",), MILLISECOND),
    "net.inet.tcp.insecure_rst": (("!exact_reset",), 1),
    "net.inet.tcp.insecure_syn": (("!challenge_syn",), 1),
    "net.inet.tcp.keepinit": (("user_timeout",), MILLISECOND),
    "net.inet.tcp.keepidle": (("keep_alive_idle",), MILLISECOND),
    "net.inet.tcp.keepintvl": (("keep_alive_interval",), MILLISECOND),
    "net.inet.tcp.keepcnt": (("keep_alive_probes",), 1),
    "net.inet.tcp.initcwnd_segments": (("initial_window",), 1),
    "net.inet.tcp.drop_synfin": (("drop_syn_fin",), 1),
    "net.inet.tcp.fastopen.client_enable": (("fast_open_client",), 1),
    "net.inet.tcp.fastopen.server_enable": (("fast_open_server",), 1),
    "net.inet.tcp.ecn.enable": (("ecn",), 1),
    # These variables have no field: Postel has no such choice, or no such function
    "net.inet.tcp.blackhole": ((), 1),
    "net.inet.tcp.ecn.maxretries": ((), 1),
    "net.inet.tcp.rexmit_slop": ((), 1),
    "net.inet.tcp.rexmit_drop_options": ((), 1),
    "net.inet.tcp.hostcache.purgenow": ((), 1),
    "net.inet.tcp.icmp_may_rst": ((), 1),
    "net.inet.tcp.syncookies": ((), 1),
    "net.inet.tcp.syncookies_only": ((), 1),
}
_FIXED: Final[dict[str, tuple[str, ...]]] = {
    "net.inet.tcp.blackhole": ("0",),
    "net.inet.tcp.syncookies_only": ("0",),
    "net.inet.tcp.rexmit_drop_options": ("0",),
}
_MEANINGS: Final[dict[str, dict[str, int | str]]] = {
    "net.inet.tcp.ecn.enable": {
        "0": "off",
        "1": "ask-classic",
        "2": "accept-classic",
        "3": "ask",
        "4": "accept",
    },
    "net.ipv4.tcp_ecn": {"0": "off", "1": "ask-classic", "2": "accept-classic", "3": "ask", "5": "accept"},
    "net.ipv4.tcp_mtu_probing": {"0": "off", "1": "after-black-hole", "2": "always"},
}
_LINUX: Final = replace(
    DEFAULT,
    ecn="accept-classic",
    mtu_probing="off",
    receive_buffer=64240,
    send_buffer=MEBIBYTE,
    scale_for=6 * MEBIBYTE,
    delayed_ack=40 * MILLISECOND,
    rto_minimum=200 * MILLISECOND,
    rto_maximum=2 * MINUTE,
    rto_after_syn=SECOND,
    msl=30 * SECOND,
)
_LINUX_SYSCTLS: Final = {
    "net.ipv4.tcp_timestamps": (("timestamps",), 1),
    "net.ipv4.tcp_sack": (("sack",), 1),
    "net.ipv4.tcp_window_scaling": (("window_scaling",), 1),
    "net.ipv4.tcp_keepalive_time": (("keep_alive_idle",), SECOND),
    "net.ipv4.tcp_keepalive_intvl": (("keep_alive_interval",), SECOND),
    "net.ipv4.tcp_keepalive_probes": (("keep_alive_probes",), 1),
    "net.ipv4.tcp_rfc1337": (("rfc1337",), 1),
    "net.ipv4.tcp_fin_timeout": (("orphan_timeout",), SECOND),
    "net.ipv4.tcp_fastopen": (("fast_open_client", "fast_open_server"), 1),  # one bit for each field
    "net.ipv4.tcp_ecn": (("ecn",), 1),
    "net.ipv4.tcp_mtu_probing": (("mtu_probing",), 1),
    "net.ipv4.tcp_early_retrans": (("tail_probe",), 1),
    "net.ipv4.tcp_recovery": ((), 1),
    "net.ipv4.tcp_syn_linear_timeouts": ((), 1),
    "net.ipv4.tcp_no_metrics_save": ((), 1),
    "net.ipv4.tcp_syncookies": ((), 1),
}

_RFC: Final = replace(DEFAULT, mtu_probing="off")  # so that the sizes of segments are those of the script

PROFILES: Final = {
    "rfc": Profile("rfc", _RFC, {**_FREEBSD_SYSCTLS, **_LINUX_SYSCTLS}, meanings=_MEANINGS, fixed=_FIXED),
    "freebsd": Profile(
        "freebsd", _FREEBSD, _FREEBSD_SYSCTLS, NONBLOCKING_BSD, meanings=_MEANINGS, fixed=_FIXED
    ),
    "linux": Profile(
        "linux", _LINUX, _LINUX_SYSCTLS, fast_open=frozenset({"client"}), meanings=_MEANINGS, fixed=_FIXED
    ),
}
