"""What is logged, at which level, and that nothing is where the program asked for nothing."""

import logging
import subprocess
import sys

import pytest

from postel import DEFAULT, Host
from postel.sim import World
from postel.testing import check_observer
from postel.times import MINUTE, SECOND
from postel.view import LoggingObserver, Observers, Trace


def happened(observer: LoggingObserver | Observers) -> None:
    """A connection to a peer that falls silent, on a path that loses, and one that is refused."""
    world = World(4, observer=observer)
    near, far = world.host("near", "10.0.0.1/24"), world.host("far", "10.0.0.2/24")
    there, back = world.path(near, far, bandwidth=2_000_000, loss=0.05)
    far.listen(80, 0)
    connection = near.connect("10.0.0.2", 80, 0, local_port=4000)
    near.connect("10.0.0.2", 81, 0)
    connection.send(bytes(60_000), 0)
    world.run(10 * SECOND)
    there.loss = back.loss = 1.0
    connection.send(b"more", world.now)
    world.run(20 * MINUTE)


def told(caplog: pytest.LogCaptureFixture, logger: str, level: int) -> list[str]:
    return [
        record.getMessage()
        for record in caplog.records
        if (record.name, record.levelno) == (f"postel.{logger}", level)
    ]


def test_everything_is_logged_where_it_is_asked_for(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "postel")
    happened(LoggingObserver())
    assert "10.0.0.1:4000 to 10.0.0.2:80: CLOSED to SYN-SENT" in told(caplog, "states", logging.DEBUG)
    assert "10.0.0.1:4000 to 10.0.0.2:80: SYN-SENT to ESTABLISHED" in told(caplog, "states", logging.INFO)
    assert "10.0.0.1:4000 to 10.0.0.2:80: ESTABLISHED to CLOSED" in told(caplog, "states", logging.INFO)
    assert "10.0.0.1:4000 to 10.0.0.2:80: the timer retransmission expires" in told(
        caplog, "timers", logging.INFO
    )
    assert "10.0.0.1:4000 to 10.0.0.2:80: recovery" in told(caplog, "losses", logging.INFO)
    assert "drops a packet: no_connection" in told(caplog, "drops", logging.INFO)
    segments = told(caplog, "segments", logging.DEBUG)
    assert any(text.startswith("10.0.0.1:4000 to 10.0.0.2:80: sends SYN seq=") for text in segments)
    assert any(text.startswith("10.0.0.2:80 to 10.0.0.1:4000: hears SYN seq=") for text in segments)
    assert all(isinstance(vars(record)["now"], int) for record in caplog.records)
    assert max(record.levelno for record in caplog.records) == logging.INFO


def test_only_what_matters_at_the_level_info(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "postel")
    happened(LoggingObserver())
    assert {record.levelno for record in caplog.records} == {logging.INFO}
    assert not told(caplog, "segments", logging.INFO)


def test_segments_are_left_out_on_request(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "postel")
    happened(LoggingObserver(segments=False))
    assert told(caplog, "segments", logging.DEBUG) == []


def test_a_peers_error_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "postel")
    host = Host("10.0.0.1/24", secret=b"s")
    connection = host.connect("10.0.0.2", 80, 0, config=DEFAULT)
    LoggingObserver().peer_erred(connection.local, connection.remote, "a window scale of 15", 7)
    assert caplog.messages == [f"{connection.local} to 10.0.0.2:80: a window scale of 15"]


def test_it_is_silent_by_default() -> None:
    program = "from postel import Host; from postel.view import LoggingObserver\n"
    program += "Host('10.0.0.1/24', secret=b's', observer=LoggingObserver()).packet_arrives(b'nonsense', 0)\n"
    program += "import logging; logging.getLogger('postel.drops').error('a program of its own')"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")


def test_it_only_observes(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "postel")
    check_observer(LoggingObserver)
    check_observer(lambda: Observers(LoggingObserver(), Trace(), LoggingObserver(segments=False)))


def test_several_observers_are_each_told(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "postel")
    alone, one, other = Trace(), Trace(), Trace()
    happened(Observers(alone))
    happened(Observers(one, LoggingObserver(), other))
    assert one.to_json() == other.to_json() == alone.to_json()
    assert "SYN-SENT" in one.to_json()
    assert caplog.records
