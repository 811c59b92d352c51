"""Addresses and path MTUs."""

import pytest

from postel.errors import AddressNotAvailable, ArgumentError, NetworkUnreachable
from postel.host.routes import AGE, FLOOR_4, PLATEAUS, Routes, plateau_below
from postel.wire.address import parse, parse_interface

FOUR, SIX = parse("192.0.2.1"), parse("2001:db8::1")


def routes(*addresses: str, mtu: int = 1500, any_address: bool = False):
    return Routes(
        tuple(parse_interface(text) for text in addresses or ("10.0.0.1/24", "fd00::1/64")),
        mtu,
        any_address=any_address,
    )


@pytest.mark.label("MUST-44")
def test_must_44_the_source_is_the_address_nearest_to_the_destination():
    several = routes("10.0.0.1/24", "10.1.0.1/16", "10.1.2.1/24", "fd00::1/64", "2001:db8::2/32")
    for destination, source in (
        ("10.1.2.9", "10.1.2.1"),
        ("10.1.3.9", "10.1.0.1"),
        ("192.0.2.1", "10.0.0.1"),
        ("2001:db8:1::1", "2001:db8::2"),
        ("fd00::9", "fd00::1"),
        ("10.1.0.1", "10.1.0.1"),
    ):
        assert several.source_for(parse(destination)) == parse(source)


def test_no_source_no_network():
    with pytest.raises(NetworkUnreachable):
        routes("10.0.0.1/24").source_for(SIX)
    with pytest.raises(AddressNotAvailable):
        routes().require_own(FOUR)
    routes(any_address=True).require_own(FOUR)


@pytest.mark.label("RFC1122-3.2.1.3", "EP-PRE-3")
@pytest.mark.parametrize(
    ("source", "destination", "reason"),
    [
        ("10.0.0.9", "10.0.0.1", ""),
        ("192.0.2.1", "10.0.0.1", ""),
        ("fd00::9", "fd00::1", ""),
        ("10.0.0.9", "10.0.0.255", ""),
        ("10.0.0.9", "255.255.255.255", ""),
        ("10.0.0.9", "10.0.0.2", "not_ours"),
        ("10.0.0.9", "224.0.0.1", "multicast"),
        ("fd00::9", "ff02::2", "multicast"),
        ("fd00::9", "::", "not_ours"),
        ("10.0.0.9", "0.0.0.0", "not_ours"),
        ("0.0.0.0", "10.0.0.1", "invalid_source"),
        ("0.1.2.3", "10.0.0.1", "invalid_source"),
        ("240.0.0.1", "10.0.0.1", "invalid_source"),
        ("255.255.255.255", "10.0.0.1", "invalid_source"),
        ("10.0.0.255", "10.0.0.1", "invalid_source"),
        ("10.0.0.1", "10.0.0.1", "invalid_source"),
        ("127.0.0.1", "10.0.0.1", "invalid_source"),
        ("224.0.0.5", "10.0.0.1", "invalid_source"),
        ("::", "fd00::1", "invalid_source"),
        ("::1", "fd00::1", "invalid_source"),
        ("ff02::1", "fd00::1", "invalid_source"),
        ("10.0.0.0", "10.0.0.1", "invalid_source"),
        ("0.0.0.7", "10.0.0.1", "invalid_source"),
        ("127.255.255.254", "10.0.0.1", "invalid_source"),
        ("255.0.0.1", "10.0.0.1", "invalid_source"),
        ("::ffff:10.0.0.9", "fd00::1", "invalid_source"),
        ("::ffff:127.0.0.1", "fd00::1", "invalid_source"),
        ("10.0.0.9", "10.0.0.0", "not_ours"),
        ("10.0.0.9", "127.0.0.1", "invalid_destination"),
        ("fd00::9", "::1", "invalid_destination"),
    ],
)
def test_rfc1122_3_2_1_3_and_ep_pre_3(source: str, destination: str, reason: str):
    assert routes().objection(parse(source), parse(destination)) == reason


LOOPBACK = ("127.0.0.1", "127.1.2.3", "127.255.255.255", "::1")
OF_NO_HOST = (
    "0.0.0.0",
    "0.0.0.7",
    "0.255.255.255",
    "240.0.0.9",
    "255.255.255.254",
    "::",
    "::ffff:10.0.0.2",
    "::ffff:127.0.0.1",
    "::ffff:0.0.0.0",
)
NEVER_ON_A_LINK = (*OF_NO_HOST, *LOOPBACK)
OF_MANY = ("255.255.255.255", "10.0.0.255", "224.0.0.1", "239.255.255.255", "ff02::1", "ff0e::1")
OF_ONE = (
    "10.0.0.2",
    "10.0.1.0",
    "10.0.1.255",
    "1.0.0.0",
    "126.255.255.255",
    "128.0.0.1",
    "223.255.255.255",
    "fd00::",
    "fe80::1",
    "::2",
    "2001:db8::1",
    "::fffe:10.0.0.2",
    "64:ff9b::7f00:1",
)


@pytest.mark.label("RFC1122-3.2.1.3")
@pytest.mark.parametrize("any_address", [False, True])
def test_rfc1122_3_2_1_3_where_packets_may_go(any_address: bool):
    table = routes(any_address=any_address)
    for text in LOOPBACK:
        assert not table.is_unicast(parse(text)), text
        assert table.owns(parse(text)), text
        table.require_destination(parse(text))
        table.require_one_host(parse(text))
    for text in (*OF_NO_HOST, "10.0.0.0"):
        assert not table.is_unicast(parse(text)), text
        assert not table.owns(parse(text)), text
        with pytest.raises(NetworkUnreachable, match="nothing is sent"):
            table.require_destination(parse(text))
        with pytest.raises(NetworkUnreachable, match="nothing is sent"):
            table.require_one_host(parse(text))
    for text in OF_MANY:
        table.require_destination(parse(text))
        with pytest.raises(NetworkUnreachable, match="single host"):
            table.require_one_host(parse(text))
    for text in OF_ONE:
        table.require_one_host(parse(text))
        assert table.owns(parse(text)) == any_address


@pytest.mark.parametrize(
    ("interface", "broadcast", "network"),
    [
        ("10.7.1.2/16", "10.7.255.255", "10.7.0.0"),
        ("10.0.0.5/30", "10.0.0.7", "10.0.0.4"),
        ("10.0.0.4/31", "", ""),
        ("10.0.0.4", "", ""),
        ("fd00::/64", "", ""),
    ],
)
def test_a_networks_own_addresses(interface: str, broadcast: str, network: str):
    found = parse_interface(interface)
    assert found.broadcast == (parse(broadcast) if broadcast else b"")
    assert found.network == (parse(network) if network else b"")
    assert routes(interface).is_unicast(found.address)


@pytest.mark.label("RFC1122-3.2.1.3")
@pytest.mark.parametrize("given", [(), ("127.0.0.1/8", "::1/128")])
def test_loopback_addresses_stay_here(given: tuple[str, ...]):
    table = routes(*given, "10.0.0.1/24", "fd00::1/64")
    for own, other, source in (("127.0.0.1", "192.0.2.1", "10.0.0.1"), ("::1", "2001:db8::1", "fd00::1")):
        table.require_one_host(parse(own))
        assert table.source_for(parse(own)) == parse(own)
        assert table.source_for(parse(other)) == parse(source)
        assert table.choose_source(parse(own), parse(source)) == parse(source)
        with pytest.raises(NetworkUnreachable, match="leaves this host from"):
            table.choose_source(parse(other), parse(own))
        assert table.objection(parse(other), parse(own)) == "invalid_destination"
        assert table.objection(parse(own), parse(source)) == "invalid_source"
    with pytest.raises(NetworkUnreachable, match="no address"):
        routes("127.0.0.1/8").source_for(FOUR)
    assert table.source_for(parse("127.0.0.2")) == parse("127.0.0.1")
    assert routes("127.0.0.2/8").source_for(parse("127.0.0.2")) == parse("127.0.0.2")


@pytest.mark.parametrize(
    "text",
    ["0.0.0.0", "0.0.0.7", "240.0.0.1", "255.255.255.255", "224.0.0.1", "::", "ff02::1", "::ffff:10.0.0.1"],
)
def test_no_host_has_such_an_address(text: str):
    with pytest.raises(ArgumentError, match="address"):
        routes(text)


@pytest.mark.label("RFC1191-3a")
def test_rfc1191_3a_a_claim_lowers_and_never_raises():
    path = routes()
    assert path.usable(FOUR, 1400, 1500, 0) == 1400
    path.learn(FOUR, 1400, 0)
    assert path.mtu_to(FOUR, 0) == 1400
    for void in (1500, 9000, 1, 67):
        assert path.usable(FOUR, void, 1500, 0) == 0
    # Perhaps true of a packet sent before, but no reason to raise the path MTU
    assert path.usable(FOUR, 1401, 1500, 0) == 1401
    assert path.mtu_to(FOUR, 0) == 1400
    assert path.mtu_to(SIX, 0) == 1500


def test_what_turned_out_to_be_the_links_mtu_need_not_be_remembered():
    path = routes()
    path.learn(FOUR, 1400, 0)
    path.learn(FOUR, 1500, 1)
    assert path.mtu_to(FOUR, 1) == 1500
    assert not path._paths


@pytest.mark.label("RFC8201-4a")
def test_rfc8201_4a_claims_below_1280_are_void():
    path = routes()
    assert [path.usable(SIX, mtu, 1500, 0) for mtu in (0, 68, 1279, 1280, 1499, 1500, 9000)] == [
        0,
        0,
        0,
        1280,
        1499,
        0,
        0,
    ]


@pytest.mark.label("RFC1191-3c")
def test_rfc1191_3c_mtu_0_takes_the_plateau_below():
    path = routes()
    assert path.usable(FOUR, 0, 1500, 0) == 1492
    assert path.usable(FOUR, 0, 9000, 0) == 1492  # no longer than anything that we sent
    assert path.usable(FOUR, 0, 0, 0) == 1492
    assert path.usable(FOUR, 0, 1006, 0) == FLOOR_4
    assert [plateau_below(n) for n in (68, 69, 65535, 70000)] == [68, 68, 32000, 65535]
    assert list(PLATEAUS) == sorted(PLATEAUS, reverse=True)


def test_below_our_floor_routers_may_fragment():
    path = routes()
    assert path.usable(FOUR, 68, 1500, 0) == FLOOR_4
    path.learn(FOUR, FLOOR_4, 0)
    assert path.may_fragment(FOUR, 0)
    assert not path.may_fragment(SIX, 0)
    assert not path.may_fragment(FOUR, AGE)
    assert routes(mtu=296).usable(FOUR, 100, 296, 0) == 296


@pytest.mark.label("RFC1191-3b")
def test_rfc1191_3b_what_was_learned_ages():
    path = routes()
    path.learn(FOUR, 1400, 5)
    assert path.mtu_to(FOUR, 4 + AGE) == 1400
    assert path.mtu_to(FOUR, 5 + AGE) == 1500
    assert AGE >= 5 * 60_000_000  # not before 5 minutes


def test_the_table_is_bounded():
    path = routes()
    for number in range(5000):
        path.learn(number.to_bytes(4, "big"), 1400, 0)
    assert path.mtu_to((0).to_bytes(4, "big"), 0) == 1500
    assert path.mtu_to((4999).to_bytes(4, "big"), 0) == 1400
    path.learn((4999).to_bytes(4, "big"), 1300, 0)
    assert len(path._paths) == 4096


def test_an_own_address_that_is_its_networks_is_ours_all_the_same():
    table = routes("10.0.0.0/24")
    table.require_one_host(parse("10.0.0.0"))
    assert table.objection(parse("10.0.0.9"), parse("10.0.0.0")) == ""
