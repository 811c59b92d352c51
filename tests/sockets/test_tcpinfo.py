"""`tcp_info`: what one end writes, the other reads by its names."""

from postel.sim import World
from postel.sockets.tcpinfo import STATES, fields, information, number_of, state_of
from postel.tcp.state import State
from postel.times import MILLISECOND, SECOND


def test_a_status_comes_back_by_its_names() -> None:
    world = World(1)
    near, far = world.host("near", "10.0.0.1/24"), world.host("far", "10.0.0.2/24")
    world.path(near, far)
    far.listen(80, world.now)
    connection = near.connect("10.0.0.2", 80, world.now)
    world.run(until=SECOND)
    connection.send(bytes(3000), world.now)
    world.run(until=2 * SECOND)
    status = connection.status(world.now)
    told = fields(information(connection, world.now))
    same = (
        "rto",
        "rtt",
        "snd_mss",
        "snd_cwnd",
        "pmtu",
        "bytes_acked",
        "bytes_sent",
        "segs_out",
        "min_rtt",
        "snd_wscale",
        "rcv_wscale",
    )
    assert {name: told[name] for name in same} == {name: getattr(status, name) for name in same}
    assert state_of(told["state"]) is State.ESTABLISHED
    assert (told["bytes_acked"], told["snd_wnd"]) == (3000, status.send_window)
    assert told["last_data_sent"] == status.last_data_sent // MILLISECOND


def test_a_closed_connection_has_its_state_alone() -> None:
    world = World(1)
    near = world.host("near", "10.0.0.1/24")
    connection = near.connect("10.0.0.2", 80, world.now)
    connection.abort(world.now)
    told = fields(information(connection, world.now))
    assert told.pop("state") == number_of(State.CLOSED) == 7
    assert set(told.values()) == {0}


def test_a_shorter_struct_has_fewer_fields() -> None:
    assert fields(b"\1") == {"state": 1}
    assert list(fields(bytes(104)))[-1] != "pacing_rate"
    assert fields(b"") == {}


def test_states_have_linux_s_numbers() -> None:
    assert [number_of(state) for state in STATES] == list(range(1, 12))
    assert set(STATES) == set(State)
    assert number_of(State.LISTEN) == 10
