"""Servers that a command asks for addresses."""

import argparse
from pathlib import Path

import pytest

from postel.cli.network import names


def test_the_system_s_name_servers_but_for_those_of_its_loopback(tmp_path: Path) -> None:
    file = tmp_path / "resolv.conf"
    file.write_bytes(
        b"# of yesterday\nsearch example.org\nnameserver 127.0.0.53\nnameserver\t10.7.0.1  # here\n"
        b"nameserver ::1\nnameserver fd07::1\nnameserver fe80::1%eth0\nnameserver\n\xff\n options edns0"
    )
    assert names.of_system(file) == ["10.7.0.1", "fd07::1"]
    assert names.of_system(tmp_path / "absent") == []


def parsed(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(exit_on_error=False)
    names.arguments(parser)
    return parser.parse_args(arguments)


def test_what_the_user_names() -> None:
    options = parsed(
        "--dns",
        "10.7.0.1:54",
        "--dns",
        "[fd07::1]",
        "--resolve",
        "a.example:10.7.0.9",
        "--resolve",
        "b.example:[fd07:0::9]",
    )
    assert options.dns == ["10.7.0.1:54", "[fd07::1]"]
    assert options.resolve == [("a.example", "10.7.0.9"), ("b.example", "fd07::9")]


@pytest.mark.parametrize(
    "arguments",
    [("--dns", "dns.example"), ("--dns", "10.7.0.1:0"), ("--resolve", "a.example"), ("--resolve", "a:b")],
)
def test_what_can_t_be_meant(arguments: tuple[str, str]) -> None:
    with pytest.raises(argparse.ArgumentError):
        parsed(*arguments)
