"""Every user call in every state: rules EP-OPEN, EP-SEND, EP-RECV, EP-CLOSE, EP-ABORT, EP-STAT (RFC 9293,
3.10.1 to 3.10.6).
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import pytest

from postel.errors import (
    ArgumentError,
    ConnectionAborted,
    ConnectionAlreadyExists,
    ConnectionClosing,
    ConnectionDoesNotExist,
    ConnectionRefused,
    ConnectionReset,
    RemoteUnspecified,
)
from postel.tcp.bell import Bell
from postel.tcp.config import DEFAULT, FIRST_SEND_BUFFER
from postel.tcp.connection import Connection, Turns
from postel.tcp.invariants import check
from postel.tcp.memory import Memory
from postel.tcp.state import (
    CLOSE_WAIT,
    CLOSED,
    FIN_WAIT_1,
    FIN_WAIT_2,
    LAST_ACK,
    LISTEN,
    SYN_SENT,
    TIME_WAIT,
)
from postel.tcp.status import SACK, TIMESTAMPS, WINDOW_SCALE
from postel.testing import states
from postel.testing.states import (
    EVERY,
    PLAIN,
    REMOTE,
    SYNCHRONIZED,
    Maker,
    Peer,
    Scene,
    closed,
    established,
    listen,
    syn_received,
    syn_sent,
)
from postel.times import MINUTE, NEVER
from postel.wire.address import Endpoint
from postel.wire.segment import ACK, FIN, RST, SYN

UNSPECIFIED = Endpoint(bytes(4), 0)
OPENED = [maker for name, maker in EVERY.items() if name not in ("CLOSED", "LISTEN")]
QUEUING = [syn_sent, syn_received, states.syn_received_active]
FINISHED = [states.fin_wait_1, states.fin_wait_2, states.closing, states.last_ack, states.time_wait]


def calls(scene: Scene) -> dict[str, Callable[[], object]]:
    connection, now = scene.connection, scene.now
    return {
        "send": lambda: connection.send(b"x", now),
        "receive": lambda: connection.receive(1, now),
        "close": lambda: connection.close(now),
        "abort": lambda: connection.abort(now),
    }


# OPEN


@pytest.mark.label("EP-OPEN-1")
def test_ep_open_1_passive() -> None:
    scene = closed()
    assert scene.does(scene.connection.open_passive) == []
    assert scene.state is LISTEN
    assert scene.connection.next_timeout() == NEVER


@pytest.mark.label("EP-OPEN-2")
def test_ep_open_2_active() -> None:
    scene = closed()
    assert scene.does(scene.connection.open_active) == ["SYN seq=0"]
    assert scene.state is SYN_SENT
    assert (scene.una, scene.max) == (0, 1)
    assert not scene.tcb.opening.is_passive


@pytest.mark.label("EP-OPEN-2", "EP-OPEN-4")
@pytest.mark.parametrize("make", [closed, listen])
@pytest.mark.parametrize(
    "remote", [UNSPECIFIED, Endpoint(bytes(4), 80), Endpoint(REMOTE.address, 0), Endpoint(bytes(16), 80)]
)
def test_ep_open_2_active_needs_to_know_whom(make: Maker, remote: Endpoint) -> None:
    scene = make(remote=remote)
    before = scene.image()
    with pytest.raises(RemoteUnspecified):
        scene.connection.open_active(scene.now)
    assert scene.image() == before


@pytest.mark.label("EP-OPEN-4")
def test_ep_open_4_a_listener_may_turn_active() -> None:
    scene = listen()
    assert scene.does(scene.connection.open_active) == ["SYN seq=0"]
    assert scene.state is SYN_SENT


@pytest.mark.label("EP-OPEN-5", "MUST-41")
@pytest.mark.parametrize("make", OPENED)
def test_ep_open_5_what_is_open_cannot_be_opened(make: Maker) -> None:
    scene = make()
    before = scene.image()
    for call in (scene.connection.open_active, scene.connection.open_passive):
        with pytest.raises(ConnectionAlreadyExists):
            call(scene.now)
    assert scene.image() == before


@pytest.mark.label("EP-OPEN-5", "MUST-41")
def test_ep_open_5_nor_can_a_listener_listen() -> None:
    scene = listen()
    with pytest.raises(ConnectionAlreadyExists):
        scene.connection.open_passive(scene.now)


# SEND


@pytest.mark.label("EP-SEND-1", "EP-RECV-1", "EP-CLOSE-1", "EP-ABORT-1")
@pytest.mark.parametrize("call", ["send", "receive", "close", "abort"])
def test_ep_send_1_and_all_others_need_a_connection(call: str) -> None:
    with pytest.raises(ConnectionDoesNotExist):
        calls(closed())[call]()


@pytest.mark.parametrize("call", ["send", "receive", "close", "abort"])
def test_what_ended_the_connection_is_what_the_calls_say(call: str) -> None:
    scene = syn_sent()
    scene.hears(RST | ACK)
    with pytest.raises(ConnectionRefused):
        calls(scene)[call]()


@pytest.mark.label("EP-SEND-2")
def test_ep_send_2_a_listener_that_sends_turns_active() -> None:
    scene = listen()
    assert scene.sends(b"hello") == ["SYN seq=0"]
    assert scene.state is SYN_SENT
    assert scene.hears(SYN | ACK) == ["PSH,ACK seq=1 ack=1 len=5"]


@pytest.mark.label("EP-SEND-2")
def test_ep_send_2_if_it_knows_whom() -> None:
    scene = listen(remote=UNSPECIFIED)
    with pytest.raises(RemoteUnspecified):
        scene.connection.send(b"hello", scene.now)
    assert scene.image() == listen(remote=UNSPECIFIED).image()


@pytest.mark.label("EP-SEND-3")
@pytest.mark.parametrize("make", QUEUING)
def test_ep_send_3_before_established_data_waits(make: Maker) -> None:
    scene = make()
    assert scene.sends(b"hello") == []
    assert scene.connection.status().unsent == 5
    assert scene.hears(SYN | ACK if make is syn_sent else ACK) == ["PSH,ACK seq=1 ack=1 len=5"]
    assert scene.tcb.snd.first_octet == scene.tcb.snd.una


@pytest.mark.label("EP-SEND-4")
@pytest.mark.parametrize("make", [established, states.close_wait])
def test_ep_send_4_data_goes_out_with_the_ack(make: Maker) -> None:
    scene = make()
    assert scene.sends(b"hello") == [f"PSH,ACK seq=1 ack={scene.nxt} len=5"]
    assert (scene.connection.unacknowledged, scene.connection.status().awaiting_ack) == (5, 5)


@pytest.mark.label("EP-SEND-4")
def test_ep_send_4_no_more_is_taken_than_fits() -> None:
    scene = established(replace(PLAIN, send_buffer=10))
    assert scene.connection.writable == 10
    assert scene.connection.send(b"0123456789more", scene.now) == 10
    assert scene.connection.writable == 0
    assert scene.connection.send(b"more", scene.now) == 0
    scene.drain()
    assert scene.sent[0].data == b"0123456789"


@pytest.mark.label("EP-SEND-4", "EP-OPEN-3")
def test_ep_send_4_nor_than_the_host_has_memory_for() -> None:
    memory = Memory(8)
    scene = established(memory=memory)
    assert scene.connection.writable == 8
    assert scene.connection.send(b"0123456789", scene.now) == 8
    scene.drain()
    assert (memory.used, scene.connection.writable) == (8, 0)
    scene.hears(ACK)
    assert memory.used == 0
    assert scene.events() == ["Writable"]


@pytest.mark.label("EP-SEND-4", "MUST-30", "MUST-62")
def test_ep_send_4_urgent_marks_the_octet_after_it() -> None:
    """D-13."""
    scene = established()
    scene.sends(b"urgent", urgent=True)
    assert [(segment.flags & 0x20, segment.urgent) for segment in scene.sent] == [(0x20, 6)]
    scene.hears(ACK)
    scene.sends(b"plain")
    assert scene.sent[0].flags & 0x20 == 0


@pytest.mark.label("EP-SEND-5", "RFC9293-3.6-2")
@pytest.mark.parametrize("make", FINISHED)
def test_ep_send_5_after_close_nothing_more_is_sent(make: Maker) -> None:
    scene = make()
    before = scene.image()
    with pytest.raises(ConnectionClosing):
        scene.connection.send(b"more", scene.now)
    assert scene.image() == before


@pytest.mark.label("EP-SEND-5", "RFC9293-3.6-2")
@pytest.mark.parametrize("make", [syn_received, states.close_wait])
def test_ep_send_5_from_the_call_on_not_from_the_fin_on(make: Maker) -> None:
    """D-15."""
    scene = make()
    scene.connection.send(b"last words", scene.now)
    scene.connection.close(scene.now)
    with pytest.raises(ConnectionClosing):
        scene.connection.send(b"more", scene.now)


@pytest.mark.label("BAD-API-3")
def test_bad_api_3_what_is_sent_are_the_octets_at_the_time_of_the_call() -> None:
    scene = established(peer=Peer(window=0))
    octets = bytearray(b"hello")
    view = memoryview(octets)
    assert scene.connection.send(octets, scene.now) == 5
    assert scene.connection.send(view[1:3], scene.now) == 2
    octets[:] = b"XXXXX"
    view.release()
    assert scene.connection.send(b"", scene.now) == 0
    scene.hears(ACK, window=100)
    assert scene.sent[0].data == b"helloel"


@pytest.mark.label("BAD-API-3")
def test_bad_api_3_a_view_of_wide_items_is_counted_in_octets() -> None:
    scene = established()
    assert scene.connection.send(memoryview(b"abcdefgh").cast("I"), scene.now) == 8


@pytest.mark.label("BAD-API-3")
@pytest.mark.parametrize("data", ["text", 5, None, [1, 2]])
def test_bad_api_3_anything_but_octets_is_refused(data: object) -> None:
    scene = established()
    with pytest.raises(ArgumentError):
        scene.connection.send(data, scene.now)  # type: ignore[arg-type]
    assert scene.drain() == []


def test_bad_api_3_back_pressure_is_exact() -> None:
    scene = established(DEFAULT)
    taken = scene.connection.send(bytes(1 << 22), scene.now)
    assert taken == FIRST_SEND_BUFFER
    assert scene.connection.writable == 0


# RECEIVE


@pytest.mark.label("EP-RECV-2")
@pytest.mark.parametrize("make", [listen, *QUEUING])
def test_ep_recv_2_before_established_nothing_is_there(make: Maker) -> None:
    scene = make()
    assert scene.reads() == b""
    assert not scene.connection.at_end


@pytest.mark.label("EP-RECV-3")
@pytest.mark.parametrize("make", [established, states.fin_wait_1, states.fin_wait_2])
def test_ep_recv_3_octets_are_given_in_order_and_once(make: Maker) -> None:
    scene = make()
    for piece in (b"abc", b"defgh", b"", b"i"):
        scene.hears(ACK, piece)
    assert scene.connection.readable == 9
    assert [scene.reads(2), scene.reads(3), scene.reads(100), scene.reads(1)] == [b"ab", b"cde", b"fghi", b""]


@pytest.mark.label("EP-RECV-3")
def test_ep_recv_3_across_many_pieces() -> None:
    scene = established(replace(PLAIN, acknowledge_every=64))
    expected = b""
    for number in range(10):
        piece = bytes([number]) * 700  # too large to be joined
        expected += piece
        scene.hears(ACK, piece)
    assert b"".join([scene.reads(limit) for limit in (1, 698, 1, 1400, 2101, 700, 9999)]) == expected


@pytest.mark.label("EP-RECV-3")
@pytest.mark.parametrize(
    "sizes", [(1, 698, 1, 1400, 2101, 700, 9999), (700,) * 11, (7000, 1), (699, 2, 9999)]
)
def test_ep_recv_3_into_a_buffer_it_is_the_same(sizes: tuple[int, ...]) -> None:
    """Two connections hear the same: one gives octets, the other fills a buffer."""
    giving, filling = (established(replace(PLAIN, acknowledge_every=64)) for _ in range(2))
    for number in range(10):
        for scene in (giving, filling):
            scene.hears(ACK, bytes([number]) * 700)
    for size in sizes:
        buffer = bytearray(b"?" * size)
        expected = giving.reads(size)
        assert filling.connection.receive_into(buffer, filling.now) == len(expected)
        assert buffer == expected + b"?" * (size - len(expected))
        check(filling.tcb)
        assert filling.drain() == giving.drain()


def test_a_buffer_of_items_is_filled_by_the_octet() -> None:
    scene = established()
    scene.hears(ACK, b"abcdef")
    numbers = memoryview(bytearray(8)).cast("I")
    assert scene.connection.receive_into(numbers, scene.now) == 6
    assert numbers.tobytes() == b"abcdef\0\0"


def test_ep_recv_into_no_room_or_of_no_connection() -> None:
    with pytest.raises(ArgumentError, match="buffer"):
        established().connection.receive_into(bytearray(), 0)
    with pytest.raises(ConnectionDoesNotExist):
        closed().connection.receive_into(bytearray(1), 0)


@pytest.mark.parametrize("limit", [0, -1])
def test_ep_recv_a_limit_is_at_least_one(limit: int) -> None:
    with pytest.raises(ArgumentError):
        established().reads(limit)


@pytest.mark.label("EP-RECV-4", "RFC9293-3.6-1")
def test_ep_recv_4_what_is_on_hand_and_then_the_end() -> None:
    scene = established()
    scene.hears(FIN | ACK, b"bye")
    assert not scene.connection.at_end
    assert scene.reads() == b"bye"
    assert scene.connection.at_end
    assert scene.reads() == b""


@pytest.mark.label("EP-RECV-5", "RFC9293-3.6-1")
def test_ep_recv_5_what_was_acknowledged_is_readable_whatever_follows() -> None:
    """D-14: in CLOSING, TIME-WAIT, and after it."""
    scene = states.fin_wait_1()
    scene.hears(FIN | ACK, b"bye", ack=1)
    scene.hears(ACK)
    assert scene.state is TIME_WAIT
    scene.passes(10 * MINUTE)
    assert scene.state is CLOSED
    assert scene.reads() == b"bye"
    assert (scene.reads(), scene.connection.at_end) == (b"", True)


# CLOSE


@pytest.mark.label("EP-CLOSE-2", "EP-CLOSE-3", "BAD-API-2")
@pytest.mark.parametrize("make", [listen, syn_sent])
def test_ep_close_2_and_3_before_anything_was_agreed_nothing_is_sent(make: Maker) -> None:
    scene = make()
    assert scene.closes() == []
    assert scene.state is CLOSED
    assert (scene.connection.error, scene.events()) == (None, ["Closed"])


@pytest.mark.label("EP-CLOSE-4")
@pytest.mark.parametrize("make", [syn_received, states.syn_received_active])
def test_ep_close_4_with_nothing_queued_the_fin_goes_at_once(make: Maker) -> None:
    scene = make()
    assert scene.closes() == ["FIN,ACK seq=1 ack=1"]
    assert scene.state is FIN_WAIT_1
    scene.hears(ACK)
    assert scene.state is FIN_WAIT_2
    scene.hears(FIN | ACK, b"for nobody?")
    assert scene.reads() == b"for nobody?"
    assert scene.state is TIME_WAIT


@pytest.mark.label("EP-CLOSE-4")
def test_ep_close_4_if_the_ack_of_the_syn_comes_first() -> None:
    scene = syn_received()
    scene.closes()
    scene.hears(ACK, ack=1)
    assert scene.state is FIN_WAIT_1
    assert scene.expires() == ["FIN,ACK seq=1 ack=1"]
    scene.hears(ACK, ack=2)
    assert scene.state is FIN_WAIT_2


@pytest.mark.label("EP-CLOSE-4")
def test_ep_close_4_with_data_queued_the_fin_follows_it_after_established() -> None:
    scene = syn_received()
    scene.connection.send(b"hello", scene.now)
    assert scene.closes() == []
    assert scene.hears(ACK) == ["FIN,PSH,ACK seq=1 ack=1 len=5"]
    assert scene.state is FIN_WAIT_1
    scene.hears(ACK)
    assert scene.state is FIN_WAIT_2


@pytest.mark.label("EP-CLOSE-5", "RFC9293-3.6-1")
def test_ep_close_5_the_fin_follows_what_is_queued() -> None:
    scene = established(peer=Peer(window=1400))
    scene.connection.send(bytes(2500), scene.now)
    assert scene.closes() == ["ACK seq=1 ack=1 len=1000"]
    assert scene.state is FIN_WAIT_1
    assert scene.hears(ACK) == ["ACK seq=1001 ack=1 len=1000"]
    assert scene.hears(ACK) == ["FIN,PSH,ACK seq=2001 ack=1 len=500"]


@pytest.mark.label("EP-CLOSE-5", "RFC9293-3.6-1")
def test_ep_close_5_reading_goes_on() -> None:
    scene = states.fin_wait_2()
    scene.hears(ACK, b"still here")
    assert scene.reads() == b"still here"


@pytest.mark.label("EP-CLOSE-6", "BAD-API-2")
@pytest.mark.parametrize("make", [states.fin_wait_1, states.fin_wait_2])
def test_ep_close_6_a_second_close_is_ok_and_sends_no_second_fin(make: Maker) -> None:
    scene = make()
    before = scene.image()
    assert scene.closes() == []
    assert scene.image() == before


@pytest.mark.label("EP-CLOSE-7")
def test_ep_close_7_last_ack_begins_with_the_fin() -> None:
    """D-15."""
    scene = states.close_wait(peer=Peer(window=1400))
    scene.connection.send(bytes(1500), scene.now)
    scene.connection.close(scene.now)
    scene.drain()
    assert scene.state is CLOSE_WAIT
    assert scene.hears(ACK) == ["FIN,PSH,ACK seq=1001 ack=2 len=500"]
    assert scene.state is LAST_ACK


@pytest.mark.label("EP-CLOSE-8", "BAD-API-2")
@pytest.mark.parametrize("make", [states.closing, states.last_ack, states.time_wait])
def test_ep_close_8_the_connection_is_closing_already(make: Maker) -> None:
    scene = make()
    before = scene.image()
    with pytest.raises(ConnectionClosing):
        scene.connection.close(scene.now)
    assert scene.image() == before


# ABORT


@pytest.mark.label("EP-ABORT-2", "EP-ABORT-3", "BAD-API-2")
@pytest.mark.parametrize("make", [listen, syn_sent])
def test_ep_abort_2_and_3_nobody_needs_a_reset(make: Maker) -> None:
    scene = make()
    assert scene.aborts() == []
    assert scene.state is CLOSED
    assert isinstance(scene.connection.error, ConnectionReset)


@pytest.mark.label("EP-ABORT-4")
@pytest.mark.parametrize(
    "make", [*QUEUING[1:], established, states.fin_wait_1, states.fin_wait_2, states.close_wait]
)
def test_ep_abort_4_the_peer_is_told_with_a_reset(make: Maker) -> None:
    scene = make()
    number = scene.max
    if make in (established, states.close_wait):
        scene.sends(b"in flight")
        number += 9
    assert scene.aborts() == [f"RST seq={number}"]
    assert scene.state is CLOSED
    assert isinstance(scene.connection.error, ConnectionAborted)
    assert scene.events() == ["Closed"]
    assert scene.drain() == []


@pytest.mark.label("EP-ABORT-1", "EP-ABORT-2", "EP-ABORT-3", "EP-ABORT-4", "EP-ABORT-5")
@pytest.mark.parametrize("waits", [b"", b"text"])
@pytest.mark.parametrize("ahead", [b"", b"beyond a gap"])
@pytest.mark.parametrize("make", [maker for name, maker in EVERY.items() if name != "CLOSED"])
def test_after_ones_own_abort_reading_comes_to_its_end(make: Maker, ahead: bytes, waits: bytes) -> None:
    """What had arrived in order is given, by either call, and then there is no more; nothing is raised,
    however often it is asked.
    """
    scene = make()
    if scene.tcb.can_receive:
        scene.hears(ACK, waits)
        scene.hears(ACK, ahead, seq=scene.nxt + 10)
    else:
        waits = b""
    scene.connection.abort(scene.now)
    assert scene.connection.at_end == (not waits)
    room = bytearray(1)
    for octet in waits:
        assert not scene.connection.at_end
        assert scene.connection.receive_into(room, scene.now) == 1
        assert room[0] == octet
    for _ in range(2):
        assert scene.connection.receive(10, scene.now) == b""
        assert scene.connection.receive_into(room, scene.now) == 0
        assert scene.connection.at_end
    for call in ("send", "close", "abort"):
        with pytest.raises((ConnectionAborted, ConnectionReset, ConnectionDoesNotExist)):
            calls(scene)[call]()


def test_after_the_peers_reset_what_arrived_is_read_and_then_the_error() -> None:
    scene = established()
    scene.hears(ACK, b"text")
    scene.hears(RST)
    assert (scene.reads(), scene.connection.at_end) == (b"text", False)
    for _ in range(2):
        with pytest.raises(ConnectionReset):
            scene.connection.receive(1, scene.now)
        with pytest.raises(ConnectionReset):
            scene.connection.receive_into(bytearray(1), scene.now)


@pytest.mark.label("EP-ABORT-4")
def test_ep_abort_4_what_was_owed_and_queued_is_not_sent() -> None:
    scene = established()
    scene.arrives(ACK, b"a")
    scene.arrives(ACK, b"b")
    scene.connection.send(b"never", scene.now)
    assert scene.aborts() == ["RST seq=1"]


@pytest.mark.label("EP-ABORT-4", "RFC7323-3.2a")
def test_ep_abort_4_the_reset_carries_the_timestamp() -> None:
    scene = established(DEFAULT, Peer(tsval=9))
    scene.aborts()
    assert scene.sent[0].tsecr == 9


@pytest.mark.label("EP-ABORT-5")
@pytest.mark.parametrize("make", [states.closing, states.last_ack, states.time_wait])
def test_ep_abort_5_ok_and_no_reset(make: Maker) -> None:
    scene = make()
    assert scene.aborts() == []
    assert scene.state is CLOSED
    assert scene.connection.error is None


# STATUS


@pytest.mark.label("EP-STAT-1")
def test_ep_stat_1_nothing_to_tell_of_a_closed_connection() -> None:
    with pytest.raises(ConnectionDoesNotExist):
        states.closed().connection.status()


@pytest.mark.label("EP-STAT-2")
@pytest.mark.parametrize("make", [make for name, make in EVERY.items() if name != "CLOSED"])
def test_ep_stat_2_every_state_is_told(make: Maker) -> None:
    scene = make()
    status = scene.connection.status()
    assert (status.state, status.local, status.remote) == (scene.state, states.LOCAL, REMOTE)


def test_ep_stat_2_and_what_there_is_to_know() -> None:
    scene = established(DEFAULT, Peer(window_scale=2, sack=True, tsval=1))
    scene.hears(ACK, b"unread", window=1000)
    scene.sends(bytes(20_000))
    status = scene.connection.status()
    assert (status.send_window, status.awaiting_receipt, status.awaiting_ack, status.unsent) == (
        4000,
        6,
        3952,
        16_048,
    )
    assert (status.options, status.snd_wscale, status.rcv_wscale) == (TIMESTAMPS | SACK | WINDOW_SCALE, 2, 7)
    assert (status.snd_mss, status.user_timeout) == (988, 5 * MINUTE)
    assert (status.segs_in, status.segs_out) == (3, 1 + 4)


def test_a_connection_says_who_and_what_it_is() -> None:
    assert repr(established().connection) == "<10.0.0.1:80 ESTABLISHED 10.0.0.2:40000>"


# The agenda


@pytest.mark.parametrize(
    "act",
    [
        lambda connection: connection.open_passive(0),
        lambda connection: connection.open_active(0),
        lambda connection: connection.release(0),
        lambda connection: connection.handle_timeout(0),
        lambda connection: connection.configure(PLAIN, 0),
    ],
)
def test_whoever_was_touched_is_on_the_agenda_once(act: Callable[[Connection], None]) -> None:
    agenda = Turns(Bell())
    connection = Connection(states.LOCAL, REMOTE, agenda=agenda)
    act(connection)
    connection.handle_timeout(0)
    assert list(agenda.queue) == [connection]
    assert connection.on_agenda


@pytest.mark.parametrize("make", [*SYNCHRONIZED.values()])
def test_calls_keep_the_invariants_in_any_order(make: Maker) -> None:
    for first in ("send", "receive", "close", "abort"):
        for second in ("send", "receive", "close", "abort"):
            scene = make()
            for name in (first, second):
                with suppress(ConnectionClosing, ConnectionDoesNotExist, ConnectionAborted):
                    calls(scene)[name]()
                check(scene.tcb)
                scene.drain()
