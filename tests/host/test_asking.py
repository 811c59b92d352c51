"""One listener for every port, and a say of the program before the SYN,ACK."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postel.errors import AddressInUse, ArgumentError, ConnectionRefused, HostUnreachable, NetworkUnreachable
from postel.host.host import Host
from postel.host.listener import ANY_PORT
from postel.host.requests import ANSWER_WITHIN, ANSWERS, Answer, Request
from postel.tcp import seq
from postel.tcp.authentication.keychain import Keychain
from postel.tcp.authentication.keys import Key
from postel.tcp.config import DEFAULT
from postel.tcp.events import ASKED
from postel.tcp.observer import Observer
from postel.tcp.state import ESTABLISHED, SYN_SENT, TIME_WAIT
from postel.times import MILLISECOND, MINUTE, NEVER, SECOND
from postel.wire import icmp, ip
from postel.wire.address import Endpoint, parse
from postel.wire.segment import ACK, AE, CWR, ECE, FIN, RST, SYN
from tests.host.conftest import Pair, Peer

ACCEPT, REFUSE, IGNORE = "accept", "refuse", "ignore"


# Every port


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("port", [1, 80, 1024, 65535])
def test_one_listener_hears_at_every_port(host: Host, family: int, port: int) -> None:
    peer = Peer(host) if family == 4 else Peer(host, "fd00::9", "fd00::1")
    listener = host.listen(ANY_PORT, peer.now)
    answer = peer.segment(peer.give(peer.tcp(SYN, to=port)))
    peer.give(peer.tcp(ACK, to=port, seq=1001, ack=seq.add(answer.seq, 1), data=b"hello"))
    connection = listener.accept()
    assert connection.local == Endpoint(peer.target, port)
    assert connection.receive(9, peer.now) == b"hello"


@pytest.mark.parametrize("address", ["8.8.8.8", "2001:db8::8"])
def test_with_any_address_at_every_address_too(address: str) -> None:
    host = Host(secret=b"s", any_address=True)
    peer = Peer(host, "10.9.9.9" if "." in address else "fd00::9", address)
    listener = host.listen(ANY_PORT, peer.now)
    answer = peer.segment(peer.give(peer.tcp(SYN, to=443)))
    peer.give(peer.tcp(ACK, to=443, seq=1001, ack=seq.add(answer.seq, 1)))
    assert listener.accept().local == Endpoint(parse(address), 443)


@pytest.mark.label("EP-DMX-1")
def test_ep_dmx_1_the_exact_port_before_every_port_and_the_exact_address_before_all(
    peer: Peer, host: Host
) -> None:
    listeners = {
        "port": host.listen(80, peer.now),
        "address": host.listen(ANY_PORT, peer.now, address="10.0.0.1"),
        "family": host.listen(ANY_PORT, peer.now, address="0.0.0.0"),
        "all": host.listen(ANY_PORT, peer.now),
    }
    passive = host._connections.passive
    assert passive.find(peer.target, 80) is listeners["port"]
    assert passive.find(peer.target, 81) is listeners["address"]
    assert passive.find(parse("10.0.0.2"), 81) is listeners["family"]
    assert passive.find(parse("fd00::1"), 81) is listeners["all"]
    listeners["address"].close(peer.now)
    assert passive.find(peer.target, 81) is listeners["family"]


def test_every_port_is_taken_once_for_each_address(host: Host, peer: Peer) -> None:
    first = host.listen(ANY_PORT, peer.now)
    with pytest.raises(AddressInUse):
        host.listen(ANY_PORT, peer.now)
    first.close(peer.now)
    assert peer.segment(peer.give(peer.tcp(SYN))).flags == RST | ACK
    host.listen(ANY_PORT, peer.now)
    assert peer.segment(peer.give(peer.tcp(SYN))).flags == SYN | ACK


def test_ephemeral_ports_stay_free(host: Host, peer: Peer) -> None:
    """RFC6056-3.2 is about ports at which something in particular listens."""
    host.listen(ANY_PORT, peer.now)
    connection = host.connect("10.0.0.9", 80, peer.now)
    syn = peer.segment(peer.drain())
    peer.give(peer.tcp(SYN | ACK, port=80, to=syn.source, seq=1, ack=seq.add(syn.seq, 1)))
    assert connection.state is ESTABLISHED
    assert host.listen(0, peer.now).local.port >= 1024


@pytest.mark.parametrize("port", [-2, -1, 65536])
def test_other_numbers_are_no_ports(host: Host, port: int) -> None:
    with pytest.raises(ArgumentError, match="port"):
        host.listen(port, 0)


# Asking


class Asked:
    """A host with one listener, which asks the program about each peer."""

    def __init__(
        self, *, backlog: int = 8, family: int = 4, observer: Observer | None = None, **options: object
    ) -> None:
        self.host = Host("10.0.0.1/24", "fd00::1/64", secret=b"s", observer=observer)
        self.peer = Peer(self.host) if family == 4 else Peer(self.host, "fd00::9", "fd00::1")
        self.listener = self.host.listen(ANY_PORT, self.peer.now, backlog=backlog, ask=True, **options)

    def request(self, **fields: object) -> Request:
        """Of a SYN that nothing answers."""
        assert self.peer.give(self.peer.tcp(SYN, **fields)) == []
        request = self.listener.next_request()
        assert request is not None
        return request

    def answer(self, request: Request, answer: Answer) -> list[bytes]:
        assert self.listener.answer(request, answer, self.peer.now)
        return self.peer.drain()


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("observer", [None, Observer()])
def test_nothing_answers_before_the_program(family: int, observer: Observer | None) -> None:
    asked = Asked(family=family, observer=observer)
    request = asked.request(to=4321, tsval=7, tsecr=0, mss=1000, window_scale=5, sack_permitted=True)
    assert (asked.listener, ASKED) in asked.peer.events
    assert (request.local, request.remote) == (Endpoint(asked.peer.target, 4321), asked.peer.endpoint())
    assert (request.arrived, request.expires) == (asked.peer.now, asked.peer.now + ANSWER_WITHIN)
    assert asked.host.statistics()["requests"] == 1
    asked.peer.advance(3 * SECOND)
    answer = asked.peer.segment(asked.answer(request, ACCEPT))
    assert (answer.flags, answer.ack, answer.tsecr, answer.sack_permitted) == (SYN | ACK, 1001, 7, True)
    assert asked.host.statistics()["requests"] == 0
    asked.peer.give(
        asked.peer.tcp(ACK, to=4321, seq=1001, ack=seq.add(answer.seq, 1), tsval=8, tsecr=answer.tsval)
    )
    status = asked.listener.accept().status(asked.peer.now)
    assert (status.snd_mss, status.snd_wscale) == (988, 5)


@pytest.mark.parametrize("family", [4, 6])
def test_refuse_is_rst(family: int) -> None:
    asked = Asked(family=family)
    reset = asked.peer.segment(asked.answer(asked.request(data=b"early"), REFUSE))
    assert (reset.flags, reset.seq, reset.ack) == (RST | ACK, 0, 1006)  # EP-CLO-2
    assert list(asked.host.connections()) == []


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize(
    ("answer", "code"),
    [("unreachable", icmp.NO_HOST), ("no-network", icmp.NO_NETWORK), ("prohibited", icmp.PROHIBITED)],
)
def test_others_are_icmp(family: int, answer: Answer, code: int) -> None:
    asked = Asked(family=family)
    (message,) = asked.peer.messages(asked.answer(asked.request(), answer))
    assert (message.kind, message.code) == (icmp.UNREACHABLE, code)
    quoted = icmp.quote(message.body)
    assert (quoted.source, quoted.source_port, quoted.destination_port, quoted.seq) == (
        asked.peer.address,
        5000,
        80,
        1000,
    )


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ("refuse", ConnectionRefused),
        ("unreachable", HostUnreachable),
        ("no-network", NetworkUnreachable),
        ("prohibited", HostUnreachable),
    ],
)
def test_the_client_hears_why(pair: Pair, family: int, answer: Answer, error: type[Exception]) -> None:
    listener = pair.right.listen(ANY_PORT, pair.now, ask=True)
    client = pair.left.connect("10.0.0.2" if family == 4 else "fd00::2", 99, pair.now)
    pair.advance(0)
    assert listener.answer(listener.next_request(), answer, pair.now)
    pair.advance(0)
    told = [event.error for subject, event in pair.events if subject is client]
    assert isinstance(told[0], error)


def test_syns_that_come_again_meanwhile_change_nothing() -> None:
    asked = Asked()
    request = asked.request()
    for _ in range(5):
        asked.peer.advance(SECOND)
        assert asked.peer.give(asked.peer.tcp(SYN)) == []
        assert asked.listener.next_request() is None
    assert asked.peer.dropped("request_waits") == 5
    assert asked.peer.segment(asked.answer(request, ACCEPT)).ack == 1001


def test_the_latest_syn_counts() -> None:
    """The client was restarted, and has another number."""
    asked = Asked()
    request = asked.request(seq=1000)
    asked.peer.give(asked.peer.tcp(SYN, seq=70_000))
    assert asked.peer.segment(asked.answer(request, ACCEPT)).ack == 70_001


def test_a_request_waits_for_so_long() -> None:
    asked = Asked(answer_within=3 * SECOND)
    request = asked.request()
    assert asked.host.next_timeout() == asked.peer.now + 3 * SECOND
    asked.peer.advance(3 * SECOND - 1)
    assert asked.host.statistics()["requests"] == 1
    asked.peer.advance(1)
    assert (asked.host.statistics()["requests"], asked.peer.dropped("request_unanswered")) == (0, 1)
    assert asked.host.next_timeout() == NEVER
    assert not asked.listener.answer(request, ACCEPT, asked.peer.now)
    again = asked.request()
    assert again is not request
    assert asked.peer.segment(asked.answer(again, ACCEPT)).flags == SYN | ACK


def test_a_request_that_expired_unseen_is_not_given() -> None:
    asked = Asked(answer_within=SECOND)
    asked.peer.give(asked.peer.tcp(SYN))
    asked.peer.advance(SECOND)
    assert asked.listener.next_request() is None


@pytest.mark.parametrize("wrong", ["deny", "ACCEPT", "", None, True, 0, b"accept"])
def test_what_is_no_answer_is_refused_and_the_request_still_waits(wrong: Answer) -> None:
    asked = Asked()
    request = asked.request()
    with pytest.raises(ArgumentError, match=r"answer is .*; allowed: ('accept', .* or 'ignore'|str)"):
        asked.listener.answer(request, wrong, asked.peer.now)
    assert asked.answer(request, "accept")


@pytest.mark.parametrize("answer", ANSWERS)
def test_a_request_is_answered_once(answer: Answer) -> None:
    asked = Asked()
    request = asked.request()
    asked.answer(request, answer)
    for again in ANSWERS:
        assert not asked.listener.answer(request, again, asked.peer.now)
    assert asked.peer.drain() == []


def test_ignored_it_is_lost_and_comes_again() -> None:
    asked = Asked()
    assert asked.answer(asked.request(), IGNORE) == []
    assert asked.peer.segment(asked.answer(asked.request(), ACCEPT)).flags == SYN | ACK


def test_as_many_wait_as_the_backlog() -> None:
    asked = Asked(backlog=2)
    first, _ = asked.request(port=1), asked.request(port=2)
    assert asked.peer.give(asked.peer.tcp(SYN, port=3)) == []
    assert asked.listener.next_request() is None
    assert (asked.host.statistics()["requests"], asked.peer.dropped("request_queue_full")) == (2, 1)
    asked.answer(first, REFUSE)
    assert asked.request(port=3).remote.port == 3


def test_one_event_for_each_that_waits() -> None:
    asked = Asked(backlog=3)
    for port in range(5):
        asked.peer.give(asked.peer.tcp(SYN, port=port + 1))
    assert [event for _, event in asked.peer.events] == [ASKED] * 3
    seen = [asked.listener.next_request() for _ in range(4)]
    assert [request and request.remote.port for request in seen] == [1, 2, 3, None]


def test_accepted_beyond_the_half_open_they_get_a_cookie_and_are_not_asked_again() -> None:
    asked = Asked(backlog=1)
    asked.answer(asked.request(port=1), ACCEPT)
    cookie = asked.peer.segment(asked.answer(asked.request(port=2), ACCEPT))
    assert asked.peer.dropped("half_open_full") == 1
    again = asked.peer.segment(asked.peer.give(asked.peer.tcp(SYN, port=2)))
    assert (again.seq, asked.listener.next_request()) == (cookie.seq, None)
    asked.peer.give(asked.peer.tcp(ACK, port=2, seq=1001, ack=seq.add(cookie.seq, 1), data=b"text"))
    assert asked.listener.accept().remote.port == 2
    asked.peer.advance(ANSWER_WITHIN)
    assert asked.host.statistics()["requests"] == 0


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("backlog", [1, 2, 5])
def test_a_cookie_that_comes_back_makes_room_for_another_request(family: int, backlog: int) -> None:
    asked = Asked(backlog=backlog, family=family)
    for port in range(1, 1 + backlog):
        asked.answer(asked.request(port=port), ACCEPT)  # half-open, and never heard of again
    for port in range(100, 120):
        cookie = asked.peer.segment(asked.answer(asked.request(port=port), ACCEPT))
        asked.peer.give(asked.peer.tcp(ACK, port=port, seq=1001, ack=seq.add(cookie.seq, 1), data=b"text"))
        assert asked.listener.accept().remote.port == port
        assert asked.host.statistics()["requests"] == 0


def test_accepted_before_a_full_accept_queue_the_next_syn_goes_on() -> None:
    asked = Asked(backlog=2)
    first, second, third = asked.request(port=1), asked.request(port=2), None
    for request in (first, second):
        answer = asked.peer.segment(asked.answer(request, ACCEPT))
        if third is None:
            third = asked.request(port=3)
        asked.peer.give(asked.peer.tcp(ACK, port=request.remote.port, seq=1001, ack=seq.add(answer.seq, 1)))
    assert asked.listener.is_full
    assert asked.answer(third, ACCEPT) == []
    asked.listener.accept()
    assert asked.peer.segment(asked.peer.give(asked.peer.tcp(SYN, port=3))).flags == SYN | ACK
    assert asked.listener.next_request() is None


def test_many_that_are_accepted_are_in_the_syn_cache() -> None:
    asked = Asked(backlog=200)
    answers = [asked.peer.segment(asked.answer(asked.request(port=port), ACCEPT)) for port in range(1, 101)]
    assert len(asked.host._connections.passive.cache) == 100 - asked.host._connections.most_half_open
    for answer in answers:
        asked.peer.give(asked.peer.tcp(ACK, port=answer.destination, seq=1001, ack=seq.add(answer.seq, 1)))
    assert len(asked.listener.ready) == 100


@pytest.mark.parametrize("answer", [ACCEPT, REFUSE, IGNORE])
def test_a_pair_in_time_wait_is_asked_for_too(answer: Answer) -> None:
    asked = Asked()
    first = asked.peer.segment(asked.answer(asked.request(tsval=500, tsecr=0), ACCEPT))
    asked.peer.give(asked.peer.tcp(ACK, seq=1001, ack=seq.add(first.seq, 1), tsval=500, tsecr=0))
    asked.listener.accept().release(asked.peer.now)
    fin = asked.peer.segment(asked.peer.drain())
    asked.peer.give(asked.peer.tcp(FIN | ACK, seq=1001, ack=seq.add(fin.seq, 1), tsval=500, tsecr=0))
    request = asked.request(seq=5000, tsval=900, tsecr=0)
    assert [state for _, _, state in asked.host.connections()] == [TIME_WAIT]
    answers = asked.peer.segments(asked.answer(request, answer))
    assert [one.flags for one in answers] == {ACCEPT: [SYN | ACK], REFUSE: [RST | ACK], IGNORE: []}[answer]
    assert [str(state) for _, _, state in asked.host.connections()] == [
        "SYN-RECEIVED" if answer is ACCEPT else "TIME-WAIT"
    ]


def test_a_listener_that_is_closed_asks_no_more() -> None:
    asked = Asked()
    request = asked.request()
    asked.listener.close(asked.peer.now)
    assert not asked.listener.answer(request, ACCEPT, asked.peer.now)
    assert (asked.host.statistics()["requests"], asked.host.next_timeout()) == (0, NEVER)


def test_a_listener_that_does_not_ask_has_no_requests(host: Host, peer: Peer) -> None:
    listener = host.listen(80, peer.now)
    peer.give(peer.tcp(SYN))
    assert listener.next_request() is None


@pytest.mark.parametrize("within", [0, -1, 11 * MINUTE])
def test_the_wait_is_bounded(host: Host, within: int) -> None:
    with pytest.raises(ArgumentError, match="answer_within"):
        host.listen(80, 0, ask=True, answer_within=within)


def test_what_is_no_syn_is_never_asked_for() -> None:
    asked = Asked()
    asked.peer.give(
        asked.peer.tcp(RST), asked.peer.tcp(0), asked.peer.tcp(ACK, ack=5), asked.peer.tcp(SYN | RST)
    )
    assert asked.listener.next_request() is None


@pytest.mark.label("RFC9768-3.1.1")
def test_the_mark_of_the_syn_is_kept() -> None:
    asked = Asked()
    syn = asked.peer.tcp(SYN | AE | CWR | ECE)
    marked = ip.encode(asked.peer.address, asked.peer.target, 6, syn[20:], traffic_class=3)
    asked.peer.give(marked)
    answer = asked.peer.segment(asked.answer(asked.listener.next_request(), ACCEPT))
    assert answer.flags == SYN | ACK | AE | CWR  # CE


def test_fast_open_asks_too(pair: Pair) -> None:
    server, client = replace(DEFAULT, fast_open="server"), replace(DEFAULT, fast_open="client")
    listener = pair.right.listen(80, pair.now, ask=True, config=server)
    for _ in range(2):
        pair.left.connect("10.0.0.2", 80, pair.now, data=b"request", config=client)
        pair.advance(0)
        assert listener.accept() is None
        assert listener.answer(listener.next_request(), ACCEPT, pair.now)
        pair.advance(0)
        accepted = listener.accept()
        assert accepted.receive(99, pair.now) == b"request"
    assert accepted.status(pair.now).fast_opened


@pytest.mark.parametrize("algorithm", ["SHA1", "MD5"])
def test_signed_syns_ask_too(pair: Pair, algorithm: str) -> None:
    keys = Keychain(Key(b"secret", algorithm=algorithm))
    listener = pair.right.listen(179, pair.now, ask=True, keys=keys)
    client = pair.left.connect("10.0.0.2", 179, pair.now, keys=keys)
    pair.advance(0)
    assert client.state is SYN_SENT
    assert listener.answer(listener.next_request(), ACCEPT, pair.now)
    pair.advance(0)
    assert client.state is ESTABLISHED
    assert listener.accept() is not None


@given(
    moves=st.lists(
        st.tuples(
            st.sampled_from(["syn", "syn", "syn", "ack", "rst", "answer", "answer", "time", "accept"]),
            st.integers(1, 9),
            st.sampled_from(ANSWERS),
            st.sampled_from([0, MILLISECOND, SECOND, ANSWER_WITHIN, MINUTE]),
        ),
        max_size=60,
    ),
    backlog=st.integers(1, 4),
)
@settings(deadline=None, max_examples=60)
def test_whatever_is_said_in_whatever_order(moves: list[tuple], backlog: int) -> None:
    asked = Asked(backlog=backlog)
    seen: list[Request] = []
    numbers: dict[int, int] = {}
    for move, port, answer, wait in moves:
        if move == "time":
            asked.peer.advance(wait)
        elif move == "accept":
            asked.listener.accept()
        elif move == "answer" and seen:
            asked.listener.answer(seen[port % len(seen)], answer, asked.peer.now)
        else:
            flags = {"syn": SYN, "ack": ACK, "rst": RST}.get(move, ACK)
            acked = seq.add(numbers.get(port, 0), 1)
            asked.peer.give(asked.peer.tcp(flags, port=port, seq=1000 + (flags != SYN), ack=acked))
        for segment in asked.peer.segments(asked.peer.drain()):
            numbers |= {segment.destination: segment.seq} if segment.flags == SYN | ACK else {}
        while (request := asked.listener.next_request()) is not None:
            seen.append(request)
        assert asked.host.statistics()["requests"] <= backlog
        assert asked.host.statistics()["half_open"] <= backlog
    asked.listener.close(asked.peer.now)
    asked.peer.advance(20 * MINUTE)
    assert asked.host.statistics()["requests"] == asked.host.statistics()["half_open"] == 0
