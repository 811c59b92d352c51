"""Pairs in TIME-WAIT that are wanted again: by clients that may not reopen them, and by the host itself."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from postel.errors import AddressInUse
from postel.host.host import Host
from postel.host.listener import Listener
from postel.tcp import seq
from postel.tcp.config import DEFAULT, Config
from postel.tcp.connection import Connection
from postel.tcp.observer import Observer
from postel.tcp.state import CLOSED, ESTABLISHED, SYN_SENT, TIME_WAIT
from postel.times import MILLISECOND, MINUTE, SECOND
from postel.wire.address import Endpoint
from postel.wire.segment import ABSENT, ACK, FIN, RST, SYN, Segment
from tests.host.conftest import Pair, Peer

SILENT = replace(DEFAULT, time_wait_challenge=False)
PLAIN = replace(DEFAULT, timestamps=False)
LAST = 1001  # the number of the peer's FIN


def time_wait(
    peer: Peer, config: Config, *, stamped: bool, released: bool
) -> tuple[Connection, Listener, Segment]:
    """The host closed first. Our last ACK."""
    stamp = {"tsval": 500, "tsecr": 0} if stamped else {}
    listener = peer.host.listen(80, peer.now, config=config)
    answer = peer.segment(peer.give(peer.tcp(SYN, **stamp)))
    peer.give(peer.tcp(ACK, seq=1001, ack=seq.add(answer.seq, 1), **stamp))
    connection = listener.accept()
    if released:
        connection.release(peer.now)
    else:
        connection.close(peer.now)
    fin = peer.segment(peer.drain())
    return (
        connection,
        listener,
        peer.segment(peer.give(peer.tcp(FIN | ACK, seq=LAST, ack=seq.add(fin.seq, 1), **stamp))),
    )


def states(peer: Peer) -> list[str]:
    return [str(state) for _, _, state in peer.host.connections()]


@pytest.mark.label("EP-SYN-3")
@pytest.mark.parametrize("observer", [None, Observer()])
@pytest.mark.parametrize("released", [True, False])
@pytest.mark.parametrize("stamped", [True, False])
@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("number", [LAST, 1000, 0, (LAST - 65_536) % 2**32, (LAST - 2**31 + 1) % 2**32])
def test_a_client_with_lower_numbers_gets_in_a_second_later(
    observer: Observer | None, released: bool, stamped: bool, family: int, number: int
) -> None:
    host = Host("10.0.0.1/24", "fd00::1/64", secret=b"s", observer=observer)
    peer = Peer(host) if family == 4 else Peer(host, "fd00::9", "fd00::1")
    connection, listener, last = time_wait(peer, DEFAULT, stamped=stamped, released=released)
    challenge = peer.segment(peer.give(peer.tcp(SYN, seq=number)))
    assert (challenge.flags, challenge.seq, challenge.ack) == (ACK, last.seq, LAST + 1)
    peer.give(peer.tcp(RST, seq=challenge.ack))
    assert states(peer) == []
    assert connection.state is CLOSED
    peer.advance(SECOND)
    answer = peer.segment(peer.give(peer.tcp(SYN, seq=number)))
    assert (answer.flags, answer.ack) == (SYN | ACK, seq.add(number, 1))
    peer.give(peer.tcp(ACK, seq=seq.add(number, 1), ack=seq.add(answer.seq, 1)))
    assert listener.accept().state is ESTABLISHED


@pytest.mark.label("EP-TW-4", "EP-TW-7")
@pytest.mark.parametrize("stamped", [True, False])
def test_silence_may_be_chosen(peer: Peer, stamped: bool) -> None:
    time_wait(peer, SILENT, stamped=stamped, released=True)
    assert peer.give(peer.tcp(SYN, seq=900)) == []
    peer.give(peer.tcp(RST, seq=LAST + 1))
    assert states(peer) == ["TIME-WAIT"]
    assert peer.dropped("time_wait_syn") == 1


@pytest.mark.label("EP-TW-4", "BAD-TW-1")
@pytest.mark.parametrize("tsval", [0, 499, 500])
@pytest.mark.parametrize("number", [LAST, 5])
def test_a_syn_that_timestamps_prove_old_is_dropped_silently(peer: Peer, tsval: int, number: int) -> None:
    """RFC 6191, 2: else the RST that answers for a client of today would end TIME-WAIT for the sake of an old
    duplicate.
    """
    time_wait(peer, DEFAULT, stamped=True, released=True)
    assert peer.give(peer.tcp(SYN, seq=number, tsval=tsval, tsecr=0)) == []
    peer.give(peer.tcp(RST, seq=LAST + 1))
    assert states(peer) == ["TIME-WAIT"]


@pytest.mark.label("EP-RST-7", "BAD-TW-1")
@pytest.mark.parametrize(
    "before",
    [
        {"flags": ACK, "seq": 900, "data": b"old"},
        {"flags": FIN | ACK, "seq": LAST},
        {"flags": SYN | ACK, "seq": 900},
        {"flags": ACK, "seq": LAST + 70_000},
        {"flags": 0, "seq": LAST + 1},
    ],
)
def test_a_rst_that_answers_no_challenge_of_a_syn_does_not_end_time_wait(peer: Peer, before: dict) -> None:
    """RFC 1337: whatever else we answered."""
    _, _, last = time_wait(peer, DEFAULT, stamped=False, released=True)
    peer.give(peer.tcp(ack=last.seq, **before))
    peer.give(peer.tcp(RST, seq=LAST + 1), peer.tcp(RST | ACK, seq=LAST + 1, ack=last.seq))
    assert states(peer) == ["TIME-WAIT"]


@pytest.mark.label("EP-RST-7")
@pytest.mark.parametrize("ahead", [-1, 1, 2, 1000, 70_000, 2**31])
def test_only_the_exact_rst_answers_a_challenge(peer: Peer, ahead: int) -> None:
    time_wait(peer, DEFAULT, stamped=False, released=True)
    peer.give(peer.tcp(SYN, seq=900))
    peer.give(peer.tcp(RST, seq=seq.add(LAST + 1, ahead)))
    assert states(peer) == ["TIME-WAIT"]
    peer.give(peer.tcp(RST, seq=LAST + 1))
    assert states(peer) == []


@given(
    secret=st.binary(min_size=1, max_size=8),
    wait=st.integers(0, 3 * MINUTE),
    stamped=st.booleans(),
    family=st.sampled_from([4, 6]),
)
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_client_that_was_restarted_is_served_at_once_or_in_a_second(
    new_pair: Callable[..., Pair], secret: bytes, wait: int, stamped: bool, family: int
) -> None:
    """It knows nothing of its connection before, and has other numbers, as with another secret."""
    pair = new_pair()
    address = "10.0.0.2" if family == 4 else "fd00::2"
    client, server, listener = pair.connect(
        address=address, local_port=5000, config=DEFAULT if stamped else PLAIN
    )
    server.release(pair.now)
    pair.advance(0)
    client.release(pair.now)
    pair.advance(wait)
    pair.left = Host("10.0.0.1/24", "fd00::1/64", secret=secret)
    again = pair.left.connect(address, 80, pair.now, local_port=5000, config=PLAIN)
    pair.advance(1100 * MILLISECOND)
    assert again.state is ESTABLISHED
    assert listener.accept() is not None


# The host's own connections


def closed_by_client(pair: Pair, config: Config = DEFAULT, *, family: int = 4) -> tuple[Connection, Listener]:
    """The left host's pair is in TIME-WAIT."""
    address = "10.0.0.2" if family == 4 else "fd00::2"
    client, server, listener = pair.connect(address=address, local_port=5000, config=config)
    client.release(pair.now)
    pair.advance(0)
    server.release(pair.now)
    pair.advance(0)
    assert [state for _, _, state in pair.left.connections()] == [TIME_WAIT]
    return client, listener


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("wait", [SECOND, MINUTE, 4 * MINUTE - MILLISECOND])
def test_an_active_open_takes_a_pair_by_its_timestamps(pair: Pair, family: int, wait: int) -> None:
    client, listener = closed_by_client(pair, family=family)
    last = client._tcb.snd.max
    pair.advance(wait)
    again = pair.left.connect("10.0.0.2" if family == 4 else "fd00::2", 80, pair.now, local_port=5000)
    assert seq.gt(again._tcb.snd.iss, last)  # MAY-2
    pair.advance(0)
    assert again.state is ESTABLISHED
    assert listener.accept() is not None
    assert pair.left.statistics()["time_wait"] == 0


def test_an_active_open_takes_no_pair_within_a_second(pair: Pair) -> None:
    closed_by_client(pair)
    pair.advance(SECOND - 1)
    with pytest.raises(AddressInUse):
        pair.left.connect("10.0.0.2", 80, pair.now, local_port=5000)


@pytest.mark.parametrize("before", [DEFAULT, PLAIN])
@pytest.mark.parametrize("after", [PLAIN, DEFAULT, replace(DEFAULT, time_wait_reuse=False)])
def test_an_active_open_takes_no_pair_without_timestamps_or_permission(
    pair: Pair, before: Config, after: Config
) -> None:
    closed_by_client(pair, before)
    pair.advance(MINUTE)
    if before is after is DEFAULT:
        pair.left.connect("10.0.0.2", 80, pair.now, local_port=5000, config=after)
        return
    with pytest.raises(AddressInUse):
        pair.left.connect("10.0.0.2", 80, pair.now, local_port=5000, config=after)
    assert pair.left.statistics()["time_wait"] == 1


def test_a_pair_that_is_taken_is_told_to_an_observer_as_closed() -> None:
    told = []

    class Watching(Observer):
        def state_changed(
            self, local: Endpoint, remote: Endpoint, before: object, after: object, now: int
        ) -> None:
            told.append(str(after))

    pair = Pair(
        Host("10.0.0.1/24", secret=b"left", observer=Watching()),
        Host("10.0.0.2/24", secret=b"right"),
    )
    closed_by_client(pair)
    pair.advance(SECOND)
    del told[:]
    pair.left.connect("10.0.0.2", 80, pair.now, local_port=5000)
    assert told == ["CLOSED", "SYN-SENT"]


def test_the_peer_may_be_in_time_wait_too(pair: Pair) -> None:
    """Both closed at once; RFC 6191 lets the SYN with its larger timestamp in there."""
    client, server, listener = pair.connect(local_port=5000)
    client.release(pair.now)
    server.release(pair.now)
    pair.advance(0)
    assert [state for host in (pair.left, pair.right) for _, _, state in host.connections()] == [
        TIME_WAIT,
        TIME_WAIT,
    ]
    pair.advance(2 * SECOND)
    again = pair.left.connect("10.0.0.2", 80, pair.now, local_port=5000)
    pair.advance(0)
    assert again.state is ESTABLISHED
    assert listener.accept() is not None


def test_ephemeral_ports_in_time_wait_are_used_again_when_all_are(peer: Peer, host: Host) -> None:
    """Every ephemeral port to one server has just been used."""
    config = replace(DEFAULT, msl=DEFAULT.msl)
    made = host.connect("10.0.0.9", 80, peer.now, config=config)
    syn = peer.segment(peer.drain())
    peer.give(
        peer.tcp(
            SYN | ACK, seq=1, ack=seq.add(syn.seq, 1), port=80, to=made.local.port, tsval=1, tsecr=syn.tsval
        )
    )
    made.release(peer.now)
    fin = peer.segments(peer.drain())[-1]
    peer.give(
        peer.tcp(
            FIN | ACK, seq=2, ack=seq.add(fin.seq, 1), port=80, to=made.local.port, tsval=2, tsecr=fin.tsval
        )
    )
    (record,) = host._connections.time_wait
    for port in range(1024, 65536):
        key = record.key[:-2] + port.to_bytes(2, "big")
        host._connections.time_wait.put(record._replace(key=key))
    with pytest.raises(AddressInUse):
        host.connect("10.0.0.9", 80, peer.now)
    peer.advance(SECOND)
    for _ in range(100):
        assert host.connect("10.0.0.9", 80, peer.now).state is SYN_SENT


def test_whatever_is_absent_from_a_syn_is_no_proof(peer: Peer) -> None:
    time_wait(peer, DEFAULT, stamped=True, released=True)
    assert peer.segment(peer.give(peer.tcp(SYN, seq=LAST, tsval=ABSENT))).flags == ACK
