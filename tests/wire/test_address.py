from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
    ip_address,
)
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postel.errors import ArgumentError
from postel.wire import address
from postel.wire.address import Endpoint, Interface, Prefix, octets_of, parse, parse_interface, to_text

# The compiled core refuses what is of another type by itself

octets = st.binary(min_size=4, max_size=4) | st.binary(min_size=16, max_size=16)


@given(octets)
def test_text_and_back(octets: bytes) -> None:
    assert parse(to_text(octets)) == octets


@pytest.mark.parametrize(
    "text",
    ["", "10.0.0", "10.0.0.256", "010.0.0.1", "fd00::1%eth0", "fd00:::1", "localhost", "10.0.0.1/24", " ::1"],
)
def test_what_is_no_address_says_so(text: str) -> None:
    with pytest.raises(ArgumentError, match="address is"):
        parse(text)


def test_text_of_other_lengths() -> None:
    with pytest.raises(ArgumentError):
        to_text(b"\x0a\0\0")


@pytest.mark.parametrize(
    ("text", "port", "expected"), [("10.0.0.1", 80, "10.0.0.1:80"), ("FD00:0::1", 8080, "[fd00::1]:8080")]
)
def test_endpoints_read_as_in_a_url(text: str, port: int, expected: str) -> None:
    assert str(Endpoint(parse(text), port)) == expected


@pytest.mark.parametrize(
    ("text", "length", "again"),
    [
        ("10.7.0.2/24", 24, "10.7.0.2/24"),
        ("10.7.0.2", 32, "10.7.0.2/32"),
        ("fd00::2/64", 64, "fd00::2/64"),
        ("fd00::2", 128, "fd00::2/128"),
        ("0.0.0.0/0", 0, "0.0.0.0/0"),
    ],
)
def test_interfaces(text: str, length: int, again: str) -> None:
    interface = parse_interface(text)
    assert interface.prefix_length == length
    assert str(interface) == again


@pytest.mark.parametrize(
    "text", ["10.7.0.2/33", "10.7.0.2/", "10.7.0.2/x", "10.7.0.2/-1", "10.7.0.2/²", "fd00::2/129", "x/24"]
)
def test_what_is_no_interface_says_so(text: str) -> None:
    with pytest.raises(ArgumentError):
        parse_interface(text)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (IPv4Interface("10.7.0.2/24"), "10.7.0.2/24"),
        (IPv6Interface("fd00::2/64"), "fd00::2/64"),
        (IPv4Address("10.7.0.2"), "10.7.0.2/32"),
        (IPv6Address("fd00::2"), "fd00::2/128"),
        (IPv4Network("10.0.0.0/8"), "10.0.0.0/8"),
        (IPv6Network("::/0"), "::/0"),
    ],
)
def test_interfaces_are_taken_as_objects_too(value: Prefix, text: str) -> None:
    assert parse_interface(value) == parse_interface(text)


@pytest.mark.parametrize(
    "value",
    [b"10.7.0.2/24", 5, None, ("10.7.0.2", 24), "", "10.7.0.2/33", "x/24", IPv6Address("fe80::1%eth0")],
)
def test_refused_interface_is_named_as_the_caller_does(value: Any) -> None:
    with pytest.raises(ArgumentError) as refused:
        parse_interface(value, "peer")
    if isinstance(refused.value, ArgumentError):
        assert str(refused.value).startswith("peer is ")


@pytest.mark.parametrize("value", [5, None, b"10.0.0.1:53", ("10.0.0.1", 53)])
def test_endpoint_is_parsed_from_text_alone(value: Any) -> None:
    with pytest.raises(ArgumentError):
        Endpoint.parse(value)


@pytest.mark.parametrize("default", [-1, 65536, "53", None])
def test_default_port_is_a_port(default: Any) -> None:
    with pytest.raises(ArgumentError):
        Endpoint.parse("10.0.0.1", default)


def test_an_interface_contains_its_network() -> None:
    interface = parse_interface("10.7.0.2/23")
    assert interface.contains(parse("10.7.1.255"))
    assert not interface.contains(parse("10.7.2.0"))
    assert not interface.contains(parse("fd00::2"))
    assert parse_interface("0.0.0.0/0").contains(parse("255.1.2.3"))
    assert parse_interface("fd00::2/64").contains(parse("fd00::ffff:0:0:1"))
    assert not parse_interface("fd00::2/128").contains(parse("fd00::3"))


@pytest.mark.parametrize(
    ("text", "broadcast"),
    [
        ("10.7.0.2/24", "10.7.0.255"),
        ("10.7.0.2/30", "10.7.0.3"),
        ("10.0.0.1/8", "10.255.255.255"),
        ("0.0.0.0/0", "255.255.255.255"),
    ],
)
def test_directed_broadcast(text: str, broadcast: str) -> None:
    assert parse_interface(text).broadcast == parse(broadcast)


@pytest.mark.parametrize("text", ["10.7.0.2/31", "10.7.0.2/32", "fd00::2/64"])
def test_networks_without_a_broadcast_address(text: str) -> None:
    assert parse_interface(text).broadcast == b""


@pytest.mark.parametrize(
    ("text", "multicast", "unspecified", "loopback", "broadcast"),
    [
        ("10.0.0.1", False, False, False, False),
        ("223.255.255.255", False, False, False, False),
        ("224.0.0.0", True, False, False, False),
        ("239.255.255.255", True, False, False, False),
        ("240.0.0.0", False, False, False, False),
        ("255.255.255.255", False, False, False, True),
        ("127.0.0.1", False, False, True, False),
        ("127.255.0.1", False, False, True, False),
        ("0.0.0.0", False, True, False, False),
        ("::", False, True, False, False),
        ("::1", False, False, True, False),
        ("::2", False, False, False, False),
        ("ff02::1", True, False, False, False),
        ("fe80::1", False, False, False, False),
    ],
)
def test_kinds_of_addresses(
    text: str, *, multicast: bool, unspecified: bool, loopback: bool, broadcast: bool
) -> None:
    octets = parse(text)
    assert address.is_multicast(octets) is multicast
    assert address.is_unspecified(octets) is unspecified
    assert address.is_loopback(octets) is loopback
    assert address.is_limited_broadcast(octets) is broadcast


def test_interface_is_a_plain_record() -> None:
    assert parse_interface("10.7.0.2/24") == Interface(b"\x0a\x07\x00\x02", 24)


@pytest.mark.parametrize("text", ["10.0.0.1", "fd00::1"])
def test_an_address_may_be_text_or_an_object_of_ipaddress(text: str) -> None:
    octets = parse(text)
    assert octets_of(text) == octets_of(ip_address(text)) == octets


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "10.0.0",
        "a name",
        "fe80::1%2",
        ip_address("fe80::1%2"),
        b"",
        parse("10.0.0.1"),
        7,
        None,
        ("10.0.0.1", 80),
    ],
)
def test_any_other_address_is_refused_by_name(wrong: object) -> None:
    with pytest.raises(ArgumentError, match="where is "):
        octets_of(wrong, "where")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "text", ["10.0.0.1:1", "255.255.255.255:65535", "[fd00::1]:53", "[::ffff:10.0.0.1]:80"]
)
def test_an_endpoint_is_read_as_it_is_written(text: str) -> None:
    assert (
        str(Endpoint.parse(text))
        == str(Endpoint.parse(text, 7))
        == text.replace("::ffff:10.0.0.1", "::ffff:a00:1")
    )


@pytest.mark.parametrize("text", ["10.0.0.1", "fd00::1", "[fd00::1]"])
def test_a_port_may_be_left_out_where_there_is_a_default(text: str) -> None:
    assert Endpoint.parse(text, 53) == Endpoint(parse(text.strip("[]")), 53)
    with pytest.raises(
        ArgumentError, match=r"endpoint is .*; allowed: an address and a port of 1 to 65535, such as"
    ):
        Endpoint.parse(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":",
        ":53",
        "10.0.0.1:",
        "10.0.0.1:0",
        "10.0.0.1:65536",
        "10.0.0.1:-1",
        "10.0.0.1:٣",
        "name:53",
        "[fd00::1]:",
        "[fd00::1]53",
    ],
)
@pytest.mark.parametrize("default", [0, 53])
def test_what_is_no_endpoint_is_refused(text: str, default: int) -> None:
    with pytest.raises(ArgumentError, match="endpoint is"):
        Endpoint.parse(text, default)
