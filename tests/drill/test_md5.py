"""Scripts that sign: `--tcp_md5_secret`, TCP_MD5SIG and ``md5 valid``."""

import pytest

from postel.drill import Outcome, Profile, parse, run

SIGNED = """\
--tcp_md5_secret=secret
 0.00 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0.00 setsockopt(3, IPPROTO_TCP, TCP_MD5SIG, [1], 4) = 0
+0.00 fcntl(3, F_SETFL, O_RDWR | O_NONBLOCK) = 0
+0.00 connect(3, ..., ...) = -1 EINPROGRESS
"""
LISTENING = """\
--tcp_md5_secret=secret
 0.00 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0.00 setsockopt(3, IPPROTO_TCP, TCP_MD5SIG, [1], 4) = 0
+0.00 bind(3, ..., ...) = 0
+0.00 listen(3, 1) = 0
"""


def outcome(text: str, profile: str = "freebsd") -> Outcome:
    return run(parse(text), Profile.named(profile))


def test_the_order_of_another_system() -> None:
    assert (
        outcome(
            LISTENING
            + "+0 < S 0:0(0) win 9 <mss 1460,sackOK,md5 valid>\n+0 > S. 0:0(0) ack 1 <mss 1460,sackOK,md5 "
            "valid>"
        ).result
        == "passed"
    )


def test_a_socket_that_calls_signs_too() -> None:
    assert outcome(SIGNED + "+0 > S 0:0(0) <mss 1460,nop,wscale 6,sackOK,md5 valid>").result == "passed"


def test_with_zero_the_option_is_taken_back() -> None:
    text = LISTENING.replace("+0.00 bind", "+0 setsockopt(3, IPPROTO_TCP, TCP_MD5SIG, [0], 4) = 0\n+0 bind")
    assert (
        outcome(text + "+0 < S 0:0(0) win 9 <mss 1460>\n+0 > S. 0:0(0) ack 1 <mss 1460>").result == "passed"
    )


def test_a_wrong_digest_is_shown() -> None:
    text = (
        LISTENING
        + "+0 < S 0:0(0) win 9 <mss 1460,nop,nop,md5 valid>\n+0 > S. 0:0(0) ack 1 <mss 1460,nop,nop,md5 00>"
    )
    assert "<mss 1460,nop,nop,md5 valid>" in outcome(text).message


@pytest.mark.parametrize(
    "line",
    ["+0 setsockopt(3, IPPROTO_TCP, TCP_MD5SIG, [1], 4) = 0", "+0 < S 0:0(0) win 9 <nop,nop,md5 valid>"],
)
def test_without_a_secret_nothing_can_be_signed(line: str) -> None:
    found = outcome(f" 0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3\n{line}")
    assert (found.result, "--tcp_md5_secret" in found.message) == ("error", True)


def test_a_digest_that_the_script_knows_is_compared_as_it_stands() -> None:
    text = LISTENING.partition("\n")[2].replace(
        "+0.00 setsockopt(3, IPPROTO_TCP, TCP_MD5SIG, [1], 4) = 0\n", ""
    )
    text += (
        "+0 < S 0:0(0) win 9 <nop,nop,md5 00112233445566778899aabbccddeeff>\n+0 > S. 0:0(0) ack 1 <mss 1460>"
    )
    assert outcome(text).result == "passed"  # no socket asked for signatures: it is an option like others
