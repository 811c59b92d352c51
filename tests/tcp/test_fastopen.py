"""TCP Fast Open of one connection (RFC 7413), and what clients remember of servers."""

from dataclasses import replace

import pytest

from postel.errors import ConnectionReset, ConnectionTimedOut, HostUnreachable
from postel.tcp.config import Config
from postel.tcp.fastopen import REFUSAL, RESET_COUNTS, SERVERS, Admission, Attempt, Known, Pending
from postel.tcp.invariants import check
from postel.tcp.memory import Memory
from postel.tcp.recovery.rack import Rack
from postel.tcp.state import CLOSED, ESTABLISHED, FIN_WAIT_1, LISTEN, SYN_RECEIVED
from postel.tcp.tcb import DEFAULT_MSS_4
from postel.testing.states import LOCAL, MSS, PLAIN, REMOTE, Peer, Scene, closed
from postel.times import MINUTE, SECOND
from postel.wire.address import Endpoint
from postel.wire.options import FAST_OPEN
from postel.wire.segment import ACK, FIN, RST, SYN

COOKIE = b"12345678"
PATH = LOCAL.address + REMOTE.address + REMOTE.port.to_bytes(2, "big")


class Client:
    """In SYN-SENT; ``lines`` is what was sent for it."""

    def __init__(
        self,
        text: bytes = b"hello",
        cookie: bytes = COOKIE,
        mss: int = 1460,
        config: Config = PLAIN,
        **options: object,
    ) -> None:
        self.known = Known()
        self.known.learn(PATH, cookie, mss)
        self.scene = closed(config, **options)
        self.scene.tcb.opening.fast_open = self.attempt()
        self.scene.connection.open_active(self.scene.now)
        self.scene.connection.send(text, self.scene.now)
        self.lines = self.scene.drain()
        self.syn = self.scene.sent[0]

    def attempt(self, now: int = 0) -> Attempt | None:
        return self.known.attempt(LOCAL, REMOTE, DEFAULT_MSS_4, now or self.scene.now)

    def answered(
        self, ack: int, cookie: bytes | None = None, flags: int = SYN | ACK, **fields: object
    ) -> list[str]:
        segment = self.scene.segment(flags, ack=ack, **fields)
        segment.other = () if cookie is None else ((FAST_OPEN, cookie),)
        self.scene.connection.segment_arrives(segment, self.scene.now)
        check(self.scene.tcb)
        return self.scene.drain()

    @property
    def is_refused(self) -> bool:
        return self.attempt() is None


# Client


@pytest.mark.label("RFC7413-4.2.2")
def test_without_a_cookie_one_is_asked_for_and_text_waits() -> None:
    client = Client(cookie=b"")
    assert client.lines == ["SYN seq=0"]
    assert client.syn.fast_open == b""
    assert client.answered(1, COOKIE) == ["PSH,ACK seq=1 ack=1 len=5"]
    attempt = client.attempt()
    assert (attempt.option, attempt.mss) == (COOKIE, MSS)
    assert client.scene.events() == ["Opened"]
    assert client.scene.tcb.opening.fast_open is None
    assert not client.scene.connection.status().fast_opened


@pytest.mark.label("RFC7413-4.2.2")
def test_with_a_cookie_text_goes_with_the_syn() -> None:
    client = Client()
    assert client.lines == ["SYN seq=0 len=5"]
    assert (client.syn.fast_open, client.syn.len) == (COOKIE, 6)
    snd = client.scene.tcb.snd
    assert snd.nxt == snd.max
    assert client.scene.max == 6
    assert client.answered(6) == ["ACK seq=6 ack=1"]
    assert client.scene.connection.unacknowledged == 0
    assert not client.is_refused
    assert client.scene.connection.status().fast_opened
    assert client.scene.tcb.rtt.smoothed == 1  # the SYN was timed, text or not


@pytest.mark.label("RFC7413-4.2.2", "RFC7413-4.1.3")
@pytest.mark.parametrize(("ack", "again"), [(1, b"hello"), (3, b"llo")])
def test_text_that_the_syn_ack_left_out_goes_with_the_ack(ack: int, again: bytes) -> None:
    client = Client()
    assert client.answered(ack) == [f"PSH,ACK seq={ack} ack=1 len={len(again)}"]
    assert client.scene.sent[0].data == again
    assert client.is_refused == (ack == 1)
    client.scene.hears(ACK, ack=6)
    assert client.scene.connection.unacknowledged == 0


@pytest.mark.label("RFC7413-4.1.3")
def test_a_refusal_that_brings_a_new_cookie_is_none() -> None:
    client = Client()
    client.answered(1, b"newcookie!")
    assert client.attempt().option == b"newcookie!"


@pytest.mark.label("RFC7413-4.1.3", "BAD-TFO-1")
@pytest.mark.parametrize("cookie", [None, b""])
def test_no_cookie_where_one_was_asked_for(cookie: bytes | None) -> None:
    client = Client(cookie=b"")
    client.answered(1, cookie)
    assert client.is_refused
    client.scene.now += REFUSAL
    assert client.attempt().option == b""


@pytest.mark.label("RFC7413-4.1.3")
def test_a_cookie_without_text_tells_nothing_by_itself() -> None:
    client = Client(text=b"")
    assert (client.lines, client.syn.fast_open) == (["SYN seq=0"], COOKIE)
    client.answered(1)
    assert client.attempt().option == COOKIE


@pytest.mark.label("RFC7413-4.2.2")
def test_a_syn_sent_again_is_an_ordinary_one() -> None:
    client = Client()
    assert client.scene.expires() == ["SYN seq=0"]
    assert client.scene.sent[0].fast_open is None
    assert client.scene.max == 6
    assert client.answered(1) == ["PSH,ACK seq=1 ack=1 len=5"]
    assert client.is_refused


@pytest.mark.label("RFC7413-4.2.2")
def test_an_answer_to_the_first_syn_may_come_after_the_second() -> None:
    client = Client()
    client.scene.expires()
    assert client.answered(6) == ["ACK seq=6 ack=1"]
    assert not client.is_refused


@pytest.mark.label("RFC7413-4.2.2")
def test_with_several_lost_syns_the_text_still_goes_at_once() -> None:
    client = Client(config=replace(PLAIN, sack=True), peer=Peer(sack=True))
    client.scene.expires()
    client.scene.expires()
    assert client.answered(1) == ["PSH,ACK seq=1 ack=1 len=5"]
    assert isinstance(client.scene.tcb.ensure_recovery(), Rack)


@pytest.mark.label("RFC7413-4.2.2")
def test_into_a_closed_window_the_text_goes_as_a_probe() -> None:
    client = Client()
    assert client.answered(1, window=0) == ["ACK seq=1 ack=1"]
    assert client.scene.expires() == ["ACK seq=1 ack=1 len=1"]
    assert client.scene.hears(ACK, ack=6) == []
    assert client.scene.connection.unacknowledged == 0


@pytest.mark.label("RFC7413-4.1.3")
@pytest.mark.parametrize(
    ("mss", "config", "mtu", "most"),
    [
        (1460, PLAIN, 1500, 1460 - 16),
        (9000, PLAIN, 9000, 1460 - 16),
        (536, PLAIN, 1500, 536 - 16),
        (1460, PLAIN, 1000, 960 - 16),
        (1460, replace(PLAIN, largest_mss=700), 1500, 700 - 16),
        (10, PLAIN, 1500, 0),
        (1460, replace(PLAIN, timestamps=True, sack=True, window_scaling=True), 1500, 1460 - 32),
    ],
)
def test_the_text_of_a_syn_fits_the_server_and_the_path(
    mss: int, config: Config, mtu: int, most: int
) -> None:
    client = Client(bytes(3000), mss=mss, config=config, mtu=mtu)
    assert len(client.syn.data) == most
    client.answered(1 + most)
    assert client.scene.connection.unacknowledged == 3000 - most


@pytest.mark.label("RFC7413-4.1.3")
def test_over_ipv6_the_largest_mss_is_less() -> None:
    local, remote = Endpoint(bytes(16), 1), Endpoint(bytes(15) + b"\1", 80)
    known = Known()
    known.learn(local.address + remote.address + b"\0\x50", COOKIE, 9000)
    assert known.attempt(local, remote, 1220, 0).mss == 1440


@pytest.mark.label("RFC7413-4.2.2")
def test_urgent_text_waits_for_a_segment_that_can_point_at_it() -> None:
    client = Client(text=b"")
    client.scene = scene = closed()
    scene.tcb.opening.fast_open = client.attempt()
    scene.connection.open_active(scene.now)
    scene.connection.send(b"now", scene.now, urgent=True)
    assert scene.drain() == ["SYN seq=0"]
    assert client.answered(1) == ["PSH,ACK,URG seq=1 ack=1 len=3"]
    assert scene.sent[0].urgent == 3


@pytest.mark.label("RFC7413-4.1.3")
@pytest.mark.parametrize("resent", [False, True])
def test_who_ends_the_attempt_decides_whether_the_path_is_to_blame(resent: bool) -> None:
    for call in ("close", "abort"):
        client = Client()
        if resent:
            client.scene.expires()
        getattr(client.scene.connection, call)(client.scene.now)
        assert client.is_refused == resent
    client = Client()
    client.scene.hears(RST | ACK, ack=6)
    assert client.scene.state is CLOSED
    assert client.is_refused
    client = Client()
    client.scene.connection.network_error(
        HostUnreachable(), client.scene.now, hard=True, number=client.scene.tcb.snd.una
    )
    assert client.is_refused


@pytest.mark.label("RFC7413-4.1.3")
def test_silence_to_the_end_is_a_refusal() -> None:
    client = Client()
    client.scene.passes(5 * MINUTE)
    assert isinstance(client.scene.connection.error, ConnectionTimedOut)
    assert client.is_refused


@pytest.mark.label("RFC7413-4.2.2", "MUST-10")
@pytest.mark.parametrize(("ack", "flags"), [(1, SYN | ACK), (6, SYN | ACK), (1, ACK)])
def test_a_simultaneous_open_with_text_on_both_syns(ack: int, flags: int) -> None:
    client = Client()
    scene = client.scene
    assert client.answered(0, COOKIE, SYN, data=b"theirs") == ["SYN,ACK seq=0 ack=1"]
    assert scene.sent[0].fast_open is None
    assert scene.connection.readable == 0
    again = client.answered(ack, flags=flags, seq=0 if flags & SYN else 1)
    assert scene.state is ESTABLISHED
    assert scene.reads() == b"theirs"
    assert again == (["PSH,ACK seq=1 ack=7 len=5"] if ack == 1 else [])


# Server


def server(
    text: bytes = b"hello",
    *,
    option: bytes | None = None,
    valid: bool = True,
    flags: int = SYN,
    **options: object,
) -> tuple[Scene, Pending]:
    """In SYN-RECEIVED, its SYN,ACK sent; and what counts it."""
    scene = closed(options.pop("config", PLAIN), **options)
    pending = Pending()
    scene.connection.open_passive(scene.now)
    scene.tcb.opening.fast_open = Admission(option, pending if valid else None)
    scene.arrives(flags, text)
    return scene, pending


@pytest.mark.label("RFC7413-4.2.2", "EP-TXT-5")
def test_the_text_of_a_syn_is_acknowledged_and_delivered() -> None:
    scene, pending = server()
    assert scene.drain() == ["SYN,ACK seq=0 ack=6"]
    assert scene.sent[0].fast_open is None
    assert scene.sent[0].window == 65535 - 5
    assert (scene.state, pending.count) == (SYN_RECEIVED, 1)
    assert scene.events() == ["Opened", "Readable"]
    assert scene.connection.status().fast_opened
    assert scene.reads() == b"hello"
    assert scene.connection.next_timeout() == scene.now + SECOND  # the SYN,ACK's, and no ACK is owed
    assert scene.hears(ACK) == []
    assert (scene.state, pending.count) == (ESTABLISHED, 0)
    assert scene.events() == []


@pytest.mark.label("RFC7413-4.2.2", "BAD-TFO-1")
def test_bad_tfo_1_without_a_valid_cookie_the_syn_alone_is_acknowledged() -> None:
    scene, pending = server(option=COOKIE, valid=False)
    assert scene.drain() == ["SYN,ACK seq=0 ack=1"]
    assert scene.sent[0].fast_open == COOKIE
    assert (scene.events(), scene.connection.readable, pending.count) == ([], 0, 0)
    assert scene.expires() == ["SYN,ACK seq=0 ack=1"]
    assert scene.sent[0].fast_open is None
    assert scene.hears(ACK, b"hello", seq=1) == []
    assert scene.reads() == b"hello"
    assert scene.events() == ["Opened", "Readable"]


@pytest.mark.label("RFC7413-4.2.2")
def test_an_answer_follows_before_the_last_ack() -> None:
    scene, _ = server()
    scene.drain()
    assert scene.sends(b"world") == ["PSH,ACK seq=1 ack=6 len=5"]  # Nagle: a SYN is no text to wait for
    assert scene.state is SYN_RECEIVED
    assert scene.hears(ACK, ack=6) == []
    assert scene.state is ESTABLISHED
    assert scene.connection.unacknowledged == 0


@pytest.mark.label("RFC7413-4.2.2")
def test_the_answer_obeys_the_initial_window_and_the_peers() -> None:
    scene, _ = server(peer=Peer(window=65535))
    scene.drain()
    # Nine segments, not ten: until it is acknowledged, our SYN takes an octet of the initial window
    assert len(scene.sends(bytes(30_000))) == 9
    scene, _ = server(peer=Peer(window=2500))
    scene.drain()
    scene.sends(bytes(30_000))
    assert sum(len(segment.data) for segment in scene.sent) <= 2500


@pytest.mark.label("RFC7413-4.2.2")
def test_when_the_syn_ack_times_out_text_waits_and_then_goes_again() -> None:
    scene, _ = server()
    scene.drain()
    scene.sends(b"lost")
    assert scene.expires() == ["SYN,ACK seq=0 ack=6"]
    assert scene.sends(b" and found") == []
    assert scene.hears(ACK, ack=1) == ["PSH,ACK seq=1 ack=6 len=14"]
    assert scene.hears(ACK, ack=15) == []


def test_a_duplicate_of_the_syn_delivers_nothing_twice() -> None:
    scene, _ = server()
    scene.drain()
    assert scene.hears(SYN, b"hello", seq=0) == ["SYN,ACK seq=0 ack=6"]
    assert scene.reads() == b"hello"


@pytest.mark.label("RFC7413-4.2.2")
def test_a_fin_on_the_syn_comes_again() -> None:
    scene, _ = server(flags=SYN | FIN)
    assert scene.drain() == ["SYN,ACK seq=0 ack=6"]
    scene.hears(FIN | ACK, seq=6)
    assert scene.events() == ["Opened", "Readable", "EndOfStream"]


def test_text_beyond_the_window_or_the_hosts_memory_is_not_acknowledged() -> None:
    scene, _ = server(b"12345678", config=replace(PLAIN, receive_buffer=3))
    assert scene.drain() == ["SYN,ACK seq=0 ack=4"]
    assert scene.reads() == b"123"
    scene, _ = server(memory=Memory(4))
    assert scene.drain() == ["SYN,ACK seq=0 ack=1"]
    assert scene.events() == ["Opened"]
    scene, pending = server(b"")
    assert (scene.drain(), scene.events(), pending.count) == (["SYN,ACK seq=0 ack=1"], ["Opened"], 1)
    assert not scene.connection.status().fast_opened


@pytest.mark.label("RFC7413-4.2a", "BAD-TFO-1")
def test_bad_tfo_1_a_reset_ends_it_for_its_user_and_counts_for_a_while() -> None:
    scene, pending = server()
    scene.drain()
    scene.events()
    assert scene.hears(RST, seq=6) == []
    assert scene.state is CLOSED
    assert isinstance(scene.connection.error, ConnectionReset)
    assert scene.events() == ["Closed"]
    assert scene.reads() == b"hello"
    assert (pending.count, pending.reaches(1, scene.now)) == (0, True)
    assert not pending.reaches(2, scene.now)
    assert not pending.reaches(1, scene.now + RESET_COUNTS)


def test_a_syn_in_the_window_is_challenged() -> None:
    scene, _ = server()
    scene.drain()
    assert scene.hears(SYN, seq=100) == ["ACK seq=1 ack=6"]
    assert scene.state is SYN_RECEIVED


def test_with_no_ack_in_time_it_times_out() -> None:
    scene, _ = server()
    scene.drain()
    scene.passes(3 * MINUTE)
    assert scene.state is CLOSED
    assert isinstance(scene.connection.error, ConnectionTimedOut)


def test_an_ordinary_child_goes_back_to_listen() -> None:
    scene, _ = server(option=COOKIE, valid=False)
    scene.hears(RST, seq=1)
    assert scene.state is LISTEN
    assert scene.tcb.opening.fast_open is None


@pytest.mark.label("EP-CLOSE-4")
@pytest.mark.parametrize("text", [b"", b"bye"])
def test_closed_before_the_last_ack(text: bytes) -> None:
    scene, pending = server()
    scene.drain()
    scene.reads()
    scene.connection.send(text, scene.now)
    assert scene.closes() == [f"FIN,{'PSH,' if text else ''}ACK seq=1 ack=6" + (" len=3" if text else "")]
    assert scene.state is SYN_RECEIVED
    scene.hears(ACK, ack=1)
    assert (scene.state, pending.count) == (FIN_WAIT_1, 0)
    scene.hears(FIN | ACK, ack=2 + len(text))
    assert str(scene.state) == "TIME-WAIT"


def test_released_unread_it_is_reset() -> None:
    scene, _ = server()
    scene.drain()
    assert scene.releases() == ["RST seq=1"]
    assert scene.state is CLOSED


# What clients remember


@pytest.mark.label("RFC7413-4.1.3")
def test_cookies_are_the_servers_and_refusals_the_ports() -> None:
    known = Known()
    known.learn(PATH, COOKIE, 1000)
    known.refuse(PATH, 0)
    other_port = known.attempt(LOCAL, REMOTE._replace(port=443), DEFAULT_MSS_4, 0)
    assert (other_port.option, other_port.mss) == (COOKIE, 1000)
    assert known.attempt(LOCAL, REMOTE, DEFAULT_MSS_4, 0) is None
    other_source = known.attempt(LOCAL._replace(address=b"\x0a\0\0\7"), REMOTE, DEFAULT_MSS_4, 0)
    assert (other_source.option, other_source.mss) == (b"", DEFAULT_MSS_4)
    known.clear()
    assert known.attempt(LOCAL, REMOTE, DEFAULT_MSS_4, 0).option == b""


@pytest.mark.label("RFC7413-4.1.3")
def test_a_syn_ack_without_cookie_may_change_the_mss() -> None:
    known = Known()
    known.learn(PATH, None, 700)
    assert known.attempt(LOCAL, REMOTE, DEFAULT_MSS_4, 0).option == b""
    known.learn(PATH, COOKIE, 1000)
    known.learn(PATH, None, 700)
    attempt = known.attempt(LOCAL, REMOTE, DEFAULT_MSS_4, 0)
    assert (attempt.option, attempt.mss) == (COOKIE, 700)


def test_the_oldest_is_forgotten_first() -> None:
    known = Known()
    paths = [PATH[:4] + number.to_bytes(4, "big") + PATH[8:] for number in range(SERVERS + 2)]
    for path in paths[:-1]:
        known.learn(path, COOKIE, 1000)
        known.refuse(path, 0)
    known.learn(paths[1], None, 1000)  # the second is news again
    known.refuse(paths[1], 0)
    known.learn(paths[-1], COOKIE, 1000)
    known.refuse(paths[-1], 0)
    forgotten = [
        at
        for at, path in enumerate(paths)
        if known.attempt(LOCAL, REMOTE._replace(address=path[4:8]), 536, 0) is not None
    ]
    assert forgotten == [0, 2]
    kept = [known.attempt(LOCAL, REMOTE._replace(address=path[4:8]), 536, REFUSAL).option for path in paths]
    assert kept == [b"", COOKIE, b"", *[COOKIE] * (SERVERS - 1)]
