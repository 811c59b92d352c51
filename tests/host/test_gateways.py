"""Which neighbour a packet is given to, and the groups at which a host is asked for its address."""

from ipaddress import ip_address

import pytest

from postel.errors import ArgumentError
from postel.host.host import Host
from postel.wire import ip, udp
from postel.wire.address import parse, to_text


def made(*addresses: str, **options: object) -> Host:
    return Host(*(addresses or ("10.0.0.2/24", "fd00::2/64")), secret=b"gateways", **options)  # type: ignore[arg-type]


def hop(host: Host, destination: str) -> str:
    return to_text(host.routes.next_hop(parse(destination)))


def test_without_routes_everything_is_a_neighbour():
    host = made()
    for destination in ("10.0.0.7", "198.51.100.1", "fd00::7", "2001:db8::1"):
        assert hop(host, destination) == destination


def test_the_default_gateway_has_what_no_other_route_knows():
    host = made(gateway=("10.0.0.1", ip_address("fd00::1")))
    assert [hop(host, text) for text in ("10.0.0.7", "198.51.100.1", "fd00::7", "2001:db8::1")] == [
        "10.0.0.7",
        "10.0.0.1",
        "fd00::7",
        "fd00::1",
    ]


@pytest.mark.parametrize(
    "address", ["255.255.255.255", "10.0.0.255", "224.0.0.251", "169.254.3.4", "ff02::fb", "fe80::1"]
)
def test_what_is_never_behind_a_router_goes_to_the_link(address: str):
    assert hop(made(gateway=("10.0.0.1", "fd00::1")), address) == address


def test_the_longest_prefix_decides_and_then_the_metric():
    host = made(gateway="10.0.0.1")
    host.routes.add("198.51.100.0/24", gateway="10.0.0.3", metric=20)
    host.routes.add("198.51.0.0/16", gateway="10.0.0.4")
    assert hop(host, "198.51.100.1") == "10.0.0.3"
    host.routes.add("198.51.100.0/24", gateway="10.0.0.5", metric=10)
    assert [hop(host, text) for text in ("198.51.100.1", "198.51.7.1", "203.0.113.1")] == [
        "10.0.0.5",
        "10.0.0.4",
        "10.0.0.1",
    ]
    host.routes.add("198.51.100.0/24", gateway="10.0.0.5", metric=30)  # replaces
    assert hop(host, "198.51.100.1") == "10.0.0.3"
    assert [str(route) for route in host.routes.table] == [
        "198.51.100.0/24 by 10.0.0.3 metric 20",
        "198.51.100.0/24 by 10.0.0.5 metric 30",
        "198.51.0.0/16 by 10.0.0.4 metric 0",
        "0.0.0.0/0 by 10.0.0.1 metric 0",
    ]
    host.routes.remove("198.51.100.0/24", gateway="10.0.0.3")
    assert hop(host, "198.51.100.1") == "10.0.0.5"
    host.routes.remove("198.51.100.0/24")
    assert hop(host, "198.51.100.1") == "10.0.0.4"
    host.routes.add("10.0.0.128/25", gateway="10.0.0.6")  # longer than the link's own network
    assert [hop(host, text) for text in ("10.0.0.200", "10.0.0.7")] == ["10.0.0.6", "10.0.0.7"]


def test_an_address_more_or_less_changes_the_neighbours():
    host = made(gateway="10.0.0.1")
    assert hop(host, "192.168.1.9") == "10.0.0.1"
    host.add_address("192.168.1.2/24")
    assert hop(host, "192.168.1.9") == "192.168.1.9"
    host.remove_address("192.168.1.2", 0)
    assert hop(host, "192.168.1.9") == "10.0.0.1"


def test_packets_leave_from_the_address_on_the_network_of_their_router():
    host = made("10.0.0.2/24", "192.168.1.2/24", gateway="192.168.1.1")
    assert host.connect("198.51.100.1", 80, 0).local.address == parse("192.168.1.2")
    assert host.connect("10.0.0.9", 80, 0).local.address == parse("10.0.0.2")


def test_many_destinations_are_no_burden():
    host = made(gateway="10.0.0.1")
    for number in range(10_000):
        host.routes.next_hop(number.to_bytes(4, "big"))
    assert len(host.routes._hops) <= 4096


@pytest.mark.parametrize(
    ("network", "options", "message"),
    [
        (
            "10.0.0.1/8",
            {"gateway": "10.0.0.1"},
            "network is '10.0.0.1/8'; allowed: a network with its prefix length",
        ),
        ("10.0.0.0", {"gateway": "10.0.0.1"}, "network is '10.0.0.0'"),
        ("10.0.0.0/33", {"gateway": "10.0.0.1"}, "33"),
        ("nonsense/8", {"gateway": "10.0.0.1"}, "nonsense"),
        ("::/0", {"gateway": "10.0.0.1"}, "gateway is '10.0.0.1'; allowed: an address of the family of ::/0"),
        (
            "0.0.0.0/0",
            {"gateway": "224.0.0.1"},
            "gateway is '224.0.0.1'; allowed: the address of a router on the link",
        ),
        ("0.0.0.0/0", {"gateway": "10.0.0.2"}, "gateway is '10.0.0.2'"),
        ("0.0.0.0/0", {"gateway": "router"}, "gateway is 'router'"),
        ("0.0.0.0/0", {"gateway": "10.0.0.1", "metric": -1}, "metric is -1"),
    ],
)
def test_wrong_routes_are_refused(network: str, options: dict[str, object], message: str):
    host = made()
    with pytest.raises(ArgumentError) as caught:
        host.routes.add(network, **options)
    assert message in str(caught.value)
    assert host.routes.table == ()


def test_a_metric_is_a_number():
    host = made()
    with pytest.raises(ArgumentError, match=r"metric is ('1'|of type str); allowed: .*"):
        host.routes.add("0.0.0.0/0", gateway="10.0.0.1", metric="1")
    assert host.routes.table == ()


def test_a_route_that_is_not_there_cannot_be_removed():
    host = made()
    with pytest.raises(ArgumentError, match="one to which there is a route"):
        host.routes.remove("0.0.0.0/0")
    host.routes.add("0.0.0.0/0", gateway="10.0.0.1")
    with pytest.raises(ArgumentError, match="one to which there is a route"):
        host.routes.remove("0.0.0.0/0", gateway="10.0.0.3")


# Groups


def test_a_host_joins_what_neighbour_discovery_needs():
    host = made("10.0.0.2/24")
    assert host.groups == frozenset()
    host.add_address("fd00::12:3456/64")
    assert {to_text(group) for group in host.groups} == {"ff02::1", "ff02::1:ff12:3456"}
    host.add_address("fe80::7/64")
    assert {to_text(group) for group in host.groups} == {"ff02::1", "ff02::1:ff12:3456", "ff02::1:ff00:7"}
    host.remove_address("fd00::12:3456", 0)
    assert {to_text(group) for group in host.groups} == {"ff02::1", "ff02::1:ff00:7"}


@pytest.mark.parametrize(
    ("group", "is_heard"),
    [("ff02::1", True), ("ff02::1:ff00:2", True), ("ff02::2", False), ("ff02::1:ff00:3", False)],
)
def test_packets_to_its_groups_are_accepted(group: str, is_heard: bool):
    host = made()
    socket = host.datagrams(53)
    source, destination = parse("fd00::9"), parse(group)
    host.packet_arrives(
        ip.encode(
            source,
            destination,
            udp.PROTOCOL,
            udp.encode_for(udp.Datagram(9, 53, b"all"), source, destination),
        ),
        0,
    )
    assert (socket.receive() is not None) == is_heard
    assert host.statistics().get("dropped_multicast", 0) == (not is_heard)
