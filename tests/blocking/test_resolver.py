"""Names looked up over the network's own sockets, of a name server on the other host."""

import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from postel import blocking
from postel.blocking import BlockingNetwork
from postel.errors import ArgumentError, NotResolved
from postel.host.host import Host
from postel.links import pair
from postel.wire import dns
from postel.wire.address import parse
from postel.wire.dns import DnsMessage, ResourceRecord

SERVER = "10.7.0.2"
MANY = 60  # addresses that don't fit into a datagram


def record(name: str, kind: int, data: bytes) -> ResourceRecord:
    return ResourceRecord(name, kind, data, 60)


def answered(octets: bytes, *, over_udp: bool) -> list[bytes]:
    """What the server sends: first a wrong answer, for good measure."""
    query = dns.parse(octets)
    name, kind = query.question.name, query.question.type
    found: tuple[ResourceRecord, ...] = ()
    rcode = dns.NO_ERROR
    if name == "known.example" and kind == dns.A:
        found = (record(name, dns.A, parse("10.7.0.9")),)
    elif name == "alias.example":
        found = (record(name, dns.CNAME, dns.encode_name("known.example")),)
    elif name == "many.example" and kind == dns.A:
        found = tuple(record(name, dns.A, bytes([10, 7, 1, number])) for number in range(MANY))
    elif not name.startswith("known"):
        rcode = dns.NAME_ERROR
    right = DnsMessage(query.id, query.question, is_response=True, rcode=rcode, answers=found)
    if over_udp and len(dns.encode(right)) > dns.LONGEST_OVER_UDP:
        right = right._replace(is_truncated=True, answers=())
    wrong = right._replace(id=query.id ^ 1, answers=(record(name, dns.A, parse("10.6.6.6")),))
    return [b"no message", dns.encode(wrong), dns.encode(right)] if over_udp else [dns.encode(right)]


def serve_datagrams(sock: Any) -> None:
    while True:
        try:
            octets, name = sock.recvfrom(1000)
        except OSError:
            return
        for answer in answered(octets, over_udp=True):
            sock.sendto(answer, name)


def serve_streams(listener: Any) -> None:
    while True:
        try:
            sock, _ = listener.accept()
        except OSError:
            return
        with sock:
            for answer in answered(sock.recv(1000)[2:], over_udp=False):
                sock.sendall(len(answer).to_bytes(2, "big") + answer)


@pytest.fixture
def network() -> Iterator[BlockingNetwork]:
    left, right = pair()
    with (
        blocking.attach(Host("10.7.0.1/24", "fd07::1/64"), left, servers=[SERVER]) as near,
        blocking.attach(Host(f"{SERVER}/24"), right) as far,
        far.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams,
        far.create_server(("", dns.PORT)) as listener,
    ):
        datagrams.bind(("", dns.PORT))
        threads = [
            threading.Thread(target=serve_datagrams, args=(datagrams,)),
            threading.Thread(target=serve_streams, args=(listener,)),
        ]
        for thread in threads:
            thread.start()
        yield near
        far.close()
        for thread in threads:
            thread.join()


def test_names_that_there_are(network: BlockingNetwork) -> None:
    assert network.gethostbyname("known.example") == "10.7.0.9"
    assert network.gethostbyname("alias.example") == "10.7.0.9"


def test_an_answer_that_does_not_fit_into_a_datagram(network: BlockingNetwork) -> None:
    assert len(network.gethostbyname_ex("many.example")[2]) == MANY


def test_a_name_that_there_is_not(network: BlockingNetwork) -> None:
    with pytest.raises(socket.gaierror, match="there is no name") as raised:
        network.create_connection(("unknown.example", 80))
    assert raised.value.errno == socket.EAI_NONAME


def test_a_server_that_is_not_there() -> None:
    left, right = pair()
    with (
        blocking.attach(Host("10.7.0.1/24"), left, servers=["10.7.0.2:5353"]) as near,
        blocking.attach(Host("10.7.0.2/24"), right),
        pytest.raises(NotResolved, match=r"name server 10\.7\.0\.2:5353: no such port"),
    ):
        near.gethostbyname("known.example")


def test_servers_or_a_resolver() -> None:
    class Asked:
        def addresses(self, name: str) -> list[str]:
            return []

    left, right = pair()
    with pytest.raises(ArgumentError, match="none with a resolver"):
        blocking.attach(Host("10.7.0.1/24"), left, servers=[SERVER], resolver=Asked())
    with pytest.raises(ArgumentError, match="name server"):
        blocking.attach(Host("10.7.0.1/24"), left, servers=["nowhere"])
    left.close()
    right.close()
