"""The runner's own rules, by the smallest scripts; the language's reach by those in tests/scripts."""

from pathlib import Path

import pytest

from postel.drill import Outcome, Profile, parse, run
from postel.drill.report import explain
from postel.errors import ScriptError
from tests.drill.suites import LINUX, OWN, labelled

ESTABLISHED = """0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0 fcntl(3, F_SETFL, O_RDWR | O_NONBLOCK) = 0
+0 connect(3, ..., ...) = -1 EINPROGRESS
+0 > S 0:0(0) <...>
+.01 < S. 0:0(0) ack 1 win 32767 <mss 1000>
+0 > . 1:1(0) ack 1
"""


def outcome(text: str, profile: str = "rfc") -> Outcome:
    return run(parse(text), Profile.named(profile))


@pytest.mark.parametrize("path", labelled(OWN))
def test_our_own_scripts(path: Path) -> None:
    assert outcome(path.read_text(encoding="utf-8")) == Outcome("passed")


@pytest.mark.parametrize("path", labelled(LINUX))
def test_scripts_in_the_manner_of_linux(path: Path) -> None:
    assert outcome(path.read_text(encoding="utf-8"), "linux") == Outcome("passed")


def test_a_script_runs_alike_every_time() -> None:
    text = ESTABLISHED + "+0 write(3, ..., 10) = 10\n+0 > P. 1:11(10) ack 1 win 1\n"
    assert outcome(text) == outcome(text) or str(outcome(text)) == str(outcome(text))


@pytest.mark.parametrize(
    ("lines", "line", "message"),
    [
        ("+0 > . 1:1(0) ack 1", 7, "packet: expected this one, actual none"),
        ("+0 close(3) = 1", 7, "result: expected 1, actual 0"),
        ("+0 read(3, ..., 1) = -1 EPIPE", 7, "errno: expected EPIPE, actual EAGAIN"),
        ("+0 read(9, ..., 1) = 0", 7, "result: expected 0, actual -1 EBADF"),
        ("+0 getsockopt(3, SOL_SOCKET, SO_ERROR, [EPIPE], [4]) = 0", 7, "SO_ERROR: expected EPIPE, actual 0"),
        (
            "+1 < R 1:1(0) win 0\n+0 getsockopt(3, SOL_SOCKET, SO_ERROR, [0], [4]) = 0",
            8,
            "SO_ERROR: expected 0, actual ECONNRESET",
        ),
        ("+0 ioctl(3, SIOCINQ, [3]) = 0", 7, "SIOCINQ: expected 3, actual 0"),
        ("+0 close(3) = 0\n+.5 > F. 1:1(0) ack 1", 8, "time: expected 0.510000 s, actual 0.010000 s"),
        (
            "+0 %{ assert tcpi_state == TCPI_LISTEN }%",
            7,
            "assertion: expected tcpi_state == TCPI_LISTEN, actual tcpi_state = ESTABLISHED",
        ),
        (
            "+0 `sockstat | grep -c ESTABLISHED | grep 2`",
            7,
            "connections in ESTABLISHED: expected 2, actual 1",
        ),
        ("+0...1 read(3, ..., 1) = 1", 7, "result: expected 1, actual -1 EAGAIN"),
        (
            "+0 fcntl(3, F_SETFL, O_RDWR) = 0\n+0 read(3, ..., 1) = 1",
            8,
            "result: expected 1, actual it blocks",
        ),
        (
            "+0 fcntl(3, F_SETFL, O_RDWR) = 0\n+0...1 read(3, ..., 1) = 1",
            8,
            "time of return: expected 1.010000 s, actual still blocked",
        ),
        (
            "+0 fcntl(3, F_SETFL, O_RDWR) = 0\n+0...1 read(3, ..., 1) = 1\n+.1 < . 1:2(1) ack 1 win 9",
            8,
            "time of return: expected 1.010",
        ),
        ("0.001 close(3) = 0\n", 7, "time: expected 0.001000 s, actual 0.010000 s"),
        (
            "+0 poll([{fd=3, events=POLLIN|POLLOUT, revents=POLLIN}], 1, 0) = 1",
            7,
            "revents: expected 1, actual 4",
        ),
        (
            "+0...5 poll([{fd=3, events=POLLIN}], 1, 1000) = 0",
            7,
            "time of return: expected 5.010000 s, actual 1.010000 s",
        ),
        (
            (
                "+0 epoll_create1(0) = 4\n+0 epoll_ctl(4, 1, 3, {events=4, fd=3}) = 0\n+0 epoll_wait(4, "
                "{events=EPOLLIN, fd=3}, 1, 0) = 1"
            ),
            9,
            "epoll: expected {'events': 1, 'fd': 3}, actual [{'events': 4, 'fd': 3}]",
        ),
        (
            "+0 epoll_create1(0) = 4\n+0 epoll_ctl(4, EPOLL_CTL_ADD, 9, {events=EPOLLOUT, fd=3}) = 0",
            8,
            "actual -1 EBADF",
        ),
        (
            "+0 epoll_create1(0) = 4\n+0 epoll_ctl(4, 9, 3, {events=EPOLLOUT, fd=3}) = 0",
            8,
            "actual -1 EINVAL",
        ),
        ("+0 socket(..., SOCK_DGRAM, 0) = 4\n+0 write(4, ..., 1) = 1", 8, "actual -1 EDESTADDRREQ"),
        (
            "+0 socket(..., SOCK_DGRAM, 0) = 4\n+0 sendto(4, ..., 1, 0, ..., ...) = 1\n+0 > udp (2)",
            9,
            "length: expected 2, actual 1",
        ),
        (
            "+0 socket(..., SOCK_DGRAM, 0) = 4\n+0 sendto(4, ..., 1, 0, ..., ...) = 1\n+0 > . 1:1(0) ack 1",
            9,
            "protocol: expected TCP",
        ),
        ("+0 close(3) = 0\n+0 > udp (2)", 8, "protocol: expected UDP, actual protocol 6"),
    ],
)
def test_what_fails(lines: str, line: int, message: str) -> None:
    found = outcome(ESTABLISHED + lines)
    assert (found.result, found.line) == ("failed", line)
    assert message in found.message


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("+0 splice(3) = 0", "this system call isn't known at 'splice'"),
        ("+0 setsockopt(3, SOL_SOCKET, SO_MAGIC, [1], 4) = 0", "this name isn't known at 'SO_MAGIC'"),
        ("+0 `rm -rf x`", "this command isn't known at 'rm -rf x'"),
        ("+0 `sysctl -w net.magic=1`", "this variable isn't known to the profile rfc at 'net.magic'"),
        ("+0 `sysctl -w net.inet.tcp.blackhole=2`", "Postel only has 0 at 'net.inet.tcp.blackhole=2'"),
        ("+0 `sysctl -w net.ipv4.tcp_ecn=4`", "Postel knows 0, 1, 2, 3, 5 at 'net.ipv4.tcp_ecn=4'"),
        ("+0 %{ import os }%", "only assertions and assignments are supported at 'import os'"),
        ("+0 %{ assert open('x') }%", "this expression isn't supported"),
        (
            "+0 < . 1:1(0) ack 1 win 1 <TS val 1 ecr 77,nop,nop>",
            "the stack never sent this timestamp at 'ecr 77'",
        ),
        ("+0 < . 1:1(0) ack 1 win 1 <nop>", "1 octets of options"),
        ("+0 socket(..., SOCK_RAW, IPPROTO_UDP) = 4", "this name isn't known at 'SOCK_RAW'"),
        ("+0 socket(..., 3, IPPROTO_UDP) = 4", "only streams and datagrams are supported at '3'"),
        (
            "+0 socket(..., SOCK_DGRAM, IPPROTO_UDP) = 4\n+0 listen(4, 1) = 0",
            "not supported for UDP at 'listen'",
        ),
        ("+0 writev(3, [{..., 3}], 2) = 3", "1 pieces, and another count, at 'writev'"),
        ("+0 readv(3, {..., 3}, 1) = 3", "expected [{..., octets}, …] for this call at 'readv'"),
        (
            "+0 sendmsg(3, ..., 0) = 3",
            "expected {msg_name(…)=…, msg_iov(1)=[{..., octets}], msg_flags=0} for this call at 'sendmsg'",
        ),
        (
            "+0 recvmsg(3, {msg_iov(1)=[{..., 9}], msg_flags=MSG_TRUNC}, 0) = 3",
            "only 0 is supported at 'msg_flags'",
        ),
        ("+0 writev(3) = 3", "expected 3 arguments at 'writev'"),
        ("+0 splice(3, ..., 4, ..., 10, 0) = 10", "this system call isn't known at 'splice'"),
        ("+0 getsockopt(3) = 0", "argument 3 is missing at 'getsockopt'"),
        ("+0 poll(3, 1, 0) = 0", "expected a list of structures at 'poll'"),
        (
            "+0 socket(..., SOCK_STREAM, 0) = 4\n+0 connect(4, {sin_port=htons(99999)}, 16) = 0",
            "port is 99999",
        ),
        ("+0 < icmp unreachable nonsense", "this code isn't known in ICMP of this IP version at 'nonsense'"),
    ],
)
def test_what_is_no_verdict(lines: str, message: str) -> None:
    found = outcome(ESTABLISHED + lines)
    assert (found.result, found.line) == ("error", 7 + lines.count("\n"))
    assert message in found.message


def test_hours_pass_at_once() -> None:
    text = (
        ESTABLISHED
        + "+0 setsockopt(3, SOL_SOCKET, SO_KEEPALIVE, [1], 4) = 0\n+7200 > . 0:0(0) ack 1\n+0 < . 1:1(0) ack "
        "1 win 9\n"
    )
    assert outcome(text).result == "passed"


def test_options_of_sockets_choose_what_is_sent() -> None:
    text = """0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0 setsockopt(3, IPPROTO_TCP, TCP_MAXSEG, [700], 4) = 0
+0 setsockopt(3, IPPROTO_IP, IP_TTL, [9], 4) = 0
+0 setsockopt(3, IPPROTO_IP, IP_TOS, [IPTOS_DSCP_CS1], 4) = 0
+0 getsockopt(3, IPPROTO_IP, IP_TTL, [9], [4]) = 0
+0 setsockopt(3, IPPROTO_IP, IP_TTL, [999], 4) = -1 EINVAL
+0 fcntl(3, F_SETFL, O_RDWR | O_NONBLOCK) = 0
+0 connect(3, ..., ...) = -1 EINPROGRESS
+0 > (tos 0x20, ttl 9) S 0:0(0) <mss 700,sackOK,TS val 1 ecr 0,nop,wscale 7>
+0 < S. 0:0(0) ack 1 win 9000 <mss 1460>
+0 > . 1:1(0) ack 1
+0 getsockopt(3, IPPROTO_TCP, TCP_MAXSEG, [700], [4]) = 0
+0 connect(3, ..., ...) = -1 EISCONN
"""
    assert outcome(text) == Outcome("passed")


def test_variables_of_code_persist() -> None:
    text = (
        ESTABLISHED
        + "+0 %{ before = tcpi_snd_cwnd }%\n+0 %{ assert before == tcpi_snd_cwnd and not before < 1, 'kept' "
        "}%\n"
    )
    assert outcome(text) == Outcome("passed")


def test_a_low_water_mark_of_what_is_not_sent() -> None:
    text = ESTABLISHED + (
        "+0 setsockopt(3, IPPROTO_TCP, TCP_NOTSENT_LOWAT, [700], 4) = 0\n+0 getsockopt(3, IPPROTO_TCP, "
        "TCP_NOTSENT_LOWAT, [700], [4]) = 0\n"
        "+0 write(3, ..., 2000) = 700\n+0 > P. 1:701(700) ack 1\n"
    )
    assert outcome(text) == Outcome("passed")


def test_code_sees_what_tcp_info_has() -> None:
    text = ESTABLISHED + (
        "+0 write(3, ..., 5) = 5\n+0 > P. 1:6(5) ack 1\n+.1 < . 1:1(0) ack 6 win 1000\n"
        "+.05 %{ assert (tcpi_bytes_acked, tcpi_bytes_sent, tcpi_data_segs_out, tcpi_notsent_bytes) == (5, "
        "5, 1, 0) }%\n"
        "+0 %{ assert tcpi_last_data_sent == 150 and tcpi_last_ack_recv == 50, 'milliseconds' }%\n"
        "+0 %{ assert tcpi_busy_time == 100000 and tcpi_unacked == 0 and tcpi_rcv_space == 131072 }%\n"
    )
    assert outcome(text) == Outcome("passed")


def test_connections_side_by_side_are_told_apart_by_their_ports() -> None:
    text = """0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0 bind(3, ..., ...) = 0
+0 listen(3, 5) = 0
+0 < 1001 > 8080 S 0:0(0) win 100 <mss 1000>
+0 > 8080 > 1001 S. 0:0(0) ack 1 <mss 1460>
+0 < 1002 > 8080 S 0:0(0) win 100 <mss 1000>
+0 > 8080 > 1002 S. 0:0(0) ack 1 <mss 1460>
+0 < 1001 > 8080 . 1:1(0) ack 1 win 100
+0 < 1002 > 8080 . 1:1(0) ack 1 win 100
+0 accept(3, ..., ...) = 4
+0 accept(3, ..., ...) = 5
+0 close(5) = 0
+0 > 8080 > 1002 F. 1:1(0) ack 1
"""
    assert outcome(text) == Outcome("passed")
    assert outcome(text.replace("> 8080 > 1002 F.", "> 8080 > 1001 F.")).message.startswith("ports: ")


def test_text_in_several_segments_is_one_expectation() -> None:
    text = (
        ESTABLISHED
        + "+0 setsockopt(3, SOL_TCP, TCP_NODELAY, [1], 4) = 0\n+0 write(3, ..., 2500) = 2500\n+0 > P. "
        "1:2501(2500) ack 1\n"
    )
    assert outcome(text) == Outcome("passed")
    assert (
        outcome(text.replace("1:2501(2500)", "1:2502(2501)")).message == "length: expected 2501, actual 2500"
    )


def test_timestamps_advance_with_the_clock_where_a_tick_is_told() -> None:
    text = "--tcp_ts_tick_usecs=1000\n" + ESTABLISHED.replace(
        "<...>", "<mss 1460,sackOK,TS val 100 ecr 0,nop,wscale 7>"
    ).replace("<mss 1000>", "<mss 1000,nop,nop,TS val 7 ecr 100>").replace(
        "ack 1\n", "ack 1 <nop,nop,TS val 110 ecr 7>\n", 1
    )
    text = text.replace("+0 > . 1:1(0) ack 1\n", "+0 > . 1:1(0) ack 1 <nop,nop,TS val 110 ecr 7>\n")
    assert outcome(text) == Outcome("passed")
    assert (
        outcome(text.replace("TS val 110 ecr 7", "TS val 210 ecr 7")).message
        == "TS val: expected 210, actual 110"
    )
    assert (
        outcome(text.replace("TS val 110 ecr 7", "TS val 110 ecr 6")).message
        == "TS ecr: expected 6, actual 7"
    )


@pytest.mark.parametrize(
    ("lines", "field"),
    [
        ("+0 write(3, ..., 9) = 9\n+0 > P. 1:10(9) ack 1 win 5", "win 5"),
        ("+0 close(3) = 0\n+0 > R. 1:1(0) ack 1", "R."),
        ("+0 close(3) = 0\n+0 > F. 1:1(0) ack 3", "ack 3"),
        ("+0 close(3) = 0\n+3 > F. 1:1(0) ack 1", "+3"),
        ("+0 close(3) = 7", "= 7"),
        ("+0 getsockopt(3, SOL_SOCKET, SO_RCVBUF, [7], [4]) = 0", "7"),
        ("+0 read(3, ..., 1) = -1 EPIPE", "EPIPE"),
        ("+0 tee(3) = 0", "tee"),
    ],
)
def test_the_caret_stands_under_the_field(lines: str, field: str) -> None:
    found = outcome(ESTABLISHED + lines)
    assert found.failure is not None
    line = (ESTABLISHED + lines).split("\n")[found.line - 1]
    shown, caret = explain(line, found.failure).split("\n")[:2]
    assert shown[caret.index("^") : len(caret)].strip() == field


def test_options_of_a_script_are_numbers() -> None:
    assert outcome("--mtu=big\n0 close(3) = 0").result == "error"


def test_an_error_of_the_grammar_is_the_callers() -> None:
    with pytest.raises(ScriptError):
        parse("0 what")


FAST = """0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0 setsockopt(3, IPPROTO_TCP, TCP_FASTOPEN, [1], 4) = 0
+0 sendto(3, ..., 10, 0, ..., ...) = 10
+0 > S 0:0(0) <mss 1460,sackOK,TS val 1 ecr 0,nop,wscale 7,FO,nop,nop>
+0 < S. 0:0(0) ack 1 win 9000 <mss 1460,FO 01020304,nop,nop>
+0 > P. 1:11(10) ack 1
+0 < R. 1:1(0) ack 11 win 0
+0 close(3) = 0
+0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
"""
WITH_COOKIE = "+0 > S 0:10(10) <mss 1460,sackOK,TS val 1 ecr 0,nop,wscale 7,FO 01020304,nop,nop>\n"
ASKING = "+0 > S 0:0(0) <mss 1460,sackOK,TS val 1 ecr 0,nop,wscale 7,FO,nop,nop>\n"
ORDINARY = "+0 > S 0:0(0) <mss 1460,sackOK,TS val 1 ecr 0,nop,wscale 7>\n"
ASKED = "+0 setsockopt(3, IPPROTO_TCP, TCP_FASTOPEN, [1], 4) = 0\n"
SENT = "+0 sendto(3, ..., 10, 0, ..., ...) = 10\n"


@pytest.mark.label("RFC7413-4.2.2")
@pytest.mark.parametrize(
    "lines",
    [
        ASKED + SENT + WITH_COOKIE,
        ASKED
        + "+0 setsockopt(3, IPPROTO_TCP, TCP_FASTOPEN, [0], 4) = 0\n+0 sendto(3, ..., 10, 0, ..., ...) = -1 "
        "ENOTCONN\n",
        "+0 `sysctl -w net.inet.tcp.fastopen.client_enable=0`\n+0 `sysctl -w "
        "net.inet.tcp.fastopen.client_enable=1`\n" + ASKED + SENT + ASKING,
        "+0 `sysctl -w net.inet.tcp.fastopen.server_enable=0`\n" + ASKED + SENT + WITH_COOKIE,
        "+0 `ip tcp_metrics flush all`\n" + ASKED + SENT + ASKING,
        "+0 `sysctl -w net.ipv4.tcp_fastopen=2`\n"
        + ASKED
        + "+0 sendto(3, ..., 10, 0, ..., ...) = -1 ENOTCONN\n",
        "+0...0 connect(3, ..., ...) = 0\n"
        + ORDINARY
        + "+0 < S. 0:0(0) ack 1 win 9 <mss 9>\n+0 > . 1:1(0) ack 1\n",
    ],
    ids=["again", "unset", "client", "server", "metrics", "mask", "unasked"],
)
def test_sockets_ask_for_fast_open_and_systems_allow_it(lines: str) -> None:
    assert outcome(FAST + lines) == Outcome("passed")


def test_the_experimental_option_of_fast_open_is_an_unknown_one() -> None:
    """RFC 7413, 9: kind 254 was for implementations older than the RFC."""
    text = FAST.replace("FO 01020304,nop,nop", "FOEXP 01020304") + ASKED + SENT + ORDINARY
    assert outcome(text) == Outcome("passed")


@pytest.mark.label("RFC7413-4.1.1")
def test_a_wrong_cookie_names_the_rule() -> None:
    found = outcome(FAST + ASKED + SENT + WITH_COOKIE.replace("01020304", "01020305"))
    assert (found.line, found.rule) == (12, "RFC7413-4.1.1, RFC7413-4.2.2, RFC 7413, 4.1.1 and 4.2")


def test_a_socket_opened_by_cookie_is_ready_to_write() -> None:
    text = """0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0 setsockopt(3, IPPROTO_TCP, TCP_FASTOPEN, [5], 4) = 0
+0 bind(3, ..., ...) = 0
+0 listen(3, 5) = 0
+0 < 1001 > 8080 S 0:10(10) win 9000 <mss 1000,FO 89b4a21559af2ec4,nop,nop>
+0 > 8080 > 1001 S. 0:0(0) ack 11 <mss 1460>
+0 accept(3, ..., ...) = 4
+0 poll([{fd=4, events=POLLIN|POLLOUT, revents=POLLIN|POLLOUT}], 1, 0) = 1
+0 %{ assert tcpi_options & TCPI_OPT_SYN_DATA }%
"""
    assert outcome(text) == Outcome("passed")


def test_a_connection_that_is_dropped_says_nothing_and_knows_why() -> None:
    text = (
        ESTABLISHED
        + "+0 `tcpdrop -s ESTABLISHED`\n+0 getsockopt(3, SOL_SOCKET, SO_ERROR, [ECONNABORTED], [4]) = 0\n+9 "
        "`true`\n"
    )
    assert outcome(text).result == "passed", outcome(text)
