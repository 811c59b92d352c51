"""SYN cookies."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postel.host.cookies import LIFETIME, Cookies, representable, stamp
from postel.host.host import Host
from postel.host.listener import Listener
from postel.tcp import seq
from postel.tcp.config import DEFAULT
from postel.tcp.connection import Connection
from postel.tcp.invariants import check
from postel.tcp.state import CLOSED, ESTABLISHED
from postel.times import SECOND
from postel.wire.address import Endpoint
from postel.wire.segment import ABSENT, ACK, FIN, RST, SYN, Segment
from tests.host.conftest import Peer

LOCAL, REMOTE = Endpoint(b"\x0a\0\0\1", 80), Endpoint(b"\x0a\0\0\2", 5000)


def syn(mss: int = 1460, shift: int = 7, *, sack: bool = True, tsval: int = 5) -> Segment:
    made = Segment(5000, 80, 1000, 0, SYN, 65535, tsval=tsval, tsecr=0 if tsval != ABSENT else ABSENT)
    made.mss, made.window_scale, made.sack_permitted = mss, shift, sack
    return made


def options(segment: Segment) -> tuple[int, int, bool]:
    return segment.mss, segment.window_scale, segment.sack_permitted


@given(
    mss=st.sampled_from([216, 536, 1220, 1300, 1360, 1440, 1460, 8940]),
    shift=st.integers(-1, 14),
    sack=st.booleans(),
    clock=st.integers(0, 2**32 - 1),
    now=st.integers(0, 2**50),
    age=st.integers(0, LIFETIME // 2),
)
def test_what_a_syn_said_comes_back(mss: int, shift: int, sack: bool, clock: int, now: int, age: int):
    cookies = Cookies(b"secret")
    said = representable(syn(mss, shift, sack=sack), ipv4=True, timestamps=True)
    answer = Segment(
        80, 5000, cookies.iss(LOCAL, REMOTE, said, now), 1001, SYN | ACK, 65535, tsval=clock, tsecr=5
    )
    stamp(answer, said)
    assert 0 <= seq.offset(clock, answer.tsval) < 32
    ack = Segment(5000, 80, 1001, seq.add(answer.seq, 1), ACK, 500, tsval=9, tsecr=answer.tsval)
    again = cookies.syn_of(LOCAL, REMOTE, ack, now + age)
    assert options(again) == options(said) == (mss, shift, sack)
    assert (again.seq, again.flags, again.tsval, again.tsecr) == (1000, SYN, 9, 0)


@pytest.mark.parametrize(
    ("told", "kept", "ipv4"),
    [(ABSENT, 536, True), (ABSENT, 1220, False), (1459, 1440, True), (65535, 8940, True), (217, 216, True)],
)
def test_the_mss_is_rounded_down(told: int, kept: int, ipv4: bool):
    assert representable(syn(told), ipv4=ipv4, timestamps=True).mss == kept


def test_an_mss_too_small_to_be_named():
    assert representable(syn(215), ipv4=True, timestamps=True) is None


@pytest.mark.parametrize(("tsval", "agreed"), [(ABSENT, True), (5, False)])
def test_without_timestamps_there_is_no_room_for_scale_and_sack(tsval: int, agreed: bool):
    said = representable(syn(tsval=tsval), ipv4=True, timestamps=agreed)
    assert (*options(said), said.tsval) == (1460, ABSENT, False, ABSENT)
    answer = Segment(80, 5000, 7, 1001, SYN | ACK, 65535)
    stamp(answer, said)
    assert answer.tsval == ABSENT
    cookies = Cookies(b"secret")
    ack = Segment(5000, 80, 1001, cookies.iss(LOCAL, REMOTE, said, 0) + 1, ACK, 500)
    assert options(cookies.syn_of(LOCAL, REMOTE, ack, 0)) == (1460, ABSENT, False)


@given(now=st.integers(0, 3 * LIFETIME), ack=st.integers(0, 2**32 - 1), number=st.integers(0, 2**32 - 1))
def test_any_number_may_come_as_a_cookie_from_clock_0_on(now: int, ack: int, number: int):
    assert Cookies(b"secret").syn_of(LOCAL, REMOTE, Segment(5000, 80, number, ack, ACK, 500), now) is None


def test_what_is_no_cookie_of_ours():
    cookies = Cookies(b"secret")
    iss = cookies.iss(LOCAL, REMOTE, syn(), 0)
    good = Segment(5000, 80, 1001, iss + 1, ACK, 500)
    assert cookies.syn_of(LOCAL, REMOTE, good, 0) is not None
    assert cookies.syn_of(LOCAL, REMOTE, good, LIFETIME) is None
    assert cookies.syn_of(LOCAL, REMOTE._replace(port=5001), good, 0) is None
    assert Cookies(b"other").syn_of(LOCAL, REMOTE, good, 0) is None
    for number, ack in (
        (1001, iss + 2),
        (1001, iss),
        (1002, iss + 1),
        (1001, (iss ^ 1 << 24) + 1),
        (1001, (iss ^ 1 << 31) + 1),
    ):
        assert cookies.syn_of(LOCAL, REMOTE, Segment(5000, 80, number, seq.add(ack, 0), ACK, 500), 0) is None


def by_cookie(peer: Peer, **options: object) -> tuple[Connection, Segment]:
    """A connection that was opened while the half-open queue was full; its SYN,ACK."""
    listener = peer.host.listen(80, peer.now, backlog=1, **options)
    peer.give(peer.tcp(SYN, port=1))
    answer = peer.segment(
        peer.give(peer.tcp(SYN, mss=1400, window_scale=3, sack_permitted=True, tsval=5, tsecr=0))
    )
    stamps = {"tsval": 6, "tsecr": answer.tsval} if answer.tsval != ABSENT else {}
    peer.now += SECOND
    peer.give(peer.tcp(ACK, seq=1001, ack=answer.seq + 1, window=1000, **stamps))
    return listener.accept(), answer


@pytest.mark.label("RFC4987-3.7")
@pytest.mark.parametrize("timestamps", [True, False])
@pytest.mark.parametrize(("source", "target"), [("10.0.0.9", "10.0.0.1"), ("fd00::9", "fd00::1")])
def test_a_connection_by_cookie_is_like_any_other(
    host: Host, new_peer: type[Peer], timestamps: bool, source: str, target: str
):
    peer = new_peer(host, source, target)
    connection, answer = by_cookie(peer, config=replace(DEFAULT, timestamps=timestamps))
    assert connection.state is ESTABLISHED
    tcb = connection._tcb
    check(tcb)
    assert (answer.window_scale != ABSENT, answer.sack_permitted, answer.tsval != ABSENT) == (timestamps,) * 3
    assert (tcb.snd.shift, tcb.sack_agreed, tcb.timestamps.agreed) == (3 * timestamps, timestamps, timestamps)
    assert tcb.path.peer_mss == 1360
    assert tcb.snd.wnd == 1000 << tcb.snd.shift
    connection.send(b"hello", peer.now)
    first = peer.segment(peer.drain())
    assert (first.data, first.seq, first.ack) == (b"hello", answer.seq + 1, 1001)
    stamps = {"tsval": 7, "tsecr": first.tsval} if timestamps else {}
    peer.give(peer.tcp(ACK | FIN, seq=1001, ack=first.seq + 5, data=b"bye", **stamps))
    assert connection.receive(99, peer.now) == b"bye"
    assert connection.at_end


def test_cookies_are_believed_only_while_they_are_sent(host: Host, peer: Peer):
    host.listen(80, peer.now, backlog=1)
    cookies = host._connections._cookies
    forged = syn(tsval=ABSENT)
    iss = cookies.iss(Endpoint(peer.target, 80), peer.endpoint(), forged, peer.now)
    ack = peer.tcp(ACK, seq=1001, ack=seq.add(iss, 1))
    assert peer.segment(peer.give(ack)).flags == RST
    peer.give(peer.tcp(SYN, port=1), peer.tcp(SYN, port=2))
    assert peer.segment(peer.give(peer.tcp(ACK, seq=1001, ack=iss))).flags == RST
    assert peer.segment(peer.give(peer.tcp(ACK | SYN, seq=1001, ack=seq.add(iss, 1)))).flags == RST
    assert peer.give(ack) == []
    assert host.statistics()["connections"] == 1


def test_a_cookie_waits_for_room_in_the_accept_queue(host: Host, peer: Peer):
    listener = host.listen(80, peer.now, backlog=2)
    answers = [peer.segment(peer.give(peer.tcp(SYN, port=port))) for port in (1, 2, 3)]
    acks = [peer.tcp(ACK, seq=1001, ack=answer.seq + 1, port=answer.destination) for answer in answers]
    assert peer.give(*acks) == []
    assert peer.dropped("accept_queue_full") == 1
    listener.accept()
    peer.give(acks[2])
    assert [listener.accept().remote.port, listener.accept().remote.port] == [2, 3]


def test_a_tiny_mss_gets_no_cookie(host: Host, peer: Peer):
    host.listen(80, peer.now, backlog=1)
    peer.give(peer.tcp(SYN, port=1))
    assert peer.give(peer.tcp(SYN, port=2, mss=100)) == []


def time_wait_before_a_full_queue(
    peer: Peer, stamp: dict[str, int]
) -> tuple[Connection, Listener, Segment, Segment]:
    """A pair in TIME-WAIT and a backlog of one, which another client has taken; our last ACK, and the SYN,ACK
    for that client.
    """
    listener = peer.host.listen(80, peer.now, backlog=1)
    answer = peer.segment(peer.give(peer.tcp(SYN, **stamp)))
    peer.give(peer.tcp(ACK, seq=1001, ack=seq.add(answer.seq, 1), **stamp))
    connection = listener.accept()
    connection.release(peer.now)
    fin = peer.segment(peer.drain())
    last = peer.segment(peer.give(peer.tcp(FIN | ACK, seq=1001, ack=seq.add(fin.seq, 1), **stamp)))
    return connection, listener, last, peer.segment(peer.give(peer.tcp(SYN, port=1)))


STAMP = {"tsval": 500, "tsecr": 0}


@pytest.mark.label("EP-TW-8")
@pytest.mark.parametrize("stamp", [STAMP, {}], ids=["timestamps", "none"])
@pytest.mark.parametrize("secret", [b"a", b"b", b"c", b"d"])
def test_ep_tw_8_a_pair_in_time_wait_is_reopened_by_a_cookie(
    new_host: Callable[..., Host], stamp: dict, secret: bytes
):
    """Its ISS is above the old SND.MAX, and the client that came before keeps its place."""
    peer = Peer(new_host(secret=secret))
    connection, listener, last, before = time_wait_before_a_full_queue(peer, stamp)
    newer = stamp and {"tsval": 700, "tsecr": 0}
    answer = peer.segment(peer.give(peer.tcp(SYN, seq=5000, **newer)))
    assert (answer.flags, answer.ack) == (SYN | ACK, 5001)
    assert seq.gt(answer.seq, last.seq)
    assert sorted(str(state) for _, _, state in peer.host.connections()) == ["SYN-RECEIVED", "TIME-WAIT"]
    stamps = stamp and {"tsval": 710, "tsecr": answer.tsval}
    peer.give(peer.tcp(ACK, seq=5001, ack=seq.add(answer.seq, 1), data=b"request", **stamps))
    assert listener.accept().receive(99, peer.now) == b"request"
    peer.give(peer.tcp(ACK, port=1, seq=1001, ack=seq.add(before.seq, 1)))
    assert listener.accept().remote.port == 1
    assert peer.host.statistics()["time_wait"] == 0
    assert connection.state is CLOSED


@pytest.mark.parametrize(
    ("ahead", "acked"), [(1, 2), (1, 0), (2, 1), (0, 1), (1, 1 << 24), (1, 1 << 27), (1, 1 << 31)]
)
def test_what_is_no_cookie_for_a_pair_in_time_wait_leaves_it_there(
    peer: Peer, host: Host, ahead: int, acked: int
):
    time_wait_before_a_full_queue(peer, STAMP)
    answer = peer.segment(peer.give(peer.tcp(SYN, seq=5000, tsval=700, tsecr=0)))
    peer.give(peer.tcp(ACK, seq=5000 + ahead, ack=seq.add(answer.seq, acked), tsval=710, tsecr=answer.tsval))
    assert host.statistics()["time_wait"] == 1
    assert host.statistics()["half_open"] == 1


def test_a_cookie_for_a_pair_in_time_wait_waits_for_room(peer: Peer, host: Host):
    _, listener, _, before = time_wait_before_a_full_queue(peer, STAMP)
    answer = peer.segment(peer.give(peer.tcp(SYN, seq=5000, tsval=700, tsecr=0)))
    peer.give(peer.tcp(ACK, port=1, seq=1001, ack=seq.add(before.seq, 1)))
    third = peer.tcp(ACK, seq=5001, ack=seq.add(answer.seq, 1), tsval=710, tsecr=answer.tsval)
    assert peer.give(third) == []
    assert (host.statistics()["time_wait"], peer.dropped("accept_queue_full")) == (1, 1)
    listener.accept()
    peer.give(third)
    assert listener.accept().remote == peer.endpoint()


def test_without_room_what_follows_the_cookie_is_not_reset(peer: Peer):
    """The ACK with the cookie was dropped, for the accept queue was full. A second segment, which has none,
    must not end it all.
    """
    listener = peer.host.listen(80, peer.now, backlog=1)
    first = peer.segment(peer.give(peer.tcp(SYN, port=1)))
    second = peer.segment(peer.give(peer.tcp(SYN, port=2)))
    peer.give(peer.tcp(ACK, port=1, seq=1001, ack=seq.add(first.seq, 1)))
    text = {"seq": 1001, "ack": seq.add(second.seq, 1), "port": 2}
    assert (
        peer.give(peer.tcp(ACK, **text, data=b"one"), peer.tcp(ACK, **text | {"seq": 1004}, data=b"two"))
        == []
    )
    listener.accept()
    peer.give(peer.tcp(ACK, **text, data=b"one"), peer.tcp(ACK, **text | {"seq": 1004}, data=b"two"))
    assert listener.accept().receive(99, peer.now) == b"onetwo"


@pytest.mark.label("RFC4987-3.x")
def test_a_client_that_was_sent_a_syn_ack_is_never_thrown_out(peer: Peer, host: Host):
    """Whatever comes, those that are half-open stay so, and get in."""
    _, listener, _, before = time_wait_before_a_full_queue(peer, STAMP)
    for port in range(2, 50):
        peer.give(peer.tcp(SYN, port=port), peer.tcp(SYN, seq=5000 + port, tsval=700 + port, tsecr=0))
    peer.give(peer.tcp(ACK, port=1, seq=1001, ack=seq.add(before.seq, 1)))
    assert listener.accept().remote.port == 1


@pytest.mark.parametrize("stamp", [{"tsval": 500, "tsecr": 0}, {}], ids=["timestamps", "none"])
@pytest.mark.parametrize("text", [b"", b"request"])
@pytest.mark.parametrize("others", [0, 100])
def test_a_cookie_that_comes_after_its_syn_was_repeated_and_found_room(
    host: Host, peer: Peer, stamp: dict[str, int], text: bytes, others: int
):
    """The client takes the first answer; the second, to its repeated SYN, has other numbers."""
    listener = host.listen(80, peer.now, backlog=others + 1)
    first, *_ = (peer.segment(peer.give(peer.tcp(SYN, port=port, **stamp))) for port in range(1, others + 2))
    cookie = peer.segment(peer.give(peer.tcp(SYN, port=2000, **stamp)))
    peer.give(peer.tcp(RST, port=1, seq=1001, ack=first.seq + 1))  # there is room
    again = peer.segment(peer.give(peer.tcp(SYN, port=2000, **stamp)))
    assert again.seq != cookie.seq
    stamps = stamp and {"tsval": 501, "tsecr": cookie.tsval}
    peer.give(peer.tcp(ACK, port=2000, seq=1001, ack=seq.add(cookie.seq, 1), data=text, **stamps))
    accepted = listener.accept()
    assert accepted.remote.port == 2000
    assert accepted.receive(99, peer.now) == text
    accepted.send(b"answer", peer.now)
    answer = peer.segment(peer.drain())
    assert (answer.data, answer.seq) == (b"answer", seq.add(cookie.seq, 1))
    assert host.statistics()["connections"] == 1
    assert host.statistics()["half_open"] == others


def test_a_half_open_connection_resets_what_brings_no_cookie(host: Host, peer: Peer):
    host.listen(80, peer.now, backlog=2)
    answers = [peer.segment(peer.give(peer.tcp(SYN, port=port))) for port in (1, 2, 3)]
    assert (
        peer.segment(peer.give(peer.tcp(ACK, port=1, seq=1001, ack=seq.add(answers[0].seq, 2)))).flags == RST
    )
    assert (
        peer.segment(peer.give(peer.tcp(ACK, port=2, seq=1001, ack=seq.add(answers[2].seq, 1)))).flags == RST
    )
    assert host.statistics()["half_open"] == 2
