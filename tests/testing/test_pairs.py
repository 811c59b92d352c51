"""Pairs find what goes wrong between two ends, and repeat it from the seed."""

import pytest

from postel.errors import ArgumentError
from postel.tcp.config import DEFAULT, Config
from postel.tcp.connection import Connection
from postel.tcp.state import SYN_SENT
from postel.testing import End, HostilePath, Pair, host_pair, pair
from postel.testing.pairs import FAR, NEAR, difference
from postel.times import NEVER, SECOND

ROUGH = {"loss": 0.1, "duplicate": 0.1, "reorder": 0.2, "corrupt": 0.05}
MESSAGE = bytes(range(256)) * 100


def rough(seed: int) -> Pair:
    return pair(MESSAGE, b"back", path=HostilePath(seed, **ROUGH))


def test_the_same_seed_gives_the_same_run() -> None:
    assert [rough(3).run(), rough(3).run()] == [rough(3).run()] * 2
    assert rough(3).run() != rough(4).run()


@pytest.mark.parametrize("simultaneous", [False, True])
def test_over_a_rough_path_each_octet_arrives(*, simultaneous: bool) -> None:
    both = pair(MESSAGE, MESSAGE[::-1], path=HostilePath(1, **ROUGH), simultaneous=simultaneous, reads=700)
    both.run()
    both.check()


@pytest.mark.parametrize(
    ("setting", "value", "allowed"),
    [
        ("loss", 7, "a probability"),
        ("marks", -0.1, "a probability"),
        ("delay", -1, "an int, 0 or more"),
        ("late", 0.5, "an int, 0 or more"),
    ],
)
def test_a_setting_of_a_path_is_checked_whenever_it_is_made(setting: str, value: float, allowed: str) -> None:
    with pytest.raises(ArgumentError, match=f"{setting} is {value}; allowed: {allowed}"):
        HostilePath(**{setting: value})  # type: ignore[arg-type]
    path = HostilePath()
    with pytest.raises(ArgumentError, match=f"{setting} is {value}"):
        setattr(path, setting, value)


def test_what_is_reordered_may_be_late_by_nothing() -> None:
    both = pair(MESSAGE, path=HostilePath(1, reorder=1.0, late=0))
    both.run()
    both.check()


def test_partitions_of_hosts_may_overlap() -> None:
    hosts = host_pair(1)
    hosts.partition(2 * SECOND)
    hosts.run(SECOND)
    hosts.partition(5 * SECOND)
    near = hosts.connect(b"question", b"answer")
    hosts.run(6 * SECOND - 1)
    assert near.connection.state is SYN_SENT
    hosts.run()
    hosts.check()
    assert near.incoming == b"answer"


def test_an_octet_that_is_another_is_found() -> None:
    both = pair(MESSAGE)
    both.run()
    both.far.incoming[300] ^= 1
    with pytest.raises(AssertionError, match="octet 300 is 0x2d, sent as 0x2c"):
        both.check()


def test_octets_that_are_missing_are_found() -> None:
    assert difference(b"abc", b"abcd") == "3 octets arrived of 4"
    assert difference(b"abc", b"abc") == ""


def test_an_end_that_is_still_open_is_found() -> None:
    both = pair(MESSAGE)
    both.near.has_closed = True
    both.run()
    with pytest.raises(AssertionError, match=r"CLOSE-WAIT .* is left over"):
        both.check()


def test_a_user_may_be_another() -> None:
    class Mute(End):
        def work(self, now: int) -> None:
            """Read nothing, and close nothing."""

    near = Connection(NEAR, FAR, DEFAULT, iss=1)
    far = Connection(FAR, NEAR, Config(receive_buffer=2000), iss=2)
    near.open_active(0)
    far.open_passive(0)
    both = Pair(End(near, MESSAGE), Mute(far))
    both.run(until=60 * SECOND)
    assert far.readable >= 2000
    assert both.far.incoming == b""


def test_a_partition_loses_everything_while_it_lasts() -> None:
    path = HostilePath()
    path.partition(0, 10 * SECOND)
    both = pair(b"x", path=path)
    both.run(until=9 * SECOND)
    assert path.count == 0
    both.run()
    both.check()


@pytest.mark.parametrize("address", ["10.0.0.2", "fd00::2"])
def test_hosts_over_a_rough_path(address: str) -> None:
    hosts = host_pair(5, **ROUGH)
    ends = [hosts.connect(MESSAGE, b"back", address=address, reads=700) for _ in range(3)]
    hosts.run(until=SECOND)
    hosts.partition(20 * SECOND)
    hosts.run()
    hosts.check()
    assert [bytes(end.incoming) for end in ends] == [b"back"] * 3
    assert [path.loss for path in hosts.paths] == [ROUGH["loss"]] * 2
    assert hosts.world.next_timeout() == NEVER


def test_hosts_of_which_one_lies_are_found() -> None:
    hosts = host_pair()
    near = hosts.connect(MESSAGE)
    hosts.run()
    hosts.other(near).incoming.pop()
    with pytest.raises(AssertionError, match="25599 octets arrived of 25600"):
        hosts.check()
