"""Names and services, as glibc's getaddrinfo answers; from a network's own resolver in place of the
machine's.
"""

import asyncio
import socket
import sys
from typing import Any

import pytest

from postel.errors import KindError, NotResolved
from postel.host.host import Host
from postel.sockets import lookup

KNOWN = {"both": ["fd00::5", "10.0.0.5"], "four": ["10.0.0.4"], "none": []}


class Resolver:
    """Knows some names."""

    async def addresses(self, name: str) -> list[str]:
        if name not in KNOWN:
            raise NotResolved(socket.EAI_AGAIN, "no name server answers")
        return KNOWN[name]


class Network:
    def __init__(self, *addresses: str, resolver: Any = None) -> None:
        self.host = Host(*(addresses or ("10.0.0.1/24", "fd00::1/64")))
        self.resolver = resolver


def find(*arguments: Any, network: Any = None, **options: Any) -> list[str]:
    options.setdefault("type", socket.SOCK_STREAM)
    found = asyncio.run(lookup.getaddrinfo(network or Network(resolver=Resolver()), *arguments, **options))
    return [info[4][0] for info in found]


def failure(*arguments: Any, **options: Any) -> int | None:
    with pytest.raises(socket.gaierror) as caught:
        find(*arguments, **options)
    assert isinstance(caught.value, NotResolved)
    return caught.value.errno


def test_a_names_addresses_come_in_the_resolvers_order() -> None:
    assert find("both", 80) == ["fd00::5", "10.0.0.5"]
    assert find(b"both", 80) == ["fd00::5", "10.0.0.5"]


def test_a_family_is_chosen() -> None:
    assert find("both", 80, family=socket.AF_INET) == ["10.0.0.5"]
    assert find("both", 80, family=socket.AF_INET6) == ["fd00::5"]
    assert failure("four", 80, family=socket.AF_INET6) == socket.EAI_ADDRFAMILY
    assert failure("four", 80, family=socket.AF_UNIX) == socket.EAI_FAMILY


def test_a_flag_leaves_out_families_that_the_host_lacks() -> None:
    network = Network("10.0.0.1/24", resolver=Resolver())
    assert find("both", 80, network=network) == ["fd00::5", "10.0.0.5"]
    assert find("both", 80, network=network, flags=socket.AI_ADDRCONFIG) == ["10.0.0.5"]


def test_a_name_without_an_address_is_a_gaierror() -> None:
    assert failure("none", 80) == socket.EAI_NONAME
    assert failure("unknown", 80) == socket.EAI_AGAIN
    assert failure("both", 80, network=Network()) == socket.EAI_NONAME
    assert failure("both", 80, flags=socket.AI_NUMERICHOST) == socket.EAI_NONAME


@pytest.mark.parametrize("name", ["localhost", "LocalHost.", "a.localhost", "ip6-localhost"])
def test_localhost_needs_no_resolver(name: str) -> None:
    assert find(name, 80, network=Network()) == ["127.0.0.1", "::1"]


def test_the_first_entry_has_the_canonical_name() -> None:
    found = asyncio.run(
        lookup.getaddrinfo(
            Network(resolver=Resolver()), "both", 80, type=socket.SOCK_STREAM, flags=socket.AI_CANONNAME
        )
    )
    assert [info[3] for info in found] == ["both", ""]


ADDRESSES = ["127.0.0.1", "::1", "127.1", "0x7f.1", "2130706433", "::1%2", "::ffff:10.0.0.1"]
OTHERS = ["1.2.3.4.5", "1.2.3.x", "1.2.3.256", "fd00::g", "::1%"]


@pytest.mark.skipif(sys.platform != "linux", reason="the system is glibc")
@pytest.mark.parametrize("host", ADDRESSES + OTHERS)
def test_an_address_is_known_at_sight_as_by_the_system(host: str) -> None:
    try:
        system: Any = [
            info[4][0]
            for info in socket.getaddrinfo(host, 80, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
        ]
    except socket.gaierror as error:
        system = error.errno
    try:
        ours: Any = find(host, 80, flags=socket.AI_NUMERICHOST)
    except socket.gaierror as error:
        ours = error.errno
    assert ours == system


def test_arguments_of_another_type_are_type_errors() -> None:
    with pytest.raises(KindError):
        find(1.5, 80)
    with pytest.raises(KindError):
        lookup.getnameinfo(Network(), "10.0.0.1")  # type: ignore[arg-type]


def test_addresses_are_named_as_they_are_written() -> None:
    assert lookup.getnameinfo(Network(), ("10.0.0.1", 80)) == ("10.0.0.1", "http")
    assert lookup.getnameinfo(Network(), ("fd00:0::1", 53, 0, 0), socket.NI_DGRAM) == ("fd00::1", "domain")
    assert lookup.getnameinfo(Network(), ("10.0.0.1", 80), socket.NI_NUMERICSERV) == ("10.0.0.1", "80")
    for wrong, flags in ((("10.0.0.1", 80), socket.NI_NAMEREQD), (("both", 80), 0)):
        with pytest.raises(socket.gaierror):
            lookup.getnameinfo(Network(), wrong, flags)
