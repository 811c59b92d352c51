"""What the words of a command line change of a run."""

from dataclasses import replace

import pytest

from postel.congestion import BBR, Reno
from postel.errors import ArgumentError
from postel.lab import Interference, run
from postel.sim import DROP, corrupt, deliver_after, duplicate
from postel.tcp.config import DEFAULT
from postel.times import MILLISECOND, MINUTE, NEVER, SECOND


def test_each_word_is_a_verdict_on_its_numbers() -> None:
    told = Interference.read(drop="2, 5", dup="1", delay="3=2s,4=5ms", corrupted="6", reorder="7,8")
    assert told.verdicts == {
        2: DROP,
        5: DROP,
        1: duplicate(),
        3: deliver_after(2 * SECOND),
        4: deliver_after(5 * MILLISECOND),
        6: corrupt(),
        7: deliver_after(30 * MILLISECOND),
        8: deliver_after(30 * MILLISECOND),
    }


def test_what_is_held_back_is_held_back_on_a_slow_path_too() -> None:
    assert Interference.read(reorder="7", settings=["delay=1s"]).verdicts == {7: deliver_after(3 * SECOND)}


@pytest.mark.parametrize(("text", "chance"), [("10%", 0.1), ("0.1", 0.1), ("0", 0.0), ("100%", 1.0)])
def test_chances(text: str, chance: float) -> None:
    assert Interference.read(loss=text).path == {"loss": chance}


@pytest.mark.parametrize(
    ("setting", "name", "value"),
    [
        ("msl=30s", "msl", 30 * SECOND),
        ("time_wait=off", "msl", 0),
        ("time_wait=on", "msl", 2 * MINUTE),
        ("msl=0", "msl", 0),
        ("user_timeout=never", "user_timeout", NEVER),
        ("nagle=off", "nagle", False),
        ("receive_buffer=4k", "receive_buffer", 4096),
        ("receive_buffer=automatic", "receive_buffer", "automatic"),
        ("delayed_ack=1.5ms", "delayed_ack", 1500),
        ("initial_window=2", "initial_window", 2),
        ("ecn=ask", "ecn", "ask"),
        ("fast_open=both", "fast_open", "both"),
        ("mtu_probing=off", "mtu_probing", "off"),
        ("option_layout=packed", "option_layout", "packed"),
    ],
)
def test_settings(setting: str, name: str, value: object) -> None:
    told = Interference.read(settings=[setting])
    assert getattr(told.configured(DEFAULT, "client"), name) == value
    assert getattr(told.configured(DEFAULT, "server"), name) == value


def test_an_msl_alone_brings_no_time_wait_back_where_an_experiment_does_without() -> None:
    without = replace(DEFAULT, msl=0)
    assert Interference.read(settings=["msl=30s"]).configured(without, "client").msl == 0
    assert (
        Interference.read(settings=["msl=30s", "time_wait=on"]).configured(without, "client").msl
        == 30 * SECOND
    )
    assert run("last-ack-lost", Interference.read(settings=["msl=30s"])).agrees


def test_settings_of_one_host() -> None:
    told = Interference.read(settings=["nagle=off", "server.nagle=on", "client.msl=1s"])
    client, server = (told.configured(DEFAULT, host) for host in ("client", "server"))
    assert (client.nagle, server.nagle, client.msl, server.msl) == (False, True, SECOND, DEFAULT.msl)


def test_settings_of_the_path() -> None:
    assert Interference.read(settings=["delay=50ms", "loss=5%"]).path == {
        "delay": 50 * MILLISECOND,
        "loss": 0.05,
    }


def test_a_controller_by_name() -> None:
    told = Interference.read(settings=["congestion=bbr", "server.congestion=reno"])
    assert told.configured(DEFAULT, "client").congestion is BBR
    assert told.configured(DEFAULT, "server").congestion is Reno


@pytest.mark.parametrize(
    "mistake",
    [
        {"drop": "x"},
        {"drop": "0"},
        {"drop": "-1"},
        {"dup": "1.5"},
        {"delay": "3"},
        {"delay": "3=soon"},
        {"delay": "3=2 weeks"},
        {"loss": "a lot"},
        {"loss": "101%"},
        {"settings": ["msl"]},
        {"settings": ["msl=-1s"]},
        {"settings": ["msl=9d"]},
        {"settings": ["nagle=maybe"]},
        {"settings": ["no_such=1"]},
        {"settings": ["congestion=1"]},
        {"settings": ["ecn=1"]},
        {"settings": ["fast_open=on"]},
        {"settings": ["router.msl=1s"]},
        {"settings": ["client.delay=1s"]},
    ],
)
def test_mistakes(mistake: dict[str, object]) -> None:
    with pytest.raises(ArgumentError):
        Interference.read(**mistake)  # type: ignore[arg-type]


def test_a_wrong_word_is_told_with_those_that_are_known() -> None:
    with pytest.raises(
        ArgumentError, match="ecn is 'on'; allowed: 'off', 'accept-classic', 'accept', 'ask-classic' or 'ask'"
    ):
        Interference.read(settings=["ecn=on"])


def test_a_segment_is_dropped_by_the_number_that_the_ladder_prints() -> None:
    (scene,) = run("four-way", Interference.read(drop="4")).scenes
    assert [packet.number for packet in scene.trace.packets if packet.lost] == [4]
    # The FIN comes again, and the rest is as it was
    assert run("four-way", Interference.read(drop="4")).agrees


def test_the_user_has_the_last_word() -> None:
    (plain, _) = run("two-msl-is-four-minutes", Interference.read(settings=["msl=1s"])).scenes
    assert plain.client.config.msl == SECOND
