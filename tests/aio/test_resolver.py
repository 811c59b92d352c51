"""From names to addresses, in virtual time: servers that are slow, mute, brief or forged, and names that lead
elsewhere.
"""

import asyncio
import socket
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AsyncExitStack
from ipaddress import IPv4Address, IPv6Address
from random import Random
from typing import Any, TypeVar

import pytest

from postel.aio import Network
from postel.aio.resolver import Resolver
from postel.cli.network.nameserver import Answer, NameServer, alias, host
from postel.errors import ArgumentError, NotResolved
from postel.sim import World, dropping
from postel.sim.loop import Loop, run
from postel.sockets.questions import server
from postel.times import MILLISECOND, SECOND
from postel.view import Trace
from postel.wire import dns
from postel.wire.address import Address
from postel.wire.dns import DnsMessage, Question

T = TypeVar("T")
SERVER, OTHER, WEB = "10.0.0.53", "10.0.0.54", "10.0.0.80"
NAME = "www.example.org"


def anywhere(question: Question) -> Answer:
    return dns.NO_ERROR, [host(question.name, WEB)] if question.type == dns.A else [
        host(question.name, "fd00::80")
    ]


class Place:
    """A client and two hosts that may be name servers, 10 ms away."""

    def __init__(self, *addresses: str, loss: float = 0.0) -> None:
        self.trace = Trace()
        self.world = World(seed=3, observer=self.trace)
        self.client = self.world.host("client", *(addresses or ("10.0.0.1/24",)))
        self.servers = [self.world.host("dns", f"{SERVER}/24"), self.world.host("other", f"{OTHER}/24")]
        for each in self.servers:
            self.world.path(self.client, each, loss=loss)

    def run(self, use: Callable[[Network, list[Network]], Coroutine[Any, Any, T]]) -> T:
        async def main() -> T:
            loop = asyncio.get_running_loop()
            assert isinstance(loop, Loop)
            async with AsyncExitStack() as stack:
                networks = [
                    await stack.enter_async_context(loop.attach(each, linger=0))
                    for each in (*self.servers, self.client)
                ]
                return await use(networks[-1], networks[:-1])

        return run(main(), self.world)

    def resolved(self, answer: Callable[[Question], Answer], name: str = NAME) -> list[str]:
        async def use(network: Network, servers: list[Network]) -> list[str]:
            await NameServer(answer).start(servers[0])
            return await Resolver(network, [SERVER], random=Random(5)).addresses(name)

        return self.run(use)

    def queries(self) -> int:
        return sum(packet.segment is None and packet.sender == "client" for packet in self.trace.packets)


def test_a_name_has_an_address() -> None:
    place = Place()
    assert place.resolved(anywhere) == [WEB]
    assert place.world.now == 20 * MILLISECOND
    assert place.queries() == 1


def test_a_host_of_both_families_asks_for_both_and_prefers_the_newer() -> None:
    assert Place("10.0.0.1/24", "fd00::1/64").resolved(anywhere) == ["fd00::80", WEB]


def test_one_family_s_failure_is_not_the_other_s() -> None:
    def only_4(question: Question) -> Answer:
        return anywhere(question) if question.type == dns.A else (dns.SERVER_FAILURE, [])

    assert Place("10.0.0.1/24", "fd00::1/64").resolved(only_4) == [WEB]


@pytest.mark.parametrize("name", ["10.1.2.3", "fd00:0::7"])
def test_an_address_is_its_own(name: str) -> None:
    place = Place()
    assert place.resolved(anywhere, name) == [name.replace("0::", ":")]
    assert place.queries() == 0


def test_names_that_are_known_are_not_asked_for() -> None:
    async def use(network: Network, _: list[Network]) -> list[str]:
        return await Resolver(network, [], known={"WWW.example.org": WEB}).addresses(NAME)

    assert Place().run(use) == [WEB]


def test_names_of_other_alphabets() -> None:
    def answer(question: Question) -> Answer:
        return anywhere(question) if question.name == "xn--bcher-kva.example" else (dns.NAME_ERROR, [])

    assert Place().resolved(answer, "Bücher.example") == [WEB]


@pytest.mark.parametrize("name", ["", "a..b", "x" * 64 + ".org", "under score.org", "."])
def test_what_can_t_be_a_name(name: str) -> None:
    with pytest.raises(NotResolved):
        Place().resolved(anywhere, name)


def test_aliases_are_followed_within_an_answer_and_beyond() -> None:
    def answer(question: Question) -> Answer:
        if question.name == NAME:
            return dns.NO_ERROR, [
                alias("CDN.example.org", "edge.example.net"),
                alias(NAME, "cdn.example.org"),
            ]
        return dns.NO_ERROR, [alias(question.name, "web.example.net"), host("web.example.net", WEB)]

    place = Place()
    assert place.resolved(answer) == [WEB]
    assert place.queries() == 2


@pytest.mark.parametrize("is_told_at_once", [True, False])
def test_aliases_in_a_circle_end(is_told_at_once: bool) -> None:
    def answer(question: Question) -> Answer:
        one, two = "one.example", "two.example"
        both = [alias(one, two), alias(two, one)]
        return dns.NO_ERROR, both if is_told_at_once else [
            record for record in both if record.name == question.name
        ]

    with pytest.raises(NotResolved, match=r"one\.example has (too many aliases|no address)"):
        Place().resolved(answer, "one.example")


def test_records_about_other_names_do_not_count() -> None:
    with pytest.raises(NotResolved, match="has no address"):
        Place().resolved(lambda question: (dns.NO_ERROR, [host("bank.example", WEB)]))


@pytest.mark.parametrize(
    ("rcode", "text", "number", "queries"),
    [
        (dns.NAME_ERROR, f"there is no name {NAME}", socket.EAI_NONAME, 1),
        (dns.NO_ERROR, f"{NAME} has no address", socket.EAI_NONAME, 1),
        (dns.SERVER_FAILURE, f"name server {SERVER}:53 answers SERVFAIL for {NAME}", socket.EAI_FAIL, 3),
        (11, f"name server {SERVER}:53 answers error 11 for {NAME}", socket.EAI_FAIL, 3),
    ],
)
def test_what_goes_wrong_is_told(rcode: int, text: str, number: int, queries: int) -> None:
    place = Place()
    with pytest.raises(NotResolved) as told:
        place.resolved(lambda question: (rcode, []))
    assert (told.value.strerror, told.value.errno) == (text, number)
    assert isinstance(told.value, socket.gaierror)
    assert place.queries() == queries


def test_an_answer_that_does_not_fit_comes_over_tcp() -> None:
    many = [f"10.0.1.{number}" for number in range(100)]
    place = Place()
    assert (
        place.resolved(lambda question: (dns.NO_ERROR, [host(question.name, each) for each in many])) == many
    )
    assert {flow.protocol for flow in place.trace.flows} == {6, 17}


def test_lost_questions_are_asked_again() -> None:
    place = Place()
    place.world.rules.append(dropping(1, 2))
    assert place.resolved(anywhere) == [WEB]
    assert place.world.now == 3 * SECOND + 20 * MILLISECOND
    assert place.queries() == 3


def test_where_nobody_answers_patience_ends() -> None:
    place = Place(loss=1.0)
    with pytest.raises(NotResolved, match=f"name server {SERVER}:53 doesn't answer"):
        place.resolved(anywhere)
    assert place.world.now == 7 * SECOND


def test_where_no_server_is_a_second_one_is_asked_at_once() -> None:
    async def use(network: Network, servers: list[Network]) -> list[str]:
        await NameServer(anywhere).start(servers[1])
        return await Resolver(network, [SERVER, OTHER]).addresses(NAME)

    place = Place()
    assert place.run(use) == [WEB]
    assert place.world.now == 40 * MILLISECOND  # ICMP: no program listens there


@pytest.mark.parametrize(("servers", "text"), [([], "there is no name server"), ([SERVER], "no such port")])
def test_no_server_at_all(servers: list[str], text: str) -> None:
    async def use(network: Network, _: list[Network]) -> list[str]:
        return await Resolver(network, servers).addresses(NAME)

    with pytest.raises(NotResolved, match=text):
        Place().run(use)


class Forger(asyncio.DatagramProtocol):
    """Answers a query with whatever ``forged`` makes of the right answer, one after the other."""

    def __init__(self, forged: Callable[[DnsMessage], Sequence[bytes]]) -> None:
        self._forged = forged

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.DatagramTransport)
        self.transport = transport

    def datagram_received(self, data: bytes, addr: object) -> None:
        query = dns.parse(data)
        right = query._replace(is_response=True, answers=(host(query.question.name, WEB),))
        for octets in self._forged(right):
            self.transport.sendto(octets, addr)  # type: ignore[arg-type]


def forged(right: DnsMessage) -> list[bytes]:
    """Each leads elsewhere, and each is wrong in one thing."""
    wrong = right._replace(answers=(host(right.question.name, "10.6.6.6"),))
    return [
        dns.encode(wrong._replace(id=wrong.id ^ 1)),
        dns.encode(wrong._replace(question=Question("bank.example", dns.A))),
        dns.encode(wrong._replace(question=Question(NAME, dns.AAAA))),
        dns.encode(wrong._replace(question=Question(NAME, dns.A, 3))),
        dns.encode(wrong._replace(is_response=False)),
        dns.encode(wrong)[:-1],
        b"",
        dns.encode(right._replace(question=Question(NAME.upper(), dns.A))),
        dns.encode(wrong),
    ]


def test_answers_to_another_question_are_passed_over() -> None:
    async def use(network: Network, servers: list[Network]) -> list[str]:
        await servers[0].create_datagram_endpoint(lambda: Forger(forged), (None, 53))
        return await Resolver(network, [SERVER]).addresses(NAME)

    assert Place().run(use) == [WEB]


def test_answers_from_another_server_or_port_are_passed_over() -> None:
    seen: list[Any] = []

    async def use(network: Network, servers: list[Network]) -> list[str]:
        stranger, _ = await servers[1].create_datagram_endpoint(asyncio.DatagramProtocol, (None, 53))
        neighbour, _ = await servers[0].create_datagram_endpoint(asyncio.DatagramProtocol, (None, 54))

        class Server(Forger):
            def datagram_received(self, data: bytes, addr: Any) -> None:
                seen.append(addr[1])
                query = dns.parse(data)
                wrong = dns.encode(query._replace(is_response=True, answers=(host(NAME, "10.6.6.6"),)))
                stranger.sendto(wrong, addr)
                neighbour.sendto(wrong, addr)
                super().datagram_received(data, addr)

        await servers[0].create_datagram_endpoint(
            lambda: Server(lambda right: [dns.encode(right)]), (None, 53)
        )
        return await Resolver(network, [SERVER], random=Random(1)).addresses(NAME)

    place = Place()
    assert place.run(use) == [WEB]
    assert seen
    assert seen[0] >= 1024


def test_ports_and_identifiers_are_chosen_anew_for_every_question() -> None:
    chosen: set[tuple[int, int]] = set()

    async def use(network: Network, servers: list[Network]) -> None:
        class Server(Forger):
            def datagram_received(self, data: bytes, addr: Any) -> None:
                chosen.add((addr[1], dns.parse(data).id))
                super().datagram_received(data, addr)

        await servers[0].create_datagram_endpoint(
            lambda: Server(lambda right: [dns.encode(right)]), (None, 53)
        )
        for _ in range(20):
            await Resolver(network, [SERVER]).addresses(NAME)

    Place().run(use)
    assert len({port for port, _ in chosen}) > 15
    assert len({number for _, number in chosen}) > 15


@pytest.mark.parametrize(
    ("over_tcp", "text"),
    [
        (b"", "isn't whole"),
        (b"\0\x20short", "isn't whole"),
        (b"\0\3abc", "3 octets of a header"),
        (
            b"\0\x21" + dns.encode(DnsMessage(0, Question(NAME, dns.A), is_response=True)),
            "doesn't belong to the question",
        ),
    ],
)
def test_a_long_answer_that_is_wrong_is_no_answer(over_tcp: bytes, text: str) -> None:
    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(2)
        writer.write(over_tcp)
        writer.close()

    async def use(network: Network, servers: list[Network]) -> list[str]:
        def truncated(right: DnsMessage) -> list[bytes]:
            return [dns.encode(right._replace(is_truncated=True, answers=()))]

        await servers[0].create_datagram_endpoint(lambda: Forger(truncated), (None, 53))
        await servers[0].start_server(converse, port=53)
        return await Resolver(network, [SERVER]).addresses(NAME)

    with pytest.raises(NotResolved, match=text):
        Place().run(use)


@pytest.mark.parametrize("octets", [b"", b"\0\0", b"\0\4quer"])
def test_the_name_server_survives_half_questions(octets: bytes) -> None:
    async def use(network: Network, servers: list[Network]) -> tuple[bytes, list[str]]:
        await NameServer(anywhere).start(servers[0])
        reader, writer = await network.open_connection(SERVER, 53)
        writer.write(octets)
        writer.write_eof()
        answer = await reader.read()
        writer.close()
        stray, _ = await network.create_datagram_endpoint(asyncio.DatagramProtocol, remote_addr=(SERVER, 53))
        stray.sendto(octets)
        stray.sendto(dns.encode(DnsMessage(1, Question(NAME, dns.A), is_response=True)))
        return answer, await Resolver(network, [SERVER]).addresses(NAME)

    assert Place().run(use) == (b"", [WEB])


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("10.7.0.1", "10.7.0.1:53"),
        ("10.7.0.1:5353", "10.7.0.1:5353"),
        ("fd07::1", "[fd07::1]:53"),
        ("[fd07::1]", "[fd07::1]:53"),
        ("[fd07::1]:5353", "[fd07::1]:5353"),
        (IPv4Address("10.7.0.1"), "10.7.0.1:53"),
        (IPv6Address("fd07::1"), "[fd07::1]:53"),
    ],
)
def test_where_a_name_server_is(text: Address, where: str) -> None:
    assert str(server(text)) == where


@pytest.mark.parametrize(
    "text", ["", "dns.example", "10.7.0.1:", "10.7.0.1:0", "10.7.0.1:x", "10.7.0.1:99999", "[fd07::1]:", "53"]
)
def test_where_no_name_server_can_be(text: str) -> None:
    with pytest.raises(ArgumentError, match="name server is"):
        server(text)


@pytest.mark.parametrize("servers", ["10.7.0.1", b"10.7.0.1", None, 5])
def test_name_servers_are_a_list(servers: Any) -> None:
    async def use(network: Network, _: list[Network]) -> None:
        Resolver(network, servers)

    with pytest.raises(ArgumentError, match=r"^servers is .*; allowed: a list of addresses"):
        Place().run(use)
