"""Socket options: one table, and every driver gets and sets by it."""

import errno
import re
import socket
from dataclasses import replace
from pathlib import Path
from struct import Struct
from typing import Any

import pytest

from postel.drill import parse, run
from postel.drill.profile import PROFILES
from postel.errors import ConnectionAlreadyExists, OptionInvalid, OptionUnknown
from postel.sim import World
from postel.sockets.options import LINGER, NUMBER, SocketOptions, answer
from postel.sockets.table import NAMED, NUMBERED, OPTIONS, Option, named, numbered
from postel.tcp.config import DEFAULT, Config, names
from postel.times import MILLISECOND, SECOND
from tests.tcp.test_reconfigure import LIVE, REMEMBERED

# Name, what is set, the field of `Config` (or None) and its value then, what is told
ROUND: tuple[tuple[str, int, str | None, object, int], ...] = (
    ("SO_KEEPALIVE", 1, "keep_alive", True, 1),
    ("SO_KEEPALIVE", 0, "keep_alive", False, 0),
    ("SO_RCVBUF", 5000, "receive_buffer", 5000, 5000),
    ("SO_SNDBUF", 5000, "send_buffer", 5000, 5000),
    ("TCP_NODELAY", 1, "nagle", False, 1),
    ("TCP_NODELAY", 0, "nagle", True, 0),
    ("TCP_CORK", 1, "cork", True, 1),
    ("TCP_CORK", 0, "cork", False, 0),
    ("TCP_NOPUSH", 1, "cork", True, 1),
    ("TCP_QUICKACK", 1, "delayed_ack", 0, 1),
    ("TCP_QUICKACK", 0, "delayed_ack", DEFAULT.delayed_ack, 0),
    ("TCP_KEEPIDLE", 30, "keep_alive_idle", 30 * SECOND, 30),
    ("TCP_KEEPINTVL", 5, "keep_alive_interval", 5 * SECOND, 5),
    ("TCP_KEEPCNT", 3, "keep_alive_probes", 3, 3),
    ("TCP_KEEPCNT", 1, "keep_alive_probes", 2, 2),
    ("TCP_USER_TIMEOUT", 1500, "user_timeout", 1500 * MILLISECOND, 1500),
    ("TCP_USER_TIMEOUT", 0, "user_timeout", DEFAULT.user_timeout, DEFAULT.user_timeout // MILLISECOND),
    ("TCP_NOTSENT_LOWAT", 700, "notsent_lowat", 700, 700),
    ("TCP_NOTSENT_LOWAT", -1, "notsent_lowat", 0, 0),
    ("IP_TTL", 9, "hop_limit", 9, 9),
    ("IP_TTL", -1, "hop_limit", DEFAULT.hop_limit, DEFAULT.hop_limit),
    ("IP_TOS", 0x2B, "traffic_class", 0x28, 0x28),
    ("IPV6_UNICAST_HOPS", 9, "hop_limit", 9, 9),
    ("IPV6_TCLASS", 0x28, "traffic_class", 0x28, 0x28),
    ("SO_REUSEADDR", 5, None, None, 1),
    ("SO_REUSEPORT", 1, None, None, 1),
    ("SO_BROADCAST", 1, None, None, 1),
    ("SO_TIMESTAMP", 1, None, None, 1),
    ("IP_MTU_DISCOVER", 2, None, None, 2),
    ("IPV6_V6ONLY", 1, None, None, 1),
)
BEFORE: tuple[tuple[str, int, str, object, int], ...] = (  # and not on a connection
    ("TCP_MAXSEG", 700, "largest_mss", 700, 700),
    ("TCP_MAXSEG", 0, "largest_mss", DEFAULT.largest_mss, 536),
    ("TCP_FASTOPEN", 5, "fast_open", "server", 5),
    ("TCP_FASTOPEN", 0, "fast_open", "off", 0),
    ("TCP_FASTOPEN_CONNECT", 1, "fast_open", "client", 1),
)
TOLD = ("SO_ERROR", "SO_TYPE", "SO_DOMAIN", "SO_PROTOCOL", "SO_ACCEPTCONN", "TCP_INFO")
WRONG = (
    ("SO_RCVBUF", 0), ("SO_SNDBUF", -1), ("TCP_KEEPIDLE", 0), ("TCP_KEEPIDLE", 32768), ("TCP_KEEPINTVL", 0),
    ("TCP_KEEPCNT", 128),
    ("TCP_USER_TIMEOUT", -1), ("TCP_NOTSENT_LOWAT", -2), ("IP_TTL", 0), ("IP_TTL", 256),
    ("IPV6_UNICAST_HOPS", 0), ("IPV6_TCLASS", 256),
    ("IP_MTU_DISCOVER", 6),
)  # fmt: skip
WHERE = ["new", "listening", "connected"]


def options_of(where: str) -> SocketOptions:
    world = World(1)
    near, far = world.host("near", "10.0.0.1/24"), world.host("far", "10.0.0.2/24")
    world.path(near, far)
    listener = far.listen(80, world.now)
    if where == "new":
        return SocketOptions()
    if where == "listening":
        return SocketOptions(listener=listener)
    connection = near.connect("10.0.0.2", 80, world.now)
    world.run(until=SECOND)
    return SocketOptions(connection=connection)


def told(options: SocketOptions, name: str, now: int = SECOND) -> int:
    return int(NUMBER.unpack_from(options.get(named(name), now))[0])


def test_each_option_is_in_one_of_these_tables() -> None:
    tested = {row[0] for row in (*ROUND, *BEFORE)} | {*TOLD, "SO_LINGER", "TCP_CONGESTION"}
    assert tested == NAMED.keys()
    assert {option.field for option in OPTIONS if option.field} <= set(names())
    assert len(NAMED) == len(OPTIONS)


def test_those_that_may_change_are_the_fields_that_a_living_connection_heeds() -> None:
    heeded = {*LIVE, *REMEMBERED}
    assert {
        option.name for option in OPTIONS if option.field and option.is_changeable != (option.field in heeded)
    } == set()


def test_the_reference_has_each_option() -> None:
    text = (Path(__file__).parents[2] / "docs" / "reference.md").read_text(encoding="utf-8")
    section = text.partition("## Socket options")[2].partition("\n## ")[0]
    assert set(re.findall(r"`([A-Z0-9]+_[A-Z0-9_]+)`", section)) == NAMED.keys()
    assert all(f"`{option.field}`" in section for option in OPTIONS if option.field)


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize(("name", "number", "field", "value", "expected"), ROUND)
def test_what_is_set_is_told_and_changes_its_field(
    where: str, name: str, number: int, field: str | None, value: object, expected: int
) -> None:
    options = options_of(where)
    options.set(named(name), number, SECOND)
    assert told(options, name) == expected
    if field is not None:
        assert getattr(options.current(), field) == value
    options.set(named(name), NUMBER.pack(number), SECOND)
    assert told(options, name) == expected


@pytest.mark.parametrize("where", ["new", "listening"])
@pytest.mark.parametrize(("name", "number", "field", "value", "expected"), BEFORE)
def test_some_are_chosen_before_there_is_a_connection(
    where: str, name: str, number: int, field: str, value: object, expected: int
) -> None:
    options = options_of(where)
    options.set(named(name), number, 0)
    assert (getattr(options.current(), field), told(options, name)) == (value, expected)


@pytest.mark.parametrize("name", [*sorted({row[0] for row in BEFORE}), "TCP_CONGESTION"])
def test_and_not_on_one_that_lives(name: str) -> None:
    options = options_of("connected")
    before = options.current()
    with pytest.raises(ConnectionAlreadyExists, match="chosen before"):
        options.set(named(name), 1, SECOND)
    assert options.current() is before


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize(("name", "number"), WRONG)
def test_a_wrong_value_is_refused_and_changes_nothing(where: str, name: str, number: int) -> None:
    options = options_of(where)
    before = told(options, name)
    with pytest.raises(OptionInvalid, match=name) as caught:
        options.set(named(name), number, SECOND)
    assert (caught.value.errno, told(options, name)) == (errno.EINVAL, before)


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize(
    "option",
    [option for option in OPTIONS if option.kind not in ("told", "name")],
    ids=lambda option: option.name,
)
def test_a_wrong_size_is_refused(where: str, option: Option) -> None:
    options = options_of(where)
    if option.takes_octets or (where == "connected" and not option.is_changeable):
        return
    with pytest.raises(OptionInvalid, match=option.name):
        options.set(option, b"\1\0\0", SECOND)
    with pytest.raises((OptionInvalid, TypeError), match=option.name):
        options.set(option, 1 << 31, SECOND)
    with pytest.raises(TypeError, match=option.name):
        options.set(option, "1", SECOND)  # type: ignore[arg-type]


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("name", TOLD)
def test_what_can_only_be_told_is_not_set(where: str, name: str) -> None:
    options = options_of(where)
    with pytest.raises(OptionUnknown, match=name) as caught:
        options.set(named(name), 1, SECOND)
    assert caught.value.errno == errno.ENOPROTOOPT


def test_what_is_told_of_a_socket() -> None:
    found = {where: options_of(where) for where in WHERE}
    assert [told(found[where], "SO_ACCEPTCONN") for where in WHERE] == [0, 1, 0]
    assert [told(found[where], "SO_TYPE") for where in WHERE] == [socket.SOCK_STREAM] * 3
    assert [told(found[where], "SO_PROTOCOL") for where in WHERE] == [socket.IPPROTO_TCP] * 3
    assert told(SocketOptions(family=socket.AF_INET6), "SO_DOMAIN") == socket.AF_INET6
    assert told(SocketOptions(kind=socket.SOCK_DGRAM), "SO_PROTOCOL") == socket.IPPROTO_UDP
    assert told(found["connected"], "TCP_MAXSEG") == 1448
    assert told(found["connected"], "SO_RCVBUF") == found["connected"].connection.receive_limit  # type: ignore[union-attr]
    assert found["connected"].get(named("TCP_INFO"), SECOND)[0] == 1
    with pytest.raises(OptionUnknown):
        found["new"].get(named("TCP_INFO"), SECOND)


def test_an_error_is_told_once() -> None:
    options = options_of("connected")
    assert (told(options, "SO_ERROR"), options.has_error()) == (0, False)
    assert options.connection is not None
    options.connection.abort(SECOND)
    assert options.has_error()
    assert [told(options, "SO_ERROR") for _ in range(2)] == [errno.ECONNABORTED, 0]
    assert not options.has_error()


def test_linger() -> None:
    options = SocketOptions()
    linger = named("SO_LINGER")
    assert LINGER.unpack(options.get(linger, 0)) == (0, 0)
    for given, seconds in ((LINGER.pack(1, 5), 5), (LINGER.pack(1, 0), 0), (LINGER.pack(0, 9), -1)):
        options.set(linger, given, 0)
        assert options.linger == seconds
        assert LINGER.unpack(options.get(linger, 0)) == (seconds >= 0, max(0, seconds))


def test_a_controller_by_its_name() -> None:
    options = SocketOptions()
    congestion = named("TCP_CONGESTION")
    assert options.get(congestion, 0) == b"cubic".ljust(16, b"\0")
    options.set(congestion, b"reno", 0)
    assert options.get(congestion, 0).rstrip(b"\0") == b"reno"
    options.set(congestion, b"bbr\0\0", 0)
    assert options.get(congestion, 0).rstrip(b"\0") == b"bbr"
    with pytest.raises(OptionInvalid, match="cubics"):
        options.set(congestion, b"cubics", 0)


def test_both_sides_of_a_fast_open() -> None:
    options = SocketOptions()
    options.set(named("TCP_FASTOPEN"), 7, 0)
    options.set(named("TCP_FASTOPEN_CONNECT"), 1, 0)
    assert (options.current().fast_open, options.current().fast_open_limit) == ("both", 7)
    options.set(named("TCP_FASTOPEN"), 0, 0)
    assert options.current().fast_open == "client"
    options.set(named("TCP_FASTOPEN_CONNECT"), 0, 0)
    assert options.current().fast_open == "off"


def test_options_of_ipv6_are_unknown_to_ipv4() -> None:
    for family, is_known in ((socket.AF_INET, False), (socket.AF_INET6, True), (0, True)):
        options = SocketOptions(family=family)
        for name in ("IPV6_TCLASS", "IPV6_UNICAST_HOPS", "IPV6_V6ONLY"):
            if is_known:
                options.set(named(name), 1, 0)
            else:
                with pytest.raises(OptionUnknown):
                    options.get(named(name), 0)
                with pytest.raises(OptionUnknown):
                    options.set(named(name), 1, 0)
        options.set(named("IP_TOS"), 4, 0)


def test_one_octet_is_enough_for_options_of_ip() -> None:
    options = SocketOptions()
    options.set(named("IP_TTL"), b"\x07", 0)
    assert told(options, "IP_TTL") == 7


def test_by_number_or_by_name() -> None:
    assert numbered(socket.IPPROTO_TCP, socket.TCP_NODELAY) is named("TCP_NODELAY")
    assert all(option is NAMED[option.name] for option in NUMBERED.values())
    for unknown in (lambda: named("SO_MAGIC"), lambda: numbered(999, 1)):
        with pytest.raises(OptionUnknown, match="not known"):
            unknown()


@pytest.mark.parametrize("length", [-1, 1025])
def test_an_answer_has_a_length(length: int) -> None:
    assert answer(NUMBER.pack(7), 0) == 7
    assert answer(Struct("=ii").pack(1, 2), 4) == NUMBER.pack(1)
    with pytest.raises(OptionInvalid, match="buflen"):
        answer(NUMBER.pack(7), length)


def test_a_listener_s_connections_have_what_was_set_on_it() -> None:
    world = World(1)
    near, far = world.host("near", "10.0.0.1/24"), world.host("far", "10.0.0.2/24")
    world.path(near, far)
    listener = far.listen(80, world.now)
    SocketOptions(listener=listener).set(named("TCP_KEEPIDLE"), 30, world.now)
    near.connect("10.0.0.2", 80, world.now)
    world.run(until=SECOND)
    accepted = listener.accept()
    assert accepted is not None
    assert accepted.config.keep_alive_idle == 30 * SECOND


# By the table in drill, too: `tests/aio/test_options.py` has the options of a transport, beside the kernel's

DRILLED = [row for row in ROUND if NAMED[row[0]].kind != "told"]


def scripted(config: Config, lines: str) -> Any:
    text = f"0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3\n{lines}\n"
    return run(parse(text), replace(PROFILES["rfc"], config=config))


@pytest.mark.parametrize(
    ("name", "number", "expected"), [(row[0], row[1], row[4]) for row in (*DRILLED, *BEFORE[:1])]
)
def test_scripts_set_and_get_by_it(name: str, number: int, expected: int) -> None:
    lines = (
        f"+0 setsockopt(3, SOL_SOCKET, {name}, [{number}], 4) = 0\n+0 getsockopt(3, SOL_SOCKET, {name}, "
        f"[{expected}], [4]) = 0"
    )
    outcome = scripted(DEFAULT, lines)
    assert outcome.result == "passed", outcome
    wrong = scripted(DEFAULT, lines.replace(f"[{expected}], [4]", f"[{expected + 1}], [4]"))
    assert wrong.result == "failed"


def test_scripts_choose_a_controller() -> None:
    lines = (
        '+0 setsockopt(3, SOL_TCP, TCP_CONGESTION, "reno", 4) = 0\n+0 getsockopt(3, SOL_TCP, '
        'TCP_CONGESTION, "reno", [4]) = 0'
    )
    assert scripted(DEFAULT, lines).result == "passed", scripted(DEFAULT, lines)
    lines = '+0 setsockopt(3, SOL_TCP, TCP_CONGESTION, "renault", 7) = -1 EINVAL'
    assert scripted(DEFAULT, lines).result == "passed", scripted(DEFAULT, lines)


@pytest.mark.parametrize(("name", "number"), WRONG)
def test_scripts_hear_of_a_wrong_value(name: str, number: int) -> None:
    outcome = scripted(DEFAULT, f"+0 setsockopt(3, SOL_SOCKET, {name}, [{number}], 4) = -1 EINVAL")
    assert outcome.result == "passed", outcome
